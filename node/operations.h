/* What this node is at that takes long: a copy fetched, a checkpoint, a verification asked of it. Told over the native API (AdminOperations);
 * what has ended stays in the list until its place is needed. Nobody waits for this table and nothing depends on it: where it is full
 * of what runs, one more operation is simply not listed (begin returns NULL, which all others take). */
#ifndef MQ_NODE_OPERATIONS_H
#define MQ_NODE_OPERATIONS_H

#include <stdbool.h>

#include "base/identity.h"
#include "base/status.h"

struct node;
struct request;

#define OPERATIONS_MAX 64u

struct operation {
    uint64_t id;             /* of this life of the node; 0 = free */
    const char *kind, *unit; /* literals: "copy", "bytes" */
    char object[NAME_MAX_BYTES + 1];
    char step[80], waits[160];
    uint64_t done, total; /* total 0 = not known */
    uint64_t started_ms, moved_ms, ended_ms;
    bool running;
    enum status outcome; /* of one that has ended */
};

struct operations { /* zeroed = none */
    struct operation items[OPERATIONS_MAX];
    uint64_t next_id;
    /* those that are found by looking, by shard */
    struct operation *copies[SHARDS_MAX], *checkpoints[SHARDS_MAX];
    uint64_t installs[SHARDS_MAX];         /* copies put in place so far */
    uint64_t checkpointing_ms[SHARDS_MAX]; /* since when; 0 = none is taken */
    uint64_t looked_ms;
};

struct operation *operation_begin(struct operations *o, uint64_t now_ms, const char *kind,
                                  const char *object, const char *unit, uint64_t total);
/* step, waits: copied; NULL = as before. Moving is a done that changes. */
void operation_move(struct operation *op, uint64_t now_ms, uint64_t done, const char *step,
                    const char *waits);
void operation_end(struct operation *op, uint64_t now_ms, enum status outcome);

void operations_tick(struct node *n, uint64_t now_ms);
void operations_start(struct request *r);

#endif
