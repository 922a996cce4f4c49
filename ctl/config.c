/* clusterctl config get, set, diff: settings of the whole cluster, which the directory holds, and what each node runs with.
 *
 *   set KEY VALUE --plan                        what would change, and a hash; nothing is done
 *   set KEY VALUE --apply HASH --reason TEXT    that, unless any setting has changed since (21)
 *   set KEY VALUE --confirm KEY --reason TEXT   both at once
 * The value "default" takes the setting away: each node's file counts again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cluster_settings.h"
#include "base/setting_text.h"
#include "ctl/fleet.h"
#include "ctl/moment.h"

#define HASH_TEXT_SIZE 17

/* ---- reading ---- */

static enum status settings_fetch(struct ctl *c, struct call_answer *a,
                                  Mq__QueryResult **out_result, enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QuerySettings body = MQ__QUERY_SETTINGS__INIT;
    query.body_case = MQ__QUERY__BODY_SETTINGS;
    query.settings = &body;
    enum status s = ctl_query(c, "", SHARD_DIRECTORY, &query, a, out_result, out_code);
    if (s == OK && (*out_result)->settings == NULL) {
        mq__query_result__free_unpacked(*out_result, NULL);
        *out_code = ctl_refuse(c, STATUS_INTERNAL, "the node's answer holds no settings");
        return STATUS_INTERNAL;
    }
    return s;
}

static const Mq__Setting *setting_of(const Mq__Settings *all, const char *key)
{
    for (size_t i = 0; i < all->n_settings; i++) {
        if (strcmp(all->settings[i]->key, key) == 0) {
            return all->settings[i];
        }
    }
    return NULL;
}

/* The key of the line, or ctl_usage's code. */
static const struct cluster_setting *key_of(struct ctl *c, enum exit_code *out_code)
{
    struct error e = {0};
    const struct cluster_setting *row = cluster_setting_find(c->arguments.args[0], &e);
    if (row == NULL) {
        *out_code = ctl_usage(c, "%s", e.text);
    }
    return row;
}

/* ---- get ---- */

static void get_row(const struct cluster_setting *row, const Mq__Settings *all, struct screen *s,
                    json_t *rows)
{
    char key[CLUSTER_SETTING_KEY_MAX], moment[MOMENT_TEXT_SIZE];
    const Mq__Setting *set = setting_of(all, cluster_setting_key(row, key));
    screen_cell(s, "%s", key);
    screen_cell(s, "%s", set != NULL ? set->value : "-");
    screen_cell(s, "%s", row->row.fallback);
    screen_cell(s, "%s", set != NULL ? moment_format(set->changed_ms, moment) : "-");
    screen_cell(s, "%s", set != NULL ? set->author : "-");
    screen_cell(s, "%s", set != NULL ? set->reason : row->row.help);
    json_array_append_new(
        rows, json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "key", json_text(key), "value",
                        set != NULL ? json_text(set->value) : json_null(), "default",
                        row->row.fallback, "help", row->row.help, "changed",
                        set != NULL ? json_time(set->changed_ms) : json_null(), "author",
                        set != NULL ? json_text(set->author) : json_null(), "reason",
                        set != NULL ? json_text(set->reason) : json_null()));
}

enum exit_code run_config_get(struct ctl *c)
{
    static const char *const columns[] = {"KEY",     "VALUE", "DEFAULT",
                                          "CHANGED", "BY",    "WHY OR WHAT"};
    const struct cluster_setting *only = NULL;
    Mq__QueryResult *result;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (c->arguments.args_n > 0 && (only = key_of(c, &code)) == NULL) {
        return code;
    }
    if (settings_fetch(c, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    json_t *rows = json_array();
    screen_init(&s, "config");
    ctl_source(c, &s, &a);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&s, columns[i]);
    }
    for (size_t i = 0; i < cluster_setting_rows_n; i++) {
        if (only == NULL || only == &cluster_setting_rows[i]) {
            get_row(&cluster_setting_rows[i], result->settings, &s, rows);
        }
    }
    if (only == NULL) {
        screen_note(&s, "- = not set for the cluster: each node's file counts, or the default");
    }
    json_object_set_new(s.data, "version", json_u64(result->settings->version));
    json_object_set_new(s.data, "settings", rows);
    mq__query_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

/* ---- set ---- */

struct change {
    struct ctl *c;
    const struct cluster_setting *row;
    char key[CLUSTER_SETTING_KEY_MAX];
    const char *value; /* "" = taken away */
    char before[300];  /* "" = not set */
    uint64_t version;
    char hash[HASH_TEXT_SIZE];
    struct call_answer answer;
};

static uint64_t fnv(uint64_t h, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3ull;
    }
    return h;
}

