/* A file system that forgets: real files in a tmpfs directory, and beside them a journal of what no sync has made durable. It
 * serves the product's disk table and the system calls that LMDB makes by itself (tests/sim/interpose.c hands those over), so a
 * whole node can be put through a kill or a power cut inside one process.
 *
 *   crash_fs_new -> crash_fs_disk() is the node's disk -> ... -> the owner drops all its memory -> crash_fs_crash() ->
 *   the same directory now holds what the crash left -> the node is started again
 *
 * What a power cut does: every 512-byte sector written since the last sync of its file holds its durable contents, the newest, or
 * one in between; the size of the file is the durable or the newest one; each directory operation since the last sync of its directory
 * happened or not (a rename is one operation; operations on one name keep their order). A kill loses nothing, and what was not
 * durable stays so. A sync that failed leaves pages "clean": a later sync does not make them durable, only writing them
 * again does (W5).
 * crash_fs_arm_cut() lets the machine stop in the middle of a call: that write is torn, everything after it is EIO.
 * All by one seed; no address, time or process id decides anything. One thread. */
#ifndef MQ_TESTS_LIB_CRASH_FS_H
#define MQ_TESTS_LIB_CRASH_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/disk.h"

#define CRASH_FS_SITES_MAX 64
#define CRASH_FS_SITE_LMDB "lmdb" /* the library's own syncs */

enum crash_kind { CRASH_KILL, CRASH_POWER };

struct crash_fs;

struct crash_fs_site {
    const char *name; /* the caller's literal */
    uint64_t syncs;
    uint64_t dirty; /* of them, those that had something to make durable */
};

/* root must not exist; it and root.inodes are made, and removed by free. */
enum status crash_fs_new(const char *root, uint64_t seed, struct crash_fs **out_fs);
void crash_fs_free(struct crash_fs *fs);
struct disk *crash_fs_disk(struct crash_fs *fs);
const char *crash_fs_root(const struct crash_fs *fs);

/* Everything open must have been closed, except handles of the table: those are closed here. */
void crash_fs_crash(struct crash_fs *fs, enum crash_kind kind);

/* That many changing calls from now the machine stops; 0 takes it back. */
void crash_fs_arm_cut(struct crash_fs *fs, uint64_t calls);
/* It stops now. */
void crash_fs_stop(struct crash_fs *fs);
bool crash_fs_is_cut(const struct crash_fs *fs);
/* The sync that many syncs from now fails with EIO; 0 takes it back. */
void crash_fs_fail_sync(struct crash_fs *fs, uint64_t syncs);
/* Syncs of this site do nothing and say OK; NULL = none. Borrowed. */
void crash_fs_skip_site(struct crash_fs *fs, const char *site);
/* Nothing can grow; free_bytes says 0. */
void crash_fs_set_full(struct crash_fs *fs, bool full);
/* Flips one bit of a file; false when it is not there. As if it had always been durable. */
bool crash_fs_rot(struct crash_fs *fs, const char *path, uint64_t at);

uint64_t crash_fs_calls(const struct crash_fs *fs); /* changing calls so far */
uint64_t crash_fs_syncs(const struct crash_fs *fs);
uint32_t crash_fs_sites(const struct crash_fs *fs, const struct crash_fs_site **out_sites);
uint64_t crash_fs_sectors_lost(const struct crash_fs *fs); /* by power cuts so far */

/* For tests/sim/interpose.c. Each does the system call, through the journal where the file is one of ours. */
int crash_fs_io_open(const char *path, int flags, mode_t mode);
int crash_fs_io_close(int fd);
ssize_t crash_fs_io_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t crash_fs_io_write(int fd, const void *data, size_t size);
ssize_t crash_fs_io_writev(int fd, const struct iovec *parts, int n);
ssize_t crash_fs_io_pwritev(int fd, const struct iovec *parts, int n, off_t at);
int crash_fs_io_ftruncate(int fd, off_t size);
int crash_fs_io_sync(int fd);
/* Calls of LMDB that went through the journal: a test checks that interposition works at all. */
uint64_t crash_fs_io_calls(void);

#endif
