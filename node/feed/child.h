/* A program we started: its output as it comes, input if wanted, a deadline for its silence, and one end. A handle.
 *
 * Happy path: child_start -> output() for what it writes to stdout -> it exits and its pipes end -> ended() once, after
 * which the memory may be used again. child_pause/child_resume stop and go on with reading: that is all the back-pressure
 * there is. The last lines of stderr are kept for the log.
 * Failure: child_start without memory returns NO_MEMORY and never calls back; a program that cannot be run ends with
 * exit status 127 and the reason. Over the deadline (no output and no word from the owner for that
 * long): SIGTERM, two seconds later SIGKILL, to the process group of this child alone; ended() then says timed_out. */
#ifndef MQ_NODE_FEED_CHILD_H
#define MQ_NODE_FEED_CHILD_H

#include <stdbool.h>
#include <uv.h>

#include "base/buffer.h"

#define CHILD_ERROR_MAX     512
#define CHILD_READ_MAX      (64u * 1024u)
#define CHILD_INPUT_MAX     (64u * 1024u)
#define CHILD_KILL_GRACE_MS 2000u

struct child {
    uv_process_t process;
    uv_pipe_t in, out, err;
    uv_timer_t timer;
    uv_write_t write;
    struct buffer input; /* not yet written */
    size_t writing;
    bool active, process_open, exited, out_ended, err_ended, timed_out, killed, paused, ending;
    unsigned handles; /* open libuv handles */
    uint64_t deadline_ms;
    uint64_t cpu_us; /* that it took, and those it waited for; known at its end */
    int64_t exit_status;
    int signal;
    char error[CHILD_ERROR_MAX]; /* last lines of stderr, line ends as '|' */
    size_t error_n;
    /* How many lines stderr had, and how many of them the owner calls harmless (NULL: none is). */
    uint32_t error_lines, error_lines_harmless;
    char error_line[CHILD_ERROR_MAX]; /* the one at hand, cut at the maximum */
    size_t error_line_n;
    char read_buffer[CHILD_READ_MAX];
    char error_buffer[1024];
    void (*output)(struct child *c, const uint8_t *data, size_t size);
    bool (*harmless)(const char *line);
    void (*silent)(struct child *c); /* at half the deadline; may be NULL */
    void (*ended)(struct child *c);  /* success: !timed_out, exit_status 0, signal 0 */
    void *arg;
};

/* argv[0] is the path. inherit_fd >= 0 becomes descriptor 3 of the child (still the caller's to close). */
enum status child_start(struct child *c, uv_loop_t *loop, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms);
/* FULL when too much waits to be written. */
enum status child_write(struct child *c, const void *data, size_t size);
void child_pause(struct child *c);
void child_resume(struct child *c);
/* We are still interested: the deadline starts again. */
void child_touch(struct child *c);
/* Ends it now; ended() still comes. */
void child_kill(struct child *c);
static inline bool child_active(const struct child *c)
{
    return c->active;
}
static inline bool child_succeeded(const struct child *c)
{
    return !c->timed_out && !c->killed && c->exit_status == 0 && c->signal == 0;
}

#endif
