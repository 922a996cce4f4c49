/* Bytes: a borrowed view, a growing buffer, and a counted block that log, peers and apply share. */
#ifndef MQ_BASE_BUFFER_H
#define MQ_BASE_BUFFER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A borrowed run of bytes. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

/* A buffer that grows up to a stated maximum. Zeroed = empty without a maximum set (SIZE_MAX). */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max; /* 0 = no limit */
};

void buffer_init(struct buffer *b, size_t size_max);
void buffer_deinit(struct buffer *b);
/* Room for `more` bytes behind size; *out_at is where they go; size is not changed. */
enum status buffer_reserve(struct buffer *b, size_t more, uint8_t **out_at);
enum status buffer_append(struct buffer *b, const void *data, size_t size);
/* Drops `size` bytes from the front (moves the rest down). */
void buffer_consume(struct buffer *b, size_t size);
void buffer_clear(struct buffer *b);

/* A counted, immutable-after-filling block. References may be dropped from any thread. */
struct block {
    atomic_uint references;
    uint32_t size;
    uint8_t data[];
};

/* size <= UINT32_MAX; one reference; NULL without memory. */
struct block *block_new(size_t size);
struct block *block_copy(const void *data, size_t size);
struct block *block_ref(struct block *b);
/* NULL is ok. */
void block_unref(struct block *b);

/* Little-endian integers at unaligned places. */
static inline void put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v)
{
    put_le16(p, (uint16_t)v);
    put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v)
{
    put_le32(p, (uint32_t)v);
    put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (p[1] << 8));
}
static inline uint32_t get_le32(const uint8_t *p)
{
    return (uint32_t)get_le16(p) | ((uint32_t)get_le16(p + 2) << 16);
}
static inline uint64_t get_le64(const uint8_t *p)
{
    return (uint64_t)get_le32(p) | ((uint64_t)get_le32(p + 4) << 32);
}
/* Big-endian, for keys that sort as numbers do. */
static inline void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}
static inline uint32_t get_be32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}
static inline uint64_t get_be64(const uint8_t *p)
{
    return ((uint64_t)get_be32(p) << 32) | get_be32(p + 4);
}

#endif
