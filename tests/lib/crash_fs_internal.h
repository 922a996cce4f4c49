/* The inside of the file system that forgets: names (crash_fs.c) and sectors (crash_file.c). Nobody else includes this. */
#ifndef MQ_TESTS_LIB_CRASH_FS_INTERNAL_H
#define MQ_TESTS_LIB_CRASH_FS_INTERNAL_H

#include "base/list.h"
#include "base/random.h"
#include "tests/lib/crash_fs.h"

#define FS_PATH_MAX 512
#define FS_SECTOR   512u

/* A sector written since the last sync of its file. */
struct fs_sector {
    uint8_t durable[FS_SECTOR];
    uint8_t between[FS_SECTOR]; /* one of the contents it had meanwhile */
    uint32_t writes;
    bool clean; /* a sync failed over it: only another write makes it dirty again */
};

struct fs_inode {
    struct crash_fs *fs;
    struct list link;
    uint64_t id;
    int fd; /* ours, for reading and restoring */
    uint32_t opens;
    uint64_t size;
    uint64_t size_durable;
    struct fs_sector **sectors; /* by sector number; NULL = durable */
    uint64_t sectors_n;
    uint64_t *dirty; /* numbers of those that are not NULL */
    uint64_t dirty_n, dirty_capacity;
};

struct fs_name {
    char *path;             /* relative to the root */
    struct fs_inode *inode; /* NULL: a directory */
};
struct fs_names {
    struct fs_name *items;
    uint32_t n, capacity;
};

enum fs_op_kind { OP_SET, OP_REMOVE, OP_RENAME };
struct fs_op {
    enum fs_op_kind kind;
    char *path;
    char *to;
    struct fs_inode *inode;
};

struct disk_file {
    struct list link;
    int fd;
    struct fs_inode *inode;
};

struct crash_fs {
    struct disk disk;
    char root[FS_PATH_MAX - 64];
    struct random random;
    struct list inodes;
    struct list handles;
    uint64_t next_inode;
    struct fs_names live, durable;
    struct fs_op *ops;
    uint32_t ops_n, ops_capacity;
    struct crash_fs_site sites[CRASH_FS_SITES_MAX];
    uint32_t sites_n;
    const char *skip_site;
    uint64_t calls, syncs, sectors_lost;
    uint64_t cut_calls, fail_syncs;
    bool cut, full;
};

/* Counts a changing call; false with errno when the machine has stopped. */
bool crash_fs_step(struct crash_fs *fs);
/* The file system a path lies in, or NULL. */
struct crash_fs *crash_fs_find(const char *path, const char **out_relative);
int crash_fs_open_inode(struct crash_fs *fs, const char *relative, int flags, mode_t mode,
                        struct fs_inode **out_inode);
void crash_fs_close_inode(struct fs_inode *inode);
int crash_fs_sync_inode(struct fs_inode *inode, const char *site);
void crash_fs_hidden(const struct crash_fs *fs, const struct fs_inode *inode,
                     char path[FS_PATH_MAX]);

struct fs_inode *crash_file_new(struct crash_fs *fs, uint64_t id);
void crash_file_free(struct fs_inode *inode);
/* false: errno says why; a torn write may have left a part. */
bool crash_file_write(struct fs_inode *inode, const void *data, size_t size, uint64_t at);
bool crash_file_truncate(struct fs_inode *inode, uint64_t size);
bool crash_file_dirty(const struct fs_inode *inode);
void crash_file_sync(struct fs_inode *inode);
void crash_file_sync_failed(struct fs_inode *inode);
/* What a power cut does to it. */
void crash_file_lose(struct fs_inode *inode);
bool crash_file_rot(struct fs_inode *inode, uint64_t at);

/* System calls themselves, past any interposition. */
int crash_fs_raw_open(const char *path, int flags, mode_t mode);
int crash_fs_raw_close(int fd);
ssize_t crash_fs_raw_pwrite(int fd, const void *data, size_t size, uint64_t at);

#endif
