/* The real disk, and whole small files built from the table.
 *
 * Happy path: open, read and write at a position, sync, close. Interrupted calls are repeated,
 * short ones continued. Failure: every call reports errno as a status once; nothing is retried
 * after a failed sync (its pages are clean afterwards, a second sync would prove nothing), and
 * disk_replace_file leaves the old file as it was. Only a descriptor is waited for: other threads close theirs
 * again within seconds, and a file that can't be opened would cost a store its environment. */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTOR_WAIT_MS  5000
#define DESCRIPTOR_RETRY_MS 10

struct disk_file {
    int fd;
};

static int open_waiting(const char *path, int mode)
{
    const struct timespec pause = {.tv_nsec = DESCRIPTOR_RETRY_MS * 1000000L};
    for (int waited_ms = 0;;) {
        int fd = open(path, mode, 0600);
        if (fd >= 0 || (errno != EINTR && errno != EMFILE && errno != ENFILE)) {
            return fd;
        }
        if (errno != EINTR) {
            if (waited_ms >= DESCRIPTOR_WAIT_MS) {
                return fd;
            }
            nanosleep(&pause, NULL);
            waited_ms += DESCRIPTOR_RETRY_MS;
        }
    }
}

static enum status posix_open(struct disk *d, const char *path, int flags,
                              struct disk_file **out_file)
{
    (void)d;
    int mode = O_CLOEXEC | O_NOFOLLOW;
    mode |= (flags & DISK_WRITE) == 0 ? O_RDONLY : (flags & DISK_READ) == 0 ? O_WRONLY : O_RDWR;
    if ((flags & DISK_CREATE) != 0) {
        mode |= O_CREAT | ((flags & DISK_EXCLUSIVE) != 0 ? O_EXCL : 0);
    }
    struct disk_file *f = malloc(sizeof(*f));
    if (f == NULL) {
        return STATUS_NO_MEMORY;
    }
    f->fd = open_waiting(path, mode);
    if (f->fd < 0) {
        enum status s = status_from_errno(errno);
        free(f);
        return s;
    }
    *out_file = f;
    return OK;
}

static void posix_close(struct disk *d, struct disk_file *f)
{
    (void)d;
    if (f != NULL) {
        close(f->fd);
        free(f);
    }
}

static enum status posix_read(struct disk *d, struct disk_file *f, void *data, size_t size,
                              uint64_t at, size_t *out_size)
{
    (void)d;
    size_t have = 0;
    while (have < size) {
        ssize_t n = pread(f->fd, (uint8_t *)data + have, size - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return status_from_errno(errno);
        }
        if (n == 0) {
            break;
        }
        have += (size_t)n;
    }
    *out_size = have;
    return OK;
}

static enum status posix_write(struct disk *d, struct disk_file *f, const void *data, size_t size,
                               uint64_t at)
{
    (void)d;
    size_t written = 0;
    while (written < size) {
        ssize_t n =
            pwrite(f->fd, (const uint8_t *)data + written, size - written, (off_t)(at + written));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? status_from_errno(errno) : STATUS_IO;
        }
        written += (size_t)n;
    }
    return OK;
}

static enum status posix_truncate(struct disk *d, struct disk_file *f, uint64_t size)
{
    (void)d;
    int rv;
    do {
        rv = ftruncate(f->fd, (off_t)size);
    } while (rv < 0 && errno == EINTR);
    return rv < 0 ? status_from_errno(errno) : OK;
}

static enum status posix_size(struct disk *d, struct disk_file *f, uint64_t *out_size)
{
    (void)d;
    struct stat st;
    if (fstat(f->fd, &st) < 0) {
        return status_from_errno(errno);
    }
    *out_size = (uint64_t)st.st_size;
    return OK;
}

static enum status posix_sync(struct disk *d, struct disk_file *f, const char *site)
{
    (void)d;
    (void)site;
    return fdatasync(f->fd) < 0 ? status_from_errno(errno) : OK;
}

