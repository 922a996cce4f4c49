/* Do all copies of all shards hold the same? For each shard one index is confirmed by a
 * linearizable read, then every replica is asked for its digest at that index (it waits until it
 * has applied that far); deep: every replica also walks all its rows and recomputes. A replica
 * that does not answer is unknown, which is not ok; what the answers mean is the rules' (copies.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin.h"
#include "node/node.h"
#include "raft/rules/copies.h"

#define TRIES 3

struct verify_row {
    struct verify_shard *shard;
    node_id node;
    bool known, recomputed_known, ok, disputed;
    uint32_t asked; /* questions without an answer yet */
    uint64_t index, rows;
    uint8_t digest[16], running[16], recomputed[16];
    char text[160];
};

struct verify_shard {
    struct verify *owner;
    shard_id id;
    uint64_t epoch, index;
    struct verify_row rows[MEMBERS_MAX];
    uint32_t rows_n, waiting;
    int tries;
    bool moved_on; /* a ring no longer reached the index */
};

struct verify {
    struct request *request;
    bool deep;
    uint32_t shards_n, waiting;
    struct operation *operation; /* may be NULL */
    struct verify_shard shards[];
};

static void shard_begin(struct verify_shard *s);

/* ---- the answer ---- */

static bool damaged(const struct verify_row *r)
{
    return r->recomputed_known && memcmp(r->running, r->recomputed, sizeof(r->running)) != 0;
}

static void row_judge(struct verify_row *r, enum copy_verdict verdict)
{
    bool deep = r->shard->owner->deep;
    r->ok = verdict == COPY_SAME && (!deep || (r->recomputed_known && !damaged(r)));
    r->disputed = verdict == COPY_DISPUTED && !damaged(r);
    if (damaged(r)) { /* also where the plain question had no answer */
        snprintf(r->text, sizeof(r->text),
                 "its rows do not give its digest at index %llu: the stored state is damaged",
                 (unsigned long long)r->index);
    } else if (verdict == COPY_DIFFERS) {
        snprintf(r->text, sizeof(r->text),
                 "its digest differs from most of those that answered, at index %llu",
                 (unsigned long long)r->shard->index);
    } else if (r->disputed) {
        snprintf(r->text, sizeof(r->text),
                 "copies differ at index %llu, no digest has a majority: which is right is not "
                 "known",
                 (unsigned long long)r->shard->index);
    }
}

static void judge(struct verify_shard *s)
{
    struct copy_digest copies[MEMBERS_MAX];
    enum copy_verdict verdicts[MEMBERS_MAX];
    for (uint32_t i = 0; i < s->rows_n; i++) {
        copies[i] =
            (struct copy_digest){.known = s->rows[i].known, .damaged = damaged(&s->rows[i])};
        memcpy(copies[i].digest, s->rows[i].digest, sizeof(copies[i].digest));
    }
    copies_judge(copies, s->rows_n, verdicts);
    for (uint32_t i = 0; i < s->rows_n; i++) {
        row_judge(&s->rows[i], verdicts[i]);
    }
}

static uint64_t now_of(const struct verify *v)
{
    return v->request->service->node->loop.now_ms;
}

/* Copies that are done, and the nodes whose answers are missing, each once. */
static void progress(struct verify *v)
{
    struct node *n = v->request->service->node;
    bool missing[NODES_MAX + 1] = {false};
    char waits[160] = "";
    uint64_t done = 0;
    for (uint32_t i = 0; i < v->shards_n; i++) {
        for (uint32_t k = 0; k < v->shards[i].rows_n; k++) {
            const struct verify_row *row = &v->shards[i].rows[k];
            bool answered = v->shards[i].index != 0 && row->asked == 0;
            done += answered;
            missing[row->node] = missing[row->node] || !answered;
        }
    }
    for (uint32_t i = 1, at = 0; i <= NODES_MAX && at < sizeof(waits); i++) {
        const struct founding_node *f = missing[i] ? founding_find_node(&n->founding, i) : NULL;
        int size =
            f != NULL ? snprintf(waits + at, sizeof(waits) - at, "%s%s", at > 0 ? " " : "", f->name)
                      : 0;
        at += size > 0 ? (uint32_t)size : 0;
    }
    operation_move(v->operation, now_of(v), done,
                   v->deep ? "each copy reads all its pairs" : "each copy tells its digest", waits);
}

