/* What the rules say, as the messages of a status view. The node judges, so that every screen says the same words. */
#ifndef MQ_NODE_VERDICT_H
#define MQ_NODE_VERDICT_H

#include "proto/api.pb-c.h"
#include "raft/rules/verdict.h"

#define SENTENCE_SIZE 1200

/* The messages point into it and into the observation. Large: allocate it, zeroed. */
struct verdict_view {
    struct verdict verdict;
    Mq__Verdict message;
    Mq__Finding findings[FINDINGS_MAX];
    Mq__Finding *finding_pointers[FINDINGS_MAX];
    Mq__SiteLoss sites[NODES_MAX];
    Mq__SiteLoss *site_pointers[NODES_MAX];
    /* of one shard, when that is asked for */
    Mq__Explanation explanation;
    char leader[SENTENCE_SIZE], away[SENTENCE_SIZE], survives[FINDING_TEXT_SIZE];
    Mq__Candidate candidates[MEMBERS_MAX];
    Mq__Candidate *candidate_pointers[MEMBERS_MAX];
    Mq__Predicate predicates[MEMBERS_MAX][8];
    Mq__Predicate *predicate_pointers[MEMBERS_MAX][8];
    char reasons[MEMBERS_MAX][8][200];
};

void verdict_view_fill(struct verdict_view *v, const struct observation *o);
void verdict_view_explain(struct verdict_view *v, const struct observation *o,
                          const struct observed_shard *s);
/* lag_course, eta and eta_ms of a copy, from its other fields. text is for eta. */
void verdict_view_eta(Mq__ReplicaView *r, uint64_t limit_ms, char *text, size_t size);

#endif
