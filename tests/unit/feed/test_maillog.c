/* Lines of Postfix' log, as 3.7 wrote them, and lines that want to look like others. */
#include "node/feed/maillog.h"

#include <stdlib.h>
#include <time.h>

#include "tests/lib/check.h"

#define NOW 1795527800u /* 2026-11-24 13:43:20 UTC */

static struct maillog_event event;

static bool parse(const char *tag, const char *text)
{
    char line[MAILLOG_LINE_MAX];
    struct maillog_entry e;
    snprintf(line, sizeof(line), "Nov 24 13:42:59 mx %s[77]: %s", tag, text);
    return maillog_line(line, strlen(line), NOW, &e) && maillog_event(&e, "postfix", &event);
}

static void deliveries_and_bounces_name_recipient_reply_and_time(void)
{
    CHECK(parse("postfix/smtp",
                "4jYkWb5N1Bz1Sx42: to=<x@ok.test>, relay=127.0.0.1[127.0.0.1]:25099, "
                "delay=0.03, delays=0.02/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)"));
    CHECK_EQ(event.kind, MAILLOG_SENT);
    CHECK_EQ(event.at, 1795527779);
    CHECK_STR_EQ(event.id, "4jYkWb5N1Bz1Sx42");
    CHECK_STR_EQ(event.recipient, "x@ok.test");
    CHECK_STR_EQ(event.orig_recipient, "");
    CHECK_STR_EQ(event.reply, "250 2.0.0 Ok");
    CHECK(parse(
        "postfix/relay/smtp",
        "3F2A: to=<carl@no.test>, orig_to=<list@no.test>, relay=h[1.2.3.4]:25, conn_use=2, "
        "delay=0.07, delays=0.06/0.01/0/0.01, dsn=5.3.0, status=bounced (host h said: 500 (x) "
        "(in reply to RCPT TO command))"));
    CHECK_EQ(event.kind, MAILLOG_BOUNCED);
    CHECK_STR_EQ(event.orig_recipient, "list@no.test");
    CHECK_STR_EQ(event.reply, "host h said: 500 (x) (in reply to RCPT TO command)");
    CHECK(parse("postfix/error",
                "3F2A: to=<a@b>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, "
                "status=deferred (later)"));
    CHECK_EQ(event.kind, MAILLOG_DEFERRED);
}

static void sent_is_not_delivered_when_it_goes_on_or_is_thrown_away(void)
{
    static const char head[] = "3F2A: to=<ada@in.test>, relay=local, delay=1, dsn=2.0.0, status=";
    char text[200];
    snprintf(text, sizeof(text), "%ssent (forwarded as 4jYkWd0SCDz1SyCF)", head);
    CHECK(parse("postfix/local", text));
    CHECK_EQ(event.kind, MAILLOG_FORWARDED);
    CHECK_STR_EQ(event.id, "3F2A");
    CHECK_STR_EQ(event.successor, "4jYkWd0SCDz1SyCF");
    CHECK_STR_EQ(event.recipient, "ada@in.test");
    CHECK_STR_EQ(event.reply, "forwarded as 4jYkWd0SCDz1SyCF");
    CHECK(parse("postfix/smtp", text)); /* another server's words */
    CHECK_EQ(event.kind, MAILLOG_SENT);
    CHECK_STR_EQ(event.successor, "");
    snprintf(text, sizeof(text), "%ssent (forwarded as an attachment)", head);
    CHECK(!parse("postfix/local", text));
    snprintf(text, sizeof(text), "%ssent (delivered to mailbox)", head);
    CHECK(parse("postfix/local", text));
    CHECK_EQ(event.kind, MAILLOG_SENT);
    snprintf(text, sizeof(text), "%sbounced (forwarded as 4jYkWd0SCDz1SyCF)", head);
    CHECK(parse("postfix/local", text));
    CHECK_EQ(event.kind, MAILLOG_BOUNCED);
    CHECK(parse("postfix/discard",
                "3F2A: to=<a@b>, relay=none, delay=1, dsn=2.0.0, status=sent (example.com)"));
    CHECK_EQ(event.kind, MAILLOG_DISCARDED);
    CHECK_STR_EQ(event.orig_recipient, "");
}

/* An alias to files or commands has a line for each, and all of them name the alias. */
static void a_line_of_local_may_be_one_of_several(void)
{
    CHECK(parse(
        "postfix/local",
        "3F2A: to=<list@in.test>, relay=local, delay=1, status=sent (delivered to file: /x)"));
    CHECK_STR_EQ(event.orig_recipient, "list@in.test");
    CHECK(parse("postfix/local",
                "3F2A: to=<ada@in.test>, orig_to=<list@in.test>, relay=local, status=sent (ok)"));
    CHECK_STR_EQ(event.orig_recipient, "list@in.test");
}

static void the_end_of_an_item_is_told_by_qmgr_postsuper_and_pickup(void)
{
    CHECK(parse("postfix/qmgr", "3F2A: removed"));
    CHECK_EQ(event.kind, MAILLOG_REMOVED);
    CHECK(parse("postfix/postsuper", "3F2A: removed"));
    CHECK_EQ(event.kind, MAILLOG_DELETED);
    CHECK(parse("postfix/qmgr", "3F2A: from=<a@b>, status=expired, returned to sender"));
    CHECK_EQ(event.kind, MAILLOG_EXPIRED);
    CHECK(parse("postfix/qmgr", "3F2A: from=<>, status=force-expired, returned to sender"));
    CHECK_EQ(event.kind, MAILLOG_EXPIRED);
    CHECK(parse("postfix/pickup",
                "4jYkWd0SCDz1SyCF: uid=102 from=<s@src.test> orig_id=4jYkWb5vZSz1Sx42"));
    CHECK_EQ(event.kind, MAILLOG_REQUEUED);
    CHECK_STR_EQ(event.id, "4jYkWb5vZSz1Sx42");
    CHECK_STR_EQ(event.successor, "4jYkWd0SCDz1SyCF");
}

