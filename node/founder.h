/* Founding, once (I1): collects the greetings of all founders, decides by founding_decide(), makes
 * "founded" durable, then lets the shards start. A node that is founded already starts them at
 * once. Also remembers, durably, whom it has seen founded. */
#ifndef MQ_NODE_FOUNDER_H
#define MQ_NODE_FOUNDER_H

#include "node/founding.h"

struct node;
struct greeting;

struct founder {
    struct node *node;
    struct founding_greeting greetings[NODES_MAX]; /* as founding.nodes */
    bool decided;                                  /* founded is on its way to the disk, or there */
    bool started;                                  /* the shards run */
    char text[256];
    uint64_t reported_ms;
};

void founder_init(struct founder *f, struct node *n);
/* Starts the shards of a founded node; a blank one begins to wait. */
void founder_start(struct founder *f);
void founder_heard(struct founder *f, const struct greeting *g);
/* By its greeting, or because it runs shards. */
void founder_saw_founded(struct founder *f, node_id node);
void founder_tick(struct founder *f, uint64_t now_ms);

#endif
