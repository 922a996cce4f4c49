/* Memory for one command: grows by pointer, is emptied whole. Its limit is a property of the command (a decoded command that needs
 * more is MALFORMED everywhere alike), so it is told apart from the machine having no memory. A command may leave nothing of that limit
 * and be well-formed: what its handler needs comes on top (arena_extend), or the handler would fail on every replica. */
#ifndef MQ_STORAGE_ARENA_H
#define MQ_STORAGE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_CHUNK_BYTES (64u * 1024u)
#define ARENA_BYTES_MAX   (16u * 1024u * 1024u)
#define ARENA_WORK_BYTES  (16u * 1024u * 1024u) /* more than any handler takes */

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* newest first; the last one is kept when cleared */
    size_t used;                /* in the newest */
    size_t total;               /* asked for since the last clear */
    size_t limit;               /* of total */
    bool no_memory;
    ProtobufCAllocator allocator;
};

void arena_init(struct arena *a);
void arena_deinit(struct arena *a);
void arena_clear(struct arena *a);
/* Until the next clear ARENA_WORK_BYTES more may be taken. */
void arena_extend(struct arena *a);
/* Aligned to 16; NULL over the limit or without memory. */
void *arena_alloc(struct arena *a, size_t size);

#endif
