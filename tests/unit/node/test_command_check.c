/* What may be proposed: rights, feature level at any depth, bounded memory whatever the counts
 * say. */
#include "tests/lib/check.h"

#include "base/random.h"
#include "node/command_check.h"
#include "proto/api.pb-c.h"
#include "proto/batch.h"

static enum status check(const void *data, size_t size, uint32_t *out_rights)
{
    const char *text = NULL;
    return command_check((struct bytes){data, size}, out_rights, &text);
}

static size_t pack(const Mq__Command *c, uint8_t out[512])
{
    CHECK(mq__command__get_packed_size(c) <= 512);
    return mq__command__pack(c, out);
}

static void each_command_needs_its_right(void)
{
    uint8_t out[512];
    uint32_t rights = 0;
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__Tick tick = MQ__TICK__INIT;
    Mq__Owner owner = MQ__OWNER__INIT;
    Mq__UserAssign assign = MQ__USER_ASSIGN__INIT;
    Mq__QueueForget forget = MQ__QUEUE_FORGET__INIT;
    Mq__DictTransaction dict = MQ__DICT_TRANSACTION__INIT;
    c.body_case = MQ__COMMAND__BODY_TICK;
    c.tick = &tick;
    CHECK_EQ(check(out, pack(&c, out), &rights), OK);
    CHECK_EQ(rights, RIGHT_INTERNAL);
    c.body_case = MQ__COMMAND__BODY_OWNER;
    c.owner = &owner;
    CHECK_EQ(check(out, pack(&c, out), &rights), OK);
    CHECK_EQ(rights, RIGHT_INTERNAL);
    c.body_case = MQ__COMMAND__BODY_USER_ASSIGN;
    c.user_assign = &assign;
    CHECK_EQ(check(out, pack(&c, out), &rights), OK);
    CHECK_EQ(rights, RIGHT_ADMIN);
    c.body_case = MQ__COMMAND__BODY_QUEUE_FORGET;
    c.queue_forget = &forget;
    CHECK_EQ(check(out, pack(&c, out), &rights), OK);
    CHECK_EQ(rights, RIGHT_ADMIN);
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &dict;
    CHECK_EQ(check(out, pack(&c, out), &rights), OK);
    CHECK_EQ(rights, RIGHT_FEED);
}

static void nothing_and_garbage_are_refused(void)
{
    uint32_t rights;
    uint8_t noise[64];
    memset(noise, 0xff, sizeof(noise));
    CHECK_EQ(check(NULL, 0, &rights), STATUS_INVALID);
    CHECK_EQ(check(noise, sizeof(noise), &rights), STATUS_MALFORMED);
}

static void a_field_of_a_later_level_is_refused_at_any_depth(void)
{
    uint32_t rights;
    static const uint8_t top[] = {0xfa, 0x3f, 0x01, 0x00};
    static const uint8_t inside_op[] = {8 << 3 | 2, 6,    1 << 3 | 2, 4, 0xfa,
                                        0x3f,       0x01, 0x00}; /* dict.ops[0] has field 1023 */
    static const uint8_t known[] = {8 << 3 | 2, 4,      1 << 3 | 2,
                                    2,          6 << 3, 5}; /* dict.ops[0].delta = 5 */
    CHECK_EQ(check(top, sizeof(top), &rights), STATUS_VERSION);
    CHECK_EQ(check(inside_op, sizeof(inside_op), &rights), STATUS_VERSION);
    CHECK_EQ(check(known, sizeof(known), &rights), OK);
}

static void half_a_million_empty_operations_are_refused_and_cost_bounded_memory(void)
{
    uint32_t rights;
    size_t ops = 500000;
    uint8_t *bomb = malloc(4 + 2 * ops);
    CHECK(bomb != NULL);
    bomb[0] = 8 << 3 | 2;
    bomb[1] = (uint8_t)(0x80 | (2 * ops & 0x7f));
    bomb[2] = (uint8_t)(0x80 | ((2 * ops >> 7) & 0x7f));
    bomb[3] = (uint8_t)(2 * ops >> 14);
    for (size_t i = 0; i < ops; i++) {
        bomb[4 + 2 * i] = 1 << 3 | 2;
        bomb[5 + 2 * i] = 0;
    }
    CHECK_EQ(check(bomb, 4 + 2 * ops, &rights), STATUS_MALFORMED);
    free(bomb);
    static const uint8_t tick[] = {11 << 3 | 2, 0};
    CHECK_EQ(check(tick, sizeof(tick), &rights),
             OK); /* and the next one finds everything as before */
}

static void over_a_mebibyte_is_too_big(void)
{
    uint32_t rights;
    uint8_t *big = calloc(1, COMMAND_BYTES_MAX + 1);
    CHECK(big != NULL);
    CHECK_EQ(check(big, COMMAND_BYTES_MAX + 1, &rights), STATUS_TOO_BIG);
    free(big);
}

static void any_bytes_get_a_status(void)
{
    struct random rng;
    uint8_t noise[256];
    uint32_t rights;
    const char *text = NULL;
    random_init_seed(&rng, check_seed());
    for (int i = 0; i < 50000; i++) {
        size_t size = random_below(&rng, sizeof(noise));
        random_fill(&rng, noise, size);
        (void)check(noise, size, &rights);
        (void)query_check((struct bytes){noise, size}, &text);
    }
}

CHECK_MAIN
{
    RUN(each_command_needs_its_right);
    RUN(nothing_and_garbage_are_refused);
    RUN(a_field_of_a_later_level_is_refused_at_any_depth);
    RUN(half_a_million_empty_operations_are_refused_and_cost_bounded_memory);
    RUN(over_a_mebibyte_is_too_big);
    RUN(any_bytes_get_a_status);
}
