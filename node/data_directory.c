/* Opening: directories -> lock -> identity (compare, or make) -> incarnation + 1. Each refusal
 * names the file and what to do. */
#include "node/data_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_line.h"

#define MACHINE_ID_FILE "/etc/machine-id"

static enum status make_directories(struct data_directory *d, struct error *e)
{
    char shards[528];
    snprintf(d->log_path, sizeof(d->log_path), "%s/log", d->path);
    snprintf(shards, sizeof(shards), "%s/shards", d->path);
    const char *all[] = {d->path, d->log_path, shards};
    bool existed = false;
    for (int i = 0; i < 3; i++) {
        enum status s = disk_make_dir(d->disk, all[i]);
        existed = existed || (i == 0 && s == STATUS_EXISTS);
        if (s != OK && s != STATUS_EXISTS) {
            return error_set(e, s,
                             "cannot make the directory %s: %s. What to do: make it, owned by the "
                             "user this runs as",
                             all[i], status_text(s));
        }
    }
    /* Its own entry in its parent; those in it are synced with what is put there. */
    char parent[sizeof(d->path)];
    snprintf(parent, sizeof(parent), "%s", d->path);
    enum status s = disk_sync_dir(d->disk, dirname(parent), "data_directory.make");
    if (s == STATUS_PERMISSION && existed) { /* whoever made it for us */
        s = OK;
    }
    return s == OK
               ? OK
               : error_set(e, s, "cannot sync the directory of %s: %s", d->path, status_text(s));
}

static enum status take_lock(struct data_directory *d, const char **id, struct error *e)
{
    char path[528];
    snprintf(path, sizeof(path), "%s/lock", d->path);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        return error_set(e, status_from_errno(errno), "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        *id = "MQ-DATA-LOCKED";
        return error_set(e, STATUS_LOCKED,
                         "the data directory %s is in use by another mailquorumd. What to do: stop "
                         "that one, or give this one a "
                         "data_directory of its own",
                         d->path);
    }
    return OK;
}

/* A hash, because the machine id itself is nobody else's business. */
static void read_machine(char out[33])
{
    char text[64] = "none";
    int fd = open(MACHINE_ID_FILE, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    uint64_t a = 0xcbf29ce484222325ull;
    uint64_t b = 0x9ae16a3b2f90404full;
    for (const char *p = text; *p != '\0' && *p != '\n'; p++) {
        a = (a ^ (uint8_t)*p) * 0x100000001b3ull;
        b = (b ^ (uint8_t)*p) * 0xc6a4a7935bd1e995ull;
    }
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, a, b);
}

/* A number of an inode that was freed is soon given out again, so a copy that takes the original's
 * place may well get it. Its birth it can't get. */
static enum status read_lock_file(struct data_directory *d, struct error *e)
{
    struct statx st;
    if (statx(d->lock_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0) {
        return error_set(e, status_from_errno(errno), "cannot examine %s/lock: %s", d->path,
                         strerror(errno));
    }
    d->inode = st.stx_ino;
    if ((st.stx_mask & STATX_BTIME) != 0) {
        d->born_ns = (uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
    }
    return OK;
}

static void fill_identity(const struct data_directory *d, struct record_file *r)
{
    char text[UUID_TEXT_SIZE];
    record_file_init(r);
    record_file_put(r, "format", "%u", DATA_FORMAT);
    uuid_format(&d->cluster, text);
    record_file_put(r, "cluster", "%s", text);
    uuid_format(&d->founding, text);
    record_file_put(r, "founding", "%s", text);
    record_file_put(r, "node", "%u", d->node);
    record_file_put(r, "name", "%s", d->name);
    record_file_put(r, "machine", "%s", d->machine);
    record_file_put(r, "inode", "%" PRIu64, d->inode);
    if (d->born_ns != 0) {
        record_file_put(r, "inode_born_ns", "%" PRIu64, d->born_ns);
    }
    record_file_put(r, "founded", "%d", d->founded ? 1 : 0);
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        if (d->born[i]) {
            record_file_put(r, "born", "%u", i);
        }
    }
}

static void fill_peers(const struct data_directory *d, struct record_file *r)
{
    record_file_init(r);
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        if (d->acquainted[i]) {
            record_file_put(r, "founded", "%u", i);
        }
    }
}

static bool same_lock_file(const struct data_directory *d, const struct record_file *r)
{
    uint64_t inode, born_ns;
    if (!record_file_find_u64(r, "inode", 0, &inode) || inode != d->inode) {
        return false;
    }
    return d->born_ns == 0 || !record_file_find_u64(r, "inode_born_ns", 0, &born_ns) ||
           born_ns == d->born_ns;
}

