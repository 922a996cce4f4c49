/* How many descriptors strangers may hold, so that our own files and peers always find one: a store that cannot open its next
 * checkpoint is lost, and a flood of silent connections must not be able to cause that. Pure. */
#ifndef MQ_NODE_DESCRIPTORS_H
#define MQ_NODE_DESCRIPTORS_H

#include <stdint.h>

#define HANDSHAKES_MAX 256u /* at once; the oldest gives way */

struct descriptors_share {
    uint64_t
        handshakes; /* connections that have not said who they are: at least 1, at most HANDSHAKES_MAX */
    uint64_t clients; /* at least 1, at most what is wanted */
};

/* limit: of the process. clients_wanted: [limits] connections_max. */
struct descriptors_share descriptors_share(uint64_t limit, uint32_t nodes, uint32_t shards,
                                           uint64_t clients_wanted);

#endif
