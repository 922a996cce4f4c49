/* Which mailboxes are the user's own: the namespaces of RFC 2342 as the server names them. Pure.
 *
 * A mailbox of another user, or a public one, is reported by its owner's feed or by none: reported under each name it has, it would be in
 * the cluster many times. A name belongs to the namespace with the longest prefix that it begins with; INBOX, and a name that fits no prefix,
 * are the user's own. Failure: TOO_BIG over NAMESPACES_MAX, or when a prefix is over its maximum. */
#ifndef MQ_NODE_FEED_NAMESPACES_H
#define MQ_NODE_FEED_NAMESPACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define NAMESPACES_MAX       32u
#define NAMESPACE_PREFIX_MAX 255u

struct mail_namespace {
    char prefix[NAMESPACE_PREFIX_MAX +
                1]; /* UTF-8, the server's separator, as doveadm prints names */
    bool personal;
};

struct namespaces {
    struct mail_namespace items[NAMESPACES_MAX];
    uint32_t n;
    uint64_t hash; /* over all of them, in their order; 0 = not known */
};

/* prefix as IMAP has it. */
enum status namespaces_add(struct namespaces *s, const char *prefix, size_t size, bool personal);
bool namespaces_own(const struct namespaces *s, const char *name);

#endif
