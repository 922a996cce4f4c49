/* Frames into a file, and back with every promise of the format checked: order, shards without gaps, sizes, the check sum. */
#include "ctl/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/peer.pb-c.h"
#include "proto/tls_digest.h"

#define PATH_BYTES  4096u
#define PAGE_BYTES  4096u
#define DIGEST_SIZE 16u

struct snapshot_writer {
    char path[PATH_BYTES], part[PATH_BYTES];
    int fd;
    bool named; /* it has its name: nothing to remove */
    struct buffer out;
    off_t begun_at; /* where the shard that has begun begins */
    bool open;      /* one has */
    uint64_t size, offset;
    uint32_t shards;
};

static enum status disk_error(struct error *e, const char *path)
{
    return error_set(e, status_from_errno(errno), "%.300s: %s", path, strerror(errno));
}

/* ---- writing ---- */

static enum status write_all(struct snapshot_writer *w, struct error *e)
{
    for (size_t at = 0; at < w->out.size;) {
        ssize_t n = write(w->fd, w->out.data + at, w->out.size - at);
        if (n < 0 && errno != EINTR) {
            return disk_error(e, w->part);
        }
        at += n > 0 ? (size_t)n : 0;
    }
    buffer_clear(&w->out);
    return OK;
}

static enum status put(struct snapshot_writer *w, enum frame_kind kind, const ProtobufCMessage *m,
                       struct bytes payload, struct error *e)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *header = malloc(size > 0 ? size : 1);
    enum status s = STATUS_NO_MEMORY;
    if (header != NULL) {
        protobuf_c_message_pack(m, header);
        s = frame_encode(&w->out, kind, (struct bytes){header, size}, payload);
    }
    free(header);
    return s == OK ? write_all(w, e) : error_set(e, s, "%s", status_text(s));
}

/* Empty, or begun as this program begins one: not somebody's file that happens to be called so. */
static bool part_is_ours(int fd)
{
    uint8_t head[FRAME_HEAD_SIZE];
    struct frame f;
    size_t size;
    ssize_t n = pread(fd, head, sizeof(head), 0);
    if (n != (ssize_t)sizeof(head)) {
        return n == 0;
    }
    enum status s = frame_decode((struct bytes){head, sizeof(head)}, &f, &size);
    return s == STATUS_BUSY && (head[4] | head[5] << 8) == FRAME_SNAPSHOT_HEAD;
}

/* Who writes it holds its lock, which ends with the process: one that a killed save has left behind is begun again. The lock may be had
 * of a file that has just got its name, so the name is looked at once more. */
