/* Reads what changed in one user's mailboxes through an IMAP session, page by page (RFC 7162). Pure: bytes in, commands
 * and pages out; its owner has the process, the clock and the reports.
 *
 * Happy path: greeting -> ENABLE QRESYNC -> NAMESPACE -> LIST (subscriptions, separator) -> READY; then for each mailbox the owner names:
 * EXAMINE -> UID FETCH position:* (CHANGEDSINCE from VANISHED) -> pages of at most PULL_PAGE_MESSAGES_MAX messages in the
 * order of UIDs, streamed: the owner stops feeding bytes while it reports a page -> DONE. EXAMINE, because SELECT would take
 * \Recent away from the user's own client. One command at a time. UIDs at or above the cursor's UIDNEXT are fetched by a second command,
 * without CHANGEDSINCE: a server that lost its index log gives MODSEQs out anew, and new mail may then bear old ones.
 *
 * What decides between "since" and "everything" (imap_pull_plan): a new UIDVALIDITY, a HIGHESTMODSEQ or UIDNEXT below the cursor, a
 * HIGHESTMODSEQ that stood still while UIDNEXT grew, or the cluster's RESYNC mean a full comparison; an unfinished range goes on
 * where it stopped. `to` is HIGHESTMODSEQ as EXAMINE said it: what changes during the pull has a higher MODSEQ and is found by
 * the next one.
 * A hole in the sequence numbers of a full comparison (messages expunged by others meanwhile) never enters a page: the
 * mailbox is examined again and goes on from the last page.
 *
 * Failure: a mailbox that cannot be read ends in DONE with a status and a text and the next one may follow; a stream that
 * cannot be trusted, or BYE, ends in FAILED and the session is over. Nothing is lost by either: the cluster's cursor says
 * where to go on. */
#ifndef MQ_NODE_FEED_IMAP_PULL_H
#define MQ_NODE_FEED_IMAP_PULL_H

#include "node/feed/imap_parser.h"
#include "node/feed/mailbox_name.h"
#include "node/feed/namespaces.h"

#define PULL_PAGE_MESSAGES_MAX 1000u
#define PULL_PAGE_BYTES_MAX    (256u * 1024u) /* guids and keywords of a page */
#define PULL_RANGES_MAX        65536u /* vanished ranges of a mailbox; over it: a full comparison */
#define PULL_MAILBOXES_MAX     10000u /* of one user */
#define PULL_EXAMINES_MAX      4u     /* of one mailbox in one pull */
#define PULL_GUID_MAX          64u

/* Where the cluster stands with one mailbox of one store. Zeroed: it knows nothing. */
struct pull_cursor {
    uint32_t uidvalidity, uidnext;
    uint64_t modseq;
    bool in_progress; /* from, to, next_uid: an unfinished range */
    uint64_t from_modseq, to_modseq;
    uint32_t next_uid;
    bool resync; /* the cluster asked for a full comparison, or counts otherwise */
};

struct pull_plan {
    uint64_t from_modseq; /* 0 = full comparison */
    uint64_t to_modseq;
    uint32_t first_uid;
    uint32_t new_uid; /* all from here on is read, whatever its MODSEQ; 0: none is new */
    bool nothing;     /* the cursor is already there */
    const char *why;
};
/* Pure decision from the cursor and what EXAMINE said. */
struct pull_plan imap_pull_plan(const struct pull_cursor *c, uint32_t uidvalidity, uint32_t uidnext,
                                uint64_t highestmodseq);

struct pull_message {
    uint32_t uid, flags;
    uint64_t modseq, size;
    int64_t internal_date;
    uint32_t guid_at, guid_n;         /* in the page's bytes */
    uint32_t keywords_at, keywords_n; /* sorted; each NUL-terminated, one after another */
};
struct pull_range {
    uint32_t first, last;
};
struct pull_page {
    uint32_t first_uid, last_uid; /* a last page ends at UINT32_MAX */
    bool last;
    struct pull_message *messages;
    uint32_t messages_n;
    const struct pull_range
        *vanished; /* ascending, apart; the last one may reach beyond the page */
    uint32_t vanished_n;
    struct buffer bytes;
};

struct pull_subscription { /* of LIST */
    uint64_t name_hash;
    bool subscribed;
};

enum pull_event {
    PULL_MORE,  /* all bytes eaten, nothing to report */
    PULL_READY, /* the session is open: name the first mailbox */
    PULL_PAGE,  /* report pull->page, then go on */
    PULL_DONE,  /* this mailbox: result, result_text; name the next one, or imap_pull_logout */
    PULL_FAILED /* the session: result, result_text */
};

enum pull_state {
    PULL_GREETING,
    PULL_ENABLE,
    PULL_NAMESPACE,
    PULL_LIST,
    PULL_IDLE,
    PULL_EXAMINE,
    PULL_FETCH,
    PULL_FETCH_NEW,
    PULL_DRAIN,
    PULL_LOGOUT,
    PULL_DEAD
};

struct imap_pull {
    struct imap_parser parser;
    enum pull_state state;
    struct buffer output;
    unsigned tag;
    char separator; /* of INBOX's hierarchy; 0 = none */
    struct namespaces namespaces;
    struct pull_subscription *subscriptions;
    uint32_t subscriptions_n;
    /* the mailbox */
    char name[MAILBOX_NAME_IMAP_MAX + 1];
    struct pull_cursor cursor;
    struct pull_plan plan;
    uint32_t uidvalidity_expected;
    uint32_t uidvalidity, uidnext, exists;
    uint64_t highestmodseq;
    unsigned examines;
    bool moved;        /* messages came or went since EXAMINE: `exists` is no longer what is read */
    bool hole;         /* a full comparison missed a sequence number */
    bool page_out;     /* a page was handed out and not yet followed by input */
    bool finished;     /* that page was the last */
    bool full_instead; /* too many ranges: examine again for a full comparison */
    uint32_t position; /* UIDs below it are in pages that were handed out */
    uint32_t sequence; /* of the last whole FETCH line */
    struct pull_range *ranges;
    uint32_t ranges_n, ranges_capacity;
    struct pull_page page;
    uint64_t messages_read, keywords_dropped;
    enum status result;
    char result_text[256];
};

enum status imap_pull_init(struct imap_pull *p);
void imap_pull_deinit(struct imap_pull *p);
/* name as doveadm says it (UTF-8, server's separator). Only in PULL_READY or after PULL_DONE. The UIDVALIDITY the listing
 * saw ties the name to its GUID: another one ends in DONE with CONFLICT (it was replaced meanwhile). */
enum status imap_pull_mailbox(struct imap_pull *p, const char *name, uint32_t uidvalidity,
                              const struct pull_cursor *c);
void imap_pull_logout(struct imap_pull *p);
/* Eats bytes up to the next event. After PULL_PAGE the page is valid until the next call (which may be with size 0). */
enum pull_event imap_pull_input(struct imap_pull *p, const uint8_t *data, size_t size,
                                size_t *out_used);
/* The stream ended: FAILED unless after logout. */
enum pull_event imap_pull_end(struct imap_pull *p);
struct bytes imap_pull_output(struct imap_pull *p);
void imap_pull_written(struct imap_pull *p, size_t size);
bool imap_pull_subscribed(const struct imap_pull *p, const char *name); /* as doveadm says it */

#endif
