/* A walk along the descriptor; as deep as the .proto files nest. */
#include "proto/unknown.h"

#include <stdint.h>

static const void *at(const ProtobufCMessage *m, unsigned offset)
{
    return (const uint8_t *)m + offset;
}

static bool field_ok(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(const size_t *)at(m, f->quantifier_offset);
        ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)at(m, f->offset);
        for (size_t i = 0; i < n; i++) {
            if (!unknown_fields_ok(list[i])) {
                return false;
            }
        }
        return true;
    }
    bool one_of = (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (one_of && *(const uint32_t *)at(m, f->quantifier_offset) != f->id) {
        return true; /* another is there */
    }
    const ProtobufCMessage *inner = *(ProtobufCMessage *const *)at(m, f->offset);
    return inner == NULL || unknown_fields_ok(inner);
}

bool unknown_fields_ok(const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        if (m->unknown_fields[i].tag == 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && !field_ok(m, f)) {
            return false;
        }
    }
    return true;
}