static enum status part_open(struct snapshot_writer *w, struct error *e)
{
    struct stat mine, named;
    w->fd = open(w->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd < 0) {
        return disk_error(e, w->part);
    }
    if (flock(w->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? error_set(e, STATUS_EXISTS, "another snapshot is being taken into %.300s",
                               w->part)
                   : disk_error(e, w->part);
    }
    if (fstat(w->fd, &mine) != 0 || stat(w->part, &named) != 0 || mine.st_ino != named.st_ino ||
        mine.st_dev != named.st_dev) {
        return error_set(e, STATUS_EXISTS, "another snapshot was taken into %.300s just now",
                         w->part);
    }
    if (!S_ISREG(mine.st_mode) || !part_is_ours(w->fd)) {
        return error_set(e, STATUS_EXISTS,
                         "%.300s exists and is no snapshot that was broken off. What to do: give "
                         "another name",
                         w->part);
    }
    return ftruncate(w->fd, 0) == 0 ? OK : disk_error(e, w->part);
}

enum status snapshot_writer_open(const char *path, const Mq__SnapshotHead *head,
                                 struct snapshot_writer **out_w, struct error *e)
{
    struct snapshot_writer *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    w->fd = -1;
    if (snprintf(w->part, sizeof(w->part), "%s.part", path) >= (int)sizeof(w->part)) {
        free(w);
        return error_set(e, STATUS_INVALID, "the path is longer than %u bytes", PATH_BYTES - 6);
    }
    memcpy(w->path, path, strlen(path) + 1);
    if (access(path, F_OK) == 0) {
        free(w);
        return error_set(e, STATUS_EXISTS, "%.300s exists; give another name", path);
    }
    enum status s = part_open(w, e);
    if (s != OK) {
        if (w->fd >= 0) {
            close(w->fd); /* another's file: it stays */
        }
        free(w);
        return s;
    }
    s = put(w, FRAME_SNAPSHOT_HEAD, &head->base, (struct bytes){NULL, 0}, e);
    if (s != OK) {
        snapshot_writer_free(w);
        return s;
    }
    *out_w = w;
    return OK;
}

static bool shard_good(const Mq__SnapshotShard *m)
{
    return m->digest.len == DIGEST_SIZE && m->environment.len == 16 && m->size != 0 &&
           m->size % PAGE_BYTES == 0 && m->index != 0;
}

enum status snapshot_writer_shard(struct snapshot_writer *w, const Mq__SnapshotShard *shard,
                                  struct error *e)
{
    if (w->open) {
        return error_set(e, STATUS_INVALID, "the shard before has not ended");
    }
    if (!shard_good(shard)) {
        return error_set(e, STATUS_MALFORMED, "the description of a shard cannot be read");
    }
    w->begun_at = lseek(w->fd, 0, SEEK_CUR);
    w->open = true;
    w->size = shard->size;
    w->offset = 0;
    return put(w, FRAME_SNAPSHOT_SHARD, &shard->base, (struct bytes){NULL, 0}, e);
}

enum status snapshot_writer_data(struct snapshot_writer *w, uint64_t offset, struct bytes data,
                                 bool last, struct error *e)
{
    Mq__CopyData m = MQ__COPY_DATA__INIT;
    if (!w->open || offset != w->offset || data.size == 0 || data.size > w->size - w->offset ||
        last != (offset + data.size == w->size)) {
        return error_set(e, STATUS_MALFORMED, "the pages of a copy come out of order");
    }
    m.offset = offset;
    m.last = last;
    w->offset += data.size;
    enum status s = put(w, FRAME_COPY_DATA, &m.base, data, e);
    if (s == OK && last) {
        w->open = false;
        w->shards++;
    }
    return s;
}

enum status snapshot_writer_undo(struct snapshot_writer *w, struct error *e)
{
    if (!w->open) {
        return OK;
    }
    w->open = false;
    buffer_clear(&w->out);
    if (ftruncate(w->fd, w->begun_at) != 0 || lseek(w->fd, w->begun_at, SEEK_SET) < 0) {
        return disk_error(e, w->part);
    }
    return OK;
}

void snapshot_writer_free(struct snapshot_writer *w)
{
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        if (!w->named) {
            (void)unlink(w->part); /* while its lock is ours */
        }
        close(w->fd);
    }
    buffer_deinit(&w->out);
    free(w);
}

/* The name itself must survive a power cut too. */
static enum status sync_directory(const char *path, struct error *e)
{
    char directory[PATH_BYTES] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        size_t size = slash == path ? 1 : (size_t)(slash - path);
        memcpy(directory, path, size);
        directory[size] = '\0';
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    enum status s = synced ? OK : disk_error(e, directory);
    if (fd >= 0) {
        close(fd);
    }
    return s;
}

/* ---- reading ---- */

struct scan {
    int fd;
    const char *path;
    const struct snapshot_visitor *visitor;
    struct tls_digest *sum;
    struct buffer in;
    bool head, open, ended;
    uint64_t size, offset;
    uint32_t shards;
    uint8_t found[TLS_DIGEST_SIZE];
    struct error *e;
};

static enum status corrupt(struct scan *r, const char *what)
{
    return error_set(r->e, STATUS_CORRUPT, "%.300s is damaged, or no snapshot: %s", r->path, what);
}

