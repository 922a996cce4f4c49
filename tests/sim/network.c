/* Links between the nodes, and the connections of copies.
 *
 * A link carries frames in order within a channel and direction; control and bulk overtake each other. It loses what is on its way
 * when it breaks, when it is cut in that direction, or (as a fault) at random; it may bring a frame twice. A link that can't
 * carry both ways for a while is noticed as down by both ends, and dialled again. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/frame.h"
#include "tests/sim/world.h"

#define WINDOW_BYTES (8u * 1024u * 1024u)
#define WATCH_US     100000
#define NOTICE_US    400000

struct sim_copy {
    struct list link;
    struct world *world;
    struct copy_fetch *fetch;   /* NULL: hung up, or its node died */
    struct copy_source *source; /* NULL: not yet, or its node died */
    struct sim_node *to, *from; /* the fetching node, the source */
    struct list waiting;        /* struct copy_frame: arrived while the fetch was busy */
    bool ended, closed;
    uint64_t last_us;
    uint32_t pending; /* events that point here */
};

struct copy_frame {
    struct list link;
    struct block *frame;
};

/* ---- links -------------------------------------------------------------------------------------------- */

static struct sim_connection *connection(struct world *w, uint32_t a, uint32_t b)
{
    return a < b ? &w->connections[a][b] : &w->connections[b][a];
}

void network_take_down(struct world *w, uint32_t a, uint32_t b)
{
    struct sim_connection *c = connection(w, a, b);
    if (!c->up) {
        return;
    }
    c->up = false;
    c->generation++;
    c->retry_us = w->now_us + world_between(w, 5000, 250000);
    memset(c->bytes, 0, sizeof(c->bytes));
    for (int i = 0; i < 2; i++) {
        struct sim_node *n = &w->nodes[i == 0 ? a : b];
        if (n->up) {
            host_peer_down(n->host, i == 0 ? b + 1 : a + 1);
            node_turn(n);
        }
    }
}

static void bring_up(struct world *w, uint32_t a, uint32_t b)
{
    struct sim_connection *c = connection(w, a, b);
    c->up = true;
    c->broken_us = 0;
    host_peer_up(w->nodes[a].host, b + 1);
    host_peer_up(w->nodes[b].host, a + 1);
    node_turn(&w->nodes[a]);
    node_turn(&w->nodes[b]);
}

static void watch_pair(struct world *w, uint32_t a, uint32_t b)
{
    struct sim_connection *c = connection(w, a, b);
    bool can = w->nodes[a].up && w->nodes[b].up && !w->cut[a][b] && !w->cut[b][a];
    if (can) {
        c->broken_us = 0;
        if (!c->up && w->now_us >= c->retry_us) {
            bring_up(w, a, b);
        }
        return;
    }
    if (c->broken_us == 0) {
        c->broken_us = w->now_us;
    }
    if (c->up && w->now_us >= c->broken_us + NOTICE_US + world_between(w, 0, 600000)) {
        network_take_down(w, a, b);
    }
}

static void on_watch(struct event *e)
{
    struct world *w = e->world;
    for (uint32_t a = 0; a < w->nodes_n; a++) {
        for (uint32_t b = a + 1; b < w->nodes_n; b++) {
            watch_pair(w, a, b);
        }
    }
    world_event(w, WATCH_US, on_watch);
}

uint64_t network_slowest_us(const struct sim_node *n)
{
    struct world *w = n->world;
    uint64_t us = 0;
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        uint64_t one = i != node_index(n) ? 2ull * connection(w, node_index(n), i)->latency_us : 0;
        us = one > us ? one : us;
    }
    return us;
}

void network_init(struct world *w)
{
    for (uint32_t a = 0; a < w->nodes_n; a++) {
        for (uint32_t b = a + 1; b < w->nodes_n; b++) {
            bool near = w->nodes_n == 5 && a / 2 == b / 2;
            connection(w, a, b)->latency_us =
                (uint32_t)(near ? world_between(w, 100, 400) : world_between(w, 300, 12000));
        }
    }
    world_event(w, 1000, on_watch);
}

