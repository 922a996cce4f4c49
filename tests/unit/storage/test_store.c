/* The store as a whole: digests that do not depend on batches and crashes, checkpoints, full disks, copies and installs. */
#include "tests/unit/storage/queue_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

/* ---- a log with everything in it ---- */

static void add_report(struct rig *r, struct random *random, uint8_t b)
{
    struct report *p = report_new(r, "ada", "s", b, 0, 5);
    p->c.uidvalidity = 1 + (uint32_t)random_below(random, 30) / 29;
    for (uint32_t uid = 1; uid < 300; uid += 1 + (uint32_t)random_below(random, 30)) {
        report_message(p, uid, (uint32_t)random_below(random, 32), uid);
    }
    report_run(r, p);
}

/* A page of a sweep that lists some, misses some, and may end; or a line of the log. */
static void add_queue(struct rig *r, struct random *random)
{
    static const char *const recipients[] = {"bo@far.test", "carl@far.test"};
    struct token lease = r->lease;
    char id[16];
    if (r->queue_lease.position == 0) {
        return;
    }
    r->lease = r->queue_lease;
    if (random_below(random, 3) == 0) {
        snprintf(id, sizeof(id), "m%u", (unsigned)random_below(random, 40));
        event_full(r, id, 1500 + random_below(random, 2000),
                   (Mq__QueueEvent__Kind)(1 + random_below(random, 6)), "bo@far.test", "", "next");
    } else {
        struct page *p = page_new(r, r->queue_sweep_ms + 1000, r->queue_after_ms, 0);
        for (unsigned i = 0; i < 40; i++) {
            snprintf(id, sizeof(id), "m%u", i);
            if (random_below(random, 3) == 0) {
                page_item(p, id, 1000, (Mq__QueueItem__State)(1 + random_below(random, 6)),
                          recipients[random_below(random, 2)], "later");
            } else if (random_below(random, 2) == 0) {
                page_missing(p, id, 1000);
            }
        }
        bool last = random_below(random, 4) != 0;
        if ((last ? page_end(r, p) : page_run(r, p)) == OK) {
            r->queue_sweep_ms += 1000;
            r->queue_after_ms = last ? r->queue_sweep_ms : r->queue_after_ms;
        }
    }
    r->lease = lease;
}

static void add_entry(struct rig *r, struct random *random)
{
    char key[32];
    char value[300];
    snprintf(key, sizeof(key), "key%u", (unsigned)random_below(random, 500));
    memset(value, 'a' + (int)random_below(random, 26), sizeof(value));
    value[random_below(random, sizeof(value))] = 0;
    switch (random_below(random, 8)) {
        case 0:
            rig_dict_op(r, MQ__DICT_OP__KIND__UNSET, "", key, NULL, 0, false, 0);
            break;
        case 1:
            rig_dict_op(r, MQ__DICT_OP__KIND__SET, "", key, value, 0, false,
                        1 + random_below(random, 3000));
            break;
        case 2:
            rig_dict_op(r, MQ__DICT_OP__KIND__INCREMENT, "ada", "counter", NULL, 1, true, 0);
            break;
        default:
            rig_set(r, "", key, value);
            break;
    }
}

static void add_random(struct rig *r, struct random *random)
{
    r->time_ms += random_below(random, 200);
    switch (random_below(random, 9)) {
        case 0:
            rig_tick(r);
            break;
        case 8: {
            struct token session = r->session;
            r->session = (struct token){0, 0};
            add_queue(r, random);
            r->session = session;
            break;
        }
        case 1:
        case 2:
            add_report(r, random, (uint8_t)(1 + random_below(random, 5)));
            break;
        case 3: {
            RIG_COMMAND(c, SESSION_OPEN, session_open, Mq__SessionOpen, MQ__SESSION_OPEN__INIT);
            struct token none = {0, 0};
            r->session = none;
            rig_run(r, &c);
            r->session = (struct token){r->result->session->session->epoch,
                                        r->result->session->session->position};
            r->sequence = 0;
            break;
        }
        default:
            r->sequence += random_below(random, 4) == 0 ? 0 : 1; /* a retry now and then */
            r->sequence += r->sequence == 0 ? 1 : 0;
            add_entry(r, random);
            break;
    }
}

