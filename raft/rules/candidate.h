/* Who may lead a shard: every predicate of one candidate, with its reason. The shard itself asks this before it hands leadership over
 * (raft/shard_lead), and `clusterctl explain` shows it: what is explained is what decides. */
#ifndef MQ_RAFT_RULES_CANDIDATE_H
#define MQ_RAFT_RULES_CANDIDATE_H

#include "raft/rules/observation.h"
#include "base/sentence.h"

#define CANDIDATE_CONTACT_MS  1000u /* an answer this fresh */
#define CANDIDATE_LAG_ENTRIES 64u   /* the engine brings the target up before it hands over */

enum candidate_check {
    CANDIDATE_VOTES,     /* it is a voter */
    CANDIDATE_KEEPS,     /* it keeps the state: a witness of mail only votes */
    CANDIDATE_ALIVE,     /* it answered the leader lately */
    CANDIDATE_GOOD,      /* its copy is in order */
    CANDIDATE_CAUGHT_UP, /* it has nearly all entries */
    CANDIDATE_REACHES,   /* it reaches a majority of voters */
    CANDIDATE_CHECKS
};

struct candidate {
    bool votes, keeps;
    uint64_t contact_age_ms; /* AGE_UNKNOWN: not in contact */
    bool good_known, good;
    const char *state; /* of a copy that is not good */
    bool lag_known;
    uint64_t lag_entries;
    bool reach_known;
    unsigned reaches, majority; /* voters, itself included */
};

enum candidate_verdict { CANDIDATE_YES, CANDIDATE_NO, CANDIDATE_NOT_KNOWN };

const char *candidate_check_name(enum candidate_check check);
enum candidate_verdict candidate_check(const struct candidate *c, enum candidate_check check);
void candidate_reason(const struct candidate *c, enum candidate_check check, struct sentence *s);
/* No predicate fails; what is not known does not fail. */
bool candidate_may_lead(const struct candidate *c);
/* As an observer sees the copy of the shard. */
void candidate_seen(const struct observation *o, const struct observed_shard *s,
                    const struct observed_replica *r, struct candidate *out_c);

#endif