static void on_delivered(struct event *e)
{
    struct sim_node *n = e->node;
    struct world *w = e->world;
    uint32_t from = (uint32_t)e->a, to = node_index(n);
    struct sim_connection *c = connection(w, from, to);
    if (c->generation != (uint32_t)e->b || !n->up) {
        return;
    }
    int direction = from < to ? 0 : 1;
    c->bytes[direction] -=
        c->bytes[direction] < e->frame->size ? c->bytes[direction] : e->frame->size;
    struct frame f;
    size_t size;
    must(frame_decode((struct bytes){e->frame->data, e->frame->size}, &f, &size) == OK);
    enum status s = host_receive(n->host, from + 1, &f);
    if (s != OK && s != STATUS_NO_SHARD && s != STATUS_CLOSED) {
        w->stats.malformed++;
        world_note(w, "sim: frame from n%u refused: %s", from + 1, status_name(s));
        if (s == STATUS_MALFORMED) {
            world_violation(w, "a frame of ours is malformed: kind %d from n%u", (int)f.kind,
                            from + 1);
        }
    }
    node_turn(n);
}

static void put_on_the_way(struct world *w, uint32_t from, uint32_t to, enum channel channel,
                           struct block *frame)
{
    struct sim_connection *c = connection(w, from, to);
    int direction = from < to ? 0 : 1;
    uint64_t at =
        w->now_us + c->latency_us + world_between(w, 0, c->latency_us / 4 + 20) + frame->size / 200;
    if (w->faults[FAULT_DELAY] && !w->healing && world_chance(w, 2000)) {
        at += world_between(w, 10000, 900000);
    }
    uint64_t *last = &c->last_us[direction][channel];
    at = at > *last ? at : *last + 1;
    *last = at;
    c->bytes[direction] += frame->size;
    struct event *e = world_event(w, at - w->now_us, on_delivered);
    e->node = &w->nodes[to];
    e->a = from;
    e->b = c->generation;
    e->frame = block_ref(frame);
}

bool network_send(struct sim_node *from, node_id to, enum channel channel, struct block *frame)
{
    struct world *w = from->world;
    if (from->dead || to == 0 || to > w->nodes_n || to == from->id) {
        return false;
    }
    uint32_t a = node_index(from), b = to - 1;
    struct sim_connection *c = connection(w, a, b);
    world_trace(w, XXH3_64bits(frame->data, frame->size), from->id, to);
    if (beliefs_answer(from, b, frame)) {
        return true;
    }
    if (!c->up || c->bytes[a < b ? 0 : 1] > WINDOW_BYTES) {
        return false;
    }
    bool lost = w->cut[a][b] || (w->faults[FAULT_LOSS] && !w->healing && world_chance(w, 10000));
    if (!lost) {
        put_on_the_way(w, a, b, channel, frame);
        if (w->faults[FAULT_DUPLICATE] && !w->healing && world_chance(w, 10000)) {
            put_on_the_way(w, a, b, channel, frame);
        }
    }
    return true;
}

static bool host_send(void *arg, node_id to, enum channel channel, struct block *frame)
{
    return network_send(arg, to, channel, frame);
}

/* ---- copies ------------------------------------------------------------------------------------------- */

static void copy_check_free(struct sim_copy *c)
{
    if (c->pending > 0 || c->fetch != NULL || c->source != NULL) {
        return;
    }
    for (struct list *n = list_pop(&c->waiting); n != NULL; n = list_pop(&c->waiting)) {
        struct copy_frame *f = container_of(n, struct copy_frame, link);
        block_unref(f->frame);
        free(f);
    }
    list_remove(&c->link);
    free(c);
}

static struct event *copy_event(struct sim_copy *c, struct sim_node *at, uint64_t delay_us,
                                void (*run)(struct event *))
{
    struct event *e = world_event(c->world, delay_us, run);
    (void)at;
    e->p = c;
    c->pending++;
    return e;
}

/* Ends it at both sides; each is told once. */
static void copy_break(struct sim_copy *c, enum status why)
{
    if (c->source != NULL) {
        struct copy_source *source = c->source;
        c->source = NULL;
        copy_source_set_user(source, NULL);
        copy_source_free(source);
    }
    if (c->fetch != NULL) {
        struct copy_fetch *fetch = c->fetch;
        c->fetch = NULL;
        copy_fetch_set_user(fetch, NULL);
        copy_fetch_closed(fetch, why);
        node_turn(c->to);
    }
}

