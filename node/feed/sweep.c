/* Users in chunks through two listings each; see the header. The names go to doveadm by a memory file it opens as /dev/fd/3. */
#include "node/feed/sweep.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/must.h"
#include "node/feed/doveadm.h"

static void chunk_next(struct sweep *s);

void sweep_init(struct sweep *s, struct visit_world *world, struct roster *roster)
{
    s->world = world;
    s->roster = roster;
    s->step = SWEEP_IDLE;
    s->memory_file = -1;
    buffer_init(&s->users, SWEEP_FILE_MAX);
}

void sweep_deinit(struct sweep *s)
{
    buffer_deinit(&s->users);
    listing_deinit(&s->listing);
}

static void finish(struct sweep *s, enum status status)
{
    s->step = SWEEP_IDLE;
    listing_deinit(&s->listing);
    s->done(s, status);
}

/* ---- users ---- */

static void user_add(struct sweep *s, const char *name)
{
    struct feed_user *u;
    enum status status =
        listing_user_valid(name) ? roster_get(s->roster, name, &u) : STATUS_INVALID;
    if (status != OK) {
        s->world->counters->users_refused++;
        if (!s->refused_said) {
            log_warn("event=feed.user_refused user=\"%.255s\" why=\"%s\"", name,
                     status_text(status));
            s->refused_said = true; /* one line a sweep, the rest is in the counter */
        }
        return;
    }
    if (u->seen == s->number) {
        return;
    }
    u->seen = s->number;
    s->users_seen++;
    if (!u->loaded || u->apart || u->failures > 0) { /* it is visited by itself */
        s->dirty(s, u);
    } else if (buffer_append(&s->users, name, strlen(name) + 1) != OK) {
        s->world->counters->users_refused++;
    }
}

/* One name a line; blanks around it and empty lines do not count, nor what follows a '#' at the beginning. */
static void users_take_line(struct sweep *s, char *line)
{
    while (*line == ' ' || *line == '\t') {
        line++;
    }
    size_t n = strcspn(line, " \t\r");
    line[n] = '\0';
    if (n > 0 && line[0] != '#') {
        user_add(s, line);
    }
}

