/* The founding file: who the cluster is on its first day, and whether this node may found it (I1).
 *
 * A node is a founder only after every founder of the file has greeted it as blank or of that
 * founding, and none of them has ever seen this node founded before; otherwise a blank node waits:
 * two replaced disks must never found an empty cluster. */
#ifndef MQ_NODE_FOUNDING_H
#define MQ_NODE_FOUNDING_H

#include <stdbool.h>

#include "base/error.h"
#include "base/identity.h"
#include "proto/command.pb-c.h"
#include "raft/shard.h"

struct founding_node {
    node_id node;
    char name[NAME_MAX_BYTES + 1];
    char site[NAME_MAX_BYTES + 1];
    enum node_role role;
    char address[160];
};

struct founding {
    struct uuid cluster, id;
    char cluster_name[NAME_MAX_BYTES + 1];
    struct founding_node nodes[NODES_MAX];
    uint32_t nodes_n;
    Mq__Founding *message; /* owned; checked */
    struct block *command; /* encoded mq.Command{founding}; owned */
};

enum status founding_load(const char *file, struct founding *out_f, struct error *e);
/* The same checks for a record that came out of the directory. */
enum status founding_check(const Mq__Founding *m, struct error *e);
void founding_deinit(struct founding *f);
const struct founding_node *founding_find_node(const struct founding *f, node_id node);
const struct founding_node *founding_find_name(const struct founding *f, const char *name);
/* Options of one shard's replica on `node`; NOT_FOUND when it is no member. machine, tick_command
 * and found are left to the caller. */
enum status founding_shard_options(const Mq__Founding *m, const Mq__FoundingShard *shard,
                                   node_id node, struct shard_options *out_o);

/* I1 as a pure rule. greetings[i] is of nodes[i]; the own one is ignored. */
struct founding_greeting {
    bool heard;
    bool blank;
    bool knows_us; /* has seen this node founded before */
};
enum founding_verdict { FOUNDING_WAIT, FOUNDING_FOUND, FOUNDING_REPLACED };
/* text: what it waits for, or why not. */
enum founding_verdict founding_decide(const struct founding *f, node_id self,
                                      const struct founding_greeting *greetings, char *text,
                                      size_t text_size);

#endif
