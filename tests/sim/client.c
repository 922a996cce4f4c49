/* Workload, and the ledger it is held to.
 *
 * A client has a session in one shard and does one command after the other: it increments counters and writes keys of its own. An
 * answer that stays out, or says unknown, is followed by the same session and sequence on another node until it is known; sometimes
 * it does not wait and sends twice. What every attempt refused may be given up: then it must never appear. Readers ask any node
 * for counters: a value is never older than what was acknowledged, or read, before the question. */
#include "tests/sim/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/api.pb-c.h"

#define THINK_US     15000
#define ATTEMPTS_MAX 3

/* ---- commands ----------------------------------------------------------------------------------------- */

static struct client *ledger_setup(struct world *w, uint32_t shard)
{
    return &w->clients[shard];
}

static void next_command(struct client *c)
{
    struct world *w = c->world;
    struct op *op = &c->op;
    memset(op, 0, sizeof(*op));
    op->serial = ++c->serial;
    op->with_session = true;
    if (!c->has_session) {
        op->kind = KIND_SESSION;
        op->with_session = false;
    } else if (c->setup_step < c->setup_steps) {
        op->kind = c->setup_step == 0 ? KIND_FOUND : KIND_COUNTER;
        op->counter = c->setup_step - 1;
    } else if (c->shard != SHARD_DIRECTORY && random_below(&w->random, 2) == 0) {
        op->kind = KIND_INCREMENT;
        op->counter = (uint32_t)random_below(&w->random, SIM_COUNTERS);
        w->ledger->counters[c->shard][op->counter].issued++;
    } else {
        op->kind = KIND_UNIQUE;
        op->unique = ledger_add(w->ledger, c->shard);
    }
    op->sequence = op->with_session ? ++c->sequence : 0;
    op->command = command_new(c, op);
    op->active = true;
    op->begun_us = w->now_us;
}

/* ---- attempts ----------------------------------------------------------------------------------------- */

struct attempt {
    struct shard_submit r;
    struct list link; /* its node's */
    struct client *client;
    struct sim_node *node;
    uint64_t serial;
    bool ended; /* its node crashed: the client knows */
};

static void on_client(struct event *e);

static void plan(struct client *c, uint64_t delay_us)
{
    struct event *e = world_event(c->world, delay_us, on_client);
    e->p = c;
    e->a = ++c->plan; /* the last plan counts */
}

static void op_end(struct client *c)
{
    block_unref(c->op.command);
    c->op.command = NULL;
    c->op.active = false;
    plan(c, world_between(c->world, 100, THINK_US));
}

static void op_applied(struct client *c, const struct shard_submit *r)
{
    struct world *w = c->world;
    struct op *op = &c->op;
    Mq__Result *result =
        r->result != NULL ? mq__result__unpack(NULL, r->result->size, r->result->data) : NULL;
    w->stats.acked++;
    switch (op->kind) {
        case KIND_SESSION:
            if (result != NULL && result->body_case == MQ__RESULT__BODY_SESSION) {
                c->session = (struct token){result->session->session->epoch,
                                            result->session->session->position};
                c->has_session = true;
                c->sequence = 0;
            } else {
                world_violation(w, "a session was opened without an id");
            }
            break;
        case KIND_FOUND:
        case KIND_COUNTER:
            c->setup_step++;
            break;
        case KIND_INCREMENT: {
            bool value = result != NULL && result->body_case == MQ__RESULT__BODY_DICT &&
                         result->dict->n_values == 1;
            ledger_counted(w, c->shard, op->counter, value ? result->dict->values[0] : -1);
            break;
        }
        case KIND_UNIQUE:
            w->ledger->uniques[op->unique].state = UNIQUE_APPLIED;
            break;
    }
    if (result != NULL) {
        mq__result__free_unpacked(result, NULL);
    }
    op_end(c);
}

/* The session ended (only a leap of the clocks does that here): what may have been applied stays unknown. */
static void op_session_lost(struct client *c, enum status status)
{
    struct world *w = c->world;
    struct op *op = &c->op;
    w->stats.session_lost++;
    if (!w->faults[FAULT_CLOCK]) {
        world_violation(w, "client %u lost its session: %s", c->id, status_name(status));
    }
    if (op->kind == KIND_INCREMENT) {
        w->ledger->counters[c->shard][op->counter].unsure++;
    } else if (op->kind == KIND_UNIQUE) {
        w->ledger->uniques[op->unique].state = UNIQUE_UNSURE;
    }
    c->has_session = false;
    op_end(c);
}

static void op_outcome(struct client *c, const struct shard_submit *r)
{
    struct world *w = c->world;
    struct op *op = &c->op;
    if (r->outcome == SUBMIT_APPLIED) {
        check_acked(w, c->shard, r->index, r->term);
    }
    op->attempts--;
    switch (r->outcome) {
        case SUBMIT_APPLIED:
            if (r->status == OK) {
                op_applied(c, r);
            } else if (r->status == STATUS_NO_SESSION || r->status == STATUS_OLD) {
                op_session_lost(c, r->status);
            } else {
                world_violation(w, "client %u: command %d was refused by the state: %s", c->id,
                                (int)op->kind, status_name(r->status));
            }
            return;
        case SUBMIT_REFUSED:
            w->stats.refused++;
            if (w->healing) {
                world_note(w, "sim: client %u shard %u refused: %s", c->id, c->shard,
                           status_name(r->status));
            }
            break;
        case SUBMIT_UNKNOWN:
            w->stats.unknown++;
            op->maybe = true;
            break;
    }
    if (op->attempts == 0 && !op->maybe && op->kind == KIND_UNIQUE &&
        random_below(&w->random, 3) == 0) {
        w->ledger->uniques[op->unique].state = UNIQUE_REFUSED;
        op_end(c);
        return;
    }
    plan(c, world_between(w, 500, 60000));
}

