/* Any query to a store that holds something of everything. An answer is one of those that query.h lists, can be read, and is no
 * larger than a page; nothing is written, so all inputs ask the same store.
 *
 *   input: u8 kind: even: a query built along its descriptor (message_source.h) and the next one behind it; odd: the bytes as they are */
#include "tests/fuzz/store_of_everything.h"

/* A row may be the last that still fits, and a host's queues are never parted. */
#define ANSWER_BYTES_LIMIT (4u << 20)

static struct source source;
static struct rig rig;

/* What only its store has, a tombstone, keys that are listed by prefix, one that ends in its hash, a setting, closed items. */
static void fill_more(void)
{
    char key[500];
    CHECK_OK(rig_lease(&rig, "ada", "s1", "feed", 600000));
    struct report *p = report_new(&rig, "ada", "s1", 1, 5, 9);
    report_message(p, 9, 0, 100);
    report_message(p, 10, 1, 100);
    report_vanished(p, 2, 3);
    CHECK_OK(report_run(&rig, p));
    p = report_new(&rig, "ada", "s1", 2, 0, 9);
    for (uint32_t uid = 1; uid <= 30; uid++) {
        report_message(p, uid, uid % 32, uid);
    }
    CHECK_OK(report_run(&rig, p));
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        CHECK_OK(rig_set(&rig, i % 2 == 0 ? "ada" : "", key, "value"));
    }
    memset(key, 'x', sizeof(key) - 1);
    key[sizeof(key) - 1] = 0;
    CHECK_OK(rig_set(&rig, "ada", key, "long"));
    CHECK_OK(rig_lease(&rig, QUEUE_HOST, QUEUE_INSTANCE, "feed", 600000));
    CHECK_OK(event_run(&rig, "4jYk1", 150, EVENT(SENT), "x@a.test"));
    CHECK_OK(event_run(&rig, "4jYk1", 151, EVENT(REMOVED), ""));
    rig_commit(&rig);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    CHECK_EQ(setenv("TMPDIR", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", 0), 0);
    arena_init(&source.arena);
    rig_open(&rig, SHARD_DIRECTORY);
    everything_fill(&rig, &source);
    fill_more();
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    if (rig.store != NULL) {
        rig_close(&rig);
        arena_deinit(&source.arena);
    }
}

static void ask(struct bytes query)
{
    struct buffer out;
    uint8_t *exact = malloc(query.size + 1); /* one byte too far is seen */
    CHECK(exact != NULL);
    exact = realloc(exact, query.size > 0 ? query.size : 1);
    if (query.size > 0) {
        memcpy(exact, query.data, query.size);
    }
    buffer_init(&out, 0);
    enum status s = query_run(rig.store, (struct bytes){exact, query.size}, &out);
    CHECK(s == OK || s == STATUS_MALFORMED || s == STATUS_INVALID || s == STATUS_NOT_FOUND ||
          s == STATUS_MOVED || s == STATUS_RESYNC || s == STATUS_TOO_BIG || s == STATUS_OLD);
    CHECK(out.size <= ANSWER_BYTES_LIMIT);
    if (out.size > 0) {
        Mq__QueryResult *r = mq__query_result__unpack(NULL, out.size, out.data);
        CHECK(r != NULL);
        CHECK(r->n_messages <= QUERY_ROWS_MAX && r->n_changes <= QUERY_ROWS_MAX &&
              r->n_dict <= QUERY_ROWS_MAX && r->n_users <= QUERY_ROWS_MAX &&
              r->n_mailboxes <= QUERY_ROWS_MAX && r->n_cursors <= QUERY_ROWS_MAX);
        mq__query_result__free_unpacked(r, NULL);
    }
    buffer_deinit(&out);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    source.at = in;
    source.end = in + size;
    if (source_byte(&source) % 2 == 1) {
        ask((struct bytes){source.at, (size_t)(source.end - source.at)});
        return 0;
    }
    do {
        ask(source_encoded(&source, &mq__query__descriptor));
    } while (source.at < source.end);
    return 0;
}
