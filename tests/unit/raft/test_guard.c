/* Each guard: the right thing happens with it, and the fault of the bare library shows without
 * it.
 *
 * A scenario is a function that says whether all went well. It runs here with every guard on,
 * then again in a child with that one guard off, where it may also crash or spoil its memory. */
#include <sys/wait.h>

#include "raft/guard.h"
#include "tests/unit/raft/mini_cluster.h"

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "exitcode=99"; /* a child's end by the sanitizer must not be taken for a failed CHECK */
}

enum { CHILD_WENT_WELL = 0, CHILD_SHOWED_FAULT = 10, CHILD_SANITIZED = 99 };

static bool fault_shows_without(enum engine_guard guard, bool (*scenario)(void))
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        engine_disable_guards((uint32_t)guard);
        status = scenario() ? CHILD_WENT_WELL : CHILD_SHOWED_FAULT;
        fflush(NULL);
        _exit(status);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 1); /* a CHECK of the preparation */
    if (WIFSIGNALED(status) || WEXITSTATUS(status) == CHILD_SANITIZED) {
        printf("  seen: the process did not survive, signal %d\n",
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    return WIFSIGNALED(status) || WEXITSTATUS(status) == CHILD_SHOWED_FAULT ||
           WEXITSTATUS(status) == CHILD_SANITIZED;
}

static bool finish(struct mini_cluster *c, bool well)
{
    if (c->violation[0] != 0) {
        printf("  seen: %s\n", c->violation);
        fflush(stdout);
        well = false;
    }
    mini_free(c);
    return well;
}

#define SEED 4711

/* ---- PREV0 ---- */

static bool tap_from_index_1(struct mini_cluster *c, const struct engine_message *m)
{
    if (m->kind == MESSAGE_APPEND && m->append.prev_index == 0 && m->append.n > 0 &&
        c->tapped.kind == 0) {
        c->tapped = mini_message_copy(m);
    }
    return false;
}

/* A joiner gets the log from index 1, compacts it, and gets the first message once more. */
static bool prev0(void)
{
    struct mini_cluster *c = mini_new(4, 3, SEED);
    struct engine_configuration configuration;
    struct mini_node *joiner = mini_node(c, 4);
    uint64_t last;

    c->tap = tap_from_index_1;
    mini_up_all(c);
    mini_elect(c, 1);
    mini_commit(c, 1, 10);
    engine_get_configuration(mini_node(c, 1)->engine, &configuration);
    configuration.members[configuration.n++] =
        (struct engine_member){.replica = 4, .node = 4, .role = MEMBER_STANDBY};
    CHECK_OK(mini_change(c, 1, &configuration));
    mini_run(c, 1000);
    last = engine_last_index(mini_node(c, 1)->engine);
    CHECK_EQ(c->tapped.kind, MESSAGE_APPEND);
    CHECK_EQ(engine_last_index(joiner->engine), last);
    CHECK_EQ(joiner->applied, last);
    CHECK(mini_snapshot(joiner, 0));
    mini_deliver(c, &c->tapped);
    mini_run(c, 100);
    if (c->violation[0] == 0) {
        mini_commit(c, 1, 5);
        mini_run(c, 300);
    }
    return finish(c, c->violation[0] == 0 && joiner->applied == last + 5);
}

static void PREV0_an_old_append_from_index_1_does_not_destroy_a_compacted_log(void)
{
    CHECK(prev0());
    CHECK(fault_shows_without(GUARD_PREV0, prev0));
}

/* A follower's acknowledgements are lost, it goes on and compacts; the leader then probes from
 * what it last knew of it. */
static bool prev0_compacted(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct mini_node *follower = mini_node(c, 3);
    uint64_t match;
    bool well;

    mini_up_all(c);
    mini_elect(c, 1);
    mini_commit(c, 1, 5);
    mini_run(c, 200);
    match = engine_match(mini_node(c, 1)->engine, 3);
    c->cut[3][1] = true;
    mini_commit(c, 1, 5);
    mini_run(c, 300);
    CHECK_EQ(follower->applied, match + 5);
    CHECK(mini_snapshot(follower, 0));
    CHECK(engine_first_index(follower->engine) > match + 1);
    c->cut[3][1] = false;
    mini_run(c, 1000);
    mini_commit(c, 1, 5);
    mini_run(c, 3000);
    well = follower->applied == c->committed_max && c->committed_max == match + 10;
    if (!well) {
        printf("  seen: a connected follower is left behind at %d of %d\n", (int)follower->applied,
               (int)c->committed_max);
    }
    return finish(c, well);
}

static void PREV0_a_follower_that_compacted_beyond_its_leaders_match_is_not_starved(void)
{
    CHECK(prev0_compacted());
    CHECK(fault_shows_without(GUARD_PREV0, prev0_compacted));
}

/* ---- PREVOTE ---- */

/* The node with the better log has never heard of the other's high term; the third is down. */
static bool prevote(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct mini_entry e = {.e = {.term = 2, .type = ENTRY_BARRIER}};
    bool well;

    mini_node(c, 1)->disk.term = 2;
    mini_image_write(&mini_node(c, 1)->disk, 2, &e, 1);
    mini_image_write(&mini_node(c, 1)->disk, 3, &e, 1);
    mini_node(c, 2)->disk.term = 5;
    mini_image_write(&mini_node(c, 2)->disk, 2, &e, 1);
    mini_up(mini_node(c, 1));
    mini_up(mini_node(c, 2));
    mini_run(c, 20000);
    well = mini_leader(c) == 1;
    if (!well) {
        printf(
            "  seen: two of three nodes are up and connected, and after 20 s there is no leader\n");
    }
    return finish(c, well);
}

static void PREVOTE_the_node_with_the_best_log_and_a_low_term_is_elected(void)
{
    CHECK(prevote());
    CHECK(fault_shows_without(GUARD_PREVOTE, prevote));
}

/* ---- COMMIT ---- */

static bool tap_first_entries_for_3(struct mini_cluster *c, const struct engine_message *m)
{
    if (m->kind == MESSAGE_APPEND && m->to == 3 && m->append.n > 0 && c->tapped.kind == 0) {
        c->tapped = mini_message_copy(m);
    }
    return false;
}

/* A follower that catches up in small steps gets the first of them twice. */
static bool commit(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct mini_node *slow = mini_node(c, 3);
    bool delivered = false;

    c->inflight_max = 4;
    mini_up_all(c);
    mini_elect(c, 1);
    mini_run(c, 200);
    mini_isolate(c, 3, true);
    mini_commit(c, 1, 30);
    c->tap = tap_first_entries_for_3;
    mini_isolate(c, 3, false);
    for (int i = 0; i < 3000 && c->violation[0] == 0 && !delivered; i++) {
        mini_step(c);
        if (c->tapped.kind != 0 &&
            slow->commit > c->tapped.append.prev_index + c->tapped.append.n &&
            slow->commit < c->tapped.append.commit) {
            mini_deliver(c, &c->tapped);
            delivered = true;
        }
    }
    CHECK(delivered);
    mini_run(c, 1000);
    return finish(c,
                  c->violation[0] == 0 && slow->commit == engine_commit(mini_node(c, 1)->engine));
}

static void COMMIT_a_message_sent_twice_does_not_take_the_commit_index_back(void)
{
    CHECK(commit());
    CHECK(fault_shows_without(GUARD_COMMIT, commit));
}

/* ---- REJECT ---- */

static bool tap_rejection(struct mini_cluster *c, const struct engine_message *m)
{
    if (m->kind == MESSAGE_APPEND_RESULT && m->from == 3 && m->append_result.rejected > 0 &&
        c->tapped.kind == 0) {
        c->tapped = mini_message_copy(m);
    }
    return false;
}

/* A follower rejects, then matches exactly what it had rejected, is lost, and the rejection
 * comes once more. */
static bool reject(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    uint64_t match = 0;
    bool well;

    c->inflight_max = 11; /* the first message ends exactly at what was rejected */
    mini_up_all(c);
    mini_elect(c, 1);
    mini_run(c, 200);
    mini_isolate(c, 3, true);
    mini_commit(c, 1, 9);
    mini_transfer(c, 2);
    mini_run(c, 200);
    c->tap = tap_rejection;
    mini_isolate(c, 3, false);
    for (int i = 0; i < 3000 && (c->tapped.kind == 0 || match < c->tapped.append_result.rejected);
         i++) {
        mini_step(c);
        match = engine_match(mini_node(c, 2)->engine, 3);
    }
    CHECK_EQ(c->tapped.kind, MESSAGE_APPEND_RESULT);
    CHECK_EQ(match, c->tapped.append_result.rejected);
    mini_isolate(c, 3, true);
    mini_run(c, 300); /* the leader probes again, from match + 1 */
    CHECK_EQ(mini_leader(c), 2);
    CHECK_EQ(c->tapped.term, engine_term(mini_node(c, 2)->engine));
    mini_deliver(c, &c->tapped);
    mini_isolate(c, 3, false);
    mini_run(c, 2000);
    if (mini_leader(c) == 2) {
        mini_commit(c, 2, 3);
    }
    mini_run(c, 3000);
    well = mini_leader(c) != 0 && mini_node(c, 3)->applied == c->committed_max &&
           c->committed_max > match;
    if (!well) {
        printf("  seen: a connected follower is left behind at %d of %d\n",
               (int)mini_node(c, 3)->applied, (int)c->committed_max);
    }
    return finish(c, well);
}

static void REJECT_an_old_rejection_does_not_starve_a_follower(void)
{
    CHECK(reject());
    CHECK(fault_shows_without(GUARD_REJECT, reject));
}

/* ---- STALE ---- */

/* What the library has not written is what was there before. */
__attribute__((noinline)) static void paint_stack(void)
{
    volatile uint8_t bytes[32768];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = 0x11;
    }
}

