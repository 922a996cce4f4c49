/* Building up: files -> certificate -> data directory -> loop and threads -> log recovery
 * (host_open) -> listeners -> links; then the shards, at once or when the cluster is founded.
 * Taking down is the reverse, after host_stop has handed leaderships over. */
#include "node/node.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log_line.h"
#include "node/assigner.h"
#include "node/copy_link.h"
#include "node/notify.h"

#define STOP_MS_MAX  10000u
#define DRAIN_MS_MAX 1000u
#define STATUS_MS    5000u

uint64_t node_now_ms(const struct node *n)
{
    (void)n;
    return clock_monotonic_ms(&clock_system);
}

/* ---- what the host wants of us ---- */

static bool on_send(void *arg, node_id to, enum channel channel, struct block *frame)
{
    struct node *n = arg;
    struct link *l = links_find(&n->links, to);
    return l != NULL && link_send_block(l, channel, frame) == OK;
}

void node_fail(struct node *n, enum status s, const char *message_id, const char *text)
{
    if (n->failed) {
        return;
    }
    log_error("event=node.failed message=%s status=%s text=\"%s\"", message_id, status_name(s),
              text);
    notify_send("STATUS=failed: %s: %s", message_id, text);
    n->failed = true;
    n->exit_code = 1;
    loop_stop(&n->loop);
}

static void on_failed(void *arg, enum status s, const char *message_id, const char *text)
{
    node_fail(arg, s, message_id, text);
}

static void on_shard_changed(void *arg, struct shard *s)
{
    shards_changed(&((struct node *)arg)->shards, s);
}

static void on_applied(void *arg, struct shard *s, uint64_t index)
{
    shards_applied(&((struct node *)arg)->shards, s, index);
}

static enum status on_copy_dial(void *arg, struct copy_fetch *f)
{
    return copy_link_dial(arg, f);
}

static void on_copy_hang_up(void *arg, struct copy_fetch *f)
{
    (void)arg;
    copy_link_hang_up(f);
}

static void on_copy_resume(void *arg, struct copy_fetch *f)
{
    (void)arg;
    copy_link_resume(f);
}

static void on_copy_send(void *arg, struct copy_source *c, struct block *frame)
{
    copy_session_send(arg, c, frame);
}

static void on_copy_end(void *arg, struct copy_source *c)
{
    copy_session_end(arg, c);
}

/* ---- what the loop wants of us ---- */

static void on_turn(void *arg)
{
    struct node *n = arg;
    if (n->host == NULL || n->failed) {
        return;
    }
    host_turn(n->host);
    for (shard_id i = 0; i < SHARDS_MAX; i++) {
        if (n->leader_changed[i]) {
            n->leader_changed[i] = false;
            service_leader_known(&n->service, i);
            if (i == SHARD_DIRECTORY && n->shards.by_id[i].leads) {
                assigner_resume(n->service.assigner);
            }
        }
    }
}

static void tell_systemd(struct node *n, uint64_t now_ms)
{
    unsigned up = 0, leads = 0;
    if (now_ms - n->notified_ms < STATUS_MS) {
        return;
    }
    n->notified_ms = now_ms;
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        struct link *l = links_find(&n->links, i);
        up += l != NULL && l->up;
    }
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        leads += n->shards.by_id[i].leads;
    }
    notify_send("STATUS=%s; %u of %u peers connected; leads %u shards",
                n->data.founded ? "running" : n->founder.text, up, n->founding.nodes_n - 1, leads);
}

static void on_tick(void *arg, uint64_t now_ms)
{
    struct node *n = arg;
    if (n->failed) {
        return;
    }
    links_tick(&n->links, now_ms);
    views_tick(&n->views, now_ms);
    holdings_tick(&n->holdings, now_ms);
    founder_tick(&n->founder, now_ms);
    shards_tick(&n->shards, now_ms);
    service_tick(&n->service, now_ms);
    events_tick(n, now_ms);
    cluster_config_tick(n, now_ms);
    operations_tick(n, now_ms);
    tell_systemd(n, now_ms);
    if (n->draining && (n->service.requests_n == 0 || now_ms >= n->drain_until_ms)) {
        loop_stop(&n->loop);
    }
    if (n->watchdog_ms != 0 && now_ms - n->watchdog_sent_ms >= n->watchdog_ms) {
        n->watchdog_sent_ms = now_ms;
        notify_send("WATCHDOG=1");
    }
}

