/* What others may know of a shard replica: positions, roles, and for a leader how far each peer is behind.
 * Lag in time is the age of the oldest entry a peer has not got: samples of (time, last index) are kept, thinned as they grow old. */
#include <stdio.h>
#include <string.h>

#include "raft/shard_internal.h"

static void index_sample(struct shard *s, uint64_t now_ms)
{
    uint32_t n = s->lag_samples_n;
    if (n == 0) {
        s->lag_sample_every_ms = 50;
    }
    if (n > 0 && now_ms < s->lag_samples[n - 1].time_ms + s->lag_sample_every_ms) {
        return;
    }
    if (n == LAG_SAMPLES) {
        for (uint32_t i = 0; i < LAG_SAMPLES / 2; i++) {
            s->lag_samples[i] = s->lag_samples[2 * i];
        }
        n = LAG_SAMPLES / 2;
        s->lag_sample_every_ms *= 2;
    }
    s->lag_samples[n].time_ms = now_ms;
    s->lag_samples[n].index = engine_last_index(s->engine);
    s->lag_samples_n = n + 1;
}

void shard_lag_forget(struct shard *s)
{
    s->lag_samples_n = 0;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        lag_series_clear(&s->lag_series[i]);
    }
}

/* Time since the leader first held an entry above match; 0 when there is none. */
static uint64_t lag_ms(const struct shard *s, uint64_t match, uint64_t now_ms)
{
    if (match >= engine_last_index(s->engine) || s->lag_samples_n == 0) {
        return 0;
    }
    uint32_t low = 0;
    uint32_t high = s->lag_samples_n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (s->lag_samples[middle].index > match) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low < s->lag_samples_n ? now_ms - s->lag_samples[low].time_ms : 0;
}

void shard_lag_sample(struct shard *s, uint64_t now_ms)
{
    if (s->role != ENGINE_LEADER) {
        return;
    }
    index_sample(s, now_ms);
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        if (i != s->self) {
            uint64_t match = engine_match(s->engine, s->o.members[i].replica);
            lag_series_add(&s->lag_series[i], now_ms, lag_ms(s, match, now_ms));
        }
    }
}

static void view_peer(const struct shard *s, uint32_t i, uint64_t now_ms,
                      struct shard_peer_view *out)
{
    const struct shard_member *m = &s->o.members[i];
    *out = (struct shard_peer_view){
        .replica = m->replica, .node = m->node, .voter = shard_voter(s, i)};
    if (i == s->self) {
        out->contact_known = true;
    } else if (s->peers[i].contact) {
        out->contact_known = true;
        out->contact_age_ms = now_ms - s->peers[i].contact_ms;
    }
    if (!shard_is_leader(s)) {
        return;
    }
    out->match_known = true;
    out->match_index = i == s->self ? s->stored : engine_match(s->engine, m->replica);
    uint64_t last = engine_last_index(s->engine);
    out->lag_entries = last > out->match_index ? last - out->match_index : 0;
    out->lag_bytes = log_bytes_after(s->host->log, s->o.shard, out->match_index);
    out->lag_ms = i == s->self ? 0 : lag_ms(s, out->match_index, now_ms);
    out->lag_slope_known = lag_series_slope(&s->lag_series[i], now_ms, &out->lag_slope_us);
}

void shard_get_view(const struct shard *s, uint64_t now_ms, struct shard_view *out_view)
{
    struct shard_view *v = out_view;
    memset(v, 0, sizeof(*v));
    v->shard = s->o.shard;
    v->name = s->o.name;
    v->state = s->state;
    snprintf(v->text, sizeof(v->text), "%s", s->text);
    if (s->state == SHARD_INSTALLING && s->fetch != NULL) {
        snprintf(v->text, sizeof(v->text), "installing %u%%", copy_fetch_percent(s->fetch));
    }
    v->epoch = s->o.epoch;
    v->replica = s->o.replica;
    v->term = s->log_state.term;
    v->vote = s->log_state.vote;
    if (s->log_state.replica != 0) {
        v->first_index = log_first_index(s->host->log, s->o.shard);
        v->last_index = log_last_index(s->host->log, s->o.shard);
    }
    v->stored_index = s->stored;
    v->commit_index = s->commit;
    v->applied_index = s->applier.applied;
    v->committed_index = s->applier.visible;
    v->checkpoint_index = s->checkpointer.index;
    memcpy(v->digest, s->applier.digest, sizeof(v->digest));
    v->writes_total = s->writes_total;
    v->reads_total = s->reads_total;
    v->elections_total = s->elections_total;
    v->early_total = s->early_total;
    v->installs_total = s->installs_total;
    v->checkpoints_total = s->checkpoints_total;
    v->checkpointing = s->checkpointer.running;
    if (s->fetch != NULL) {
        v->copy_from = copy_fetch_node(s->fetch);
        v->copy_bytes = copy_fetch_bytes(s->fetch, &v->copy_size);
    }
    if (!shard_active(s)) {
        return;
    }
    v->role = s->role;
    v->leader_replica = s->leader;
    int leader = shard_member_find(s, s->leader);
    v->leader_node = leader >= 0 ? s->o.members[leader].node : 0;
    v->own_term_committed = shard_own_term_committed(s);
    v->quiet_ms = !s->host->o.preference       ? UINT64_MAX
                  : s->quiet_until_ms > now_ms ? s->quiet_until_ms - now_ms
                                               : 0;
    shard_moves_view(s, now_ms, v);
    v->peers_n = s->o.members_n;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        view_peer(s, i, now_ms, &v->peers[i]);
    }
}
