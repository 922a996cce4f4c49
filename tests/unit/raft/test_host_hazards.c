/* Hazards of checkpoints, copies and restarts of one shard, with the toy state machine of host_world.h. What each holds off is said at the
 * rule in raft/shard*.c; docs/proof.d/cluster/hazards.sh takes the rules out one by one. */
#include "proto/peer.pb-c.h"
#include "tests/unit/raft/host_world.h"

static struct shard *shard_of(uint32_t node)
{
    return host_find_shard(nodes[node].host, SHARD);
}

/* The snapshot of the log is the durable checkpoint, at every moment and after a start; the log is cut behind it only. */
static void K1_a_snapshot_is_the_durable_checkpoint(void)
{
    begin();
    for (int round = 0; round < 5; round++) {
        write_some(400);
        run(400);
        for (uint32_t i = 1; i <= NODES; i++) {
            const struct log_state *st = log_state_find(host_log(nodes[i].host), SHARD);
            CHECK(st->snapshot_index > 0 && st->snapshot_index <= nodes[i].toy.durable.index);
            CHECK(log_first_index(host_log(nodes[i].host), SHARD) <= st->snapshot_index + 1);
        }
        uint32_t again = (uint32_t)round % NODES + 1;
        stop(again);
        start(again);
        run(50);
        CHECK_EQ(shard_of(again)->state, SHARD_RUNNING);
    }
    CHECK(log_first_index(host_log(nodes[1].host), SHARD) > 1);
    check_equal();
    end();
}

/* Nothing is cut for a checkpoint that never became durable. */
static void K1_a_checkpoint_that_is_not_durable_is_no_snapshot(void)
{
    begin();
    uint32_t victim = wait_leader() % NODES + 1;
    run(400);
    uint64_t durable = nodes[victim].toy.durable.index;
    nodes[victim].toy.finish_status = STATUS_NO_SPACE;
    write_some(100);
    run(1500);
    CHECK_EQ(nodes[victim].toy.durable.index, durable);
    CHECK_EQ(log_state_find(host_log(nodes[victim].host), SHARD)->snapshot_index, durable);
    CHECK(log_first_index(host_log(nodes[victim].host), SHARD) <= durable + 1);
    CHECK_EQ(shard_of(victim)->state, SHARD_RUNNING);
    nodes[victim].toy.finish_status = OK;
    stop(victim);
    start(victim);
    run(1500);
    CHECK(log_state_find(host_log(nodes[victim].host), SHARD)->snapshot_index >= 100);
    check_equal();
    end();
}

static void K2_a_copy_goes_on_where_its_connection_broke(void)
{
    begin();
    uint32_t behind = wait_leader() % NODES + 1;
    stop(behind);
    write_some(800);
    run(1000);
    write_some(800);
    run(1000);
    for (uint32_t i = 1; i <= NODES; i++) {
        memset(nodes[i].toy.reads, 0, sizeof(nodes[i].toy.reads));
    }
    cut_copies_after = 1; /* the second of two pieces */
    start(behind);
    run(4000);
    CHECK(cut_copies_after < 0); /* it was reached */
    uint64_t first = 0, second = 0;
    for (uint32_t i = 1; i <= NODES; i++) {
        first += nodes[i].toy.reads[0];
        second += nodes[i].toy.reads[1];
    }
    CHECK_EQ(first, 1); /* never sent again */
    CHECK_EQ(second, 2);
    write_some(5);
    check_equal();
    cut_copies_after = -1;
    end();
}

static enum status ask_for_a_copy(uint32_t node, struct copy_source **out_c)
{
    struct shard *s = shard_of(node);
    Mq__CopyRequest m = MQ__COPY_REQUEST__INIT;
    m.shard = SHARD;
    m.epoch_number = s->o.epoch.number;
    m.epoch_id = s->o.epoch.id;
    m.cluster_id = (ProtobufCBinaryData){16, s->host->o.cluster.bytes};
    uint8_t header[256];
    struct bytes packed = {header, mq__copy_request__pack(&m, header)};
    struct block *request;
    CHECK_EQ(frame_block_new(FRAME_COPY_REQUEST, packed, (struct bytes){NULL, 0}, &request), OK);
    struct frame f = frame_of(request);
    enum status status = copy_source_new(s->host, 1, &f, out_c);
    block_unref(request);
    return status;
}

/* While the lane stands still, each attempt of a receiver that does not wait would leave its work there, without an end. */
static void K2_a_receiver_that_comes_back_quickly_leaves_little_behind(void)
{
    begin();
    write_some(20);
    run(1000);
    uint32_t source = wait_leader();
    nodes[source].frozen = true;
    struct copy_source *c = NULL;
    uint32_t taken = 0;
    enum status status = OK;
    for (int i = 0; i < 100; i++) {
        status = ask_for_a_copy(source, &c);
        if (status == OK) {
            taken++;
            copy_source_free(c);
        }
    }
    CHECK_EQ(status, STATUS_BUSY);
    CHECK_EQ(taken, 8);
    nodes[source].frozen = false;
    run(100);
    CHECK_EQ(shard_of(source)->host->copies_abandoned, 0);
    CHECK(list_empty(
        &shard_of(source)
             ->host->copy_sources)); /* no head was sent, so nobody can go on with these pins */
    CHECK_EQ(ask_for_a_copy(source, &c), OK);
    run(100);
    copy_source_free(c);
    CHECK(!list_empty(&shard_of(source)->host->copy_sources)); /* with this one they can */
    write_some(5);
    check_equal();
    end();
}

