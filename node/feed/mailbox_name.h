/* Mailbox names: UTF-8 with '/' in reports, modified UTF-7 (RFC 3501, 5.1.3) with the server's separator on IMAP. Pure.
 *
 * Happy path: doveadm prints UTF-8 with the server's separator; IMAP wants the same in modified UTF-7; the cluster wants
 * '/' between levels. Where the separator is not '/', the two characters change places, so that no two names fall together.
 * Failure: MALFORMED for bytes that are no valid UTF-8 or UTF-7, or hold control characters; TOO_BIG over the maximum. */
#ifndef MQ_NODE_FEED_MAILBOX_NAME_H
#define MQ_NODE_FEED_MAILBOX_NAME_H

#include <stddef.h>

#include "base/status.h"

#define MAILBOX_NAME_MAX      1000u        /* bytes of UTF-8, without the NUL */
#define MAILBOX_NAME_IMAP_MAX (4u * 1024u) /* bytes of modified UTF-7, without the NUL */

/* out has MAILBOX_NAME_IMAP_MAX + 1 bytes. */
enum status mailbox_name_to_imap(const char *utf8, char *out);
/* out has MAILBOX_NAME_MAX + 1 bytes. */
enum status mailbox_name_from_imap(const char *imap, size_t size, char *out);
/* '/' <-> separator, in place; separator 0 (a flat store) or '/' changes nothing. */
void mailbox_name_swap_separator(char *name, char separator);

#endif
