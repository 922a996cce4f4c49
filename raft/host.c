/* All shard replicas of a node around one log. Frames and time come in, are handed to the shard they name, and at the end of each
 * turn of the loop everything that became possible is done: batches close, rounds start, jobs go out, the log writes.
 * A failed log, or an engine that can't go on, is told once through failed(); nothing is acknowledged afterwards. */
#include "raft/host.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "proto/peer.pb-c.h"
#include "raft/message.h"
#include "raft/shard_internal.h"

#define TURNS_MAX 4

void host_fail(struct host *h, enum status s, const char *message_id, const char *text)
{
    if (h->failed) {
        return;
    }
    h->failed = true;
    h->o.failed(h->o.arg, s, message_id, text);
}

void host_job(struct host *h, enum lane lane, struct job *j)
{
    executor_submit(h->o.executor, lane, j);
}

static void on_log_durable(void *arg, uint64_t sequence)
{
    struct host *h = arg;
    if (h->failed) {
        return;
    }
    h->durable = sequence;
    for (uint32_t i = 0; i < h->shards_n; i++) {
        shard_durable(h->shards[i]);
    }
}

static void on_log_failed(void *arg, enum status s, const char *what)
{
    host_fail(arg, s, s == STATUS_NO_SPACE ? "MQ-LOG-FULL" : "MQ-LOG-FAILED", what);
}

static void fill_defaults(struct host_options *o)
{
    o->election_timeout_ms = o->election_timeout_ms == 0 ? 500 : o->election_timeout_ms;
    o->heartbeat_ms = o->heartbeat_ms == 0 ? 50 : o->heartbeat_ms;
    o->retain_bytes = o->retain_bytes == 0 ? 256u * 1024 * 1024 : o->retain_bytes;
    o->checkpoint_bytes = o->checkpoint_bytes == 0 ? 64u * 1024 * 1024 : o->checkpoint_bytes;
    o->checkpoint_ms = o->checkpoint_ms == 0 ? 5000 : o->checkpoint_ms;
    o->commit_ms = o->commit_ms == 0 ? 5 : o->commit_ms;
    o->pending_bytes_max = o->pending_bytes_max == 0 ? 32u * 1024 * 1024 : o->pending_bytes_max;
}

/* All shards share the log: four times what one keeps for its peers, and room for segments that are only partly needed. */
static uint64_t retained_max(const struct host_options *o)
{
    uint64_t segment = o->segment_bytes == 0 ? LOG_SEGMENT_BYTES : o->segment_bytes;
    uint64_t bytes = o->retain_bytes * 4;
    return bytes > 16 * segment ? bytes : 16 * segment;
}

enum status host_open(const struct host_options *o, struct host **out_host, struct error *e)
{
    struct host *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    h->o = *o;
    fill_defaults(&h->o);
    list_init(&h->copy_sources);
    struct log_options log = {
        .directory = o->log_directory,
        .cluster = o->cluster,
        .node = o->node,
        .disk = o->disk,
        .executor = o->executor,
        .random = o->random,
        .clock = o->clock,
        .segment_bytes = o->segment_bytes,
        .cache_bytes = o->cache_bytes,
        .retain_bytes = retained_max(&h->o),
        .on_durable = on_log_durable,
        .on_failed = on_log_failed,
        .arg = h,
    };
    enum status s = log_open(&log, &h->log, e);
    if (s != OK) {
        free(h);
        return s;
    }
    h->durable = log_durable_sequence(h->log);
    *out_host = h;
    return OK;
}

