/* The log of one Postfix instance as events: a file (node/feed/log_file.h), or journalctl as a child. A handle.
 *
 * Happy path: queue_log_open(position) -> queue_log_poll() now and then -> event() for each -> queue_log_position(). Nothing is read but
 * in a poll, so an owner who does not poll loses nothing: the log waits where it is.
 * Failure: a file that cannot be read, a journalctl that ends (it is started again after QUEUE_LOG_AGAIN_MS): poll says so, until the
 * next one has said something or has lived for QUEUE_LOG_ALIVE_MS. */
#ifndef MQ_NODE_FEED_QUEUE_LOG_H
#define MQ_NODE_FEED_QUEUE_LOG_H

#include "node/feed/child.h"
#include "node/feed/log_file.h"
#include "node/feed/maillog.h"

#define QUEUE_LOG_AGAIN_MS 5000u
#define QUEUE_LOG_ALIVE_MS \
    10000u /* a journalctl that has not ended for so long works, also when it has nothing to say */
#define QUEUE_LOG_PENDING_MAX  (2 * CHILD_READ_MAX) /* of journalctl's output, not looked at yet */
#define QUEUE_LOG_POSITION_MAX (MAILLOG_CURSOR_MAX + 16)

struct queue_log {
    uv_loop_t *loop;
    const char *journalctl, *name; /* borrowed; name: the instance's syslog_name */
    bool journal, stopping, child_failed, again;
    struct log_file file;
    struct child child;
    uint64_t start_ms; /* not before this */
    uint64_t alive_ms; /* if it is by then, it has not failed */
    struct buffer pending;
    bool skipping; /* inside a line that is too long */
    char cursor[MAILLOG_CURSOR_MAX + 1];
    uint64_t lines, now_s;
    uint64_t journal_gaps;
    uint64_t ours; /* lines of this instance, whatever they say */
    char path[512];
    char space[MAILLOG_LINE_MAX];
    /* false: enough for this poll */
    bool (*event)(struct queue_log *l, const struct maillog_event *e);
    void (*stopped)(
        struct queue_log
            *l); /* after queue_log_stop, when nothing is open any more; maybe from inside it */
    void *arg;
};

/* path empty: the journal. position: of last time, or empty. Callbacks and arg are set by the caller before. */
enum status queue_log_open(struct queue_log *l, uv_loop_t *loop, const char *path,
                           const char *journalctl, const char *name, const char *position);
enum status queue_log_poll(struct queue_log *l, uint64_t now_ms, uint64_t now_s);
/* How often lines may have been missed since it was opened. What a journal has thrown away is not noticed. */
uint64_t queue_log_gaps(const struct queue_log *l);
/* Everything up to here has been handed out; empty: nothing to go by yet. */
void queue_log_position(const struct queue_log *l, char out[QUEUE_LOG_POSITION_MAX]);
/* What was handed out since that position is handed out again. */
void queue_log_again(struct queue_log *l, const char *position);
void queue_log_stop(struct queue_log *l);

#endif
