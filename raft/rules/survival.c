/* Losses are sets of places; a set is survived when what is left can still lead. */
#include "raft/rules/survival.h"

#include <string.h>

#include "raft/rules/holders.h"

/* What is left of a shard, by its replicas. */
struct left {
    const struct observation *o;
    const struct observed_shard *s;
    bool good[MEMBERS_MAX];
    bool gone[MEMBERS_MAX];
    bool uneven; /* two good ones do not reach each other, or one lacks what a witness has cut */
    unsigned majority, good_n, data_n;
};

static bool is_data(const struct left *l, unsigned i)
{
    return l->o->nodes[l->s->replicas[i].place].role == ROLE_DATA;
}

static bool can_go_on(const struct left *l, unsigned i, uint64_t first)
{
    return l->good[i] && !l->gone[i] && is_data(l, i) &&
           holders_reaches(l->s, &l->s->replicas[i], first);
}

static void left_init(struct left *l, const struct observation *o, const struct observed_shard *s)
{
    *l = (struct left){.o = o, .s = s, .majority = observation_voters(s) / 2 + 1};
    for (unsigned i = 0; i < s->replicas_n; i++) {
        l->good[i] = observation_voter_good(o, &s->replicas[i]);
        l->good_n += l->good[i] ? 1 : 0;
        l->data_n += l->good[i] && is_data(l, i) ? 1 : 0;
        for (unsigned k = 0; l->good[i] && k < i; k++) {
            l->uneven = l->uneven || (l->good[k] && !observation_connected(o, s->replicas[i].place,
                                                                           s->replicas[k].place));
        }
    }
    uint64_t first = holders_first(o, s, l->gone);
    for (unsigned i = 0; i < s->replicas_n; i++) {
        l->uneven = l->uneven || (l->good[i] && is_data(l, i) && !can_go_on(l, i, first));
    }
}

/* A data voter that reaches a majority, itself included, and in it one that can go on: the others copy from that. */
static bool serves(const struct left *l)
{
    uint64_t first = holders_first(l->o, l->s, l->gone);
    for (unsigned i = 0; i < l->s->replicas_n; i++) {
        unsigned reached = 0;
        bool source = false;
        if (!l->good[i] || l->gone[i] || !is_data(l, i)) {
            continue;
        }
        for (unsigned k = 0; k < l->s->replicas_n; k++) {
            if (l->good[k] && !l->gone[k] &&
                observation_connected(l->o, l->s->replicas[i].place, l->s->replicas[k].place)) {
                reached++;
                source = source || can_go_on(l, k, first);
            }
        }
        if (source && reached >= l->majority) {
            return true;
        }
    }
    return false;
}

static bool serves_without_two(struct left *l, unsigned a, unsigned b)
{
    l->gone[a] = l->gone[b] = true;
    bool yes = serves(l);
    l->gone[a] = l->gone[b] = false;
    return yes;
}

/* Where they are not alike sizes say little, and every set is tried: up to two nodes. */
static int any_nodes_tried(struct left *l)
{
    for (unsigned i = 0; i < l->s->replicas_n; i++) {
        if (l->good[i] && !serves_without_two(l, i, i)) {
            return 0;
        }
    }
    for (unsigned i = 0; i < l->s->replicas_n; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (l->good[i] && l->good[k] && !serves_without_two(l, i, k)) {
                return 1;
            }
        }
    }
    return 2;
}

static int any_nodes(struct left *l)
{
    if (!serves(l)) {
        return -1;
    }
    if (l->uneven) {
        return any_nodes_tried(l);
    }
    unsigned spare = l->good_n - l->majority;
    return (int)(spare < l->data_n - 1 ? spare : l->data_n - 1);
}

/* Is the node of replica i taken away with the site of `place`, or as one of the witnesses? */
static bool taken(const struct left *l, unsigned i, unsigned place, bool witnesses)
{
    unsigned at = l->s->replicas[i].place;
    return observation_same_site(l->o, at, place) ||
           (witnesses && l->o->nodes[at].role == ROLE_WITNESS);
}

static enum site_loss lose_site(struct left *l, unsigned place, bool witnesses)
{
    bool holds = false;
    for (unsigned i = 0; i < l->s->replicas_n; i++) {
        l->gone[i] = taken(l, i, place, witnesses);
        holds = holds || (l->gone[i] && l->good[i]);
    }
    enum site_loss loss = !holds      ? SITE_LOSS_ABSENT
                          : serves(l) ? SITE_LOSS_SERVES
                                      : SITE_LOSS_STOPS;
    memset(l->gone, 0, sizeof(l->gone));
    return loss;
}