enum status host_add_shard(struct host *h, const struct shard_options *o, struct error *e)
{
    if (host_find_shard(h, o->shard) != NULL) {
        return error_set(e, STATUS_EXISTS, "shard %u runs already", o->shard);
    }
    if (h->shards_n == SHARDS_MAX) {
        return error_set(e, STATUS_FULL, "%d shards run here, the most a node takes", SHARDS_MAX);
    }
    struct shard *s = shard_new(h, o);
    if (s == NULL) {
        return error_set(e, STATUS_INVALID,
                         "shard %u: this replica is not among its members, or out of memory",
                         o->shard);
    }
    enum status status = shard_begin(s, e);
    if (status != OK) {
        shard_free(s);
        return status;
    }
    h->shards[h->shards_n++] = s;
    return OK;
}

struct shard *host_find_shard(struct host *h, shard_id id)
{
    for (uint32_t i = 0; i < h->shards_n; i++) {
        if (h->shards[i]->o.shard == id) {
            return h->shards[i];
        }
    }
    return NULL;
}

void host_each_shard(struct host *h, void (*each)(void *arg, struct shard *s), void *arg)
{
    for (uint32_t i = 0; i < h->shards_n; i++) {
        each(arg, h->shards[i]);
    }
}

void host_tune(struct host *h, const struct host_tuning *t)
{
    must(t->checkpoint_bytes > 0 && t->checkpoint_ms > 0);
    h->o.preference = t->preference;
    h->o.checkpoint_bytes = t->checkpoint_bytes;
    h->o.checkpoint_ms = t->checkpoint_ms;
}

struct log *host_log(struct host *h)
{
    return h->log;
}

/* A message from a node outside the shard's configuration, or of another epoch, never reaches the engine. */
static enum status receive_raft(struct host *h, node_id from, const struct frame *f)
{
    struct message_envelope env;
    struct message_in in;
    enum status status = message_decode(f, &env, &in);
    if (status != OK) {
        return status;
    }
    struct shard *s = host_find_shard(h, env.shard);
    int member = s != NULL ? shard_member_find(s, env.from) : -1;
    if (s == NULL) {
        status = STATUS_NO_SHARD;
    } else if (!epoch_equal(&env.epoch, &s->o.epoch)) {
        status = STATUS_WRONG_EPOCH;
    } else if (member < 0 || s->o.members[member].node != from || env.to != s->o.replica) {
        status = STATUS_WRONG_NODE;
    } else {
        shard_receive_raft(s, env.from, &in.message, env.lowest_match);
    }
    message_in_deinit(&in);
    return status;
}

static enum status receive_read(struct host *h, node_id from, const struct frame *f)
{
    /* ReadRound and ReadIndex begin with the same fields; the shard is the first. */
    Mq__ReadRound *m = mq__read_round__unpack(NULL, f->header.size, f->header.data);
    if (m == NULL) {
        return STATUS_MALFORMED;
    }
    struct shard *s = host_find_shard(h, m->shard);
    mq__read_round__free_unpacked(m, NULL);
    if (s == NULL) {
        return STATUS_NO_SHARD;
    }
    switch (f->kind) {
        case FRAME_READ_ROUND:
            shard_receive_round(s, f, from);
            break;
        case FRAME_READ_ACK:
            shard_receive_ack(s, f, from);
            break;
        case FRAME_READ_INDEX:
            shard_receive_index(s, f, from);
            break;
        default:
            shard_receive_index_ack(s, f, from);
            break;
    }
    return OK;
}

enum status host_receive(struct host *h, node_id from, const struct frame *f)
{
    enum status status = STATUS_MALFORMED;
    if (h->failed || h->frozen) {
        return STATUS_CLOSED;
    }
    switch (f->kind) {
        case FRAME_RAFT:
            status = receive_raft(h, from, f);
            break;
        case FRAME_READ_ROUND:
        case FRAME_READ_ACK:
        case FRAME_READ_INDEX:
        case FRAME_READ_INDEX_ACK:
            status = receive_read(h, from, f);
            break;
        default:
            break;
    }
    h->foreign_frames += status != OK ? 1 : 0;
    return status;
}

