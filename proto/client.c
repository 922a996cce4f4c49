/* The client engine. Requests are packed at once into `plain` (their strings are only borrowed); client_output encrypts whatever has
 * gathered there in one go, so a thousand small requests become a few records and one write. Answers are found by id in a table of
 * slots: an id is chosen so that its slot is free.
 *
 * Happy path and failure: see the header. What the other side sends is trusted in nothing: a frame that is no frame, a kind that
 * only we may send, an outcome that does not exist, or a hello of another cluster or node end the connection with a reason. */
#include "proto/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/frame.h"

#define DEADLINE_DEFAULT_MS 5000u
#define DEADLINE_EARLY_MS \
    200u /* the node gives up this much before us, so that its refusal still arrives */
#define ENCRYPT_BYTES_MAX  (1024u * 1024u) /* in one call of client_output */
#define COMPACT_BYTES      (64u * 1024u)
#define IN_BYTES_MAX       (16u * 1024u * 1024u)
#define REQUEST_HEADER_MAX 4096u
#define SOFTWARE           "mailquorum 0.1.0"

static enum status fail(struct client *c, enum status s, const char *text)
{
    c->failed = true;
    if (c->error_text[0] == '\0') {
        snprintf(c->error_text, sizeof(c->error_text), "%s", text);
    }
    return s;
}

enum status client_init(struct client *c, struct tls_context *context,
                        const struct uuid *cluster_expected)
{
    static const char *const alpns[] = {ALPN_CLIENT, NULL};
    memset(c, 0, sizeof(*c));
    list_init(&c->requests);
    buffer_init(&c->in, IN_BYTES_MAX);
    buffer_init(&c->out, 0);
    buffer_init(&c->plain, CLIENT_OUTPUT_BYTES_MAX);
    c->deadline_min_ms = UINT64_MAX;
    if (cluster_expected != NULL) {
        c->cluster_expected = *cluster_expected;
    }
    c->slots = calloc(CLIENT_INFLIGHT_MAX, sizeof(struct client_request *));
    if (c->slots == NULL) {
        return fail(c, STATUS_NO_MEMORY, "out of memory");
    }
    return context != NULL ? tls_new(context, false, alpns, &c->tls) : OK;
}

void client_deinit(struct client *c)
{
    if (!list_empty(&c->requests)) {
        client_disconnected(c, "closed here");
    }
    tls_free(c->tls);
    c->tls = NULL;
    buffer_deinit(&c->in);
    buffer_deinit(&c->out);
    buffer_deinit(&c->plain);
    free(c->slots);
    c->slots = NULL;
    c->connected = false;
    c->failed = true;
}

void client_connected(struct client *c, uint64_t now_ms)
{
    c->now_ms = now_ms;
    c->connected = true;
    if (c->tls != NULL && tls_receive(c->tls, NULL, 0, &c->in, &c->out) != OK) {
        (void)fail(c, STATUS_TLS, tls_error_text(c->tls));
    }
}

bool client_ready(const struct client *c)
{
    return c->connected && !c->failed && c->hello_received;
}

/* ---- requests ---- */

static struct client_request **slot_of(struct client *c, uint64_t id)
{
    return &c->slots[id % CLIENT_INFLIGHT_MAX];
}

static uint64_t id_choose(struct client *c)
{
    do {
        c->next_id++;
    } while (*slot_of(c, c->next_id) != NULL); /* ends: fewer requests than slots */
    return c->next_id;
}

