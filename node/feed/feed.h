/* mailfeed: follows the mailboxes of this host's users, and its mail queues (queue_set.h), and reports them to the cluster. A handle that
 * owns everything of the process.
 *
 *   uplink up -> sweep (and again every interval) -> dirty users -> at most imap_children_max visits at a time -> reports
 *   a hint (Dovecot's event exporter, clusterctl mailbox touch) makes its user dirty at once
 *
 * One user is visited by one visit at a time; what changes meanwhile is seen by the next. A user whose visit failed waits for the next
 * sweep, and longer each time, and has a lane of its own so that the others do not wait for it (turn.h); `clusterctl mailbox touch` ends
 * its waiting. One whose lease another feed holds is tried again after a while. Nothing is kept on this host: after any crash the cluster's cursors
 * say where to go on.
 * Ends on SIGTERM or SIGINT: no new visit, FEED_STOP_MS for those under way, leases released, connection closed. With `once`: after one
 * sweep and all its visits; exit code 1 when a user could not be reported. */
#ifndef MQ_NODE_FEED_FEED_H
#define MQ_NODE_FEED_FEED_H

#include "node/feed/feed_status.h"
#include "node/feed/hints.h"
#include "node/feed/stuck.h"
#include "node/feed/position.h"
#include "node/feed/queue_set.h"
#include "node/feed/sweep.h"
#include "node/feed/turn.h"

#define FEED_STOP_MS       5000u
#define FEED_RELEASE_MS    2000u
#define FEED_RELEASES_MAX  1000u
#define FEED_HINT_DELAY_MS 20u /* a burst of hints for one user becomes one visit */
#define FEED_POLL_MS       20u /* how exactly delayed users are kept */
#define FEED_AGAIN_MS      200u
#define FEED_AGAIN_MAX_MS  5000u
#define FEED_REST_MIN_MS   100u /* from the end of a sweep to the next */
#define FEED_ONCE_TRIES    3u
#define FEED_TROUBLE_FAILURES \
    2u /* of one user in a row, then it is a trouble: one may be a server that restarts */

struct feed;

struct feed_slot {
    struct visit visit;
    struct feed *feed;
    bool used;
    enum turn_lane lane;
};

struct feed {
    uv_loop_t *loop;
    struct feed_config config;
    struct tls_context *tls;
    struct uplink uplink;
    struct visit_world world;
    struct roster roster;
    struct sweep sweep;
    struct hints hints;
    struct stuck stuck;
    struct queue_set queues;
    struct feed_counters counters;
    struct troubles troubles;
    struct feed_status status;
    struct positions positions;
    char holder[NAME_MAX_BYTES + 32];
    struct list ready[TURN_LANES], delayed; /* users that wait */
    uint64_t waiting_n;
    struct feed_slot *slots;
    uint32_t running, running_sick; /* all, and those of them in the sick lane */
    uint64_t sick_rest_until_ms;
    uv_timer_t sweep_timer, poll_timer, stop_timer;
    uv_signal_t on_term, on_int;
    struct client_request subscribe;
    bool subscribing;
    bool once, swept, sweep_wanted;
    uint64_t interval_ms; /* from the start of a sweep to the next, as it is now */
    uint64_t users_refused_before;
    bool stopping, releasing, closing, queues_stopped;
    struct client_request *releases;
    uint32_t releases_n;
    int exit_code;
};

/* config is copied. */
enum status feed_start(struct feed *f, uv_loop_t *loop, const struct feed_config *config, bool once,
                       struct error *e);
void feed_stop(struct feed *f);
/* After the loop has ended. */
void feed_deinit(struct feed *f);

#endif
