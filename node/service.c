/* Requests in, deadlines, the route cache. */
#include "node/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "node/admin.h"
#include "node/assigner.h"
#include "node/forward.h"
#include "node/hint.h"
#include "node/node.h"

#define RESPONSES_QUEUED_BYTES_MAX (8u * 1024u * 1024u) /* more, and the client is not read */

enum status service_init(struct service *s, struct node *n)
{
    memset(s, 0, sizeof(*s));
    s->node = n;
    list_init(&s->waiting);
    list_init(&s->forwarded);
    list_init(&s->free);
    list_init(&s->subscribers);
    list_init(&s->tasks);
    s->next_forward_id = 1;
    s->routes = calloc(ROUTES_N, sizeof(*s->routes));
    if (s->routes == NULL) {
        return STATUS_NO_MEMORY;
    }
    return assigner_new(s, &s->assigner);
}

void service_deinit(struct service *s)
{
    struct list *lists[] = {&s->free, &s->waiting, &s->forwarded};
    for (int i = 0; i < 3; i++) {
        for (struct list *n = s->routes != NULL ? list_pop(lists[i]) : NULL; n != NULL;
             n = list_pop(lists[i])) {
            struct request *r = container_of(n, struct request, link);
            buffer_deinit(&r->result);
            free(r->heap);
            free(r);
        }
    }
    assigner_free(s->assigner);
    s->assigner = NULL;
    free(s->routes);
    s->routes = NULL;
}

/* ---- in ---- */

static enum status admit(struct service *s, const struct session *from, size_t bytes)
{
    const struct config *c = &s->node->config;
    if (s->requests_n >= c->node_requests_max || s->bytes + bytes > c->node_bytes_max) {
        return STATUS_OVERLOAD;
    }
    if (from->kind == SESSION_CLIENT && (from->requests_n >= c->client_requests_max ||
                                         from->request_bytes + bytes > c->client_bytes_max)) {
        return STATUS_OVERLOAD;
    }
    return s->node->draining ? STATUS_CLOSED : OK;
}

static uint32_t needed_rights(const struct request *r)
{
    switch (r->header.op) {
        case MQ__OP__OP_QUERY:
            return RIGHT_VIEW;
        case MQ__OP__OP_SUBSCRIBE:
        case MQ__OP__OP_FEED_STATUS:
            return RIGHT_FEED;
        case MQ__OP__OP_TOUCH:
            return RIGHT_FEED | RIGHT_OPERATE; /* either */
        default:
            return RIGHT_VIEW; /* commands and admin look closer */
    }
}

static void dispatch(struct request *r)
{
    const char *text = "";
    uint32_t rights = needed_rights(r);
    enum status s = OK;
    r->queries = r->header.op != MQ__OP__OP_SUBMIT && r->header.op != MQ__OP__OP_ADMIN;
    if (r->header.op == MQ__OP__OP_SUBMIT) {
        s = command_check(r->payload, &rights, &text);
    } else if (r->header.op == MQ__OP__OP_QUERY) {
        s = query_check(r->payload, &text);
    }
    if (s != OK) {
        request_refuse(r, s, text);
    } else if ((rights & r->rights) == 0) {
        request_refuse(r, STATUS_DENIED, "this certificate may not do that");
    } else {
        switch (r->header.op) {
            case MQ__OP__OP_SUBMIT:
            case MQ__OP__OP_QUERY:
            case MQ__OP__OP_ADMIN:
                request_advance(r);
                break;
            case MQ__OP__OP_SUBSCRIBE:
                hint_subscribe(r);
                break;
            case MQ__OP__OP_TOUCH:
                hint_touch(r);
                break;
            case MQ__OP__OP_FEED_STATUS:
                feed_status_receive(r);
                break;
            default:
                request_refuse(r, STATUS_INVALID, "no such operation");
        }
    }
}

