/* Rows are written with a pen and read with an eye: little-endian numbers and bytes one after the other. The pen trusts its room; the eye
 * trusts nothing, and a read outside of the row makes it bad. For the codecs of rows only (record.c, record_queue.c). */
#ifndef MQ_STORAGE_PEN_H
#define MQ_STORAGE_PEN_H

#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/status.h"

struct pen {
    uint8_t *at;
};
static inline void w8(struct pen *p, uint8_t v)
{
    *p->at++ = v;
}
static inline void w16(struct pen *p, uint16_t v)
{
    put_le16(p->at, v);
    p->at += 2;
}
static inline void w32(struct pen *p, uint32_t v)
{
    put_le32(p->at, v);
    p->at += 4;
}
static inline void w64(struct pen *p, uint64_t v)
{
    put_le64(p->at, v);
    p->at += 8;
}
static inline void wbytes(struct pen *p, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(p->at, data, size);
        p->at += size;
    }
}

struct eye {
    const uint8_t *at;
    size_t left;
    bool bad;
};
static inline struct bytes rbytes(struct eye *e, size_t size)
{
    if (e->bad || size > e->left) {
        e->bad = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {e->at, size};
    e->at += size;
    e->left -= size;
    return b;
}
static inline uint8_t r8(struct eye *e)
{
    struct bytes b = rbytes(e, 1);
    return b.size == 1 ? b.data[0] : 0;
}
static inline uint16_t r16(struct eye *e)
{
    struct bytes b = rbytes(e, 2);
    return b.size == 2 ? get_le16(b.data) : 0;
}
static inline uint32_t r32(struct eye *e)
{
    struct bytes b = rbytes(e, 4);
    return b.size == 4 ? get_le32(b.data) : 0;
}
static inline uint64_t r64(struct eye *e)
{
    struct bytes b = rbytes(e, 8);
    return b.size == 8 ? get_le64(b.data) : 0;
}
static inline struct eye eye_on(struct bytes b)
{
    return (struct eye){b.data, b.size, false};
}
static inline enum status whole(const struct eye *e)
{
    return e->bad || e->left != 0 ? STATUS_CORRUPT : OK;
}

#endif
