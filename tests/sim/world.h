/* A whole cluster on one thread, from one seed: virtual time, nodes on file systems that forget, links that lose, clients that count.
 *
 * world.c    time, events, the trace            node.c     a node: start, crash, what the host asks of it
 * lanes.c    the executor: jobs take time       network.c  links between nodes, connections of copies
 * machine.c  the state machine, watched         client.c   workload and its ledger
 * check.c    what must always hold              fault.c    what goes wrong, and when
 * plant.c    faults of ours, to be found        belief.c   who takes whose process for gone
 *
 * Everything happens in an event; events of one time run in the order in which they were made. Nothing else is asked: no
 * clock, no address, no thread. The trace hash covers every event and every frame, so two runs of a seed can be compared. */
#ifndef MQ_TESTS_SIM_WORLD_H
#define MQ_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "node/replica.h"
#include "raft/host.h"
#include "tests/lib/crash_fs.h"

#define SIM_NODES_MAX  5
#define SIM_SHARDS_MAX 3
#define SIM_LANE_WIDTH 2
#define SIM_CLIENTS    10
#define SIM_COUNTERS   6
#define SIM_TEXT_MAX   400

struct world;
struct sim_node;
struct sim_copy;

/* Swarm: each seed has a random half of them. (The formatter finds no end with this list.) */
/* clang-format off */
#define SIM_FAULTS(X)                                                                   \
    X(LOSS) X(DUPLICATE) X(DELAY) X(ONE_WAY) X(PARTITION) X(KILL) X(POWER) X(POWER_ALL) \
    X(MID_CALL) X(PAUSE) X(SLOW_DISK) X(FULL) X(SYNC_FAILS) X(TRANSFER) X(COPY_BREAKS)  \
    X(CLEAN_STOP) X(CLOCK) X(LONG_DOWN) X(RECOVERY_CRASH)
/* clang-format on */
enum sim_fault {
#define X(name) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        FAULT_COUNT
};

struct event {
    uint64_t at_us, order;
    void (*run)(struct event *e);
    struct world *world;
    struct sim_node *node; /* NULL: of the world */
    uint32_t life;         /* dropped when the node has another one by then; 0 = any */
    struct block *frame;   /* owned */
    void *p;
    uint64_t a, b, c;
};

struct sim_lane {
    struct list queue;
    struct job *running[SIM_LANE_WIDTH];
    bool worked[SIM_LANE_WIDTH];
};

struct sim_shard_info {
    shard_id id;
    char name[24];
    struct epoch epoch;
    struct shard_member members[SIM_NODES_MAX];
    uint32_t members_n;
    char user[24];
};

/* The state machine of one shard on one node, watched. */
struct sim_machine {
    struct sim_node *node;
    const struct sim_shard_info *info;
    struct replica *replica;
    struct state_machine *inner;
    struct state_machine outer;
    struct sm_ops ops;
    uint64_t commit_seen, applied_seen, installs_seen;
    bool watched;
};

struct sim_node {
    struct world *world;
    node_id id;
    enum node_role role;
    char site[16];
    char directory[200];
    char log_directory[220];
    struct crash_fs *fs;
    struct random random;
    struct clock clock;
    uint64_t clock_base_ms; /* of the monotonic clock, another in each life */
    int64_t clock_skew_ms;  /* of the wall clock */
    struct executor executor;
    struct sim_lane lanes[LANE_COUNT];
    unsigned slow; /* factor of its disk */
    struct host *host;
    struct sim_machine machines[SIM_SHARDS_MAX];
    uint32_t life;
    bool up, dead, stopping;
    bool injected; /* something we did explains a failure */
    bool full;     /* its disk */
    bool failed;   /* host.failed was called */
    char failure[SIM_TEXT_MAX];
    bool turn_planned;
    uint64_t tick_at_us;
    uint64_t paused_until_us;
    struct list attempts; /* of clients, not answered yet */
    uint64_t kill_power;  /* what a stop in the middle of a call becomes */
};

struct sim_connection {
    bool up;
    uint32_t generation;
    uint64_t last_us[2][CHANNEL_COUNT]; /* by direction: low to high id, high to low */
    uint64_t bytes[2];                  /* in flight */
    uint64_t broken_us;                 /* since when it cannot carry both ways; 0 = it can */
    uint64_t retry_us;
    uint32_t latency_us;
};

/* What one index of a shard holds, as first seen. */
struct sim_truth {
    uint64_t term;
    uint64_t hash;
    bool applied, digested;
    uint8_t digest[16];
};

struct sim_shard_check {
    struct sim_truth *truth;
    uint64_t truth_n;
    struct {
        uint64_t term, replica;
    } * leaders;
    uint32_t leaders_n, leaders_capacity;
    uint64_t acked_index;
};

/* Whether nodes believe things of each other's processes; by default in every other world. */
enum sim_beliefs { BELIEFS_SOME = 0, BELIEFS_ALWAYS, BELIEFS_NEVER };

struct world_options {
    uint64_t seed;
    uint32_t nodes; /* 3 or 5 */
    uint32_t chaos_ms;
    bool verbose;
    const char *plant; /* NULL = none */
    enum sim_beliefs beliefs;
};

