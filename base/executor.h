/* Jobs on threads with completion on the loop, as a table: real threads in a daemon, one deterministic
 * queue under the simulator.
 *
 * A job is a request: the caller owns it (it is embedded in a bigger struct), submits it to a lane, and may
 * reuse or free it only from done(). work() runs on a thread of that lane and touches nothing but what the
 * job carries; done() runs on the loop. Jobs of a lane with one thread run in the order of submission; lanes
 * are independent of each other. Submitting never fails and never calls back from inside itself: admission
 * (bounded queues) happens in the callers, before the job exists. */
#ifndef MQ_BASE_EXECUTOR_H
#define MQ_BASE_EXECUTOR_H

#include "base/list.h"
#include "base/status.h"

enum lane {
    LANE_LOG,   /* one thread: writes and syncs of the write-ahead log, reading back old entries */
    LANE_APPLY, /* one thread: every write transaction of every shard's store */
    LANE_SYNC,  /* one thread: fdatasync of environments, side files */
    LANE_READ,  /* two threads: read transactions of queries */
    LANE_COPY,  /* one thread: sources of copies, installs, deep verification */
    LANE_COUNT
};

struct job {
    void (*work)(struct job *j);
    void (*done)(struct job *j);
    struct list link; /* the executor's */
    enum lane lane;
};

struct executor;

struct executor_ops {
    void (*submit)(struct executor *e, enum lane lane, struct job *j);
};

struct executor {
    const struct executor_ops *ops;
};

static inline void executor_submit(struct executor *e, enum lane lane, struct job *j)
{
    e->ops->submit(e, lane, j);
}

/* Real threads. `wake` is called from job threads when completions are waiting (node/ wires it to
 * uv_async_send); the loop then calls executor_threads_complete(). */
struct executor_threads;
enum status executor_threads_new(void (*wake)(void *arg), void *arg,
                                 struct executor_threads **out_e);
struct executor *executor_threads_executor(struct executor_threads *e);
/* Runs done() of every finished job; call on the loop. */
void executor_threads_complete(struct executor_threads *e);
/* Jobs submitted and not yet completed. */
unsigned executor_threads_pending(struct executor_threads *e);
/* Waits for all running jobs, joins; completions that were not run are dropped. */
void executor_threads_free(struct executor_threads *e);

/* Runs each job at once inside submit... of `executor_inline_run`: tools without a loop (mq-replay, unit
 * tests) submit and then drain. */
struct executor_inline {
    struct executor executor;
    struct list queue;
};
void executor_inline_init(struct executor_inline *e);
/* Runs work() and done() of everything queued, in order, until nothing is left. */
void executor_inline_drain(struct executor_inline *e);

#endif
