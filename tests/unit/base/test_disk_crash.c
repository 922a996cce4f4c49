/* disk_replace_file keeps its promise on a disk that forgets: the old or the new, whole; and the
 * crash disk itself forgets and keeps what it says, or every test above it is worth nothing. */
#include "base/random.h"
#include "tests/lib/check.h"
#include "tests/lib/crash_disk.h"

static struct crash_disk *fresh(void)
{
    struct crash_disk *c = crash_disk_new(1);
    struct disk *d = crash_disk_disk(c);
    CHECK_OK(disk_make_dir(d, "/d"));
    CHECK_OK(disk_sync_dir(d, "/", "test"));
    return c;
}

/* Replaces v0 by v1 and loses the power at step n. Returns the version found, -1 when it is
 * neither. */
static int replace_and_crash(uint64_t n, uint64_t seed, const char *disabled, bool *out_done)
{
    struct crash_disk *c = fresh();
    struct disk *d = crash_disk_disk(c);
    uint8_t old[3000], new[2000], *data;
    size_t size;
    memset(old, 'a', sizeof(old));
    memset(new, 'b', sizeof(new));
    CHECK_OK(disk_replace_file(d, "/d", "f", old, sizeof(old), "file", "dir"));
    crash_disk_disable_sync(c, disabled);
    crash_disk_cut_at(c, n);
    *out_done = disk_replace_file(d, "/d", "f", new, sizeof(new), "file", "dir") == OK;
    crash_disk_crash(c, seed);
    int found = -1;
    if (disk_read_file(d, "/d/f", &data, &size) == OK) {
        if (size == sizeof(old) && memcmp(data, old, size) == 0) {
            found = 0;
        } else if (size == sizeof(new) && memcmp(data, new, size) == 0) {
            found = 1;
        }
        free(data);
    }
    crash_disk_free(c);
    return found;
}

static void a_replaced_file_is_the_old_or_the_new_at_every_power_cut(void)
{
    bool old_seen = false, new_seen = false;
    for (uint64_t n = 1; n <= 8; n++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            bool done;
            int found = replace_and_crash(n, seed, NULL, &done);
            CHECK(found >= 0);
            CHECK(!done || found == 1);
            old_seen = old_seen || found == 0;
            new_seen = new_seen || found == 1;
        }
    }
    CHECK(old_seen);
    CHECK(new_seen);
}

static void each_sync_of_a_replacement_is_needed(void)
{
    static const char *const sites[] = {"file", "dir"};
    for (int k = 0; k < 2; k++) {
        unsigned bad = 0;
        for (uint64_t seed = 0; seed < 60; seed++) {
            bool done;
            int found = replace_and_crash(0, seed, sites[k], &done);
            bad += found < 0 || (done && found != 1);
        }
        CHECK(bad > 0);
    }
}

static void a_replacement_that_fails_leaves_the_old_file(void)
{
    for (uint64_t n = 1; n <= 5; n++) {
        struct crash_disk *c = fresh();
        struct disk *d = crash_disk_disk(c);
        uint8_t *data;
        size_t size;
        CHECK_OK(disk_replace_file(d, "/d", "f", "old", 3, "file", "dir"));
        crash_disk_fail_at(c, n, STATUS_NO_SPACE, true);
        CHECK_EQ(disk_replace_file(d, "/d", "f", "new", 3, "file", "dir"), STATUS_NO_SPACE);
        CHECK_OK(disk_read_file(d, "/d/f", &data, &size));
        CHECK_STR_EQ((char *)data, "old");
        free(data);
        crash_disk_free(c);
    }
}

