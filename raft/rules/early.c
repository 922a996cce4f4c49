/* See early.h. Nothing here can fail or remembers anything. */
#include "raft/rules/early.h"

#include <stddef.h>

static bool goes_before(const struct early_voter *voters, uint32_t a, uint32_t b)
{
    if (voters[a].witness != voters[b].witness) {
        return voters[b].witness;
    }
    if (voters[a].preference != voters[b].preference) {
        return voters[a].preference < voters[b].preference;
    }
    return a < b;
}

uint32_t early_rank(const struct early_voter *voters, uint32_t n, uint32_t self, uint32_t lost)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool counts = i != self && i != lost && voters[i].voter && voters[i].reachable;
        rank += counts && goes_before(voters, i, self) ? 1 : 0;
    }
    return rank;
}

uint32_t early_stagger_ms(uint64_t round_trip_us, uint64_t sync_us, uint32_t election_timeout_ms)
{
    uint64_t most = election_timeout_ms / 4;
    uint64_t ms = (2 * round_trip_us + 2 * sync_us) / 1000;
    ms = ms > EARLY_STAGGER_MS ? ms : EARLY_STAGGER_MS;
    return (uint32_t)(ms < most ? ms : most);
}

static struct early_decision stop(const char *reason)
{
    return (struct early_decision){.action = EARLY_STOP, .reason = reason};
}

static struct early_decision wait_until(uint64_t at_ms, const char *reason)
{
    return (struct early_decision){.action = EARLY_WAIT, .at_ms = at_ms, .reason = reason};
}

/* Why it has no place any more; NULL when it has. */
static const char *over(const struct early_campaign *c, const struct early_view *v)
{
    if (v->leader) {
        return "this replica leads";
    }
    if (v->leader_known) {
        return "there is a leader";
    }
    if (v->installing) {
        return "a copy is being installed";
    }
    if (!v->voter) {
        return "this replica has no vote";
    }
    if (v->term != c->term) {
        return "the term has changed";
    }
    if (v->vote != c->vote) {
        return "the vote of this term is given";
    }
    if (v->candidate && !v->pre_vote) {
        return "the election itself is under way";
    }
    return c->fired >= EARLY_FIRES_MAX ? "it has asked often enough" : NULL;
}

/* When its next round is due, if nobody else was promised the vote. */
static uint64_t next_round(const struct early_campaign *c)
{
    uint64_t first = c->armed_ms + EARLY_FIRST_MS + (uint64_t)c->rank * c->stagger_ms;
    uint64_t period = (uint64_t)(c->voters > 1 ? c->voters - 1 : 1) * c->stagger_ms;
    uint64_t pause = c->stagger_ms / 4 > EARLY_AGAIN_MS ? c->stagger_ms / 4 : EARLY_AGAIN_MS;
    if (c->fired == 0 || period == 0 || c->fired_ms < first) {
        return first;
    }
    uint64_t turn = first + (c->fired_ms - first) / period * period;
    uint64_t again = c->fired_ms + pause;
    return again < turn + c->stagger_ms ? again : turn + period;
}

struct early_decision early_decide(const struct early_campaign *c, const struct early_view *v,
                                   uint64_t now_ms)
{
    const char *why = over(c, v);
    uint64_t due = next_round(c);
    bool promised = v->granted_ms >= c->armed_ms && v->granted_ms + c->stagger_ms > due;
    if (why != NULL) {
        return stop(why);
    }
    due = promised ? v->granted_ms + c->stagger_ms : due;
    if (now_ms < due) {
        return wait_until(due, promised ? "another was promised the vote" : "others go before");
    }
    if (!v->candidate && v->last_stored < v->last_index) {
        return now_ms >= due + EARLY_STORE_MS
                   ? stop("the own log is too slow to become durable")
                   : wait_until(now_ms + 1, "the own log is not durable yet");
    }
    return (struct early_decision){.action = EARLY_FIRE, .reason = "nobody leads"};
}
