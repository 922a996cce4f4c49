/* The store on a file system that forgets: births, checkpoints, put-backs, copies and installs, with the power going at any call.
 *
 * A life: open -> apply, commit, checkpoint (with writes between its begin and its end), copy and install, all by chance -> the
 * machine stops in the middle of a call -> power cut or kill -> open again. What must hold: the environment opens at the last
 * acknowledged checkpoint or at the one that was under way; every row is what the model says at that index; the digest kept is the
 * one recomputed. Entry i is a function of i, so the model needs no memory.
 * The last test makes the syncs of one site after the other no-ops, and each must be found out. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/crash_fs.h"
#include "tests/sim/interpose.h"
#include "tests/unit/storage/store_rig.h"

#define KEYS          23
#define LIVES         6
#define SEEDS_SKIPPED 400 /* at most, until a lying sync is found out */

static const char *const sites[] = {"birth.data",
                                    "environment.directory",
                                    "environment.parents",
                                    "checkpoint.data",
                                    "checkpoint.side_file",
                                    "checkpoint.directory",
                                    "environment.roll_back",
                                    "checkpoint.directory.again"};

struct life {
    struct rig r;
    struct crash_fs *fs;
    struct random random;
    uint64_t durable, maybe; /* index of the acknowledged checkpoint; of one under way */
    uint8_t tag, drawn;      /* of the environment; of the newest one drawn */
    uint64_t installs, checkpoints, crashes;
    char wrong[300];
};

static bool stopped(struct life *l)
{
    return crash_fs_is_cut(l->fs) || l->wrong[0] != 0;
}

/* False when the call failed; a violation unless the machine stopped inside it. */
static bool went(struct life *l, enum status s, const char *what)
{
    if (s != OK && !stopped(l)) {
        snprintf(l->wrong, sizeof(l->wrong), "%s: %s", what, status_name(s));
    }
    return s == OK && !stopped(l);
}

/* ---- the model: what entry i does, and what a key holds after entry n ---- */

static uint32_t key_of(uint64_t i)
{
    return (uint32_t)(i * 7 % KEYS);
}

static void value_of(uint64_t i, char out[700])
{
    size_t n = 20 + i * 131 % 600;
    memset(out, 'a' + (int)(i % 26), n);
    out[n] = 0;
    char number[24];
    int digits = snprintf(number, sizeof(number), "%" PRIu64 ":", i);
    memcpy(out, number, (size_t)digits);
}

static struct block *entry_of(struct rig *r, uint64_t i)
{
    char space[] = "test", owner[] = "ada", key[16], value[700];
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__Command *list[1] = {&c};
    Mq__Owner o = MQ__OWNER__INIT;
    Mq__DictTransaction t = MQ__DICT_TRANSACTION__INIT;
    Mq__DictOp op = MQ__DICT_OP__INIT;
    Mq__DictOp *ops[1] = {&op};
    if (i == 1) {
        o.user = owner;
        o.generation = 1;
        c.body_case = MQ__COMMAND__BODY_OWNER;
        c.owner = &o;
        return rig_batch(r, list, 1);
    }
    snprintf(key, sizeof(key), "k%02u", key_of(i));
    value_of(i, value);
    op.kind = MQ__DICT_OP__KIND__SET;
    op.namespace_ = space;
    op.user = owner;
    op.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
    op.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
    t.n_ops = 1;
    t.ops = ops;
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &t;
    return rig_batch(r, list, 1);
}

static Mq__QueryResult *ask(struct store *s, Mq__Query *q)
{
    uint8_t bytes[512];
    struct buffer out;
    buffer_init(&out, 0);
    size_t size = mq__query__pack(q, bytes);
    Mq__QueryResult *result = NULL;
    if (query_run(s, (struct bytes){bytes, size}, &out) == OK) {
        result = mq__query_result__unpack(NULL, out.size, out.data);
    }
    buffer_deinit(&out);
    return result;
}

