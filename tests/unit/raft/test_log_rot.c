/* Bit rot: a log that lost a byte never looks whole and shorter; the damage is charged to those it
 * may concern, once and for good, and to no others. */
#include "tests/unit/raft/log_rig.h"

#define PATHS_MAX 16u

/* A log with three shards over several segments, at rest on the disk, and what it should say. */
struct image {
    char paths[PATHS_MAX][64];
    uint8_t *data[PATHS_MAX];
    uint32_t n;
    uint64_t mark; /* where the last mark stands, counted as any_place() does */
    uint64_t last[8];
    uint64_t first[8];
};

static void on_name(void *arg, const char *name)
{
    struct image *im = arg;
    CHECK(im->n < PATHS_MAX);
    snprintf(im->paths[im->n++], sizeof(im->paths[0]), RIG_DIR "/%.40s", name);
}

static void take_image(struct rig *r, struct image *im)
{
    char newest[64];
    memset(im, 0, sizeof(*im));
    snprintf(newest, sizeof(newest), RIG_DIR "/%08" PRIu64 ".log", r->log->current->id);
    im->mark = r->log->current->used;
    for (shard_id i = 3; i <= 5; i++) {
        im->last[i] = log_last_index(r->log, i);
        im->first[i] = log_state_find(r->log, i)->snapshot_index + 1;
    }
    rig_close(r);
    CHECK_OK(disk_list(crash_disk_disk(r->disk), RIG_DIR, on_name, im));
    for (uint32_t i = 0; i < im->n; i++) {
        size_t size;
        const uint8_t *p = crash_disk_data(r->disk, im->paths[i], &size);
        CHECK_EQ(size, RIG_SEGMENT);
        im->mark += strcmp(im->paths[i], newest) == 0 ? (uint64_t)i * RIG_SEGMENT : 0;
        im->data[i] = malloc(size);
        memcpy(im->data[i], p, size);
    }
}

static void free_image(struct image *im)
{
    for (uint32_t i = 0; i < im->n; i++) {
        free(im->data[i]);
    }
}

/* The disk with that image on it. */
static void put_image(struct rig *r, const struct image *im)
{
    rig_init(r, 1);
    for (uint32_t i = 0; i < im->n; i++) {
        crash_disk_put(r->disk, im->paths[i], im->data[i], RIG_SEGMENT);
    }
}

static void make_image(struct image *im)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    for (shard_id i = 3; i <= 5; i++) {
        rig_put(&r, i, 2, i);
    }
    rig_append(&r, 5, 1, 3, 2, 90); /* the quiet one */
    for (uint64_t i = 0; i < 120; i++) {
        rig_append(&r, 3, 1 + i, 1, 2, 40 + 300 * (uint32_t)(i % 5));
        if (i % 3 == 0) {
            rig_append(&r, 4, 1 + i / 3, 1, 2, 200);
        }
        rig_flush(&r);
        if (i == 60 || i == 90) {
            rig_checkpoint(&r, 3, i - 20);
            rig_checkpoint(&r, 4, i / 3 - 8);
        }
    }
    take_image(&r, im);
    rig_deinit(&r);
}

/* Each shard is whole, or charged and never longer than it was. Returns how many were charged. */
static unsigned check_shards(struct rig *r, const struct image *im, uint64_t lasts[8])
{
    unsigned charged = 0;
    for (shard_id i = 3; i <= 5; i++) {
        const struct log_state *s = log_state_find(r->log, i);
        if (s == NULL) {
            CHECK(log_ever_damaged(r->log)); /* covers what the log no longer knows */
            charged++;
            continue;
        }
        uint64_t last = log_last_index(r->log, i);
        lasts[i] = last;
        if (log_shard_damage(r->log, i) == LOG_DAMAGED) {
            CHECK(s->amnesia);
            CHECK(log_ever_damaged(r->log));
            CHECK(last <= im->last[i]);
            CHECK(log_first_index(r->log, i) <= s->snapshot_index + 1);
            charged++;
            continue;
        }
        CHECK(!s->amnesia);
        CHECK_EQ(s->term, 2);
        CHECK_EQ(s->vote, i);
        CHECK_EQ(last, im->last[i]);
        CHECK(log_first_index(r->log, i) <= im->first[i]);
        for (uint64_t k = im->first[i]; k <= last; k++) {
            CHECK_OK(rig_read(r, i, k));
        }
    }
    return charged;
}

