/* A protobuf message out of any bytes, along its descriptor, so that what a fuzzer changes stays well-formed and names, tokens and
 * GUIDs meet those that the store knows. Each field takes a byte or more; bytes that are over are zeros, and a zero is a field
 * that is not there. What needs bytes that are no message is the raw kind of input of each target. */
#ifndef MQ_TESTS_MESSAGE_SOURCE_H
#define MQ_TESTS_MESSAGE_SOURCE_H

#include <setjmp.h>

#include <stdlib.h>
#include <unistd.h>

#include "storage/arena.h"
#include "tests/unit/storage/store_rig.h"

#define SOURCE_TOKENS 8u

struct source {
    const uint8_t *at, *end;
    struct arena arena;
    jmp_buf too_big; /* where a message ends that asks for more than the arena gives */
    struct token tokens[SOURCE_TOKENS]; /* that the store gave out, the newest first */
    bool shallow, cloning; /* shallow: what is alike has nothing in it that is alike too */
};

static const char *const source_names[] = {
    "",      "ada",    "bob",   "queue/mx1", "s1",           "s2",      "postfix", "feed",
    "here",  "there",  "INBOX", "shared",    "test",         "k",       "1",       "-9",
    "4jYk1", "4jYk2",  "A1B2C", "x@a.test",  "y@b.test",     "@b.test", "250 ok",  "$Seen",
    "$Work", "lag_ms", "eve",   "priority",  "box/\xc3\xa4", "\xff"};

static const uint64_t source_numbers[] = {
    1000,       60000,      600000,     UINT32_MAX, UINT32_MAX - 1, 1ull << 31,
    UINT64_MAX, 1ull << 63, INT64_MAX,  1000000,    1001000,        86400000,
    65536,      65535,      1ull << 32, 1ull << 40, UINT64_MAX - 1, 1700000000};

static uint8_t source_byte(struct source *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static struct bytes source_bytes(struct source *s, size_t n)
{
    struct bytes b = {s->at, n < (size_t)(s->end - s->at) ? n : (size_t)(s->end - s->at)};
    s->at += b.size;
    return b;
}

__attribute__((unused)) static void source_learn(struct source *s, struct token t)
{
    memmove(s->tokens + 1, s->tokens, sizeof(s->tokens) - sizeof(s->tokens[0]));
    s->tokens[0] = t;
}

static void *source_alloc(struct source *s, size_t size)
{
    void *p = arena_alloc(&s->arena, size);
    if (p == NULL) {
        longjmp(s->too_big, 1);
    }
    return memset(p, 0, size);
}

static uint64_t source_number(struct source *s)
{
    uint8_t c = source_byte(s);
    if (c < 0xd0) {
        return c;
    }
    if (c < 0xf8) {
        return source_numbers[(c - 0xd0u) % (sizeof(source_numbers) / sizeof(uint64_t))];
    }
    uint64_t v = 0;
    struct bytes raw = source_bytes(s, 8);
    memcpy(&v, raw.data, raw.size);
    return v;
}

static ProtobufCBinaryData source_data(struct source *s)
{
    static const size_t large[] = {64, 255, 256, 400, 500, 4096, 4097, 65536, 65537};
    uint8_t c = source_byte(s);
    ProtobufCBinaryData d = {0, NULL};
    if (c == 0) {
        return d;
    }
    if (c < 0x20 || c >= 0xf0) { /* a GUID, or a large one */
        d.len = c < 0x20 ? 16 : large[(c - 0xf0u) % (sizeof(large) / sizeof(size_t))];
        d.data = source_alloc(s, d.len + 1);
        memset(d.data, c < 0x20 ? c : 'x', d.len);
        return d;
    }
    struct bytes raw;
    if (c < 0x20 + sizeof(source_names) / sizeof(char *)) {
        const char *name = source_names[c - 0x20];
        raw = (struct bytes){(const uint8_t *)name, strlen(name)};
    } else {
        raw = source_bytes(s, c - 0x20u);
    }
    d.len = raw.size;
    d.data = source_alloc(s, d.len + 1);
    memcpy(d.data, raw.data, raw.size);
    return d;
}

static char *source_text(struct source *s)
{
    uint8_t c = source_byte(s);
    if (c < sizeof(source_names) / sizeof(char *)) {
        size_t n = strlen(source_names[c]) + 1;
        return memcpy(source_alloc(s, n), source_names[c], n);
    }
    struct bytes raw = c < 0xf0 ? source_bytes(s, c % 0x40u) : (struct bytes){NULL, 0};
    size_t n = c < 0xf0 ? raw.size : 40u * (c - 0xf0u) + 55;
    char *text = source_alloc(s, n + 1);
    memset(text, 'x', n);
    memcpy(text, raw.data == NULL ? (const uint8_t *)text : raw.data, raw.size);
    return text;
}

static ProtobufCMessage *source_message(struct source *s, const ProtobufCMessageDescriptor *d);

/* One value of the field's type, at `at`. */
static void source_value(struct source *s, const ProtobufCFieldDescriptor *f, void *at)
{
    switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
            *(char **)at = source_text(s);
            break;
        case PROTOBUF_C_TYPE_BYTES:
            *(ProtobufCBinaryData *)at = source_data(s);
            break;
        case PROTOBUF_C_TYPE_MESSAGE:
            *(ProtobufCMessage **)at = source_message(s, f->descriptor);
            break;
        case PROTOBUF_C_TYPE_BOOL:
            *(protobuf_c_boolean *)at = source_byte(s) & 1;
            break;
        case PROTOBUF_C_TYPE_ENUM:
            *(uint32_t *)at = source_byte(s);
            break;
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
            *(uint32_t *)at = (uint32_t)source_number(s);
            break;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
        default:
            *(uint64_t *)at = source_number(s);
            break;
    }
}

