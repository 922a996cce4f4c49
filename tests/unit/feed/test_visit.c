/* What a visit reports, what it deletes, and when its user counts as reported. */
#include "tests/unit/feed/feed_world.h"

static void take_away(const char *user, const char *name)
{
    *box_of(account(user), name) = (struct box){0};
}

/* ---- what counts as reported ---- */

static void a_mailbox_that_cannot_be_listed_leaves_its_user_unreported(void)
{
    prepare();
    add("anna", "INBOX", 1);
    add("bo", "INBOX", 2);
    struct box *work = add("bo", "Work", 3);
    begin("anna\nbo\n");
    reported();
    sweeps(1);
    work->behaviour = UNREADABLE;
    box_of(account("bo"), "INBOX")->modseq = 6;
    sweeps(2);
    struct uuid inbox = guid_of(2);
    CHECK_EQ(feed_user_find(user("bo"), &inbox)->cursor.modseq,
             6u); /* what was listed is reported */
    CHECK_STR_EQ(deleted, "");
    uint64_t clean_ms = user("bo")->clean_ms;
    sweeps(3);
    CHECK(user("bo")->pending_since_ms != 0);
    CHECK_EQ(user("bo")->clean_ms, clean_ms);
    const struct trouble *t = trouble("MQ-FEED-USER", "bo");
    CHECK(t != NULL && strstr(t->text, "Mailbox Work") != NULL &&
          strstr(t->text, "Permission denied") != NULL);
    CHECK(strstr(t->text, "cut off") == NULL);
    visited[0] = '\0';
    sweeps(3);
    CHECK(strstr(visited, "anna") == NULL); /* the common listing is whole without bo */
    CHECK(strstr(visited, "bo") != NULL);
    work->behaviour = GOOD;
    sweeps(3);
    CHECK(trouble("MQ-FEED-USER", "bo") == NULL);
    CHECK_EQ(user("bo")->pending_since_ms, 0u);
    CHECK(!user("bo")->apart);
    visited[0] = '\0';
    sweeps(2);
    CHECK_STR_EQ(visited, "");
    end();
}

static void a_mailbox_that_is_listed_and_does_not_exist_is_no_failure(void)
{
    prepare();
    add("anna", "INBOX", 1);
    struct box *temp = add("anna", "Temp", 3);
    begin("anna\n");
    reported();
    temp->behaviour = ABSENT;
    sweeps(3);
    CHECK_STR_EQ(deleted, "anna/3 ");
    CHECK_EQ(user("anna")->failures, 0u);
    CHECK_EQ(user("anna")->pending_since_ms, 0u);
    end();
}

static void a_mailbox_that_a_whole_listing_does_not_name_is_deleted(void)
{
    prepare();
    add("anna", "INBOX", 1);
    add("anna", "Work", 3);
    begin("anna\n");
    reported();
    take_away("anna", "Work");
    sweeps(3);
    CHECK_STR_EQ(deleted, "anna/3 ");
    end();
}

static void a_mailbox_that_moves_under_its_visit_leaves_its_user_unreported(void)
{
    prepare();
    add("anna", "INBOX", 1);
    struct box *work = add("anna", "Work", 2);
    begin("anna\n");
    reported();
    sweeps(1);
    work->behaviour = MOVED;
    work->modseq = 6;
    TURN_UNTIL(strstr(examined, "Work Work") != NULL);
    uint64_t clean_ms = user("anna")->clean_ms, pending_since_ms = user("anna")->pending_since_ms;
    CHECK(pending_since_ms != 0);
    TURN_UNTIL(strstr(examined, "Work Work Work") != NULL);
    TURN_UNTIL(feed.running == 0);
    CHECK_EQ(user("anna")->failures, 0u);
    CHECK_EQ(user("anna")->clean_ms, clean_ms);
    CHECK_EQ(user("anna")->pending_since_ms, pending_since_ms);
    work->behaviour = GOOD;
    TURN_UNTIL(user("anna")->clean_ms > clean_ms);
    CHECK_EQ(user("anna")->pending_since_ms, 0u);
    CHECK_EQ(user("anna")->left_over_n, 0u);
    end();
}

/* ---- mailboxes at which sessions die ---- */

