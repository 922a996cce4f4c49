/* File operations as a table, so that a test can lose, tear and fail them (tests/lib/crash_disk.h).
 *
 * All calls are synchronous and made on job threads, never on the loop. Paths are absolute. Every sync call
 * carries the name of its call site ("log.batch", "checkpoint.side_file", ...): the crash tests turn one
 * site at a time into a no-op and must then see a loss.
 * A call that needs a descriptor waits up to 5 s for one when there is none (then NO_FILES).
 * Errors: status_from_errno(); a failed sync must end the process (the caller's duty, see log). */
#ifndef MQ_BASE_DISK_H
#define MQ_BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct disk;

struct disk_file; /* an open file; owned by the caller until disk_close */

enum disk_open_flags {
    DISK_READ = 1,
    DISK_WRITE = 2,
    DISK_CREATE = 4,    /* mode 0600 */
    DISK_EXCLUSIVE = 8, /* with CREATE: must not exist */
};

struct disk_ops {
    enum status (*open)(struct disk *d, const char *path, int flags, struct disk_file **out_file);
    void (*close)(struct disk *d, struct disk_file *f);
    /* Reads up to size bytes; *out_size < size only at the end of the file. */
    enum status (*read)(struct disk *d, struct disk_file *f, void *data, size_t size, uint64_t at,
                        size_t *out_size);
    /* Writes all or fails. */
    enum status (*write)(struct disk *d, struct disk_file *f, const void *data, size_t size,
                         uint64_t at);
    enum status (*truncate)(struct disk *d, struct disk_file *f, uint64_t size);
    enum status (*size)(struct disk *d, struct disk_file *f, uint64_t *out_size);
    /* Blocks for the bytes from `at` up to `end` (at < end), also behind the end of the file, whose size stays: later writes
     * there need no free space. NO_SPACE: not for all of them; UNSUPPORTED where the file system can't, or with NULL here. */
    enum status (*reserve)(struct disk *d, struct disk_file *f, uint64_t at, uint64_t end);
    /* fdatasync (data, and the size where it changed). */
    enum status (*sync)(struct disk *d, struct disk_file *f, const char *site);
    enum status (*sync_dir)(struct disk *d, const char *path, const char *site);
    enum status (*rename)(struct disk *d, const char *from, const char *to);
    enum status (*remove)(struct disk *d, const char *path); /* a file or an empty directory */
    enum status (*make_dir)(struct disk *d,
                            const char *path); /* mode 0700; EXISTS if it is there */
    /* Calls each(name) for every entry but . and .. in no order. */
    enum status (*list)(struct disk *d, const char *path, void (*each)(void *arg, const char *name),
                        void *arg);
    /* Bytes free for this user on the file system of path. */
    enum status (*free_bytes)(struct disk *d, const char *path, uint64_t *out_bytes);
};

struct disk {
    const struct disk_ops *ops;
};

/* The real one. */
extern struct disk disk_posix;

static inline enum status disk_open(struct disk *d, const char *path, int flags,
                                    struct disk_file **out)
{
    return d->ops->open(d, path, flags, out);
}
static inline void disk_close(struct disk *d, struct disk_file *f)
{
    d->ops->close(d, f);
}
static inline enum status disk_read(struct disk *d, struct disk_file *f, void *data, size_t size,
                                    uint64_t at, size_t *out_size)
{
    return d->ops->read(d, f, data, size, at, out_size);
}
static inline enum status disk_write(struct disk *d, struct disk_file *f, const void *data,
                                     size_t size, uint64_t at)
{
    return d->ops->write(d, f, data, size, at);
}
static inline enum status disk_truncate(struct disk *d, struct disk_file *f, uint64_t size)
{
    return d->ops->truncate(d, f, size);
}
static inline enum status disk_size(struct disk *d, struct disk_file *f, uint64_t *out_size)
{
    return d->ops->size(d, f, out_size);
}
static inline enum status disk_reserve(struct disk *d, struct disk_file *f, uint64_t at,
                                       uint64_t end)
{
    return d->ops->reserve == NULL ? STATUS_UNSUPPORTED : d->ops->reserve(d, f, at, end);
}
static inline enum status disk_sync(struct disk *d, struct disk_file *f, const char *site)
{
    return d->ops->sync(d, f, site);
}
static inline enum status disk_sync_dir(struct disk *d, const char *path, const char *site)
{
    return d->ops->sync_dir(d, path, site);
}
static inline enum status disk_rename(struct disk *d, const char *from, const char *to)
{
    return d->ops->rename(d, from, to);
}
static inline enum status disk_remove(struct disk *d, const char *path)
{
    return d->ops->remove(d, path);
}
static inline enum status disk_make_dir(struct disk *d, const char *path)
{
    return d->ops->make_dir(d, path);
}
static inline enum status disk_list(struct disk *d, const char *path,
                                    void (*each)(void *, const char *), void *arg)
{
    return d->ops->list(d, path, each, arg);
}
static inline enum status disk_free_bytes(struct disk *d, const char *path, uint64_t *out_bytes)
{
    return d->ops->free_bytes(d, path, out_bytes);
}

/* Whole small files, built from the table. */
#define DISK_SMALL_FILE_MAX (1024 * 1024)
/* Allocates *out_data (caller frees), with a NUL behind it that does not count. */
enum status disk_read_file(struct disk *d, const char *path, uint8_t **out_data, size_t *out_size);
/* temporary, sync (site), rename, sync of the directory (site_dir): afterwards the old or the new is there, whole.
 * site_dir NULL: the caller syncs the directory itself, later. */
enum status disk_replace_file(struct disk *d, const char *dir, const char *name, const void *data,
                              size_t size, const char *site, const char *site_dir);

#endif
