/* What a shard survives, who may lead it, and the words of `explain`. */
#include "raft/rules/explain.h"

#include "tests/unit/raft/rules_world.h"

static const char *explained(unsigned shard)
{
    static char text[1200];
    struct sentence s;
    sentence_init(&s, text, sizeof(text));
    explain_leader(&w.o, &w.shards[shard], &s);
    return text;
}

static const char *away(unsigned shard)
{
    static char text[1200];
    struct sentence s;
    sentence_init(&s, text, sizeof(text));
    explain_away(&w.o, &w.shards[shard], &s);
    return text;
}

static void a_leader_is_explained_with_since_when_why_and_every_candidate(void)
{
    world(SH1);
    CHECK_STR_EQ(
        explained(SHARD_BJ),
        "leader bj1 (beijing) since 15:00:00Z term 4: elected; it knew of no leader before; "
        "candidates: bj2 ok; sh1 ok; sh2 ok; wit1 NO keeps_state: it is a witness: it "
        "votes only");
    CHECK_STR_EQ(away(SHARD_BJ), "");
    lead(SHARD_BJ, SH2, 41);
    gone(BJ1, 372000, ANSWER_REFUSED);
    replica(SHARD_BJ, BJ1)->contact_age_ms = AGE_UNKNOWN;
    w.shards[SHARD_BJ].cause = MOVE_LOST;
    w.shards[SHARD_BJ].before = w.shards[SHARD_BJ].lost = BJ1;
    w.shards[SHARD_BJ].silent_ms = 510;
    w.shards[SHARD_BJ].led_ms = 370000;
    replica(SHARD_BJ, BJ2)->lag_entries = 4711;
    CHECK_STR_EQ(explained(SHARD_BJ),
                 "leader sh2 (shanghai) since 15:53:50Z term 41: bj1 was not heard for 0.51s; "
                 "candidates: bj1 NO alive: not heard for 6m12s; bj2 NO caught_up: 4711 entries "
                 "behind, 64 allowed; sh1 ok; wit1 NO keeps_state: it is a witness: it votes only");
    CHECK_STR_EQ(
        away(SHARD_BJ),
        "not in beijing because: bj1 NO alive: not heard for 6m12s; bj2 NO caught_up: 4711 "
        "entries behind, 64 allowed");
}

static void a_handover_is_explained_with_the_words_of_the_one_before(void)
{
    world(SH1);
    struct observed_shard *s = &w.shards[SHARD_BJ];
    lead(SHARD_BJ, BJ2, 6);
    s->cause = MOVE_HANDOVER;
    s->before = WIT1;
    s->lost = BJ1;
    s->silent_ms = 550;
    snprintf(s->why, sizeof(s->why), "it keeps no state");
    CHECK(strstr(explained(SHARD_BJ),
                 "term 6: bj1 was not heard for 0.55s; wit1 handed over: it keeps no state;") !=
          NULL);
    s->lost = -1;
    s->before = SH1;
    snprintf(s->why, sizeof(s->why), "a switchover was asked for");
    CHECK(strstr(explained(SHARD_BJ), "term 6: sh1 handed over: a switchover was asked for;") !=
          NULL);
    s->cause = MOVE_LOST;
    s->before = BJ2;
    CHECK(strstr(explained(SHARD_BJ), "it led before, had lost its majority") != NULL);
}

static void a_shard_that_could_go_home_says_why_it_waits(void)
{
    world(SH1);
    lead(SHARD_BJ, SH1, 9);
    CHECK(strstr(away(SHARD_BJ), "bj1 ok; bj2 ok; it moves in a moment") != NULL);
    w.shards[SHARD_BJ].quiet_ms = 552000;
    CHECK(strstr(away(SHARD_BJ), "on purpose: the preference rests for 9m12s") != NULL);
    w.shards[SHARD_BJ].quiet_ms = AGE_UNKNOWN;
    CHECK(strstr(away(SHARD_BJ), "the preference is switched off") != NULL);
    world_name(w.shards[SHARD_BJ].preference[0], "singapore");
    CHECK_STR_EQ(away(SHARD_BJ), "not in singapore because: no copy is there");
}

static void without_a_quorum_nobody_is_said_to_lead(void)
{
    world(SH1);
    gone(BJ1, 60000, ANSWER_TIMEOUT);
    gone(BJ2, 60000, ANSWER_TIMEOUT);
    gone(WIT1, 60000, ANSWER_TIMEOUT);
    w.o.quorum = false;
    CHECK_EQ(strncmp(explained(SHARD_SH), "without a quorum nobody can say who leads", 41), 0);
    CHECK_STR_EQ(away(SHARD_SH), "");
}

/* TARGET, what is wrong with it, the predicate that fails; -1: it may lead. */
struct row {
    const char *name;
    void (*wrong)(struct observed_replica *r);
    int fails;
};

static void right(struct observed_replica *r)
{
    (void)r;
}
static void no_voter(struct observed_replica *r)
{
    r->voter = false;
}
static void not_heard(struct observed_replica *r)
{
    r->contact_age_ms = 1001;
}
static void not_in_order(struct observed_replica *r)
{
    r->ok = false;
}
static void behind(struct observed_replica *r)
{
    r->lag_entries = 65;
}
static void nearly_there(struct observed_replica *r)
{
    r->lag_entries = 64;
}
static void reaches_nobody(struct observed_replica *r)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        if (i != r->place) {
            w.nodes[r->place].links[i].heard_age_ms = 9000;
        }
    }
}
static void says_nothing(struct observed_replica *r)
{
    r->known = r->ok = r->lag_known = false; /* not known is not a no */
}

