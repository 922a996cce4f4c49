/* One descriptor, one buffer. A position is "file INODE OFFSET HEAD HASH": the hash is of the first HEAD bytes, so that a number
 * that was given to another file is found out. */
#include "node/feed/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/feed/log_rotated.h"

static uint64_t head_hash(int fd, size_t size, bool *out_ok)
{
    unsigned char head[LOG_FILE_HEAD_MAX];
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    *out_ok = pread(fd, head, size, 0) == (ssize_t)size;
    for (size_t i = 0; *out_ok && i < size; i++) {
        h = (h ^ head[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

static void take(struct log_file *f, int fd, uint64_t inode, uint64_t offset)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = fd;
    f->inode = inode;
    f->offset = offset;
    f->rotated_ms = 0;
    f->skipping = false;
    f->at = f->end = 0;
}

/* Opens a regular file; -1 and errno. */
static int open_log(const char *path, struct stat *out_st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, out_st) != 0 || !S_ISREG(out_st->st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

struct place {
    uint64_t inode, offset, head, hash;
};

/* copy: it need not be that very file, if it begins as that did (copytruncate). */
static bool resume(struct log_file *f, const char *path, const struct place *p, bool copy)
{
    struct stat st;
    bool ok = false;
    int fd = open_log(path, &st);
    if (fd < 0) {
        return false;
    }
    bool candidate = copy ? p->head == LOG_FILE_HEAD_MAX : st.st_ino == p->inode;
    if (candidate && (uint64_t)st.st_size >= p->offset && p->head <= LOG_FILE_HEAD_MAX) {
        ok = head_hash(fd, (size_t)p->head, &ok) == p->hash && ok;
    }
    if (!ok) {
        close(fd);
        return false;
    }
    take(f, fd, st.st_ino, p->offset);
    return true;
}

struct search {
    struct log_file *f;
    const struct place *place;
    bool copy, found;
};

static bool on_rotated(void *arg, const char *path, const struct stat *st, enum log_rotated kind)
{
    struct search *s = arg;
    if (kind == LOG_ROTATED_PLAIN && (s->copy || st->st_ino == s->place->inode)) {
        s->found = resume(s->f, path, s->place, s->copy);
    }
    return !s->found;
}

/* The file itself under its name, under another one, or else a copy of what it was. */
static bool resume_anywhere(struct log_file *f, const struct place *p)
{
    struct search s = {.f = f, .place = p};
    if (resume(f, f->path, p, false)) {
        return true;
    }
    log_rotated_scan(f->path, on_rotated, &s);
    if (!s.found) {
        s.copy = true;
        log_rotated_scan(f->path, on_rotated, &s);
    }
    return s.found;
}

enum status log_file_open(struct log_file *f, const char *path, const char *position)
{
    struct place p;
    struct stat st;
    memset(f, 0, offsetof(struct log_file, buffer));
    f->fd = -1;
    f->path = path;
    bool known = sscanf(position, "file %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64, &p.inode,
                        &p.offset, &p.head, &p.hash) == 4;
    if (known && resume_anywhere(f, &p)) {
        return OK;
    }
    f->gaps += position[0] != '\0' ? 1 : 0; /* also one of another kind of log */
    int fd = open_log(path, &st);
    if (fd < 0) {
        return errno == ENOENT ? OK : status_from_errno(errno);
    }
    take(f, fd, st.st_ino, known ? 0 : (uint64_t)st.st_size);
    return OK;
}

void log_file_close(struct log_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = -1;
}

void log_file_again(struct log_file *f, const char *position)
{
    uint64_t gaps = f->gaps, skipped = f->lines_skipped;
    log_file_close(f);
    if (position[0] != '\0') {
        log_file_open(f, f->path, position);
    }
    f->gaps += gaps;
    f->lines_skipped = skipped;
}

void log_file_position(const struct log_file *f, char out[LOG_FILE_POSITION_MAX])
{
    bool ok = false;
    out[0] = '\0';
    if (f->fd < 0) {
        return;
    }
    size_t head = f->offset < LOG_FILE_HEAD_MAX ? (size_t)f->offset : LOG_FILE_HEAD_MAX;
    uint64_t hash = head_hash(f->fd, head, &ok);
    if (ok) {
        snprintf(out, LOG_FILE_POSITION_MAX, "file %" PRIu64 " %" PRIu64 " %zu %" PRIx64, f->inode,
                 f->offset, head, hash);
    }
}

/* ---- reading ---- */

/* true: the owner wants more. */
static bool hand_out(struct log_file *f, bool (*line)(void *, const char *, size_t), void *arg)
{
    bool more = true;
    while (more) {
        char *from = f->buffer + f->at;
        char *end = memchr(from, '\n', f->end - f->at);
        if (end == NULL) {
            break;
        }
        size_t n = (size_t)(end - from);
        f->at += n + 1;
        f->offset += n + 1;
        if (f->skipping || n > LOG_FILE_LINE_MAX) {
            f->lines_skipped++;
            f->skipping = false;
            continue;
        }
        more = line(arg, from, n);
    }
    return more;
}

static void make_room(struct log_file *f)
{
    memmove(f->buffer, f->buffer + f->at, f->end - f->at);
    f->end -= f->at;
    f->at = 0;
    if (f->end == sizeof(f->buffer)) { /* one line fills it */
        f->offset += f->end;
        f->end = 0;
        f->skipping = true;
    }
}

static enum status fill(struct log_file *f, uint64_t now_ms, size_t *out_n)
{
    struct stat st;
    make_room(f);
    if (fstat(f->fd, &st) != 0) {
        return status_from_errno(errno);
    }
    if ((uint64_t)st.st_size < f->offset) { /* truncated under us */
        f->gaps += f->behind || now_ms > f->looked_ms + LOG_FILE_GRACE_MS ? 1 : 0;
        f->offset = 0;
        f->at = f->end = 0;
        f->skipping = false;
    }
    ssize_t n =
        pread(f->fd, f->buffer + f->end, sizeof(f->buffer) - f->end, (off_t)(f->offset + f->end));
    if (n < 0) {
        return status_from_errno(errno);
    }
    f->end += (size_t)n;
    f->behind = (uint64_t)st.st_size > f->offset + f->end;
    f->looked_ms = now_ms;
    *out_n = (size_t)n;
    return OK;
}

/* Behind the end of a rotated file: the one that was written next, which is a rotated one too if we were away for long. */
static void take_next(struct log_file *f, int fd, uint64_t inode)
{
    char path[LOG_ROTATED_PATH_MAX] = "";
    struct stat st;
    bool unreadable = false;
    if (f->fd >= 0 && fstat(f->fd, &st) == 0) {
        log_rotated_next(f->path, &st, path, &unreadable);
    }
    int next = path[0] == '\0' ? -1 : open_log(path, &st);
    f->gaps += unreadable || (path[0] != '\0' && next < 0) ? 1 : 0;
    if (next >= 0) {
        close(fd);
        take(f, next, st.st_ino, 0);
    } else {
        take(f, fd, inode, 0);
    }
}

/* At the end of what is open: does another file have the name by now? */
static enum status follow_name(struct log_file *f, uint64_t now_ms)
{
    struct stat st;
    int fd = open_log(f->path, &st);
    if (fd < 0) {
        return errno == ENOENT ? OK : status_from_errno(errno);
    }
    if (f->fd >= 0 && st.st_ino == f->inode) {
        f->rotated_ms = 0;
        close(fd);
        return OK;
    }
    if (f->fd >= 0 && f->rotated_ms == 0) {
        f->rotated_ms = now_ms == 0 ? 1 : now_ms;
    }
    if (f->fd >= 0 && now_ms < f->rotated_ms + LOG_FILE_GRACE_MS) {
        close(fd);
        return OK;
    }
    take_next(f, fd, st.st_ino);
    return OK;
}

enum status log_file_read(struct log_file *f, uint64_t now_ms,
                          bool (*line)(void *arg, const char *data, size_t size), void *arg)
{
    size_t n = 0;
    enum status s = OK;
    if (f->fd < 0) {
        s = follow_name(f, now_ms);
    }
    if (s != OK || f->fd < 0 || !hand_out(f, line, arg)) {
        return s;
    }
    s = fill(f, now_ms, &n);
    if (s == OK && n == 0) {
        return follow_name(f, now_ms);
    }
    if (s == OK) {
        hand_out(f, line, arg);
    }
    return s;
}
