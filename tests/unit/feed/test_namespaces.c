/* Whose mailbox a name is. */
#include "node/feed/namespaces.h"
#include "node/feed/visit.h"
#include "tests/lib/check.h"

static struct namespaces set;

static void add(const char *prefix, bool personal)
{
    CHECK_OK(namespaces_add(&set, prefix, strlen(prefix), personal));
}

static void the_longest_prefix_decides(void)
{
    memset(&set, 0, sizeof(set));
    add("", true);
    add("shared/", false);
    add("shared/mine/", true);
    CHECK(namespaces_own(&set, "Work/2026"));
    CHECK(namespaces_own(&set, "sharedish"));
    CHECK(!namespaces_own(&set, "shared/bob/INBOX"));
    CHECK(namespaces_own(&set, "shared/mine/x"));
}

static void inbox_and_what_fits_no_prefix_are_the_users_own(void)
{
    memset(&set, 0, sizeof(set));
    CHECK(namespaces_own(&set, "Work"));
    add("INBOX.", true);
    add("", false);
    CHECK(namespaces_own(&set, "INBOX"));
    CHECK(namespaces_own(&set, "INBOX.Work"));
    CHECK(!namespaces_own(&set, "Work"));
}

static void prefixes_are_compared_as_doveadm_prints_names(void)
{
    memset(&set, 0, sizeof(set));
    add("", true);
    add("&U,BTFw-/", false);
    CHECK(!namespaces_own(&set, "台北/x"));
}

static void other_sets_have_another_hash(void)
{
    struct namespaces one;
    memset(&set, 0, sizeof(set));
    add("", true);
    one = set;
    CHECK_NE(one.hash, 0u);
    add("shared/", false);
    CHECK_NE(one.hash, set.hash);
    memset(&set, 0, sizeof(set));
    add("", false);
    CHECK_NE(one.hash, set.hash);
}

static void what_is_too_much_is_refused(void)
{
    char prefix[NAMESPACE_PREFIX_MAX + 2];
    memset(&set, 0, sizeof(set));
    memset(prefix, 'x', sizeof(prefix));
    CHECK_EQ(namespaces_add(&set, prefix, sizeof(prefix), true), STATUS_TOO_BIG);
    CHECK_EQ(namespaces_add(&set, "&bad", 4, true), STATUS_MALFORMED);
    for (unsigned i = 0; i < NAMESPACES_MAX; i++) {
        add("x/", false);
    }
    CHECK_EQ(namespaces_add(&set, "y/", 2, true), STATUS_TOO_BIG);
}

/* What listings can tell: only of a user whose own last session said the same as the one that is remembered. */
static void excluded_names_and_foreign_ones_are_left_out_of_listings(void)
{
    static struct feed_config config;
    static struct visit_world world;
    struct feed_user *u = calloc(1, sizeof(*u) + 5);
    config.exclude.n = 1;
    snprintf(config.exclude.items[0], sizeof(config.exclude.items[0]), "Virtual/");
    world.config = &config;
    memset(&set, 0, sizeof(set));
    add("", true);
    add("shared/", false);
    world.namespaces = set;
    CHECK(visit_maybe_own(&world, u, "shared/x")); /* it had no session yet */
    CHECK(!visit_maybe_own(&world, u, "Virtual/All"));
    CHECK(visit_maybe_own(&world, u, "Virtually"));
    u->namespaces_hash = set.hash;
    CHECK(!visit_maybe_own(&world, u, "shared/x"));
    CHECK(visit_maybe_own(&world, u, "Work"));
    u->namespaces_hash = set.hash + 1;
    CHECK(visit_maybe_own(&world, u, "shared/x"));
    free(u);
}

CHECK_MAIN
{
    RUN(the_longest_prefix_decides);
    RUN(inbox_and_what_fits_no_prefix_are_the_users_own);
    RUN(prefixes_are_compared_as_doveadm_prints_names);
    RUN(other_sets_have_another_hash);
    RUN(excluded_names_and_foreign_ones_are_left_out_of_listings);
    RUN(what_is_too_much_is_refused);
}
