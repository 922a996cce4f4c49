/* Who leads each shard, and whether that is as it must be.
 *
 *   two that say they lead in one term        TWO_LEADERS, red: Raft's promise is broken, or a data directory was copied
 *   copies that differ at one index           DIVERGENCE, red
 *   two of different terms                    STALE_LEADER, blue: the older one is cut off, acknowledges nothing, and steps down
 *   nobody, or just enough voters             see footing.h
 *   another site than it prefers              AWAY; moved just now: LEADER_MOVED */
#ifndef MQ_RAFT_RULES_LEADERS_H
#define MQ_RAFT_RULES_LEADERS_H

#include "raft/rules/finding.h"

#define MOVED_SHOWN_MS 60000u

void leaders_judge(const struct observation *o, struct findings *f);
/* "bj1 was not heard for 0.51s", ... : why the shard is led where it is. */
void leaders_why(const struct observation *o, const struct observed_shard *s,
                 struct sentence *out_s);

#endif
