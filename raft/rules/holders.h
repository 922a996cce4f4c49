/* Who can go on with a shard when the others are gone. Raft keeps what a majority acknowledged as long as a majority is left, but a witness
 * of mail keeps the log only: at its cap it cuts entries that a voter far behind still lacks (agreement.md section 4). Of what is cut only
 * data voters have a copy, and a majority of the witness and voters that lack it serves nobody.
 *
 * A copy goes on when it has everything before the first entry that the witnesses left can still give. */
#ifndef MQ_RAFT_RULES_HOLDERS_H
#define MQ_RAFT_RULES_HOLDERS_H

#include "raft/rules/finding.h"

/* The first entry that every good witness left of a shard still has; 0: it goes without one, or none of them has said it. gone: by
 * replica. */
uint64_t holders_first(const struct observation *o, const struct observed_shard *s,
                       const bool *gone);
/* Has the copy everything before that entry? The leader's has; what is not known of another, it has not. Words of copies are up to
 * SAID_MS_MAX apart, and one that lags no more than that has all. */
bool holders_reaches(const struct observed_shard *s, const struct observed_replica *r,
                     uint64_t first);
/* SOLE_SITE: what no voter of another site has, or could get from a witness. */
void holders_judge(const struct observation *o, struct findings *f);

#endif
