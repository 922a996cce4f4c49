/* The situations of the operations handbook, as far as this version can have them: for each what is found, how bad it is, what is survived,
 * and the words. A row is: who looks, what happened, and what must be said. */
#include "raft/rules/condition.h"
#include "tests/unit/raft/rules_world.h"

/* Neither hears the other; both live. */
static void cut(unsigned a, unsigned b, uint64_t age_ms)
{
    deaf(a, b, age_ms, ANSWER_TIMEOUT);
    deaf(b, a, age_ms, ANSWER_TIMEOUT);
    if (w.o.self == a || w.o.self == b) {
        silent(w.o.self == a ? b : a, age_ms);
    }
}

/* The names of all findings, the worst first: "SITE_DOWN QUORUM_MARGIN AWAY". */
static const char *names(void)
{
    static char text[600];
    size_t at = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < w.verdict.findings.n && at < sizeof(text); i++) {
        int n = snprintf(text + at, sizeof(text) - at, "%s%s", i > 0 ? " " : "",
                         finding_name(w.verdict.findings.items[i].kind));
        at += n > 0 ? (size_t)n : 0;
    }
    return text;
}

struct situation {
    const char *name;
    unsigned observer;
    void (*happens)(void);
    enum severity severity;
    const char *findings; /* the worst first */
    const char *survives;
    const char *headline; /* the beginning of it, behind the name */
};

static void nothing(void)
{
}

static void follower_killed(void)
{
    gone(BJ2, 5000, ANSWER_REFUSED);
}

static void moved(unsigned shard, unsigned to, int before, uint64_t ago_ms)
{
    lead(shard, (int)to, 5);
    w.shards[shard].led_ms = ago_ms;
    w.shards[shard].cause = MOVE_LOST;
    w.shards[shard].before = w.shards[shard].lost = before;
    w.shards[shard].silent_ms = 620;
}

static void unlead(unsigned node)
{
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        struct observed_replica *r = replica(s, node);
        r->known = r->ok = r->leads = false;
        r->follows = -1;
        r->contact_age_ms = AGE_UNKNOWN;
        observation_leader(&w.o, &w.shards[s]);
    }
}

static void leader_killed(void)
{
    gone(BJ1, 5000, ANSWER_REFUSED);
    moved(SHARD_DIR, BJ2, BJ1, 4400);
    moved(SHARD_BJ, BJ2, BJ1, 4400);
    unlead(BJ1);
}

static void leader_stopped(void)
{
    gone(BJ1, 8000, ANSWER_NONE);
    moved(SHARD_DIR, BJ2, BJ1, 7400);
    moved(SHARD_BJ, BJ2, BJ1, 7400);
    unlead(BJ1);
}

static void leader_goes_on_after_a_stop(void)
{
    moved(SHARD_BJ, BJ2, BJ1, 9400);
    w.nodes[BJ1].stall_ms = 10000;
    w.nodes[BJ1].stall_age_ms = 900;
    for (unsigned k = 0; k < WORLD_NODES; k++) {
        w.nodes[BJ1].links[k].heard_age_ms = 10100; /* it had no time to hear them */
    }
}

static void slow_disk(void)
{
    w.nodes[BJ1].sync_us = 1400000;
}

static void empty_disk(void)
{
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        replica(s, SH2)->ok = false;
        snprintf(replica(s, SH2)->state, sizeof(replica(s, SH2)->state),
                 "AMNESIA: acknowledged up to 100, holds 40");
    }
}

static void site_lost(void)
{
    gone(BJ1, 372000, ANSWER_TIMEOUT);
    gone(BJ2, 372000, ANSWER_TIMEOUT);
    lead(SHARD_DIR, SH1, 5);
    lead(SHARD_BJ, SH1, 5);
    unlead(BJ1);
    unlead(BJ2);
}

static void site_returns(void)
{
    lead(SHARD_BJ, SH1, 5);
    replica(SHARD_BJ, BJ1)->lag_ms = 8000;
    replica(SHARD_BJ, BJ1)->lag_entries = 4000;
    replica(SHARD_BJ, BJ1)->lag_slope_known = true;
    replica(SHARD_BJ, BJ1)->lag_slope_us = -500000;
}

static void data_centres_cut(void)
{
    for (unsigned a = BJ1; a <= BJ2; a++) {
        for (unsigned b = SH1; b <= SH2; b++) {
            cut(a, b, 60000);
        }
    }
    /* wit1 follows both leaders and says so */
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        observation_leader(&w.o, &w.shards[s]);
    }
}

