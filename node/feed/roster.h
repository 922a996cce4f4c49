/* The users this feed follows, and what it believes the cluster knows of each: one cursor a mailbox. Pure memory.
 *
 * Happy path: roster_get() when a user is first seen -> cursors are loaded from the cluster (`loaded`) -> listings are compared with them
 * (roster_differs) -> an applied page moves them (owner's work) -> a refusal that speaks of another cursor unloads them.
 * Bounds: users_max users (over it: FULL, the owner names them), PULL_MAILBOXES_MAX mailboxes each. The belief may be wrong without
 * harm: the cluster compares each page with the truth. */
#ifndef MQ_NODE_FEED_ROSTER_H
#define MQ_NODE_FEED_ROSTER_H

#include "base/identity.h"
#include "base/list.h"
#include "node/feed/imap_pull.h"
#include "node/feed/listing.h"

#define ROSTER_BUCKETS 16384u

struct feed_mailbox {
    struct uuid guid;
    struct pull_cursor cursor;
    uint64_t name_hash; /* of the name as reports have it */
    uint32_t seen;      /* the last sweep that saw it */
    uint32_t subscribed_seen;
    bool present, subscribed;
    int64_t
        excess; /* messages of the record over the store's after the last full comparison: 0, unless something is wrong that none settles */
};

struct user_stuck; /* node/feed/stuck.h */

enum user_state { USER_IDLE, USER_WAITING, USER_RUNNING };

struct feed_user {
    struct list link;  /* bucket */
    struct list queue; /* WAITING */
    enum user_state state;
    struct feed_mailbox *mailboxes;
    uint32_t mailboxes_n, mailboxes_capacity;
    bool loaded;
    bool again;      /* became dirty while RUNNING */
    bool unassigned; /* no shard has it; said once */
    bool apart;      /* kept out of the common listing: its own was slow, or not whole */
    bool lease_said;
    struct uuid died_at;        /* the mailbox its last session could not get over; zero: none */
    uint64_t namespaces_hash;   /* of the last session's; 0 = no session yet */
    bool subscriptions_changed; /* the sweep or a hint saw it: the next visit reads them */
    uint64_t not_before_ms;
    uint64_t pending_since_ms; /* of the oldest change not reported yet; 0: none */
    unsigned failures;         /* in a row */
    uint64_t patient_until_ms; /* after a failure; only a person's touch comes before */
    unsigned left_over_n;      /* visits in a row that left a mailbox for the next one */
    struct user_stuck *stuck;  /* since Dovecot gave no answer; NULL: it does. Owned */
    uint32_t seen;             /* the last sweep that named it */
    uint32_t shard;            /* 0: not known yet */
    uint64_t clean_ms;         /* all that it held then is reported (position.h); 0: never */
    bool leased;
    struct token token;
    uint64_t lease_until_ms;
    char name[];
};

struct roster {
    struct list buckets[ROSTER_BUCKETS];
    uint32_t users_n, users_max;
};

void roster_init(struct roster *r, uint32_t users_max);
void roster_deinit(struct roster *r);
struct feed_user *roster_find(struct roster *r, const char *name);
/* FULL, NO_MEMORY or INVALID (a name no feed can use). */
enum status roster_get(struct roster *r, const char *name, struct feed_user **out_u);
/* Calls each for every user, in no order. */
void roster_each(struct roster *r, void (*each)(void *arg, struct feed_user *u), void *arg);

struct feed_mailbox *feed_user_find(struct feed_user *u, const struct uuid *guid);
enum status feed_user_get(struct feed_user *u, const struct uuid *guid,
                          struct feed_mailbox **out_m);
void feed_user_unload(struct feed_user *u);
uint64_t feed_name_hash(const char *name);
/* Would a pull of this row have anything to say? name as reports have it. */
bool roster_differs(const struct feed_mailbox *m, const struct listing_row *row,
                    uint64_t name_hash);

#endif
