/* Linearizable reads (agreement.md section 5; Ongaro's thesis, 6.4), without leases or clocks.
 *
 * Leader: committed an entry of its own term -> notes its commit index -> a round sent after that, answered by a majority of voters
 * in the same term, confirms it; one round serves all that wait. Other nodes ask the leader for such an index. The reader
 * waits until that index is applied and committed in its own store, and begins its read transaction in done().
 * A round that is not answered is sent again; the caller's deadline ends the wait. */
#include <stdlib.h>
#include <string.h>

#include "proto/peer.pb-c.h"
#include "raft/shard_internal.h"

#define RESEND_MS 50
#define READ_ID_LIFE_SHIFT \
    40 /* ids of a life; an answer to an earlier life must not answer a question of this one */

/* A read of another node: it only wants the confirmed index. */
struct remote_read {
    struct list link;
    uint64_t from; /* replica */
    uint64_t id;
};

void shard_reader_init(struct shard *s)
{
    struct shard_reader *r = &s->reader;
    list_init(&r->waiting);
    list_init(&r->in_round);
    list_init(&r->applying);
    list_init(&r->finished);
    list_init(&r->remote_waiting);
    list_init(&r->remote_in_round);
    r->next_id = log_generation(s->host->log) << READ_ID_LIFE_SHIFT |
                 1; /* above every one of an earlier life */
}

static void finish(struct shard *s, struct shard_read *read, enum status status)
{
    read->status = status;
    list_remove(&read->link);
    list_push_back(&s->reader.finished, &read->link);
    s->dirty = true;
}

static void finish_all(struct shard *s, struct list *l, enum status status)
{
    while (!list_empty(l)) {
        finish(s, container_of(l->next, struct shard_read, link), status);
    }
}

static void drop_remotes(struct list *l)
{
    for (struct list *n = list_pop(l); n != NULL; n = list_pop(l)) {
        free(container_of(n, struct remote_read, link));
    }
}

void shard_reader_lost(struct shard *s, enum status why)
{
    struct shard_reader *r = &s->reader;
    finish_all(s, &r->waiting, why);
    finish_all(s, &r->in_round, why);
    if (why != STATUS_NO_LEADER) { /* a confirmed index stays true when the leadership ends */
        finish_all(s, &r->applying, why);
    }
    drop_remotes(&r->remote_waiting);
    drop_remotes(&r->remote_in_round);
    r->round.running = false;
    r->ask_id = 0;
}

void shard_reader_complete(struct shard *s)
{
    struct list done;
    list_init(&done);
    list_splice(&done, &s->reader.finished);
    for (struct list *n = list_pop(&done); n != NULL; n = list_pop(&done)) {
        struct shard_read *read = container_of(n, struct shard_read, link);
        s->reads_total += read->status == OK ? 1 : 0;
        read->done(read);
    }
}

/* ---- frames ---- */

static void send_round_frame(struct shard *s, enum frame_kind kind, uint32_t member, uint64_t term,
                             uint64_t round)
{
    Mq__ReadRound m = MQ__READ_ROUND__INIT;
    m.shard = s->o.shard;
    m.epoch_number = s->o.epoch.number;
    m.epoch_id = s->o.epoch.id;
    m.from = s->o.replica;
    m.to = s->o.members[member].replica;
    m.term = term;
    m.round = round;
    uint8_t header[128];
    size_t size = mq__read_round__pack(&m, header);
    struct block *frame;
    if (frame_block_new(kind, (struct bytes){header, size}, (struct bytes){NULL, 0}, &frame) ==
        OK) {
        shard_send(s, s->o.members[member].node, CHANNEL_CONTROL, &frame);
    }
}

static void send_index_frame(struct shard *s, enum frame_kind kind, uint32_t member, uint64_t id,
                             uint64_t index, enum status status)
{
    Mq__ReadIndex m = MQ__READ_INDEX__INIT;
    m.shard = s->o.shard;
    m.epoch_number = s->o.epoch.number;
    m.epoch_id = s->o.epoch.id;
    m.from = s->o.replica;
    m.to = s->o.members[member].replica;
    m.id = id;
    m.index = index;
    m.status = status;
    uint8_t header[160];
    size_t size = mq__read_index__pack(&m, header);
    struct block *frame;
    if (frame_block_new(kind, (struct bytes){header, size}, (struct bytes){NULL, 0}, &frame) ==
        OK) {
        shard_send(s, s->o.members[member].node, CHANNEL_CONTROL, &frame);
    }
}

/* ---- leader ---- */

