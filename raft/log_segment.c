/* The files of the log: NNNNNNNN.log, each zero-written once to its full size, then reused.
 *
 * Happy path: a new file is made as NAME.new, zero-written, synced, renamed, and its directory
 * synced; so a file under its final name always has its full size and blocks, and writing in it
 * never needs metadata or space. One free file is kept ready by a job on LANE_SYNC, so that the log
 * thread seldom has to make one. Failure: no space leaves things as they are (admission refuses,
 * log_has_room; a batch that needs the file waits); any other status ends the log. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/log_internal.h"

#define ZERO_CHUNK (1024u * 1024u)

static enum status path_of(const struct log *l, char out[PATH_MAX], uint64_t id, const char *suffix)
{
    int n =
        snprintf(out, PATH_MAX, "%s/%08llu.log%s", l->directory, (unsigned long long)id, suffix);
    return n < 0 || n >= PATH_MAX ? STATUS_TOO_BIG : OK;
}

static enum status write_zeros(const struct log *l, struct disk_file *f)
{
    size_t chunk = l->options.segment_bytes < ZERO_CHUNK ? l->options.segment_bytes : ZERO_CHUNK;
    uint8_t *zeros = calloc(1, chunk);
    if (zeros == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status s = OK;
    for (uint64_t at = 0; at < l->options.segment_bytes && s == OK; at += chunk) {
        size_t n =
            l->options.segment_bytes - at < chunk ? (size_t)(l->options.segment_bytes - at) : chunk;
        s = disk_write(l->options.disk, f, zeros, n, at);
    }
    free(zeros);
    return s;
}

enum status log_segment_make(const struct log *l, uint64_t id, struct disk_file **out_file)
{
    char temporary[PATH_MAX], path[PATH_MAX];
    struct disk *d = l->options.disk;
    struct disk_file *f;
    enum status s = path_of(l, path, id, "");
    if (s == OK) {
        s = path_of(l, temporary, id, ".new");
    }
    if (s == OK) {
        s = disk_open(d, temporary, DISK_READ | DISK_WRITE | DISK_CREATE, &f);
    }
    if (s != OK) {
        return s;
    }
    s = write_zeros(l, f);
    if (s == OK) {
        s = disk_sync(d, f, "log.zeros");
    }
    if (s == OK) {
        s = disk_rename(d, temporary, path);
    }
    if (s == OK) {
        s = disk_sync_dir(d, l->directory, "log.directory");
        s = s == STATUS_NO_SPACE ? STATUS_IO : s; /* the name is there: nothing to wait for */
    }
    if (s != OK) {
        disk_close(d, f);
        (void)disk_remove(d, temporary); /* at the next start at the latest */
        return s;
    }
    *out_file = f;
    return OK;
}

struct listing {
    struct log *log;
    uint64_t ids[LOG_SEGMENTS_MAX];
    uint32_t n;
    enum status status;
};

