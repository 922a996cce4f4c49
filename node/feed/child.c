/* uv_spawn with pipes, a deadline and one end. The end comes when the process was reaped, its output read to the end, and every
 * handle is closed: `handles` counts them down. */
#include "node/feed/child.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/must.h"

static void child_close(struct child *c);

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
    struct child *c = h->data;
    if (--c->handles > 0) {
        return;
    }
    buffer_deinit(&c->input);
    c->active = false;
    c->ended(c);
}

static void close_one(uv_handle_t *h)
{
    if (!uv_is_closing(h)) {
        uv_close(h, on_closed);
    }
}

static void child_close(struct child *c)
{
    c->ending = true;
    close_one((uv_handle_t *)&c->timer);
    close_one((uv_handle_t *)&c->in);
    close_one((uv_handle_t *)&c->out);
    close_one((uv_handle_t *)&c->err);
    if (c->process_open) {
        close_one((uv_handle_t *)&c->process);
    }
}

static void on_drain_timeout(uv_timer_t *t)
{
    child_close(t->data); /* something else holds its output open */
}

static void maybe_end(struct child *c)
{
    if (c->ending || !c->exited) {
        return;
    }
    if ((c->out_ended && c->err_ended) || c->killed || c->timed_out) {
        child_close(c);
    } else if (!c->paused) {
        uv_timer_start(&c->timer, on_drain_timeout, 1000, 0);
    }
}

/* All children of this process are ours, so what the kernel has added since the last one ended is this one's. When two are reaped
 * together the first is charged for both: the sum is right. */
static uint64_t charged_us;

static uint64_t cpu_of_last_us(void)
{
    struct rusage r;
    if (getrusage(RUSAGE_CHILDREN, &r) != 0) {
        return 0;
    }
    uint64_t all_us = (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 +
                      (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    uint64_t us = all_us > charged_us ? all_us - charged_us : 0;
    charged_us = all_us;
    return us;
}

static void on_exit(uv_process_t *p, int64_t status, int signal)
{
    struct child *c = p->data;
    c->cpu_us = cpu_of_last_us();
    c->exited = true;
    c->exit_status = status;
    c->signal = signal;
    uv_timer_stop(&c->timer);
    maybe_end(c);
}

static void signal_group(struct child *c, int signal)
{
    if (c->exited) {
        return;
    }
    if (uv_kill(-c->process.pid, signal) !=
        0) { /* it leads its own group; just started, it may not yet */
        uv_process_kill(&c->process, signal);
    }
}

static void on_kill(uv_timer_t *t)
{
    signal_group(t->data, SIGKILL);
}

static void terminate(struct child *c)
{
    signal_group(c, SIGTERM);
    uv_timer_start(&c->timer, on_kill, CHILD_KILL_GRACE_MS, 500);
}

static void on_deadline(uv_timer_t *t);

static void on_half(uv_timer_t *t)
{
    struct child *c = t->data;
    uv_timer_start(&c->timer, on_deadline, c->deadline_ms - c->deadline_ms / 2, 0);
    if (c->silent != NULL) {
        c->silent(c);
    }
}

static void on_deadline(uv_timer_t *t)
{
    struct child *c = t->data;
    c->timed_out = true;
    terminate(c);
}

void child_kill(struct child *c)
{
    if (!c->active || c->ending || c->killed) {
        return;
    }
    c->killed = true;
    if (c->exited) {
        maybe_end(c);
    } else if (!c->timed_out) {
        terminate(c);
    }
}

void child_touch(struct child *c)
{
    if (c->active && !c->exited && !c->timed_out && !c->killed && !c->ending) {
        uv_timer_start(&c->timer, on_half, c->deadline_ms / 2, 0);
    }
}

/* ---- output ---- */

static void on_out_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct child *c = h->data;
    (void)suggested;
    *b = uv_buf_init(c->read_buffer, sizeof(c->read_buffer));
}

static void on_out(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct child *c = s->data;
    if (n < 0) {
        uv_read_stop(s);
        c->out_ended = true;
        maybe_end(c);
        return;
    }
    child_touch(c);
    if (n > 0 && !c->killed) {
        c->output(c, (const uint8_t *)b->base, (size_t)n);
    }
}

static void on_err_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct child *c = h->data;
    (void)suggested;
    *b = uv_buf_init(c->error_buffer, sizeof(c->error_buffer));
}

static void count_error_line(struct child *c)
{
    c->error_line[c->error_line_n] = '\0';
    c->error_lines++;
    c->error_lines_harmless += c->harmless != NULL && c->harmless(c->error_line);
    c->error_line_n = 0;
}

static void on_err(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct child *c = s->data;
    if (n < 0) {
        uv_read_stop(s);
        c->err_ended = true;
        if (c->error_line_n > 0) {
            count_error_line(c);
        }
        maybe_end(c);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (c->error_n == sizeof(c->error) - 1) {
            c->error_n /= 2;
            memmove(c->error, c->error + sizeof(c->error) / 2, c->error_n);
        }
        unsigned char x = (unsigned char)b->base[i];
        if (x == '\n') {
            count_error_line(c);
        } else if (c->error_line_n < sizeof(c->error_line) - 1) {
            c->error_line[c->error_line_n++] = (char)x;
        }
        c->error[c->error_n++] = x == '\n' ? '|' : x < ' ' || x == 0x7f || x == '"' ? ' ' : (char)x;
    }
    c->error[c->error_n] = '\0';
}

