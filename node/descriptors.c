#include "node/descriptors.h"

#define OWN        96u /* log segments, certificates, sockets we listen on, the loop's and libraries' */
#define EACH_NODE  8u /* links both ways, dials, copies */
#define EACH_SHARD 8u /* an environment and its next checkpoint, a copy going out or coming in */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct descriptors_share descriptors_share(uint64_t limit, uint32_t nodes, uint32_t shards,
                                           uint64_t clients_wanted)
{
    uint64_t ours = OWN + (uint64_t)EACH_NODE * nodes + (uint64_t)EACH_SHARD * shards;
    uint64_t left = limit > 2 * ours ? limit - ours : limit / 2;
    struct descriptors_share d;
    d.handshakes = least(left / 2, HANDSHAKES_MAX);
    d.handshakes = d.handshakes > 0 ? d.handshakes : 1;
    d.clients = left > d.handshakes ? least(left - d.handshakes, clients_wanted) : 1;
    return d;
}
