/* See report_proof.h. */
#include "ctl/report_proof.h"

#include <string.h>

static const struct {
    unsigned gap;
    const char *name, *text;
} gaps[PROOF_GAPS] = {
    {PROOF_ROWS, "rows", "something would be lost"},
    {PROOF_LOCAL, "local", "one node was asked (--local)"},
    {PROOF_NO_STORE, "no-store", "no mail store there has reported anything"},
    {PROOF_STORE_POSITION, "store-position",
     "a store has never said that all it holds is reported"},
    {PROOF_USERS_UNREPORTED, "users-unreported", "of some users nothing was ever reported"},
    {PROOF_NO_QUEUE, "no-queue", "no mail queue there has been reported"},
    {PROOF_QUEUE_POSITION, "queue-position", "a queue there was never listed to its end"},
    {PROOF_QUEUE_WITHOUT_SITE, "queue-without-site", "a queue's site is not known"},
    {PROOF_FEED_UNHEARD, "feed-unheard",
     "the feed of a store or queue there has not spoken in the last day"},
    {PROOF_FEED_TROUBLE, "feed-trouble",
     "a feed there leaves users or queues out (clusterctl feed show)"},
    {PROOF_WINDOW, "window", "a store or queue was last known completely over 10 minutes ago"},
    {PROOF_STORE_WITHOUT_SITE, "store-without-site", "a store does not say where it stands"},
};

unsigned proof_gaps(const struct proof_facts *f)
{
    return (f->nothing ? 0u : PROOF_ROWS) | (f->local ? PROOF_LOCAL : 0u) |
           (f->stores == 0 ? PROOF_NO_STORE : 0u) |
           (f->stores_unpositioned > 0 ? PROOF_STORE_POSITION : 0u) |
           (f->users_unreported > 0 ? PROOF_USERS_UNREPORTED : 0u) |
           (f->queues == 0 ? PROOF_NO_QUEUE : 0u) |
           (f->queues_unpositioned > 0 ? PROOF_QUEUE_POSITION : 0u) |
           (f->queues_without_site > 0 ? PROOF_QUEUE_WITHOUT_SITE : 0u) |
           (f->feeds_unheard > 0 ? PROOF_FEED_UNHEARD : 0u) |
           (f->feeds_troubled > 0 ? PROOF_FEED_TROUBLE : 0u) |
           (f->window_ms > PROOF_WINDOW_MS_MAX ? PROOF_WINDOW : 0u) |
           (f->stores_without_site > 0 ? PROOF_STORE_WITHOUT_SITE : 0u);
}

static unsigned place(unsigned gap)
{
    unsigned i = 0;
    while (i + 1 < PROOF_GAPS && gaps[i].gap != gap) {
        i++;
    }
    return i;
}

const char *proof_gap_name(unsigned gap)
{
    return gaps[place(gap)].name;
}

const char *proof_gap_text(unsigned gap)
{
    return gaps[place(gap)].text;
}

bool proof_feed_leaves_out(const Mq__FeedStatus *s)
{
    static const char *const ids[] = {"MQ-FEED-UNASSIGNED", "MQ-FEED-USERS-MAX",
                                      "MQ-FEED-QUEUE-UNASSIGNED", "MQ-FEED-QUEUE-POSTFIX",
                                      "MQ-FEED-QUEUE-FULL"};
    for (size_t i = 0; i < s->n_troubles; i++) {
        for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
            if (strcmp(s->troubles[i]->id, ids[k]) == 0) {
                return true;
            }
        }
    }
    return s->more_troubles; /* it may be among those not told */
}
