/* "Nothing would be lost" is proved, or it is said what is missing for that. */
#include "ctl/report_proof.h"

#include <string.h>

#include "tests/lib/check.h"

/* A site that has stores and queues, all known a moment ago. */
static struct proof_facts facts;

static unsigned gaps_of(struct proof_facts f)
{
    return proof_gaps(&f);
}

#define WITH(field, value)                \
    ({                                    \
        struct proof_facts with_ = facts; \
        with_.field = (value);            \
        gaps_of(with_);                   \
    })

static void with_everything_known_it_is_proved(void)
{
    CHECK_EQ(proof_gaps(&facts), 0);
    CHECK_EQ(WITH(window_ms, PROOF_WINDOW_MS_MAX), 0);
}

static void each_thing_that_is_not_known_is_a_gap(void)
{
    CHECK_EQ(WITH(nothing, false), PROOF_ROWS);
    CHECK_EQ(WITH(local, true), PROOF_LOCAL);
    CHECK_EQ(WITH(stores, 0), PROOF_NO_STORE);
    CHECK_EQ(WITH(stores_unpositioned, 1), PROOF_STORE_POSITION);
    CHECK_EQ(WITH(users_unreported, 1), PROOF_USERS_UNREPORTED);
    CHECK_EQ(WITH(queues, 0), PROOF_NO_QUEUE);
    CHECK_EQ(WITH(queues_unpositioned, 1), PROOF_QUEUE_POSITION);
    CHECK_EQ(WITH(queues_without_site, 1), PROOF_QUEUE_WITHOUT_SITE);
    CHECK_EQ(WITH(stores_without_site, 1), PROOF_STORE_WITHOUT_SITE);
    CHECK_EQ(WITH(feeds_unheard, 1), PROOF_FEED_UNHEARD);
    CHECK_EQ(WITH(feeds_troubled, 1), PROOF_FEED_TROUBLE);
    CHECK_EQ(WITH(window_ms, PROOF_WINDOW_MS_MAX + 1), PROOF_WINDOW); /* silent for weeks */
}

static void each_gap_has_a_name_of_its_own(void)
{
    for (unsigned i = 0; i < PROOF_GAPS; i++) {
        CHECK(proof_gap_text(1u << i)[0] != '\0');
        for (unsigned k = 0; k < i; k++) {
            CHECK(strcmp(proof_gap_name(1u << i), proof_gap_name(1u << k)) != 0);
        }
    }
    CHECK_STR_EQ(proof_gap_name(PROOF_ROWS), "rows");
    CHECK_STR_EQ(proof_gap_name(PROOF_WINDOW), "window");
}

static bool leaves_out(const char *id, bool more)
{
    Mq__FeedStatus s = MQ__FEED_STATUS__INIT;
    Mq__FeedTrouble t = MQ__FEED_TROUBLE__INIT, *list[] = {&t};
    t.id = (char *)(uintptr_t)id;
    s.troubles = list;
    s.n_troubles = id[0] != '\0' ? 1 : 0;
    s.more_troubles = more;
    return proof_feed_leaves_out(&s);
}

static void a_feed_that_leaves_users_or_queues_out_says_so(void)
{
    CHECK(!leaves_out("", false));
    CHECK(!leaves_out("MQ-FEED-USER", false)); /* it holds the position back */
    CHECK(leaves_out("MQ-FEED-UNASSIGNED", false));
    CHECK(leaves_out("MQ-FEED-USERS-MAX", false));
    CHECK(leaves_out("MQ-FEED-QUEUE-UNASSIGNED", false));
    CHECK(leaves_out("MQ-FEED-QUEUE-POSTFIX", false));
    CHECK(leaves_out("MQ-FEED-QUEUE-FULL", false));
    CHECK(leaves_out("MQ-FEED-USER", true));
}

CHECK_MAIN
{
    facts = (struct proof_facts){.nothing = true, .stores = 2, .queues = 1, .window_ms = 20000};
    RUN(with_everything_known_it_is_proved);
    RUN(each_thing_that_is_not_known_is_a_gap);
    RUN(each_gap_has_a_name_of_its_own);
    RUN(a_feed_that_leaves_users_or_queues_out_says_so);
}