static bool tap_answer(struct mini_cluster *c, const struct engine_message *m)
{
    if (m->kind == MESSAGE_APPEND_RESULT && m->from == 3) {
        c->tapped = mini_message_copy(m);
        return true;
    }
    return false;
}

/* A message of an older term is answered to one who leads again by now, and has an entry that
 * nobody else has. */
static bool stale(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct engine_message late = {.kind = MESSAGE_INSTALL, .from = 1, .to = 3};
    struct engine *leader = mini_node(c, 1)->engine;
    uint64_t before;
    bool well;

    mini_up_all(c);
    mini_elect(c, 1);
    leader = mini_node(c, 1)->engine;
    late.term = engine_term(leader);
    late.install.last_index = late.install.last_term = late.install.configuration_index = 1;
    late.install.configuration = mini_entry_at(mini_node(c, 1), 1)->e.payload;
    mini_commit(c, 1, 5);
    mini_run(c, 200);
    mini_transfer(c, 2);
    mini_run(c, 200);
    mini_transfer(c, 1);
    mini_run(c, 200);
    before = engine_commit(leader);
    CHECK_EQ(before, engine_last_index(leader));
    mini_isolate(c, 1, true);
    CHECK_OK(mini_submit(c, 1));
    mini_run(c, 10);
    CHECK_EQ(engine_commit(leader), before);
    c->tap = tap_answer;
    paint_stack();
    mini_deliver(c, &late);
    CHECK_EQ(c->tapped.kind, MESSAGE_APPEND_RESULT);
    CHECK_EQ(c->tapped.term, engine_term(leader));
    mini_deliver(c, &c->tapped);
    well = engine_commit(leader) == before;
    if (!well) {
        printf("  seen: entry %d is committed, and only one of three has it\n",
               (int)engine_commit(leader));
    }
    return finish(c, well);
}

