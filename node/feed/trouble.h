/* What a feed has to complain of now, for an administrator who reads `clusterctl status`: a bounded list. Pure.
 *
 * Happy path: whoever meets a trouble raises it, each time it meets it again; whoever sees it gone clears it, by (id, object). A trouble keeps
 * the time when it was first raised; text and hint are those of the last time.
 * Full: a new trouble is not taken and `more` is set until one is cleared; as troubles are raised again while they last, it gets in then. */
#ifndef MQ_NODE_FEED_TROUBLE_H
#define MQ_NODE_FEED_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#define TROUBLES_MAX        16u
#define TROUBLE_ID_SIZE     48u
#define TROUBLE_OBJECT_SIZE 256u /* longer ones are cut; two that differ behind the cut are one */
#define TROUBLE_TEXT_SIZE   320u
#define TROUBLE_HINT_SIZE   200u

struct trouble {
    char id[TROUBLE_ID_SIZE];         /* stable, docs/messages.md */
    char object[TROUBLE_OBJECT_SIZE]; /* a user, a mailbox, a Postfix instance; may be empty */
    char text[TROUBLE_TEXT_SIZE];     /* what is wrong, one sentence */
    char hint[TROUBLE_HINT_SIZE];     /* what to do */
    uint64_t since_ms;                /* Unix time */
};

struct troubles {
    struct trouble items[TROUBLES_MAX]; /* in the order in which they were raised */
    uint32_t n;
    bool more;        /* there are others, for which was no room */
    uint64_t version; /* +1 when one comes or goes */
};

/* Zeroed memory is an empty list. now_ms: Unix time. */
void trouble_raise(struct troubles *t, const char *id, const char *object, uint64_t now_ms,
                   const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* false: there is no such trouble. */
bool trouble_clear(struct troubles *t, const char *id, const char *object);
/* All of one object, whatever their ids. */
void trouble_clear_object(struct troubles *t, const char *object);
/* NULL: not there. */
const struct trouble *trouble_find(const struct troubles *t, const char *id, const char *object);

#endif