static void compare_rows(struct life *l, uint64_t n)
{
    char space[] = "test", owner[] = "ada", prefix[] = "k", expected[700];
    RIG_QUERY(q, DICT, dict, Mq__QueryDict, MQ__QUERY_DICT__INIT);
    q_dict.namespace_ = space;
    q_dict.user = owner;
    q_dict.key = (ProtobufCBinaryData){1, (uint8_t *)prefix};
    q_dict.prefix = 1;
    q_dict.limit = 1000;
    Mq__QueryResult *result = ask(l->r.store, &q);
    size_t rows = result == NULL ? 0 : result->n_dict, expected_rows = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        uint64_t last = 0;
        for (uint64_t i = n; i > 1 && last == 0 && i + KEYS > n; i--) {
            last = key_of(i) == k ? i : 0;
        }
        if (last == 0) {
            continue;
        }
        value_of(last, expected);
        bool same = false;
        char key[16];
        snprintf(key, sizeof(key), "k%02u", k);
        for (size_t i = 0; i < rows && !same; i++) {
            ProtobufCBinaryData v = result->dict[i]->value, name = result->dict[i]->key;
            same = name.len == 3 && memcmp(name.data, key, 3) == 0 && v.len == strlen(expected) &&
                   memcmp(v.data, expected, v.len) == 0;
        }
        if (!same) {
            snprintf(l->wrong, sizeof(l->wrong),
                     "key %u at index %" PRIu64 " is not what entry %" PRIu64 " wrote", k, n, last);
        }
        expected_rows++;
    }
    if (rows != expected_rows && l->wrong[0] == 0) {
        snprintf(l->wrong, sizeof(l->wrong), "%zu rows at index %" PRIu64 ", not %zu", rows, n,
                 expected_rows);
    }
    if (result != NULL) {
        mq__query_result__free_unpacked(result, NULL);
    }
}

static void compare_digests(struct life *l)
{
    RIG_QUERY(q, DIGEST, digest, Mq__QueryDigest, MQ__QUERY_DIGEST__INIT);
    q_digest.recompute = 1;
    Mq__QueryResult *result = ask(l->r.store, &q);
    if (result == NULL || result->digest.len != 16 || result->digest2.len != 16 ||
        memcmp(result->digest.data, result->digest2.data, 16) != 0) {
        snprintf(l->wrong, sizeof(l->wrong), "the digest is not the one recomputed");
    }
    if (result != NULL) {
        mq__query_result__free_unpacked(result, NULL);
    }
}

/* ---- a life ---- */

static void life_open(struct life *l)
{
    struct checkpoint_descriptor d;
    struct error e = {0};
    enum status s = store_open(&l->r.options, &l->r.environment, &l->r.store, &d, &e);
    if (s != OK) {
        l->r.store = NULL;
        if (!stopped(l)) {
            snprintf(l->wrong, sizeof(l->wrong), "does not open: %.200s", e.text);
        }
        return;
    }
    l->r.index = d.index;
    checkpoint_descriptor_deinit(&d);
    if (stopped(l)) {
        return;
    }
    if (l->r.index != l->durable && l->r.index != l->maybe) {
        snprintf(l->wrong, sizeof(l->wrong), "opens at %" PRIu64 ", acknowledged is %" PRIu64,
                 l->r.index, l->durable);
        return;
    }
    l->durable = l->r.index;
    l->maybe = l->r.index;
    compare_rows(l, l->r.index);
    compare_digests(l);
}

static void life_apply(struct life *l, uint64_t n)
{
    for (uint64_t i = 0; i < n && !stopped(l); i++) {
        struct store_entry e = {l->r.index + 1, 1, entry_of(&l->r, l->r.index + 1)};
        enum status s = store_apply(l->r.store, &e, 1, NULL, NULL);
        block_unref(e.payload);
        if (went(l, s, "apply")) {
            l->r.index++;
        }
        if (random_below(&l->random, 2) == 0 && !stopped(l)) {
            went(l, store_commit(l->r.store, NULL), "commit");
        }
    }
}

static void life_checkpoint(struct life *l)
{
    struct checkpoint *c;
    struct checkpoint_descriptor d;
    uint64_t index = l->r.index;
    struct block *configuration = block_copy("conf", 4);
    enum status s = checkpoint_begin(l->r.store, configuration, 1, &c);
    block_unref(configuration);
    if (!went(l, s, "checkpoint_begin")) {
        if (s == OK) {
            checkpoint_release(l->r.store, c, false);
        }
        return;
    }
    life_apply(l, random_below(&l->random, 12));
    l->maybe = index;
    s = stopped(l) ? STATUS_IO : checkpoint_finish(l->r.store, c, &d);
    if (s == OK) {
        checkpoint_descriptor_deinit(&d);
    }
    bool durable = went(l, s, "checkpoint_finish");
    checkpoint_release(l->r.store, c, durable);
    if (durable) {
        l->durable = index;
        l->checkpoints++;
    }
}

