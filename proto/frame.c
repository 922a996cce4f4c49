/* Frames: head, header, payload, with the limits of each kind in one table.
 *
 * frame_decode looks at the head first and refuses an unknown kind or a size over the kind's limits before a reader buffers
 * anything; then it hands out views into the reader's bytes. It keeps no state, so a reader may call it again after each read.
 * frame_encode refuses the same limits, so that we never send what the other side must refuse. */
#include "proto/frame.h"

#include <string.h>

struct limits {
    uint32_t header_max;
    uint32_t payload_max;
};

#define KIB 1024u

static const struct limits kinds[FRAME_KIND_COUNT] = {
    [FRAME_PEER_HELLO] = {32 * KIB, 0},
    [FRAME_RAFT] = {FRAME_HEADER_MAX, FRAME_PAYLOAD_MAX},
    [FRAME_READ_ROUND] = {256, 0},
    [FRAME_READ_ACK] = {256, 0},
    [FRAME_READ_INDEX] = {256, 0},
    [FRAME_READ_INDEX_ACK] = {256, 0},
    [FRAME_PING] = {64, 0},
    [FRAME_PONG] = {64, 0},
    [FRAME_PEER_VIEW] = {64, 1024 * KIB},
    [FRAME_FORWARD] = {4 * KIB, 1152 * KIB}, /* a command is at most COMMAND_BYTES_MAX */
    [FRAME_FORWARD_RESPONSE] = {4 * KIB, FRAME_PAYLOAD_MAX},
    [FRAME_HINT] = {4 * KIB, 4 * KIB},
    [FRAME_FEED] = {64, 20 * KIB},
    [FRAME_COPY_REQUEST] = {4 * KIB, 0},
    [FRAME_COPY_HEAD] = {FRAME_HEADER_MAX, 64 * KIB},
    [FRAME_COPY_DATA] = {64, FRAME_PAYLOAD_MAX},
    [FRAME_SNAPSHOT_HEAD] = {4 * KIB, 0},
    [FRAME_SNAPSHOT_SHARD] = {FRAME_HEADER_MAX, 0},
    [FRAME_SNAPSHOT_END] = {256, 0},
    [FRAME_CLIENT_HELLO] = {1 * KIB, 0},
    [FRAME_CLIENT_REQUEST] = {4 * KIB, 1152 * KIB},
    [FRAME_CLIENT_RESPONSE] = {4 * KIB, FRAME_PAYLOAD_MAX},
    [FRAME_CLIENT_EVENT] = {4 * KIB, 4 * KIB},
};

void frame_limits(enum frame_kind kind, uint32_t *out_header_max, uint32_t *out_payload_max)
{
    struct limits l = {0, 0};
    if ((unsigned)kind < FRAME_KIND_COUNT) {
        l = kinds[kind];
    }
    *out_header_max = l.header_max;
    *out_payload_max = l.payload_max;
}

static enum status check(unsigned kind, size_t header_size, size_t payload_size)
{
    if (kind >= FRAME_KIND_COUNT || kinds[kind].header_max == 0) {
        return STATUS_MALFORMED;
    }
    if (header_size > kinds[kind].header_max || payload_size > kinds[kind].payload_max) {
        return STATUS_TOO_BIG;
    }
    return OK;
}

enum status frame_decode(struct bytes b, struct frame *out_frame, size_t *out_size)
{
    if (b.size < FRAME_HEAD_SIZE) {
        *out_size = FRAME_HEAD_SIZE;
        return STATUS_BUSY;
    }
    size_t body = get_le32(b.data);
    unsigned kind = get_le16(b.data + 4);
    size_t header = get_le16(b.data + 6);
    if (header > body) {
        return STATUS_MALFORMED;
    }
    enum status s = check(kind, header, body - header);
    if (s != OK) {
        return s;
    }
    *out_size = FRAME_HEAD_SIZE + body;
    if (b.size < FRAME_HEAD_SIZE + body) {
        return STATUS_BUSY;
    }
    out_frame->kind = (enum frame_kind)kind;
    out_frame->header = (struct bytes){b.data + FRAME_HEAD_SIZE, header};
    out_frame->payload = (struct bytes){b.data + FRAME_HEAD_SIZE + header, body - header};
    return OK;
}

static void fill(uint8_t *at, enum frame_kind kind, struct bytes header, struct bytes payload)
{
    put_le32(at, (uint32_t)(header.size + payload.size));
    put_le16(at + 4, (uint16_t)kind);
    put_le16(at + 6, (uint16_t)header.size);
    at += FRAME_HEAD_SIZE;
    if (header.size > 0) {
        memcpy(at, header.data, header.size);
    }
    if (payload.size > 0) {
        memcpy(at + header.size, payload.data, payload.size);
    }
}

enum status frame_encode(struct buffer *b, enum frame_kind kind, struct bytes header,
                         struct bytes payload)
{
    enum status s = check((unsigned)kind, header.size, payload.size);
    if (s != OK) {
        return s;
    }
    size_t size = FRAME_HEAD_SIZE + header.size + payload.size;
    uint8_t *at;
    s = buffer_reserve(b, size, &at);
    if (s != OK) {
        return s;
    }
    fill(at, kind, header, payload);
    b->size += size;
    return OK;
}

enum status frame_block_new(enum frame_kind kind, struct bytes header, struct bytes payload,
                            struct block **out_block)
{
    enum status s = check((unsigned)kind, header.size, payload.size);
    if (s != OK) {
        return s;
    }
    struct block *block = block_new(FRAME_HEAD_SIZE + header.size + payload.size);
    if (block == NULL) {
        return STATUS_NO_MEMORY;
    }
    fill(block->data, kind, header, payload);
    *out_block = block;
    return OK;
}
