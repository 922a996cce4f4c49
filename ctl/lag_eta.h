/* When the lag of a shard's copies crosses its limit, as `lag --eta` says it. Pure. A copy whose node is down falls behind without an end: it
 * comes before every other. */
#ifndef MQ_CTL_LAG_ETA_H
#define MQ_CTL_LAG_ETA_H

#include "ctl/cluster_view.h"

#define LAG_ETA_SIZE (NAME_MAX_BYTES + 64)

/* Where the lag of a copy is going: "down", or the node's word ("never", "breach", "clears", "not_falling"); "" = not known. */
const char *lag_course(const struct cluster_view *v, const struct view_replica *r);
/* Of the copy that is worst off: "bj1 down", "bj1 +1 down", "bj2 in 11m20s", "never"; "?" = not known. */
void lag_eta_format(const struct cluster_view *v, const struct view_shard *shard, char *text,
                    size_t size);

#endif