static void data_centres_cut_and_the_directory_is_led_there(void)
{
    data_centres_cut();
    w.o.quorum = false; /* its leader is not heard: nobody confirms */
}

static void the_directory_confirms_nothing_and_nobody_is_missing(void)
{
    w.o.quorum = false;
    w.o.note = "seen by sh1 alone: the directory did not confirm it with a majority";
}

/* wit1 has entries from `first` on; Beijing has 5000, Shanghai 100, as they say or as their leader knows. */
static void witness_cut_at(uint64_t first)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct observed_replica *r = replica(SHARD_BJ, i);
        bool behind = i == SH1 || i == SH2;
        r->commit_index = behind ? 100 : 5000;
        r->match_index = behind ? 100 : 5000;
        r->first_index = i == WIT1 ? first : 1;
        r->lag_known = i != BJ1 && w.nodes[BJ1].speaks;
        r->lag_ms = behind ? 60000 : 0;
    }
}

static void data_centres_cut_and_the_witness_has_cut_its_log(void)
{
    data_centres_cut();
    witness_cut_at(4000);
}

static void witness_lost(void)
{
    gone(WIT1, 9000, ANSWER_REFUSED);
}

static void witness_and_a_node_lost(void)
{
    gone(WIT1, 90000, ANSWER_REFUSED);
    gone(SH2, 9000, ANSWER_REFUSED);
}

static void witness_and_site_lost(void)
{
    gone(WIT1, 90000, ANSWER_REFUSED);
    gone(BJ1, 61000, ANSWER_TIMEOUT);
    gone(BJ2, 60000, ANSWER_TIMEOUT);
    w.o.quorum = false;
}

static void local_view(void)
{
    w.o.quorum = false;
    w.o.local = true;
}

static void local_view_after_a_site_is_lost(void)
{
    site_lost();
    local_view();
}

static void local_view_without_a_majority(void)
{
    witness_and_site_lost();
    local_view();
}

static void local_view_before_the_founding(void)
{
    local_view();
    w.o.founded = false;
    w.o.note = "waits for sh2";
}

static void one_way_to_a_node_begins(void)
{
    for (unsigned k = 0; k < WORLD_NODES; k++) {
        if (k != BJ1) {
            deaf(BJ1, k, 2500, ANSWER_NONE);
        }
    }
}

static void one_way_to_a_node_has_ended_its_connections(void)
{
    one_way_to_a_node_begins();
    gone(BJ1, 60000, ANSWER_NONE);
    lead(SHARD_DIR, SH1, 5);
    lead(SHARD_BJ, SH1, 5);
    unlead(BJ1);
}

static void one_way_between_sites(void)
{
    for (unsigned a = BJ1; a <= BJ2; a++) {
        for (unsigned b = SH1; b <= SH2; b++) {
            deaf(a, b, 2600, ANSWER_NONE);
        }
    }
}

static void a_link_flaps(void)
{
    w.nodes[SH1].links[BJ1].breaks = 6;
}

static void clock_off(void)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        w.nodes[SH1].links[i].clock_error_us = 2000;
        w.nodes[SH1].links[i].clock_offset_us = i == BJ1 ? 300000000 : 800;
    }
}

static void power_is_back_and_nobody_leads_yet(void)
{
    for (unsigned s = SHARD_BJ; s < WORLD_SHARDS; s++) {
        lead(s, -1, 7);
        for (unsigned i = 0; i < WORLD_NODES; i++) {
            replica(s, i)->follows = -1;
        }
        observation_leader(&w.o, &w.shards[s]);
        w.shards[s].led_known = false;
    }
}

static void state_hashes_differ(void)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        replica(SHARD_BJ, i)->digest_index = 100;
        replica(SHARD_BJ, i)->digest[0] = i == BJ2 ? 1 : 2;
        replica(SHARD_BJ, i)->digest[1] = 9;
    }
    memset(replica(SHARD_BJ, WIT1)->digest, 0, 16); /* it keeps no state */
}

static void two_leaders_of_one_term(void)
{
    replica(SHARD_BJ, SH2)->leads = true;
}

static void old_leader_cut_off(void)
{
    lead(SHARD_BJ, SH1, 9);
    replica(SHARD_BJ, BJ1)->leads = true;
    replica(SHARD_BJ, BJ1)->term = 4;
    observation_leader(&w.o, &w.shards[SHARD_BJ]);
}

