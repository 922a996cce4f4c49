/* mq-replay DIR [--to INDEX] [--keep]: applies the log of a stopped node to the checkpoints of its shards and prints, for each shard,
 * the index it reaches, the running digest, and the digest recomputed from every pair.
 *
 * Nothing in DIR is changed: log and shards are copied (sparse) into a temporary directory (under TMPDIR) first, opened there as a
 * start would, and removed afterwards. --to stops at an index, so that nodes which stopped at different places can be
 * compared (entries at the very end may not be committed). Exit: 0 all shards replayed and every pair right, 1 a shard is
 * damaged or differs, 2 usage or no access. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/executor.h"
#include "base/must.h"
#include "node/record_file.h"
#include "node/replica.h"
#include "proto/api.pb-c.h"
#include "raft/log.h"

#define PATH_BYTES    1024
#define COPY_BYTES    65536
#define BATCH_ENTRIES 32u

struct replay {
    char temporary[PATH_BYTES];
    struct uuid cluster;
    node_id node;
    uint64_t to;
    struct random random;
    struct executor_inline executor;
    struct log *log;
    int exit_code;
};

static int complain(const char *what, const char *path)
{
    fprintf(stderr, "mq-replay: %s: %s: %s\n", path, what, strerror(errno));
    return 2;
}

/* ---- copying ---- */

/* Blocks of zeros become holes. */
static bool copy_bytes(int from, int to)
{
    static uint8_t data[COPY_BYTES];
    static const uint8_t zeros[COPY_BYTES];
    off_t at = 0;
    for (;;) {
        ssize_t n = read(from, data, sizeof(data));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 && ftruncate(to, at) == 0;
        }
        if (memcmp(data, zeros, (size_t)n) != 0 && pwrite(to, data, (size_t)n, at) != n) {
            return false;
        }
        at += n;
    }
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0) {
        return complain("reading", from);
    }
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool done = out >= 0 && copy_bytes(in, out);
    int code = done ? 0 : complain("copying", from);
    if (out >= 0) {
        close(out);
    }
    close(in);
    return code;
}

static int walk(const char *from, const char *to, unsigned depth,
                int (*file)(const char *from, const char *to));

static int walk_one(const char *from, const char *to, const char *name, unsigned depth,
                    int (*file)(const char *from, const char *to))
{
    char source[PATH_BYTES];
    char target[PATH_BYTES];
    struct stat st;
    int n = snprintf(source, sizeof(source), "%s/%s", from, name);
    int m = snprintf(target, sizeof(target), "%s/%s", to, name);
    if (n < 0 || m < 0 || (size_t)n >= sizeof(source) || (size_t)m >= sizeof(target)) {
        errno = ENAMETOOLONG;
        return complain("copying", from);
    }
    if (lstat(source, &st) != 0) {
        return complain("reading", source);
    }
    if (S_ISDIR(st.st_mode)) {
        return depth == 0 ? 0 : walk(source, target, depth - 1, file);
    }
    return S_ISREG(st.st_mode) ? file(source, target) : 0;
}

/* Every regular file below `from`, into the same place below `to`. */
static int walk(const char *from, const char *to, unsigned depth,
                int (*file)(const char *from, const char *to))
{
    DIR *d = opendir(from);
    if (d == NULL) {
        return complain("reading", from);
    }
    int code = mkdir(to, 0700) == 0 || errno == EEXIST ? 0 : complain("making", to);
    for (struct dirent *entry = readdir(d); entry != NULL && code == 0; entry = readdir(d)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            code = walk_one(from, to, entry->d_name, depth, file);
        }
    }
    closedir(d);
    return code;
}

