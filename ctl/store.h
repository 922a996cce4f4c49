/* What the cluster knows of the mail stores: one row a store and shard. */
#ifndef MQ_CTL_STORE_H
#define MQ_CTL_STORE_H

#include "ctl/ctl.h"

#define STORES_LISTED_MAX 65536u

struct store_sum {
    shard_id shard;
    char shard_name[NAME_MAX_BYTES + 1], store[256],
        site[NAME_MAX_BYTES + 1]; /* site empty: not told */
    uint64_t complete_ms, heard_ms, mailboxes, messages, bytes, sole_messages, sole_bytes,
        missing_messages, missing_bytes;
};
struct store_sums {
    struct store_sum *of; /* owned */
    unsigned n;
    uint64_t mailboxes, messages, bytes; /* of all shards */
};

/* Of every shard; linearizable (or --local). Free with store_sums_free() after any result. */
enum status store_sums_fetch(struct ctl *c, struct call_answer *a, struct store_sums *out_s,
                             enum exit_code *out_code);
void store_sums_free(struct store_sums *s);
json_t *store_sum_json(const struct store_sum *s, uint64_t now_ms);
/* "1.20s" or "?". */
const char *store_behind(const struct store_sum *s, uint64_t now_ms, char text[SPAN_TEXT_SIZE]);

#endif
