/* How each node and each copy is that can be heard: states, disks, certificates, clocks, lag, links that come and go. */
#ifndef MQ_RAFT_RULES_CONDITION_H
#define MQ_RAFT_RULES_CONDITION_H

#include "raft/rules/finding.h"

#define CERTIFICATE_YELLOW_MS (30 * UINT64_C(86400000))
#define CERTIFICATE_ORANGE_MS (7 * UINT64_C(86400000))
#define SYNC_SLOW_US          1000000u
#define CLOCK_OFFSET_US_MAX \
    100000               /* from the median, beyond what the measurement may be wrong by */
#define BREAKS_MAX     4 /* more in the last minutes, and a link flaps */
#define STALL_MS_MIN   2000u
#define STALL_SHOWN_MS 60000u

void condition_judge(const struct observation *o, struct findings *f);

#endif
