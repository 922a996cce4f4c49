/* One page as commands of the cluster, and what its answer means. Pure.
 *
 * Happy path: report_slice() cuts from a page what fits one command -> report_encode() -> it is submitted -> report_judge() says what
 * the answer means; APPLIED: the next slice. A slice is a range of UIDs; the cursor of the cluster moves slice by slice, and to `to`
 * with the last one of the last page.
 * A retry of a slice that was applied after all is answered NOT_NEXT with a place inside or right behind it: that is APPLIED too,
 * so an unknown outcome is simply tried again. TOO_BIG (the slice touches more rows than one command may): half of it. */
#ifndef MQ_NODE_FEED_REPORT_H
#define MQ_NODE_FEED_REPORT_H

#include "base/identity.h"
#include "node/feed/imap_pull.h"
#include "proto/api.pb-c.h"

#define REPORT_RANGES_MAX 1000u

struct report_box {                  /* what every page of a mailbox says */
    const char *user, *store, *name; /* name: UTF-8 with '/' */
    struct uuid guid;
    struct token lease;
    uint32_t uidvalidity, uidnext;
    uint64_t highestmodseq, from_modseq, to_modseq;
    bool subscribed;
};

struct report_slice {
    uint32_t first_uid, last_uid;
    uint32_t messages_at, messages_n; /* of the page */
    uint32_t ranges_at, ranges_n;     /* of the page's vanished; clipped when encoded */
    bool last;                        /* ends the last page */
};

/* The slice of the page from first_uid on; last_uid_max narrows it (UINT32_MAX: as much as fits). */
struct report_slice report_slice(const struct pull_page *page, uint32_t first_uid,
                                 uint32_t last_uid_max);
/* Where half of it ends; 0 when it cannot be halved. */
uint32_t report_half(const struct pull_page *page, const struct report_slice *s);
/* Appends an encoded mq.Command. NO_MEMORY. */
enum status report_encode(const struct report_box *box, const struct pull_page *page,
                          const struct report_slice *s, struct buffer *out);
enum status report_encode_deleted(const struct report_box *box, struct buffer *out);

enum report_verdict {
    REPORT_APPLIED,
    REPORT_AGAIN,      /* the same once more, after a while */
    REPORT_LEASE,      /* acquire the lease again, then the same */
    REPORT_RESUME,     /* the cluster stands elsewhere: read its cursors again */
    REPORT_RESYNC,     /* start with a full comparison */
    REPORT_SPLIT,      /* half of it */
    REPORT_UNASSIGNED, /* no shard has this user */
    REPORT_GIVE_UP     /* for now: the next sweep tries again */
};
/* Where the cluster stands after a slice. An applied slice may have ended early (it would have taken away too many rows). */
struct report_place {
    bool finished;     /* the whole range is applied */
    uint32_t next_uid; /* else: go on from here; 0 = behind the slice */
    bool counted;      /* the record follows this store and has so many messages of it */
    uint64_t messages;
};
/* Does the record, once a range is whole, have another number of messages than the store (exists) by something else than known_excess, which a
 * full comparison did not settle? Then changes were missed: a server that lost its index log gives out MODSEQs that were given out before. */
bool report_count_differs(const struct report_place *place, uint32_t exists, int64_t known_excess);
/* box and slice may be NULL for commands that are no slice. *out_place is set with REPORT_APPLIED. */
enum report_verdict report_judge(Mq__Outcome outcome, enum status status, struct bytes result,
                                 const struct report_box *box, const struct report_slice *slice,
                                 struct report_place *out_place);
/* The cursor of the wire as ours. */
struct pull_cursor report_cursor(const Mq__StoreCursor *c);

#endif
