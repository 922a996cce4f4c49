/* The events of all nodes as they come: where each node's ring was read up to, and what is new since. */
#ifndef MQ_CTL_EVENT_FEED_H
#define MQ_CTL_EVENT_FEED_H

#include "ctl/event_list.h"
#include "ctl/fleet.h"

struct event_position { /* in the ring of one node */
    uint64_t incarnation, after;
};

struct event_feed { /* zeroed before open */
    struct ctl *c;
    struct fleet *fleet;
    struct event_position positions[FLEET_MAX];
    struct event_list list; /* what the last fetch brought, in order */
    uint64_t since_ms;      /* Unix time; 0 = all that is kept */
    bool lost;              /* some were gone before they were read */
};

enum status event_feed_open(struct event_feed *f, struct ctl *c, uint64_t since_ms,
                            enum exit_code *out_code);
void event_feed_close(struct event_feed *f);
/* Asks every node; those that do not answer say why in fleet->nodes[].why. */
void event_feed_fetch(struct event_feed *f);
enum severity event_row_severity(const struct event_row *row);
/* "2026-11-24 14:00:05.250Z YELLOW bj1 MQ-EVENT-PEER-LOST: text" */
const char *event_row_format(const struct event_row *row, char *text, size_t size);
json_t *event_row_json(const struct event_row *row);

#endif