/* A repair keeps the log, so its copy must lie within the log as it is when the copy has come. */
static void K4_a_repair_outside_the_log_is_not_taken(void)
{
    begin();
    write_some(50);
    run(400);
    uint32_t victim = wait_leader() % NODES + 1;
    struct shard *s = shard_of(victim);
    struct uuid before = s->log_state.environment;
    struct uuid other = {{99}};
    struct sm_descriptor d = {
        .environment = other, .index = s->stored + 5, .term = s->log_state.term};
    shard_lose_environment(s, STATUS_IO);
    shard_install_cancel(s);
    shard_install_fetched(s, OK, &other, &d);
    CHECK_EQ(s->state, SHARD_LOST);
    CHECK(uuid_equal(&s->log_state.environment, &before));
    d.index = s->stored; /* in range, of another history */
    d.term = s->log_state.term + 7;
    shard_install_fetched(s, OK, &other, &d);
    CHECK_EQ(s->state, SHARD_LOST);
    CHECK(uuid_equal(&s->log_state.environment, &before));
    run(3000); /* and a fitting one repairs it */
    CHECK_EQ(s->state, SHARD_RUNNING);
    write_some(5);
    check_equal();
    end();
}

/* START takes all entries for durable: an acknowledgement of one that is not would be a lie after a power cut. */
static void an_engine_starts_again_only_when_its_whole_log_is_durable(void)
{
    begin();
    write_some(20);
    uint32_t victim = wait_leader() % NODES + 1;
    run(50);
    struct shard *s = shard_of(victim);
    nodes[victim].frozen = true; /* no job of it runs: its disk hangs */
    write_some(3);
    CHECK(s->stored < log_last_index(host_log(nodes[victim].host), SHARD));
    shard_set_state(s, SHARD_RESTARTING, "%s", "test");
    s->reopen = s->reopen_same = true;
    s->dirty = true;
    shard_turn(s);
    CHECK(s->reopen); /* it waits for the disk */
    CHECK_EQ(s->state, SHARD_RESTARTING);
    nodes[victim].frozen = false;
    run(50);
    CHECK_EQ(s->state, SHARD_RUNNING);
    write_some(5);
    check_equal();
    end();
}

static void a_full_disk_stops_nothing_for_good_and_does_not_spin(void)
{
    begin();
    write_some(20);
    uint32_t victim = wait_leader() % NODES + 1;
    struct toy *t = &nodes[victim].toy;
    run(400);
    t->begin_status = STATUS_NO_SPACE;
    t->begins = 0;
    write_some(50);
    run(5000);
    CHECK(t->begins >= 2 && t->begins <= 12);
    CHECK_EQ(shard_of(victim)->state, SHARD_RUNNING);
    t->begin_status = OK;
    t->apply_status = STATUS_NO_SPACE;
    write_some(50);
    struct shard_read r = {.deadline_ms = now_ms + 500, .done = on_read};
    answered = 0;
    shard_read_local(shard_of(victim), &r, 0);
    run(100);
    CHECK_EQ(answered, 1); /* local reads go on */
    CHECK_EQ(r.status, OK);
    t->apply_status = OK;
    run(1500);
    check_equal();
    end();
}

static void a_state_lost_during_an_install_does_not_end_the_install(void)
{
    begin();
    write_some(20);
    struct shard *s = shard_of(wait_leader() % NODES + 1);
    shard_set_state(s, SHARD_INSTALLING, "%s", "test");
    s->install_retry_ms = UINT64_MAX;
    shard_lose_environment(s, STATUS_IO);
    CHECK_EQ(s->state, SHARD_INSTALLING);
    CHECK(s->lost);
    end();
}

static void what_was_read_back_for_another_state_is_never_applied(void)
{
    begin();
    write_some(5);
    struct shard *s = shard_of(wait_leader() % NODES + 1);
    uint8_t digest_then[16] = {0};
    uint64_t applied = s->applier.applied;
    s->applier.entries[0] = (struct sm_entry){.index = applied + 900, .term = 1};
    s->applier.n = 1;
    shard_apply_reset(s, applied, digest_then);
    CHECK_EQ(s->applier.n, 0);
    end();
}

CHECK_MAIN
{
    RUN(K1_a_snapshot_is_the_durable_checkpoint);
    RUN(K1_a_checkpoint_that_is_not_durable_is_no_snapshot);
    RUN(K2_a_receiver_that_comes_back_quickly_leaves_little_behind);
    RUN(K2_a_copy_goes_on_where_its_connection_broke);
    RUN(K4_a_repair_outside_the_log_is_not_taken);
    RUN(an_engine_starts_again_only_when_its_whole_log_is_durable);
    RUN(a_full_disk_stops_nothing_for_good_and_does_not_spin);
    RUN(a_state_lost_during_an_install_does_not_end_the_install);
    RUN(what_was_read_back_for_another_state_is_never_applied);
}
