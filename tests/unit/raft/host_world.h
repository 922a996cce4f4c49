/* Three hosts with the real log and engine, a toy state machine, one thread and a clock that the test moves. Shared by the tests of
 * raft/host.h and raft/shard*.c: begin() -> write_some(), run(), stop() and start() of a node -> check_equal() -> end(). */
#ifndef MQ_TESTS_UNIT_RAFT_HOST_WORLD_H
#define MQ_TESTS_UNIT_RAFT_HOST_WORLD_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/batch.h"
#include "raft/host.h"
#include "raft/log.h"
#include "raft/shard_internal.h"
#include "tests/lib/check.h"

#define NODES 3
#define SHARD 7u

/* ---- a toy state machine: it remembers how many entries and what sum of bytes it saw; durable = its checkpoint fields ---- */

struct toy {
    struct sm_position position;
    struct sm_descriptor durable; /* of the last checkpoint */
    struct uuid environment;
    uint64_t environments;
    uint64_t sum, durable_sum;
    enum status open_status, apply_status, commit_status, begin_status,
        finish_status;        /* what these say instead of working; OK = they work */
    uint64_t commits, begins; /* how often they were called */
    uint64_t committed;       /* index that readers see */
    uint64_t reads[4];        /* of a copy, by piece */
};

struct sm_checkpoint {
    struct sm_descriptor d;
    uint64_t sum;
};
struct sm_copy {
    struct toy *toy;
    struct sm_descriptor d;
    uint64_t sum;
};
struct sm_install {
    struct toy *toy;
    struct sm_descriptor d;
    uint8_t data[8192];
};

static void digest(struct toy *t, uint8_t out[16])
{
    memset(out, 0, 16);
    put_le64(out, t->sum);
}

static enum status toy_create(void *sm, const struct epoch *epoch, struct uuid *out,
                              struct error *e)
{
    (void)epoch;
    (void)e;
    struct toy *t = sm;
    memset(&t->environment, 0, sizeof(t->environment));
    t->environment.bytes[0] = (uint8_t)++t->environments;
    memset(&t->durable, 0, sizeof(t->durable));
    t->durable_sum = 0;
    *out = t->environment;
    return OK;
}

static enum status toy_open(void *sm, const struct uuid *environment, struct sm_descriptor *out,
                            struct error *e)
{
    struct toy *t = sm;
    if (t->open_status != OK) {
        return error_set(e, t->open_status, "refused by the test");
    }
    if (!uuid_equal(environment, &t->environment)) {
        return error_set(e, STATUS_CORRUPT, "no such environment");
    }
    t->position = (struct sm_position){.index = t->durable.index, .term = t->durable.term};
    t->committed = t->durable.index;
    t->sum = t->durable_sum;
    *out = t->durable;
    out->environment = *environment;
    digest(t, out->digest);
    if (out->configuration != NULL) {
        block_ref(out->configuration);
    }
    return OK;
}

static void toy_close(void *sm)
{
    (void)sm;
}

static enum status toy_apply(void *sm, const struct sm_entry *entries, uint32_t n,
                             struct sm_results *results, struct sm_position *out)
{
    struct toy *t = sm;
    if (t->apply_status != OK) {
        return t->apply_status;
    }
    for (uint32_t i = 0; i < n; i++) {
        CHECK_EQ(entries[i].index, t->position.index + 1);
        t->position.index = entries[i].index;
        t->position.term = entries[i].term;
        if (entries[i].payload == NULL) {
            continue;
        }
        struct bytes b = {entries[i].payload->data, entries[i].payload->size};
        struct batch_header h;
        CHECK_EQ(batch_decode_header(b, &h), OK);
        size_t cursor = 0;
        struct batch_item item;
        for (uint32_t k = 0; batch_next(b, &cursor, &item) == OK; k++) {
            t->sum = t->sum * 31 + item.command.data[0];
            if (results != NULL) {
                if (results->count == results->capacity) {
                    results->capacity = results->capacity * 2 + 8;
                    results->items =
                        realloc(results->items, results->capacity * sizeof(*results->items));
                }
                results->items[results->count++] =
                    (struct sm_result){entries[i].index, k, OK, NULL};
            }
        }
    }
    digest(t, t->position.digest);
    *out = t->position;
    return OK;
}

static enum status toy_commit(void *sm, struct sm_due *out)
{
    struct toy *t = sm;
    t->commits++;
    *out = (struct sm_due){0};
    if (t->commit_status == OK) {
        t->committed = t->position.index;
    }
    return t->commit_status;
}

