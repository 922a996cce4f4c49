/* Events of several nodes, put in order of time; what several nodes saw alike (the same key) stays once, as the earliest saw it. Pure. */
#ifndef MQ_CTL_EVENT_LIST_H
#define MQ_CTL_EVENT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/identity.h"
#include "base/status.h"
#include "proto/api.pb-c.h"

#define EVENT_KEYS_MAX 512u /* remembered while following */

struct event_row {
    uint64_t unix_ms, sequence;
    uint32_t severity;
    char node[NAME_MAX_BYTES + 1], object[NAME_MAX_BYTES + 1];
    char id[48], key[64], text[256];
};

struct event_list { /* zeroed = empty */
    size_t n, room;
    struct event_row *rows; /* owned */
    char keys[EVENT_KEYS_MAX][64];
    unsigned keys_next;
};

void event_list_free(struct event_list *l);
void event_list_clear(struct event_list *l); /* the rows; keys stay, so that none comes twice */
enum status event_list_add(struct event_list *l, const char *node, const Mq__EventView *e);
/* By time, then node, then sequence; without those whose key was there before. */
void event_list_order(struct event_list *l);

#endif
