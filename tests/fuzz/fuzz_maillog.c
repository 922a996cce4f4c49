/* Any bytes as a line of a log file and as one of journalctl: no crash, and an event only with an id and texts within their bounds. */
#include <string.h>

#include "base/must.h"
#include "node/feed/maillog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text(const char *t, size_t max)
{
    size_t n = strnlen(t, max + 1);
    must(n <= max);
    for (size_t i = 0; i < n; i++) {
        must((unsigned char)t[i] >= 0x20 && t[i] != 0x7f);
    }
}

static void event(const struct maillog_entry *e)
{
    struct maillog_event v;
    if (!maillog_event(e, "postfix", &v)) {
        return;
    }
    must(v.kind <= MAILLOG_REQUEUED);
    must(v.id[0] != '\0');
    must((v.recipient[0] != '\0') == (v.kind <= MAILLOG_DISCARDED));
    must((v.successor[0] != '\0') == (v.kind == MAILLOG_REQUEUED || v.kind == MAILLOG_FORWARDED));
    text(v.id, POSTQUEUE_ID_MAX);
    text(v.recipient, POSTQUEUE_ADDRESS_MAX);
    text(v.orig_recipient, POSTQUEUE_ADDRESS_MAX);
    text(v.reply, POSTQUEUE_REPLY_MAX);
    text(v.successor, POSTQUEUE_ID_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct maillog_entry e;
    char space[MAILLOG_LINE_MAX], cursor[MAILLOG_CURSOR_MAX + 1] = "";
    const char *line = (const char *)data;
    size = size < MAILLOG_LINE_MAX ? size : MAILLOG_LINE_MAX;
    if (maillog_line(line, size, 1795527800, &e)) {
        must(e.text.data + e.text.size <= line + size);
        event(&e);
    }
    if (maillog_journal(line, size, space, &e, cursor)) {
        event(&e);
    }
    e = (struct maillog_entry){0, {"postfix/smtp", 12}, {line, size}};
    for (unsigned i = 0; i < 6; i++) {
        static const char *const tags[] = {"postfix/smtp",      "postfix/qmgr",  "postfix/pickup",
                                           "postfix/postsuper", "postfix/local", "postfix/discard"};
        e.tag = (struct maillog_part){tags[i], strlen(tags[i])};
        event(&e);
    }
    return 0;
}