void host_peer_up(struct host *h, node_id node)
{
    h->peer_up[node <= NODES_MAX ? node : 0] = true;
    for (uint32_t i = 0; i < h->shards_n; i++) {
        h->shards[i]->dirty = true;
    }
}

void host_peer_down(struct host *h, node_id node)
{
    h->peer_up[node <= NODES_MAX ? node : 0] = false;
    for (uint32_t i = 0; i < h->shards_n; i++) {
        struct shard *s = h->shards[i];
        for (uint32_t m = 0; m < s->o.members_n; m++) {
            if (s->o.members[m].node == node) {
                s->peers[m].contact = false;
            }
        }
    }
}

void host_peer_lost(struct host *h, node_id node, uint64_t round_trip_us)
{
    if (h->failed || h->frozen) {
        return;
    }
    for (uint32_t i = 0; i < h->shards_n && h->o.early_campaign; i++) {
        shard_early_lost(h->shards[i], node, round_trip_us);
    }
}

uint64_t host_deadline_ms(const struct host *h)
{
    uint64_t now = host_now(h);
    uint64_t deadline = now + 50;
    for (uint32_t i = 0; i < h->shards_n; i++) {
        uint64_t d = shard_deadline_ms(h->shards[i], now);
        deadline = d < deadline ? d : deadline;
    }
    return deadline;
}

static bool handed_over(const struct host *h)
{
    for (uint32_t i = 0; i < h->shards_n; i++) {
        const struct shard *s = h->shards[i];
        if (shard_is_leader(s) && s->o.members_n > 1) {
            return false;
        }
    }
    return true;
}

static bool checkpointed(struct host *h)
{
    bool all = true;
    for (uint32_t i = 0; i < h->shards_n; i++) {
        struct shard *s = h->shards[i];
        if (shard_witness(s) || s->state != SHARD_RUNNING) {
            continue;
        }
        if (s->checkpointer.index < s->stop_index) { /* what came later is in the log */
            s->checkpointer.asked = true;
            s->dirty = true;
            all = false;
        }
        all = all && !s->checkpointer.running;
    }
    return all;
}

static void stop_when_ready(struct host *h)
{
    bool late = host_now(h) >= h->stop_deadline_ms;
    if (h->stop_done == NULL || (!late && !(handed_over(h) && checkpointed(h)))) {
        return;
    }
    void (*done)(void *) = h->stop_done;
    h->stop_done = NULL;
    done(h->stop_arg);
}

void host_tick(struct host *h)
{
    uint64_t now = host_now(h);
    if (h->frozen) {
        return;
    }
    for (uint32_t i = 0; i < h->shards_n && !h->failed; i++) {
        shard_tick(h->shards[i], now);
    }
    copy_sources_close(h);
    stop_when_ready(h);
}

void host_turn(struct host *h)
{
    if (h->failed || h->frozen) {
        return;
    }
    bool again = true;
    for (int turn = 0; again && turn < TURNS_MAX; turn++) {
        again = false;
        for (uint32_t i = 0; i < h->shards_n; i++) {
            shard_turn(h->shards[i]);
            again = again || h->shards[i]->dirty;
        }
    }
    log_kick(h->log);
}

void host_stop(struct host *h, uint64_t deadline_ms, void (*done)(void *arg), void *arg)
{
    h->stopping = true;
    h->stop_deadline_ms = deadline_ms;
    h->stop_done = done;
    h->stop_arg = arg;
    for (uint32_t i = 0; i < h->shards_n; i++) {
        h->shards[i]->stop_index = h->shards[i]->applier.applied;
    }
}

void host_freeze(struct host *h)
{
    h->frozen = true;
}

void host_close(struct host *h)
{
    if (h == NULL) {
        return;
    }
    h->closing = true;
    copy_sources_close(h);
    for (uint32_t i = 0; i < h->shards_n; i++) {
        h->shards[i]->closing = true;
        shard_free(h->shards[i]);
    }
    log_close(h->log);
    free(h);
}
