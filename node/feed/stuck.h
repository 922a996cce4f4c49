/* Users whose Dovecot does not answer: since when, and who holds the lock. A handle, one for all users.
 *
 *   a child of a visit is silent for half its deadline -> stuck_look() -> (a thread looks, one at a time) -> the user's holder is known
 *   its visit ends killed                              -> stuck_silent(): over `locked_after` it is a trouble, with pid, age and command, and logged once
 *   a visit ends well                                  -> stuck_over(): no trouble any more, logged if that was
 *
 * The others go on meanwhile: see the header of visit. A look that hangs (mail on a file system that does) costs its thread and the names. */
#ifndef MQ_NODE_FEED_STUCK_H
#define MQ_NODE_FEED_STUCK_H

#include <uv.h>

#include "node/feed/lock_holder.h"
#include "node/feed/roster.h"
#include "node/feed/trouble.h"

struct user_stuck {    /* of a user that is or was silent; feed_user->stuck, freed by stuck_over */
    uint64_t since_ms; /* of the loop's clock */
    bool said, known;
    struct lock_holder holder;
};

struct stuck {
    uv_loop_t *loop;
    uint64_t locked_after_ms;
    struct troubles *troubles; /* borrowed */
    uv_work_t work;
    bool busy;
    struct feed_user *user; /* whose child is looked at; users live as long as the feed */
    int64_t group;
    bool found;
    struct lock_holder holder;
};

void stuck_init(struct stuck *s, uv_loop_t *loop, uint64_t locked_after_ms,
                struct troubles *troubles);
/* group: the silent child's process group; silent_ms: for how long it has been. */
void stuck_look(struct stuck *s, struct feed_user *u, int64_t group, uint64_t silent_ms);
/* A visit of u was killed after silent_ms of silence. */
void stuck_silent(struct stuck *s, struct feed_user *u, uint64_t silent_ms);
void stuck_over(struct stuck *s, struct feed_user *u);
/* Is the trouble of u that of a stuck one? */
bool stuck_named(const struct feed_user *u);
/* One sentence; x may have no known holder. */
void stuck_text(const struct user_stuck *x, uint64_t now_ms, char *out, size_t size);

#endif
