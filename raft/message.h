/* Engine messages as FRAME_RAFT frames between nodes, and back.
 *
 * Happy path: the sender fills in m->append.entries from the log -> message_encode() -> one
 * counted block for the transport -> message_peek() tells the receiver which shard and epoch it
 * is for -> message_decode() -> engine_receive() -> message_in_deinit(). Failure: MALFORMED for
 * any bytes that message_encode() could not have written; nothing is kept then.
 *
 * The header is fixed and little-endian, no protobuf: this is the hot path.
 *    0 u8 layout (1)   1 u8 kind   2 u8 flags (1 granted, 2 pre-vote, 4 disrupt leader)
 *    3 u8 libraft's message version
 *    4 u32 shard   8 u64 epoch number   16 u64 epoch id   24 u64 from (replica)
 *   32 u64 to   40 u64 term
 *   48 u64 a   56 u64 b   64 u64 c, by kind:
 *        vote            last index, last term, 0 (the candidate is `from`)
 *        vote result     features, capacity, 0
 *        append          prev index, prev term, commit
 *        append result   rejected, last log index, features | capacity << 16
 *        install         last index, last term, configuration index
 *        timeout now     last index, last term, 0
 *   72 u64 lowest match: beside appends, the lowest index that every voter has; else 0
 *   80 u32 entries   84 u32 zero   then 16 bytes an entry: u64 term, u32 size, u32 type
 * The payload is the entries' bytes one after another, or the configuration of an install. */
#ifndef MQ_RAFT_MESSAGE_H
#define MQ_RAFT_MESSAGE_H

#include "base/buffer.h"
#include "base/identity.h"
#include "base/status.h"
#include "proto/frame.h"
#include "raft/engine.h"

#define MESSAGE_HEADER_SIZE 88u
#define MESSAGE_ENTRY_SIZE  16u
#define MESSAGE_ENTRIES_MAX 1024u /* in one frame */

/* What travels beside the engine's own message. */
struct message_envelope {
    shard_id shard;
    struct epoch epoch; /* parent is not carried: 0 */
    uint64_t from;      /* replicas, as in the message */
    uint64_t to;
    uint64_t lowest_match;
};

/* A decoded message. It owns its entries and configuration; message points at them. */
struct message_in {
    struct engine_message message;
    struct engine_entry *entries; /* NULL without */
    uint32_t n;
    struct block *configuration;
};

/* How many of the first n entries fit into one frame of at most bytes_max (and
 * FRAME_PAYLOAD_MAX) of payload: at least 1. The sender makes several appends of one that does
 * not fit, each with the prev of the one before. */
uint32_t message_entries_fit(const struct engine_entry *entries, uint32_t n, uint32_t bytes_max);
/* from and to are the message's. TOO_BIG over the limits above, INVALID when entries are not
 * filled in. */
enum status message_encode(const struct message_envelope *env, const struct engine_message *m,
                           struct block **out_frame);
/* Only the envelope, to find out for whom it is. */
enum status message_peek(const struct frame *f, struct message_envelope *out_env);
enum status message_decode(const struct frame *f, struct message_envelope *out_env,
                           struct message_in *out_m);
void message_in_deinit(struct message_in *m);

#endif
