/* Sums of stores by site. */
#include "node/holdings.h"

#include "tests/lib/check.h"

static void add(struct shard_holdings *s, const char *site, uint64_t complete_ms, uint64_t sole)
{
    Mq__StoreSums m = MQ__STORE_SUMS__INIT;
    m.site = (char *)(uintptr_t)site;
    m.complete_ms = complete_ms;
    m.messages = 10;
    m.sole_messages = sole;
    m.sole_bytes = sole * 100;
    holdings_add(s, &m);
}

static void stores_of_one_site_are_summed_and_the_earliest_position_counts(void)
{
    struct shard_holdings s = {0};
    add(&s, "beijing", 5000, 1);
    add(&s, "shanghai", 9000, 0);
    add(&s, "beijing", 4000, 2);
    CHECK_EQ(s.n, 2);
    CHECK_EQ(s.sites[0].stores, 2);
    CHECK_EQ(s.sites[0].complete_ms, 4000);
    CHECK_EQ(s.sites[0].sole_messages, 3);
    CHECK_EQ(s.sites[0].sole_bytes, 300);
    CHECK_EQ(s.sites[0].messages, 20);
}

static void a_store_without_a_position_is_counted_as_such(void)
{
    struct shard_holdings s = {0};
    add(&s, "beijing", 0, 0);
    add(&s, "beijing", 4000, 0);
    CHECK_EQ(s.sites[0].unpositioned, 1);
    CHECK_EQ(s.sites[0].complete_ms, 4000);
}

static void more_sites_than_fit_are_summed_under_no_name(void)
{
    struct shard_holdings s = {0};
    char site[16];
    for (unsigned i = 0; i < HOLDINGS_SITES_MAX + 5; i++) {
        snprintf(site, sizeof(site), "site%u", i);
        add(&s, site, 1, 1);
    }
    add(&s, "", 1, 1);
    CHECK_EQ(s.n, HOLDINGS_SITES_MAX);
    CHECK_STR_EQ(s.sites[HOLDINGS_SITES_MAX - 1].site, "");
    CHECK_EQ(s.sites[HOLDINGS_SITES_MAX - 1].sole_messages, 7);
}

CHECK_MAIN
{
    RUN(stores_of_one_site_are_summed_and_the_earliest_position_counts);
    RUN(a_store_without_a_position_is_counted_as_such);
    RUN(more_sites_than_fit_are_summed_under_no_name);
}
