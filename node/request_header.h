/* mq.RequestHeader without an allocation: the hot path reads tens of thousands a second. Pure;
 * trusts nothing; strings are borrowed. */
#ifndef MQ_NODE_REQUEST_HEADER_H
#define MQ_NODE_REQUEST_HEADER_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/identity.h"

#define USER_BYTES_MAX 255u

struct request_header {
    uint64_t id;
    uint32_t op; /* Mq__Op */
    struct bytes user;
    uint32_t shard;
    uint32_t deadline_ms;
    struct token session;
    uint64_t sequence, acknowledged;
    uint32_t consistency;
    bool forwarded;
    uint64_t min_epoch, min_index;
};

/* false: malformed. Unknown fields are skipped, as protobuf does. */
bool request_header_decode(struct bytes b, struct request_header *out_h);

#endif
