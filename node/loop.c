/* The loop over libuv. uv_prepare is the end of a turn: it runs after timers and before the poll,
 * and the poll's timeout is computed after it, so a timer armed there counts. Fails only at
 * loop_init, for lack of descriptors or threads. */
#include "node/loop.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "node/connection.h"

static const int signal_numbers[3] = {SIGTERM, SIGINT, SIGHUP};

static void refresh(struct loop *l)
{
    l->now_ms = clock_monotonic_ms(&clock_system);
}

static void on_due(uv_timer_t *timer);

static void arm_due(struct loop *l)
{
    uint64_t at = l->ops->deadline_ms(l->arg);
    /* An earlier alarm stays: a deadline that moves on with every turn must not keep it from
     * ringing. */
    if (at == UINT64_MAX || (l->due_armed_ms != 0 && l->due_armed_ms <= at)) {
        return;
    }
    l->due_armed_ms = at;
    uv_update_time(&l->uv);
    uv_timer_start(&l->due_timer, on_due, at > l->now_ms ? at - l->now_ms : 0, 0);
}

static void on_due(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    refresh(l);
    l->due_armed_ms = 0;
    l->ops->due(l->arg);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;
    refresh(l);
    for (int i = 0; i < 4; i++) {
        l->again = false;
        l->ops->turn(l->arg);
        if (!l->again) {
            break;
        }
    }
    connection_flush_all(l);
    if (l->again || !list_empty(&l->dirty)) {
        uv_async_send(&l->wake);
    }
    if (!l->stopped) {
        arm_due(l);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    refresh(l);
    connection_tick_all(l, l->now_ms);
    l->ops->tick(l->arg, l->now_ms);
}

static void on_wake(uv_async_t *async)
{
    struct loop *l = async->data;
    refresh(l);
    if (l->threads != NULL) {
        executor_threads_complete(l->threads);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *l = handle->data;
    refresh(l);
    l->ops->signal(l->arg, number);
}

static void wake(void *arg)
{
    struct loop *l = arg;
    uv_async_send(&l->wake);
}

enum status loop_init(struct loop *l, const struct loop_ops *ops, void *arg)
{
    memset(l, 0, sizeof(*l));
    l->ops = ops;
    l->arg = arg;
    list_init(&l->connections);
    list_init(&l->dirty);
    refresh(l);
    if (uv_loop_init(&l->uv) != 0) {
        return STATUS_NO_MEMORY;
    }
    l->prepare.data = l->tick_timer.data = l->due_timer.data = l->wake.data = l;
    int rv = uv_prepare_init(&l->uv, &l->prepare);
    rv |= uv_prepare_start(&l->prepare, on_prepare);
    rv |= uv_timer_init(&l->uv, &l->tick_timer);
    rv |= uv_timer_start(&l->tick_timer, on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
    rv |= uv_timer_init(&l->uv, &l->due_timer);
    rv |= uv_async_init(&l->uv, &l->wake, on_wake);
    for (int i = 0; i < 3; i++) {
        l->signals[i].data = l;
        rv |= uv_signal_init(&l->uv, &l->signals[i]);
        rv |= uv_signal_start(&l->signals[i], on_signal, signal_numbers[i]);
    }
    return rv == 0 ? executor_threads_new(wake, l, &l->threads) : STATUS_NO_MEMORY;
}

void loop_run(struct loop *l)
{
    while (!l->stopped) {
        uv_run(&l->uv, UV_RUN_ONCE);
    }
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
    uv_async_send(&l->wake);
}

void loop_again(struct loop *l)
{
    l->again = true;
}

static void close_walk(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void loop_deinit(struct loop *l)
{
    if (l->threads != NULL) {
        executor_threads_free(l->threads);
        l->threads = NULL;
    }
    uv_prepare_stop(&l->prepare);
    uv_walk(&l->uv, close_walk, NULL);
    for (int i = 0; i < 100 && uv_loop_close(&l->uv) == UV_EBUSY; i++) {
        uv_run(&l->uv, UV_RUN_NOWAIT);
    }
}
