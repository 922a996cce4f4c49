/* Questions of a visit to the cluster: cursors, leases, reports. One is under way at a time; its payload is made anew for each try.
 *
 * visit_ask() -> (lease first, when a report needs one) -> question_send() -> answered() -> by verdict: the answer counts, or the same again after
 * 100 ms doubling up to 2 s, until the report deadline. */
#include "node/feed/visit_internal.h"

#include <string.h>

#include "base/log_line.h"
#include "base/must.h"

#define MOVED_PATIENCE_MS 5000u

static void question_send(struct visit *v);

static uint64_t now_ms(const struct visit *v)
{
    return uv_now(v->world->loop);
}

/* ---- payloads ---- */

static enum status pack_query(struct visit *v, Mq__Query *q)
{
    uint8_t *at;
    size_t n = mq__query__get_packed_size(q);
    enum status s = buffer_reserve(&v->payload, n, &at);
    if (s == OK) {
        mq__query__pack(q, at);
        v->payload.size += n;
    }
    return s;
}

static enum status build_cursors(struct visit *v)
{
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryCursors body = MQ__QUERY_CURSORS__INIT;
    body.user = v->user->name;
    body.store = (char *)v->world->config->store;
    body.limit = VISIT_QUERY_LIMIT;
    if (!uuid_zero(&v->query_after)) {
        body.after = (ProtobufCBinaryData){sizeof(v->query_after.bytes), v->query_after.bytes};
    }
    q.body_case = MQ__QUERY__BODY_CURSORS;
    q.cursors = &body;
    return pack_query(v, &q);
}

static enum status build_mailboxes(struct visit *v)
{
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryMailboxes body = MQ__QUERY_MAILBOXES__INIT;
    body.user = v->user->name;
    body.limit = VISIT_QUERY_LIMIT;
    if (!uuid_zero(&v->query_after)) {
        body.after = (ProtobufCBinaryData){sizeof(v->query_after.bytes), v->query_after.bytes};
    }
    q.body_case = MQ__QUERY__BODY_MAILBOXES;
    q.mailboxes = &body;
    return pack_query(v, &q);
}

static enum status pack_command(struct visit *v, const Mq__Command *c)
{
    uint8_t *at;
    size_t n = mq__command__get_packed_size(c);
    enum status s = buffer_reserve(&v->payload, n, &at);
    if (s == OK) {
        mq__command__pack(c, at);
        v->payload.size += n;
    }
    return s;
}

static enum status build_lease(struct visit *v)
{
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__LeaseAcquire acquire = MQ__LEASE_ACQUIRE__INIT;
    Mq__LeaseRenew renew = MQ__LEASE_RENEW__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    uint32_t ttl_ms = (uint32_t)v->world->config->lease_ttl_ms;
    if (v->ask == ASK_ACQUIRE) {
        acquire.user = v->user->name;
        acquire.store = (char *)v->world->config->store;
        acquire.holder = (char *)v->world->holder;
        acquire.ttl_ms = ttl_ms;
        acquire.site = (char *)v->world->config->site;
        c.body_case = MQ__COMMAND__BODY_LEASE_ACQUIRE;
        c.lease_acquire = &acquire;
    } else {
        token.epoch = v->user->token.epoch;
        token.position = v->user->token.position;
        renew.user = v->user->name;
        renew.store = (char *)v->world->config->store;
        renew.token = &token;
        renew.ttl_ms = ttl_ms;
        c.body_case = MQ__COMMAND__BODY_LEASE_RENEW;
        c.lease_renew = &renew;
    }
    return pack_command(v, &c);
}

