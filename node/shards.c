/* founded -> directory -> (first leader of an empty one submits the founding record) -> record
 * applied -> the other shards.
 *
 * A shard may be created by this node only if it was never born here (data directory) and the
 * creation entry says so (I1); what the log holds anyway is opened. */
#include "node/shards.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "node/node.h"

#define RETRY_LOOK_MS 500u

void shards_init(struct shards *s, struct node *n)
{
    memset(s, 0, sizeof(*s));
    s->node = n;
}

void shards_deinit(struct shards *s)
{
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        replica_free(s->by_id[i].replica);
        s->by_id[i].replica = NULL;
        s->by_id[i].shard = NULL;
    }
    if (s->record != NULL) {
        mq__founding__free_unpacked(s->record, NULL);
        s->record = NULL;
    }
    buffer_deinit(&s->result);
    block_unref(s->tick);
    s->tick = NULL;
}

struct node_shard *shards_find(struct shards *s, shard_id id)
{
    return id < SHARDS_MAX && s->by_id[id].shard != NULL ? &s->by_id[id] : NULL;
}

const Mq__Founding *shards_founding(const struct shards *s)
{
    return s->record != NULL ? s->record : s->node->founding.message;
}

const Mq__FoundingShard *shards_record(const struct shards *s, shard_id id)
{
    const Mq__Founding *m = shards_founding(s);
    for (size_t i = 0; i < m->n_shards; i++) {
        if (m->shards[i]->shard == id) {
            return m->shards[i];
        }
    }
    return NULL;
}

/* Of a shard that runs elsewhere: what the others say. */
static node_id leader_elsewhere(const struct shards *s, shard_id id)
{
    const Mq__FoundingShard *record = shards_record(s, id);
    for (size_t i = 0; record != NULL && i < record->n_members; i++) {
        uint64_t age;
        const Mq__NodeView *v = view_find(&s->node->views, record->members[i]->node, &age);
        for (size_t k = 0; v != NULL && k < v->n_shards; k++) {
            if (v->shards[k]->shard == id && v->shards[k]->leader_known) {
                return v->shards[k]->leader;
            }
        }
    }
    return 0;
}

node_id shards_leader(const struct shards *s, shard_id id)
{
    if (id < SHARDS_MAX && s->by_id[id].shard != NULL) {
        return s->by_id[id].leader;
    }
    return leader_elsewhere(s, id);
}

/* ---- adding ---- */

static struct block *tick_command(struct shards *s)
{
    if (s->tick == NULL) {
        Mq__Command command = MQ__COMMAND__INIT;
        Mq__Tick tick = MQ__TICK__INIT;
        command.body_case = MQ__COMMAND__BODY_TICK;
        command.tick = &tick;
        s->tick = block_new(mq__command__get_packed_size(&command));
        if (s->tick != NULL) {
            mq__command__pack(&command, s->tick->data);
        }
    }
    return s->tick;
}

static enum status make_replica(struct shards *s, shard_id id, struct replica **out_replica)
{
    const struct config *c = &s->node->config;
    struct replica_options o = {.data = c->data_directory,
                                .shard = id,
                                .disk = &disk_posix,
                                .random = &s->node->random,
                                .map_bytes = c->map_bytes,
                                .reserve_bytes = c->reserve_bytes};
    return replica_new(&o, out_replica);
}

static void add(struct shards *s, const Mq__Founding *m, const Mq__FoundingShard *record)
{
    struct node *n = s->node;
    struct shard_options o;
    struct error e = {0};
    if (record->shard >= SHARDS_MAX || s->by_id[record->shard].shard != NULL ||
        founding_shard_options(m, record, n->self->node, &o) != OK) {
        return;
    }
    struct node_shard *ns = &s->by_id[record->shard];
    bool stateless = n->self->role == ROLE_WITNESS && record->shard != SHARD_DIRECTORY;
    enum status st = OK;
    if (!stateless && ns->replica == NULL) {
        st = make_replica(s, record->shard, &ns->replica);
    }
    if (st == OK) {
        o.machine = stateless ? (struct state_machine){NULL, NULL} : *replica_machine(ns->replica);
        o.found = !n->data.born[record->shard];
        o.tick_command = tick_command(s);
        st = host_add_shard(n->host, &o, &e);
    }
    if (st != OK) {
        log_error(
            "event=shard.refused message=MQ-SHARD-REFUSED shard=%u name=%s status=%s text=\"%s\"",
            record->shard, record->name, status_name(st), e.text);
        ns->shard = NULL;
        return;
    }
    ns->shard = host_find_shard(n->host, record->shard);
    log_info("event=shard.added shard=%u name=%s replica=%llx%s", record->shard, record->name,
             (unsigned long long)o.replica, stateless ? " stateless=1" : "");
    if (ns->shard != NULL) {
        shards_changed(s, ns->shard);
    }
}

void shards_start(struct shards *s)
{
    const Mq__Founding *m = s->node->founding.message;
    s->started = true;
    for (size_t i = 0; i < m->n_shards; i++) {
        if (m->shards[i]->shard == SHARD_DIRECTORY) {
            add(s, m, m->shards[i]);
        }
    }
    loop_again(&s->node->loop);
}

/* ---- the founding record in the directory ---- */

static void take_record(struct shards *s, Mq__Founding *m)
{
    struct error e = {0};
    if (founding_check(m, &e) != OK ||
        memcmp(m->cluster_id.data, s->node->founding.cluster.bytes, 16) != 0) {
        node_fail(s->node, STATUS_WRONG_CLUSTER, "MQ-FOUND-MISMATCH",
                  "the directory holds the founding record of another cluster");
        return;
    }
    s->record = m;
    for (size_t i = 0; i < m->n_shards; i++) {
        add(s, m, m->shards[i]);
    }
    loop_again(&s->node->loop);
}

