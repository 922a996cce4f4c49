/* One connection at a time, one request at a time. connect(2) and everything after it is non-blocking under one deadline; names are
 * looked up with getaddrinfo, which blocks as long as the resolver likes. */
#include "ctl/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "ctl/round.h"
#include "ctl/screen.h"
#include "ctl/topology.h"

#define ATTEMPT_MS_MAX \
    3000 /* of a call that may be repeated: a node that hangs must not use up the time */
#define READ_BYTES  (256u * 1024u)
#define TARGETS_MAX (OPTION_LIST_MAX + 1)

struct target {
    char name[NAME_MAX_BYTES + 1]; /* empty = not known: any node of the cluster */
    char host[160];                /* empty = unix socket */
    char port[8];
    char path[108];
};

struct caller {
    struct tls_context *tls;
    struct uuid cluster_expected, cluster_seen;
    struct target targets[TARGETS_MAX];
    unsigned targets_n;
    unsigned now; /* the present target */
    int fd;       /* -1 = not connected */
    struct client client;
    bool client_open;
    uint8_t *read_buffer;
    FILE *log;
};

struct waiting { /* a request in flight */
    struct client_request r;
    struct call_answer *answer;
    bool done;
};

uint64_t caller_now_ms(void)
{
    return clock_monotonic_ms(&clock_system);
}

void call_answer_clear(struct call_answer *a)
{
    free(a->payload);
    memset(a, 0, sizeof(*a));
}

