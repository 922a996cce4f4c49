/* Why a shard is led where it is, in words: since when and why, every candidate, and why it is not led from the site it prefers. */
#ifndef MQ_RAFT_RULES_EXPLAIN_H
#define MQ_RAFT_RULES_EXPLAIN_H

#include "raft/rules/candidate.h"

/* "leader sh2 (shanghai) since 09:15:31Z term 41: bj1 was not heard for 0.51s; candidates: sh2 ok; sh1 NO caught_up: ...". */
void explain_leader(const struct observation *o, const struct observed_shard *s,
                    struct sentence *out_s);
/* "not in beijing because: bj1 NO alive: ...". Nothing when it is led from there, or nobody leads. */
void explain_away(const struct observation *o, const struct observed_shard *s,
                  struct sentence *out_s);

#endif
