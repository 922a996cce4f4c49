/* What an early campaign asks of the engine (facts/libraft.md U21), with public fields of the library only and pre-vote
 * kept: forget the leader whose process is gone, and let the election timer run out now. */
#include "raft/engine_internal.h"

/* Id 0 alone would make the library answer to server 0; the address is its own memory. As candidate or leader the same bytes
 * are something else (a union): touched only as follower. */
enum status engine_forget_leader(struct engine *e, uint64_t now_ms, uint64_t replica)
{
    struct raft *r = &e->raft;

    if (!e->started || r->state != RAFT_FOLLOWER || replica == 0 ||
        r->follower_state.current_leader.id != replica) {
        return STATUS_NOT_FOUND;
    }
    if (r->snapshot.installing) {
        return STATUS_BUSY;
    }
    engine_time_set(e, now_ms);
    r->follower_state.current_leader.id = 0;
    raft_free(r->follower_state.current_leader.address);
    r->follower_state.current_leader.address = NULL;
    return engine_tell(e);
}

static bool own_vote(const struct raft *r)
{
    for (unsigned i = 0; i < r->configuration.n; i++) {
        if (r->configuration.servers[i].id == r->id) {
            return r->configuration.servers[i].role == RAFT_VOTER;
        }
    }
    return false;
}

bool engine_in_pre_vote(const struct engine *e)
{
    return e->started && e->raft.state == RAFT_CANDIDATE && e->raft.candidate_state.in_pre_vote;
}

enum status engine_campaign(struct engine *e, uint64_t now_ms)
{
    struct engine_step step = {.event = {.type = RAFT_TIMEOUT}};
    struct raft *r = &e->raft;
    bool leaderless = e->started && r->state == RAFT_FOLLOWER &&
                      r->follower_state.current_leader.id == 0 && !r->snapshot.installing &&
                      r->last_stored == guard_last_index(r);

    if ((!leaderless && !engine_in_pre_vote(e)) || !r->pre_vote || !own_vote(r) || guard_solo(r)) {
        return STATUS_BUSY;
    }
    engine_time_set(e, now_ms);
    r->election_timer_start =
        e->now - (leaderless ? r->follower_state.randomized_election_timeout
                             : r->candidate_state.randomized_election_timeout);
    e->last_tick = e->now;
    return engine_step_run(e, &step);
}
