/* Nodes first, then sites, then the links between those that live. */
#include "raft/rules/failure.h"

#include <string.h>

#include "raft/rules/candidate.h"

static bool gone(const struct observation *o, unsigned i)
{
    return i != o->self && !observation_alive(o, i);
}

/* ---- no majority ---- */

static void heard_list(const struct observation *o, bool heard, struct sentence *s)
{
    struct name_list l = {.s = s};
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (o->nodes[i].speaks == heard) {
            name_list_add(&l, o->nodes[i].name);
        }
    }
    name_list_end(&l);
}

/* The voters among them that are not heard. */
static void missing_list(const struct observation *o, struct sentence *s)
{
    struct name_list l = {.s = s};
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (o->nodes[i].role != ROLE_STANDBY && !o->nodes[i].speaks) {
            name_list_add(&l, o->nodes[i].name);
        }
    }
    name_list_end(&l);
}

static void no_quorum(const struct observation *o, struct findings *f)
{
    char time[TIME_TEXT_SIZE];
    struct sentence s;
    struct observed_votes votes = observation_votes(o);
    unsigned heard = 0;
    uint64_t since = AGE_UNKNOWN;
    bool majority = observation_majority_heard(o);
    struct finding *at = findings_add(f, FINDING_NO_QUORUM, SEVERITY_RED, "");
    for (unsigned i = 0; i < o->nodes_n; i++) {
        const struct observed_node *n = &o->nodes[i];
        uint64_t age = o->nodes[o->self].links[i].heard_age_ms;
        heard += n->speaks ? 1 : 0;
        since = !n->speaks && age < since ? age : since;
    }
    finding_text(at, &s);
    sentence_add(&s, "NO QUORUM, LOCAL VIEW %s: %u of %u (", o->nodes[o->self].name, heard,
                 o->nodes_n);
    heard_list(o, true, &s);
    sentence_add(&s, ")");
    if (heard < o->nodes_n) {
        sentence_add(&s, "; ");
        heard_list(o, false, &s);
        sentence_add(&s, " unheard");
        if (since != AGE_UNKNOWN && since < o->wall_ms) {
            sentence_add(&s, " since %s", time_format(o->wall_ms - since, time));
        }
        at->since_ms = since;
    }
    if (!o->founded || majority) {
        sentence_add(&s, "; %s", o->note);
    }
    if (!o->founded) {
        return;
    }
    finding_next(at, &s);
    if (majority) {
        sentence_add(&s, "ask again in a moment; clusterctl status --node another one");
        return;
    }
    sentence_add(&s, "bring back ANY %u of ", votes.all / 2 + 1 - votes.heard);
    missing_list(o, &s);
    sentence_add(&s, ", or the network to them: heals itself, nothing is lost");
    finding_avoid(at, &s);
    sentence_add(&s, "remove, copy or restore a data directory");
}

/* ---- a majority, and the directory's leader out of earshot ---- */

/* NULL: it is heard, or nobody knows of one. */
static const struct observed_shard *directory_led_elsewhere(const struct observation *o)
{
    for (unsigned i = 0; i < o->shards_n; i++) {
        const struct observed_shard *s = &o->shards[i];
        if (s->shard == SHARD_DIRECTORY && s->leader >= 0 && s->leader_hearsay) {
            return s;
        }
    }
    return NULL;
}

/* By a leader that is heard here and reaches a majority of the shard's voters. */
static bool served_here(const struct observation *o, const struct observed_shard *s)
{
    struct candidate c;
    if (s->leader < 0 || s->leader_hearsay) {
        return false;
    }
    const struct observed_replica *leader = observation_replica(s, (unsigned)s->leader);
    if (leader == NULL) {
        return false;
    }
    candidate_seen(o, s, leader, &c);
    return c.reaches >= c.majority;
}

