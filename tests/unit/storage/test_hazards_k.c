/* Hazards K0, K2 and K3 at the store: a start is exactly the checkpoint whose transaction was pinned, a copy is what its source said, and an
 * environment that was not finished is none. docs/proof.d/cluster/hazards.sh takes each rule out and sees these fail. */
#include "tests/unit/storage/store_rig.h"

static void rewrite(struct rig *r, unsigned rounds)
{
    char value[900];
    for (unsigned i = 0; i < rounds; i++) {
        char key[16];
        memset(value, 'a' + (int)(i % 26), sizeof(value) - 1);
        value[sizeof(value) - 1] = 0;
        snprintf(key, sizeof(key), "key%u", i % 60);
        CHECK_OK(rig_set(r, "", key, value));
        if (i % 3 == 2) {
            rig_commit(r); /* each frees pages that the one before wrote */
        }
    }
}

/* Closes without a word, opens, and expects that state and those rows. */
static void back_at(struct rig *r, uint64_t index, struct digest digest)
{
    store_close(r->store);
    rig_start(r);
    CHECK_EQ(r->index, index);
    CHECK(digest_equal(store_position(r->store).digest, digest));
    rig_check_digest(r);
}

static void K0_a_start_is_the_pinned_checkpoint_however_much_was_written_since(void)
{
    struct rig r;
    rig_open(&r, 1);
    for (int round = 0; round < 4; round++) {
        rewrite(&r, 200);
        rig_checkpoint(&r);
        uint64_t index = r.index;
        struct digest digest = store_position(r.store).digest;
        rewrite(&r, 400);
        rig_commit(&r);
        back_at(&r, index, digest);
    }
    rig_close(&r);
}

static void K0_the_old_pin_stays_until_the_next_side_file_is_durable(void)
{
    struct rig r;
    struct checkpoint *c;
    rig_open(&r, 1);
    rewrite(&r, 200);
    rig_checkpoint(&r);
    uint64_t index = r.index;
    struct digest digest = store_position(r.store).digest;
    rewrite(&r, 60);
    CHECK_OK(checkpoint_begin(r.store, NULL, 0, &c));
    rewrite(&r, 400); /* the writer goes on, and the process dies before the side file is there */
    rig_commit(&r);
    checkpoint_release(r.store, c, false);
    back_at(&r, index, digest);
    rig_close(&r);
}

static void K2_a_copy_that_is_not_what_its_source_said_is_refused(void)
{
    struct rig r;
    struct rig_pages p;
    struct install *i;
    struct error e = {0};
    rig_open(&r, 1);
    rewrite(&r, 300);
    rig_checkpoint(&r);
    rig_copy(&r, &p);
    for (uint64_t at = 8192; at + 32 < p.size;
         at++) { /* inside a value, in every page that holds one: LMDB sees nothing odd */
        bool letter = p.data[at] >= 'a' && p.data[at] <= 'z';
        if (letter && memcmp(p.data + at, p.data + at + 1, 31) == 0) {
            p.data[at + 16] ^= 1;
            at += 700;
        }
    }
    rig_environment(&r, 2);
    CHECK_OK(install_begin(&r.options, &r.environment, &p.d, p.size, &i));
    CHECK_OK(install_write(i, 0, p.data, p.size));
    CHECK_EQ(install_commit(i, &e), STATUS_CORRUPT);
    rig_pages_deinit(&p);
    rig_close(&r);
}

/* LMDB believes what a page says of itself: it would read and write outside of its map (found by tests/fuzz/fuzz_install.c). */
static void K2_a_copy_whose_pages_are_no_pages_is_refused_before_LMDB_looks(void)
{
    static const size_t places[] = {0, 10, 12, 14, 16, 17}; /* number, kind, lower, upper, a node */
    struct rig r;
    struct rig_pages p;
    struct install *i;
    struct error e = {0};
    unsigned refused = 0;
    rig_open(&r, 1);
    rewrite(&r, 300);
    rig_checkpoint(&r);
    rig_copy(&r, &p);
    rig_environment(&r, 2);
    for (uint64_t page = 8192; page < p.size; page += 4096) {
        uint8_t *at = p.data + page + places[page / 4096 % (sizeof(places) / sizeof(*places))];
        *at ^= 0xa5;
        CHECK_OK(install_begin(&r.options, &r.environment, &p.d, p.size, &i));
        CHECK_OK(install_write(i, 0, p.data, p.size));
        enum status s = install_commit(i, &e);
        *at ^= 0xa5;
        CHECK(s == OK || s == STATUS_CORRUPT); /* OK: a free page */
        refused += s == STATUS_CORRUPT;
        CHECK_OK(install_remove(&disk_posix, r.directory));
    }
    CHECK(refused >= 4); /* the trees of names and of rows, at least */
    rig_pages_deinit(&p);
    rig_environment(&r, 1);
    rig_close(&r);
}

/* Its lists of free pages have pages of their own, its trees have branches. */
static void K2_a_large_copy_with_many_free_pages_is_taken(void)
{
    struct rig r;
    struct rig_pages p;
    struct install *i;
    struct error e = {0};
    char key[32], value[401];
    rig_open(&r, 1);
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned k = 0; k < 6000; k++) { /* all in one commit: it frees them all at once */
            snprintf(key, sizeof(key), "%u", (k * 7919 + round) % 6007);
            CHECK_OK(rig_set(&r, "", key, value + round * 7));
        }
        rig_commit(&r);
    }
    rig_checkpoint(&r);
    rig_copy(&r, &p);
    rig_environment(&r, 2);
    CHECK_OK(install_begin(&r.options, &r.environment, &p.d, p.size, &i));
    CHECK_OK(install_write(i, 0, p.data, p.size));
    CHECK_OK(install_commit(i, &e));
    rig_pages_deinit(&p);
    rig_environment(&r, 1);
    rig_close(&r);
}

static void K3_an_environment_is_there_when_it_is_whole_and_not_before(void)
{
    struct rig r;
    struct rig_pages p;
    struct install *i;
    struct store *s;
    struct checkpoint_descriptor d;
    struct error e = {0};
    rig_open(&r, 1);
    rewrite(&r, 300);
    rig_checkpoint(&r);
    rig_copy(&r, &p);
    rig_environment(&r, 2);
    CHECK_OK(install_begin(&r.options, &r.environment, &p.d, p.size, &i));
    for (uint64_t at = 0; at < p.size; at += 65536) { /* dead at any step of it */
        CHECK(store_open(&r.options, &r.environment, &s, &d, &e) != OK);
        CHECK_OK(install_write(i, at, p.data + at, 65536 < p.size - at ? 65536 : p.size - at));
    }
    CHECK(store_open(&r.options, &r.environment, &s, &d, &e) != OK);
    CHECK_OK(install_commit(i, &e));
    CHECK_OK(store_open(&r.options, &r.environment, &s, &d, &e));
    CHECK_EQ(d.index, p.d.index);
    checkpoint_descriptor_deinit(&d);
    store_close(s);
    rig_pages_deinit(&p);
    rig_environment(&r, 1);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(K0_a_start_is_the_pinned_checkpoint_however_much_was_written_since);
    RUN(K0_the_old_pin_stays_until_the_next_side_file_is_durable);
    RUN(K2_a_copy_that_is_not_what_its_source_said_is_refused);
    RUN(K2_a_copy_whose_pages_are_no_pages_is_refused_before_LMDB_looks);
    RUN(K2_a_large_copy_with_many_free_pages_is_taken);
    RUN(K3_an_environment_is_there_when_it_is_whole_and_not_before);
}
