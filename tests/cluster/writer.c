/* A writer of dictionary entries, for demos and proofs that look at a cluster from outside.
 *
 *   writer --nodes H:P,H:P --ca F --cert F --key F --user U [--links 2] [--name N] [--value 200] [--state FILE]
 *          --rate 1000 [--seconds S]      one write each 1/rate s whatever becomes of those before it, until S or SIGTERM
 *          --fill N [--ops 100] [--depth 16]   N entries, in transactions of --ops, as fast as --depth of them under way go
 *
 * One line at the end (key=value, times in ms): acknowledged, refused, unknown, longest gap between two acknowledgements and when it
 * began, fewest acknowledgements in any full second, latencies. With --rate nothing is sent twice; with --fill what is refused or
 * unknown is sent again until it is there. Exit 0: something was acknowledged; with --fill, everything. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/random.h"
#include "tests/lib/load_client.h"

#define SLOTS         4096
#define BUCKET_MS     100
#define BUCKETS_MAX   36000
#define LATENCIES_MAX 4000000

struct slot {
    struct client_request request;
    uint64_t first; /* number of its first entry */
    uint64_t began_us, wait_until_ms;
    bool busy, again;
};

static struct {
    const char *nodes, *ca, *certificate, *key, *user, *name, *state;
    unsigned links, value, ops, depth, deadline_ms;
    uint64_t rate, seconds, fill;
} o = {.links = 2, .value = 200, .ops = 100, .depth = 16, .name = "writer", .deadline_ms = 5000};

static struct load load;
static struct random rng;
static struct slot slots[SLOTS];
static unsigned slots_n;
static uint64_t next_entry, began_us, last_us, gap_us, gap_at_us;
static uint64_t applied, refused, unknown, skipped, again_n;
static uint32_t buckets[BUCKETS_MAX], *latencies;
static size_t latencies_n;
static char first_refusal[200];
static volatile sig_atomic_t ended;

static void die(const char *what)
{
    fprintf(stderr, "writer: %s\n", what);
    exit(2);
}

static void on_signal(int signal)
{
    (void)signal;
    ended = 1;
}

static void note_gap(uint64_t now)
{
    if (now - last_us > gap_us) {
        gap_us = now - last_us;
        gap_at_us = last_us - began_us;
    }
    last_us = now;
}

static void on_done(struct client_request *r)
{
    struct slot *s = container_of(r, struct slot, request);
    uint64_t now = clock_monotonic_us();
    s->busy = false;
    if (r->outcome == MQ__OUTCOME__OUTCOME_APPLIED && r->status == OK) {
        applied++;
        if (!ended) {
            note_gap(now);
        }
        size_t bucket = (size_t)((now - began_us) / 1000 / BUCKET_MS);
        buckets[bucket < BUCKETS_MAX ? bucket : BUCKETS_MAX - 1]++;
        if (latencies_n < LATENCIES_MAX) {
            latencies[latencies_n++] = (uint32_t)(now - s->began_us);
        }
        return;
    }
    refused += r->outcome == MQ__OUTCOME__OUTCOME_REFUSED;
    unknown += r->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN;
    if (first_refusal[0] == '\0') {
        snprintf(first_refusal, sizeof(first_refusal), "%s %.120s", status_name(r->status),
                 r->response != NULL ? r->response->text : "");
    }
    s->again = o.fill > 0;
    s->wait_until_ms = load_now_ms() + 20;
}

static void pack(const struct slot *s, unsigned ops_n, struct buffer *b)
{
    static Mq__DictOp ops[1000], *pointers[1000];
    static char keys[1000][40];
    static uint8_t values[1000][4096];
    Mq__DictTransaction t = MQ__DICT_TRANSACTION__INIT;
    Mq__Command c = MQ__COMMAND__INIT;
    union {
        const char *in;
        char *out;
    } name = {.in = o.name}, user = {.in = o.user};
    for (unsigned i = 0; i < ops_n; i++) {
        mq__dict_op__init(&ops[i]);
        snprintf(keys[i], sizeof(keys[i]), "%032llu", (unsigned long long)(s->first + i));
        random_fill(&rng, values[i], o.value);
        ops[i].kind = MQ__DICT_OP__KIND__SET;
        ops[i].namespace_ = name.out;
        ops[i].user = user.out;
        ops[i].key = (ProtobufCBinaryData){strlen(keys[i]), (uint8_t *)keys[i]};
        ops[i].value = (ProtobufCBinaryData){o.value, values[i]};
        pointers[i] = &ops[i];
    }
    t.n_ops = ops_n;
    t.ops = pointers;
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &t;
    buffer_clear(b);
    if (load_pack(&c.base, b) != OK) {
        die("out of memory");
    }
}

