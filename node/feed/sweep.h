/* One look at every mailbox of every user: finds what no hint told. A handle; one sweep at a time.
 *
 *   USERS          the users file, or `doveadm user '*'`
 *   STATUS         doveadm mailbox status -F, for SWEEP_USERS_MAX users at a time, compared with the roster row by row
 *   SUBSCRIPTIONS  doveadm mailbox list -s -F, the same users
 *
 * Whatever differs makes its user dirty; the visit then looks closely, so a wrong alarm costs a visit and nothing else. Users whose
 * cursors are not known yet are dirty. A mailbox the roster has and the sweep does not see is a difference too.
 * Failure: a listing over its deadline is killed, and its users are visited one by one, as are those of one that is not whole (a mailbox
 * could not be read): the one to blame is found because its own visit fails too, and it is left out of the common listing (`apart`) until
 * its own is whole again. A user whose last visit failed is visited again whatever the listing says. Users over the roster's maximum are counted and named. */
#ifndef MQ_NODE_FEED_SWEEP_H
#define MQ_NODE_FEED_SWEEP_H

#include "node/feed/visit.h"

#define SWEEP_USERS_MAX 200u /* in one listing */
#define SWEEP_FILE_MAX  (32u * 1024u * 1024u)

enum sweep_step { SWEEP_IDLE, SWEEP_USERS, SWEEP_STATUS, SWEEP_SUBSCRIPTIONS };

struct sweep {
    struct visit_world *world; /* borrowed, as the roster */
    struct roster *roster;
    enum sweep_step step;
    uint32_t number; /* of this sweep, never 0 */
    struct child child;
    struct listing listing;
    struct buffer users; /* names, each with a NUL */
    size_t users_at, chunk_from;
    uint32_t chunk_n;
    uint64_t started_ms;
    uint64_t cpu_us; /* of its listings */
    uint32_t users_seen;
    bool stopping, refused_said;
    int memory_file;
    void (*dirty)(struct sweep *s, struct feed_user *u);
    void (*done)(struct sweep *s, enum status status);
    void *arg;
};

void sweep_init(struct sweep *s, struct visit_world *world, struct roster *roster);
void sweep_deinit(struct sweep *s);
/* IDLE only; done() comes once, from inside this call when there is no user to ask doveadm about. */
void sweep_start(struct sweep *s);
/* Ends it early; done() comes with CANCELED if it was under way. */
void sweep_stop(struct sweep *s);

#endif
