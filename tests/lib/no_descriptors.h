/* A process that has no descriptor left, and gets some back after a while.
 *
 *     struct no_descriptors n;
 *     no_descriptors_begin(&n, 50);       a thread gives all back after 50 ms; 0 = only at the end
 *     ... what needs a descriptor ...
 *     no_descriptors_end(&n); */
#ifndef MQ_TESTS_NO_DESCRIPTORS_H
#define MQ_TESTS_NO_DESCRIPTORS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"

#define NO_DESCRIPTORS_LIMIT 256

struct no_descriptors {
    struct rlimit before;
    int held[NO_DESCRIPTORS_LIMIT];
    unsigned held_n;
    unsigned after_ms;
    pthread_t thread;
};

static void *no_descriptors_give(void *arg)
{
    struct no_descriptors *n = arg;
    const struct timespec pause = {.tv_nsec = n->after_ms * 1000000L};
    nanosleep(&pause, NULL);
    while (n->held_n > 0) {
        close(n->held[--n->held_n]);
    }
    return NULL;
}

static void no_descriptors_begin(struct no_descriptors *n, unsigned after_ms)
{
    n->held_n = 0;
    n->after_ms = after_ms;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &n->before), 0);
    struct rlimit few = {NO_DESCRIPTORS_LIMIT, n->before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) {
        n->held[n->held_n++] = fd;
    }
    CHECK_EQ(errno, EMFILE);
    if (after_ms > 0) {
        CHECK_EQ(pthread_create(&n->thread, NULL, no_descriptors_give, n), 0);
    }
}

static void no_descriptors_end(struct no_descriptors *n)
{
    if (n->after_ms > 0) {
        CHECK_EQ(pthread_join(n->thread, NULL), 0);
    } else {
        no_descriptors_give(n);
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &n->before), 0);
}

#endif