static void STALE_the_answer_to_an_older_term_acknowledges_nothing(void)
{
    CHECK(stale());
    CHECK(fault_shows_without(GUARD_STALE, stale));
}

/* ---- VOTERES ---- */

/* A node asked for pre-votes, crashed, and gets one of the answers as a follower. */
static bool voteres(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct engine_message late = {.kind = MESSAGE_VOTE_RESULT, .from = 2, .to = 3, .version = 2};
    uint64_t term;
    bool well;

    mini_up_all(c);
    mini_elect(c, 1);
    mini_run(c, 200);
    term = engine_term(mini_node(c, 1)->engine);
    mini_restart(mini_node(c, 3));
    late.term = term + 1; /* what it had asked for, granted */
    late.vote_result.granted = late.vote_result.pre_vote = true;
    late.vote_result.features = 1;
    mini_deliver(c, &late);
    mini_run(c, 300);
    well = mini_leader(c) == 1 && engine_term(mini_node(c, 1)->engine) == term;
    if (!well) {
        printf("  seen: a healthy leader of term %d was deposed\n", (int)term);
    }
    return finish(c, well);
}

static void VOTERES_a_late_pre_vote_does_not_depose_a_leader(void)
{
    CHECK(voteres());
    CHECK(fault_shows_without(GUARD_VOTERES, voteres));
}