/* Refused before it exists: no request is made for it. */
static enum status refuse_early(struct session *from, uint64_t id, enum status s)
{
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    char text[160];
    uint8_t packed[512];
    snprintf(
        text, sizeof(text), "%s. What to do: try again later",
        s == STATUS_OVERLOAD ? "too many requests wait for an answer" : "this node is stopping");
    h.id = id;
    h.outcome = MQ__OUTCOME__OUTCOME_REFUSED;
    h.status = (uint32_t)s;
    h.text = text;
    h.message_id = s == STATUS_OVERLOAD ? "MQ-REQUEST-OVERLOAD" : "MQ-NODE-STOPPING";
    size_t size = mq__response_header__pack(&h, packed);
    return connection_send_frame(
        &from->connection,
        from->kind == SESSION_PEER ? FRAME_FORWARD_RESPONSE : FRAME_CLIENT_RESPONSE,
        (struct bytes){packed, size}, (struct bytes){NULL, 0});
}

enum status service_receive(struct service *s, struct session *from, const struct frame *f)
{
    struct request_header h;
    if (!request_header_decode(f->header, &h)) {
        return STATUS_MALFORMED;
    }
    s->received_total++;
    enum status st = admit(s, from, f->payload.size);
    struct request *r = st == OK ? request_new(s, &h, f->payload) : NULL;
    if (r == NULL) {
        s->overload_total++;
        return refuse_early(from, h.id, st == OK ? STATUS_OVERLOAD : st);
    }
    r->header.forwarded = from->kind == SESSION_PEER;
    r->routed =
        r->header.forwarded; /* by the node that asked; the shard itself knows whom it owns */
    r->rights = from->rights;
    r->origin = from;
    list_push_back(&from->requests, &r->origin_link);
    from->requests_n++;
    from->request_bytes += f->payload.size;
    dispatch(r);
    if (connection_queued(&from->connection) > RESPONSES_QUEUED_BYTES_MAX &&
        from->kind == SESSION_CLIENT) {
        connection_pause(&from->connection);
    }
    return OK;
}

/* ---- time ---- */

static void tick_waiting(struct service *s, uint64_t now_ms, bool all, shard_id shard)
{
    struct list due;
    list_init(&due);
    list_each_safe(n, &s->waiting)
    {
        struct request *r = container_of(n, struct request, link);
        if (now_ms >= r->retry_ms || now_ms >= r->deadline_ms || (all && r->shard == shard)) {
            list_remove(n);
            list_push_back(&due, n);
        }
    }
    for (struct list *n = list_pop(&due); n != NULL; n = list_pop(&due)) {
        struct request *r = container_of(n, struct request, link);
        if (now_ms >= r->deadline_ms) {
            request_refuse(r, r->last_status, NULL);
        } else {
            r->stage = REQUEST_NEW;
            request_advance(r);
        }
    }
}

void service_tick(struct service *s, uint64_t now_ms)
{
    tick_waiting(s, now_ms, false, 0);
    list_each_safe(n, &s->forwarded)
    {
        struct request *r = container_of(n, struct request, link);
        if (now_ms >= r->deadline_ms) {
            forward_expired(r);
        }
    }
    list_each_safe(n, &s->tasks)
    {
        struct task *t = container_of(n, struct task, link);
        t->tick(t, now_ms); /* may free it */
    }
    assigner_tick(s->assigner, now_ms);
}

void service_leader_known(struct service *s, shard_id shard)
{
    tick_waiting(s, s->node->loop.now_ms, true, shard);
}

/* ---- routes ---- */

static struct route *slot(struct service *s, struct bytes user)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < user.size; i++) {
        h = (h ^ user.data[i]) * 0x100000001b3ull;
    }
    return &s->routes[(h ^ (h >> 32)) % ROUTES_N];
}

/* Only assignments that exist are kept: a user's first assignment never changes, and a shard that
 * does not own the user says so. */
void service_route_put(struct service *s, struct bytes user, shard_id shard)
{
    struct route *r = slot(s, user);
    if (user.size <= sizeof(r->user)) {
        r->shard_plus_one = shard + 1;
        r->size = (uint8_t)user.size;
        memcpy(r->user, user.data, user.size);
    }
}

bool service_route_find(struct service *s, struct bytes user, shard_id *out_shard)
{
    struct route *r = slot(s, user);
    if (r->shard_plus_one == 0 || r->size != user.size ||
        memcmp(r->user, user.data, user.size) != 0) {
        return false;
    }
    *out_shard = r->shard_plus_one - 1;
    return true;
}

void service_route_drop(struct service *s, struct bytes user)
{
    shard_id shard;
    if (service_route_find(s, user, &shard)) {
        slot(s, user)->shard_plus_one = 0;
    }
}