static void flip(struct rig *r, const struct image *im, uint64_t at)
{
    CHECK(crash_disk_flip(r->disk, im->paths[at / RIG_SEGMENT], at % RIG_SEGMENT,
                          (uint8_t)(1u << (at % 8))));
}

/* What the first start makes of a damaged image, the next one does, too. Returns how many shards were charged. */
static unsigned charged_for_good(struct rig *r, const struct image *im)
{
    uint64_t lasts[8] = {0}, again[8] = {0};
    bool damaged[8];
    rig_open(r);
    unsigned n = check_shards(r, im, lasts);
    for (shard_id i = 3; i <= 5; i++) {
        damaged[i] =
            log_state_find(r->log, i) == NULL || log_shard_damage(r->log, i) == LOG_DAMAGED;
    }
    rig_power_cut(r, 1);
    CHECK_EQ(check_shards(r, im, again), n);
    for (shard_id i = 3; i <= 5; i++) {
        CHECK_EQ(lasts[i], again[i]);
        CHECK_EQ(damaged[i],
                 log_state_find(r->log, i) == NULL || log_shard_damage(r->log, i) == LOG_DAMAGED);
    }
    return n;
}

static void any_flipped_byte_leaves_each_shard_whole_or_charged_for_good(void)
{
    struct image im;
    make_image(&im);
    uint64_t stride = getenv("MQ_STRIDE") != NULL ? strtoull(getenv("MQ_STRIDE"), NULL, 10) : 307;
    unsigned charged = 0, whole = 0;
    for (uint64_t at = 0; at < (uint64_t)im.n * RIG_SEGMENT; at += stride) {
        struct rig r;
        put_image(&r, &im);
        flip(&r, &im, at);
        unsigned n = charged_for_good(&r, &im);
        charged += n > 0;
        whole += n == 0;
        rig_deinit(&r);
    }
    printf("# %u places charged, %u did no harm\n", charged, whole);
    CHECK(charged > 50);
    CHECK(whole > 50);
    free_image(&im);
}

/* Anywhere but in a head's format (another one is refused, whatever it came from) and in the last
 * mark (without it a rotten last batch can't be told from a torn one). */
static uint64_t any_place(struct random *random, const struct image *im)
{
    for (;;) {
        uint64_t at = random_below(random, (uint64_t)im->n * RIG_SEGMENT);
        bool format = at % RIG_SEGMENT >= 8 && at % RIG_SEGMENT < 12;
        if (!format && (at < im->mark || at >= im->mark + LOG_BLOCK_BYTES)) {
            return at;
        }
    }
}

/* A shard that has moved on past the first hole must not be thrown back to it by the second. */
static void so_do_two_flipped_bytes(void)
{
    struct image im;
    struct random random;
    make_image(&im);
    random_init_seed(&random, check_seed());
    for (int i = 0; i < 1500; i++) {
        struct rig r;
        uint64_t one = any_place(&random, &im), other = any_place(&random, &im);
        put_image(&r, &im);
        flip(&r, &im, one);
        if (other != one) {
            flip(&r, &im, other);
        }
        (void)charged_for_good(&r, &im);
        rig_deinit(&r);
    }
    free_image(&im);
}

/* Where the batch that holds this entry begins. */
static uint32_t batch_of(struct rig *r, shard_id shard, uint64_t index, char path[64],
                         uint32_t *out_size)
{
    const struct log_slot *slot = log_ring_find(&log_shard_find(r->log, shard)->ring, index);
    const struct log_segment *seg = log_segment_find(r->log, slot->segment);
    size_t size;
    snprintf(path, 64, RIG_DIR "/%08" PRIu64 ".log", seg->id);
    const uint8_t *p = crash_disk_data(r->disk, path, &size);
    uint32_t at = slot->at / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
    struct log_batch b;
    while (log_batch_decode(p + at, size - at, &b) != OK) {
        CHECK(at >= LOG_BLOCK_BYTES);
        at -= LOG_BLOCK_BYTES;
    }
    *out_size = b.size;
    return at;
}

