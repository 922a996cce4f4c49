/* When a silent user becomes a trouble, what it says, and when it is none any more. */
#include "node/feed/stuck.h"

#include "tests/lib/check.h"

#define AFTER_MS 60000u

static uv_loop_t loop;
static struct troubles troubles;
static struct stuck stuck;
static struct feed_user *user;

static void begin(void)
{
    memset(&troubles, 0, sizeof(troubles));
    CHECK_EQ(uv_loop_init(&loop), 0);
    stuck_init(&stuck, &loop, AFTER_MS, &troubles);
    user = calloc(1, sizeof(*user) + 5);
    memcpy(user->name, "anna", 5);
}

static void end(void)
{
    stuck_over(&stuck, user);
    free(user);
    CHECK_EQ(uv_loop_close(&loop), 0);
}

static void a_short_silence_is_no_trouble(void)
{
    begin();
    stuck_silent(&stuck, user, AFTER_MS / 2);
    CHECK_EQ(troubles.n, 0u);
    CHECK(!stuck_named(user));
    end();
}

static void a_long_one_is_and_ends_with_an_answer(void)
{
    begin();
    stuck_silent(&stuck, user, AFTER_MS + 1);
    CHECK(stuck_named(user));
    const struct trouble *t = trouble_find(&troubles, "MQ-FEED-USER-STUCK", "anna");
    CHECK(t != NULL);
    CHECK(strstr(t->text, "no process was seen") != NULL);
    stuck_over(&stuck, user);
    CHECK_EQ(troubles.n, 0u);
    CHECK(user->stuck == NULL);
    end();
}

static void the_silence_of_visits_in_a_row_adds_up(void)
{
    begin();
    stuck_silent(&stuck, user, AFTER_MS / 2);
    user->stuck->since_ms -= AFTER_MS / 2 + 1; /* half a minute later */
    stuck_silent(&stuck, user, AFTER_MS / 2);
    CHECK(stuck_named(user));
    end();
}

static void a_known_holder_is_named_with_pid_age_and_command(void)
{
    char text[512];
    struct user_stuck x = {.since_ms = 1000,
                           .known = true,
                           .holder = {.pid = 4711, .age_s = 300, .command = "dovecot/imap anna"}};
    stuck_text(&x, 74000, text, sizeof(text));
    CHECK(strstr(text, "73 s") != NULL);
    CHECK(strstr(text, "pid 4711, 5 min old, holds the lock") != NULL);
    CHECK(strstr(text, "dovecot/imap anna") != NULL);
    snprintf(x.holder.host, sizeof(x.holder.host), "mail2");
    snprintf(x.holder.file, sizeof(x.holder.file), "/m/dovecot-uidlist.lock");
    stuck_text(&x, 74000, text, sizeof(text));
    CHECK(strstr(text, "pid 4711 on host mail2 holds /m/dovecot-uidlist.lock") != NULL);
}

/* The look itself runs on libuv's pool: nobody holds a lock here, and it says so. */
static void a_look_that_finds_nobody_changes_nothing(void)
{
    begin();
    stuck_look(&stuck, user, INT32_MAX, AFTER_MS / 2);
    CHECK(stuck.busy);
    stuck_look(&stuck, user, INT32_MAX, AFTER_MS / 2); /* one at a time */
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(!stuck.busy);
    CHECK(user->stuck != NULL);
    CHECK(!user->stuck->known);
    end();
}

CHECK_MAIN
{
    RUN(a_short_silence_is_no_trouble);
    RUN(a_long_one_is_and_ends_with_an_answer);
    RUN(the_silence_of_visits_in_a_row_adds_up);
    RUN(a_known_holder_is_named_with_pid_age_and_command);
    RUN(a_look_that_finds_nobody_changes_nothing);
}
