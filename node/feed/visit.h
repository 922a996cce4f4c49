/* One visit to one user: from "something may have changed" to "the cluster has it". A request: started once, done() once.
 *
 *   CURSORS   ask the cluster where this store's mailboxes stand (skipped when the roster knows)
 *   LISTING   doveadm mailbox status -u USER: names, GUIDs and where Dovecot stands; a mailbox that the cluster has and the listing has not is
 *             looked for in a second listing (it may have been renamed under the first), only then it counts as deleted; what is not
 *             to be reported (visit_maybe_own) counts as not listed, so that it leaves the cluster's records
 *   DELETED   report what is gone (after the lease is held)
 *   SESSION   doveadm exec imap -u USER: for each mailbox that differs pages are read and reported, one at a time, in the order of GUIDs;
 *             behind the mailbox at which the last session died (`died_at`) first, that one last: it costs no other mailbox its turn
 *
 * In every step one question to the cluster (`ask`) or one child is under way. A question is tried again until the report deadline;
 * its payload is made anew each time, because the lease may be another one by then.
 * Ends: OK; RESUME (the cluster stands elsewhere than the roster believed: visit again soon); LEASE_HELD (another feed has this user);
 * UNASSIGNED (no shard has the user); UNKNOWN_USER (Dovecot has no such user); SLOW (listing or session over the deadline);
 * UNANSWERED (no answer of the cluster that counts: no fault of this user's); FAILED. Nothing is lost by
 * any of them: the next visit starts from the cluster's cursors. A listing that names not all there is (a mailbox that cannot be read)
 * deletes nothing; what it names is reported, and then the visit has FAILED. So it is when the INBOX is gone, or another one than before, and the
 * setting inbox_replaced is `hold`. */
#ifndef MQ_NODE_FEED_VISIT_H
#define MQ_NODE_FEED_VISIT_H

#include "node/feed/child.h"
#include "node/feed/feed_config.h"
#include "node/feed/report.h"
#include "node/feed/roster.h"
#include "node/feed/trouble.h"
#include "node/feed/uplink.h"

#define VISIT_RETRY_MIN_MS 100u
#define VISIT_RETRY_MAX_MS 2000u
#define VISIT_QUERY_LIMIT  500u
#define VISIT_LEASE_MARGIN 2u /* renewed when less than ttl / this is left */

struct feed_counters {
    uint64_t sweeps, visits, pages, messages, vanished, applied, refused, unknown, retried, resumed,
        full_compares, deleted, failed, slow, lease_waits, unassigned, unknown_users, hints,
        keywords_dropped, users_refused;
};

struct visit_world { /* what all visits share; borrowed */
    uv_loop_t *loop;
    const struct feed_config *config;
    struct uplink *uplink;
    struct feed_counters *counters;
    struct troubles *troubles;
    const char *holder; /* of leases: host and nonce */
    /* A child of u's visit, a process group of its own, has been silent for so long. */
    void (*silent)(void *arg, struct feed_user *u, int64_t group, uint64_t silent_ms);
    void *arg;
    char separator; /* of this server; learnt from the first session */
    /* As the last session had them; they hold for a user whose own last session said the same. */
    struct namespaces namespaces;
};

enum visit_end {
    VISIT_OK,
    VISIT_RESUME,
    VISIT_LEASE_HELD,
    VISIT_UNASSIGNED,
    VISIT_UNKNOWN_USER,
    VISIT_SLOW,
    VISIT_UNANSWERED,
    VISIT_FAILED
};
enum visit_step { VISIT_CURSORS, VISIT_LISTING, VISIT_DELETED, VISIT_SESSION, VISIT_OVER };
enum visit_ask {
    ASK_NOTHING,
    ASK_CURSORS,
    ASK_MAILBOXES,
    ASK_ACQUIRE,
    ASK_RENEW,
    ASK_DELETED,
    ASK_SLICE
};

struct visit_box { /* one row of the listing */
    struct uuid guid;
    uint32_t uidvalidity, uidnext;
    uint64_t highestmodseq;
    char *name; /* the server's separator */
    bool visited;
};

struct visit {
    struct visit_world *world;
    struct feed_user *user; /* borrowed; RUNNING meanwhile */
    enum visit_step step;
    void (*done)(struct visit *v);
    void *arg;
    enum visit_end end;
    char why[600];
    /* the question under way */
    enum visit_ask ask, ask_after_lease;
    bool asking, retrying;
    struct client_request request;
    struct buffer payload;
    uint64_t started_ms;
    uint64_t ask_since_ms, retry_ms, lease_asked_ms;
    struct uuid query_after;
    /* the child */
    struct child child;
    struct listing listing;
    enum status listing_status;
    unsigned listings;
    bool inbox_held;      /* see visit_inbox_replaced */
    uint32_t rows_short;  /* that lack a column */
    char incomplete[400]; /* what was not listed, and what Dovecot said; empty: it was whole */
    struct visit_box *boxes;
    uint32_t boxes_n, boxes_capacity;
    struct uuid *gone; /* in the roster, not in the listing */
    uint32_t gone_n, gone_at;
    /* the session */
    struct imap_pull pull;
    bool pull_live, subscriptions_wanted;
    bool
        discarding; /* the cluster refused this mailbox: its pages are read and dropped, the next mailbox follows */
    struct buffer input;
    uint32_t box_first, boxes_tried; /* where it began, and how many had their turn */
    uint32_t box_at, boxes_failed;
    bool box_open;  /* box_at is being read */
    bool left_over; /* a mailbox moved meanwhile: OK, but not all is reported; `again` is set */
    struct report_box box;
    char box_name[MAILBOX_NAME_MAX + 1];
    struct report_slice slice;
    uint32_t slice_last_max;
    /* the end */
    uv_timer_t timer;
    bool timer_open, stopping;
};

/* v is zeroed by the caller, with done and arg set. NO_MEMORY: never calls back. */
enum status visit_start(struct visit *v, struct visit_world *world, struct feed_user *user);
/* Is the INBOX that the cluster has of this user not in the listing (boxes, sorted by GUID), or another one? IMAP cannot delete INBOX, but
 * on a mail store that is not mounted Dovecot lists none, and makes a new one with the first message. Later that one is in the cluster too: then the INBOX that is
 * missing is the old one when its UIDVALIDITY (Dovecot's is a time) is not above that of the listed one; else the old one is back, and what
 * is missing is the new one, which may go. Pure. */
bool visit_inbox_replaced(struct feed_user *u, const struct visit_box *boxes, uint32_t n);
/* Where the turn of mailboxes, sorted by GUID, begins: behind the one at which the last session died (zero: none). Pure. */
uint32_t visit_first_box(const struct visit_box *boxes, uint32_t n, const struct uuid *died_at);
/* Is its user to be kept out of the common listing after this visit (over; before: as it was)? One whose own listing is slow, or not whole,
 * would spoil it for all that share it. */
bool visit_keeps_apart(const struct visit *v, bool before);
/* Ends it early: done() comes with VISIT_FAILED once child and question are back. */
void visit_stop(struct visit *v);

/* Is a mailbox (name as doveadm says it) one to report: the user's own, as far as listings can tell (only a session knows for sure), and not
 * excluded? */
bool visit_maybe_own(const struct visit_world *world, const struct feed_user *u, const char *name);

#endif