/* The link that is cut is found and named beside it. */
static void unconfirmed(const struct observation *o, const struct observed_shard *directory,
                        struct findings *f)
{
    char served[300];
    struct sentence s, list;
    struct name_list l = {.s = &list};
    const char *leader = o->nodes[directory->leader].name;
    struct finding *at =
        findings_add(f, FINDING_UNCONFIRMED, SEVERITY_YELLOW, o->nodes[o->self].name);
    sentence_init(&list, served, sizeof(served));
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        if (served_here(o, &o->shards[i])) {
            name_list_add(&l, o->shards[i].name);
        }
    }
    name_list_end(&l);
    finding_text(at, &s);
    sentence_add(&s, "view of %s, not confirmed: the directory is led by %s, not heard here",
                 o->nodes[o->self].name, leader);
    if (l.n > 0) {
        sentence_add(&s, "; led by nodes that are heard here, and served: %s", served);
    }
    finding_next(at, &s);
    sentence_add(&s, "repair the network to %s; clusterctl status --node %s is confirmed", leader,
                 leader);
}

/* ---- nodes and sites ---- */

static void reporters(const struct observation *o, unsigned of, struct sentence *s)
{
    struct name_list l = {.s = s};
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (o->nodes[i].speaks && !observation_same_site(o, (unsigned)i, of)) {
            name_list_add(&l, o->nodes[i].name);
        }
    }
    name_list_end(&l);
}

static void since_text(const struct observation *o, struct finding *at, uint64_t age,
                       struct sentence *s)
{
    char time[TIME_TEXT_SIZE];
    at->since_ms = age;
    if (age != AGE_UNKNOWN && age < o->wall_ms) {
        sentence_add(s, " since %s", time_format(o->wall_ms - age, time));
    }
}

/* How connections to it end, as all who speak say: one refusal is enough to know that no process is there. */
static enum link_answer answer_of(const struct observation *o, unsigned place)
{
    enum link_answer best = ANSWER_UNKNOWN;
    for (unsigned i = 0; i < o->nodes_n; i++) {
        enum link_answer a = o->nodes[i].speaks ? o->nodes[i].links[place].answer : ANSWER_UNKNOWN;
        if (a == ANSWER_REFUSED) {
            return a;
        }
        if (a == ANSWER_NONE || (a == ANSWER_TIMEOUT && best != ANSWER_NONE) ||
            (a == ANSWER_GOOD && best == ANSWER_UNKNOWN)) {
            best = a;
        }
    }
    return best == ANSWER_GOOD ? ANSWER_NONE : best; /* a connection that just went quiet */
}

static const char *answer_text(enum link_answer a)
{
    switch (a) {
        case ANSWER_REFUSED:
            return "connections are refused or ended: no mailquorumd runs there";
        case ANSWER_NONE:
            return "connections are taken and nothing answers: frozen, or its packets are "
                   "swallowed";
        case ANSWER_TIMEOUT:
            return "no connection can be made: machine or network down";
        default:
            return "it is not known why";
    }
}

/* In its last words it had not heard any of those who heard these words. */
static bool was_deaf(const struct observation *o, unsigned place)
{
    const struct observed_node *n = &o->nodes[place];
    bool any = false;
    if (n->said_age_ms == AGE_UNKNOWN || n->up_ms < ONE_WAY_MS_MIN) {
        return false;
    }
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (i == place || !o->nodes[i].speaks) {
            continue;
        }
        uint64_t age = n->links[i].heard_age_ms;
        if (age == AGE_UNKNOWN || age < n->said_age_ms + ONE_WAY_MS_MIN) {
            return false;
        }
        any = true;
    }
    return any;
}

static void one_way_node(const struct observation *o, unsigned i, bool still, struct findings *f)
{
    struct sentence s;
    uint64_t since = AGE_UNKNOWN;
    for (unsigned k = 0; k < o->nodes_n; k++) { /* since it heard any of those who are heard */
        uint64_t age = k != i && o->nodes[k].speaks ? o->nodes[i].links[k].heard_age_ms : since;
        since = age < since ? age : since;
    }
    struct finding *at = findings_add(f, FINDING_ASYMMETRIC, SEVERITY_ORANGE, o->nodes[i].name);
    finding_text(at, &s);
    sentence_add(&s, "%s<-*: %s hears nobody", o->nodes[i].name, o->nodes[i].name);
    since_text(o, at, since, &s);
    sentence_add(&s, still ? ", and is heard" : ", and was heard for a while after that");
    finding_next(at, &s);
    sentence_add(&s, "look at the network towards %s: firewall, routes, one direction of a link",
                 o->nodes[i].name);
}

