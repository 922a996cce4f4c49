/* The parser of IMAP answers and of mailbox names, with what Dovecot 2.3 really said. */
#include <stdlib.h>

#include "node/feed/imap_parser.h"
#include "node/feed/mailbox_name.h"
#include "tests/lib/check.h"

static struct imap_response parsed;
static uint8_t line[8192];

static enum status parse(const char *text)
{
    size_t n = strlen(text);
    memcpy(line, text, n);
    return imap_response_parse(line, n, &parsed);
}

static int bytes_are(struct bytes b, const char *text)
{
    return b.size == strlen(text) && memcmp(b.data, text, b.size) == 0;
}

static void a_fetch_line_gives_all_its_fields(void)
{
    CHECK_OK(
        parse("* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent $Forwarded kw1) MODSEQ (4294967299) "
              "INTERNALDATE \"24-Nov-2026 08:19:55 +0130\" "
              "RFC822.SIZE 18 X-GUID 1795508395.M613062P608.vm,S=15,W=18)"));
    CHECK_EQ(parsed.kind, IMAP_FETCH);
    CHECK_EQ(parsed.number, 2);
    CHECK_EQ(parsed.fetch.has, IMAP_HAS_ALL);
    CHECK_EQ(parsed.fetch.uid, 2);
    CHECK_EQ(parsed.fetch.flags, IMAP_SEEN);
    CHECK_EQ(parsed.fetch.keywords_n, 2);
    CHECK(bytes_are(parsed.fetch.keywords[0], "$Forwarded"));
    CHECK_EQ(parsed.fetch.modseq, 4294967299u);
    CHECK_EQ(parsed.fetch.internal_date, 1795508395 - 5400);
    CHECK_EQ(parsed.fetch.size, 18);
    CHECK(bytes_are(parsed.fetch.guid, "1795508395.M613062P608.vm,S=15,W=18"));
}

static void dates_of_one_digit_and_before_1970_are_read(void)
{
    CHECK_OK(parse("* 1 FETCH (INTERNALDATE \" 1-Jan-1970 00:00:01 +0000\")"));
    CHECK_EQ(parsed.fetch.internal_date, 1);
    CHECK_OK(parse("* 1 FETCH (INTERNALDATE \"31-Dec-1969 23:59:59 +0000\")"));
    CHECK_EQ(parsed.fetch.internal_date, -1);
    CHECK_OK(parse("* 1 FETCH (INTERNALDATE \"29-Feb-2024 12:00:00 -0800\")"));
    CHECK_EQ(parsed.fetch.internal_date, 1709236800);
    CHECK_EQ(parse("* 1 FETCH (INTERNALDATE \"29-Foo-2024 12:00:00 -0800\")"), STATUS_MALFORMED);
}

static void what_later_servers_add_to_a_fetch_is_skipped(void)
{
    CHECK_OK(parse("* 3 FETCH (UID 4 ENVELOPE (\"a\" (NIL (\"b)\")) {3}\r\n((() FLAGS ())"));
    CHECK_EQ(parsed.kind, IMAP_FETCH);
    CHECK_EQ(parsed.fetch.uid, 4);
    CHECK_EQ(parsed.fetch.has, IMAP_HAS_UID | IMAP_HAS_FLAGS);
}

static void vanished_ranges_come_one_by_one(void)
{
    uint32_t first, last;
    CHECK_OK(parse("* VANISHED (EARLIER) 41,43:116,118"));
    CHECK_EQ(parsed.kind, IMAP_VANISHED);
    CHECK(parsed.earlier);
    CHECK_OK(imap_set_next(&parsed.set, &first, &last));
    CHECK_OK(imap_set_next(&parsed.set, &first, &last));
    CHECK_EQ(first, 43);
    CHECK_EQ(last, 116);
    CHECK_OK(imap_set_next(&parsed.set, &first, &last));
    CHECK_EQ(imap_set_next(&parsed.set, &first, &last), STATUS_NOT_FOUND);
    CHECK_EQ(parse("* VANISHED 1:x"), STATUS_MALFORMED);
    CHECK_EQ(parse("* VANISHED 0"), STATUS_MALFORMED);
    CHECK_EQ(parse("* VANISHED 1,"), STATUS_MALFORMED);
    CHECK_EQ(parse("* VANISHED 4294967296"), STATUS_MALFORMED);
}

