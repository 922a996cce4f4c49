/* The small files of a node on a file system that forgets. A life: open (its incarnation is acknowledged) -> changes are saved
 * (acknowledged by saved()) -> the machine stops in the middle of a call -> power cut or kill -> open again. What must hold: it
 * opens, no incarnation comes twice, what was saved is there. The last test makes the syncs of one site after the other no-ops. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log_line.h"
#include "node/data_directory.h"
#include "tests/lib/check.h"
#include "tests/lib/crash_fs.h"
#include "tests/sim/interpose.h"

#define LIVES 8
#define SEEDS 300

static const char *const sites[] = {"data_directory.make",        "data_directory.lock",
                                    "data_directory.identity",    "data_directory.identity_dir",
                                    "data_directory.incarnation", "data_directory.incarnation_dir",
                                    "data_directory.peers"};

struct life {
    struct crash_fs *fs;
    struct random random;
    struct executor_inline executor;
    char root[200], path[240];
    struct data_directory d;
    bool open;
    uint64_t incarnation; /* acknowledged */
    bool born[8], acquainted[4];
    char wrong[300];
};

static void quiet(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static void on_saved(void *arg, enum status s)
{
    *(enum status *)arg = s;
}

static void life_open(struct life *l)
{
    struct data_directory_options o = {.path = l->path,
                                       .disk = crash_fs_disk(l->fs),
                                       .random = &l->random,
                                       .node = 1,
                                       .name = "one"};
    const char *id = "";
    struct error e = {0};
    memset(&o.cluster, 1, sizeof(o.cluster));
    memset(&o.founding, 2, sizeof(o.founding));
    l->open = data_directory_open(&l->d, &o, &id, &e) == OK;
    if (crash_fs_is_cut(l->fs)) {
        return;
    }
    if (!l->open) {
        snprintf(l->wrong, sizeof(l->wrong), "does not open: %s: %.200s", id, e.text);
    } else if (l->d.incarnation <= l->incarnation) {
        snprintf(l->wrong, sizeof(l->wrong), "incarnation %" PRIu64 " comes after %" PRIu64,
                 l->d.incarnation, l->incarnation);
    }
    for (unsigned i = 0; i < 8 && l->open && l->wrong[0] == 0; i++) {
        bool kept =
            (!l->born[i] || l->d.born[i]) && (i >= 4 || !l->acquainted[i] || l->d.acquainted[i]);
        if (!kept) {
            snprintf(l->wrong, sizeof(l->wrong), "what was saved of %u is lost", i);
        }
    }
    l->incarnation = l->open ? l->d.incarnation : l->incarnation;
}

static void life_save(struct life *l)
{
    enum status saved = STATUS_BUSY;
    unsigned born = (unsigned)random_below(&l->random, 8),
             seen = 1 + (unsigned)random_below(&l->random, 3);
    l->d.founded = true;
    l->d.born[born] = true;
    l->d.acquainted[seen] = true;
    l->d.saved = on_saved;
    l->d.saved_arg = &saved;
    data_directory_save(&l->d, &l->executor.executor);
    executor_inline_drain(&l->executor);
    if (saved == OK && !crash_fs_is_cut(l->fs)) {
        l->born[born] = true;
        l->acquainted[seen] = true;
    }
}

static const char *lives(uint64_t seed, const char *skip)
{
    static struct life l;
    memset(&l, 0, sizeof(l));
    random_init_seed(&l.random, seed);
    executor_inline_init(&l.executor);
    snprintf(l.root, sizeof(l.root), "%s/mq-data-crash-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    snprintf(l.path, sizeof(l.path), "%s/data", l.root);
    CHECK_OK(crash_fs_new(l.root, seed, &l.fs));
    crash_fs_skip_site(l.fs, skip);
    for (unsigned i = 0; i < LIVES && l.wrong[0] == 0; i++) {
        if (random_below(&l.random, 2) == 0) {
            crash_fs_arm_cut(l.fs, 1 + random_below(&l.random, 30));
        }
        life_open(&l);
        for (uint64_t n = random_below(&l.random, 4);
             n > 0 && l.open && !crash_fs_is_cut(l.fs) && l.wrong[0] == 0; n--) {
            life_save(&l);
        }
        crash_fs_stop(l.fs);
        if (l.open) {
            data_directory_close(&l.d);
        }
        crash_fs_crash(l.fs, random_below(&l.random, 4) == 0 ? CRASH_KILL : CRASH_POWER);
    }
    crash_fs_free(l.fs);
    return l.wrong[0] == 0 ? NULL : l.wrong;
}

static void no_incarnation_comes_twice_and_nothing_saved_is_lost(void)
{
    uint64_t seed = check_seed();
    for (uint64_t i = 0; i < SEEDS; i++) {
        const char *wrong = lives(seed + i, NULL);
        if (wrong != NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": %s", seed + i, wrong);
        }
    }
}

static void each_sync_of_the_data_directory_that_lies_is_found_out(void)
{
    uint64_t seed = check_seed();
    for (size_t k = 0; k < sizeof(sites) / sizeof(sites[0]); k++) {
        const char *wrong = NULL;
        for (uint64_t i = 0; i < SEEDS && wrong == NULL; i++) {
            wrong = lives(seed + i, sites[k]);
        }
        if (wrong == NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": the sync %s can be left out", seed, sites[k]);
        }
        printf("site %s: %s\n", sites[k], wrong);
    }
}

CHECK_MAIN
{
    log_line_set_sink(quiet, NULL); /* of saves that the crash ends */
    RUN(no_incarnation_comes_twice_and_nothing_saved_is_lost);
    RUN(each_sync_of_the_data_directory_that_lies_is_found_out);
}
