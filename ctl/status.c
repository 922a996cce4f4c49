/* clusterctl status: one sentence of verdict, what the cluster survives, a row a site, and a message for each thing to know. */
#include "ctl/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/round.h"
#include "ctl/rpo.h"

#define ASK_MS_MAX 3000u /* a round over all nodes */

/* ---- fetching ---- */

static enum status ask(struct ctl *c, int explain, uint64_t until_ms, struct cluster_view *v,
                       struct call_answer *a, struct error *e)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminStatus status = MQ__ADMIN_STATUS__INIT;
    uint8_t packed[64];
    status.local = c->arguments.options.local;
    status.lag_limit_ms = c->arguments.options.max_ms;
    status.explain = explain >= 0;
    header.shard = explain >= 0 ? (uint32_t)explain : 0;
    admin.body_case = MQ__ADMIN__BODY_STATUS;
    admin.status = &status;
    header.op = MQ__OP__OP_ADMIN;
    struct bytes payload = {packed, mq__admin__pack(&admin, packed)};
    enum status s = caller_call(c->caller, &header, payload, CALL_THIS_NODE, until_ms, a, e);
    if (s != OK) {
        return s;
    }
    if (a->outcome != MQ__OUTCOME__OUTCOME_APPLIED) {
        s = a->status != OK ? a->status : STATUS_INTERNAL;
        return error_set(e, s, "%s: %s", a->node, a->text[0] != '\0' ? a->text : status_text(s));
    }
    Mq__AdminResult *result = mq__admin_result__unpack(NULL, a->payload_size, a->payload);
    s = result != NULL && result->status != NULL ? cluster_view_read(result->status, v)
                                                 : STATUS_MALFORMED;
    v->result = result;
    return s == OK ? OK
                   : error_set(e, STATUS_INTERNAL, "%s: the node's answer cannot be read", a->node);
}

/* A round: each node once, from the one that answered last, until one has a majority behind it. *out_why: what is told when none answers. */
static struct cluster_view *ask_round(struct ctl *c, int explain, struct call_answer *out_answer,
                                      struct error *out_why)
{
    struct cluster_view *best = NULL;
    unsigned n = caller_nodes_n(c->caller), first = caller_present(c->caller), best_at = first;
    uint64_t end = caller_now_ms() + ASK_MS_MAX;
    end = end < c->deadline_at_ms ? end : c->deadline_at_ms;
    for (unsigned i = 0; i < n && !(best != NULL && (best->quorum || c->arguments.options.local));
         i++) {
        struct cluster_view *v = calloc(1, sizeof(*v));
        struct call_answer a = {0};
        struct error now = {0};
        if (i > 0 && c->between != NULL && c->between(c->between_arg)) {
            cluster_view_free(v);
            break;
        }
        caller_turn_to(c->caller, (first + i) % n);
        uint64_t until = round_until_ms(caller_now_ms(), end, n - i);
        enum status s = v != NULL ? ask(c, explain, until, v, &a, &now)
                                  : error_set(&now, STATUS_NO_MEMORY, "out of memory");
        if (s == OK && (best == NULL || v->quorum)) {
            cluster_view_free(best);
            best = v;
            best_at = (first + i) % n;
            call_answer_clear(out_answer);
            *out_answer = a;
        } else {
            cluster_view_free(v);
            call_answer_clear(&a);
        }
        if (out_why->text[0] == '\0' || (s != OK && out_why->status == STATUS_UNREACHABLE)) {
            *out_why = now;
        }
    }
    if (best != NULL) {
        caller_turn_to(c->caller, best_at);
    }
    return best;
}

enum status status_fetch(struct ctl *c, int explain, struct cluster_view **out_view,
                         struct call_answer *out_answer, enum exit_code *out_code)
{
    struct error e = {0};
    struct cluster_view *best = ask_round(c, explain, out_answer, &e);
    if (best == NULL) {
        *out_code = ctl_fail(c, &e);
        return e.status != OK ? e.status : STATUS_UNREACHABLE;
    }
    *out_view = best;
    return OK;
}

/* ---- what the node's rules say (raft/rules) ---- */

enum severity status_severity(uint32_t number)
{
    return number < SEVERITY_COUNT ? (enum severity)number : SEVERITY_RED;
}

