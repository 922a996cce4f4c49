/* Any bytes as a snapshot's file: reading ends with a status and a sentence, and a visitor sees nothing out of order. The check
 * sum is put right unless the first byte says to leave it, so that what lies behind it is reached, too. */
#include "ctl/snapshot_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"
#include "proto/frame.h"
#include "proto/tls_digest.h"

#define SIZE_MAX_FUZZED 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    bool head;
    uint64_t size, offset;
    uint32_t shards;
};

static enum status on_head(void *arg, const Mq__SnapshotHead *m)
{
    struct seen *s = arg;
    must(!s->head && m->cluster_id.len == 16);
    s->head = true;
    return OK;
}

static enum status on_shard(void *arg, const Mq__SnapshotShard *m)
{
    struct seen *s = arg;
    must(s->head && s->offset == s->size);
    must(m->size > 0 && m->digest.len == 16 && m->environment.len == 16);
    s->size = m->size;
    s->offset = 0;
    return OK;
}

static enum status on_data(void *arg, uint64_t offset, struct bytes data, bool last)
{
    struct seen *s = arg;
    must(offset == s->offset && data.size > 0 && data.size <= s->size - s->offset);
    s->offset += data.size;
    must(last == (s->offset == s->size));
    s->shards += last;
    return OK;
}

/* A file that ends with its SnapshotEnd ends with these 32 bytes of it, the sum of what is before that frame. */
static void repair(uint8_t *file, size_t size)
{
    struct tls_digest *sum;
    size_t at = 0, step = 0;
    struct frame f;
    must(tls_digest_new(&sum) == OK);
    while (frame_decode((struct bytes){file + at, size - at}, &f, &step) == OK) {
        if (f.kind == FRAME_SNAPSHOT_END && at + step == size && f.header.size >= 32) {
            must(tls_digest_finish(sum, file + size - 32) == OK);
            break;
        }
        tls_digest_update(sum, (struct bytes){file + at, step});
        at += step;
    }
    tls_digest_free(sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    uint8_t sum[32];
    struct seen seen = {0};
    struct error e = {0};
    const struct snapshot_visitor v = {on_head, on_shard, on_data, &seen};
    if (size < 1 || size > SIZE_MAX_FUZZED) {
        return 0;
    }
    uint8_t *file = malloc(size);
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    must(file != NULL && fd >= 0);
    memcpy(file, data + 1, size - 1);
    if ((data[0] & 1) == 0) {
        repair(file, size - 1);
    }
    must(write(fd, file, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    enum status s = snapshot_read(path, &v, sum, &e);
    must((s == OK) == (e.text[0] == '\0'));
    must(s != OK || (seen.head && seen.offset == seen.size));
    close(fd);
    free(file);
    return 0;
}
