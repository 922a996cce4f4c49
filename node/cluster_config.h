/* Settings of the whole cluster on this node: read from its own replica of the directory whenever that has applied something, and put into
 * force at once, instead of what the file says. One that this version does not know, or that is out of its bounds, is left out and named.
 *
 *   shards_applied (directory) -> look -> a query of the replica on a read thread -> take -> node->config, host_tune */
#ifndef MQ_NODE_CLUSTER_CONFIG_H
#define MQ_NODE_CLUSTER_CONFIG_H

#include "base/buffer.h"
#include "base/executor.h"
#include "node/config.h"
#include "proto/api.pb-c.h"

struct node;
struct request;

struct cluster_config {
    struct config file;     /* as the file has it */
    Mq__Settings *settings; /* in force; owned; NULL = none was read yet */
    struct job job;
    struct buffer result;
    enum status query_status;
    bool dirty, querying;
    uint64_t looked_ms;
    char problem[200]; /* of one that could not be taken; empty = none */
};

/* Borrows nothing: the configuration is copied. */
void cluster_config_init(struct cluster_config *c, const struct config *file);
void cluster_config_deinit(struct cluster_config *c);
/* The directory has applied something. */
void cluster_config_applied(struct cluster_config *c);
void cluster_config_tick(struct node *n, uint64_t now_ms);
/* AdminConfig, AdminConfigSet. */
void config_view_start(struct request *r);
void config_set_start(struct request *r, const Mq__AdminConfigSet *a);

#endif