static struct digest digest_at(struct store *s)
{
    return store_position(s).digest;
}

/* Feeds r what source has logged, in runs of random length, with commits, checkpoints and crashes between. */
static void follow(struct rig *r, const struct rig *source, const struct digest *digests,
                   struct random *random)
{
    while (r->index < source->log_size) {
        struct store_entry entries[16];
        uint32_t n = 0;
        uint64_t most = 1 + random_below(random, 15);
        for (; n < most && r->index + n < source->log_size; n++) {
            entries[n] = (struct store_entry){r->index + n + 1, 1, source->log[r->index + n]};
        }
        CHECK_OK(store_apply(r->store, entries, n, NULL, NULL));
        r->index += n;
        CHECK(digest_equal(digest_at(r->store), digests[r->index]));
        switch (random_below(random, 12)) {
            case 0:
            case 1:
                rig_commit(r);
                break;
            case 2:
                rig_checkpoint(r);
                break;
            case 3: /* crash: back to the checkpoint */
                store_close(r->store);
                rig_start(r);
                CHECK(digest_equal(digest_at(r->store), digests[r->index]));
                break;
            default:
                break;
        }
    }
}

static void two_stores_fed_the_same_log_with_other_batches_crashes_and_restarts_have_equal_digests(
    void)
{
    struct rig a;
    struct rig b;
    struct random random;
    static struct digest digests[2001];
    random_init_seed(&random, check_seed());
    rig_open(&a, 1);
    CHECK_OK(rig_owner(&a, "ada"));
    digests[a.index] = digest_at(a.store);
    CHECK_OK(rig_lease(&a, "ada", "s", "feed", 600000));
    digests[a.index] = digest_at(a.store);
    struct token lease = a.lease;
    CHECK_OK(rig_owner(&a, QUEUE_HOST));
    digests[a.index] = digest_at(a.store);
    CHECK_OK(rig_lease(&a, QUEUE_HOST, QUEUE_INSTANCE, "feed", 600000));
    digests[a.index] = digest_at(a.store);
    a.queue_lease = a.lease;
    a.lease = lease;
    for (int i = 0; i < 1500; i++) {
        add_random(&a, &random);
        CHECK(a.index < 2000);
        digests[a.index] = digest_at(a.store);
        if (random_below(&random, 10) == 0) {
            rig_commit(&a);
        }
    }
    rig_check_digest(&a);
    rig_open(&b, 1);
    follow(&b, &a, digests, &random);
    rig_check_digest(&b);
    CHECK(digest_equal(digest_at(a.store), digest_at(b.store)));
    /* And at one index of the past, by their rings. */
    enum status s;
    RIG_QUERY(q, DIGEST, digest, Mq__QueryDigest, MQ__QUERY_DIGEST__INIT);
    q_digest.index = a.index - 700;
    Mq__QueryResult *result = rig_query(&a, &q, &s);
    CHECK_OK(s);
    uint8_t bytes[16];
    digest_encode(digests[a.index - 700], bytes);
    CHECK_MEM_EQ(result->digest.data, bytes, 16);
    mq__query_result__free_unpacked(result, NULL);
    q_digest.index = a.index - 1100;
    result = rig_query(&a, &q, &s);
    CHECK_EQ(s, STATUS_NOT_FOUND);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&b);
    rig_close(&a);
}

/* ---- checkpoints ---- */

