/* The file system that forgets, for a library that makes its own system calls: each call on a file of ours goes through the
 * journal, every other straight to the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/must.h"
#include "tests/lib/crash_fs_internal.h"

#define FDS_MAX   65536
#define WRITE_MAX (64u * 1024u * 1024u)

static struct fs_inode *by_fd[FDS_MAX];
static uint64_t calls;

static struct fs_inode *inode_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX ? by_fd[fd] : NULL;
}

uint64_t crash_fs_io_calls(void)
{
    return calls;
}

int crash_fs_io_open(const char *path, int flags, mode_t mode)
{
    const char *relative;
    struct crash_fs *fs = crash_fs_find(path, &relative);
    if (fs == NULL || (flags & O_DIRECTORY) != 0) {
        return crash_fs_raw_open(path, flags, mode);
    }
    struct fs_inode *inode = NULL;
    int fd = crash_fs_open_inode(fs, relative, flags, mode, &inode);
    if (fd >= 0) {
        must(fd < FDS_MAX);
        by_fd[fd] = inode;
    }
    return fd;
}

int crash_fs_io_close(int fd)
{
    struct fs_inode *inode = inode_of(fd);
    if (inode != NULL) {
        by_fd[fd] = NULL;
        crash_fs_close_inode(inode);
    }
    return crash_fs_raw_close(fd);
}

ssize_t crash_fs_io_pwrite(int fd, const void *data, size_t size, off_t at)
{
    struct fs_inode *inode = inode_of(fd);
    if (inode == NULL) {
        return crash_fs_raw_pwrite(fd, data, size, (uint64_t)at);
    }
    calls++;
    return crash_file_write(inode, data, size, (uint64_t)at) ? (ssize_t)size : -1;
}

ssize_t crash_fs_io_write(int fd, const void *data, size_t size)
{
    if (inode_of(fd) == NULL) {
        return syscall(SYS_write, fd, data, size);
    }
    struct iovec part = {(void *)(uintptr_t)data, size};
    return crash_fs_io_writev(fd, &part, 1);
}

ssize_t crash_fs_io_pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    struct fs_inode *inode = inode_of(fd);
    if (inode == NULL) {
        return syscall(SYS_pwritev, fd, parts, n, at, 0);
    }
    calls++;
    size_t size = 0;
    for (int i = 0; i < n; i++) {
        size += parts[i].iov_len;
    }
    must(size <= WRITE_MAX);
    uint8_t *whole = malloc(size > 0 ? size : 1);
    must(whole != NULL);
    size_t have = 0;
    for (int i = 0; i < n; i++) {
        memcpy(whole + have, parts[i].iov_base, parts[i].iov_len);
        have += parts[i].iov_len;
    }
    bool ok = crash_file_write(inode, whole, size, (uint64_t)at);
    free(whole);
    return ok ? (ssize_t)size : -1;
}

ssize_t crash_fs_io_writev(int fd, const struct iovec *parts, int n)
{
    if (inode_of(fd) == NULL) {
        return syscall(SYS_writev, fd, parts, n);
    }
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t size = crash_fs_io_pwritev(fd, parts, n, at);
    if (size > 0) {
        lseek(fd, at + size, SEEK_SET);
    }
    return size;
}

int crash_fs_io_ftruncate(int fd, off_t size)
{
    struct fs_inode *inode = inode_of(fd);
    if (inode == NULL) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    calls++;
    return crash_file_truncate(inode, (uint64_t)size) ? 0 : -1;
}

int crash_fs_io_sync(int fd)
{
    struct fs_inode *inode = inode_of(fd);
    if (inode == NULL) {
        return (int)syscall(SYS_fdatasync, fd);
    }
    calls++;
    return crash_fs_sync_inode(inode, CRASH_FS_SITE_LMDB);
}
