/* Small questions to an observation. */
#include "raft/rules/observation.h"

#include <string.h>

enum hearing observation_hears(const struct observation *o, unsigned a, unsigned b,
                               uint64_t limit_ms)
{
    const struct observed_node *n = &o->nodes[a];
    if (!n->speaks) {
        return HEARING_UNKNOWN;
    }
    uint64_t age = n->links[b].heard_age_ms;
    if (age == AGE_UNKNOWN) {
        return HEARING_UNKNOWN;
    }
    uint64_t then = age > n->said_age_ms ? age - n->said_age_ms : 0;
    if (then <= limit_ms) {
        return HEARING_YES;
    }
    uint64_t awake = n->stall_age_ms > n->said_age_ms ? n->stall_age_ms - n->said_age_ms : 0;
    return awake <= limit_ms ? HEARING_UNKNOWN : HEARING_NO; /* it had no time to hear anybody */
}

struct observed_votes observation_votes(const struct observation *o)
{
    struct observed_votes v = {0};
    for (unsigned i = 0; i < o->nodes_n; i++) {
        bool votes = o->nodes[i].role != ROLE_STANDBY;
        v.all += votes ? 1 : 0;
        v.heard += votes && o->nodes[i].speaks ? 1 : 0;
    }
    return v;
}

bool observation_majority_heard(const struct observation *o)
{
    struct observed_votes v = observation_votes(o);
    return o->quorum || (o->founded && v.heard > v.all / 2);
}

bool observation_alive(const struct observation *o, unsigned place)
{
    if (o->nodes[place].speaks) {
        return true;
    }
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (i != place && i != o->self &&
            observation_hears(o, i, place, SAID_MS_MAX) == HEARING_YES) {
            return true;
        }
    }
    return false;
}

bool observation_settled(const struct observation *o, unsigned place)
{
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (i != place && o->nodes[i].speaks &&
            o->nodes[i].links[place].heard_for_ms >= RETURNED_MS) {
            return true;
        }
    }
    return false;
}

/* The observer hears exactly those that speak to it. */
static bool deaf(const struct observation *o, unsigned a, unsigned b)
{
    return a == o->self ? !o->nodes[b].speaks
                        : observation_hears(o, a, b, DEAF_MS_MIN) == HEARING_NO;
}

bool observation_connected(const struct observation *o, unsigned a, unsigned b)
{
    return a == b || (!deaf(o, a, b) && !deaf(o, b, a));
}

/* A newer term, or in the same term the lower number: two leaders of one term are found apart, and all else must not depend on order. */
static bool goes_before(const struct observation *o, unsigned place, uint64_t term,
                        const struct observed_shard *s)
{
    return s->leader < 0 || term > s->term ||
           (term == s->term && o->nodes[place].node < o->nodes[s->leader].node);
}

void observation_leader(const struct observation *o, struct observed_shard *s)
{
    s->leader = -1;
    s->leader_hearsay = false;
    s->term = 0;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *r = &s->replicas[i];
        if (r->known && r->leads && goes_before(o, r->place, r->term, s)) {
            s->leader = (int)r->place;
            s->term = r->term;
        }
    }
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *r = &s->replicas[i];
        if (r->known && !r->leads && r->follows >= 0 && r->leader_age_ms <= SAID_MS_MAX &&
            !o->nodes[r->follows].speaks &&
            (s->leader_hearsay ? goes_before(o, (unsigned)r->follows, r->term, s)
                               : r->term > s->term)) {
            s->leader = r->follows;
            s->leader_hearsay = true;
            s->term = r->term;
        }
    }
}

unsigned observation_voters(const struct observed_shard *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        n += s->replicas[i].voter ? 1 : 0;
    }
    return n;
}

bool observation_voter_good(const struct observation *o, const struct observed_replica *r)
{
    return r->voter &&
           (r->known ? r->ok : !o->nodes[r->place].speaks && observation_alive(o, r->place));
}

bool observation_votes_no_more(const struct observed_replica *r)
{
    return strncmp(r->state, "AMNESIA", 7) == 0 || strncmp(r->state, "refused", 7) == 0;
}

const struct observed_replica *observation_replica(const struct observed_shard *s, unsigned place)
{
    for (unsigned i = 0; i < s->replicas_n; i++) {
        if (s->replicas[i].place == place) {
            return &s->replicas[i];
        }
    }
    return NULL;
}

bool observation_same_site(const struct observation *o, unsigned a, unsigned b)
{
    return strcmp(o->nodes[a].site, o->nodes[b].site) == 0;
}

bool observation_first_of_site(const struct observation *o, unsigned place)
{
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (observation_same_site(o, i, place) && o->nodes[i].node < o->nodes[place].node) {
            return false;
        }
    }
    return true;
}

int observation_next_node(const struct observation *o, node_id after)
{
    int next = -1;
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (o->nodes[i].node > after && (next < 0 || o->nodes[i].node < o->nodes[next].node)) {
            next = (int)i;
        }
    }
    return next;
}

int observation_next_shard(const struct observation *o, int64_t after)
{
    int next = -1;
    for (unsigned i = 0; i < o->shards_n; i++) {
        if ((int64_t)o->shards[i].shard > after &&
            (next < 0 || o->shards[i].shard < o->shards[next].shard)) {
            next = (int)i;
        }
    }
    return next;
}

uint64_t observation_unheard_ms(const struct observation *o, unsigned place)
{
    uint64_t least = AGE_UNKNOWN;
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (i != place && o->nodes[i].speaks && o->nodes[i].links[place].heard_age_ms < least) {
            least = o->nodes[i].links[place].heard_age_ms;
        }
    }
    return least;
}
