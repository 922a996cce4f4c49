/* The founding file drawn from a topology: ids, epochs and replica ids that never existed before. */
#ifndef MQ_CTL_TOPOLOGY_FOUNDING_H
#define MQ_CTL_TOPOLOGY_FOUNDING_H

#include "base/random.h"
#include "ctl/topology.h"

/* Encoded mq.Founding appended to out; *out_cluster is its cluster id. Nodes are numbered from 1 in the order of the file. */
enum status topology_founding(const struct topology *t, struct random *random, uint64_t now_ms,
                              struct buffer *out, struct uuid *out_cluster);

#endif
