/* A ring, searched whole. */
#include "node/feed/queue_expired.h"

#include <string.h>

static unsigned place_of(const struct queue_expired *x, const char *id)
{
    unsigned i = 0;
    while (i < QUEUE_EXPIRED_KEPT && strcmp(x->items[i].id, id) != 0) {
        i++;
    }
    return i;
}

void queue_expired_keep(struct queue_expired *x, const struct maillog_event *e)
{
    unsigned i = place_of(x, e->id);
    i = i < QUEUE_EXPIRED_KEPT ? i : x->next++ % QUEUE_EXPIRED_KEPT;
    memcpy(x->items[i].id, e->id, sizeof(x->items[i].id));
    x->items[i].at = e->at;
}

void queue_expired_forget(struct queue_expired *x, const char *id)
{
    unsigned i = place_of(x, id);
    if (i < QUEUE_EXPIRED_KEPT) {
        x->items[i].id[0] = '\0';
    }
}

bool queue_expired_find(const struct queue_expired *x, const char *id, struct maillog_event *out_e)
{
    unsigned i = place_of(x, id);
    if (i == QUEUE_EXPIRED_KEPT) {
        return false;
    }
    *out_e = (struct maillog_event){.kind = MAILLOG_EXPIRED, .at = x->items[i].at};
    memcpy(out_e->id, x->items[i].id, sizeof(out_e->id));
    return true;
}
