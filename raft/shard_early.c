/* A leader's process is gone: its followers do not wait for their timers (facts/libraft.md U21).
 *
 * The belief comes -> a follower of that leader forgets it, so that it may grant votes -> arms a campaign by its rank -> the rule
 * (raft/rules/early.h) is asked when it is due, and fires rounds of pre-votes until somebody leads, or it is over. Nothing here
 * can fail: what is given up is left to the timers. */
#include "base/log_line.h"
#include "raft/shard_internal.h"

static uint32_t own_rank(const struct shard *s, uint32_t lost)
{
    struct early_voter voters[MEMBERS_MAX];
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        const struct shard_member *m = &s->o.members[i];
        voters[i] = (struct early_voter){
            .voter = shard_voter(s, i),
            .reachable = i == s->self || s->host->peer_up[m->node <= NODES_MAX ? m->node : 0],
            .witness = m->role == ROLE_WITNESS,
            .preference = m->rank};
    }
    return early_rank(voters, s->o.members_n, s->self, lost);
}

static uint32_t voters(const struct shard *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        n += shard_voter(s, i) ? 1 : 0;
    }
    return n;
}

void shard_early_lost(struct shard *s, node_id node, uint64_t round_trip_us)
{
    uint64_t now = host_now(s->host);
    int lost = shard_active(s) ? shard_member_find(s, s->leader) : -1;
    if (lost < 0 || s->role != ENGINE_FOLLOWER || s->o.members[lost].node != node ||
        engine_installing(s->engine)) {
        return;
    }
    shard_check_engine(s, engine_forget_leader(s->engine, now, s->leader), "forget leader");
    s->early = (struct shard_early){
        .armed = shard_voter(s, s->self),
        .campaign = {.armed_ms = now,
                     .term = engine_term(s->engine),
                     .vote = s->log_state.vote,
                     .rank = own_rank(s, (uint32_t)lost),
                     .voters = voters(s),
                     .stagger_ms = early_stagger_ms(round_trip_us, log_sync_p99_us(s->host->log),
                                                    s->host->o.election_timeout_ms)},
        .due_ms = now,
    };
    s->dirty = true;
}

void shard_early_granted(struct shard *s, uint64_t now_ms)
{
    s->early.granted_ms = now_ms;
}

static struct early_view look(const struct shard *s)
{
    return (struct early_view){.leader = s->role == ENGINE_LEADER,
                               .candidate = s->role == ENGINE_CANDIDATE,
                               .pre_vote = engine_in_pre_vote(s->engine),
                               .voter = shard_voter(s, s->self),
                               .installing = engine_installing(s->engine),
                               .leader_known = engine_leader(s->engine) != 0,
                               .term = engine_term(s->engine),
                               .vote = s->log_state.vote,
                               .last_index = engine_last_index(s->engine),
                               .last_stored = engine_last_stored(s->engine),
                               .granted_ms = s->early.granted_ms};
}

void shard_early_tick(struct shard *s, uint64_t now_ms)
{
    if (!s->early.armed || now_ms < s->early.due_ms) {
        return;
    }
    struct early_view view = look(s);
    struct early_decision d = early_decide(&s->early.campaign, &view, now_ms);
    switch (d.action) {
        case EARLY_WAIT:
            s->early.due_ms = d.at_ms;
            break;
        case EARLY_FIRE:
            s->early_total++;
            s->early.campaign.fired++;
            s->early.campaign.fired_ms = now_ms;
            s->early.due_ms = now_ms + 1;
            log_line(s->early.campaign.fired == 1 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
                     "event=shard.early_campaign shard=%u name=%s term=%llu rank=%u round=%u",
                     s->o.shard, s->o.name, (unsigned long long)view.term, s->early.campaign.rank,
                     s->early.campaign.fired);
            shard_check_engine(s, engine_campaign(s->engine, now_ms), "campaign");
            break;
        case EARLY_STOP:
            s->early.armed = false;
            log_debug("event=shard.early_over shard=%u name=%s text=\"%s\"", s->o.shard, s->o.name,
                      d.reason);
            break;
    }
}