static void on_name(void *arg, const char *name)
{
    struct listing *li = arg;
    char *end;
    if (name[0] < '0' || name[0] > '9') {
        return;
    }
    unsigned long long id = strtoull(name, &end, 10);
    if (strcmp(end, ".log.new") == 0) {
        char path[PATH_MAX];
        if (path_of(li->log, path, id, ".new") == OK) {
            (void)disk_remove(li->log->options.disk,
                              path); /* what a crash left; it is tried again next time */
        }
    } else if (strcmp(end, ".log") == 0) {
        if (li->n == LOG_SEGMENTS_MAX) {
            li->status = STATUS_TOO_BIG;
            return;
        }
        li->ids[li->n++] = id;
    }
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static enum status open_one(struct log *l, uint64_t id, struct error *e)
{
    char path[PATH_MAX];
    struct disk_file *f;
    uint64_t size;
    enum status s = path_of(l, path, id, "");
    if (s == OK) {
        s = disk_open(l->options.disk, path, DISK_READ | DISK_WRITE, &f);
    }
    if (s != OK) {
        return error_set(e, s, "%s: can't open it: %s", path, status_text(s));
    }
    s = disk_size(l->options.disk, f, &size);
    if (s == OK && size != l->options.segment_bytes) {
        disk_close(l->options.disk, f);
        return error_set(
            e, STATUS_WRONG_FORMAT,
            "%s: its size is %llu, but every segment of this log has %u bytes: put the file back "
            "as it was, "
            "or take this node out with its data directory and join it again (member replace)",
            path, (unsigned long long)size, l->options.segment_bytes);
    }
    if (s != OK || log_segment_add(l, id, f) == NULL) {
        disk_close(l->options.disk, f);
        s = s == OK ? STATUS_NO_MEMORY : s;
        return error_set(e, s, "%s: %s", path, status_text(s));
    }
    return OK;
}

enum status log_segment_open_all(struct log *l, struct error *e)
{
    struct listing *li = calloc(1, sizeof(*li));
    if (li == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    li->log = l;
    enum status s = disk_list(l->options.disk, l->directory, on_name, li);
    if (s == OK) {
        s = li->status;
    }
    if (s != OK) {
        free(li);
        return error_set(e, s, "%s: can't list it: %s", l->directory, status_text(s));
    }
    qsort(li->ids, li->n, sizeof(li->ids[0]),
          compare_ids); /* the order of a directory must not decide anything */
    for (uint32_t i = 0; i < li->n && s == OK; i++) {
        s = open_one(l, li->ids[i], e);
    }
    free(li);
    return s;
}

struct log_segment *log_segment_add(struct log *l, uint64_t id, struct disk_file *file)
{
    if (l->segments_n == LOG_SEGMENTS_MAX) {
        return NULL;
    }
    struct log_segment *seg = calloc(1, sizeof(*seg));
    if (seg == NULL) {
        return NULL;
    }
    seg->id = id;
    seg->file = file;
    l->segments[l->segments_n++] = seg;
    if (id >= l->next_id) {
        l->next_id = id + 1;
    }
    return seg;
}

struct log_segment *log_segment_find(const struct log *l, uint32_t number)
{
    for (uint32_t i = 0; i < l->segments_n && number != 0; i++) {
        if (l->segments[i]->number == number) {
            return l->segments[i];
        }
    }
    return NULL;
}

/* May be written over: free, or older than the newest durable head needs. */
static bool is_free(const struct log *l, const struct log_segment *seg)
{
    return seg->number < l->needed_durable && seg != l->current &&
           seg->file != NULL; /* one being made is above */
}

struct log_segment *log_segment_find_free(const struct log *l)
{
    struct log_segment *best = NULL;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        struct log_segment *seg = l->segments[i];
        if (is_free(l, seg) && (best == NULL || seg->number < best->number)) {
            best = seg;
        }
    }
    return best;
}

uint32_t log_segment_count_free(const struct log *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        n += is_free(l, l->segments[i]);
    }
    return n;
}

void log_segment_close_all(struct log *l)
{
    for (uint32_t i = 0; i < l->segments_n; i++) {
        if (l->segments[i]->file != NULL) {
            disk_close(l->options.disk, l->segments[i]->file);
        }
        free(l->segments[i]);
    }
    l->segments_n = 0;
}

static void spare_work(struct job *j)
{
    struct log *l = container_of(j, struct log, spare.job);
    struct log_spare *sp = &l->spare;
    sp->status = disk_free_bytes(l->options.disk, l->directory, &sp->free_bytes);
    if (sp->status != OK || !sp->make) {
        return;
    }
    sp->status = sp->free_bytes < l->options.reserve_bytes + l->options.segment_bytes
                     ? STATUS_NO_SPACE
                     : log_segment_make(l, sp->id, &sp->file);
}

static void spare_done(struct job *j)
{
    struct log *l = container_of(j, struct log, spare.job);
    struct log_spare *sp = &l->spare;
    sp->running = false;
    l->free_bytes = sp->free_bytes;
    if (sp->file != NULL) {
        if (log_segment_add(l, sp->id, sp->file) == NULL) {
            disk_close(l->options.disk, sp->file);
        }
        sp->file = NULL;
    } else if (sp->status == STATUS_NO_SPACE) {
        l->free_bytes = sp->make ? 0 : l->free_bytes; /* until it is asked for again */
    } else if (sp->status != OK) {
        log_fail(l, sp->status, "making a segment");
        log_kick(l);
    }
}

void log_segment_submit_spare(struct log *l)
{
    struct log_spare *sp = &l->spare;
    if (sp->running || l->failed != OK) {
        return;
    }
    sp->running = true;
    sp->make = log_segment_count_free(l) == 0;
    sp->id = sp->make ? l->next_id++ : 0;
    sp->file = NULL;
    sp->job.work = spare_work;
    sp->job.done = spare_done;
    executor_submit(l->options.executor, LANE_SYNC, &sp->job);
}
