/* Any requests for a copy, over connections that end at any time: what is sent is the whole image in order from where the head says, only
 * pages that exist are read, no more checkpoints stay pinned than may be parked, and each that was opened is closed in the end.
 *
 *   input: steps: u8 what, u8 size, bytes. What, its low 3 bits: a request (bytes: its header; bit 3: of an operator, from no node); the
 *   piece has left; jobs run; time passes (u64 ms); the connection ends; the host stops. */
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "proto/peer.pb-c.h"
#include "raft/shard_internal.h"

#define IMAGE_BYTES     (5u * 4096u)
#define IMAGE_INDEX     500u
#define PARKED_AND_USED 9u
#define SHARDS          4u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sm_copy {
    uint64_t size;
};

static struct {
    uint64_t now_ms, checkpoint;
    unsigned open;
    struct copy_source *source;
    bool ended, sent, head; /* of this source */
    uint64_t offset;        /* of the next piece */
    struct block *configuration;
} world;

static uint64_t get_now(struct clock *c)
{
    (void)c;
    return world.now_ms;
}

/* ---- the state machine ---- */

static enum status on_open(void *sm, uint64_t min_index, struct sm_copy **out,
                           struct sm_descriptor *d)
{
    (void)sm;
    if (min_index > IMAGE_INDEX) {
        return STATUS_NOT_FOUND;
    }
    struct sm_copy *c = calloc(1, sizeof(*c));
    must(c != NULL);
    c->size = IMAGE_BYTES;
    *d = (struct sm_descriptor){.environment = {{7}},
                                .checkpoint = 1 + world.checkpoint++ % 3,
                                .index = IMAGE_INDEX,
                                .term = 3,
                                .configuration = block_ref(world.configuration),
                                .configuration_index = 1,
                                .size = IMAGE_BYTES};
    world.open++;
    *out = c;
    return OK;
}

static enum status on_read(struct sm_copy *c, uint64_t offset, uint8_t *data, size_t size,
                           size_t *out_size)
{
    must(offset < c->size && offset % 4096 == 0 && size >= 4096);
    memset(data, 1, 4096);
    *out_size = 4096;
    return offset == 8192 && world.now_ms % 5 == 4 ? STATUS_IO : OK;
}

static void on_close(struct sm_copy *c)
{
    must(world.open > 0);
    world.open--;
    free(c);
}

/* ---- the connection ---- */

static void on_send(void *arg, struct copy_source *c, struct block *b)
{
    struct frame f;
    size_t n;
    (void)arg;
    must(c == world.source && !world.ended && !world.sent);
    must(frame_decode((struct bytes){b->data, b->size}, &f, &n) == OK && n == b->size);
    world.sent = true;
    if (f.kind == FRAME_COPY_HEAD) {
        Mq__CopyHead *m = mq__copy_head__unpack(NULL, f.header.size, f.header.data);
        must(m != NULL && !world.head);
        must(m->status != OK || (m->size == IMAGE_BYTES && m->offset < IMAGE_BYTES));
        world.head = true;
        world.offset = m->offset;
        mq__copy_head__free_unpacked(m, NULL);
        return;
    }
    Mq__CopyData *m = mq__copy_data__unpack(NULL, f.header.size, f.header.data);
    must(f.kind == FRAME_COPY_DATA && world.head && m != NULL && m->offset == world.offset);
    world.offset += f.payload.size;
    must(world.offset <= IMAGE_BYTES && m->last == (world.offset == IMAGE_BYTES));
    mq__copy_data__free_unpacked(m, NULL);
}

static void on_end(void *arg, struct copy_source *c)
{
    (void)arg;
    must(c == world.source && !world.ended);
    world.ended = true;
}

static void hang_up(void)
{
    copy_source_free(world.source);
    world.source = NULL;
}

static void request(struct host *h, bool operators, struct bytes header)
{
    struct frame f = {.kind = FRAME_COPY_REQUEST, .header = header};
    hang_up(); /* a connection asks once */
    world.ended = world.sent = world.head = false;
    enum status s = copy_source_new(h, operators ? 0 : 2, &f, &world.source);
    must((s == OK) == (world.source != NULL));
}

/* ---- a run ---- */

static void drop_line(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_line_set_sink(drop_line, NULL);
    world.configuration = block_new(10);
    must(world.configuration != NULL);
    memset(world.configuration->data, 0, 10);
    return 0;
}

static void step(struct host *h, struct executor_inline *x, unsigned what, struct bytes b)
{
    switch (what & 7u) {
        case 0:
        case 1:
            request(h, (what & 8u) != 0, b);
            break;
        case 2:
        case 3:
            if (world.source != NULL && world.sent) {
                world.sent = false;
                copy_source_written(world.source);
            }
            break;
        case 4:
            executor_inline_drain(x);
            must(world.open <= PARKED_AND_USED);
            break;
        case 5:
            world.now_ms += b.size == 8 ? get_le64(b.data) % 100000 : b.size * 1000;
            copy_sources_close(h); /* as each tick does */
            break;
        case 6:
            hang_up();
            break;
        default:
            h->stopping = true;
            copy_sources_close(h);
            break;
    }
}

/* Shard 0 and 1 serve, 2 is being opened, 3 has no state here. */
static void add_shards(struct host *h, const struct sm_ops *ops)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *s = calloc(1, sizeof(*s));
        must(s != NULL);
        s->host = h;
        s->o.shard = i;
        s->o.epoch = (struct epoch){.number = 1, .id = 42 + i};
        s->o.machine.ops = i == 3 ? NULL : ops;
        s->state = i == 2 ? SHARD_OPENING : SHARD_RUNNING;
        h->shards[h->shards_n++] = s;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sm_ops ops = {
        .copy_open = on_open, .copy_read = on_read, .copy_close = on_close};
    const uint8_t *at = data, *end = data + size;
    struct clock clock = {get_now, get_now};
    struct executor_inline x;
    struct host *h = calloc(1, sizeof(*h));
    must(h != NULL);
    executor_inline_init(&x);
    world.now_ms = 1000;
    world.checkpoint = 0;
    h->o = (struct host_options){.cluster = {{1, 2, 3}},
                                 .node = 1,
                                 .clock = &clock,
                                 .executor = &x.executor,
                                 .copy_send = on_send,
                                 .copy_end = on_end};
    list_init(&h->copy_sources);
    add_shards(h, &ops);
    while (end - at >= 2) {
        unsigned what = at[0];
        size_t n = at[1] < end - at - 2 ? at[1] : (size_t)(end - at - 2);
        at += 2;
        step(h, &x, what, (struct bytes){at, n});
        at += n;
    }
    hang_up();
    executor_inline_drain(&x);
    h->closing = true;
    copy_sources_close(h);
    must(world.open == 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        free(h->shards[i]);
    }
    free(h);
    return 0;
}
