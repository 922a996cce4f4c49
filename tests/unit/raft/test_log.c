/* The log keeps its ordinary promises: what was durable is there, in order, with its bytes; room,
 * cuts, cache, failure. */
#include "tests/unit/raft/log_rig.h"

static void an_empty_log_opens_and_opens_again(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    CHECK(log_state_find(r.log, 3) == NULL);
    CHECK(log_idle(r.log));
    rig_power_cut(&r, 2);
    CHECK(!log_ever_damaged(r.log));
    rig_deinit(&r);
}

static void what_was_durable_is_there_after_a_power_cut(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 5, 9);
    uint64_t sequence = rig_append(&r, 3, 1, 5, 5, 100);
    CHECK(log_durable_sequence(r.log) < sequence);
    rig_flush(&r);
    CHECK_EQ(r.durable, sequence);
    CHECK_EQ(log_durable_sequence(r.log), sequence);
    rig_power_cut(&r, 2);
    CHECK_EQ(log_state_find(r.log, 3)->term, 5);
    CHECK_EQ(log_state_find(r.log, 3)->vote, 9);
    CHECK_EQ(log_state_find(r.log, 3)->replica, 1003);
    CHECK_EQ(log_shard_damage(r.log, 3), LOG_WHOLE);
    rig_check_entries(&r, 3, 1, 5);
    rig_deinit(&r);
}

static void an_append_cuts_what_lies_at_or_above_it(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_append(&r, 3, 1, 5, 1, 10);
    rig_flush(&r);
    rig_append(&r, 3, 3, 1, 2, 20);
    rig_flush(&r);
    rig_power_cut(&r, 2);
    rig_check_entries(&r, 3, 1, 3);
    CHECK_EQ(log_entry_find(r.log, 3, 2)->term, 1);
    CHECK_EQ(log_entry_find(r.log, 3, 3)->term, 2);
    log_append(r.log, 3, 2, NULL, 0);
    rig_flush(&r);
    rig_power_cut(&r, 3);
    rig_check_entries(&r, 3, 1, 1);
    rig_deinit(&r);
}

static void the_whole_small_state_survives(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    struct log_state s = rig_state(4, 8, 2);
    s.epoch.parent = 77;
    s.promise = (struct epoch){2, 3, 4};
    s.amnesia = true;
    s.removed = true;
    s.environment.bytes[5] = 6;
    s.snapshot_index = 100;
    s.snapshot_term = 7;
    s.configuration_index = 90;
    s.configuration = block_copy("members", 7);
    log_put_state(r.log, &s);
    CHECK_EQ(log_first_index(r.log, 4), 101);
    rig_flush(&r);
    block_unref(s.configuration);
    rig_power_cut(&r, 2);
    const struct log_state *t = log_state_find(r.log, 4);
    CHECK(t != NULL);
    CHECK_EQ(t->epoch.parent, 77);
    CHECK_EQ(t->promise.id, 3);
    CHECK(t->amnesia);
    CHECK(t->removed);
    CHECK_EQ(t->environment.bytes[5], 6);
    CHECK_EQ(t->snapshot_index, 100);
    CHECK_EQ(t->snapshot_term, 7);
    CHECK_EQ(t->configuration_index, 90);
    CHECK_EQ(t->configuration->size, 7);
    CHECK_EQ(log_first_index(r.log, 4), 101);
    CHECK_EQ(log_last_index(r.log, 4), 100);
    rig_deinit(&r);
}

static void an_install_replaces_state_and_entries_in_one_record(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_append(&r, 3, 1, 9, 1, 10);
    rig_flush(&r);
    struct log_state s = *log_state_find(r.log, 3);
    s.snapshot_index = 50;
    s.snapshot_term = 1;
    log_install(r.log, &s);
    rig_append(&r, 3, 51, 2, 1, 10);
    rig_flush(&r);
    rig_power_cut(&r, 2);
    CHECK_EQ(log_state_find(r.log, 3)->snapshot_index, 50);
    rig_check_entries(&r, 3, 51, 52);
    rig_deinit(&r);
}

static void segments_are_reused_when_no_shard_needs_them(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    uint64_t index = 1;
    for (int i = 0; i < 200; i++) {
        rig_append(&r, 3, index, 4, 1, 1000);
        rig_flush(&r);
        index += 4;
        if (log_wants_checkpoint(r.log, 3, 0)) {
            rig_checkpoint(&r, 3, index - 2);
        }
        CHECK(log_has_room(r.log, 5000));
    }
    CHECK(r.log->current->number > 10);
    CHECK(r.log->segments_n < 6);
    CHECK(log_retained_bytes(r.log) <= 4 * RIG_SEGMENT);
    uint64_t first = log_first_index(r.log, 3);
    rig_power_cut(&r, 2);
    CHECK(log_first_index(r.log, 3) <= first);
    CHECK(log_first_index(r.log, 3) <= log_state_find(r.log, 3)->snapshot_index + 1);
    CHECK_EQ(log_last_index(r.log, 3), index - 1);
    for (uint64_t i = first; i < index; i++) {
        CHECK_OK(rig_read(&r, 3, i));
    }
    rig_deinit(&r);
}

