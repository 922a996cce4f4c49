/* Giving users a shard: the directory commits user -> shard, then the shard is told (`owner`)
 * until it has applied that, then the directory notes it. Each step may be repeated. The
 * directory's leader finishes what a crash left half done: it walks the users, paced, and takes up
 * those whose owner is not noted. */
#ifndef MQ_NODE_ASSIGNER_H
#define MQ_NODE_ASSIGNER_H

#include "node/service.h"

struct assigner;

enum status assigner_new(struct service *s, struct assigner **out_a);
void assigner_free(struct assigner *a);
void assigner_tick(struct assigner *a, uint64_t now_ms);
/* This node leads the directory now. */
void assigner_resume(struct assigner *a);

#endif
