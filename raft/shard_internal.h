/* The inside of struct shard, shared by the files that each hold one of its duties:
 *   shard.c          carry_out, turns and ticks         shard_start.c    birth and start
 *   shard_send.c     messages and what holds them       shard_write.c    batches, entries in flight, outcomes
 *   shard_apply.c    committed entries -> state machine shard_read.c    rounds and read indexes
 *   shard_checkpoint.c  checkpoints and cutting        shard_install.c  copies in, repair, restart of the engine
 *   shard_view.c     what others may know of it        shard_lead.c     who should lead: hand-over, preference
 *   shard_early.c    a leader's process is gone         shard_moves.c    how leadership came to where it is
 * Nobody outside raft/ includes this. */
#ifndef MQ_RAFT_SHARD_INTERNAL_H
#define MQ_RAFT_SHARD_INTERNAL_H

#include "proto/batch.h"
#include "raft/host.h"
#include "raft/log.h"
#include "raft/rules/early.h"
#include "raft/rules/lag.h"
#include "raft/shard.h"

#define APPLY_ENTRIES_MAX   64
#define APPLY_BYTES_MAX     (2u * 1024u * 1024u)
#define APPEND_ENTRIES_MAX  64
#define APPEND_BYTES_MAX    (1024u * 1024u)
#define APPEND_FETCHES_MAX  8
#define CONFIGURATIONS_KEPT 8
#define PENDING_ENTRIES_MAX 1024
#define LAG_SAMPLES         512
#define HELD_MAX            65536
#define HELD_BYTES_MAX      (32u * 1024u * 1024u)
#define DIRTY_BYTES_MAX     (32u * 1024u * 1024u)

/* A frame that waits until a term or vote record before it is durable. */
struct held_frame {
    struct list link;
    uint64_t sequence;
    node_id node;
    enum channel channel;
    struct block *frame;
};

struct shard_peer {
    bool contact;
    uint64_t contact_ms;
};

#define MOVES_KEPT 16

/* How leadership came to where it is, and where we let it go to. */
struct shard_moves {
    uint64_t leader, before; /* replicas; the last known one, and the one before it */
    uint64_t term;
    uint64_t since_ms;
    enum move_cause cause;
    uint64_t
        lost; /* replica whose loss began it, 0 = nobody's, and for how long it had been silent */
    uint64_t silent_ms;
    uint64_t asked_ms;          /* somebody handed it to us; 0 = never */
    uint64_t at_ms[MOVES_KEPT]; /* of the last changes, a ring */
    uint32_t next;
    node_id handed_to; /* by us; 0 = nobody */
    const char *handed_why;
    uint64_t handed_ms;
};

/* An entry of ours that is not applied yet, with the requests that wait for it. */
struct pending_entry {
    uint64_t index;
    uint64_t bytes;
    struct list submits;
};

struct shard_writer {
    struct batch_builder builder;
    struct list open; /* submits in the builder, in order */
    struct list
        backlog; /* behind them: the batch is full and can't close yet; bounded by pending_bytes_max */
    uint64_t open_bytes;
    struct pending_entry *entries; /* ring of PENDING_ENTRIES_MAX */
    uint32_t entries_first, entries_n;
    uint64_t pending_bytes;       /* open and in entries */
    struct list finished;         /* outcomes to be told in the next turn */
    uint64_t time_ms, time_at_ms; /* replicated time last stamped, and our monotonic then */
    bool tick_pending;
    uint64_t tick_index;
};

struct shard_applier {
    struct job job;
    bool busy; /* the apply slot: an apply, a commit or the beginning of a checkpoint */
    struct sm_entry entries[APPLY_ENTRIES_MAX];
    uint32_t n;
    struct sm_results results;
    bool want_results, want_commit;
    struct sm_position position;
    struct sm_due job_due; /* the job's own; due is the loop's, of the last commit */
    struct sm_due due;
    enum status status, commit_status;
    struct log_fetch fetch;
    bool fetching;
    uint64_t applied;   /* result of finished jobs */
    uint64_t visible;   /* committed: readers see it */
    uint64_t commit_ms; /* when visible last rose */
    uint64_t paused_until_ms;
    bool
        commit_owed; /* the last one found no space: before anything new is applied it is tried again */
    bool commit_asked;
    uint8_t digest[16];
};