/* Three shards; entry 5 of shard 3 is alone in its batch. */
static void make_small(struct rig *r)
{
    rig_init(r, 1);
    rig_open(r);
    for (shard_id i = 3; i <= 5; i++) {
        rig_put(r, i, 2, i);
        rig_append(r, i, 1, 4, 2, 90);
    }
    rig_flush(r);
    rig_append(r, 3, 5, 1, 2, 90);
    rig_flush(r);
    rig_append(r, 3, 6, 1, 2, 90);
    rig_append(r, 4, 5, 1, 2, 90);
    rig_flush(r);
}

static void flip_and_open(struct rig *r, const char *path, const uint64_t *at, unsigned n)
{
    rig_close(r);
    for (unsigned i = 0; i < n; i++) {
        CHECK(crash_disk_flip(r->disk, path, at[i], 4));
    }
    rig_open(r);
}

static void a_damaged_record_is_charged_to_its_shard_alone(void)
{
    struct rig r;
    char path[64];
    uint32_t size;
    make_small(&r);
    uint64_t at = batch_of(&r, 3, 5, path, &size) + 200;
    flip_and_open(&r, path, &at, 1);
    CHECK_EQ(log_shard_damage(r.log, 3), LOG_DAMAGED);
    CHECK_EQ(log_shard_damage(r.log, 4), LOG_WHOLE);
    CHECK_EQ(log_shard_damage(r.log, 5), LOG_WHOLE);
    CHECK_EQ(log_last_index(r.log, 3), 4); /* up to the first hole */
    rig_check_entries(&r, 4, 1, 5);
    rig_check_entries(&r, 5, 1, 4);
    rig_deinit(&r);
}

static void with_both_lists_unreadable_later_batches_and_the_mark_tell_who_is_whole(void)
{
    for (int mark = 0; mark < 2; mark++) {
        struct rig r;
        char path[64];
        uint32_t size;
        make_small(&r);
        uint32_t batch = batch_of(&r, 3, 5, path, &size);
        uint64_t at[] = {batch + 60, batch + size - 30, r.log->current->used + 20};
        flip_and_open(&r, path, at, mark ? 2 : 3);
        CHECK_EQ(log_shard_damage(r.log, 3), LOG_DAMAGED);
        CHECK_EQ(log_shard_damage(r.log, 4), LOG_WHOLE); /* a later batch names it */
        CHECK_EQ(log_shard_damage(r.log, 5),
                 mark ? LOG_WHOLE : LOG_DAMAGED); /* else nothing speaks for it */
        rig_deinit(&r);
    }
}

static void a_later_head_excludes_who_needs_nothing_before_it(void)
{
    struct rig r;
    char path[64];
    uint32_t size;
    make_small(&r);
    uint32_t batch = batch_of(&r, 3, 5, path, &size), number = r.log->current->number;
    for (uint64_t i = 0; r.log->current->number == number; i++) {
        rig_append(&r, 3, 7 + i, 1, 2, 1500);
        rig_flush(&r);
    }
    uint64_t at[] = {batch + 60, batch + size - 30};
    flip_and_open(&r, path, at, 2);
    CHECK_EQ(log_shard_damage(r.log, 3), LOG_DAMAGED);
    CHECK_EQ(log_shard_damage(r.log, 4), LOG_WHOLE);
    CHECK_EQ(log_shard_damage(r.log, 5), LOG_WHOLE);
    rig_check_entries(&r, 5, 1, 4);
    rig_deinit(&r);
}

static void a_damaged_head_of_the_newest_segment_costs_nothing(void)
{
    struct image im;
    make_image(&im);
    struct rig r;
    put_image(&r, &im);
    rig_open(&r);
    uint32_t number = r.log->current->number;
    char path[64];
    snprintf(path, sizeof(path), RIG_DIR "/%08" PRIu64 ".log", r.log->current->id);
    uint64_t at = 70, lasts[8];
    flip_and_open(&r, path, &at, 1);
    CHECK(r.log->current->number > number); /* a new one, with a whole head */
    CHECK_EQ(check_shards(&r, &im, lasts), 0);
    CHECK(!log_ever_damaged(r.log));
    rig_deinit(&r);
    free_image(&im);
}

