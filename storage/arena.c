/* A bump allocator with chunks. */
#include "storage/arena.h"

#include <stdlib.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(16) uint8_t data[];
};

static void *on_alloc(void *arg, size_t size)
{
    return arena_alloc(arg, size);
}

static void on_free(void *arg, void *p)
{
    (void)arg;
    (void)p; /* all at once, by arena_clear() */
}

void arena_init(struct arena *a)
{
    *a = (struct arena){.limit = ARENA_BYTES_MAX, .allocator = {on_alloc, on_free, a}};
}

void arena_deinit(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
}

void arena_clear(struct arena *a)
{
    while (a->chunks != NULL && a->chunks->next != NULL) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    a->used = 0;
    a->total = 0;
    a->limit = ARENA_BYTES_MAX;
    a->no_memory = false;
}

void arena_extend(struct arena *a)
{
    a->limit = a->total + ARENA_WORK_BYTES;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->limit || a->total > a->limit - size) {
        return NULL;
    }
    size_t padded = (size + 15) & ~(size_t)15;
    if (a->chunks == NULL || a->chunks->size - a->used < padded) {
        size_t room = padded > ARENA_CHUNK_BYTES ? padded : ARENA_CHUNK_BYTES;
        struct arena_chunk *c = malloc(sizeof(*c) + room);
        if (c == NULL) {
            a->no_memory = true;
            return NULL;
        }
        c->size = room;
        c->next = a->chunks;
        a->chunks = c;
        a->used = 0;
    }
    void *p = a->chunks->data + a->used;
    a->used += padded;
    a->total += padded;
    return p;
}