static void say(struct caller *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct caller *c, const char *format, ...)
{
    va_list args;
    char line[ERROR_TEXT_MAX + 400];
    if (c->log == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    text_clean(line);
    (void)fprintf(c->log, "%s\n", line);
}

/* ---- targets ---- */

static enum status target_add(struct caller *c, const char *text, const char *name, struct error *e)
{
    struct target *t = &c->targets[c->targets_n];
    if (c->targets_n == TARGETS_MAX) {
        return error_set(e, STATUS_TOO_BIG, "more than %d nodes", TARGETS_MAX);
    }
    memset(t, 0, sizeof(*t));
    snprintf(t->name, sizeof(t->name), "%s", name);
    if (strncmp(text, "unix:", 5) == 0) {
        if (strlen(text + 5) == 0 || strlen(text + 5) >= sizeof(t->path)) {
            return error_set(e, STATUS_INVALID, "%s: the socket's path must have 1 to %zu bytes",
                             text, sizeof(t->path) - 1);
        }
        snprintf(t->path, sizeof(t->path), "%s", text + 5);
    } else if (!address_split(text, t->host, sizeof(t->host), t->port, sizeof(t->port))) {
        return error_set(
            e, STATUS_INVALID,
            "%s is not host:port (IPv6: [address]:port), unix:PATH or a node of the configuration",
            text);
    }
    c->targets_n++;
    return OK;
}

/* "NAME@HOST:PORT" of the configuration; or the one called `wanted`. */
static enum status targets_of_config(struct caller *c, const struct ctl_config *config,
                                     const char *wanted, struct error *e)
{
    unsigned before = c->targets_n;
    for (unsigned i = 0; i < config->nodes.n; i++) {
        const char *text = config->nodes.items[i];
        const char *at = strchr(text, '@');
        char name[NAME_MAX_BYTES + 1] = "";
        if (at == NULL || (size_t)(at - text) >= sizeof(name)) {
            return error_set(e, STATUS_INVALID, "[cluster] node = %s: it is NAME@HOST:PORT", text);
        }
        memcpy(name, text, (size_t)(at - text));
        if (wanted == NULL || strcmp(wanted, name) == 0) {
            enum status s = target_add(c, at + 1, name, e);
            if (s != OK) {
                return s;
            }
        }
    }
    return wanted != NULL && c->targets_n == before ? STATUS_NOT_FOUND : OK;
}

static enum status targets_find(struct caller *c, const struct ctl_config *config,
                                const struct options *o, struct error *e)
{
    for (unsigned i = 0; i < o->nodes.n; i++) {
        enum status s = targets_of_config(c, config, o->nodes.items[i], e);
        if (s == STATUS_NOT_FOUND) {
            s = target_add(c, o->nodes.items[i], "", e);
        }
        if (s != OK) {
            return s;
        }
    }
    if (o->nodes.n > 0) {
        return OK;
    }
    if (config->socket[0] != '\0' && (o->local || config->nodes.n == 0)) {
        char text[128];
        snprintf(text, sizeof(text), "unix:%s", config->socket);
        return target_add(c, text, "", e);
    }
    return targets_of_config(c, config, NULL, e);
}

static bool all_unix(const struct caller *c)
{
    for (unsigned i = 0; i < c->targets_n; i++) {
        if (c->targets[i].host[0] != '\0') {
            return false;
        }
    }
    return true;
}

enum status caller_open(const struct ctl_config *config, const struct options *options, FILE *log,
                        struct caller **out_c, struct error *e)
{
    struct caller *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    c->fd = -1;
    c->log = log;
    c->cluster_expected = config->cluster_id;
    c->read_buffer = malloc(READ_BYTES);
    enum status s = c->read_buffer != NULL ? targets_find(c, config, options, e) : STATUS_NO_MEMORY;
    if (s == OK && !all_unix(c)) {
        s = config->ca[0] != '\0' && config->certificate[0] != '\0' && config->key[0] != '\0'
                ? tls_context_new(config->ca, config->certificate, config->key, &c->tls, e)
                : error_set(
                      e, STATUS_INVALID,
                      "[tls] ca, certificate and key must be configured to ask a node over TCP");
    }
    if (s != OK) {
        caller_close(c);
        return s;
    }
    *out_c = c;
    return OK;
}

static void disconnect(struct caller *c, const char *why)
{
    if (c->client_open) {
        client_disconnected(&c->client, why);
        client_deinit(&c->client);
        c->client_open = false;
    }
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

void caller_close(struct caller *c)
{
    if (c != NULL) {
        disconnect(c, "closed");
        tls_context_free(c->tls);
        free(c->read_buffer);
        free(c);
    }
}

unsigned caller_nodes_n(const struct caller *c)
{
    return c->targets_n;
}

const struct tls_identity *caller_identity(const struct caller *c)
{
    return c->tls != NULL ? tls_context_identity(c->tls) : NULL;
}

struct uuid caller_cluster(const struct caller *c)
{
    return c->cluster_seen;
}

unsigned caller_present(const struct caller *c)
{
    return c->now;
}

void caller_turn_to(struct caller *c, unsigned node)
{
    if (node != c->now) {
        disconnect(c, "going on to another node");
        c->now = node % c->targets_n;
    }
}

/* ---- connecting ---- */

static const char *target_text(const struct target *t, char text[300])
{
    if (t->path[0] != '\0') {
        snprintf(text, 300, "unix:%s", t->path);
    } else {
        snprintf(text, 300, "%s%s%s:%s", t->name, t->name[0] != '\0' ? "@" : "", t->host, t->port);
    }
    return text;
}

static bool wait_for(int fd, short events, uint64_t until_ms)
{
    uint64_t now = caller_now_ms();
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t left = until_ms > now ? until_ms - now : 0;
    return poll(&p, 1, left > 60000 ? 60000 : (int)left) > 0;
}

/* Connected or -1 with errno. */
static int dial(int family, const struct sockaddr *address, socklen_t size, uint64_t until_ms)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;
    socklen_t error_size = sizeof(error);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, address, size) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            if (wait_for(fd, POLLOUT, until_ms)) {
                (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
            }
        }
    }
    if (error != 0) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

struct lookup {
    struct gaicb request;
    struct addrinfo hints;
    struct target target; /* the thread that looks it up may outlive the caller's */
};