static void node_down(const struct observation *o, unsigned i, struct findings *f)
{
    struct sentence s;
    const struct observed_node *n = &o->nodes[i];
    enum link_answer a = answer_of(o, i);
    bool frozen = a == ANSWER_NONE;
    if (was_deaf(o, i)) {
        one_way_node(o, i, false, f);
        return;
    }
    struct finding *at =
        findings_add(f, frozen ? FINDING_NODE_FROZEN : FINDING_NODE_DOWN, SEVERITY_YELLOW, n->name);
    finding_text(at, &s);
    sentence_add(&s, "%s (%s) %s", n->name, n->site, frozen ? "FROZEN" : "DOWN");
    since_text(o, at, observation_unheard_ms(o, i), &s);
    sentence_add(&s, ": %s", answer_text(a));
    finding_next(at, &s);
    if (a == ANSWER_REFUSED) {
        sentence_add(&s, "start mailquorumd on %s; its log says why it ended", n->name);
    } else if (frozen) {
        sentence_add(&s, "look at %s: is mailquorumd stopped (kill -CONT), or does its disk hang?",
                     n->name);
    } else {
        sentence_add(&s, "look at the machine %s and the network to it", n->name);
    }
    finding_avoid(at, &s);
    sentence_add(&s, frozen ? "start a second mailquorumd there" : "empty its data directory");
}

static void site_down(const struct observation *o, unsigned first, unsigned nodes, bool witness,
                      struct findings *f)
{
    struct sentence s;
    const char *site = o->nodes[first].site;
    uint64_t since = AGE_UNKNOWN;
    enum link_answer a = answer_of(o, first);
    bool mixed = false;
    struct finding *at = findings_add(f, witness ? FINDING_WITNESS_DOWN : FINDING_SITE_DOWN,
                                      witness ? SEVERITY_YELLOW : SEVERITY_ORANGE, site);
    struct name_list l = {.s = &s};
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (observation_same_site(o, i, first)) {
            uint64_t age = observation_unheard_ms(o, i);
            since = age < since ? age : since;
            mixed = mixed || answer_of(o, i) != a;
        }
    }
    finding_text(at, &s);
    sentence_add(&s, "%s GONE", site);
    since_text(o, at, since, &s);
    sentence_add(&s, " (0/%u nodes, silent from ", nodes);
    reporters(o, first, &s);
    sentence_add(&s, "): %s", mixed ? "none of them answers" : answer_text(a));
    finding_next(at, &s);
    sentence_add(&s, "bring back any node of %s (", site);
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (observation_same_site(o, (unsigned)i, first)) {
            name_list_add(&l, o->nodes[i].name);
        }
    }
    name_list_end(&l);
    sentence_add(&s, ") or the network to it: it catches up by itself");
    finding_avoid(at, &s);
    sentence_add(&s, "empty or restore the data directories of %s", site);
}

/* Every site once, by its first node. */
static void judge_site(const struct observation *o, unsigned first, struct findings *f)
{
    unsigned nodes = 0, away = 0, deaf = 0;
    bool witness = true, standby = true;
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (observation_same_site(o, i, first)) {
            nodes++;
            away += gone(o, i) ? 1 : 0;
            deaf += gone(o, i) && was_deaf(o, i) ? 1 : 0;
            witness = witness && o->nodes[i].role == ROLE_WITNESS;
            standby = standby && o->nodes[i].role == ROLE_STANDBY;
        }
    }
    if (away == nodes && deaf == 0 && !standby) {
        site_down(o, first, nodes, witness, f);
        return;
    }
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (observation_same_site(o, (unsigned)i, first) && gone(o, (unsigned)i)) {
            node_down(o, (unsigned)i, f);
        }
    }
}

/* ---- links between those that live ---- */

enum link_state { LINK_WHOLE, LINK_BOTH_CUT, LINK_FIRST_DEAF, LINK_SECOND_DEAF };

static enum hearing hears_now(const struct observation *o, unsigned a, unsigned b)
{
    if (a == o->self) {
        return o->nodes[b].speaks ? HEARING_YES : HEARING_NO;
    }
    return observation_hears(o, a, b, DEAF_MS_MIN);
}

