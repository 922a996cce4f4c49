/* What `doveadm -f tab mailbox status` (and `mailbox list`, `user`) prints, row by row. Pure and bounded.
 *
 * Happy path: the first line names the columns; every later line is one mailbox: listing_input() calls row() for each. Without a
 * Username column (one user asked for) `user` is empty. Failure: a line that is too long or does not fit its columns is
 * counted in `bad` and skipped: then the listing must not be taken as complete; TOO_BIG over LISTING_ROWS_MAX. */
#ifndef MQ_NODE_FEED_LISTING_H
#define MQ_NODE_FEED_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/identity.h"
#include "node/feed/mailbox_name.h"

#define LISTING_LINE_MAX    4096u
#define LISTING_ROWS_MAX    1000000u
#define LISTING_COLUMNS_MAX 16u
#define USER_NAME_MAX       255u

enum listing_has {
    LISTING_HAS_NAME = 1,
    LISTING_HAS_GUID = 2,
    LISTING_HAS_UIDVALIDITY = 4,
    LISTING_HAS_UIDNEXT = 8,
    LISTING_HAS_MODSEQ = 16,
    LISTING_HAS_STATUS = 31, /* all that a status listing must have */
};

struct listing_row {
    unsigned has;
    char user[USER_NAME_MAX + 1];
    char name[MAILBOX_NAME_MAX + 1]; /* UTF-8, the server's separator */
    struct uuid guid;
    uint32_t uidvalidity, uidnext, messages;
    uint64_t highestmodseq;
};

struct listing {
    struct buffer line;
    bool overlong; /* the line at hand is being skipped */
    bool header_seen;
    uint8_t columns[LISTING_COLUMNS_MAX];
    uint32_t columns_n;
    uint32_t rows, bad;
    void (*row)(void *arg, const struct listing_row *row);
    void *arg;
    struct listing_row current;
};

void listing_init(struct listing *l, void (*row)(void *arg, const struct listing_row *row),
                  void *arg);
void listing_deinit(struct listing *l);
enum status listing_input(struct listing *l, const uint8_t *data, size_t size);
/* The end of the output: a last line without its end counts as bad (the program was killed while writing). */
void listing_end(struct listing *l);
/* A name the feed can work with: 1..USER_NAME_MAX bytes, no blanks or control characters, not beginning with '-'. */
bool listing_user_valid(const char *user);

#endif
