/* A founding record out of a file or the directory: whatever passes the check can be turned into
 * options of every member. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/founding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Mq__Founding *m = mq__founding__unpack(NULL, size, data);
    if (m == NULL) {
        return 0;
    }
    struct error e;
    if (founding_check(m, &e) == OK) {
        for (size_t i = 0; i < m->n_shards; i++) {
            for (size_t k = 0; k < m->shards[i]->n_members; k++) {
                struct shard_options o;
                if (founding_shard_options(m, m->shards[i], m->shards[i]->members[k]->node, &o) !=
                    OK) {
                    abort();
                }
            }
        }
    }
    mq__founding__free_unpacked(m, NULL);
    return 0;
}
