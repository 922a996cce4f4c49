/* Whether a loss report may say "nothing would be lost" as a fact and not only as far as is known. Pure: what is missing for that. */
#ifndef MQ_CTL_REPORT_PROOF_H
#define MQ_CTL_REPORT_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/api.pb-c.h"

#define PROOF_WINDOW_MS_MAX (10ull * 60 * 1000) /* a window that is longer proves nothing of now */

enum proof_gap {
    PROOF_ROWS = 1,              /* something would be lost */
    PROOF_LOCAL = 2,             /* one node's word */
    PROOF_NO_STORE = 4,          /* none there has reported anything */
    PROOF_STORE_POSITION = 8,    /* one that counts has never said that all it holds is reported */
    PROOF_USERS_UNREPORTED = 16, /* what they have, and where, is not known */
    PROOF_NO_QUEUE = 32,         /* none there was ever reported */
    PROOF_QUEUE_POSITION = 64,   /* one there was never listed to its end */
    PROOF_QUEUE_WITHOUT_SITE = 128,  /* it may stand there */
    PROOF_FEED_UNHEARD = 256,        /* of one there nobody knows what it leaves out */
    PROOF_FEED_TROUBLE = 512,        /* one there leaves out what holds no position back */
    PROOF_WINDOW = 1024,             /* too long ago */
    PROOF_STORE_WITHOUT_SITE = 2048, /* it may stand there, and counts as a copy elsewhere */
};
#define PROOF_GAPS 12u

struct proof_facts {
    bool nothing, local;
    unsigned stores, stores_unpositioned, stores_without_site; /* there; with copies, too */
    uint64_t users_unreported, queues, queues_unpositioned, queues_without_site;
    unsigned feeds_unheard, feeds_troubled;
    uint64_t window_ms; /* the longest one of these stores and queues */
};

/* Bits of proof_gap; 0: proved. */
unsigned proof_gaps(const struct proof_facts *f);
/* One bit as a name for programs and as a part of a sentence. */
const char *proof_gap_name(unsigned gap);
const char *proof_gap_text(unsigned gap);
/* Does the feed itself say that it leaves out users or queues? */
bool proof_feed_leaves_out(const Mq__FeedStatus *s);

#endif
