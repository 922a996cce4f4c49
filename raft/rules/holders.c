/* What a copy has for certain: committed as it knows itself, or matched as its leader knows. Its last entry may be one of an old term. */
#include "raft/rules/holders.h"

static uint64_t index_of(const struct observed_replica *r)
{
    uint64_t own = r->known ? r->commit_index : 0;
    uint64_t matched = r->lag_known ? r->match_index : 0;
    return own > matched ? own : matched;
}

static enum node_role role_of(const struct observation *o, const struct observed_shard *s,
                              unsigned i)
{
    return o->nodes[s->replicas[i].place].role;
}

uint64_t holders_first(const struct observation *o, const struct observed_shard *s,
                       const bool *gone)
{
    uint64_t first = 0;
    if (s->shard == SHARD_DIRECTORY) {
        return 0; /* its witnesses keep the state, too */
    }
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *r = &s->replicas[i];
        if (!gone[i] && role_of(o, s, i) == ROLE_WITNESS && observation_voter_good(o, r) &&
            r->known && r->first_index > first) {
            first = r->first_index;
        }
    }
    return first;
}

bool holders_reaches(const struct observed_shard *s, const struct observed_replica *r,
                     uint64_t first)
{
    return first <= 1 || (int)r->place == s->leader || index_of(r) >= first - 1 ||
           (r->lag_known && r->lag_ms <= SAID_MS_MAX);
}

/* ---- what one site has alone ---- */

/* The newest that anybody is known to have. */
static uint64_t newest(const struct observed_shard *s)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        uint64_t index = index_of(&s->replicas[i]);
        most = index > most ? index : most;
    }
    return most;
}

/* How many entries; 0: others can go on without it, or are not known well enough to accuse them. */
static uint64_t sole_entries(const struct observation *o, const struct observed_shard *s,
                             unsigned site)
{
    bool gone[MEMBERS_MAX];
    uint64_t here = 0, elsewhere = 0;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        gone[i] = observation_same_site(o, s->replicas[i].place, site);
    }
    uint64_t first = holders_first(o, s, gone);
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *r = &s->replicas[i];
        uint64_t index = (int)r->place == s->leader ? newest(s) : index_of(r);
        if (role_of(o, s, i) != ROLE_DATA || !observation_voter_good(o, r)) {
            continue;
        }
        if (!gone[i] && (index == 0 || holders_reaches(s, r, first))) {
            return 0;
        }
        uint64_t *most = gone[i] ? &here : &elsewhere;
        *most = index > *most ? index : *most;
    }
    return elsewhere > 0 && here > elsewhere ? here - elsewhere : 0;
}

static void sole_site(const struct observation *o, unsigned site, struct findings *f)
{
    char names[300];
    struct sentence list, t;
    struct name_list l = {.s = &list};
    uint64_t most = 0;
    sentence_init(&list, names, sizeof(names));
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        uint64_t entries = sole_entries(o, &o->shards[i], site);
        if (entries > 0) {
            name_list_add(&l, o->shards[i].name);
            most = entries > most ? entries : most;
        }
    }
    if (l.n == 0) {
        return;
    }
    name_list_end(&l);
    const char *name = o->nodes[site].site;
    struct finding *at = findings_add(f, FINDING_SOLE_SITE, SEVERITY_ORANGE, name);
    finding_text(at, &t);
    sentence_add(&t,
                 "%s alone holds %s%llu entries of %s: the witness has cut them from its log, and "
                 "no other site has them",
                 name, l.n > 1 ? "up to " : "", (unsigned long long)most, names);
    finding_next(at, &t);
    sentence_add(&t,
                 "repair the network between %s and the other sites: they copy by themselves what "
                 "they lack",
                 name);
    finding_avoid(at, &t);
    sentence_add(&t, "stop nodes of %s, or empty a data directory there", name);
}

void holders_judge(const struct observation *o, struct findings *f)
{
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        if (observation_first_of_site(o, (unsigned)i)) {
            sole_site(o, (unsigned)i, f);
        }
    }
}