static void submit_done(struct shard_submit *q)
{
    struct shards *s = container_of(q, struct shards, submit);
    block_unref(q->result);
    log_info("event=founding.submitted outcome=%d status=%s index=%llu", (int)q->outcome,
             status_name(q->status), (unsigned long long)q->index);
    s->founding_submitted = false; /* looked at again; a second one is refused by the directory */
    s->retry_ms = node_now_ms(s->node) + (q->outcome == SUBMIT_APPLIED ? 0 : RETRY_LOOK_MS);
}

static void submit_founding(struct shards *s)
{
    struct block *command = s->node->founding.command;
    s->founding_submitted = true;
    memset(&s->submit, 0, sizeof(s->submit));
    s->submit.command = (struct bytes){command->data, command->size};
    s->submit.deadline_ms = UINT64_MAX;
    s->submit.done = submit_done;
    shard_submit(s->by_id[SHARD_DIRECTORY].shard, &s->submit);
    loop_again(&s->node->loop);
}

static void look_work(struct job *j)
{
    struct shards *s = container_of(j, struct shards, job);
    static const uint8_t query[] = {10 << 3 | 2, 0}; /* mq.Query{founding: {}} */
    s->query_status = replica_query(s->by_id[SHARD_DIRECTORY].replica,
                                    (struct bytes){query, sizeof(query)}, &s->result);
}

static bool own_term_committed(const struct shards *s)
{
    struct shard_view v;
    shard_get_view(s->by_id[SHARD_DIRECTORY].shard, node_now_ms(s->node), &v);
    return v.own_term_committed && v.committed_index >= v.commit_index;
}

static void look_done(struct job *j)
{
    struct shards *s = container_of(j, struct shards, job);
    s->querying = false;
    s->retry_ms = node_now_ms(s->node) + RETRY_LOOK_MS;
    if (s->query_status == OK) {
        Mq__QueryResult *r = mq__query_result__unpack(NULL, s->result.size, s->result.data);
        if (r != NULL && r->founding != NULL && r->founding->n_shards > 0) {
            Mq__Founding *m = r->founding;
            r->founding = NULL;
            take_record(s, m);
        }
        mq__query_result__free_unpacked(r, NULL);
    }
    struct node_shard *directory = &s->by_id[SHARD_DIRECTORY];
    bool absent =
        s->record == NULL && (s->query_status == OK || s->query_status == STATUS_NOT_FOUND);
    if (absent && directory->leads && !s->founding_submitted && own_term_committed(s)) {
        submit_founding(s);
    }
}

static void look(struct shards *s)
{
    struct node_shard *directory = shards_find(s, SHARD_DIRECTORY);
    if (s->record != NULL || s->querying || directory == NULL || directory->replica == NULL ||
        s->node->stopping) {
        return;
    }
    s->querying = true;
    buffer_clear(&s->result);
    s->job.work = look_work;
    s->job.done = look_done;
    executor_submit(executor_threads_executor(s->node->loop.threads), LANE_READ, &s->job);
}

/* ---- what the host tells us ---- */

static const char *const state_names[] = {"opening", "running", "installing", "restarting",
                                          "lost",    "amnesia", "refused",    "closed"};

static void log_change(const struct shards *s, const struct node_shard *ns,
                       const struct shard_view *v)
{
    const struct founding_node *leader = founding_find_node(&s->node->founding, v->leader_node);
    bool bad = v->state == SHARD_LOST || v->state == SHARD_AMNESIA || v->state == SHARD_REFUSED;
    (void)ns;
    log_line(bad ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
             "event=shard.changed shard=%u name=%s state=%s role=%d term=%llu leader=%s%s%s%s%s",
             v->shard, v->name, state_names[v->state], (int)v->role, (unsigned long long)v->term,
             leader != NULL ? leader->name : "none", bad ? " message=MQ-SHARD-STATE" : "",
             v->text[0] != '\0' ? " text=\"" : "", v->text, v->text[0] != '\0' ? "\"" : "");
}

void shards_changed(struct shards *s, struct shard *shard)
{
    struct node *n = s->node;
    struct shard_view v;
    shard_id id = shard_get_id(shard);
    struct node_shard *ns = id < SHARDS_MAX ? &s->by_id[id] : NULL;
    if (ns == NULL) {
        return;
    }
    ns->shard = shard;
    shard_get_view(shard, node_now_ms(n), &v);
    bool leads = shard_is_leader(shard);
    node_id leader = leads ? n->self->node : v.leader_node;
    bool gained = leader != 0 && (leader != ns->leader || leads != ns->leads);
    if (leader != ns->leader || leads != ns->leads || v.state != ns->state || v.term != ns->term) {
        log_change(s, ns, &v);
    }
    ns->leader = leader;
    ns->leads = leads;
    ns->state = v.state;
    ns->term = v.term;
    if (v.state == SHARD_RUNNING && !n->data.born[id]) {
        n->data.born[id] = true;
        data_directory_save(&n->data, executor_threads_executor(n->loop.threads));
    }
    if (gained) {
        n->leader_changed[id] =
            true; /* acted upon at the end of the turn, never from inside the host */
    }
}

void shards_applied(struct shards *s, struct shard *shard, uint64_t index)
{
    (void)index;
    if (shard_get_id(shard) == SHARD_DIRECTORY) {
        cluster_config_applied(&s->node->cluster_config);
    }
    if (shard_get_id(shard) == SHARD_DIRECTORY && s->record == NULL) {
        s->retry_ms = 0;
    }
}

void shards_tick(struct shards *s, uint64_t now_ms)
{
    if (s->started && s->record == NULL && now_ms >= s->retry_ms) {
        look(s);
    }
}