static bool send_slot(struct slot *s)
{
    static struct buffer b;
    static unsigned turn_of;
    union {
        const char *in;
        char *out;
    } user = {.in = o.user};
    unsigned link = 0, tried = 0;
    for (; tried < load.links_n && !load_ready(&load, link = turn_of % load.links_n); tried++) {
        turn_of++;
    }
    if (tried == load.links_n) {
        return false;
    }
    turn_of++;
    unsigned ops_n = o.fill == 0                 ? 1
                     : o.fill - s->first < o.ops ? (unsigned)(o.fill - s->first)
                                                 : o.ops;
    pack(s, ops_n, &b);
    mq__request_header__init(&s->request.header);
    s->request.header.op = MQ__OP__OP_SUBMIT;
    s->request.header.user = user.out;
    s->request.payload = (struct bytes){b.data, b.size};
    s->request.deadline_ms = o.fill > 0 ? 20000 : o.deadline_ms;
    s->request.done = on_done;
    s->began_us = clock_monotonic_us();
    s->busy = load_submit(&load, link, &s->request) == OK;
    s->again = !s->busy && o.fill > 0;
    return s->busy;
}

static struct slot *slot_free(void)
{
    static unsigned at;
    for (unsigned i = 0; i < slots_n; i++) {
        struct slot *s = &slots[(at + i) % slots_n];
        if (!s->busy && !s->again) {
            at = (at + i + 1) % slots_n;
            return s;
        }
    }
    return NULL;
}

static void write_state(void)
{
    static uint64_t next_ms;
    char part[512];
    uint64_t now = load_now_ms();
    if (o.state == NULL || now < next_ms) {
        return;
    }
    next_ms = now + 100;
    snprintf(part, sizeof(part), "%s.new", o.state);
    FILE *f = fopen(part, "w");
    if (f != NULL) {
        fprintf(f, "%llu %llu\n", (unsigned long long)applied, (unsigned long long)next_entry);
        fclose(f);
        rename(part, o.state);
    }
}

/* One write a tick of the clock; what there was no room for is counted, not made up for. */
static void run_rate(void)
{
    uint64_t sent = 0, end = o.seconds > 0 ? began_us + o.seconds * 1000000 : UINT64_MAX;
    for (uint64_t now = began_us; now < end && !ended; now = clock_monotonic_us()) {
        uint64_t due = (now - began_us) * o.rate / 1000000;
        for (; sent < due; sent++) {
            struct slot *s = slot_free();
            if (s != NULL) {
                s->first = next_entry++;
            }
            skipped += s == NULL || !send_slot(s);
        }
        load_turn(&load, 1);
        write_state();
    }
    note_gap(clock_monotonic_us());
    ended = 1;
}

