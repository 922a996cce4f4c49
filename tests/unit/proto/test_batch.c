/* A batch gives back what was put in, and refuses anything that is not exactly one. */
#include "proto/batch.h"

#include "tests/lib/check.h"

static struct block *build(uint32_t n, size_t size)
{
    struct batch_builder b;
    struct block *block;
    struct batch_header h = {
        .shard = 7, .level = FEATURE_LEVEL, .epoch = {3, 99, 0}, .time_ms = 12345};
    batch_builder_init(&b);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t data[512];
        memset(data, (int)i, sizeof(data));
        struct batch_item item = {{data, size}, {3, 40 + i}, 1000 + i};
        CHECK_OK(batch_builder_add(&b, &item));
    }
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    CHECK_EQ(b.count, 0);
    batch_builder_deinit(&b);
    return block;
}

static struct bytes bytes_of(const struct block *b)
{
    return (struct bytes){b->data, b->size};
}

static void what_was_put_in_comes_out(void)
{
    struct block *b = build(5, 13);
    struct batch_header h;
    struct batch_item item;
    size_t cursor = 0;
    CHECK_OK(batch_decode_header(bytes_of(b), &h));
    CHECK_EQ(h.shard, 7);
    CHECK_EQ(h.count, 5);
    CHECK_EQ(h.epoch.number, 3);
    CHECK_EQ(h.epoch.id, 99);
    CHECK_EQ(h.time_ms, 12345);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_OK(batch_next(bytes_of(b), &cursor, &item));
        CHECK_EQ(item.command.size, 13);
        CHECK_EQ(item.command.data[12], i);
        CHECK_EQ(item.session.position, 40 + i);
        CHECK_EQ(item.session.epoch, 3);
        CHECK_EQ(item.sequence, 1000 + i);
    }
    CHECK_EQ(batch_next(bytes_of(b), &cursor, &item), STATUS_NOT_FOUND);
    CHECK_EQ(b->size, BATCH_HEADER_SIZE + 5 * batch_item_size(13));
    block_unref(b);
}

static void a_batch_closes_at_its_limits(void)
{
    struct batch_builder b;
    struct batch_header h = {.shard = 1, .level = 1, .epoch = {1, 1, 0}};
    struct block *block;
    batch_builder_init(&b);
    struct batch_item item = {{(const uint8_t *)"x", 1}, {0, 0}, 0};
    uint32_t n = 0;
    enum status s;
    while ((s = batch_builder_add(&b, &item)) == OK) {
        n++;
    }
    CHECK_EQ(s, STATUS_FULL);
    CHECK(n <= BATCH_COMMANDS_MAX);
    CHECK(n * batch_item_size(1) <= BATCH_BYTES_MAX);
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    CHECK(block->size <= BATCH_BYTES_MAX);
    block_unref(block);

    uint8_t *big = calloc(1, COMMAND_BYTES_MAX + 1);
    item.command = (struct bytes){big, COMMAND_BYTES_MAX};
    CHECK_OK(batch_builder_add(&b, &item)); /* alone */
    CHECK_EQ(batch_builder_add(&b, &item), STATUS_FULL);
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    CHECK_OK(batch_decode_header(bytes_of(block), &h));
    block_unref(block);
    item.command.size = COMMAND_BYTES_MAX + 1;
    CHECK_NE(batch_builder_add(&b, &item), OK);
    batch_builder_deinit(&b);
    free(big);
}

static void nothing_but_a_whole_batch_is_accepted(void)
{
    struct block *b = build(3, 20);
    struct batch_header h;
    for (size_t n = 0; n < b->size; n++) {
        struct bytes cut = {b->data, n};
        CHECK_NE(batch_decode_header(cut, &h), OK);
    }
    struct block *longer = block_new(b->size + 8);
    memcpy(longer->data, b->data, b->size);
    memset(longer->data + b->size, 0, 8);
    CHECK_EQ(batch_decode_header(bytes_of(longer), &h), STATUS_MALFORMED);
    block_unref(longer);
    b->data[0] ^= 1;
    CHECK_EQ(batch_decode_header(bytes_of(b), &h), STATUS_MALFORMED);
    b->data[0] ^= 1;
    put_le32(b->data + 4, 4);
    CHECK_EQ(batch_decode_header(bytes_of(b), &h), STATUS_MALFORMED);
    put_le32(b->data + 4, 3);
    put_le32(b->data + 12, FEATURE_LEVEL + 1);
    CHECK_EQ(batch_decode_header(bytes_of(b), &h), STATUS_VERSION);
    put_le32(b->data + 12, FEATURE_LEVEL);
    CHECK_OK(batch_decode_header(bytes_of(b), &h));
    put_le32(b->data + BATCH_HEADER_SIZE, 0xfffffff0u);
    CHECK_EQ(batch_decode_header(bytes_of(b), &h), STATUS_MALFORMED);
    block_unref(b);
}

static void flipped_bytes_never_lead_outside(void)
{
    struct block *b = build(4, 30);
    for (uint32_t at = 0; at < b->size; at++) {
        struct batch_header h;
        struct batch_item item;
        size_t cursor = 0;
        struct block *copy = block_copy(b->data, b->size);
        copy->data[at] ^= (uint8_t)(1u << (at % 8));
        if (batch_decode_header(bytes_of(copy), &h) == OK) {
            while (batch_next(bytes_of(copy), &cursor, &item) == OK) {
                CHECK(item.command.data >= copy->data);
                CHECK(item.command.data + item.command.size <= copy->data + copy->size);
            }
        }
        block_unref(copy);
    }
    block_unref(b);
}

CHECK_MAIN
{
    RUN(what_was_put_in_comes_out);
    RUN(a_batch_closes_at_its_limits);
    RUN(nothing_but_a_whole_batch_is_accepted);
    RUN(flipped_bytes_never_lead_outside);
}