static enum status posix_sync_dir(struct disk *d, const char *path, const char *site)
{
    (void)d;
    (void)site;
    int fd = open_waiting(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return status_from_errno(errno);
    }
    enum status s = fsync(fd) < 0 ? status_from_errno(errno) : OK;
    close(fd);
    return s;
}

static enum status posix_rename(struct disk *d, const char *from, const char *to)
{
    (void)d;
    return rename(from, to) < 0 ? status_from_errno(errno) : OK;
}

static enum status posix_remove(struct disk *d, const char *path)
{
    (void)d;
    return remove(path) < 0 ? status_from_errno(errno) : OK;
}

static enum status posix_make_dir(struct disk *d, const char *path)
{
    (void)d;
    return mkdir(path, 0700) < 0 ? status_from_errno(errno) : OK;
}

static enum status posix_list(struct disk *d, const char *path,
                              void (*each)(void *arg, const char *name), void *arg)
{
    (void)d;
    int fd = open_waiting(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum status no = status_from_errno(errno);
        if (fd >= 0) {
            close(fd);
        }
        return no;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            each(arg, entry->d_name);
        }
        errno = 0;
    }
    enum status s = errno != 0 ? status_from_errno(errno) : OK;
    closedir(dir);
    return s;
}

static enum status posix_reserve(struct disk *d, struct disk_file *f, uint64_t at, uint64_t end)
{
    (void)d;
    int rc;
    do {
        rc = fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)(end - at));
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        return errno == EOPNOTSUPP || errno == ENOSYS ? STATUS_UNSUPPORTED
                                                      : status_from_errno(errno);
    }
    return OK;
}

static enum status posix_free_bytes(struct disk *d, const char *path, uint64_t *out_bytes)
{
    (void)d;
    struct statvfs st;
    if (statvfs(path, &st) < 0) {
        return status_from_errno(errno);
    }
    *out_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
    return OK;
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .truncate = posix_truncate,
    .size = posix_size,
    .reserve = posix_reserve,
    .sync = posix_sync,
    .sync_dir = posix_sync_dir,
    .rename = posix_rename,
    .remove = posix_remove,
    .make_dir = posix_make_dir,
    .list = posix_list,
    .free_bytes = posix_free_bytes,
};

struct disk disk_posix = {&posix_ops};

enum status disk_read_file(struct disk *d, const char *path, uint8_t **out_data, size_t *out_size)
{
    struct disk_file *f;
    enum status s = disk_open(d, path, DISK_READ, &f);
    if (s != OK) {
        return s;
    }
    uint64_t size;
    uint8_t *data = NULL;
    size_t have = 0;
    s = disk_size(d, f, &size);
    if (s == OK && size > DISK_SMALL_FILE_MAX) {
        s = STATUS_TOO_BIG;
    }
    if (s == OK) {
        data = malloc((size_t)size + 1);
        s = data == NULL ? STATUS_NO_MEMORY : disk_read(d, f, data, (size_t)size, 0, &have);
    }
    disk_close(d, f);
    if (s != OK) {
        free(data);
        return s;
    }
    data[have] = 0;
    *out_data = data;
    *out_size = have;
    return OK;
}

enum status disk_replace_file(struct disk *d, const char *dir, const char *name, const void *data,
                              size_t size, const char *site, const char *site_dir)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s/%s.new", dir, name);
    int m = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (n < 0 || m < 0 || (size_t)n >= sizeof(temporary) || (size_t)m >= sizeof(path)) {
        return STATUS_TOO_BIG;
    }
    struct disk_file *f;
    enum status s = disk_open(d, temporary, DISK_WRITE | DISK_CREATE, &f);
    if (s != OK) {
        return s;
    }
    s = disk_truncate(d, f, 0); /* what a crash left there */
    if (s == OK) {
        s = disk_write(d, f, data, size, 0);
    }
    if (s == OK) {
        s = disk_sync(d, f, site);
    }
    disk_close(d, f);
    if (s == OK) {
        s = disk_rename(d, temporary, path);
    }
    if (s == OK && site_dir != NULL) {
        s = disk_sync_dir(d, dir, site_dir);
    }
    return s;
}
