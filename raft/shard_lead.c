/* Leading: heartbeats, and who should do it: a witness hands over at once, the preferred site takes leadership back, paced.
 * A transfer fails silently after an election timeout (U17), so it is simply tried again. The library sends TimeoutNow as soon as the
 * target has been *sent* the last entry (it looks at the optimistic next index), and a target that still writes it ignores the message:
 * so we ask for nothing new, wait until the target has the last entry durably, and only then transfer. */
#include "base/log_line.h"
#include "raft/rules/candidate.h"
#include "raft/shard_internal.h"

#define SETTLE_MS    3000
#define TRY_AGAIN_MS 1500

uint64_t shard_lowest_match(const struct shard *s)
{
    if (s->role != ENGINE_LEADER || s->engine == NULL) {
        return s->lowest_match;
    }
    uint64_t lowest = s->stored;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        if (i == s->self || !shard_voter(s, i)) {
            continue;
        }
        uint64_t match = engine_match(s->engine, s->o.members[i].replica);
        lowest = match < lowest ? match : lowest;
    }
    return lowest;
}

static bool keeps_state(const struct shard *s, uint32_t member)
{
    return s->o.members[member].role == ROLE_DATA ||
           (s->o.shard == SHARD_DIRECTORY && s->o.members[member].role == ROLE_WITNESS);
}

static struct candidate candidate(const struct shard *s, uint32_t member, uint64_t now_ms)
{
    const struct shard_peer *p = &s->peers[member];
    uint64_t last = engine_last_index(s->engine);
    uint64_t match = engine_match(s->engine, s->o.members[member].replica);
    return (struct candidate){
        .votes = shard_voter(s, member),
        .keeps = keeps_state(s, member),
        .contact_age_ms = p->contact ? now_ms - p->contact_ms : UINT64_MAX,
        .lag_known = true,
        .lag_entries = last > match ? last - match : 0,
    };
}

/* The best-ranked member that may lead (raft/rules/candidate.h says which may); -1: none. */
static int best_candidate(const struct shard *s, uint64_t now_ms, uint32_t rank_below)
{
    int best = -1;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        const struct shard_member *m = &s->o.members[i];
        if (i == s->self || m->rank >= rank_below ||
            (best >= 0 && m->rank >= s->o.members[best].rank)) {
            continue;
        }
        struct candidate c = candidate(s, i, now_ms);
        best = candidate_may_lead(&c) ? (int)i : best;
    }
    return best;
}

bool shard_handing_over(const struct shard *s)
{
    return s->handover_replica != 0 || engine_transferring(s->engine);
}

static enum status hand_over(struct shard *s, uint64_t now_ms, uint32_t member, const char *why,
                             bool chosen)
{
    s->transfer_tried_ms = now_ms;
    s->dirty = true;
    if (shard_handing_over(s)) {
        return STATUS_BUSY;
    }
    s->handover_replica = s->o.members[member].replica;
    s->handover_chosen = chosen;
    shard_moves_handed(s, s->o.members[member].node, why, now_ms);
    s->handover_until_ms = now_ms + s->host->o.election_timeout_ms;
    shard_handover_turn(s);
    return OK;
}

void shard_handover_turn(struct shard *s)
{
    uint64_t now = host_now(s->host);
    uint64_t replica = s->handover_replica;
    if (replica == 0) {
        return;
    }
    if (s->role != ENGINE_LEADER || now >= s->handover_until_ms) {
        s->handover_replica = 0;
        return;
    }
    if (engine_match(s->engine, replica) == engine_last_index(s->engine)) {
        s->handover_replica = 0;
        shard_check_engine(s, engine_transfer(s->engine, now, replica), "transfer");
        s->dirty = true;
    }
}

static void transfer_to(struct shard *s, uint32_t member, uint64_t now_ms, const char *why)
{
    log_info("event=shard.transfer shard=%u name=%s to_node=%u why=\"%s\"", s->o.shard, s->o.name,
             s->o.members[member].node, why);
    (void)hand_over(s, now_ms, member, why, false);
}

/* U22: every 50 ms an empty AppendEntries with prev = match on the control channel, whatever else is sent, so that a big
 * transfer in the bulk channel delays no heartbeat. */
static void send_heartbeats(struct shard *s, uint64_t now_ms)
{
    if (s->role != ENGINE_LEADER || now_ms < s->heartbeat_ms + s->host->o.heartbeat_ms) {
        return;
    }
    s->heartbeat_ms = now_ms;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        struct engine_message m;
        if (i != s->self && engine_heartbeat(s->engine, s->o.members[i].replica, &m) == OK) {
            shard_send_message(s, &m);
        }
    }
}

/* A shard that has gone quiet may hold old segments of the common log: entries kept for a voter that has them by now, or for one
 * that has been away for too long. One barrier gives every member something newer to take a checkpoint at, and then to cut. */
static void let_go_of_log(struct shard *s, uint64_t now_ms)
{
    struct log *l = s->host->log;
    uint64_t last = engine_last_index(s->engine);
    bool quiet = s->commit == last && (shard_witness(s) || s->applier.applied == last);
    if (!quiet || s->checkpointer.index < last ||
        now_ms < s->let_go_ms + s->host->o.checkpoint_ms ||
        !log_wants_checkpoint(l, s->o.shard, 0)) {
        return;
    }
    if (shard_lowest_match(s) >= last || shard_holds_too_much(s, 0, last)) {
        s->let_go_ms = now_ms;
        struct engine_entry barrier = {engine_term(s->engine), ENTRY_BARRIER, NULL};
        shard_check_engine(s, engine_submit(s->engine, now_ms, &barrier, 1), "barrier");
    }
}

void shard_lead_tick(struct shard *s, uint64_t now_ms)
{
    send_heartbeats(s, now_ms);
    shard_handover_turn(s);
    if (s->role == ENGINE_LEADER && !shard_handing_over(s)) {
        let_go_of_log(s, now_ms);
    }
    if (s->role != ENGINE_LEADER || shard_handing_over(s) || now_ms < s->transfer_tried_ms + 100) {
        return;
    }
    bool must_go = shard_witness(s) || s->lost || s->host->stopping;
    if (must_go) {
        int to = best_candidate(s, now_ms, UINT32_MAX);
        if (to >= 0 && shard_own_term_committed(s)) {
            transfer_to(s, (uint32_t)to, now_ms,
                        s->host->stopping ? "it was stopping" : "it keeps no state");
        }
        return;
    }
    uint32_t rank = s->o.members[s->self].rank;
    if (!s->host->o.preference || rank == 0 || now_ms < s->led_since_ms + SETTLE_MS ||
        now_ms < s->quiet_until_ms || now_ms < s->transfer_tried_ms + TRY_AGAIN_MS ||
        !shard_own_term_committed(s)) {
        return;
    }
    int to = best_candidate(s, now_ms, rank);
    if (to >= 0) {
        transfer_to(s, (uint32_t)to, now_ms, "the preferred site takes it back");
    }
}

enum status shard_transfer(struct shard *s, node_id to)
{
    if (!shard_is_leader(s)) {
        return STATUS_NOT_LEADER;
    }
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        if (s->o.members[i].node == to && i != s->self) {
            if (!keeps_state(s, i) || !shard_voter(s, i)) {
                return STATUS_INVALID;
            }
            return hand_over(s, host_now(s->host), i, "a switchover was asked for", true);
        }
    }
    return STATUS_NOT_FOUND;
}
