/* One log on a crash disk, its jobs run inline: what the tests of the log share. */
#ifndef MQ_TESTS_UNIT_RAFT_LOG_RIG_H
#define MQ_TESTS_UNIT_RAFT_LOG_RIG_H

#include "base/executor.h"
#include "base/log_line.h"
#include "raft/log.h"
#include "raft/log_internal.h"
#include "tests/lib/check.h"
#include "tests/lib/crash_disk.h"

#define RIG_DIR     "/node/log"
#define RIG_SEGMENT (16u * LOG_BLOCK_BYTES)

struct rig {
    struct crash_disk *disk;
    struct executor_inline executor;
    struct random random;
    struct log *log;
    uint32_t segment_bytes;
    uint64_t cache_bytes;
    uint64_t retain_bytes;
    uint64_t durable;
    int failed;
    enum status failed_status;
};

__attribute__((unused)) static void rig_on_durable(void *arg, uint64_t sequence)
{
    struct rig *r = arg;
    CHECK(sequence > r->durable);
    CHECK_EQ(r->failed, 0);
    r->durable = sequence;
}

__attribute__((unused)) static void rig_on_failed(void *arg, enum status s, const char *what)
{
    struct rig *r = arg;
    CHECK(what != NULL);
    r->failed++;
    r->failed_status = s;
}

__attribute__((unused)) static void rig_no_lines(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    if (getenv("MQ_RIG_LINES") != NULL) {
        fprintf(stderr, "%s\n", line);
    }
}

__attribute__((unused)) static void rig_init(struct rig *r, uint64_t seed)
{
    memset(r, 0, sizeof(*r));
    log_line_set_sink(rig_no_lines, NULL);
    r->disk = crash_disk_new(seed);
    random_init_seed(&r->random, seed);
    executor_inline_init(&r->executor);
    r->segment_bytes = RIG_SEGMENT;
    struct disk *d = crash_disk_disk(r->disk);
    CHECK_OK(disk_make_dir(d, "/node"));
    CHECK_OK(disk_sync_dir(d, "/", "rig"));
}

__attribute__((unused)) static enum status rig_try_open(struct rig *r, struct error *e)
{
    struct log_options o = {
        .directory = RIG_DIR,
        .cluster = {{1, 2, 3}},
        .node = 7,
        .disk = crash_disk_disk(r->disk),
        .executor = &r->executor.executor,
        .random = &r->random,
        .segment_bytes = r->segment_bytes,
        .cache_bytes = r->cache_bytes,
        .retain_bytes = r->retain_bytes,
        .reserve_bytes = 1,
        .on_durable = rig_on_durable,
        .on_failed = rig_on_failed,
        .arg = r,
    };
    r->durable = 0;
    r->failed = 0;
    return log_open(&o, &r->log, e);
}

__attribute__((unused)) static void rig_open(struct rig *r)
{
    struct error e = {0};
    if (rig_try_open(r, &e) != OK) {
        CHECK_FAIL("log_open: %s (%s)", e.text, status_name(e.status));
    }
}

__attribute__((unused)) static void rig_flush(struct rig *r)
{
    log_kick(r->log);
    executor_inline_drain(&r->executor);
}

__attribute__((unused)) static void rig_close(struct rig *r)
{
    executor_inline_drain(&r->executor);
    log_close(r->log);
    r->log = NULL;
}

__attribute__((unused)) static void rig_deinit(struct rig *r)
{
    if (r->log != NULL) {
        rig_close(r);
    }
    crash_disk_free(r->disk);
    log_line_set_sink(NULL, NULL);
}

/* Close without a word, lose the power, open again. */
__attribute__((unused)) static void rig_power_cut(struct rig *r, uint64_t seed)
{
    rig_close(r);
    crash_disk_crash(r->disk, seed);
    rig_open(r);
}

__attribute__((unused)) static struct log_state rig_state(shard_id shard, uint64_t term,
                                                          uint64_t vote)
{
    return (struct log_state){.shard = shard,
                              .epoch = {1, 100 + shard, 0},
                              .replica = 1000 + shard,
                              .term = term,
                              .vote = vote};
}

__attribute__((unused)) static uint64_t rig_put(struct rig *r, shard_id shard, uint64_t term,
                                                uint64_t vote)
{
    const struct log_state *old = log_state_find(r->log, shard);
    struct log_state s = old == NULL ? rig_state(shard, term, vote) : *old;
    s.term = term;
    s.vote = vote;
    return log_put_state(r->log, &s);
}

/* Moves the snapshot to index and cuts there. */
__attribute__((unused)) static void rig_checkpoint(struct rig *r, shard_id shard, uint64_t index)
{
    struct log_state s = *log_state_find(r->log, shard);
    s.snapshot_index = index;
    log_put_state(r->log, &s);
    rig_flush(r);
    log_cut(r->log, shard, index);
}

/* The payload of an entry is a function of its place, so that it can be told after any crash. */
__attribute__((unused)) static void rig_fill(uint8_t *p, uint32_t size, shard_id shard,
                                             uint64_t index, uint64_t term)
{
    for (uint32_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(shard * 31 + index * 7 + term * 131 + i * 17 + (i >> 8));
    }
}

__attribute__((unused)) static uint64_t rig_append(struct rig *r, shard_id shard, uint64_t first,
                                                   uint32_t n, uint64_t term, uint32_t size)
{
    struct log_new_entry entries[64] = {0};
    CHECK(n <= 64);
    for (uint32_t i = 0; i < n; i++) {
        entries[i] = (struct log_new_entry){term, ENTRY_COMMAND, NULL};
        if (size > 0) {
            entries[i].payload = block_new(size);
            rig_fill(entries[i].payload->data, size, shard, first + i, term);
        }
    }
    uint64_t sequence = log_append(r->log, shard, first, entries, n);
    for (uint32_t i = 0; i < n; i++) {
        block_unref(entries[i].payload);
    }
    return sequence;
}

struct rig_fetch {
    struct log_fetch fetch;
    bool done;
};

__attribute__((unused)) static void rig_fetched(struct log_fetch *f)
{
    container_of(f, struct rig_fetch, fetch)->done = true;
}

/* Reads the entry back, wherever it is, and compares. */
__attribute__((unused)) static enum status rig_read(struct rig *r, shard_id shard, uint64_t index)
{
    struct rig_fetch f = {.fetch = {.shard = shard, .first = index, .n = 1, .done = rig_fetched}};
    log_fetch_submit(r->log, &f.fetch);
    executor_inline_drain(&r->executor);
    CHECK(f.done);
    if (f.fetch.status != OK) {
        return f.fetch.status;
    }
    const struct log_entry *e = log_entry_find(r->log, shard, index);
    CHECK(e != NULL);
    struct block *b = f.fetch.payloads[0];
    if (e->size > 0) {
        uint8_t *want = malloc(e->size);
        CHECK(b != NULL);
        CHECK_EQ(b->size, e->size);
        rig_fill(want, e->size, shard, index, e->term);
        CHECK_MEM_EQ(b->data, want, e->size);
        free(want);
    }
    block_unref(b);
    return OK;
}

__attribute__((unused)) static void rig_check_entries(struct rig *r, shard_id shard, uint64_t first,
                                                      uint64_t last)
{
    CHECK_EQ(log_first_index(r->log, shard), first);
    CHECK_EQ(log_last_index(r->log, shard), last);
    for (uint64_t i = first; i <= last; i++) {
        CHECK_OK(rig_read(r, shard, i));
    }
}

#endif