static void a_start_goes_back_to_exactly_the_checkpoint(void)
{
    struct rig r;
    struct checkpoint_descriptor d;
    struct error e = {0};
    rig_open(&r, 1);
    for (int i = 0; i < 50; i++) {
        CHECK_OK(rig_set(&r, "", "k", "before"));
    }
    rig_checkpoint(&r);
    struct digest at = digest_at(r.store);
    for (int i = 0; i < 500; i++) {
        char key[32];
        snprintf(key, sizeof(key), "after%d", i);
        CHECK_OK(rig_set(&r, "", key, "x"));
        rig_commit(&r); /* in the file, in no side file */
    }
    for (int i = 0; i < 3; i++) { /* it can be repeated */
        store_close(r.store);
        CHECK_OK(store_open(&r.options, &r.environment, &r.store, &d, &e));
        CHECK_EQ(d.index, 50);
        CHECK_EQ(d.configuration->size, 4);
        CHECK_EQ(d.configuration_index, 1);
        checkpoint_descriptor_deinit(&d);
        CHECK(digest_equal(digest_at(r.store), at));
        CHECK_EQ(store_position(r.store).index, 50);
    }
    r.index = 50;
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_checkpoint_that_was_not_durable_changes_nothing(void)
{
    struct rig r;
    struct checkpoint *c;
    struct checkpoint *second;
    rig_open(&r, 1);
    CHECK_OK(rig_set(&r, "", "a", "1"));
    rig_checkpoint(&r);
    CHECK_OK(rig_set(&r, "", "b", "1"));
    CHECK_OK(checkpoint_begin(r.store, NULL, 0, &c));
    CHECK_EQ(checkpoint_begin(r.store, NULL, 0, &second), STATUS_BUSY);
    checkpoint_release(r.store, c, false);
    store_close(r.store);
    rig_start(&r);
    CHECK_EQ(r.index, 1);
    rig_close(&r);
}

static void a_damaged_side_file_loses_the_environment(void)
{
    struct rig r;
    struct checkpoint_descriptor d;
    struct error e = {0};
    char path[600];
    uint8_t byte;
    rig_open(&r, 1);
    CHECK_OK(rig_set(&r, "", "a", "1"));
    rig_checkpoint(&r);
    store_close(r.store);
    r.store = NULL;
    snprintf(path, sizeof(path), "%s/checkpoint", r.directory);
    for (off_t at = 0; at < 300; at += 7) {
        int fd = open(path, O_RDWR);
        CHECK(fd >= 0);
        struct stat st;
        CHECK_OK(fstat(fd, &st));
        off_t where = at % st.st_size;
        CHECK_EQ(pread(fd, &byte, 1, where), 1);
        byte ^= 0x40;
        CHECK_EQ(pwrite(fd, &byte, 1, where), 1);
        CHECK_EQ(store_open(&r.options, &r.environment, &r.store, &d, &e), STATUS_CORRUPT);
        byte ^= 0x40;
        CHECK_EQ(pwrite(fd, &byte, 1, where), 1);
        close(fd);
    }
    struct uuid other = {{7}};
    CHECK_EQ(store_open(&r.options, &other, &r.store, &d, &e), STATUS_WRONG_NODE);
    CHECK_OK(store_open(&r.options, &r.environment, &r.store, &d, &e));
    checkpoint_descriptor_deinit(&d);
    store_close(r.store);
    r.store = NULL;
    CHECK_OK(unlink(path));
    CHECK_EQ(store_open(&r.options, &r.environment, &r.store, &d, &e), STATUS_CORRUPT);
    rig_close(&r);
}

static void a_byte_changed_behind_our_back_is_found_by_recomputing(void)
{
    struct rig r;
    enum status s;
    char path[600];
    rig_open(&r, 1);
    CHECK_OK(rig_set(&r, "", "key", "a value that is easy to find"));
    rig_checkpoint(&r);
    store_close(r.store);
    snprintf(path, sizeof(path), "%s/data.mdb", r.directory);
    int fd = open(path, O_RDWR);
    static uint8_t data[1 << 20];
    ssize_t size = pread(fd, data, sizeof(data), 0);
    CHECK(size > 0);
    unsigned found = 0;
    for (uint8_t *at = data;
         (at = memmem(at, (size_t)(data + size - at), "easy to find", 12)) != NULL; at++) {
        CHECK_EQ(pwrite(fd, "E", 1, at - data), 1);
        found++;
    }
    CHECK(found > 0);
    close(fd);
    rig_start(&r);
    RIG_QUERY(q, DIGEST, digest, Mq__QueryDigest, MQ__QUERY_DIGEST__INIT);
    q_digest.recompute = true;
    Mq__QueryResult *result = rig_query(&r, &q, &s);
    CHECK_OK(s);
    CHECK(memcmp(result->digest.data, result->digest2.data, 16) != 0);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&r);
}

/* ---- a full disk ---- */

static uint64_t pretended_free;
static const char *failing_site;

static enum status pretend_free(struct disk *d, const char *path, uint64_t *out_bytes)
{
    (void)d;
    (void)path;
    *out_bytes = pretended_free;
    return OK;
}