static uint64_t on_deadline(void *arg)
{
    struct node *n = arg;
    return n->host != NULL && !n->failed ? host_deadline_ms(n->host) : UINT64_MAX;
}

static void on_due(void *arg)
{
    struct node *n = arg;
    host_tick(n->host);
}

static void on_stopped(void *arg)
{
    struct node *n = arg;
    n->draining = true;
    n->drain_until_ms = node_now_ms(n) + DRAIN_MS_MAX;
}

/* A place for one more; NULL when all are in use. */
static struct tls_context **free_old_contexts(struct node *n)
{
    struct tls_context **place = NULL;
    for (int i = 0; i < TLS_OLD_MAX; i++) {
        bool used = false;
        list_each(at, &n->loop.connections)
        {
            used = used || container_of(at, struct connection, link)->context == n->tls_old[i];
        }
        if (!used && n->tls_old[i] != NULL) {
            tls_context_free(n->tls_old[i]);
            n->tls_old[i] = NULL;
        }
        place = n->tls_old[i] == NULL ? &n->tls_old[i] : place;
    }
    return place;
}

static enum status open_tls(const struct config *c, struct tls_context **out_tls, struct error *e)
{
    struct tls_context *fresh;
    enum status s = tls_context_new(c->ca, c->certificate, c->key, &fresh, e);
    if (s != OK) {
        return s;
    }
    s = c->revoked[0] != '\0' ? tls_context_revoke(fresh, c->revoked, e) : OK;
    if (s != OK) {
        tls_context_free(fresh);
        return s;
    }
    *out_tls = fresh;
    return OK;
}

/* Whose certificate is on the new list is not only let in no more: it goes. So do handshakes, which would end by the old list. */
static void drop_revoked(struct node *n)
{
    char text[TLS_REVOKED_TEXT_SIZE];
    list_each(at, &n->loop.connections)
    {
        struct connection *c = container_of(at, struct connection, link);
        if (c->tls == NULL || c->closing || n->config.revoked[0] == '\0') {
            continue;
        }
        if (!tls_ready(c->tls)) {
            connection_close(c, STATUS_TLS, "certificates were read again during its handshake");
        } else if (tls_revoked(c->tls, n->tls, text)) {
            log_warn(
                "event=connection.revoked message=MQ-CONNECTION-REFUSED address=%s text=\"%s\"",
                c->address, text);
            connection_close(c, STATUS_TLS, "%s", text);
        }
    }
}

static void reload_certificates(struct node *n)
{
    struct tls_context *fresh;
    struct error e = {0};
    const struct config *c = &n->config;
    if (open_tls(c, &fresh, &e) != OK) {
        log_error("event=tls.reload_refused message=MQ-TLS-FILES text=\"%s\"", e.text);
        return;
    }
    if (strcmp(tls_context_identity(fresh)->name, c->name) != 0 ||
        tls_context_identity(fresh)->kind != TLS_NODE) {
        log_error(
            "event=tls.reload_refused message=MQ-TLS-NAME text=\"the certificate is not this "
            "node's\"");
        tls_context_free(fresh);
        return;
    }
    struct tls_context **slot = free_old_contexts(n);
    if (slot == NULL) {
        log_error(
            "event=tls.reload_refused message=MQ-TLS-FILES text=\"%d earlier certificates are "
            "still in use\"",
            TLS_OLD_MAX);
        tls_context_free(fresh);
        return;
    }
    *slot = n->tls;
    n->tls = fresh;
    drop_revoked(n);
    log_info("event=tls.reloaded expires_ms=%llu",
             (unsigned long long)tls_context_identity(fresh)->expires_ms);
    events_add(&n->events, "MQ-EVENT-CERTIFICATE", EVENT_OK, n->self->name, NULL,
               "certificates were read again and are in use");
}

