/* Closed-loop load on a running cluster, through the product's own client engine: one command a frame, over a few mTLS connections.
 *
 *   bench_load --node HOST:PORT --ca F --cert F --key F --op report|dict|get --clients 256 --connections 4 --seconds 5
 *              [--warm 1] [--mailboxes 256] [--keys 100000] [--value 256] [--tag T] [--pids 1,2,3]
 *
 * report: each client reports one new message a command, into any mailbox of its connection; each mailbox belongs to one connection,
 * so that its reports arrive in order. dict: SET of a random 32-byte key. Values are incompressible.
 * One line: rate, p50, p99, errors, and the CPU of the servers and of this client per operation. The users bench00 to bench15 must
 * have been assigned; their leases are taken here. */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/client.h"
#include "proto/command.pb-c.h"

#define CLIENTS_MAX     2000
#define CONNECTIONS_MAX 64
#define MAILBOXES_MAX   4096
#define USERS           16
#define LATENCIES_MAX   4000000

struct link {
    int fd;
    struct client client;
};

struct worker {
    struct client_request request;
    struct link *link;
    uint32_t link_number;
    uint32_t mailbox;
    uint64_t began_us;
};

struct mailbox {
    uint64_t modseq;
    uint32_t uidnext;
    uint8_t guid[16];
};

static const char *o_node, *o_ca, *o_cert, *o_key, *o_op = "report", *o_tag = "", *o_pids = "";
static int o_clients = 256, o_connections = 4, o_seconds = 5, o_warm = 1, o_mailboxes = 256,
           o_keys = 100000, o_value = 256;
static struct link links[CONNECTIONS_MAX];
static struct worker workers[CLIENTS_MAX];
static struct mailbox mailboxes[MAILBOXES_MAX];
static Mq__Token *leases[USERS];
static uint32_t *latencies;
static uint64_t latencies_n, errors, completed;
static bool measuring, stopping;
static int running;
static struct random rng;
static char first_error[300];

static void die(const char *what)
{
    fprintf(stderr, "bench_load: %s\n", what);
    exit(1);
}