static char *source_numbered(struct source *s, const char *text, uint32_t i)
{
    size_t size = strlen(text) + 12;
    char *numbered = source_alloc(s, size);
    snprintf(numbered, size, "%s%04u", text, i);
    return numbered;
}

/* The same message again but for its first field: a number (a UID) is higher by i, a text ends in it. */
static ProtobufCMessage *source_clone(struct source *s, const ProtobufCMessage *m, uint32_t i)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    uint8_t *c = source_alloc(s, d->sizeof_message);
    memcpy(c, m, d->sizeof_message);
    void *at = c + d->fields[0].offset;
    if (d->fields[0].type == PROTOBUF_C_TYPE_UINT32) {
        *(uint32_t *)at += i;
    } else if (d->fields[0].type == PROTOBUF_C_TYPE_STRING) {
        *(char **)at = source_numbered(s, *(char **)at, i);
    }
    return (ProtobufCMessage *)(void *)c;
}

/* Up to 15 of their own, or that are alike: up to 1,270 of a message, 127 of a text. */
static void source_repeated(struct source *s, const ProtobufCFieldDescriptor *f, uint8_t *m)
{
    uint8_t c = source_byte(s);
    bool message = f->type == PROTOBUF_C_TYPE_MESSAGE;
    bool text = f->type == PROTOBUF_C_TYPE_STRING;
    bool clones = c >= 0x80 && (message || text) && !s->cloning;
    size_t n = clones ? (c & 0x7fu) * (message ? 10u : 1u) : c % 16u;
    size_t each = f->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : 8;
    uint8_t *list = source_alloc(s, (n + 1) * each);
    for (size_t i = 0; i < n; i++) {
        ProtobufCMessage **at = (void *)(list + i * each);
        if (clones && i > 0 && message) {
            *at = source_clone(s, *(ProtobufCMessage **)(void *)list, (uint32_t)i);
        } else if (clones && i > 0) {
            *(char **)(void *)at = source_numbered(s, *(char **)(void *)list, (uint32_t)i);
        } else {
            bool outer = s->cloning;
            s->cloning = outer || (clones && s->shallow);
            source_value(s, f, at);
            s->cloning = outer;
        }
    }
    *(size_t *)(void *)(m + f->quantifier_offset) = n;
    *(void **)(void *)(m + f->offset) = list;
}

static ProtobufCMessage *source_message(struct source *s, const ProtobufCMessageDescriptor *d)
{
    uint8_t *m = source_alloc(s, d->sizeof_message);
    ProtobufCMessage *message = (ProtobufCMessage *)(void *)m;
    d->message_init(message);
    if (d == &mq__token__descriptor) {
        uint8_t c = source_byte(s);
        Mq__Token *t = (Mq__Token *)(void *)m;
        if (c < 0xf0) {
            t->epoch = s->tokens[c % SOURCE_TOKENS].epoch;
            t->position = s->tokens[c % SOURCE_TOKENS].position;
            return message;
        }
    }
    if (d->n_fields > 0 && (d->fields[0].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        const ProtobufCFieldDescriptor *f = &d->fields[source_byte(s) % d->n_fields];
        *(uint32_t *)(void *)(m + f->quantifier_offset) = f->id;
        source_value(s, f, m + f->offset);
        return message;
    }
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            source_repeated(s, f, m);
        } else {
            source_value(s, f, m + f->offset);
        }
    }
    return message;
}

/* Encoded, in the arena; empty when it would be too big. */
__attribute__((unused)) static struct bytes source_encoded(struct source *s,
                                                           const ProtobufCMessageDescriptor *d)
{
    arena_clear(&s->arena);
    s->cloning = false;
    if (setjmp(s->too_big) != 0) {
        return (struct bytes){NULL, 0};
    }
    ProtobufCMessage *m = source_message(s, d);
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = source_alloc(s, size + 1);
    protobuf_c_message_pack(m, bytes);
    return (struct bytes){bytes, size};
}

#endif
