/* clusterctl snapshot save, inspect: a file with a checkpoint of every shard, each as one of its nodes has it durably and at least as new
 * as everything acknowledged before the command began; and what such a file holds, checked byte by byte without a node. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/copy_stream.h"
#include "ctl/ctl.h"
#include "ctl/snapshot_file.h"

#define AGAIN_MS 250 /* until a checkpoint that is new enough may be there */

static const char *const columns[] = {"SHARD", "EPOCH", "INDEX", "TERM", "SIZE", "FROM", "DIGEST"};

static void table(struct screen *s)
{
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(s, columns[i]);
    }
}

static void row(struct screen *s, json_t *rows, const Mq__SnapshotShard *m)
{
    struct bytes digest = {m->digest.data, m->digest.len};
    char hex[40], size[SPAN_TEXT_SIZE];
    hex_format(digest, hex, sizeof(hex));
    screen_cell(s, "%s", m->name);
    screen_cell(s, "%" PRIu64, m->epoch_number);
    screen_cell(s, "%" PRIu64, m->index);
    screen_cell(s, "%" PRIu64, m->term);
    screen_cell(s, "%s", size_format(m->size, size));
    screen_cell(s, "%s", m->node);
    screen_cell(s, "%s", hex);
    json_array_append_new(
        rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "shard", json_text(m->name),
                        "epoch", json_u64(m->epoch_number), "epoch_id", json_u64(m->epoch_id),
                        "index", json_u64(m->index), "term", json_u64(m->term), "size_bytes",
                        json_u64(m->size), "node", json_text(m->node), "digest", json_hex(digest)));
}

/* ---- inspect ---- */

struct inspecting {
    struct screen s;
    json_t *rows;
    struct uuid cluster;
    uint64_t taken_ms;
    unsigned shards;
};

static enum status on_head(void *arg, const Mq__SnapshotHead *m)
{
    struct inspecting *i = arg;
    memcpy(i->cluster.bytes, m->cluster_id.data, sizeof(i->cluster.bytes));
    snprintf(i->s.cluster_name, sizeof(i->s.cluster_name), "%s", m->cluster_name);
    i->taken_ms = m->taken_ms;
    return OK;
}

static enum status on_shard(void *arg, const Mq__SnapshotShard *m)
{
    struct inspecting *i = arg;
    row(&i->s, i->rows, m);
    i->shards++;
    return OK;
}

enum exit_code run_snapshot_inspect(struct ctl *c)
{
    const char *path = c->arguments.args[0];
    struct inspecting i = {.shards = 0};
    struct snapshot_visitor visitor = {.head = on_head, .shard = on_shard, .arg = &i};
    struct error e = {0};
    uint8_t sum[32];
    char hex[65], age[SPAN_TEXT_SIZE];
    screen_init(&i.s, "snapshot");
    table(&i.s);
    i.rows = json_array();
    enum status s = snapshot_read(path, &visitor, sum, &e);
    if (s != OK) {
        json_decref(i.rows);
        screen_deinit(&i.s);
        return ctl_fail(c, &e);
    }
    uint64_t now = clock_wall_ms(&clock_system);
    hex_format((struct bytes){sum, sizeof(sum)}, hex, sizeof(hex));
    uuid_format(&i.cluster, i.s.cluster_id);
    i.s.verdict = true;
    snprintf(i.s.summary, sizeof(i.s.summary),
             "%.200s is whole: %u shards of cluster %s, taken %s ago", path, i.shards,
             i.s.cluster_name, span_format(now > i.taken_ms ? now - i.taken_ms : 0, age));
    screen_note(&i.s, "cluster %s, sha256 %s", i.s.cluster_id, hex);
    json_object_set_new(i.s.data, "file", json_text(path));
    json_object_set_new(i.s.data, "taken", json_time(i.taken_ms));
    json_object_set_new(i.s.data, "cluster_id", json_text(i.s.cluster_id));
    json_object_set_new(i.s.data, "sha256", json_text(hex));
    json_object_set_new(i.s.data, "shards", i.rows);
    return ctl_finish(c, &i.s, EXIT_HEALTHY);
}

/* ---- save ---- */

struct saving {
    struct ctl *c;
    const Mq__Founding *f;
    const Mq__FoundingShard *shard;
    const Mq__FoundingNode *node; /* that is asked */
    struct snapshot_writer *w;
    struct screen s;
    json_t *rows;
    Mq__SnapshotShard now; /* that is being written; its digest: */
    uint8_t digest[16];
    bool disk; /* the failure is ours: no other node helps */
};

static enum status copy_head(void *arg, const Mq__CopyHead *h, struct error *e)
{
    struct saving *v = arg;
    Mq__SnapshotShard m = MQ__SNAPSHOT_SHARD__INIT;
    m.shard = v->shard->shard;
    m.name = v->shard->name;
    m.epoch_number = v->shard->epoch_number;
    m.epoch_id = v->shard->epoch_id;
    m.node = v->node->name;
    m.index = h->index;
    m.term = h->term;
    m.size = h->size;
    m.digest = h->digest;
    m.configuration = h->configuration;
    m.configuration_index = h->configuration_index;
    m.environment = h->environment;
    m.checkpoint = h->checkpoint;
    enum status s = snapshot_writer_shard(v->w, &m, e);
    v->disk = s != OK && s != STATUS_MALFORMED;
    if (s == OK) {
        v->now = m;
        memcpy(v->digest, h->digest.data, sizeof(v->digest));
        v->now.digest = (ProtobufCBinaryData){sizeof(v->digest), v->digest};
    }
    return s;
}

static enum status copy_data(void *arg, uint64_t offset, struct bytes data, bool last,
                             struct error *e)
{
    struct saving *v = arg;
    enum status s = snapshot_writer_data(v->w, offset, data, last, e);
    v->disk = s != OK && s != STATUS_MALFORMED;
    return s;
}

