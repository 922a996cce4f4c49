/* Which further losses a shard survives: it goes on taking writes, and nothing acknowledged is lost. A shard goes on when a data voter is
 * left that reaches a majority of voters; links that are known to be cut count, and what a witness has cut from its log (holders.h). Raft keeps what a majority acknowledged as long as a
 * majority is left; what a site and the witness together take away is kept only in mode cross-site, and is said apart. */
#ifndef MQ_RAFT_RULES_SURVIVAL_H
#define MQ_RAFT_RULES_SURVIVAL_H

#include "base/sentence.h"
#include "raft/rules/observation.h"

enum site_loss {
    SITE_LOSS_ABSENT, /* it holds no voter that is good: it cannot be lost */
    SITE_LOSS_SERVES, /* the others go on */
    SITE_LOSS_STOPS   /* they do not */
};

struct survival {
    int nodes;                      /* any so many nodes may go; -1: it does not serve now */
    bool node[NODES_MAX];           /* this one may go; by place; true where it holds nothing */
    enum site_loss site[NODES_MAX]; /* by place of any node of the site */
    enum site_loss
        site_and_witness[NODES_MAX]; /* the site of that place, and every site of witnesses */
    unsigned voters;                 /* the fewest of any shard */
    shard_id weakest;                /* a shard to which it applies; the lowest number */
};

void survival_judge_shard(const struct observation *o, const struct observed_shard *s,
                          struct survival *out_survival);
/* Of all shards: what each of them survives. */
void survival_judge(const struct observation *o, struct survival *out_survival);
/* "survives 1 site or any 2 nodes" and its kin. */
void survival_text(const struct observation *o, const struct survival *v, struct sentence *s);

#endif