static enum status failing_sync(struct disk *d, struct disk_file *f, const char *site)
{
    if (failing_site != NULL && strcmp(site, failing_site) == 0) {
        return STATUS_IO;
    }
    return disk_posix.ops->sync(d, f, site);
}

static struct disk_ops small_ops;
static struct disk small_disk = {&small_ops};

static void small_disk_init(void)
{
    small_ops = *disk_posix.ops;
    small_ops.free_bytes = pretend_free;
    small_ops.sync = failing_sync;
    pretended_free = UINT64_MAX;
    failing_site = NULL;
}

static void a_full_disk_refuses_writes_and_resumes_when_there_is_space(void)
{
    struct rig r;
    enum status s;
    small_disk_init();
    rig_open(&r, 1);
    store_close(r.store);
    r.options.disk = &small_disk;
    small_ops.reserve = NULL;
    rig_start(&r);
    CHECK_OK(rig_set(&r, "", "a", "1"));
    rig_commit(&r);
    pretended_free = 4096;
    RIG_COMMAND(c, TICK, tick, Mq__Tick, MQ__TICK__INIT);
    Mq__Command *list[1] = {&c};
    struct store_position before = store_position(r.store);
    CHECK_EQ(rig_apply_block(&r, rig_batch(&r, list, 1)), STATUS_NO_SPACE);
    CHECK_EQ(store_position(r.store).index, before.index);
    CHECK_OK(store_lost(r.store));
    Mq__QueryResult *result = rig_dict(&r, "", "a", false, &s); /* reads go on */
    CHECK_OK(s);
    mq__query_result__free_unpacked(result, NULL);
    pretended_free = UINT64_MAX;
    CHECK_OK(rig_set(&r, "", "b", "1"));
    rig_check_digest(&r);
    rig_close(&r);
}

static void what_the_log_holds_is_applied_on_a_full_disk_in_blocks_taken_before(void)
{
    struct rig r;
    struct store_due due;
    small_disk_init();
    rig_open(&r, 1);
    store_close(r.store);
    r.options.disk = &small_disk;
    r.options.reserve_bytes = 4 * STORE_RESERVED_BYTES_MIN;
    rig_start(&r);
    CHECK_OK(rig_set(&r, "", "a", "1"));
    CHECK_OK(store_commit(r.store, &due));
    CHECK(!due.disk_low);
    pretended_free = 4096;
    CHECK_OK(rig_set(&r, "", "b", "1"));
    CHECK_OK(store_commit(r.store, &due));
    CHECK(due.disk_low);
    pretended_free = UINT64_MAX;
    CHECK_OK(store_commit(r.store, &due)); /* with nothing new: hears of the space */
    CHECK(!due.disk_low);
    rig_check_digest(&r);
    rig_close(&r);
}

static enum status reserve_answer;
static uint64_t reserve_end;
static unsigned reserve_asked;

static enum status answered_reserve(struct disk *d, struct disk_file *f, uint64_t at, uint64_t end)
{
    (void)d;
    (void)f;
    reserve_asked++;
    CHECK_EQ(at, reserve_end); /* only what was not given before */
    CHECK(end > at);
    reserve_end = reserve_answer == OK ? end : reserve_end;
    return reserve_answer;
}

/* A new entry of 60 kB, and a commit; false: it was refused, and nothing has happened. */
static bool store_grows(struct rig *r, bool *out_low)
{
    static char value[60000];
    static unsigned n;
    struct store_due due;
    char key[32];
    snprintf(key, sizeof(key), "grow%u", n++);
    memset(value, 'v', sizeof(value) - 1);
    RIG_COMMAND(c, TICK, tick, Mq__Tick, MQ__TICK__INIT);
    Mq__Command *list[1] = {&c};
    struct store_position before = store_position(r->store);
    enum status s = rig_apply_block(r, rig_batch(r, list, 1));
    if (s == OK) {
        CHECK_OK(rig_set(r, "", key, value));
    } else {
        CHECK_EQ(s, STATUS_NO_SPACE);
        CHECK_EQ(store_position(r->store).index, before.index);
    }
    CHECK_OK(store_commit(r->store, &due));
    CHECK_OK(store_lost(r->store));
    *out_low = due.disk_low;
    return s == OK;
}