static void a_mailbox_at_which_the_session_dies_holds_up_no_other(void)
{
    prepare();
    struct box *bad[2] = {add("anna", "Bad1", 2), add("anna", "Bad2", 4)};
    add("anna", "INBOX", 1);
    add("anna", "Work", 3);
    add("anna", "Last", 5);
    begin("anna\n");
    reported();
    for (unsigned i = 1; i <= 5; i++) {
        account("anna")->boxes[i - 1].modseq = 6;
    }
    bad[0]->behaviour = bad[1]->behaviour = BYE;
    sweeps(1);
    CHECK(strstr(examined, "INBOX Bad1 ") == examined);
    sweeps(3);
    CHECK(strstr(examined, "INBOX Bad1 Work Bad2 Last Bad1 ") == examined);
    for (unsigned i = 1; i <= 5; i += 2) {
        struct uuid guid = guid_of(i);
        CHECK_EQ(feed_user_find(user("anna"), &guid)->cursor.modseq, 6u);
    }
    const struct trouble *t = trouble("MQ-FEED-USER", "anna");
    CHECK(t != NULL && strstr(t->text, "mailbox \"Bad") != NULL);
    CHECK(user("anna")->pending_since_ms != 0);
    bad[0]->behaviour = bad[1]->behaviour = GOOD;
    sweeps(3);
    CHECK_EQ(user("anna")->pending_since_ms, 0u);
    CHECK(uuid_zero(&user("anna")->died_at));
    end();
}

static void the_turn_begins_behind_the_mailbox_that_died(void)
{
    struct visit_box boxes[3] = {{.guid = guid_of(2)}, {.guid = guid_of(4)}, {.guid = guid_of(6)}};
    static const uint32_t first[8] = {0, 0, 1, 1, 2, 2, 0, 0};
    for (unsigned i = 0; i < 8; i++) { /* 0: none died; odd ones are gone by now */
        struct uuid died_at = guid_of(i);
        CHECK_EQ(visit_first_box(boxes, 3, &died_at), first[i]);
    }
    CHECK_EQ(visit_first_box(NULL, 0, &boxes[0].guid), 0u);
}

/* ---- what is not to be reported any more ---- */

static void what_is_excluded_later_is_deleted_and_then_left_alone(void)
{
    prepare();
    add("anna", "INBOX", 1);
    add("anna", "Virtual/All", 2);
    begin("anna\n");
    reported();
    feed.config.exclude.n = 1;
    snprintf(feed.config.exclude.items[0], sizeof(feed.config.exclude.items[0]), "Virtual/");
    sweeps(3);
    CHECK_STR_EQ(deleted, "anna/2 ");
    CHECK_EQ(user("anna")->pending_since_ms, 0u);
    visited[0] = '\0';
    sweeps(3);
    CHECK_STR_EQ(visited, "");
    end();
}

static void what_has_become_anothers_is_deleted_when_the_users_own_session_said_so(void)
{
    prepare();
    add("anna", "INBOX", 1);
    add("anna", "Shared/x", 2);
    add("bo", "INBOX", 3);
    begin("anna\nbo\n");
    reported();
    sweeps(1);
    namespaces = "((\"\" \"/\")) NIL ((\"Shared/\" \"/\"))";
    box_of(account("bo"), "INBOX")->modseq = 6; /* bo's session tells nothing of anna */
    sweeps(4);
    CHECK_STR_EQ(examined, "INBOX ");
    CHECK_STR_EQ(deleted, "");
    box_of(account("anna"), "INBOX")->modseq = 6;
    sweeps(4);
    CHECK_STR_EQ(deleted, "anna/2 ");
    visited[0] = '\0';
    sweeps(2);
    CHECK_STR_EQ(visited, "");
    end();
}

/* ---- a mail store that is not mounted ---- */

static void new_inbox(void)
{
    add("anna", "INBOX", 9)->uidvalidity = 99;
}

