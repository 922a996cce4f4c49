/* What a node keeps of the feeds' words. */
#include "node/feed_table.h"

#include "tests/lib/check.h"

static struct feed_table table;

static struct bytes word(const char *host, const char *store, uint64_t users, uint8_t *out)
{
    Mq__FeedStatus s = MQ__FEED_STATUS__INIT;
    s.host = (char *)(uintptr_t)host;
    s.store = (char *)(uintptr_t)store;
    s.users = users;
    return (struct bytes){out, mq__feed_status__pack(&s, out)};
}

static enum status put(const char *host, uint64_t users, const char *node, uint64_t age_ms,
                       uint64_t now_ms)
{
    uint8_t packed[600];
    return feed_table_put(&table, word(host, "store", users, packed), node, 0, age_ms, now_ms);
}

static void the_newest_word_wins_whoever_brings_it(void)
{
    CHECK_EQ(put("mx1", 1, "bj1", 0, 10000), OK);
    CHECK_EQ(put("mx1", 2, "sh1", 500, 10000), STATUS_OLD);
    CHECK_EQ(table.words[0].status->users, 1);
    CHECK_EQ(put("mx1", 3, "sh1", 500, 12000), OK);
    CHECK_EQ(table.n, 1);
    CHECK_EQ(table.words[0].status->users, 3);
    CHECK_EQ(table.words[0].heard_ms, 11500);
    CHECK(strcmp(table.words[0].node, "sh1") == 0);
    feed_table_deinit(&table);
}

static void the_end_of_a_feeds_certificate_is_that_of_its_newest_word(void)
{
    uint8_t packed[600];
    struct bytes w = word("mx1", "store", 1, packed);
    CHECK_EQ(feed_table_put(&table, w, "bj1", 777, 0, 1000), OK);
    CHECK_EQ(table.words[0].certificate_expires_ms, 777);
    CHECK_EQ(feed_table_put(&table, w, "sh1", 888, 500, 1000), STATUS_OLD);
    CHECK_EQ(table.words[0].certificate_expires_ms, 777);
    CHECK_EQ(feed_table_put(&table, w, "sh1", 888, 0, 2000), OK);
    CHECK_EQ(table.words[0].certificate_expires_ms, 888);
    feed_table_deinit(&table);
}

static void a_word_older_than_this_node_is_kept_with_its_age(void)
{
    CHECK_EQ(put("mx1", 1, "bj1", 60000, 1000), OK);
    CHECK_EQ(1000 - table.words[0].heard_ms, 60000);
    CHECK_EQ(put("mx1", 2, "bj1", 60001, 1000), STATUS_OLD);
    CHECK_EQ(put("mx1", 2, "bj1", 0, 1000), OK);
    feed_table_deinit(&table);
}

static void one_host_may_run_a_feed_a_store(void)
{
    uint8_t packed[600];
    CHECK_EQ(feed_table_put(&table, word("mx1", "a", 1, packed), "bj1", 0, 0, 1), OK);
    CHECK_EQ(feed_table_put(&table, word("mx1", "b", 1, packed), "bj1", 0, 0, 1), OK);
    CHECK_EQ(table.n, 2);
    feed_table_deinit(&table);
}

static void what_is_no_status_changes_nothing(void)
{
    uint8_t packed[600];
    static uint8_t big[FEED_STATUS_BYTES_MAX + 1];
    char store[FEED_STORE_BYTES_MAX + 2];
    memset(store, 's', sizeof(store) - 1);
    store[sizeof(store) - 1] = '\0';
    CHECK_EQ(feed_table_put(&table, (struct bytes){NULL, 0}, "x", 0, 0, 1), STATUS_MALFORMED);
    CHECK_EQ(feed_table_put(&table, (struct bytes){big, 100}, "x", 0, 0, 1), STATUS_MALFORMED);
    CHECK_EQ(feed_table_put(&table, (struct bytes){big, sizeof(big)}, "x", 0, 0, 1),
             STATUS_TOO_BIG);
    CHECK_EQ(feed_table_put(&table, word("", "s", 1, packed), "x", 0, 0, 1), STATUS_MALFORMED);
    CHECK_EQ(feed_table_put(&table, word("h", store, 1, packed), "x", 0, 0, 1), STATUS_MALFORMED);
    /* What it would be packed as could not be read by the node that it is passed on to. */
    static const uint8_t unreadable[] = {10, 1, 'h', 26, 1, 's', 0x80, 0, 7};
    CHECK_EQ(feed_table_put(&table, (struct bytes){unreadable, sizeof(unreadable)}, "x", 0, 0, 1),
             STATUS_MALFORMED);
    CHECK_EQ(table.n, 0);
}

static void a_full_table_gives_the_place_of_a_silent_feed_and_of_no_other(void)
{
    char host[32];
    uint64_t now_ms = 100000;
    for (unsigned i = 0; i < FEEDS_MAX; i++) {
        snprintf(host, sizeof(host), "mx%u", i);
        CHECK_EQ(put(host, i, "bj1", i == 7 ? 5000 : 1000, now_ms), OK);
    }
    CHECK_EQ(put("new", 1, "bj1", 0, now_ms), STATUS_FULL);
    now_ms += FEED_SILENT_MS - 4000;
    CHECK_EQ(put("new", 1, "bj1", 0, now_ms), OK);
    CHECK(strcmp(table.words[7].status->host, "new") == 0);
    CHECK_EQ(table.n, FEEDS_MAX);
    feed_table_deinit(&table);
}

static void a_feed_is_forgotten_a_day_after_its_last_word(void)
{
    CHECK_EQ(put("mx1", 1, "bj1", 0, 1000), OK);
    CHECK_EQ(put("mx2", 1, "bj1", 0, 2000), OK);
    feed_table_forget(&table, 1000 + FEED_FORGET_MS);
    CHECK_EQ(table.n, 1);
    CHECK(strcmp(table.words[0].status->host, "mx2") == 0);
    CHECK_EQ(put("mx3", 1, "bj1", FEED_FORGET_MS, 3000), STATUS_FULL);
    feed_table_deinit(&table);
}

CHECK_MAIN
{
    RUN(the_newest_word_wins_whoever_brings_it);
    RUN(the_end_of_a_feeds_certificate_is_that_of_its_newest_word);
    RUN(a_word_older_than_this_node_is_kept_with_its_age);
    RUN(one_host_may_run_a_feed_a_store);
    RUN(what_is_no_status_changes_nothing);
    RUN(a_full_table_gives_the_place_of_a_silent_feed_and_of_no_other);
    RUN(a_feed_is_forgotten_a_day_after_its_last_word);
}
