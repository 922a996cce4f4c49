/* Frames: what every connection of ours carries inside TLS (or on the unix socket).
 *
 *   u32 size of what follows the first 8 bytes (header + payload)   u16 kind   u16 size of the header    little-endian
 *   header: one protobuf message, by kind   payload: raw bytes, by kind
 * A reader refuses a frame over the limits of its kind before it buffers it. Parsers are pure and fuzzed. */
#ifndef MQ_PROTO_FRAME_H
#define MQ_PROTO_FRAME_H

#include "base/buffer.h"
#include "base/status.h"

#define FRAME_HEAD_SIZE   8u
#define FRAME_HEADER_MAX  60000u
#define FRAME_PAYLOAD_MAX (4u * 1024u * 1024u)
#define WIRE_VERSION      1u /* N and N+1 understand each other */

enum frame_kind {
    FRAME_PEER_HELLO = 1,
    FRAME_RAFT = 2,
    FRAME_READ_ROUND = 3,
    FRAME_READ_ACK = 4,
    FRAME_READ_INDEX = 5,
    FRAME_READ_INDEX_ACK = 6,
    FRAME_PING = 7,
    FRAME_PONG = 8,
    FRAME_PEER_VIEW = 9,
    FRAME_FORWARD = 10,
    FRAME_FORWARD_RESPONSE = 11,
    FRAME_HINT = 12, /* RequestHeader / ResponseHeader between peers; payload as theirs */
    FRAME_FEED = 13, /* payload: FeedView, passed on to the other nodes */
    FRAME_COPY_REQUEST = 20,
    FRAME_COPY_HEAD = 21,
    FRAME_COPY_DATA = 22,
    FRAME_SNAPSHOT_HEAD = 24, /* in files only (proto/snapshot.proto) */
    FRAME_SNAPSHOT_SHARD = 25,
    FRAME_SNAPSHOT_END = 26,
    FRAME_CLIENT_HELLO = 30,
    FRAME_CLIENT_REQUEST = 31,
    FRAME_CLIENT_RESPONSE = 32,
    FRAME_CLIENT_EVENT = 33,
    FRAME_KIND_COUNT = 40
};

struct frame { /* borrowed views into the reader's buffer */
    enum frame_kind kind;
    struct bytes header;
    struct bytes payload;
};

/* Limits of a kind (header, payload); 0,0 for an unknown kind. A row each in frame.c. */
void frame_limits(enum frame_kind kind, uint32_t *out_header_max, uint32_t *out_payload_max);
/* Looks at the front of b. OK: *out_frame, *out_size bytes are its own. BUSY: more bytes are needed, *out_size of them in all when
 * the head is there (else FRAME_HEAD_SIZE). TOO_BIG or MALFORMED: close the connection. */
enum status frame_decode(struct bytes b, struct frame *out_frame, size_t *out_size);
/* Appends head, header and payload to a buffer. */
enum status frame_encode(struct buffer *b, enum frame_kind kind, struct bytes header,
                         struct bytes payload);
/* Same into one counted block: what raft/ hands to its transport. */
enum status frame_block_new(enum frame_kind kind, struct bytes header, struct bytes payload,
                            struct block **out_block);

#endif
