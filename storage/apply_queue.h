/* One queue while a command or a tick works on it; shared by apply_queue.c, apply_queue_item.c and apply_tick.c only.
 *
 *     queue_begin() -> queue_item_load() -> change q->item -> queue_item_put() or queue_item_close() ... -> queue_end()
 *
 * One item at a time is at hand; its texts are borrowed from a copy of the old row and from the command, until the next load.
 * Counters of the queue follow each put. */
#ifndef MQ_STORAGE_APPLY_QUEUE_H
#define MQ_STORAGE_APPLY_QUEUE_H

#include "storage/apply.h"
#include "storage/record_queue.h"

#define QUEUE_ITEMS_MAX   300u
#define QUEUE_MISSING_MAX 500u
#define QUEUE_EVENTS_MAX  500u
#define QUEUE_CLOSE_ROWS \
    6u /* what closing one item touches at most: item, place, the oldest one's two, expiry */
#define QUEUE_CLOCK_S \
    2u /* by how much two times of a host may be mistaken: seconds of logs are cut */

struct queue {
    struct apply *a;
    uint32_t owner;
    uint32_t store;
    struct key key;
    struct queue_row row;
    bool known; /* the queue has a row */
    /* the item at hand */
    struct key item_key;
    struct item_row item;
    bool stored;            /* it has a row */
    struct item_row before; /* as it was: only what counts */
    uint8_t position[QUEUE_POSITION_BYTES_MAX];
    uint8_t site[SITE_BYTES_MAX];
    uint8_t old[ITEM_ROW_BYTES_MAX];
    uint8_t out[ITEM_ROW_BYTES_MAX];
};

/* Checks names, owner and lease. The queue lives in the arena. */
enum status queue_begin(struct apply *a, const char *user, const char *instance,
                        const Mq__Token *lease, struct queue **out_q);
void queue_end(struct queue *q);

/* false: there is none; the item at hand is then a new one, zeroed. */
bool queue_item_load(struct queue *q, struct bytes id, uint64_t arrival);
/* The newest one of this id that had arrived at `at` (0: the newest). */
bool queue_item_newest(struct queue *q, struct bytes id, uint64_t at);
void queue_item_put(struct queue *q);
/* certain: the log says so, at `at`; else sweeps have missed it. */
void queue_item_close(struct queue *q, uint64_t at, bool certain);
/* It lives after all. Put it afterwards. */
void queue_item_reopen(struct queue *q);
/* 1..max letters and digits. */
bool queue_id_ok(struct bytes id);

/* Closed items of this queue that are old enough go, all of it if it is forgotten; returns the rows touched. */
uint32_t queue_expire(struct apply *a, struct bytes what, uint32_t left);

#endif