void child_pause(struct child *c)
{
    if (c->active && !c->paused && !c->out_ended && !c->ending) {
        uv_read_stop((uv_stream_t *)&c->out);
    }
    c->paused = true;
}

void child_resume(struct child *c)
{
    if (c->active && c->paused && !c->out_ended && !c->ending) {
        int r = uv_read_start((uv_stream_t *)&c->out, on_out_buffer, on_out);
        c->out_ended = r != 0;
    }
    c->paused = false;
    maybe_end(c);
}

/* ---- input ---- */

static void write_more(struct child *c);

static void on_written(uv_write_t *w, int status)
{
    struct child *c = w->data;
    if (status == 0) {
        buffer_consume(&c->input, c->writing);
    }
    c->writing = 0;
    if (status == 0 && !c->ending) {
        write_more(c);
    }
}

static void write_more(struct child *c)
{
    if (c->writing > 0 || c->input.size == 0) {
        return;
    }
    uv_buf_t b = uv_buf_init((char *)c->input.data, (unsigned)c->input.size);
    c->writing = c->input.size;
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->in, &b, 1, on_written) != 0) {
        c->writing = 0; /* its end will be seen on the other pipes */
        buffer_clear(&c->input);
    }
}

enum status child_write(struct child *c, const void *data, size_t size)
{
    if (!c->active || c->ending) {
        return STATUS_CLOSED;
    }
    /* Room is made at start, so that the bytes being written never move. */
    if (size > c->input.capacity - c->input.size) {
        return STATUS_FULL;
    }
    must(buffer_append(&c->input, data, size) == OK);
    write_more(c);
    return OK;
}

/* ---- the start ---- */

static void close_ends(const int ends[3])
{
    for (int i = 0; i < 3; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
    }
}

/* Real pipes, not the socket pairs libuv makes: Dovecot's imap refuses to speak to a socket. out_ends are the child's. */
static enum status open_pipes(struct child *c, int out_ends[3])
{
    uv_pipe_t *ours[3] = {&c->in, &c->out, &c->err};
    for (int i = 0; i < 3; i++) {
        uv_file fds[2];
        int r = uv_pipe(fds, i == 0 ? 0 : UV_NONBLOCK_PIPE, i == 0 ? UV_NONBLOCK_PIPE : 0);
        if (r != 0) {
            return status_from_errno(-r);
        }
        out_ends[i] = fds[i == 0 ? 0 : 1];
        r = uv_pipe_open(ours[i], fds[i == 0 ? 1 : 0]);
        if (r != 0) {
            close(fds[i == 0 ? 1 : 0]);
            return status_from_errno(-r);
        }
    }
    return OK;
}

static void open_handles(struct child *c, uv_loop_t *loop)
{
    must(uv_pipe_init(loop, &c->in, 0) == 0 && uv_pipe_init(loop, &c->out, 0) == 0);
    must(uv_pipe_init(loop, &c->err, 0) == 0 && uv_timer_init(loop, &c->timer) == 0);
    c->in.data = c->out.data = c->err.data = c->timer.data = c->process.data = c;
    c->handles = 4;
}

static int spawn(struct child *c, uv_loop_t *loop, const char *const argv[], const int ends[3],
                 int inherit_fd)
{
    uv_stdio_container_t stdio[4];
    for (int i = 0; i < 4; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = i < 3 ? ends[i] : inherit_fd;
    }
    uv_process_options_t options = {.file = argv[0],
                                    .args = (char **)argv,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio = stdio,
                                    .stdio_count = inherit_fd >= 0 ? 4 : 3,
                                    .exit_cb = on_exit};
    c->process_open = true; /* to be closed whatever uv_spawn says */
    c->handles++;
    return uv_spawn(loop, &c->process, &options);
}

/* The process never ran: the owner may free the memory only when these are closed, so the end is reported as usual. */
static void never_ran(struct child *c)
{
    c->exited = true;
    c->exit_status = 127;
    child_close(c);
}

enum status child_start(struct child *c, uv_loop_t *loop, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms)
{
    void (*output)(struct child *, const uint8_t *, size_t) = c->output;
    void (*ended)(struct child *) = c->ended;
    void (*silent)(struct child *) = c->silent;
    bool (*harmless)(const char *) = c->harmless;
    void *arg = c->arg;
    must(!c->active);
    memset(c, 0, offsetof(struct child, read_buffer));
    c->output = output;
    c->ended = ended;
    c->silent = silent;
    c->harmless = harmless;
    c->arg = arg;
    buffer_init(&c->input, CHILD_INPUT_MAX);
    if (buffer_reserve(&c->input, CHILD_INPUT_MAX, NULL) != OK) {
        return STATUS_NO_MEMORY;
    }
    c->active = true;
    c->deadline_ms = deadline_ms;
    open_handles(c, loop);
    int ends[3] = {-1, -1, -1};
    enum status s = open_pipes(c, ends);
    int r = s == OK ? spawn(c, loop, argv, ends, inherit_fd) : UV_EMFILE;
    close_ends(ends);
    if (r != 0) {
        strncpy(c->error, uv_strerror(r), sizeof(c->error) - 1);
        never_ran(c);
        return OK;
    }
    must(uv_read_start((uv_stream_t *)&c->out, on_out_buffer, on_out) == 0);
    must(uv_read_start((uv_stream_t *)&c->err, on_err_buffer, on_err) == 0);
    child_touch(c);
    return OK;
}