static enum status compare_identity(struct data_directory *d, const struct record_file *r,
                                    const char **id, struct error *e)
{
    char text[80] = "";
    struct uuid u;
    uint64_t v = 0;
    if (!record_file_find_u64(r, "format", 0, &v) || v != DATA_FORMAT) {
        *id = "MQ-DATA-FORMAT";
        return error_set(e, STATUS_WRONG_FORMAT,
                         "%s holds format %" PRIu64
                         ", this program reads %u. What to do: run the version "
                         "that wrote it, or upgrade step by step",
                         d->path, v, DATA_FORMAT);
    }
    if (!record_file_find(r, "cluster", 0, text, sizeof(text)) || !uuid_parse(text, &u) ||
        !uuid_equal(&u, &d->cluster)) {
        *id = "MQ-DATA-CLUSTER";
        return error_set(
            e, STATUS_WRONG_CLUSTER,
            "%s belongs to cluster %s, the founding file names another. What to do: use the "
            "founding file of that cluster, or another data_directory",
            d->path, text);
    }
    if (!record_file_find_u64(r, "node", 0, &v) || v != d->node ||
        !record_file_find(r, "name", 0, text, sizeof(text)) || strcmp(text, d->name) != 0) {
        *id = "MQ-DATA-NODE";
        return error_set(e, STATUS_WRONG_NODE,
                         "%s belongs to node %s (%" PRIu64
                         "), this is %s (%u). What to do: give each node "
                         "its own data_directory",
                         d->path, text, v, d->name, d->node);
    }
    if (!record_file_find(r, "founding", 0, text, sizeof(text)) || !uuid_parse(text, &u) ||
        !uuid_equal(&u, &d->founding)) {
        *id = "MQ-DATA-FOUNDING";
        return error_set(
            e, STATUS_WRONG_CLUSTER,
            "%s comes from founding %s, the founding file is another one. What to do: use the "
            "founding file that this cluster was made with",
            d->path, text);
    }
    bool machine =
        record_file_find(r, "machine", 0, text, sizeof(text)) && strcmp(text, d->machine) == 0;
    if (!machine || !same_lock_file(d, r)) {
        *id = "MQ-DATA-COPY";
        return error_set(
            e, STATUS_WRONG_NODE,
            "%s is a copy: its identity was written %s. A copied or restored state may have "
            "forgotten votes and acknowledged writes. What to do: start from the original "
            "directory, or from an empty "
            "one and member replace",
            d->path, machine ? "in another directory" : "on another machine");
    }
    return OK;
}

static void read_state(struct data_directory *d, const struct record_file *r)
{
    uint64_t v;
    d->founded = record_file_find_u64(r, "founded", 0, &v) && v == 1;
    for (unsigned i = 0; record_file_find_u64(r, "born", i, &v); i++) {
        if (v < SHARDS_MAX) {
            d->born[v] = true;
        }
    }
}

