/* Three hosts: a write is applied everywhere, a read sees it, a killed leader is replaced, everybody starts again from disk, a lagging
 * replica gets a copy. */
#include "tests/unit/raft/host_world.h"

static void a_write_is_applied_everywhere_and_a_read_sees_it(void)
{
    begin();
    write_some(20);
    check_equal();
    for (uint32_t i = 1; i <= NODES; i++) {
        struct shard_read r = {.deadline_ms = now_ms + 3000, .done = on_read};
        answered = 0;
        shard_read(host_find_shard(nodes[i].host, SHARD), &r);
        for (int k = 0; k < 3500 && answered == 0; k++) {
            step();
        }
        CHECK_EQ(answered, 1);
        CHECK_EQ(r.status, OK);
        CHECK(r.index >= 20);
    }
    end();
}

static void a_killed_leader_is_replaced_and_comes_back(void)
{
    begin();
    write_some(10);
    uint32_t old = wait_leader();
    stop(old);
    write_some(10);
    start(old);
    run(500);
    check_equal();
    end();
}

static void all_start_again_from_disk(void)
{
    begin();
    write_some(30);
    run(400);
    for (uint32_t i = 1; i <= NODES; i++) {
        stop(i);
    }
    for (uint32_t i = 1; i <= NODES; i++) {
        start(i);
    }
    write_some(5);
    check_equal();
    CHECK(nodes[1].toy.position.index >= 35);
    end();
}

static void K3_a_replica_that_the_log_no_longer_reaches_gets_a_copy(void)
{
    begin();
    uint32_t l = wait_leader();
    uint32_t behind = l % NODES + 1;
    stop(behind);
    write_some(800);
    run(1000);
    write_some(800);
    run(1000);
    start(behind);
    run(3000);
    write_some(5);
    check_equal();
    struct shard_view v;
    shard_get_view(host_find_shard(nodes[behind].host, SHARD), now_ms, &v);
    CHECK_EQ(v.installs_total, 1);
    end();
}

static void leadership_is_handed_over_on_request(void)
{
    begin();
    write_some(3);
    uint32_t l = wait_leader();
    uint32_t to = l % NODES + 1;
    CHECK_EQ(shard_transfer(host_find_shard(nodes[l].host, SHARD), to), OK);
    run(300);
    CHECK_EQ(leader(), to);
    write_some(3);
    check_equal();
    end();
}

static struct shard_view view_of(uint32_t node)
{
    struct shard_view v;
    shard_get_view(host_find_shard(nodes[node].host, SHARD), now_ms, &v);
    return v;
}

static void wait_for(uint32_t node, enum status want)
{
    stop(node);
    nodes[node].toy.open_status = want;
    start(node);
    run(3000);
    CHECK(view_of(node).state != SHARD_LOST && view_of(node).state != SHARD_RUNNING);
    write_some(3);
    nodes[node].toy.open_status = OK;
    run(3000);
    CHECK_EQ(view_of(node).state, SHARD_RUNNING);
    CHECK_EQ(view_of(node).installs_total, 0);
    check_equal();
}

/* What is missing comes back: the environment is whole, and no copy may take its place. Nor may one when this happens again and
 * again, and the segment in use fills: three entries hold back nothing of the log. */
static void check_waits(enum status want, int times)
{
    begin();
    write_some(20);
    run(6000); /* a checkpoint */
    for (int i = 0; i < times; i++) {
        wait_for(wait_leader() % NODES + 1, want);
    }
    end();
}

static void an_environment_that_can_not_be_opened_for_want_of_something_waits(void)
{
    check_waits(STATUS_NO_SPACE, 20);
    check_waits(STATUS_NO_MEMORY, 1);
    check_waits(STATUS_NO_FILES, 1);
}

/* How many copies a replica was sent that missed so many entries. */
static uint64_t copies_after_missing(int entries)
{
    begin();
    write_some(20);
    run(1000);
    uint32_t behind = wait_leader() % NODES + 1;
    stop(behind);
    write_some(entries);
    run(1000);
    start(behind);
    run(3000);
    check_equal();
    uint64_t copies = view_of(behind).installs_total;
    end();
    return copies;
}

