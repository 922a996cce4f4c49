/* One running mailquorumd: everything it is made of, embedded. node.c builds it up, wires raft/'s
 * host to the links, runs it and takes it down. Nouns find each other through here. */
#ifndef MQ_NODE_NODE_H
#define MQ_NODE_NODE_H

#include "base/version.h"
#include "node/cluster_config.h"
#include "node/config.h"
#include "node/data_directory.h"
#include "node/descriptors.h"
#include "node/feed_table.h"
#include "node/events.h"
#include "node/founder.h"
#include "node/founding.h"
#include "node/holdings.h"
#include "node/link.h"
#include "node/listener.h"
#include "node/loop.h"
#include "node/operations.h"
#include "node/service.h"
#include "node/shards.h"
#include "node/view.h"
#include "raft/host.h"

#define NODE_VERSION MAILQUORUM_VERSION
#define TLS_OLD_MAX  16

struct node {
    struct loop loop;
    struct config config;
    struct founding founding;
    const struct founding_node *self;
    struct tls_context *tls;
    struct tls_context
        *tls_old[TLS_OLD_MAX]; /* before reloads, as long as a connection uses them */
    struct random random;
    struct data_directory data;
    struct host *host;
    struct founder founder;
    struct links links;
    struct descriptors_share descriptors;
    struct listener listener;
    struct views views;
    struct feed_table feeds;
    struct holdings holdings;
    struct shards shards;
    struct service service;
    struct events events;
    struct cluster_config cluster_config;
    struct operations operations;
    bool leader_changed[SHARDS_MAX]; /* to be acted upon at the end of this turn */
    bool stopping;                   /* leaderships are being handed over, requests are served on */
    bool draining; /* handed over: no new requests, those that wait are answered */
    uint64_t drain_until_ms;
    bool failed, data_open, loop_open, listener_open;
    uint64_t notified_ms, watchdog_ms, watchdog_sent_ms;
    int exit_code;
};

/* Everything up to listening; refusals say message id and what to do. */
enum status node_open(struct node *n, const struct config *c, struct error *e,
                      const char **out_message_id);
/* Until a signal or a failure; the exit code. */
int node_run(struct node *n);
void node_close(struct node *n);
/* Ends the process after this turn, with a message id (docs/messages.md). */
void node_fail(struct node *n, enum status s, const char *message_id, const char *text);
uint64_t node_now_ms(const struct node *n);

#endif