static enum status users_read_file(struct sweep *s)
{
    const char *path = s->world->config->users_file;
    struct buffer text;
    buffer_init(&text, SWEEP_FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status status = fd < 0 ? STATUS_NOT_FOUND : OK;
    ssize_t n = 1;
    while (status == OK && n > 0) {
        uint8_t *at;
        status = buffer_reserve(&text, 65536, &at);
        n = status == OK ? read(fd, at, 65535) : 0;
        status = n < 0 ? STATUS_IO : status;
        text.size += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (status == OK && text.size > 0) {
        text.data[text.size] = '\0'; /* room was left for it */
        char *rest = (char *)text.data, *line;
        while ((line = strsep(&rest, "\n")) != NULL) {
            users_take_line(s, line);
        }
    }
    buffer_deinit(&text);
    if (status != OK) {
        log_error("event=feed.users_file_unreadable path=%s why=\"%s\"", path, status_text(status));
    }
    return status;
}

static void users_output(struct child *c, const uint8_t *data, size_t size)
{
    struct sweep *s = c->arg;
    for (size_t i = 0; i < size; i++) {
        char x = data[i] == '\n' ? '\0' : (char)data[i];
        if (s->listing.line.size >= LISTING_LINE_MAX - 1 ||
            buffer_append(&s->listing.line, &x, 1) != OK) {
            s->listing.overlong = true;
            buffer_clear(&s->listing.line);
        }
        if (x == '\0') {
            if (!s->listing.overlong) {
                users_take_line(s, (char *)s->listing.line.data);
            }
            s->listing.overlong = false;
            buffer_clear(&s->listing.line);
        }
    }
}

static void users_ended(struct child *c)
{
    struct sweep *s = c->arg;
    s->cpu_us += c->cpu_us;
    if (s->stopping) {
        finish(s, STATUS_CANCELED);
        return;
    }
    if (!child_succeeded(c)) {
        log_error(
            "event=feed.iterate_failed exit=%lld signal=%d timed_out=%d error=\"%s\" hint=\"a "
            "userdb that cannot iterate needs users_file\"",
            (long long)c->exit_status, c->signal, c->timed_out, c->error);
        finish(s, STATUS_IO);
        return;
    }
    chunk_next(s);
}

/* ---- chunks ---- */

static enum status chunk_file(struct sweep *s)
{
    s->memory_file = memfd_create("users", MFD_CLOEXEC);
    if (s->memory_file < 0) {
        return status_from_errno(ENOMEM);
    }
    size_t at = s->chunk_from;
    s->chunk_n = 0;
    while (at < s->users.size && s->chunk_n < SWEEP_USERS_MAX) {
        const char *name = (const char *)s->users.data + at;
        size_t n = strlen(name);
        char line[USER_NAME_MAX + 2];
        memcpy(line, name, n);
        line[n] = '\n';
        if (write(s->memory_file, line, n + 1) != (ssize_t)(n + 1)) {
            return STATUS_IO;
        }
        s->chunk_n++;
        at += n + 1;
    }
    s->users_at = at;
    return OK;
}

static void each_of_chunk(struct sweep *s, void (*each)(struct sweep *s, struct feed_user *u))
{
    for (size_t at = s->chunk_from; at < s->users_at;) {
        const char *name = (const char *)s->users.data + at;
        struct feed_user *u = roster_find(s->roster, name);
        at += strlen(name) + 1;
        if (u != NULL) {
            each(s, u);
        }
    }
}

static void make_dirty(struct sweep *s, struct feed_user *u)
{
    s->dirty(s, u);
}

static void compare_seen(struct sweep *s, struct feed_user *u)
{
    for (uint32_t i = 0; i < u->mailboxes_n; i++) {
        if (u->mailboxes[i].present && u->mailboxes[i].seen != s->number) {
            s->dirty(s, u);
            return;
        }
    }
}

static void compare_subscribed(struct sweep *s, struct feed_user *u)
{
    for (uint32_t i = 0; i < u->mailboxes_n; i++) {
        const struct feed_mailbox *m = &u->mailboxes[i];
        if (m->present && m->subscribed != (m->subscribed_seen == s->number)) {
            u->subscriptions_changed = true;
            s->dirty(s, u);
            return;
        }
    }
}

static void on_status_row(void *arg, const struct listing_row *row)
{
    struct sweep *s = arg;
    struct feed_user *u = roster_find(s->roster, row->user);
    if (u == NULL || !u->loaded || !visit_maybe_own(s->world, u, row->name)) {
        return;
    }
    if ((row->has & LISTING_HAS_STATUS) != LISTING_HAS_STATUS) {
        s->dirty(s, u);
        return;
    }
    struct feed_mailbox *m = feed_user_find(u, &row->guid);
    char name[MAILBOX_NAME_MAX + 1];
    memcpy(name, row->name, sizeof(name));
    mailbox_name_swap_separator(name, s->world->separator);
    if (m != NULL) {
        m->seen = s->number;
    }
    if (m == NULL || roster_differs(m, row, feed_name_hash(name))) {
        s->dirty(s, u);
    }
}

static void on_subscription_row(void *arg, const struct listing_row *row)
{
    struct sweep *s = arg;
    struct feed_user *u = roster_find(s->roster, row->user);
    char name[MAILBOX_NAME_MAX + 1];
    memcpy(name, row->name, sizeof(name));
    mailbox_name_swap_separator(name, s->world->separator);
    uint64_t hash = feed_name_hash(name);
    for (uint32_t i = 0; u != NULL && i < u->mailboxes_n; i++) {
        if (u->mailboxes[i].name_hash == hash) {
            u->mailboxes[i].subscribed_seen = s->number;
        }
    }
}

/* ---- listings ---- */

static void on_output(struct child *c, const uint8_t *data, size_t size)
{
    struct sweep *s = c->arg;
    if (listing_input(&s->listing, data, size) != OK) {
        child_kill(c);
    }
}

static void start_listing(struct sweep *s, enum sweep_step step);

static void on_ended(struct child *c)
{
    struct sweep *s = c->arg;
    s->cpu_us += c->cpu_us;
    close(s->memory_file);
    s->memory_file = -1;
    listing_end(&s->listing);
    if (s->stopping) {
        finish(s, STATUS_CANCELED);
        return;
    }
    bool whole = doveadm_listing_whole(c) && s->listing.bad == 0;
    if (!whole) {
        log_warn(
            "event=feed.sweep_listing_failed users=%u timed_out=%d exit=%lld signal=%d bad_rows=%u "
            "error=\"%s\" then=\"each is visited\"",
            s->chunk_n, c->timed_out, (long long)c->exit_status, c->signal, s->listing.bad,
            c->error);
        each_of_chunk(s, make_dirty);
    } else if (s->step == SWEEP_STATUS) {
        each_of_chunk(s, compare_seen);
        start_listing(s, SWEEP_SUBSCRIPTIONS);
        return;
    } else {
        each_of_chunk(s, compare_subscribed);
    }
    s->chunk_from = s->users_at;
    chunk_next(s);
}

static void start_listing(struct sweep *s, enum sweep_step step)
{
    static const char *const status_words[] = {
        "-f", "tab", "mailbox", "status", "-F", "/dev/fd/3", DOVEADM_STATUS_FIELDS, "*", NULL};
    static const char *const list_words[] = {"-f", "tab",       "mailbox", "list", "-s",
                                             "-F", "/dev/fd/3", "*",       NULL};
    bool status_step = step == SWEEP_STATUS;
    s->step = step;
    listing_deinit(&s->listing);
    listing_init(&s->listing, status_step ? on_status_row : on_subscription_row, s);
    enum status status = chunk_file(s);
    s->child.output = on_output;
    s->child.ended = on_ended;
    s->child.arg = s;
    if (status == OK) {
        status = doveadm_start(&s->child, s->world->loop, s->world->config,
                               status_step ? status_words : list_words, s->memory_file);
    }
    if (status != OK) {
        if (s->memory_file >= 0) {
            close(s->memory_file);
            s->memory_file = -1;
        }
        log_error("event=feed.sweep_failed why=\"%s\"", status_text(status));
        finish(s, status);
    }
}

static void chunk_next(struct sweep *s)
{
    if (s->stopping) {
        finish(s, STATUS_CANCELED);
    } else if (s->chunk_from >= s->users.size) {
        finish(s, OK);
    } else {
        start_listing(s, SWEEP_STATUS);
    }
}

void sweep_start(struct sweep *s)
{
    static const char *const words[] = {"user", "*", NULL};
    must(s->step == SWEEP_IDLE);
    s->number = s->number + 1 == 0 ? 1 : s->number + 1;
    s->started_ms = uv_now(s->world->loop);
    s->users_seen = 0;
    s->cpu_us = 0;
    s->refused_said = false;
    s->users_at = s->chunk_from = 0;
    buffer_clear(&s->users);
    s->step = SWEEP_USERS;
    s->world->counters->sweeps++;
    if (!s->world->config->iterate) {
        enum status status = users_read_file(s);
        if (status != OK) {
            finish(s, status);
        } else {
            chunk_next(s);
        }
        return;
    }
    listing_deinit(&s->listing);
    listing_init(&s->listing, on_status_row, s);
    s->child.output = users_output;
    s->child.ended = users_ended;
    s->child.arg = s;
    enum status status = doveadm_start(&s->child, s->world->loop, s->world->config, words, -1);
    if (status != OK) {
        finish(s, status);
    }
}

void sweep_stop(struct sweep *s)
{
    if (s->step != SWEEP_IDLE) {
        s->stopping = true;
        child_kill(&s->child);
    }
}
