/* The parser of `postqueue -j`, with what Postfix 3.7 really said, in pieces of every size. */
#include "node/feed/postqueue.h"
#include "proto/command.pb-c.h"
#include "tests/lib/check.h"

static const char real[] =
    "{\"queue_name\": \"deferred\", \"queue_id\": \"4jYSY94lpvz1TYjh\", \"arrival_time\": "
    "1795489965, "
    "\"message_size\": 427, \"forced_expire\": false, \"sender\": \"s@src.test\", \"recipients\": "
    "[{\"address\": \"carol@far.example\", \"delay_reason\": \"connect to "
    "127.0.0.1[127.0.0.1]:10999: "
    "Connection refused\"}]}\n"
    "{\"queue_name\": \"hold\", \"queue_id\": \"3F2A\", \"arrival_time\": 1795489966, "
    "\"message_size\": "
    "1, \"forced_expire\": true, \"sender\": \"MAILER-DAEMON\", \"recipients\": [{\"address\": "
    "\"a\\\"b\\u00e9\\ud83d\\ude00@x.test\", \"orig_address\": \"list@x.test\"}, {\"address\": "
    "\"b@x.test\"}]}\n";

struct seen {
    unsigned n, stop_after;
    struct postqueue_item items[4];
};

static bool on_item(struct postqueue *p, const struct postqueue_item *item)
{
    struct seen *s = p->arg;
    if (s->n < 4) {
        s->items[s->n] = *item;
    }
    s->n++;
    return s->n != s->stop_after;
}

static struct seen seen;
static struct postqueue parser;

static bool parse(const char *text, size_t size, size_t piece)
{
    memset(&seen, 0, sizeof(seen));
    parser.on_item = on_item;
    parser.arg = &seen;
    postqueue_begin(&parser);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        CHECK_EQ(postqueue_input(&parser, text + at, n), n);
    }
    return postqueue_end(&parser);
}

static void a_listing_is_read_in_pieces_of_any_size(void)
{
    for (size_t piece = 1; piece < sizeof(real); piece++) {
        CHECK(parse(real, sizeof(real) - 1, piece));
        CHECK_EQ(seen.n, 2);
        CHECK_STR_EQ(seen.items[0].id, "4jYSY94lpvz1TYjh");
        CHECK_EQ(seen.items[0].state, MQ__QUEUE_ITEM__STATE__DEFERRED);
        CHECK_EQ(seen.items[0].arrival, 1795489965);
        CHECK_EQ(seen.items[0].size, 427);
        CHECK_STR_EQ(seen.items[0].sender, "s@src.test");
        CHECK_EQ(seen.items[0].recipients_n, 1);
        CHECK_STR_EQ(seen.items[0].recipients[0].reply,
                     "connect to 127.0.0.1[127.0.0.1]:10999: Connection refused");
        CHECK_STR_EQ(seen.items[1].sender, "");
        CHECK(seen.items[1].forced_expire);
        CHECK_EQ(seen.items[1].recipients_n, 2);
        CHECK_STR_EQ(seen.items[1].recipients[0].address, "a\"b\xc3\xa9\xf0\x9f\x98\x80@x.test");
        CHECK_STR_EQ(seen.items[1].recipients[0].orig_address, "list@x.test");
        CHECK_STR_EQ(seen.items[1].recipients[1].reply, "");
    }
}

static void a_listing_cut_anywhere_is_not_complete(void)
{
    size_t first = strcspn(real, "\n") + 1;
    for (size_t size = 1; size < sizeof(real) - 2; size++) {
        bool between = size == first || size == first - 1; /* the line's end may be missing */
        CHECK_EQ(parse(real, size, size), between);
    }
    CHECK(parse("", 0, 1)); /* an empty queue */
}

static void what_is_no_listing_is_bad_and_the_next_line_is_read(void)
{
    char text[4096];
    snprintf(text, sizeof(text), "Mail queue is empty\n%s{\"queue_id\": 7}\n[]\n{\"a\": \"b\n%s",
             real, real);
    CHECK(!parse(text, strlen(text), 7));
    CHECK_EQ(seen.n, 4);
    CHECK_EQ(parser.bad, 4);
    CHECK(!parse("{\"queue_name\": \"deferred\", \"queue_id\": \"a/b\", \"arrival_time\": 1}\n", 63,
                 63));
    CHECK(!parse("{\"queue_name\": \"new\", \"queue_id\": \"ab\", \"arrival_time\": 1}\n", 57, 57));
    CHECK(!parse("{\"queue_name\": \"hold\", \"queue_id\": \"ab\"}\n", 40, 40));
}