static int lookup_wait(struct gaicb *one, uint64_t until_ms)
{
    const struct gaicb *waiting = one;
    uint64_t now = caller_now_ms();
    while (gai_error(one) == EAI_INPROGRESS && now < until_ms) {
        struct timespec left = {.tv_sec = (time_t)((until_ms - now) / 1000),
                                .tv_nsec = (long)((until_ms - now) % 1000) * 1000000};
        (void)gai_suspend(&waiting, 1, &left);
        now = caller_now_ms();
    }
    return gai_error(one);
}

/* For freeaddrinfo; NULL and why. A thread does it: a name server that does not answer costs no more than a node that does not. */
static struct addrinfo *look_up(const struct target *t, uint64_t until_ms, const char **out_why)
{
    struct addrinfo number = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (getaddrinfo(t->host, t->port, &number, &found) == 0) {
        return found;
    }
    struct lookup *l = calloc(1, sizeof(*l));
    struct gaicb *one = l != NULL ? &l->request : NULL;
    if (l == NULL) {
        *out_why = "out of memory";
        return NULL;
    }
    l->target = *t;
    l->hints.ai_socktype = SOCK_STREAM;
    l->request.ar_name = l->target.host;
    l->request.ar_service = l->target.port;
    l->request.ar_request = &l->hints;
    int rc = getaddrinfo_a(GAI_NOWAIT, &one, 1, NULL);
    rc = rc == 0 ? lookup_wait(one, until_ms) : rc;
    if (rc == EAI_INPROGRESS && gai_cancel(one) != EAI_CANCELED) {
        *out_why = "its name was not found in time";
        return NULL; /* the thread keeps the lookup */
    }
    found = rc == 0 ? l->request.ar_result : NULL;
    *out_why = rc == 0 ? NULL : gai_strerror(rc);
    free(l);
    return found;
}

static int dial_target(const struct target *t, uint64_t until_ms, const char **out_why)
{
    if (t->path[0] != '\0') {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", t->path);
        int fd = dial(AF_UNIX, (const struct sockaddr *)&un, sizeof(un), until_ms);
        *out_why = fd < 0 ? strerror(errno) : NULL;
        return fd;
    }
    struct addrinfo *found = look_up(t, until_ms, out_why);
    int fd = -1;
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = dial(a->ai_family, a->ai_addr, a->ai_addrlen, until_ms);
        *out_why = fd < 0 ? strerror(errno) : NULL;
    }
    if (found != NULL) {
        freeaddrinfo(found);
    }
    if (fd >= 0) {
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return fd;
}

enum status caller_dial(struct caller *c, const char *node, const char *address, uint64_t until_ms,
                        int *out_fd, struct tls_context **out_tls, struct error *e)
{
    struct target given = {.path = ""};
    const struct target *t = NULL;
    const char *why = NULL;
    char text[300];
    uint64_t most = caller_now_ms() + CALLER_CONNECT_MS_MAX;
    for (unsigned i = 0; i < c->targets_n; i++) {
        if (c->targets[i].host[0] != '\0' && strcmp(c->targets[i].name, node) == 0) {
            t = &c->targets[i];
        }
    }
    if (t == NULL &&
        address_split(address, given.host, sizeof(given.host), given.port, sizeof(given.port))) {
        snprintf(given.name, sizeof(given.name), "%s", node);
        t = &given;
    }
    if (t == NULL || c->tls == NULL) {
        return error_set(e, STATUS_INVALID,
                         "node %s must be asked over TCP: a [cluster] node and [tls] ca, "
                         "certificate and key must be configured",
                         node);
    }
    say(c, "asking %s for a copy", target_text(t, text));
    *out_fd = dial_target(t, most < until_ms ? most : until_ms, &why);
    *out_tls = c->tls;
    return *out_fd >= 0 ? OK
                        : error_set(e, STATUS_UNREACHABLE, "%s: %s", target_text(t, text),
                                    why != NULL ? why : "no address");
}

