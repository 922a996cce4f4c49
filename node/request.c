/* Life of a request, writing, and answering. */
#include "node/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "node/admin.h"
#include "node/forward.h"
#include "node/node.h"

uint32_t rights_of(const struct tls_identity *identity)
{
    switch (identity->kind) {
        case TLS_HOST:
            return RIGHT_VIEW | RIGHT_FEED;
        case TLS_NODE:
            return RIGHT_VIEW;
        case TLS_OPERATOR:
            if (strcmp(identity->role, "admin") == 0) {
                return RIGHT_VIEW | RIGHT_FEED | RIGHT_OPERATE | RIGHT_ADMIN;
            }
            return strcmp(identity->role, "operator") == 0 ? RIGHT_VIEW | RIGHT_FEED | RIGHT_OPERATE
                                                           : RIGHT_VIEW;
        default:
            return 0;
    }
}

/* ---- life ---- */

static void set_deadline(struct request *r, uint32_t deadline_ms)
{
    uint64_t ms = deadline_ms == 0 ? REQUEST_DEADLINE_MS : deadline_ms;
    ms = ms > REQUEST_DEADLINE_MS_MAX ? REQUEST_DEADLINE_MS_MAX : ms;
    r->deadline_ms = r->service->node->loop.now_ms + ms;
}

struct request *request_new(struct service *s, const struct request_header *h, struct bytes payload)
{
    struct list *n = list_pop(&s->free);
    struct request *r = n != NULL ? container_of(n, struct request, link) : malloc(sizeof(*r));
    if (r == NULL) {
        return NULL;
    }
    s->free_n -= n != NULL;
    memset(r, 0, offsetof(struct request, inside));
    r->service = s;
    uint8_t *at = r->inside;
    if (payload.size > sizeof(r->inside)) {
        r->heap = malloc(payload.size);
        at = r->heap;
        if (at == NULL) {
            free(r);
            return NULL;
        }
    }
    if (payload.size > 0) {
        memcpy(at, payload.data, payload.size);
    }
    r->payload = (struct bytes){at, payload.size};
    r->header = *h;
    must(h->user.size <= USER_BYTES_MAX);
    if (h->user.size > 0) {
        memcpy(r->user, h->user.data, h->user.size);
    }
    r->header.user.data = (const uint8_t *)r->user;
    r->shard = h->shard;
    r->last_status = STATUS_NO_LEADER;
    set_deadline(r, h->deadline_ms);
    s->requests_n++;
    s->bytes += payload.size;
    return r;
}

struct request *request_new_own(struct service *s, Mq__Op op, shard_id shard, struct bytes payload,
                                uint64_t deadline_ms,
                                void (*done)(struct request *r, const struct response *response),
                                void *arg)
{
    struct request_header h;
    memset(&h, 0, sizeof(h));
    h.op = (uint32_t)op;
    h.shard = shard;
    struct request *r = request_new(s, &h, payload);
    if (r != NULL) {
        r->rights = RIGHTS_ALL;
        r->done = done;
        r->arg = arg;
        r->deadline_ms = deadline_ms;
        r->queries = op != MQ__OP__OP_SUBMIT && op != MQ__OP__OP_ADMIN;
    }
    return r;
}

static void request_release(struct request *r)
{
    struct service *s = r->service;
    must(s->requests_n > 0);
    s->requests_n--;
    s->bytes -= r->payload.size;
    buffer_deinit(&r->result);
    free(r->heap);
    r->heap = NULL;
    list_remove(&r->link);
    if (s->free_n < FREE_REQUESTS_MAX) {
        list_push_back(&s->free, &r->link);
        s->free_n++;
    } else {
        free(r);
    }
}

static void detach(struct request *r)
{
    if (r->origin != NULL) {
        r->origin->requests_n--;
        r->origin->request_bytes -= r->payload.size;
        list_remove(&r->origin_link);
        r->origin = NULL;
    }
}

void requests_orphan(struct session *s)
{
    for (struct list *n = list_pop(&s->requests); n != NULL; n = list_pop(&s->requests)) {
        container_of(n, struct request, origin_link)->origin = NULL;
    }
    s->requests_n = 0;
    s->request_bytes = 0;
}

/* ---- answering ---- */

