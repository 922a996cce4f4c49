/* One shard replica: ties the engine to the log, the state machine, and the peers. All on the loop.
 *
 * Happy path of a write: shard_submit() appends the command to the open batch -> the batch closes into an entry when the log
 * can take it (shard_turn) -> engine_submit() -> carry_out puts it into the log and sends it to the peers -> log durable and
 * a majority has it -> commit -> apply job -> result -> done().
 * Of a linearizable read: shard_read() -> one round to all voters in this term -> applied and committed up to the noted
 * index -> done(OK): the caller begins its read transaction now. On a follower the leader is asked for the index first.
 * Outcomes: applied = answered from apply. refused = certainly not and never applied. unknown = leadership was lost, or the
 * deadline passed, with the command already in an entry. */
#ifndef MQ_RAFT_SHARD_H
#define MQ_RAFT_SHARD_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/identity.h"
#include "base/list.h"
#include "proto/frame.h"
#include "raft/engine.h"
#include "raft/rules/move.h"
#include "raft/state_machine.h"

struct host;
struct shard;

enum submit_outcome { SUBMIT_APPLIED = 1, SUBMIT_REFUSED = 2, SUBMIT_UNKNOWN = 3 };

/* Requests; memory is the caller's until done(), which is called exactly once, never from inside shard_submit/shard_read. */
struct shard_submit {
    /* in */
    struct bytes
        command; /* encoded mq.Command, already checked; borrowed until shard_submit returns */
    struct token session;
    uint64_t sequence;
    uint64_t deadline_ms; /* monotonic; UINT64_MAX = none */
    void (*done)(struct shard_submit *r);
    /* out */
    enum submit_outcome outcome;
    enum status
        status; /* APPLIED: what apply said (OK or a named refusal of the command) ; else why */
    uint64_t index, term;
    struct block *result; /* encoded mq.Result or NULL; the caller unrefs */
    /* the shard's */
    struct list link;
    uint64_t entry_index; /* 0: still in the open batch, or before it */
    uint32_t ordinal;
    struct block *kept; /* a copy of the command while it waits for room in a batch */
};

struct shard_read {
    uint64_t deadline_ms;
    void (*done)(struct shard_read *r);
    enum status status; /* OK; NO_LEADER, NO_QUORUM, TIMEOUT, NOT_FOUND (environment lost) */
    uint64_t index, term;
    /* the shard's */
    struct list link;
    uint64_t round;
    uint64_t id;
};

struct shard_member {
    uint64_t replica;
    node_id node;
    enum node_role role;
    char site[NAME_MAX_BYTES + 1];
    uint32_t rank; /* 0 = most preferred to lead (position of its site in the preference) */
};

struct shard_options {
    shard_id shard;
    char name[NAME_MAX_BYTES + 1];
    struct epoch epoch;
    uint64_t replica; /* ours */
    struct shard_member
        members[MEMBERS_MAX]; /* of the founding configuration, the same order everywhere */
    uint32_t members_n;
    struct state_machine machine; /* ops NULL: witness of a mail shard */
    bool found;                   /* may create the replica when the log never held it (I1) */
    struct block *tick_command;   /* encoded mq.Command proposed when sm_due says so; counted */
};

enum shard_state {
    SHARD_OPENING, /* the environment is being put back */
    SHARD_RUNNING,
    SHARD_INSTALLING, /* running, and fetching a copy */
    SHARD_RESTARTING, /* engine stopped for a moment, to start from disk */
    SHARD_LOST,    /* environment lost, log whole: votes, does not apply; repaired by a copy (K4) */
    SHARD_AMNESIA, /* does not vote: member replace is needed */
    SHARD_REFUSED, /* W6 or another reason in text: member replace is needed */
    SHARD_CLOSED
};

struct shard_peer_view {
    uint64_t replica;
    node_id node;
    bool voter;
    bool contact_known;
    uint64_t contact_age_ms; /* since its last answer */
    bool match_known;        /* leader only */
    uint64_t match_index;
    uint64_t lag_entries, lag_bytes, lag_ms;
    bool lag_slope_known;
    int64_t lag_slope_us; /* microseconds of lag a second */
};

struct shard_view {
    shard_id shard;
    const char *name;
    enum shard_state state;
    char text[160]; /* of state, for people; empty when running */
    enum engine_role role;
    struct epoch epoch;
    uint64_t replica, leader_replica;
    node_id leader_node; /* 0 = not known */
    uint64_t term, vote;
    uint64_t first_index, last_index, stored_index, commit_index, applied_index,
        committed_index; /* committed: visible to readers */
    uint64_t checkpoint_index;
    uint8_t digest[16]; /* at applied_index */
    bool own_term_committed;
    uint64_t leader_age_ms; /* since this leader was first known here */
    node_id leader_before;  /* 0 = none known */
    enum move_cause cause;  /* why it leads, as known here */
    node_id lost;           /* whose loss began it; 0 = nobody's */
    uint64_t silent_ms;     /* for how long that one had not been heard */
    unsigned moves;         /* changes of leader in the last ten minutes */
    uint64_t quiet_ms;      /* the preference rests for so long yet; UINT64_MAX: for ever */
    node_id handed_to;      /* we handed it over, last of all to that node; 0 = never */
    const char *handed_why; /* a literal */
    uint64_t handed_age_ms;
    struct shard_peer_view peers[MEMBERS_MAX];
    uint32_t peers_n;
    uint64_t writes_total, reads_total, elections_total, installs_total, checkpoints_total;
    uint64_t early_total; /* rounds of pre-votes before the timer: a leader's process was gone */
    bool checkpointing;   /* one is being taken */
    node_id copy_from;    /* a copy is being fetched from there; 0 = none */
    uint64_t copy_bytes, copy_size; /* of it; size 0 = not told yet */
};

void shard_submit(struct shard *s, struct shard_submit *r);
void shard_read(struct shard *s, struct shard_read *r);
/* Completes as soon as everything applied by now is visible to readers (local reads with a minimum position). */
void shard_read_local(struct shard *s, struct shard_read *r, uint64_t min_index);
/* Leader only; fails silently after an election timeout: look at the view. A manual one keeps the preference quiet for 10 min. */
enum status shard_transfer(struct shard *s, node_id to);
void shard_get_view(const struct shard *s, uint64_t now_ms, struct shard_view *out_view);
bool shard_is_leader(const struct shard *s);
shard_id shard_get_id(const struct shard *s);
const struct shard_options *shard_get_options(const struct shard *s);

#endif
