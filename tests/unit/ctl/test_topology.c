/* topology.ini, through inih: what is refused and why, what is filled in, what is warned about, and the founding drawn from it. */
#include "ctl/topology.h"

#include "ctl/topology_founding.h"
#include "proto/command.pb-c.h"
#include "tests/lib/check.h"

static struct topology *t;
static struct error problem;

#define NODE(name, site, role, port) \
    "[node " name "]\nsite = " site "\nrole = " role "\naddress = 127.0.0.1:" port "\n"
#define THREE                              \
    NODE("bj1", "beijing", "data", "1001") \
    NODE("sh1", "shanghai", "data", "1002") NODE("wit1", "witness", "witness", "1003")
#define FIVE  THREE NODE("bj2", "beijing", "data", "1004") NODE("sh2", "shanghai", "data", "1005")
#define HEAD  "[cluster]\nname = demo\n"
#define SHARD "[shard mail-1]\n"

static enum status parse(const char *text)
{
    topology_free(t);
    t = NULL;
    problem = (struct error){0};
    return topology_parse("t.ini", (struct bytes){(const uint8_t *)text, strlen(text)}, &t,
                          &problem);
}

static void refused(const char *text, const char *why)
{
    CHECK(parse(text) != OK);
    if (strstr(problem.text, why) == NULL) {
        CHECK_STR_EQ(problem.text, why);
    }
}

static void the_reference_layout_is_filled_in(void)
{
    CHECK_OK(parse(HEAD FIVE SHARD "preference = shanghai beijing\n[shard mail-2]\npreference = "
                                   "beijing\nmembers = bj1, sh1, wit1\n"));
    CHECK_EQ(t->nodes_n, 5);
    CHECK_EQ(t->shards_n, 3);
    CHECK_STR_EQ(t->shards[0].name, "directory");
    CHECK_EQ(t->shards[0].members.n, 5);
    CHECK_STR_EQ(t->shards[0].preference.items[0], "beijing");
    CHECK_EQ(t->shards[0].preference.n, 2);
    CHECK_EQ(t->shards[1].members.n, 5);
    CHECK_STR_EQ(t->shards[1].preference.items[0], "shanghai");
    CHECK_EQ(t->shards[2].members.n, 3);
    CHECK(t->shards[1].shared_dict && !t->shards[2].shared_dict && !t->shards[0].shared_dict);
    CHECK_STR_EQ(t->nodes[0].listen, "127.0.0.1:1001");
    CHECK_EQ(t->warnings_n, 0);
}

static void with_an_install_directory_each_node_has_a_machine_of_its_own(void)
{
    CHECK_OK(parse(HEAD
                   "install_directory = /etc/mailquorum\n[node bj1]\nsite = beijing\naddress = "
                   "bj1:7410\n[node sh1]\nsite = shanghai\naddress = [2001:db8::1]:7411\n"
                   "[node wit1]\nsite = shenzhen\nrole = witness\naddress = wit1:7410\n"
                   "listen = 10.0.0.3:7410\nsocket = /run/s\ndata_directory = /srv\n" SHARD));
    CHECK_STR_EQ(t->nodes[0].listen, "0.0.0.0:7410");
    CHECK_STR_EQ(t->nodes[0].data_directory, "/var/lib/mailquorum");
    CHECK_STR_EQ(t->nodes[0].socket, "/run/mailquorum/mailquorumd.sock");
    CHECK_STR_EQ(t->nodes[1].listen, "[::]:7411");
    CHECK_STR_EQ(t->nodes[2].listen, "10.0.0.3:7410");
    CHECK_STR_EQ(t->nodes[2].data_directory, "/srv");
    CHECK_STR_EQ(t->nodes[2].socket, "/run/s");
    CHECK_EQ(t->warnings_n, 0); /* the same path on other machines is no matter */
}

static void two_nodes_of_one_machine_with_one_socket_are_warned_about(void)
{
    CHECK_OK(parse(HEAD NODE("bj1", "beijing", "data", "1001") "socket = /run/s\n" NODE(
        "sh1", "shanghai", "data", "1002") "socket = /run/s\n" NODE("wit1", "w", "witness", "1003")
                       SHARD));
    CHECK_EQ(t->warnings_n, 1);
    CHECK(strstr(t->warnings[0], "bj1 and sh1 are on one machine") != NULL);
}