/* Writes and reads what there is, waiting until `until_ms` at most. Any status but OK: the connection is of no more use. */
static enum status turn(struct caller *c, uint64_t until_ms)
{
    struct bytes out = client_output(&c->client);
    uint64_t due = client_deadline_ms(&c->client);
    (void)wait_for(c->fd, (short)(out.size > 0 ? POLLIN | POLLOUT : POLLIN),
                   due < until_ms ? due : until_ms);
    if (out.size > 0) {
        ssize_t n = send(c->fd, out.data, out.size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return STATUS_CLOSED;
        }
        client_written(&c->client, n > 0 ? (size_t)n : 0);
    }
    ssize_t n = recv(c->fd, c->read_buffer, READ_BYTES, 0);
    uint64_t now = caller_now_ms();
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        return STATUS_CLOSED;
    }
    enum status s = n > 0 ? client_receive(&c->client, now, c->read_buffer, (size_t)n) : OK;
    client_tick(&c->client, now);
    return s;
}

/* After a failure the alert may still be waiting to be sent, or to be read: it says why. */
static void last_words(struct caller *c)
{
    struct bytes out = client_output(&c->client);
    if (out.size > 0) {
        (void)send(c->fd, out.data, out.size, MSG_NOSIGNAL);
    }
}

static enum status connect_now(struct caller *c, uint64_t deadline_at_ms, struct error *e)
{
    const struct target *t = &c->targets[c->now];
    char text[300];
    const char *why = NULL;
    uint64_t until = caller_now_ms() + CALLER_CONNECT_MS_MAX;
    until = until < deadline_at_ms ? until : deadline_at_ms;
    say(c, "asking %s", target_text(t, text));
    c->fd = dial_target(t, until, &why);
    if (c->fd < 0) {
        return error_set(e, STATUS_UNREACHABLE, "%s: %s", target_text(t, text),
                         why != NULL ? why : "no address");
    }
    c->client_open = true;
    enum status s =
        client_init(&c->client, t->path[0] != '\0' ? NULL : c->tls, &c->cluster_expected);
    if (s == OK) {
        client_connected(&c->client, caller_now_ms());
    }
    while (s == OK && !client_ready(&c->client)) {
        s = caller_now_ms() >= until ? STATUS_TIMEOUT : turn(c, until);
    }
    if (s == OK && t->name[0] != '\0' && c->client.tls != NULL &&
        strcmp(tls_peer(c->client.tls)->name, t->name) != 0) {
        s = error_set(e, STATUS_WRONG_NODE, "%s: node %s answers there", target_text(t, text),
                      tls_peer(c->client.tls)->name);
        disconnect(c, "another node");
        return s;
    }
    if (s != OK) {
        last_words(c);
        (void)error_set(e, s == STATUS_CLOSED || s == STATUS_TIMEOUT ? STATUS_UNREACHABLE : s,
                        "%s: %s", target_text(t, text),
                        c->client.error_text[0] != '\0' ? c->client.error_text
                        : s == STATUS_TIMEOUT           ? "no answer in time"
                                              : "the connection was closed before the greeting");
        disconnect(c, "no greeting");
        return s == STATUS_CLOSED || s == STATUS_TIMEOUT ? STATUS_UNREACHABLE : s;
    }
    c->cluster_seen = c->client.cluster;
    return OK;
}

/* ---- calling ---- */

