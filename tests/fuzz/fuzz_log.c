/* Recovery of the log over arbitrary bytes. A whole log (three shards, several segments) is made
 * once; the input is a list of patches to its files; sums are put right afterwards if the input
 * says so, so that what lies behind them is reached, too.
 *
 *   input: u8 flags (1: put sums right), then patches: u8 file, u32 place, u8 size, bytes
 *
 * Whatever is found, opening must end with a status or with shards that hold together, can be
 * written to and opened again with the same result. MQ_FUZZ_SEEDS=DIR writes the corpus there and
 * ends. */
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#include "tests/unit/raft/log_rig.h"

#define FILES_MAX 16u

static struct {
    char paths[FILES_MAX][64];
    uint8_t *data[FILES_MAX];
    uint8_t *work;
    uint32_t n;
} image;

static void on_name(void *arg, const char *name)
{
    (void)arg;
    CHECK(image.n < FILES_MAX);
    snprintf(image.paths[image.n++], sizeof(image.paths[0]), RIG_DIR "/%.40s", name);
}

static void make_image(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    for (shard_id i = 3; i <= 5; i++) {
        rig_put(&r, i, 2, i);
    }
    rig_append(&r, 5, 1, 3, 2, 90);
    for (uint64_t i = 0; i < 90; i++) {
        rig_append(&r, 3, 1 + i, 1, 2, 40 + 300 * (uint32_t)(i % 5));
        rig_append(&r, 4, 1 + i / 3, 1, 2 + i % 3, 200);
        rig_flush(&r);
        if (i % 30 == 29) {
            rig_checkpoint(&r, 3, i - 20);
        }
    }
    rig_close(&r);
    CHECK_OK(disk_list(crash_disk_disk(r.disk), RIG_DIR, on_name, NULL));
    for (uint32_t i = 0; i < image.n; i++) {
        size_t size;
        const uint8_t *p = crash_disk_data(r.disk, image.paths[i], &size);
        CHECK_EQ(size, RIG_SEGMENT);
        image.data[i] = malloc(size);
        memcpy(image.data[i], p, size);
    }
    image.work = malloc(RIG_SEGMENT);
    rig_deinit(&r);
}