/* Over everything the plan rests on. */
static void hash_fill(struct change *w)
{
    struct uuid cluster = caller_cluster(w->c->caller);
    uint64_t h = fnv(0xcbf29ce484222325ull, cluster.bytes, sizeof(cluster.bytes));
    h = fnv(h, w->key, strlen(w->key) + 1);
    h = fnv(h, w->value, strlen(w->value) + 1);
    h = fnv(h, &w->version, sizeof(w->version));
    snprintf(w->hash, sizeof(w->hash), "%016" PRIx64, h);
}

static void change_fill(const struct change *w, struct screen *s)
{
    ctl_source(w->c, s, &w->answer);
    json_object_set_new(s->data, "key", json_text(w->key));
    json_object_set_new(s->data, "before",
                        w->before[0] != '\0' ? json_text(w->before) : json_null());
    json_object_set_new(s->data, "value", w->value[0] != '\0' ? json_text(w->value) : json_null());
    json_object_set_new(s->data, "effect", json_text(w->row->effect));
    json_object_set_new(s->data, "hash", json_text(w->hash));
}

static enum exit_code show_plan(const struct change *w)
{
    struct screen s;
    bool asked = w->c->arguments.options.plan;
    screen_init(&s, "config_plan");
    change_fill(w, &s);
    snprintf(s.summary, sizeof(s.summary), "PLAN %s  %s: %s -> %s on all nodes", w->hash, w->key,
             w->before[0] != '\0' ? w->before : "(not set)",
             w->value[0] != '\0' ? w->value : "(not set)");
    screen_line(&s, "  %s", w->row->effect);
    if (!asked) {
        screen_message(&s, "NOT_CONFIRMED", SEVERITY_YELLOW, w->key,
                       "nothing was done: neither --apply nor --confirm was given", "");
        s.severity = SEVERITY_YELLOW;
    }
    screen_note(&s, "undo: clusterctl config set %s %s", w->key,
                w->before[0] != '\0' ? w->before : "default");
    screen_note(&s, "to do it: clusterctl config set %s %s --apply %s --reason TEXT", w->key,
                w->value[0] != '\0' ? w->value : "default", w->hash);
    return ctl_finish(w->c, &s, asked ? EXIT_HEALTHY : EXIT_NOT_CONFIRMED);
}

static enum exit_code carry_out(struct change *w)
{
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminConfigSet set = MQ__ADMIN_CONFIG_SET__INIT;
    Mq__AdminResult *result;
    struct screen s;
    enum exit_code code;
    set.key = w->key;
    set.value = (char *)(uintptr_t)w->value;
    set.reason = (char *)(uintptr_t)w->c->arguments.options.reason;
    set.expected_version = w->version;
    admin.body_case = MQ__ADMIN__BODY_CONFIG_SET;
    admin.config_set = &set;
    /* Not repeated: a second one would be refused, and nobody would know by whom the first was done. */
    if (ctl_admin(w->c, SHARD_DIRECTORY, &admin, 0, &w->answer, &result, &code) != OK) {
        return code;
    }
    mq__admin_result__free_unpacked(result, NULL);
    screen_init(&s, "config_set");
    change_fill(w, &s);
    snprintf(s.summary, sizeof(s.summary), "done: %s is %s on all nodes (undo: config set %s %s)",
             w->key, w->value[0] != '\0' ? w->value : "what each node's file says", w->key,
             w->before[0] != '\0' ? w->before : "default");
    return ctl_finish(w->c, &s, EXIT_HEALTHY);
}

static enum exit_code set_with(struct change *w)
{
    const struct options *o = &w->c->arguments.options;
    Mq__QueryResult *result;
    enum exit_code code;
    if (settings_fetch(w->c, &w->answer, &result, &code) != OK) {
        return code;
    }
    const Mq__Setting *set = setting_of(result->settings, w->key);
    snprintf(w->before, sizeof(w->before), "%.299s", set != NULL ? set->value : "");
    w->version = result->settings->version;
    mq__query_result__free_unpacked(result, NULL);
    hash_fill(w);
    if (o->apply != NULL && strcmp(o->apply, w->hash) != 0) {
        return ctl_refuse(w->c, STATUS_PLAN_STALE,
                          "this plan has the hash %s now, not %s: look at it again with --plan",
                          w->hash, o->apply);
    }
    if (strcmp(w->before, w->value) == 0) {
        return ctl_refuse(w->c, STATUS_EXISTS, "%s is %s already", w->key,
                          w->value[0] != '\0' ? w->value : "not set");
    }
    return o->apply != NULL || o->confirm != NULL ? carry_out(w) : show_plan(w);
}

