/* Who holds the lock that a process of ours waits for, as /proc tells it, and Dovecot's own lock files.
 *
 *   lock_holder_find(group, ...)   group: the process group of a child of ours that has gone silent
 *     /proc/locks        a process of the group that waits ("->") for a kernel lock, and who has it
 *     NAME.lock          else: in the folders of the files that the group has open, a lock file that says "pid:host"
 *
 * Whoever has it may wait for another one in turn: the last of them is the answer.
 * It reads /proc and, for the second, folders of mail: on a file system that hangs it hangs too, so it belongs on a thread of its own.
 * Not found is an answer: a child may be silent without waiting for a lock. A holder on another host has no age and no command. */
#ifndef MQ_NODE_FEED_LOCK_HOLDER_H
#define MQ_NODE_FEED_LOCK_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCK_HOLDER_COMMAND_MAX 160u
#define LOCK_HOLDER_FILE_MAX    256u
#define LOCK_HOLDER_HOST_MAX    64u

struct lock_holder {
    int64_t pid;
    uint64_t age_s;                            /* of the process */
    char command[LOCK_HOLDER_COMMAND_MAX + 1]; /* words parted by blanks; empty: cannot be seen */
    char file[LOCK_HOLDER_FILE_MAX + 1];       /* of a lock file; empty: a kernel lock */
    char host[LOCK_HOLDER_HOST_MAX + 1];       /* empty: this one */
};

bool lock_holder_find(int64_t group, struct lock_holder *out_h);

/* ---- pure, for it and for tests ---- */

struct lock_lines { /* of /proc/locks; begins with its text and zeroes */
    const char *at;
    uint64_t number; /* of the lock that was held last, and by whom */
    int64_t holder;
};
/* The next line that waits: who, and for whom. false: no more. Pids out of our sight (0, -1) are left out. */
bool lock_holder_next(struct lock_lines *l, int64_t *out_waiter, int64_t *out_holder);
/* "pid:host" of a lock file; false when it is none. */
bool lock_holder_parse_file(const char *text, int64_t *out_pid,
                            char out_host[LOCK_HOLDER_HOST_MAX + 1]);
/* Field 5 (process group) and 22 (start, in ticks since boot) of /proc/PID/stat. */
bool lock_holder_parse_stat(const char *text, int64_t *out_group, uint64_t *out_start_ticks);

#endif
