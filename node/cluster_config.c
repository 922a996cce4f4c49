/* Reading, taking, telling and setting. */
#include "node/cluster_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cluster_settings.h"
#include "base/log_line.h"
#include "base/setting_text.h"
#include "node/admin.h"
#include "node/node.h"

#define LOOK_MS 250u /* at most one look so often: a busy directory applies all the time */

void cluster_config_init(struct cluster_config *c, const struct config *file)
{
    memset(c, 0, sizeof(*c));
    c->file = *file;
    c->dirty = true;
}

void cluster_config_deinit(struct cluster_config *c)
{
    mq__settings__free_unpacked(c->settings, NULL);
    c->settings = NULL;
    if (!c->querying) { /* else a thread that hangs still writes into it, and the process ends anyway */
        buffer_deinit(&c->result);
    }
}

void cluster_config_applied(struct cluster_config *c)
{
    c->dirty = true;
}

/* ---- taking ---- */

static void from_config(const struct config *c, struct cluster_settings *out)
{
    *out = (struct cluster_settings){.preference = c->preference,
                                     .checkpoint_bytes = c->checkpoint_bytes,
                                     .checkpoint_interval_ms = c->checkpoint_interval_ms,
                                     .client_bytes_max = c->client_bytes_max,
                                     .client_requests_max = c->client_requests_max,
                                     .node_bytes_max = c->node_bytes_max,
                                     .node_requests_max = c->node_requests_max};
}

static void put_in_force(struct node *n, const struct cluster_settings *s)
{
    struct config *c = &n->config;
    c->preference = s->preference;
    c->checkpoint_bytes = s->checkpoint_bytes;
    c->checkpoint_interval_ms = s->checkpoint_interval_ms;
    c->client_bytes_max = s->client_bytes_max;
    c->client_requests_max = s->client_requests_max;
    c->node_bytes_max = s->node_bytes_max;
    c->node_requests_max = s->node_requests_max;
    struct host_tuning t = {.preference = s->preference,
                            .checkpoint_bytes = s->checkpoint_bytes,
                            .checkpoint_ms = (uint32_t)s->checkpoint_interval_ms};
    host_tune(n->host, &t);
}

static void tell(struct node *n, const Mq__Settings *now)
{
    uint64_t before = n->cluster_config.settings != NULL ? n->cluster_config.settings->version : 0;
    for (size_t i = 0; i < now->n_settings; i++) {
        const Mq__Setting *s = now->settings[i];
        char key[64];
        if (s->version > before && n->cluster_config.settings != NULL) {
            snprintf(key, sizeof(key), "setting/%llu", (unsigned long long)s->version);
            events_add(&n->events, "MQ-EVENT-SETTING", EVENT_BLUE, s->key, key,
                       "%s is %.60s now, by %s: %.100s", s->key, s->value, s->author, s->reason);
        }
    }
}

/* Takes *settings over. */
static void take(struct node *n, Mq__Settings *settings)
{
    struct cluster_config *c = &n->cluster_config;
    struct cluster_settings s;
    from_config(&c->file, &s);
    c->problem[0] = '\0';
    for (size_t i = 0; i < settings->n_settings; i++) {
        struct error e = {0};
        const struct cluster_setting *row = cluster_setting_find(settings->settings[i]->key, &e);
        if (row == NULL || cluster_setting_check(row, settings->settings[i]->value, &s, &e) != OK) {
            snprintf(c->problem, sizeof(c->problem), "%.190s", e.text);
            log_warn("event=setting.not_taken text=\"%s\"", c->problem);
        }
    }
    put_in_force(n, &s);
    log_info("event=settings.taken version=%llu settings=%zu",
             (unsigned long long)settings->version, settings->n_settings);
    tell(n, settings);
    mq__settings__free_unpacked(c->settings, NULL);
    c->settings = settings;
}

/* ---- reading ---- */

static void look_work(struct job *j)
{
    struct cluster_config *c = container_of(j, struct cluster_config, job);
    struct node *n = container_of(c, struct node, cluster_config);
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QuerySettings body = MQ__QUERY_SETTINGS__INIT;
    uint8_t packed[16];
    query.body_case = MQ__QUERY__BODY_SETTINGS;
    query.settings = &body;
    struct bytes b = {packed, mq__query__pack(&query, packed)};
    c->query_status = replica_query(n->shards.by_id[SHARD_DIRECTORY].replica, b, &c->result);
}

static void look_done(struct job *j)
{
    struct cluster_config *c = container_of(j, struct cluster_config, job);
    struct node *n = container_of(c, struct node, cluster_config);
    c->querying = false;
    if (c->query_status != OK) {
        c->dirty = true; /* between two environments: once more */
        return;
    }
    Mq__QueryResult *r = mq__query_result__unpack(NULL, c->result.size, c->result.data);
    uint64_t known = c->settings != NULL ? c->settings->version : UINT64_MAX;
    if (r != NULL && r->settings != NULL && r->settings->version != known && !n->stopping) {
        Mq__Settings *settings = r->settings;
        r->settings = NULL;
        take(n, settings);
    }
    mq__query_result__free_unpacked(r, NULL);
}

void cluster_config_tick(struct node *n, uint64_t now_ms)
{
    struct cluster_config *c = &n->cluster_config;
    struct node_shard *directory = shards_find(&n->shards, SHARD_DIRECTORY);
    if (!c->dirty || c->querying || now_ms - c->looked_ms < LOOK_MS || directory == NULL ||
        directory->replica == NULL || n->stopping) {
        return;
    }
    c->dirty = false;
    c->querying = true;
    c->looked_ms = now_ms;
    buffer_clear(&c->result);
    c->result.size_max = FRAME_PAYLOAD_MAX;
    c->job.work = look_work;
    c->job.done = look_done;
    executor_submit(executor_threads_executor(n->loop.threads), LANE_READ, &c->job);
}

