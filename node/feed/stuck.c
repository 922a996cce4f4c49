/* A look on a thread of libuv's pool, and what is said about it. */
#include "node/feed/stuck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"

void stuck_init(struct stuck *s, uv_loop_t *loop, uint64_t locked_after_ms,
                struct troubles *troubles)
{
    memset(s, 0, sizeof(*s));
    s->loop = loop;
    s->locked_after_ms = locked_after_ms;
    s->troubles = troubles;
}

/* NULL without memory: then nothing is said, and all goes on. */
static struct user_stuck *state_of(struct stuck *s, struct feed_user *u, uint64_t silent_ms)
{
    if (u->stuck == NULL) {
        u->stuck = calloc(1, sizeof(*u->stuck));
        if (u->stuck != NULL) {
            uint64_t now = uv_now(s->loop);
            u->stuck->since_ms = now > silent_ms ? now - silent_ms : 0;
        }
    }
    return u->stuck;
}

/* ---- the look ---- */

static void look(uv_work_t *w)
{
    struct stuck *s = w->data;
    s->found = lock_holder_find(s->group, &s->holder);
}

static void looked(uv_work_t *w, int status)
{
    struct stuck *s = w->data;
    struct user_stuck *x = s->user->stuck;
    s->busy = false;
    if (status == 0 && s->found && x != NULL) {
        x->known = true;
        x->holder = s->holder;
    }
}

void stuck_look(struct stuck *s, struct feed_user *u, int64_t group, uint64_t silent_ms)
{
    if (s->busy || state_of(s, u, silent_ms) == NULL) {
        return;
    }
    s->user = u;
    s->group = group;
    s->found = false;
    s->work.data = s;
    s->busy = uv_queue_work(s->loop, &s->work, look, looked) == 0;
}

/* ---- words ---- */

static void age_text(uint64_t s, char *out, size_t size)
{
    unsigned long long n = (unsigned long long)s;
    if (n < 120) {
        snprintf(out, size, "%llu s", n);
    } else if (n < 7200) {
        snprintf(out, size, "%llu min", n / 60);
    } else {
        snprintf(out, size, "%llu h", n / 3600);
    }
}

void stuck_text(const struct user_stuck *x, uint64_t now_ms, char *out, size_t size)
{
    const struct lock_holder *h = &x->holder;
    unsigned long long silent_s = (unsigned long long)((now_ms - x->since_ms) / 1000);
    char age[32];
    age_text(h->age_s, age, sizeof(age));
    if (!x->known) {
        snprintf(
            out, size,
            "Dovecot does not answer for %llu s; no process was seen to hold a lock it waits for",
            silent_s);
    } else if (h->host[0] != '\0') {
        snprintf(out, size, "Dovecot does not answer for %llu s: pid %lld on host %s holds %s",
                 silent_s, (long long)h->pid, h->host, h->file);
    } else {
        snprintf(
            out, size,
            "Dovecot does not answer for %llu s: pid %lld, %s old, holds %s%s; its command: %s",
            silent_s, (long long)h->pid, age, h->file[0] != '\0' ? "" : "the lock", h->file,
            h->command[0] != '\0' ? h->command : "not to be seen");
    }
}

void stuck_silent(struct stuck *s, struct feed_user *u, uint64_t silent_ms)
{
    struct user_stuck *x = state_of(s, u, silent_ms);
    uint64_t now = uv_now(s->loop);
    char text[512];
    if (x == NULL || now - x->since_ms < s->locked_after_ms) {
        return;
    }
    stuck_text(x, now, text, sizeof(text));
    trouble_raise(s->troubles, "MQ-FEED-USER-STUCK", u->name, clock_wall_ms(&clock_system),
                  x->known ? "look at that process; ending it lets this user's mail go on"
                           : "look at this user with doveadm on that host",
                  "%.300s", text);
    if (x->said) {
        return;
    }
    x->said = true;
    log_error("event=feed.user_stuck message=MQ-FEED-USER-STUCK user=%s pid=%lld text=\"%s\"",
              u->name, (long long)(x->known ? x->holder.pid : 0), text);
}

void stuck_over(struct stuck *s, struct feed_user *u)
{
    if (u->stuck == NULL) {
        return;
    }
    if (u->stuck->said) {
        trouble_clear(s->troubles, "MQ-FEED-USER-STUCK", u->name);
        log_info("event=feed.user_answers user=%s after_s=%llu", u->name,
                 (unsigned long long)((uv_now(s->loop) - u->stuck->since_ms) / 1000));
    }
    free(u->stuck);
    u->stuck = NULL;
}

bool stuck_named(const struct feed_user *u)
{
    return u->stuck != NULL && u->stuck->said;
}
