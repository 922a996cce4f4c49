/* The payload of one log entry: a batch of commands with one header. Encoded once by the leader; log, peers and
 * apply share the block.
 *
 *   header, 64 bytes, little-endian:
 *     0 u32 magic "MQB1"   4 u32 count   8 u32 shard   12 u32 feature level   16 u64 epoch number   24 u64 epoch id
 *     32 u64 time_ms (leader's, drawn towards wall time)   40 u64 size of all items   48..63 zero
 *   item, `count` times:
 *     u32 size of the command   u32 zero   u64 session epoch   u64 session position   u64 sequence   command bytes,
 *     padded with zeros to a multiple of 8
 * A command is an encoded mq.Command (command.proto). Session position 0 = no session (not retried for it). */
#ifndef MQ_PROTO_BATCH_H
#define MQ_PROTO_BATCH_H

#include "base/buffer.h"
#include "base/identity.h"
#include "base/status.h"

#define BATCH_MAGIC            0x3142514du
#define BATCH_HEADER_SIZE      64u
#define BATCH_ITEM_HEADER_SIZE 32u
#define BATCH_COMMANDS_MAX     4095u
#define BATCH_BYTES_MAX        (64u * 1024u) /* when an entry closes */
#define COMMAND_BYTES_MAX \
    (1024u * 1024u)      /* one command; alone in its entry when over BATCH_BYTES_MAX */
#define FEATURE_LEVEL 1u /* the highest this build understands */

struct batch_header {
    shard_id shard;
    uint32_t count;
    uint32_t level;
    struct epoch epoch; /* parent is not carried: 0 */
    uint64_t time_ms;
};

struct batch_item {
    struct bytes command; /* borrowed from the block */
    struct token session;
    uint64_t sequence;
};

/* Builder: items are appended to a buffer that starts with room for the header. */
struct batch_builder {
    struct buffer buffer;
    uint32_t count;
};
void batch_builder_init(struct batch_builder *b);
void batch_builder_deinit(struct batch_builder *b);
size_t batch_item_size(size_t command_size);
/* FULL when count or BATCH_BYTES_MAX would be passed (a single big command in an empty batch is accepted). */
enum status batch_builder_add(struct batch_builder *b, const struct batch_item *item);
/* Fills in the header; the block is the caller's, the builder is empty again. */
enum status batch_builder_finish(struct batch_builder *b, const struct batch_header *h,
                                 struct block **out_block);

/* MALFORMED unless the whole batch is well-formed; VERSION for a level above FEATURE_LEVEL. */
enum status batch_decode_header(struct bytes batch, struct batch_header *out_header);
/* Iterates; start with *cursor = 0. NOT_FOUND after the last item. */
enum status batch_next(struct bytes batch, size_t *cursor, struct batch_item *out_item);

#endif