static int dial(const char *node)
{
    char host[128];
    const char *colon = strrchr(node, ':');
    if (colon == NULL || (size_t)(colon - node) >= sizeof(host)) {
        die("--node takes HOST:PORT");
    }
    memcpy(host, node, (size_t)(colon - node));
    host[colon - node] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    if (getaddrinfo(host, colon + 1, &hints, &a) != 0) {
        die("can't resolve the node");
    }
    int fd = socket(a->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        die("can't connect to the node");
    }
    freeaddrinfo(a);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void pump(int timeout_ms)
{
    struct pollfd p[CONNECTIONS_MAX];
    static uint8_t data[256 * 1024];
    for (int i = 0; i < o_connections; i++) {
        struct bytes out = client_output(&links[i].client);
        if (out.size > 0) { /* try at once: most often it fits */
            ssize_t n = send(links[i].fd, out.data, out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n > 0) {
                client_written(&links[i].client, (size_t)n);
            }
        }
        out = client_output(&links[i].client);
        p[i] = (struct pollfd){links[i].fd, (short)(POLLIN | (out.size > 0 ? POLLOUT : 0)), 0};
    }
    if (poll(p, (nfds_t)o_connections, timeout_ms) <= 0) {
        return;
    }
    uint64_t now = clock_monotonic_ms(&clock_system);
    for (int i = 0; i < o_connections; i++) {
        if ((p[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) {
            continue;
        }
        ssize_t n = recv(links[i].fd, data, sizeof(data), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            die("the node closed the connection");
        }
        if (n > 0 && client_receive(&links[i].client, now, data, (size_t)n) != OK) {
            die(links[i].client.error_text);
        }
    }
}

/* ---- one call at a time, for the set-up ---- */

static void on_call(struct client_request *r)
{
    struct buffer *b = r->arg;
    buffer_append(b, r->result.data, r->result.size);
    r->arg = NULL;
}

static enum status call(struct client_request *r, struct buffer *result)
{
    buffer_clear(result);
    r->done = on_call;
    r->arg = result;
    if (client_submit(&links[0].client, clock_monotonic_ms(&clock_system), r) != OK) {
        die("can't submit");
    }
    while (r->arg != NULL) {
        pump(100);
        client_tick(&links[0].client, clock_monotonic_ms(&clock_system));
    }
    return r->outcome == MQ__OUTCOME__OUTCOME_APPLIED ? r->status : STATUS_INTERNAL;
}

static void pack_command(const Mq__Command *c, struct buffer *b)
{
    uint8_t *at;
    size_t size = mq__command__get_packed_size(c);
    buffer_clear(b);
    if (buffer_reserve(b, size, &at) != OK) {
        die("out of memory");
    }
    b->size = mq__command__pack(c, at);
}

static void user_name(int i, char name[16])
{
    snprintf(name, 16, "bench%02d", i);
}

static void acquire(int user)
{
    char name[16];
    user_name(user, name);
    Mq__LeaseAcquire a = MQ__LEASE_ACQUIRE__INIT;
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_LEASE_ACQUIRE;
    c.lease_acquire = &a;
    a.user = name;
    a.store = "bench";
    a.holder = "bench";
    a.ttl_ms = 600000;
    struct buffer b = {0}, result = {0};
    pack_command(&c, &b);
    struct client_request r = {0};
    mq__request_header__init(&r.header);
    r.header.op = MQ__OP__OP_SUBMIT;
    r.header.user = name;
    r.payload = (struct bytes){b.data, b.size};
    enum status s = call(&r, &result);
    Mq__Result *m = mq__result__unpack(NULL, result.size, result.data);
    if (s != OK || m == NULL || m->body_case != MQ__RESULT__BODY_LEASE) {
        fprintf(stderr, "bench_load: lease of %s: %s\n", name, status_text(r.status));
        exit(1);
    }
    leases[user] = malloc(sizeof(Mq__Token));
    *leases[user] = *m->lease->token;
    mq__result__free_unpacked(m, NULL);
    buffer_deinit(&b);
    buffer_deinit(&result);
}

/* ---- the load ---- */

static void submit(struct worker *w);

static void on_done(struct client_request *r)
{
    struct worker *w = container_of(r, struct worker, request);
    uint64_t took = clock_monotonic_us() - w->began_us;
    if (r->outcome != MQ__OUTCOME__OUTCOME_APPLIED || r->status != OK) {
        if (errors++ == 0) {
            snprintf(first_error, sizeof(first_error), "%s: %s", status_text(r->status),
                     r->response != NULL && r->response->text != NULL ? r->response->text : "");
        }
    } else if (measuring) {
        completed++;
        if (latencies_n < LATENCIES_MAX) {
            latencies[latencies_n++] = (uint32_t)(took < UINT32_MAX ? took : UINT32_MAX);
        }
    }
    if (stopping) {
        running--;
        return;
    }
    submit(w);
}

/* Six bits of chance a character. */
static void fill_text(char *text, size_t size, size_t capacity)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size = size < capacity ? size : capacity - 1;
    random_fill(&rng, text, size);
    for (size_t i = 0; i < size; i++) {
        text[i] = letters[(unsigned char)text[i] % 64];
    }
    text[size] = '\0';
}

static size_t encode_report(struct worker *w, uint8_t *out, size_t size, char user[16])
{
    struct mailbox *m = &mailboxes[w->mailbox];
    char name[32];
    uint8_t guid[32], hash[64];
    char keyword[200], *keywords[1] = {keyword};
    int u = (int)(w->mailbox % USERS);
    user_name(u, user);
    snprintf(name, sizeof(name), "box%04u", w->mailbox);
    random_fill(&rng, guid, sizeof(guid));
    random_fill(&rng, hash, sizeof(hash));
    fill_text(keyword, (size_t)o_value > 96 ? (size_t)o_value - 96 : 1,
              sizeof(keyword)); /* --value bytes in all */
    Mq__Message message = MQ__MESSAGE__INIT;
    message.uid = m->uidnext;
    message.guid = (ProtobufCBinaryData){sizeof(guid), guid};
    message.modseq = m->modseq + 1;
    message.internal_date = 1700000000;
    message.size = 4096;
    message.body_hash = (ProtobufCBinaryData){sizeof(hash), hash};
    message.n_keywords = 1;
    message.keywords = keywords;
    Mq__Message *messages[1] = {&message};
    Mq__Report report = MQ__REPORT__INIT;
    report.user = user;
    report.store = "bench";
    report.lease = leases[u];
    report.mailbox = (ProtobufCBinaryData){16, m->guid};
    report.name = name;
    report.uidvalidity = 1;
    report.uidnext = m->uidnext + 1;
    report.highestmodseq = m->modseq + 1;
    report.from_modseq = m->modseq;
    report.to_modseq = m->modseq + 1;
    report.first_uid = 1; /* the only page of its range */
    report.last_uid = m->uidnext;
    report.last = 1;
    report.n_messages = 1;
    report.messages = messages;
    m->uidnext++;
    m->modseq++;
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_REPORT;
    c.report = &report;
    return mq__command__get_packed_size(&c) <= size ? mq__command__pack(&c, out) : 0;
}

static size_t encode_dict(uint8_t *out, size_t size, char user[16])
{
    uint8_t value[4096];
    char key[40];
    size_t value_size = (size_t)o_value < sizeof(value) ? (size_t)o_value : sizeof(value);
    uint64_t k = random_below(&rng, (uint64_t)o_keys);
    user_name((int)(k % USERS), user);
    snprintf(key, sizeof(key), "%032llx", (unsigned long long)(k * 0x9e3779b97f4a7c15u));
    random_fill(&rng, value, value_size);
    Mq__DictOp op = MQ__DICT_OP__INIT;
    op.kind = MQ__DICT_OP__KIND__SET;
    op.namespace_ = "bench";
    op.user = user;
    op.key = (ProtobufCBinaryData){32, (uint8_t *)key};
    op.value = (ProtobufCBinaryData){value_size, value};
    Mq__DictOp *ops[1] = {&op};
    Mq__DictTransaction t = MQ__DICT_TRANSACTION__INIT;
    t.n_ops = 1;
    t.ops = ops;
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &t;
    return mq__command__get_packed_size(&c) <= size ? mq__command__pack(&c, out) : 0;
}

static size_t encode_get(uint8_t *out, size_t size, char user[16])
{
    char key[40];
    uint64_t k = random_below(&rng, (uint64_t)o_keys);
    user_name((int)(k % USERS), user);
    snprintf(key, sizeof(key), "%032llx", (unsigned long long)(k * 0x9e3779b97f4a7c15u));
    Mq__QueryDict d = MQ__QUERY_DICT__INIT;
    d.namespace_ = "bench";
    d.user = user;
    d.key = (ProtobufCBinaryData){32, (uint8_t *)key};
    d.limit = 1;
    Mq__Query q = MQ__QUERY__INIT;
    q.body_case = MQ__QUERY__BODY_DICT;
    q.dict = &d;
    return mq__query__get_packed_size(&q) <= size ? mq__query__pack(&q, out) : 0;
}

static void submit(struct worker *w)
{
    uint8_t out[8192];
    char user[16];
    bool get = strcmp(o_op, "get") == 0;
    uint32_t of_link = ((uint32_t)o_mailboxes - w->link_number + (uint32_t)o_connections - 1) /
                       (uint32_t)o_connections;
    w->mailbox = w->link_number + (uint32_t)random_below(&rng, of_link) * (uint32_t)o_connections;
    size_t size = strcmp(o_op, "report") == 0 ? encode_report(w, out, sizeof(out), user)
                  : get                       ? encode_get(out, sizeof(out), user)
                                              : encode_dict(out, sizeof(out), user);
    mq__request_header__init(&w->request.header);
    w->request.header.op = get ? MQ__OP__OP_QUERY : MQ__OP__OP_SUBMIT;
    w->request.header.user = user;
    w->request.payload = (struct bytes){out, size};
    w->request.deadline_ms = 20000;
    w->request.done = on_done;
    w->began_us = clock_monotonic_us();
    if (client_submit(&w->link->client, w->began_us / 1000, &w->request) != OK) {
        die("can't submit");
    }
}

static double cpu_of_pids(void)
{
    double total = 0;
    char list[256];
    snprintf(list, sizeof(list), "%s", o_pids);
    char *save = NULL;
    for (char *p = strtok_r(list, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
        char path[64];
        unsigned long user = 0, system = 0;
        snprintf(path, sizeof(path), "/proc/%s/stat", p);
        FILE *f = fopen(path, "r");
        if (f != NULL) {
            if (fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                       &system) == 2) {
                total += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
            }
            fclose(f);
        }
    }
    return total;
}

static double cpu_own(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void run(int ms)
{
    uint64_t end = clock_monotonic_ms(&clock_system) + (uint64_t)ms;
    while (clock_monotonic_ms(&clock_system) < end) {
        pump(10);
    }
}

static void measure(void)
{
    for (int i = 0; i < o_clients; i++) {
        workers[i].link_number = (uint32_t)(i % o_connections);
        workers[i].link = &links[workers[i].link_number];
        running++;
        submit(&workers[i]);
    }
    run(o_warm * 1000);
    double servers = cpu_of_pids(), own = cpu_own();
    uint64_t began = clock_monotonic_us();
    measuring = true;
    run(o_seconds * 1000);
    measuring = false;
    double seconds = (double)(clock_monotonic_us() - began) / 1e6;
    servers = cpu_of_pids() - servers;
    own = cpu_own() - own;
    stopping = true;
    for (int i = 0; i < 2000 && running > 0; i++) {
        pump(10);
    }
    qsort(latencies, latencies_n, sizeof(*latencies), compare);
    double n = completed > 0 ? (double)completed : 1;
    printf(
        "%s op %s clients %d rate %.0f p50ms %.2f p99ms %.2f srvcpu_us/op %.1f clicpu_us/op %.1f "
        "errs %llu%s%s\n",
        o_tag, o_op, o_clients, (double)completed / seconds,
        latencies_n > 0 ? latencies[latencies_n / 2] / 1000.0 : 0,
        latencies_n > 0 ? latencies[latencies_n - 1 - latencies_n / 100] / 1000.0 : 0,
        servers * 1e6 / n, own * 1e6 / n, (unsigned long long)errors, errors > 0 ? " first: " : "",
        first_error);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"node", 1, NULL, 'n'},        {"ca", 1, NULL, 'a'},      {"cert", 1, NULL, 'c'},
        {"key", 1, NULL, 'k'},         {"op", 1, NULL, 'o'},      {"clients", 1, NULL, 'C'},
        {"connections", 1, NULL, 'N'}, {"seconds", 1, NULL, 's'}, {"warm", 1, NULL, 'w'},
        {"mailboxes", 1, NULL, 'm'},   {"keys", 1, NULL, 'K'},    {"value", 1, NULL, 'v'},
        {"tag", 1, NULL, 't'},         {"pids", 1, NULL, 'p'},    {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
            case 'n':
                o_node = optarg;
                break;
            case 'a':
                o_ca = optarg;
                break;
            case 'c':
                o_cert = optarg;
                break;
            case 'k':
                o_key = optarg;
                break;
            case 'o':
                o_op = optarg;
                break;
            case 'C':
                o_clients = (int)strtol(optarg, NULL, 10);
                break;
            case 'N':
                o_connections = (int)strtol(optarg, NULL, 10);
                break;
            case 's':
                o_seconds = (int)strtol(optarg, NULL, 10);
                break;
            case 'w':
                o_warm = (int)strtol(optarg, NULL, 10);
                break;
            case 'm':
                o_mailboxes = (int)strtol(optarg, NULL, 10);
                break;
            case 'K':
                o_keys = (int)strtol(optarg, NULL, 10);
                break;
            case 'v':
                o_value = (int)strtol(optarg, NULL, 10);
                break;
            case 't':
                o_tag = optarg;
                break;
            case 'p':
                o_pids = optarg;
                break;
            default:
                die("see the top of bench_load.c for the options");
        }
    }
    bool sane = o_node != NULL && o_ca != NULL && o_cert != NULL && o_key != NULL &&
                o_clients > 0 && o_clients <= CLIENTS_MAX && o_connections > 0 &&
                o_connections <= CONNECTIONS_MAX && o_mailboxes >= o_connections &&
                o_mailboxes <= MAILBOXES_MAX && o_keys > 0;
    if (!sane) {
        die("--node, --ca, --cert and --key are needed; at most 2,000 clients, 64 connections, "
            "4,096 mailboxes and no fewer than connections");
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    random_init_seed(&rng, clock_monotonic_us());
    latencies = malloc(sizeof(*latencies) * LATENCIES_MAX);
    struct tls_context *context;
    struct error e = {0};
    if (latencies == NULL || tls_context_new(o_ca, o_cert, o_key, &context, &e) != OK) {
        die(e.text);
    }
    for (int i = 0; i < o_connections; i++) {
        links[i].fd = dial(o_node);
        if (client_init(&links[i].client, context, NULL) != OK) {
            die("can't start a client");
        }
        client_connected(&links[i].client, clock_monotonic_ms(&clock_system));
    }
    for (int u = 0; u < USERS; u++) {
        acquire(u);
    }
    for (int m = 0; m < o_mailboxes;
         m++) { /* new mailboxes each run: their cursors start at nothing */
        random_fill(&rng, mailboxes[m].guid, 16);
        mailboxes[m].uidnext = 1;
    }
    measure();
    return errors > 0 ? 1 : 0;
}
