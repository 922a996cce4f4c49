/* Strangers never hold so many descriptors that our own files or peers find none. */
#include "tests/lib/check.h"

#include "node/descriptors.h"

static void half_of_few_are_ours(void)
{
    for (uint64_t limit = 8; limit < 4096; limit++) {
        struct descriptors_share d = descriptors_share(limit, 3, 2, 1000);
        CHECK(d.handshakes >= 1 && d.handshakes <= HANDSHAKES_MAX);
        CHECK(d.clients >= 1 && d.clients <= 1000);
        uint64_t ours = limit - d.handshakes - d.clients;
        CHECK(2 * ours >= limit || ours >= 96 + 8 * 3 + 8 * 2);
    }
}

static void many_shards_take_their_part(void)
{
    struct descriptors_share few = descriptors_share(4096, 5, 4, 60000);
    struct descriptors_share many = descriptors_share(4096, 5, 104, 60000);
    CHECK_EQ(few.clients - many.clients, 800);
}

static void with_enough_everybody_has_what_is_wanted(void)
{
    struct descriptors_share d = descriptors_share(UINT64_MAX, 5, 4, 1000);
    CHECK_EQ(d.clients, 1000);
    CHECK_EQ(d.handshakes, HANDSHAKES_MAX);
}

CHECK_MAIN
{
    RUN(half_of_few_are_ours);
    RUN(many_shards_take_their_part);
    RUN(with_enough_everybody_has_what_is_wanted);
}
