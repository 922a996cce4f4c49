/* greeting heard -> decide -> save identity (a job) -> saved -> shards_start. The save is the
 * commit point: a crash before it founds again by the same rule. */
#include "node/founder.h"

#include <string.h>

#include "base/log_line.h"
#include "node/greeting.h"
#include "node/node.h"

static void on_saved(void *arg, enum status s)
{
    struct node *n = arg;
    struct founder *f = &n->founder;
    if (s != OK) {
        node_fail(n, s, "MQ-DATA-IO", "cannot write the identity of this node");
        return;
    }
    if (f->decided && !f->started) {
        f->started = true;
        log_info("event=founding.founded cluster=%s node=%s", n->founding.cluster_name,
                 n->self->name);
        shards_start(&n->shards);
    }
}

void founder_init(struct founder *f, struct node *n)
{
    memset(f, 0, sizeof(*f));
    f->node = n;
    n->data.saved = on_saved;
    n->data.saved_arg = n;
}

static void decide(struct founder *f)
{
    struct node *n = f->node;
    char text[256];
    if (f->decided) {
        return;
    }
    enum founding_verdict v =
        founding_decide(&n->founding, n->self->node, f->greetings, text, sizeof(text));
    bool changed = strcmp(text, f->text) != 0;
    memcpy(f->text, text, sizeof(f->text));
    if (v == FOUNDING_FOUND) {
        f->decided = true;
        n->data.founded = true;
        data_directory_save(&n->data, executor_threads_executor(n->loop.threads));
    } else if (changed && v == FOUNDING_REPLACED) {
        log_warn("event=founding.refused message=MQ-FOUND-REPLACED node=%s text=\"%s\"",
                 n->self->name, text);
    } else if (changed) {
        log_info("event=founding.waiting node=%s text=\"%s\"", n->self->name, text);
    }
}

void founder_start(struct founder *f)
{
    if (f->node->data.founded) {
        f->decided = f->started = true;
        shards_start(&f->node->shards);
    } else {
        decide(f);
    }
}

void founder_heard(struct founder *f, const struct greeting *g)
{
    struct node *n = f->node;
    for (uint32_t i = 0; i < n->founding.nodes_n; i++) {
        if (n->founding.nodes[i].node == g->node) {
            f->greetings[i] = (struct founding_greeting){
                .heard = true, .blank = g->blank, .knows_us = g->acquainted};
        }
    }
    if (!g->blank) {
        founder_saw_founded(f, g->node);
    }
    decide(f);
}

void founder_saw_founded(struct founder *f, node_id node)
{
    struct node *n = f->node;
    if (node <= NODES_MAX && !n->data.acquainted[node] && !n->stopping) {
        n->data.acquainted[node] = true;
        data_directory_save(&n->data, executor_threads_executor(n->loop.threads));
    }
}

void founder_tick(struct founder *f, uint64_t now_ms)
{
    if (!f->decided && now_ms - f->reported_ms > 30000) {
        if (f->reported_ms != 0) {
            log_info("event=founding.waiting node=%s text=\"%s\"", f->node->self->name, f->text);
        }
        f->reported_ms = now_ms;
    }
}