enum exit_code run_config_set(struct ctl *c)
{
    struct change w = {.c = c};
    struct error e = {0};
    enum exit_code code;
    const char *value = c->arguments.args[1];
    const char *confirm = c->arguments.options.confirm;
    w.row = key_of(c, &code);
    if (w.row == NULL) {
        return code;
    }
    cluster_setting_key(w.row, w.key);
    w.value = strcmp(value, "default") == 0 ? "" : value;
    if (w.value[0] != '\0' && cluster_setting_check(w.row, w.value, NULL, &e) != OK) {
        return ctl_usage(c, "%s", e.text);
    }
    if (confirm != NULL && strcmp(confirm, w.key) != 0) {
        return ctl_refuse(c, STATUS_NOT_CONFIRMED, "--confirm %s is not the setting's key, %s",
                          confirm, w.key);
    }
    snprintf(c->doing, sizeof(c->doing), "setting %s", w.key);
    code = set_with(&w);
    call_answer_clear(&w.answer);
    return code;
}

/* ---- diff ---- */

static void diff_row(const char *node, const Mq__ConfigRow *row, struct screen *s, json_t *rows)
{
    bool set = row->cluster[0] != '\0';
    screen_cell(s, "%s", row->key);
    screen_cell(s, "%s", node);
    screen_cell(s, "%s", row->file);
    screen_cell(s, "%s", row->fallback);
    screen_cell(s, "%s", set ? row->cluster : "-");
    screen_cell(s, "%s", row->running);
    json_array_append_new(rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "key",
                                          json_text(row->key), "node", json_text(node), "file",
                                          json_text(row->file), "default", json_text(row->fallback),
                                          "cluster", set ? json_text(row->cluster) : json_null(),
                                          "running", json_text(row->running)));
}

/* Worth a row: the file does not say the default, or the cluster says otherwise than the file. */
static bool differs(const Mq__ConfigRow *row)
{
    return !row->own && (strcmp(row->file, row->fallback) != 0 || row->cluster[0] != '\0' ||
                         strcmp(row->running, row->file) != 0);
}

static void diff_node(struct ctl *c, struct fleet_node *n, struct screen *s, json_t *rows)
{
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminConfig config = MQ__ADMIN_CONFIG__INIT;
    Mq__AdminResult *result;
    admin.body_case = MQ__ADMIN__BODY_CONFIG;
    admin.config = &config;
    if (fleet_ask(c, n, &admin, &result) != OK) {
        return;
    }
    const Mq__ConfigView *v = result->config;
    for (size_t i = 0; v != NULL && i < v->n_rows; i++) {
        if (differs(v->rows[i])) {
            diff_row(v->node, v->rows[i], s, rows);
        }
    }
    if (v != NULL && v->text[0] != '\0') {
        screen_message(s, "SETTING_NOT_TAKEN", SEVERITY_YELLOW, v->node, v->text,
                       "upgrade that node, or set the setting to what all versions know");
        s->severity = SEVERITY_YELLOW;
    }
    mq__admin_result__free_unpacked(result, NULL);
}

enum exit_code run_config_diff(struct ctl *c)
{
    static const char *const columns[] = {"KEY", "NODE", "FILE", "DEFAULT", "CLUSTER", "RUNNING"};
    struct fleet *f;
    struct screen s;
    enum exit_code code;
    if (fleet_open(c, &f, &code) != OK) {
        return code;
    }
    json_t *rows = json_array();
    screen_init(&s, "config_diff");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&s, columns[i]);
    }
    for (unsigned i = 0; i < f->n; i++) {
        diff_node(c, &f->nodes[i], &s, rows);
    }
    fleet_source(c, f, &s);
    code = fleet_judge(f, &s);
    if (s.cells_n == 0 && code != EXIT_UNREACHABLE) {
        snprintf(s.summary, sizeof(s.summary), "every node that answers runs with the defaults");
    }
    json_object_set_new(s.data, "rows", rows);
    fleet_close(f);
    return ctl_finish(c, &s, code);
}
