/* The executor of a simulated node: lanes of one or two threads, jobs that take virtual time.
 *
 * A job is begun a moment after it was submitted. Its work happens at its begin or at its end, by chance: in between the loop sees other
 * things first, and a crash finds the work done but not told, or not done. A slow disk makes log and sync jobs long. */
#include "base/must.h"
#include "tests/sim/world.h"

#define DRAIN_MAX 200000

static unsigned width(enum lane lane)
{
    return lane == LANE_READ ? 2 : 1;
}

static uint64_t duration_us(struct sim_node *n, enum lane lane)
{
    struct world *w = n->world;
    switch (lane) {
        case LANE_LOG:
            return world_between(w, 100, 1500) * n->slow;
        case LANE_SYNC:
            return world_between(w, 500, 8000) * n->slow;
        case LANE_APPLY:
            return world_between(w, 20, 400);
        case LANE_COPY:
            return world_between(w, 100, 2000) * n->slow;
        default:
            return world_between(w, 20, 200);
    }
}

static void begin_next(struct sim_node *n, enum lane lane);

static void on_ended(struct event *e)
{
    struct sim_node *n = e->node;
    struct sim_lane *lane = &n->lanes[e->a];
    struct job *j = lane->running[e->b];
    if (!lane->worked[e->b]) {
        lane->worked[e->b] = true;
        j->work(j);
        if (crash_fs_is_cut(n->fs)) {
            return; /* the machine stopped inside it */
        }
    }
    lane->running[e->b] = NULL;
    j->done(j);
    node_turn(n);
    begin_next(n, (enum lane)e->a);
}

static void on_begun(struct event *e)
{
    struct sim_node *n = e->node;
    struct sim_lane *lane = &n->lanes[e->a];
    if (e->c != 0) {
        lane->running[e->b]->work(lane->running[e->b]);
        lane->worked[e->b] = true;
    }
    struct event *end = node_event(n, duration_us(n, (enum lane)e->a), on_ended);
    end->a = e->a;
    end->b = e->b;
}

static void begin_next(struct sim_node *n, enum lane which)
{
    struct sim_lane *lane = &n->lanes[which];
    for (unsigned i = 0; i < width(which) && !list_empty(&lane->queue); i++) {
        if (lane->running[i] == NULL) {
            lane->running[i] = container_of(list_pop(&lane->queue), struct job, link);
            lane->worked[i] = false;
            struct event *e = node_event(n, world_between(n->world, 1, 10), on_begun);
            e->a = which;
            e->b = i;
            e->c = random_below(&n->world->random, 2);
        }
    }
}

static void lanes_submit(struct executor *executor, enum lane lane, struct job *j)
{
    struct sim_node *n = container_of(executor, struct sim_node, executor);
    j->lane = lane;
    list_push_back(&n->lanes[lane].queue, &j->link);
    if (!n->dead) {
        begin_next(n, lane);
    }
}

static const struct executor_ops lanes_ops = {lanes_submit};

void lanes_init(struct sim_node *n)
{
    n->executor.ops = &lanes_ops;
    for (int i = 0; i < LANE_COUNT; i++) {
        list_init(&n->lanes[i].queue);
        for (int k = 0; k < SIM_LANE_WIDTH; k++) {
            n->lanes[i].running[k] = NULL;
        }
    }
}

static bool drain_one(struct sim_lane *lane)
{
    struct job *j = NULL;
    bool worked = false;
    for (int k = 0; k < SIM_LANE_WIDTH && j == NULL; k++) {
        j = lane->running[k];
        worked = j != NULL && lane->worked[k];
        lane->running[k] = NULL;
    }
    if (j == NULL && !list_empty(&lane->queue)) {
        j = container_of(list_pop(&lane->queue), struct job, link);
    }
    if (j == NULL) {
        return false;
    }
    if (!worked) {
        j->work(j);
    }
    j->done(j);
    return true;
}

void lanes_drain(struct sim_node *n)
{
    bool any = true;
    for (uint32_t i = 0; any; i++) {
        must(i < DRAIN_MAX);
        any = false;
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            any = drain_one(&n->lanes[lane]) || any;
        }
    }
}
