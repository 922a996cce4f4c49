/* Clients of the simulated cluster and the ledger of what they were told (client.c, ledger.c, reader.c, command.c). */
#ifndef MQ_TESTS_SIM_CLIENT_H
#define MQ_TESTS_SIM_CLIENT_H

#include "proto/api.pb-c.h"
#include "tests/sim/world.h"

#define SIM_NAMESPACE "sim"

enum op_kind { KIND_SESSION, KIND_FOUND, KIND_COUNTER, KIND_INCREMENT, KIND_UNIQUE };

struct op {
    bool active;
    enum op_kind kind;
    uint64_t serial; /* of its client */
    bool with_session;
    uint64_t sequence;
    uint32_t counter;
    uint64_t unique; /* in the ledger */
    struct block *command;
    bool maybe;        /* some attempt may have been applied */
    uint32_t attempts; /* not answered yet */
    uint64_t begun_us;
};

struct client {
    struct world *world;
    uint32_t id;
    shard_id shard;
    struct token session;
    bool has_session;
    uint64_t sequence, serial, plan;
    uint32_t setup_step, setup_steps;
    struct op op;
};

enum unique_state { UNIQUE_OPEN, UNIQUE_APPLIED, UNIQUE_REFUSED, UNIQUE_UNSURE };
struct unique {
    uint8_t shard;
    uint8_t state;
    bool present; /* as found at the end */
};
struct counter {
    uint64_t issued, acked, unsure;
    uint64_t read_max; /* highest value that a reader has seen */
    uint8_t *seen;     /* a bit for each value an increment was answered with */
    uint64_t seen_n;
};
struct ledger {
    bool closed;
    struct unique *uniques;
    uint64_t uniques_n, uniques_capacity;
    struct counter counters[SIM_SHARDS_MAX][SIM_COUNTERS];
};

/* command.c */
struct block *command_new(struct client *c, const struct op *op);
void unique_name(uint64_t unique, char name[24]);
void counter_name(uint32_t counter, char name[24]);

/* ledger.c */
uint64_t ledger_add(struct ledger *l, uint32_t shard);
void ledger_deinit(struct ledger *l);
/* An increment was answered with this value. */
void ledger_counted(struct world *w, uint32_t shard, uint32_t counter, int64_t value);
/* One page of the dictionary below prefix, after a key. NULL when refused. The caller frees it. */
Mq__QueryResult *ledger_query_dict(struct replica *r, const struct sim_shard_info *info,
                                   const char *prefix, const char *after);

/* reader.c */
void readers_init(struct world *w);

#endif
