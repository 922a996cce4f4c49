/* A power-of-two ring that doubles when full and halves when a cut leaves it almost empty. */
#include "raft/log_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

#define CAPACITY_MIN 64u

void log_ring_init(struct log_ring *r, uint64_t first, uint64_t *cached)
{
    *r = (struct log_ring){.first = first, .cached_from = first, .cached = cached};
}

void log_ring_deinit(struct log_ring *r)
{
    log_ring_clear(r, r->first);
    free(r->slots);
    r->slots = NULL;
    r->capacity = 0;
}

static struct log_slot *slot_at(const struct log_ring *r, uint32_t i)
{
    return &r->slots[(r->head + i) & (r->capacity - 1)];
}

struct log_slot *log_ring_find(const struct log_ring *r, uint64_t index)
{
    if (index < r->first || index - r->first >= r->count) {
        return NULL;
    }
    return slot_at(r, (uint32_t)(index - r->first));
}

static enum status resize(struct log_ring *r, uint32_t capacity)
{
    must(capacity >= r->count);
    must(capacity <= UINT32_MAX / 2);
    struct log_slot *slots = malloc(capacity * sizeof(*slots));
    if (slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        slots[i] = *slot_at(r, i);
    }
    free(r->slots);
    r->slots = slots;
    r->capacity = capacity;
    r->head = 0;
    return OK;
}

static void forget(struct log_ring *r, struct log_slot *s)
{
    if (s->entry.payload != NULL) {
        *r->cached -= s->entry.payload->size;
        block_unref(s->entry.payload);
        s->entry.payload = NULL;
    }
}

enum status log_ring_push(struct log_ring *r, const struct log_entry *e, struct log_slot **out_slot)
{
    must(e->index == r->first + r->count);
    if (r->count == r->capacity) {
        enum status s = resize(r, r->capacity == 0 ? CAPACITY_MIN : r->capacity * 2);
        if (s != OK) {
            return s;
        }
    }
    uint64_t before = r->count == 0 ? 0 : slot_at(r, r->count - 1)->end_bytes;
    struct log_slot *slot = slot_at(r, r->count);
    *slot = (struct log_slot){.entry = *e, .end_bytes = before + e->size};
    if (e->payload != NULL) {
        *r->cached += e->payload->size;
    }
    r->count++;
    *out_slot = slot;
    return OK;
}

void log_ring_truncate(struct log_ring *r, uint64_t index)
{
    while (r->count > 0 && log_ring_last(r) >= index) {
        forget(r, slot_at(r, r->count - 1));
        r->count--;
    }
    if (r->cached_from > index) {
        r->cached_from = index > r->first ? index : r->first;
    }
}

void log_ring_cut(struct log_ring *r, uint64_t index)
{
    while (r->count > 0 && r->first <= index) {
        forget(r, slot_at(r, 0));
        r->head = (r->head + 1) & (r->capacity - 1);
        r->count--;
        r->first++;
    }
    if (r->cached_from < r->first) {
        r->cached_from = r->first;
    }
    if (r->capacity > CAPACITY_MIN && r->count < r->capacity / 8) {
        (void)resize(r, r->capacity / 4); /* without memory it stays as large as it is */
    }
}

void log_ring_clear(struct log_ring *r, uint64_t first)
{
    log_ring_truncate(r, 0);
    r->first = first;
    r->cached_from = first;
}

uint64_t log_ring_bytes_after(const struct log_ring *r, uint64_t index)
{
    if (r->count == 0 || index >= log_ring_last(r)) {
        return 0;
    }
    uint64_t end = slot_at(r, r->count - 1)->end_bytes;
    const struct log_slot *s = log_ring_find(r, index);
    if (s != NULL) {
        return end - s->end_bytes;
    }
    s = slot_at(r, 0);
    return end - (s->end_bytes - s->entry.size);
}

void log_ring_evict(struct log_ring *r, uint64_t to)
{
    for (; r->cached_from <= to; r->cached_from++) {
        struct log_slot *s = log_ring_find(r, r->cached_from);
        if (s == NULL) {
            return;
        }
        if (s->entry.type != ENTRY_CHANGE) {
            forget(r, s);
        }
    }
}
