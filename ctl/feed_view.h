/* The feeds as a node tells of them (mq.FeedView), and what there is to say about each. Pure. */
#ifndef MQ_CTL_FEED_VIEW_H
#define MQ_CTL_FEED_VIEW_H

#include <stdbool.h>

#include "base/identity.h"
#include "ctl/screen.h"
#include "proto/api.pb-c.h"

#define FEED_VIEWS_MAX      128u
#define FEED_TROUBLES_MAX   16u
#define FEED_SILENT_MS      15000u /* it speaks every 3 s */
#define FEED_MESSAGES_MAX   3u     /* of one feed in `status`; all of them in `feed show` */
#define FEED_SWEEPS_LATE    6u     /* intervals without a complete look at all mailboxes */
#define FEED_SWEEP_LATE_MIN 120000u

struct feed_trouble {
    char id[48], object[256], text[400], hint[256];
    uint64_t since_ms;
};

struct feed_view {
    char host[256], site[NAME_MAX_BYTES + 1], store[256], version[32];
    char node[NAME_MAX_BYTES + 1];                       /* it is connected to */
    uint64_t age_ms;                                     /* of its last word */
    uint64_t started_ms, sweep_end_ms, pending_since_ms; /* Unix time; 0: none */
    uint64_t sweep_took_ms, sweep_interval_ms;
    uint64_t users, users_pending, mailboxes;
    bool stopping, more_troubles;
    unsigned troubles_n;
    struct feed_trouble troubles[FEED_TROUBLES_MAX];
};

/* false: there is no status in it, or more than the maxima. */
bool feed_view_read(const Mq__FeedView *from, struct feed_view *out_view);
/* Does it speak? */
bool feed_view_silent(const struct feed_view *f);
/* Messages about it, at most max troubles of its own, and the highest severity. now_ms: Unix time. */
enum severity feed_view_judge(const struct feed_view *f, uint64_t now_ms, unsigned max,
                              struct screen *s);

#endif