static void everything_else_says_nothing_about_an_end(void)
{
    CHECK(!parse("postfix/qmgr", "3F2A: from=<a@b>, size=586, nrcpt=1 (queue active)"));
    CHECK(!parse("postfix/cleanup", "3F2A: message-id=<x@y>"));
    CHECK(!parse("postfix/postsuper", "3F2A: requeued")); /* it lies in maildrop under its id */
    CHECK(!parse("postfix/postsuper", "3F2A: placed on hold"));
    CHECK(!parse("postfix/postsuper", "Deleted: 1 message"));
    CHECK(!parse("postfix/smtpd", "connect from localhost[127.0.0.1]"));
    CHECK(!parse("postfix/smtp", "3F2A: to=<a@b>, relay=none, delay=1, status=deliverable (ok)"));
    CHECK(!parse("postfix/cleanup", "3F2A: removed"));
    CHECK(!parse("postfix-out/qmgr", "3F2A: removed")); /* another instance */
    CHECK(!parse("dovecot", "lmtp(1): 3F2A: removed"));
}

static void an_address_cannot_look_like_an_end(void)
{
    CHECK(!parse("postfix/qmgr",
                 "3F2A: from=<\"x>, status=expired, y\"@b>, size=5, nrcpt=1 (queue active)"));
    CHECK(parse("postfix/smtp",
                "3F2A: to=<\"x>, status=sent (y\"@b>, relay=none, delay=1, dsn=5.0.0, "
                "status=bounced (said, status=sent (ok))"));
    CHECK_EQ(event.kind, MAILLOG_BOUNCED);
    CHECK_STR_EQ(event.recipient, "\"x>, status=sent (y\"@b");
    CHECK_STR_EQ(event.reply, "said, status=sent (ok)");
    CHECK(!parse("postfix/pickup", "3F2A: uid=1 from=<\"x> orig_id=4444\"@b>"));
    CHECK(!parse("postfix/smtp", "3F2A: to=<a@b"));
    CHECK(!parse("postfix/smtp", "3F2A: to=<>, relay=none, status=sent (ok)"));
}

static void times_are_read_with_and_without_a_year(void)
{
    struct maillog_entry e;
    static const char iso[] = "2026-11-24T14:42:59.123456+01:00 mx postfix/qmgr[1]: 3F2A: removed";
    CHECK(maillog_line(iso, sizeof(iso) - 1, NOW, &e));
    CHECK_EQ(e.at, 1795527779);
    static const char zulu[] = "2026-11-24T13:42:59Z mx postfix/qmgr[1]: 3F2A: removed";
    CHECK(maillog_line(zulu, sizeof(zulu) - 1, NOW, &e));
    CHECK_EQ(e.at, 1795527779);
    static const char last_year[] = "Dec  1 00:00:00 mx postfix/qmgr[1]: 3F2A: removed";
    CHECK(maillog_line(last_year, sizeof(last_year) - 1, NOW, &e));
    CHECK_EQ(e.at, 1764547200);
    CHECK(maillog_event(&e, "postfix", &event));
    static const char *const none[] = {"",
                                       "Nov",
                                       "Nov 24 13:42:59 mx",
                                       "Nov 24 13:42:59 mx postfix/qmgr[1",
                                       "Non 24 13:42:59 mx postfix/qmgr[1]: 3F2A: removed",
                                       "2026-11-24T13:42:59 mx postfix/qmgr[1]: 3F2A: removed"};
    for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++) {
        CHECK(!maillog_line(none[i], strlen(none[i]), NOW, &e));
    }
}

static void a_line_of_the_journal_is_the_same(void)
{
    static const char line[] =
        "{\"__CURSOR\":\"s=1;i=2\",\"__REALTIME_TIMESTAMP\":\"1795527779123456\",\"SYSLOG_"
        "IDENTIFIER\":"
        "\"postfix/qmgr\",\"MESSAGE\":\"3F2A: removed\",\"_PID\":\"7\"}";
    char space[MAILLOG_LINE_MAX], cursor[MAILLOG_CURSOR_MAX + 1] = "";
    struct maillog_entry e;
    CHECK(maillog_journal(line, sizeof(line) - 1, space, &e, cursor));
    CHECK_STR_EQ(cursor, "s=1;i=2");
    CHECK_EQ(e.at, 1795527779);
    CHECK(maillog_event(&e, "postfix", &event));
    CHECK_EQ(event.kind, MAILLOG_REMOVED);
    static const char bytes[] =
        "{\"__CURSOR\":\"s=1;i=3\",\"MESSAGE\":[1,2,255],\"SYSLOG_IDENTIFIER\":\"x\"}";
    CHECK(!maillog_journal(bytes, sizeof(bytes) - 1, space, &e, cursor));
    CHECK_STR_EQ(cursor, "s=1;i=3"); /* it is behind us all the same */
    CHECK(!maillog_journal("{", 1, space, &e, cursor));
}

CHECK_MAIN
{
    setenv("TZ", "UTC", 1);
    tzset();
    RUN(deliveries_and_bounces_name_recipient_reply_and_time);
    RUN(sent_is_not_delivered_when_it_goes_on_or_is_thrown_away);
    RUN(a_line_of_local_may_be_one_of_several);
    RUN(the_end_of_an_item_is_told_by_qmgr_postsuper_and_pickup);
    RUN(everything_else_says_nothing_about_an_end);
    RUN(an_address_cannot_look_like_an_end);
    RUN(times_are_read_with_and_without_a_year);
    RUN(a_line_of_the_journal_is_the_same);
}