enum status client_submit(struct client *c, uint64_t now_ms, struct client_request *r)
{
    uint8_t packed[REQUEST_HEADER_MAX];
    c->now_ms = now_ms;
    if (c->failed) {
        return STATUS_CLOSED;
    }
    if (c->requests_n >= CLIENT_INFLIGHT_MAX) {
        return STATUS_FULL;
    }
    uint32_t deadline_ms = r->deadline_ms != 0 ? r->deadline_ms : DEADLINE_DEFAULT_MS;
    r->header.id = id_choose(c);
    r->header.deadline_ms =
        deadline_ms - (deadline_ms / 10 < DEADLINE_EARLY_MS ? deadline_ms / 10 : DEADLINE_EARLY_MS);
    size_t header_size = mq__request_header__get_packed_size(&r->header);
    if (header_size > sizeof(packed)) {
        return STATUS_TOO_BIG;
    }
    mq__request_header__pack(&r->header, packed);
    size_t more = FRAME_HEAD_SIZE + header_size + r->payload.size;
    if (c->plain.size > 0 && more > CLIENT_OUTPUT_BYTES_MAX - c->plain.size) {
        return STATUS_FULL;
    }
    enum status s = frame_encode(&c->plain, FRAME_CLIENT_REQUEST,
                                 (struct bytes){packed, header_size}, r->payload);
    if (s != OK) {
        return s;
    }
    r->outcome = MQ__OUTCOME__OUTCOME_NONE;
    r->status = OK;
    r->response = NULL;
    r->result = (struct bytes){NULL, 0};
    r->sent = false;
    r->deadline_at_ms = now_ms + deadline_ms;
    if (r->deadline_at_ms < c->deadline_min_ms) {
        c->deadline_min_ms = r->deadline_at_ms;
    }
    list_push_back(&c->requests, &r->link);
    *slot_of(c, r->header.id) = r;
    c->requests_n++;
    return OK;
}

/* Out of our books, then to its owner. */
static void complete(struct client *c, struct client_request *r)
{
    must(*slot_of(c, r->header.id) == r);
    *slot_of(c, r->header.id) = NULL;
    list_remove(&r->link);
    c->requests_n--;
    if (r->done != NULL) {
        r->done(r);
    }
}

/* No answer came. What may have been carried out nevertheless is unknown, the rest is refused. */
static void complete_unanswered(struct client *c, struct client_request *r, enum status s)
{
    bool changes = r->header.op == MQ__OP__OP_SUBMIT || r->header.op == MQ__OP__OP_ADMIN;
    r->outcome = r->sent && changes ? MQ__OUTCOME__OUTCOME_UNKNOWN : MQ__OUTCOME__OUTCOME_REFUSED;
    r->status = s;
    r->response = NULL;
    complete(c, r);
}

uint64_t client_deadline_ms(const struct client *c)
{
    return list_empty(&c->requests) ? UINT64_MAX : c->deadline_min_ms;
}

void client_tick(struct client *c, uint64_t now_ms)
{
    struct list due;
    c->now_ms = now_ms;
    if (now_ms < client_deadline_ms(c)) {
        return;
    }
    list_init(&due);
    c->deadline_min_ms = UINT64_MAX;
    list_each_safe(n, &c->requests)
    {
        struct client_request *r = container_of(n, struct client_request, link);
        if (r->deadline_at_ms <= now_ms) {
            list_remove(n);
            list_push_back(&due, n);
        } else if (r->deadline_at_ms < c->deadline_min_ms) {
            c->deadline_min_ms = r->deadline_at_ms;
        }
    }
    while (!list_empty(&due)) {
        complete_unanswered(c, container_of(due.next, struct client_request, link), STATUS_TIMEOUT);
    }
}

void client_disconnected(struct client *c, const char *why)
{
    (void)fail(c, STATUS_CLOSED, why);
    c->connected = false;
    while (!list_empty(&c->requests)) {
        complete_unanswered(c, container_of(c->requests.next, struct client_request, link),
                            STATUS_CLOSED);
    }
}

/* ---- output ---- */

static enum status hello_send(struct client *c)
{
    Mq__ClientHello hello = MQ__CLIENT_HELLO__INIT;
    struct buffer frame;
    uint8_t packed[256];
    char software[] = SOFTWARE;
    hello.version = WIRE_VERSION;
    hello.software = software;
    if (!uuid_zero(&c->cluster_expected)) {
        hello.cluster_id.data = c->cluster_expected.bytes;
        hello.cluster_id.len = sizeof(c->cluster_expected.bytes);
    }
    must(mq__client_hello__get_packed_size(&hello) <= sizeof(packed));
    size_t size = mq__client_hello__pack(&hello, packed);
    buffer_init(&frame, 0);
    enum status s = frame_encode(&frame, FRAME_CLIENT_HELLO, (struct bytes){packed, size},
                                 (struct bytes){NULL, 0});
    if (s == OK && c->tls != NULL) {
        s = tls_send(c->tls, frame.data, frame.size, &c->out);
    } else if (s == OK) {
        s = buffer_append(&c->out, frame.data, frame.size);
    }
    buffer_deinit(&frame);
    c->hello_sent = true;
    return s;
}