static void blocks_that_cannot_be_taken_ahead_cost_nothing(void)
{
    static const enum status others[] = {STATUS_UNSUPPORTED, STATUS_IO, STATUS_PERMISSION,
                                         STATUS_INVALID, STATUS_NO_MEMORY};
    struct rig r;
    bool low;
    small_disk_init();
    rig_open(&r, 1);
    store_close(r.store);
    r.options.disk = &small_disk;
    r.options.reserve_bytes = 4 * STORE_RESERVED_BYTES_MIN;
    small_ops.reserve = answered_reserve;
    reserve_end = 0;
    rig_start(&r);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        reserve_asked = 0;
        reserve_answer = others[i];
        CHECK(store_grows(&r, &low) && !low);
        CHECK(reserve_asked > 0);
    }
    /* A full disk does cost, and another failure behind it is not one. */
    reserve_answer = STATUS_NO_SPACE;
    CHECK(!store_grows(&r, &low) && low);
    reserve_answer = STATUS_IO;
    CHECK(store_grows(&r, &low) && !low);
    reserve_answer = OK;
    reserve_asked = 0;
    for (unsigned i = 0; i < 100; i++) { /* 6 MB: over half of what is taken at once, twice */
        CHECK(store_grows(&r, &low) && !low);
    }
    CHECK(reserve_asked >= 2 && reserve_asked < 10);
    /* Full, with blocks ahead: it is said first, and refused when they are nearly used up. */
    unsigned quiet = 0, warned = 0;
    reserve_answer = STATUS_NO_SPACE;
    while (quiet + warned < 200 && store_grows(&r, &low)) {
        CHECK(low || warned == 0);
        quiet += !low;
        warned += low;
    }
    CHECK(warned > 0 && quiet + warned < 200);
    reserve_answer = STATUS_UNSUPPORTED;
    CHECK(store_grows(&r, &low) && !low);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_map_that_runs_full_in_the_middle_loses_nothing_answered(void)
{
    struct rig r;
    struct rig whole;
    char value[3000];
    enum status s = OK;
    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = 0;
    rig_open(&whole, 1);
    rig_open(&r, 1);
    store_close(r.store);
    r.options.map_bytes = 2 << 20;
    r.options.reserve_bytes = 1; /* so that LMDB itself meets the end */
    rig_start(&r);
    for (int i = 0; i < 2000 && whole.index < 2000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        CHECK_OK(rig_set(&whole, "", key, value));
    }
    unsigned refused = 0;
    while (r.index < whole.log_size && refused < 3) {
        s = rig_apply_block(&r, block_ref(whole.log[r.index]));
        if (s == OK && r.index % 20 == 0) {
            s = store_commit(r.store, NULL);
        }
        if (s != OK) {
            CHECK_EQ(s, STATUS_NO_SPACE);
            CHECK_EQ(store_position(r.store).index, r.index); /* what was answered stands */
            refused++;
        }
    }
    CHECK_EQ(refused, 3);
    CHECK_OK(store_lost(r.store));
    store_close(r.store);
    r.options.map_bytes = RIG_MAP_BYTES;
    rig_start(&r);
    while (r.index < whole.log_size) {
        struct store_entry e = {r.index + 1, 1, whole.log[r.index]};
        CHECK_OK(store_apply(r.store, &e, 1, NULL, NULL));
        r.index++;
    }
    CHECK(digest_equal(digest_at(r.store), digest_at(whole.store)));
    rig_check_digest(&r);
    rig_close(&r);
    rig_close(&whole);
}

static void a_failed_checkpoint_sync_loses_the_environment(void)
{
    struct rig r;
    struct checkpoint *c;
    struct checkpoint_descriptor d;
    struct store_entry e = {2, 1, NULL};
    small_disk_init();
    rig_open(&r, 1);
    store_close(r.store);
    r.options.disk = &small_disk;
    rig_start(&r);
    CHECK_OK(rig_set(&r, "", "a", "1"));
    CHECK_OK(checkpoint_begin(r.store, NULL, 0, &c));
    failing_site = "checkpoint.data";
    CHECK_EQ(checkpoint_finish(r.store, c, &d), STATUS_IO);
    checkpoint_release(r.store, c, false);
    failing_site = NULL;
    CHECK_EQ(store_lost(r.store), STATUS_IO);
    CHECK_EQ(store_apply(r.store, &e, 1, NULL, NULL), STATUS_IO);
    CHECK_EQ(checkpoint_begin(r.store, NULL, 0, &c), STATUS_IO);
    rig_close(&r);
}

