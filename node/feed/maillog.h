/* What Postfix writes into its log about messages that leave the queue, or one of whose recipients does. Pure.
 *
 *   a line of a file      maillog_line() parts it: time, tag, text        "Nov 24 13:42:59 mx postfix/smtp[77]: 4jYkW...: to=<...>, ..."
 *   a line of journalctl  maillog_journal() does, of `-o json`
 *   both                  maillog_event() reads tag and text: false for everything that says nothing about an end
 *
 * Addresses, host names and replies of other servers stand in these lines; each is read as what it is, so that none can look like an
 * end that did not happen. */
#ifndef MQ_NODE_FEED_MAILLOG_H
#define MQ_NODE_FEED_MAILLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/feed/postqueue.h"

#define MAILLOG_LINE_MAX   8192u
#define MAILLOG_CURSOR_MAX 300u

/* Up to DISCARDED: of one recipient. */
enum maillog_kind {
    MAILLOG_SENT,
    MAILLOG_BOUNCED,
    MAILLOG_DEFERRED,
    MAILLOG_FORWARDED, /* local sent it on as `successor` */
    MAILLOG_DISCARDED,
    MAILLOG_EXPIRED,  /* the message goes back to its sender; MAILLOG_REMOVED follows */
    MAILLOG_REMOVED,  /* qmgr has done with it */
    MAILLOG_DELETED,  /* postsuper -d */
    MAILLOG_REQUEUED, /* taken up again by pickup, as `successor` */
};

struct maillog_event {
    enum maillog_kind kind;
    uint64_t at; /* seconds since 1970; 0 = not known */
    char id[POSTQUEUE_ID_MAX + 1];
    char recipient[POSTQUEUE_ADDRESS_MAX + 1];
    char orig_recipient[POSTQUEUE_ADDRESS_MAX + 1]; /* of local always: it may be one of several */
    char reply[POSTQUEUE_REPLY_MAX + 1];
    char successor[POSTQUEUE_ID_MAX + 1];
};

struct maillog_part { /* borrowed from the line */
    const char *data;
    size_t size;
};
struct maillog_entry {
    uint64_t at;
    struct maillog_part tag; /* "postfix/smtp" */
    struct maillog_part text;
};

/* now: seconds since 1970; the year of a traditional time is the one that puts it closest before. false: not such a line. */
bool maillog_line(const char *line, size_t size, uint64_t now, struct maillog_entry *out_e);
/* Of a message of the mail facility; its cursor, if it has one, is written to out_cursor (MAILLOG_CURSOR_MAX + 1 bytes).
 * The texts live in `space` (MAILLOG_LINE_MAX bytes). */
bool maillog_journal(const char *line, size_t size, char *space, struct maillog_entry *out_e,
                     char *out_cursor);
/* name: syslog_name of the instance. */
bool maillog_event(const struct maillog_entry *e, const char *name,
                   struct maillog_event *out_event);

#endif