static void on_connect(struct event *e)
{
    struct sim_copy *c = e->p;
    struct world *w = e->world;
    c->pending--;
    if (c->fetch != NULL) {
        uint32_t a = node_index(c->to), b = node_index(c->from);
        enum status s = STATUS_UNREACHABLE;
        if (c->from->up && c->from->paused_until_us <= w->now_us && !w->cut[a][b] &&
            !w->cut[b][a]) {
            struct block *request = copy_fetch_request(c->fetch);
            struct frame f;
            size_t size;
            must(frame_decode((struct bytes){request->data, request->size}, &f, &size) == OK);
            w->current = c->from;
            s = copy_source_new(c->from->host, c->to->id, &f, &c->source);
            if (s == OK && c->source != NULL) {
                copy_source_set_user(c->source, c);
            }
            block_unref(request);
            node_turn(c->from);
        }
        if (s != OK) {
            copy_break(c, s);
        }
    }
    copy_check_free(c);
}

static void copy_finish_if_ended(struct sim_copy *c)
{
    if (c->closed && list_empty(&c->waiting) && c->fetch != NULL) {
        copy_break(c, STATUS_CLOSED);
    }
}

/* Gives the fetch what has arrived, until it is busy. */
static void copy_pump(struct sim_copy *c)
{
    while (c->fetch != NULL && !list_empty(&c->waiting)) {
        struct copy_frame *cf = container_of(c->waiting.next, struct copy_frame, link);
        struct frame f;
        size_t size;
        must(frame_decode((struct bytes){cf->frame->data, cf->frame->size}, &f, &size) == OK);
        c->pending++;
        enum status s = copy_fetch_receive(c->fetch, &f);
        c->pending--;
        node_turn(c->to);
        if (s == STATUS_BUSY) {
            return;
        }
        list_remove(&cf->link);
        block_unref(cf->frame);
        free(cf);
        if (s != OK && c->fetch != NULL) {
            world_note(c->world, "sim: copy refused by its receiver: %s", status_name(s));
            copy_break(c, s);
        }
    }
    copy_finish_if_ended(c);
}

static void on_copy_arrived(struct event *e)
{
    struct sim_copy *c = e->p;
    c->pending--;
    if (c->fetch != NULL && c->to->paused_until_us > e->world->now_us) {
        struct event *later =
            copy_event(c, c->to, c->to->paused_until_us - e->world->now_us, on_copy_arrived);
        later->frame = e->frame != NULL ? block_ref(e->frame) : NULL;
        return;
    }
    if (c->fetch != NULL && e->frame == NULL) {
        c->closed = true;
        copy_finish_if_ended(c);
    } else if (c->fetch != NULL) {
        struct copy_frame *f = calloc(1, sizeof(*f));
        must(f != NULL);
        f->frame = block_ref(e->frame);
        list_push_back(&c->waiting, &f->link);
        copy_pump(c);
    }
    copy_check_free(c);
}

static void on_copy_written(struct event *e)
{
    struct sim_copy *c = e->p;
    c->pending--;
    if (c->source != NULL) {
        e->world->current = c->from;
        copy_source_written(c->source);
        node_turn(c->from);
    }
    copy_check_free(c);
}

/* copy_source_new may answer from inside: the source is not known to us yet then. */
static struct sim_copy *copy_of(struct sim_node *n, struct copy_source *source)
{
    struct sim_copy *c = copy_source_user(source);
    if (c != NULL) {
        return c;
    }
    list_each(l, &n->world->copies)
    {
        c = container_of(l, struct sim_copy, link);
        if (c->source == source) {
            copy_source_set_user(source, c);
            return c;
        }
    }
    return NULL;
}

static enum status host_copy_dial(void *arg, struct copy_fetch *f)
{
    struct sim_node *n = arg;
    struct world *w = n->world;
    node_id from = copy_fetch_node(f);
    if (n->dead || from == 0 || from > w->nodes_n || world_chance(w, 20000)) {
        return STATUS_UNREACHABLE;
    }
    struct sim_copy *c = calloc(1, sizeof(*c));
    must(c != NULL);
    c->world = w;
    c->fetch = f;
    c->to = n;
    c->from = &w->nodes[from - 1];
    list_init(&c->waiting);
    list_push_back(&w->copies, &c->link);
    copy_fetch_set_user(f, c);
    copy_event(c, c->from, connection(w, node_index(n), from - 1)->latency_us * 3ull + 500,
               on_connect);
    return OK;
}

