/* Frames: what is encoded comes back, half a frame waits, and nothing over a limit gets past the head. */
#include "proto/frame.h"

#include "tests/lib/check.h"

static struct bytes text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static void a_frame_comes_back_as_it_went(void)
{
    struct buffer b = {0};
    struct frame f;
    size_t size;
    CHECK_OK(frame_encode(&b, FRAME_CLIENT_REQUEST, text("head"), text("payload")));
    CHECK_OK(frame_encode(&b, FRAME_PING, text("p"), text("")));
    CHECK_OK(frame_decode((struct bytes){b.data, b.size}, &f, &size));
    CHECK_EQ(f.kind, FRAME_CLIENT_REQUEST);
    CHECK_EQ(size, FRAME_HEAD_SIZE + 11);
    CHECK_EQ(f.header.size, 4);
    CHECK_MEM_EQ(f.payload.data, "payload", 7);
    CHECK_OK(frame_decode((struct bytes){b.data + size, b.size - size}, &f, &size));
    CHECK_EQ(f.kind, FRAME_PING);
    struct block *block;
    CHECK_OK(frame_block_new(FRAME_CLIENT_REQUEST, text("head"), text("payload"), &block));
    CHECK_EQ(block->size, FRAME_HEAD_SIZE + 11);
    CHECK_MEM_EQ(block->data, b.data, block->size);
    block_unref(block);
    buffer_deinit(&b);
}

static void every_prefix_of_a_frame_asks_for_the_rest(void)
{
    struct buffer b = {0};
    struct frame f;
    size_t size;
    CHECK_OK(frame_encode(&b, FRAME_RAFT, text("head"), text("payload")));
    for (size_t n = 0; n < b.size; n++) {
        CHECK_EQ(frame_decode((struct bytes){b.data, n}, &f, &size), STATUS_BUSY);
        CHECK_EQ(size, n < FRAME_HEAD_SIZE ? FRAME_HEAD_SIZE : b.size);
    }
    buffer_deinit(&b);
}

static void a_head_over_the_limits_of_its_kind_is_refused_before_its_body_comes(void)
{
    struct frame f;
    size_t size;
    for (unsigned kind = 0; kind < FRAME_KIND_COUNT + 3; kind++) {
        uint32_t header_max, payload_max;
        uint8_t head[FRAME_HEAD_SIZE];
        frame_limits((enum frame_kind)kind, &header_max, &payload_max);
        CHECK(header_max <= FRAME_HEADER_MAX && payload_max <= FRAME_PAYLOAD_MAX);
        put_le32(head, header_max + payload_max);
        put_le16(head + 4, (uint16_t)kind);
        put_le16(head + 6, (uint16_t)header_max);
        struct bytes b = {head, sizeof(head)};
        enum status at_limit = frame_decode(b, &f, &size);
        if (header_max == 0) {
            CHECK_EQ(at_limit, STATUS_MALFORMED);
            continue;
        }
        CHECK_EQ(at_limit, STATUS_BUSY);
        put_le32(head, header_max + payload_max + 1);
        CHECK_EQ(frame_decode(b, &f, &size), STATUS_TOO_BIG);
        put_le16(head + 6, (uint16_t)(header_max + 1));
        CHECK_EQ(frame_decode(b, &f, &size), STATUS_TOO_BIG);
        put_le32(head, header_max);
        CHECK_EQ(frame_decode(b, &f, &size), STATUS_MALFORMED); /* header larger than the frame */
    }
}

static void we_never_send_what_the_other_side_must_refuse(void)
{
    struct buffer b = {0};
    uint8_t big[300] = {0};
    CHECK_EQ(frame_encode(&b, FRAME_READ_ROUND, (struct bytes){big, 300}, text("")),
             STATUS_TOO_BIG);
    CHECK_EQ(frame_encode(&b, FRAME_PING, text("x"), text("payload")), STATUS_TOO_BIG);
    CHECK_EQ(frame_encode(&b, (enum frame_kind)39, text("x"), text("")), STATUS_MALFORMED);
    CHECK_EQ(b.size, 0);
    buffer_deinit(&b);
}

CHECK_MAIN
{
    RUN(a_frame_comes_back_as_it_went);
    RUN(every_prefix_of_a_frame_asks_for_the_rest);
    RUN(a_head_over_the_limits_of_its_kind_is_refused_before_its_body_comes);
    RUN(we_never_send_what_the_other_side_must_refuse);
}
