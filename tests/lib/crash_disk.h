/* A disk in memory that forgets what was never synced.
 *
 * Every write is kept as unsynced 512-byte sectors, every creation, rename and removal as an
 * unsynced operation of its directory. crash_disk_crash() is a power cut: of each file a random
 * subset of its unsynced sectors survives, in any order (so a batch may be torn or reordered, a
 * sector never), its size is the old or the new one, and of each directory a random first part of
 * its unsynced operations. crash_disk_kill() is kill -9 on a disk whose write-back failed without a
 * word: all is still there to be read, but those pages are clean: a later sync proves nothing about
 * them until they are written again.
 *
 * One call that changes something = one step. Steps can be counted, can fail, and can be where the
 * power goes: then that call and all later ones return IO, until crash_disk_crash(). Sync sites can
 * be turned into no-ops by name. Files opened before a crash or kill only return IO and must still
 * be closed. Not for threads: jobs run inline. */
#ifndef MQ_TESTS_LIB_CRASH_DISK_H
#define MQ_TESTS_LIB_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/disk.h"

struct crash_disk;

struct crash_disk *crash_disk_new(uint64_t seed);
void crash_disk_free(struct crash_disk *c);
struct disk *crash_disk_disk(struct crash_disk *c);

/* Power cut; also ends whatever was planned with cut_at and fail_at. */
void crash_disk_crash(struct crash_disk *c, uint64_t seed);
/* Process death; nothing is lost yet. */
void crash_disk_kill(struct crash_disk *c);

/* Steps since the last crash or kill. */
uint64_t crash_disk_steps(const struct crash_disk *c);
/* The power goes in step n (1 = the next one). A write that is cut may be there in part. 0 = never.
 * */
void crash_disk_cut_at(struct crash_disk *c, uint64_t n);
bool crash_disk_is_cut(const struct crash_disk *c);
/* Step n returns s (and does nothing); with `for_good` every later one, too. n = 0: never. */
void crash_disk_fail_at(struct crash_disk *c, uint64_t n, enum status s, bool for_good);

/* Makes every sync of this site a lie; NULL = all sites are honest again. */
void crash_disk_disable_sync(struct crash_disk *c, const char *site);
/* How often it was called; sites are listed in the order of their first call. */
uint64_t crash_disk_site_count(const struct crash_disk *c, const char *site);
unsigned crash_disk_sites(const struct crash_disk *c);
const char *crash_disk_site(const struct crash_disk *c, unsigned i);

void crash_disk_set_free_bytes(struct crash_disk *c, uint64_t bytes);

/* Durable at once: what a test or fuzzer wants to find there. */
void crash_disk_put(struct crash_disk *c, const char *path, const void *data, size_t size);
/* Bit rot: flips bits of one byte where it is durable and where it is read. False when there is no
 * such byte. */
bool crash_disk_flip(struct crash_disk *c, const char *path, uint64_t at, uint8_t bits);
/* What a reader sees now; NULL when there is none. Borrowed until the next call. */
const uint8_t *crash_disk_data(const struct crash_disk *c, const char *path, size_t *out_size);

#endif
