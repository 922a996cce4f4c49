/* What happened on this node lately, for people: a ring of EVENTS_MAX, in memory, told over the native API (AdminEvents). A start empties it.
 * Each event has a message id of docs/messages.md. What all nodes see alike (a shard's new leader) carries the same key, so that whoever
 * reads the rings of all shows it once.
 *
 * Most are found by looking (events_tick compares with what was there before); what cannot be seen afterwards is noted where it happens. */
#ifndef MQ_NODE_EVENTS_H
#define MQ_NODE_EVENTS_H

#include <stdbool.h>

#include "base/identity.h"
#include "proto/api.pb-c.h"
#include "raft/shard.h"

struct node;
struct request;

#define EVENTS_MAX        1024u
#define EVENTS_ANSWER_MAX 500u
#define EVENT_TEXT_MAX    240u

enum event_severity { EVENT_OK, EVENT_BLUE, EVENT_YELLOW, EVENT_ORANGE, EVENT_RED };

struct event {
    uint64_t sequence; /* from 1, without gaps, in this life of the node */
    uint64_t unix_ms;
    const char *id; /* a literal */
    enum event_severity severity;
    char object[NAME_MAX_BYTES + 1];
    char key[64]; /* empty: this node's own */
    char text[EVENT_TEXT_MAX];
};

struct event_ring { /* zeroed = empty */
    uint64_t next;  /* sequence of the next; 0 = 1 */
    struct event items[EVENTS_MAX];
};

struct event *event_ring_add(struct event_ring *r);
/* The oldest that is still there with a sequence above `after`; NULL = none. */
const struct event *event_ring_after(const struct event_ring *r, uint64_t after);
/* Some above `after` are gone. */
bool event_ring_lost(const struct event_ring *r, uint64_t after);

struct seen_shard {
    node_id leader;
    node_id before; /* the last one that was known */
    uint64_t term, installs_total, checkpoints_told, checkpoint_told_ms;
    enum shard_state state;
};

struct events {
    struct event_ring ring;
    struct seen_shard shards[SHARDS_MAX];
    bool peers_up[NODES_MAX + 1];
    bool no_space;
    uint64_t looked_ms;
};

/* object, key: copied; key may be NULL. */
void events_add(struct events *e, const char *id, enum event_severity severity, const char *object,
                const char *key, const char *format, ...) __attribute__((format(printf, 6, 7)));
void events_tick(struct node *n, uint64_t now_ms);
void events_start(struct request *r, const Mq__AdminEvents *a);

#endif