static void a_quiet_shard_with_few_entries_is_carried_by_the_heads(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_put(&r, 4, 6, 2);
    rig_append(&r, 4, 1, 3, 6, 50);
    rig_flush(&r);
    uint64_t index = 1;
    for (int i = 0; i < 100; i++) {
        rig_append(&r, 3, index, 4, 1, 1000);
        rig_flush(&r);
        index += 4;
        rig_checkpoint(&r, 3, index - 2);
        CHECK(!log_wants_checkpoint(r.log, 4, 0));
    }
    CHECK(r.log->segments_n < 6);
    rig_check_entries(&r, 4, 1, 3);
    rig_power_cut(&r, 2);
    CHECK_EQ(log_state_find(r.log, 4)->term, 6);
    rig_check_entries(&r, 4, 1, 3);
    CHECK_EQ(log_shard_damage(r.log, 4), LOG_WHOLE);
    rig_deinit(&r);
}

static void a_shard_that_holds_segments_back_is_asked_for_a_checkpoint(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_put(&r, 4, 1, 0);
    rig_append(&r, 4, 1, 40, 1, 50);
    rig_flush(&r);
    CHECK(!log_wants_checkpoint(r.log, 4, 0));
    uint64_t index = 1;
    for (int i = 0; i < 30; i++) {
        rig_append(&r, 3, index, 4, 1, 1000);
        rig_flush(&r);
        index += 4;
    }
    CHECK(log_wants_checkpoint(r.log, 4, 0));
    CHECK(!log_wants_checkpoint(r.log, 4, log_last_index(r.log, 4)));
    rig_checkpoint(&r, 4, 40);
    CHECK(!log_wants_checkpoint(r.log, 4, 0));
    rig_deinit(&r);
}

static void a_cut_waits_for_the_state_that_allows_it(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_append(&r, 3, 1, 9, 1, 10);
    rig_flush(&r);
    struct log_state s = *log_state_find(r.log, 3);
    s.snapshot_index = 5;
    log_put_state(r.log, &s);
    log_cut(r.log, 3, 5);
    CHECK_EQ(log_first_index(r.log, 3), 1);
    rig_flush(&r);
    CHECK_EQ(log_first_index(r.log, 3), 6);
    rig_deinit(&r);
}

static void old_entries_leave_the_cache_and_are_read_back(void)
{
    struct rig r;
    rig_init(&r, 1);
    r.cache_bytes = 10000;
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    for (uint64_t i = 0; i < 40; i++) {
        rig_append(&r, 3, 1 + i, 1, 1, 1000);
        rig_flush(&r);
    }
    CHECK(log_entry_find(r.log, 3, 1)->payload == NULL);
    CHECK(log_entry_find(r.log, 3, 40)->payload != NULL);
    CHECK(r.log->cached_bytes <= 10000);
    rig_check_entries(&r, 3, 1, 40);
    CHECK_EQ(rig_read(&r, 3, 41), STATUS_NOT_FOUND);
    CHECK_EQ(log_bytes_after(r.log, 3, 30), 10000);
    CHECK_EQ(log_bytes_after(r.log, 3, 0), 40000);
    rig_deinit(&r);
}

static void configuration_changes_stay_in_memory_also_over_a_restart(void)
{
    struct rig r;
    rig_init(&r, 1);
    r.cache_bytes = 2000;
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    struct log_new_entry e = {1, ENTRY_CHANGE, block_copy("conf", 4)};
    log_append(r.log, 3, 1, &e, 1);
    block_unref(e.payload);
    for (uint64_t i = 2; i < 10; i++) {
        rig_append(&r, 3, i, 1, 1, 1000);
        rig_flush(&r);
    }
    CHECK(log_entry_find(r.log, 3, 1)->payload != NULL);
    CHECK(log_entry_find(r.log, 3, 2)->payload == NULL);
    rig_power_cut(&r, 2);
    CHECK(log_entry_find(r.log, 3, 1)->payload != NULL);
    CHECK_EQ(log_entry_find(r.log, 3, 1)->payload->size, 4);
    rig_deinit(&r);
}

