#include "raft/rules/explain.h"

#include <string.h>

#include "raft/rules/leaders.h"

/* "sh1 ok" or "sh1 NO alive: it answered 6m12s ago". */
static void candidate_words(const struct observation *o, const struct observed_shard *s,
                            const struct observed_replica *r, struct sentence *out_s)
{
    struct candidate c;
    candidate_seen(o, s, r, &c);
    sentence_add(out_s, "%s ", o->nodes[r->place].name);
    for (unsigned i = 0; i < CANDIDATE_CHECKS; i++) {
        enum candidate_check check = (enum candidate_check)i;
        if (candidate_check(&c, check) == CANDIDATE_NO) {
            sentence_add(out_s, "NO %s: ", candidate_check_name(check));
            candidate_reason(&c, check, out_s);
            return;
        }
    }
    sentence_add(out_s, "ok");
}

/* The copies at a site, or of all sites; how many. */
static unsigned candidates(const struct observation *o, const struct observed_shard *s,
                           const char *site, struct sentence *out_s)
{
    unsigned n = 0;
    for (int i = observation_next_node(o, 0); i >= 0;
         i = observation_next_node(o, o->nodes[i].node)) {
        const struct observed_replica *r = observation_replica(s, (unsigned)i);
        if (r != NULL && i != s->leader && (site == NULL || strcmp(o->nodes[i].site, site) == 0)) {
            sentence_add(out_s, n > 0 ? "; " : "");
            candidate_words(o, s, r, out_s);
            n++;
        }
    }
    return n;
}

void explain_leader(const struct observation *o, const struct observed_shard *s,
                    struct sentence *out_s)
{
    char time[TIME_TEXT_SIZE];
    bool heard = observation_majority_heard(o);
    if (!heard || s->leader < 0) {
        sentence_add(out_s, heard ? "no leader is known; candidates: "
                                  : "without a quorum nobody can say who leads; as seen here: ");
        (void)candidates(o, s, NULL, out_s);
        return;
    }
    sentence_add(out_s, "leader %s (%s)", o->nodes[s->leader].name, o->nodes[s->leader].site);
    if (s->led_known && s->led_ms < o->wall_ms) {
        sentence_add(out_s, " since %s", time_format(o->wall_ms - s->led_ms, time));
    }
    sentence_add(out_s, " term %llu: ", (unsigned long long)s->term);
    leaders_why(o, s, out_s);
    sentence_add(out_s, "; candidates: ");
    if (candidates(o, s, NULL, out_s) == 0) {
        sentence_add(out_s, "no other");
    }
}

void explain_away(const struct observation *o, const struct observed_shard *s,
                  struct sentence *out_s)
{
    char span[SPAN_TEXT_SIZE];
    bool any = false;
    if (!observation_majority_heard(o) || s->leader < 0 || s->preference_n == 0 ||
        strcmp(o->nodes[s->leader].site, s->preference[0]) == 0) {
        return;
    }
    sentence_add(out_s, "not in %s because: ", s->preference[0]);
    if (candidates(o, s, s->preference[0], out_s) == 0) {
        sentence_add(out_s, "no copy is there");
        return;
    }
    for (unsigned i = 0; i < s->replicas_n; i++) {
        struct candidate c;
        candidate_seen(o, s, &s->replicas[i], &c);
        any = any || (strcmp(o->nodes[s->replicas[i].place].site, s->preference[0]) == 0 &&
                      candidate_may_lead(&c));
    }
    if (!any || !s->led_known) {
        return;
    }
    if (s->quiet_ms == AGE_UNKNOWN) {
        sentence_add(out_s, "; the preference is switched off");
    } else if (s->quiet_ms > 0) {
        sentence_add(out_s, "; it was moved here on purpose: the preference rests for %s",
                     span_format(s->quiet_ms, span));
    } else {
        sentence_add(out_s, "; it moves in a moment");
    }
}