/* Everything acknowledged by now lies at or below it. */
static enum status position(struct saving *v, uint64_t *out_index, enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryDigest digest = MQ__QUERY_DIGEST__INIT;
    Mq__QueryResult *result;
    struct call_answer a = {0};
    query.body_case = MQ__QUERY__BODY_DIGEST;
    query.digest = &digest;
    snprintf(v->c->doing, sizeof(v->c->doing), "shard %.100s", v->shard->name);
    enum status s = ctl_query(v->c, NULL, v->shard->shard, &query, &a, &result, out_code);
    if (s == OK) {
        *out_index = a.index;
        mq__query_result__free_unpacked(result, NULL);
    }
    call_answer_clear(&a);
    return s;
}

static enum status copy_from(struct saving *v, uint64_t min_index, struct error *e)
{
    static const struct copy_stream_ops ops = {.head = copy_head, .data = copy_data};
    Mq__CopyRequest r = MQ__COPY_REQUEST__INIT;
    r.shard = v->shard->shard;
    r.epoch_number = v->shard->epoch_number;
    r.epoch_id = v->shard->epoch_id;
    r.min_index = min_index;
    r.max_index = UINT64_MAX;
    r.cluster_id = v->f->cluster_id;
    enum status s = copy_stream_run(v->c->caller, v->node->name, v->node->address, &r,
                                    v->c->deadline_at_ms, &ops, v, e);
    if (s != OK) {
        struct error undo = {0};
        if (snapshot_writer_undo(v->w, &undo) != OK) {
            v->disk = true;
            *e = undo;
            s = undo.status;
        }
    }
    return s;
}

/* Its members in turn, again and again: until a checkpoint reaches the position (a few seconds), or the time is over. What no other node
 * and no other moment would mend ends it at once. */
static enum status save_shard(struct saving *v, uint64_t min_index, struct error *out_e)
{
    bool late = false;
    while (!late) {
        for (size_t i = 0; i < v->shard->n_members; i++) {
            v->node = ctl_node_by_id(v->f, v->shard->members[i]->node);
            bool stateless = v->node == NULL ||
                             (v->node->role == ROLE_WITNESS && v->shard->shard != SHARD_DIRECTORY);
            struct error e = {0};
            if (stateless) {
                continue;
            }
            enum status s = copy_from(v, min_index, &e);
            if (s == OK) {
                row(&v->s, v->rows, &v->now);
                return OK;
            }
            if (v->c->arguments.options.verbose) {
                char line[ERROR_TEXT_MAX + 100];
                snprintf(line, sizeof(line), "shard %.64s: %s", v->shard->name, e.text);
                text_clean(line);
                fprintf(v->c->err, "%s\n", line);
            }
            *out_e = e;
            if (v->disk || s == STATUS_DENIED) {
                return s;
            }
        }
        late = caller_now_ms() + AGAIN_MS >= v->c->deadline_at_ms;
        (void)poll(NULL, 0, late ? 0 : AGAIN_MS);
    }
    out_e->status = STATUS_TIMEOUT;
    return error_prefix(out_e,
                        "no node gave a checkpoint of shard %.64s at index %" PRIu64
                        " or beyond in time; the last one",
                        v->shard->name, min_index);
}

static enum status save_all(struct saving *v, enum exit_code *out_code)
{
    struct error e = {0};
    for (size_t i = 0; i < v->f->n_shards; i++) {
        uint64_t min_index;
        v->shard = v->f->shards[i];
        enum status s = position(v, &min_index, out_code);
        if (s != OK) {
            return s;
        }
        s = save_shard(v, min_index, &e);
        if (s != OK) {
            *out_code = ctl_fail(v->c, &e);
            return s;
        }
    }
    enum status s = snapshot_writer_finish(v->w, &e);
    if (s != OK) {
        *out_code = ctl_fail(v->c, &e);
    }
    return s;
}

static enum status begin(struct saving *v, const char *path, enum exit_code *out_code)
{
    Mq__SnapshotHead head = MQ__SNAPSHOT_HEAD__INIT;
    struct error e = {0};
    enum status s = ctl_founding(v->c, &v->f, out_code);
    if (s != OK) {
        return s;
    }
    head.version = SNAPSHOT_VERSION;
    head.cluster_id = v->f->cluster_id;
    head.cluster_name = v->f->cluster_name;
    head.taken_ms = clock_wall_ms(&clock_system);
    head.tool = (char *)CTL_VERSION;
    s = snapshot_writer_open(path, &head, &v->w, &e);
    if (s != OK) {
        *out_code = ctl_fail(v->c, &e);
    }
    return s;
}

enum exit_code run_snapshot_save(struct ctl *c)
{
    const char *path = c->arguments.args[0];
    struct saving v = {.c = c};
    struct call_answer a = {0};
    enum exit_code code;
    enum status s = begin(&v, path, &code);
    if (s != OK) {
        return code;
    }
    screen_init(&v.s, "snapshot");
    ctl_source(c, &v.s, &a);
    table(&v.s);
    v.rows = json_array();
    s = save_all(&v, &code);
    snapshot_writer_free(v.w);
    if (s != OK) {
        json_decref(v.rows);
        screen_deinit(&v.s);
        return code;
    }
    snprintf(v.s.summary, sizeof(v.s.summary),
             "saved %zu shards into %.300s: everything acknowledged before it began is in it",
             v.f->n_shards, path);
    json_object_set_new(v.s.data, "file", json_text(path));
    json_object_set_new(v.s.data, "shards", v.rows);
    return ctl_finish(c, &v.s, EXIT_HEALTHY);
}