static void confirm(struct shard *s)
{
    struct shard_reader *r = &s->reader;
    r->round.running = false;
    list_each(n, &r->in_round)
    {
        struct shard_read *read = container_of(n, struct shard_read, link);
        read->index = r->round.index;
        read->term = engine_term(s->engine);
    }
    list_splice(&r->applying, &r->in_round);
    for (struct list *n = list_pop(&r->remote_in_round); n != NULL;
         n = list_pop(&r->remote_in_round)) {
        struct remote_read *remote = container_of(n, struct remote_read, link);
        int member = shard_member_find(s, remote->from);
        if (member >= 0) {
            send_index_frame(s, FRAME_READ_INDEX_ACK, (uint32_t)member, remote->id, r->round.index,
                             OK);
        }
        free(remote);
    }
    s->dirty = true;
}

static void check_round(struct shard *s)
{
    uint32_t acks = 0;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        acks += s->reader.round.acks[i] && shard_voter(s, i) ? 1 : 0;
    }
    bool confirmed = acks >= shard_majority(s) || (shard_rules_off & SHARD_RULE_ROUND) != 0;
    if (s->reader.round.running && confirmed) {
        confirm(s);
    }
}

static void send_round(struct shard *s)
{
    struct read_round *round = &s->reader.round;
    round->sent_ms = host_now(s->host);
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        if (!round->acks[i] && shard_voter(s, i)) {
            send_round_frame(s, FRAME_READ_ROUND, i, engine_term(s->engine), round->number);
        }
    }
}

static void start_round(struct shard *s)
{
    struct shard_reader *r = &s->reader;
    if (r->round.running || (list_empty(&r->waiting) && list_empty(&r->remote_waiting)) ||
        !shard_own_term_committed(s)) {
        return;
    }
    r->round.running = true;
    r->round.number++;
    r->round.index = s->commit;
    memset(r->round.acks, 0, sizeof(r->round.acks));
    r->round.acks[s->self] = true;
    list_splice(&r->in_round, &r->waiting);
    list_splice(&r->remote_in_round, &r->remote_waiting);
    send_round(s);
    check_round(s);
}

/* ---- others ---- */

static void ask_leader(struct shard *s)
{
    struct shard_reader *r = &s->reader;
    int leader = shard_member_find(s, s->leader);
    if (r->ask_id != 0 || list_empty(&r->waiting) || leader < 0) {
        return;
    }
    r->ask_id = r->next_id++;
    list_each(n, &r->waiting)
    {
        struct shard_read *read = container_of(n, struct shard_read, link);
        read->id = read->id == 0 ? r->ask_id : read->id;
    }
    r->ask_sent_ms = host_now(s->host);
    send_index_frame(s, FRAME_READ_INDEX, (uint32_t)leader, r->ask_id, 0, OK);
}

static void complete_applying(struct shard *s)
{
    struct shard_reader *r = &s->reader;
    list_each_safe(n, &r->applying)
    {
        struct shard_read *read = container_of(n, struct shard_read, link);
        if (read->index <= s->applier.visible) {
            finish(s, read, OK);
        } else if (read->index <= s->applier.applied) {
            s->applier.commit_asked = true;
        }
    }
    /* An index beyond `applied`: the job that gets there commits at once. */
    if (!list_empty(&r->applying)) {
        s->applier.commit_asked = true;
    }
}

void shard_reader_turn(struct shard *s)
{
    if (s->role == ENGINE_LEADER) {
        start_round(s);
    } else {
        ask_leader(s);
    }
    complete_applying(s);
}

static void expire(struct shard *s, struct list *l, uint64_t now_ms, enum status why)
{
    list_each_safe(n, l)
    {
        struct shard_read *read = container_of(n, struct shard_read, link);
        if (read->deadline_ms <= now_ms) {
            finish(s, read, why);
        }
    }
}

void shard_reader_tick(struct shard *s, uint64_t now_ms)
{
    struct shard_reader *r = &s->reader;
    expire(s, &r->waiting, now_ms, s->leader == 0 ? STATUS_NO_LEADER : STATUS_NO_QUORUM);
    expire(s, &r->in_round, now_ms, STATUS_NO_QUORUM);
    expire(s, &r->applying, now_ms, STATUS_TIMEOUT);
    if (!shard_active(s)) {
        return;
    }
    if (r->round.running && s->role == ENGINE_LEADER && now_ms >= r->round.sent_ms + RESEND_MS) {
        send_round(s);
    }
    if (r->ask_id != 0 && now_ms >= r->ask_sent_ms + RESEND_MS * 2) {
        r->ask_id = 0; /* lost, or another leads by now: ask again, for all that wait */
    }
}

/* ---- what comes in ---- */

/* The member that a frame from this node speaks for, to us and in our epoch; -1: it is not for us. */
static int sender(const struct shard *s, node_id node, uint64_t from, uint64_t to,
                  uint64_t epoch_number, uint64_t epoch_id)
{
    int member = shard_member_find(s, from);
    bool ours =
        to == s->o.replica && epoch_number == s->o.epoch.number && epoch_id == s->o.epoch.id;
    return member >= 0 && s->o.members[member].node == node && ours ? member : -1;
}