static void answer(struct verify *v)
{
    operation_end(v->operation, now_of(v), OK);
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    Mq__VerifyView view = MQ__VERIFY_VIEW__INIT;
    size_t most = (size_t)v->shards_n * MEMBERS_MAX;
    Mq__VerifyRow *rows = calloc(most, sizeof(*rows));
    Mq__VerifyRow **pointers = calloc(most, sizeof(*pointers));
    bool all = true;
    for (uint32_t i = 0; rows != NULL && pointers != NULL && i < v->shards_n; i++) {
        judge(&v->shards[i]);
        for (uint32_t k = 0; k < v->shards[i].rows_n; k++) {
            struct verify_row *from = &v->shards[i].rows[k];
            Mq__VerifyRow *to = &rows[view.n_rows];
            mq__verify_row__init(to);
            to->shard = v->shards[i].id;
            to->node = from->node;
            to->index = v->deep && from->recomputed_known && !from->ok && from->index != 0
                            ? from->index
                            : v->shards[i].index;
            to->digest = (ProtobufCBinaryData){from->known ? 16 : 0, from->digest};
            to->recomputed =
                (ProtobufCBinaryData){from->recomputed_known ? 16 : 0, from->recomputed};
            to->ok = from->ok;
            to->disputed = from->disputed;
            to->known = damaged(from) || (from->known && (!v->deep || from->recomputed_known));
            to->text = from->text;
            to->rows = from->rows;
            pointers[view.n_rows++] = to;
            all = all && from->ok;
        }
    }
    view.rows = pointers;
    result.verify = &view;
    char text[100];
    snprintf(text, sizeof(text), "%s",
             all ? "every replica holds the same" : "not every replica was found to hold the same");
    result.text = text;
    admin_finish(v->request, MQ__OUTCOME__OUTCOME_APPLIED, OK, text, &result);
    free(rows);
    free(pointers);
    free(v);
}

static void shard_done(struct verify_shard *s)
{
    if (--s->owner->waiting == 0) {
        answer(s->owner);
    }
}

/* ---- asking ---- */

static struct request *ask(struct verify *v, shard_id shard, bool recompute, uint64_t index,
                           void (*done)(struct request *, const struct response *), void *arg)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryDigest digest = MQ__QUERY_DIGEST__INIT;
    uint8_t packed[64];
    digest.recompute = recompute;
    digest.index = index;
    query.body_case = MQ__QUERY__BODY_DIGEST;
    query.digest = &digest;
    size_t size = mq__query__pack(&query, packed);
    uint64_t now = v->request->service->node->loop.now_ms;
    uint64_t deadline =
        v->request->deadline_ms > now + 500 ? v->request->deadline_ms - 250 : now + 200;
    return request_new_own(v->request->service, MQ__OP__OP_QUERY, shard,
                           (struct bytes){packed, size}, deadline, done, arg);
}

static void row_done(struct verify_row *row)
{
    struct verify_shard *s = row->shard;
    progress(s->owner);
    if (--s->waiting > 0) {
        return;
    }
    if (s->moved_on && ++s->tries < TRIES) {
        shard_begin(s);
    } else {
        shard_done(s);
    }
}

static void note(struct verify_row *row, const struct response *a)
{
    if (row->text[0] == '\0') {
        snprintf(row->text, sizeof(row->text), "%s",
                 a->text != NULL && a->text[0] != '\0' ? a->text : status_text(a->status));
    }
}

static void on_recomputed(struct request *own, const struct response *a)
{
    struct verify_row *row = own->arg;
    row->asked--;
    Mq__QueryResult *q = a->outcome == MQ__OUTCOME__OUTCOME_APPLIED
                             ? mq__query_result__unpack(NULL, a->payload.size, a->payload.data)
                             : NULL;
    if (q != NULL && q->digest.len == 16 && q->digest2.len == 16) {
        row->recomputed_known = true;
        memcpy(row->running, q->digest.data, 16);
        memcpy(row->recomputed, q->digest2.data, 16);
        row->index = q->index;
        row->rows = q->rows;
    } else {
        note(row, a);
    }
    mq__query_result__free_unpacked(q, NULL);
    row_done(row);
}

