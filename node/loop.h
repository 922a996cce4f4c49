/* The one loop of a process: libuv, a tick, the end of a turn, completions of job threads, signals.
 *
 * A turn: what the poll brought (reads, completions, timers) -> turn() once -> everything queued
 * on connections is flushed -> poll again. turn() runs right before the poll, so whatever was read
 * at once is one batch. The loop touches no disk. */
#ifndef MQ_NODE_LOOP_H
#define MQ_NODE_LOOP_H

#include <uv.h>

#include "base/executor.h"
#include "base/list.h"
#include "base/status.h"

#define LOOP_TICK_MS 25u

struct loop_ops {
    void (*turn)(void *arg);                  /* end of a turn */
    void (*tick)(void *arg, uint64_t now_ms); /* each LOOP_TICK_MS */
    uint64_t (*deadline_ms)(void *arg);       /* when due() wants to run; UINT64_MAX = never */
    void (*due)(void *arg);
    void (*signal)(void *arg, int number); /* SIGTERM, SIGINT, SIGHUP */
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_timer_t tick_timer, due_timer;
    uv_async_t wake;
    uv_signal_t signals[3];
    struct executor_threads *threads;
    struct list connections, dirty;
    unsigned connections_n;
    uint64_t now_ms; /* at the beginning of the turn, refreshed by each callback group */
    uint64_t due_armed_ms;
    bool again; /* another turn is wanted at once */
    bool stopped;
    const struct loop_ops *ops;
    void *arg;
    uint8_t read_buffer[256 * 1024];
};

enum status loop_init(struct loop *l, const struct loop_ops *ops, void *arg);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Another turn follows at once (something was submitted from inside turn()). */
void loop_again(struct loop *l);
/* Closes what is left, joins the threads. */
void loop_deinit(struct loop *l);

#endif
