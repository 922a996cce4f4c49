/* clusterctl members, shards, lag: the view as tables. A cell that is not known now is "?". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/lag_eta.h"
#include "ctl/status.h"

static void columns(struct screen *s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        screen_column(s, names[i]);
    }
}
#define COLUMNS(s, ...)                            \
    columns(s, (const char *const[]){__VA_ARGS__}, \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

struct shown {
    struct cluster_view *v;
    struct call_answer a;
    struct screen s;
};

static enum status open_view(struct ctl *c, const char *kind, struct shown *out,
                             enum exit_code *out_code)
{
    memset(out, 0, sizeof(*out));
    enum status s = status_fetch(c, STATUS_EXPLAIN_NOTHING, &out->v, &out->a, out_code);
    if (s != OK) {
        return s;
    }
    screen_init(&out->s, kind);
    status_source(out->v, &out->a, &out->s, c->arguments.options.local);
    return OK;
}

static enum exit_code close_view(struct ctl *c, struct shown *shown, bool worse)
{
    enum severity severity = status_brief(shown->v, clock_wall_ms(&clock_system), &shown->s);
    enum exit_code code = status_exit_code(shown->v, severity);
    if (worse && code == EXIT_HEALTHY) {
        code = EXIT_DEGRADED;
    }
    cluster_view_free(shown->v);
    call_answer_clear(&shown->a);
    return ctl_finish(c, &shown->s, code);
}

/* ---- members ---- */

static void leads_of(const struct cluster_view *v, unsigned node, char *text, size_t size,
                     json_t *list)
{
    size_t at = 0;
    snprintf(text, size, v->quorum ? "-" : "?");
    for (unsigned i = 0; i < v->shards_n; i++) {
        if (v->shards[i].leader == (int)node) {
            json_array_append_new(list, json_text(v->shards[i].name));
            int n = at < size ? snprintf(text + at, size - at, "%s%s", at > 0 ? " " : "",
                                         v->shards[i].name)
                              : 0;
            at += n > 0 ? (size_t)n : 0;
        }
    }
}

static void member_json(const struct view_node *n, json_t *leads, bool quorum, json_t *members)
{
    json_array_append_new(
        members,
        json_pack("{s:i, s:o, s:o, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "node",
                  (int)n->node, "name", json_text(n->name), "site", json_text(n->site), "role",
                  node_role_name(n->role), "address", json_text(n->address), "up", n->up,
                  "seen_seconds", json_seconds(n->heard_known, n->heard_ms), "version",
                  n->up ? json_text(n->version) : json_null(), "state",
                  n->up ? json_text(n->state) : json_null(), "leads",
                  quorum ? json_incref(leads) : json_null(), "disk_free_bytes",
                  json_u64_or_null(n->up, n->disk_free_bytes), "disk_total_bytes",
                  json_u64_or_null(n->up, n->disk_total_bytes), "fsync_seconds",
                  n->up ? json_real((double)n->fsync_us / 1e6) : json_null(), "certificate_expires",
                  n->up ? json_time(n->certificate_expires_ms) : json_null()));
}

static void member_row(const struct cluster_view *v, unsigned i, struct screen *s, json_t *members)
{
    const struct view_node *n = &v->nodes[i];
    char leads[200], a[SPAN_TEXT_SIZE], b[SPAN_TEXT_SIZE];
    json_t *list = json_array();
    uint64_t now = clock_wall_ms(&clock_system);
    leads_of(v, i, leads, sizeof(leads), list);
    screen_cell(s, "%s", n->name);
    screen_cell(s, "%s", n->site);
    screen_cell(s, "%s", node_role_name(n->role));
    screen_cell(s, "%s", n->role == ROLE_STANDBY ? "no" : "yes");
    screen_cell(s, "%s%s", n->up ? "" : "DOWN ",
                n->heard_known ? span_format(n->heard_ms, a)
                : n->up        ? "now"
                               : "?");
    screen_cell(s, "%s", n->up ? n->version : "?");
    screen_cell(s, "%s", leads);
    screen_cell(s, "%s",
                n->up && n->disk_total_bytes > 0 ? size_format(n->disk_free_bytes, a) : "?");
    if (n->up && n->fsync_us > 0) {
        screen_cell(s, "%.1f ms", (double)n->fsync_us / 1000);
    } else {
        screen_cell(s, "?");
    }
    screen_cell(s, "%s",
                n->up && n->certificate_expires_ms > now
                    ? span_format(n->certificate_expires_ms - now, b)
                    : "?");
    screen_cell(s, "%s", n->up ? n->state : "?");
    member_json(n, list, v->quorum, members);
    json_decref(list);
}

