/* Shard by shard; what several have in common is one finding with their names. */
#include "raft/rules/leaders.h"

#include <string.h>

#include "raft/rules/footing.h"

/* ---- what must never be ---- */

static void two_leaders(const struct observation *o, const struct observed_shard *s,
                        const struct observed_replica *a, const struct observed_replica *b,
                        struct findings *f)
{
    struct sentence t;
    bool in_order = o->nodes[a->place].node < o->nodes[b->place].node;
    const char *first = o->nodes[(in_order ? a : b)->place].name;
    const char *second = o->nodes[(in_order ? b : a)->place].name;
    struct finding *at = findings_add(f, FINDING_TWO_LEADERS, SEVERITY_RED, s->name);
    finding_text(at, &t);
    sentence_add(&t,
                 "two leaders of %s in term %llu: %s and %s. This must never be: writes of one of "
                 "them may be lost",
                 s->name, (unsigned long long)a->term, first, second);
    finding_next(at, &t);
    sentence_add(&t, "stop %s and %s, keep both data directories, ask for help with their logs",
                 first, second);
    finding_avoid(at, &t);
    sentence_add(&t, "restart, switch over or empty a data directory before that");
}

static void stale_leader(const struct observation *o, const struct observed_shard *s,
                         const struct observed_replica *old, struct findings *f)
{
    struct sentence t;
    const char *name = o->nodes[old->place].name;
    struct finding *at = findings_add(f, FINDING_STALE_LEADER, SEVERITY_BLUE, s->name);
    finding_text(at, &t);
    sentence_add(
        &t,
        "%s still takes itself for the leader of %s in term %llu; %s leads in term %llu. "
        "Harmless: without a majority it acknowledges nothing, and it steps down by itself",
        name, s->name, (unsigned long long)old->term, o->nodes[s->leader].name,
        (unsigned long long)s->term);
}

static void judge_leaders(const struct observation *o, const struct observed_shard *s,
                          struct findings *f)
{
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *a = &s->replicas[i];
        if (!a->known || !a->leads) {
            continue;
        }
        for (unsigned k = 0; k < i; k++) {
            const struct observed_replica *b = &s->replicas[k];
            if (b->known && b->leads && b->term == a->term) {
                two_leaders(o, s, a, b, f);
            }
        }
        if (s->leader >= 0 && (int)a->place != s->leader && a->term < s->term) {
            stale_leader(o, s, a, f);
        }
    }
}

static bool keeps_state(const struct observed_replica *r)
{
    static const uint8_t none[sizeof(r->digest)];
    return r->known && r->ok && r->digest_index > 0 && memcmp(r->digest, none, sizeof(none)) != 0;
}

static bool comparable(const struct observed_replica *a, const struct observed_replica *b)
{
    return keeps_state(a) && keeps_state(b) && a->digest_index == b->digest_index;
}

static bool same_state(const struct observed_replica *a, const struct observed_replica *b)
{
    return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* Names of those that are like r, or unlike it; how many. */
static unsigned likes(const struct observation *o, const struct observed_shard *s,
                      const struct observed_replica *r, bool like, struct sentence *t)
{
    struct name_list l = {.s = t};
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        const struct observed_replica *other = observation_replica(s, (unsigned)i);
        if (other != NULL && comparable(r, other) && same_state(r, other) == like) {
            name_list_add(&l, o->nodes[i].name);
        }
    }
    name_list_end(&l);
    return l.n;
}

/* Against the state that most of them have. */
static void judge_digests(const struct observation *o, const struct observed_shard *s,
                          struct findings *f)
{
    char good[300], bad[300];
    struct sentence yes, no, t;
    const struct observed_replica *most = NULL;
    unsigned most_n = 0;
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        const struct observed_replica *r = observation_replica(s, (unsigned)i);
        if (r == NULL) {
            continue;
        }
        sentence_init(&yes, good, sizeof(good));
        sentence_init(&no, bad, sizeof(bad));
        unsigned like = likes(o, s, r, true, &yes);
        if (likes(o, s, r, false, &no) > 0 && like > most_n) {
            most = r;
            most_n = like;
        }
    }
    if (most == NULL) {
        return;
    }
    sentence_init(&yes, good, sizeof(good));
    sentence_init(&no, bad, sizeof(bad));
    (void)likes(o, s, most, true, &yes);
    (void)likes(o, s, most, false, &no);
    struct finding *at = findings_add(f, FINDING_DIVERGENCE, SEVERITY_RED, s->name);
    finding_text(at, &t);
    sentence_add(&t, "the copies of %s differ at index %llu: %s against %s", s->name,
                 (unsigned long long)most->digest_index, bad, good);
    finding_next(at, &t);
    sentence_add(&t, "clusterctl verify --deep: it names the copy that is wrong");
    finding_avoid(at, &t);
    sentence_add(&t, "switch over, or empty a data directory before that is known");
}

