/* The hand-written reader of mq.RequestHeader gives what protobuf-c gives, for any bytes. */
#include "tests/lib/check.h"

#include "base/random.h"
#include "node/request_header.h"
#include "proto/api.pb-c.h"

static struct random rng;

static void same(struct bytes b)
{
    struct request_header h;
    bool good = request_header_decode(b, &h);
    Mq__RequestHeader *m = mq__request_header__unpack(NULL, b.size, b.data);
    if (m == NULL || !good) {
        /* Ours may be stricter (user's length and zeros, groups) and never laxer in what it takes
         * for whole. */
        if (m != NULL) {
            mq__request_header__free_unpacked(m, NULL);
        }
        return;
    }
    CHECK_EQ(h.id, m->id);
    CHECK_EQ(h.op, (uint32_t)m->op);
    CHECK_EQ(h.shard, m->shard);
    CHECK_EQ(h.deadline_ms, m->deadline_ms);
    CHECK_EQ(h.sequence, m->sequence);
    CHECK_EQ(h.acknowledged, m->acknowledged);
    CHECK_EQ(h.consistency, (uint32_t)m->consistency);
    /* A truth written in ten bytes may differ; the node does not believe it anyway (a forward is
     * what comes from a peer). */
    CHECK_EQ(h.min_epoch, m->min_epoch);
    CHECK_EQ(h.min_index, m->min_index);
    CHECK_EQ(h.user.size, strlen(m->user));
    CHECK(memcmp(h.user.data != NULL ? (const char *)h.user.data : "", m->user, h.user.size) == 0);
    if (m->session != NULL) {
        CHECK_EQ(h.session.epoch, m->session->epoch);
        CHECK_EQ(h.session.position, m->session->position);
    }
    mq__request_header__free_unpacked(m, NULL);
}

static size_t some_header(uint8_t *out, size_t size)
{
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    char user[200];
    size_t n = random_below(&rng, sizeof(user));
    memset(user, 'u', n);
    user[n] = '\0';
    h.id = random_u64(&rng) >> random_below(&rng, 64);
    h.op = (Mq__Op)random_below(&rng, 6);
    h.user = user;
    h.shard = (uint32_t)random_below(&rng, 300);
    h.deadline_ms = (uint32_t)random_u64(&rng);
    token.epoch = random_below(&rng, 3);
    token.position = random_u64(&rng);
    h.session = random_below(&rng, 2) == 0 ? &token : NULL;
    h.sequence = random_u64(&rng) >> random_below(&rng, 64);
    h.acknowledged = random_below(&rng, 100);
    h.consistency = (Mq__Consistency)random_below(&rng, 2);
    h.forwarded = (protobuf_c_boolean)random_below(&rng, 2);
    h.min_epoch = random_below(&rng, 2);
    h.min_index = random_u64(&rng);
    CHECK(mq__request_header__get_packed_size(&h) <= size);
    return mq__request_header__pack(&h, out);
}

static void a_header_reads_as_protobuf_reads_it(void)
{
    uint8_t packed[512];
    for (int i = 0; i < 20000; i++) {
        size_t size = some_header(packed, sizeof(packed));
        struct request_header h;
        CHECK(request_header_decode((struct bytes){packed, size}, &h));
        same((struct bytes){packed, size});
    }
}

static void a_cut_or_damaged_header_is_refused_or_reads_the_same(void)
{
    uint8_t packed[512];
    for (int i = 0; i < 50000; i++) {
        size_t size = some_header(packed, sizeof(packed));
        if (size == 0) {
            continue;
        }
        packed[random_below(&rng, size)] = (uint8_t)random_u64(&rng);
        same((struct bytes){packed, random_below(&rng, size + 1)});
    }
}

static void random_bytes_never_read_beyond_their_end(void)
{
    for (int i = 0; i < 50000; i++) {
        size_t size = random_below(&rng, 64);
        uint8_t *exact = malloc(size + 1); /* the sanitizer watches the end */
        CHECK(exact != NULL);
        random_fill(&rng, exact, size);
        same((struct bytes){exact, size});
        free(exact);
    }
}

static void a_user_with_a_zero_or_too_long_a_name_is_refused(void)
{
    struct request_header h;
    static const uint8_t zero[] = {3 << 3 | 2, 3, 'a', 0, 'b'};
    uint8_t long_name[3 + 256] = {3 << 3 | 2, 0x80, 0x02};
    memset(long_name + 3, 'a', 256);
    CHECK(!request_header_decode((struct bytes){zero, sizeof(zero)}, &h));
    CHECK(!request_header_decode((struct bytes){long_name, sizeof(long_name)}, &h));
}

CHECK_MAIN
{
    random_init_seed(&rng, check_seed());
    RUN(a_header_reads_as_protobuf_reads_it);
    RUN(a_cut_or_damaged_header_is_refused_or_reads_the_same);
    RUN(random_bytes_never_read_beyond_their_end);
    RUN(a_user_with_a_zero_or_too_long_a_name_is_refused);
}