static const struct row rows[] = {
    {"all is right", right, -1},
    {"it does not vote", no_voter, CANDIDATE_VOTES},
    {"it has not answered", not_heard, CANDIDATE_ALIVE},
    {"its copy is not in order", not_in_order, CANDIDATE_GOOD},
    {"it is behind", behind, CANDIDATE_CAUGHT_UP},
    {"it is nearly there", nearly_there, -1},
    {"it reaches no majority", reaches_nobody, CANDIDATE_REACHES},
    {"it says nothing of its copy", says_nothing, -1},
};

static void each_predicate_of_a_candidate_fails_by_itself(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct candidate c;
        world(SH1);
        rows[i].wrong(replica(SHARD_BJ, BJ2));
        candidate_seen(&w.o, &w.shards[SHARD_BJ], replica(SHARD_BJ, BJ2), &c);
        for (int k = 0; k < CANDIDATE_CHECKS; k++) {
            bool no = candidate_check(&c, (enum candidate_check)k) == CANDIDATE_NO;
            CHECK_EQ(no, k == rows[i].fails);
        }
        CHECK_EQ(candidate_may_lead(&c), rows[i].fails < 0);
    }
}

static void a_witness_may_lead_the_directory_and_no_mail(void)
{
    struct candidate c;
    world(SH1);
    candidate_seen(&w.o, &w.shards[SHARD_DIR], replica(SHARD_DIR, WIT1), &c);
    CHECK(candidate_may_lead(&c));
    candidate_seen(&w.o, &w.shards[SHARD_BJ], replica(SHARD_BJ, WIT1), &c);
    CHECK(!candidate_may_lead(&c));
}

/* ---- survival of other layouts ---- */

/* Keeps the first n nodes, each a site of its own. */
static void layout(unsigned n, bool witness)
{
    world(0);
    w.o.nodes_n = n;
    for (unsigned i = 0; i < n; i++) {
        snprintf(w.nodes[i].site, sizeof(w.nodes[i].site), "site-%u", i);
        w.nodes[i].role = witness && i == n - 1 ? ROLE_WITNESS : ROLE_DATA;
    }
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        w.shards[s].replicas_n = n;
        w.shards[s].preference_n = 0;
        lead(s, 0, 4);
    }
}

static const char *survives(void)
{
    return judge()->survives;
}

static void smaller_clusters_survive_what_they_can(void)
{
    layout(1, false);
    CHECK_STR_EQ(survives(), "survives nothing: there is one voter");
    CHECK_EQ(w.verdict.findings.severity, SEVERITY_OK); /* as it was wanted */
    layout(3, false);
    CHECK_STR_EQ(survives(), "survives 1 site or any 1 node");
    layout(3, true);
    CHECK_STR_EQ(survives(), "survives 1 site or any 1 node");
    gone(1, 5000, ANSWER_REFUSED);
    CHECK_STR_EQ(survives(), "survives nothing more");
    CHECK_EQ(w.verdict.findings.severity, SEVERITY_ORANGE);
    layout(5, false);
    CHECK_STR_EQ(survives(), "survives 1 site or any 2 nodes");
}

static void a_site_and_the_witness_together_are_judged_apart(void)
{
    struct survival v;
    world(SH1);
    survival_judge(&w.o, &v);
    CHECK_EQ(v.nodes, 2);
    CHECK_EQ(v.site[BJ1], SITE_LOSS_SERVES);
    CHECK_EQ(v.site[WIT1], SITE_LOSS_SERVES);
    CHECK_EQ(v.site_and_witness[BJ1], SITE_LOSS_STOPS);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        CHECK(v.node[i]);
    }
    gone(SH2, 5000, ANSWER_REFUSED);
    survival_judge(&w.o, &v);
    CHECK_EQ(v.nodes, 1);
    CHECK_EQ(v.site[BJ1], SITE_LOSS_STOPS);
    CHECK_EQ(v.site[SH1], SITE_LOSS_SERVES);
    gone(SH1, 5000, ANSWER_REFUSED);
    survival_judge(&w.o, &v);
    CHECK_EQ(v.nodes, 0);
    CHECK_EQ(v.site[SH1], SITE_LOSS_ABSENT);
    CHECK(!v.node[BJ1]);
    CHECK(v.node[SH1]);
}

static void the_weakest_shard_counts(void)
{
    world(SH1);
    replica(SHARD_SH, BJ1)->ok = replica(SHARD_SH, BJ2)->ok = false;
    CHECK_STR_EQ(survives(), "survives site beijing, NOT site shanghai or witness");
    const struct finding *f = found(FINDING_QUORUM_MARGIN);
    CHECK(f != NULL);
    CHECK_STR_EQ(f->object, "mail-shanghai");
    CHECK_STR_EQ(f->next, "wait until these copies are in order: bj1 bj2");
}

CHECK_MAIN
{
    RUN(a_leader_is_explained_with_since_when_why_and_every_candidate);
    RUN(a_handover_is_explained_with_the_words_of_the_one_before);
    RUN(a_shard_that_could_go_home_says_why_it_waits);
    RUN(without_a_quorum_nobody_is_said_to_lead);
    RUN(each_predicate_of_a_candidate_fails_by_itself);
    RUN(a_witness_may_lead_the_directory_and_no_mail);
    RUN(smaller_clusters_survive_what_they_can);
    RUN(a_site_and_the_witness_together_are_judged_apart);
    RUN(the_weakest_shard_counts);
}