/* ---- telling ---- */

#define ROWS_MAX  SETTINGS_TABLE_MAX
#define TEXTS_MAX 4

struct config_answer {
    Mq__ConfigRow rows[ROWS_MAX];
    Mq__ConfigRow *pointers[ROWS_MAX];
    char texts[ROWS_MAX][TEXTS_MAX][SETTING_TEXT_MAX];
    char keys[ROWS_MAX][2 * CLUSTER_SETTING_KEY_MAX];
    struct config fallback;
};

static const char *cluster_value(const struct cluster_config *c, const char *key)
{
    for (size_t i = 0; c->settings != NULL && i < c->settings->n_settings; i++) {
        if (strcmp(c->settings->settings[i]->key, key) == 0) {
            return c->settings->settings[i]->value;
        }
    }
    return "";
}

static void row_fill(struct node *n, struct config_answer *a, size_t i, const struct setting *row)
{
    struct cluster_config *c = &n->cluster_config;
    Mq__ConfigRow *to = &a->rows[i];
    size_t size = SETTING_TEXT_MAX;
    mq__config_row__init(to);
    snprintf(a->keys[i], sizeof(a->keys[i]), "%.60s.%.60s", row->section, row->key);
    to->key = a->keys[i];
    to->own = row->fallback == NULL || row->type == SETTING_TYPE_STRING;
    to->file = (char *)(uintptr_t)setting_value_format(row, &c->file, a->texts[i][0], size);
    to->running = (char *)(uintptr_t)setting_value_format(row, &n->config, a->texts[i][1], size);
    to->fallback = row->fallback != NULL ? (char *)(uintptr_t)setting_value_format(
                                               row, &a->fallback, a->texts[i][2], size)
                                         : to->fallback;
    snprintf(a->texts[i][3], size, "%s", cluster_value(c, to->key));
    to->cluster = a->texts[i][3];
    a->pointers[i] = to;
}

void config_view_start(struct request *r)
{
    struct node *n = r->service->node;
    struct cluster_config *c = &n->cluster_config;
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    Mq__ConfigView view = MQ__CONFIG_VIEW__INIT;
    struct config_answer *a = calloc(1, sizeof(*a));
    struct error e = {0};
    size_t table_n;
    const struct setting *table = config_settings(&table_n);
    if (a == NULL) {
        request_refuse(r, STATUS_NO_MEMORY, NULL);
        return;
    }
    (void)settings_defaults(table, table_n, NULL, &a->fallback, &e);
    for (size_t i = 0; i < table_n && i < ROWS_MAX; i++) {
        row_fill(n, a, i, &table[i]);
        view.n_rows++;
    }
    view.node = n->config.name;
    view.version = c->settings != NULL ? c->settings->version : 0;
    view.text = c->problem;
    view.rows = a->pointers;
    result.config = &view;
    admin_finish(r, MQ__OUTCOME__OUTCOME_APPLIED, OK, "", &result);
    free(a);
}

/* ---- setting ---- */

static void on_set(struct request *own, const struct response *a)
{
    struct request *r = own->arg;
    Mq__Result *said = a->outcome == MQ__OUTCOME__OUTCOME_REFUSED
                           ? mq__result__unpack(NULL, a->payload.size, a->payload.data)
                           : NULL;
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    admin_finish(r, a->outcome, a->status,
                 said != NULL && said->text[0] != '\0' ? said->text : a->text, &result);
    mq__result__free_unpacked(said, NULL);
}

/* What apply cannot judge is judged here, before it is submitted. */
static enum status check(const Mq__AdminConfigSet *a, struct error *e)
{
    const struct cluster_setting *row = cluster_setting_find(a->key, e);
    if (row == NULL) {
        return e->status;
    }
    if (a->reason[0] == '\0') {
        return error_set(e, STATUS_INVALID, "a reason is missing: it goes into the record");
    }
    return a->value[0] == '\0' ? OK : cluster_setting_check(row, a->value, NULL, e);
}

void config_set_start(struct request *r, const Mq__AdminConfigSet *a)
{
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__SettingSet set = MQ__SETTING_SET__INIT;
    struct error e = {0};
    uint8_t packed[1024];
    char author[NAME_MAX_BYTES + 1];
    if (check(a, &e) != OK) {
        request_refuse(r, e.status, e.text);
        return;
    }
    snprintf(author, sizeof(author), "%s",
             r->origin != NULL && r->origin->identity.name[0] != '\0' ? r->origin->identity.name
                                                                      : "local");
    set.key = a->key;
    set.value = a->value;
    set.reason = a->reason;
    set.author = author;
    set.expected_version = a->expected_version;
    command.body_case = MQ__COMMAND__BODY_SETTING_SET;
    command.setting_set = &set;
    if (mq__command__get_packed_size(&command) > sizeof(packed)) {
        request_refuse(r, STATUS_TOO_BIG, "value and reason together have more than 900 bytes");
        return;
    }
    struct bytes payload = {packed, mq__command__pack(&command, packed)};
    struct request *own = request_new_own(r->service, MQ__OP__OP_SUBMIT, SHARD_DIRECTORY, payload,
                                          r->deadline_ms, on_set, r);
    if (own == NULL) {
        request_refuse(r, STATUS_NO_MEMORY, NULL);
        return;
    }
    request_advance(own);
}
