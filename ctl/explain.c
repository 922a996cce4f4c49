/* clusterctl explain SHARD: who leads it since when and why, every candidate with every condition, and why it is not at home. The words are
 * the node's (raft/rules/explain.h). */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/status.h"

static json_t *predicate_json(const Mq__Predicate *p)
{
    return json_pack("{s:o, s:o, s:o}", "name", json_text(p->name), "ok",
                     p->known ? json_boolean(p->ok) : json_null(), "text", json_text(p->text));
}

/* The first condition that fails, in words; else that of the first that is not known. */
static const char *reason_of(const Mq__Candidate *c)
{
    const char *unknown = "every condition holds";
    for (size_t i = c->n_predicates; i > 0; i--) {
        const Mq__Predicate *p = c->predicates[i - 1];
        unknown = !p->known ? p->text : unknown;
    }
    for (size_t i = 0; i < c->n_predicates; i++) {
        if (c->predicates[i]->known && !c->predicates[i]->ok) {
            return c->predicates[i]->text;
        }
    }
    return unknown;
}

static void candidate_row(const struct cluster_view *v, const struct view_shard *shard,
                          const Mq__Candidate *c, size_t conditions, struct screen *s,
                          json_t *candidates)
{
    unsigned place = 0;
    while (place < v->nodes_n && v->nodes[place].node != c->node) {
        place++;
    }
    bool known = place < v->nodes_n;
    json_t *predicates = json_array();
    screen_cell(s, "%s", known ? v->nodes[place].name : "?");
    screen_cell(s, "%s", known ? v->nodes[place].site : "?");
    screen_cell(s, "%s",
                known && shard->leader == (int)place ? "leads"
                : c->may_lead                        ? "yes"
                                                     : "NO");
    for (size_t i = 0; i < conditions; i++) {
        const Mq__Predicate *p = i < c->n_predicates ? c->predicates[i] : NULL;
        screen_cell(s, "%s", p == NULL || !p->known ? "?" : p->ok ? "ok" : "NO");
    }
    screen_cell(s, "%s", reason_of(c));
    for (size_t i = 0; i < c->n_predicates; i++) {
        json_array_append_new(predicates, predicate_json(c->predicates[i]));
    }
    json_array_append_new(
        candidates, json_pack("{s:o, s:o, s:b, s:o}", "node",
                              known ? json_text(v->nodes[place].name) : json_null(), "site",
                              known ? json_text(v->nodes[place].site) : json_null(), "may_lead",
                              c->may_lead, "conditions", predicates));
}

static void show_candidates(const struct cluster_view *v, const struct view_shard *shard,
                            const Mq__Explanation *e, struct screen *s)
{
    json_t *candidates = json_array();
    size_t conditions = e->n_candidates > 0 ? e->candidates[0]->n_predicates : 0;
    conditions = conditions < SCREEN_COLUMNS_MAX - 4 ? conditions : SCREEN_COLUMNS_MAX - 4;
    screen_column(s, "NODE");
    screen_column(s, "SITE");
    screen_column(s, "MAY LEAD");
    for (size_t i = 0; i < conditions; i++) {
        screen_column(s, e->candidates[0]->predicates[i]->name);
    }
    screen_column(s, "WHY");
    for (size_t i = 0; i < e->n_candidates; i++) {
        candidate_row(v, shard, e->candidates[i], conditions, s, candidates);
    }
    json_object_set_new(s->data, "candidates", candidates);
}

static void show(const struct cluster_view *v, const struct view_shard *shard, struct screen *s)
{
    const Mq__Explanation *e = v->said->explanation;
    bool led = shard->leader >= 0;
    screen_line(s, "%s: %s", shard->name, e->leader);
    if (e->away[0] != '\0') {
        screen_line(s, "%s", e->away);
    }
    if (v->quorum) {
        screen_line(s, "%s; %u moves in the last 10 minutes", e->survives, e->moves);
    }
    json_object_set_new(s->data, "shard", json_text(shard->name));
    json_object_set_new(s->data, "leader",
                        led ? json_text(v->nodes[shard->leader].name) : json_null());
    json_object_set_new(s->data, "site",
                        led ? json_text(v->nodes[shard->leader].site) : json_null());
    json_object_set_new(s->data, "term", json_u64_or_null(led, shard->term));
    json_object_set_new(s->data, "leader_since",
                        shard->led_ms > 0 ? json_time(v->as_of_ms - shard->led_ms) : json_null());
    json_object_set_new(s->data, "why", json_text(e->leader));
    json_object_set_new(s->data, "away", e->away[0] != '\0' ? json_text(e->away) : json_null());
    json_object_set_new(s->data, "survives", v->quorum ? json_text(e->survives) : json_null());
    json_object_set_new(s->data, "moves", json_integer(e->moves));
    show_candidates(v, shard, e, s);
}

static const struct view_shard *find(const struct cluster_view *v, uint32_t shard)
{
    for (unsigned i = 0; i < v->shards_n; i++) {
        if (v->shards[i].shard == shard) {
            return &v->shards[i];
        }
    }
    return NULL;
}

enum exit_code run_explain(struct ctl *c)
{
    const Mq__FoundingShard *wanted;
    struct cluster_view *v;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (ctl_shard(c, c->arguments.args[0], &wanted, &code) != OK ||
        status_fetch(c, (int)wanted->shard, &v, &a, &code) != OK) {
        return code;
    }
    const struct view_shard *shard = find(v, wanted->shard);
    if (shard == NULL || v->said->explanation == NULL) {
        code =
            ctl_refuse(c, STATUS_VERSION, "%s does not explain: it is of another version", a.node);
    } else {
        screen_init(&s, "explain");
        status_source(v, &a, &s, c->arguments.options.local);
        code = status_exit_code(v, status_brief(v, clock_wall_ms(&clock_system), &s));
        show(v, shard, &s);
        code = ctl_finish(c, &s, code);
    }
    cluster_view_free(v);
    call_answer_clear(&a);
    return code;
}
