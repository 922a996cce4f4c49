/* Growing buffers and counted blocks. Both fail only for lack of memory or over their stated maximum. */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

void buffer_init(struct buffer *b, size_t size_max)
{
    *b = (struct buffer){.size_max = size_max};
}

void buffer_deinit(struct buffer *b)
{
    free(b->data);
    b->data = NULL;
    b->size = 0;
    b->capacity = 0;
}

enum status buffer_reserve(struct buffer *b, size_t more, uint8_t **out_at)
{
    size_t limit = b->size_max == 0 ? SIZE_MAX / 2 : b->size_max;
    if (more > limit || b->size > limit - more) {
        return STATUS_TOO_BIG;
    }
    size_t need = b->size + more;
    if (need > b->capacity || b->data == NULL) {
        size_t capacity = b->capacity == 0 ? 256 : b->capacity;
        while (capacity < need) {
            capacity *= 2;
        }
        uint8_t *data = realloc(b->data, capacity);
        if (data == NULL) {
            return STATUS_NO_MEMORY;
        }
        b->data = data;
        b->capacity = capacity;
    }
    if (out_at != NULL) {
        *out_at = b->data + b->size;
    }
    return OK;
}

enum status buffer_append(struct buffer *b, const void *data, size_t size)
{
    if (size == 0) {
        return OK; /* of a buffer that has no memory yet there is no place to name */
    }
    uint8_t *at;
    enum status s = buffer_reserve(b, size, &at);
    if (s != OK) {
        return s;
    }
    memcpy(at, data, size);
    b->size += size;
    return OK;
}

void buffer_consume(struct buffer *b, size_t size)
{
    must(size <= b->size);
    if (size < b->size) {
        memmove(b->data, b->data + size, b->size - size);
    }
    b->size -= size;
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
}

struct block *block_new(size_t size)
{
    must(size <= UINT32_MAX);
    struct block *b = malloc(sizeof(*b) + size);
    if (b == NULL) {
        return NULL;
    }
    atomic_init(&b->references, 1);
    b->size = (uint32_t)size;
    return b;
}

struct block *block_copy(const void *data, size_t size)
{
    struct block *b = block_new(size);
    if (b != NULL && size > 0) {
        memcpy(b->data, data, size);
    }
    return b;
}

struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    if (b == NULL) {
        return;
    }
    if (atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) == 1) {
        free(b);
    }
}
