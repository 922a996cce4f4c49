/* The pull over scripted sessions: what it asks, which pages come out, and how it decides between changes and everything. */
#include "node/feed/imap_pull.h"
#include "node/feed/listing.h"
#include "node/feed/report.h"
#include "tests/lib/check.h"

static struct imap_pull pull;

static enum pull_event feed(const char *text)
{
    size_t used, at = 0, n = strlen(text);
    enum pull_event e;
    do {
        e = imap_pull_input(&pull, (const uint8_t *)text + at, n - at, &used);
        at += used;
    } while (e == PULL_MORE && at < n);
    CHECK_EQ(at, n);
    return e;
}

static void sent(const char *text)
{
    struct bytes out = imap_pull_output(&pull);
    if (out.size != strlen(text) || memcmp(out.data, text, out.size) != 0) {
        CHECK_FAIL("sent %.*s, not %s", (int)out.size, (const char *)out.data, text);
    }
    imap_pull_written(&pull, out.size);
}

static void open_session(void)
{
    CHECK_OK(imap_pull_init(&pull));
    CHECK_EQ(feed("* PREAUTH [CAPABILITY IMAP4rev1] Logged in\r\n"), PULL_MORE);
    sent("m1 ENABLE QRESYNC\r\n");
    CHECK_EQ(feed("* ENABLED QRESYNC\r\nm1 OK Enabled.\r\n"), PULL_MORE);
    sent("m2 NAMESPACE\r\n");
    CHECK_EQ(feed("* NAMESPACE ((\"\" \"/\")) ((\"shared/\" \"/\")) NIL\r\nm2 OK done\r\n"),
             PULL_MORE);
    sent("m3 LIST \"\" \"*\" RETURN (SUBSCRIBED)\r\n");
    CHECK_EQ(feed("* LIST (\\Subscribed) \"/\" INBOX\r\n* LIST () \"/\" \"Entw&APw-rfe\"\r\nm3 OK "
                  "List.\r\n"),
             PULL_READY);
    CHECK(imap_pull_subscribed(&pull, "INBOX"));
    CHECK(!imap_pull_subscribed(&pull, "Entwürfe"));
}

static void examine(const struct pull_cursor *c, unsigned exists, unsigned uidnext, unsigned modseq)
{
    char answer[512];
    CHECK_OK(imap_pull_mailbox(&pull, "INBOX", 77, c));
    sent("m4 EXAMINE \"INBOX\"\r\n");
    snprintf(answer, sizeof(answer),
             "* FLAGS (\\Seen)\r\n* %u EXISTS\r\n* OK [UIDVALIDITY 77] v\r\n* OK [UIDNEXT %u] "
             "n\r\n* OK [HIGHESTMODSEQ %u] h\r\nm4 OK [READ-ONLY] "
             "done\r\n",
             exists, uidnext, modseq);
    enum pull_event e = feed(answer);
    CHECK(e == PULL_MORE || e == PULL_PAGE);
}

static const char *row(unsigned sequence, unsigned uid, unsigned modseq)
{
    static char text[256];
    snprintf(text, sizeof(text),
             "* %u FETCH (UID %u FLAGS (zz aa) MODSEQ (%u) INTERNALDATE \" 1-Jan-1970 00:00:10 "
             "+0000\" RFC822.SIZE 18 X-GUID g%u)\r\n",
             sequence, uid, modseq, uid);
    return text;
}

static void close_session(void)
{
    imap_pull_logout(&pull);
    CHECK_EQ(feed("* BYE Logging out\r\n"), PULL_MORE);
    CHECK_EQ(imap_pull_end(&pull), PULL_MORE);
    imap_pull_deinit(&pull);
}