enum severity status_judge(const struct cluster_view *v, uint64_t now_ms, struct screen *s)
{
    const Mq__Verdict *verdict = v->said->verdict;
    if (verdict == NULL) {
        screen_message(s, "NO_VERDICT", SEVERITY_YELLOW, v->node,
                       "this node gives no verdict: it is of another version", "upgrade it");
        return v->quorum || v->local_majority ? SEVERITY_YELLOW : SEVERITY_RED;
    }
    for (size_t i = 0; i < verdict->n_findings; i++) {
        const Mq__Finding *f = verdict->findings[i];
        screen_message(s, f->id, status_severity(f->severity), f->object, f->text, f->next);
        screen_message_more(s, f->since_ms, f->avoid);
    }
    enum severity severity = status_severity(verdict->severity);
    for (unsigned i = 0; i < v->feeds_n; i++) {
        severity =
            severity_higher(severity, feed_view_judge(&v->feeds[i], now_ms, FEED_MESSAGES_MAX, s));
    }
    return severity;
}

enum exit_code status_exit_code(const struct cluster_view *v, enum severity severity)
{
    if (!v->quorum && !v->local_majority) {
        return EXIT_NO_QUORUM;
    }
    return severity == SEVERITY_RED      ? EXIT_CRITICAL
           : severity >= SEVERITY_YELLOW ? EXIT_DEGRADED
                                         : EXIT_HEALTHY;
}

void status_source(const struct cluster_view *v, const struct call_answer *a, struct screen *s,
                   bool local)
{
    struct uuid cluster = v->cluster;
    uuid_format(&cluster, s->cluster_id);
    snprintf(s->cluster_name, sizeof(s->cluster_name), "%s", v->cluster_name);
    snprintf(s->node, sizeof(s->node), "%s", a->node);
    s->quorum = v->quorum && !local;
    s->age_ms = v->quorum_ms;
    s->as_of_ms = v->as_of_ms;
    for (unsigned i = 0; i < v->shards_n; i++) {
        if (v->shards[i].shard == SHARD_DIRECTORY) {
            s->epoch = v->shards[i].epoch;
        }
    }
    if (!v->quorum && !v->local_majority) {
        s->verdict = true;
        s->severity = SEVERITY_RED;
        snprintf(s->summary, sizeof(s->summary),
                 "NO QUORUM VIEW, local view of %s; ? = not known now", v->node);
    } else if (local) {
        screen_line(s, "LOCAL VIEW %s, not confirmed (not asked)", v->node);
    }
}

/* ---- the screen ---- */

/* What the site leads, for the table; as JSON a list, null when it is not known. */
static json_t *leads_of(const struct cluster_view *v, const char *site, char *text, size_t size)
{
    json_t *list = json_array();
    size_t at = 0;
    bool unknown = false;
    text[0] = '\0';
    for (unsigned i = 0; i < v->shards_n; i++) {
        const struct view_shard *s = &v->shards[i];
        unknown = unknown || s->leader < 0;
        if (s->leader >= 0 && strcmp(v->nodes[s->leader].site, site) == 0) {
            json_array_append_new(list, json_text(s->name));
            int n =
                at < size ? snprintf(text + at, size - at, "%s%s", at > 0 ? " " : "", s->name) : 0;
            at += n > 0 ? (size_t)n : 0;
        }
    }
    if (at == 0) {
        snprintf(text, size, unknown ? "?" : "-");
    }
    if (at == 0 && unknown) {
        json_decref(list);
        return json_null();
    }
    return list;
}

struct site_sum {
    unsigned nodes, up;
    bool disk_known, lag_known;
    uint64_t disk_percent, lag_ms;
};

static struct site_sum site_sum(const struct cluster_view *v, const char *site)
{
    struct site_sum sum = {.disk_percent = 100};
    for (unsigned i = 0; i < v->nodes_n; i++) {
        const struct view_node *n = &v->nodes[i];
        if (strcmp(n->site, site) != 0) {
            continue;
        }
        sum.nodes++;
        sum.up += n->up;
        if (n->up && n->disk_total_bytes > 0) {
            uint64_t percent = n->disk_free_bytes * 100 / n->disk_total_bytes;
            sum.disk_known = true;
            sum.disk_percent = percent < sum.disk_percent ? percent : sum.disk_percent;
        }
        for (unsigned j = 0; j < v->shards_n; j++) {
            const struct view_replica *r = cluster_view_replica(&v->shards[j], i);
            if (r != NULL && r->lag_known) {
                sum.lag_known = true;
                sum.lag_ms = r->lag_ms > sum.lag_ms ? r->lag_ms : sum.lag_ms;
            }
        }
    }
    return sum;
}

