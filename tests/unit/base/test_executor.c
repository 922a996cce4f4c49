/* Jobs of a lane run in order, completions come on the loop, and never from inside submit. */
#include "base/executor.h"

#include <poll.h>
#include <pthread.h>

#include "tests/lib/check.h"

#define JOBS 500

struct test_job {
    struct job job;
    int number;
    int *done_n;
    pthread_t worker;
};

static int ran[LANE_COUNT];
static int pipe_fds[2];

static void wake(void *arg)
{
    (void)arg;
    CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
}

static void work(struct job *j)
{
    struct test_job *t = container_of(j, struct test_job, job);
    t->worker = pthread_self();
    if (j->lane != LANE_READ) { /* that one has two threads */
        CHECK_EQ(t->number, ran[j->lane]);
    }
    __atomic_add_fetch(&ran[j->lane], 1, __ATOMIC_RELAXED);
}

static void done(struct job *j)
{
    struct test_job *t = container_of(j, struct test_job, job);
    CHECK(!pthread_equal(t->worker, pthread_self()));
    (*t->done_n)++;
}

static void threads_run_each_lane_in_order_and_complete_on_the_loop(void)
{
    struct executor_threads *e;
    static struct test_job jobs[LANE_COUNT][JOBS];
    int done_n = 0;
    CHECK_EQ(pipe(pipe_fds), 0);
    CHECK_OK(executor_threads_new(wake, NULL, &e));
    for (int i = 0; i < JOBS; i++) {
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            jobs[lane][i] = (struct test_job){
                .job = {.work = work, .done = done}, .number = i, .done_n = &done_n};
            executor_submit(executor_threads_executor(e), (enum lane)lane, &jobs[lane][i].job);
        }
    }
    CHECK_EQ(done_n, 0); /* nothing completes by itself */
    CHECK_EQ(executor_threads_pending(e), JOBS * LANE_COUNT);
    while (executor_threads_pending(e) > 0) {
        struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};
        char c[64];
        CHECK(poll(&p, 1, 10000) == 1);
        CHECK(read(pipe_fds[0], c, sizeof(c)) > 0);
        executor_threads_complete(e);
    }
    CHECK_EQ(done_n, JOBS * LANE_COUNT);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        CHECK_EQ(ran[lane], JOBS);
    }
    executor_threads_free(e);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void threads_that_never_worked_end(void)
{
    struct executor_threads *e;
    CHECK_OK(executor_threads_new(wake, NULL, &e));
    CHECK_EQ(executor_threads_pending(e), 0);
    executor_threads_complete(e);
    executor_threads_free(e);
    executor_threads_free(NULL);
}

static char order[16];

static void note_step(char step)
{
    size_t n = strlen(order);
    CHECK(n + 1 < sizeof(order));
    order[n] = step;
    order[n + 1] = '\0';
}

static void note_work(struct job *j)
{
    note_step(j->lane == LANE_LOG ? 'w' : 'W');
}

static struct executor_inline inline_executor;

static void note_done(struct job *j)
{
    note_step(j->lane == LANE_LOG ? 'd' : 'D');
    if (j->lane == LANE_LOG) { /* a job may be submitted again from its done */
        executor_submit(&inline_executor.executor, LANE_APPLY, j);
    }
}

static void the_inline_executor_runs_nothing_before_it_is_drained(void)
{
    struct job a = {.work = note_work, .done = note_done}, b = a;
    executor_inline_init(&inline_executor);
    executor_submit(&inline_executor.executor, LANE_LOG, &a);
    executor_submit(&inline_executor.executor, LANE_APPLY, &b);
    CHECK_STR_EQ(order, "");
    executor_inline_drain(&inline_executor);
    CHECK_STR_EQ(order, "wdWDWD");
}

CHECK_MAIN
{
    RUN(threads_run_each_lane_in_order_and_complete_on_the_loop);
    RUN(threads_that_never_worked_end);
    RUN(the_inline_executor_runs_nothing_before_it_is_drained);
}
