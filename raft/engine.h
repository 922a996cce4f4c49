/* The consensus engine of one shard replica, in our own terms (facts/libraft.md). It does no I/O
 * and keeps no payloads: events in, one update out per step, through carry_out(). engine.c
 * drives libraft's raft_step(); each fault of the library has its guard in guard.c (PREV0,
 * PREVOTE, COMMIT, REJECT, STALE, VOTERES, BUSY, NOOP, SPLIT, CONFIRM).
 *
 * Happy path: engine_new -> engine_start (from what survived) -> engine_tick / receive /
 * persisted / submit ... -> engine_free. An install ends by engine_free and a new engine started
 * from disk (U10); there is no other way out of it.
 *
 * Order of duties inside carry_out (U5): put term/vote into the log -> entries into log and
 * cache -> start the install -> messages (held by the caller while a term or vote record before
 * them is not durable) -> commit. The update and all in it is borrowed until carry_out returns.
 * carry_out must not call back into the engine. Errors other than refusals (NOT_LEADER, BUSY,
 * FULL) mean the engine can't go on: the caller ends the process (U19). */
#ifndef MQ_RAFT_ENGINE_H
#define MQ_RAFT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/identity.h"
#include "base/status.h"
#include "raft/log.h" /* enum entry_type only */

struct engine;

enum engine_member_role { MEMBER_SPARE = 0, MEMBER_STANDBY = 1, MEMBER_VOTER = 2 };
enum engine_role {
    ENGINE_STOPPED = 0,
    ENGINE_FOLLOWER = 1,
    ENGINE_CANDIDATE = 2,
    ENGINE_LEADER = 3
};

struct engine_member {
    uint64_t replica;
    node_id node; /* in the opaque stable name "nNODE.REPLICA", unique while one is replaced too */
    enum engine_member_role role;
};
struct engine_configuration {
    struct engine_member members[MEMBERS_MAX];
    uint32_t n;
};
/* The payload of an ENTRY_CHANGE (libraft's own encoding). INVALID for an empty one, a doubled
 * or zero id, too many. */
enum status engine_configuration_encode(const struct engine_configuration *c,
                                        struct block **out_block);
/* Any bytes: MALFORMED unless they are such an encoding, whole, of 1..MEMBERS_MAX members. */
enum status engine_configuration_decode(struct bytes b, struct engine_configuration *out_c);

struct engine_snapshot {
    uint64_t index;
    uint64_t term;
    uint64_t configuration_index;
    struct block *configuration; /* borrowed */
};

enum engine_message_kind {
    MESSAGE_VOTE = 1,
    MESSAGE_VOTE_RESULT = 2,
    MESSAGE_APPEND = 3,
    MESSAGE_APPEND_RESULT = 4,
    MESSAGE_INSTALL = 5,
    MESSAGE_TIMEOUT_NOW = 6
};

struct engine_entry {
    uint64_t term;
    enum entry_type type;
    struct block *payload; /* counted elsewhere; borrowed here; NULL = empty */
};

struct engine_message {
    enum engine_message_kind kind;
    uint64_t from; /* replica */
    uint64_t to;
    uint64_t term;
    union {
        struct {
            uint64_t candidate, last_index, last_term;
            bool disrupt_leader, pre_vote;
        } vote;
        struct {
            bool granted, pre_vote;
            uint16_t features, capacity;
        } vote_result;
        /* Outgoing: n entries after prev_index are to be filled from the log by the sender.
         * Incoming: entries points at them. */
        struct {
            uint64_t prev_index, prev_term, commit;
            uint32_t n;
            const struct engine_entry *entries;
        } append;
        struct {
            uint64_t rejected, last_log_index;
            uint16_t features, capacity;
        } append_result;
        /* The engine fills in the last snapshot it was told of; configuration is borrowed both
         * ways. */
        struct {
            uint64_t last_index, last_term, configuration_index;
            struct block *configuration;
        } install;
        /* chosen: a person asked for it. Ours, not libraft's: the shard sets it and looks at it. */
        struct {
            uint64_t last_index, last_term;
            bool chosen;
        } timeout_now;
    };
    uint8_t version; /* libraft's message version, carried as is */
};

struct engine_update {
    bool term_changed, vote_changed;
    uint64_t term, vote; /* always the current ones */
    bool entries_changed;
    uint64_t entries_first; /* truncate >= this, then append entries[0..n) (U6) */
    const struct engine_entry *entries;
    uint32_t entries_n;
    bool install; /* fetch this snapshot, commit it, then restart the engine from disk (U10, K3) */
    struct engine_snapshot snapshot;
    const struct engine_message *messages;
    uint32_t messages_n;
    bool commit_changed;
    uint64_t commit;   /* own maximum: never falls */
    bool role_changed; /* the role or the known leader */
    enum engine_role role;
    uint64_t leader; /* replica, 0 = not known */
};

struct engine_options {
    uint64_t replica;
    uint32_t election_timeout_ms; /* 500; randomised by libraft up to twice */
    uint32_t heartbeat_ms;        /* 50 */
    uint32_t inflight_max;        /* 256 */
    uint64_t seed;
    void (*carry_out)(void *arg, const struct engine_update *u);
    void *arg;
};