/* ---- BUSY ---- */

static int64_t heap_live;

static void *heap_count(void *p)
{
    heap_live += p != NULL;
    return p;
}
static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return heap_count(malloc(size));
}
static void heap_free(void *data, void *p)
{
    (void)data;
    heap_live -= p != NULL;
    free(p);
}
static void *heap_calloc(void *data, size_t n, size_t size)
{
    (void)data;
    return heap_count(calloc(n, size));
}
static void *heap_realloc(void *data, void *p, size_t size)
{
    (void)data;
    heap_live += p == NULL;
    return realloc(p, size);
}
static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    (void)data;
    return heap_count(aligned_alloc(alignment, size));
}
static void heap_aligned_free(void *data, size_t alignment, void *p)
{
    (void)alignment;
    heap_free(data, p);
}

static void heap_set(void)
{
    static struct raft_heap heap = {.malloc = heap_malloc,
                                    .free = heap_free,
                                    .calloc = heap_calloc,
                                    .realloc = heap_realloc,
                                    .aligned_alloc = heap_aligned_alloc,
                                    .aligned_free = heap_aligned_free};
    heap_live = 0;
    raft_heap_set(&heap);
}

/* The leader offers its snapshot again and again while the follower still fetches it. */
static bool busy(void)
{
    static const uint64_t ids[] = {1, 2, 3};
    struct mini_cluster *c;
    struct engine_message offer = {.kind = MESSAGE_INSTALL, .from = 1, .to = 4, .term = 3};
    bool well;

    heap_set();
    c = mini_new(4, 3, SEED);
    c->install_max = 1000000;
    mini_up(mini_node(c, 4));
    offer.install.last_index = 50;
    offer.install.last_term = 2;
    offer.install.configuration_index = 1;
    offer.install.configuration = mini_configuration(ids, 3);
    for (int i = 0; i < 10; i++) {
        mini_deliver(c, &offer);
        CHECK(engine_installing(mini_node(c, 4)->engine));
    }
    well = finish(c, true);
    block_unref(offer.install.configuration);
    raft_heap_set_default();
    if (heap_live != 0) {
        printf("  seen: %d allocations lost\n", (int)heap_live);
    }
    return well && heap_live == 0;
}

static void BUSY_a_second_offer_of_a_snapshot_loses_no_memory(void)
{
    CHECK(busy());
    CHECK(fault_shows_without(GUARD_BUSY, busy));
}

/* ---- NOOP ---- */

/* Ongaro 2015: two leaders change the membership by one server each, in different directions,
 * and their majorities do not meet. */
