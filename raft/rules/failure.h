/* What has failed, by its name: from the matrix of who hears whom, who was heard when, and how connections end.
 *
 *   a node that nobody hears       NODE_DOWN; NODE_FROZEN where connections are taken and nothing answers
 *   ... all nodes of its site      SITE_DOWN, WITNESS_DOWN
 *   ... which was heard for a while after it had ceased to hear anybody          ASYMMETRIC
 *   two nodes that live and do not hear each other       LINK_CUT; of whole sites DC_LINK_CUT; one way only: ASYMMETRIC
 *   the observer reaches no majority, or was not asked to and hears none
 *                                                        NO_QUORUM, and no claim about the others
 *   it hears one, and not the directory's leader         UNCONFIRMED beside what is found; no such leader known: NO_QUORUM beside it */
#ifndef MQ_RAFT_RULES_FAILURE_H
#define MQ_RAFT_RULES_FAILURE_H

#include "raft/rules/finding.h"

#define ONE_WAY_MS_MIN 1500u /* heard for so long after it heard nobody */

void failure_judge(const struct observation *o, struct findings *f);

#endif
