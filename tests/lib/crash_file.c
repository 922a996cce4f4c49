/* One file of the file system that forgets: what its sectors held before they were last made durable.
 *
 * A write first saves the durable contents of each sector it touches for the first time since the last sync, then goes to the real
 * file. A sync forgets what was saved. A power cut puts back, for each saved sector, the old, the new, or one in between. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/must.h"
#include "tests/lib/crash_fs_internal.h"

int crash_fs_raw_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int crash_fs_raw_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

ssize_t crash_fs_raw_pwrite(int fd, const void *data, size_t size, uint64_t at)
{
    return syscall(SYS_pwrite64, fd, data, size, (off_t)at);
}

struct fs_inode *crash_file_new(struct crash_fs *fs, uint64_t id)
{
    struct fs_inode *inode = calloc(1, sizeof(*inode));
    must(inode != NULL);
    inode->fs = fs;
    inode->id = id;
    inode->fd = -1;
    return inode;
}

static void forget(struct fs_inode *inode)
{
    for (uint64_t i = 0; i < inode->dirty_n; i++) {
        free(inode->sectors[inode->dirty[i]]);
        inode->sectors[inode->dirty[i]] = NULL;
    }
    inode->dirty_n = 0;
}

void crash_file_free(struct fs_inode *inode)
{
    forget(inode);
    free(inode->sectors);
    free(inode->dirty);
    if (inode->fd >= 0) {
        crash_fs_raw_close(inode->fd);
    }
    free(inode);
}

static void read_sector(const struct fs_inode *inode, uint64_t number, uint8_t *out)
{
    memset(out, 0, FS_SECTOR);
    must(pread(inode->fd, out, FS_SECTOR, (off_t)(number * FS_SECTOR)) >= 0);
}

static void write_raw(const struct fs_inode *inode, const void *data, size_t size, uint64_t at)
{
    must(crash_fs_raw_pwrite(inode->fd, data, size, at) == (ssize_t)size);
}

/* Saves what a sector holds, before it changes. */
static void save(struct fs_inode *inode, uint64_t number)
{
    if (number >= inode->sectors_n) {
        uint64_t n = inode->sectors_n == 0 ? 1024 : inode->sectors_n;
        while (n <= number) {
            n *= 2;
        }
        inode->sectors = realloc(inode->sectors, n * sizeof(*inode->sectors));
        must(inode->sectors != NULL);
        memset(inode->sectors + inode->sectors_n, 0,
               (n - inode->sectors_n) * sizeof(*inode->sectors));
        inode->sectors_n = n;
    }
    struct fs_sector *s = inode->sectors[number];
    if (s != NULL) {
        /* Each of the contents meanwhile is equally likely to be the one remembered. */
        if (random_below(&inode->fs->random, s->writes) == 0) {
            read_sector(inode, number, s->between);
        }
        s->writes++;
        s->clean = false;
        return;
    }
    if (inode->dirty_n == inode->dirty_capacity) {
        inode->dirty_capacity = inode->dirty_capacity == 0 ? 256 : inode->dirty_capacity * 2;
        inode->dirty = realloc(inode->dirty, inode->dirty_capacity * sizeof(*inode->dirty));
        must(inode->dirty != NULL);
    }
    s = malloc(sizeof(*s));
    must(s != NULL);
    read_sector(inode, number, s->durable);
    s->writes = 1;
    s->clean = false;
    inode->sectors[number] = s;
    inode->dirty[inode->dirty_n++] = number;
}

static void put(struct fs_inode *inode, const uint8_t *data, size_t size, uint64_t at)
{
    if (size == 0) {
        return;
    }
    for (uint64_t s = at / FS_SECTOR; s <= (at + size - 1) / FS_SECTOR; s++) {
        save(inode, s);
    }
    write_raw(inode, data, size, at);
    if (at + size > inode->size) {
        inode->size = at + size;
    }
}

bool crash_file_write(struct fs_inode *inode, const void *data, size_t size, uint64_t at)
{
    struct crash_fs *fs = inode->fs;
    if (fs->full && at + size > inode->size) {
        fs->calls++;
        errno = ENOSPC;
        return false;
    }
    bool was_cut = fs->cut;
    if (!crash_fs_step(fs)) {
        if (!was_cut) {
            /* The machine stops inside this write: whole sectors of it, from the front. */
            uint64_t whole = random_below(&fs->random, size / FS_SECTOR + 1) * FS_SECTOR;
            put(inode, data, whole, at);
            errno = EIO;
        }
        return false;
    }
    put(inode, data, size, at);
    return true;
}

bool crash_file_truncate(struct fs_inode *inode, uint64_t size)
{
    if (inode->fs->full && size > inode->size) {
        inode->fs->calls++;
        errno = ENOSPC;
        return false;
    }
    if (!crash_fs_step(inode->fs)) {
        return false;
    }
    if (size < inode->size) {
        for (uint64_t s = size / FS_SECTOR; s <= (inode->size - 1) / FS_SECTOR; s++) {
            save(inode, s);
        }
    }
    must(syscall(SYS_ftruncate, inode->fd, (off_t)size) == 0);
    inode->size = size;
    return true;
}

bool crash_file_dirty(const struct fs_inode *inode)
{
    return inode->dirty_n > 0 || inode->size != inode->size_durable;
}

void crash_file_sync(struct fs_inode *inode)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < inode->dirty_n; i++) {
        uint64_t number = inode->dirty[i];
        if (inode->sectors[number]->clean) {
            inode->dirty[kept++] = number;
        } else {
            free(inode->sectors[number]);
            inode->sectors[number] = NULL;
        }
    }
    inode->dirty_n = kept;
    inode->size_durable = inode->size;
}

void crash_file_sync_failed(struct fs_inode *inode)
{
    for (uint64_t i = 0; i < inode->dirty_n; i++) {
        inode->sectors[inode->dirty[i]]->clean = true;
    }
}

void crash_file_lose(struct fs_inode *inode)
{
    struct random *random = &inode->fs->random;
    if (!crash_file_dirty(inode)) {
        return;
    }
    uint64_t size = random_below(random, 2) == 0 ? inode->size : inode->size_durable;
    /* How much of it is gone differs from cut to cut: none, all, or a share. */
    uint64_t lost = random_below(random, 5) * 64;
    for (uint64_t i = 0; i < inode->dirty_n; i++) {
        uint64_t number = inode->dirty[i];
        struct fs_sector *s = inode->sectors[number];
        if (!s->clean && random_below(random, 256) >= lost) {
            continue;
        }
        bool between = s->writes > 1 && random_below(random, 2) == 0;
        write_raw(inode, between ? s->between : s->durable, FS_SECTOR, number * FS_SECTOR);
        inode->fs->sectors_lost++;
    }
    forget(inode);
    must(syscall(SYS_ftruncate, inode->fd, (off_t)size) == 0);
    inode->size = size;
    inode->size_durable = size;
}

bool crash_file_rot(struct fs_inode *inode, uint64_t at)
{
    uint8_t byte;
    if (at >= inode->size || pread(inode->fd, &byte, 1, (off_t)at) != 1) {
        return false;
    }
    byte ^= 0x10;
    write_raw(inode, &byte, 1, at);
    return true;
}