/* From the tail back, until one that had been sent before. */
static void mark_sent(struct client *c)
{
    for (struct list *n = c->requests.prev; n != &c->requests; n = n->prev) {
        struct client_request *r = container_of(n, struct client_request, link);
        if (r->sent) {
            return;
        }
        r->sent = true;
    }
}

static enum status requests_send(struct client *c)
{
    size_t waiting = c->plain.size - c->plain_at;
    size_t n = waiting < ENCRYPT_BYTES_MAX ? waiting : ENCRYPT_BYTES_MAX;
    const uint8_t *data = c->plain.data + c->plain_at;
    if (n == 0) {
        return OK;
    }
    enum status s =
        c->tls != NULL ? tls_send(c->tls, data, n, &c->out) : buffer_append(&c->out, data, n);
    if (s != OK) {
        return s;
    }
    mark_sent(c); /* also those whose bytes are still in the rest: unknown is the careful answer */
    c->plain_at += n;
    if (c->plain_at == c->plain.size) {
        buffer_clear(&c->plain);
        c->plain_at = 0;
    }
    return OK;
}

struct bytes client_output(struct client *c)
{
    bool open = c->connected && !c->failed && (c->tls == NULL || tls_ready(c->tls));
    enum status s = OK;
    if (open && !c->hello_sent) {
        s = hello_send(c);
    }
    if (s == OK && open && c->hello_received && c->out.size - c->out_at < ENCRYPT_BYTES_MAX) {
        s = requests_send(c);
    }
    if (s != OK) {
        (void)fail(c, s,
                   c->tls != NULL && s == STATUS_TLS ? tls_error_text(c->tls) : status_text(s));
    }
    return c->out.size == c->out_at
               ? (struct bytes){NULL, 0}
               : (struct bytes){c->out.data + c->out_at, c->out.size - c->out_at};
}

/* Forgets the consumed front of a buffer when that costs little. */
static void compact(struct buffer *b, size_t *at)
{
    if (*at == b->size) {
        buffer_clear(b);
        *at = 0;
    } else if (*at >= COMPACT_BYTES && *at >= b->size / 2) {
        buffer_consume(b, *at);
        *at = 0;
    }
}

void client_written(struct client *c, size_t size)
{
    must(size <= c->out.size - c->out_at);
    c->out_at += size;
    compact(&c->out, &c->out_at);
}

/* ---- input ---- */

static enum status hello_check(struct client *c, const Mq__ClientHello *hello)
{
    char text[256];
    if (hello->version == 0 || hello->version + 1 < WIRE_VERSION ||
        hello->version > WIRE_VERSION + 1) {
        snprintf(text, sizeof(text), "the node speaks wire version %u, this program %u",
                 hello->version, WIRE_VERSION);
        return fail(c, STATUS_VERSION, text);
    }
    if (hello->cluster_id.len != sizeof(c->cluster.bytes)) {
        return fail(c, STATUS_MALFORMED, "the node's hello has no cluster id");
    }
    if (!uuid_zero(&c->cluster_expected) &&
        memcmp(hello->cluster_id.data, c->cluster_expected.bytes, sizeof(c->cluster.bytes)) != 0) {
        return fail(c, STATUS_WRONG_CLUSTER, "the node belongs to another cluster");
    }
    if (c->tls != NULL && strcmp(hello->node, tls_peer(c->tls)->name) != 0) {
        return fail(c, STATUS_WRONG_NODE,
                    "the node's hello and its certificate name different nodes");
    }
    if (strlen(hello->node) > NAME_MAX_BYTES) {
        return fail(c, STATUS_MALFORMED, "the node's name is too long");
    }
    memcpy(c->cluster.bytes, hello->cluster_id.data, sizeof(c->cluster.bytes));
    snprintf(c->server_node, sizeof(c->server_node), "%s", hello->node);
    c->hello_received = true;
    return OK;
}