static void run_fill(void)
{
    for (;;) {
        unsigned open = 0;
        uint64_t now = load_now_ms();
        for (unsigned i = 0; i < slots_n; i++) {
            struct slot *s = &slots[i];
            if (!s->busy && !s->again && next_entry < o.fill) {
                s->first = next_entry;
                next_entry += o.ops;
                send_slot(s);
            } else if (s->again && now >= s->wait_until_ms) {
                again_n++;
                send_slot(s);
            }
            open += s->busy || s->again;
        }
        if (open == 0 || ended) {
            return;
        }
        load_turn(&load, 5);
        write_state();
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t slowest_second(uint64_t ms)
{
    uint64_t least = UINT64_MAX, sum = 0;
    size_t n = (size_t)(ms / BUCKET_MS);
    for (size_t i = 0; i < n && i < BUCKETS_MAX; i++) {
        sum += buckets[i];
        sum -= i >= 10 ? buckets[i - 10] : 0;
        if (i >= 9 && sum < least) {
            least = sum;
        }
    }
    return least == UINT64_MAX ? applied : least;
}

static int report(void)
{
    uint64_t ms = (clock_monotonic_us() - began_us) / 1000;
    uint64_t slowest = slowest_second(ms);
    ended = 1;
    for (int i = 0; i < 600 && o.rate > 0; i++) { /* late answers still count as what they are */
        unsigned open = 0;
        for (unsigned k = 0; k < slots_n; k++) {
            open += slots[k].busy;
        }
        if (open == 0) {
            break;
        }
        load_turn(&load, 10);
    }
    qsort(latencies, latencies_n, sizeof(*latencies), compare);
    printf(
        "acknowledged=%llu seconds=%.2f per_second=%.0f slowest_second=%llu refused=%llu "
        "unknown=%llu skipped=%llu resent=%llu "
        "gap_ms=%.1f gap_at_ms=%llu p50_ms=%.2f p99_ms=%.2f entries=%llu%s%s\n",
        (unsigned long long)applied, (double)ms / 1000,
        (double)applied * 1000 / (double)(ms > 0 ? ms : 1), (unsigned long long)slowest,
        (unsigned long long)refused, (unsigned long long)unknown, (unsigned long long)skipped,
        (unsigned long long)again_n, (double)gap_us / 1000, (unsigned long long)(gap_at_us / 1000),
        latencies_n > 0 ? latencies[latencies_n / 2] / 1000.0 : 0,
        latencies_n > 0 ? latencies[latencies_n - 1 - latencies_n / 100] / 1000.0 : 0,
        (unsigned long long)(o.fill > 0 ? o.fill : applied),
        first_refusal[0] != '\0' ? " first_refusal=" : "", first_refusal);
    bool filled = o.fill == 0 || (applied * o.ops >= o.fill && next_entry >= o.fill);
    return applied > 0 && filled ? 0 : 1;
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"nodes", 1, NULL, 'n'},   {"ca", 1, NULL, 'a'},    {"cert", 1, NULL, 'c'},
        {"key", 1, NULL, 'k'},     {"user", 1, NULL, 'u'},  {"links", 1, NULL, 'l'},
        {"name", 1, NULL, 'N'},    {"value", 1, NULL, 'v'}, {"rate", 1, NULL, 'r'},
        {"seconds", 1, NULL, 's'}, {"fill", 1, NULL, 'f'},  {"ops", 1, NULL, 'o'},
        {"depth", 1, NULL, 'd'},   {"state", 1, NULL, 't'}, {"deadline", 1, NULL, 'D'},
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
                o.user = optarg;
                break;
            case 'N':
                o.name = optarg;
                break;
            case 't':
                o.state = optarg;
                break;
            case 'l':
                o.links = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'v':
                o.value = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'o':
                o.ops = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'd':
                o.depth = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'D':
                o.deadline_ms = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'r':
                o.rate = strtoull(optarg, NULL, 10);
                break;
            case 's':
                o.seconds = strtoull(optarg, NULL, 10);
                break;
            case 'f':
                o.fill = strtoull(optarg, NULL, 10);
                break;
            default:
                die("see the top of writer.c for the options");
        }
    }
    bool named =
        o.nodes != NULL && o.ca != NULL && o.certificate != NULL && o.key != NULL && o.user != NULL;
    if (!named || (o.rate > 0) == (o.fill > 0) || o.value > 4096 || o.ops == 0 || o.ops > 1000 ||
        o.depth == 0 || o.depth > SLOTS) {
        die("--nodes, --ca, --cert, --key, --user and either --rate or --fill are needed");
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    random_init_seed(&rng, clock_monotonic_us());
    latencies = malloc(sizeof(*latencies) * LATENCIES_MAX);
    slots_n = o.fill > 0 ? o.depth : SLOTS;
    struct error e = {0};
    struct load_options options = {o.nodes, o.ca, o.certificate, o.key, o.links, false};
    if (latencies == NULL || load_init(&load, &options, &e) != OK) {
        die(e.text);
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (!load_wait(&load, 20000)) {
        die(load.links[0].why);
    }
    began_us = last_us = clock_monotonic_us();
    if (o.fill > 0) {
        run_fill();
    } else {
        run_rate();
    }
    int code = report();
    load_deinit(&load);
    return code;
}
