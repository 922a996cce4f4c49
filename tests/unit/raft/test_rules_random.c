/* Whatever is observed, possible or not: the verdict is bounded, ordered, and says the same of the same things in another order. */
#include "base/random.h"
#include "raft/rules/explain.h"
#include "tests/unit/raft/rules_world.h"

#define WORLDS 3000

static struct random rng;

static bool sometimes(unsigned percent)
{
    return random_below(&rng, 100) < percent;
}

static uint64_t any_age(void)
{
    static const uint64_t ages[] = {0, 50, 999, 1000, 1001, 1500, 2000, 2001, 5000, 60000, 372000};
    return sometimes(5)   ? AGE_UNKNOWN
           : sometimes(3) ? random_u64(&rng)
                          : ages[random_below(&rng, sizeof(ages) / sizeof(ages[0]))];
}

static void any_node(unsigned i)
{
    struct observed_node *n = &w.nodes[i];
    n->speaks = i == w.o.self || sometimes(70);
    n->said_age_ms = i == w.o.self ? 0 : n->speaks ? random_below(&rng, 1000) : any_age();
    n->up_ms = any_age();
    n->stall_ms = any_age();
    n->stall_age_ms = sometimes(80) ? AGE_UNKNOWN : any_age();
    n->sync_us = sometimes(5) ? random_u64(&rng) : 3000;
    n->certificate_left_ms = sometimes(90) ? AGE_UNKNOWN : any_age();
    n->disk_total_bytes = sometimes(10) ? random_u64(&rng) : 1000;
    n->disk_free_bytes = sometimes(10) ? random_u64(&rng) : 900;
    for (unsigned k = 0; k < WORLD_NODES; k++) {
        struct observed_link *l = &n->links[k];
        l->heard_age_ms = sometimes(60) ? n->said_age_ms : any_age();
        l->heard_for_ms = sometimes(60) ? 3600000 : any_age();
        l->answer = (enum link_answer)random_below(&rng, ANSWER_TIMEOUT + 1);
        l->clock_error_us = sometimes(50) ? 0 : 1 + random_below(&rng, 100000);
        l->clock_offset_us = (int64_t)random_below(&rng, 400000) - 200000;
        l->breaks = (unsigned)random_below(&rng, 8);
    }
}

static struct observed_feed feeds[3];

static void any_feeds(void)
{
    w.o.feeds = feeds;
    w.o.feeds_n = (unsigned)random_below(&rng, 4);
    for (unsigned i = 0; i < w.o.feeds_n; i++) {
        (void)snprintf(feeds[i].host, sizeof(feeds[i].host), "mx%u", i);
        feeds[i].certificate_left_ms = any_age();
    }
}

static void any_replica(struct observed_replica *r)
{
    r->voter = sometimes(95);
    r->known = w.nodes[r->place].speaks && sometimes(90);
    r->ok = r->known && sometimes(90);
    r->leads = r->known && sometimes(30);
    r->term = random_below(&rng, 4);
    r->follows = sometimes(70) ? (int)random_below(&rng, WORLD_NODES) : -1;
    r->leader_age_ms = any_age();
    r->contact_age_ms = any_age();
    r->lag_known = sometimes(70);
    r->lag_ms = sometimes(60) ? 0 : any_age();
    r->lag_slope_known = sometimes(60);
    r->lag_slope_us = (int64_t)random_u64(&rng) >> random_below(&rng, 63);
    r->first_index = random_below(&rng, 200);
    r->commit_index = random_below(&rng, 200);
    r->match_index = random_below(&rng, 200);
    r->digest_index = random_below(&rng, 3);
    r->digest[0] = (uint8_t)random_below(&rng, 2);
    snprintf(r->state, sizeof(r->state), "%s",
             r->ok           ? "ok"
             : sometimes(30) ? "AMNESIA: x"
                             : "installing 4%");
}

static void any_world(void)
{
    world((unsigned)random_below(&rng, WORLD_NODES));
    w.o.quorum = sometimes(90);
    w.o.wall_ms = sometimes(95) ? WORLD_WALL_MS : random_below(&rng, 100000);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        any_node(i);
    }
    any_feeds();
    for (unsigned k = 0; k < WORLD_SHARDS; k++) {
        struct observed_shard *s = &w.shards[k];
        for (unsigned i = 0; i < WORLD_NODES; i++) {
            any_replica(&s->replicas[i]);
        }
        observation_leader(&w.o, s);
        s->led_known = s->leader >= 0 && w.nodes[s->leader].speaks;
        s->led_ms = any_age();
        s->quiet_ms = any_age();
        s->cause = (enum move_cause)random_below(&rng, MOVE_HANDOVER + 1);
        s->before = (int)random_below(&rng, WORLD_NODES + 1) - 1;
        s->lost = (int)random_below(&rng, WORLD_NODES + 1) - 1;
        s->silent_ms = any_age();
    }
}

static void explain_all(void)
{
    for (unsigned k = 0; k < WORLD_SHARDS; k++) {
        char text[300];
        struct sentence s;
        sentence_init(&s, text, sizeof(text));
        explain_leader(&w.o, &w.shards[k], &s);
        explain_away(&w.o, &w.shards[k], &s);
        CHECK(strlen(text) < sizeof(text));
    }
}

static void check_bounded_and_ordered(const struct verdict *v)
{
    const struct findings *f = &v->findings;
    CHECK(f->n <= FINDINGS_MAX);
    for (unsigned i = 0; i < f->n; i++) {
        CHECK(f->items[i].severity <= f->severity);
        CHECK(i == 0 || f->items[i].severity <= f->items[i - 1].severity);
        CHECK(f->items[i].text[0] != '\0');
        CHECK(strlen(f->items[i].text) < FINDING_TEXT_SIZE);
    }
    CHECK(observation_majority_heard(&w.o) || f->severity == SEVERITY_RED);
    CHECK_EQ(w.o.quorum, v->survives[0] != '\0');
    CHECK(v->headline[0] != '\0');
}

static void every_observation_gets_a_bounded_ordered_verdict_whatever_its_order(void)
{
    static struct verdict first;
    random_init_seed(&rng, check_seed());
    for (unsigned n = 0; n < WORLDS; n++) {
        any_world();
        first = *judge();
        check_bounded_and_ordered(&first);
        explain_all();
        world_swap_nodes((unsigned)random_below(&rng, WORLD_NODES),
                         (unsigned)random_below(&rng, WORLD_NODES));
        struct observed_shard shard = w.shards[0];
        w.shards[0] = w.shards[1];
        w.shards[1] = shard;
        struct observed_feed feed = feeds[0];
        feeds[0] = feeds[w.o.feeds_n > 0 ? w.o.feeds_n - 1 : 0];
        feeds[w.o.feeds_n > 0 ? w.o.feeds_n - 1 : 0] = feed;
        judge();
        CHECK_EQ(w.verdict.findings.n, first.findings.n);
        CHECK_STR_EQ(w.verdict.headline, first.headline);
        CHECK_STR_EQ(w.verdict.survives, first.survives);
        for (unsigned i = 0; i < first.findings.n; i++) {
            CHECK_STR_EQ(w.verdict.findings.items[i].text, first.findings.items[i].text);
        }
    }
}

CHECK_MAIN
{
    RUN(every_observation_gets_a_bounded_ordered_verdict_whatever_its_order);
}
