/* LMDB makes its own system calls, and statistics ask for the time. In the executables of this folder those names are ours: a call on a file in a simulated file
 * system goes through its journal (tests/lib/crash_fs.h), time and chance come from the world that runs, all else from the kernel. An executable's symbols come before a
 * library's, so nothing is preloaded; linked as an object, never from an archive. */
#include "tests/sim/interpose.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/lib/crash_fs.h"

#define EXPORT __attribute__((visibility("default")))

/* Declared by headers, under names that a macro may have changed. */
EXPORT int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return crash_fs_io_open(path, flags, mode);
}

EXPORT int close(int fd)
{
    return crash_fs_io_close(fd);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return crash_fs_io_pwrite(fd, data, size, at);
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    return crash_fs_io_write(fd, data, size);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return crash_fs_io_writev(fd, parts, n);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    return crash_fs_io_pwritev(fd, parts, n, at);
}

EXPORT int ftruncate(int fd, off_t size)
{
    return crash_fs_io_ftruncate(fd, size);
}

EXPORT int fdatasync(int fd)
{
    return crash_fs_io_sync(fd);
}

EXPORT int fsync(int fd)
{
    return crash_fs_io_sync(fd);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *out_time)
{
    return interpose_clock(clock, out_time) ? 0 : (int)syscall(SYS_clock_gettime, clock, out_time);
}

EXPORT ssize_t getrandom(void *data, size_t size, unsigned flags)
{
    return interpose_random(data, size) ? (ssize_t)size : syscall(SYS_getrandom, data, size, flags);
}

double interpose_real_seconds(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#if __SIZEOF_LONG__ == 8
/* Where off_t has 64 bits already, both names mean one thing; Debian 13's LMDB asks for these. */
EXPORT int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return crash_fs_io_open(path, flags, mode);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return crash_fs_io_pwrite(fd, data, size, at);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at)
{
    return crash_fs_io_pwritev(fd, parts, n, at);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    return crash_fs_io_ftruncate(fd, size);
}
#endif