static void remove_tree(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    char below[PATH_BYTES];
    for (struct dirent *entry = d == NULL ? NULL : readdir(d); entry != NULL; entry = readdir(d)) {
        int n = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || n < 0 ||
            (size_t)n >= sizeof(below)) {
            continue;
        }
        if (unlink(below) != 0 && depth > 0) {
            remove_tree(below, depth - 1);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    rmdir(path);
}

/* ---- one shard ---- */

static enum status fetch(struct replay *r, shard_id shard, uint64_t first, uint32_t n,
                         struct sm_entry *out)
{
    static struct log_fetch f;
    f = (struct log_fetch){.shard = shard, .first = first, .n = n};
    log_fetch_submit(r->log, &f);
    executor_inline_drain(&r->executor);
    for (uint32_t i = 0; i < n && f.status == OK; i++) {
        const struct log_entry *e = log_entry_find(r->log, shard, first + i);
        must(e != NULL);
        out[i] = (struct sm_entry){first + i, e->term, f.payloads[i]};
        if (e->type != ENTRY_COMMAND || e->size == 0) {
            block_unref(f.payloads[i]);
            out[i].payload = NULL;
        }
    }
    return f.status;
}

static enum status apply_all(struct replay *r, shard_id shard, struct state_machine *m,
                             uint64_t index, uint64_t *out_index)
{
    struct sm_entry entries[BATCH_ENTRIES];
    struct sm_position position;
    uint64_t last = log_last_index(r->log, shard);
    last = r->to != 0 && r->to < last ? r->to : last;
    enum status s = OK;
    while (s == OK && index < last) {
        if (index + 1 < log_first_index(r->log, shard)) {
            return STATUS_NOT_FOUND;
        }
        uint32_t n = last - index < BATCH_ENTRIES ? (uint32_t)(last - index) : BATCH_ENTRIES;
        s = fetch(r, shard, index + 1, n, entries);
        if (s == OK) {
            s = m->ops->apply(m->self, entries, n, NULL, &position);
            for (uint32_t i = 0; i < n; i++) {
                block_unref(entries[i].payload);
            }
            index += n;
        }
    }
    *out_index = index;
    return s == OK ? m->ops->commit(m->self, NULL) : s;
}

static void print_hex(ProtobufCBinaryData d)
{
    for (size_t i = 0; i < d.len; i++) {
        printf("%02x", d.data[i]);
    }
}

/* Prints the line of the shard; false when the pairs are not what the digest says. */
static bool print_digests(struct replica *replica, shard_id shard)
{
    struct buffer out;
    uint8_t bytes[32];
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryDigest d = MQ__QUERY_DIGEST__INIT;
    q.body_case = MQ__QUERY__BODY_DIGEST;
    q.digest = &d;
    d.recompute = true;
    buffer_init(&out, 0);
    enum status s = replica_query(replica, (struct bytes){bytes, mq__query__pack(&q, bytes)}, &out);
    Mq__QueryResult *result = s == OK ? mq__query_result__unpack(NULL, out.size, out.data) : NULL;
    bool same = false;
    if (result != NULL) {
        same = result->digest.len == 16 && result->digest2.len == 16 &&
               memcmp(result->digest.data, result->digest2.data, 16) == 0;
        printf("shard=%u index=%llu term=%llu digest=", shard, (unsigned long long)result->index,
               (unsigned long long)result->term);
        print_hex(result->digest);
        printf(" recomputed=");
        print_hex(result->digest2);
        printf(" rows=%llu %s\n", (unsigned long long)result->rows, same ? "ok" : "DIFFERS");
        mq__query_result__free_unpacked(result, NULL);
    } else {
        printf("shard=%u error=%s\n", shard, status_name(s));
    }
    buffer_deinit(&out);
    return same;
}

static void replay_shard(void *arg, const struct log_state *state)
{
    struct replay *r = arg;
    struct replica *replica;
    struct sm_descriptor d;
    struct error e = {0};
    uint64_t index = 0;
    shard_id shard = state->shard;
    if (state->removed || uuid_zero(&state->environment)) {
        return; /* a witness keeps no state */
    }
    struct replica_options o = {
        .data = r->temporary, .shard = shard, .disk = &disk_posix, .random = &r->random};
    if (replica_new(&o, &replica) != OK) {
        r->exit_code = 2;
        return;
    }
    struct state_machine *m = replica_machine(replica);
    enum status s = m->ops->open(m->self, &state->environment, &d, &e);
    if (s == OK) {
        block_unref(d.configuration);
        s = apply_all(r, shard, m, d.index, &index);
    }
    if (s != OK) {
        printf("shard=%u index=%llu error=%s text=\"%s\"\n", shard, (unsigned long long)index,
               status_name(s), e.text);
    }
    if (s != OK || !print_digests(replica, shard)) {
        r->exit_code = 1;
    }
    m->ops->close(m->self);
    replica_free(replica);
}

/* ---- the node ---- */

static void on_durable(void *arg, uint64_t sequence)
{
    (void)arg;
    (void)sequence;
}

static void on_failed(void *arg, enum status s, const char *what)
{
    struct replay *r = arg;
    fprintf(stderr, "mq-replay: the log's copy: %s: %s\n", what, status_text(s));
    r->exit_code = 2;
}

static int open_log(struct replay *r)
{
    char path[PATH_BYTES + 8];
    struct error e = {0};
    snprintf(path, sizeof(path), "%s/log", r->temporary);
    struct log_options o = {.directory = path,
                            .cluster = r->cluster,
                            .node = r->node,
                            .disk = &disk_posix,
                            .executor = &r->executor.executor,
                            .random = &r->random,
                            .on_durable = on_durable,
                            .on_failed = on_failed,
                            .arg = r};
    if (log_open(&o, &r->log, &e) != OK) {
        fprintf(stderr, "mq-replay: %s\n", e.text);
        return 1;
    }
    executor_inline_drain(&r->executor);
    return 0;
}

/* Whose directory it is, and that no process works on it. */
static int read_identity(struct replay *r, const char *directory)
{
    static struct record_file identity;
    char path[PATH_BYTES + 16];
    char text[64];
    uint64_t node;
    struct error e = {0};
    snprintf(path, sizeof(path), "%s/lock", directory);
    int lock = open(path, O_RDONLY | O_CLOEXEC);
    if (lock < 0) {
        return complain("opening", path);
    }
    if (flock(lock, LOCK_SH | LOCK_NB) != 0) {
        fprintf(stderr, "mq-replay: %s: a node is running on it: stop it first\n", directory);
        close(lock);
        return 2;
    }
    snprintf(path, sizeof(path), "%s/identity", directory);
    if (record_file_read(&disk_posix, path, &identity, &e) != OK) {
        fprintf(stderr, "mq-replay: %s\n", e.text);
        return 2;
    }
    if (!record_file_find(&identity, "cluster", 0, text, sizeof(text)) ||
        !uuid_parse(text, &r->cluster) || !record_file_find_u64(&identity, "node", 0, &node)) {
        fprintf(stderr, "mq-replay: %s: names no cluster and node\n", path);
        return 2;
    }
    r->node = (node_id)node;
    return 0; /* the lock is kept until the process ends */
}

static int copy_node(struct replay *r, const char *directory)
{
    static const char *const parts[] = {"log", "shards"};
    for (unsigned i = 0; i < 2; i++) {
        char from[PATH_BYTES];
        char to[PATH_BYTES + 16];
        int n = snprintf(from, sizeof(from), "%s/%s", directory, parts[i]);
        if (n < 0 || (size_t)n >= sizeof(from)) {
            errno = ENAMETOOLONG;
            return complain("reading", directory);
        }
        snprintf(to, sizeof(to), "%s/%s", r->temporary, parts[i]);
        int code = walk(from, to, 3, copy_file);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: mq-replay DIR [--to INDEX] [--keep]\n"
            "  DIR         data directory of a stopped node\n"
            "  --to INDEX  stop at this index in every shard\n"
            "  --keep      leave the temporary copy and print where it is\n");
    return 2;
}

int main(int argc, char **argv)
{
    static struct replay r;
    const char *directory = NULL;
    bool keep = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--to") == 0 && i + 1 < argc) {
            r.to = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--keep") == 0) {
            keep = true;
        } else if (argv[i][0] != '-' && directory == NULL) {
            directory = argv[i];
        } else {
            return usage();
        }
    }
    if (directory == NULL) {
        return usage();
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(r.temporary, sizeof(r.temporary), "%s/mq-replay-XXXXXX", tmp != NULL ? tmp : "/tmp");
    random_init_system(&r.random);
    executor_inline_init(&r.executor);
    r.exit_code = read_identity(&r, directory);
    if (r.exit_code == 0 && mkdtemp(r.temporary) == NULL) {
        return complain("making a temporary directory", r.temporary);
    }
    r.exit_code = r.exit_code == 0 ? copy_node(&r, directory) : r.exit_code;
    r.exit_code = r.exit_code == 0 ? open_log(&r) : r.exit_code;
    if (r.log != NULL) {
        log_each_shard(r.log, replay_shard, &r);
        executor_inline_drain(&r.executor);
        log_close(r.log);
    }
    if (keep) {
        printf("copy=%s\n", r.temporary);
    } else if (strstr(r.temporary, "XXXXXX") == NULL) {
        remove_tree(r.temporary, 4);
    }
    return r.exit_code;
}
