/* What a queue feed has to complain of, said once in the log and for as long as it lasts in `clusterctl status`. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "node/feed/queue_feed_internal.h"

static uint64_t wall_ms(void)
{
    return clock_wall_ms(&clock_system);
}

void queue_say_settings(struct queue_feed *q, const char *hint, const char *why)
{
    struct troubles *t = q->world->troubles;
    if (trouble_find(t, "MQ-FEED-QUEUE-POSTFIX", q->directory) == NULL) {
        log_error("event=feed.queue_left_out message=MQ-FEED-QUEUE-POSTFIX directory=%s why=\"%s\"",
                  q->directory, why);
    }
    trouble_raise(t, "MQ-FEED-QUEUE-POSTFIX", q->directory, wall_ms(), hint,
                  "the queue of the Postfix of %.100s is not followed: %.150s", q->directory, why);
}

void queue_say_log(struct queue_feed *q, enum status s)
{
    const char *name = q->log_path[0] != '\0' ? q->log_path : "journalctl";
    bool absent = s == OK && !q->log.journal && q->log.file.fd < 0;
    if (s == OK && !absent) {
        if (trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-LOG", q->instance)) {
            log_info("event=feed.queue_log_read instance=%s log=%s", q->instance, name);
        }
        return;
    }
    const char *why = absent ? "it is not there" : status_text(s);
    if (trouble_find(q->world->troubles, "MQ-FEED-QUEUE-LOG", q->instance) == NULL) {
        log_warn(
            "event=feed.queue_log_unreadable message=MQ-FEED-QUEUE-LOG instance=%s log=%s "
            "why=\"%s\"",
            q->instance, name, why);
    }
    trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-LOG", q->instance, wall_ms(),
                  "set [postfix] log to the file that Postfix writes, readable for mailfeed",
                  "the log %.150s cannot be read (%.80s): what leaves the queue ends as unknown",
                  name, why);
}

void queue_say_incomplete(struct queue_feed *q)
{
    const struct child *c = &q->child;
    log_warn(
        "event=feed.queue_listing_failed message=MQ-FEED-QUEUE-SWEEP instance=%s exit=%lld "
        "signal=%d timed_out=%d bad_lines=%u items=%u error=\"%s\" then=\"nothing is closed\"",
        q->instance, (long long)c->exit_status, c->signal, c->timed_out, q->parser.bad,
        q->parser.items, c->error);
    trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-SWEEP", q->instance, wall_ms(),
                  "run postqueue -c DIRECTORY -j on that host",
                  "postqueue does not list the queue to its end (%s): %.150s",
                  c->timed_out ? "it hangs" : "it failed, or was cut", c->error);
}

/* Its deadline is half over, and it has neither ended nor said anything. */
void queue_say_silent(struct queue_feed *q)
{
    bool settings = q->step == QUEUE_SETTINGS;
    uint64_t silent_s = q->child.deadline_ms / 2000;
    log_warn("event=feed.queue_child_silent message=%s instance=%s program=%s seconds=%llu",
             settings ? "MQ-FEED-QUEUE-POSTFIX" : "MQ-FEED-QUEUE-SWEEP", q->instance,
             settings ? "postconf" : "postqueue", (unsigned long long)silent_s);
    if (settings) {
        trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-POSTFIX", q->directory, wall_ms(),
                      "run postconf -c DIRECTORY there",
                      "the queue of the Postfix of %.100s is not followed: postconf hangs",
                      q->directory);
        return;
    }
    trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-SWEEP", q->instance, wall_ms(),
                  "run postqueue -c DIRECTORY -j on that host; does its disk answer?",
                  "postqueue does not list the queue to its end: it has said nothing for %llu s",
                  (unsigned long long)silent_s);
}

void queue_say_wordless(struct queue_feed *q, bool wordless)
{
    struct troubles *t = q->world->troubles;
    const char *name = q->log_path[0] != '\0' ? q->log_path : "the journal";
    if (!wordless) {
        trouble_clear(t, "MQ-FEED-QUEUE-WORDLESS", q->instance);
        return;
    }
    if (trouble_find(t, "MQ-FEED-QUEUE-WORDLESS", q->instance) == NULL) {
        log_warn(
            "event=feed.queue_log_wordless message=MQ-FEED-QUEUE-WORDLESS instance=%s log=%s "
            "syslog_name=%s",
            q->instance, name, q->syslog_name);
    }
    trouble_raise(t, "MQ-FEED-QUEUE-WORDLESS", q->instance, wall_ms(),
                  "is that where this Postfix logs? set [postfix] log to its file, or to journal",
                  "messages leave the queue and the log %.120s says nothing of %.60s: they end as "
                  "unknown",
                  name, q->syslog_name);
}

static void time_text(uint64_t ms, char out[24])
{
    struct tm tm;
    time_t t = (time_t)(ms / 1000);
    if (ms == 0 || gmtime_r(&t, &tm) == NULL || strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        memcpy(out, "the start", sizeof("the start"));
    }
}

void queue_say_gap(struct queue_feed *q)
{
    const char *name = q->log_path[0] != '\0' ? q->log_path : "the journal";
    char from[24], to[24];
    time_text(q->complete_ms, from);
    time_text(wall_ms(), to);
    log_warn(
        "event=feed.queue_log_gap message=MQ-FEED-QUEUE-GAP instance=%s log=%s position=\"%s\" "
        "from=\"%s\" to=\"%s\"",
        q->instance, name, q->position, from, to);
    trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-GAP", q->instance, wall_ms(),
                  "nothing to do for these; keep one rotated log uncompressed (delaycompress)",
                  "lines of the log %.100s from about %s to %s may have been missed: what left "
                  "the queue then may end as unknown",
                  name, from, to);
}

void queue_forget_gap(struct queue_feed *q)
{
    trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-GAP", q->instance);
}