#define WHOLE      "survives 1 site or any 2 nodes"
#define NOTHING    "survives nothing more"
#define WITHOUT_BJ "survives site beijing or witness or any 1 node, NOT site shanghai"
#define WITHOUT_SH "survives site shanghai or witness or any 1 node, NOT site beijing"
#define NO_SITE    "survives any 1 node, no site"

static const struct situation situations[] = {
    {"0 all is well", SH1, nothing, SEVERITY_OK, "", WHOLE, "nothing to do"},
    {"1 a follower is killed", SH1, follower_killed, SEVERITY_YELLOW, "NODE_DOWN", WITHOUT_BJ,
     "+5.00s: bj2 (beijing) DOWN since 15:59:55Z: connections are refused"},
    {"2 the leader is killed", SH1, leader_killed, SEVERITY_YELLOW, "NODE_DOWN LEADER_MOVED",
     WITHOUT_BJ, "+5.00s: bj1 (beijing) DOWN"},
    {"3 the leader is stopped", SH1, leader_stopped, SEVERITY_YELLOW, "NODE_FROZEN LEADER_MOVED",
     WITHOUT_BJ, "+8.00s: bj1 (beijing) FROZEN since 15:59:52Z: connections are taken and nothing"},
    {"3 and goes on", SH1, leader_goes_on_after_a_stop, SEVERITY_BLUE, "LEADER_MOVED STALLED",
     WHOLE, "nothing to do"},
    {"4 a disk is slow", SH1, slow_disk, SEVERITY_YELLOW, "SLOW_DISK", WHOLE,
     "the disk of bj1 takes 1.40s for a sync"},
    {"5 a node back with an empty disk", BJ1, empty_disk, SEVERITY_ORANGE, "AMNESIA", WITHOUT_SH,
     "the copy of directory on sh2: AMNESIA"},
    {"6 a site is lost", SH1, site_lost, SEVERITY_ORANGE, "SITE_DOWN QUORUM_MARGIN AWAY", NOTHING,
     "+6m12s: beijing GONE since 15:53:48Z (0/2 nodes, silent from sh1 sh2 wit1): no connection"},
    {"7 the site is back and behind", SH1, site_returns, SEVERITY_YELLOW, "LAG AWAY", WHOLE,
     "+8.00s: the copy of mail-beijing on bj1 is 8.00s behind (4000 entries, 0 kB), -0.50s/s; ETA: "
     "below in 6.00s"},
    {"8 the data centres are cut, seen from one", BJ1, data_centres_cut, SEVERITY_ORANGE,
     "DC_LINK_CUT QUORUM_MARGIN", "survives site beijing or shanghai, NOT site witness",
     "+1m00s: beijing and shanghai do not hear each other since 15:59:00Z; both live, each site "
     "serves what it leads"},
    {"8 the same, seen from the witness", WIT1, data_centres_cut, SEVERITY_ORANGE,
     "DC_LINK_CUT QUORUM_MARGIN", "survives site beijing or shanghai, NOT site witness",
     "+1m00s: beijing and shanghai do not hear each other"},
    {"8 the same, seen from the one without the directory's leader", SH1,
     data_centres_cut_and_the_directory_is_led_there, SEVERITY_ORANGE,
     "DC_LINK_CUT QUORUM_MARGIN UNCONFIRMED", "",
     "+1m00s: beijing and shanghai do not hear each other since 15:59:00Z; both live"},
    {"a majority is heard and the directory does not confirm", SH1,
     the_directory_confirms_nothing_and_nobody_is_missing, SEVERITY_RED, "NO_QUORUM", "",
     "NO QUORUM, LOCAL VIEW sh1: 5 of 5 (bj1 bj2 sh1 sh2 wit1); seen by sh1 alone"},
    {"8 and the witness has cut its log past the other site", BJ1,
     data_centres_cut_and_the_witness_has_cut_its_log, SEVERITY_ORANGE,
     "DC_LINK_CUT SOLE_SITE QUORUM_MARGIN LAG LAG",
     "survives site shanghai, NOT site beijing or witness",
     "+1m00s: beijing and shanghai do not hear each other"},
    {"8 the same, seen from the witness", WIT1, data_centres_cut_and_the_witness_has_cut_its_log,
     SEVERITY_ORANGE, "DC_LINK_CUT SOLE_SITE QUORUM_MARGIN LAG LAG",
     "survives site shanghai, NOT site beijing or witness",
     "+1m00s: beijing and shanghai do not hear each other"},
    {"9 a site is cut off from all, as it looks outside", WIT1, site_lost, SEVERITY_ORANGE,
     "SITE_DOWN QUORUM_MARGIN AWAY", NOTHING, "+6m12s: beijing GONE"},
    {"10 the witness is lost", SH1, witness_lost, SEVERITY_YELLOW, "WITNESS_DOWN", NO_SITE,
     "+9.00s: witness GONE since"},
    {"11 the witness, then a node", SH1, witness_and_a_node_lost, SEVERITY_ORANGE,
     "QUORUM_MARGIN WITNESS_DOWN NODE_DOWN", NOTHING,
     "margin 0: directory mail-beijing mail-shanghai"},
    {"12 the witness and a site", SH1, witness_and_site_lost, SEVERITY_RED, "NO_QUORUM", "",
     "+1m00s: NO QUORUM, LOCAL VIEW sh1: 2 of 5 (sh1 sh2); bj1 bj2 wit1 unheard since 15:59:00Z"},
    {"12 a local view, no majority being asked", SH1, local_view, SEVERITY_OK, "", "",
     "nothing to do"},
    {"12 a local view of a lost site", SH1, local_view_after_a_site_is_lost, SEVERITY_ORANGE,
     "SITE_DOWN QUORUM_MARGIN AWAY", "", "+6m12s: beijing GONE since"},
    {"12 a local view that hears no majority", SH1, local_view_without_a_majority, SEVERITY_RED,
     "NO_QUORUM", "", "+1m00s: NO QUORUM, LOCAL VIEW sh1: 2 of 5 (sh1 sh2)"},
    {"12 a local view before the founding", SH1, local_view_before_the_founding, SEVERITY_RED,
     "NO_QUORUM", "", "NO QUORUM, LOCAL VIEW sh1: 5 of 5 (bj1 bj2 sh1 sh2 wit1); waits for sh2"},
    {"14 a node hears nobody, at first", SH1, one_way_to_a_node_begins, SEVERITY_ORANGE,
     "ASYMMETRIC", WITHOUT_BJ, "+2.60s: bj1<-*: bj1 hears nobody since"},
    {"14 and then", SH1, one_way_to_a_node_has_ended_its_connections, SEVERITY_ORANGE,
     "ASYMMETRIC AWAY", WITHOUT_BJ,
     "+1m02s: bj1<-*: bj1 hears nobody since 15:58:57Z, and was heard for a while"},
    {"14 between two sites", WIT1, one_way_between_sites, SEVERITY_ORANGE,
     "ASYMMETRIC QUORUM_MARGIN", "", "+2.70s: beijing<-shanghai: beijing does not hear"},
    {"15 a link comes and goes", SH1, a_link_flaps, SEVERITY_YELLOW, "FLAPPING", WHOLE,
     "the connection from sh1 to bj1 was lost 6 times in 5 minutes"},
    {"18 a clock is off", SH1, clock_off, SEVERITY_YELLOW, "CLOCK_OFFSET", WHOLE,
     "the clock of bj1 is +299999 ms from the median (limit 100)"},
    {"19 all are back, and elect", SH1, power_is_back_and_nobody_leads_yet, SEVERITY_RED,
     "NO_LEADER", WHOLE, "mail-beijing mail-shanghai: no leader: 5 of 5 voters are up"},
    {"22 copies differ", SH1, state_hashes_differ, SEVERITY_RED, "DIVERGENCE", WHOLE,
     "the copies of mail-beijing differ at index 100: bj2 against bj1 sh1 sh2"},
    {"two leaders of one term", SH1, two_leaders_of_one_term, SEVERITY_RED, "TWO_LEADERS", WHOLE,
     "two leaders of mail-beijing in term 4: bj1 and sh2. This must never be"},
    {"two leaders of different terms", SH1, old_leader_cut_off, SEVERITY_BLUE, "STALE_LEADER AWAY",
     WHOLE, "nothing to do"},
};

