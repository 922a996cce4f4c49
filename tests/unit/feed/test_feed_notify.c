/* What systemd is told of a feed, in words. */
#include "node/feed/feed_notify.h"

#include "tests/lib/check.h"

static struct feed f;
static struct setting_list nodes = {.n = 1, .items = {"bj1:7410"}};
static char text[FEED_NOTIFY_TEXT_MAX];

static void begin(void)
{
    memset(&f, 0, sizeof(f));
    f.uplink.nodes = &nodes;
}

static void without_a_node_it_says_that_mail_goes_on_and_why(void)
{
    begin();
    snprintf(f.uplink.why, sizeof(f.uplink.why), "connection refused");
    feed_notify_text(&f, text);
    CHECK_STR_EQ(text,
                 "no node answers, mail is not affected; trying bj1:7410: connection refused");
}

static void with_one_it_counts_users_and_those_without_a_shard(void)
{
    begin();
    f.uplink.ready = true;
    f.sweep.users_seen = 12;
    f.counters.unassigned = 2;
    feed_notify_text(&f, text);
    CHECK_STR_EQ(text, "reporting to bj1:7410: 12 users, 0 waiting, 2 without a shard, 0 failures");
}

static void a_stop_is_said_before_anything_else(void)
{
    begin();
    f.stopping = true;
    f.running = 3;
    feed_notify_text(&f, text);
    CHECK_STR_EQ(text, "stopping: 3 visits under way");
}

CHECK_MAIN
{
    RUN(without_a_node_it_says_that_mail_goes_on_and_why);
    RUN(with_one_it_counts_users_and_those_without_a_shard);
    RUN(a_stop_is_said_before_anything_else);
}
