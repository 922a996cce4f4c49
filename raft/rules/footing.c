/* Group by group of shards that stand alike, in the order of their numbers. */
#include "raft/rules/footing.h"

#include <string.h>

#include "raft/rules/holders.h"
#include "raft/rules/survival.h"

enum footing { FOOTING_FIRM, FOOTING_SOME, FOOTING_NONE, FOOTING_LEADERLESS, FOOTING_LOST };

/* How a voter stands; bits, so that a list may be of several. */
enum standing {
    STANDING_NO_VOTER = 0,
    STANDING_GOOD = 1,
    STANDING_DOWN = 2,      /* nobody hears its node */
    STANDING_OPENS = 4,     /* its node lives, and its copy is not heard of yet, or opens */
    STANDING_COPIES = 8,    /* it needs a data voter to copy from */
    STANDING_SILENCED = 16, /* its copy may not vote again */
    STANDING_WAITS = STANDING_OPENS | STANDING_COPIES
};

static bool state_begins(const struct observed_replica *r, const char *with)
{
    return strncmp(r->state, with, strlen(with)) == 0;
}

static enum standing standing(const struct observation *o, const struct observed_replica *r)
{
    if (!r->voter) {
        return STANDING_NO_VOTER;
    }
    if (observation_voter_good(o, r)) {
        return STANDING_GOOD;
    }
    if (!observation_alive(o, r->place)) {
        return STANDING_DOWN;
    }
    if (r->known && observation_votes_no_more(r)) {
        return STANDING_SILENCED;
    }
    return r->known && (state_begins(r, "installing") || state_begins(r, "environment lost"))
               ? STANDING_COPIES
               : STANDING_OPENS;
}

static bool keeps_state(const struct observation *o, const struct observed_shard *s, unsigned place)
{
    return o->nodes[place].role == ROLE_DATA || s->shard == SHARD_DIRECTORY;
}

static unsigned count(const struct observation *o, const struct observed_shard *s, unsigned wanted,
                      bool state_only)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *r = &s->replicas[i];
        n += (standing(o, r) & wanted) != 0 && (!state_only || keeps_state(o, s, r->place)) ? 1 : 0;
    }
    return n;
}

/* Their names. */
static void list(const struct observation *o, const struct observed_shard *s, unsigned wanted,
                 bool state_only, struct sentence *t)
{
    struct name_list l = {.s = t};
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        const struct observed_replica *r = observation_replica(s, (unsigned)i);
        if (r != NULL && (standing(o, r) & wanted) != 0 &&
            (!state_only || keeps_state(o, s, (unsigned)i))) {
            name_list_add(&l, o->nodes[i].name);
        }
    }
    name_list_end(&l);
}

/* ---- which shards stand alike ---- */

static enum footing footing_of(const struct observation *o, const struct observed_shard *s)
{
    struct survival v;
    unsigned voters = observation_voters(s);
    if (count(o, s, STANDING_GOOD, false) < voters / 2 + 1) {
        return FOOTING_LOST;
    }
    if (s->leader < 0) {
        return FOOTING_LEADERLESS;
    }
    survival_judge_shard(o, s, &v);
    if (v.nodes > 0 || voters <= 1) {
        return FOOTING_FIRM;
    }
    for (unsigned i = 0; i < s->replicas_n; i++) {
        if (v.node[s->replicas[i].place] && observation_voter_good(o, &s->replicas[i])) {
            return FOOTING_SOME;
        }
    }
    return FOOTING_NONE;
}

/* Is there a data voter that can go on, as far as is known? The others copy from it. */
static bool source(const struct observation *o, const struct observed_shard *s)
{
    static const bool none[MEMBERS_MAX];
    uint64_t first = holders_first(o, s, none);
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *r = &s->replicas[i];
        enum standing its = standing(o, r);
        if (keeps_state(o, s, r->place) &&
            (its == STANDING_OPENS || (its == STANDING_GOOD && holders_reaches(s, r, first)))) {
            return true;
        }
    }
    return false;
}

static bool alike(const struct observation *o, const struct observed_shard *a,
                  const struct observed_shard *b)
{
    if (observation_voters(a) != observation_voters(b) || source(o, a) != source(o, b)) {
        return false;
    }
    for (unsigned i = 0; i < a->replicas_n; i++) {
        const struct observed_replica *r = &a->replicas[i];
        const struct observed_replica *other = observation_replica(b, r->place);
        enum standing its = other != NULL ? standing(o, other) : STANDING_NO_VOTER;
        if (standing(o, r) != its) {
            return false;
        }
    }
    return true;
}

struct group {
    const struct observed_shard *first;
    unsigned n;
    char names[300];
};

/* ---- in words ---- */

/* There is none among those that live: nobody can promise that nothing is lost. */
static void sources_next(const struct observation *o, const struct observed_shard *s,
                         unsigned needed, struct sentence *t)
{
    unsigned waiting = count(o, s, STANDING_WAITS, false);
    unsigned more = needed > waiting ? needed - waiting : 1;
    sentence_add(t, "bring back at least %u of ", more);
    list(o, s, STANDING_DOWN, more <= count(o, s, STANDING_DOWN, true), t);
    sentence_add(t, ": their disks alone may hold what ");
    list(o, s, STANDING_GOOD | STANDING_COPIES, true, t);
    sentence_add(t, " must copy");
}

