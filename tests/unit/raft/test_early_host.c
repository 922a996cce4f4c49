/* Early campaigns of three hosts: a killed leader is replaced long before any timer, a false belief of one changes nothing, one
 * of a majority costs an election and nothing else. The clock is the test's. */
#include "tests/unit/raft/host_world.h"

#define ELECTION_MS 500 /* the least time by timers alone */

static void tell(uint32_t who, uint32_t lost)
{
    host_peer_lost(nodes[who].host, lost, 200);
}

static struct shard_view view(uint32_t id)
{
    struct shard_view v;
    shard_get_view(host_find_shard(nodes[id].host, SHARD), now_ms, &v);
    return v;
}

static void connect_all(void)
{
    for (uint32_t a = 1; a <= NODES; a++) {
        for (uint32_t b = 1; b <= NODES; b++) {
            host_peer_up(nodes[a].host, b);
        }
    }
}

/* Milliseconds until somebody else leads. */
static int replaced_in(uint32_t old, int most)
{
    for (int ms = 0; ms < most; ms++) {
        uint32_t l = leader();
        if (l != 0 && l != old) {
            return ms;
        }
        step();
    }
    return most;
}

static void a_killed_leader_is_replaced_without_waiting_for_a_timer(void)
{
    begin();
    connect_all();
    write_some(10);
    uint32_t old = wait_leader();
    stop(old);
    for (uint32_t i = 1; i <= NODES; i++) {
        if (i != old) {
            tell(i, old);
            CHECK_EQ(view(i).leader_replica, 0);
        }
    }
    int ms = replaced_in(old, 2000);
    printf("replaced after %d ms\n", ms);
    CHECK(ms < 50);
    write_some(10);
    start(old);
    run(500);
    check_equal();
    end();
}

static void when_the_first_in_rank_is_gone_too_the_next_one_comes(void)
{
    begin();
    connect_all();
    write_some(3);
    uint32_t old = wait_leader(), second = old % NODES + 1, first = second % NODES + 1;
    first = first < second ? first : second;
    second = old ^ first ^ (1 ^ 2 ^ 3);
    stop(old);
    tell(second, old); /* the first in rank knows nothing, and still grants nothing */
    run(100);
    CHECK_EQ(leader(), 0);
    tell(first, old);
    CHECK(replaced_in(old, 2000) < ELECTION_MS / 2);
    write_some(3);
    start(old);
    run(500);
    check_equal();
    end();
}

static void one_false_believer_deposes_nobody(void)
{
    begin();
    connect_all();
    write_some(5);
    uint32_t old = wait_leader();
    uint64_t term = view(old).term;
    for (int k = 0; k < 20; k++) {
        tell(old % NODES + 1, old);
        run(40);
        CHECK_EQ(leader(), old);
        write_some(1);
    }
    CHECK_EQ(view(old).term, term);
    check_equal();
    end();
}

static void a_false_majority_costs_elections_and_loses_nothing(void)
{
    begin();
    connect_all();
    write_some(5);
    for (int k = 0; k < 20; k++) {
        uint32_t old = wait_leader();
        for (uint32_t i = 1; i <= NODES; i++) {
            if (i != old) {
                tell(i, old);
            }
        }
        run(30);
        write_some(2);
    }
    run(3000);
    CHECK(view(1).term > 5); /* there were some */
    check_equal();
    CHECK_EQ(nodes[1].toy.position.index >= 45, true);
    end();
}

static void the_leader_of_another_node_is_not_forgotten(void)
{
    begin();
    connect_all();
    write_some(1);
    run(200);
    uint32_t l = wait_leader(), a = l % NODES + 1, b = a % NODES + 1;
    uint64_t known = view(a).leader_replica;
    tell(a, b);
    CHECK_EQ(view(a).leader_replica, known);
    tell(l, a); /* and a leader forgets nothing */
    CHECK_EQ(leader(), l);
    CHECK_EQ(view(a).early_total + view(b).early_total + view(l).early_total, 0);
    end();
}

CHECK_MAIN
{
    RUN(a_killed_leader_is_replaced_without_waiting_for_a_timer);
    RUN(when_the_first_in_rank_is_gone_too_the_next_one_comes);
    RUN(one_false_believer_deposes_nobody);
    RUN(a_false_majority_costs_elections_and_loses_nothing);
    RUN(the_leader_of_another_node_is_not_forgotten);
}
