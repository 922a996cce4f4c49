/* The real disk does what the table says, and small files are replaced whole. */
#include "base/disk.h"

#include <sys/stat.h>

#include "tests/lib/check.h"
#include "tests/lib/no_descriptors.h"

static char dir[] = "/tmp/test_disk.XXXXXX";

static void at(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", dir, name);
}

static void what_is_written_is_read_at_its_place(void)
{
    char path[256], data[8];
    struct disk_file *f;
    size_t n;
    uint64_t size;
    at(path, "one");
    CHECK_EQ(disk_open(&disk_posix, path, DISK_READ, &f), STATUS_NOT_FOUND);
    CHECK_OK(
        disk_open(&disk_posix, path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &f));
    CHECK_OK(disk_write(&disk_posix, f, "hello", 5, 3));
    CHECK_OK(disk_size(&disk_posix, f, &size));
    CHECK_EQ(size, 8);
    CHECK_OK(disk_read(&disk_posix, f, data, 8, 2, &n));
    CHECK_EQ(n, 6);
    CHECK_MEM_EQ(data, "\0hello", 6);
    CHECK_OK(disk_read(&disk_posix, f, data, 8, 100, &n));
    CHECK_EQ(n, 0);
    CHECK_OK(disk_truncate(&disk_posix, f, 4));
    CHECK_OK(disk_size(&disk_posix, f, &size));
    CHECK_EQ(size, 4);
    CHECK_OK(disk_sync(&disk_posix, f, "test"));
    disk_close(&disk_posix, f);
    disk_close(&disk_posix, NULL);
    CHECK_EQ(disk_open(&disk_posix, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &f),
             STATUS_EXISTS);
    struct stat st;
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
}

static void a_link_is_not_followed(void)
{
    char path[256], link[256];
    struct disk_file *f;
    at(path, "one");
    at(link, "link");
    CHECK_EQ(symlink(path, link), 0);
    CHECK_NE(disk_open(&disk_posix, link, DISK_READ, &f), OK);
    CHECK_OK(disk_remove(&disk_posix, link));
}

static unsigned listed;

static void on_name(void *arg, const char *name)
{
    const char **want = arg;
    CHECK_STR_EQ(name, *want);
    listed++;
}

static void directories_are_made_listed_and_removed(void)
{
    char path[256], inner[256];
    const char *want = "x";
    struct disk_file *f;
    uint64_t bytes;
    at(path, "sub");
    at(inner, "sub/x");
    CHECK_OK(disk_make_dir(&disk_posix, path));
    CHECK_EQ(disk_make_dir(&disk_posix, path), STATUS_EXISTS);
    CHECK_OK(disk_open(&disk_posix, inner, DISK_WRITE | DISK_CREATE, &f));
    disk_close(&disk_posix, f);
    CHECK_OK(disk_list(&disk_posix, path, on_name, &want));
    CHECK_EQ(listed, 1);
    CHECK_NE(disk_remove(&disk_posix, path), OK);
    CHECK_OK(disk_remove(&disk_posix, inner));
    CHECK_OK(disk_sync_dir(&disk_posix, path, "test"));
    CHECK_OK(disk_remove(&disk_posix, path));
    CHECK_EQ(disk_sync_dir(&disk_posix, path, "test"), STATUS_NOT_FOUND);
    CHECK_EQ(disk_list(&disk_posix, path, on_name, &want), STATUS_NOT_FOUND);
    CHECK_OK(disk_free_bytes(&disk_posix, dir, &bytes));
    CHECK(bytes > 0);
}

static void a_small_file_is_replaced_whole(void)
{
    char path[256];
    uint8_t *data;
    size_t size;
    at(path, "small");
    CHECK_OK(disk_replace_file(&disk_posix, dir, "small", "first, long", 11, "a", "b"));
    CHECK_OK(disk_replace_file(&disk_posix, dir, "small", "second", 6, "a", "b"));
    CHECK_OK(disk_read_file(&disk_posix, path, &data, &size));
    CHECK_EQ(size, 6);
    CHECK_STR_EQ((char *)data, "second");
    free(data);
    CHECK_OK(disk_replace_file(&disk_posix, dir, "small", NULL, 0, "a", "b"));
    CHECK_OK(disk_read_file(&disk_posix, path, &data, &size));
    CHECK_EQ(size, 0);
    free(data);
    CHECK_OK(disk_remove(&disk_posix, path));
    CHECK_EQ(disk_read_file(&disk_posix, path, &data, &size), STATUS_NOT_FOUND);
}

static void a_file_over_the_stated_limit_is_refused(void)
{
    char path[256];
    struct disk_file *f;
    uint8_t *data;
    size_t size;
    at(path, "big");
    CHECK_OK(disk_open(&disk_posix, path, DISK_WRITE | DISK_CREATE, &f));
    CHECK_OK(disk_truncate(&disk_posix, f, DISK_SMALL_FILE_MAX + 1));
    disk_close(&disk_posix, f);
    CHECK_EQ(disk_read_file(&disk_posix, path, &data, &size), STATUS_TOO_BIG);
    CHECK_OK(disk_remove(&disk_posix, path));
}

static void blocks_are_taken_for_a_range_and_the_size_stays(void)
{
    char path[256];
    struct disk_file *f;
    struct stat st;
    at(path, "ahead");
    CHECK_OK(disk_open(&disk_posix, path, DISK_WRITE | DISK_CREATE, &f));
    enum status s = disk_reserve(&disk_posix, f, 64u << 20, 65u << 20);
    CHECK(s == OK || s == STATUS_UNSUPPORTED); /* not every file system can */
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_size, 0);
    if (s == OK) {
        CHECK(st.st_blocks >= (1 << 20) / 512);
        CHECK(st.st_blocks < (32 << 20) / 512); /* nothing before the range */
    }
    disk_close(&disk_posix, f);
    CHECK_OK(disk_remove(&disk_posix, path));
}

static void on_any_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    listed++;
}

static void a_descriptor_is_waited_for(void)
{
    struct no_descriptors none;
    no_descriptors_begin(&none, 50);
    CHECK_OK(disk_sync_dir(&disk_posix, dir, "test"));
    no_descriptors_end(&none);
    unsigned before = listed;
    no_descriptors_begin(&none, 50);
    CHECK_OK(disk_list(&disk_posix, dir, on_any_name, NULL));
    no_descriptors_end(&none);
    CHECK_EQ(listed, before + 1); /* "one", of the first test */
    no_descriptors_begin(&none, 50);
    CHECK_OK(disk_replace_file(&disk_posix, dir, "small", "x", 1, "a", "b"));
    no_descriptors_end(&none);
    no_descriptors_begin(&none, 0);
    CHECK_EQ(disk_replace_file(&disk_posix, dir, "small", "y", 1, "a", "b"), STATUS_NO_FILES);
    no_descriptors_end(&none);
    char path[256];
    at(path, "small");
    CHECK_OK(disk_remove(&disk_posix, path));
}

CHECK_MAIN
{
    char path[256];
    CHECK(mkdtemp(dir) != NULL);
    RUN(what_is_written_is_read_at_its_place);
    RUN(a_link_is_not_followed);
    RUN(directories_are_made_listed_and_removed);
    RUN(a_small_file_is_replaced_whole);
    RUN(a_file_over_the_stated_limit_is_refused);
    RUN(blocks_are_taken_for_a_range_and_the_size_stays);
    RUN(a_descriptor_is_waited_for);
    at(path, "one");
    unlink(path);
    CHECK_EQ(rmdir(dir), 0);
}