/* ---- copies ---- */

static void fill(struct rig *r, int n)
{
    char value[500];
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = 0;
    for (int i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key%d", i);
        CHECK_OK(rig_set(r, "", key, value));
        if (i % 50 == 49) {
            rig_commit(r);
        }
    }
}

/* Reads the whole copy into a new environment of `to`, in pieces of random size, while `r` goes on writing. */
static enum status install(struct rig *r, struct rig *to, struct copy *copy,
                           const struct checkpoint_descriptor *d, bool damaged)
{
    struct install *i;
    struct error e = {0};
    static uint8_t piece[COPY_PIECE_BYTES];
    struct random random;
    uint64_t size = env_meta_size(&d->meta);
    random_init_seed(&random, 3);
    rig_environment(to, 2);
    CHECK_OK(install_begin(&to->options, &to->environment, d, size, &i));
    CHECK_EQ(install_write(i, 4096, piece, 1), STATUS_INVALID);
    for (uint64_t at = 0; at < size;) {
        size_t got;
        CHECK_OK(copy_read(copy, at, piece, 1 + random_below(&random, sizeof(piece)), &got));
        for (size_t j = 1; damaged && j < got;
             j++) { /* in every value, as some pages are free ones */
            piece[j - 1] = piece[j - 1] == 'x' && piece[j] == 'x' ? 'y' : piece[j - 1];
        }
        CHECK_OK(install_write(i, at, piece, got));
        at += got;
        fill(r, 20);
    }
    return install_commit(i, &e);
}

static void a_copy_is_exactly_its_checkpoint_while_writing_goes_on(void)
{
    struct rig r;
    struct rig to;
    struct copy *copy;
    struct copy *second;
    struct checkpoint_descriptor d;
    struct checkpoint_descriptor d2;
    rig_open(&r, 1);
    rig_open(&to, 1);
    fill(&r, 3000);
    CHECK_EQ(copy_open(r.store, r.index, &copy, &d), STATUS_NOT_FOUND);
    rig_checkpoint(&r);
    uint64_t index = r.index;
    CHECK_OK(copy_open(r.store, index, &copy, &d));
    CHECK_OK(copy_open(r.store, 1, &second, &d2));
    CHECK_EQ(d.index, index);
    fill(&r, 500);
    rig_checkpoint(&r); /* the copy's pin outlives the store's */
    CHECK_OK(install(&r, &to, copy, &d, false));
    copy_close(copy);
    copy_close(second);
    store_close(to.store);
    struct checkpoint_descriptor opened;
    CHECK_OK(store_open(&to.options, &to.environment, &to.store, &opened, NULL));
    CHECK_EQ(opened.index, index);
    CHECK(digest_equal(opened.digest, d.digest));
    CHECK_EQ(opened.configuration->size, 4);
    checkpoint_descriptor_deinit(&opened);
    checkpoint_descriptor_deinit(&d);
    checkpoint_descriptor_deinit(&d2);
    to.index = index;
    rig_check_digest(&to);
    while (to.index < r.log_size) { /* and it goes on from there */
        struct store_entry e = {to.index + 1, 1, r.log[to.index]};
        CHECK_OK(store_apply(to.store, &e, 1, NULL, NULL));
        to.index++;
    }
    CHECK(digest_equal(digest_at(to.store), digest_at(r.store)));
    rig_close(&to);
    rig_close(&r);
}

static void a_copy_with_changed_bytes_is_refused_and_removed(void)
{
    struct rig r;
    struct rig to;
    struct copy *copy;
    struct checkpoint_descriptor d;
    rig_open(&r, 1);
    rig_open(&to, 1);
    fill(&r, 200);
    rig_checkpoint(&r);
    CHECK_OK(copy_open(r.store, 0, &copy, &d));
    CHECK_EQ(install(&r, &to, copy, &d, true), STATUS_CORRUPT);
    CHECK_NE(access(to.directory, F_OK), 0);
    copy_close(copy);
    checkpoint_descriptor_deinit(&d);
    rig_environment(&to, 1);
    rig_close(&to);
    rig_close(&r);
}