static void voters_that_survive_less_than_one_thinks_are_refused(void)
{
    refused(HEAD NODE("a", "x", "data", "1") NODE("b", "y", "data", "2") SHARD,
            "has two voters: losing either one stops it");
    refused(HEAD NODE("a", "x", "data", "1") NODE("b", "y", "witness", "2") SHARD,
            "has two voters");
    refused(HEAD NODE("a", "x", "data", "1") NODE("b", "x", "data", "2") NODE("c", "y", "data", "3")
                NODE("d", "y", "data", "4") SHARD,
            "has 4 voters and no witness");
    refused(HEAD FIVE SHARD "members = bj1 sh1\n", "shard mail-1 has two voters");
    refused(HEAD NODE("w", "x", "witness", "1") SHARD, "has no data node");
    CHECK_OK(parse(HEAD NODE("a", "x", "data", "1") SHARD));
    CHECK(strstr(t->warnings[0], "one voter") != NULL);
    CHECK_OK(parse(HEAD THREE NODE("bj2", "beijing", "data", "4") SHARD));
    CHECK(strstr(t->warnings[0], "4 voters, no more robust than 3") != NULL);
    CHECK_OK(parse(HEAD NODE("a", "x", "data", "1") NODE("b", "x", "data", "2")
                       NODE("c", "y", "witness", "3") SHARD));
    CHECK(strstr(t->warnings[0],
                 "does not survive the loss of site x: 2 of its 3 voters are there") != NULL);
}

static void a_standby_votes_nowhere_and_holds_the_directory(void)
{
    CHECK_OK(parse(HEAD THREE NODE("sg1", "singapore", "standby", "9") SHARD));
    CHECK_EQ(t->shards[0].members.n, 4);
    CHECK_EQ(t->shards[1].members.n, 3);
    CHECK_EQ(t->warnings_n, 0);
}

static void names_and_addresses_must_be_what_they_are_for(void)
{
    refused(HEAD THREE NODE("x", "beijing", "data", "1001") NODE("y", "witness", "witness", "7")
                SHARD,
            "bj1 and x have the same address");
    refused(HEAD NODE("BJ1", "beijing", "data", "1") SHARD, "node name \"BJ1\": use a-z");
    refused(HEAD NODE("a_b", "beijing", "data", "1") SHARD, "use a-z");
    refused(HEAD NODE("ca", "beijing", "data", "1") SHARD, "reserved");
    refused(HEAD NODE("mail-x", "beijing", "data", "1") SHARD, "for mail hosts");
    refused(HEAD NODE("a", "Bei jing", "data", "1") SHARD, "site \"Bei jing\"");
    refused(HEAD NODE("a", "b", "data", "0") SHARD, "is not host:port");
    refused(HEAD NODE("a", "b", "data", "65536") SHARD, "is not host:port");
    refused(HEAD "[node a]\nsite = b\naddress = 0.0.0.0:1\n" SHARD, "the others cannot dial that");
    refused(HEAD "[node a]\naddress = h:1\n" SHARD, "site \"\": it must be given");
    refused("[cluster]\nname = De mo\n" THREE SHARD, "[cluster] name \"De mo\"");
    refused(THREE SHARD, "[cluster] name \"\"");
    refused(HEAD SHARD "preference = x\n", "there is no [node NAME]");
    refused(HEAD THREE, "there is no [shard NAME]");
    refused(HEAD THREE "[shard directory]\npreference = beijing\n", "is taken");
    refused(HEAD THREE "[shard 7]\npreference = beijing\n", "not digits alone");
    refused(HEAD THREE SHARD "members = bj1 sh1 wit2\n", "member \"wit2\" is no node");
    refused(HEAD THREE SHARD "members = bj1 bj1 wit1\n", "named twice");
    refused(HEAD THREE SHARD "preference = witness\n",
            "prefers \"witness\", where none of its members holds data");
    refused(HEAD THREE SHARD "shared_dict = yes\n[shard b]\nshared_dict = yes\n",
            "both say shared_dict");
}