static void a_fetched_entry_that_is_replaced_meanwhile_is_not_found(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_append(&r, 3, 1, 5, 1, 10);
    rig_flush(&r);
    struct rig_fetch f = {.fetch = {.shard = 3, .first = 1, .n = 5, .done = rig_fetched}};
    log_fetch_submit(r.log, &f.fetch);
    CHECK(!f.done);
    rig_append(&r, 3, 4, 1, 2, 10);
    rig_flush(&r);
    CHECK(f.done);
    CHECK_EQ(f.fetch.status, STATUS_NOT_FOUND);
    rig_deinit(&r);
}

static void a_failed_write_or_sync_is_told_once_and_nothing_is_durable_after_it(void)
{
    for (uint64_t n = 1; n <= 3; n++) {
        struct rig r;
        rig_init(&r, 1);
        rig_open(&r);
        rig_put(&r, 3, 1, 0);
        rig_flush(&r);
        uint64_t durable = r.durable;
        crash_disk_fail_at(r.disk, n, n == 1 ? STATUS_NO_SPACE : STATUS_IO, false);
        rig_append(&r, 3, 1, 5, 1, 10);
        rig_flush(&r);
        rig_append(&r, 3, 6, 5, 1, 10);
        rig_flush(&r);
        rig_flush(&r);
        CHECK_EQ(r.failed, 1);
        CHECK_EQ(r.failed_status, n == 1 ? STATUS_NO_SPACE : STATUS_IO);
        CHECK_EQ(r.durable, durable);
        CHECK(log_idle(r.log));
        CHECK(!log_has_room(r.log, 10));
        rig_deinit(&r);
    }
}

static void entries_are_refused_before_they_exist_when_the_disk_is_full(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_flush(&r);
    CHECK(log_has_room(r.log, 1000));
    crash_disk_set_free_bytes(r.disk, 0);
    uint64_t index = 1;
    while (log_has_room(r.log, 1100)) {
        rig_append(&r, 3, index++, 1, 1, 1000);
        rig_flush(&r);
        CHECK(index < 1000);
    }
    rig_put(&r, 3, 2, 0); /* a term must always fit */
    rig_flush(&r);
    CHECK_EQ(r.failed, 0);
    crash_disk_set_free_bytes(r.disk, UINT64_MAX / 2);
    CHECK(!log_has_room(r.log, 1000));
    rig_flush(&r); /* asks the disk again */
    CHECK(log_has_room(r.log, 1000));
    rig_deinit(&r);
}

/* What was admitted before the disk filled, and terms and votes, may need one more file. */
static void a_batch_whose_file_finds_no_space_waits_and_goes_on_when_there_is_some(void)
{
    struct rig r;
    uint64_t index = 1;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_flush(&r);
    crash_disk_set_free_bytes(r.disk, 0); /* no file is kept ready */
    for (; !r.log->waits; index++) {
        CHECK(index < 1000);
        bool last = r.log->options.segment_bytes - r.log->current->used < 4 * LOG_BLOCK_BYTES &&
                    log_segment_count_free(r.log) == 0;
        crash_disk_fail_at(r.disk, last ? 1 : 0, STATUS_NO_SPACE, true);
        rig_append(&r, 3, index, 1, 1, last ? 12000 : 3000);
        rig_flush(&r);
    }
    uint64_t durable = r.durable;
    rig_put(&r, 3, 2, 0);
    r.log->wait_until_ms = 0;
    rig_flush(&r); /* still none */
    CHECK(r.log->waits);
    CHECK_EQ(r.failed, 0);
    CHECK_EQ(r.durable, durable);
    CHECK(!log_has_room(r.log, 10));
    CHECK(!log_idle(r.log));
    crash_disk_fail_at(r.disk, 0, OK, false);
    r.log->wait_until_ms = 0;
    rig_flush(&r);
    rig_flush(&r);
    CHECK(!r.log->waits);
    CHECK(log_idle(r.log));
    CHECK(r.durable > durable);
    rig_close(&r);
    crash_disk_crash(r.disk, 1);
    rig_open(&r);
    CHECK_EQ(log_last_index(r.log, 3), index - 1);
    CHECK_EQ(log_state_find(r.log, 3)->term, 2);
    CHECK(!log_ever_damaged(r.log));
    rig_deinit(&r);
}