static void nothing_is_deleted_when_the_inbox_is_another_one(void)
{
    prepare();
    add("anna", "INBOX", 1);
    add("anna", "Work", 2);
    begin("anna\n");
    reported();
    take_away("anna", "INBOX");
    take_away("anna", "Work");
    sweeps(3); /* nothing is listed */
    CHECK_STR_EQ(deleted, "");
    CHECK(trouble("MQ-FEED-INBOX-REPLACED", "anna") != NULL);
    new_inbox();
    sweeps(4);
    uint64_t clean_ms = user("anna")->clean_ms;
    sweeps(2); /* the new one is in the cluster by now */
    struct uuid fresh = guid_of(9);
    CHECK(feed_user_find(user("anna"), &fresh) != NULL);
    CHECK_STR_EQ(deleted, "");
    CHECK(trouble("MQ-FEED-INBOX-REPLACED", "anna") != NULL);
    CHECK(trouble("MQ-FEED-USER", "anna") == NULL);
    CHECK_EQ(user("anna")->clean_ms, clean_ms);
    take_away("anna", "INBOX"); /* and back again */
    add("anna", "INBOX", 1);
    add("anna", "Work", 2);
    sweeps(3);
    CHECK_STR_EQ(deleted, "anna/9 ");
    CHECK_EQ(feed.troubles.n, 0u);
    CHECK_EQ(user("anna")->pending_since_ms, 0u);
    end();
}

static void what_was_there_is_deleted_when_the_setting_says_so(void)
{
    prepare();
    config.inbox_replaced = INBOX_REPLACED_DELETE;
    add("anna", "INBOX", 1);
    add("anna", "Work", 2);
    begin("anna\n");
    reported();
    take_away("anna", "INBOX");
    take_away("anna", "Work");
    new_inbox();
    sweeps(3);
    CHECK_STR_EQ(deleted, "anna/1 anna/2 ");
    CHECK_EQ(feed.troubles.n, 0u);
    end();
}

static void an_inbox_that_is_excluded_may_go(void)
{
    prepare();
    add("anna", "INBOX", 1);
    add("anna", "Work", 2);
    begin("anna\n");
    reported();
    feed.config.exclude.n = 1;
    snprintf(feed.config.exclude.items[0], sizeof(feed.config.exclude.items[0]), "INBOX");
    sweeps(3);
    CHECK_STR_EQ(deleted, "anna/1 ");
    CHECK_EQ(feed.troubles.n, 0u);
    end();
}

static void only_an_inbox_that_is_gone_or_another_is_held(void)
{
    struct feed_user *u = calloc(1, sizeof(*u) + 5);
    struct uuid old = guid_of(1);
    struct visit_box work = {.guid = guid_of(2), .name = (char *)"Work"};
    struct visit_box fresh = {.guid = guid_of(3), .name = (char *)"INBOX", .uidvalidity = 9};
    struct feed_mailbox *m;
    CHECK(u != NULL);
    CHECK(!visit_inbox_replaced(u, &fresh, 1)); /* a new user */
    CHECK_OK(feed_user_get(u, &old, &m));
    m->present = true;
    m->name_hash = feed_name_hash("INBOX");
    CHECK(visit_inbox_replaced(u, NULL, 0));
    CHECK(visit_inbox_replaced(u, &work, 1));
    CHECK(visit_inbox_replaced(u, &fresh, 1));
    fresh.guid = old;
    CHECK(!visit_inbox_replaced(u, &fresh, 1));
    free(u->mailboxes);
    free(u);
}

CHECK_MAIN
{
    RUN(a_mailbox_that_cannot_be_listed_leaves_its_user_unreported);
    RUN(a_mailbox_that_is_listed_and_does_not_exist_is_no_failure);
    RUN(a_mailbox_that_a_whole_listing_does_not_name_is_deleted);
    RUN(a_mailbox_that_moves_under_its_visit_leaves_its_user_unreported);
    RUN(a_mailbox_at_which_the_session_dies_holds_up_no_other);
    RUN(the_turn_begins_behind_the_mailbox_that_died);
    RUN(what_is_excluded_later_is_deleted_and_then_left_alone);
    RUN(what_has_become_anothers_is_deleted_when_the_users_own_session_said_so);
    RUN(nothing_is_deleted_when_the_inbox_is_another_one);
    RUN(what_was_there_is_deleted_when_the_setting_says_so);
    RUN(an_inbox_that_is_excluded_may_go);
    RUN(only_an_inbox_that_is_gone_or_another_is_held);
}