static enum status fill(struct scan *r, size_t size, bool *out_end)
{
    while (r->in.size < size) {
        uint8_t *at;
        size_t more = size - r->in.size;
        if (buffer_reserve(&r->in, more, &at) != OK) {
            return error_set(r->e, STATUS_NO_MEMORY, "out of memory");
        }
        ssize_t n = read(r->fd, at, more);
        if (n < 0 && errno != EINTR) {
            return disk_error(r->e, r->path);
        }
        if (n == 0) {
            *out_end = r->in.size == 0;
            return *out_end ? OK : corrupt(r, "it ends in the middle");
        }
        r->in.size += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

/* One whole frame is in r->in afterwards, or it is the end of the file. */
static enum status next_frame(struct scan *r, struct frame *out_f, bool *out_end)
{
    size_t size = FRAME_HEAD_SIZE;
    *out_end = false;
    buffer_clear(&r->in);
    enum status s = fill(r, size, out_end);
    if (s != OK || *out_end) {
        return s;
    }
    s = frame_decode((struct bytes){r->in.data, r->in.size}, out_f, &size);
    if (s == STATUS_BUSY) {
        s = fill(r, size, out_end);
        s = s == OK ? frame_decode((struct bytes){r->in.data, r->in.size}, out_f, &size) : s;
        if (s != OK && r->e->status == s) {
            return s;
        }
    }
    return s == OK ? OK : corrupt(r, "bytes that are no frame");
}

static enum status take_head(struct scan *r, const struct frame *f)
{
    Mq__SnapshotHead *m = mq__snapshot_head__unpack(NULL, f->header.size, f->header.data);
    enum status s = OK;
    if (m == NULL || m->cluster_id.len != 16 || r->head) {
        s = corrupt(r, "its head cannot be read");
    } else if (m->version > SNAPSHOT_VERSION) {
        s = error_set(r->e, STATUS_VERSION, "%.300s was made by a later version (format %u)",
                      r->path, m->version);
    } else if (r->visitor->head != NULL) {
        s = r->visitor->head(r->visitor->arg, m);
    }
    r->head = true;
    mq__snapshot_head__free_unpacked(m, NULL);
    return s;
}

static enum status take_shard(struct scan *r, const struct frame *f)
{
    Mq__SnapshotShard *m = mq__snapshot_shard__unpack(NULL, f->header.size, f->header.data);
    enum status s = OK;
    if (m == NULL || !shard_good(m)) {
        s = corrupt(r, "the description of a shard cannot be read");
    } else {
        r->open = true;
        r->size = m->size;
        r->offset = 0;
        s = r->visitor->shard != NULL ? r->visitor->shard(r->visitor->arg, m) : OK;
    }
    mq__snapshot_shard__free_unpacked(m, NULL);
    return s;
}

static enum status take_data(struct scan *r, const struct frame *f)
{
    Mq__CopyData *m = mq__copy_data__unpack(NULL, f->header.size, f->header.data);
    bool good = m != NULL && m->offset == r->offset && f->payload.size > 0 &&
                f->payload.size <= r->size - r->offset &&
                (m->last != 0) == (m->offset + f->payload.size == r->size);
    enum status s = good ? OK : corrupt(r, "pages of a shard are missing");
    if (good) {
        r->offset += f->payload.size;
        r->open = r->offset < r->size;
        r->shards += !r->open;
        if (r->visitor->data != NULL) {
            s = r->visitor->data(r->visitor->arg, m->offset, f->payload, m->last);
        }
    }
    mq__copy_data__free_unpacked(m, NULL);
    return s;
}

static enum status take_end(struct scan *r, const struct frame *f)
{
    Mq__SnapshotEnd *m = mq__snapshot_end__unpack(NULL, f->header.size, f->header.data);
    enum status s = tls_digest_finish(r->sum, r->found);
    if (s != OK) {
        s = error_set(r->e, s, "out of memory");
    } else if (m == NULL || m->shards != r->shards || m->sha256.len != sizeof(r->found) ||
               memcmp(m->sha256.data, r->found, sizeof(r->found)) != 0) {
        s = corrupt(r, "its check sum is another");
    }
    r->ended = true;
    mq__snapshot_end__free_unpacked(m, NULL);
    return s;
}

static enum status take(struct scan *r, const struct frame *f)
{
    if (r->ended || (!r->head && f->kind != FRAME_SNAPSHOT_HEAD)) {
        return corrupt(r, r->ended ? "there is something behind its end" : "it has no head");
    }
    if (r->open != (f->kind == FRAME_COPY_DATA)) {
        return corrupt(r, "its parts are out of order");
    }
    if (f->kind != FRAME_SNAPSHOT_END) {
        tls_digest_update(r->sum, (struct bytes){r->in.data, r->in.size});
    }
    switch ((int)f->kind) {
        case FRAME_SNAPSHOT_HEAD:
            return take_head(r, f);
        case FRAME_SNAPSHOT_SHARD:
            return take_shard(r, f);
        case FRAME_COPY_DATA:
            return take_data(r, f);
        case FRAME_SNAPSHOT_END:
            return take_end(r, f);
        default:
            return corrupt(r, "a part that no snapshot has");
    }
}

/* From the beginning to the end of the file; an unfinished one has no SnapshotEnd yet. */
static enum status scan(struct scan *r, bool finished)
{
    enum status s = tls_digest_new(&r->sum);
    bool end = false;
    if (s != OK) {
        return error_set(r->e, s, "out of memory");
    }
    while (s == OK && !end) {
        struct frame f;
        s = next_frame(r, &f, &end);
        if (s == OK && !end) {
            s = take(r, &f);
            if (s != OK && r->e->status == OK) {
                (void)error_set(r->e, s, "%.300s: %s", r->path, status_text(s));
            }
        }
    }
    if (s == OK && (r->open || !r->head || r->ended != finished)) {
        s = corrupt(r, "it is not whole");
    }
    if (s == OK && !finished) {
        s = tls_digest_finish(r->sum, r->found);
    }
    tls_digest_free(r->sum);
    buffer_deinit(&r->in);
    return s;
}

enum status snapshot_read(const char *path, const struct snapshot_visitor *v, uint8_t out_sum[32],
                          struct error *e)
{
    struct error problem = {0};
    struct scan r = {.path = path, .visitor = v, .e = &problem};
    r.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r.fd < 0) {
        return disk_error(e, path);
    }
    enum status s = scan(&r, true);
    close(r.fd);
    if (s == OK) {
        memcpy(out_sum, r.found, sizeof(r.found));
    } else {
        *e = problem;
    }
    return s;
}

/* What the disk gives back is what the check sum is of. */
enum status snapshot_writer_finish(struct snapshot_writer *w, struct error *e)
{
    static const struct snapshot_visitor nobody;
    struct error problem = {0};
    struct scan r = {.fd = w->fd, .path = w->part, .visitor = &nobody, .e = &problem};
    Mq__SnapshotEnd end = MQ__SNAPSHOT_END__INIT;
    if (w->open || lseek(w->fd, 0, SEEK_SET) < 0) {
        return w->open ? error_set(e, STATUS_INVALID, "a shard has not ended")
                       : disk_error(e, w->part);
    }
    enum status s = scan(&r, false);
    if (s != OK) {
        *e = problem;
        return s;
    }
    end.shards = w->shards;
    end.sha256 = (ProtobufCBinaryData){sizeof(r.found), r.found};
    s = put(w, FRAME_SNAPSHOT_END, &end.base, (struct bytes){NULL, 0}, e);
    if (s == OK && (fsync(w->fd) != 0 || rename(w->part, w->path) != 0)) {
        s = disk_error(e, w->part);
    }
    if (s == OK) {
        w->named = true;
        s = sync_directory(w->path, e);
    }
    return s;
}
