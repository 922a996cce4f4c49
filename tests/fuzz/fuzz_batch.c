/* Any bytes as a log entry's batch of commands: what decodes is whole, its items lie inside it, and building it again gives a
 * batch with the same items. */
#include "proto/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_items(struct bytes a, struct bytes b)
{
    struct batch_item x, y;
    size_t at_a = 0, at_b = 0;
    enum status s;
    while ((s = batch_next(a, &at_a, &x)) == OK) {
        must(batch_next(b, &at_b, &y) == OK);
        must(x.sequence == y.sequence && x.session.epoch == y.session.epoch &&
             x.session.position == y.session.position);
        must(x.command.size == y.command.size);
        must(x.command.size == 0 || memcmp(x.command.data, y.command.data, x.command.size) == 0);
    }
    must(batch_next(b, &at_b, &y) == s);
}

static void build_again(const struct batch_header *h, struct bytes batch)
{
    struct batch_builder b;
    struct batch_item item;
    struct batch_header again;
    struct block *block;
    size_t cursor = 0;
    enum status s = OK;
    batch_builder_init(&b);
    while (s == OK && batch_next(batch, &cursor, &item) == OK) {
        s = batch_builder_add(&b, &item);
        must(s == OK || s == STATUS_FULL);
    }
    if (s == OK) {
        must(batch_builder_finish(&b, h, &block) == OK);
        must(batch_decode_header((struct bytes){block->data, block->size}, &again) == OK);
        must(again.count == h->count && again.shard == h->shard && again.time_ms == h->time_ms);
        same_items(batch, (struct bytes){block->data, block->size});
        block_unref(block);
    }
    batch_builder_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes batch = {data, size};
    struct batch_header h;
    struct batch_item item;
    size_t cursor = 0;
    uint32_t n = 0;
    if (batch_decode_header(batch, &h) != OK) {
        return 0;
    }
    while (batch_next(batch, &cursor, &item) == OK) {
        must(item.command.data >= data && item.command.data + item.command.size <= data + size);
        n++;
    }
    must(n == h.count);
    build_again(&h, batch);
    return 0;
}