static void each_situation_is_named_with_its_severity_and_what_is_survived(void)
{
    for (size_t i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
        const struct situation *s = &situations[i];
        char headline[600];
        world(s->observer);
        s->happens();
        const struct verdict *v = judge();
        printf("%s: %s | %s | %s\n", s->name, names(), v->headline, v->survives);
        CHECK_STR_EQ(names(), s->findings);
        CHECK_EQ(v->findings.severity, s->severity);
        snprintf(headline, sizeof(headline), "%s%s%s",
                 s->severity > SEVERITY_BLUE ? finding_name(v->findings.items[0].kind) : "",
                 s->severity <= SEVERITY_BLUE ? ""
                 : s->headline[0] == '+'      ? " "
                                              : ": ",
                 s->headline);
        CHECK_EQ(strncmp(v->headline, headline, strlen(headline)), 0);
        if (s->survives[0] != '\0' || !w.o.quorum) {
            CHECK_STR_EQ(v->survives, s->survives);
        }
        CHECK(s->severity <= SEVERITY_BLUE || v->next[0] != '\0' || !w.o.founded);
    }
}

static void the_words_do_not_depend_on_the_order_of_nodes_and_shards(void)
{
    static struct verdict first;
    for (size_t i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
        world(situations[i].observer);
        situations[i].happens();
        first = *judge();
        world_swap_nodes(0, 3);
        world_swap_nodes(1, 4);
        struct observed_shard shard = w.shards[0];
        w.shards[0] = w.shards[2];
        w.shards[2] = shard;
        const struct verdict *v = judge();
        CHECK_EQ(v->findings.n, first.findings.n);
        CHECK_STR_EQ(v->headline, first.headline);
        CHECK_STR_EQ(v->survives, first.survives);
        for (unsigned k = 0; k < v->findings.n; k++) {
            CHECK_STR_EQ(v->findings.items[k].text, first.findings.items[k].text);
            CHECK_STR_EQ(v->findings.items[k].next, first.findings.items[k].next);
        }
    }
}