void shard_receive_round(struct shard *s, const struct frame *f, node_id from)
{
    Mq__ReadRound *m = mq__read_round__unpack(NULL, f->header.size, f->header.data);
    if (m == NULL) {
        return;
    }
    int member = sender(s, from, m->from, m->to, m->epoch_number, m->epoch_id);
    if (member >= 0 && shard_active(s) && m->term == engine_term(s->engine) &&
        s->role == ENGINE_FOLLOWER) {
        send_round_frame(s, FRAME_READ_ACK, (uint32_t)member, m->term, m->round);
    }
    mq__read_round__free_unpacked(m, NULL);
}

void shard_receive_ack(struct shard *s, const struct frame *f, node_id from)
{
    Mq__ReadRound *m = mq__read_round__unpack(NULL, f->header.size, f->header.data);
    if (m == NULL) {
        return;
    }
    int member = sender(s, from, m->from, m->to, m->epoch_number, m->epoch_id);
    if (member >= 0 && shard_is_leader(s) && m->term == engine_term(s->engine) &&
        s->reader.round.running && m->round == s->reader.round.number) {
        s->reader.round.acks[member] = true;
        s->peers[member].contact = true;
        s->peers[member].contact_ms = host_now(s->host);
        check_round(s);
        s->dirty = true;
    }
    mq__read_round__free_unpacked(m, NULL);
}

/* One a peer: an answer to a later id covers the earlier ones. */
static void remember_remote(struct shard *s, uint64_t from, uint64_t id)
{
    list_each(n, &s->reader.remote_waiting)
    {
        struct remote_read *r = container_of(n, struct remote_read, link);
        if (r->from == from) {
            r->id = id > r->id ? id : r->id;
            return;
        }
    }
    struct remote_read *r = malloc(sizeof(*r));
    if (r != NULL) {
        *r = (struct remote_read){.from = from, .id = id};
        list_push_back(&s->reader.remote_waiting, &r->link);
        s->dirty = true;
    }
}

void shard_receive_index(struct shard *s, const struct frame *f, node_id from)
{
    Mq__ReadIndex *m = mq__read_index__unpack(NULL, f->header.size, f->header.data);
    if (m == NULL) {
        return;
    }
    int member = sender(s, from, m->from, m->to, m->epoch_number, m->epoch_id);
    if (member >= 0 && shard_is_leader(s) && !shard_witness(s)) {
        remember_remote(s, m->from, m->id);
    }
    mq__read_index__free_unpacked(m, NULL);
}

void shard_receive_index_ack(struct shard *s, const struct frame *f, node_id from)
{
    struct shard_reader *r = &s->reader;
    Mq__ReadIndex *m = mq__read_index__unpack(NULL, f->header.size, f->header.data);
    if (m == NULL) {
        return;
    }
    int member = sender(s, from, m->from, m->to, m->epoch_number, m->epoch_id);
    bool ours = m->id < r->next_id && m->id >> 32 == r->next_id >> 32;
    if (member >= 0 && ours && shard_active(s) && m->status == OK) {
        list_each_safe(n, &r->waiting)
        {
            struct shard_read *read = container_of(n, struct shard_read, link);
            if (read->id != 0 && read->id <= m->id) {
                read->index = m->index;
                read->term = engine_term(s->engine);
                list_remove(&read->link);
                list_push_back(&r->applying, &read->link);
            }
        }
        r->ask_id = r->ask_id <= m->id ? 0 : r->ask_id;
        s->dirty = true;
    }
    mq__read_index__free_unpacked(m, NULL);
}

/* ---- requests ---- */

void shard_read(struct shard *s, struct shard_read *read)
{
    read->link = (struct list){NULL, NULL};
    read->id = 0;
    read->index = 0;
    read->term = 0;
    s->dirty = true;
    if (shard_witness(s) || !shard_active(s) || s->lost) {
        finish(s, read, STATUS_NOT_FOUND);
        return;
    }
    list_push_back(&s->reader.waiting, &read->link);
}

void shard_read_local(struct shard *s, struct shard_read *read, uint64_t min_index)
{
    read->link = (struct list){NULL, NULL};
    read->id = 0;
    read->term = 0;
    s->dirty = true;
    if (shard_witness(s) || s->lost || !(shard_active(s) || s->state == SHARD_RESTARTING)) {
        finish(s, read, STATUS_NOT_FOUND);
        return;
    }
    /* While the disk is full, what is applied can't become visible; reads go on with what is. */
    uint64_t applied = s->applier.paused_until_ms != 0 ? s->applier.visible : s->applier.applied;
    read->index = min_index > applied ? min_index : applied;
    list_push_back(&s->reader.applying, &read->link);
}