struct world_stats {
    uint64_t events, crashes, power_cuts, elections, installs, acked, unknown, refused, reads,
        checkpoints, transfers;
    uint64_t sectors_lost, clean_stops, sync_failures, repairs, virtual_ms, worlds, violations,
        malformed, session_lost;
    uint64_t reads_full; /* on nodes with a full disk: they go on */
    uint64_t beliefs, false_beliefs, early_rounds;
};

struct client;

struct world {
    struct world_options o;
    struct random random;
    uint64_t now_us;
    struct event **heap;
    uint32_t heap_n, heap_capacity;
    uint64_t next_order;
    XXH3_state_t *trace;
    bool stop;
    bool healing;
    char root[120];
    struct sim_shard_info shards[SIM_SHARDS_MAX];
    uint32_t shards_n;
    struct sim_node nodes[SIM_NODES_MAX];
    uint32_t nodes_n;
    struct sim_connection connections[SIM_NODES_MAX][SIM_NODES_MAX]; /* [low][high] */
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX];                          /* [from][to] */
    struct list copies;
    bool faults[FAULT_COUNT];
    bool beliefs;
    struct random belief_random; /* of its own: without beliefs a seed's run is what it was */
    uint64_t believed_until_us[SIM_NODES_MAX][SIM_NODES_MAX]; /* [by][of]: for the plant */
    struct sim_shard_check checks[SIM_SHARDS_MAX];
    struct client *clients;
    struct ledger *ledger;
    struct sim_node *current; /* whose event runs */
    struct world_stats stats;
    struct uuid cluster;
    struct block *tick_command;
};

/* world.c */
void world_run(const struct world_options *o, struct world_stats *out_stats, uint64_t *out_trace);
struct event *world_event(struct world *w, uint64_t delay_us, void (*run)(struct event *e));
struct event *node_event(struct sim_node *n, uint64_t delay_us,
                         void (*run)(struct event *e)); /* of this life */
void world_trace(struct world *w, uint64_t a, uint64_t b, uint64_t c);
void world_violation(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_note(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool world_chance(struct world *w, uint32_t per_million);
uint64_t world_between(struct world *w, uint64_t from, uint64_t to);
uint64_t world_now_ms(const struct world *w);
extern struct world *world_now; /* the one that runs */

/* lanes.c */
void lanes_init(struct sim_node *n);
/* Runs everything that is queued or running, on a disk that refuses all: nothing of it counts. */
void lanes_drain(struct sim_node *n);

/* node.c */
void node_init(struct world *w, uint32_t index);
void node_deinit(struct sim_node *n);
void node_start(struct sim_node *n);
void node_crash(struct sim_node *n, enum crash_kind kind);
void node_stop(struct sim_node *n); /* clean, ends in a crash that loses nothing */
void node_restart_in(struct sim_node *n, uint64_t delay_us);
void node_turn(struct sim_node *n);   /* plans one */
void node_add_up(struct sim_node *n); /* what its shards counted in this life */
void node_after_event(struct sim_node *n);
uint32_t node_index(const struct sim_node *n);

/* network.c */
void network_init(struct world *w);
bool network_send(struct sim_node *from, node_id to, enum channel channel, struct block *frame);
void network_node_down(struct sim_node *n);
void network_fill_options(struct host_options *o);
void network_heal(struct world *w);
void network_deinit(struct world *w);
/* Both ends lose this link and what is on its way, as a node does with a process that it takes for gone. */
void network_take_down(struct world *w, uint32_t a, uint32_t b);
/* Round trip of a node's slowest link. */
uint64_t network_slowest_us(const struct sim_node *n);
/* Drops some copies half-way. */
void network_break_copies(struct world *w);

/* machine.c */
enum status machine_init(struct sim_machine *m, struct sim_node *n,
                         const struct sim_shard_info *info);
void machine_deinit(struct sim_machine *m);

/* check.c */
void check_init(struct world *w);
void check_deinit(struct world *w);
void check_applied(struct sim_machine *m, const struct sm_entry *entries, uint32_t n,
                   const struct sm_position *position);
void check_shard(struct sim_node *n, struct shard *s);
void check_node(struct sim_node *n);
void check_acked(struct world *w, uint32_t shard, uint64_t index, uint64_t term);
bool check_converged(struct world *w, char *why, size_t size);
void check_final_digests(struct world *w);
void check_describe(struct world *w);
uint32_t check_shard_index(const struct world *w, shard_id id);

/* client.c */
void clients_init(struct world *w);
void clients_deinit(struct world *w);
void clients_node_crashed(struct sim_node *n);
bool clients_quiet(struct world *w);
void clients_stop(struct world *w);
void clients_verify(struct world *w);

/* fault.c */
void faults_init(struct world *w);
void faults_heal(struct world *w);

/* belief.c */
void beliefs_init(struct world *w);
/* Its peers notice that a node has crashed; most of them, after a while. */
void beliefs_crashed(struct sim_node *n);
/* Planted: who is believed gone has granted its vote. True: the frame is answered. */
bool beliefs_answer(struct sim_node *from, uint32_t to, const struct block *frame);

/* plant.c */
struct plant {
    const char *name;
    const char *text;
};
extern const struct plant plants[];
extern const unsigned plants_n;
void plant_node(struct sim_node *n);
bool planted(const struct world *w, const char *name);

#endif
