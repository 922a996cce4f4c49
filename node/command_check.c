/* protobuf-c unpacks into an arena that is thrown away afterwards: no allocation for small
 * commands, a stated maximum for big ones. */
#include "node/command_check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/api.pb-c.h"
#include "proto/batch.h"
#include "proto/command.pb-c.h"

#define ARENA_BYTES        (32u * 1024u)
#define ARENA_BYTES_MAX    (24u * 1024u * 1024u) /* what a command of 1 MiB may unfold to */
#define QUERY_BYTES_MAX_IN (64u * 1024u)

struct overflow {
    struct overflow *next;
    max_align_t data[];
};

struct arena {
    max_align_t inside[ARENA_BYTES / sizeof(max_align_t)];
    size_t used;
    size_t overflow_bytes;
    struct overflow *overflow;
};

static void *arena_alloc(void *data, size_t size)
{
    struct arena *a = data;
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (rounded <= sizeof(a->inside) - a->used) {
        void *p = (uint8_t *)a->inside + a->used;
        a->used += rounded;
        return p;
    }
    if (rounded > ARENA_BYTES_MAX - a->overflow_bytes) {
        return NULL;
    }
    struct overflow *o = malloc(sizeof(*o) + rounded);
    if (o == NULL) {
        return NULL;
    }
    a->overflow_bytes += rounded;
    o->next = a->overflow;
    a->overflow = o;
    return o->data;
}

static void arena_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

static void arena_reset(struct arena *a)
{
    while (a->overflow != NULL) {
        struct overflow *next = a->overflow->next;
        free(a->overflow);
        a->overflow = next;
    }
    a->used = 0;
    a->overflow_bytes = 0;
}

static struct arena arena; /* of the loop's thread, empty between two calls */
static ProtobufCAllocator allocator = {
    .alloc = arena_alloc, .free = arena_free, .allocator_data = &arena};

/* Anything the generated code had to skip, at any depth (the messages nest three deep at most). */
static bool has_unknown(const ProtobufCMessage *m, int depth)
{
    if (m == NULL || depth > 8) {
        return m != NULL;
    }
    if (m->n_unknown_fields > 0) {
        return true;
    }
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const uint8_t *at = (const uint8_t *)m + f->offset;
        if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
            continue;
        }
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(const void *)((const uint8_t *)m + f->quantifier_offset);
            ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)(const void *)at;
            for (size_t k = 0; k < n; k++) {
                if (has_unknown(items[k], depth + 1)) {
                    return true;
                }
            }
            continue;
        }
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
            *(const uint32_t *)(const void *)((const uint8_t *)m + f->quantifier_offset) != f->id) {
            continue;
        }
        if (has_unknown(*(ProtobufCMessage *const *)(const void *)at, depth + 1)) {
            return true;
        }
    }
    return false;
}

static uint32_t rights_for(Mq__Command__BodyCase body)
{
    switch (body) {
        case MQ__COMMAND__BODY_LEASE_ACQUIRE:
        case MQ__COMMAND__BODY_LEASE_RENEW:
        case MQ__COMMAND__BODY_LEASE_RELEASE:
        case MQ__COMMAND__BODY_REPORT:
        case MQ__COMMAND__BODY_DICT:
        case MQ__COMMAND__BODY_SESSION_OPEN:
        case MQ__COMMAND__BODY_SESSION_CLOSE:
        case MQ__COMMAND__BODY_MAILBOX_ATTRIBUTES:
        case MQ__COMMAND__BODY_QUEUE_REPORT:
        case MQ__COMMAND__BODY_QUEUE_OUTCOME:
        case MQ__COMMAND__BODY_STORE_POSITION:
            return RIGHT_FEED;
        case MQ__COMMAND__BODY_USER_ASSIGN:
        case MQ__COMMAND__BODY_QUEUE_FORGET:
            return RIGHT_ADMIN;
        default:
            return RIGHT_INTERNAL;
    }
}

enum status command_check(struct bytes command, uint32_t *out_rights, const char **out_text)
{
    enum status s = OK;
    if (command.size == 0 || command.size > COMMAND_BYTES_MAX) {
        *out_text = command.size == 0 ? "the command is empty" : "the command is over 1 MiB";
        return command.size == 0 ? STATUS_INVALID : STATUS_TOO_BIG;
    }
    Mq__Command *m = mq__command__unpack(&allocator, command.size, command.data);
    if (m == NULL) {
        s = STATUS_MALFORMED;
        *out_text = "the command does not decode";
    } else if (has_unknown(&m->base, 0)) {
        s = STATUS_VERSION;
        *out_text = "the command carries fields of a later feature level";
    } else if (m->body_case == MQ__COMMAND__BODY__NOT_SET) {
        s = STATUS_INVALID;
        *out_text = "the command says nothing";
    } else {
        *out_rights = rights_for(m->body_case);
    }
    arena_reset(&arena);
    return s;
}

enum status query_check(struct bytes query, const char **out_text)
{
    enum status s = OK;
    if (query.size == 0 || query.size > QUERY_BYTES_MAX_IN) {
        *out_text = "the query is empty or too big";
        return STATUS_INVALID;
    }
    Mq__Query *m = mq__query__unpack(&allocator, query.size, query.data);
    if (m == NULL) {
        s = STATUS_MALFORMED;
        *out_text = "the query does not decode";
    } else if (m->body_case == MQ__QUERY__BODY__NOT_SET) {
        s = STATUS_INVALID;
        *out_text = "the query asks nothing this version knows";
    }
    arena_reset(&arena);
    return s;
}