void survival_judge_shard(const struct observation *o, const struct observed_shard *s,
                          struct survival *out_survival)
{
    struct left l;
    struct survival v = {.voters = observation_voters(s), .weakest = s->shard};
    left_init(&l, o, s);
    v.nodes = any_nodes(&l);
    for (unsigned i = 0; i < o->nodes_n; i++) {
        v.node[i] = true;
        v.site[i] = lose_site(&l, i, false);
        v.site_and_witness[i] = lose_site(&l, i, true);
    }
    for (unsigned i = 0; i < s->replicas_n; i++) {
        v.node[s->replicas[i].place] = !l.good[i] || serves_without_two(&l, i, i);
    }
    *out_survival = v;
}

static enum site_loss worse(enum site_loss a, enum site_loss b)
{
    return a > b ? a : b;
}

void survival_judge(const struct observation *o, struct survival *out_survival)
{
    struct survival all = {.nodes = o->shards_n > 0 ? NODES_MAX : -1, .voters = NODES_MAX};
    for (unsigned i = 0; i < o->nodes_n; i++) {
        all.node[i] = true;
    }
    for (unsigned k = 0; k < o->shards_n; k++) {
        struct survival v;
        survival_judge_shard(o, &o->shards[k], &v);
        if (v.nodes < all.nodes || (v.nodes == all.nodes && v.weakest < all.weakest)) {
            all.nodes = v.nodes;
            all.weakest = v.weakest;
        }
        all.voters = v.voters < all.voters ? v.voters : all.voters;
        for (unsigned i = 0; i < o->nodes_n; i++) {
            all.node[i] = all.node[i] && v.node[i];
            all.site[i] = worse(all.site[i], v.site[i]);
            all.site_and_witness[i] = worse(all.site_and_witness[i], v.site_and_witness[i]);
        }
    }
    *out_survival = all;
}

/* ---- in words ---- */

/* The names of the sites whose loss has that end, in the order of their nodes' numbers. */
static unsigned sites_list(const struct observation *o, const struct survival *v,
                           enum site_loss loss, const char *between, struct sentence *s)
{
    unsigned n = 0;
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (v->site[i] == loss && observation_first_of_site(o, (unsigned)i)) {
            sentence_add(s, "%s%s", n > 0 ? between : "", o->nodes[i].site);
            n++;
        }
    }
    return n;
}

static void weakest_text(const struct observation *o, const struct survival *v, struct sentence *s)
{
    for (unsigned i = 0; i < o->shards_n; i++) {
        if (o->shards[i].shard == v->weakest) {
            sentence_add(s, "survives nothing: %s does not serve now", o->shards[i].name);
            return;
        }
    }
    sentence_add(s, "survives nothing: no shard is known");
}

void survival_text(const struct observation *o, const struct survival *v, struct sentence *s)
{
    char good[256], bad[256];
    struct sentence yes, no;
    sentence_init(&yes, good, sizeof(good));
    sentence_init(&no, bad, sizeof(bad));
    unsigned serves_n = sites_list(o, v, SITE_LOSS_SERVES, " or ", &yes);
    unsigned stops_n = sites_list(o, v, SITE_LOSS_STOPS, " or ", &no);
    const char *plural = v->nodes == 1 ? "" : "s";
    if (v->nodes < 0) {
        weakest_text(o, v, s);
    } else if (v->voters == 1) {
        sentence_add(s, "survives nothing: there is one voter");
    } else if (serves_n > 0 && stops_n == 0) {
        sentence_add(s, "survives 1 site");
        if (v->nodes > 0) {
            sentence_add(s, " or any %d node%s", v->nodes, plural);
        }
    } else if (serves_n > 0) {
        sentence_add(s, "survives site %s", good);
        if (v->nodes > 0) {
            sentence_add(s, " or any %d node%s", v->nodes, plural);
        }
        sentence_add(s, ", NOT site %s", bad);
    } else if (v->nodes > 0) {
        sentence_add(s, "survives any %d node%s, no site", v->nodes, plural);
    } else {
        sentence_add(s, "survives nothing more");
    }
}