static enum status stream(struct life *l, struct copy *c, struct install *i, uint64_t size)
{
    static uint8_t piece[COPY_PIECE_BYTES];
    enum status s = OK;
    for (uint64_t at = 0; at < size && s == OK;) {
        size_t n = 0;
        s = copy_read(c, at, piece, sizeof(piece), &n);
        s = s == OK && n == 0 ? STATUS_CORRUPT : s;
        s = s == OK ? install_write(i, at, piece, n) : s;
        at += n;
        life_apply(l, random_below(&l->random, 3)); /* the source goes on */
    }
    return s;
}

/* Another environment takes the place of this one, as the log's record would say. */
static void life_install(struct life *l)
{
    struct copy *c;
    struct checkpoint_descriptor d;
    struct install *i;
    struct rig target = l->r;
    if (l->drawn == 250 || !went(l, copy_open(l->r.store, 0, &c, &d), "copy_open")) {
        return;
    }
    l->tag++; /* a fresh id each time: a stopped install leaves its directory */
    rig_environment(&target, l->tag);
    target.options.directory = target.directory;
    uint64_t index = d.index;
    enum status s =
        install_begin(&target.options, &target.environment, &d, env_meta_size(&d.meta), &i);
    if (s == OK) {
        s = stream(l, c, i, env_meta_size(&d.meta));
        if (s == OK && !stopped(l)) {
            struct error e = {0};
            s = install_commit(i, &e);
        } else {
            install_abort(i);
        }
    }
    checkpoint_descriptor_deinit(&d);
    copy_close(c);
    if (!went(l, s, "install")) {
        return;
    }
    store_close(l->r.store);
    l->r.store = NULL;
    struct rig old = l->r;
    rig_environment(&l->r, l->tag);
    l->durable = index;
    l->maybe = index;
    l->installs++;
    if (random_below(&l->random, 3) ==
        0) { /* the power goes before anything else syncs that file */
        crash_fs_stop(l->fs);
        return;
    }
    life_open(l);
    if (!stopped(l)) {
        install_remove(l->r.options.disk, old.directory);
    }
}

static void life_steps(struct life *l)
{
    for (unsigned step = 0; step < 60 && !stopped(l); step++) {
        switch (random_below(&l->random, 8)) {
            case 0:
            case 1:
                life_checkpoint(l);
                break;
            case 2:
                life_install(l);
                break;
            default:
                life_apply(l, 1 + random_below(&l->random, 6));
        }
    }
}

static void life_crash(struct life *l)
{
    crash_fs_stop(l->fs);
    if (l->r.store != NULL) {
        store_close(l->r.store);
        l->r.store = NULL;
    }
    crash_fs_crash(l->fs, random_below(&l->random, 4) == 0 ? CRASH_KILL : CRASH_POWER);
    l->crashes++;
}

static struct life total;