enum exit_code run_members(struct ctl *c)
{
    struct shown shown;
    enum exit_code code;
    if (open_view(c, "members", &shown, &code) != OK) {
        return code;
    }
    json_t *members = json_array();
    COLUMNS(&shown.s, "NODE", "SITE", "ROLE", "VOTE", "SEEN", "VERSION", "LEADS", "DISK FREE",
            "FSYNC", "CERT", "STATE");
    for (unsigned i = 0; i < shown.v->nodes_n; i++) {
        member_row(shown.v, i, &shown.s, members);
    }
    json_object_set_new(shown.s.data, "members", members);
    return close_view(c, &shown, false);
}

/* ---- shards ---- */

static json_t *replica_json(const struct cluster_view *v, const struct view_replica *r)
{
    bool own = r->known && r->own;
    bool lag = v->quorum && r->lag_known;
    bool eta = strcmp(r->course, "breach") == 0 || strcmp(r->course, "clears") == 0;
    const char *course = lag_course(v, r);
    return json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "node",
                     json_text(v->nodes[r->node].name), "voter", r->voter, "up",
                     v->nodes[r->node].up, "state", own ? json_text(r->state) : json_null(),
                     "applied_index", json_u64_or_null(own, r->applied_index), "commit_index",
                     json_u64_or_null(own, r->commit_index), "lag_seconds",
                     json_seconds(lag, r->lag_ms), "lag_entries",
                     json_u64_or_null(lag, r->lag_entries), "lag_bytes",
                     json_u64_or_null(lag, r->lag_bytes), "lag_trend",
                     lag && r->slope_known ? json_real((double)r->slope_us / 1e6) : json_null(),
                     "lag_course", course[0] != '\0' ? json_text(course) : json_null(),
                     "eta_seconds", json_seconds(lag && eta, r->eta_ms));
}

static json_t *shard_json(const struct cluster_view *v, const struct view_shard *shard)
{
    json_t *preference = json_array();
    json_t *replicas = json_array();
    bool led = shard->leader >= 0;
    for (unsigned i = 0; i < shard->preference_n; i++) {
        json_array_append_new(preference, json_text(shard->preference[i]));
    }
    for (unsigned i = 0; i < shard->replicas_n; i++) {
        json_array_append_new(replicas, replica_json(v, &shard->replicas[i]));
    }
    return json_pack(
        "{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o}", "shard", (int)shard->shard,
        "name", json_text(shard->name), "leader",
        led ? json_text(v->nodes[shard->leader].name) : json_null(), "site",
        led ? json_text(v->nodes[shard->leader].site) : json_null(), "term",
        json_u64_or_null(led, shard->term), "epoch",
        json_u64_or_null(shard->epoch != 0, shard->epoch), "preference", preference, "durability",
        led && shard->durability[0] != '\0' ? json_text(shard->durability) : json_null(), "voters",
        (int)shard->voters, "voters_up", (int)shard->voters_up, "replicas", replicas);
}

static void shard_row(const struct cluster_view *v, const struct view_shard *shard,
                      struct screen *s)
{
    bool led = shard->leader >= 0;
    const struct view_replica *leader =
        led ? cluster_view_replica(shard, (unsigned)shard->leader) : NULL;
    const char *site = led ? v->nodes[shard->leader].site : "?";
    char preference[256] = "";
    for (unsigned i = 0, at = 0; i < shard->preference_n && at < sizeof(preference); i++) {
        int n = snprintf(preference + at, sizeof(preference) - at, "%s%s", i > 0 ? " " : "",
                         shard->preference[i]);
        at += n > 0 ? (unsigned)n : 0;
    }
    screen_cell(s, "%u", shard->shard);
    screen_cell(s, "%s", shard->name);
    screen_cell(s, "%s", led ? v->nodes[shard->leader].name : "?");
    screen_cell(
        s, "%s%s", site,
        led && shard->preference_n > 0 && strcmp(site, shard->preference[0]) != 0 ? " (away)" : "");
    screen_cell(s, led ? "%" PRIu64 : "?", shard->term);
    screen_cell(s, leader != NULL && leader->own ? "%" PRIu64 : "?",
                leader != NULL ? leader->commit_index : 0);
    screen_cell(s, "%u/%u", shard->voters_up, shard->voters);
    screen_cell(s, "%s", preference);
    screen_cell(s, "%s", led && shard->durability[0] != '\0' ? shard->durability : "?");
}