/* Heard, and deaf to everybody who lives: one finding says it. */
static bool hears_nobody(const struct observation *o, unsigned i)
{
    unsigned others = 0;
    if (i == o->self || !o->nodes[i].speaks || !observation_settled(o, i)) {
        return false;
    }
    for (unsigned k = 0; k < o->nodes_n; k++) {
        if (k != i && o->nodes[k].speaks) {
            if (hears_now(o, i, k) != HEARING_NO) {
                return false;
            }
            others++;
        }
    }
    return others > 1;
}

/* Nothing is to be said of its links. */
static bool apart(const struct observation *o, unsigned i)
{
    return gone(o, i) || hears_nobody(o, i) || !(i == o->self || observation_settled(o, i));
}

static enum link_state link_state(const struct observation *o, unsigned a, unsigned b)
{
    enum hearing ab = hears_now(o, a, b), ba = hears_now(o, b, a);
    if (ab == HEARING_NO && ba == HEARING_YES) {
        return LINK_FIRST_DEAF;
    }
    if (ba == HEARING_NO && ab == HEARING_YES) {
        return LINK_SECOND_DEAF;
    }
    return ab == HEARING_NO || ba == HEARING_NO ? LINK_BOTH_CUT : LINK_WHOLE;
}

/* Since when the link is as it is. */
static uint64_t link_silent_ms(const struct observation *o, unsigned a, unsigned b,
                               enum link_state state)
{
    uint64_t ab = o->nodes[a].speaks ? o->nodes[a].links[b].heard_age_ms : AGE_UNKNOWN;
    uint64_t ba = o->nodes[b].speaks ? o->nodes[b].links[a].heard_age_ms : AGE_UNKNOWN;
    switch (state) {
        case LINK_FIRST_DEAF:
            return ab;
        case LINK_SECOND_DEAF:
            return ba;
        case LINK_BOTH_CUT:
            return ab < ba ? ab : ba;
        default:
            return AGE_UNKNOWN;
    }
}

/* What all pairs across two sites have in common. */
struct crossing {
    unsigned pairs, both, first_deaf, second_deaf;
    uint64_t silent_ms;
};

static struct crossing crossing_of(const struct observation *o, unsigned a, unsigned b)
{
    struct crossing c = {.silent_ms = AGE_UNKNOWN};
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (!observation_same_site(o, i, a) || apart(o, i)) {
            continue;
        }
        for (unsigned k = 0; k < o->nodes_n; k++) {
            if (!observation_same_site(o, k, b) || apart(o, k)) {
                continue;
            }
            enum link_state state = link_state(o, i, k);
            uint64_t silent = link_silent_ms(o, i, k, state);
            c.pairs++;
            c.both += state == LINK_BOTH_CUT ? 1 : 0;
            c.first_deaf += state == LINK_FIRST_DEAF ? 1 : 0;
            c.second_deaf += state == LINK_SECOND_DEAF ? 1 : 0;
            c.silent_ms = silent < c.silent_ms ? silent : c.silent_ms;
        }
    }
    return c;
}

static void link_cut(const struct observation *o, const char *a, const char *b,
                     enum finding_kind kind, enum severity severity, uint64_t silent_ms,
                     struct findings *f)
{
    char object[NAME_MAX_BYTES + 1];
    struct sentence s;
    sentence_init(&s, object, sizeof(object));
    sentence_add(&s, "%s-%s", a, b);
    struct finding *at = findings_add(f, kind, severity, object);
    finding_text(at, &s);
    sentence_add(&s, "%s and %s do not hear each other", a, b);
    since_text(o, at, silent_ms, &s);
    sentence_add(&s, "; both live%s",
                 kind == FINDING_DC_LINK_CUT ? ", each site serves what it leads" : "");
    finding_next(at, &s);
    sentence_add(&s, "repair the network between %s and %s; what is behind catches up by itself", a,
                 b);
    finding_avoid(at, &s);
    sentence_add(&s, "stop nodes of either side");
}