static const char *message_of(enum status s)
{
    switch (s) {
        case STATUS_NO_LEADER:
            return "MQ-REQUEST-NO-LEADER";
        case STATUS_NO_QUORUM:
            return "MQ-REQUEST-NO-QUORUM";
        case STATUS_NOT_LEADER:
            return "MQ-REQUEST-NOT-LEADER";
        case STATUS_TIMEOUT:
            return "MQ-REQUEST-TIMEOUT";
        case STATUS_OVERLOAD:
        case STATUS_FULL:
            return "MQ-REQUEST-OVERLOAD";
        case STATUS_NO_SPACE:
            return "MQ-DISK-FULL";
        case STATUS_DENIED:
            return "MQ-REQUEST-DENIED";
        case STATUS_MOVED:
            return "MQ-REQUEST-MOVED";
        case STATUS_NO_SHARD:
            return "MQ-REQUEST-NO-SHARD";
        case STATUS_VERSION:
            return "MQ-REQUEST-VERSION";
        case STATUS_UNKNOWN_OUTCOME:
            return "MQ-REQUEST-UNKNOWN";
        case STATUS_NO_SESSION:
            return "MQ-REQUEST-NO-SESSION";
        case STATUS_OLD:
            return "MQ-REQUEST-OLD";
        case STATUS_STALE_TOKEN:
            return "MQ-REQUEST-STALE-TOKEN";
        case STATUS_PLAN_STALE:
            return "MQ-PLAN-STALE";
        case STATUS_MALFORMED:
        case STATUS_INVALID:
        case STATUS_TOO_BIG:
            return "MQ-REQUEST-INVALID";
        default:
            return "MQ-REQUEST-REFUSED";
    }
}

static const char *text_of(const struct request *r, enum status s)
{
    if (s == STATUS_NO_LEADER && !r->service->node->data.founded) {
        return r->service->node->founder.text;
    }
    switch (s) {
        case STATUS_NO_LEADER:
            return "no leader of the shard became known in time; nothing was changed. What to do: "
                   "try again; clusterctl status";
        case STATUS_NO_QUORUM:
            return "no majority of the shard's voters answers. What to do: clusterctl status";
        case STATUS_UNKNOWN_OUTCOME:
            return "it may yet be applied. What to do: ask again with the same session and "
                   "sequence";
        default:
            return status_text(s);
    }
}

static void send_answer(struct request *r, const struct response *a)
{
    struct node *n = r->service->node;
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    uint8_t packed[2048];
    char text[600];
    h.id = r->header.id;
    h.outcome = a->outcome;
    h.status = (uint32_t)a->status;
    if (a->outcome != MQ__OUTCOME__OUTCOME_APPLIED) {
        snprintf(text, sizeof(text), "%s",
                 a->text != NULL && a->text[0] != '\0' ? a->text : text_of(r, a->status));
        h.text = text;
        h.message_id = (char *)(uintptr_t)(a->message_id != NULL && a->message_id[0] != '\0'
                                               ? a->message_id
                                               : message_of(a->status));
    }
    const struct founding_node *leader =
        a->leader == NULL ? founding_find_node(&n->founding, shards_leader(&n->shards, r->shard))
                          : NULL;
    h.leader = (char *)(uintptr_t)(a->leader != NULL ? a->leader
                                   : leader != NULL  ? leader->name
                                                     : "");
    h.shard = r->shard;
    h.epoch = a->epoch;
    h.index = a->index;
    h.term = a->term;
    h.age_ms = a->age_ms;
    char durability[] = "majority";
    if (a->outcome == MQ__OUTCOME__OUTCOME_APPLIED && r->header.op == MQ__OP__OP_SUBMIT) {
        h.durability = durability;
    }
    must(mq__response_header__get_packed_size(&h) <= sizeof(packed));
    size_t size = mq__response_header__pack(&h, packed);
    enum frame_kind kind =
        r->origin->kind == SESSION_PEER ? FRAME_FORWARD_RESPONSE : FRAME_CLIENT_RESPONSE;
    enum status s = connection_send_frame(&r->origin->connection, kind,
                                          (struct bytes){packed, size}, a->payload);
    if (s == STATUS_FULL || s == STATUS_TOO_BIG) {
        connection_close(&r->origin->connection, STATUS_OVERLOAD, "does not read its answers");
    }
}

void request_finish(struct request *r, const struct response *response)
{
    list_remove(&r->link);
    if (r->done != NULL) {
        r->done(r, response);
    } else if (r->origin != NULL) {
        send_answer(r, response);
    }
    detach(r);
    request_release(r);
}

