/* A reader of protobuf's wire format for one message. */
#include "node/request_header.h"

#include <string.h>

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end) {
            break;
        }
        uint8_t b = *r->at++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0) {
            return v;
        }
    }
    r->bad = true;
    return 0;
}

static struct bytes run(struct reader *r)
{
    uint64_t size = varint(r);
    if (r->bad || size > (uint64_t)(r->end - r->at)) {
        r->bad = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {r->at, (size_t)size};
    r->at += size;
    return b;
}

static void skip(struct reader *r, unsigned wire)
{
    size_t fixed = wire == 1 ? 8 : 4;
    switch (wire) {
        case 0:
            (void)varint(r);
            break;
        case 2:
            (void)run(r);
            break;
        case 1:
        case 5:
            if ((size_t)(r->end - r->at) < fixed) {
                r->bad = true;
            } else {
                r->at += fixed;
            }
            break;
        default:
            r->bad = true;
    }
}

static void token(struct reader *outer, struct token *out_t)
{
    struct bytes b = run(outer);
    if (outer->bad) {
        return;
    }
    struct reader r = {b.data, b.data + b.size, false};
    while (!r.bad && r.at < r.end) {
        uint64_t key = varint(&r);
        if (key == (1 << 3)) {
            out_t->epoch = varint(&r);
        } else if (key == (2 << 3)) {
            out_t->position = varint(&r);
        } else {
            skip(&r, key & 7);
        }
    }
    outer->bad = r.bad;
}

static void number_field(struct request_header *h, unsigned field, uint64_t v)
{
    switch (field) {
        case 1:
            h->id = v;
            break;
        case 2:
            h->op = (uint32_t)v;
            break;
        case 4:
            h->shard = (uint32_t)v;
            break;
        case 5:
            h->deadline_ms = (uint32_t)v;
            break;
        case 7:
            h->sequence = v;
            break;
        case 8:
            h->acknowledged = v;
            break;
        case 9:
            h->consistency = (uint32_t)v;
            break;
        case 10:
            h->forwarded = v != 0;
            break;
        case 11:
            h->min_epoch = v;
            break;
        case 12:
            h->min_index = v;
            break;
        default:
            break;
    }
}

bool request_header_decode(struct bytes b, struct request_header *out_h)
{
    struct request_header h;
    memset(&h, 0, sizeof(h));
    if (b.size == 0) {
        *out_h = h;
        return true;
    }
    struct reader r = {b.data, b.data + b.size, false};
    while (!r.bad && r.at < r.end) {
        uint64_t key = varint(&r);
        unsigned wire = key & 7;
        uint64_t field = key >> 3;
        if (field == 0) {
            return false;
        }
        if (wire == 0) {
            number_field(&h, field > 100 ? 100 : (unsigned)field, varint(&r));
        } else if (wire == 2 && field == 3) {
            h.user = run(&r);
        } else if (wire == 2 && field == 6) {
            token(&r, &h.session);
        } else {
            skip(&r, wire);
        }
    }
    if (r.bad || h.user.size > USER_BYTES_MAX ||
        (h.user.size > 0 && memchr(h.user.data, '\0', h.user.size) != NULL)) {
        return false;
    }
    *out_h = h;
    return true;
}
