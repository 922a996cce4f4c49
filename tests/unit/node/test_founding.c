/* I1 as a rule, and what a founding file may say. */
#include "tests/lib/check.h"

#include "node/founding.h"

#define N 3

static Mq__FoundingNode nodes[N];
static Mq__FoundingNode *node_pointers[N];
static Mq__FoundingMember members[N];
static Mq__FoundingMember *member_pointers[N];
static Mq__FoundingShard shard;
static Mq__FoundingShard *shard_pointer;
static Mq__Founding message;
static uint8_t id[16] = {1};
static char names[N][8] = {"one", "two", "three"};
static char sites[N][8] = {"a", "b", "c"};
static char address[] = "127.0.0.1:9";
static char cluster[] = "test";
static char directory[] = "directory";
static char *preference[2] = {sites[1], sites[0]};

static void good(void)
{
    mq__founding__init(&message);
    mq__founding_shard__init(&shard);
    for (unsigned i = 0; i < N; i++) {
        mq__founding_node__init(&nodes[i]);
        mq__founding_member__init(&members[i]);
        nodes[i].node = i + 1;
        nodes[i].name = names[i];
        nodes[i].site = sites[i];
        nodes[i].address = address;
        nodes[i].role = i == 2 ? ROLE_WITNESS : ROLE_DATA;
        members[i].node = i + 1;
        members[i].replica = 100 + i;
        node_pointers[i] = &nodes[i];
        member_pointers[i] = &members[i];
    }
    shard.name = directory;
    shard.epoch_number = 1;
    shard.epoch_id = 7;
    shard.members = member_pointers;
    shard.n_members = N;
    shard.preference = preference;
    shard.n_preference = 2;
    shard_pointer = &shard;
    message.cluster_id = message.founding_id = (ProtobufCBinaryData){16, id};
    message.cluster_name = cluster;
    message.nodes = node_pointers;
    message.n_nodes = N;
    message.shards = &shard_pointer;
    message.n_shards = 1;
}

static struct founding three(void)
{
    struct founding f;
    memset(&f, 0, sizeof(f));
    f.nodes_n = N;
    for (unsigned i = 0; i < N; i++) {
        f.nodes[i].node = i + 1;
        snprintf(f.nodes[i].name, sizeof(f.nodes[i].name), "%s", names[i]);
    }
    return f;
}

/* GREETED(node, blank, knows us) ... DECIDES(verdict) */
static struct founding_greeting greetings[NODES_MAX];
#define NOBODY_GREETED memset(greetings, 0, sizeof(greetings))
#define GREETED(node, is_blank, knows)                          \
    greetings[(node)-1] = (struct founding_greeting)            \
    {                                                           \
        .heard = true, .blank = (is_blank), .knows_us = (knows) \
    }
#define DECIDES(verdict)                                                               \
    do {                                                                               \
        struct founding f_ = three();                                                  \
        char text_[256];                                                               \
        CHECK_EQ(founding_decide(&f_, 1, greetings, text_, sizeof(text_)), (verdict)); \
    } while (0)

static void I1_a_node_founds_when_all_founders_greeted_as_blank(void)
{
    NOBODY_GREETED;
    GREETED(2, true, false);
    GREETED(3, true, false);
    DECIDES(FOUNDING_FOUND);
}

static void I1_it_waits_while_one_has_not_greeted(void)
{
    NOBODY_GREETED;
    DECIDES(FOUNDING_WAIT);
    GREETED(2, true, false);
    DECIDES(FOUNDING_WAIT);
}

static void I1_it_founds_when_some_have_founded_already_and_never_saw_it_founded(void)
{
    NOBODY_GREETED;
    GREETED(2, false, false);
    GREETED(3, true, false);
    DECIDES(FOUNDING_FOUND);
}

static void I1_a_replaced_disk_never_founds_even_with_another_blank_one(void)
{
    NOBODY_GREETED;
    GREETED(2, true, false); /* replaced as well */
    GREETED(3, false, true); /* remembers */
    DECIDES(FOUNDING_REPLACED);
}

static void I1_it_does_not_found_while_the_only_one_who_would_remember_is_away(void)
{
    NOBODY_GREETED;
    GREETED(2, true, false);
    DECIDES(FOUNDING_WAIT);
}

static void a_good_founding_is_good_and_gives_the_options_of_a_member(void)
{
    struct shard_options o;
    struct error e;
    good();
    CHECK_EQ(founding_check(&message, &e), OK);
    CHECK_EQ(founding_shard_options(&message, &shard, 2, &o), OK);
    CHECK_EQ(o.replica, 101);
    CHECK_EQ(o.members_n, N);
    CHECK_EQ(o.members[0].rank, 1); /* site a is second */
    CHECK_EQ(o.members[1].rank, 0);
    CHECK(o.members[2].rank > 100); /* the witness is last */
    CHECK_EQ(founding_shard_options(&message, &shard, 9, &o), STATUS_NOT_FOUND);
}

static void what_is_impossible_is_refused(void)
{
    struct error e;
    static char bad_name[] = "Upper";
    static char bad_address[] = "nowhere";
    good();
    message.cluster_id.len = 15;
    CHECK(founding_check(&message, &e) != OK);
    good();
    nodes[1].node = 1;
    CHECK(founding_check(&message, &e) != OK);
    good();
    nodes[1].name = bad_name;
    CHECK(founding_check(&message, &e) != OK);
    good();
    nodes[1].address = bad_address;
    CHECK(founding_check(&message, &e) != OK);
    good();
    members[1].replica = 100;
    CHECK(founding_check(&message, &e) != OK);
    good();
    members[1].node = 60;
    CHECK(founding_check(&message, &e) != OK);
    good();
    shard.shard = 3; /* no directory */
    CHECK(founding_check(&message, &e) != OK);
    good();
    shard.epoch_id = 0;
    CHECK(founding_check(&message, &e) != OK);
}

CHECK_MAIN
{
    RUN(I1_a_node_founds_when_all_founders_greeted_as_blank);
    RUN(I1_it_waits_while_one_has_not_greeted);
    RUN(I1_it_founds_when_some_have_founded_already_and_never_saw_it_founded);
    RUN(I1_a_replaced_disk_never_founds_even_with_another_blank_one);
    RUN(I1_it_does_not_found_while_the_only_one_who_would_remember_is_away);
    RUN(a_good_founding_is_good_and_gives_the_options_of_a_member);
    RUN(what_is_impossible_is_refused);
}