static bool noop(void)
{
    struct mini_cluster *c = mini_new(5, 4, SEED);
    struct engine_configuration d, e;
    enum status s;

    mini_up_all(c);
    mini_elect(c, 1);
    mini_commit(c, 1, 3);
    mini_run(c, 300); /* all know that all is committed */
    engine_get_configuration(mini_node(c, 1)->engine, &d);
    e = d;
    d.members[d.n++] = (struct engine_member){.replica = 5, .node = 5, .role = MEMBER_VOTER};
    memmove(&e.members[0], &e.members[1], 3 * sizeof(e.members[0]));
    e.n = 3;
    for (uint64_t i = 2; i <= 4; i++) { /* {1, 5} and {2, 3, 4} */
        c->cut[1][i] = c->cut[i][1] = c->cut[5][i] = c->cut[i][5] = true;
    }
    CHECK_OK(mini_change(c, 1, &d)); /* adds 5; only 5 gets it */
    for (uint64_t i = 2; i <= 4; i++) {
        mini_restart(mini_node(c, i)); /* forgets its leader */
    }
    mini_elect(c, 2);
    mini_isolate(c, 4, true);
    s = mini_change(c, 2, &e); /* removes 1; only 3 gets it, and two of three are enough */
    CHECK(s == OK || s == STATUS_BUSY);
    mini_run(c, 100);
    if (s == STATUS_BUSY) {
        CHECK_EQ(mini_change(c, 2, &e), STATUS_BUSY); /* its barrier needs three of four */
    }
    mini_isolate(c, 4, false);
    mini_isolate(c, 2, true);
    mini_isolate(c, 3, true);
    c->cut[1][4] = c->cut[4][1] = c->cut[5][4] = c->cut[4][5] = c->cut[1][5] = c->cut[5][1] = false;
    mini_run(c, 10000); /* 1 leads {1, 4, 5}, a majority with 5, and commits at the same index */
    for (uint64_t i = 1; i <= 5; i++) {
        mini_isolate(c, i, false);
    }
    mini_run(c, 5000);
    return finish(c, c->violation[0] == 0 && mini_leader(c) != 0);
}

static void NOOP_no_change_before_an_entry_of_the_own_term_is_committed(void)
{
    CHECK(noop());
    CHECK(fault_shows_without(GUARD_NOOP, noop));
}

/* Elected with nothing outstanding, the library writes no barrier of its own. */
static void NOOP_a_leader_with_nothing_outstanding_writes_a_barrier(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct engine *e;

    mini_up_all(c);
    mini_elect(c, 1);
    mini_run(c, 200);
    for (uint64_t i = 1; i <= 3; i++) {
        CHECK_EQ(engine_commit(mini_node(c, i)->engine), 2);
    }
    mini_transfer(c, 2);
    mini_run(c, 200);
    e = mini_node(c, 2)->engine;
    CHECK(!engine_needs_barrier(e));
    CHECK_EQ(engine_commit(e), 3);
    CHECK_EQ(mini_entry_at(mini_node(c, 2), 3)->e.type, ENTRY_BARRIER);
    CHECK_EQ(mini_entry_at(mini_node(c, 2), 3)->e.term, engine_term(e));
    CHECK(finish(c, true));
}

/* ---- SPLIT ---- */

/* A follower gets commands and a change in one message, and leads afterwards. */
static bool split(void)
{
    struct mini_cluster *c = mini_new(4, 3, SEED);
    struct engine_configuration with, without;
    enum status s;

    mini_up_all(c);
    mini_elect(c, 1);
    mini_run(c, 200);
    mini_isolate(c, 3, true);
    mini_commit(c, 1, 3);
    engine_get_configuration(mini_node(c, 1)->engine, &without);
    with = without;
    with.members[with.n++] =
        (struct engine_member){.replica = 4, .node = 4, .role = MEMBER_STANDBY};
    CHECK_OK(mini_change(c, 1, &with));
    mini_run(c, 200);
    mini_isolate(c, 3, false);
    mini_run(c, 500);
    CHECK_EQ(mini_node(c, 3)->applied, engine_commit(mini_node(c, 1)->engine));
    mini_transfer(c, 3);
    mini_run(c, 200);
    s = mini_change(c, 3, &without);
    CHECK(s == OK || s == STATUS_BUSY);
    for (int i = 0; i < 10 && s == STATUS_BUSY; i++) {
        mini_run(c, 300);
        s = mini_leader(c) == 3 ? mini_change(c, 3, &without) : s;
    }
    if (s == STATUS_BUSY) {
        printf("  seen: no change is possible any more\n");
    }
    mini_run(c, 200);
    return finish(c, s == OK);
}

