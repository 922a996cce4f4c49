/* The file system that forgets does what a disk may do, and no more. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <unistd.h>

#include "base/disk.h"
#include "tests/lib/check.h"
#include "tests/lib/crash_fs.h"

static struct crash_fs *fs;
static struct disk *d;
static char root[200];

static const char *at(const char *name)
{
    static char path[4][400];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[next]), "%s/%s", root, name);
    return path[next];
}

static void begin(uint64_t seed)
{
    snprintf(root, sizeof(root), "%s/mq-crash-fs-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
    CHECK_OK(crash_fs_new(root, seed, &fs));
    d = crash_fs_disk(fs);
}

static void end(void)
{
    crash_fs_free(fs);
    CHECK(access(root, F_OK) != 0);
}

static struct disk_file *make(const char *name)
{
    struct disk_file *f = NULL;
    CHECK_OK(disk_open(d, at(name), DISK_READ | DISK_WRITE | DISK_CREATE, &f));
    return f;
}

static uint8_t first_byte(const char *name)
{
    struct disk_file *f = NULL;
    uint8_t byte = 0;
    size_t size = 0;
    if (disk_open(d, at(name), DISK_READ, &f) != OK) {
        return 0;
    }
    CHECK_OK(disk_read(d, f, &byte, 1, 0, &size));
    disk_close(d, f);
    return size == 1 ? byte : 0;
}

static void write_byte(struct disk_file *f, uint8_t byte)
{
    uint8_t sector[512];
    memset(sector, byte, sizeof(sector));
    CHECK_OK(disk_write(d, f, sector, sizeof(sector), 0));
}

static void a_power_cut_loses_what_was_not_synced_and_nothing_else(void)
{
    int lost = 0, kept = 0, between = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        begin(seed);
        struct disk_file *f = make("a");
        write_byte(f, 1);
        CHECK_OK(disk_sync(d, f, "test.file"));
        CHECK_OK(disk_sync_dir(d, root, "test.directory"));
        write_byte(f, 2);
        write_byte(f, 3);
        crash_fs_crash(fs, CRASH_POWER);
        uint8_t byte = first_byte("a");
        lost += byte == 1;
        between += byte == 2;
        kept += byte == 3;
        CHECK(byte >= 1);
        CHECK(byte <= 3);
        end();
    }
    CHECK(lost > 20);
    CHECK(kept > 20);
    CHECK(between > 20);
}

static void a_kill_loses_nothing(void)
{
    begin(7);
    struct disk_file *f = make("a");
    write_byte(f, 9);
    crash_fs_crash(fs, CRASH_KILL);
    CHECK_EQ(first_byte("a"), 9);
    end();
}

static void a_name_is_durable_only_after_its_directory_is(void)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        begin(seed);
        struct disk_file *f = make("a");
        write_byte(f, 1);
        CHECK_OK(disk_sync(d, f, "test.file"));
        crash_fs_crash(fs, CRASH_POWER);
        lost += first_byte("a") == 0;
        kept += first_byte("a") == 1;
        end();
    }
    CHECK(lost > 10);
    CHECK(kept > 10);
}

static void a_replaced_file_is_the_old_or_the_new_one_whole(void)
{
    int old = 0, fresh = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        begin(seed);
        uint8_t one[700], two[700];
        memset(one, 1, sizeof(one));
        memset(two, 2, sizeof(two));
        CHECK_OK(disk_replace_file(d, root, "a", one, sizeof(one), "test.file", "test.directory"));
        crash_fs_arm_cut(fs, 1 + seed % 7);
        enum status s =
            disk_replace_file(d, root, "a", two, sizeof(two), "test.file", "test.directory");
        crash_fs_crash(fs, CRASH_POWER);
        uint8_t *data = NULL;
        size_t size = 0;
        CHECK_OK(disk_read_file(d, at("a"), &data, &size));
        CHECK_EQ(size, 700);
        CHECK_EQ(data[0], data[699]);
        old += data[0] == 1;
        fresh += data[0] == 2;
        CHECK(s != OK || data[0] == 2);
        free(data);
        end();
    }
    CHECK(old > 10);
    CHECK(fresh > 10);
}

static void a_sync_after_a_failed_one_proves_nothing(void)
{
    begin(3);
    struct disk_file *f = make("a");
    CHECK_OK(disk_sync_dir(d, root, "test.directory"));
    write_byte(f, 1);
    crash_fs_fail_sync(fs, 1);
    CHECK_EQ(disk_sync(d, f, "test.file"), STATUS_IO);
    CHECK_OK(disk_sync(d, f, "test.file"));
    crash_fs_crash(fs, CRASH_POWER);
    CHECK_EQ(first_byte("a"), 0);
    f = make("a");
    write_byte(f, 1);
    CHECK_OK(disk_sync(d, f, "test.file"));
    CHECK_OK(disk_sync_dir(d, root, "test.directory"));
    crash_fs_crash(fs, CRASH_POWER);
    CHECK_EQ(first_byte("a"), 1);
    end();
}

static void a_full_disk_refuses_to_grow(void)
{
    begin(4);
    struct disk_file *f = make("a");
    write_byte(f, 1);
    crash_fs_set_full(fs, true);
    write_byte(f, 2);
    uint8_t more[512] = {0};
    CHECK_EQ(disk_write(d, f, more, sizeof(more), 512), STATUS_NO_SPACE);
    crash_fs_set_full(fs, false);
    CHECK_OK(disk_write(d, f, more, sizeof(more), 512));
    disk_close(d, f);
    end();
}

static MDB_env *lmdb_open(void)
{
    MDB_env *env = NULL;
    CHECK_EQ(mdb_env_create(&env), 0);
    CHECK_EQ(mdb_env_set_mapsize(env, 64u << 20), 0);
    CHECK_EQ(mdb_env_open(env, at("env"), MDB_NOSYNC | MDB_NOTLS, 0600), 0);
    return env;
}

static uint32_t lmdb_step(MDB_env *env, uint32_t add)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    uint32_t number = 0;
    MDB_val key = {1, "k"}, value = {0, NULL};
    CHECK_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
    CHECK_EQ(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    if (mdb_get(txn, dbi, &key, &value) == 0) {
        memcpy(&number, value.mv_data, sizeof(number));
    }
    uint8_t big[20000] = {0};
    number += add;
    memcpy(big, &number, sizeof(number));
    value = (MDB_val){sizeof(big), big};
    CHECK_EQ(mdb_put(txn, dbi, &key, &value, 0), 0);
    CHECK_EQ(mdb_txn_commit(txn), 0);
    return number;
}

static void the_writes_of_lmdb_go_through_the_journal(void)
{
    begin(5);
    uint64_t calls = crash_fs_io_calls();
    CHECK_OK(disk_make_dir(d, at("env")));
    MDB_env *env = lmdb_open();
    CHECK_EQ(lmdb_step(env, 1), 1);
    CHECK_EQ(lmdb_step(env, 1), 2);
    CHECK(crash_fs_io_calls() >= calls + 5);
    mdb_env_close(env);
    crash_fs_crash(fs, CRASH_KILL);
    env = lmdb_open();
    CHECK_EQ(lmdb_step(env, 1), 3);
    CHECK_EQ(mdb_env_sync(env, 1), 0);
    mdb_env_close(env);
    CHECK_OK(disk_sync_dir(d, root, "test.directory"));
    CHECK_OK(disk_sync_dir(d, at("env"), "test.directory"));
    crash_fs_crash(fs, CRASH_POWER);
    env = lmdb_open();
    CHECK_EQ(lmdb_step(env, 1), 4);
    mdb_env_close(env);
    const struct crash_fs_site *sites;
    uint32_t n = crash_fs_sites(fs, &sites);
    bool seen = false;
    for (uint32_t i = 0; i < n; i++) {
        seen = seen || (strcmp(sites[i].name, CRASH_FS_SITE_LMDB) == 0 && sites[i].dirty > 0);
    }
    CHECK(seen);
    end();
}

CHECK_MAIN
{
    RUN(a_power_cut_loses_what_was_not_synced_and_nothing_else);
    RUN(a_kill_loses_nothing);
    RUN(a_name_is_durable_only_after_its_directory_is);
    RUN(a_replaced_file_is_the_old_or_the_new_one_whole);
    RUN(a_sync_after_a_failed_one_proves_nothing);
    RUN(a_full_disk_refuses_to_grow);
    RUN(the_writes_of_lmdb_go_through_the_journal);
}
