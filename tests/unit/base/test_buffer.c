/* Buffers grow up to their maximum; blocks live as long as their last reference. */
#include "base/buffer.h"

#include "tests/lib/check.h"

static void a_buffer_grows_and_gives_back_what_was_put_in(void)
{
    struct buffer b;
    buffer_init(&b, 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(buffer_append(&b, "0123456789", 10));
    }
    CHECK_EQ(b.size, 10000);
    CHECK_MEM_EQ(b.data + 9990, "0123456789", 10);
    buffer_consume(&b, 9995);
    CHECK_EQ(b.size, 5);
    CHECK_MEM_EQ(b.data, "56789", 5);
    CHECK_OK(buffer_append(&b, NULL, 0));
    buffer_clear(&b);
    CHECK_EQ(b.size, 0);
    buffer_deinit(&b);
    buffer_deinit(&b);
}

static void a_buffer_refuses_what_passes_its_maximum_and_stays_as_it_was(void)
{
    struct buffer b;
    uint8_t *at = NULL;
    buffer_init(&b, 16);
    CHECK_OK(buffer_append(&b, "0123456789", 10));
    CHECK_OK(buffer_reserve(&b, 6, &at));
    CHECK(at == b.data + 10);
    CHECK_EQ(buffer_append(&b, "abcdefg", 7), STATUS_TOO_BIG);
    CHECK_EQ(buffer_reserve(&b, SIZE_MAX, NULL), STATUS_TOO_BIG);
    CHECK_EQ(b.size, 10);
    CHECK_OK(buffer_append(&b, "abcdef", 6));
    CHECK_EQ(buffer_append(&b, "x", 1), STATUS_TOO_BIG);
    buffer_deinit(&b);
}

static void nothing_can_be_put_into_a_buffer_that_has_no_memory_yet(void)
{
    struct buffer b;
    buffer_init(&b, 0);
    CHECK_OK(buffer_append(&b, NULL, 0));
    CHECK_EQ(b.size, 0);
    uint8_t *at = NULL;
    CHECK_OK(buffer_reserve(&b, 0, &at));
    CHECK(at != NULL);
    buffer_deinit(&b);
}

static void a_block_lives_until_its_last_reference(void)
{
    struct block *b = block_copy("abc", 3);
    CHECK_EQ(b->size, 3);
    CHECK(block_ref(b) == b);
    block_unref(b);
    CHECK_MEM_EQ(b->data, "abc", 3); /* under ASan this is the test */
    block_unref(b);
    block_unref(NULL);
    b = block_new(0);
    CHECK_EQ(b->size, 0);
    block_unref(b);
}

static void integers_keep_their_byte_order(void)
{
    uint8_t p[8];
    put_le32(p, 0x01020304);
    CHECK_EQ(p[0], 4);
    CHECK_EQ(get_le32(p), 0x01020304);
    put_le16(p, 0xabcd);
    CHECK_EQ(p[0], 0xcd);
    CHECK_EQ(get_le16(p), 0xabcd);
    put_le64(p, 0x0102030405060708u);
    CHECK_EQ(p[0], 8);
    CHECK_EQ(get_le64(p), 0x0102030405060708u);
    put_be64(p, 0x0102030405060708u);
    CHECK_EQ(p[0], 1);
    CHECK_EQ(p[7], 8);
}

CHECK_MAIN
{
    RUN(a_buffer_grows_and_gives_back_what_was_put_in);
    RUN(a_buffer_refuses_what_passes_its_maximum_and_stays_as_it_was);
    RUN(nothing_can_be_put_into_a_buffer_that_has_no_memory_yet);
    RUN(a_block_lives_until_its_last_reference);
    RUN(integers_keep_their_byte_order);
}