static void retained_bytes_and_the_queue_are_bounded(void)
{
    struct rig r;
    rig_init(&r, 1);
    r.retain_bytes = 10 * RIG_SEGMENT;
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    uint64_t index = 1;
    while (log_has_room(r.log, 1000)) {
        rig_append(&r, 3, index++, 1, 1, 1000);
        rig_flush(&r);
        CHECK(index < 10000);
    }
    CHECK(log_retained_bytes(r.log) <= 10 * RIG_SEGMENT);
    CHECK(log_wants_checkpoint(r.log, 3, 0));
    rig_checkpoint(&r, 3, index - 1);
    CHECK(log_has_room(r.log, 1000));
    CHECK(!log_has_room(r.log, 100u * 1024 * 1024));
    rig_deinit(&r);
}

/* What a quiet shard holds back is its own doing, and nobody else's. */
static void held_bytes_are_those_that_only_older_entries_need(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_put(&r, 4, 1, 0);
    rig_append(&r, 3, 1, 40, 1, 10);
    rig_flush(&r);
    CHECK_EQ(log_held_bytes(r.log, 3, 0, 40), 0); /* nothing but the segment in use */
    uint32_t number = r.log->current->number;
    uint64_t index = 1;
    while (r.log->current->number < number + 3) {
        rig_append(&r, 4, index++, 1, 1, 1000);
        rig_flush(&r);
    }
    uint64_t all = log_retained_bytes(r.log) - r.log->current->used;
    CHECK(all > 2 * RIG_SEGMENT);
    CHECK_EQ(log_held_bytes(r.log, 3, 0, 40), all);
    CHECK_EQ(log_held_bytes(r.log, 3, 0, 39), 0); /* entry 40 holds back the same */
    CHECK_EQ(log_held_bytes(r.log, 3, 40, 40), 0);
    CHECK_EQ(log_held_bytes(r.log, 4, index - 2, index - 1), 0);
    rig_append(&r, 3, 41, 1, 1, 10);
    rig_flush(&r);
    CHECK_EQ(log_held_bytes(r.log, 3, 20, 40), all);
    rig_checkpoint(&r, 3, 40);
    rig_checkpoint(&r, 4, index - 1);
    CHECK_EQ(log_held_bytes(r.log, 3, 0, 41), 0);
    CHECK_EQ(log_retained_bytes(r.log), r.log->current->used);
    CHECK_EQ(log_held_bytes(r.log, 9, 0, 1), 0); /* no such shard */
    rig_deinit(&r);
}

static void a_log_of_another_cluster_node_or_size_is_refused_by_name(void)
{
    struct rig r;
    struct error e;
    rig_init(&r, 1);
    rig_open(&r);
    rig_close(&r);
    char path[] = RIG_DIR "/00000001.log";
    size_t size;
    uint8_t *copy = malloc(RIG_SEGMENT);
    memcpy(copy, crash_disk_data(r.disk, path, &size), RIG_SEGMENT);
    struct log_head h;
    CHECK_OK(log_head_decode(copy, RIG_SEGMENT, &h));
    static const struct {
        bool cluster;
        node_id node;
        uint32_t bytes;
        enum status want;
    } rows[] = {{true, 7, RIG_SEGMENT, STATUS_WRONG_CLUSTER},
                {false, 8, RIG_SEGMENT, STATUS_WRONG_NODE},
                {false, 7, RIG_SEGMENT * 2, STATUS_WRONG_FORMAT}};
    for (size_t i = 0; i < 3; i++) {
        struct log_head x = h;
        struct buffer b;
        x.cluster.bytes[0] ^= rows[i].cluster;
        x.node = rows[i].node;
        x.segment_bytes = rows[i].bytes;
        buffer_init(&b, 0);
        CHECK_OK(log_head_begin(&b, &x));
        CHECK_OK(log_head_finish(&b));
        memcpy(copy, b.data, b.size);
        buffer_deinit(&b);
        crash_disk_put(r.disk, path, copy, RIG_SEGMENT);
        CHECK_EQ(rig_try_open(&r, &e), rows[i].want);
        CHECK(strstr(e.text, path) != NULL);
    }
    crash_disk_put(r.disk, path, copy, 5000);
    CHECK_EQ(rig_try_open(&r, &e), STATUS_WRONG_FORMAT);
    free(copy);
    rig_deinit(&r);
}

static void many_shards_share_one_sync(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    for (shard_id i = 0; i < 30; i++) {
        rig_put(&r, i, 1, 0);
        rig_append(&r, i, 1, 1, 1, 10);
    }
    uint64_t before = crash_disk_site_count(r.disk, "log.batch");
    rig_flush(&r);
    CHECK_EQ(crash_disk_site_count(r.disk, "log.batch"), before + 1);
    rig_power_cut(&r, 2);
    for (shard_id i = 0; i < 30; i++) {
        rig_check_entries(&r, i, 1, 1);
    }
    rig_deinit(&r);
}