static void on_done(struct client_request *r)
{
    struct waiting *w = r->arg;
    struct call_answer *a = w->answer;
    w->done = true;
    a->outcome = r->outcome;
    a->status = r->status;
    if (r->response == NULL) {
        return;
    }
    snprintf(a->text, sizeof(a->text), "%s", r->response->text);
    snprintf(a->message_id, sizeof(a->message_id), "%s", r->response->message_id);
    snprintf(a->leader, sizeof(a->leader), "%s", r->response->leader);
    snprintf(a->durability, sizeof(a->durability), "%s", r->response->durability);
    a->shard = r->response->shard;
    a->epoch = r->response->epoch;
    a->index = r->response->index;
    a->term = r->response->term;
    a->age_ms = r->response->age_ms;
    a->payload = malloc(r->result.size > 0 ? r->result.size : 1);
    if (a->payload == NULL) {
        a->outcome = MQ__OUTCOME__OUTCOME_UNKNOWN;
        a->status = STATUS_NO_MEMORY;
        return;
    }
    if (r->result.size > 0) {
        memcpy(a->payload, r->result.data, r->result.size);
    }
    a->payload_size = r->result.size;
}

/* One attempt at the present node. OK: the answer is there, whatever it says. */
static enum status attempt(struct caller *c, const Mq__RequestHeader *header, struct bytes payload,
                           uint64_t deadline_at_ms, struct call_answer *out_answer, struct error *e)
{
    struct waiting w = {.answer = out_answer};
    enum status s = c->client_open ? OK : connect_now(c, deadline_at_ms, e);
    if (s != OK) {
        return s;
    }
    uint64_t now = caller_now_ms();
    w.r.header = *header;
    w.r.payload = payload;
    w.r.deadline_ms = deadline_at_ms > now ? (uint32_t)(deadline_at_ms - now) : 1;
    w.r.done = on_done;
    w.r.arg = &w;
    s = client_submit(&c->client, now, &w.r);
    if (s != OK) {
        disconnect(c, "request refused here");
        return error_set(e, s, "%s", status_text(s));
    }
    snprintf(out_answer->node, sizeof(out_answer->node), "%s", c->client.server_node);
    while (!w.done && s == OK) {
        s = turn(c, deadline_at_ms);
    }
    if (s != OK) {
        disconnect(c, c->client.error_text[0] != '\0'
                          ? c->client.error_text
                          : "the connection was lost"); /* completes w */
    }
    return OK;
}

static bool follow(struct caller *c, const char *leader)
{
    for (unsigned i = 0; leader[0] != '\0' && i < c->targets_n; i++) {
        if (i != c->now && strcmp(c->targets[i].name, leader) == 0) {
            disconnect(c, "following the leader");
            c->now = i;
            return true;
        }
    }
    return false;
}

static bool passing(enum status s)
{
    return s == STATUS_TIMEOUT || s == STATUS_NOT_LEADER || s == STATUS_NO_LEADER ||
           s == STATUS_BUSY || s == STATUS_OVERLOAD || s == STATUS_CLOSED || s == STATUS_FULL ||
           s == STATUS_NO_QUORUM || s == STATUS_CANCELED;
}

/* A refusal after an attempt whose outcome is unknown: only what apply itself says settles it, for a session gives the first
 * attempt's answer again. */
static bool settles(enum status s)
{
    return s == STATUS_CONFLICT || s == STATUS_NOT_FOUND;
}

/* What an answer asks for: true = once more. */
static bool again(struct caller *c, const struct call_answer *a, unsigned flags)
{
    if (a->outcome == MQ__OUTCOME__OUTCOME_APPLIED || (flags & CALL_THIS_NODE) != 0) {
        return false;
    }
    if (a->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN ? (flags & CALL_REPEAT) == 0
                                                   : !passing(a->status)) {
        return false;
    }
    say(c, "%s answers %s (%s)%s%s", a->node, status_name(a->status), a->text,
        a->leader[0] != '\0' ? ", leader: " : "", a->leader);
    return true;
}

static void pause_ms(uint64_t ms, uint64_t deadline_at_ms)
{
    uint64_t now = caller_now_ms();
    uint64_t left = deadline_at_ms > now ? deadline_at_ms - now : 0;
    (void)poll(NULL, 0, (int)(ms < left ? ms : left));
}