static void a_site_without_the_directory_s_leader_says_who_leads_it_and_what_it_serves(void)
{
    world(SH1);
    data_centres_cut_and_the_directory_is_led_there();
    judge();
    const struct finding *f = found(FINDING_UNCONFIRMED);
    CHECK_STR_EQ(f->text,
                 "view of sh1, not confirmed: the directory is led by bj1, not heard here; led by "
                 "nodes that are heard here, and served: mail-shanghai");
    CHECK_STR_EQ(f->next, "repair the network to bj1; clusterctl status --node bj1 is confirmed");
    world(SH1);
    data_centres_cut_and_the_directory_is_led_there();
    gone(WIT1, 30000, ANSWER_TIMEOUT); /* now it hears no majority, and claims nothing */
    judge();
    CHECK_STR_EQ(names(), "NO_QUORUM");
}

static enum site_loss losing_beijing(uint64_t witness_first)
{
    world(WIT1);
    data_centres_cut();
    witness_cut_at(witness_first);
    judge();
    return w.verdict.survival.site[BJ1];
}

static void a_site_is_survived_only_while_the_witness_has_what_the_others_lack(void)
{
    CHECK_EQ(losing_beijing(0), SITE_LOSS_SERVES); /* it has not said it */
    CHECK_EQ(losing_beijing(101), SITE_LOSS_SERVES);
    CHECK(found(FINDING_SOLE_SITE) == NULL);
    CHECK_EQ(losing_beijing(102), SITE_LOSS_STOPS);
    const struct finding *f = found(FINDING_SOLE_SITE);
    CHECK(f != NULL);
    CHECK_EQ(f->severity, SEVERITY_ORANGE);
    CHECK_STR_EQ(f->object, "beijing");
    CHECK_EQ(strncmp(f->text, "beijing alone holds 4900 entries of mail-beijing: ", 50), 0);
    CHECK_EQ(w.verdict.survival.site[SH1], SITE_LOSS_SERVES);
    CHECK_EQ(w.verdict.survival.site[WIT1], SITE_LOSS_STOPS);
}

/* Only the witness's words of the newest entry come there, and of the leader that it leads. */
static void the_site_that_lacks_them_says_the_same(void)
{
    world(SH1);
    lead(SHARD_DIR, SH1, 4);
    data_centres_cut();
    witness_cut_at(4000);
    judge();
    CHECK_STR_EQ(w.verdict.survives, "survives site shanghai, NOT site beijing or witness");
    CHECK_EQ(strncmp(found(FINDING_SOLE_SITE)->text, "beijing alone holds 4900 entries", 32), 0);
    world(BJ1);
    data_centres_cut();
    witness_cut_at(4000);
    for (unsigned i = SH1; i <= SH2; i++) { /* a new leader does not know yet what they have */
        replica(SHARD_BJ, i)->match_index = 0;
    }
    judge();
    CHECK_EQ(w.verdict.survival.site[BJ1], SITE_LOSS_STOPS);
    CHECK(found(FINDING_SOLE_SITE) == NULL);
}