static void a_mailbox_never_seen_is_read_whole(void)
{
    struct pull_cursor none = {0};
    open_session();
    examine(&none, 2, 9, 5);
    sent("m5 UID FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID)\r\n");
    CHECK_EQ(feed(row(1, 3, 5)), PULL_MORE);
    CHECK_EQ(feed(row(2, 8, 4)), PULL_MORE);
    CHECK_EQ(feed("m5 OK Fetch completed.\r\n"), PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 2);
    CHECK_EQ(pull.page.first_uid, 1);
    CHECK_EQ(pull.page.last_uid, UINT32_MAX);
    CHECK(pull.page.last);
    CHECK_STR_EQ((char *)pull.page.bytes.data + pull.page.messages[0].keywords_at, "aa");
    CHECK_EQ(pull.plan.from_modseq, 0);
    CHECK_EQ(pull.plan.to_modseq, 5);
    CHECK_EQ(feed(""), PULL_DONE);
    CHECK_OK(pull.result);
    close_session();
}

static void changes_since_the_cursor_come_with_what_vanished(void)
{
    struct pull_cursor c = {.uidvalidity = 77, .uidnext = 9, .modseq = 5};
    open_session();
    examine(&c, 2, 9, 7);
    sent(
        "m5 UID FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID) (CHANGEDSINCE 5 "
        "VANISHED)\r\n");
    CHECK_EQ(feed("* VANISHED (EARLIER) 7,3:4,5\r\n"), PULL_MORE);
    CHECK_EQ(feed(row(2, 8, 7)), PULL_MORE);
    CHECK_EQ(feed("* 1 FETCH (UID 1 FLAGS () MODSEQ (8))\r\n* VANISHED 2\r\nm5 OK done\r\n"),
             PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 1); /* what happened during the pull belongs to the next one */
    CHECK_EQ(pull.page.vanished_n, 2);
    CHECK_EQ(pull.page.vanished[0].first, 3);
    CHECK_EQ(pull.page.vanished[0].last, 5);
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();
}

/* New mail with MODSEQs that the cursor has passed: the server lost its index log and gives them out anew. */
static void new_uids_are_read_whatever_their_modseq(void)
{
    struct pull_cursor c = {.uidvalidity = 77, .uidnext = 7, .modseq = 42};
    open_session();
    examine(&c, 4, 9, 56);
    sent(
        "m5 UID FETCH 1:6 (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID) (CHANGEDSINCE 42 "
        "VANISHED)\r\n");
    CHECK_EQ(feed(row(2, 5, 56)), PULL_MORE);
    CHECK_EQ(feed("m5 OK done\r\n"), PULL_MORE);
    sent("m6 UID FETCH 7:8 (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID)\r\n");
    CHECK_EQ(feed(row(3, 7, 6)), PULL_MORE);
    CHECK_EQ(feed(row(4, 8, 50)), PULL_MORE);
    CHECK_EQ(feed("m6 OK done\r\n"), PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 3);
    CHECK_EQ(pull.page.messages[1].uid, 7);
    CHECK(pull.page.last);
    CHECK(!pull.moved);
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();
}

static void new_uids_that_are_gone_again_name_no_older_message(void)
{
    struct pull_cursor c = {.uidvalidity = 77, .uidnext = 1, .modseq = 1};
    open_session();
    examine(&c, 0, 3, 4);
    sent("m5 UID FETCH 1:2 (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID)\r\n");
    CHECK_EQ(feed("m5 OK done\r\n"), PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 0);
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();

    c = (struct pull_cursor){.uidvalidity = 77, .uidnext = 7, .modseq = 5};
    open_session();
    examine(&c, 1, 9, 6);
    imap_pull_written(&pull, imap_pull_output(&pull).size);
    CHECK_EQ(feed("m5 OK done\r\n"), PULL_MORE);
    CHECK_EQ(feed(row(1, 4, 3)), PULL_MORE); /* asked for or not */
    CHECK_EQ(feed("* 2 EXISTS\r\nm6 OK done\r\n"), PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 0);
    CHECK(pull.moved);
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();
}

