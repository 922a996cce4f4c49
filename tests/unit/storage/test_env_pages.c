/* The check of a copy's pages when the disk or the memory fails it, at each place where it can: the status says what it was, and never
 * that the pages are wrong or right. What wrong pages do is in test_hazards_k.c and tests/fuzz/fuzz_install.c. */
#include "storage/env.h"

#include "tests/lib/scarce.h"
#include "tests/unit/storage/store_rig.h"

/* A file that is read from memory, with one read that does not work. */
static struct rig_pages pages;
static uint64_t reads, fail_at;
static enum status failure; /* OK: that read ends one byte early */
static uint64_t short_reads, big_reads;

static enum status memory_read(struct disk *d, struct disk_file *f, void *data, size_t size,
                               uint64_t at, size_t *out_size)
{
    (void)d, (void)f;
    size_t there = at < pages.size ? pages.size - at : 0;
    size_t n = size < there ? size : there;
    short_reads += size < env_page_size();
    big_reads += size > env_page_size();
    if (++reads == fail_at && failure != OK) {
        return failure;
    }
    n -= reads == fail_at ? 1 : 0;
    memcpy(data, pages.data + at, n);
    *out_size = n;
    return OK;
}

static const struct disk_ops memory_ops = {.read = memory_read};
static struct disk memory = {&memory_ops};

static enum status check_pages(uint64_t n, enum status s)
{
    reads = 0;
    fail_at = n;
    failure = s;
    return env_check_pages(&memory, NULL, &pages.d.meta);
}

/* Trees with branches, values and a list of free pages with pages of their own. */
static void pages_init(struct rig *r)
{
    char key[32], value[401], big[9000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    memset(big, 'b', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    rig_open(r, 1);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned k = 0; k < 3500; k++) { /* all in one commit: it frees them all at once */
            snprintf(key, sizeof(key), "%u", (k * 7919 + round) % 3511);
            CHECK_OK(rig_set(r, "", key, value + round * 7));
        }
        CHECK_OK(rig_set(r, "", "big", big + round));
        rig_commit(r);
    }
    rig_checkpoint(r);
    rig_copy(r, &pages);
}

static void a_read_that_fails_is_told_as_what_it_was(void)
{
    static const enum status kinds[] = {STATUS_IO, STATUS_NO_MEMORY};
    CHECK_OK(check_pages(0, OK));
    uint64_t n = reads;
    CHECK(n > 300 && n < 5000);
    CHECK(short_reads > 0); /* heads of values with pages of their own */
    CHECK(big_reads > 0);   /* and a list of free pages that is one */
    for (uint64_t i = 1; i <= n; i++) {
        CHECK_EQ(check_pages(i, kinds[i % 2]), kinds[i % 2]);
        CHECK_EQ(reads, i);                           /* nothing is read behind it */
        CHECK_EQ(check_pages(i, OK), STATUS_CORRUPT); /* the file is shorter than it says */
        CHECK_EQ(reads, i);
    }
    CHECK_OK(check_pages(n + 1, STATUS_IO));
}

static void without_memory_it_is_no_memory_and_nothing_is_kept(void)
{
    scarce_fail_at(0);
    CHECK_OK(check_pages(0, OK));
    uint64_t n = scarce_calls();
    CHECK(n > 300 && n < 5000); /* a page each, and the lists */
    for (uint64_t i = 1; i <= n; i++) {
        scarce_fail_at(i);
        CHECK_EQ(check_pages(0, OK), STATUS_NO_MEMORY);
        CHECK_EQ(scarce_calls(), i);
    }
    scarce_fail_at(n + 1);
    CHECK_OK(check_pages(0, OK));
    scarce_fail_at(0);
}

/* ---- as a copy is installed ---- */

static uint64_t disk_reads, disk_fail_at;

static enum status failing_read(struct disk *d, struct disk_file *f, void *data, size_t size,
                                uint64_t at, size_t *out_size)
{
    (void)d;
    return ++disk_reads == disk_fail_at ? STATUS_IO
                                        : disk_read(&disk_posix, f, data, size, at, out_size);
}

static enum status install(struct rig *r, struct error *e)
{
    struct install *i;
    CHECK_OK(install_begin(&r->options, &r->environment, &pages.d, pages.size, &i));
    CHECK_OK(install_write(i, 0, pages.data, pages.size));
    disk_reads = 0;
    return install_commit(i, e);
}

static void an_install_that_cannot_be_checked_leaves_nothing_and_can_be_done_again(void)
{
    struct rig r;
    struct error e = {0};
    struct disk_ops ops = *disk_posix.ops;
    struct disk disk = {&ops};
    ops.read = failing_read;
    pages_init(&r);
    rig_environment(&r, 2);
    r.options.disk = &disk;
    disk_fail_at = 100;
    CHECK_EQ(install(&r, &e), STATUS_IO);
    CHECK(strstr(e.text, "the copy's pages can't be looked at: input/output error") != NULL);
    CHECK_EQ(access(r.directory, F_OK), -1);
    disk_fail_at = 0;
    CHECK_OK(install(&r, &e));
    rig_pages_deinit(&pages);
    rig_environment(&r, 1);
    rig_close(&r);
}

CHECK_MAIN
{
    struct rig r;
    pages_init(&r);
    RUN(a_read_that_fails_is_told_as_what_it_was);
    RUN(without_memory_it_is_no_memory_and_nothing_is_kept);
    rig_pages_deinit(&pages);
    rig_close(&r);
    RUN(an_install_that_cannot_be_checked_leaves_nothing_and_can_be_done_again);
}