static enum status load_identity(struct data_directory *d, const char **id, struct error *e)
{
    char path[544];
    struct record_file *r = malloc(sizeof(*r));
    if (r == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    snprintf(path, sizeof(path), "%s/identity", d->path);
    enum status s = record_file_read(d->disk, path, r, e);
    if (s == OK) {
        s = compare_identity(d, r, id, e);
        if (s == OK) {
            read_state(d, r);
        }
    } else if (s == STATUS_NOT_FOUND) {
        d->fresh = true;
        fill_identity(d, r);
        /* It names the lock file's inode: that one is durable first, or a power cut in between would look like a copy. */
        s = disk_sync_dir(d->disk, d->path, "data_directory.lock");
        s = s != OK
                ? s
                : record_file_write(d->disk, d->path, "identity", r, "data_directory.identity",
                                    NULL); /* the incarnation's, a moment later, counts for both */
        if (s != OK) {
            error_set(e, s, "cannot write %s: %s", path, status_text(s));
        }
    } else {
        *id = "MQ-DATA-DAMAGED";
    }
    free(r);
    return s;
}

static enum status load_peers(struct data_directory *d, const char **id, struct error *e)
{
    char path[544];
    uint64_t v;
    struct record_file *r = malloc(sizeof(*r));
    if (r == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    snprintf(path, sizeof(path), "%s/peers", d->path);
    enum status s = record_file_read(d->disk, path, r, e);
    for (unsigned i = 0; s == OK && record_file_find_u64(r, "founded", i, &v); i++) {
        if (v >= 1 && v <= NODES_MAX) {
            d->acquainted[v] = true;
        }
    }
    free(r);
    if (s != OK && s != STATUS_NOT_FOUND) {
        *id = "MQ-DATA-DAMAGED";
        return s;
    }
    return OK;
}

static enum status raise_incarnation(struct data_directory *d, struct random *random,
                                     const char **id, struct error *e)
{
    char path[544];
    struct record_file *r = malloc(sizeof(*r));
    if (r == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    snprintf(path, sizeof(path), "%s/incarnation", d->path);
    enum status s = record_file_read(d->disk, path, r, e);
    if (s == OK) {
        (void)record_file_find_u64(r, "counter", 0, &d->incarnation);
        (void)record_file_find_u64(r, "nonce", 0, &d->previous_nonce);
    } else if (s != STATUS_NOT_FOUND || d->founded) {
        /* A founded node has one: without it a peer could not tell this life from an older one. */
        free(r);
        *id = "MQ-DATA-DAMAGED";
        return s == STATUS_NOT_FOUND
                   ? error_set(e, STATUS_CORRUPT,
                               "%s is missing. What to do: put it back, or member replace with "
                               "an empty data directory",
                               path)
                   : s;
    }
    d->incarnation++;
    d->nonce = random_u64(random);
    record_file_init(r);
    record_file_put(r, "counter", "%" PRIu64, d->incarnation);
    record_file_put(r, "nonce", "%" PRIu64, d->nonce);
    record_file_put(r, "previous_nonce", "%" PRIu64, d->previous_nonce);
    s = record_file_write(d->disk, d->path, "incarnation", r, "data_directory.incarnation",
                          "data_directory.incarnation_dir");
    free(r);
    return s == OK ? OK : error_set(e, s, "cannot write %s: %s", path, status_text(s));
}

enum status data_directory_open(struct data_directory *d, const struct data_directory_options *o,
                                const char **out_message_id, struct error *e)
{
    memset(d, 0, sizeof(*d));
    d->lock_fd = -1;
    snprintf(d->path, sizeof(d->path), "%s", o->path);
    snprintf(d->name, sizeof(d->name), "%s", o->name);
    d->disk = o->disk;
    d->cluster = o->cluster;
    d->founding = o->founding;
    d->node = o->node;
    *out_message_id = "MQ-DATA-IO";
    enum status s = make_directories(d, e);
    if (s == OK) {
        s = take_lock(d, out_message_id, e);
    }
    if (s == OK) {
        s = read_lock_file(d, e);
    }
    read_machine(d->machine);
    if (s == OK) {
        s = load_identity(d, out_message_id, e);
    }
    if (s == OK) {
        s = load_peers(d, out_message_id, e);
    }
    if (s == OK) {
        s = raise_incarnation(d, o->random, out_message_id, e);
    }
    d->save = s == OK ? calloc(1, sizeof(*d->save)) : NULL;
    if (s == OK && d->save == NULL) {
        s = error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    if (s != OK) {
        data_directory_close(d);
    }
    return s;
}

/* ---- changes while running ---- */

static void save_work(struct job *j)
{
    struct data_save *s = container_of(j, struct data_save, job);
    struct data_directory *d = s->owner; /* path and disk only: they never change */
    s->status = record_file_write(d->disk, d->path, "peers", &s->peers, "data_directory.peers",
                                  NULL); /* identity's, next to it, counts for both */
    if (s->status == OK) {
        s->status = record_file_write(d->disk, d->path, "identity", &s->identity,
                                      "data_directory.identity", "data_directory.identity_dir");
    }
}

static void save_start(struct data_directory *d, struct executor *e);

static void save_done(struct job *j)
{
    struct data_save *s = container_of(j, struct data_save, job);
    struct data_directory *d = s->owner;
    s->running = false;
    if (s->status == OK && s->again) {
        save_start(d, s->executor);
        return;
    }
    if (s->status != OK) {
        log_error("event=data.save_failed status=%s", status_name(s->status));
    }
    d->saved(d->saved_arg, s->status);
}

static void save_start(struct data_directory *d, struct executor *e)
{
    struct data_save *s = d->save;
    s->owner = d;
    s->running = true;
    s->again = false;
    s->job.work = save_work;
    s->job.done = save_done;
    fill_identity(d, &s->identity);
    fill_peers(d, &s->peers);
    s->executor = e;
    executor_submit(e, LANE_SYNC, &s->job);
}

void data_directory_save(struct data_directory *d, struct executor *e)
{
    if (d->save->running) {
        d->save->again = true;
        return;
    }
    save_start(d, e);
}

void data_directory_close(struct data_directory *d)
{
    if (d->lock_fd >= 0) {
        close(d->lock_fd);
        d->lock_fd = -1;
    }
    free(d->save);
    d->save = NULL;
}
