/* Batches of commands. Decoding trusts nothing: sizes are checked before anything is touched, and a batch that
 * is not whole is refused whole. */
#include "proto/batch.h"

#include <string.h>

void batch_builder_init(struct batch_builder *b)
{
    memset(b, 0, sizeof(*b));
}

void batch_builder_deinit(struct batch_builder *b)
{
    buffer_deinit(&b->buffer);
    b->count = 0;
}

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

size_t batch_item_size(size_t command_size)
{
    return BATCH_ITEM_HEADER_SIZE + padded(command_size);
}

enum status batch_builder_add(struct batch_builder *b, const struct batch_item *item)
{
    if (item->command.size > COMMAND_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    size_t size = batch_item_size(item->command.size);
    size_t head = b->count == 0 ? BATCH_HEADER_SIZE : 0;
    if (b->count >= BATCH_COMMANDS_MAX ||
        (b->count > 0 && b->buffer.size + size > BATCH_BYTES_MAX)) {
        return STATUS_FULL;
    }
    uint8_t *at;
    enum status s = buffer_reserve(&b->buffer, head + size, &at);
    if (s != OK) {
        return s;
    }
    memset(at, 0, head + size);
    at += head;
    put_le32(at, (uint32_t)item->command.size);
    put_le64(at + 8, item->session.epoch);
    put_le64(at + 16, item->session.position);
    put_le64(at + 24, item->sequence);
    if (item->command.size > 0) {
        memcpy(at + BATCH_ITEM_HEADER_SIZE, item->command.data, item->command.size);
    }
    b->buffer.size += head + size;
    b->count++;
    return OK;
}

enum status batch_builder_finish(struct batch_builder *b, const struct batch_header *h,
                                 struct block **out_block)
{
    uint8_t empty[BATCH_HEADER_SIZE] = {0};
    enum status s = b->count == 0 ? buffer_append(&b->buffer, empty, sizeof(empty)) : OK;
    if (s != OK) {
        return s;
    }
    uint8_t *p = b->buffer.data;
    put_le32(p, BATCH_MAGIC);
    put_le32(p + 4, b->count);
    put_le32(p + 8, h->shard);
    put_le32(p + 12, h->level);
    put_le64(p + 16, h->epoch.number);
    put_le64(p + 24, h->epoch.id);
    put_le64(p + 32, h->time_ms);
    put_le64(p + 40, b->buffer.size - BATCH_HEADER_SIZE);
    struct block *block = block_copy(b->buffer.data, b->buffer.size);
    if (block == NULL) {
        return STATUS_NO_MEMORY;
    }
    buffer_clear(&b->buffer);
    b->count = 0;
    *out_block = block;
    return OK;
}

static enum status walk(struct bytes batch, uint32_t count)
{
    size_t cursor = 0;
    struct batch_item item;
    for (uint32_t i = 0; i < count; i++) {
        if (batch_next(batch, &cursor, &item) != OK) {
            return STATUS_MALFORMED;
        }
    }
    return cursor == batch.size || (count == 0 && batch.size == BATCH_HEADER_SIZE)
               ? OK
               : STATUS_MALFORMED;
}

enum status batch_decode_header(struct bytes batch, struct batch_header *out_header)
{
    if (batch.size < BATCH_HEADER_SIZE || get_le32(batch.data) != BATCH_MAGIC) {
        return STATUS_MALFORMED;
    }
    const uint8_t *p = batch.data;
    struct batch_header h = {
        .count = get_le32(p + 4),
        .shard = get_le32(p + 8),
        .level = get_le32(p + 12),
        .epoch = {.number = get_le64(p + 16), .id = get_le64(p + 24)},
        .time_ms = get_le64(p + 32),
    };
    if (h.level > FEATURE_LEVEL) {
        return STATUS_VERSION;
    }
    if (h.count > BATCH_COMMANDS_MAX || get_le64(p + 40) != batch.size - BATCH_HEADER_SIZE) {
        return STATUS_MALFORMED;
    }
    enum status s = walk(batch, h.count);
    if (s != OK) {
        return s;
    }
    *out_header = h;
    return OK;
}

enum status batch_next(struct bytes batch, size_t *cursor, struct batch_item *out_item)
{
    size_t at = *cursor == 0 ? BATCH_HEADER_SIZE : *cursor;
    if (at >= batch.size) {
        return STATUS_NOT_FOUND;
    }
    if (batch.size - at < BATCH_ITEM_HEADER_SIZE) {
        return STATUS_MALFORMED;
    }
    const uint8_t *p = batch.data + at;
    size_t size = get_le32(p);
    if (size > COMMAND_BYTES_MAX || padded(size) > batch.size - at - BATCH_ITEM_HEADER_SIZE) {
        return STATUS_MALFORMED;
    }
    out_item->command = (struct bytes){p + BATCH_ITEM_HEADER_SIZE, size};
    out_item->session = (struct token){get_le64(p + 8), get_le64(p + 16)};
    out_item->sequence = get_le64(p + 24);
    *cursor = at + batch_item_size(size);
    return OK;
}
