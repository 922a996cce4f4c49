/* Requests of an event exporter: whole, in pieces, one behind another, and what is none. */
#include "node/feed/hint_request.h"
#include "node/feed/hints.h"
#include "tests/lib/check.h"

static char user[USER_NAME_MAX + 1];
static size_t used;

static enum status take(const char *text)
{
    return hint_request_take((const uint8_t *)text, strlen(text), &used, user);
}

static const char event[] =
    "POST / HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nContent-Type: application/json\r\n"
    "content-LENGTH:  93\r\n\r\n"
    "{\"event\":\"mail_expunged\",\"categories\":[\"mail\"],\"fields\":{\"user\":\"anna@x.org\","
    "\"uid\":5}     }\r\n";

static void an_event_of_dovecot_names_its_user(void)
{
    CHECK_OK(take(event));
    CHECK_STR_EQ(user, "anna@x.org");
    CHECK_EQ(used, sizeof(event) - 1);
}

static void a_request_in_pieces_is_one_when_it_is_whole(void)
{
    for (size_t n = 0; n + 1 < sizeof(event); n++) {
        CHECK_EQ(hint_request_take((const uint8_t *)event, n, &used, user), STATUS_BUSY);
    }
}

static void requests_behind_another_are_taken_one_by_one(void)
{
    char two[2 * sizeof(event)];
    snprintf(two, sizeof(two), "%s%s", event, event);
    CHECK_OK(take(two));
    CHECK_EQ(used, sizeof(event) - 1);
    CHECK_OK(take(two + used));
}

static void other_notifiers_have_the_user_on_top(void)
{
    CHECK_OK(take(
        "PUT /x HTTP/1.1\r\nContent-Length: 34\r\n\r\n{\"user\":\"bo\",\"event\":\"messageNew\"}"));
    CHECK_STR_EQ(user, "bo");
}

static void what_names_no_user_is_answered_and_nothing_else(void)
{
    CHECK_OK(take("GET / HTTP/1.1\r\n\r\n"));
    CHECK_STR_EQ(user, "");
    CHECK_OK(take("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n[1,2"));
    CHECK_STR_EQ(user, "");
    CHECK_OK(take("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\"user\":\"-\"}"));
    CHECK_STR_EQ(user, ""); /* no name a feed can use */
    CHECK_OK(take("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{\"user\":7}"));
    CHECK_STR_EQ(user, "");
}

static void what_is_no_request_is_refused(void)
{
    CHECK_EQ(take("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), STATUS_MALFORMED);
    CHECK_EQ(take("POST / HTTP/1.1\r\nContent-Length: \r\n\r\n"), STATUS_MALFORMED);
    CHECK_EQ(take("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
             STATUS_MALFORMED);
    CHECK_EQ(take("POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n"), STATUS_TOO_BIG);
    CHECK_EQ(take("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
             STATUS_TOO_BIG);
    static char header[HINT_HEADER_MAX + 2];
    memset(header, 'x', HINT_HEADER_MAX + 1);
    CHECK_EQ(take(header), STATUS_TOO_BIG);
}

static void hints_are_taken_on_loopback_only(void)
{
    struct sockaddr_storage a;
    struct error e = {0};
    CHECK_OK(hints_check_address("127.0.0.1:4000", &a, &e));
    CHECK_OK(hints_check_address("[::1]:4000", &a, &e));
    static const char *const bad[] = {"10.0.0.1:4000", "127.0.0.1", "127.0.0.1:0",
                                      "127.0.0.1:x",   "[::]:4000", "localhost:400",
                                      ":4000",         "0.0.0.0:1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(hints_check_address(bad[i], &a, &e), STATUS_INVALID);
    }
}

CHECK_MAIN
{
    RUN(an_event_of_dovecot_names_its_user);
    RUN(a_request_in_pieces_is_one_when_it_is_whole);
    RUN(requests_behind_another_are_taken_one_by_one);
    RUN(other_notifiers_have_the_user_on_top);
    RUN(what_names_no_user_is_answered_and_nothing_else);
    RUN(what_is_no_request_is_refused);
    RUN(hints_are_taken_on_loopback_only);
}
