/* What one node knows at one moment: its own, and what every other node last said of itself. The rules see this and nothing else.
 *
 * Nodes are named by their place in nodes[]. Every age is in milliseconds at that moment; AGE_UNKNOWN is never, or not known. What a node
 * said longer ago than SAID_MS_MAX is no news of it (`speaks` is false): then only the ages of its last words are used, as history.
 * All memory is the caller's and borrowed; texts are NUL-terminated. The answers do not depend on the order of nodes, shards and feeds. */
#ifndef MQ_RAFT_RULES_OBSERVATION_H
#define MQ_RAFT_RULES_OBSERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/identity.h"
#include "base/severity.h"
#include "raft/rules/move.h"

#define AGE_UNKNOWN UINT64_MAX
#define SAID_MS_MAX 1000u /* words older than this are not of now */
#define DEAF_MS_MIN 2000u /* who speaks and has not heard another for so long does not hear it */
#define RETURNED_MS 5000u /* heard for so long without a break, it is back for everybody */

/* A feed that spoke within the last day. */
struct observed_feed {
    char host[NAME_MAX_BYTES + 1];
    uint64_t certificate_left_ms; /* AGE_UNKNOWN: not known */
};

/* How a node's connections to another one end, or do not. */
enum link_answer {
    ANSWER_UNKNOWN, /* not tried yet */
    ANSWER_GOOD,    /* it answers */
    ANSWER_REFUSED, /* the machine, or what stands for it, refuses or ends connections: no process listens */
    ANSWER_NONE,   /* connections are taken, and then nothing comes */
    ANSWER_TIMEOUT /* no connection can be made */
};

/* What a node says of how it hears another. */
struct observed_link {
    uint64_t
        heard_age_ms; /* now, not when it was said; counted from its start when it never heard it */
    uint64_t heard_for_ms; /* without a break, when it said so; 0: it does not hear it */
    enum link_answer answer;
    uint64_t clock_error_us; /* 0: the other's clock is not known */
    int64_t clock_offset_us; /* the other's clock minus its own */
    unsigned breaks; /* how often it was lost in the last minutes, not by a restart of the other */
};

struct observed_node {
    node_id node;
    enum node_role role;
    char name[NAME_MAX_BYTES + 1], site[NAME_MAX_BYTES + 1];
    bool speaks;
    uint64_t said_age_ms; /* since its last words came; 0 for the observer */
    uint64_t up_ms;       /* how long it ran when it said them */
    uint64_t stall_ms,
        stall_age_ms; /* it stood still for so long, so long ago; AGE_UNKNOWN: never */
    char state[128];  /* "ok", or what it is busy with; valid when it speaks, as all below */
    uint64_t disk_free_bytes, disk_total_bytes, sync_us;
    uint64_t certificate_left_ms; /* AGE_UNKNOWN: not known */
    struct observed_link links[NODES_MAX];
};

struct observed_replica {
    unsigned place;
    bool voter;
    /* Its own words; all unknown unless known. */
    bool known, ok, leads;
    char state[128];
    uint64_t term, last_index, applied_index, digest_index;
    uint64_t first_index, commit_index; /* first: the oldest entry of its log; 0: not known */
    uint8_t digest[16];                 /* at digest_index; zeros: it keeps no state */
    int follows;                        /* place of the leader it follows in its term; -1 = none */
    uint64_t leader_age_ms;             /* since it heard that one */
    /* The leader's words of it. */
    bool lag_known;
    uint64_t lag_ms, lag_entries, lag_bytes, contact_age_ms;
    uint64_t match_index; /* it has everything up to there */
    int64_t lag_slope_us; /* microseconds of lag a second */
    bool lag_slope_known;
};

struct observed_shard {
    shard_id shard;
    char name[NAME_MAX_BYTES + 1];
    unsigned preference_n;
    char preference[8][NAME_MAX_BYTES + 1];
    struct observed_replica replicas[MEMBERS_MAX];
    unsigned replicas_n;
    int leader;          /* place; -1 = none known now. See observation_leader() */
    bool leader_hearsay; /* another node says so; the leader itself is not heard here */
    uint64_t term;
    /* The leader's words, known when it speaks itself. */
    bool led_known;
    uint64_t led_ms, quiet_ms; /* leads for so long; the preference rests for so long yet, or for
                                  ever (AGE_UNKNOWN) */
    enum move_cause cause;
    int before;         /* place of the leader before; -1 = none known */
    int lost;           /* place of the one whose loss began it; -1 = nobody's */
    uint64_t silent_ms; /* for how long that one had not been heard */
    char why[64];       /* MOVE_HANDOVER: in its words; "" = it said none */
    unsigned moves;     /* changes of leader in the last ten minutes */
};

struct observation {
    unsigned self; /* the observer's place */
    bool founded;  /* false: the cluster does not exist yet */
    bool quorum;   /* a majority confirmed this view just now */
    bool local;    /* none was asked to: the observer's own view is what was wanted */
    uint64_t wall_ms;
    const char *note; /* what it says of itself when it has no quorum; "" = nothing */
    struct observed_node *nodes;
    unsigned nodes_n;
    struct observed_shard *shards;
    unsigned shards_n;
    struct observed_feed *feeds;
    unsigned feeds_n;
};

/* Does `a` hear `b`, by its own fresh words? Within limit_ms of when it said so. A node that just stood still is given that time. */
enum hearing { HEARING_UNKNOWN, HEARING_NO, HEARING_YES };
enum hearing observation_hears(const struct observation *o, unsigned a, unsigned b,
                               uint64_t limit_ms);
/* A majority confirmed the view, or the observer hears a majority of the nodes that vote, itself among them: what it sees is of now. */
bool observation_majority_heard(const struct observation *o);
/* Nodes that vote, and those of them that speak. */
struct observed_votes {
    unsigned all, heard;
};
struct observed_votes observation_votes(const struct observation *o);
/* Alive: it speaks to the observer, or to somebody who does. */
bool observation_alive(const struct observation *o, unsigned place);
/* It has been heard by somebody, without a break, for RETURNED_MS: one that has just come back is still being dialled by others. */
bool observation_settled(const struct observation *o, unsigned place);
/* May messages pass between them, both ways, as far as is known? */
bool observation_connected(const struct observation *o, unsigned a, unsigned b);
/* Fills leader, leader_hearsay and term of the shard from its replicas: who says that it leads, in the highest term; else whom a
 * replica that speaks follows in that term and has heard just now. */
void observation_leader(const struct observation *o, struct observed_shard *s);
unsigned observation_voters(const struct observed_shard *s);
/* A voter that is alive and whose replica is good, as far as is known. */
bool observation_voter_good(const struct observation *o, const struct observed_replica *r);
/* It has lost what it had acknowledged, or the others refuse it: its copy never votes again. */
bool observation_votes_no_more(const struct observed_replica *r);
/* The copy on a node; NULL = none. */
const struct observed_replica *observation_replica(const struct observed_shard *s, unsigned place);
bool observation_same_site(const struct observation *o, unsigned a, unsigned b);
/* The first node of its site, by number: each site is visited once by those for which it is true. */
bool observation_first_of_site(const struct observation *o, unsigned place);
/* In the order of their numbers, whatever the order in which they were given: the place of the next one, -1 after the last. Begin with
 * after 0 and -1. */
int observation_next_node(const struct observation *o, node_id after);
int observation_next_shard(const struct observation *o, int64_t after);
/* The shortest time since any node that speaks has heard it; AGE_UNKNOWN when none can say. */
uint64_t observation_unheard_ms(const struct observation *o, unsigned place);

#endif
