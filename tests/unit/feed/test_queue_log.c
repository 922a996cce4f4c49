/* The log of an instance from the journal, with journalctl played: when it has failed, and how it is read again. */
#include "node/feed/queue_log.h"

#include <string.h>

#include "tests/lib/check.h"

static struct queue_log l;
static struct child *started; /* since the last look */
static char cursor_asked[100];
static char got[1000];
static uint64_t now_ms;

/* ---- node/feed/child.h, played ---- */

enum status child_start(struct child *c, uv_loop_t *loop, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms)
{
    (void)loop, (void)inherit_fd, (void)deadline_ms;
    CHECK(!c->active);
    c->active = true;
    c->killed = false;
    c->exit_status = 0;
    snprintf(cursor_asked, sizeof(cursor_asked), "%s", argv[5]);
    started = c;
    return OK;
}

enum status child_write(struct child *c, const void *data, size_t size)
{
    (void)c, (void)data, (void)size;
    return STATUS_FULL;
}

void child_pause(struct child *c)
{
    c->paused = true;
}

void child_resume(struct child *c)
{
    c->paused = false;
}

void child_touch(struct child *c)
{
    (void)c;
}

void child_kill(struct child *c)
{
    c->killed = true;
}

static void ends(int64_t exit_status)
{
    l.child.active = false;
    l.child.exit_status = exit_status;
    l.child.ended(&l.child);
}

static void says(const char *cursor, const char *tag, const char *text)
{
    char line[500];
    int n = snprintf(line, sizeof(line),
                     "{\"__CURSOR\": \"%s\", \"__REALTIME_TIMESTAMP\": \"1795527779000000\", "
                     "\"SYSLOG_IDENTIFIER\": \"%s\", \"MESSAGE\": \"%s\"}\n",
                     cursor, tag, text);
    l.child.output(&l.child, (const uint8_t *)line, (size_t)n);
}

/* ---- the owner ---- */

static bool on_event(struct queue_log *q, const struct maillog_event *e)
{
    size_t n = strlen(got);
    (void)q;
    snprintf(got + n, sizeof(got) - n, "%s ", e->id);
    return true;
}

static void on_stopped(struct queue_log *q)
{
    (void)q;
}

static enum status poll_after(uint64_t ms)
{
    now_ms += ms;
    started = NULL;
    return queue_log_poll(&l, now_ms, now_ms / 1000);
}

static void begin(const char *position)
{
    memset(&l, 0, sizeof(l));
    l.event = on_event;
    l.stopped = on_stopped;
    got[0] = '\0';
    now_ms = 1000000;
    CHECK_OK(queue_log_open(&l, NULL, "", "/journalctl", "postfix", position));
    CHECK_OK(poll_after(0));
    CHECK(started != NULL);
}

static void end(void)
{
    queue_log_stop(&l);
    buffer_deinit(&l.pending);
}

/* ---- the tests ---- */

static void a_journalctl_that_ends_at_once_each_time_has_failed_all_the_time(void)
{
    begin("");
    for (int i = 0; i < 5; i++) {
        ends(1);
        CHECK_EQ(poll_after(100), STATUS_CLOSED);
        CHECK(started == NULL);
        CHECK_EQ(poll_after(QUEUE_LOG_AGAIN_MS),
                 STATUS_CLOSED); /* the next one has shown nothing yet */
        CHECK(started != NULL);
        CHECK_EQ(poll_after(QUEUE_LOG_AGAIN_MS / 2), STATUS_CLOSED);
    }
    end();
}

static void one_that_says_something_or_lives_on_has_not(void)
{
    begin("");
    ends(1);
    CHECK_EQ(poll_after(QUEUE_LOG_AGAIN_MS), STATUS_CLOSED);
    says("c1", "postfix/qmgr", "3F2A: removed");
    CHECK_OK(poll_after(100));
    CHECK_STR_EQ(got, "3F2A ");
    ends(1);
    CHECK_EQ(poll_after(QUEUE_LOG_AGAIN_MS), STATUS_CLOSED);
    CHECK_STR_EQ(cursor_asked, "--after-cursor=c1");
    CHECK_OK(poll_after(QUEUE_LOG_ALIVE_MS));
    end();
}

static void lines_of_this_instance_are_counted_whatever_they_say(void)
{
    begin("");
    says("c1", "postfix/cleanup", "3F2A: message-id=<x>");
    says("c2", "postfix-in/qmgr", "3F2B: removed");
    says("c3", "dovecot", "nothing of ours");
    CHECK_OK(poll_after(100));
    CHECK_EQ(l.lines, 3);
    CHECK_EQ(l.ours, 1);
    CHECK_STR_EQ(got, "");
    end();
}

static void it_is_read_again_from_a_position(void)
{
    char position[QUEUE_LOG_POSITION_MAX];
    begin("journal c0");
    CHECK_STR_EQ(cursor_asked, "--after-cursor=c0");
    queue_log_position(&l, position);
    says("c1", "postfix/qmgr", "3F2A: removed");
    CHECK_OK(poll_after(100));
    says("c2", "postfix/qmgr", "3F2B: removed");
    queue_log_again(&l, position);
    CHECK(l.child.killed);
    CHECK_OK(poll_after(100)); /* it has not ended yet: nothing of it counts */
    CHECK_STR_EQ(got, "3F2A ");
    ends(-1);
    CHECK_OK(poll_after(100));
    CHECK(started != NULL);
    CHECK_STR_EQ(cursor_asked, "--after-cursor=c0");
    says("c1", "postfix/qmgr", "3F2A: removed");
    CHECK_OK(poll_after(100));
    CHECK_STR_EQ(got, "3F2A 3F2A ");
    end();
}

static void a_position_in_a_file_is_a_gap_of_the_journal(void)
{
    begin("");
    CHECK_EQ(queue_log_gaps(&l), 0);
    end();
    begin("journal c0");
    CHECK_EQ(queue_log_gaps(&l), 0);
    end();
    begin("file 1 2 3 4");
    CHECK_EQ(queue_log_gaps(&l), 1);
    end();
}

CHECK_MAIN
{
    RUN(a_journalctl_that_ends_at_once_each_time_has_failed_all_the_time);
    RUN(one_that_says_something_or_lives_on_has_not);
    RUN(lines_of_this_instance_are_counted_whatever_they_say);
    RUN(a_position_in_a_file_is_a_gap_of_the_journal);
    RUN(it_is_read_again_from_a_position);
}