static void site_row(const struct cluster_view *v, const char *site, struct screen *s,
                     json_t *sites)
{
    char leads[256], span[SPAN_TEXT_SIZE];
    struct site_sum sum = site_sum(v, site);
    json_t *list = leads_of(v, site, leads, sizeof(leads));
    screen_cell(s, "%s", site);
    screen_cell(s, "%u/%u", sum.up, sum.nodes);
    screen_cell(s, "%s", leads);
    screen_cell(s, sum.disk_known ? "%" PRIu64 "%%" : "?", sum.disk_percent);
    screen_cell(s, "%s",
                !v->quorum      ? "?"
                : sum.lag_known ? span_format(sum.lag_ms, span)
                : sum.up > 0    ? "-"
                                : "?");
    json_array_append_new(
        sites,
        json_pack("{s:o, s:i, s:i, s:o, s:o, s:o}", "site", json_text(site), "nodes",
                  (int)sum.nodes, "up", (int)sum.up, "leads", list, "disk_free_percent",
                  sum.disk_known ? json_integer((json_int_t)sum.disk_percent) : json_null(),
                  "worst_lag_seconds", json_seconds(v->quorum && sum.lag_known, sum.lag_ms)));
}

static json_t *survival_json(const Mq__Verdict *verdict)
{
    json_t *sites = json_object();
    json_t *without_witness = json_object();
    for (size_t i = 0; i < verdict->n_sites; i++) {
        const Mq__SiteLoss *loss = verdict->sites[i];
        json_object_set_new(sites, loss->site, json_boolean(loss->serves));
        json_object_set_new(without_witness, loss->site,
                            json_boolean(loss->serves_without_witness));
    }
    return json_pack("{s:o, s:i, s:o, s:o}", "text", json_text(verdict->survives), "any_nodes",
                     verdict->survives_nodes < 0 ? 0 : (int)verdict->survives_nodes, "sites", sites,
                     "sites_with_witness", without_witness);
}

static void survival_show(const struct cluster_view *v, struct screen *s)
{
    const Mq__Verdict *verdict = v->said->verdict;
    bool known = v->quorum && verdict != NULL;
    json_object_set_new(s->data, "survives", known ? survival_json(verdict) : json_null());
    if (known) {
        screen_line(s,
                    "%s. A write answered applied is on a majority of voters; queued mail: not "
                    "protected",
                    verdict->survives);
    }
}

/* The worst message comes first: a trouble of a feed may be worse than all that the node's rules have found. */
static void worst_first(struct screen *s)
{
    for (size_t i = 0; i < json_array_size(s->messages); i++) {
        json_t *m = json_array_get(s->messages, i);
        const char *its = json_string_value(json_object_get(m, "severity"));
        if (its != NULL && strcmp(its, severity_name(s->severity)) == 0) {
            json_incref(m);
            json_array_remove(s->messages, i);
            json_array_insert_new(s->messages, 0, m);
            return;
        }
    }
}

static void headline_format(const struct cluster_view *v, struct screen *s, char *text, size_t size)
{
    const Mq__Verdict *verdict = v->said->verdict;
    if (!s->headline || (verdict != NULL && status_severity(verdict->severity) == s->severity)) {
        snprintf(text, size, "%s", verdict != NULL ? verdict->headline : "no verdict");
        return;
    }
    worst_first(s);
    const json_t *worst = json_array_get(s->messages, 0);
    const char *says = json_string_value(json_object_get(worst, "text"));
    snprintf(text, size, "%s: %s", json_string_value(json_object_get(worst, "id")),
             says != NULL ? says : "");
}

enum severity status_brief(const struct cluster_view *v, uint64_t now_ms, struct screen *s)
{
    char headline[sizeof(s->summary)];
    s->severity = status_judge(v, now_ms, s);
    s->messages_elsewhere = true;
    if (s->severity <= SEVERITY_BLUE || !v->quorum) { /* the source has said the latter */
        return s->severity;
    }
    s->headline = json_array_size(s->messages) > 0;
    headline_format(v, s, headline, sizeof(headline));
    snprintf(s->summary, sizeof(s->summary), "%s", headline);
    s->verdict = true;
    screen_note(s, "clusterctl status says what to do");
    return s->severity;
}

