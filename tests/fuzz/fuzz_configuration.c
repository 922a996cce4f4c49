/* Any bytes as the encoded configuration of a shard (an entry of the log, a copy's head): what decodes has one spelling, ours. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct engine_configuration c;
    struct block *again;
    if (engine_configuration_decode((struct bytes){data, size}, &c) != OK) {
        return 0;
    }
    must(c.n >= 1 && c.n <= MEMBERS_MAX);
    must(engine_configuration_encode(&c, &again) == OK);
    must(again->size == size && memcmp(again->data, data, size) == 0);
    block_unref(again);
    return 0;
}