/* One copy of the other site that has enough is a source for the rest of it. */
static void one_copy_that_can_go_on_is_enough(void)
{
    world(SH1);
    witness_cut_at(4000);
    replica(SHARD_BJ, SH2)->match_index = 3999;
    judge();
    CHECK_EQ(w.verdict.survival.site[BJ1], SITE_LOSS_SERVES);
    CHECK(found(FINDING_SOLE_SITE) == NULL);
    replica(SHARD_BJ, SH2)->ok = false; /* if it is in order */
    judge();
    CHECK_EQ(w.verdict.survival.site[BJ1], SITE_LOSS_STOPS);
}

/* Words of copies are not of one moment: while writes pass, a copy's are always a little older than the witness's cut. */
static void a_copy_that_keeps_up_is_not_behind_the_witness(void)
{
    world(SH1);
    witness_cut_at(4000);
    replica(SHARD_BJ, SH1)->lag_ms = replica(SHARD_BJ, SH2)->lag_ms = SAID_MS_MAX;
    judge();
    CHECK_EQ(w.verdict.survival.site[BJ1], SITE_LOSS_SERVES);
    CHECK_STR_EQ(names(), "");
    replica(SHARD_BJ, SH1)->lag_ms = replica(SHARD_BJ, SH2)->lag_ms = SAID_MS_MAX + 1;
    judge();
    CHECK_EQ(w.verdict.survival.site[BJ1], SITE_LOSS_STOPS);
}

/* The directory's witness keeps the state: it is a source itself. */
static void the_directory_is_not_lost_with_what_its_witness_cut(void)
{
    world(SH1);
    witness_cut_at(4000);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        *replica(SHARD_DIR, i) = *replica(SHARD_BJ, i);
        *replica(SHARD_BJ, i) = *replica(SHARD_SH, i);
    }
    judge();
    CHECK_EQ(w.verdict.survival.site[BJ1], SITE_LOSS_SERVES);
    CHECK(found(FINDING_SOLE_SITE) == NULL);
}

static void a_standby_is_not_asked_for_where_voters_are_missing(void)
{
    world(SH1);
    w.nodes[BJ2].role = ROLE_STANDBY;
    gone(BJ1, 60000, ANSWER_TIMEOUT);
    gone(BJ2, 60000, ANSWER_TIMEOUT);
    gone(WIT1, 60000, ANSWER_TIMEOUT);
    w.o.quorum = false;
    judge();
    CHECK_STR_EQ(w.verdict.next,
                 "bring back ANY 1 of bj1 wit1, or the network to them: heals "
                 "itself, nothing is lost");
}

static void what_to_do_is_said_and_what_not_to_do(void)
{
    world(SH1);
    site_lost();
    judge();
    CHECK_STR_EQ(w.verdict.next,
                 "bring back any node of beijing (bj1 bj2) or the network to it: it "
                 "catches up by itself");
    CHECK_STR_EQ(w.verdict.avoid, "empty or restore the data directories of beijing");
    world(SH1);
    witness_and_site_lost();
    judge();
    CHECK_STR_EQ(w.verdict.next,
                 "bring back ANY 1 of bj1 bj2 wit1, or the network to them: heals "
                 "itself, nothing is lost");
}

static void copy_is(unsigned shard, unsigned node, const char *state)
{
    replica(shard, node)->ok = false;
    snprintf(replica(shard, node)->state, sizeof(replica(shard, node)->state), "%s", state);
}

/* What to do about the shard that has too few voters. */
static const char *lost_next(void)
{
    judge();
    const struct finding *f = found(FINDING_QUORUM_LOST);
    CHECK(f != NULL);
    CHECK_EQ(f->severity, SEVERITY_RED);
    CHECK_STR_EQ(f->object, "mail-beijing");
    return f->next;
}

