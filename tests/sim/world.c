/* Virtual time: a heap of events, one after the other, and a hash over all of them.
 *
 * A run has two phases. Chaos: anything may go wrong. Healing: nothing new goes wrong, every node is started, and within a stated
 * virtual time all must be answered, applied and equal; then the ledger is compared with what the replicas hold. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/must.h"
#include "proto/command.pb-c.h"
#include "tests/sim/interpose.h"

#define HEAL_MS      120000
#define NOTES        400
#define WALL_BASE_MS 1800000000000ull

struct world *world_now;

static char notes[NOTES][SIM_TEXT_MAX];
static uint64_t notes_n;

/* ---- words -------------------------------------------------------------------------------------------- */

static void note(const struct world *w, const char *text)
{
    snprintf(notes[notes_n++ % NOTES], SIM_TEXT_MAX, "%10.3f n%u %s", (double)w->now_us / 1000.0,
             w->current != NULL ? w->current->id : 0, text);
    if (w->o.verbose) {
        printf("%s\n", notes[(notes_n - 1) % NOTES]);
    }
}

void world_note(struct world *w, const char *format, ...)
{
    char text[SIM_TEXT_MAX - 40];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    note(w, text);
}

static void on_log_line(void *arg, enum log_level level, const char *line)
{
    struct world *w = arg;
    (void)level;
    char text[SIM_TEXT_MAX - 40];
    snprintf(text, sizeof(text), "%s", line);
    note(w, text);
}

void world_violation(struct world *w, const char *format, ...)
{
    char text[SIM_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (w->stats.violations++ == 0 && w->o.plant == NULL && !w->o.verbose) {
        uint64_t from = notes_n > 60 ? notes_n - 60 : 0;
        for (uint64_t i = from; i < notes_n; i++) {
            printf("    %s\n", notes[i % NOTES]);
        }
    }
    printf("VIOLATION seed %llu nodes %u at %.3f ms node %u: %s\n", (unsigned long long)w->o.seed,
           w->o.nodes, (double)w->now_us / 1000.0, w->current != NULL ? w->current->id : 0, text);
    fflush(stdout);
    w->stop = true;
}

/* ---- chance ------------------------------------------------------------------------------------------- */

bool world_chance(struct world *w, uint32_t per_million)
{
    return random_below(&w->random, 1000000) < per_million;
}

uint64_t world_between(struct world *w, uint64_t from, uint64_t to)
{
    return from + random_below(&w->random, to - from + 1);
}

uint64_t world_now_ms(const struct world *w)
{
    return w->now_us / 1000;
}

void world_trace(struct world *w, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t row[4] = {w->now_us, a, b, c};
    XXH3_64bits_update(w->trace, row, sizeof(row));
}

/* ---- events ------------------------------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_push(struct world *w, struct event *e)
{
    if (w->heap_n == w->heap_capacity) {
        w->heap_capacity = w->heap_capacity == 0 ? 1024 : w->heap_capacity * 2;
        w->heap = realloc(w->heap, w->heap_capacity * sizeof(struct event *));
        must(w->heap != NULL);
    }
    uint32_t i = w->heap_n++;
    while (i > 0 && before(e, w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = e;
}

static struct event *heap_pop(struct world *w)
{
    if (w->heap_n == 0) {
        return NULL;
    }
    struct event *first = w->heap[0];
    struct event *last = w->heap[--w->heap_n];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= w->heap_n) {
            break;
        }
        if (child + 1 < w->heap_n && before(w->heap[child + 1], w->heap[child])) {
            child++;
        }
        if (!before(w->heap[child], last)) {
            break;
        }
        w->heap[i] = w->heap[child];
        i = child;
    }
    if (w->heap_n > 0) {
        w->heap[i] = last;
    }
    return first;
}

struct event *world_event(struct world *w, uint64_t delay_us, void (*run)(struct event *e))
{
    struct event *e = calloc(1, sizeof(*e));
    must(e != NULL);
    e->at_us = w->now_us + delay_us;
    e->order = w->next_order++;
    e->run = run;
    e->world = w;
    heap_push(w, e);
    return e;
}

struct event *node_event(struct sim_node *n, uint64_t delay_us, void (*run)(struct event *e))
{
    struct event *e = world_event(n->world, delay_us, run);
    e->node = n;
    e->life = n->life;
    return e;
}

static void event_free(struct event *e)
{
    block_unref(e->frame);
    free(e);
}

/* One event; false when there is none before `until_us`. */
static bool step(struct world *w, uint64_t until_us)
{
    if (w->heap_n == 0 || w->heap[0]->at_us > until_us) {
        return false;
    }
    struct event *e = heap_pop(w);
    struct sim_node *n = e->node;
    w->now_us = e->at_us;
    if (n != NULL && e->life != 0 && e->life != n->life) {
        event_free(e);
        return true;
    }
    if (n != NULL && n->paused_until_us > w->now_us) {
        e->at_us = n->paused_until_us;
        e->order = w->next_order++;
        heap_push(w, e);
        return true;
    }
    w->stats.events++;
    world_trace(w, e->order, n != NULL ? n->id : 0, n != NULL ? n->life : 0);
    w->current = n;
    e->run(e);
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        w->current = &w->nodes[i];
        node_after_event(w->current);
    }
    w->current = NULL;
    event_free(e);
    return true;
}

/* ---- the run ------------------------------------------------------------------------------------------ */

