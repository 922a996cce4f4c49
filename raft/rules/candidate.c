#include "raft/rules/candidate.h"

const char *candidate_check_name(enum candidate_check check)
{
    static const char *const names[CANDIDATE_CHECKS] = {"voter", "keeps_state", "alive",
                                                        "good",  "caught_up",   "reaches_majority"};
    return names[check];
}

static enum candidate_verdict verdict(bool yes)
{
    return yes ? CANDIDATE_YES : CANDIDATE_NO;
}

enum candidate_verdict candidate_check(const struct candidate *c, enum candidate_check check)
{
    switch (check) {
        case CANDIDATE_VOTES:
            return verdict(c->votes);
        case CANDIDATE_KEEPS:
            return verdict(c->keeps);
        case CANDIDATE_ALIVE:
            return verdict(c->contact_age_ms <= CANDIDATE_CONTACT_MS);
        case CANDIDATE_GOOD:
            return c->good_known ? verdict(c->good) : CANDIDATE_NOT_KNOWN;
        case CANDIDATE_CAUGHT_UP:
            return c->lag_known ? verdict(c->lag_entries <= CANDIDATE_LAG_ENTRIES)
                                : CANDIDATE_NOT_KNOWN;
        default:
            return c->reach_known ? verdict(c->reaches >= c->majority) : CANDIDATE_NOT_KNOWN;
    }
}

void candidate_reason(const struct candidate *c, enum candidate_check check, struct sentence *s)
{
    char span[SPAN_TEXT_SIZE];
    switch (check) {
        case CANDIDATE_VOTES:
            sentence_add(s, c->votes ? "it is a voter" : "it does not vote");
            break;
        case CANDIDATE_KEEPS:
            sentence_add(s, c->keeps ? "it keeps the state" : "it is a witness: it votes only");
            break;
        case CANDIDATE_ALIVE:
            if (c->contact_age_ms == AGE_UNKNOWN) {
                sentence_add(s, "it is not in contact");
            } else if (c->contact_age_ms <= CANDIDATE_CONTACT_MS) {
                sentence_add(s, "it answered %s ago", span_format(c->contact_age_ms, span));
            } else {
                sentence_add(s, "not heard for %s", span_format(c->contact_age_ms, span));
            }
            break;
        case CANDIDATE_GOOD:
            sentence_add(s, "its copy: %s",
                         !c->good_known ? "not known"
                         : c->good      ? "ok"
                                        : c->state);
            break;
        case CANDIDATE_CAUGHT_UP:
            if (c->lag_known) {
                sentence_add(s, "%llu entries behind, %u allowed",
                             (unsigned long long)c->lag_entries, CANDIDATE_LAG_ENTRIES);
            } else {
                sentence_add(s, "how far it is behind is not known");
            }
            break;
        default:
            if (c->reach_known) {
                sentence_add(s, "it reaches %u voters, %u are needed", c->reaches, c->majority);
            } else {
                sentence_add(s, "whom it reaches is not known");
            }
    }
}

bool candidate_may_lead(const struct candidate *c)
{
    for (unsigned i = 0; i < CANDIDATE_CHECKS; i++) {
        if (candidate_check(c, (enum candidate_check)i) == CANDIDATE_NO) {
            return false;
        }
    }
    return true;
}

/* By the leader's words; where there are none, by what is known of the node. */
static uint64_t contact_age_ms(const struct observation *o, const struct observed_shard *s,
                               const struct observed_replica *r)
{
    if (s->leader == (int)r->place) {
        return 0;
    }
    bool alive = observation_alive(o, r->place);
    if (s->led_known && (alive || r->contact_age_ms != AGE_UNKNOWN)) {
        return r->contact_age_ms;
    }
    return alive ? 0 : observation_unheard_ms(o, r->place);
}

void candidate_seen(const struct observation *o, const struct observed_shard *s,
                    const struct observed_replica *r, struct candidate *out_c)
{
    enum node_role role = o->nodes[r->place].role;
    bool leads = s->leader == (int)r->place;
    struct candidate c = {
        .votes = r->voter,
        .keeps = role == ROLE_DATA || (role == ROLE_WITNESS && s->shard == SHARD_DIRECTORY),
        .contact_age_ms = contact_age_ms(o, s, r),
        .good_known = r->known,
        .good = r->ok,
        .state = r->state,
        .lag_known = leads || r->lag_known,
        .lag_entries = leads ? 0 : r->lag_entries,
        .reach_known = o->nodes[r->place].speaks,
        .majority = observation_voters(s) / 2 + 1,
    };
    for (unsigned i = 0; i < s->replicas_n; i++) {
        const struct observed_replica *v = &s->replicas[i];
        bool reached = v == r || (observation_alive(o, v->place) &&
                                  observation_connected(o, r->place, v->place));
        c.reaches += v->voter && reached ? 1 : 0;
    }
    *out_c = c;
}