static void a_sector_survives_whole_and_unsynced_ones_in_any_mixture(void)
{
    unsigned mixtures = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct crash_disk *c = fresh();
        struct disk *d = crash_disk_disk(c);
        struct disk_file *f;
        uint8_t data[4096];
        size_t n;
        unsigned ones = 0;
        CHECK_OK(disk_open(d, "/d/f", DISK_READ | DISK_WRITE | DISK_CREATE, &f));
        memset(data, 0, sizeof(data));
        CHECK_OK(disk_write(d, f, data, sizeof(data), 0));
        CHECK_OK(disk_sync(d, f, "test"));
        CHECK_OK(disk_sync_dir(d, "/d", "test"));
        memset(data, 1, sizeof(data));
        CHECK_OK(disk_write(d, f, data, sizeof(data), 0));
        crash_disk_crash(c, seed);
        CHECK_EQ(disk_read(d, f, data, 1, 0, &n), STATUS_IO); /* opened before */
        disk_close(d, f);
        CHECK_OK(disk_open(d, "/d/f", DISK_READ, &f));
        CHECK_OK(disk_read(d, f, data, sizeof(data), 0, &n));
        CHECK_EQ(n, sizeof(data));
        for (size_t s = 0; s < 8; s++) {
            for (size_t i = 1; i < 512; i++) {
                CHECK_EQ(data[s * 512], data[s * 512 + i]);
            }
            ones += data[s * 512];
        }
        mixtures += ones > 0 && ones < 8;
        disk_close(d, f);
        crash_disk_free(c);
    }
    CHECK(mixtures > 50);
}

static void after_a_kill_a_sync_proves_nothing_until_it_is_written_again(void)
{
    unsigned lost = 0;
    for (int again = 0; again < 2; again++) {
        for (uint64_t seed = 0; seed < 40; seed++) {
            struct crash_disk *c = fresh();
            struct disk *d = crash_disk_disk(c);
            struct disk_file *f;
            uint8_t data[512];
            size_t n;
            memset(data, 7, sizeof(data));
            CHECK_OK(disk_open(d, "/d/f", DISK_READ | DISK_WRITE | DISK_CREATE, &f));
            CHECK_OK(disk_sync_dir(d, "/d", "test"));
            CHECK_OK(disk_write(d, f, data, sizeof(data), 0));
            disk_close(d, f);
            crash_disk_kill(c);
            CHECK_OK(disk_open(d, "/d/f", DISK_READ | DISK_WRITE, &f));
            CHECK_OK(disk_read(d, f, data, sizeof(data), 0, &n));
            CHECK_EQ(data[9], 7);
            if (again) {
                CHECK_OK(disk_write(d, f, data, sizeof(data), 0));
            }
            CHECK_OK(disk_sync(d, f, "test"));
            disk_close(d, f);
            crash_disk_crash(c, seed);
            CHECK_OK(disk_open(d, "/d/f", DISK_READ, &f));
            data[9] = 0;
            CHECK_OK(disk_read(d, f, data, sizeof(data), 0, &n));
            lost += data[9] != 7;
            CHECK(!again || data[9] == 7);
            disk_close(d, f);
            crash_disk_free(c);
        }
    }
    CHECK(lost > 0);
}

static void an_unsynced_name_may_be_gone_and_a_rename_is_whole(void)
{
    unsigned old_name = 0, new_name = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct crash_disk *c = fresh();
        struct disk *d = crash_disk_disk(c);
        struct disk_file *f;
        CHECK_OK(disk_open(d, "/d/a", DISK_WRITE | DISK_CREATE, &f));
        disk_close(d, f);
        CHECK_OK(disk_sync_dir(d, "/d", "test"));
        CHECK_OK(disk_rename(d, "/d/a", "/d/b"));
        crash_disk_crash(c, seed);
        size_t size;
        bool a = crash_disk_data(c, "/d/a", &size) != NULL,
             b = crash_disk_data(c, "/d/b", &size) != NULL;
        CHECK(a != b);
        old_name += a;
        new_name += b;
        crash_disk_free(c);
    }
    CHECK(old_name > 10);
    CHECK(new_name > 10);
}

CHECK_MAIN
{
    RUN(a_replaced_file_is_the_old_or_the_new_at_every_power_cut);
    RUN(each_sync_of_a_replacement_is_needed);
    RUN(a_replacement_that_fails_leaves_the_old_file);
    RUN(a_sector_survives_whole_and_unsynced_ones_in_any_mixture);
    RUN(after_a_kill_a_sync_proves_nothing_until_it_is_written_again);
    RUN(an_unsynced_name_may_be_gone_and_a_rename_is_whole);
}
