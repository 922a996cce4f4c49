/* The rules of an early campaign: who is gone, who goes first, when it fires and when it is over. */
#include "raft/rules/early.h"
#include "raft/rules/loss.h"
#include "tests/lib/check.h"

/* ---- whose process is gone ---- */

static struct loss_view healthy(void)
{
    return (struct loss_view){.connected = true, .heard_ms = 1000, .silence_ms = 300};
}

static void a_connection_that_ends_is_no_proof_until_nobody_listens(void)
{
    struct loss_view v = {.ended = true, .heard_ms = 1000, .silence_ms = 300};
    CHECK_EQ(loss_decide(&v, 1001).verdict, LOSS_NONE);
    CHECK_EQ(loss_decide(&v, 5000).verdict, LOSS_NONE);
    v.refused = true;
    CHECK_EQ(loss_decide(&v, 1001).verdict, LOSS_GONE);
}

static void a_refused_dial_alone_is_no_proof(void)
{
    struct loss_view v = {.refused = true, .heard_ms = 1000, .silence_ms = 300};
    CHECK_EQ(loss_decide(&v, 9000).verdict, LOSS_NONE);
}

static void another_life_proves_that_the_one_before_is_gone(void)
{
    struct loss_view v = healthy();
    v.other_life = true;
    CHECK_EQ(loss_decide(&v, 1001).verdict, LOSS_GONE);
}

static void silence_counts_only_when_asked_and_long_enough(void)
{
    struct loss_view v = healthy();
    CHECK_EQ(loss_decide(&v, 9000).verdict, LOSS_NONE); /* nobody asked */
    v.asked_ms = 1100;
    CHECK_EQ(loss_decide(&v, 1299).verdict, LOSS_NONE);
    CHECK_EQ(loss_decide(&v, 1300).verdict, LOSS_SILENT);
    v.asked_ms = 1250; /* asked a moment ago: it may be about to answer */
    CHECK_EQ(loss_decide(&v, 1300).verdict, LOSS_NONE);
    CHECK_EQ(loss_decide(&v, 1350).verdict, LOSS_SILENT);
    v.heard_ms = 1300; /* heartbeats still come, though no pong does: it runs */
    CHECK_EQ(loss_decide(&v, 1350).verdict, LOSS_NONE);
    v.heard_ms = 1000;
    v.connected = false;
    CHECK_EQ(loss_decide(&v, 9000).verdict, LOSS_NONE);
}

static void silence_is_300_ms_by_default_and_a_round_trip_more(void)
{
    CHECK_EQ(loss_silence_ms(500, 200), 300);
    CHECK_EQ(loss_silence_ms(500, 80000), 380);
    CHECK_EQ(loss_silence_ms(250, 0), 150);
}

/* ---- who goes first ---- */

/* Beijing 2 (leads), Shanghai 2, witness. */
static void five(struct early_voter v[5])
{
    for (uint32_t i = 0; i < 5; i++) {
        v[i] = (struct early_voter){
            .voter = true, .reachable = true, .witness = i == 4, .preference = i / 2};
    }
}

static void the_preferred_site_goes_first_and_the_witness_last(void)
{
    struct early_voter v[5];
    five(v);
    CHECK_EQ(early_rank(v, 5, 1, 0), 0);
    CHECK_EQ(early_rank(v, 5, 2, 0), 1);
    CHECK_EQ(early_rank(v, 5, 3, 0), 2);
    CHECK_EQ(early_rank(v, 5, 4, 0), 3);
    v[4].preference = 0; /* whatever its site */
    CHECK_EQ(early_rank(v, 5, 4, 0), 3);
    CHECK_EQ(early_rank(v, 5, 1, 0), 0);
}

static void who_cannot_be_reached_or_has_no_vote_is_not_waited_for(void)
{
    struct early_voter v[5];
    five(v);
    v[1].reachable = false;
    CHECK_EQ(early_rank(v, 5, 2, 0), 0);
    v[2].voter = false;
    CHECK_EQ(early_rank(v, 5, 3, 0), 0);
    CHECK_EQ(early_rank(v, 5, 4, 0), 1);
}

static void every_voter_has_a_rank_of_its_own(void)
{
    for (uint32_t lost = 0; lost < 5; lost++) {
        struct early_voter v[5];
        bool taken[5] = {false};
        five(v);
        for (uint32_t i = 0; i < 5; i++) {
            uint32_t rank = early_rank(v, 5, i, lost);
            if (i != lost) {
                CHECK(rank < 4 && !taken[rank]);
                taken[rank] = true;
            }
        }
    }
}

static void the_stagger_follows_round_trip_and_disk_within_bounds(void)
{
    CHECK_EQ(early_stagger_ms(0, 0, 500), 25);
    CHECK_EQ(early_stagger_ms(20000, 5000, 500), 50);
    CHECK_EQ(early_stagger_ms(200000, 300000, 500), 125);
    CHECK_EQ(early_stagger_ms(0, 0, 60), 15);
}

/* ---- when it fires, and when it is over ---- */

