/* What an IMAP server says, one response at a time (RFC 3501, 7162, 5464's kin left out). Pure: bytes in, responses out.
 *
 * Happy path: imap_parser_take() eats bytes until one response is whole (lines joined over literals), then fills a
 * struct imap_response with views into the parser's own buffer, valid until the next call. Quoted strings are unescaped.
 * Bounds: a response has at most IMAP_RESPONSE_MAX bytes; a longer one is skipped and comes out as IMAP_TOO_LONG with
 * what it began with, so that its reader can fall back to something that needs no long answer. Everything inside is
 * bounded by that. Failure: MALFORMED when a response we understand is not what the grammar allows: the stream cannot
 * be trusted any more; responses we do not know come out as IMAP_OTHER. */
#ifndef MQ_NODE_FEED_IMAP_PARSER_H
#define MQ_NODE_FEED_IMAP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

#define IMAP_RESPONSE_MAX      (1024u * 1024u)
#define IMAP_KEYWORDS_MAX      64u
#define IMAP_KEYWORD_BYTES_MAX 255u
#define IMAP_NAMESPACES_MAX    32u

enum imap_kind {
    IMAP_OTHER,
    IMAP_TAGGED, /* condition, tag, code, text */
    IMAP_OK,     /* untagged conditions: code, text */
    IMAP_NO,
    IMAP_BAD,
    IMAP_BYE,
    IMAP_PREAUTH,
    IMAP_FETCH,     /* number = sequence number, fetch */
    IMAP_VANISHED,  /* earlier, set */
    IMAP_LIST,      /* list */
    IMAP_STATUS,    /* mailbox status */
    IMAP_NAMESPACE, /* namespaces */
    IMAP_EXISTS,    /* number */
    IMAP_EXPUNGE,   /* number */
    IMAP_TOO_LONG,  /* text = the first bytes */
};

/* As in the wire's enum MessageFlag. */
enum imap_flag {
    IMAP_SEEN = 1,
    IMAP_ANSWERED = 2,
    IMAP_FLAGGED = 4,
    IMAP_DELETED = 8,
    IMAP_DRAFT = 16
};

enum imap_fetch_has {
    IMAP_HAS_UID = 1,
    IMAP_HAS_FLAGS = 2,
    IMAP_HAS_MODSEQ = 4,
    IMAP_HAS_DATE = 8,
    IMAP_HAS_SIZE = 16,
    IMAP_HAS_GUID = 32,
    IMAP_HAS_ALL = 63,
};

struct imap_fetch {
    unsigned has;
    uint32_t uid;
    uint32_t flags;                           /* enum imap_flag; \Recent is left out */
    struct bytes keywords[IMAP_KEYWORDS_MAX]; /* as sent, not sorted */
    uint32_t keywords_n, keywords_dropped;    /* dropped: over either maximum, or not ASCII */
    uint64_t modseq;
    int64_t internal_date; /* seconds since 1970 */
    uint64_t size;
    struct bytes guid;
};

enum imap_status_has {
    IMAP_HAS_UIDNEXT = 1,
    IMAP_HAS_UIDVALIDITY = 2,
    IMAP_HAS_HIGHESTMODSEQ = 4,
    IMAP_HAS_MESSAGES = 8
};

struct imap_status {
    struct bytes name; /* modified UTF-7 */
    unsigned has;
    uint32_t uidnext, uidvalidity, messages;
    uint64_t highestmodseq;
};

struct imap_list {
    struct bytes name; /* modified UTF-7 */
    char separator;    /* 0 = none */
    bool subscribed, nonexistent, noselect;
};

struct imap_namespaces {
    struct {
        struct bytes prefix; /* modified UTF-7 */
        bool personal;
    } items[IMAP_NAMESPACES_MAX];
    uint32_t n, dropped; /* dropped: over the maximum */
};

struct imap_response {
    enum imap_kind kind;
    enum imap_kind condition; /* of IMAP_TAGGED: OK, NO or BAD */
    struct bytes tag;
    struct bytes code;    /* "UIDVALIDITY", "EXPUNGEISSUED": the first word in [ ], empty without */
    uint64_t code_number; /* the number behind it, 0 without */
    struct bytes text;
    uint32_t number;
    bool earlier;
    struct bytes set; /* of VANISHED, for imap_set_next */
    struct imap_fetch fetch;
    struct imap_list list;
    struct imap_status status;
    struct imap_namespaces namespaces;
};

struct imap_parser {
    struct buffer line;
    uint64_t literal_left; /* bytes of the literal that is being read */
    uint64_t text_n;       /* bytes since the last literal or line end */
    bool skipping;         /* over the maximum: only the beginning was kept */
    bool done;             /* line holds a response that was handed out */
};

void imap_parser_init(struct imap_parser *p);
void imap_parser_deinit(struct imap_parser *p);
/* Eats up to size bytes. OK: *out_r is a whole response. BUSY: all bytes were eaten, more are needed. MALFORMED,
 * NO_MEMORY: the stream is lost. *out_used is set in every case. */
enum status imap_parser_take(struct imap_parser *p, const uint8_t *data, size_t size,
                             size_t *out_used, struct imap_response *out_r);
/* Whole-response parser, for tests and the fuzzer: data may be changed (unescaped in place). */
enum status imap_response_parse(uint8_t *data, size_t size, struct imap_response *out_r);
/* Ranges of a set such as 1:3,7. OK: one more range (first <= last); NOT_FOUND at the end; MALFORMED. */
enum status imap_set_next(struct bytes *set, uint32_t *out_first, uint32_t *out_last);
bool imap_bytes_is(struct bytes b, const char *word); /* ASCII case does not count */

#endif