static void a_segment_that_is_gone_is_damage(void)
{
    struct image im;
    make_image(&im);
    unsigned charged = 0;
    for (uint32_t i = 0; i < im.n; i++) {
        struct rig r;
        uint64_t lasts[8];
        put_image(&r, &im);
        CHECK_OK(disk_remove(crash_disk_disk(r.disk), im.paths[i]));
        rig_open(&r);
        /* The newest one alone leaves no trace of itself: the segments before it look like a whole,
         * older log. That is a restored past, which peers find out (I3); here it only must not be
         * read as anything else. */
        if (!(log_last_index(r.log, 3) < im.last[3] && !log_ever_damaged(r.log))) {
            charged += check_shards(&r, &im, lasts) > 0;
        }
        rig_deinit(&r);
    }
    CHECK(charged > 0);
    free_image(&im);
}

static void an_install_heals_and_the_next_start_finds_nothing_to_charge(void)
{
    struct rig r;
    char path[64];
    uint32_t size;
    make_small(&r);
    uint64_t at = batch_of(&r, 3, 5, path, &size) + 200;
    flip_and_open(&r, path, &at, 1);
    struct log_state s = *log_state_find(r.log, 3);
    s.replica = 4711; /* member replace: a fresh id */
    s.amnesia = false;
    s.snapshot_index = 30;
    log_install(r.log, &s);
    rig_append(&r, 3, 31, 2, 2, 50);
    rig_flush(&r);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(log_shard_damage(r.log, 3), LOG_WHOLE);
        CHECK(!log_state_find(r.log, 3)->amnesia);
        rig_check_entries(&r, 3, 31, 32);
        CHECK(log_ever_damaged(r.log)); /* that one never goes away */
        rig_power_cut(&r, 3);
    }
    rig_deinit(&r);
}

static void a_charged_replica_that_goes_on_is_not_charged_anew(void)
{
    struct rig r;
    char path[64];
    uint32_t size;
    make_small(&r);
    uint64_t at = batch_of(&r, 3, 5, path, &size) + 200;
    flip_and_open(&r, path, &at, 1);
    CHECK_EQ(log_last_index(r.log, 3), 4);
    uint64_t next = 5;
    for (int life = 0; life < 5; life++) { /* it refuses only its vote */
        for (int i = 0; i < 12; i++, next += 3) {
            rig_append(&r, 3, next, 3, 3, 900);
            rig_flush(&r);
        }
        rig_power_cut(&r, (uint64_t)life);
        rig_check_entries(&r, 3, 1, next - 1);
        CHECK_EQ(log_shard_damage(r.log, 3), LOG_DAMAGED);
        CHECK_EQ(log_shard_damage(r.log, 4), LOG_WHOLE);
        CHECK_EQ(log_shard_damage(r.log, 5), LOG_WHOLE);
    }
    rig_deinit(&r);
}

static void rot_found_by_a_fetch_is_told(void)
{
    struct rig r;
    char path[64];
    uint32_t size;
    rig_init(&r, 1);
    r.cache_bytes = 1000;
    rig_open(&r);
    rig_put(&r, 3, 2, 3);
    for (uint64_t i = 1; i < 9; i++) {
        rig_append(&r, 3, i, 1, 2, 400);
        rig_flush(&r);
    }
    uint32_t at = batch_of(&r, 3, 2, path, &size);
    CHECK(crash_disk_flip(r.disk, path, at + 250, 1));
    CHECK_EQ(rig_read(&r, 3, 2), STATUS_CORRUPT);
    CHECK_OK(rig_read(&r, 3, 3));
    rig_deinit(&r);
}

CHECK_MAIN
{
    RUN(a_damaged_record_is_charged_to_its_shard_alone);
    RUN(with_both_lists_unreadable_later_batches_and_the_mark_tell_who_is_whole);
    RUN(a_later_head_excludes_who_needs_nothing_before_it);
    RUN(a_damaged_head_of_the_newest_segment_costs_nothing);
    RUN(a_segment_that_is_gone_is_damage);
    RUN(an_install_heals_and_the_next_start_finds_nothing_to_charge);
    RUN(a_charged_replica_that_goes_on_is_not_charged_anew);
    RUN(rot_found_by_a_fetch_is_told);
    RUN(any_flipped_byte_leaves_each_shard_whole_or_charged_for_good);
    RUN(so_do_two_flipped_bytes);
}