static void slips_are_named_with_line_and_suggestion(void)
{
    refused(HEAD "[nod bj1]\nsite = x\n",
            "t.ini:3: unknown section [nod bj1], did you mean [node NAME]?");
    refused(HEAD "[node bj1]\nadress = x:1\n",
            "t.ini:4: unknown key \"adress\" in [node], did you mean \"address\"?");
    refused(HEAD "[node bj1]\nrole = wittness\n",
            "t.ini:4: role = wittness: did you mean \"witness\"?");
    refused(HEAD "[node bj1]\nsite = x\nsite = y\n",
            "t.ini:5: \"site\" is set twice in [node bj1]");
    refused(HEAD THREE "[node bj1]\nrole = data\n" SHARD, "[node bj1] is there twice");
    refused(HEAD "what is this\n", "t.ini:3: ");
    char text[3000] = HEAD "[node bj1]\nsite = ";
    memset(text + strlen(text), 'x', 2000);
    refused(text, "t.ini:4: the line is longer than");
}

static void the_founding_record_holds_it_all_with_numbers_never_used_twice(void)
{
    CHECK_OK(parse(HEAD FIVE SHARD "[shard mail-2]\nmembers = bj1 sh1 wit1\n"));
    struct random random;
    struct buffer b = {0};
    struct uuid cluster;
    uint64_t seen[64];
    size_t seen_n = 0;
    random_init_seed(&random, check_seed());
    CHECK_OK(topology_founding(t, &random, 1234567, &b, &cluster));
    Mq__Founding *f = mq__founding__unpack(NULL, b.size, b.data);
    CHECK(f != NULL);
    CHECK_EQ(f->cluster_id.len, 16);
    CHECK_MEM_EQ(f->cluster_id.data, cluster.bytes, 16);
    CHECK_EQ(f->founding_id.len, 16);
    CHECK(memcmp(f->founding_id.data, f->cluster_id.data, 16) != 0);
    CHECK_STR_EQ(f->cluster_name, "demo");
    CHECK_EQ(f->created_ms, 1234567);
    CHECK_EQ(f->n_nodes, 5);
    CHECK_EQ(f->nodes[2]->node, 3);
    CHECK_EQ(f->nodes[2]->role, ROLE_WITNESS);
    CHECK_STR_EQ(f->nodes[2]->address, "127.0.0.1:1003");
    CHECK_EQ(f->n_shards, 3);
    for (size_t i = 0; i < 3; i++) {
        const Mq__FoundingShard *s = f->shards[i];
        CHECK_EQ(s->shard, i);
        CHECK_EQ(s->epoch_number, 1);
        seen[seen_n++] = s->epoch_id;
        for (size_t j = 0; j < s->n_members; j++) {
            seen[seen_n++] = s->members[j]->replica;
        }
    }
    CHECK_EQ(f->shards[2]->n_members, 3);
    CHECK_EQ(seen_n, 3 + 5 + 5 + 3);
    for (size_t i = 0; i < seen_n; i++) {
        CHECK_NE(seen[i], 0);
        for (size_t j = 0; j < i; j++) {
            CHECK_NE(seen[i], seen[j]);
        }
    }
    CHECK_STR_EQ(f->shards[1]->preference[0], "beijing");
    CHECK(f->shards[1]->shared_dict);
    mq__founding__free_unpacked(f, NULL);
    buffer_deinit(&b);
}

CHECK_MAIN
{
    RUN(the_reference_layout_is_filled_in);
    RUN(with_an_install_directory_each_node_has_a_machine_of_its_own);
    RUN(two_nodes_of_one_machine_with_one_socket_are_warned_about);
    RUN(voters_that_survive_less_than_one_thinks_are_refused);
    RUN(a_standby_votes_nowhere_and_holds_the_directory);
    RUN(names_and_addresses_must_be_what_they_are_for);
    RUN(slips_are_named_with_line_and_suggestion);
    RUN(the_founding_record_holds_it_all_with_numbers_never_used_twice);
    topology_free(t);
}
