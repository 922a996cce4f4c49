/* When a listing names all that there are: a program that says what doveadm says, run as doveadm is. */
#include "node/feed/doveadm.h"
#include "tests/lib/check.h"

#define ABSENT                                                                                   \
    "doveadm(bo): Error: Mailbox Temp: Failed to lookup mailbox status: Mailbox doesn't exist: " \
    "Temp"
#define UNREADABLE \
    "doveadm(bo): Error: Mailbox Work: Failed to lookup mailbox status: Permission denied"

static struct child child;
static struct feed_config config;
static unsigned ends;

static void output(struct child *c, const uint8_t *data, size_t size)
{
    (void)c;
    (void)data;
    (void)size;
}

static void ended(struct child *c)
{
    (void)c;
    ends++;
}

/* The shell plays doveadm: -c is followed by what it does. */
static void run(const char *script)
{
    static const char *const no_words[] = {NULL};
    uv_loop_t loop;
    ends = 0;
    snprintf(config.doveadm, sizeof(config.doveadm), "/bin/sh");
    snprintf(config.doveadm_config, sizeof(config.doveadm_config), "%s", script);
    config.pull_deadline_ms = 60000;
    child.output = output;
    child.ended = ended;
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_OK(doveadm_start(&child, &loop, &config, no_words, -1));
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&loop), 0);
    CHECK_EQ(ends, 1u);
}

static void success_is_whole_whatever_was_said(void)
{
    run("echo \"doveadm(x): Info: User no longer exists, skipping\" >&2");
    CHECK(doveadm_listing_whole(&child));
}

static void a_mailbox_that_does_not_exist_is_none_that_is_missing(void)
{
    run("echo \"" ABSENT "\" >&2; echo \"" ABSENT "\" >&2; exit 68");
    CHECK_EQ(child.error_lines, 2u);
    CHECK(doveadm_listing_whole(&child));
}

static void a_last_line_without_its_end_counts_too(void)
{
    run("printf \"" ABSENT "\" >&2; exit 68");
    CHECK(doveadm_listing_whole(&child));
}

static void any_other_trouble_makes_it_incomplete(void)
{
    run("echo \"" ABSENT "\" >&2; echo \"" UNREADABLE "\" >&2; exit 68");
    CHECK(!doveadm_listing_whole(&child));
    run("echo \"" ABSENT "\" >&2; exit 75");
    CHECK(!doveadm_listing_whole(&child));
    run("exit 68");
    CHECK(!doveadm_listing_whole(&child));
    run("echo \"" ABSENT "\" >&2; kill -9 $$");
    CHECK(!doveadm_listing_whole(&child));
}

static void what_a_child_took_is_known_at_its_end(void)
{
    run("i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done");
    CHECK(child.cpu_us > 0);
    uint64_t long_us = child.cpu_us;
    run("exit 0");
    CHECK(child.cpu_us < long_us);
}

CHECK_MAIN
{
    RUN(success_is_whole_whatever_was_said);
    RUN(a_mailbox_that_does_not_exist_is_none_that_is_missing);
    RUN(a_last_line_without_its_end_counts_too);
    RUN(what_a_child_took_is_known_at_its_end);
    RUN(any_other_trouble_makes_it_incomplete);
}