static void host_copy_hang_up(void *arg, struct copy_fetch *f)
{
    (void)arg;
    struct sim_copy *c = copy_fetch_user(f);
    if (c == NULL) {
        return;
    }
    c->fetch = NULL;
    copy_fetch_set_user(f, NULL);
    if (c->source != NULL && c->from->up) {
        struct copy_source *source = c->source;
        c->source = NULL;
        copy_source_set_user(source, NULL);
        copy_source_free(source);
    }
    copy_check_free(c);
}

static void on_pump(struct event *e)
{
    struct sim_copy *c = e->p;
    c->pending--;
    copy_pump(c);
    copy_check_free(c);
}

static void host_copy_resume(void *arg, struct copy_fetch *f)
{
    (void)arg;
    struct sim_copy *c = copy_fetch_user(f);
    if (c != NULL) {
        copy_event(c, c->to, 10, on_pump);
    }
}

static void host_copy_send(void *arg, struct copy_source *source, struct block *frame)
{
    struct sim_node *n = arg;
    struct sim_copy *c = copy_of(n, source);
    if (c == NULL || n->dead) {
        return;
    }
    struct world *w = n->world;
    uint64_t left = frame->size / 50 + world_between(w, 10, 200); /* 50 MB/s */
    uint64_t at = left + connection(w, node_index(n), node_index(c->to))->latency_us;
    copy_event(c, n, left, on_copy_written);
    struct event *e = copy_event(c, c->to, at, on_copy_arrived);
    e->frame = block_ref(frame);
    c->last_us = w->now_us + at;
}

static void on_source_freed(struct event *e)
{
    struct sim_copy *c = e->p;
    c->pending--;
    if (c->source != NULL) {
        struct copy_source *source = c->source;
        c->source = NULL;
        copy_source_set_user(source, NULL);
        copy_source_free(source);
        node_turn(c->from);
    }
    copy_check_free(c);
}

static void host_copy_end(void *arg, struct copy_source *source)
{
    struct sim_node *n = arg;
    struct sim_copy *c = copy_of(n, source);
    if (c == NULL || c->ended || n->dead) {
        return;
    }
    struct world *w = n->world;
    c->ended = true;
    uint64_t at = c->last_us > w->now_us ? c->last_us - w->now_us + 1 : 1000;
    copy_event(c, n, 5, on_source_freed);
    copy_event(c, c->to, at, on_copy_arrived); /* no frame: the end */
}

void network_break_copies(struct world *w)
{
    list_each_safe(l, &w->copies)
    {
        struct sim_copy *c = container_of(l, struct sim_copy, link);
        if (c->fetch != NULL && c->source != NULL && random_below(&w->random, 2) == 0) {
            world_note(w, "sim: copy to n%u broken", c->to->id);
            c->pending++;
            copy_break(c, STATUS_CLOSED);
            c->pending--;
            copy_check_free(c);
        }
    }
}

/* ---- a node goes -------------------------------------------------------------------------------------- */

void network_node_down(struct sim_node *n)
{
    struct world *w = n->world;
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        if (i != node_index(n)) {
            network_take_down(w, node_index(n), i);
        }
    }
    list_each_safe(l, &w->copies)
    {
        struct sim_copy *c = container_of(l, struct sim_copy, link);
        c->pending++;
        if (c->from == n) {
            if (c->source != NULL) { /* freed with its node, in order */
                copy_source_set_user(c->source, NULL);
                copy_source_free(c->source);
                c->source = NULL;
            }
            copy_break(c, STATUS_CLOSED);
        } else if (c->to == n && c->fetch != NULL) {
            copy_fetch_set_user(c->fetch, NULL);
            c->fetch = NULL;
            copy_break(c, STATUS_CLOSED);
        }
        c->pending--;
        copy_check_free(c);
    }
}

void network_heal(struct world *w)
{
    memset(w->cut, 0, sizeof(w->cut));
}

void network_deinit(struct world *w)
{
    list_each_safe(l, &w->copies)
    {
        struct sim_copy *c = container_of(l, struct sim_copy, link);
        c->pending = 0;
        c->fetch = NULL;
        c->source = NULL;
        copy_check_free(c);
    }
}

void network_fill_options(struct host_options *o)
{
    o->send = host_send;
    o->copy_dial = host_copy_dial;
    o->copy_hang_up = host_copy_hang_up;
    o->copy_resume = host_copy_resume;
    o->copy_send = host_copy_send;
    o->copy_end = host_copy_end;
}