static void make_shards(struct world *w)
{
    static const char *const sites5[] = {"beijing", "beijing", "shanghai", "shanghai", "witness"};
    static const char *const sites3[] = {"beijing", "shanghai", "singapore"};
    must(w->nodes_n <= SIM_NODES_MAX);
    w->shards_n = w->nodes_n == 3 ? 2 : 3;
    for (uint32_t i = 0; i < w->shards_n; i++) {
        struct sim_shard_info *info = &w->shards[i];
        info->id = i;
        snprintf(info->name, sizeof(info->name), "%s%u", i == 0 ? "directory" : "mail", i);
        snprintf(info->user, sizeof(info->user), "user%u", i);
        info->epoch = (struct epoch){1, random_u64(&w->random), 0};
        info->members_n = w->nodes_n;
        for (uint32_t m = 0; m < w->nodes_n; m++) {
            struct shard_member *member = &info->members[m];
            member->replica = random_u64(&w->random) | 1;
            member->node = m + 1;
            member->role = w->nodes_n == 5 && m == 4 ? ROLE_WITNESS : ROLE_DATA;
            snprintf(member->site, sizeof(member->site), "%s",
                     w->nodes_n == 5 ? sites5[m] : sites3[m]);
            member->rank = w->nodes_n == 5 ? (m == 4 ? 2 : (m / 2 + i) % 2) : (m + i) % 3;
        }
    }
}

static void make_tick_command(struct world *w)
{
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__Tick tick = MQ__TICK__INIT;
    command.body_case = MQ__COMMAND__BODY_TICK;
    command.tick = &tick;
    w->tick_command = block_new(mq__command__get_packed_size(&command));
    must(w->tick_command != NULL);
    mq__command__pack(&command, w->tick_command->data);
}

static void world_init(struct world *w, const struct world_options *o)
{
    memset(w, 0, sizeof(*w));
    w->o = *o;
    w->nodes_n = o->nodes;
    w->trace = XXH3_createState();
    must(w->trace != NULL);
    XXH3_64bits_reset(w->trace);
    random_init_seed(&w->random, o->seed);
    list_init(&w->copies);
    notes_n = 0;
    world_now = w;
    log_line_set_sink(on_log_line, w);
    snprintf(w->root, sizeof(w->root), "%s/mq-sim-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
    random_fill(&w->random, &w->cluster, sizeof(w->cluster));
    make_shards(w);
    make_tick_command(w);
    check_init(w);
    network_init(w);
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        node_init(w, i);
    }
    clients_init(w);
    faults_init(w);
    beliefs_init(w);
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        node_restart_in(&w->nodes[i], world_between(w, 0, 50000));
    }
}

static void world_deinit(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        node_deinit(&w->nodes[i]);
    }
    for (struct event *e = heap_pop(w); e != NULL; e = heap_pop(w)) {
        event_free(e);
    }
    clients_deinit(w);
    network_deinit(w);
    check_deinit(w);
    block_unref(w->tick_command);
    free(w->heap);
    XXH3_freeState(w->trace);
    log_line_set_sink(NULL, NULL);
    world_now = NULL;
}

static void chaos(struct world *w)
{
    uint64_t end_us = (uint64_t)w->o.chaos_ms * 1000;
    while (!w->stop && step(w, end_us)) {
    }
    w->now_us = end_us > w->now_us ? end_us : w->now_us;
}

static void heal(struct world *w)
{
    char why[SIM_TEXT_MAX] = "";
    w->healing = true;
    world_note(w, "sim: healing");
    faults_heal(w);
    uint64_t end_us = w->now_us + HEAL_MS * 1000ull, look_us = w->now_us;
    bool quiet = false;
    while (!w->stop && step(w, end_us)) {
        if (w->now_us < look_us) {
            continue;
        }
        look_us = w->now_us + 20000;
        if (!quiet && clients_quiet(w)) {
            quiet = true;
            clients_stop(w);
        }
        if (quiet && check_converged(w, why, sizeof(why))) {
            return;
        }
    }
    if (!w->stop) {
        check_describe(w);
        world_violation(w, "not converged %u s after everything healed: %s", HEAL_MS / 1000,
                        quiet ? why : "clients wait for answers");
    }
}

static void add_up(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        w->stats.sectors_lost += crash_fs_sectors_lost(w->nodes[i].fs);
        node_add_up(&w->nodes[i]);
    }
    w->stats.virtual_ms = world_now_ms(w);
    w->stats.worlds = 1;
}

void world_run(const struct world_options *o, struct world_stats *out_stats, uint64_t *out_trace)
{
    struct world *w = calloc(1, sizeof(*w));
    must(w != NULL);
    world_init(w, o);
    chaos(w);
    if (!w->stop) {
        heal(w);
    }
    if (!w->stop) {
        check_final_digests(w);
        clients_verify(w);
    }
    add_up(w);
    *out_stats = w->stats;
    *out_trace = XXH3_64bits_digest(w->trace);
    world_deinit(w);
    free(w);
}

/* ---- what the product may ask the system -------------------------------------------------------------- */

bool interpose_clock(int clock, struct timespec *out_time)
{
    struct world *w = world_now;
    if (w == NULL) {
        return false;
    }
    uint64_t us = w->now_us + 1000000;
    if (clock == CLOCK_REALTIME) {
        us += WALL_BASE_MS * 1000;
    }
    out_time->tv_sec = (time_t)(us / 1000000);
    out_time->tv_nsec = (long)(us % 1000000) * 1000;
    return true;
}

bool interpose_random(void *data, size_t size)
{
    if (world_now == NULL) {
        return false;
    }
    random_fill(&world_now->random, data, size);
    return true;
}
