/* W1 to W5 of the log's hazards. Each test shows that the promise holds, and that it is broken when
 * its rule is taken out. */
#include "tests/unit/raft/log_rig.h"

/* True when shard 3 holds entries up to `last`, all of `term`, and nothing was called damage. */
static bool is_whole(struct rig *r, shard_id shard, uint64_t last, uint64_t term)
{
    struct error e = {0};
    if (rig_try_open(r, &e) != OK) {
        return false;
    }
    if (log_ever_damaged(r->log) || log_state_find(r->log, shard) == NULL ||
        log_last_index(r->log, shard) != last) {
        return false;
    }
    return last == 0 || (log_entry_find(r->log, shard, last) != NULL &&
                         log_entry_find(r->log, shard, last)->term == term);
}

/* Small batches, one a block, until the log goes on in a segment that was used before; returns the
 * last index. */
static uint64_t fill_until_reuse(struct rig *r, shard_id shard, uint64_t term)
{
    uint64_t index = log_last_index(r->log, shard) + 1;
    uint32_t files = 0, number = 0;
    for (int i = 0; i < 1000; i++) {
        rig_append(r, shard, index++, 1, term, 40);
        rig_flush(r);
        bool moved = r->log->current->number != number;
        number = r->log->current->number;
        if (moved && number > 4 && r->log->segments_n == files) {
            return index - 1;
        }
        files = r->log->segments_n;
        if (i % 10 == 9) {
            rig_checkpoint(r, shard, index - 1);
        }
    }
    CHECK_FAIL("no segment was reused");
}

static bool an_older_life_in_a_reused_segment_stays_old(uint64_t seed)
{
    struct rig r;
    rig_init(&r, seed);
    rig_open(&r);
    rig_put(&r, 3, 2, 0);
    uint64_t last = fill_until_reuse(&r, 3, 2);
    rig_close(&r);
    crash_disk_crash(r.disk, seed);
    bool good = is_whole(&r, 3, last, 2);
    rig_deinit(&r);
    return good;
}

static bool the_torn_first_batch_of_a_reused_segment_is_no_damage(uint64_t seed)
{
    struct rig r;
    rig_init(&r, seed);
    rig_open(&r);
    rig_put(&r, 3, 2, 0);
    uint64_t last = fill_until_reuse(&r, 3, 2), index = last + 1;
    uint32_t number = r.log->current->number;
    /* The power goes just when the first batch of the next segment is written. */
    for (;;) {
        rig_append(&r, 3, index, 1, 2, 40);
        if (r.segment_bytes - r.log->current->used <=
            2 * LOG_BLOCK_BYTES - 1) { /* no room for a batch and a mark */
            break;
        }
        rig_flush(&r);
        index++;
        CHECK(r.log->current->number == number);
    }
    crash_disk_cut_at(r.disk, 3); /* head, its sync, the batch */
    rig_flush(&r);
    CHECK_EQ(r.failed, 1);
    rig_close(&r);
    crash_disk_crash(r.disk, seed);
    struct error e;
    CHECK_OK(rig_try_open(&r, &e));
    uint64_t end = log_last_index(r.log, 3); /* the batch may have come through whole */
    bool good = !log_ever_damaged(r.log) && (end == index - 1 || end == index);
    rig_deinit(&r);
    return good;
}

#define SEEDS 30u

/* All seeds are good with the rule; without it, some is not. */
static void check_rule(enum log_rule rule, bool (*scenario)(uint64_t seed))
{
    unsigned bad = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        CHECK(scenario(seed));
    }
    log_test_disable(rule);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bad += !scenario(seed);
    }
    log_test_disable(0);
    CHECK(bad > 0);
}

static void W1_what_an_older_life_left_in_a_reused_segment_is_never_new(void)
{
    check_rule(LOG_RULE_W1, an_older_life_in_a_reused_segment_stays_old);
}

static void W1_a_torn_first_batch_of_a_reused_segment_is_not_damage(void)
{
    check_rule(LOG_RULE_W1, the_torn_first_batch_of_a_reused_segment_is_no_damage);
}

/* What write-back does for an idle node. */
static void settle_file(struct rig *r, uint64_t id)
{
    char path[64];
    struct disk_file *f;
    struct disk *d = crash_disk_disk(r->disk);
    snprintf(path, sizeof(path), RIG_DIR "/%08" PRIu64 ".log", id);
    CHECK_OK(disk_open(d, path, DISK_READ | DISK_WRITE, &f));
    CHECK_OK(disk_sync(d, f, "rig"));
    disk_close(d, f);
}

