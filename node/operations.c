/* The table, what is seen by looking at the shards, and the answer. */
#include "node/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin.h"
#include "node/node.h"

#define LOOK_MS              100u
#define CHECKPOINT_LISTED_MS 1000u

/* ---- the table ---- */

/* A free place, else that of the operation that ended first. */
static struct operation *place(struct operations *o)
{
    struct operation *best = NULL;
    for (unsigned i = 0; i < OPERATIONS_MAX; i++) {
        struct operation *at = &o->items[i];
        if (at->id == 0) {
            return at;
        }
        if (!at->running && (best == NULL || at->ended_ms < best->ended_ms)) {
            best = at;
        }
    }
    return best;
}

struct operation *operation_begin(struct operations *o, uint64_t now_ms, const char *kind,
                                  const char *object, const char *unit, uint64_t total)
{
    struct operation *op = place(o);
    if (op == NULL) {
        return NULL;
    }
    memset(op, 0, sizeof(*op));
    op->id = ++o->next_id;
    op->kind = kind;
    op->unit = unit;
    op->total = total;
    op->started_ms = op->moved_ms = now_ms;
    op->running = true;
    snprintf(op->object, sizeof(op->object), "%s", object);
    return op;
}

void operation_move(struct operation *op, uint64_t now_ms, uint64_t done, const char *step,
                    const char *waits)
{
    if (op == NULL || !op->running) {
        return;
    }
    op->moved_ms = done != op->done ? now_ms : op->moved_ms;
    op->done = done;
    if (step != NULL) {
        snprintf(op->step, sizeof(op->step), "%s", step);
    }
    if (waits != NULL) {
        snprintf(op->waits, sizeof(op->waits), "%s", waits);
    }
}

void operation_end(struct operation *op, uint64_t now_ms, enum status outcome)
{
    if (op == NULL || !op->running) {
        return;
    }
    op->running = false;
    op->ended_ms = now_ms;
    op->outcome = outcome;
    op->waits[0] = '\0';
    if (outcome == OK && op->total > 0) {
        op->done = op->total;
    }
}

/* ---- looking ---- */

static void copy_show(struct node *n, struct operation *op, const struct shard_view *v,
                      uint64_t now_ms)
{
    const struct founding_node *from = founding_find_node(&n->founding, v->copy_from);
    char step[80];
    snprintf(step, sizeof(step), "fetching from %.60s", from != NULL ? from->name : "?");
    if (v->copy_from != 0 && op != NULL) {
        op->total = v->copy_size;
        operation_move(op, now_ms, v->copy_bytes, step, v->copy_size == 0 ? "its answer" : "");
    } else {
        operation_move(op, now_ms, 0, "looking for a node to copy from",
                       "a member with a state that reaches far enough");
    }
}

/* Between being fetched and serving the replica starts again from disk: that belongs to it. A small one may have come and gone
 * between two looks. */
static void copy_look(struct node *n, const struct shard_view *v, uint64_t now_ms)
{
    struct operation **op = &n->operations.copies[v->shard];
    uint64_t *installs = &n->operations.installs[v->shard];
    bool wanted = v->state == SHARD_INSTALLING || v->state == SHARD_LOST;
    bool installed = v->installs_total > *installs;
    if ((wanted || installed) && *op == NULL) {
        *op = operation_begin(&n->operations, now_ms, "copy", v->name, "bytes", 0);
    }
    if (wanted) {
        copy_show(n, *op, v, now_ms);
    } else if (*op != NULL && v->state != SHARD_RESTARTING && v->state != SHARD_OPENING) {
        operation_move(*op, now_ms, (*op)->done, installed ? "in place" : "not needed any more",
                       "");
        operation_end(*op, now_ms, v->state == SHARD_RUNNING ? OK : STATUS_CANCELED);
        *op = NULL;
        *installs = v->installs_total;
    }
}

/* Most take milliseconds: only one that does not is listed. */
static void checkpoint_look(struct node *n, const struct shard_view *v, uint64_t now_ms)
{
    struct operation **op = &n->operations.checkpoints[v->shard];
    uint64_t *since_ms = &n->operations.checkpointing_ms[v->shard];
    if (!v->checkpointing) {
        operation_end(*op, now_ms, OK);
        *op = NULL;
        *since_ms = 0;
        return;
    }
    *since_ms = *since_ms == 0 ? now_ms : *since_ms;
    if (*op == NULL && now_ms - *since_ms >= CHECKPOINT_LISTED_MS) {
        *op = operation_begin(&n->operations, *since_ms, "checkpoint", v->name, "", 0);
        operation_move(*op, now_ms, 0, "making the state durable", "the disk");
    }
}

void operations_tick(struct node *n, uint64_t now_ms)
{
    if (now_ms - n->operations.looked_ms < LOOK_MS) {
        return;
    }
    n->operations.looked_ms = now_ms;
    for (shard_id i = 0; i < SHARDS_MAX; i++) {
        struct node_shard *ns = shards_find(&n->shards, i);
        struct shard_view v;
        if (ns != NULL) {
            shard_get_view(ns->shard, now_ms, &v);
            copy_look(n, &v, now_ms);
            checkpoint_look(n, &v, now_ms);
        }
    }
}

/* ---- the answer ---- */

static void row_fill(Mq__OperationRow *row, const struct operation *op, uint64_t now_ms)
{
    mq__operation_row__init(row);
    row->id = op->id;
    row->kind = (char *)(uintptr_t)op->kind;
    row->unit = (char *)(uintptr_t)op->unit;
    row->object = (char *)(uintptr_t)op->object;
    row->step = (char *)(uintptr_t)op->step;
    row->waits = (char *)(uintptr_t)op->waits;
    row->done = op->done;
    row->total = op->total;
    row->running = op->running;
    row->outcome = (uint32_t)op->outcome;
    row->elapsed_ms = (op->running ? now_ms : op->ended_ms) - op->started_ms;
    row->still_ms = op->running ? now_ms - op->moved_ms : 0;
    row->ended_ms = op->running ? 0 : now_ms - op->ended_ms;
}

void operations_start(struct request *r)
{
    struct node *n = r->service->node;
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    Mq__OperationsView view = MQ__OPERATIONS_VIEW__INIT;
    Mq__OperationRow rows[OPERATIONS_MAX];
    Mq__OperationRow *pointers[OPERATIONS_MAX];
    for (unsigned i = 0; i < OPERATIONS_MAX; i++) {
        if (n->operations.items[i].id != 0) {
            row_fill(&rows[view.n_rows], &n->operations.items[i], n->loop.now_ms);
            pointers[view.n_rows] = &rows[view.n_rows];
            view.n_rows++;
        }
    }
    view.node = n->config.name;
    view.rows = pointers;
    result.operations = &view;
    admin_finish(r, MQ__OUTCOME__OUTCOME_APPLIED, OK, "", &result);
}