static enum status toy_begin(void *sm, struct block *configuration, uint64_t configuration_index,
                             struct sm_checkpoint **out)
{
    struct toy *t = sm;
    t->begins++;
    if (t->begin_status != OK) {
        return t->begin_status;
    }
    t->committed = t->position.index; /* it commits first */
    struct sm_checkpoint *c = calloc(1, sizeof(*c));
    c->d = (struct sm_descriptor){.environment = t->environment,
                                  .checkpoint = t->durable.checkpoint + 1,
                                  .index = t->position.index,
                                  .term = t->position.term,
                                  .configuration = block_ref(configuration),
                                  .configuration_index = configuration_index,
                                  .size = 8192};
    digest(t, c->d.digest);
    c->sum = t->sum;
    *out = c;
    return OK;
}

static enum status toy_finish(void *sm, struct sm_checkpoint *c, struct sm_descriptor *out)
{
    struct toy *t = sm;
    if (t->finish_status != OK) {
        return t->finish_status;
    }
    block_unref(t->durable.configuration);
    t->durable = c->d;
    block_ref(c->d.configuration);
    t->durable_sum = c->sum;
    *out = c->d;
    block_ref(c->d.configuration);
    return OK;
}

static void toy_release(void *sm, struct sm_checkpoint *c, bool durable)
{
    (void)sm;
    (void)durable;
    block_unref(c->d.configuration);
    free(c);
}

static enum status toy_copy_open(void *sm, uint64_t min_index, struct sm_copy **out,
                                 struct sm_descriptor *d)
{
    struct toy *t = sm;
    if (t->durable.index < min_index) {
        return STATUS_NOT_FOUND;
    }
    struct sm_copy *c = calloc(1, sizeof(*c));
    c->toy = t;
    c->d = t->durable;
    c->sum = t->durable_sum;
    *d = c->d;
    block_ref(d->configuration);
    *out = c;
    return OK;
}

static enum status toy_copy_read(struct sm_copy *c, uint64_t offset, uint8_t *data, size_t size,
                                 size_t *out_size)
{
    memset(data, 0, 4096);
    put_le64(data, c->sum);
    *out_size = 4096;
    (void)size;
    c->toy->reads[offset / 4096]++;
    return OK;
}

static void toy_copy_close(struct sm_copy *c)
{
    free(c);
}

static enum status toy_install_begin(void *sm, const struct sm_descriptor *d,
                                     struct sm_install **out)
{
    struct sm_install *i = calloc(1, sizeof(*i));
    i->toy = sm;
    i->d = *d;
    block_ref(d->configuration);
    *out = i;
    return OK;
}

static enum status toy_install_write(struct sm_install *i, uint64_t offset, const uint8_t *data,
                                     size_t size)
{
    memcpy(i->data + offset, data, size);
    return OK;
}

static enum status toy_install_commit(struct sm_install *i, struct uuid *out, struct error *e)
{
    (void)e;
    struct toy *t = i->toy;
    t->environment.bytes[0] = (uint8_t)++t->environments;
    block_unref(t->durable.configuration);
    t->durable = i->d;
    t->durable_sum = get_le64(i->data);
    *out = t->environment;
    free(i);
    return OK;
}

static void toy_install_abort(struct sm_install *i)
{
    block_unref(i->d.configuration);
    free(i);
}

static const struct sm_ops toy_ops = {
    toy_create,     toy_open,          toy_close,         toy_apply,          toy_commit,
    toy_begin,      toy_finish,        toy_release,       toy_copy_open,      toy_copy_read,
    toy_copy_close, toy_install_begin, toy_install_write, toy_install_commit, toy_install_abort};

/* ---- the world ---- */

struct packet {
    struct list link;
    uint32_t from, to;
    struct block *frame;
};

struct world_node {
    struct host *host;
    struct executor_inline executor;
    struct toy toy;
    struct random random;
    char directory[200];
    bool up;
    bool frozen;                /* none of its jobs runs */
    struct copy_fetch *fetch;   /* dialled by us */
    struct copy_source *source; /* served by us */
    uint32_t source_peer;
    struct block *paused;
};

static struct world_node nodes[NODES + 1];
static int cut_copies_after = -1; /* pieces, then the connection breaks, once */
static struct list network;
static uint64_t now_ms = 1000;
static char root[100];

static uint64_t get_now(struct clock *c)
{
    (void)c;
    return now_ms;
}
static struct clock world_clock = {get_now, get_now};