/* MODSEQ is above the cursor, but an expunge was missed: only the number of messages can tell. */
static void a_record_that_counts_otherwise_is_compared_whole(void)
{
    struct report_place place = {.finished = true, .counted = true, .messages = 5};
    struct pull_cursor c = {.uidvalidity = 77, .uidnext = 9, .modseq = 5, .resync = true};
    CHECK(report_count_differs(&place, 4, 0));
    CHECK(!report_count_differs(&place, 5, 0));
    CHECK(!report_count_differs(&place, 4, 1)); /* no full comparison settled it */
    CHECK(report_count_differs(&place, 5, 1));
    place.counted = false; /* a copy has what its leader has, or less */
    CHECK(!report_count_differs(&place, 4, 0));
    place = (struct report_place){.counted = true, .messages = 5, .next_uid = 3};
    CHECK(!report_count_differs(&place, 4, 0));
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 8).from_modseq, 0);
}

static void thousands_with_one_modseq_come_in_pages_by_uid(void)
{
    struct pull_cursor c = {.uidvalidity = 77, .uidnext = 3000, .modseq = 5};
    unsigned pages = 0, messages = 0;
    open_session();
    examine(&c, 2500, 3000, 6);
    imap_pull_written(&pull, imap_pull_output(&pull).size);
    CHECK_EQ(feed("* VANISHED (EARLIER) 2600:2700\r\n"), PULL_MORE);
    uint32_t next = 1;
    for (unsigned i = 1; i <= 2500; i++) {
        if (feed(row(i, i, 6)) == PULL_PAGE) {
            CHECK_EQ(pull.page.first_uid, next);
            CHECK(!pull.page.last);
            CHECK_EQ(pull.page.vanished_n, 0);
            next = pull.page.last_uid + 1;
            messages += pull.page.messages_n;
            pages++;
        }
    }
    CHECK_EQ(feed("m5 OK done\r\n"), PULL_PAGE);
    CHECK_EQ(pages, 2);
    CHECK_EQ(messages + pull.page.messages_n, 2500);
    CHECK_EQ(pull.page.first_uid, next);
    CHECK_EQ(pull.page.vanished_n, 1);
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();
}

static void an_unfinished_range_goes_on_where_it_stopped(void)
{
    struct pull_cursor c = {.uidvalidity = 77,
                            .uidnext = 9,
                            .modseq = 5,
                            .in_progress = true,
                            .from_modseq = 5,
                            .to_modseq = 8,
                            .next_uid = 6};
    open_session();
    examine(&c, 3, 12, 10);
    sent(
        "m5 UID FETCH 6:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID) (CHANGEDSINCE 5 "
        "VANISHED)\r\n");
    CHECK_EQ(feed("* VANISHED (EARLIER) 1:6\r\n"), PULL_MORE);
    CHECK_EQ(feed(row(3, 4, 7)),
             PULL_MORE); /* n:* names the last message even when it is below n */
    CHECK_EQ(feed("m5 OK done\r\n"), PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 0);
    CHECK_EQ(pull.page.first_uid, 6);
    CHECK_EQ(pull.page.vanished[0].first, 6);
    CHECK_EQ(pull.plan.to_modseq, 8);
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();
}

static void a_hole_in_a_full_comparison_is_read_again(void)
{
    struct pull_cursor none = {0};
    open_session();
    examine(&none, 3, 9, 5);
    imap_pull_written(&pull, imap_pull_output(&pull).size);
    CHECK_EQ(feed(row(1, 1, 5)), PULL_MORE);
    CHECK_EQ(feed(row(3, 3, 5)), PULL_MORE); /* 2 was expunged meanwhile */
    CHECK_EQ(feed("* VANISHED 2\r\nm5 NO [EXPUNGEISSUED] Some messages were already expunged.\r\n"),
             PULL_MORE);
    sent("m6 EXAMINE \"INBOX\"\r\n");
    CHECK_EQ(feed("* 2 EXISTS\r\n* OK [UIDVALIDITY 77] v\r\n* OK [UIDNEXT 9] n\r\n* OK "
                  "[HIGHESTMODSEQ 6] h\r\nm6 OK done\r\n"),
             PULL_MORE);
    sent("m7 UID FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID)\r\n");
    CHECK_EQ(feed(row(1, 1, 5)), PULL_MORE);
    CHECK_EQ(feed(row(2, 3, 5)), PULL_MORE);
    CHECK_EQ(feed("m7 OK done\r\n"), PULL_PAGE);
    CHECK_EQ(pull.page.messages_n, 2);
    CHECK_EQ(pull.plan.to_modseq,
             5); /* the range that was begun; the expunge at 6 is the next one's */
    CHECK_EQ(feed(""), PULL_DONE);
    close_session();
}

