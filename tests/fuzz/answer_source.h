/* What a node answers, out of any bytes (message_source.h). */
#ifndef MQ_TESTS_ANSWER_SOURCE_H
#define MQ_TESTS_ANSWER_SOURCE_H

#include "tests/fuzz/message_source.h"

#include "proto/api.pb-c.h"

/* A few of its fields only: they are many, and a question looks at one or two. */
static ProtobufCMessage *some_fields(struct source *s, const ProtobufCMessageDescriptor *d)
{
    uint8_t *m = source_alloc(s, d->sizeof_message);
    ProtobufCMessage *message = (ProtobufCMessage *)(void *)m;
    d->message_init(message);
    for (unsigned n = source_byte(s) % 4u + 1; n > 0; n--) {
        const ProtobufCFieldDescriptor *f = &d->fields[source_byte(s) % d->n_fields];
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            source_repeated(s, f, m);
            continue;
        }
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            *(uint32_t *)(void *)(m + f->quantifier_offset) = f->id;
            memset(m + f->offset, 0, sizeof(uint64_t)); /* of another one of them */
        }
        source_value(s, f, m + f->offset);
    }
    return message;
}

/* The payload of an answer; in the arena. */
static struct bytes answer_built(struct source *s, Mq__Op op, bool all)
{
    const ProtobufCMessageDescriptor *d = op == MQ__OP__OP_ADMIN    ? &mq__admin_result__descriptor
                                          : op == MQ__OP__OP_SUBMIT ? &mq__result__descriptor
                                                                    : &mq__query_result__descriptor;
    if (all && op != MQ__OP__OP_SUBMIT) {
        return source_encoded(s, d);
    }
    arena_clear(&s->arena);
    s->cloning = false;
    if (setjmp(s->too_big) != 0) {
        return (struct bytes){NULL, 0};
    }
    ProtobufCMessage *m = some_fields(s, d);
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = source_alloc(s, size + 1);
    protobuf_c_message_pack(m, bytes);
    return (struct bytes){bytes, size};
}

#endif
