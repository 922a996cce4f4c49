/* Open addressing; the hash is of the queue id alone, so that all arrivals of one id lie in one run. */
#include "node/feed/queue_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum { SLOT_EMPTY = 0, SLOT_USED = 1, SLOT_REMOVED = 2 };
#define CAPACITY_MIN 1024u

void queue_table_init(struct queue_table *t)
{
    memset(t, 0, sizeof(*t));
}

void queue_table_deinit(struct queue_table *t)
{
    free(t->slots);
    memset(t, 0, sizeof(*t));
}

void queue_table_clear(struct queue_table *t)
{
    queue_table_deinit(t);
}

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; *s != '\0'; s++) {
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    }
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint64_t hash_number(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 32);
}

static uint32_t first_slot(const struct queue_table *t, const char *id)
{
    uint64_t h = hash_number(hash_text(UINT64_C(0xcbf29ce484222325), id), 1);
    return (uint32_t)h & (t->capacity - 1);
}

struct queue_entry *queue_table_find(struct queue_table *t, const char *id, uint64_t arrival)
{
    uint32_t i = t->capacity == 0 ? 0 : first_slot(t, id);
    for (uint32_t n = 0; n < t->capacity && t->slots[i].state != SLOT_EMPTY; n++) {
        struct queue_entry *e = &t->slots[i];
        if (e->state == SLOT_USED && e->arrival == arrival && strcmp(e->id, id) == 0) {
            return e;
        }
        i = (i + 1) & (t->capacity - 1);
    }
    return NULL;
}

bool queue_table_has(const struct queue_table *t, const char *id)
{
    uint32_t i = t->capacity == 0 ? 0 : first_slot(t, id);
    for (uint32_t n = 0; n < t->capacity && t->slots[i].state != SLOT_EMPTY; n++) {
        if (t->slots[i].state == SLOT_USED && !t->slots[i].ended &&
            strcmp(t->slots[i].id, id) == 0) {
            return true;
        }
        i = (i + 1) & (t->capacity - 1);
    }
    return false;
}

static struct queue_entry *insert(struct queue_table *t, const char *id)
{
    uint32_t i = first_slot(t, id);
    while (t->slots[i].state == SLOT_USED) {
        i = (i + 1) & (t->capacity - 1);
    }
    t->taken += t->slots[i].state == SLOT_EMPTY ? 1 : 0;
    t->used++;
    return &t->slots[i];
}

/* Room for one more: at most two thirds are taken. */
static enum status grow(struct queue_table *t)
{
    if ((t->taken + 1) * 3 <= t->capacity * 2) {
        return OK;
    }
    uint32_t capacity = CAPACITY_MIN;
    while ((t->used + 1) * 2 > capacity) {
        capacity *= 2;
    }
    struct queue_entry *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct queue_table old = *t;
    *t = (struct queue_table){.slots = slots, .capacity = capacity};
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].state == SLOT_USED) {
            *insert(t, old.slots[i].id) = old.slots[i];
        }
    }
    free(old.slots);
    return OK;
}

enum status queue_table_put(struct queue_table *t, const char *id, uint64_t arrival,
                            struct queue_entry **out_e)
{
    struct queue_entry *e = queue_table_find(t, id, arrival);
    size_t n = strlen(id);
    must(n <= POSTQUEUE_ID_MAX);
    if (e == NULL) {
        enum status s = t->used >= QUEUE_TABLE_MAX ? STATUS_FULL : grow(t);
        if (s != OK) {
            return s;
        }
        e = insert(t, id);
        memset(e, 0, sizeof(*e));
        e->state = SLOT_USED;
        e->arrival = arrival;
        memcpy(e->id, id, n + 1);
    }
    *out_e = e;
    return OK;
}

void queue_table_remove(struct queue_table *t, struct queue_entry *e)
{
    must(e->state == SLOT_USED);
    e->state = SLOT_REMOVED;
    t->used--;
}

uint32_t queue_table_end_id(struct queue_table *t, const char *id)
{
    uint32_t gone = 0;
    uint32_t i = t->capacity == 0 ? 0 : first_slot(t, id);
    for (uint32_t n = 0; n < t->capacity && t->slots[i].state != SLOT_EMPTY; n++) {
        if (t->slots[i].state == SLOT_USED && strcmp(t->slots[i].id, id) == 0) {
            gone += t->slots[i].gone ? 1 : 0;
            t->slots[i].ended = true;
            if (t->slots[i].gone) {
                queue_table_remove(t, &t->slots[i]);
            }
        }
        i = (i + 1) & (t->capacity - 1);
    }
    return gone;
}

struct queue_entry *queue_table_next(struct queue_table *t, uint32_t *at)
{
    while (*at < t->capacity) {
        struct queue_entry *e = &t->slots[(*at)++];
        if (e->state == SLOT_USED) {
            return e;
        }
    }
    return NULL;
}

/* ---- content ---- */

void queue_content_begin(struct queue_content *c, int state, uint64_t size, const char *sender,
                         bool forced_expire, uint32_t omitted)
{
    uint64_t h = hash_text(UINT64_C(0xcbf29ce484222325), sender);
    h = hash_number(h, (uint64_t)state);
    h = hash_number(h, size);
    c->hash = hash_number(h, (uint64_t)omitted * 2 + (forced_expire ? 1 : 0));
}

void queue_content_recipient(struct queue_content *c, const char *address, const char *orig_address,
                             const char *reply)
{
    uint64_t h = hash_text(UINT64_C(0xcbf29ce484222325), address);
    h = hash_text(h, orig_address);
    h = hash_text(h, reply);
    c->hash += hash_number(h, 7);
}

uint64_t queue_content_of(const struct postqueue_item *item)
{
    struct queue_content c;
    queue_content_begin(&c, item->state, item->size, item->sender, item->forced_expire,
                        item->recipients_omitted);
    for (uint32_t i = 0; i < item->recipients_n; i++) {
        queue_content_recipient(&c, item->recipients[i].address, item->recipients[i].orig_address,
                                item->recipients[i].reply);
    }
    return c.hash;
}
