/* Entries and configurations on their way into the library: checked, since it trusts what it
 * gets, then in its own form. */
#include <stdlib.h>

#include "raft/engine_internal.h"

static bool change_valid(const struct engine_entry *entry)
{
    struct engine_configuration c;

    return entry->payload != NULL &&
           engine_configuration_decode(engine_block_bytes(entry->payload), &c) == OK;
}

/* Terms and changes of a run of entries make sense: not falling, within [floor, limit]. */
bool engine_entries_valid(const struct engine_entry *entries, uint32_t n, uint64_t floor,
                          uint64_t limit)
{
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].term == 0 || entries[i].term < floor || entries[i].term > limit ||
            entries[i].type < ENTRY_COMMAND || entries[i].type > ENTRY_CHANGE ||
            (entries[i].type == ENTRY_CHANGE && !change_valid(&entries[i]))) {
            return false;
        }
        floor = entries[i].term;
    }
    return true;
}

void engine_entry_in(const struct engine_entry *from, void *batch, struct raft_entry *to)
{
    *to = (struct raft_entry){
        .term = from->term, .type = (enum raft_entry_type)from->type, .batch = batch};
    if (from->type == ENTRY_CHANGE) {
        to->buf.base = from->payload->data;
        to->buf.len = from->payload->size;
    }
}

/* Fills scratch. The batch is one small allocation that stands for the bytes the library does
 * not get. */
enum status engine_entries_in(struct engine *e, const struct engine_entry *entries, uint32_t n)
{
    void *batch;

    if (n > e->scratch_capacity) {
        struct raft_entry *grown = realloc(e->scratch, n * sizeof(*grown));
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        e->scratch = grown;
        e->scratch_capacity = n;
    }
    batch = raft_malloc(8);
    if (batch == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) {
        engine_entry_in(&entries[i], batch, &e->scratch[i]);
    }
    return OK;
}

/* The library's own form of an encoded configuration that engine_configuration_decode() has
 * accepted. */
enum status engine_configuration_in(struct bytes b, struct raft_configuration *out_c)
{
    struct raft_buffer buffer = {.base = (void *)(uintptr_t)b.data, .len = b.size};

    return raft_configuration_decode(&buffer, out_c) == 0 ? OK : STATUS_NO_MEMORY;
}

bool engine_snapshot_valid(const struct engine_snapshot *s)
{
    struct engine_configuration c;

    return s->index > 0 && s->index < ENGINE_INDEX_LIMIT && s->term > 0 &&
           s->term < ENGINE_INDEX_LIMIT && s->configuration_index > 0 &&
           s->configuration_index <= s->index && s->configuration != NULL &&
           engine_configuration_decode(engine_block_bytes(s->configuration), &c) == OK;
}