static void what_a_later_postfix_adds_is_passed_over(void)
{
    static const char text[] =
        "{\"queue_name\": \"active\", \"next\": {\"x\": [1, \"]}\", {\"y\": null}]}, \"queue_id\": "
        "\"ab\", "
        "\"arrival_time\": 5, \"tags\": [], \"ratio\": -1.5e3, \"recipients\": [{\"address\": "
        "\"a@b\", "
        "\"more\": [\"x\"], \"n\": 3, \"bounce_reason\": \"no\"}]}\n";
    for (size_t piece = 1; piece < 9; piece++) {
        CHECK(parse(text, sizeof(text) - 1, piece));
        CHECK_EQ(seen.n, 1);
        CHECK_EQ(seen.items[0].recipients_n, 1);
        CHECK_STR_EQ(seen.items[0].recipients[0].reply, "no");
    }
}

static void ten_thousand_recipients_are_counted_and_the_first_kept(void)
{
    char text[200];
    memset(&seen, 0, sizeof(seen));
    parser.on_item = on_item;
    parser.arg = &seen;
    postqueue_begin(&parser);
    snprintf(text, sizeof(text),
             "{\"queue_name\": \"active\", \"queue_id\": \"ab\", \"arrival_time\": 5, "
             "\"recipients\": [");
    postqueue_input(&parser, text, strlen(text));
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(text, sizeof(text), "%s{\"address\": \"user%u@far.test\"}", i == 0 ? "" : ", ", i);
        postqueue_input(&parser, text, strlen(text));
    }
    postqueue_input(&parser, "]}\n", 3);
    CHECK(postqueue_end(&parser));
    CHECK_EQ(seen.items[0].recipients_n, POSTQUEUE_RECIPIENTS_MAX);
    CHECK_EQ(seen.items[0].recipients_omitted, 10000 - POSTQUEUE_RECIPIENTS_MAX);
    CHECK_STR_EQ(seen.items[0].recipients[63].address, "user63@far.test");
}

static void long_texts_are_cut_and_bad_bytes_replaced(void)
{
    char text[2048], reply[600];
    memset(reply, 'x', sizeof(reply) - 1);
    reply[sizeof(reply) - 1] = '\0';
    snprintf(
        text, sizeof(text),
        "{\"queue_name\": \"active\", \"queue_id\": \"ab\", \"arrival_time\": 5, \"recipients\": "
        "[{\"address\": \"a\xff\\u0001\\n@b\", \"delay_reason\": \"%s\"}, {\"address\": "
        "\"%s\"}]}\n",
        reply, reply);
    CHECK(parse(text, strlen(text), 11));
    CHECK_EQ(seen.items[0].recipients_n, 1);
    CHECK_EQ(seen.items[0].recipients_omitted, 1); /* an address is whole, or it is counted */
    CHECK_STR_EQ(seen.items[0].recipients[0].address, "a???@b");
    CHECK_EQ(strlen(seen.items[0].recipients[0].reply), POSTQUEUE_REPLY_MAX);
    CHECK_STR_EQ(seen.items[0].recipients[0].reply + POSTQUEUE_REPLY_MAX - 4, "x...");
}

static void the_owner_may_have_enough_and_go_on_later(void)
{
    memset(&seen, 0, sizeof(seen));
    seen.stop_after = 1;
    parser.on_item = on_item;
    parser.arg = &seen;
    postqueue_begin(&parser);
    size_t n = postqueue_input(&parser, real, sizeof(real) - 1);
    CHECK(n < sizeof(real) - 1);
    CHECK_EQ(real[n], '\n');
    CHECK_EQ(postqueue_input(&parser, real + n, sizeof(real) - 1 - n), sizeof(real) - 1 - n);
    CHECK_EQ(seen.n, 2);
    CHECK(postqueue_end(&parser));
}

CHECK_MAIN
{
    RUN(a_listing_is_read_in_pieces_of_any_size);
    RUN(a_listing_cut_anywhere_is_not_complete);
    RUN(what_is_no_listing_is_bad_and_the_next_line_is_read);
    RUN(what_a_later_postfix_adds_is_passed_over);
    RUN(ten_thousand_recipients_are_counted_and_the_first_kept);
    RUN(long_texts_are_cut_and_bad_bytes_replaced);
    RUN(the_owner_may_have_enough_and_go_on_later);
}