static void a_shard_without_enough_voters_is_lost_and_says_whom_it_needs(void)
{
    world(SH1);
    for (unsigned i = BJ1; i <= SH1; i++) { /* three of five copies of one shard are not in order */
        copy_is(SHARD_BJ, i, "installing 3%");
    }
    CHECK_STR_EQ(lost_next(), "wait: these copies come back into order by themselves: bj1 bj2 sh1");
    CHECK_STR_EQ(w.verdict.survives, "survives nothing: mail-beijing does not serve now");
    copy_is(SHARD_BJ, SH2, "installing 0%");
    CHECK_STR_EQ(lost_next(),
                 "keep every disk: no copy is in order, and these find none to copy "
                 "from: bj1 bj2 sh1 sh2");
    copy_is(SHARD_BJ, SH2, "opening");
    CHECK_EQ(strncmp(lost_next(), "wait: these copies", 18), 0);
    for (unsigned i = BJ1; i <= SH1; i++) {
        copy_is(SHARD_BJ, i, "AMNESIA: acknowledged up to 100, holds 40");
    }
    CHECK_STR_EQ(lost_next(),
                 "keep every disk and ask for help with the logs: the copies on bj1 "
                 "bj2 sh1 may not vote again");
}

/* Both sites were cut, the witness cut its log, and then Beijing burned. */
static void copies_that_wait_for_a_lost_site_are_no_reason_to_promise_that_nothing_is_lost(void)
{
    world(SH1);
    site_lost();
    copy_is(SHARD_BJ, SH1, "installing 0%");
    copy_is(SHARD_BJ, SH2, "installing 0%");
    CHECK_STR_EQ(
        lost_next(),
        "bring back at least 1 of bj1 bj2: their disks alone may hold what sh1 sh2 must copy");
    copy_is(SHARD_BJ, SH1, "AMNESIA: acknowledged up to 100, holds 40");
    CHECK_STR_EQ(lost_next(),
                 "bring back at least 1 of bj1 bj2: their disks alone may hold what sh2 must copy");
    copy_is(SHARD_BJ, SH2, "AMNESIA: acknowledged up to 100, holds 40");
    CHECK_STR_EQ(lost_next(), "bring back ANY 2 of bj1 bj2: heals itself, nothing is lost");
    world(SH1); /* not copying yet, and behind what the witness has cut */
    site_lost();
    lead(SHARD_BJ, WIT1, 6);
    replica(SHARD_BJ, SH2)->ok = replica(SHARD_BJ, SH2)->voter = false;
    witness_cut_at(4000);
    CHECK_STR_EQ(lost_next(),
                 "bring back at least 1 of bj1 bj2: their disks alone may hold what sh1 must copy");
    witness_cut_at(101);
    CHECK_STR_EQ(lost_next(), "bring back ANY 1 of bj1 bj2: heals itself, nothing is lost");
}

/* Only these vote for the shard. */
static void voters_are(unsigned shard, unsigned a, unsigned b, unsigned c)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        replica(shard, i)->voter = i == a || i == b || i == c;
    }
}

static unsigned findings_of(enum finding_kind kind)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w.verdict.findings.n; i++) {
        n += w.verdict.findings.items[i].kind == kind ? 1 : 0;
    }
    return n;
}

static void shards_of_other_voters_are_other_findings(void)
{
    world(WIT1);
    voters_are(SHARD_BJ, BJ2, SH1, WIT1);
    voters_are(SHARD_SH, SH1, SH2, BJ1);
    gone(BJ1, 60000, ANSWER_TIMEOUT);
    gone(BJ2, 60000, ANSWER_TIMEOUT);
    gone(SH1, 60000, ANSWER_TIMEOUT);
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        replica(s, BJ1)->voter = s != SHARD_BJ;
        replica(s, BJ2)->voter = s != SHARD_SH;
    }
    w.o.quorum = true;
    judge();
    CHECK_EQ(findings_of(FINDING_QUORUM_LOST), 3);
    for (unsigned i = 0; i < w.verdict.findings.n; i++) {
        const struct finding *f = &w.verdict.findings.items[i];
        if (f->kind == FINDING_QUORUM_LOST && strcmp(f->object, "mail-beijing") == 0) {
            CHECK_EQ(strncmp(f->next, "bring back ANY 1 of bj2 sh1:", 28), 0);
        } else if (f->kind == FINDING_QUORUM_LOST && strcmp(f->object, "mail-shanghai") == 0) {
            CHECK_EQ(strncmp(f->next, "bring back ANY 1 of bj1 sh1:", 28), 0);
        }
    }
}