static void lost_next(const struct observation *o, const struct observed_shard *s,
                      struct sentence *t)
{
    unsigned good = count(o, s, STANDING_GOOD, false);
    unsigned needed = observation_voters(s) / 2 + 1 - good;
    unsigned down = count(o, s, STANDING_DOWN, false);
    bool copies = count(o, s, STANDING_GOOD | STANDING_COPIES, true) > 0;
    if (down + count(o, s, STANDING_WAITS, false) < needed) {
        sentence_add(t, "keep every disk and ask for help with the logs: the copies on ");
        list(o, s, STANDING_SILENCED, false, t);
        sentence_add(t, " may not vote again");
    } else if (copies && !source(o, s) && count(o, s, STANDING_DOWN, true) > 0) {
        sources_next(o, s, needed, t);
    } else if (down > 0) {
        sentence_add(t, "bring back ANY %u of ", needed < down ? needed : down);
        list(o, s, STANDING_DOWN, false, t);
        sentence_add(t, ": heals itself, nothing is lost");
    } else if (source(o, s)) {
        sentence_add(t, "wait: these copies come back into order by themselves: ");
        list(o, s, STANDING_WAITS, false, t);
    } else {
        sentence_add(t, "keep every disk: no copy is in order, and these find none to copy from: ");
        list(o, s, STANDING_COPIES, false, t);
    }
}

static void no_leader(const struct observation *o, const struct group *g, bool lost,
                      struct findings *f)
{
    struct sentence t;
    unsigned voters = observation_voters(g->first);
    struct finding *at = findings_add(f, lost ? FINDING_QUORUM_LOST : FINDING_NO_LEADER,
                                      SEVERITY_RED, g->n == 1 ? g->first->name : "");
    finding_text(at, &t);
    sentence_add(&t, "%s: %s: %u of %u voters are up, %u are needed", g->names,
                 lost ? "QUORUM LOST, no writes and no current reads" : "no leader",
                 count(o, g->first, STANDING_GOOD, false), voters, voters / 2 + 1);
    finding_next(at, &t);
    if (!lost) {
        sentence_add(&t, "wait: it elects one");
        return;
    }
    lost_next(o, g->first, &t);
    finding_avoid(at, &t);
    sentence_add(&t, "empty a data directory: a node without its log cannot help");
}

static void margin(const struct observation *o, const struct group *g, bool any, struct findings *f)
{
    struct sentence t;
    unsigned good = count(o, g->first, STANDING_GOOD, false);
    unsigned voters = observation_voters(g->first);
    struct finding *at =
        findings_add(f, FINDING_QUORUM_MARGIN, SEVERITY_ORANGE, g->n == 1 ? g->first->name : "");
    finding_text(at, &t);
    sentence_add(&t, "margin 0: %s: %s further node may be lost: %u of %u voters are up", g->names,
                 any ? "not every" : "no", good, voters);
    finding_next(at, &t);
    if (count(o, g->first, STANDING_DOWN, false) > 0) {
        sentence_add(&t, "bring back a voter: ");
        list(o, g->first, STANDING_DOWN, false, &t);
    } else if (count(o, g->first, STANDING_WAITS, false) > 0) {
        sentence_add(&t, "wait until these copies are in order: ");
        list(o, g->first, STANDING_WAITS, false, &t);
    } else if (good == voters) {
        sentence_add(&t, "repair the links between its voters");
    } else {
        sentence_add(&t, "keep the others up: these copies may not vote again: ");
        list(o, g->first, STANDING_SILENCED, false, &t);
    }
    finding_avoid(at, &t);
    sentence_add(&t, "stop or restart another node now");
}

static void say(const struct observation *o, const struct group *g, enum footing footing,
                struct findings *f)
{
    if (footing == FOOTING_LOST || footing == FOOTING_LEADERLESS) {
        no_leader(o, g, footing == FOOTING_LOST, f);
    } else {
        margin(o, g, footing == FOOTING_SOME, f);
    }
}

void footing_judge(const struct observation *o, struct findings *f)
{
    enum footing footings[SHARDS_MAX];
    bool told[SHARDS_MAX] = {false};
    for (unsigned i = 0; i < o->shards_n; i++) {
        footings[i] = footing_of(o, &o->shards[i]);
    }
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        if (told[i] || footings[i] == FOOTING_FIRM) {
            continue;
        }
        struct group g = {.first = &o->shards[i]};
        struct sentence names;
        struct name_list l = {.s = &names};
        sentence_init(&names, g.names, sizeof(g.names));
        for (int k = i; k >= 0; k = observation_next_shard(o, o->shards[k].shard)) {
            if (!told[k] && footings[k] == footings[i] && alike(o, g.first, &o->shards[k])) {
                told[k] = true;
                name_list_add(&l, o->shards[k].name);
            }
        }
        name_list_end(&l);
        g.n = l.n;
        say(o, &g, footings[i], f);
    }
}