static void write_seeds(const char *dir)
{
    static const uint8_t seeds[][16] = {
        {0},                                              /* nothing */
        {0, 0, 0x70, 0, 0, 0, 1, 0xff},                   /* a head with a wrong sum */
        {1, 0, 0x58, 0, 0, 0, 1, 2},                      /* first segment needed */
        {1, 1, 0x80, 0, 0, 0, 8, 9, 0, 0, 0, 0, 0, 0, 1}, /* first index of a shard */
        {1, 1, 0x00, 0x10, 0, 0, 1, 0},                   /* a batch without its magic */
        {1, 1, 0x28, 0x20, 0, 0, 1, 0xee},                /* first sequence of a batch */
        {1, 2, 0x60, 0x10, 0, 0, 4, 1, 0, 0, 0},          /* its list */
        {1, 2, 0x80, 0x10, 0, 0, 8, 1, 1, 1, 1, 1, 1, 1}, /* its first record */
    };
    static const uint8_t sizes[] = {1, 8, 8, 15, 8, 8, 11, 14};
    for (size_t i = 0; i < sizeof(sizes); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/seed-%zu", dir, i);
        FILE *f = fopen(path, "wb");
        CHECK(f != NULL);
        CHECK_EQ(fwrite(seeds[i], 1, sizes[i], f), sizes[i]);
        fclose(f);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (getenv("MQ_FUZZ_SEEDS") != NULL) {
        write_seeds(getenv("MQ_FUZZ_SEEDS"));
        exit(0);
    }
    make_image();
    return 0;
}

/* Offsets as in raft/log_format.h. */
static void repair_head(uint8_t *p)
{
    uint32_t size = get_le32(p + 12);
    if (size >= LOG_HEAD_FIXED && size <= RIG_SEGMENT / 2) {
        put_le64(p + 16, XXH3_64bits(p + 24, size - 24));
    }
}

static void repair_batch(uint8_t *p, size_t left)
{
    uint32_t size = get_le32(p + 80), records = get_le32(p + 84), shards = get_le32(p + 88);
    uint64_t seed = get_le64(p + 16);
    if (size < LOG_BLOCK_BYTES || size > left || shards > 100) {
        return;
    }
    put_le64(p + 96,
             XXH3_64bits_withSeed(p + 104, shards * 16, XXH3_64bits_withSeed(p + 16, 80, seed)));
    uint32_t at = log_batch_records_at(shards);
    for (uint32_t i = 0; i < records && at + LOG_RECORD_HEADER <= size; i++) {
        uint32_t n = get_le32(p + at + 24);
        if (n > size || at + log_record_size(n) > size) {
            break;
        }
        put_le64(p + at + 32,
                 XXH3_64bits_withSeed(p + at + 40, n, XXH3_64bits_withSeed(p + at, 32, seed)));
        at += log_record_size(n);
    }
    put_le64(p + 8, XXH3_64bits_withSeed(p + 16, size - 16, seed));
}

static void repair(uint8_t *data, const uint8_t *original)
{
    if (memcmp(data, original, 8) == 0) {
        repair_head(data);
    }
    for (uint32_t at = LOG_BLOCK_BYTES; at < RIG_SEGMENT; at += LOG_BLOCK_BYTES) {
        struct log_mark m;
        if (memcmp(original + at, data + at, LOG_BLOCK_BYTES) == 0) {
            continue;
        }
        if (log_mark_decode(original + at, LOG_BLOCK_BYTES, &m) == OK) {
            uint32_t size = get_le32(data + at + 52);
            if (size >= 56 && size <= LOG_BLOCK_BYTES) {
                put_le64(data + at + 8,
                         XXH3_64bits_withSeed(data + at + 16, size - 16, get_le64(data + at + 16)));
            }
        } else {
            repair_batch(data + at, RIG_SEGMENT - at);
        }
    }
}

static void put_patched(struct rig *r, uint32_t file, const uint8_t *in, size_t size)
{
    memcpy(image.work, image.data[file], RIG_SEGMENT);
    for (size_t at = 1; at + 6 <= size;) {
        uint32_t place = get_le32(in + at + 1) % RIG_SEGMENT, n = in[at + 5];
        bool ours = in[at] % image.n == file;
        at += 6;
        n = n > size - at ? (uint32_t)(size - at) : n;
        n = n > RIG_SEGMENT - place ? RIG_SEGMENT - place : n;
        if (ours) {
            memcpy(image.work + place, in + at, n);
        }
        at += n;
    }
    if ((in[0] & 1) != 0) {
        repair(image.work, image.data[file]);
    }
    crash_disk_put(r->disk, image.paths[file], image.work, RIG_SEGMENT);
}

static uint64_t look(struct rig *r)
{
    uint64_t sum = log_ever_damaged(r->log);
    for (uint32_t i = 0; i < r->log->shards_n; i++) {
        shard_id shard = r->log->shards[i]->id;
        uint64_t first = log_first_index(r->log, shard), last = log_last_index(r->log, shard);
        CHECK(first <= last + 1);
        for (uint64_t k = first, n = 0; k <= last && n < 3; k++, n++) {
            const struct log_entry *e = log_entry_find(r->log, shard, k);
            CHECK(e != NULL);
            CHECK_EQ(e->index, k);
            struct rig_fetch f = {
                .fetch = {.shard = shard, .first = k, .n = 1, .done = rig_fetched}};
            log_fetch_submit(r->log, &f.fetch);
            executor_inline_drain(&r->executor);
            CHECK_OK(f.fetch.status);
            block_unref(f.fetch.payloads[0]);
        }
        sum = sum * 31 + shard * 7 + last * 3 + (uint64_t)log_shard_damage(r->log, shard) +
              log_state_find(r->log, shard)->term;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    struct rig r;
    struct error e;
    if (size == 0) {
        return 0;
    }
    rig_init(&r, 1);
    for (uint32_t i = 0; i < image.n; i++) {
        put_patched(&r, i, in, size);
    }
    if (rig_try_open(&r, &e) == OK) {
        uint64_t sum = look(&r);
        rig_power_cut(&r, size);
        CHECK_EQ(look(&r), sum);
        if (log_state_find(r.log, 3) != NULL && log_last_index(r.log, 3) < UINT64_MAX / 2) {
            rig_append(&r, 3, log_last_index(r.log, 3) + 1, 3, 9, 100);
            rig_flush(&r);
            CHECK_EQ(r.failed, 0);
        }
    }
    rig_deinit(&r);
    return 0;
}
