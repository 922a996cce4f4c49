/* Two sources of lines, one of events. */
#include "node/feed/queue_log.h"

#include <stdio.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"

static bool take_entry(struct queue_log *l, const struct maillog_entry *entry)
{
    struct maillog_event e;
    size_t n = strlen(l->name);
    if (entry->tag.size > n && memcmp(entry->tag.data, l->name, n) == 0 &&
        entry->tag.data[n] == '/') {
        l->ours++;
    }
    return !maillog_event(entry, l->name, &e) || l->event(l, &e);
}

static bool on_file_line(void *arg, const char *data, size_t size)
{
    struct queue_log *l = arg;
    struct maillog_entry entry;
    l->lines++;
    return !maillog_line(data, size, l->now_s, &entry) || take_entry(l, &entry);
}

/* ---- the journal ---- */

static void on_output(struct child *c, const uint8_t *data, size_t size)
{
    struct queue_log *l = c->arg;
    l->child_failed = false;
    must(buffer_append(&l->pending, data, size) == OK); /* paused before it could be full */
    if (l->pending.size > QUEUE_LOG_PENDING_MAX - CHILD_READ_MAX) {
        child_pause(c);
    }
}

static void on_ended(struct child *c)
{
    struct queue_log *l = c->arg;
    if (l->stopping) {
        l->stopped(l);
        return;
    }
    if (l->again) { /* we ended it */
        l->again = false;
        l->start_ms = 0;
        return;
    }
    l->child_failed = true;
    log_warn("event=feed.journal_ended exit=%lld signal=%d error=\"%s\"", (long long)c->exit_status,
             c->signal, c->error);
}

static enum status start_journal(struct queue_log *l, uint64_t now_ms)
{
    char after[MAILLOG_CURSOR_MAX + 20];
    snprintf(after, sizeof(after), "--after-cursor=%s", l->cursor);
    const char *const argv[] = {l->journalctl,
                                "-f",
                                "-o",
                                "json",
                                "--no-pager",
                                l->cursor[0] != '\0' ? after : "--lines=0",
                                "SYSLOG_FACILITY=2",
                                NULL};
    l->child.output = on_output;
    l->child.ended = on_ended;
    l->child.arg = l;
    l->start_ms = now_ms + QUEUE_LOG_AGAIN_MS;
    l->alive_ms = now_ms + QUEUE_LOG_ALIVE_MS;
    return child_start(&l->child, l->loop, argv, -1, 10 * QUEUE_LOG_AGAIN_MS);
}

/* true: the owner wants more. */
static bool take_pending(struct queue_log *l)
{
    bool more = true;
    size_t at = 0;
    while (more) {
        const char *from = (const char *)l->pending.data + at;
        const char *end = at == l->pending.size ? NULL : memchr(from, '\n', l->pending.size - at);
        struct maillog_entry entry;
        if (end == NULL) {
            break;
        }
        size_t n = (size_t)(end - from);
        at += n + 1;
        l->lines++;
        if (!l->skipping && maillog_journal(from, n, l->space, &entry, l->cursor)) {
            more = take_entry(l, &entry);
        }
        l->skipping = false;
    }
    if (at > 0) {
        buffer_consume(&l->pending, at);
    } else if (l->pending.size > CHILD_READ_MAX) { /* one line */
        l->skipping = true;
        buffer_clear(&l->pending);
    }
    return more;
}

static enum status poll_journal(struct queue_log *l, uint64_t now_ms)
{
    enum status s = OK;
    if (!child_active(&l->child) && now_ms >= l->start_ms) {
        buffer_clear(&l->pending);
        s = start_journal(l, now_ms);
    }
    if (child_active(&l->child) && now_ms >= l->alive_ms) {
        l->child_failed = false;
    }
    if (l->again) {
        return OK;
    }
    child_touch(&l->child); /* it may have nothing to say for a long time */
    if (take_pending(l)) {
        child_resume(&l->child);
    }
    return s != OK ? s : l->child_failed ? STATUS_CLOSED : OK;
}

/* ---- both ---- */

static void take_cursor(struct queue_log *l, const char *position)
{
    if (strncmp(position, "journal ", 8) == 0) {
        snprintf(l->cursor, sizeof(l->cursor), "%s", position + 8);
    }
}

enum status queue_log_open(struct queue_log *l, uv_loop_t *loop, const char *path,
                           const char *journalctl, const char *name, const char *position)
{
    l->loop = loop;
    l->journalctl = journalctl;
    l->name = name;
    l->journal = path[0] == '\0';
    snprintf(l->path, sizeof(l->path), "%s", path);
    buffer_init(&l->pending, QUEUE_LOG_PENDING_MAX);
    l->file.fd = -1;
    if (!l->journal) {
        return log_file_open(&l->file, l->path, position);
    }
    take_cursor(l, position);
    l->journal_gaps = position[0] != '\0' && l->cursor[0] == '\0' ? 1 : 0; /* it was of a file */
    return OK;
}

uint64_t queue_log_gaps(const struct queue_log *l)
{
    return l->journal ? l->journal_gaps : l->file.gaps;
}

void queue_log_again(struct queue_log *l, const char *position)
{
    if (!l->journal) {
        log_file_again(&l->file, position);
        return;
    }
    take_cursor(l, position);
    buffer_clear(&l->pending);
    l->skipping = false;
    if (child_active(&l->child)) {
        l->again = true;
        child_kill(&l->child);
    }
}

enum status queue_log_poll(struct queue_log *l, uint64_t now_ms, uint64_t now_s)
{
    l->now_s = now_s;
    return l->journal ? poll_journal(l, now_ms) : log_file_read(&l->file, now_ms, on_file_line, l);
}

void queue_log_position(const struct queue_log *l, char out[QUEUE_LOG_POSITION_MAX])
{
    if (!l->journal) {
        log_file_position(&l->file, out);
        return;
    }
    out[0] = '\0';
    if (l->cursor[0] != '\0') {
        snprintf(out, QUEUE_LOG_POSITION_MAX, "journal %s", l->cursor);
    }
}

void queue_log_stop(struct queue_log *l)
{
    l->stopping = true;
    log_file_close(&l->file);
    if (child_active(&l->child)) {
        child_kill(&l->child);
    } else {
        l->stopped(l);
    }
}