static void on_signal(void *arg, int number)
{
    struct node *n = arg;
    if (number == SIGHUP) {
        reload_certificates(n);
        return;
    }
    if (n->stopping) {
        return;
    }
    n->stopping = true;
    log_info("event=node.stopping signal=%d", number);
    events_add(&n->events, "MQ-EVENT-STOP", EVENT_BLUE, n->self->name, NULL,
               "stopping: leaderships are handed over, requests are answered");
    notify_send("STOPPING=1\nSTATUS=handing leaderships over");
    host_stop(n->host, node_now_ms(n) + STOP_MS_MAX, on_stopped, n);
    loop_again(&n->loop);
}

static const struct loop_ops loop_operations = {.turn = on_turn,
                                                .tick = on_tick,
                                                .deadline_ms = on_deadline,
                                                .due = on_due,
                                                .signal = on_signal};

/* ---- building up ---- */

static enum status open_identity(struct node *n, struct error *e, const char **id)
{
    const struct config *c = &n->config;
    *id = "MQ-FOUNDING-FILE";
    enum status s = founding_load(c->founding, &n->founding, e);
    if (s != OK) {
        return s;
    }
    n->self = founding_find_name(&n->founding, c->name);
    if (n->self == NULL) {
        *id = "MQ-NODE-UNKNOWN";
        return error_set(e, STATUS_WRONG_NODE,
                         "[node] name = %s is no node of the founding file %s", c->name,
                         c->founding);
    }
    *id = "MQ-TLS-FILES";
    s = open_tls(c, &n->tls, e);
    if (s != OK) {
        return s;
    }
    const struct tls_identity *own = tls_context_identity(n->tls);
    if (own->kind != TLS_NODE || strcmp(own->name, c->name) != 0) {
        *id = "MQ-TLS-NAME";
        return error_set(
            e, STATUS_WRONG_NODE,
            "certificate %s is of %s %s, this is node %s. What to do: clusterctl cert issue",
            c->certificate, tls_identity_kind_name(own->kind), own->name, c->name);
    }
    return OK;
}

static enum status open_host(struct node *n, struct error *e)
{
    const struct config *c = &n->config;
    struct host_options o = {
        .cluster = n->founding.cluster,
        .node = n->self->node,
        .log_directory = n->data.log_path,
        .disk = &disk_posix,
        .executor = executor_threads_executor(n->loop.threads),
        .random = &n->random,
        .clock = &clock_system,
        .election_timeout_ms = (uint32_t)c->election_timeout_ms,
        .heartbeat_ms = (uint32_t)c->heartbeat_ms,
        .segment_bytes = (uint32_t)c->segment_bytes,
        .cache_bytes = c->cache_bytes,
        .retain_bytes = c->log_retain_bytes,
        .checkpoint_bytes = c->checkpoint_bytes,
        .checkpoint_ms = (uint32_t)c->checkpoint_interval_ms,
        .commit_ms = (uint32_t)c->commit_interval_ms,
        .pending_bytes_max = c->pending_bytes,
        .preference = c->preference,
        .early_campaign = c->early_campaign,
        .send = on_send,
        .failed = on_failed,
        .shard_changed = on_shard_changed,
        .applied = on_applied,
        .copy_dial = on_copy_dial,
        .copy_hang_up = on_copy_hang_up,
        .copy_resume = on_copy_resume,
        .copy_send = on_copy_send,
        .copy_end = on_copy_end,
        .arg = n,
    };
    return host_open(&o, &n->host, e);
}

/* As many descriptors as we may have, and no more strangers than that leaves room for. */
static void raise_descriptors(struct node *n)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) {
        r.rlim_cur = RLIM_INFINITY;
    }
    n->descriptors =
        descriptors_share(r.rlim_cur, n->founding.nodes_n, (uint32_t)n->founding.message->n_shards,
                          n->config.connections_max);
    if (n->descriptors.clients < n->config.connections_max) {
        log_warn(
            "event=node.descriptors message=MQ-NODE-DESCRIPTORS limit=%llu clients=%llu "
            "handshakes=%llu",
            (unsigned long long)r.rlim_cur, (unsigned long long)n->descriptors.clients,
            (unsigned long long)n->descriptors.handshakes);
    }
}

