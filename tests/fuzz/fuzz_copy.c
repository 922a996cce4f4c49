/* Any frames from the source of a copy, over connections that break in between: the state machine is given pieces in order and within
 * the size that was announced, commits only a whole copy, and every install ends. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/shard_internal.h"

#define INDEX_MIN 10
#define INDEX_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sm_install {
    uint64_t size, written;
};

static struct {
    uint64_t now_ms;
    unsigned installs; /* not ended */
    bool connected, paused;
} world;

static uint64_t get_now(struct clock *c)
{
    (void)c;
    return world.now_ms;
}

static enum status on_begin(void *sm, const struct sm_descriptor *d, struct sm_install **out_i)
{
    (void)sm;
    must(d->index >= INDEX_MIN && d->index <= INDEX_MAX && d->size > 0);
    must(d->configuration != NULL && d->configuration->size > 0);
    struct sm_install *i = calloc(1, sizeof(*i));
    must(i != NULL);
    i->size = d->size;
    world.installs++;
    *out_i = i;
    return OK;
}

static enum status on_write(struct sm_install *i, uint64_t offset, const uint8_t *data, size_t size)
{
    must(data != NULL && offset == i->written && size > 0 && size <= i->size - i->written);
    i->written += size;
    return OK;
}

static void on_abort(struct sm_install *i)
{
    world.installs--;
    free(i);
}

static enum status on_commit(struct sm_install *i, struct uuid *out, struct error *e)
{
    bool whole = i->written == i->size;
    must(whole);
    memset(out, 7, sizeof(*out));
    on_abort(i);
    return error_set(e, STATUS_CORRUPT, "another digest");
}

static enum status on_dial(void *arg, struct copy_fetch *f)
{
    (void)arg;
    (void)f;
    must(!world.connected);
    world.connected = true;
    world.paused = false;
    return OK;
}

static void on_hang_up(void *arg, struct copy_fetch *f)
{
    (void)arg;
    (void)f;
    must(world.connected);
    world.connected = false;
}

static void on_resume(void *arg, struct copy_fetch *f)
{
    (void)arg;
    (void)f;
    must(world.connected && world.paused);
    world.paused = false;
}

static void connection_lost(struct shard *s)
{
    if (world.connected) {
        world.connected = false;
        copy_fetch_closed(s->fetch, STATUS_CLOSED);
    }
    world.now_ms += 300;
    shard_install_tick(s, world.now_ms);
}

static void feed(struct shard *s, struct executor_inline *x, const uint8_t *data, size_t size)
{
    size_t step = 0;
    struct frame f;
    for (size_t at = 0; at < size && s->fetch != NULL; at += step) {
        enum status status = frame_decode((struct bytes){data + at, size - at}, &f, &step);
        if (status !=
            OK) { /* not a frame: the link breaks, and what follows comes over the next one */
            step = 1;
        } else if (world.connected) {
            status = copy_fetch_receive(s->fetch, &f);
        }
        if (status == STATUS_BUSY && step > 1) {
            world.paused = true;
            step = 0; /* the same again */
        }
        if (status != OK && step != 0) {
            connection_lost(s);
        }
        if (status != OK || data[at] % 2 == 0) {
            executor_inline_drain(x);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sm_ops ops = {.install_begin = on_begin,
                                      .install_write = on_write,
                                      .install_commit = on_commit,
                                      .install_abort = on_abort};
    struct clock clock = {get_now, get_now};
    struct executor_inline x;
    struct host *h = calloc(1, sizeof(*h));
    struct shard *s = calloc(1, sizeof(*s));
    must(h != NULL && s != NULL);
    memset(&world, 0, sizeof(world));
    world.now_ms = 1000;
    executor_inline_init(&x);
    h->o = (struct host_options){.node = 1,
                                 .clock = &clock,
                                 .executor = &x.executor,
                                 .copy_dial = on_dial,
                                 .copy_hang_up = on_hang_up,
                                 .copy_resume = on_resume};
    s->host = h;
    s->o.machine.ops = &ops;
    s->closing = true; /* it is only told: what the shard does with a state is not asked here */
    must(copy_fetch_start(s, 2, INDEX_MIN, INDEX_MAX, &s->fetch) == OK);
    feed(s, &x, data, size);
    executor_inline_drain(&x);
    if (s->fetch != NULL) {
        copy_fetch_cancel(s->fetch);
    }
    executor_inline_drain(&x);
    must(world.installs == 0 && !world.connected);
    free(s);
    free(h);
    return 0;
}
