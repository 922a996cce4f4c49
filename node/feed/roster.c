/* Users in hash buckets, mailboxes in an array sorted by GUID. */
#include "node/feed/roster.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void roster_init(struct roster *r, uint32_t users_max)
{
    r->users_n = 0;
    r->users_max = users_max;
    for (size_t i = 0; i < ROSTER_BUCKETS; i++) {
        list_init(&r->buckets[i]);
    }
}

void roster_deinit(struct roster *r)
{
    for (size_t i = 0; i < ROSTER_BUCKETS; i++) {
        struct list *n;
        while ((n = list_pop(&r->buckets[i])) != NULL) {
            struct feed_user *u = container_of(n, struct feed_user, link);
            list_remove(&u->queue);
            free(u->mailboxes);
            free(u->stuck);
            free(u);
        }
    }
    r->users_n = 0;
}

uint64_t feed_name_hash(const char *name)
{
    return XXH3_64bits(name, strlen(name));
}

static struct list *bucket_of(struct roster *r, const char *name)
{
    return &r->buckets[feed_name_hash(name) % ROSTER_BUCKETS];
}

struct feed_user *roster_find(struct roster *r, const char *name)
{
    list_each(n, bucket_of(r, name))
    {
        struct feed_user *u = container_of(n, struct feed_user, link);
        if (strcmp(u->name, name) == 0) {
            return u;
        }
    }
    return NULL;
}

enum status roster_get(struct roster *r, const char *name, struct feed_user **out_u)
{
    struct feed_user *u = roster_find(r, name);
    if (u == NULL) {
        if (!listing_user_valid(name)) {
            return STATUS_INVALID;
        }
        if (r->users_n >= r->users_max) {
            return STATUS_FULL;
        }
        size_t n = strlen(name) + 1;
        u = calloc(1, sizeof(*u) + n);
        if (u == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(u->name, name, n);
        list_push_back(bucket_of(r, name), &u->link);
        r->users_n++;
    }
    *out_u = u;
    return OK;
}

void roster_each(struct roster *r, void (*each)(void *arg, struct feed_user *u), void *arg)
{
    for (size_t i = 0; i < ROSTER_BUCKETS; i++) {
        list_each(n, &r->buckets[i])
        {
            each(arg, container_of(n, struct feed_user, link));
        }
    }
}

/* Where it is, or where it would be put. */
static uint32_t place_of(const struct feed_user *u, const struct uuid *guid)
{
    uint32_t low = 0, high = u->mailboxes_n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(u->mailboxes[middle].guid.bytes, guid->bytes, sizeof(guid->bytes)) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct feed_mailbox *feed_user_find(struct feed_user *u, const struct uuid *guid)
{
    uint32_t at = place_of(u, guid);
    return at < u->mailboxes_n && uuid_equal(&u->mailboxes[at].guid, guid) ? &u->mailboxes[at]
                                                                           : NULL;
}

enum status feed_user_get(struct feed_user *u, const struct uuid *guid, struct feed_mailbox **out_m)
{
    uint32_t at = place_of(u, guid);
    if (at == u->mailboxes_n || !uuid_equal(&u->mailboxes[at].guid, guid)) {
        if (u->mailboxes_n == PULL_MAILBOXES_MAX) {
            return STATUS_FULL;
        }
        if (u->mailboxes_n == u->mailboxes_capacity) {
            uint32_t capacity = u->mailboxes_capacity == 0 ? 8 : u->mailboxes_capacity * 2;
            struct feed_mailbox *m = realloc(u->mailboxes, capacity * sizeof(*m));
            if (m == NULL) {
                return STATUS_NO_MEMORY;
            }
            u->mailboxes = m;
            u->mailboxes_capacity = capacity;
        }
        if (at < u->mailboxes_n) {
            memmove(u->mailboxes + at + 1, u->mailboxes + at,
                    (u->mailboxes_n - at) * sizeof(*u->mailboxes));
        }
        u->mailboxes[at] = (struct feed_mailbox){.guid = *guid};
        u->mailboxes_n++;
    }
    *out_m = &u->mailboxes[at];
    return OK;
}

void feed_user_unload(struct feed_user *u)
{
    u->loaded = false;
    u->mailboxes_n = 0;
}

bool roster_differs(const struct feed_mailbox *m, const struct listing_row *row, uint64_t name_hash)
{
    const struct pull_cursor *c = &m->cursor;
    return !m->present || c->resync || c->in_progress || c->uidvalidity != row->uidvalidity ||
           c->uidnext != row->uidnext || c->modseq != row->highestmodseq ||
           m->name_hash != name_hash;
}
