/* Writes to a cluster that is being killed, keeps a ledger of every answer, and compares it with what is there in the end.
 *
 *   ledger --nodes H:P,H:P --ca F --cert F --key F --users U,U [--seconds 120] [--rate 1500] [--workers 96] [--links 10]
 *          [--seed N] [--state FILE] [--least N]
 *
 * Each worker has one write under way, no faster in all than --rate. Two of three are unique keys: one transaction that sets a key
 * never used before and adds one to the worker's tally, sent once and never again. Some of those also add to a number that is
 * missing, and so must be refused as a whole. One of three is an increment of a shared counter in a session of the worker's own:
 * while its outcome is unknown it is sent again, with the same sequence, by the next connection, so to any node.
 * When the time is over all are brought to an end (the cluster must be whole by then), and everything is read:
 *
 *   acknowledged keys are present, once, with their value; refused ones are absent; a key of unknown outcome is there or not,
 *   and each worker's tally is the number of its keys, so none was applied twice
 *   each counter is the sum of its acknowledged increments; its answers, in order, leave no gap: each one added its delta to
 *   the answer before it, so every increment was applied once and answered truly
 *
 * --state FILE is rewritten twice a second, for the script that kills. Exit 0: nothing was violated, and --least writes a second
 * were acknowledged, outages included. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/random.h"
#include "tests/lib/load_client.h"

#define WORKERS_MAX       512
#define USERS_MAX         16
#define COUNTERS_PER_USER 4
#define COUNTERS_MAX      (USERS_MAX * COUNTERS_PER_USER)
#define VALUE_BYTES       100
#define DEADLINE_MS       2000
#define DRAIN_MS          60000
#define VIOLATIONS_SHOWN  20

enum fate { FATE_NONE, FATE_APPLIED, FATE_REFUSED, FATE_UNKNOWN };
enum kind { KIND_SESSION, KIND_KEY, KIND_POISON, KIND_INCREMENT };

struct worker {
    struct client_request request;
    unsigned number, user;
    enum kind kind;
    bool busy, unknown_before; /* this write was sent before, and may be applied */
    unsigned attempts;
    uint64_t wait_until_ms;
    Mq__Token session;
    bool has_session;
    uint64_t writes; /* begun: chooses the kind */
    uint64_t sequence;
    int64_t delta;
    uint8_t *fates; /* of the keys */
    uint32_t keys_n, keys_max;
    uint8_t *found;
    uint64_t found_n;
    int64_t tally;
};

struct increment {
    uint32_t counter;
    int64_t delta, value;
};

struct gap {
    uint64_t last_ms, longest_ms, at_ms;
};

static struct {
    const char *nodes, *ca, *certificate, *key, *state;
    char *users[USERS_MAX];
    unsigned users_n, seconds, workers, links;
    uint64_t rate, seed, least;
} o = {.seconds = 120, .workers = 96, .links = 10, .rate = 1500, .seed = 1};

static struct load load;
static struct random rng;
static struct worker workers[WORKERS_MAX];
static struct increment *increments;
static size_t increments_n, increments_max;
static int64_t counters[COUNTERS_MAX], sums[COUNTERS_MAX];
static uint64_t began_ms, issued, violations, unresolved;
static uint64_t keys_applied, keys_refused, keys_unknown, poison_refused, increments_refused,
    increments_unknown, retries, retries_away;
static uint64_t sessions_opened;
static struct gap gap;
static bool stopping;
static char space[64];
static char leader[NAME_MAX_BYTES + 1];

static void die(const char *what)
{
    fprintf(stderr, "ledger: %s\n", what);
    exit(2);
}

#define violation(...)                         \
    do {                                       \
        if (violations++ < VIOLATIONS_SHOWN) { \
            printf("VIOLATION: " __VA_ARGS__); \
            printf("\n");                      \
        }                                      \
    } while (0)

static uint64_t acknowledged(void)
{
    return keys_applied + increments_n;
}

static unsigned counter_of(const struct worker *w)
{
    return w->user * COUNTERS_PER_USER + w->number / o.users_n % COUNTERS_PER_USER;
}

/* ---- what is written ---- */

static void key_name(const struct worker *w, uint32_t n, char text[32])
{
    snprintf(text, 32, "s%03u-%08u", w->number, n);
}

static void key_value(const struct worker *w, uint32_t n, uint8_t value[VALUE_BYTES])
{
    struct random r;
    random_init_seed(&r, o.seed * 0x9e3779b97f4a7c15u + ((uint64_t)w->number << 32 | n));
    random_fill(&r, value, VALUE_BYTES);
}