static void opening_fails_cleanly_at_every_step(void)
{
    for (uint64_t n = 1; n < 200; n++) {
        struct rig r;
        struct error e;
        rig_init(&r, 1);
        rig_open(&r);
        rig_put(&r, 3, 4, 0);
        rig_append(&r, 3, 1, 5, 1, 100);
        rig_flush(&r);
        rig_close(&r);
        crash_disk_fail_at(r.disk, n, STATUS_IO, true);
        enum status s = rig_try_open(&r, &e);
        if (s == OK) {
            rig_deinit(&r);
            CHECK(n > 3);
            return;
        }
        CHECK_EQ(s, STATUS_IO);
        crash_disk_fail_at(r.disk, 0, OK, false);
        rig_open(&r);
        rig_check_entries(&r, 3, 1, 5);
        CHECK(!log_ever_damaged(r.log));
        rig_deinit(&r);
    }
    CHECK_FAIL("never opened");
}

/* A script that fills, checkpoints and reuses segments, with the n-th call of the disk failing. */
static void run_failing(uint64_t n, enum status status, bool for_good, bool *out_reached)
{
    struct rig r;
    uint64_t index = 1, snapshot = 0;
    rig_init(&r, n);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_flush(&r);
    crash_disk_fail_at(r.disk, n, status, for_good);
    uint64_t before = crash_disk_steps(r.disk);
    while (index < 120 && r.failed == 0) {
        rig_append(&r, 3, index, 2, 1, 1500);
        rig_flush(&r);
        if (r.log->waits) { /* nothing was written; somebody made space */
            crash_disk_fail_at(r.disk, 0, OK, false);
            r.log->wait_until_ms = 0;
            rig_flush(&r);
        }
        index += r.failed == 0 ? 2 : 0;
        if (index % 20 == 1 && r.failed == 0) {
            rig_checkpoint(&r, 3, index - 5);
            snapshot = r.failed == 0 ? index - 5 : snapshot;
        }
    }
    *out_reached = crash_disk_steps(r.disk) - before >= n;
    CHECK(r.failed <= 1);
    rig_close(&r);
    crash_disk_fail_at(r.disk, 0, OK, false);
    crash_disk_crash(r.disk, n); /* the owner ended the process; then the power went */
    rig_open(&r);
    CHECK(!log_ever_damaged(r.log));
    CHECK(log_last_index(r.log, 3) >= index - 1);
    CHECK(log_state_find(r.log, 3)->snapshot_index >= snapshot);
    for (uint64_t i = log_first_index(r.log, 3); i < index; i++) {
        CHECK_OK(rig_read(&r, 3, i));
    }
    rig_deinit(&r);
}

static void any_failing_call_of_the_disk_loses_nothing_that_was_durable(void)
{
    for (int good = 0; good < 2; good++) {
        for (int full = 0; full < 2; full++) {
            bool reached = true;
            uint64_t n = 1;
            for (; reached; n++) {
                run_failing(n, full ? STATUS_NO_SPACE : STATUS_IO, good, &reached);
            }
            CHECK(n > 100);
        }
    }
}

CHECK_MAIN
{
    RUN(an_empty_log_opens_and_opens_again);
    RUN(what_was_durable_is_there_after_a_power_cut);
    RUN(an_append_cuts_what_lies_at_or_above_it);
    RUN(the_whole_small_state_survives);
    RUN(an_install_replaces_state_and_entries_in_one_record);
    RUN(segments_are_reused_when_no_shard_needs_them);
    RUN(a_quiet_shard_with_few_entries_is_carried_by_the_heads);
    RUN(a_shard_that_holds_segments_back_is_asked_for_a_checkpoint);
    RUN(a_cut_waits_for_the_state_that_allows_it);
    RUN(old_entries_leave_the_cache_and_are_read_back);
    RUN(configuration_changes_stay_in_memory_also_over_a_restart);
    RUN(a_fetched_entry_that_is_replaced_meanwhile_is_not_found);
    RUN(a_failed_write_or_sync_is_told_once_and_nothing_is_durable_after_it);
    RUN(entries_are_refused_before_they_exist_when_the_disk_is_full);
    RUN(a_batch_whose_file_finds_no_space_waits_and_goes_on_when_there_is_some);
    RUN(retained_bytes_and_the_queue_are_bounded);
    RUN(held_bytes_are_those_that_only_older_entries_need);
    RUN(a_log_of_another_cluster_node_or_size_is_refused_by_name);
    RUN(many_shards_share_one_sync);
    RUN(any_failing_call_of_the_disk_loses_nothing_that_was_durable);
    RUN(opening_fails_cleanly_at_every_step);
}