/* Each of these entries is a block of the log by itself, so that they hold back far more of it than they have bytes. */
static void entries_are_kept_for_a_voter_until_they_hold_back_too_much(void)
{
    CHECK_EQ(copies_after_missing(40), 0);
    CHECK_EQ(copies_after_missing(200), 1);
}

/* What a voter that is away lacks lies in older and older segments: that is no reason for a checkpoint after each write. */
static void a_voter_that_is_away_costs_no_more_checkpoints(void)
{
    kept_bytes = 4 * 1024 * 1024;
    begin();
    write_some(20);
    run(1000);
    uint32_t away = wait_leader() % NODES + 1;
    stop(away);
    uint64_t from_ms = now_ms, before = view_of(leader()).checkpoints_total;
    for (int i = 0; i < 300; i++) {
        write_some(1);
        run(10);
    }
    struct log *l = host_log(nodes[leader()].host);
    CHECK(log_held_bytes(l, SHARD, 0, log_last_index(l, SHARD)) > 3 * 256 * 1024);
    CHECK(view_of(leader()).checkpoints_total - before <= (now_ms - from_ms) / 300 + 1);
    start(away);
    run(1000);
    CHECK_EQ(view_of(away).installs_total, 0);
    write_some(1);
    run(1000);
    l = host_log(nodes[leader()].host);
    CHECK_EQ(log_held_bytes(l, SHARD, 0, log_last_index(l, SHARD)), 0); /* let go of */
    check_equal();
    end();
    kept_bytes = 64 * 1024;
}

static void a_view_tells_since_when_and_why_its_leader_leads(void)
{
    begin();
    write_some(3);
    uint32_t first = wait_leader();
    struct shard_view v = view_of(first);
    CHECK_EQ(v.cause, MOVE_FIRST);
    CHECK_EQ(v.moves, 0);
    run(2000);
    CHECK(view_of(first).leader_age_ms >= 2000);
    uint32_t second = first % NODES + 1;
    CHECK_EQ(shard_transfer(host_find_shard(nodes[first].host, SHARD), second), OK);
    run(300);
    v = view_of(second);
    CHECK_EQ(v.cause, MOVE_HANDOVER);
    CHECK_EQ(v.leader_before, first);
    CHECK_EQ(v.lost, 0);
    CHECK_EQ(v.moves, 1);
    v = view_of(first);
    CHECK_EQ(v.handed_to, second);
    CHECK_STR_EQ(v.handed_why, "a switchover was asked for");
    CHECK_EQ(v.cause, MOVE_HANDOVER);
    CHECK_EQ(view_of(second % NODES + 1).cause, MOVE_HANDOVER); /* it only looked on */
    stop(second);
    write_some(3);
    uint32_t third = wait_leader();
    v = view_of(third);
    CHECK_EQ(v.cause, MOVE_LOST);
    CHECK_EQ(v.leader_before, second);
    CHECK_EQ(v.lost, second);
    CHECK(v.leader_age_ms < 60000);
    start(second);
    end();
}

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

/* The preference takes back what a node gave up for reasons of its own (it stopped, it keeps no state), but not at once what a
 * person chose: a shard whose new leader a witness had made stayed away from its site for ten minutes once. */
static void leadership_goes_home_unless_somebody_chose_otherwise(void)
{
    bool stopped = false;
    preferred = 1;
    begin();
    write_some(3);
    wait_leader();
    run(15000);
    CHECK_EQ(leader(), 1);
    host_stop(nodes[1].host, now_ms + 2000, on_stopped, &stopped);
    run(2500);
    CHECK(stopped);
    stop(1);
    uint32_t second = wait_leader();
    CHECK_NE(second, 1);
    CHECK_EQ(view_of(second).cause, MOVE_HANDOVER);
    CHECK_EQ(view_of(second).quiet_ms, 0);
    start(1);
    run(15000);
    CHECK_EQ(leader(), 1);
    CHECK_EQ(shard_transfer(host_find_shard(nodes[1].host, SHARD), second), OK);
    run(15000);
    CHECK_EQ(leader(), second);
    CHECK(view_of(second).quiet_ms > 500000);
    run(600000);
    CHECK_EQ(leader(), 1);
    end();
    preferred = 0;
}