enum status node_open(struct node *n, const struct config *c, struct error *e,
                      const char **out_message_id)
{
    memset(n, 0, sizeof(*n));
    n->config = *c;
    random_init_system(&n->random);
    enum status s = open_identity(n, e, out_message_id);
    if (s != OK) {
        return s;
    }
    raise_descriptors(n);
    cluster_config_init(&n->cluster_config, &n->config);
    struct data_directory_options d = {.path = c->data_directory,
                                       .disk = &disk_posix,
                                       .random = &n->random,
                                       .cluster = n->founding.cluster,
                                       .founding = n->founding.id,
                                       .node = n->self->node,
                                       .name = c->name};
    s = data_directory_open(&n->data, &d, out_message_id, e);
    if (s != OK) {
        return s;
    }
    n->data_open = true;
    *out_message_id = "MQ-NODE-START";
    if (loop_init(&n->loop, &loop_operations, n) != OK) {
        return error_set(e, STATUS_NO_MEMORY, "cannot start threads or the loop");
    }
    n->loop_open = true;
    founder_init(&n->founder, n);
    views_init(&n->views, n);
    holdings_init(&n->holdings, n);
    shards_init(&n->shards, n);
    s = service_init(&n->service, n);
    s = s == OK ? links_init(&n->links, n) : s;
    if (s != OK) {
        return error_set(e, s, "out of memory");
    }
    *out_message_id = "MQ-LOG-OPEN";
    s = open_host(n, e);
    if (s == OK) {
        *out_message_id = "MQ-NODE-LISTEN";
        s = listener_open(&n->listener, n, e);
        n->listener_open = true;
    }
    return s;
}

int node_run(struct node *n)
{
    char cluster[UUID_TEXT_SIZE];
    uuid_format(&n->founding.cluster, cluster);
    n->watchdog_ms = notify_watchdog_ms();
    log_info(
        "event=node.started node=%s id=%u site=%s role=%s cluster=%s listen=%s incarnation=%llu "
        "founded=%d version=%s",
        n->self->name, n->self->node, n->self->site, node_role_name(n->self->role), cluster,
        n->config.listen, (unsigned long long)n->data.incarnation, n->data.founded, NODE_VERSION);
    events_add(&n->events, "MQ-EVENT-START", EVENT_BLUE, n->self->name, NULL,
               "started, version %s; start number %llu of this data directory", NODE_VERSION,
               (unsigned long long)n->data.incarnation);
    founder_start(&n->founder);
    notify_send("READY=1\nSTATUS=started");
    loop_run(&n->loop);
    return n->exit_code;
}

void node_close(struct node *n)
{
    if (n->loop_open) {
        if (n->listener_open) {
            listener_stop(&n->listener);
            links_stop(&n->links);
        }
        if (n->host != NULL) {
            host_freeze(n->host);
        }
        for (int i = 0; i < 2000 && executor_threads_pending(n->loop.threads) > 0; i++) {
            uv_run(&n->loop.uv, UV_RUN_NOWAIT);
            uv_sleep(1);
        }
        for (int i = 0; i < 10; i++) {
            uv_run(&n->loop.uv, UV_RUN_NOWAIT);
        }
        if (n->host != NULL && executor_threads_pending(n->loop.threads) == 0) {
            host_close(n->host);
            n->host = NULL;
            shards_deinit(&n->shards);
        }
        loop_deinit(&n->loop);
        service_deinit(&n->service);
        views_deinit(&n->views);
        cluster_config_deinit(&n->cluster_config);
        feed_table_deinit(&n->feeds);
        links_deinit(&n->links);
    }
    tls_context_free(n->tls);
    for (int i = 0; i < TLS_OLD_MAX; i++) {
        tls_context_free(n->tls_old[i]);
    }
    if (n->data_open) {
        data_directory_close(&n->data);
    }
    founding_deinit(&n->founding);
}