static void a_refused_fetch_reports_nothing_as_gone(void)
{
    struct pull_cursor none = {0};
    open_session();
    examine(&none, 2, 9, 5);
    imap_pull_written(&pull, imap_pull_output(&pull).size);
    CHECK_EQ(feed(row(1, 1, 5)), PULL_MORE);
    CHECK_EQ(feed("m5 NO [SERVERBUG] Internal error\r\n"), PULL_DONE);
    CHECK_EQ(pull.result, STATUS_IO);
    close_session();
}

static void a_replaced_mailbox_is_not_taken_for_the_listed_one(void)
{
    struct pull_cursor none = {0};
    open_session();
    CHECK_OK(imap_pull_mailbox(&pull, "INBOX", 78, &none));
    CHECK_EQ(feed("* 0 EXISTS\r\n* OK [UIDVALIDITY 77] v\r\n* OK [UIDNEXT 9] n\r\n* OK "
                  "[HIGHESTMODSEQ 6] h\r\nm4 OK done\r\n"),
             PULL_DONE);
    CHECK_EQ(pull.result, STATUS_CONFLICT);
    close_session();
}

static void a_mailbox_that_is_gone_is_known_by_code_or_words(void)
{
    static const char *const answers[] = {"m4 NO [NONEXISTENT] Gone.\r\n",
                                          "m4 NO Mailbox doesn't exist: Work (0.001 secs).\r\n"};
    struct pull_cursor none = {0};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        open_session();
        CHECK_OK(imap_pull_mailbox(&pull, "INBOX", 77, &none));
        CHECK_EQ(feed(answers[i]), PULL_DONE);
        CHECK_EQ(pull.result, STATUS_NOT_FOUND);
        close_session();
    }
    open_session();
    CHECK_OK(imap_pull_mailbox(&pull, "INBOX", 77, &none));
    CHECK_EQ(feed("m4 NO [SERVERBUG] Internal error\r\n"), PULL_DONE);
    CHECK_EQ(pull.result, STATUS_IO);
    close_session();
}

static void the_plan_knows_when_everything_must_be_compared(void)
{
    struct pull_cursor c = {.uidvalidity = 77, .uidnext = 9, .modseq = 5};
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 8).from_modseq, 5);
    CHECK(imap_pull_plan(&c, 77, 9, 5).nothing);
    CHECK_EQ(imap_pull_plan(&c, 77, 10, 6).from_modseq, 5);
    CHECK_EQ(imap_pull_plan(&c, 77, 10, 6).new_uid, 9);
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 6).new_uid, 0);
    CHECK_EQ(imap_pull_plan(&c, 77, 10, 5).from_modseq, 0); /* an append raises both */
    CHECK(!imap_pull_plan(&c, 77, 10, 5).nothing);
    CHECK_EQ(imap_pull_plan(&c, 78, 9, 8).from_modseq, 0);
    CHECK_EQ(imap_pull_plan(&c, 77, 8, 8).from_modseq, 0);
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 4).from_modseq, 0);
    c.resync = true;
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 8).from_modseq, 0);
    c = (struct pull_cursor){
        .uidvalidity = 77, .uidnext = 9, .in_progress = true, .to_modseq = 9, .next_uid = 4};
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 9).first_uid, 4);
    CHECK_EQ(imap_pull_plan(&c, 77, 9, 8).first_uid, 1);
}