enum exit_code run_shards(struct ctl *c)
{
    struct shown shown;
    enum exit_code code;
    if (open_view(c, "shards", &shown, &code) != OK) {
        return code;
    }
    json_t *shards = json_array();
    COLUMNS(&shown.s, "SHARD", "NAME", "LEADER", "SITE", "TERM", "COMMIT", "VOTERS UP",
            "PREFERENCE", "DURABILITY");
    for (unsigned i = 0; i < shown.v->shards_n; i++) {
        shard_row(shown.v, &shown.v->shards[i], &shown.s);
        json_array_append_new(shards, shard_json(shown.v, &shown.v->shards[i]));
    }
    json_object_set_new(shown.s.data, "shards", shards);
    return close_view(c, &shown, false);
}

/* ---- lag ---- */

static void lag_cell(const struct cluster_view *v, const struct view_shard *shard, unsigned node,
                     struct screen *s)
{
    const struct view_replica *r = cluster_view_replica(shard, node);
    const struct view_node *n = &v->nodes[node];
    char span[SPAN_TEXT_SIZE];
    if (r == NULL) {
        screen_cell(s, " ");
    } else if (!n->up) {
        screen_cell(s, "down %s", n->heard_known ? span_format(n->heard_ms, span) : "");
    } else if (v->quorum && shard->leader == (int)node) {
        screen_cell(s, "-");
    } else if (v->quorum && r->known && !r->ok) {
        screen_cell(s, "%.20s", r->state);
    } else {
        screen_cell(s, "%s", v->quorum && r->lag_known ? span_format(r->lag_ms, span) : "?");
    }
}

static bool over_max(const struct cluster_view *v, uint64_t max_ms)
{
    for (unsigned i = 0; i < v->shards_n; i++) {
        for (unsigned j = 0; j < v->shards[i].replicas_n; j++) {
            const struct view_replica *r = &v->shards[i].replicas[j];
            bool leads = v->shards[i].leader == (int)r->node;
            if (!leads && (!r->lag_known || r->lag_ms > max_ms)) {
                return true;
            }
        }
    }
    return false;
}

static void lag_columns(struct ctl *c, const struct cluster_view *v, unsigned nodes,
                        struct screen *s)
{
    char span[SPAN_TEXT_SIZE], name[NAME_MAX_BYTES];
    uint64_t max_ms = c->arguments.options.max_ms;
    COLUMNS(s, "SHARD", "LEADER");
    for (unsigned i = 0; i < nodes; i++) {
        screen_column(s, v->nodes[i].name);
    }
    screen_column(s, "DURABILITY");
    if (c->arguments.options.eta) {
        snprintf(name, sizeof(name), "ETA>%s", span_format(max_ms != 0 ? max_ms : 5000, span));
        screen_column(s, name);
    }
}

enum exit_code run_lag(struct ctl *c)
{
    struct shown shown;
    enum exit_code code;
    if (open_view(c, "lag", &shown, &code) != OK) {
        return code;
    }
    const struct cluster_view *v = shown.v;
    uint64_t max_ms = c->arguments.options.max_ms;
    char eta[LAG_ETA_SIZE];
    json_t *shards = json_array();
    unsigned nodes_shown =
        v->nodes_n < SCREEN_COLUMNS_MAX - 4 ? v->nodes_n : SCREEN_COLUMNS_MAX - 4;
    lag_columns(c, v, nodes_shown, &shown.s);
    for (unsigned i = 0; i < v->shards_n; i++) {
        const struct view_shard *shard = &v->shards[i];
        screen_cell(&shown.s, "%s", shard->name);
        screen_cell(&shown.s, "%s", shard->leader >= 0 ? v->nodes[shard->leader].name : "?");
        for (unsigned j = 0; j < nodes_shown; j++) {
            lag_cell(v, shard, j, &shown.s);
        }
        screen_cell(&shown.s, "%s",
                    shard->leader >= 0 && shard->durability[0] != '\0' ? shard->durability : "?");
        if (c->arguments.options.eta) {
            lag_eta_format(v, shard, eta, sizeof(eta));
            screen_cell(&shown.s, "%s", eta);
        }
        json_array_append_new(shards, shard_json(v, shard));
    }
    json_object_set_new(shown.s.data, "shards", shards);
    if (nodes_shown < v->nodes_n) {
        screen_note(&shown.s, "%u more nodes: see -o json", v->nodes_n - nodes_shown);
    }
    return close_view(c, &shown, max_ms != 0 && over_max(v, max_ms));
}
