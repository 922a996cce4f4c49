/* Everything the rules say about an observation, as one: the findings, the worst of them, and the sentences of `status`. */
#ifndef MQ_RAFT_RULES_VERDICT_H
#define MQ_RAFT_RULES_VERDICT_H

#include "raft/rules/finding.h"
#include "raft/rules/survival.h"

struct verdict {
    struct findings findings;
    struct survival survival;
    char headline
        [FINDING_TEXT_SIZE +
         40]; /* "SITE_DOWN +6m12s: beijing GONE ..." of the worst finding; "nothing to do" */
    char survives[FINDING_TEXT_SIZE]; /* "survives 1 site or any 2 nodes"; "" without a quorum */
    const char *next, *avoid;         /* into findings; "" = nothing */
    uint64_t since_ms;                /* of the worst; AGE_UNKNOWN */
};

/* Large: allocate it. */
void verdict_judge(const struct observation *o, struct verdict *out_v);

#endif
