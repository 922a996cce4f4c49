/* What a node of mini_cluster.h keeps: messages and entries that own what they hold, the image
 * of a disk, and the records that change it in their order. */
#ifndef MQ_TESTS_UNIT_RAFT_MINI_IMAGE_H
#define MQ_TESTS_UNIT_RAFT_MINI_IMAGE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "raft/engine.h"

struct mini_entry {
    struct engine_entry e; /* counted */
    uint64_t sequence;     /* of the record that carries it */
};

/* What a disk holds, or would hold if all was synced. */
struct mini_image {
    uint64_t term, vote;
    bool has_snapshot;
    struct engine_snapshot snapshot; /* configuration counted */
    uint64_t first;
    struct mini_entry *log;
    uint32_t n;
};

struct mini_record {
    bool state; /* else entries */
    uint64_t term, vote;
    uint64_t first;
    struct mini_entry *entries;
    uint32_t n;
    uint64_t sequence;
};

/* Drops the first `drop` of n items; there may be none at all. */
static uint32_t mini_shift(void *items, size_t size, uint32_t n, uint32_t drop)
{
    if (drop > 0 && n > drop) {
        memmove(items, (uint8_t *)items + drop * size, (n - drop) * size);
    }
    return n - drop;
}

/* ---- messages and entries that own what they hold ---- */

__attribute__((unused)) static struct engine_message mini_message_copy(
    const struct engine_message *m)
{
    struct engine_message copy = *m;

    if (m->kind == MESSAGE_APPEND && m->append.n > 0) {
        struct engine_entry *entries = calloc(m->append.n, sizeof(*entries));
        for (uint32_t i = 0; i < m->append.n; i++) {
            entries[i] = m->append.entries[i];
            if (entries[i].payload != NULL) {
                block_ref(entries[i].payload);
            }
        }
        copy.append.entries = entries;
    } else if (m->kind == MESSAGE_INSTALL && m->install.configuration != NULL) {
        block_ref(m->install.configuration);
    }
    return copy;
}

__attribute__((unused)) static void mini_message_free(struct engine_message *m)
{
    if (m->kind == MESSAGE_APPEND && m->append.n > 0) {
        for (uint32_t i = 0; i < m->append.n; i++) {
            block_unref(m->append.entries[i].payload);
        }
        free((void *)(uintptr_t)m->append.entries);
    } else if (m->kind == MESSAGE_INSTALL) {
        block_unref(m->install.configuration);
    }
    memset(m, 0, sizeof(*m));
}

static void mini_image_free(struct mini_image *i)
{
    for (uint32_t k = 0; k < i->n; k++) {
        block_unref(i->log[k].e.payload);
    }
    free(i->log);
    block_unref(i->snapshot.configuration);
    memset(i, 0, sizeof(*i));
}

static void mini_image_write(struct mini_image *i, uint64_t first, const struct mini_entry *entries,
                             uint32_t n)
{
    while (i->n > 0 && i->first + i->n > first) {
        i->n--;
        block_unref(i->log[i->n].e.payload);
    }
    i->log = realloc(i->log, (i->n + n + 1) * sizeof(*i->log));
    for (uint32_t k = 0; k < n; k++) {
        i->log[i->n] = entries[k];
        if (entries[k].e.payload != NULL) {
            block_ref(entries[k].e.payload);
        }
        i->n++;
    }
}

static struct mini_image mini_image_copy(const struct mini_image *i)
{
    struct mini_image copy = *i;

    copy.log = NULL;
    copy.n = 0;
    mini_image_write(&copy, i->first, i->log, i->n);
    if (copy.snapshot.configuration != NULL) {
        block_ref(copy.snapshot.configuration);
    }
    return copy;
}

static void mini_image_snapshot(struct mini_image *i, const struct engine_snapshot *s,
                                uint64_t first)
{
    uint32_t drop = first > i->first ? (uint32_t)(first - i->first) : 0;

    block_ref(s->configuration);
    block_unref(i->snapshot.configuration);
    i->snapshot = *s;
    i->has_snapshot = true;
    drop = drop > i->n ? i->n : drop;
    for (uint32_t k = 0; k < drop; k++) {
        block_unref(i->log[k].e.payload);
    }
    i->n = mini_shift(i->log, sizeof(*i->log), i->n, drop);
    i->first = first > i->first ? first : i->first;
}

static void mini_record_apply(struct mini_image *i, const struct mini_record *r)
{
    if (r->state) {
        i->term = r->term;
        i->vote = r->vote;
    } else {
        mini_image_write(i, r->first, r->entries, r->n);
    }
}

static void mini_record_free(struct mini_record *r)
{
    for (uint32_t k = 0; k < r->n; k++) {
        block_unref(r->entries[k].e.payload);
    }
    free(r->entries);
}

#endif