/* Recovered state to start from. entries[0] has index start_index; payloads only needed for
 * ENTRY_CHANGE. */
struct engine_start {
    uint64_t term, vote;
    bool has_snapshot;
    struct engine_snapshot snapshot;
    uint64_t start_index;
    const struct engine_entry *entries;
    uint32_t entries_n;
};

enum status engine_new(const struct engine_options *o, struct engine **out_engine);
void engine_free(struct engine *e);
/* Once. CORRUPT, before anything happened, when the log does not reach its snapshot (W6) or its
 * terms or changes make no sense. The first update tells the commit index: the snapshot's, or 1
 * (U2). */
enum status engine_start(struct engine *e, uint64_t now_ms, const struct engine_start *s);
/* Next time engine_tick() is due (F13: a leader's at least heartbeat / 2 after the last one).
 * Ticks before that are ignored. */
uint64_t engine_deadline_ms(const struct engine *e);
enum status engine_tick(struct engine *e, uint64_t now_ms);
/* May make several steps (SPLIT, CONFIRM): carry_out is called for each that changed anything.
 * Malformed or foreign messages are MALFORMED and change nothing. The caller has checked that
 * `from` belongs to the shard. */
enum status engine_receive(struct engine *e, uint64_t now_ms, const struct engine_message *m);
/* Highest index such that all below are durable and still the entries in the log (U7). Told too
 * early or twice (installing, no news) it is ignored. */
enum status engine_persisted(struct engine *e, uint64_t now_ms, uint64_t index);
/* A checkpoint is durable: index <= min(applied, persisted, commit) (U11), else BUSY; EXISTS
 * when not beyond the last one. `trailing`: entries to keep behind it. Entries at or below
 * engine_first_index() - 1 may be cut from the log afterwards. */
enum status engine_snapshot_taken(struct engine *e, uint64_t now_ms,
                                  const struct engine_snapshot *s, uint32_t trailing);
/* For every committed ENTRY_CHANGE, from a cursor that starts at the snapshot at each start
 * (U12). */
enum status engine_configuration_committed(struct engine *e, uint64_t now_ms, uint64_t index,
                                           struct bytes configuration);
/* Leader only. One batch; payloads borrowed. NOT_LEADER, FULL when last - commit would pass
 * inflight_max (U15), BUSY during a transfer. A change goes alone (INVALID, F14), differs in one
 * member and keeps their order (INVALID), and is BUSY while another is not confirmed or no entry
 * of the own term is committed (NOOP). */
enum status engine_submit(struct engine *e, uint64_t now_ms, const struct engine_entry *entries,
                          uint32_t n);
/* NOOP guard (F12): true when leader and the last entry is not of the own term: submit one
 * ENTRY_BARRIER. */
bool engine_needs_barrier(const struct engine *e);
/* Fails silently after an election timeout (U17): look at the role. 0: the engine chooses.
 * NOT_FOUND: no such voter. */
enum status engine_transfer(struct engine *e, uint64_t now_ms, uint64_t to_replica);
/* Early campaign (U21), for a leader whose process is gone. Forgetting it lets this follower grant
 * votes: NOT_FOUND when it follows another or none, BUSY while installing. The campaign is one round
 * of pre-votes, at once: BUSY unless a voter that has all its log durably and follows nobody, or is
 * in pre-vote already. */
enum status engine_forget_leader(struct engine *e, uint64_t now_ms, uint64_t replica);
enum status engine_campaign(struct engine *e, uint64_t now_ms);
bool engine_in_pre_vote(const struct engine *e);
/* Leader only: an empty AppendEntries to `to` with prev = match (U22) to be sent now; NOT_LEADER
 * or NOT_FOUND. */
enum status engine_heartbeat(const struct engine *e, uint64_t to_replica,
                             struct engine_message *out_m);

enum engine_role engine_role(const struct engine *e);
uint64_t engine_term(const struct engine *e);
uint64_t engine_leader(const struct engine *e);
uint64_t engine_commit(const struct engine *e);
uint64_t engine_last_index(const struct engine *e);
uint64_t engine_last_stored(const struct engine *e);
/* First index the engine's own trail still holds: the log must keep from here (U8). */
uint64_t engine_first_index(const struct engine *e);
uint64_t engine_match(const struct engine *e, uint64_t replica); /* leader only; 0 = none */
bool engine_installing(const struct engine *e);
bool engine_transferring(const struct engine *e);
void engine_get_configuration(const struct engine *e, struct engine_configuration *out_c);

/* Tests switch single guards off by bit to show the fault they hold off
 * (tests/unit/raft/test_guard.c). Product code never calls it. */
enum engine_guard {
    GUARD_PREV0 = 1,
    GUARD_PREVOTE = 2,
    GUARD_COMMIT = 4,
    GUARD_REJECT = 8,
    GUARD_STALE = 16,
    GUARD_VOTERES = 32,
    GUARD_BUSY = 64,
    GUARD_NOOP = 128,
    GUARD_SPLIT = 256,
    GUARD_CONFIRM = 512
};
void engine_disable_guards(uint32_t mask); /* process-wide */

#endif
