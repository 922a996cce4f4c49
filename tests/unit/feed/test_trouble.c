/* The list of a feed's troubles. */
#include "node/feed/trouble.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"

static void raise_user(struct troubles *t, const char *user, uint64_t now_ms)
{
    trouble_raise(t, "MQ-FEED-USER", user, now_ms, "look", "failed at %llu",
                  (unsigned long long)now_ms);
}

static void a_trouble_keeps_the_time_it_began_and_its_newest_words(void)
{
    struct troubles t = {0};
    raise_user(&t, "li", 1000);
    raise_user(&t, "li", 2000);
    const struct trouble *x = trouble_find(&t, "MQ-FEED-USER", "li");
    CHECK(x != NULL && x->since_ms == 1000);
    CHECK(x != NULL && strcmp(x->text, "failed at 2000") == 0);
    CHECK_EQ(t.n, 1);
    CHECK_EQ(t.version, 1);
}

static void what_is_cleared_is_gone_and_the_others_stay_in_order(void)
{
    struct troubles t = {0};
    raise_user(&t, "a", 1);
    raise_user(&t, "b", 2);
    raise_user(&t, "c", 3);
    CHECK(trouble_clear(&t, "MQ-FEED-USER", "b"));
    CHECK(!trouble_clear(&t, "MQ-FEED-USER", "b"));
    CHECK(!trouble_clear(&t, "MQ-FEED-SWEEP", "a"));
    CHECK_EQ(t.n, 2);
    CHECK(strcmp(t.items[0].object, "a") == 0 && strcmp(t.items[1].object, "c") == 0);
    CHECK_EQ(t.version, 4);
}

static void all_troubles_of_an_object_go_together(void)
{
    struct troubles t = {0};
    raise_user(&t, "a", 1);
    trouble_raise(&t, "MQ-FEED-OTHER", "a", 1, "", "x");
    raise_user(&t, "b", 1);
    trouble_clear_object(&t, "a");
    CHECK_EQ(t.n, 1);
    CHECK(strcmp(t.items[0].object, "b") == 0);
}

static void a_full_list_says_that_there_are_more_until_one_goes(void)
{
    struct troubles t = {0};
    char user[16];
    for (unsigned i = 0; i <= TROUBLES_MAX; i++) {
        snprintf(user, sizeof(user), "u%u", i);
        raise_user(&t, user, i);
    }
    CHECK_EQ(t.n, TROUBLES_MAX);
    CHECK(t.more);
    CHECK(trouble_find(&t, "MQ-FEED-USER", user) == NULL);
    raise_user(&t, "u0", 99); /* one that is there is still renewed */
    CHECK(trouble_clear(&t, "MQ-FEED-USER", "u0"));
    CHECK(!t.more);
    raise_user(&t, user, 100);
    CHECK(trouble_find(&t, "MQ-FEED-USER", user) != NULL);
}

static void long_words_are_cut(void)
{
    struct troubles t = {0};
    char object[TROUBLE_OBJECT_SIZE + 50], text[TROUBLE_TEXT_SIZE + 50];
    memset(object, 'o', sizeof(object) - 1);
    object[sizeof(object) - 1] = '\0';
    memset(text, 't', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    trouble_raise(&t, "MQ-FEED-USER", object, 1, text, "%s", text);
    trouble_raise(&t, "MQ-FEED-USER", object, 2, text, "%s", text);
    CHECK_EQ(t.n, 1);
    CHECK_EQ(strlen(t.items[0].text), TROUBLE_TEXT_SIZE - 1);
    CHECK_EQ(strlen(t.items[0].hint), TROUBLE_HINT_SIZE - 1);
    CHECK(trouble_clear(&t, "MQ-FEED-USER", object));
}

CHECK_MAIN
{
    RUN(a_trouble_keeps_the_time_it_began_and_its_newest_words);
    RUN(what_is_cleared_is_gone_and_the_others_stay_in_order);
    RUN(all_troubles_of_an_object_go_together);
    RUN(a_full_list_says_that_there_are_more_until_one_goes);
    RUN(long_words_are_cut);
}