struct read_round {
    uint64_t number;
    uint64_t index;
    uint64_t sent_ms;
    bool acks[MEMBERS_MAX];
    bool running;
};

struct remote_read;

struct shard_reader {
    struct list waiting;  /* for a round (leader) or a read index (others) */
    struct list in_round; /* leader: in the running round */
    struct list applying; /* index known, not yet visible */
    struct list finished;
    struct list remote_waiting, remote_in_round; /* struct remote_read */
    struct read_round round;
    uint64_t ask_id; /* others: the request in flight to the leader; 0 = none */
    uint64_t ask_sent_ms;
    uint64_t next_id;
};

struct shard_checkpointer {
    struct job job;
    struct sm_checkpoint *checkpoint;
    struct sm_descriptor descriptor;
    enum status status;
    bool running; /* begin .. release */
    bool feed;    /* descriptor waits to be told to the engine */
    bool asked;
    bool began;
    uint64_t index; /* of the newest durable one */
    uint64_t started_ms;
    uint64_t retry_ms; /* the disk was full: not before */
    uint64_t dirty_bytes;
};

struct kept_configuration {
    uint64_t index;
    struct block *block;
};

/* An early campaign (raft/rules/early.h). */
struct shard_early {
    bool armed;
    struct early_campaign campaign;
    uint64_t due_ms;     /* of the next look */
    uint64_t granted_ms; /* a (pre-)vote, to another */
};

struct shard {
    struct host *host;
    struct shard_options o;
    uint32_t self; /* index of ours in o.members */
    enum shard_state state;
    char text[160];
    struct engine *engine;
    struct log_state log_state; /* ours of the last put; configuration counted */
    uint64_t hold_sequence;     /* messages wait for this */
    struct list held;
    uint32_t held_n;
    uint64_t held_bytes;
    uint64_t stored; /* highest index whose entries are all durable */
    uint64_t commit;
    enum engine_role role;
    uint64_t leader;
    uint64_t led_since_ms;
    uint64_t quiet_until_ms; /* preference */
    uint64_t transfer_tried_ms;
    uint64_t handover_replica; /* no new entries until it has the last one durably; 0 = nobody */
    uint64_t handover_until_ms;
    bool handover_chosen;  /* a person asked for the last one */
    uint64_t heartbeat_ms; /* last sent */
    uint64_t let_go_ms;    /* last barrier of a quiet shard */
    struct shard_peer peers[MEMBERS_MAX];
    struct shard_early early;
    uint64_t lowest_match; /* as the leader last said */
    struct kept_configuration configurations[CONFIGURATIONS_KEPT];
    uint32_t configurations_n;
    uint64_t configuration_cursor;
    struct log_fetch configuration_fetch;
    bool configuration_fetching;
    uint32_t fetches_n; /* append fetches in flight */
    bool dirty;
    uint64_t stop_index; /* applied when the stop was asked: its last checkpoint reaches it */
    bool closing;
    struct job open_job;
    struct uuid open_environment;
    struct sm_descriptor open_descriptor;
    struct error open_error;
    enum status open_status;
    bool open_busy;
    uint64_t founding_sequence; /* birth: the state and first entry become durable */
    struct shard_writer writer;
    struct shard_applier applier;
    struct shard_reader reader;
    struct shard_checkpointer checkpointer;
    struct copy_fetch *fetch; /* install or repair under way */
    struct engine_snapshot install_snapshot;
    uint64_t install_sequence; /* the commit point is on its way to the disk */
    uint64_t install_retry_ms;
    uint32_t install_failures;
    uint64_t installed_index; /* of the last install, told to the leader until announce_until_ms */
    uint64_t announce_until_ms;
    struct engine_message result_form; /* our last AppendEntries result: version and features */
    uint64_t reopen_ms;                /* not before */
    bool
        reopen; /* put the engine (and the environment) up again from disk when everything is quiet */
    bool reopen_same;          /* only the engine: the environment stays as it is */
    bool lost;                 /* the environment can't be used; a copy replaces it */
    uint64_t repair_min_index; /* of that copy: below it the log can't be read back */
    struct {
        uint64_t time_ms, index;
    } lag_samples[LAG_SAMPLES];
    uint32_t lag_samples_n;
    uint64_t lag_sample_every_ms;
    struct lag_series lag_series[MEMBERS_MAX]; /* leader: of each member */
    struct shard_moves moves;
    uint64_t writes_total, reads_total, elections_total, installs_total, checkpoints_total,
        dropped_total, early_total;
};

