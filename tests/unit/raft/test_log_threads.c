/* The log with real threads on a real disk: what was answered is there after closing without a
 * word, and fetches that run between the writes read what they should. Under TSan this is the test
 * that loop and jobs share nothing. */
#include <poll.h>

#include "tests/unit/raft/log_rig.h"

static int fds[2];
static uint64_t durable;

static void wake(void *arg)
{
    (void)arg;
    CHECK_EQ(write(fds[1], "x", 1), 1);
}

static void on_durable(void *arg, uint64_t sequence)
{
    (void)arg;
    durable = sequence;
}

static void on_failed(void *arg, enum status s, const char *what)
{
    (void)arg;
    CHECK_FAIL("%s: %s", what, status_name(s));
}

static void turn(struct executor_threads *e)
{
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    char c[256];
    CHECK(poll(&p, 1, 20000) == 1);
    CHECK(read(fds[0], c, sizeof(c)) > 0);
    executor_threads_complete(e);
}

static struct log *open_log(const char *dir, struct executor_threads *e, struct random *random)
{
    struct error error;
    struct log *l;
    struct log_options o = {
        .directory = dir,
        .cluster = {{9}},
        .node = 1,
        .disk = &disk_posix,
        .executor = executor_threads_executor(e),
        .random = random,
        .segment_bytes = 1024 * 1024,
        .cache_bytes = 64 * 1024,
        .reserve_bytes = 1,
        .on_durable = on_durable,
        .on_failed = on_failed,
    };
    if (log_open(&o, &l, &error) != OK) {
        CHECK_FAIL("%s", error.text);
    }
    return l;
}

static void close_log(struct log *l, struct executor_threads *e)
{
    log_kick(l);
    while (!log_idle(l)) {
        turn(e);
    }
    log_close(l);
}

static unsigned fetched;

static void on_fetched(struct log_fetch *f)
{
    CHECK_OK(f->status);
    for (uint32_t i = 0; i < f->n; i++) {
        uint8_t want[2000];
        CHECK_EQ(f->payloads[i]->size, sizeof(want));
        rig_fill(want, sizeof(want), f->shard, f->first + i, 1);
        CHECK_MEM_EQ(f->payloads[i]->data, want, sizeof(want));
        block_unref(f->payloads[i]);
    }
    fetched++;
    free(f);
}

static void start_fetch(struct log *l, uint64_t index)
{
    struct log_fetch *f = calloc(1, sizeof(*f));
    f->shard = 3;
    f->first = index;
    f->n = 4;
    f->done = on_fetched;
    log_fetch_submit(l, f);
}

static void appends_and_fetches_run_side_by_side(void)
{
    char dir[] = "/tmp/test_log.XXXXXX", path[64];
    struct executor_threads *e;
    struct random random;
    random_init_seed(&random, 4);
    CHECK(mkdtemp(dir) != NULL);
    CHECK_EQ(pipe(fds), 0);
    CHECK_OK(executor_threads_new(wake, NULL, &e));
    struct log *l = open_log(dir, e, &random);
    struct log_state s = rig_state(3, 1, 0);
    log_put_state(l, &s);
    uint64_t index = 1, submitted = 0;
    while (index < 4000) {
        for (int i = 0; i < 20; i++, index++) {
            struct log_new_entry ne = {1, ENTRY_COMMAND, block_new(2000)};
            rig_fill(ne.payload->data, 2000, 3, index, 1);
            log_append(l, 3, index, &ne, 1);
            block_unref(ne.payload);
        }
        log_kick(l);
        if (index > 300) {
            start_fetch(l, index - 100 - random_below(&random, 100));
            submitted++;
        }
        if (index % 500 == 1 && index > 1000) {
            s = *log_state_find(l, 3);
            s.snapshot_index = index - 300;
            log_put_state(l, &s);
            log_cut(l, 3, index - 300);
        }
        CHECK(log_has_room(l, 2000));
        turn(e);
    }
    close_log(l, e);
    CHECK_EQ(fetched, submitted);
    CHECK(durable > 4000);
    l = open_log(dir, e, &random);
    CHECK_EQ(log_last_index(l, 3), index - 1);
    CHECK(!log_ever_damaged(l));
    close_log(l, e);
    executor_threads_free(e);
    for (int i = 1; i < 64; i++) {
        snprintf(path, sizeof(path), "%s/%08d.log", dir, i);
        unlink(path);
    }
    CHECK_EQ(rmdir(dir), 0);
}

CHECK_MAIN
{
    RUN(appends_and_fetches_run_side_by_side);
}
