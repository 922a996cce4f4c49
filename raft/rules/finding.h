/* What the rules find: each a thing an operator should know, with its name, how bad it is, since when, what it says, the one next command
 * or deed, and what not to do. Bounded: what does not fit is counted, and it is the least that does not fit. */
#ifndef MQ_RAFT_RULES_FINDING_H
#define MQ_RAFT_RULES_FINDING_H

#include "base/sentence.h"
#include "raft/rules/observation.h"

#define FINDINGS_MAX      96
#define FINDING_TEXT_SIZE 400
#define NAMES_SHOWN_MAX   8 /* in a list inside a sentence */

/* Causes before effects: of two that are equally bad, the first makes the headline. */
enum finding_kind {
    FINDING_TWO_LEADERS,  /* of one term: must never be */
    FINDING_DIVERGENCE,   /* copies differ at one index */
    FINDING_NO_QUORUM,    /* the observer has no majority: nothing it says is confirmed */
    FINDING_SITE_DOWN,    /* no node of it is heard by anybody who is heard */
    FINDING_WITNESS_DOWN, /* the same, of a site of witnesses */
    FINDING_DC_LINK_CUT,  /* two sites do not hear each other, and both live */
    FINDING_ASYMMETRIC,   /* one hears the other, and not the other way */
    FINDING_SOLE_SITE,    /* a site has entries that the others could not go on without */
    FINDING_NODE_FROZEN,  /* connections are taken, nothing answers */
    FINDING_NODE_DOWN,
    FINDING_UNCONFIRMED,   /* the observer hears a majority, and not the directory's leader */
    FINDING_LINK_CUT,      /* two nodes do not hear each other, and both live */
    FINDING_QUORUM_LOST,   /* of a shard: too few voters are left */
    FINDING_NO_LEADER,     /* of a shard, though voters are there */
    FINDING_QUORUM_MARGIN, /* a shard that survives no further node */
    FINDING_AMNESIA,       /* a copy that has lost acknowledged entries: it may not vote */
    FINDING_REPLICA_STATE, /* a copy that is not good */
    FINDING_NODE_STATE,
    FINDING_DISK_LOW,
    FINDING_SLOW_DISK,
    FINDING_LAG,
    FINDING_CERT_EXPIRES,
    FINDING_CLOCK_OFFSET,
    FINDING_FLAPPING,     /* a link that comes and goes */
    FINDING_STALE_LEADER, /* one of an older term that does not know it yet: harmless */
    FINDING_LEADER_MOVED,
    FINDING_AWAY,    /* a shard is led from another site than it prefers */
    FINDING_STALLED, /* a node stood still for a while */
    FINDING_KINDS
};

struct finding {
    enum finding_kind kind;
    enum severity severity;
    char object[NAME_MAX_BYTES + 1]; /* node, site or shard; "" = the cluster, or several */
    uint64_t since_ms;               /* an age; AGE_UNKNOWN */
    char text[FINDING_TEXT_SIZE], next[FINDING_TEXT_SIZE / 2], avoid[FINDING_TEXT_SIZE / 2];
};

struct findings {
    struct finding items[FINDINGS_MAX];
    unsigned n, left_out;
    enum severity severity; /* the highest, of what is left out too */
    struct finding scrap;   /* where those are written */
};

/* Stable names, which are also their headings in docs/messages.md. */
const char *finding_name(enum finding_kind kind);
void findings_init(struct findings *f);
/* Never NULL; texts are empty, since_ms is AGE_UNKNOWN. Borrowed until the next call. */
struct finding *findings_add(struct findings *f, enum finding_kind kind, enum severity severity,
                             const char *object);
/* The worst first, then causes before effects, then by object and text. */
void findings_sort(struct findings *f);
void finding_text(struct finding *f,
                  struct sentence *out_s); /* a sentence over text, next, avoid */
void finding_next(struct finding *f, struct sentence *out_s);
void finding_avoid(struct finding *f, struct sentence *out_s);

/* Names in a sentence: at most NAMES_SHOWN_MAX, then how many more. */
struct name_list {
    struct sentence *s;
    unsigned n;
};
void name_list_add(struct name_list *l, const char *name);
void name_list_end(struct name_list *l);

#endif