/* A copy that stands still falls behind: its lag has a trend that its leader tells. */
static void a_leader_tells_the_trend_of_a_copy_that_stands_still(void)
{
    begin();
    write_some(3);
    uint32_t l = wait_leader();
    uint32_t still = l % NODES + 1;
    stop(still);
    for (int i = 0; i < 8; i++) {
        write_some(1);
        run(1000);
    }
    struct shard_view v = view_of(leader());
    bool seen = false;
    for (uint32_t i = 0; i < v.peers_n; i++) {
        if (v.peers[i].node == still) {
            seen = true;
            CHECK(v.peers[i].lag_entries >= 8);
            CHECK(v.peers[i].lag_slope_known);
            CHECK(v.peers[i].lag_slope_us > 500000);
        }
    }
    CHECK(seen);
    start(still);
    end();
}

static enum shard_state state_with_an_older_log(void)
{
    begin();
    write_some(10);
    run(10);
    uint32_t victim = leader() % NODES + 1;
    stop(victim);
    shell("cp -a %s/n%u %s/old", root, victim, root);
    start(victim);
    write_some(30);
    run(1000); /* checkpoints: the store is at 40 */
    stop(victim);
    shell("rm -rf %s/n%u && mv %s/old %s/n%u", root, victim, root, root, victim);
    start(victim);
    run(20);
    struct shard_view v;
    shard_get_view(host_find_shard(nodes[victim].host, SHARD), now_ms, &v);
    end();
    return v.state;
}

static void W6_a_log_that_ends_below_its_store_is_refused(void)
{
    CHECK_EQ(state_with_an_older_log(), SHARD_REFUSED);
}

static void W6_taken_out_the_short_log_would_vote(void)
{
    shard_rules_off = SHARD_RULE_W6;
    CHECK_EQ(state_with_an_older_log(), SHARD_RUNNING);
    shard_rules_off = 0;
}

/* A leader that is cut off and does not know it must not answer a linearizable read. */
static enum status read_at_a_deposed_leader(void)
{
    begin();
    write_some(5);
    uint32_t old = wait_leader();
    for (uint32_t i = 1; i <= NODES; i++) { /* the others go on without it; its packets are lost */
        nodes[i].up = i == old;
    }
    struct shard_read r = {.deadline_ms = now_ms + 200, .done = on_read};
    answered = 0;
    shard_read(host_find_shard(nodes[old].host, SHARD), &r);
    for (int k = 0; k < 400 && answered == 0; k++) {
        step();
    }
    CHECK_EQ(answered, 1);
    for (uint32_t i = 1; i <= NODES; i++) {
        nodes[i].up = true;
    }
    end();
    return r.status;
}

static void a_read_without_a_majority_is_not_answered(void)
{
    CHECK(read_at_a_deposed_leader() != OK);
}

static void without_its_round_such_a_read_would_be_answered(void)
{
    shard_rules_off = SHARD_RULE_ROUND;
    CHECK_EQ(read_at_a_deposed_leader(), OK);
    shard_rules_off = 0;
}

CHECK_MAIN
{
    RUN(a_write_is_applied_everywhere_and_a_read_sees_it);
    RUN(a_killed_leader_is_replaced_and_comes_back);
    RUN(all_start_again_from_disk);
    RUN(leadership_is_handed_over_on_request);
    RUN(leadership_goes_home_unless_somebody_chose_otherwise);
    RUN(an_environment_that_can_not_be_opened_for_want_of_something_waits);
    RUN(entries_are_kept_for_a_voter_until_they_hold_back_too_much);
    RUN(a_voter_that_is_away_costs_no_more_checkpoints);
    RUN(a_view_tells_since_when_and_why_its_leader_leads);
    RUN(a_leader_tells_the_trend_of_a_copy_that_stands_still);
    RUN(K3_a_replica_that_the_log_no_longer_reaches_gets_a_copy);
    RUN(W6_a_log_that_ends_below_its_store_is_refused);
    RUN(W6_taken_out_the_short_log_would_vote);
    RUN(a_read_without_a_majority_is_not_answered);
    RUN(without_its_round_such_a_read_would_be_answered);
}
