/* What this node knows of all, as the rules want it (raft/rules/observation.h): from its own view and what the others said. */
#ifndef MQ_NODE_OBSERVE_H
#define MQ_NODE_OBSERVE_H

#include "proto/api.pb-c.h"
#include "raft/rules/observation.h"

struct node;

/* own: this node's view, of now; borrowed for the call. local: no majority was asked. note is borrowed as long as the observation lives. NO_MEMORY. */
enum status observe(struct node *n, const Mq__NodeView *own, bool quorum, bool local,
                    const char *note, struct observation *out_o);
void observe_free(struct observation *o);

#endif
