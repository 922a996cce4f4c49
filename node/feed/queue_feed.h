/* One Postfix instance: its queue and its log, reported to the cluster. A handle.
 *
 *   SETTINGS  postconf: its name (multi_instance_name, else the last part of its directory), the name it logs under, and where
 *   LOAD      the lease of the queue, then what the cluster has of it: position in the log, last complete sweep, open items
 *   WAIT      the log is read; what it says of items that the cluster has is reported; the lease is kept
 *             The next sweep begins when the log has no more for now, or one interval late.
 *   LISTING   postqueue -j: what differs from the cluster's is reported in pages; the log waits meanwhile, so that an item is known
 *             before the line that ends it is read
 *   MISSING   the listing has ended completely: what it did not list, in pages, ends the sweep; back to WAIT
 *
 * One question to the cluster is under way at a time, tried again until it is answered; while it is, postqueue is paused.
 * A listing that fails, is cut, or holds a line that is none, is reported as far as it goes and is no complete sweep. Whenever it is
 * not certain that the table is what the cluster has (another feed had the lease, a page or an outcome was given up), it is loaded again. What the log has ended stays in the table until
 * sweeps have reported it missing: the cluster may not have taken the log's word (its time was before the arrival).
 * Nothing is kept on this host. Ends: queue_feed_stop -> stopped() once. */
#ifndef MQ_NODE_FEED_QUEUE_FEED_H
#define MQ_NODE_FEED_QUEUE_FEED_H

#include "node/feed/feed_config.h"
#include "node/feed/queue_expired.h"
#include "node/feed/queue_log.h"
#include "node/feed/queue_silence.h"
#include "node/feed/queue_table.h"
#include "node/feed/queue_wire.h"
#include "node/feed/trouble.h"
#include "node/feed/uplink.h"

#define QUEUE_FEED_TICK_MS       100u
#define QUEUE_FEED_RETRY_MIN_MS  100u
#define QUEUE_FEED_RETRY_MAX_MS  2000u
#define QUEUE_FEED_POSITION_MS   10000u /* how often a position alone is worth a command */
#define QUEUE_FEED_READS_MAX     64u    /* pieces of the log in one go */
#define QUEUE_FEED_OUTCOME_TRIES 3u     /* of the same lines, while the cluster refuses them */
#define QUEUE_FEED_GAP_SAID_MS   86400000u
#define QUEUE_GONE_MAX           20000u /* items that wait for the log to say how they ended */
#define QUEUE_INSTANCE_MAX       63u

struct queue_feed;

struct queue_world { /* what all instances share; borrowed */
    uv_loop_t *loop;
    const struct feed_config *config;
    struct uplink *uplink;
    struct troubles *troubles;
    const char *holder; /* of leases */
    /* Has another instance of this host the name of this one? */
    bool (*name_taken)(void *arg, const struct queue_feed *q);
    void *arg;
};

enum queue_step { QUEUE_SETTINGS, QUEUE_LOAD, QUEUE_WAIT, QUEUE_LISTING, QUEUE_MISSING };
enum queue_ask {
    QUEUE_ASK_NOTHING,
    QUEUE_ASK_ACQUIRE,
    QUEUE_ASK_RENEW,
    QUEUE_ASK_QUEUE,
    QUEUE_ASK_ITEMS,
    QUEUE_ASK_PAGE,
    QUEUE_ASK_OUTCOME,
    QUEUE_ASK_RELEASE
};

struct queue_counters {
    uint64_t sweeps, incomplete, items, changed, missing, events, deferred, loads;
};

struct queue_feed {
    struct queue_world *world;
    char directory[SETTING_ITEM_MAX]; /* of its configuration */
    char instance[QUEUE_INSTANCE_MAX +
                  1];               /* until postconf has said it: the last part of the directory */
    char user[NAME_MAX_BYTES + 16]; /* "queue/HOST" */
    char syslog_name[128], log_path[FEED_PATH_MAX];
    enum queue_step step;
    bool loaded; /* the table is what the cluster has */
    bool stopping, releasing, log_open, log_stopped, timer_closed;
    bool swept,
        quiet; /* for --once: a complete sweep was made, and the log has nothing more for now */
    uv_timer_t timer;
    uint64_t next_ms; /* of the next sweep, or try */
    /* the question under way */
    enum queue_ask ask, ask_after_lease;
    bool asking, retrying;
    uint64_t ask_since_ms, retry_ms, retry_at_ms;
    struct client_request request;
    struct buffer payload;
    /* the lease */
    bool leased;
    struct token token;
    uint64_t lease_until_ms, lease_asked_ms;
    /* the queue */
    struct queue_table table;
    uint32_t gone_n;           /* entries of it */
    struct buffer items_after; /* place in the cluster's items */
    uint64_t complete_ms, sweep_ms, sweep_started_ms;
    uint32_t sweep, page; /* number of the sweep (ours); of the next page */
    struct buffer pieces;
    uint32_t pieces_items, pieces_missing, pieces_events;
    bool page_complete, page_last;
    uint32_t missing_at;
    struct child child;
    struct postqueue parser;
    size_t rest_at, rest_n; /* of `rest`: output not parsed yet */
    bool listing_over, listing_whole, sweep_given_up;
    char settings_text[1024];
    size_t settings_n;
    /* the log */
    struct queue_log log;
    struct queue_expired expired;
    struct queue_silence silence;
    char position[QUEUE_LOG_POSITION_MAX], position_sent[QUEUE_LOG_POSITION_MAX];
    char position_done[QUEUE_LOG_POSITION_MAX]; /* from where it is read again if need be */
    uint64_t position_ms;
    uint64_t gaps_said, gap_until_ms; /* until then the last one is said; 0 = none */
    unsigned outcome_tries;           /* given up, one after the other */
    struct queue_counters counters;
    uint8_t rest[CHILD_READ_MAX];
    void (*stopped)(struct queue_feed *q);
    void *arg;
};

/* q is zeroed, with stopped and arg set. directory: of the instance's main.cf. INVALID: it is too long. */
enum status queue_feed_start(struct queue_feed *q, struct queue_world *world,
                             const char *directory);
void queue_feed_stop(struct queue_feed *q);
/* After stopped(). */
void queue_feed_deinit(struct queue_feed *q);
/* A complete sweep was made, and nothing of the log waits. */
bool queue_feed_finished(const struct queue_feed *q);

#endif