static void lists_and_status_name_their_mailboxes(void)
{
    CHECK_OK(parse("* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Q\\\"uote\\\\x\""));
    CHECK_EQ(parsed.kind, IMAP_LIST);
    CHECK(parsed.list.subscribed);
    CHECK_EQ(parsed.list.separator, '/');
    CHECK(bytes_are(parsed.list.name, "Q\"uote\\x"));
    CHECK_OK(parse("* LIST (\\NonExistent) NIL Work (\"CHILDINFO\" (\"SUBSCRIBED\"))"));
    CHECK(parsed.list.nonexistent);
    CHECK_EQ(parsed.list.separator, 0);
    CHECK_OK(
        parse("* STATUS \"Entw&APw-rfe &- Co\" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1795508382 "
              "HIGHESTMODSEQ 1 X (a b))"));
    CHECK_EQ(parsed.status.has, 15);
    CHECK_EQ(parsed.status.uidvalidity, 1795508382u);
}

static void namespaces_are_personal_or_not(void)
{
    CHECK_OK(
        parse("* NAMESPACE ((\"\" \"/\")(\"lists.\" \".\" \"X-P\" (\"a\" \"b\"))) NIL "
              "((\"Public/\" \"/\"))"));
    CHECK_EQ(parsed.kind, IMAP_NAMESPACE);
    CHECK_EQ(parsed.namespaces.n, 3u);
    CHECK(bytes_are(parsed.namespaces.items[0].prefix, ""));
    CHECK(bytes_are(parsed.namespaces.items[1].prefix, "lists."));
    CHECK(parsed.namespaces.items[1].personal);
    CHECK(bytes_are(parsed.namespaces.items[2].prefix, "Public/"));
    CHECK(!parsed.namespaces.items[2].personal);
    CHECK_EQ(parse("* NAMESPACE NIL NIL"), STATUS_MALFORMED);
    CHECK_EQ(parse("* NAMESPACE ((\"\" \"/\") NIL NIL"), STATUS_MALFORMED);
}

static void conditions_carry_their_codes(void)
{
    CHECK_OK(parse("* OK [HIGHESTMODSEQ 10] Highest"));
    CHECK(imap_bytes_is(parsed.code, "highestmodseq"));
    CHECK_EQ(parsed.code_number, 10);
    CHECK_OK(parse("* PREAUTH [CAPABILITY IMAP4rev1 ENABLE] Logged in as bob"));
    CHECK_EQ(parsed.kind, IMAP_PREAUTH);
    CHECK_OK(parse("m3 NO [EXPUNGEISSUED] Some messages were already expunged."));
    CHECK_EQ(parsed.kind, IMAP_TAGGED);
    CHECK_EQ(parsed.condition, IMAP_NO);
    CHECK(imap_bytes_is(parsed.code, "EXPUNGEISSUED"));
    CHECK_EQ(parse("m3 MAYBE done"), STATUS_MALFORMED);
    CHECK_EQ(parse("* OK [UIDNEXT 4 no end"), STATUS_MALFORMED);
}

static void responses_are_joined_over_literals_in_pieces_of_any_size(void)
{
    static const char text[] =
        "* LIST () \"/\" {5}\r\na\r\nb{\r\n* 1 FETCH (X-GUID {3+}\r\n{9} UID 7)\r\n* OK text "
        "{3}\r\n* 2 EXISTS\n";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct imap_parser p;
        size_t responses = 0;
        enum imap_kind kinds[8];
        imap_parser_init(&p);
        for (size_t at = 0; at < sizeof(text) - 1;) {
            size_t n = sizeof(text) - 1 - at < piece ? sizeof(text) - 1 - at : piece, used;
            enum status s = imap_parser_take(&p, (const uint8_t *)text + at, n, &used, &parsed);
            at += used;
            if (s == OK) {
                kinds[responses++ % 8] = parsed.kind;
                if (parsed.kind == IMAP_LIST) {
                    CHECK(bytes_are(parsed.list.name, "a\r\nb{"));
                } else if (parsed.kind == IMAP_FETCH) {
                    CHECK(bytes_are(parsed.fetch.guid, "{9}"));
                }
            } else {
                CHECK_EQ(s, STATUS_BUSY);
            }
        }
        CHECK_EQ(responses, 4);
        CHECK_EQ(kinds[2], IMAP_OK);
        CHECK_EQ(kinds[3], IMAP_EXISTS);
        imap_parser_deinit(&p);
    }
}