static enum status build_deleted(struct visit *v)
{
    const struct uuid *guid = &v->gone[v->gone_at];
    const struct feed_mailbox *m = feed_user_find(v->user, guid);
    must(m != NULL);
    struct report_box box = {.user = v->user->name,
                             .store = v->world->config->store,
                             .name = "",
                             .guid = *guid,
                             .lease = v->user->token,
                             .uidvalidity = m->cursor.uidvalidity,
                             .uidnext = m->cursor.uidnext,
                             .highestmodseq = m->cursor.modseq,
                             .from_modseq = m->cursor.modseq,
                             .to_modseq = m->cursor.modseq};
    return report_encode_deleted(&box, &v->payload);
}

static enum status build(struct visit *v)
{
    buffer_clear(&v->payload);
    switch (v->ask) {
        case ASK_CURSORS:
            return build_cursors(v);
        case ASK_MAILBOXES:
            return build_mailboxes(v);
        case ASK_ACQUIRE:
        case ASK_RENEW:
            return build_lease(v);
        case ASK_DELETED:
            return build_deleted(v);
        case ASK_SLICE:
            v->box.lease = v->user->token;
            return report_encode(&v->box, &v->pull.page, &v->slice, &v->payload);
        default:
            return STATUS_INTERNAL;
    }
}

/* ---- sending and trying again ---- */

static void on_retry(uv_timer_t *t)
{
    struct visit *v = t->data;
    v->retrying = false;
    question_send(v);
}

static void again(struct visit *v, enum status s, const char *text)
{
    uint64_t patience_ms =
        s == STATUS_MOVED ? MOVED_PATIENCE_MS : v->world->config->report_deadline_ms;
    if (now_ms(v) > v->ask_since_ms + patience_ms) {
        log_warn("event=feed.given_up user=%s after_ms=%llu status=%s text=\"%s\"", v->user->name,
                 (unsigned long long)(now_ms(v) - v->ask_since_ms), status_name(s), text);
        visit_over(v, VISIT_UNANSWERED, "no answer that counts: %s", status_name(s));
        return;
    }
    v->world->counters->retried++;
    v->retrying = true;
    uv_timer_start(&v->timer, on_retry, v->retry_ms, 0);
    v->retry_ms = v->retry_ms * 2 > VISIT_RETRY_MAX_MS ? VISIT_RETRY_MAX_MS : v->retry_ms * 2;
    child_touch(&v->child); /* it waits for us, not we for it */
}

static bool lease_enough(const struct visit *v)
{
    return v->user->leased && now_ms(v) + v->world->config->lease_ttl_ms / VISIT_LEASE_MARGIN <
                                  v->user->lease_until_ms;
}

static void on_answer(struct client_request *r);

static void question_send(struct visit *v)
{
    bool reports = v->ask == ASK_DELETED || v->ask == ASK_SLICE;
    if (reports && !lease_enough(v)) {
        v->ask_after_lease = v->ask;
        v->ask = v->user->leased ? ASK_RENEW : ASK_ACQUIRE;
    }
    if (v->ask == ASK_ACQUIRE || v->ask == ASK_RENEW) {
        v->lease_asked_ms = now_ms(v);
    }
    enum status s = build(v);
    if (s != OK) {
        visit_over(v, VISIT_FAILED, "a question to the cluster: %s", status_text(s));
        return;
    }
    bool query = v->ask == ASK_CURSORS || v->ask == ASK_MAILBOXES;
    struct client_request *r = &v->request;
    memset(r, 0, sizeof(*r));
    mq__request_header__init(&r->header);
    r->header.op = query ? MQ__OP__OP_QUERY : MQ__OP__OP_SUBMIT;
    r->header.user = v->user->name;
    r->payload = (struct bytes){v->payload.data, v->payload.size};
    r->done = on_answer;
    r->arg = v;
    s = uplink_submit(v->world->uplink, r);
    v->asking = s == OK;
    if (s != OK) {
        again(v, s, "no connection to the cluster");
    }
}

void visit_ask(struct visit *v, enum visit_ask ask)
{
    must(!v->asking && !v->retrying);
    v->ask = ask;
    v->ask_since_ms = now_ms(v);
    v->retry_ms = VISIT_RETRY_MIN_MS;
    memset(&v->query_after, 0,
           ask == ASK_CURSORS || ask == ASK_MAILBOXES ? sizeof(v->query_after) : 0);
    question_send(v);
}