static void op_init(Mq__DictOp *op, Mq__DictOp__Kind kind, const struct worker *w, char *key)
{
    mq__dict_op__init(op);
    op->kind = kind;
    op->namespace_ = space;
    op->user = o.users[w->user];
    op->key = (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
}

static void pack_transaction(Mq__DictOp **ops, size_t n, struct buffer *b)
{
    Mq__DictTransaction t = MQ__DICT_TRANSACTION__INIT;
    Mq__Command c = MQ__COMMAND__INIT;
    t.n_ops = n;
    t.ops = ops;
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &t;
    if (load_pack(&c.base, b) != OK) {
        die("out of memory");
    }
}

static void pack_key(const struct worker *w, uint32_t n, bool poison, struct buffer *b)
{
    char key[32], tally[32], missing[32];
    uint8_t value[VALUE_BYTES];
    Mq__DictOp set, add, fail, *ops[3] = {&set, &add, &fail};
    key_name(w, n, key);
    key_value(w, n, value);
    snprintf(tally, sizeof(tally), "n%03u", w->number);
    snprintf(missing, sizeof(missing), "missing-%03u", w->number);
    op_init(&set, MQ__DICT_OP__KIND__SET, w, key);
    set.value = (ProtobufCBinaryData){VALUE_BYTES, value};
    op_init(&add, MQ__DICT_OP__KIND__INCREMENT, w, tally);
    add.delta = 1;
    add.create = true;
    op_init(&fail, MQ__DICT_OP__KIND__INCREMENT, w, missing);
    fail.delta = 1;
    pack_transaction(ops, poison ? 3 : 2, b);
}

static void pack_increment(const struct worker *w, struct buffer *b)
{
    char key[32];
    Mq__DictOp add, *ops[1] = {&add};
    snprintf(key, sizeof(key), "c%03u", counter_of(w));
    op_init(&add, MQ__DICT_OP__KIND__INCREMENT, w, key);
    add.delta = w->delta;
    add.create = true;
    pack_transaction(ops, 1, b);
}

static void pack_session(const struct worker *w, struct buffer *b)
{
    char name[80];
    Mq__SessionOpen open = MQ__SESSION_OPEN__INIT;
    Mq__Command c = MQ__COMMAND__INIT;
    snprintf(name, sizeof(name), "%s/%u", space, w->number);
    open.client = name;
    c.body_case = MQ__COMMAND__BODY_SESSION_OPEN;
    c.session_open = &open;
    if (load_pack(&c.base, b) != OK) {
        die("out of memory");
    }
}

/* ---- the ledger ---- */

static void count_acknowledged(void)
{
    uint64_t now = load_now_ms();
    if (gap.last_ms != 0 && now - gap.last_ms > gap.longest_ms && !stopping) {
        gap.longest_ms = now - gap.last_ms;
        gap.at_ms = gap.last_ms - began_ms;
    }
    gap.last_ms = now;
}

static void note_increment(const struct worker *w, int64_t value)
{
    if (increments_n == increments_max) {
        increments_max = increments_max == 0 ? 65536 : increments_max * 2;
        increments = realloc(increments, increments_max * sizeof(*increments));
        if (increments == NULL) {
            die("out of memory");
        }
    }
    increments[increments_n++] = (struct increment){counter_of(w), w->delta, value};
    count_acknowledged();
}

static void complain(const struct client_request *r, const char *what)
{
    static unsigned shown;
    if (shown++ < 10) {
        printf("%6.1f s: %s: %s %s\n", (double)(load_now_ms() - began_ms) / 1000, what,
               status_text(r->status), r->response != NULL ? r->response->text : "");
    }
}

static void session_done(struct worker *w, const struct client_request *r)
{
    Mq__Result *m = r->outcome == MQ__OUTCOME__OUTCOME_APPLIED
                        ? mq__result__unpack(NULL, r->result.size, r->result.data)
                        : NULL;
    if (m != NULL && m->body_case == MQ__RESULT__BODY_SESSION && m->session->session != NULL) {
        w->session = *m->session->session;
        w->has_session = true;
        w->sequence = 0;
        sessions_opened++;
    } else {
        w->wait_until_ms = load_now_ms() + 50;
    }
    if (m != NULL) {
        mq__result__free_unpacked(m, NULL);
    }
}

static void key_done(struct worker *w, const struct client_request *r)
{
    enum fate fate = r->outcome == MQ__OUTCOME__OUTCOME_APPLIED   ? FATE_APPLIED
                     : r->outcome == MQ__OUTCOME__OUTCOME_REFUSED ? FATE_REFUSED
                                                                  : FATE_UNKNOWN;
    if (fate == FATE_APPLIED && (w->kind == KIND_POISON || r->status != OK)) {
        violation("a transaction that must fail was acknowledged");
    }
    w->fates[w->keys_n - 1] =
        (uint8_t)(w->kind == KIND_POISON && fate == FATE_UNKNOWN ? FATE_REFUSED : fate);
    keys_applied += fate == FATE_APPLIED;
    keys_refused += fate == FATE_REFUSED && w->kind == KIND_KEY;
    poison_refused +=
        fate == FATE_REFUSED && w->kind == KIND_POISON && r->status == STATUS_CONFLICT;
    keys_unknown += fate == FATE_UNKNOWN && w->kind == KIND_KEY;
    if (fate == FATE_APPLIED) {
        count_acknowledged();
    } else if (w->kind == KIND_KEY) {
        complain(r, fate == FATE_REFUSED ? "refused" : "unknown");
        w->wait_until_ms = load_now_ms() + 20;
    }
}

static void increment_done(struct worker *w, const struct client_request *r)
{
    if (r->status == STATUS_NO_SESSION || r->status == STATUS_OLD) {
        violation("a session was lost: worker %u, sequence %llu: %s", w->number,
                  (unsigned long long)w->sequence, status_text(r->status));
        w->has_session = false;
        w->unknown_before = false;
        return;
    }
    if (r->outcome == MQ__OUTCOME__OUTCOME_APPLIED) {
        Mq__Result *m = mq__result__unpack(NULL, r->result.size, r->result.data);
        if (m == NULL || m->body_case != MQ__RESULT__BODY_DICT || m->dict->n_values != 1) {
            violation("the answer of an increment holds no value");
        } else {
            note_increment(w, m->dict->values[0]);
        }
        if (m != NULL) {
            mq__result__free_unpacked(m, NULL);
        }
        increments_unknown += w->unknown_before;
        w->unknown_before = false;
    } else if (r->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN || w->unknown_before) {
        w->unknown_before = true; /* a refused retry says nothing about the attempts before it */
        w->wait_until_ms = load_now_ms() + 20;
    } else {
        increments_refused++;
        complain(r, "refused");
        w->wait_until_ms = load_now_ms() + 20;
    }
}

static void on_done(struct client_request *r)
{
    struct worker *w = container_of(r, struct worker, request);
    w->busy = false;
    if (r->response != NULL && r->response->leader[0] != '\0') {
        snprintf(leader, sizeof(leader), "%s", r->response->leader);
    }
    if (w->kind == KIND_SESSION) {
        session_done(w, r);
    } else if (w->kind == KIND_INCREMENT) {
        increment_done(w, r);
    } else {
        key_done(w, r);
    }
}

/* ---- workers ---- */

static int link_for(const struct worker *w)
{
    for (unsigned i = 0; i < load.links_n; i++) {
        unsigned k = (w->number + w->attempts + i) % load.links_n;
        if (load_ready(&load, k)) {
            return (int)k;
        }
    }
    return -1;
}

static bool begin_key(struct worker *w)
{
    if (w->keys_n == w->keys_max) {
        w->keys_max = w->keys_max == 0 ? 1024 : w->keys_max * 2;
        w->fates = realloc(w->fates, w->keys_max);
        if (w->fates == NULL) {
            die("out of memory");
        }
    }
    w->fates[w->keys_n++] = FATE_NONE;
    return w->keys_n % 16 == 7;
}

/* Chooses what the worker writes next. */
static void begin(struct worker *w)
{
    w->attempts = 0;
    if (!w->has_session) {
        w->kind = KIND_SESSION;
    } else if (w->writes++ % 3 == 0) {
        w->kind = KIND_INCREMENT;
        w->sequence++;
        w->delta = (int64_t)random_below(&rng, 1000) + 1;
        issued++;
    } else {
        w->kind = begin_key(w) ? KIND_POISON : KIND_KEY;
        issued++;
    }
}

static void send_write(struct worker *w, int link)
{
    static struct buffer b;
    buffer_clear(&b);
    mq__request_header__init(&w->request.header);
    w->request.header.op = MQ__OP__OP_SUBMIT;
    w->request.header.user = o.users[w->user];
    if (w->kind == KIND_SESSION) {
        pack_session(w, &b);
    } else if (w->kind == KIND_INCREMENT) {
        pack_increment(w, &b);
        w->request.header.session = &w->session;
        w->request.header.sequence = w->sequence;
    } else {
        pack_key(w, w->keys_n - 1, w->kind == KIND_POISON, &b);
    }
    w->request.payload = (struct bytes){b.data, b.size};
    w->request.deadline_ms = DEADLINE_MS;
    w->request.done = on_done;
    w->attempts++;
    w->busy = load_submit(&load, (unsigned)link, &w->request) == OK;
    if (!w->busy) { /* never left this process */
        w->request.outcome = MQ__OUTCOME__OUTCOME_REFUSED;
        w->request.status = STATUS_CLOSED;
        w->request.response = NULL;
        on_done(&w->request);
    }
}

/* True: it still has something to bring to an end. */
static bool step(struct worker *w, uint64_t now, uint64_t allowed)
{
    if (w->busy) {
        return true;
    }
    bool again = w->unknown_before;
    if (now < w->wait_until_ms || (!again && (stopping || issued >= allowed))) {
        return again;
    }
    int link = link_for(w);
    if (link < 0) {
        return again;
    }
    if (again) {
        retries++;
        retries_away += w->attempts > 1;
    } else {
        begin(w);
    }
    send_write(w, link);
    return true;
}

static void write_state(void)
{
    static uint64_t next_ms;
    char part[512];
    uint64_t now = load_now_ms();
    if (o.state == NULL || now < next_ms) {
        return;
    }
    next_ms = now + 500;
    snprintf(part, sizeof(part), "%s.new", o.state);
    FILE *f = fopen(part, "w");
    if (f != NULL) {
        fprintf(f, "%llu %s %llu %s\n", (unsigned long long)acknowledged(),
                leader[0] != '\0' ? leader : "-", (unsigned long long)(now - began_ms),
                stopping ? "ending" : "writing");
        fclose(f);
        rename(part, o.state);
    }
}

static unsigned turn(uint64_t allowed)
{
    unsigned open = 0;
    uint64_t now = load_now_ms();
    for (unsigned i = 0; i < o.workers; i++) {
        open += step(&workers[i], now, allowed);
    }
    load_turn(&load, 2);
    write_state();
    return open;
}

static void run(void)
{
    began_ms = load_now_ms();
    uint64_t now = began_ms, end = began_ms + o.seconds * 1000u;
    for (; now < end; now = load_now_ms()) {
        turn((now - began_ms) * o.rate / 1000 + 1);
    }
    count_acknowledged(); /* an outage that lasts to the end is one as well */
    stopping = true;
    while (turn(0) > 0 && load_now_ms() < end + DRAIN_MS) {
    }
    for (unsigned i = 0; i < o.workers; i++) {
        unresolved += workers[i].busy || workers[i].unknown_before;
    }
}

/* ---- what is there ---- */

static void see_key(unsigned worker, uint32_t n, const Mq__DictEntry *e)
{
    struct worker *w = &workers[worker];
    uint8_t value[VALUE_BYTES];
    if (worker >= o.workers || n >= w->keys_n) {
        violation("a key that was never written: s%03u-%08u", worker, n);
        return;
    }
    if (w->found[n]) {
        violation("a key was read twice: s%03u-%08u", worker, n);
    }
    w->found[n] = 1;
    w->found_n++;
    key_value(w, n, value);
    if (e->value.len != VALUE_BYTES || memcmp(e->value.data, value, VALUE_BYTES) != 0) {
        violation("another value: s%03u-%08u", worker, n);
    }
}

static void see(const Mq__DictEntry *e)
{
    char key[64], number[32];
    unsigned a = 0, b = 0;
    snprintf(key, sizeof(key), "%.*s", (int)(e->key.len < 60 ? e->key.len : 60),
             (const char *)e->key.data);
    snprintf(number, sizeof(number), "%.*s", (int)(e->value.len < 30 ? e->value.len : 30),
             (const char *)e->value.data);
    if (sscanf(key, "s%3u-%8u", &a, &b) == 2) {
        see_key(a, b, e);
    } else if (sscanf(key, "n%3u", &a) == 1 && a < o.workers) {
        workers[a].tally = strtoll(number, NULL, 10);
    } else if (sscanf(key, "c%3u", &a) == 1 && a < COUNTERS_MAX) {
        counters[a] = strtoll(number, NULL, 10);
    } else {
        violation("a key that was never written: %s", key);
    }
}

/* One page behind `after`; false when the user's entries have ended. Tries again for a minute: reading changes nothing. */
static bool read_page(unsigned user, struct buffer *after)
{
    static struct load_answer a;
    static struct buffer b;
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryDict d = MQ__QUERY_DICT__INIT;
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    d.namespace_ = space;
    d.user = o.users[user];
    d.prefix = true;
    d.limit = 1000;
    d.after = (ProtobufCBinaryData){after->size, after->data};
    q.body_case = MQ__QUERY__BODY_DICT;
    q.dict = &d;
    buffer_clear(&b);
    if (load_pack(&q.base, &b) != OK) {
        die("out of memory");
    }
    h.op = MQ__OP__OP_QUERY;
    h.user = o.users[user];
    Mq__QueryResult *r = NULL;
    for (unsigned try = 0; r == NULL && try < 60; try++) {
        load_call(&load, try % load.links_n, &h, (struct bytes){b.data, b.size}, 10000, &a);
        bool ok = a.outcome == MQ__OUTCOME__OUTCOME_APPLIED && a.status == OK;
        r = ok ? mq__query_result__unpack(NULL, a.result.size, a.result.data) : NULL;
        for (uint64_t end = load_now_ms() + 1000; r == NULL && load_now_ms() < end;) {
            load_turn(&load, 50);
        }
    }
    if (r == NULL) {
        printf("reading failed: %s %s\n", status_text(a.status), a.text);
        exit(1);
    }
    for (size_t i = 0; i < r->n_dict; i++) {
        see(r->dict[i]);
    }
    bool more = r->more && r->n_dict > 0;
    if (more) {
        buffer_clear(after);
        buffer_append(after, r->dict[r->n_dict - 1]->key.data, r->dict[r->n_dict - 1]->key.len);
    }
    mq__query_result__free_unpacked(r, NULL);
    return more;
}

static int compare_increments(const void *a, const void *b)
{
    const struct increment *x = a, *y = b;
    if (x->counter != y->counter) {
        return x->counter < y->counter ? -1 : 1;
    }
    return x->value < y->value ? -1 : x->value > y->value;
}

static void judge_increments(void)
{
    if (increments_n > 0) {
        qsort(increments, increments_n, sizeof(*increments), compare_increments);
    }
    for (size_t i = 0; i < increments_n; i++) {
        const struct increment *x = &increments[i];
        int64_t before =
            i > 0 && increments[i - 1].counter == x->counter ? increments[i - 1].value : 0;
        sums[x->counter] += x->delta;
        if (x->value - before != x->delta) {
            violation("counter %u: %lld was answered after %lld to an increment by %lld",
                      x->counter, (long long)x->value, (long long)before, (long long)x->delta);
        }
    }
    for (unsigned i = 0; i < o.users_n * COUNTERS_PER_USER; i++) {
        if (sums[i] != counters[i]) {
            violation("counter %u holds %lld, acknowledged are %lld", i, (long long)counters[i],
                      (long long)sums[i]);
        }
    }
}

static uint64_t judge_keys(void)
{
    uint64_t present = 0;
    for (unsigned i = 0; i < o.workers; i++) {
        const struct worker *w = &workers[i];
        for (uint32_t n = 0; n < w->keys_n; n++) {
            if (w->fates[n] == FATE_APPLIED && !w->found[n]) {
                violation("LOST: s%03u-%08u was acknowledged and is not there", i, n);
            } else if (w->fates[n] == FATE_REFUSED && w->found[n]) {
                violation("s%03u-%08u was refused and is there", i, n);
            } else if (w->fates[n] == FATE_UNKNOWN) {
                present += w->found[n];
            }
        }
        if (w->tally != (int64_t)w->found_n) {
            violation("worker %u: %llu keys are there, applied were %lld", i,
                      (unsigned long long)w->found_n, (long long)w->tally);
        }
    }
    return present;
}

static void read_all(void)
{
    for (unsigned i = 0; i < o.workers; i++) {
        workers[i].found = calloc(workers[i].keys_n + 1, 1);
        if (workers[i].found == NULL) {
            die("out of memory");
        }
    }
    for (unsigned u = 0; u < o.users_n; u++) {
        struct buffer after = {0};
        while (read_page(u, &after)) {
        }
        buffer_deinit(&after);
    }
}

static int report(void)
{
    uint64_t present = judge_keys();
    judge_increments();
    uint64_t per_second = acknowledged() / o.seconds;
    printf(
        "acknowledged       %8llu   %llu/s averaged over %u s, outages included; longest gap %.2f "
        "s (at %.1f s)\n",
        (unsigned long long)acknowledged(), (unsigned long long)per_second, o.seconds,
        (double)gap.longest_ms / 1000, (double)gap.at_ms / 1000);
    printf(
        "  unique keys      %8llu   refused %llu, unknown %llu: %llu of these are there, %llu are "
        "not\n",
        (unsigned long long)keys_applied, (unsigned long long)keys_refused,
        (unsigned long long)keys_unknown, (unsigned long long)present,
        (unsigned long long)(keys_unknown - present));
    printf(
        "  increments       %8llu   refused %llu, unknown and resolved by a retry %llu (%llu "
        "retries)\n",
        (unsigned long long)increments_n, (unsigned long long)increments_refused,
        (unsigned long long)increments_unknown, (unsigned long long)retries);
    printf("must be refused    %8llu   transactions that fail as a whole; none left a trace\n",
           (unsigned long long)poison_refused);
    printf("connections        %8llu   lost %llu; sessions %llu\n",
           (unsigned long long)load.connects_total, (unsigned long long)load.losses_total,
           (unsigned long long)sessions_opened);
    printf("unresolved         %8llu\nviolations         %8llu\n", (unsigned long long)unresolved,
           (unsigned long long)violations);
    bool enough = per_second >= o.least;
    if (!enough) {
        printf("fewer than %llu writes a second were acknowledged\n", (unsigned long long)o.least);
    }
    return violations == 0 && unresolved == 0 && enough && acknowledged() > 0 ? 0 : 1;
}

static void parse_users(char *list)
{
    char *save = NULL;
    for (char *u = strtok_r(list, ",", &save); u != NULL; u = strtok_r(NULL, ",", &save)) {
        if (o.users_n == USERS_MAX) {
            die("too many users");
        }
        o.users[o.users_n++] = u;
    }
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"nodes", 1, NULL, 'n'}, {"ca", 1, NULL, 'a'},      {"cert", 1, NULL, 'c'},
        {"key", 1, NULL, 'k'},   {"users", 1, NULL, 'u'},   {"seconds", 1, NULL, 's'},
        {"rate", 1, NULL, 'r'},  {"workers", 1, NULL, 'w'}, {"links", 1, NULL, 'l'},
        {"seed", 1, NULL, 'S'},  {"state", 1, NULL, 't'},   {"least", 1, NULL, 'L'},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
            case 'n':
                o.nodes = optarg;
                break;
            case 'a':
                o.ca = optarg;
                break;
            case 'c':
                o.certificate = optarg;
                break;
            case 'k':
                o.key = optarg;
                break;
            case 'u':
                parse_users(optarg);
                break;
            case 's':
                o.seconds = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'r':
                o.rate = strtoull(optarg, NULL, 10);
                break;
            case 'w':
                o.workers = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'l':
                o.links = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'S':
                o.seed = strtoull(optarg, NULL, 10);
                break;
            case 't':
                o.state = optarg;
                break;
            case 'L':
                o.least = strtoull(optarg, NULL, 10);
                break;
            default:
                die("see the top of ledger.c for the options");
        }
    }
    if (o.nodes == NULL || o.ca == NULL || o.certificate == NULL || o.key == NULL ||
        o.users_n == 0 || o.seconds == 0 || o.workers == 0 || o.workers > WORKERS_MAX ||
        o.rate == 0) {
        die("--nodes, --ca, --cert, --key and --users are needed; at most 512 workers");
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(space, sizeof(space), "ledger-%llu", (unsigned long long)o.seed);
    random_init_seed(&rng, o.seed);
    struct error e = {0};
    struct load_options options = {o.nodes, o.ca, o.certificate, o.key, o.links, false};
    if (load_init(&load, &options, &e) != OK) {
        die(e.text);
    }
    for (unsigned i = 0; i < o.workers; i++) {
        workers[i].number = i;
        workers[i].user = i % o.users_n;
    }
    if (!load_wait(&load, 20000)) {
        die(load.links[0].why);
    }
    run();
    for (uint64_t end = load_now_ms() + 3 * DEADLINE_MS; load_now_ms() < end;) {
        load_turn(&load, 100); /* what was unknown is over by now, one way or the other */
    }
    read_all();
    int code = report();
    load_deinit(&load);
    return code;
}
