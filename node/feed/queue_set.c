/* Finds the instances, holds them, and looks every QUEUE_SET_AGAIN_MS for new ones. */
#include "node/feed/queue_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"

#define LEFT_OUT "instances" /* the object of their trouble */

_Static_assert(QUEUE_INSTANCES_MAX == 16, "why_left_out() says the number");

static void maybe_stopped(struct queue_set *s);

static void feed_stopped(struct queue_feed *q)
{
    struct queue_set *s = q->arg;
    s->stopped_n++;
    maybe_stopped(s);
}

/* Only one that has got past its settings has its name for certain. */
static bool name_taken(void *arg, const struct queue_feed *q)
{
    const struct queue_set *s = arg;
    for (unsigned i = 0; i < s->n; i++) {
        const struct queue_feed *other = s->feeds[i];
        if (other != q && other->step != QUEUE_SETTINGS &&
            strcmp(other->instance, q->instance) == 0) {
            return true;
        }
    }
    return false;
}

static bool followed(const struct queue_set *s, const char *directory)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (strcmp(s->feeds[i]->directory, directory) == 0) {
            return true;
        }
    }
    return false;
}

static enum status start_feed(struct queue_set *s, const char *directory)
{
    if (s->n == QUEUE_INSTANCES_MAX) {
        return STATUS_FULL;
    }
    struct queue_feed *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return STATUS_NO_MEMORY;
    }
    q->stopped = feed_stopped;
    q->arg = s;
    enum status status = queue_feed_start(q, &s->world, directory);
    if (status != OK) {
        free(q);
        return status;
    }
    s->feeds[s->n++] = q;
    return OK;
}

static const char *why_left_out(enum status status)
{
    return status == STATUS_FULL      ? "a host has up to 16 instances"
           : status == STATUS_INVALID ? "the last part of its directory is no name, or a long one"
                                      : status_text(status);
}

/* The first one that is left out is named, the others are counted. */
static void add(struct queue_set *s, const char *directory)
{
    struct troubles *t = s->world.troubles;
    enum status status = followed(s, directory) ? OK : start_feed(s, directory);
    if (status == OK || ++s->left_out > 1) {
        return;
    }
    if (trouble_find(t, "MQ-FEED-QUEUE-POSTFIX", LEFT_OUT) == NULL) {
        log_error("event=feed.queue_left_out message=MQ-FEED-QUEUE-POSTFIX directory=%s why=\"%s\"",
                  directory, why_left_out(status));
    }
    trouble_raise(t, "MQ-FEED-QUEUE-POSTFIX", LEFT_OUT, clock_wall_ms(&clock_system),
                  "name those that matter in [postfix] config_directories, and restart mailfeed",
                  "the queue of the Postfix of %.100s is not followed: %.100s", directory,
                  why_left_out(status));
}

static void add_begin(struct queue_set *s)
{
    s->left_out = 0;
}

static void add_end(struct queue_set *s)
{
    if (s->left_out == 0) {
        trouble_clear(s->world.troubles, "MQ-FEED-QUEUE-POSTFIX", LEFT_OUT);
    }
}

/* ---- postmulti ---- */

static void on_output(struct child *c, const uint8_t *data, size_t size)
{
    struct queue_set *s = c->arg;
    size_t room = sizeof(s->text) - 1 - s->text_n;
    size_t n = size < room ? size : room;
    memcpy(s->text + s->text_n, data, n);
    s->text_n += n;
}

/* "name group enabled directory" a line. */
static void take_instances(struct queue_set *s)
{
    char *rest = s->text, *line;
    add_begin(s);
    s->text[s->text_n] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *words[4] = {NULL};
        unsigned n = 0;
        char *word;
        while (n < 4 && (word = strsep(&line, " \t")) != NULL) {
            if (word[0] != '\0') {
                words[n++] = word;
            }
        }
        if (n == 4 && words[3][0] == '/') {
            add(s, words[3]);
        }
    }
    add_end(s);
}

static void on_time(uv_timer_t *t);

