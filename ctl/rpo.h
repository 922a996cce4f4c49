/* What may be lost with a site, as one line each: how far the records are behind its mail stores, and which bodies only it has. From the
 * counters that the leaders put into the view. Pure but for the screen. */
#ifndef MQ_CTL_RPO_H
#define MQ_CTL_RPO_H

#include "ctl/cluster_view.h"
#include "ctl/screen.h"

#define RPO_SITES_MAX 64u

struct rpo_site {
    char site[NAME_MAX_BYTES + 1]; /* empty: stores that do not say where they stand */
    uint64_t stores, unpositioned, complete_ms, sole_messages, sole_bytes;
};
struct rpo {
    bool whole; /* every shard's leader has told */
    unsigned n;
    struct rpo_site sites[RPO_SITES_MAX];
};

void rpo_sum(const struct cluster_view *v, struct rpo *out_r);
/* Lines, and "rpo" in the data. */
void rpo_show(const struct cluster_view *v, struct screen *s);

#endif
