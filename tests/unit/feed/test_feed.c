/* Who is visited, and when, when some users fail or hang. */
#include "tests/unit/feed/feed_world.h"

static void hang(const char *name, bool hangs)
{
    account(name)->hangs = hangs;
}

static void all_hang(bool do_hang)
{
    char name[] = "hang1";
    for (; name[4] <= '4'; name[4]++) {
        hang(name, do_hang);
    }
}

/* All that hang were killed once. */
static void known_to_hang(void)
{
    all_hang(true);
    for (size_t i = 2; i < ACCOUNTS; i++) {
        accounts[i].boxes[0].modseq++;
    }
    for (int i = 0; i < TURNS_MAX && feed.counters.slow < 4; i++) {
        deadline();
        turn();
    }
    CHECK(feed.counters.slow >= 4);
    TURN_UNTIL(feed.sweep.step == SWEEP_IDLE);
}

static void begin_with_hanging_users(void)
{
    add("anna", "INBOX", 1);
    for (size_t i = 2; i < ACCOUNTS; i++) {
        add(accounts[i].name, "INBOX", (unsigned)i);
    }
    begin("hang1\nhang2\nhang3\nhang4\nanna\n");
    reported();
    sweeps(1);
    known_to_hang();
}

static void users_that_hang_leave_a_slot_to_the_others(void)
{
    prepare();
    begin_with_hanging_users();
    for (int i = 0; i < 2000 && feed.running_sick < 3; i++) {
        nobody_is_patient();
        turn();
    }
    CHECK_EQ(feed.running_sick, 3u); /* all hang, and nobody else waits */
    for (unsigned i = 6; i < 9; i++) {
        struct uuid inbox = guid_of(1);
        box_of(account("anna"), "INBOX")->modseq = i;
        TURN_UNTIL(feed_user_find(user("anna"), &inbox)->cursor.modseq == i);
    }
    CHECK_EQ(feed.running_sick, 3u);
    all_hang(false);
    deadline();
    sweeps(3);
    for (size_t i = 2; i < ACCOUNTS; i++) {
        CHECK_EQ(user(accounts[i].name)->pending_since_ms, 0u);
        CHECK(!user(accounts[i].name)->apart);
    }
    end();
}

static void a_user_that_fails_is_not_visited_at_each_sweep(void)
{
    prepare();
    add("anna", "INBOX", 1);
    struct box *work = add("bo", "Work", 3);
    add("bo", "INBOX", 2);
    begin("anna\nbo\n");
    reported();
    work->behaviour = UNREADABLE;
    TURN_UNTIL(user("bo")->failures == 1);
    uint64_t until = feed.counters.sweeps + 4;
    visited[0] = '\0';
    TURN_UNTIL(feed.counters.sweeps >= until); /* a second's patience, 4 sweeps of 100 ms */
    CHECK_STR_EQ(visited, "");
    CHECK(user("bo")->pending_since_ms != 0);
    Mq__Touch touch = MQ__TOUCH__INIT;
    Mq__Event event = MQ__EVENT__INIT;
    touch.user = (char *)"bo";
    event.body_case = MQ__EVENT__BODY_TOUCH;
    event.touch = &touch;
    feed.uplink.event(&feed.uplink, &event); /* a person wants it now */
    TURN_UNTIL(user("bo")->failures == 2);
    CHECK(trouble("MQ-FEED-USER", "bo") != NULL);
    CHECK(user("bo")->patient_until_ms > uv_now(&loop) + TURN_PATIENCE_MIN_MS);
    work->behaviour = GOOD;
    sweeps(2);
    CHECK_EQ(user("bo")->failures, 0u);
    CHECK_EQ(user("bo")->patient_until_ms, 0u);
    end();
}

static void a_session_that_is_silent_counts_as_slow(void)
{
    prepare();
    add("anna", "INBOX", 1);
    struct box *work = add("anna", "Work", 2);
    begin("anna\n");
    reported();
    work->behaviour = HANGS;
    work->modseq = 6;
    TURN_UNTIL(strstr(examined, "Work") != NULL);
    deadline();
    TURN_UNTIL(feed.running == 0);
    CHECK_EQ(feed.counters.slow, 1u);
    CHECK(user("anna")->apart);
    end();
}

/* Patience is for users with something wrong: after an outage of the cluster all that wait are reported at once. */
static void a_cluster_that_does_not_answer_makes_nobody_sick(void)
{
    prepare();
    config.report_deadline_ms = 5;
    add("anna", "INBOX", 1);
    begin("anna\n");
    reported();
    no_quorum = true;
    box_of(account("anna"), "INBOX")->modseq++;
    sweeps(3);
    CHECK(feed.counters.failed > 0);
    CHECK_EQ(user("anna")->failures, 0u);
    CHECK_EQ(user("anna")->patient_until_ms, 0u);
    CHECK(user("anna")->pending_since_ms != 0);
    CHECK(uuid_zero(&user("anna")->died_at));
    no_quorum = false;
    sweeps(2);
    CHECK_EQ(user("anna")->pending_since_ms, 0u);
    end();
}

static void what_was_wrong_with_a_user_who_is_gone_is_nobodys_trouble(void)
{
    prepare();
    add("anna", "INBOX", 1);
    struct box *work = add("bo", "Work", 3);
    add("bo", "INBOX", 2);
    begin("anna\nbo\n");
    reported();
    work->behaviour = UNREADABLE;
    for (int i = 0; i < 50 && trouble("MQ-FEED-USER", "bo") == NULL; i++) {
        sweeps(1);
    }
    CHECK(trouble("MQ-FEED-USER", "bo") != NULL);
    FILE *f = fopen(users_path, "w");
    CHECK(f != NULL);
    fputs("anna\n", f);
    CHECK_EQ(fclose(f), 0);
    sweeps(3);
    CHECK(trouble("MQ-FEED-USER", "bo") == NULL);
    CHECK_EQ(user("bo")->pending_since_ms, 0u);
    CHECK_EQ(user("bo")->failures, 0u);
    end();
}

CHECK_MAIN
{
    RUN(a_cluster_that_does_not_answer_makes_nobody_sick);
    RUN(users_that_hang_leave_a_slot_to_the_others);
    RUN(what_was_wrong_with_a_user_who_is_gone_is_nobodys_trouble);
    RUN(a_user_that_fails_is_not_visited_at_each_sweep);
    RUN(a_session_that_is_silent_counts_as_slow);
}
