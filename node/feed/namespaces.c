/* Prefixes in a small array, the longest that fits wins. */
#include "node/feed/namespaces.h"

#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "node/feed/mailbox_name.h"

enum status namespaces_add(struct namespaces *s, const char *prefix, size_t size, bool personal)
{
    char name[MAILBOX_NAME_MAX + 1] = "";
    enum status status = size == 0 ? OK : mailbox_name_from_imap(prefix, size, name);
    size_t n = strlen(name);
    if (status != OK) {
        return status;
    }
    if (s->n == NAMESPACES_MAX || n > NAMESPACE_PREFIX_MAX) {
        return STATUS_TOO_BIG;
    }
    struct mail_namespace *item = &s->items[s->n++];
    memcpy(item->prefix, name, n + 1);
    item->personal = personal;
    s->hash = XXH3_64bits_withSeed(name, n + 1, s->hash * 2 + (personal ? 1 : 0));
    s->hash += s->hash == 0;
    return OK;
}

bool namespaces_own(const struct namespaces *s, const char *name)
{
    const struct mail_namespace *longest = NULL;
    if (strcasecmp(name, "INBOX") == 0) {
        return true;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const struct mail_namespace *item = &s->items[i];
        size_t n = strlen(item->prefix);
        if (strncmp(name, item->prefix, n) == 0 &&
            (longest == NULL || n > strlen(longest->prefix))) {
            longest = item;
        }
    }
    return longest == NULL || longest->personal;
}