static void a_pin_does_not_outlive_a_stated_growth(void)
{
    struct rig r;
    struct copy *copy;
    struct checkpoint_descriptor d;
    uint8_t page[4096];
    size_t got;
    rig_open(&r, 1);
    store_close(r.store);
    r.options.pin_growth_bytes = 1 << 20;
    rig_start(&r);
    fill(&r, 100);
    rig_checkpoint(&r);
    CHECK_OK(copy_open(r.store, 0, &copy, &d));
    checkpoint_descriptor_deinit(&d);
    fill(&r, 2000);
    CHECK_OK(copy_read(copy, 8192, page, sizeof(page),
                       &got)); /* still the newest durable one: never canceled */
    rig_checkpoint(&r);
    fill(&r, 4000);
    CHECK_EQ(copy_read(copy, 8192, page, sizeof(page), &got), STATUS_CANCELED);
    copy_close(copy);
    rig_restart(&r);
    rig_check_digest(&r);
    rig_close(&r);
}

static void an_install_that_ends_early_leaves_nothing(void)
{
    struct rig r;
    struct install *i;
    struct error e = {0};
    struct checkpoint_descriptor d = {.index = 5};
    uint8_t page[8192] = {0};
    rig_open(&r, 1);
    rig_environment(&r, 2);
    CHECK_EQ(install_begin(&r.options, &r.environment, &d, 100, &i), STATUS_INVALID);
    CHECK_OK(install_begin(&r.options, &r.environment, &d, 12288, &i));
    CHECK_OK(install_write(i, 0, page, sizeof(page)));
    CHECK_EQ(install_commit(i, &e), STATUS_INVALID);
    CHECK_NE(access(r.directory, F_OK), 0);
    CHECK_OK(install_begin(&r.options, &r.environment, &d, 8192, &i));
    CHECK_OK(install_write(i, 0, page, sizeof(page)));
    CHECK_EQ(install_commit(i, &e), STATUS_CORRUPT); /* no meta page */
    CHECK_OK(install_begin(&r.options, &r.environment, &d, 8192, &i));
    install_abort(i);
    CHECK_NE(access(r.directory, F_OK), 0);
    rig_environment(&r, 1);
    rig_close(&r);
}

static void a_reference_keeps_the_environment_readable_after_close(void)
{
    struct rig r;
    struct buffer out;
    uint8_t bytes[64];
    rig_open(&r, 1);
    CHECK_OK(rig_set(&r, "", "a", "1"));
    rig_commit(&r);
    struct store *s = store_ref(r.store);
    store_close(r.store);
    r.store = NULL;
    RIG_QUERY(q, DIGEST, digest, Mq__QueryDigest, MQ__QUERY_DIGEST__INIT);
    (void)q_digest;
    buffer_init(&out, 0);
    CHECK_OK(query_run(s, (struct bytes){bytes, mq__query__pack(&q, bytes)}, &out));
    buffer_deinit(&out);
    store_unref(s);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(two_stores_fed_the_same_log_with_other_batches_crashes_and_restarts_have_equal_digests);
    RUN(a_start_goes_back_to_exactly_the_checkpoint);
    RUN(a_checkpoint_that_was_not_durable_changes_nothing);
    RUN(a_damaged_side_file_loses_the_environment);
    RUN(a_byte_changed_behind_our_back_is_found_by_recomputing);
    RUN(a_full_disk_refuses_writes_and_resumes_when_there_is_space);
    RUN(what_the_log_holds_is_applied_on_a_full_disk_in_blocks_taken_before);
    RUN(blocks_that_cannot_be_taken_ahead_cost_nothing);
    RUN(a_map_that_runs_full_in_the_middle_loses_nothing_answered);
    RUN(a_failed_checkpoint_sync_loses_the_environment);
    RUN(a_copy_is_exactly_its_checkpoint_while_writing_goes_on);
    RUN(a_copy_with_changed_bytes_is_refused_and_removed);
    RUN(a_pin_does_not_outlive_a_stated_growth);
    RUN(an_install_that_ends_early_leaves_nothing);
    RUN(a_reference_keeps_the_environment_readable_after_close);
}