static bool world_send(void *arg, node_id to, enum channel channel, struct block *frame)
{
    (void)channel;
    struct world_node *n = arg;
    struct packet *p = malloc(sizeof(*p));
    *p = (struct packet){.from = (uint32_t)(n - nodes), .to = to, .frame = block_ref(frame)};
    list_push_back(&network, &p->link);
    return true;
}

static void world_failed(void *arg, enum status s, const char *id, const char *text)
{
    (void)arg;
    fprintf(stderr, "failed: %s %s %s\n", status_name(s), id, text);
    CHECK(false);
}

static void world_changed(void *arg, struct shard *s)
{
    (void)arg;
    (void)s;
}

static void world_applied(void *arg, struct shard *s, uint64_t index)
{
    (void)arg;
    (void)s;
    (void)index;
}

static struct frame frame_of(struct block *b)
{
    struct frame f;
    size_t size;
    CHECK_EQ(frame_decode((struct bytes){b->data, b->size}, &f, &size), OK);
    return f;
}

static enum status world_dial(void *arg, struct copy_fetch *f)
{
    struct world_node *n = arg;
    struct world_node *peer = &nodes[copy_fetch_node(f)];
    if (!peer->up) {
        return STATUS_UNREACHABLE;
    }
    struct block *request = copy_fetch_request(f);
    struct frame frame = frame_of(request);
    n->fetch = f;
    peer->source_peer = (uint32_t)(n - nodes);
    enum status s = copy_source_new(peer->host, (node_id)(n - nodes), &frame, &peer->source);
    block_unref(request);
    return s;
}

static void world_hang_up(void *arg, struct copy_fetch *f)
{
    struct world_node *n = arg;
    struct world_node *peer = &nodes[copy_fetch_node(f)];
    copy_source_free(peer->source);
    peer->source = NULL;
    n->fetch = NULL;
}

static void world_copy_send(void *arg, struct copy_source *c, struct block *b)
{
    struct world_node *n = arg;
    struct world_node *peer = &nodes[n->source_peer];
    struct frame f = frame_of(b);
    if (peer->fetch == NULL) {
        return;
    }
    if (f.kind == FRAME_COPY_DATA && cut_copies_after-- == 0) {
        struct copy_fetch *cut = peer->fetch;
        peer->fetch = NULL;
        n->source = NULL;
        copy_source_free(c);
        copy_fetch_closed(cut, STATUS_CLOSED);
        return;
    }
    enum status s = copy_fetch_receive(peer->fetch, &f);
    if (s == STATUS_BUSY) {
        peer->paused = block_ref(b);
        return;
    }
    CHECK_EQ(s, OK);
    copy_source_written(c);
}

static void world_resume(void *arg, struct copy_fetch *f)
{
    struct world_node *n = arg;
    struct block *b = n->paused;
    n->paused = NULL;
    struct frame frame = frame_of(b);
    CHECK_EQ(copy_fetch_receive(f, &frame), OK);
    block_unref(b);
    struct world_node *peer = &nodes[copy_fetch_node(f)];
    if (peer->source != NULL) {
        copy_source_written(peer->source);
    }
}

static void world_end(void *arg, struct copy_source *c)
{
    (void)arg;
    (void)c;
}

static uint64_t kept_bytes = 64 * 1024; /* of the log, for voters that lack them */
static uint32_t preferred;              /* the node whose site leads; 0: none */

static void start(uint32_t id)
{
    struct world_node *n = &nodes[id];
    executor_inline_init(&n->executor);
    random_init_seed(&n->random, id * 7919 + now_ms);
    snprintf(n->directory, sizeof(n->directory), "%s/n%u", root, id);
    struct host_options o = {
        .cluster = {{1, 2, 3}},
        .node = id,
        .log_directory = n->directory,
        .disk = &disk_posix,
        .executor = &n->executor.executor,
        .random = &n->random,
        .clock = &world_clock,
        .segment_bytes = 256 * 1024,
        .retain_bytes = kept_bytes,
        .checkpoint_ms = 300,
        .early_campaign = true,
        .preference = preferred != 0,
        .send = world_send,
        .failed = world_failed,
        .shard_changed = world_changed,
        .applied = world_applied,
        .copy_dial = world_dial,
        .copy_hang_up = world_hang_up,
        .copy_resume = world_resume,
        .copy_send = world_copy_send,
        .copy_end = world_end,
        .arg = n,
    };
    struct error e = {0};
    enum status s = host_open(&o, &n->host, &e);
    if (s != OK) {
        fprintf(stderr, "host_open: %s\n", e.text);
    }
    CHECK_EQ(s, OK);
    struct shard_options so = {.shard = SHARD,
                               .name = "seven",
                               .epoch = {1, 42, 0},
                               .replica = 100 + id,
                               .members_n = NODES,
                               .machine = {&toy_ops, &n->toy},
                               .found = true};
    for (uint32_t i = 0; i < NODES; i++) {
        so.members[i] = (struct shard_member){.replica = 101 + i,
                                              .node = i + 1,
                                              .rank = preferred != 0 && preferred != i + 1,
                                              .role = ROLE_DATA};
    }
    CHECK_EQ(host_add_shard(n->host, &so, &e), OK);
    n->up = true;
}