static void SPLIT_a_change_behind_commands_can_be_confirmed(void)
{
    CHECK(split());
    CHECK(fault_shows_without(GUARD_SPLIT, split));
}

/* ---- CONFIRM ---- */

/* Two changes come in one message, and a new leader takes back the second, which is not
 * committed. */
static bool confirm(void)
{
    static const uint64_t one[] = {1, 2, 3, 4}, two[] = {1, 2, 3, 4, 5};
    struct mini_cluster *c = mini_new(3, 3, SEED);
    struct engine_entry changes[2] = {
        {.term = 2, .type = ENTRY_CHANGE, .payload = mini_configuration(one, 4)},
        {.term = 2, .type = ENTRY_CHANGE, .payload = mini_configuration(two, 5)}};
    struct engine_entry other = {.term = 3, .type = ENTRY_BARRIER};
    struct engine_message m = {.kind = MESSAGE_APPEND, .from = 1, .to = 3, .term = 2};
    struct engine_configuration now;

    mini_up(mini_node(c, 3));
    m.append.prev_index = m.append.prev_term = m.append.commit = 1;
    m.append.n = 2;
    m.append.entries = changes;
    mini_deliver(c, &m);
    mini_run(c, 10);
    engine_get_configuration(mini_node(c, 3)->engine, &now);
    CHECK_EQ(now.n, 5);
    m.from = 2;
    m.term = 3;
    m.append.prev_index = m.append.prev_term = 2;
    m.append.n = 1;
    m.append.entries = &other;
    mini_deliver(c, &m);
    CHECK_EQ(engine_last_index(mini_node(c, 3)->engine), 3);
    engine_get_configuration(mini_node(c, 3)->engine, &now);
    if (now.n != 4) {
        printf("  seen: back to a configuration of %d members, not 4\n", (int)now.n);
    }
    block_unref(changes[0].payload);
    block_unref(changes[1].payload);
    return finish(c, now.n == 4);
}

static void CONFIRM_only_the_second_of_two_changes_is_taken_back(void)
{
    CHECK(confirm());
    CHECK(fault_shows_without(GUARD_CONFIRM, confirm));
}

/* MQ_GUARDS_OFF=NAME takes one guard out of everything: the tests of that name must fail then. */
static void guards_off_by_environment(void)
{
    static const char *const names[] = {"PREV0",   "PREVOTE", "COMMIT", "REJECT", "STALE",
                                        "VOTERES", "BUSY",    "NOOP",   "SPLIT",  "CONFIRM"};
    const char *off = getenv("MQ_GUARDS_OFF");

    for (unsigned i = 0; off != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(off, names[i]) == 0) {
            printf("guard %s is off\n", off);
            engine_disable_guards(1u << i);
        }
    }
}

CHECK_MAIN
{
    guards_off_by_environment();
    RUN(PREV0_an_old_append_from_index_1_does_not_destroy_a_compacted_log);
    RUN(PREV0_a_follower_that_compacted_beyond_its_leaders_match_is_not_starved);
    RUN(PREVOTE_the_node_with_the_best_log_and_a_low_term_is_elected);
    RUN(COMMIT_a_message_sent_twice_does_not_take_the_commit_index_back);
    RUN(REJECT_an_old_rejection_does_not_starve_a_follower);
    RUN(STALE_the_answer_to_an_older_term_acknowledges_nothing);
    RUN(VOTERES_a_late_pre_vote_does_not_depose_a_leader);
    RUN(BUSY_a_second_offer_of_a_snapshot_loses_no_memory);
    RUN(NOOP_no_change_before_an_entry_of_the_own_term_is_committed);
    RUN(NOOP_a_leader_with_nothing_outstanding_writes_a_barrier);
    RUN(SPLIT_a_change_behind_commands_can_be_confirmed);
    RUN(CONFIRM_only_the_second_of_two_changes_is_taken_back);
}
