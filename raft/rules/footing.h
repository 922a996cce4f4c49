/* Are there voters enough, and what brings back those that are missing.
 *
 *   too few voters are good       QUORUM_LOST, red. Only nodes that are down can be brought back; a copy that is not in order on a node
 *                                 that lives takes what it lacks from a data voter, and waits for one where none is in order
 *   enough, and nobody leads      NO_LEADER, red
 *   not every node may be lost    QUORUM_MARGIN, orange
 *
 * Shards whose voters are on the same nodes and in the same order are one finding: its numbers and names are true of each of them. */
#ifndef MQ_RAFT_RULES_FOOTING_H
#define MQ_RAFT_RULES_FOOTING_H

#include "raft/rules/finding.h"

void footing_judge(const struct observation *o, struct findings *f);

#endif