static void a_response_over_the_maximum_is_skipped_whole(void)
{
    struct imap_parser p;
    struct buffer b = {0};
    size_t used, at = 0;
    CHECK_OK(buffer_append(&b, "* VANISHED (EARLIER) 1", 22));
    for (uint32_t i = 3; b.size < 3 * IMAP_RESPONSE_MAX / 2; i += 2) {
        char number[16];
        int n = snprintf(number, sizeof(number), ",%u", i);
        CHECK_OK(buffer_append(&b, number, (size_t)n));
    }
    CHECK_OK(buffer_append(&b, "\r\n* 5 EXISTS\r\n", 14));
    imap_parser_init(&p);
    CHECK_OK(imap_parser_take(&p, b.data, b.size, &used, &parsed));
    CHECK_EQ(parsed.kind, IMAP_TOO_LONG);
    CHECK(memcmp(parsed.text.data, "* VANISHED", 10) == 0);
    at += used;
    CHECK_OK(imap_parser_take(&p, b.data + at, b.size - at, &used, &parsed));
    CHECK_EQ(parsed.kind, IMAP_EXISTS);
    imap_parser_deinit(&p);
    buffer_deinit(&b);
}

static void too_many_or_too_long_keywords_are_counted_not_lost_silently(void)
{
    char text[8192] = "* 1 FETCH (FLAGS (";
    for (int i = 0; i < 70; i++) {
        snprintf(text + strlen(text), 16, "k%d ", i);
    }
    memset(text + strlen(text), 'x', 300);
    strncat(text, " \\Draft))", 16);
    CHECK_OK(parse(text));
    CHECK_EQ(parsed.fetch.keywords_n, IMAP_KEYWORDS_MAX);
    CHECK_EQ(parsed.fetch.keywords_dropped, 7);
    CHECK_EQ(parsed.fetch.flags, IMAP_DRAFT);
}

static void mailbox_names_go_both_ways(void)
{
    static const struct {
        const char *utf8, *imap;
    } rows[] = {
        {"INBOX", "INBOX"},   {"Entwürfe & Co", "Entw&APw-rfe &- Co"},
        {"台北", "&U,BTFw-"}, {"a😀b", "a&2D3eAA-b"},
        {"x/y", "x/y"},       {"日&本", "&ZeU-&-&Zyw-"},
    };
    char out[MAILBOX_NAME_IMAP_MAX + 1];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CHECK_OK(mailbox_name_to_imap(rows[i].utf8, out));
        CHECK_STR_EQ(out, rows[i].imap);
        CHECK_OK(mailbox_name_from_imap(rows[i].imap, strlen(rows[i].imap), out));
        CHECK_STR_EQ(out, rows[i].utf8);
    }
    CHECK_EQ(mailbox_name_to_imap("a\xff", out), STATUS_MALFORMED);
    CHECK_EQ(mailbox_name_to_imap("a\tb", out), STATUS_MALFORMED);
    CHECK_EQ(mailbox_name_to_imap("\xc0\xaf", out), STATUS_MALFORMED);
    CHECK_EQ(mailbox_name_from_imap("&AGE-", 5, out),
             STATUS_MALFORMED); /* plain letters are never shifted */
    CHECK_EQ(mailbox_name_from_imap("&U,BT", 5, out), STATUS_MALFORMED);
    CHECK_EQ(mailbox_name_from_imap("&2D0-", 5, out), STATUS_MALFORMED);
}

static void the_separator_and_the_slash_change_places(void)
{
    char name[] = "a.b/c";
    mailbox_name_swap_separator(name, '.');
    CHECK_STR_EQ(name, "a/b.c");
    mailbox_name_swap_separator(name, '/');
    CHECK_STR_EQ(name, "a/b.c");
}

CHECK_MAIN
{
    RUN(a_fetch_line_gives_all_its_fields);
    RUN(dates_of_one_digit_and_before_1970_are_read);
    RUN(what_later_servers_add_to_a_fetch_is_skipped);
    RUN(vanished_ranges_come_one_by_one);
    RUN(lists_and_status_name_their_mailboxes);
    RUN(namespaces_are_personal_or_not);
    RUN(conditions_carry_their_codes);
    RUN(responses_are_joined_over_literals_in_pieces_of_any_size);
    RUN(a_response_over_the_maximum_is_skipped_whole);
    RUN(too_many_or_too_long_keywords_are_counted_not_lost_silently);
    RUN(mailbox_names_go_both_ways);
    RUN(the_separator_and_the_slash_change_places);
}