static void on_digest(struct request *own, const struct response *a)
{
    struct verify_row *row = own->arg;
    row->asked--;
    Mq__QueryResult *q = a->outcome == MQ__OUTCOME__OUTCOME_APPLIED
                             ? mq__query_result__unpack(NULL, a->payload.size, a->payload.data)
                             : NULL;
    if (q != NULL && q->digest.len == 16) {
        row->known = true;
        memcpy(row->digest, q->digest.data, 16);
    } else {
        row->shard->moved_on = row->shard->moved_on || a->status == STATUS_NOT_FOUND;
        note(row, a);
    }
    mq__query_result__free_unpacked(q, NULL);
    row_done(row);
}

static void send_to(struct request *own, struct verify_row *row, uint64_t min_index)
{
    own->target = row->node;
    own->header.consistency = MQ__CONSISTENCY__LOCAL;
    own->header.min_epoch = row->shard->epoch;
    own->header.min_index = min_index;
    request_advance(own);
}

static void on_index(struct request *own, const struct response *a)
{
    struct verify_shard *s = own->arg;
    struct verify *v = s->owner;
    if (a->outcome != MQ__OUTCOME__OUTCOME_APPLIED) {
        for (uint32_t i = 0; i < s->rows_n; i++) {
            note(&s->rows[i], a);
        }
        shard_done(s);
        return;
    }
    s->index = a->index;
    s->epoch = a->epoch;
    s->moved_on = false;
    s->waiting = s->rows_n * (v->deep ? 2 : 1) + 1;
    for (uint32_t i = 0; i < s->rows_n; i++) {
        struct verify_row *row = &s->rows[i];
        *row = (struct verify_row){.shard = s, .node = row->node};
        struct request *plain = ask(v, s->id, false, s->index, on_digest, row);
        struct request *deep = v->deep ? ask(v, s->id, true, 0, on_recomputed, row) : NULL;
        s->waiting -= (plain == NULL ? 1u : 0u) + (v->deep && deep == NULL ? 1u : 0u);
        row->asked = (plain != NULL ? 1u : 0u) + (deep != NULL ? 1u : 0u);
        if (plain != NULL) {
            send_to(plain, row, s->index);
        }
        if (deep != NULL) {
            send_to(deep, row, s->index);
        }
    }
    row_done(&s->rows[0]); /* the one we held */
}

static void shard_begin(struct verify_shard *s)
{
    struct request *own = ask(s->owner, s->id, false, 0, on_index, s);
    if (own == NULL) {
        shard_done(s);
        return;
    }
    request_advance(own);
}

void verify_start(struct request *r, const Mq__AdminVerify *a)
{
    struct node *n = r->service->node;
    const Mq__Founding *m = shards_founding(&n->shards);
    struct verify *v = calloc(1, sizeof(*v) + m->n_shards * sizeof(struct verify_shard));
    if (v == NULL) {
        request_refuse(r, STATUS_NO_MEMORY, NULL);
        return;
    }
    v->request = r;
    v->deep = a->deep;
    for (size_t i = 0; i < m->n_shards; i++) {
        struct verify_shard *s = &v->shards[v->shards_n++];
        s->owner = v;
        s->id = m->shards[i]->shard;
        for (size_t k = 0; k < m->shards[i]->n_members; k++) {
            const struct founding_node *f =
                founding_find_node(&n->founding, m->shards[i]->members[k]->node);
            if (f != NULL && (f->role != ROLE_WITNESS || s->id == SHARD_DIRECTORY)) {
                s->rows[s->rows_n].shard = s;
                s->rows[s->rows_n++].node = f->node;
            }
        }
    }
    uint64_t copies = 0;
    for (uint32_t i = 0; i < v->shards_n; i++) {
        copies += v->shards[i].rows_n;
    }
    v->operation =
        operation_begin(&n->operations, n->loop.now_ms, a->deep ? "verify --deep" : "verify",
                        "all shards", "copies", copies);
    v->waiting = v->shards_n + 1;
    for (uint32_t i = 0; i < v->shards_n; i++) {
        if (v->shards[i].rows_n == 0) {
            v->waiting--;
        } else {
            shard_begin(&v->shards[i]);
        }
    }
    if (--v->waiting == 0) {
        answer(v);
    }
}
