/* The open items of one queue as the cluster has them, those that sweeps have closed and the log has not explained yet, and those that
 * the log has ended and sweeps have not missed yet: what a sweep finds is compared with it, so that only what differs is reported. Pure.
 *
 * An item is named by queue id and arrival. 64 bytes an item, up to three times that while the table is sparse; at most
 * QUEUE_TABLE_MAX items. Pointers hold until the next put. */
#ifndef MQ_NODE_FEED_QUEUE_TABLE_H
#define MQ_NODE_FEED_QUEUE_TABLE_H

#include "base/status.h"
#include "node/feed/postqueue.h"

#define QUEUE_TABLE_MAX 1000000u

struct queue_entry {
    uint64_t content; /* hash of what is reported of it */
    uint64_t arrival;
    uint32_t seen;   /* number of the sweep that listed it last */
    uint8_t missing; /* complete sweeps running that did not list it */
    bool gone;       /* closed by sweeps: the log may still say how */
    bool ended;      /* the log has said how; if the cluster did not take that, sweeps close it */
    uint8_t state;   /* of the slot; the table's own */
    char id[POSTQUEUE_ID_MAX + 1];
};

struct queue_table {
    struct queue_entry *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t used;     /* entries */
    uint32_t taken;    /* entries and what was removed between them */
};

void queue_table_init(struct queue_table *t);
void queue_table_deinit(struct queue_table *t);
/* Empty, with no memory held. */
void queue_table_clear(struct queue_table *t);
struct queue_entry *queue_table_find(struct queue_table *t, const char *id, uint64_t arrival);
/* Is there one of this id that has not ended, whatever its arrival? */
bool queue_table_has(const struct queue_table *t, const char *id);
/* Found, or a new one (content 0). FULL, NO_MEMORY. */
enum status queue_table_put(struct queue_table *t, const char *id, uint64_t arrival,
                            struct queue_entry **out_e);
void queue_table_remove(struct queue_table *t, struct queue_entry *e);
/* The log has ended all of this id: those that are gone are removed, and counted; the others stay as ended. */
uint32_t queue_table_end_id(struct queue_table *t, const char *id);
/* The entry at *at or behind it, *at moved behind that; NULL at the end. Begin with 0. Removing the entry is allowed. */
struct queue_entry *queue_table_next(struct queue_table *t, uint32_t *at);

/* What a sweep says of an item, in a number. Does not depend on the order of the recipients. */
struct queue_content {
    uint64_t hash;
};
void queue_content_begin(struct queue_content *c, int state, uint64_t size, const char *sender,
                         bool forced_expire, uint32_t omitted);
void queue_content_recipient(struct queue_content *c, const char *address, const char *orig_address,
                             const char *reply);
uint64_t queue_content_of(const struct postqueue_item *item);

#endif
