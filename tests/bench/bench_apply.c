/* What apply costs on one core: one-message reports over 256 mailboxes, and random dictionary sets of 32 + 256 bytes.
 *
 *     bench_apply [COMMANDS] [COMMANDS A COMMIT] [MAILBOXES]
 *
 * One command an entry, prepared beforehand, a commit each so many, a checkpoint each 32 MB of freed or allocated
 * pages (its sync included). Prints commands a second and microseconds a command. */
#include "tests/unit/storage/store_rig.h"

#include <time.h>

#define CHECKPOINT_BYTES (32u << 20)
#define MAP_BYTES        (64ull << 30)

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_answer(void *arg, uint64_t index, uint32_t ordinal, enum status s,
                      struct block *payload)
{
    (void)arg;
    (void)index;
    (void)ordinal;
    CHECK_OK(s);
    block_unref(payload);
}

static void feed(struct rig *r, struct block **log, size_t n, size_t per_commit, const char *what)
{
    struct store_sink sink = {on_answer, NULL};
    double wall = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double applying = 0;
    unsigned checkpoints = 0;
    for (size_t i = 0; i < n;) {
        double begin = seconds(CLOCK_MONOTONIC);
        for (size_t j = 0; j < per_commit && i < n; j++, i++) {
            struct store_entry e = {++r->index, 1, log[i]};
            CHECK_OK(store_apply(r->store, &e, 1, &sink, NULL));
        }
        applying += seconds(CLOCK_MONOTONIC) - begin;
        struct store_due due;
        CHECK_OK(store_commit(r->store, &due));
        if (due.dirty_bytes > CHECKPOINT_BYTES) {
            rig_checkpoint(r);
            checkpoints++;
        }
    }
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf(
        "%s: %.0f/s, %.2f us wall and %.2f us CPU each, %.2f us of it in apply (%zu commands, a "
        "commit each %zu, "
        "%u checkpoints)\n",
        what, (double)n / wall, wall * 1e6 / (double)n, cpu * 1e6 / (double)n,
        applying * 1e6 / (double)n, n, per_commit, checkpoints);
    for (size_t i = 0; i < n; i++) {
        block_unref(log[i]);
    }
}

static struct block *one_report(struct rig *r, uint32_t mailbox, uint32_t uid)
{
    struct report *p = report_new(r, "ada", "store", 1, uid, uid + 1);
    put_le32(p->guid, mailbox);
    p->c.from_modseq = uid == 1 ? 0 : uid;
    report_message(p, uid, 0, 4000 + uid);
    put_le32(p->guids[0] + 4, mailbox);
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_REPORT;
    c.report = &p->c;
    Mq__Command *list[1] = {&c};
    struct block *b = rig_batch(r, list, 1);
    free(p);
    return b;
}

static struct block *one_set(struct rig *r, struct random *random)
{
    uint8_t key[32];
    uint8_t value[256];
    char space[] = "bench";
    char user[] = "";
    random_fill(random, key, sizeof(key));
    random_fill(random, value, sizeof(value));
    Mq__DictOp op = MQ__DICT_OP__INIT;
    op.namespace_ = space;
    op.user = user;
    op.key = (ProtobufCBinaryData){sizeof(key), key};
    op.value = (ProtobufCBinaryData){sizeof(value), value};
    Mq__DictOp *ops[1] = {&op};
    RIG_COMMAND(c, DICT, dict, Mq__DictTransaction, MQ__DICT_TRANSACTION__INIT);
    c_dict.n_ops = 1;
    c_dict.ops = ops;
    Mq__Command *list[1] = {&c};
    return rig_batch(r, list, 1);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    size_t per_commit = argc > 2 ? strtoul(argv[2], NULL, 10) : 100;
    uint32_t mailboxes = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 256;
    struct random random;
    struct rig r;
    struct block **log = calloc(n, sizeof(*log));
    random_init_seed(&random, 7);
    rig_open(&r, 1);
    r.options.map_bytes = MAP_BYTES;
    rig_restart(&r);
    CHECK_OK(rig_owner(&r, "ada"));
    CHECK_OK(rig_lease(&r, "ada", "store", "bench", 600000));
    for (size_t i = 0; i < n; i++) {
        log[i] = one_report(&r, (uint32_t)(i % mailboxes), (uint32_t)(i / mailboxes) + 1);
    }
    feed(&r, log, n, per_commit, "reports");
    for (size_t i = 0; i < n; i++) {
        log[i] = one_set(&r, &random);
    }
    feed(&r, log, n, per_commit, "random sets");
    free(log);
    rig_close(&r);
    return 0;
}
