/* Threads for jobs. Submission appends to the lane's queue under its mutex; a thread takes one job, runs it,
 * and puts it on the finished list; wake() is called only when that list was empty, so a busy loop is woken
 * once for many completions. */
#include "base/executor.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/must.h"

#define THREADS_MAX 6

struct lane_queue {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct list jobs;
    bool stop;
};

struct executor_threads {
    struct executor executor;
    struct lane_queue lanes[LANE_COUNT];
    pthread_t threads[THREADS_MAX];
    unsigned threads_n;
    pthread_mutex_t finished_mutex;
    struct list finished;
    unsigned pending; /* loop only */
    void (*wake)(void *arg);
    void *wake_arg;
};

struct thread_arg {
    struct executor_threads *e;
    struct lane_queue *queue;
};

static void finish(struct executor_threads *e, struct job *j)
{
    pthread_mutex_lock(&e->finished_mutex);
    bool was_empty = list_empty(&e->finished);
    list_push_back(&e->finished, &j->link);
    pthread_mutex_unlock(&e->finished_mutex);
    if (was_empty) {
        e->wake(e->wake_arg);
    }
}

static void *thread_main(void *p)
{
    struct thread_arg *arg = p;
    struct lane_queue *q = arg->queue;
    struct executor_threads *e = arg->e;
    free(arg);
    for (;;) {
        pthread_mutex_lock(&q->mutex);
        while (list_empty(&q->jobs) && !q->stop) {
            pthread_cond_wait(&q->cond, &q->mutex);
        }
        struct list *n = list_pop(&q->jobs);
        pthread_mutex_unlock(&q->mutex);
        if (n == NULL) {
            return NULL;
        }
        struct job *j = container_of(n, struct job, link);
        j->work(j);
        finish(e, j);
    }
}

static void threads_submit(struct executor *executor, enum lane lane, struct job *j)
{
    struct executor_threads *e = container_of(executor, struct executor_threads, executor);
    struct lane_queue *q = &e->lanes[lane];
    j->lane = lane;
    e->pending++;
    pthread_mutex_lock(&q->mutex);
    list_push_back(&q->jobs, &j->link);
    pthread_cond_signal(&q->cond);
    pthread_mutex_unlock(&q->mutex);
}

static const struct executor_ops threads_ops = {threads_submit};

static enum status start_thread(struct executor_threads *e, enum lane lane)
{
    struct thread_arg *arg = malloc(sizeof(*arg));
    if (arg == NULL) {
        return STATUS_NO_MEMORY;
    }
    *arg = (struct thread_arg){e, &e->lanes[lane]};
    /* Signals belong to the loop's thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rv = pthread_create(&e->threads[e->threads_n], NULL, thread_main, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rv != 0) {
        free(arg);
        return STATUS_NO_MEMORY;
    }
    e->threads_n++;
    return OK;
}

enum status executor_threads_new(void (*wake)(void *arg), void *arg,
                                 struct executor_threads **out_e)
{
    struct executor_threads *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return STATUS_NO_MEMORY;
    }
    e->executor.ops = &threads_ops;
    e->wake = wake;
    e->wake_arg = arg;
    pthread_mutex_init(&e->finished_mutex, NULL);
    list_init(&e->finished);
    for (int i = 0; i < LANE_COUNT; i++) {
        pthread_mutex_init(&e->lanes[i].mutex, NULL);
        pthread_cond_init(&e->lanes[i].cond, NULL);
        list_init(&e->lanes[i].jobs);
    }
    enum status s = OK;
    for (int i = 0; i < LANE_COUNT && s == OK; i++) {
        s = start_thread(e, (enum lane)i);
        if (s == OK && i == LANE_READ) {
            s = start_thread(e, LANE_READ);
        }
    }
    if (s != OK) {
        executor_threads_free(e);
        return s;
    }
    *out_e = e;
    return OK;
}

struct executor *executor_threads_executor(struct executor_threads *e)
{
    return &e->executor;
}

void executor_threads_complete(struct executor_threads *e)
{
    struct list done;
    list_init(&done);
    pthread_mutex_lock(&e->finished_mutex);
    list_splice(&done, &e->finished);
    pthread_mutex_unlock(&e->finished_mutex);
    for (struct list *n = list_pop(&done); n != NULL; n = list_pop(&done)) {
        struct job *j = container_of(n, struct job, link);
        must(e->pending > 0);
        e->pending--;
        j->done(j);
    }
}

unsigned executor_threads_pending(struct executor_threads *e)
{
    return e->pending;
}

void executor_threads_free(struct executor_threads *e)
{
    if (e == NULL) {
        return;
    }
    for (int i = 0; i < LANE_COUNT; i++) {
        pthread_mutex_lock(&e->lanes[i].mutex);
        e->lanes[i].stop = true;
        pthread_cond_broadcast(&e->lanes[i].cond);
        pthread_mutex_unlock(&e->lanes[i].mutex);
    }
    for (unsigned i = 0; i < e->threads_n; i++) {
        pthread_join(e->threads[i], NULL);
    }
    free(e);
}

static void inline_submit(struct executor *executor, enum lane lane, struct job *j)
{
    struct executor_inline *e = container_of(executor, struct executor_inline, executor);
    j->lane = lane;
    list_push_back(&e->queue, &j->link);
}

static const struct executor_ops inline_ops = {inline_submit};

void executor_inline_init(struct executor_inline *e)
{
    e->executor.ops = &inline_ops;
    list_init(&e->queue);
}

void executor_inline_drain(struct executor_inline *e)
{
    for (struct list *n = list_pop(&e->queue); n != NULL; n = list_pop(&e->queue)) {
        struct job *j = container_of(n, struct job, link);
        j->work(j);
        j->done(j);
    }
}