static void lives_begin(struct life *l, uint64_t seed, const char *skip)
{
    struct epoch epoch = {1, 77, 0};
    memset(l, 0, sizeof(*l));
    random_init_seed(&l->random, seed);
    snprintf(l->r.root, sizeof(l->r.root), "%s/mq-store-crash-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    CHECK_OK(crash_fs_new(l->r.root, seed, &l->fs));
    crash_fs_skip_site(l->fs, skip);
    l->r.options = (struct store_options){
        .disk = crash_fs_disk(l->fs), .shard = 1, .map_bytes = 64u << 20, .reserve_bytes = 1};
    l->r.time_ms = 1000000;
    l->tag = l->drawn = 1;
    rig_environment(&l->r, 1);
    CHECK_OK(store_create(&l->r.options, &l->r.environment, &epoch, NULL));
}

static const char *lives_end(struct life *l)
{
    if (l->wrong[0] == 0) {
        life_open(l);
    }
    if (l->r.store != NULL) {
        store_close(l->r.store);
        l->r.store = NULL;
    }
    crash_fs_crash(l->fs, CRASH_KILL);
    total.installs += l->installs;
    total.checkpoints += l->checkpoints;
    total.crashes += l->crashes;
    crash_fs_free(l->fs);
    return l->wrong[0] == 0 ? NULL : l->wrong;
}

/* Killed in the middle of a checkpoint, then the power goes in the next life: where random lives seldom go. */
static const char *kill_and_cut(uint64_t seed, const char *skip)
{
    static struct life l;
    lives_begin(&l, seed, skip);
    life_open(&l);
    life_apply(&l, 30);
    crash_fs_arm_cut(l.fs, 1 + random_below(&l.random, 24));
    life_checkpoint(&l);
    crash_fs_stop(l.fs);
    store_close(l.r.store);
    l.r.store = NULL;
    crash_fs_crash(l.fs, CRASH_KILL);
    life_open(&l);
    if (l.r.store != NULL) {
        life_apply(&l, 60);
        crash_fs_stop(l.fs);
        store_close(l.r.store);
        l.r.store = NULL;
        crash_fs_crash(l.fs, CRASH_POWER);
    }
    return lives_end(&l);
}

/* What is wrong, or NULL. */
static const char *lives(uint64_t seed, const char *skip)
{
    static struct life l;
    lives_begin(&l, seed, skip);
    if (seed % 2 == 0) {
        life_crash(&l); /* at once: birth alone must be enough */
    }
    for (unsigned i = 0; i < LIVES && l.wrong[0] == 0; i++) {
        if (random_below(&l.random, 4) == 0) { /* not even the opening ends */
            crash_fs_arm_cut(l.fs, 1 + random_below(&l.random, 6));
        }
        life_open(&l);
        if (!stopped(&l)) {
            crash_fs_arm_cut(
                l.fs, 1 + random_below(&l.random, random_below(&l.random, 2) == 0 ? 40 : 400));
            life_steps(&l);
        }
        life_crash(&l);
    }
    return lives_end(&l);
}

static void no_checkpoint_and_no_row_is_lost_by_power_cuts_and_kills(void)
{
    uint64_t seed = check_seed(),
             n = getenv("MQ_RUNS") != NULL ? strtoull(getenv("MQ_RUNS"), NULL, 10) : 60;
    for (uint64_t i = 0; i < n; i++) {
        const char *wrong = lives(seed + i, NULL);
        if (wrong != NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": %s", seed + i, wrong);
        }
    }
    for (uint64_t i = 0; i < 4 * n; i++) {
        const char *wrong = kill_and_cut(seed + i, NULL);
        if (wrong != NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": killed in a checkpoint: %s", seed + i, wrong);
        }
    }
    printf("store: %" PRIu64 " crashes, %" PRIu64 " checkpoints, %" PRIu64
           " installs, nothing lost\n",
           total.crashes, total.checkpoints, total.installs);
    CHECK(crash_fs_io_calls() > 0); /* LMDB really went through the journal */
}

/* What a process that died of a damaged image left in the tmpfs. */
static void remove_leftovers(pid_t pid)
{
    char root[2][64];
    snprintf(root[0], sizeof(root[0]), "%s/mq-store-crash-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)pid);
    snprintf(root[1], sizeof(root[1]), "%.50s.inodes", root[0]);
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", root[0], root[1], (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(child, NULL, 0) == child);
}

/* Lives in a process of their own: LMDB reads a damaged image through its map, and may die of it (facts: SIGBUS). */
static bool lives_apart(uint64_t seed, const char *site, char out_wrong[300])
{
    int ends[2], code;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGBUS, SIG_DFL); /* not the sanitizer's report */
        signal(SIGSEGV, SIG_DFL);
        const char *wrong = lives(seed, site);
        wrong = wrong == NULL ? kill_and_cut(seed, site) : wrong;
        size_t size = wrong == NULL ? 0 : strlen(wrong);
        _exit(size == 0 || write(ends[1], wrong, size) == (ssize_t)size ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], out_wrong, 299);
    close(ends[0]);
    CHECK(waitpid(child, &code, 0) == child);
    if (WIFSIGNALED(code)) {
        remove_leftovers(child);
    }
    out_wrong[n > 0 ? n : 0] = '\0';
    if (WIFSIGNALED(code)) {
        snprintf(out_wrong, 300, "an unreadable state (signal %d)", WTERMSIG(code));
    }
    return out_wrong[0] == '\0';
}

static void each_sync_of_the_store_that_lies_is_found_out(void)
{
    uint64_t seed = check_seed();
    for (size_t k = 0; k < sizeof(sites) / sizeof(sites[0]); k++) {
        char wrong[300] = "";
        bool whole = true;
        for (uint64_t i = 0; i < SEEDS_SKIPPED && whole; i++) {
            whole = lives_apart(seed + i, sites[k], wrong);
        }
        if (whole) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": the sync %s can be left out", seed, sites[k]);
        }
        printf("site %s: %s\n", sites[k], wrong);
    }
}

CHECK_MAIN
{
    RUN(no_checkpoint_and_no_row_is_lost_by_power_cuts_and_kills);
    RUN(each_sync_of_the_store_that_lies_is_found_out);
}