static struct early_campaign armed(uint32_t rank)
{
    return (struct early_campaign){
        .armed_ms = 1000, .term = 7, .vote = 3, .rank = rank, .voters = 5, .stagger_ms = 25};
}

static struct early_view follower(void)
{
    return (struct early_view){
        .voter = true, .term = 7, .vote = 3, .last_index = 90, .last_stored = 90};
}

static void it_fires_by_rank(void)
{
    struct early_view v = follower();
    for (uint32_t rank = 0; rank < 4; rank++) {
        struct early_campaign c = armed(rank);
        uint64_t due = 1005 + rank * 25;
        struct early_decision d = early_decide(&c, &v, due - 1);
        CHECK_EQ(d.action, EARLY_WAIT);
        CHECK_EQ(d.at_ms, due);
        CHECK_EQ(early_decide(&c, &v, due).action, EARLY_FIRE);
    }
}

static void it_asks_again_while_in_pre_vote_and_not_for_ever(void)
{
    struct early_campaign c = armed(0);
    struct early_view v = follower();
    v.candidate = v.pre_vote = true;
    static const uint64_t rounds[] = {1005, 1015, 1025, 1105, 1115, 1125, 1205};
    for (uint32_t i = 1; i < sizeof(rounds) / sizeof(rounds[0]); i++) { /* in its turns of 25 ms */
        c.fired = i;
        c.fired_ms = rounds[i - 1];
        CHECK_EQ(early_decide(&c, &v, rounds[i] - 1).action, EARLY_WAIT);
        CHECK_EQ(early_decide(&c, &v, rounds[i] - 1).at_ms, rounds[i]);
        CHECK_EQ(early_decide(&c, &v, rounds[i]).action, EARLY_FIRE);
    }
    c.fired = EARLY_FIRES_MAX;
    CHECK_EQ(early_decide(&c, &v, 1205).action, EARLY_STOP);
}

#define STOPS(CHANGE)                                            \
    do {                                                         \
        struct early_campaign c = armed(0);                      \
        struct early_view v = follower();                        \
        CHANGE;                                                  \
        CHECK_EQ(early_decide(&c, &v, 1001).action, EARLY_STOP); \
        CHECK_EQ(early_decide(&c, &v, 1500).action, EARLY_STOP); \
        CHECK(early_decide(&c, &v, 1500).reason[0] != '\0');     \
    } while (0)

static void it_is_over_when_what_it_was_armed_for_is_no_longer_so(void)
{
    STOPS(v.leader = true);
    STOPS(v.leader_known = true);
    STOPS(v.installing = true);
    STOPS(v.voter = false);
    STOPS(v.term = 8);
    STOPS(v.vote = 5);
    STOPS(v.candidate = true);
}

static void whoever_was_promised_the_vote_goes_first(void)
{
    struct early_campaign c = armed(0);
    struct early_view v = follower();
    v.granted_ms = 1004;
    CHECK_EQ(early_decide(&c, &v, 1005).action, EARLY_WAIT);
    CHECK_EQ(early_decide(&c, &v, 1005).at_ms, 1029);
    CHECK_EQ(early_decide(&c, &v, 1029).action, EARLY_FIRE);
    v.granted_ms = 999; /* before the belief: of another time */
    CHECK_EQ(early_decide(&c, &v, 1005).action, EARLY_FIRE);
}

static void it_waits_for_its_own_disk_a_while(void)
{
    struct early_campaign c = armed(0);
    struct early_view v = follower();
    v.last_stored = 89;
    CHECK_EQ(early_decide(&c, &v, 1005).action, EARLY_WAIT);
    CHECK_EQ(early_decide(&c, &v, 1005).at_ms, 1006);
    CHECK_EQ(early_decide(&c, &v, 1054).action, EARLY_WAIT);
    CHECK_EQ(early_decide(&c, &v, 1055).action, EARLY_STOP);
    v.last_stored = 90;
    CHECK_EQ(early_decide(&c, &v, 1055).action, EARLY_FIRE);
}

CHECK_MAIN
{
    RUN(a_connection_that_ends_is_no_proof_until_nobody_listens);
    RUN(a_refused_dial_alone_is_no_proof);
    RUN(another_life_proves_that_the_one_before_is_gone);
    RUN(silence_counts_only_when_asked_and_long_enough);
    RUN(silence_is_300_ms_by_default_and_a_round_trip_more);
    RUN(the_preferred_site_goes_first_and_the_witness_last);
    RUN(who_cannot_be_reached_or_has_no_vote_is_not_waited_for);
    RUN(every_voter_has_a_rank_of_its_own);
    RUN(the_stagger_follows_round_trip_and_disk_within_bounds);
    RUN(it_fires_by_rank);
    RUN(it_asks_again_while_in_pre_vote_and_not_for_ever);
    RUN(it_is_over_when_what_it_was_armed_for_is_no_longer_so);
    RUN(whoever_was_promised_the_vote_goes_first);
    RUN(it_waits_for_its_own_disk_a_while);
}