/* Tests take single rules out to show what they hold off (tests/unit/raft/test_host.c). Product code never sets it. */
enum shard_rule { SHARD_RULE_W6 = 1, SHARD_RULE_HOLD = 2, SHARD_RULE_ROUND = 4 };
extern unsigned shard_rules_off;

struct host {
    struct host_options o;
    struct log *log;
    struct shard *shards[SHARDS_MAX];
    uint32_t shards_n;
    uint64_t durable;
    bool failed;
    bool peer_up[NODES_MAX + 1];
    uint64_t foreign_frames;
    struct list copy_sources;
    uint32_t copies_abandoned; /* their sources are freed when their job is done */
    bool stopping;
    bool frozen;  /* host_freeze: nothing new begins */
    bool closing; /* host_close: no job runs any more */
    uint64_t stop_deadline_ms;
    void (*stop_done)(void *arg);
    void *stop_arg;
};

static inline uint64_t host_now(const struct host *h)
{
    return clock_monotonic_ms(h->o.clock);
}
void host_fail(struct host *h, enum status s, const char *message_id, const char *text);
/* Submits a job to a lane of the host's executor. */
void host_job(struct host *h, enum lane lane, struct job *j);

/* shard.c */
struct shard *shard_new(struct host *h, const struct shard_options *o);
void shard_free(struct shard *s);
enum status shard_begin(struct shard *s, struct error *e);
void shard_set_state(struct shard *s, enum shard_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool shard_active(const struct shard *s); /* the engine takes events */
void shard_receive_raft(struct shard *s, uint64_t from, const struct engine_message *m,
                        uint64_t lowest_match);
void shard_turn(struct shard *s);
void shard_tick(struct shard *s, uint64_t now_ms);
uint64_t shard_deadline_ms(const struct shard *s, uint64_t now_ms);
void shard_durable(struct shard *s);
int shard_member_find(const struct shard *s, uint64_t replica); /* -1 */
/* Sends now, or after the term and vote records before it are durable. Takes the frame. */
void shard_send(struct shard *s, node_id node, enum channel channel, struct block **frame);
/* Encodes and sends one message of the engine. */
void shard_send_message(struct shard *s, const struct engine_message *m);
bool shard_witness(const struct shard *s);
bool shard_voter(const struct shard *s, uint32_t member);
uint32_t shard_majority(const struct shard *s);
bool shard_own_term_committed(const struct shard *s);
void shard_check_engine(struct shard *s, enum status status, const char *what);
uint64_t shard_put_state(struct shard *s);
struct block *shard_configuration_at(const struct shard *s, uint64_t index, uint64_t *out_index);
void shard_start_engine(struct shard *s);
void shard_open_environment(struct shard *s, const struct uuid *environment);
bool shard_quiet(const struct shard *s); /* no job of ours is running */

/* What one step of the engine asks for; the engine's carry_out. */
void shard_carry_out(void *arg, const struct engine_update *u);
void shard_keep_log_state(struct shard *s, const struct log_state *from);
void shard_keep_configuration(struct shard *s, uint64_t index, struct block *block);
/* shard_send.c */
void shard_release_held(struct shard *s);
void shard_send_append(struct shard *s, const struct engine_message *m);

/* shard_write.c */
void shard_writer_init(struct shard *s);
void shard_writer_deinit(struct shard *s);
void shard_writer_turn(struct shard *s);
void shard_writer_tick(struct shard *s, uint64_t now_ms);
void shard_writer_led(struct shard *s);
void shard_writer_lost(struct shard *s);
void shard_writer_results(struct shard *s, const struct sm_results *results, uint64_t applied);
void shard_writer_complete(struct shard *s);
/* shard_apply.c */
void shard_apply_turn(struct shard *s);
void shard_apply_deinit(struct shard *s);
void shard_apply_reset(struct shard *s, uint64_t applied, const uint8_t digest[16]);
void shard_lose_environment(struct shard *s, enum status why);
bool shard_apply_behind(const struct shard *s);
/* A commit of all that is applied went well: readers see it. */
void shard_apply_committed(struct shard *s);
/* shard_read.c */
void shard_reader_init(struct shard *s);
void shard_reader_turn(struct shard *s);
void shard_reader_tick(struct shard *s, uint64_t now_ms);
void shard_reader_lost(struct shard *s, enum status why);
void shard_reader_complete(struct shard *s);
void shard_receive_round(struct shard *s, const struct frame *f, node_id from);
void shard_receive_ack(struct shard *s, const struct frame *f, node_id from);
void shard_receive_index(struct shard *s, const struct frame *f, node_id from);
void shard_receive_index_ack(struct shard *s, const struct frame *f, node_id from);
/* shard_checkpoint.c */
void shard_checkpoint_turn(struct shard *s);
/* Its entries above `after`, up to and with index, hold back more of the common log than may be kept for anybody. */
bool shard_holds_too_much(const struct shard *s, uint64_t after, uint64_t index);
/* shard_install.c */
void shard_install_begin(struct shard *s, const struct engine_snapshot *snapshot);
void shard_install_turn(struct shard *s);
void shard_install_tick(struct shard *s, uint64_t now_ms);
void shard_install_fetched(struct shard *s, enum status status, const struct uuid *environment,
                           const struct sm_descriptor *d);
void shard_install_cancel(struct shard *s);
/* After an install: true for a message that must wait until the leader knows of it; tells the leader. */
bool shard_install_settling(struct shard *s, const struct engine_message *m, uint64_t now_ms);
/* shard_lead.c */
void shard_lead_tick(struct shard *s, uint64_t now_ms);
/* Lets go of a handover whose target has everything, or that took too long. */
void shard_handover_turn(struct shard *s);
bool shard_handing_over(const struct shard *s);
uint64_t shard_lowest_match(const struct shard *s);
/* shard_early.c */
void shard_early_lost(struct shard *s, node_id node, uint64_t round_trip_us);
/* A (pre-)vote was granted: whoever got it goes first. */
void shard_early_granted(struct shard *s, uint64_t now_ms);
void shard_early_tick(struct shard *s, uint64_t now_ms);
/* shard_view.c */
void shard_lag_sample(struct shard *s, uint64_t now_ms);
void shard_lag_forget(struct shard *s); /* another leads */
/* shard_moves.c */
/* After each step: who leads now (0 = not known), in the current term. */
void shard_moves_follow(struct shard *s, uint64_t leader, uint64_t term, uint64_t now_ms);
/* We hand over to that node. why is a literal. */
void shard_moves_handed(struct shard *s, node_id to, const char *why, uint64_t now_ms);
void shard_moves_view(const struct shard *s, uint64_t now_ms, struct shard_view *v);
/* copy_fetch.c */
enum status copy_fetch_start(struct shard *s, node_id node, uint64_t min_index, uint64_t max_index,
                             struct copy_fetch **out_f);
void copy_fetch_cancel(struct copy_fetch *f); /* frees when its job is done */
bool copy_fetch_busy(const struct copy_fetch *f);
unsigned copy_fetch_percent(const struct copy_fetch *f);
/* Written so far; *out_size: of all, 0 = not told yet. */
uint64_t copy_fetch_bytes(const struct copy_fetch *f, uint64_t *out_size);
/* copy_source.c */
void copy_sources_close(struct host *h);

#endif
