/* Who campaigns, and when, once the process of a leader is known to be gone (facts/libraft.md U21).
 *
 * A belief comes (host_peer_lost) -> the follower forgets its leader and arms a campaign here -> early_decide() says at
 * each look: wait until a time, fire (one round of pre-votes), or stop; always with the reason. Ranks take turns, one stagger
 * each; in its turn a rank asks several times, as the others may learn of the loss a little later. A wrong belief costs an
 * election at most: pre-vote stays, and whoever still hears the leader refuses. Times are monotonic milliseconds. */
#ifndef MQ_RAFT_RULES_EARLY_H
#define MQ_RAFT_RULES_EARLY_H

#include <stdbool.h>
#include <stdint.h>

#define EARLY_FIRST_MS   5u  /* the others are given this long to see it too */
#define EARLY_STAGGER_MS 25u /* at least this long between two ranks */
#define EARLY_AGAIN_MS   10u /* at least this long between two rounds of one rank's turn */
#define EARLY_FIRES_MAX  12u
#define EARLY_STORE_MS   50u /* the own log is waited for this long */

/* One voter of the shard, as its followers see it. */
struct early_voter {
    bool voter;
    bool reachable;      /* a connection to its node is up; ourselves: true */
    bool witness;        /* leads only when nobody else can */
    uint32_t preference; /* 0 = its site is most preferred */
};

/* How many voters go before `self`: those that can be reached, data before witness, preferred sites first, then in the order
 * of the configuration. `lost` is the leader's place and never counts. */
uint32_t early_rank(const struct early_voter *voters, uint32_t n, uint32_t self, uint32_t lost);

/* Between two ranks: long enough that the first is through before the second begins, at most a quarter of the election
 * timeout. */
uint32_t early_stagger_ms(uint64_t round_trip_us, uint64_t sync_us, uint32_t election_timeout_ms);

/* What was true when it was armed, and what it has done since. */
struct early_campaign {
    uint64_t armed_ms;
    uint64_t term, vote;
    uint32_t rank, voters, stagger_ms;
    uint32_t fired;
    uint64_t fired_ms; /* last */
};

/* What is so now. */
struct early_view {
    bool leader, candidate; /* neither: follower */
    bool pre_vote;          /* candidate that has not raised its term yet */
    bool voter, installing, leader_known;
    uint64_t term, vote;
    uint64_t last_index, last_stored;
    uint64_t granted_ms; /* when we last promised our vote to another; 0 = never */
};

enum early_action { EARLY_WAIT = 0, EARLY_FIRE, EARLY_STOP };

struct early_decision {
    enum early_action action;
    uint64_t at_ms; /* EARLY_WAIT: look again then */
    const char *reason;
};

struct early_decision early_decide(const struct early_campaign *c, const struct early_view *v,
                                   uint64_t now_ms);

#endif
