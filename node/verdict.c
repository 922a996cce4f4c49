#include "node/verdict.h"

#include "raft/rules/explain.h"
#include "raft/rules/lag.h"

_Static_assert(CANDIDATE_CHECKS <= 8, "struct verdict_view has room for them");

static uint64_t since(const struct observation *o, uint64_t age_ms)
{
    return age_ms < o->wall_ms ? o->wall_ms - age_ms : 0;
}

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void fill_findings(struct verdict_view *v, const struct observation *o)
{
    for (unsigned i = 0; i < v->verdict.findings.n; i++) {
        const struct finding *from = &v->verdict.findings.items[i];
        Mq__Finding *to = &v->findings[i];
        mq__finding__init(to);
        to->id = text_of(finding_name(from->kind));
        to->severity = from->severity;
        to->object = text_of(from->object);
        to->since_ms = since(o, from->since_ms);
        to->text = text_of(from->text);
        to->next = text_of(from->next);
        to->avoid = text_of(from->avoid);
        v->finding_pointers[i] = to;
    }
    v->message.n_findings = v->verdict.findings.n;
    v->message.findings = v->finding_pointers;
    v->message.left_out = v->verdict.findings.left_out;
}

static void fill_sites(struct verdict_view *v, const struct observation *o)
{
    const struct survival *from = &v->verdict.survival;
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (from->site[i] == SITE_LOSS_ABSENT || !observation_first_of_site(o, i)) {
            continue;
        }
        Mq__SiteLoss *to = &v->sites[v->message.n_sites];
        mq__site_loss__init(to);
        to->site = text_of(o->nodes[i].site);
        to->serves = from->site[i] == SITE_LOSS_SERVES;
        to->serves_without_witness = from->site_and_witness[i] == SITE_LOSS_SERVES;
        v->site_pointers[v->message.n_sites++] = to;
    }
    v->message.sites = v->site_pointers;
    v->message.survives_nodes = from->nodes;
}

void verdict_view_fill(struct verdict_view *v, const struct observation *o)
{
    verdict_judge(o, &v->verdict);
    mq__verdict__init(&v->message);
    v->message.severity = v->verdict.findings.severity;
    v->message.headline = v->verdict.headline;
    v->message.survives = v->verdict.survives;
    v->message.next = text_of(v->verdict.next);
    v->message.avoid = text_of(v->verdict.avoid);
    v->message.since_ms = since(o, v->verdict.since_ms);
    fill_findings(v, o);
    if (o->quorum) {
        fill_sites(v, o);
    }
}

static void fill_candidate(struct verdict_view *v, unsigned i, const struct observation *o,
                           const struct observed_shard *s)
{
    struct candidate c;
    struct sentence text;
    Mq__Candidate *to = &v->candidates[i];
    candidate_seen(o, s, &s->replicas[i], &c);
    mq__candidate__init(to);
    to->node = o->nodes[s->replicas[i].place].node;
    to->may_lead = candidate_may_lead(&c);
    for (unsigned k = 0; k < CANDIDATE_CHECKS; k++) {
        Mq__Predicate *p = &v->predicates[i][k];
        enum candidate_verdict verdict = candidate_check(&c, (enum candidate_check)k);
        mq__predicate__init(p);
        sentence_init(&text, v->reasons[i][k], sizeof(v->reasons[i][k]));
        candidate_reason(&c, (enum candidate_check)k, &text);
        p->name = text_of(candidate_check_name((enum candidate_check)k));
        p->known = verdict != CANDIDATE_NOT_KNOWN;
        p->ok = verdict == CANDIDATE_YES;
        p->text = v->reasons[i][k];
        v->predicate_pointers[i][k] = p;
    }
    to->n_predicates = CANDIDATE_CHECKS;
    to->predicates = v->predicate_pointers[i];
    v->candidate_pointers[i] = to;
}

void verdict_view_explain(struct verdict_view *v, const struct observation *o,
                          const struct observed_shard *s)
{
    struct survival survival;
    struct sentence text;
    mq__explanation__init(&v->explanation);
    v->explanation.shard = s->shard;
    sentence_init(&text, v->leader, sizeof(v->leader));
    explain_leader(o, s, &text);
    sentence_init(&text, v->away, sizeof(v->away));
    explain_away(o, s, &text);
    sentence_init(&text, v->survives, sizeof(v->survives));
    if (o->quorum) {
        survival_judge_shard(o, s, &survival);
        survival_text(o, &survival, &text);
    }
    v->explanation.leader = v->leader;
    v->explanation.away = v->away;
    v->explanation.survives = v->survives;
    v->explanation.moves = s->moves;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        fill_candidate(v, i, o, s);
    }
    v->explanation.n_candidates = s->replicas_n;
    v->explanation.candidates = v->candidate_pointers;
}

void verdict_view_eta(Mq__ReplicaView *r, uint64_t limit_ms, char *text, size_t size)
{
    static const char *const courses[] = {"unknown", "never", "breach", "clears", "not_falling"};
    struct sentence s;
    sentence_init(&s, text, size);
    if (r->lag_known) {
        struct lag_verdict v = lag_judge(r->lag_ms, r->lag_slope_known, r->lag_slope_us, limit_ms);
        lag_eta_text(&v, &s);
        r->lag_course = text_of(courses[v.course]);
        r->eta_ms = v.eta_ms;
        r->eta = text;
    }
}
