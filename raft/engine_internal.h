/* What the files engine*.c share; nobody else includes it.
 *
 * engine.c: life, time, what the caller asks. engine_in.c: entries and configurations on their
 * way into the library. engine_receive.c: messages in. engine_out.c: one step, and its update on
 * the way out. engine_early.c: the early campaign. */
#ifndef MQ_RAFT_ENGINE_INTERNAL_H
#define MQ_RAFT_ENGINE_INTERNAL_H

#include <raft.h>

#include "raft/engine.h"
#include "raft/guard.h"

#define ENGINE_INDEX_LIMIT (UINT64_C(1) << 62) /* terms and indexes of sane messages lie below */
#define ENGINE_ENTRIES_MAX \
    65536u /* in one message or submit; a frame and the window hold far fewer */
#define ENGINE_PEER_NAME "peer" /* the library only asks whether it has one */

struct engine {
    struct raft raft;
    struct engine_options options;
    bool started;
    bool stepping; /* inside carry_out */
    uint64_t now;
    uint64_t last_tick;
    uint64_t commit; /* own maximum */

    /* What the last update told. */
    uint64_t told_term;
    uint64_t told_vote;
    enum engine_role told_role;
    uint64_t told_leader;

    struct block *snapshot_configuration; /* of the trail's snapshot: for InstallSnapshot */
    struct raft_entry *scratch;           /* what goes into the library */
    uint32_t scratch_capacity;
    struct engine_message *messages; /* what comes out */
    uint32_t messages_capacity;
};

/* An event, and what the way out needs to know of it beside the update. */
struct engine_step {
    struct raft_event event;
    const struct engine_entry *entries; /* parallel to scratch */
    struct block *configuration;        /* of an InstallSnapshot */
    bool older;                         /* the message was of an older term */
};

/* One raft_step(); its update goes to carry_out(). Refusals are NOT_LEADER, BUSY, FULL and
 * NOT_FOUND. */
enum status engine_step_run(struct engine *e, struct engine_step *s);
/* Tells what changed without a step. */
enum status engine_tell(struct engine *e);
void engine_time_set(struct engine *e, uint64_t now_ms);

static inline struct bytes engine_block_bytes(const struct block *b)
{
    return (struct bytes){.data = b->data, .size = b->size};
}

/* Terms and changes of a run of entries make sense: not falling, within [floor, limit]. */
bool engine_entries_valid(const struct engine_entry *entries, uint32_t n, uint64_t floor,
                          uint64_t limit);
bool engine_snapshot_valid(const struct engine_snapshot *s);
void engine_entry_in(const struct engine_entry *from, void *batch, struct raft_entry *to);
/* Fills scratch. The batch is one small allocation that stands for the bytes the library does
 * not get. */
enum status engine_entries_in(struct engine *e, const struct engine_entry *entries, uint32_t n);
/* The library's own form of an encoded configuration that engine_configuration_decode() has
 * accepted. */
enum status engine_configuration_in(struct bytes b, struct raft_configuration *out_c);

enum engine_role engine_role_of(const struct engine *e);
uint64_t engine_leader_of(const struct engine *e);
/* Would lead at once, without a new term (F2). */
bool engine_elects_itself(const struct engine *e);

#endif