static void say_failed(struct queue_set *s, const char *why)
{
    struct troubles *t = s->world.troubles;
    if (trouble_find(t, "MQ-FEED-QUEUE-POSTFIX", "") == NULL) {
        log_error("event=feed.postmulti_failed message=MQ-FEED-QUEUE-POSTFIX error=\"%s\"", why);
    }
    trouble_raise(
        t, "MQ-FEED-QUEUE-POSTFIX", "", clock_wall_ms(&clock_system),
        "set [postfix] config_directories", "postmulti -l %s: %.150s",
        s->found ? "fails, and an instance added since is not followed" : "names no instance", why);
}

/* It may never end. */
static void on_silent(struct child *c)
{
    struct queue_set *s = c->arg;
    if (!s->stopping) {
        say_failed(s, "it hangs");
    }
}

static void on_ended(struct child *c)
{
    struct queue_set *s = c->arg;
    if (s->stopping) {
        maybe_stopped(s);
        return;
    }
    unsigned known = s->n;
    if (child_succeeded(c)) {
        take_instances(s);
    }
    s->found = s->n > 0;
    if (s->n > known && known > 0) {
        log_info("event=feed.queue_instances_added n=%u", s->n - known);
    }
    if (child_succeeded(c) && s->found) {
        trouble_clear(s->world.troubles, "MQ-FEED-QUEUE-POSTFIX", "");
        uv_timer_start(&s->timer, on_time, QUEUE_SET_AGAIN_MS, 0);
        return;
    }
    say_failed(s, c->timed_out ? "it hangs" : c->error);
    uv_timer_start(&s->timer, on_time,
                   s->found ? QUEUE_SET_AGAIN_MS : s->world.config->queue_interval_ms, 0);
}

static void on_time(uv_timer_t *t)
{
    struct queue_set *s = t->data;
    const struct feed_config *config = s->world.config;
    const char *const argv[] = {config->postmulti, "-l", NULL};
    s->text_n = 0;
    s->child.output = on_output;
    s->child.ended = on_ended;
    s->child.silent = on_silent;
    s->child.arg = s;
    if (child_start(&s->child, s->world.loop, argv, -1, config->queue_deadline_ms) != OK) {
        uv_timer_start(&s->timer, on_time, config->queue_interval_ms, 0);
    }
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct queue_set *s = h->data;
    s->stopped(s);
}

static void maybe_stopped(struct queue_set *s)
{
    if (s->stopping && !s->timer_closed && s->stopped_n == s->n && !child_active(&s->child)) {
        s->timer_closed = true;
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    }
}

enum status queue_set_start(struct queue_set *s)
{
    const struct setting_list *list = &s->world.config->config_directories;
    must(uv_timer_init(s->world.loop, &s->timer) == 0);
    s->timer.data = s;
    s->started = true;
    s->world.name_taken = name_taken;
    s->world.arg = s;
    if (list->n == 0) {
        return uv_timer_start(&s->timer, on_time, 0, 0) == 0 ? OK : STATUS_INTERNAL;
    }
    add_begin(s);
    for (unsigned i = 0; i < list->n; i++) {
        add(s, list->items[i]);
    }
    add_end(s);
    s->found = true;
    return OK;
}

void queue_set_stop(struct queue_set *s)
{
    s->stopping = true;
    uv_timer_stop(&s->timer);
    if (child_active(&s->child)) {
        child_kill(&s->child);
    }
    for (unsigned i = 0; i < s->n; i++) {
        queue_feed_stop(s->feeds[i]);
    }
    maybe_stopped(s);
}

void queue_set_deinit(struct queue_set *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        queue_feed_deinit(s->feeds[i]);
        free(s->feeds[i]);
    }
    s->n = 0;
}

bool queue_set_finished(const struct queue_set *s)
{
    if (s->started && !s->found) {
        return false;
    }
    for (unsigned i = 0; i < s->n; i++) {
        if (!queue_feed_finished(s->feeds[i])) {
            return false;
        }
    }
    return true;
}