static void on_done(struct shard_submit *r)
{
    struct attempt *a = container_of(r, struct attempt, r);
    struct client *c = a->client;
    if (!a->ended) {
        list_remove(&a->link);
        if (a->serial == c->op.serial && c->op.active) {
            op_outcome(c, r);
        } else if (r->outcome == SUBMIT_APPLIED) {
            check_acked(c->world, c->shard, r->index, r->term);
        }
    }
    block_unref(r->result);
    free(a);
}

static void on_crash_noticed(struct event *e)
{
    struct client *c = e->p;
    struct shard_submit r = {.outcome = SUBMIT_UNKNOWN, .status = STATUS_UNREACHABLE};
    if (e->a == c->op.serial && c->op.active) {
        op_outcome(c, &r);
    }
}

void clients_node_crashed(struct sim_node *n)
{
    list_each_safe(l, &n->attempts)
    {
        struct attempt *a = container_of(l, struct attempt, link);
        list_remove(l);
        a->ended = true;
        struct event *e =
            world_event(n->world, world_between(n->world, 200, 100000), on_crash_noticed);
        e->p = a->client;
        e->a = a->serial;
    }
}

static struct sim_node *choose_node(struct client *c)
{
    struct world *w = c->world;
    struct sim_node *n = &w->nodes[random_below(&w->random, w->nodes_n)];
    if (!n->up || random_below(&w->random, 5) == 0) {
        return n;
    }
    struct shard_view v;
    shard_get_view(host_find_shard(n->host, c->shard), clock_monotonic_ms(&n->clock), &v);
    return v.leader_node != 0 ? &w->nodes[v.leader_node - 1] : n;
}

static void try_once(struct client *c)
{
    struct world *w = c->world;
    struct op *op = &c->op;
    struct sim_node *n = choose_node(c);
    if (!n->up || n->stopping) {
        plan(c, world_between(w, 1000, 100000));
        return;
    }
    struct attempt *a = calloc(1, sizeof(*a));
    must(a != NULL);
    a->client = c;
    a->node = n;
    a->serial = op->serial;
    a->r.command = (struct bytes){op->command->data, op->command->size};
    if (op->with_session) {
        a->r.session = c->session;
        a->r.sequence = op->sequence;
    }
    a->r.deadline_ms = clock_monotonic_ms(&n->clock) + world_between(w, 100, 3000);
    a->r.done = on_done;
    list_push_back(&n->attempts, &a->link);
    op->attempts++;
    shard_submit(host_find_shard(n->host, c->shard), &a->r);
    node_turn(n);
    /* An impatient one sends again before it has heard. */
    if (op->attempts < ATTEMPTS_MAX && op->with_session && random_below(&w->random, 10) == 0) {
        plan(c, world_between(w, 1000, 300000));
    }
}

static void on_client(struct event *e)
{
    struct client *c = e->p;
    struct world *w = c->world;
    if (e->a != c->plan) {
        return;
    }
    if (c->op.active) {
        if (c->op.attempts < ATTEMPTS_MAX) {
            try_once(c);
        }
        return;
    }
    if (w->healing) {
        return;
    }
    if (c->id >= w->shards_n &&
        ledger_setup(w, c->shard)->setup_step < ledger_setup(w, c->shard)->setup_steps) {
        plan(c, world_between(w, 10000, 100000)); /* the counters are not there yet */
        return;
    }
    next_command(c);
    try_once(c);
}

/* ---- life --------------------------------------------------------------------------------------------- */

void clients_init(struct world *w)
{
    w->ledger = calloc(1, sizeof(*w->ledger));
    w->clients = calloc(SIM_CLIENTS, sizeof(*w->clients));
    must(w->ledger != NULL);
    must(w->clients != NULL);
    for (uint32_t i = 0; i < SIM_CLIENTS; i++) {
        struct client *c = &w->clients[i];
        c->world = w;
        c->id = i;
        c->shard = i % w->shards_n;
        if (i < w->shards_n) { /* the first of a shard prepares it */
            c->setup_steps = c->shard == SHARD_DIRECTORY ? 1 : 1 + SIM_COUNTERS;
        }
        plan(c, world_between(w, 100000, 600000));
    }
    readers_init(w);
}

void clients_deinit(struct world *w)
{
    for (uint32_t i = 0; i < SIM_CLIENTS; i++) {
        block_unref(w->clients[i].op.command);
    }
    ledger_deinit(w->ledger);
    free(w->ledger);
    free(w->clients);
}

bool clients_quiet(struct world *w)
{
    for (uint32_t i = 0; i < SIM_CLIENTS; i++) {
        if (w->clients[i].op.active) {
            return false;
        }
    }
    return true;
}

void clients_stop(struct world *w)
{
    w->ledger->closed = true;
}
