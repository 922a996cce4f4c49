/* The history of a shard's leadership as this replica saw it, for people: since when, after whom, and why. */
#include "raft/shard_internal.h"

#define MOVES_SPAN_MS 600000u
#define CHAIN_MS \
    10000u /* a handover so soon after a loss is its consequence: a witness led for a moment */

static node_id node_of(const struct shard *s, uint64_t replica)
{
    int i = shard_member_find(s, replica);
    return i >= 0 ? s->o.members[i].node : 0;
}

/* For how long the replica had not been heard. */
static uint64_t silent_ms(const struct shard *s, uint64_t replica, uint64_t now_ms)
{
    int i = shard_member_find(s, replica);
    return i >= 0 && s->peers[i].contact_ms != 0 ? now_ms - s->peers[i].contact_ms : 0;
}

/* Only who is asked knows that it was; the others see that the one before was there until now. */
static bool handed_over(const struct shard *s, uint64_t to, uint64_t now_ms)
{
    const struct shard_moves *m = &s->moves;
    uint64_t timeout_ms = s->host->o.election_timeout_ms;
    if (to == s->o.replica) {
        return m->asked_ms != 0 && now_ms - m->asked_ms <= 2 * timeout_ms;
    }
    if (m->leader == s->o.replica) {
        return m->handed_to == node_of(s, to) && now_ms - m->handed_ms <= 2 * timeout_ms;
    }
    int i = shard_member_find(s, m->leader);
    return i >= 0 && s->peers[i].contact && silent_ms(s, m->leader, now_ms) < timeout_ms / 2;
}

void shard_moves_follow(struct shard *s, uint64_t leader, uint64_t term, uint64_t now_ms)
{
    struct shard_moves *m = &s->moves;
    if (leader == 0 || (leader == m->leader && term == m->term)) {
        return;
    }
    m->cause = m->leader == 0                   ? MOVE_FIRST
               : handed_over(s, leader, now_ms) ? MOVE_HANDOVER
                                                : MOVE_LOST;
    if (m->cause == MOVE_LOST) {
        m->lost = m->leader;
        m->silent_ms = silent_ms(s, m->leader, now_ms);
    } else if (m->cause != MOVE_HANDOVER || now_ms - m->since_ms > CHAIN_MS) {
        m->lost = 0;
    }
    if (m->leader != 0) {
        m->at_ms[m->next++ % MOVES_KEPT] = now_ms;
    }
    m->before = m->leader;
    m->leader = leader;
    m->term = term;
    m->since_ms = now_ms;
    m->asked_ms = 0;
}

void shard_moves_handed(struct shard *s, node_id to, const char *why, uint64_t now_ms)
{
    s->moves.handed_to = to;
    s->moves.handed_why = why;
    s->moves.handed_ms = now_ms;
}

static unsigned moves_count(const struct shard *s, uint64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MOVES_KEPT; i++) {
        n += s->moves.at_ms[i] != 0 && now_ms - s->moves.at_ms[i] <= MOVES_SPAN_MS ? 1 : 0;
    }
    return n;
}

void shard_moves_view(const struct shard *s, uint64_t now_ms, struct shard_view *v)
{
    const struct shard_moves *m = &s->moves;
    v->leader_age_ms = now_ms - m->since_ms;
    v->leader_before = node_of(s, m->before);
    v->cause = m->cause;
    v->lost = node_of(s, m->lost);
    v->silent_ms = m->silent_ms;
    v->moves = moves_count(s, now_ms);
    v->handed_to = m->handed_to;
    v->handed_why = m->handed_to != 0 ? m->handed_why : "";
    v->handed_age_ms = m->handed_to != 0 ? now_ms - m->handed_ms : UINT64_MAX;
}