static void shards_of_the_same_voters_are_one_finding_unless_their_copies_differ(void)
{
    world(SH1);
    witness_and_a_node_lost();
    judge();
    CHECK_EQ(findings_of(FINDING_QUORUM_MARGIN), 1);
    CHECK_STR_EQ(found(FINDING_QUORUM_MARGIN)->next, "bring back a voter: sh2 wit1");
    world(SH1);
    copy_is(SHARD_BJ, SH1, "installing 3%");
    copy_is(SHARD_BJ, SH2, "installing 3%");
    copy_is(SHARD_SH, SH2, "opening");
    copy_is(SHARD_SH, BJ2, "opening");
    judge();
    CHECK_EQ(findings_of(FINDING_QUORUM_MARGIN), 2);
    CHECK_STR_EQ(found(FINDING_QUORUM_MARGIN)->next,
                 "wait until these copies are in order: sh1 sh2");
}

static void a_node_that_just_woke_up_accuses_nobody(void)
{
    world(SH1);
    w.nodes[BJ2].stall_ms = 60000;
    w.nodes[BJ2].stall_age_ms = 300;
    for (unsigned k = 0; k < WORLD_NODES; k++) {
        w.nodes[BJ2].links[k].heard_age_ms = 60100;
    }
    judge();
    CHECK_STR_EQ(names(), "STALLED");
    w.nodes[BJ2].stall_age_ms = 5000; /* by now it should hear them */
    judge();
    CHECK(found(FINDING_ASYMMETRIC) != NULL);
}

/* The others redial it one after the other. */
static void a_node_that_just_came_back_is_not_cut_off_from_those_who_wait_to_hear_it(void)
{
    world(SH1);
    cut(SH1, BJ2, 60000);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        w.nodes[i].links[BJ2].heard_for_ms = i == BJ1 ? RETURNED_MS - 1 : 0;
    }
    judge();
    CHECK_STR_EQ(names(), "");
    w.nodes[BJ1].links[BJ2].heard_for_ms = RETURNED_MS;
    judge();
    CHECK_STR_EQ(names(), "LINK_CUT");
}

static void a_node_that_started_a_moment_ago_accuses_nobody(void)
{
    world(SH1);
    w.nodes[BJ2].up_ms = 900;
    for (unsigned k = 0; k < WORLD_NODES; k++) {
        w.nodes[BJ2].links[k].heard_age_ms = 1000;
        w.nodes[BJ2].links[k].answer = ANSWER_UNKNOWN;
    }
    judge();
    CHECK_STR_EQ(names(), "");
}

/* Whoever is named first: nothing else may come and go with the order. */
static void of_two_leaders_of_one_term_the_same_one_is_taken_in_any_order(void)
{
    for (unsigned swapped = 0; swapped < 2; swapped++) {
        world(SH1);
        two_leaders_of_one_term();
        struct observed_replica first = *replica(SHARD_BJ, BJ1);
        if (swapped != 0) {
            *replica(SHARD_BJ, BJ1) = *replica(SHARD_BJ, SH2);
            *replica(SHARD_BJ, SH2) = first;
        }
        observation_leader(&w.o, &w.shards[SHARD_BJ]);
        CHECK_EQ(w.shards[SHARD_BJ].leader, BJ1);
        judge();
        CHECK_STR_EQ(names(), "TWO_LEADERS");
    }
}

CHECK_MAIN
{
    RUN(each_situation_is_named_with_its_severity_and_what_is_survived);
    RUN(the_words_do_not_depend_on_the_order_of_nodes_and_shards);
    RUN(a_site_without_the_directory_s_leader_says_who_leads_it_and_what_it_serves);
    RUN(a_site_is_survived_only_while_the_witness_has_what_the_others_lack);
    RUN(the_site_that_lacks_them_says_the_same);
    RUN(one_copy_that_can_go_on_is_enough);
    RUN(a_copy_that_keeps_up_is_not_behind_the_witness);
    RUN(the_directory_is_not_lost_with_what_its_witness_cut);
    RUN(a_standby_is_not_asked_for_where_voters_are_missing);
    RUN(what_to_do_is_said_and_what_not_to_do);
    RUN(a_shard_without_enough_voters_is_lost_and_says_whom_it_needs);
    RUN(copies_that_wait_for_a_lost_site_are_no_reason_to_promise_that_nothing_is_lost);
    RUN(shards_of_other_voters_are_other_findings);
    RUN(shards_of_the_same_voters_are_one_finding_unless_their_copies_differ);
    RUN(a_node_that_just_woke_up_accuses_nobody);
    RUN(a_node_that_just_came_back_is_not_cut_off_from_those_who_wait_to_hear_it);
    RUN(a_node_that_started_a_moment_ago_accuses_nobody);
    RUN(of_two_leaders_of_one_term_the_same_one_is_taken_in_any_order);
}