/* The one next step of the worst thing, and what makes it worse. */
static void next_show(struct screen *s)
{
    const json_t *worst = s->headline ? json_array_get(s->messages, 0) : NULL;
    json_t *next = json_object_get(worst, "hint");
    json_t *avoid = json_object_get(worst, "do_not");
    if (json_is_string(next)) {
        screen_line(s, "next: %s", json_string_value(next));
    }
    if (json_is_string(avoid)) {
        screen_line(s, "do not: %s", json_string_value(avoid));
    }
    json_object_set_new(s->data, "next", json_is_string(next) ? json_incref(next) : json_null());
    json_object_set_new(s->data, "do_not",
                        json_is_string(avoid) ? json_incref(avoid) : json_null());
}

static void show_sites(const struct cluster_view *v, struct screen *s)
{
    static const char *const columns[] = {"SITE", "NODES", "LEADS", "DISK FREE", "WORST LAG"};
    json_t *sites = json_array();
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(s, columns[i]);
    }
    for (unsigned i = 0; i < v->nodes_n; i++) {
        bool seen = false;
        for (unsigned j = 0; j < i; j++) {
            seen = seen || strcmp(v->nodes[j].site, v->nodes[i].site) == 0;
        }
        if (!seen) {
            site_row(v, v->nodes[i].site, s, sites);
        }
    }
    json_object_set_new(s->data, "sites", sites);
}

/* Whose view it is, and the counts. */
static void source_format(const struct cluster_view *v, unsigned up, unsigned led, char *text,
                          size_t size)
{
    char clock[TIME_TEXT_SIZE];
    (void)time_format(v->as_of_ms, clock);
    if (v->quorum) {
        snprintf(text, size, "%s %s quorum view %s %" PRIu64 " ms | %u/%u nodes | %u/%u shards led",
                 v->cluster_name, clock, v->node, v->quorum_ms, up, v->nodes_n, led, v->shards_n);
    } else {
        snprintf(text, size, "%s %s %s of %s: %u of %u nodes heard; ? = not known now",
                 v->cluster_name, clock,
                 v->local_majority ? "local view" : "NO QUORUM VIEW, local view", v->node, up,
                 v->nodes_n);
    }
}

/* One line when there is nothing to do; else what is wrong first, and whose view it is behind that. */
static void show_verdict(const struct cluster_view *v, struct screen *s)
{
    unsigned up = 0, led = 0;
    char source[400], headline[sizeof(s->summary)];
    for (unsigned i = 0; i < v->nodes_n; i++) {
        up += v->nodes[i].up;
    }
    for (unsigned i = 0; i < v->shards_n; i++) {
        led += v->shards[i].leader >= 0;
    }
    source_format(v, up, led, source, sizeof(source));
    s->headline = s->severity > SEVERITY_BLUE && json_array_size(s->messages) > 0;
    headline_format(v, s, headline, sizeof(headline));
    if (s->headline) {
        snprintf(s->summary, sizeof(s->summary), "%s", headline);
    } else {
        snprintf(s->summary, sizeof(s->summary), "%s | %.100s", source, headline);
    }
    survival_show(v, s);
    next_show(s);
    if (s->headline) {
        screen_line(s, "%s", source);
    }
    json_object_set_new(s->data, "nodes_up", json_integer(up));
    json_object_set_new(s->data, "nodes", json_integer(v->nodes_n));
    json_object_set_new(s->data, "shards_led", v->quorum ? json_integer(led) : json_null());
    json_object_set_new(s->data, "shards", json_integer(v->shards_n));
}

enum exit_code status_once(struct ctl *c)
{
    struct cluster_view *v;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (status_fetch(c, STATUS_EXPLAIN_NOTHING, &v, &a, &code) != OK) {
        return code;
    }
    screen_init(&s, "status");
    status_source(v, &a, &s, c->arguments.options.local);
    s.verdict = true;
    s.severity = status_judge(v, clock_wall_ms(&clock_system), &s);
    show_verdict(v, &s);
    rpo_show(v, &s);
    show_sites(v, &s);
    code = status_exit_code(v, s.severity);
    cluster_view_free(v);
    call_answer_clear(&a);
    return ctl_finish(c, &s, code);
}

enum exit_code run_status(struct ctl *c)
{
    const struct options *o = &c->arguments.options;
    return o->watch || o->exit_when_healthy ? status_watch(c) : status_once(c);
}
