/* See guard.h. Every function here says which fault it holds off and why that is enough. */
#include "raft/guard.h"

#include "base/must.h"

static uint32_t disabled; /* written by tests before anything runs */

void engine_disable_guards(uint32_t mask)
{
    disabled = mask;
}

bool guard_enabled(enum engine_guard guard)
{
    return (disabled & (uint32_t)guard) == 0;
}

static unsigned trail_records(const struct raft_trail *t)
{
    return t->front <= t->back ? t->back - t->front : t->size - t->front + t->back;
}

uint64_t guard_last_index(const struct raft *r)
{
    const struct raft_trail *t = &r->trail;
    unsigned n = trail_records(t);

    return n == 0 ? t->snapshot.index : t->records[(t->front + n - 1) % t->size].index;
}

uint64_t guard_term_of(const struct raft *r, uint64_t index)
{
    const struct raft_trail *t = &r->trail;
    unsigned n = trail_records(t);
    uint64_t term = 0;

    if (n > 0 && index > t->offset && index <= t->records[(t->front + n - 1) % t->size].index) {
        /* A record holds the last index of its term: the first from behind whose predecessor
         * ends below. */
        do {
            n--;
            term = t->records[(t->front + n) % t->size].term;
        } while (n > 0 && t->records[(t->front + n - 1) % t->size].index >= index);
        return term;
    }
    return index != 0 && index == t->snapshot.index ? t->snapshot.term : 0;
}

/* Whether the library can no longer judge what the entries of a message continue: they begin at
 * 1, or at what was compacted. */
static bool prev_compacted(const struct raft *r, uint64_t prev)
{
    const struct raft_trail *t = &r->trail;

    return t->offset > 0 && prev <= t->offset && prev < t->snapshot.index &&
           (prev == 0 || !r->snapshot.installing);
}

/* With prev_index 0 the library checks nothing, and what it has compacted away looks missing to
 * it: entries 1.. would be put at the END of its trail. With a higher one that is compacted it
 * rejects for ever what its leader knows it has, and is starved until the leader compacts too.
 * All up to our snapshot is committed, so every leader that speaks to us in this term or a later
 * one has it, and the message may as well begin there. */
void guard_prev0(const struct raft *r, struct engine_message *m)
{
    uint64_t known =
        r->trail.snapshot.index - m->append.prev_index; /* entries that we have for certain */
    uint32_t drop = m->append.n;

    if (!guard_enabled(GUARD_PREV0) || !prev_compacted(r, m->append.prev_index)) {
        return;
    }
    if (drop > known) {
        drop = (uint32_t)known;
    }
    m->append.n -= drop;
    m->append.entries = m->append.n > 0 ? m->append.entries + drop : NULL;
    m->append.prev_index = r->trail.snapshot.index;
    m->append.prev_term = r->trail.snapshot.term;
}

/* The library takes min(leader_commit, end of the message) without comparing with what it has. */
void guard_commit(const struct raft *r, struct engine_message *m)
{
    if (guard_enabled(GUARD_COMMIT) && m->append.prev_index + m->append.n < r->commit_index &&
        m->append.commit > r->commit_index) {
        m->append.commit = r->commit_index;
    }
}

uint64_t guard_commit_max(uint64_t known, uint64_t reported)
{
    return guard_enabled(GUARD_COMMIT) && known > reported ? known : reported;
}

/* While probing, a rejection of match_index itself is taken, next falls to match, and the count
 * of what is in flight wraps: from then on the peer gets heartbeats only. What it has matched it
 * can't truly reject. */
bool guard_reject(const struct raft *r, const struct engine_message *m)
{
    raft_index match;

    return guard_enabled(GUARD_REJECT) && m->term == r->current_term &&
           m->append_result.rejected > 0 && raft_match_index(r, m->from, &match) == 0 &&
           m->append_result.rejected <= match;
}

/* The handler reads candidate_state before it looks at the state: as follower or leader that is
 * another member of the union. */
bool guard_voteres(const struct raft *r)
{
    return guard_enabled(GUARD_VOTERES) && r->state != RAFT_CANDIDATE;
}

/* A second InstallSnapshot is ignored by the library, and its memory forgotten. */
bool guard_busy(const struct raft *r)
{
    return guard_enabled(GUARD_BUSY) && r->snapshot.installing;
}

/* Every change of one message is booked under the index of the first new entry. So a change
 * always begins a part. */
uint32_t guard_split(const struct engine_entry *entries, uint32_t n)
{
    uint32_t i = 1;

    if (!guard_enabled(GUARD_SPLIT)) {
        return n;
    }
    while (i < n && entries[i].type != ENTRY_CHANGE) {
        i++;
    }
    return i < n ? i : n;
}

/* A leader appends a change only after the one before is committed. So if a part begins with a
 * change right behind a prev that we match, the change we hold as uncommitted at or below prev
 * is committed, and has to be booked before it is pushed out. */
bool guard_confirm(const struct raft *r, const struct engine_message *m)
{
    uint64_t prev = m->append.prev_index;

    return guard_enabled(GUARD_CONFIRM) && m->append.n > 0 &&
           m->append.entries[0].type == ENTRY_CHANGE && m->term >= r->current_term &&
           !r->snapshot.installing && r->configuration_uncommitted_index != 0 &&
           r->configuration_uncommitted_index <= prev &&
           guard_term_of(r, prev) == m->append.prev_term;
}

/* The library answers a pre-vote with the asker's own term. A refusal must teach ours, else the
 * node with the best log and a low term asks for ever. A grant keeps the echo: that is how the
 * asker counts it. */
void guard_prevote(const struct raft *r, struct engine_message *m)
{
    if (guard_enabled(GUARD_PREVOTE) && m->kind == MESSAGE_VOTE_RESULT && m->vote_result.pre_vote &&
        !m->vote_result.granted) {
        m->term = r->current_term;
    }
}

/* The answer to an older term is sent with last_log_index as it lay on the stack, and with
 * rejected 0 where prev was 0: whoever leads by then would take it for an acknowledgement. */
void guard_stale(bool older, struct engine_message *m)
{
    if (guard_enabled(GUARD_STALE) && older && m->kind == MESSAGE_APPEND_RESULT) {
        m->append_result.last_log_index = 0;
    }
}

bool guard_noop_missing(const struct raft *r)
{
    return guard_enabled(GUARD_NOOP) && r->state == RAFT_LEADER &&
           guard_term_of(r, guard_last_index(r)) != r->current_term;
}

bool guard_noop_committed(const struct raft *r)
{
    return !guard_enabled(GUARD_NOOP) || guard_term_of(r, r->commit_index) == r->current_term;
}

bool guard_solo(const struct raft *r)
{
    const struct raft_configuration *c = &r->configuration;
    unsigned voters = 0;
    bool ours = false;

    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].role == RAFT_VOTER) {
            voters++;
            ours = ours || c->servers[i].id == r->id;
        }
    }
    return voters == 1 && ours;
}

/* A server demoted to spare keeps its last_send, so raft_timeout() stays in the past. */
uint64_t guard_timer(const struct raft *r, uint64_t last_tick)
{
    uint64_t due = raft_timeout(r);
    uint64_t floor = last_tick + r->heartbeat_timeout / 2;

    return r->state == RAFT_LEADER && last_tick != 0 && due < floor ? floor : due;
}
