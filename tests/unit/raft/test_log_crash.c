/* The log over many random lives, power cuts and kills at every write, and with each of its syncs a
 * lie. */
#include "tests/unit/raft/log_life.h"

static void nothing_durable_is_lost_and_nothing_invented_by_power_cuts(void)
{
    uint64_t seed = check_seed(),
             n = getenv("MQ_RUNS") != NULL ? strtoull(getenv("MQ_RUNS"), NULL, 10) : 100;
    for (uint64_t i = 0; i < n; i++) {
        const char *v = life_run(seed + i, 12, NULL, false);
        if (v != NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": %s", seed + i, v);
        }
    }
}

/* The first entry of a log that was empty is written when its replacement is queued already: its segment is needed until then. */
static void lives_that_once_found_something_stay_good(void)
{
    static const uint64_t found[] = {65257755289663853};
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        const char *v = life_run(found[i], 12, NULL, false);
        if (v != NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": %s", found[i], v);
        }
    }
}

static void nothing_durable_is_lost_by_kills_followed_by_power_cuts(void)
{
    uint64_t seed = check_seed(),
             n = getenv("MQ_RUNS") != NULL ? strtoull(getenv("MQ_RUNS"), NULL, 10) : 100;
    for (uint64_t i = 0; i < n; i++) {
        const char *v = life_run(seed + i, 12, NULL, true);
        if (v != NULL) {
            CHECK_FAIL("MQ_SEED=%" PRIu64 ": %s", seed + i, v);
        }
    }
}

/* Every site that the log ever calls, and no other. */
static const char *const sites[] = {
    "log.parent", "log.directory.again", "log.zeros",      "log.directory",
    "log.head",   "log.batch",           "log.generation", "log.again"};

/* The power goes for good where random lives seldom go: killed between a rename and the sync of its
 * directory (step n of the first life), the next life goes on in that file and has no reason to
 * sync the directory itself. */
static const char *kill_and_cut(uint64_t n, const char *disabled)
{
    const char *wrong = NULL;
    struct rig r;
    rig_init(&r, n);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_flush(&r);
    crash_disk_cut_at(r.disk, n);
    for (uint64_t i = 0; i < 30 && r.failed == 0; i++) {
        rig_append(&r, 3, 1 + i, 1, 1, 3000);
        rig_flush(&r);
    }
    rig_close(&r);
    crash_disk_kill(r.disk);
    crash_disk_disable_sync(r.disk, disabled);
    crash_disk_set_free_bytes(r.disk, 1000); /* no new files */
    rig_open(&r);
    uint32_t number = r.log->current->number;
    uint64_t last = log_last_index(r.log, 3);
    for (; r.log->current->number == number && log_segment_count_free(r.log) > 0; last++) {
        rig_append(&r, 3, last + 1, 1, 1, 3000);
        rig_flush(&r);
    }
    rig_close(&r);
    crash_disk_crash(r.disk, n);
    rig_open(&r);
    if (log_ever_damaged(r.log) || log_last_index(r.log, 3) != last) {
        wrong = "the segment in use is gone";
    }
    rig_deinit(&r);
    return wrong;
}

static void a_file_that_a_killed_life_left_unsynced_is_safe_before_it_is_used(void)
{
    for (uint64_t n = 1; n <= 120; n++) {
        const char *v = kill_and_cut(n, NULL);
        if (v != NULL) {
            CHECK_FAIL("cut at %" PRIu64 ": %s", n, v);
        }
    }
}

static void each_sync_that_lies_is_found_out(void)
{
    uint64_t seed = check_seed();
    for (size_t k = 0; k < sizeof(sites) / sizeof(sites[0]); k++) {
        const char *v = NULL;
        uint64_t i = 0;
        for (uint64_t n = 1; n <= 120 && v == NULL && strcmp(sites[k], "log.directory.again") == 0;
             n++) {
            v = kill_and_cut(n, sites[k]);
        }
        for (; i < 4000 && v == NULL; i++) {
            v = life_run(seed + i, 12, sites[k], true);
        }
        if (v == NULL) {
            CHECK_FAIL("%s can be left out and nothing is lost: it is of no use", sites[k]);
        }
        printf("# %s left out: after %" PRIu64 " runs: %s\n", sites[k], i, v);
    }
}

static void the_list_of_sync_sites_is_complete(void)
{
    struct rig r;
    rig_init(&r, 1);
    rig_open(&r);
    rig_put(&r, 3, 1, 0);
    rig_append(&r, 3, 1, 60, 1, 3000);
    rig_flush(&r);
    rig_power_cut(&r, 2);
    for (unsigned i = 0; i < crash_disk_sites(r.disk); i++) {
        bool listed = strcmp(crash_disk_site(r.disk, i), "rig") == 0;
        for (size_t k = 0; k < sizeof(sites) / sizeof(sites[0]); k++) {
            listed = listed || strcmp(sites[k], crash_disk_site(r.disk, i)) == 0;
        }
        if (!listed) {
            CHECK_FAIL("%s is not in the list of this test", crash_disk_site(r.disk, i));
        }
    }
    CHECK_EQ(crash_disk_sites(r.disk), sizeof(sites) / sizeof(sites[0]) + 1);
    rig_deinit(&r);
}

CHECK_MAIN
{
    RUN(the_list_of_sync_sites_is_complete);
    RUN(nothing_durable_is_lost_and_nothing_invented_by_power_cuts);
    RUN(lives_that_once_found_something_stay_good);
    RUN(nothing_durable_is_lost_by_kills_followed_by_power_cuts);
    RUN(a_file_that_a_killed_life_left_unsynced_is_safe_before_it_is_used);
    RUN(each_sync_that_lies_is_found_out);
}
