/* What a later version says may be passed on, what nobody could read may not. */
#include "proto/unknown.h"

#include "proto/api.pb-c.h"
#include "tests/lib/check.h"

static bool ok(const uint8_t *status, size_t size)
{
    Mq__FeedStatus *s = mq__feed_status__unpack(NULL, size, status);
    CHECK(s != NULL);
    size_t packed_size = mq__feed_status__get_packed_size(s);
    uint8_t *packed = malloc(packed_size);
    CHECK(packed != NULL);
    mq__feed_status__pack(s, packed);
    Mq__FeedStatus *again = mq__feed_status__unpack(NULL, packed_size, packed);
    bool said = unknown_fields_ok(&s->base);
    CHECK_EQ(said, again != NULL);
    mq__feed_status__free_unpacked(s, NULL);
    mq__feed_status__free_unpacked(again, NULL);
    free(packed);
    return said;
}

static void a_later_version_may_say_more(void)
{
    static const uint8_t known[] = {1 << 3 | 2, 1, 'h'};
    static const uint8_t outside[] = {0xa0, 6, 7};                            /* field 100 */
    static const uint8_t inside[] = {14 << 3 | 2, 6, 10, 1, 'x', 0xa0, 6, 7}; /* of a trouble */
    static const uint8_t highest[] = {0xf8, 0xff, 0xff, 0xff, 0x0f, 1};       /* 2^29 - 1 */
    CHECK(ok(known, sizeof(known)));
    CHECK(ok(outside, sizeof(outside)));
    CHECK(ok(inside, sizeof(inside)));
    CHECK(ok(highest, sizeof(highest)));
}

static void a_field_without_a_number_is_found_at_any_depth(void)
{
    static const uint8_t outside[] = {0x80, 0, 7};
    static const uint8_t inside[] = {14 << 3 | 2, 3, 10, 1, 'x', 14 << 3 | 2, 3, 0x80, 0, 7};
    CHECK(!ok(outside, sizeof(outside)));
    CHECK(!ok(inside, sizeof(inside)));
}

static void only_the_one_that_is_there_is_looked_at(void)
{
    Mq__FeedView view = MQ__FEED_VIEW__INIT;
    Mq__Event event = MQ__EVENT__INIT;
    CHECK(unknown_fields_ok(&view.base));
    CHECK(unknown_fields_ok(&event.base));
    Mq__Touch touch = MQ__TOUCH__INIT;
    ProtobufCMessageUnknownField none = {.tag = 0};
    event.body_case = MQ__EVENT__BODY_TOUCH;
    event.touch = &touch;
    CHECK(unknown_fields_ok(&event.base));
    touch.base.n_unknown_fields = 1;
    touch.base.unknown_fields = &none;
    CHECK(!unknown_fields_ok(&event.base));
}

CHECK_MAIN
{
    RUN(a_later_version_may_say_more);
    RUN(a_field_without_a_number_is_found_at_any_depth);
    RUN(only_the_one_that_is_there_is_looked_at);
}