/* ---- where ---- */

void leaders_why(const struct observation *o, const struct observed_shard *s,
                 struct sentence *out_s)
{
    char span[SPAN_TEXT_SIZE];
    const char *before = s->before >= 0 ? o->nodes[s->before].name : "the one before";
    if (!s->led_known) {
        sentence_add(out_s, "it is not heard here, others say that it leads");
    } else if (s->cause == MOVE_FIRST) {
        sentence_add(out_s, "elected; it knew of no leader before");
    } else if (s->cause == MOVE_HANDOVER) {
        if (s->lost >= 0) {
            sentence_add(out_s, "%s was not heard for %s; ", o->nodes[s->lost].name,
                         span_format(s->silent_ms, span));
        }
        sentence_add(out_s, "%s handed over%s%s", before, s->why[0] != '\0' ? ": " : "", s->why);
    } else if (s->cause == MOVE_LOST && s->before == s->leader) {
        sentence_add(out_s, "it led before, had lost its majority, and was elected again");
    } else if (s->cause == MOVE_LOST) {
        sentence_add(out_s, "%s was not heard for %s", before, span_format(s->silent_ms, span));
    } else {
        sentence_add(out_s, "it is not known why");
    }
}

/* Not on purpose, and not long ago. */
static bool just_moved(const struct observed_shard *s)
{
    return s->led_known && s->led_ms <= MOVED_SHOWN_MS &&
           (s->cause == MOVE_LOST || (s->cause == MOVE_HANDOVER && s->lost >= 0));
}

static void moved(const struct observation *o, struct findings *f)
{
    char names[300], span[SPAN_TEXT_SIZE];
    struct sentence list, t;
    const struct observed_shard *first = NULL;
    struct name_list l = {.s = &list};
    sentence_init(&list, names, sizeof(names));
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        if (just_moved(&o->shards[i])) {
            first = first == NULL ? &o->shards[i] : first;
            name_list_add(&l, o->shards[i].name);
        }
    }
    if (first == NULL) {
        return;
    }
    name_list_end(&l);
    struct finding *at =
        findings_add(f, FINDING_LEADER_MOVED, SEVERITY_BLUE, l.n == 1 ? first->name : "");
    at->since_ms = first->led_ms;
    finding_text(at, &t);
    sentence_add(&t, "%s moved: %s is led by %s since %s ago (term %llu): ", names, first->name,
                 o->nodes[first->leader].name, span_format(first->led_ms, span),
                 (unsigned long long)first->term);
    leaders_why(o, first, &t);
    finding_next(at, &t);
    sentence_add(&t, "clusterctl explain %s", first->name);
}

static bool is_away(const struct observation *o, const struct observed_shard *s)
{
    return s->leader >= 0 && s->preference_n > 0 &&
           strcmp(o->nodes[s->leader].site, s->preference[0]) != 0;
}

static void away(const struct observation *o, struct findings *f)
{
    char names[300];
    struct sentence list, t;
    const struct observed_shard *first = NULL;
    struct name_list l = {.s = &list};
    sentence_init(&list, names, sizeof(names));
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        if (is_away(o, &o->shards[i])) {
            first = first == NULL ? &o->shards[i] : first;
            name_list_add(&l, o->shards[i].name);
        }
    }
    if (first == NULL) {
        return;
    }
    name_list_end(&l);
    struct finding *at = findings_add(f, FINDING_AWAY, SEVERITY_BLUE, l.n == 1 ? first->name : "");
    finding_text(at, &t);
    if (l.n == 1) {
        sentence_add(&t, "%s is away: led by %s in %s, it prefers %s", names,
                     o->nodes[first->leader].name, o->nodes[first->leader].site,
                     first->preference[0]);
    } else {
        sentence_add(&t, "%u shards are away from the site they prefer: %s", l.n, names);
    }
    finding_next(at, &t);
    sentence_add(&t, "clusterctl explain %s", first->name);
}

void leaders_judge(const struct observation *o, struct findings *f)
{
    for (unsigned i = 0; i < o->shards_n; i++) {
        judge_leaders(o, &o->shards[i], f);
        judge_digests(o, &o->shards[i], f);
    }
    footing_judge(o, f);
    moved(o, f);
    away(o, f);
}