/* What the attempts so far have shown. */
struct calling {
    struct call_answer kept; /* the last refusal: what is told when nothing better comes */
    bool has_kept;
    bool maybe; /* one attempt may yet be carried out */
    struct error
        why; /* the failure that helps most: a refusal of our certificate beats a node that is only down */
    enum status worst;
    unsigned failures;
};

static void keep(struct calling *k, struct call_answer *a)
{
    k->maybe = k->maybe || a->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN;
    if (!k->has_kept || a->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN ||
        k->kept.status == STATUS_TIMEOUT ||
        (a->status != STATUS_TIMEOUT && a->status != STATUS_CLOSED)) {
        call_answer_clear(&k->kept);
        k->kept = *a;
        k->has_kept = true;
    } else {
        call_answer_clear(a);
    }
}

static enum status conclude(struct caller *c, struct calling *k, struct call_answer *out_answer,
                            struct error *e)
{
    if (k->has_kept) {
        if (k->maybe && !settles(k->kept.status)) {
            k->kept.outcome = MQ__OUTCOME__OUTCOME_UNKNOWN;
        }
        call_answer_clear(out_answer);
        *out_answer = k->kept;
        return OK;
    }
    if (c->targets_n == 1) {
        return error_set(e, k->worst, "%s", k->why.text);
    }
    return error_set(e, k->worst, "none of %u nodes answers; %s", c->targets_n, k->why.text);
}

static void go_on(struct caller *c)
{
    disconnect(c, "going on to the next node");
    c->now = (c->now + 1) % c->targets_n;
}

static void failed(struct caller *c, struct calling *k, enum status s, const struct error *now)
{
    say(c, "%s", now->text);
    if (k->why.text[0] == '\0' || (k->worst == STATUS_UNREACHABLE && s != STATUS_UNREACHABLE)) {
        k->why = *now;
        k->worst = s;
    }
    k->failures++;
    go_on(c);
}

static uint64_t attempt_until(const struct caller *c, unsigned flags, uint64_t deadline_at_ms)
{
    uint64_t now = caller_now_ms(), until = round_until_ms(now, deadline_at_ms, c->targets_n);
    if ((flags & CALL_REPEAT) == 0 || c->targets_n == 1) {
        return deadline_at_ms;
    }
    return until < now + ATTEMPT_MS_MAX ? until : now + ATTEMPT_MS_MAX;
}

enum status caller_call(struct caller *c, Mq__RequestHeader *header, struct bytes payload,
                        unsigned flags, uint64_t deadline_at_ms, struct call_answer *out_answer,
                        struct error *e)
{
    struct calling k = {.worst = STATUS_UNREACHABLE};
    uint64_t began_ms = caller_now_ms();
    for (;;) {
        struct error now = {0};
        struct call_answer a = {0};
        enum status s =
            attempt(c, header, payload, attempt_until(c, flags, deadline_at_ms), &a, &now);
        bool late = round_late(began_ms, caller_now_ms(), deadline_at_ms);
        if (s == OK && a.outcome == MQ__OUTCOME__OUTCOME_APPLIED) {
            call_answer_clear(&k.kept);
            call_answer_clear(out_answer);
            *out_answer = a;
            return OK;
        }
        if (s == OK) {
            bool more = again(c, &a, flags) && !late;
            bool followed = more && follow(c, a.leader);
            keep(&k, &a);
            if (!more) {
                return conclude(c, &k, out_answer, e);
            }
            if (!followed) {
                go_on(c);
                pause_ms(CALLER_PAUSE_MS, deadline_at_ms);
            }
            continue;
        }
        failed(c, &k, s, &now);
        bool tired =
            k.failures >= 2 * c->targets_n && header->op != MQ__OP__OP_SUBMIT && !k.has_kept;
        if ((flags & CALL_THIS_NODE) != 0 || late || tired) {
            return conclude(c, &k, out_answer, e);
        }
        if (k.failures % c->targets_n == 0) {
            pause_ms(CALLER_PAUSE_MS, deadline_at_ms);
        }
    }
}