static bool rot_in_the_last_batch_is_seen(uint64_t seed)
{
    struct rig r;
    rig_init(&r, seed);
    rig_open(&r);
    rig_put(&r, 3, 2, 0);
    rig_put(&r, 4, 2, 0);
    rig_flush(&r);
    rig_append(&r, 3, 1, 3, 2, 40);
    uint32_t at = r.log->current->used;
    rig_flush(&r);
    settle_file(&r, 1);
    rig_close(&r);
    crash_disk_crash(r.disk, seed);
    CHECK(crash_disk_flip(r.disk, RIG_DIR "/00000001.log", at + 200 + seed, 1));
    rig_open(&r);
    bool good = log_shard_damage(r.log, 3) == LOG_DAMAGED && log_state_find(r.log, 3)->amnesia &&
                log_shard_damage(r.log, 4) == LOG_WHOLE && log_ever_damaged(r.log);
    rig_deinit(&r);
    return good;
}

static void W2_rot_in_the_last_batch_of_an_idle_node_is_damage(void)
{
    check_rule(LOG_RULE_W2, rot_in_the_last_batch_is_seen);
}

static bool a_stable_leaders_vote_outlives_its_segment(uint64_t seed)
{
    struct rig r;
    rig_init(&r, seed);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_put(&r, 4, 6, 2);
    rig_flush(&r);
    fill_until_reuse(&r, 3, 1);
    fill_until_reuse(&r, 3, 1);
    rig_close(&r);
    crash_disk_crash(r.disk, seed);
    struct error e;
    bool good = rig_try_open(&r, &e) == OK;
    const struct log_state *s = good ? log_state_find(r.log, 4) : NULL;
    good = s != NULL && s->term == 6 && s->vote == 2 && !s->amnesia;
    rig_deinit(&r);
    return good;
}

static void W3_a_stable_leaders_term_and_vote_outlive_their_segment(void)
{
    check_rule(LOG_RULE_W3, a_stable_leaders_vote_outlives_its_segment);
}

static bool a_head_is_a_state_at_its_own_place(uint64_t seed)
{
    struct rig r;
    rig_init(&r, seed);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_put(&r, 4, 6, 2);
    rig_append(&r, 4, 1, 3, 6, 40);
    rig_flush(&r);
    fill_until_reuse(&r, 3, 1);
    rig_put(&r, 4, 7, 5);
    rig_append(&r, 4, 2, 1, 7, 40);
    rig_flush(&r);
    rig_close(&r);
    crash_disk_crash(r.disk, seed);
    bool good = is_whole(&r, 4, 2, 7);
    const struct log_state *s = r.log == NULL ? NULL : log_state_find(r.log, 4);
    good = good && s->term == 7 && s->vote == 5;
    rig_deinit(&r);
    return good;
}

static void W4_a_head_never_overwrites_a_newer_vote_nor_cuts_newer_entries(void)
{
    check_rule(LOG_RULE_W4, a_head_is_a_state_at_its_own_place);
}

static bool what_a_new_life_found_stays(uint64_t seed)
{
    struct rig r;
    rig_init(&r, seed);
    rig_open(&r);
    rig_put(&r, 3, 2, 0);
    rig_flush(&r);
    rig_append(&r, 3, 1, 3, 2, 40);
    crash_disk_cut_at(r.disk, 2); /* the batch is written; killed before its sync */
    rig_flush(&r);
    rig_close(&r);
    crash_disk_kill(r.disk);
    rig_open(&r);
    uint64_t last = log_last_index(r.log, 3);
    rig_append(&r, 3, last + 1, 2, 2, 40);
    rig_flush(&r); /* acknowledged on top of it */
    CHECK_EQ(r.failed, 0);
    rig_close(&r);
    crash_disk_crash(r.disk, seed);
    bool good = is_whole(&r, 3, last + 2, 2);
    rig_deinit(&r);
    return good;
}

static void W5_what_a_new_life_found_in_the_page_cache_is_made_durable_first(void)
{
    check_rule(LOG_RULE_W5, what_a_new_life_found_stays);
}

CHECK_MAIN
{
    RUN(W1_what_an_older_life_left_in_a_reused_segment_is_never_new);
    RUN(W1_a_torn_first_batch_of_a_reused_segment_is_not_damage);
    RUN(W2_rot_in_the_last_batch_of_an_idle_node_is_damage);
    RUN(W3_a_stable_leaders_term_and_vote_outlive_their_segment);
    RUN(W4_a_head_never_overwrites_a_newer_vote_nor_cuts_newer_entries);
    RUN(W5_what_a_new_life_found_in_the_page_cache_is_made_durable_first);
}