void request_refuse(struct request *r, enum status s, const char *text)
{
    struct response a = {.outcome = MQ__OUTCOME__OUTCOME_REFUSED, .status = s, .text = text};
    request_finish(r, &a);
}

/* ---- going on ---- */

void request_wait(struct request *r, enum status why)
{
    uint64_t now = r->service->node->loop.now_ms;
    r->last_status = why;
    if (r->header.forwarded || now >= r->deadline_ms) {
        request_refuse(r, why, NULL); /* the node that forwarded it tries again */
        return;
    }
    r->stage = REQUEST_WAITING;
    r->retry_ms = now + RETRY_MS;
    list_remove(&r->link);
    list_push_back(&r->service->waiting, &r->link);
}

/* Worth another try, because nothing was or will be applied and a leader may appear. */
static bool transient(enum status s)
{
    return s == STATUS_NOT_LEADER || s == STATUS_NO_LEADER || s == STATUS_BUSY;
}

static void submit_done(struct shard_submit *q)
{
    struct request *r = container_of(q, struct request, submit);
    struct response a = {.status = q->status, .index = q->index, .term = q->term};
    struct node_shard *ns = shards_find(&r->service->node->shards, r->shard);
    must(r->stage == REQUEST_SUBMITTED);
    a.epoch = ns != NULL ? shard_get_options(ns->shard)->epoch.number : 0;
    if (q->result != NULL) {
        a.payload = (struct bytes){q->result->data, q->result->size};
    }
    if (q->outcome == SUBMIT_APPLIED && ns != NULL) {
        latency_add(&ns->writes, r->service->node->loop.now_ms,
                    clock_monotonic_us() - r->submitted_us);
    }
    if (q->outcome == SUBMIT_UNKNOWN) {
        a.outcome = MQ__OUTCOME__OUTCOME_UNKNOWN;
        a.status = STATUS_UNKNOWN_OUTCOME;
    } else if (q->outcome == SUBMIT_REFUSED && transient(q->status)) {
        request_wait(r, q->status == STATUS_NOT_LEADER && !r->header.forwarded ? STATUS_NO_LEADER
                                                                               : q->status);
        return;
    } else {
        a.outcome = q->outcome == SUBMIT_APPLIED && q->status == OK ? MQ__OUTCOME__OUTCOME_APPLIED
                                                                    : MQ__OUTCOME__OUTCOME_REFUSED;
    }
    if (q->status == STATUS_MOVED && r->header.user.size > 0) {
        service_route_drop(r->service, r->header.user);
    }
    struct block *result = q->result;
    request_finish(r, &a);
    block_unref(result);
}

static void submit_here(struct request *r, struct node_shard *ns)
{
    r->stage = REQUEST_SUBMITTED;
    memset(&r->submit, 0, sizeof(r->submit));
    r->submitted_us = clock_monotonic_us();
    r->submit.command = r->payload;
    r->submit.session = r->header.session;
    r->submit.sequence = r->header.sequence;
    r->submit.deadline_ms = r->deadline_ms;
    r->submit.done = submit_done;
    shard_submit(ns->shard, &r->submit);
    loop_again(&r->service->node->loop);
}

static void to_leader(struct request *r, node_id leader)
{
    if (r->header.forwarded) {
        request_refuse(r, STATUS_NOT_LEADER, NULL);
    } else if (leader == 0 || leader == r->service->node->self->node ||
               forward_send(r, leader) != OK) {
        request_wait(r, STATUS_NO_LEADER);
    }
}

static void submit_attempt(struct request *r)
{
    struct shards *shards = &r->service->node->shards;
    struct node_shard *ns = shards_find(shards, r->shard);
    if (ns == NULL && shards_record(shards, r->shard) == NULL) {
        request_refuse(r, STATUS_NO_SHARD, NULL);
    } else if (ns != NULL && ns->leads) {
        submit_here(r, ns);
    } else {
        to_leader(r, shards_leader(shards, r->shard));
    }
}

void request_advance(struct request *r)
{
    if (r->target != 0 && r->target != r->service->node->self->node) {
        if (forward_send(r, r->target) != OK) {
            request_refuse(r, STATUS_UNREACHABLE, NULL);
        }
    } else if (r->header.user.size > 0 && !r->routed) {
        route_start(r);
    } else if (r->header.op == MQ__OP__OP_SUBMIT) {
        submit_attempt(r);
    } else if (r->header.op == MQ__OP__OP_QUERY) {
        query_attempt(r);
    } else {
        admin_start(r);
    }
}
