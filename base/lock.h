/* A lock between threads, for the few structs that two lanes look at (rings, references, pins). Held for a few instructions, never
 * over a call that may wait. Setting one up cannot fail on any system we run on; if it does, it is our mistake. */
#ifndef MQ_BASE_LOCK_H
#define MQ_BASE_LOCK_H

#include <pthread.h>

#include "base/must.h"

struct lock {
    pthread_mutex_t mutex;
};

static inline void lock_init(struct lock *l)
{
    must(pthread_mutex_init(&l->mutex, NULL) == 0);
}
static inline void lock_deinit(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}
static inline void lock_take(struct lock *l)
{
    must(pthread_mutex_lock(&l->mutex) == 0);
}
static inline void lock_give(struct lock *l)
{
    must(pthread_mutex_unlock(&l->mutex) == 0);
}

#endif