/* ---- answers that count ---- */

static enum status take_cursor(struct visit *v, const Mq__Cursor *c)
{
    struct uuid guid;
    struct feed_mailbox *m;
    if (c->mailbox.len != sizeof(guid.bytes) || c->cursor == NULL) {
        return STATUS_MALFORMED;
    }
    memcpy(guid.bytes, c->mailbox.data, sizeof(guid.bytes));
    enum status s = feed_user_get(v->user, &guid, &m);
    if (s == OK) {
        m->cursor = report_cursor(c->cursor);
        m->present = c->cursor->present;
        m->name_hash = feed_name_hash(c->name);
        m->subscribed = false;
        v->query_after = guid;
    }
    return s;
}

static enum status take_mailbox(struct visit *v, const Mq__Mailbox *b)
{
    struct uuid guid;
    if (b->guid.len != sizeof(guid.bytes)) {
        return STATUS_MALFORMED;
    }
    memcpy(guid.bytes, b->guid.data, sizeof(guid.bytes));
    struct feed_mailbox *m = feed_user_find(v->user, &guid);
    if (m != NULL) {
        m->subscribed = b->subscribed;
    }
    v->query_after = guid;
    return OK;
}

static void query_answered(struct visit *v, struct bytes result)
{
    Mq__QueryResult *r = mq__query_result__unpack(NULL, result.size, result.data);
    enum status s = r == NULL ? STATUS_MALFORMED : OK;
    bool cursors = v->ask == ASK_CURSORS;
    size_t rows = r == NULL ? 0 : cursors ? r->n_cursors : r->n_mailboxes;
    if (cursors && uuid_zero(&v->query_after)) {
        feed_user_unload(v->user);
    }
    for (size_t i = 0; i < rows && s == OK; i++) {
        s = cursors ? take_cursor(v, r->cursors[i]) : take_mailbox(v, r->mailboxes[i]);
    }
    bool more = r != NULL && r->more && rows > 0;
    if (r != NULL) {
        mq__query_result__free_unpacked(r, NULL);
    }
    if (s != OK) {
        visit_over(v, VISIT_FAILED, "the cluster's cursors: %s", status_text(s));
    } else if (more) {
        question_send(v);
    } else if (cursors) {
        visit_ask(v, ASK_MAILBOXES);
    } else {
        v->user->loaded = true;
        visit_advance(v);
    }
}

static void lease_answered(struct visit *v, struct bytes result)
{
    Mq__Result *r = mq__result__unpack(NULL, result.size, result.data);
    bool good = r != NULL && r->body_case == MQ__RESULT__BODY_LEASE && r->lease->token != NULL;
    if (good) {
        v->user->token = (struct token){r->lease->token->epoch, r->lease->token->position};
        v->user->leased = true;
        v->user->lease_said = false;
        v->user->lease_until_ms = v->lease_asked_ms + v->world->config->lease_ttl_ms;
    }
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
    if (!good) {
        visit_over(v, VISIT_FAILED, "the answer to a lease cannot be read");
        return;
    }
    v->ask = v->ask_after_lease;
    question_send(v);
}

static void deleted_applied(struct visit *v)
{
    struct feed_mailbox *m = feed_user_find(v->user, &v->gone[v->gone_at]);
    m->present = false;
    m->cursor = (struct pull_cursor){0};
    v->world->counters->deleted++;
    v->gone_at++;
    visit_advance(v);
}

static void applied(struct visit *v, struct bytes result, const struct report_place *place)
{
    v->world->counters->applied++;
    switch (v->ask) {
        case ASK_CURSORS:
        case ASK_MAILBOXES:
            query_answered(v, result);
            break;
        case ASK_ACQUIRE:
        case ASK_RENEW:
            lease_answered(v, result);
            break;
        case ASK_DELETED:
            deleted_applied(v);
            break;
        default:
            visit_slice_applied(v, place);
            break;
    }
}