static enum status on_hello(struct client *c, const struct frame *f)
{
    if (c->hello_received) {
        return fail(c, STATUS_MALFORMED, "the node sent a second hello");
    }
    Mq__ClientHello *hello = mq__client_hello__unpack(NULL, f->header.size, f->header.data);
    if (hello == NULL) {
        return fail(c, STATUS_MALFORMED, "the node's hello is malformed");
    }
    enum status s = hello_check(c, hello);
    mq__client_hello__free_unpacked(hello, NULL);
    return s;
}

static enum status on_response(struct client *c, const struct frame *f)
{
    Mq__ResponseHeader *h = mq__response_header__unpack(NULL, f->header.size, f->header.data);
    if (h == NULL || h->outcome < MQ__OUTCOME__OUTCOME_APPLIED ||
        h->outcome > MQ__OUTCOME__OUTCOME_UNKNOWN) {
        mq__response_header__free_unpacked(h, NULL);
        return fail(c, STATUS_MALFORMED, "the node sent a malformed answer");
    }
    struct client_request *r = *slot_of(c, h->id);
    if (r != NULL && r->header.id == h->id && r->sent) { /* else it is late: its request is over */
        r->outcome = h->outcome;
        r->status = h->status < STATUS_COUNT ? (enum status)h->status : STATUS_INTERNAL;
        r->response = h;
        r->result = f->payload;
        complete(c, r);
    }
    mq__response_header__free_unpacked(h, NULL);
    return OK;
}

static enum status on_event(struct client *c, const struct frame *f)
{
    Mq__Event *event = mq__event__unpack(NULL, f->header.size, f->header.data);
    if (event == NULL) {
        return fail(c, STATUS_MALFORMED, "the node sent a malformed event");
    }
    if (c->on_event != NULL) {
        c->on_event(c->event_arg, event);
    }
    mq__event__free_unpacked(event, NULL);
    return OK;
}

static enum status on_frame(struct client *c, const struct frame *f)
{
    if (f->kind == FRAME_CLIENT_HELLO) {
        return on_hello(c, f);
    }
    if (!c->hello_received) {
        return fail(c, STATUS_MALFORMED, "the node did not begin with a hello");
    }
    switch ((int)f->kind) {
        case FRAME_CLIENT_RESPONSE:
            return on_response(c, f);
        case FRAME_CLIENT_EVENT:
            return on_event(c, f);
        default:
            return fail(c, STATUS_MALFORMED, "the node sent a frame that is not for clients");
    }
}

static enum status frames_read(struct client *c)
{
    enum status s = OK;
    while (s == OK) {
        struct frame f;
        size_t size;
        if (c->in.size == c->in_at) {
            break;
        }
        s = frame_decode((struct bytes){c->in.data + c->in_at, c->in.size - c->in_at}, &f, &size);
        if (s == STATUS_BUSY) {
            break;
        }
        if (s != OK) {
            s = fail(c, s, "the node sent bytes that are no frame of ours");
            break;
        }
        s = on_frame(c, &f);
        c->in_at += size;
    }
    compact(&c->in, &c->in_at);
    return s == STATUS_BUSY ? OK : s;
}

enum status client_receive(struct client *c, uint64_t now_ms, const uint8_t *data, size_t size)
{
    c->now_ms = now_ms;
    if (c->failed) {
        return STATUS_CLOSED;
    }
    if (c->tls == NULL) {
        enum status s = buffer_append(&c->in, data, size);
        return s == OK ? frames_read(c) : fail(c, s, status_text(s));
    }
    enum status s = tls_receive(c->tls, data, size, &c->in, &c->out);
    enum status parsed = frames_read(c); /* what came before a failure counts */
    if (s != OK && parsed == OK) {
        return fail(c, s, tls_error_text(c->tls));
    }
    return parsed;
}