static void stop(uint32_t id)
{
    struct world_node *n = &nodes[id];
    executor_inline_drain(&n->executor);
    n->up = false;
    host_close(n->host);
    executor_inline_drain(&n->executor);
    n->host = NULL;
}

static void step(void)
{
    now_ms++;
    struct list arrived;
    list_init(&arrived);
    list_splice(&arrived, &network);
    for (struct list *l = list_pop(&arrived); l != NULL; l = list_pop(&arrived)) {
        struct packet *p = container_of(l, struct packet, link);
        if (nodes[p->to].up && nodes[p->from].up) {
            struct frame f = frame_of(p->frame);
            host_receive(nodes[p->to].host, p->from, &f);
        }
        block_unref(p->frame);
        free(p);
    }
    for (uint32_t i = 1; i <= NODES; i++) {
        if (!nodes[i].up) {
            continue;
        }
        host_tick(nodes[i].host);
        for (int k = 0; k < 2; k++) {
            if (!nodes[i].frozen) {
                executor_inline_drain(&nodes[i].executor);
            }
            host_turn(nodes[i].host);
        }
    }
}

__attribute__((unused)) static void run(int ms)
{
    for (int i = 0; i < ms; i++) {
        step();
    }
}

static uint32_t leader(void)
{
    for (uint32_t i = 1; i <= NODES; i++) {
        struct shard *s = nodes[i].up ? host_find_shard(nodes[i].host, SHARD) : NULL;
        if (s != NULL && shard_is_leader(s)) {
            return i;
        }
    }
    return 0;
}

__attribute__((unused)) static uint32_t wait_leader(void)
{
    for (int i = 0; i < 5000 && leader() == 0; i++) {
        step();
    }
    CHECK(leader() != 0);
    return leader();
}

static int answered;
static void on_submit(struct shard_submit *r)
{
    answered++;
    block_unref(r->result);
}
__attribute__((unused)) static void on_read(struct shard_read *r)
{
    (void)r;
    answered++;
}

__attribute__((unused)) static void write_some(int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t l = wait_leader();
        uint8_t c = (uint8_t)(i + 1);
        uint8_t big[200] = {0};
        big[0] = c;
        struct shard_submit r = {
            .command = {big, sizeof(big)}, .deadline_ms = UINT64_MAX, .done = on_submit};
        answered = 0;
        shard_submit(host_find_shard(nodes[l].host, SHARD), &r);
        for (int k = 0; k < 3000 && answered == 0; k++) {
            step();
        }
        CHECK_EQ(answered, 1);
        CHECK_STR_EQ(status_name(r.status), "OK");
        CHECK_EQ(r.outcome, SUBMIT_APPLIED);
    }
}

__attribute__((unused)) static void check_equal(void)
{
    run(200);
    for (uint32_t i = 2; i <= NODES; i++) {
        CHECK_EQ(nodes[i].toy.position.index, nodes[1].toy.position.index);
        CHECK_EQ(nodes[i].toy.sum, nodes[1].toy.sum);
    }
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
    char command[500];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    FILE *f = popen(command, "r");
    CHECK(f != NULL && pclose(f) == 0);
}

__attribute__((unused)) static void begin(void)
{
    snprintf(root, sizeof(root), "/tmp/mq-test-host-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    list_init(&network);
    memset(nodes, 0, sizeof(nodes));
    for (uint32_t i = 1; i <= NODES; i++) {
        start(i);
    }
}

__attribute__((unused)) static void end(void)
{
    for (uint32_t i = 1; i <= NODES; i++) {
        if (nodes[i].up) {
            stop(i);
        }
        block_unref(nodes[i].toy.durable.configuration);
    }
    for (struct list *l = list_pop(&network); l != NULL; l = list_pop(&network)) {
        struct packet *p = container_of(l, struct packet, link);
        block_unref(p->frame);
        free(p);
    }
    shell("rm -rf %s", root);
}

#endif