/* ---- answers that do not ---- */

static void lease_held(struct visit *v, struct bytes result)
{
    Mq__Result *r = mq__result__unpack(NULL, result.size, result.data);
    bool known = r != NULL && r->body_case == MQ__RESULT__BODY_LEASE;
    visit_over(v, VISIT_LEASE_HELD, "another feed reports this user: %s",
               known ? r->lease->holder : "unknown holder");
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
}

static void lease_lost(struct visit *v)
{
    v->user->leased = false;
    if (v->ask == ASK_DELETED || v->ask == ASK_SLICE) {
        v->ask_after_lease = v->ask;
    }
    v->ask = ASK_ACQUIRE;
    question_send(v);
}

static void split(struct visit *v, const char *text)
{
    uint32_t half = v->ask == ASK_SLICE ? report_half(&v->pull.page, &v->slice) : 0;
    if (half == 0) {
        visit_over(v, VISIT_FAILED, "too big for the cluster and not to be halved: %s", text);
        return;
    }
    v->slice_last_max = half;
    v->slice = report_slice(&v->pull.page, v->slice.first_uid, half);
    question_send(v);
}

static void refused(struct visit *v, enum report_verdict verdict, enum status s,
                    struct bytes result, const char *text)
{
    switch (verdict) {
        case REPORT_LEASE:
            lease_lost(v);
            break;
        case REPORT_SPLIT:
            split(v, text);
            break;
        case REPORT_UNASSIGNED:
            visit_over(v, VISIT_UNASSIGNED, "no shard has this user: %s", text);
            break;
        case REPORT_RESYNC:
            visit_session_resync(v);
            visit_over(v, VISIT_RESUME, "the cluster asks for a full comparison");
            break;
        case REPORT_RESUME:
            feed_user_unload(v->user);
            visit_over(v, VISIT_RESUME, "the cluster stands elsewhere");
            break;
        default:
            if (s == STATUS_CONFLICT && v->ask == ASK_ACQUIRE) {
                lease_held(v, result);
                break;
            }
            log_error("event=feed.refused user=%s mailbox=\"%s\" status=%s text=\"%s\"",
                      v->user->name, v->box_name, status_name(s), text);
            if (v->ask == ASK_SLICE &&
                (s == STATUS_CONFLICT || s == STATUS_INVALID || s == STATUS_MALFORMED)) {
                visit_session_discard(v);
            } else {
                feed_user_unload(v->user);
                visit_over(v, VISIT_FAILED, "refused: %s: %s", status_name(s), text);
            }
    }
}

static void on_answer(struct client_request *r)
{
    struct visit *v = r->arg;
    struct report_place place = {0};
    bool slice = v->ask == ASK_SLICE;
    const char *text = r->response != NULL ? r->response->text : status_text(r->status);
    bool silent = r->response == NULL &&
                  (r->status == STATUS_TIMEOUT || r->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN);
    v->asking = false;
    uplink_heard(v->world->uplink, !silent);
    v->world->counters->unknown += r->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN;
    v->world->counters->refused += r->outcome == MQ__OUTCOME__OUTCOME_REFUSED;
    if (r->outcome == MQ__OUTCOME__OUTCOME_APPLIED && r->response != NULL) {
        v->user->shard = r->response->shard;
    }
    if (v->step == VISIT_OVER) {
        visit_over(v, v->end, "over");
        return;
    }
    enum report_verdict verdict = report_judge(
        r->outcome, r->status, r->result, slice ? &v->box : NULL, slice ? &v->slice : NULL, &place);
    if (verdict == REPORT_APPLIED) {
        applied(v, r->result, &place);
    } else if (verdict == REPORT_AGAIN) {
        again(v, r->status, text);
    } else {
        refused(v, verdict, r->status, r->result, text);
    }
}