static void one_way(const struct observation *o, const char *deaf, const char *heard,
                    uint64_t silent_ms, struct findings *f)
{
    char object[NAME_MAX_BYTES + 1];
    struct sentence s;
    sentence_init(&s, object, sizeof(object));
    sentence_add(&s, "%s<-%s", deaf, heard);
    struct finding *at = findings_add(f, FINDING_ASYMMETRIC, SEVERITY_ORANGE, object);
    finding_text(at, &s);
    sentence_add(&s, "%s<-%s: %s does not hear %s", deaf, heard, deaf, heard);
    since_text(o, at, silent_ms, &s);
    sentence_add(&s, ", and is heard by it");
    finding_next(at, &s);
    sentence_add(&s, "look at the way from %s to %s: firewall, routes, one direction of a link",
                 heard, deaf);
}

static bool witness_site(const struct observation *o, unsigned place)
{
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (observation_same_site(o, i, place) && o->nodes[i].role != ROLE_WITNESS) {
            return false;
        }
    }
    return true;
}

static void judge_pair(const struct observation *o, unsigned a, unsigned b, struct findings *f)
{
    enum link_state state = apart(o, a) || apart(o, b) ? LINK_WHOLE : link_state(o, a, b);
    const char *first = o->nodes[a].name, *second = o->nodes[b].name;
    uint64_t silent = link_silent_ms(o, a, b, state);
    if (state == LINK_BOTH_CUT) {
        link_cut(o, first, second, FINDING_LINK_CUT, SEVERITY_YELLOW, silent, f);
    } else if (state == LINK_FIRST_DEAF) {
        one_way(o, first, second, silent, f);
    } else if (state == LINK_SECOND_DEAF) {
        one_way(o, second, first, silent, f);
    }
}

/* Whole sites where they agree, else pair by pair. a and b are first nodes of their sites, a's number is the lower one. */
static void judge_sites(const struct observation *o, unsigned a, unsigned b, struct findings *f)
{
    struct crossing c = crossing_of(o, a, b);
    const char *first = o->nodes[a].site, *second = o->nodes[b].site;
    if (c.pairs > 0 && c.both == c.pairs) {
        bool witness = witness_site(o, a) || witness_site(o, b);
        link_cut(o, first, second, witness ? FINDING_LINK_CUT : FINDING_DC_LINK_CUT,
                 witness ? SEVERITY_YELLOW : SEVERITY_ORANGE, c.silent_ms, f);
    } else if (c.pairs > 1 && c.first_deaf == c.pairs) {
        one_way(o, first, second, c.silent_ms, f);
    } else if (c.pairs > 1 && c.second_deaf == c.pairs) {
        one_way(o, second, first, c.silent_ms, f);
    } else if (c.both + c.first_deaf + c.second_deaf > 0) {
        for (unsigned i = 0; i < o->nodes_n; i++) {
            for (unsigned k = 0; k < o->nodes_n; k++) {
                if (observation_same_site(o, i, a) && observation_same_site(o, k, b)) {
                    judge_pair(o, i, k, f);
                }
            }
        }
    }
}

static void judge_links(const struct observation *o, struct findings *f)
{
    for (unsigned a = 0; a < o->nodes_n; a++) {
        for (unsigned b = 0; b < o->nodes_n; b++) {
            if (o->nodes[a].node >= o->nodes[b].node) {
                continue;
            }
            if (observation_same_site(o, a, b)) {
                judge_pair(o, a, b, f);
            } else if (observation_first_of_site(o, a) && observation_first_of_site(o, b)) {
                judge_sites(o, a, b, f);
            }
        }
    }
}

void failure_judge(const struct observation *o, struct findings *f)
{
    bool majority = observation_majority_heard(o);
    if (!o->quorum && !(o->local && majority)) {
        const struct observed_shard *elsewhere = majority ? directory_led_elsewhere(o) : NULL;
        if (elsewhere != NULL) {
            unconfirmed(o, elsewhere, f);
        } else {
            no_quorum(o, f);
        }
        if (!majority) {
            return;
        }
    }
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (observation_first_of_site(o, (unsigned)i)) {
            judge_site(o, (unsigned)i, f);
        }
        if (hears_nobody(o, (unsigned)i)) {
            one_way_node(o, (unsigned)i, true, f);
        }
    }
    judge_links(o, f);
}