static void a_page_is_cut_into_slices_that_fit(void)
{
    static struct pull_range ranges[2500];
    static struct pull_message messages[3] = {{.uid = 10}, {.uid = 3000}, {.uid = 9000}};
    struct pull_page page = {.first_uid = 1,
                             .last_uid = UINT32_MAX,
                             .last = true,
                             .messages = messages,
                             .messages_n = 3,
                             .vanished = ranges,
                             .vanished_n = 2500};
    uint32_t next = 1, slices = 0, vanished = 0, found = 0;
    for (uint32_t i = 0; i < 2500; i++) {
        ranges[i] = (struct pull_range){11 + 3 * i, 12 + 3 * i};
    }
    for (;;) {
        struct report_slice s = report_slice(&page, next, UINT32_MAX);
        CHECK(s.ranges_n <= REPORT_RANGES_MAX);
        slices++;
        vanished += s.ranges_n;
        found += s.messages_n;
        if (s.last) {
            CHECK_EQ(s.last_uid, UINT32_MAX);
            break;
        }
        next = s.last_uid + 1;
    }
    CHECK_EQ(slices, 3);
    CHECK_EQ(vanished, 2500);
    CHECK_EQ(found, 3);
    struct report_slice s = report_slice(&page, 1, UINT32_MAX);
    while (report_half(&page, &s) != 0) {
        s = report_slice(&page, 1, report_half(&page, &s));
        CHECK(!s.last);
    }
    CHECK_EQ(s.last_uid, 1);
}

static unsigned rows_seen;
static void on_row(void *arg, const struct listing_row *r)
{
    *(struct listing_row *)arg = *r;
    rows_seen++;
}

static void a_listing_is_read_by_its_column_names(void)
{
    static const char text[] =
        "Username\tmailbox\tmessages\tuidnext\tuidvalidity\thighestmodseq\tguid\n"
        "alice\tEntw\xc3\xbcrfe & Co\t1\t2\t1795508382\t7\t0ae9b221ab48056b5902000083ecc375\n"
        "alice\tbroken\t1\t2\n"
        "bo\tINBOX\t0\t1\t5\t1\t0be9b221ab48056b5902000083ecc375\nhalf a li";
    struct listing l;
    struct listing_row last;
    rows_seen = 0;
    listing_init(&l, on_row, &last);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        CHECK_OK(listing_input(&l, (const uint8_t *)text + i, 1));
    }
    listing_end(&l);
    CHECK_EQ(rows_seen, 2);
    CHECK_EQ(l.bad, 2);
    CHECK_STR_EQ(last.user, "bo");
    CHECK_EQ(last.has & LISTING_HAS_STATUS, LISTING_HAS_STATUS);
    listing_deinit(&l);
    CHECK(!listing_user_valid("-Dall"));
    CHECK(!listing_user_valid("a b"));
    CHECK(listing_user_valid("a@example.org"));
}

CHECK_MAIN
{
    RUN(a_mailbox_never_seen_is_read_whole);
    RUN(changes_since_the_cursor_come_with_what_vanished);
    RUN(new_uids_are_read_whatever_their_modseq);
    RUN(new_uids_that_are_gone_again_name_no_older_message);
    RUN(a_record_that_counts_otherwise_is_compared_whole);
    RUN(thousands_with_one_modseq_come_in_pages_by_uid);
    RUN(an_unfinished_range_goes_on_where_it_stopped);
    RUN(a_hole_in_a_full_comparison_is_read_again);
    RUN(a_refused_fetch_reports_nothing_as_gone);
    RUN(a_replaced_mailbox_is_not_taken_for_the_listed_one);
    RUN(a_mailbox_that_is_gone_is_known_by_code_or_words);
    RUN(the_plan_knows_when_everything_must_be_compared);
    RUN(a_page_is_cut_into_slices_that_fit);
    RUN(a_listing_is_read_by_its_column_names);
}
