/* The state machine of a replica, watched: everything goes to storage/ as it is; what was applied is compared between nodes.
 * Some planted faults live here, because they are faults of the table's use. */
#include <string.h>

#include "base/must.h"
#include "proto/batch.h"
#include "tests/sim/world.h"

static struct sim_machine *of(void *sm)
{
    return sm;
}

static enum status watch_create(void *sm, const struct epoch *epoch, struct uuid *out_environment,
                                struct error *e)
{
    struct sim_machine *m = of(sm);
    return m->inner->ops->create(m->inner->self, epoch, out_environment, e);
}

static enum status watch_open(void *sm, const struct uuid *environment,
                              struct sm_descriptor *out_descriptor, struct error *e)
{
    struct sim_machine *m = of(sm);
    m->watched = false;
    return m->inner->ops->open(m->inner->self, environment, out_descriptor, e);
}

static void watch_close(void *sm)
{
    struct sim_machine *m = of(sm);
    m->inner->ops->close(m->inner->self);
}

/* Planted: a copy of the batch without sessions, so that no retry is recognised. */
static struct block *without_sessions(struct block *payload)
{
    struct block *b = block_copy(payload->data, payload->size);
    must(b != NULL);
    struct bytes bytes = {b->data, b->size};
    size_t cursor = 0;
    struct batch_item item;
    while (batch_next(bytes, &cursor, &item) == OK) {
        size_t at = (size_t)(item.command.data - b->data) - BATCH_ITEM_HEADER_SIZE;
        memset(b->data + at + 8, 0, 24);
    }
    return b;
}

static enum status watch_apply(void *sm, const struct sm_entry *entries, uint32_t n,
                               struct sm_results *results, struct sm_position *out_position)
{
    struct sim_machine *m = of(sm);
    struct sm_position position;
    struct sm_entry changed[256];
    const struct sm_entry *given = entries;
    bool forget = planted(m->node->world, "session-ignored");
    bool differ = planted(m->node->world, "apply-differs") && m->node->id == 1;
    bool plant = (forget || differ) && n <= 256;
    for (uint32_t i = 0; plant && i < n; i++) {
        changed[i] = entries[i];
        bool drop = entries[i].payload == NULL || (differ && entries[i].index % 500 == 499);
        changed[i].payload = drop     ? NULL
                             : forget ? without_sessions(entries[i].payload)
                                      : block_ref(entries[i].payload);
        given = changed;
    }
    enum status s = m->inner->ops->apply(m->inner->self, given, n, results, &position);
    for (uint32_t i = 0; plant && i < n; i++) {
        block_unref(changed[i].payload);
    }
    if (s == OK && !m->node->dead) {
        check_applied(m, entries, n, &position);
        *out_position = position;
    } else if (s == OK) {
        *out_position = position;
    }
    return s;
}

static enum status watch_commit(void *sm, struct sm_due *out_due)
{
    struct sim_machine *m = of(sm);
    return m->inner->ops->commit(m->inner->self, out_due);
}

static enum status watch_begin(void *sm, struct block *configuration, uint64_t configuration_index,
                               struct sm_checkpoint **out_c)
{
    struct sim_machine *m = of(sm);
    return m->inner->ops->checkpoint_begin(m->inner->self, configuration, configuration_index,
                                           out_c);
}

static enum status watch_finish(void *sm, struct sm_checkpoint *c,
                                struct sm_descriptor *out_descriptor)
{
    struct sim_machine *m = of(sm);
    enum status s = m->inner->ops->checkpoint_finish(m->inner->self, c, out_descriptor);
    m->node->world->stats.checkpoints += s == OK && !m->node->dead;
    return s;
}

static void watch_release(void *sm, struct sm_checkpoint *c, bool durable)
{
    struct sim_machine *m = of(sm);
    m->inner->ops->checkpoint_release(m->inner->self, c, durable);
}

static enum status watch_copy_open(void *sm, uint64_t min_index, struct sm_copy **out_copy,
                                   struct sm_descriptor *out_descriptor)
{
    struct sim_machine *m = of(sm);
    return m->inner->ops->copy_open(m->inner->self, min_index, out_copy, out_descriptor);
}

static enum status watch_install_begin(void *sm, const struct sm_descriptor *d,
                                       struct sm_install **out_i)
{
    struct sim_machine *m = of(sm);
    return m->inner->ops->install_begin(m->inner->self, d, out_i);
}

enum status machine_init(struct sim_machine *m, struct sim_node *n,
                         const struct sim_shard_info *info)
{
    struct replica_options o = {.data = n->directory,
                                .shard = info->id,
                                .disk = crash_fs_disk(n->fs),
                                .random = &n->random,
                                .map_bytes = 256ull << 20,
                                .reserve_bytes = 1,
                                .pin_growth_bytes = 0};
    *m = (struct sim_machine){.node = n, .info = info};
    enum status s = replica_new(&o, &m->replica);
    if (s != OK) {
        return s;
    }
    m->inner = replica_machine(m->replica);
    m->ops = *m->inner->ops;
    m->ops.create = watch_create;
    m->ops.open = watch_open;
    m->ops.close = watch_close;
    m->ops.apply = watch_apply;
    m->ops.commit = watch_commit;
    m->ops.checkpoint_begin = watch_begin;
    m->ops.checkpoint_finish = watch_finish;
    m->ops.checkpoint_release = watch_release;
    m->ops.copy_open = watch_copy_open;
    m->ops.install_begin = watch_install_begin;
    m->outer = (struct state_machine){&m->ops, m};
    return OK;
}

void machine_deinit(struct sim_machine *m)
{
    if (m->replica != NULL) {
        replica_free(m->replica);
        m->replica = NULL;
    }
}
