/* What the inputs of fuzz_apply and fuzz_query find: a founded directory that is a shard of users too, with a mailbox in two stores of two sites, a
 * mail queue, an entry of the dictionary and a session. The tokens it gave out are learnt. */
#ifndef MQ_TESTS_STORE_OF_EVERYTHING_H
#define MQ_TESTS_STORE_OF_EVERYTHING_H

#include "tests/fuzz/message_source.h"
#include "tests/unit/storage/queue_rig.h"

static void everything_directory(struct rig *r)
{
    uint8_t id[16] = {1};
    char name[] = "fuzz", home[] = "here", user[] = "ada";
    char *preference[1] = {home};
    Mq__FoundingNode node = MQ__FOUNDING_NODE__INIT, *nodes[1] = {&node};
    Mq__FoundingShard shard = MQ__FOUNDING_SHARD__INIT, *shards[1] = {&shard};
    node.node = 1;
    node.name = name;
    node.site = home;
    shard.shard = 1;
    shard.name = name;
    shard.preference = preference;
    shard.n_preference = 1;
    RIG_COMMAND(c, FOUNDING, founding, Mq__Founding, MQ__FOUNDING__INIT);
    c_founding.cluster_id = c_founding.founding_id = (ProtobufCBinaryData){16, id};
    c_founding.cluster_name = name;
    c_founding.nodes = nodes;
    c_founding.shards = shards;
    c_founding.n_nodes = c_founding.n_shards = 1;
    CHECK_OK(rig_run(r, &c));
    RIG_COMMAND(u, USER_ASSIGN, user_assign, Mq__UserAssign, MQ__USER_ASSIGN__INIT);
    u_user_assign.user = user;
    u_user_assign.shard = 1;
    CHECK_OK(rig_run(r, &u));
}

static void everything_place(struct rig *r, const char *store, const char *site)
{
    char name[8], place[8];
    snprintf(name, sizeof(name), "%s", store);
    snprintf(place, sizeof(place), "%s", site);
    RIG_COMMAND(c, STORE_POSITION, store_position, Mq__StorePosition, MQ__STORE_POSITION__INIT);
    c_store_position.store = name;
    c_store_position.site = place;
    c_store_position.complete_wall_ms = 900000;
    CHECK_OK(rig_run(r, &c));
}

static void everything_mail(struct rig *r, struct source *s, const char *store)
{
    CHECK_OK(rig_lease(r, "ada", store, "feed", 600000));
    source_learn(s, r->lease);
    struct report *p = report_new(r, "ada", store, 1, 0, 5);
    for (uint32_t uid = 1; uid <= 6; uid++) {
        report_message(p, uid, uid % 32, uid);
    }
    CHECK_OK(report_run(r, p));
}

static void everything_fill(struct rig *r, struct source *s)
{
    char client[] = "client";
    everything_directory(r);
    CHECK_OK(rig_owner(r, "ada"));
    CHECK_OK(rig_owner(r, "bob"));
    everything_place(r, "s1", "here");
    everything_place(r, "s2", "there");
    everything_mail(r, s, "s1");
    everything_mail(r, s, "s2");
    queue_open(r);
    source_learn(s, r->lease);
    struct page *p = page_new(r, 500000, 0, 0);
    page_item(p, "4jYk1", 100, STATE(DEFERRED), "x@a.test", "refused");
    page_item(p, "4jYk2", 200, STATE(ACTIVE), "y@b.test", "");
    page_recipient(p, "x@a.test");
    CHECK_OK(page_end(r, p));
    CHECK_OK(rig_set(r, "ada", "k", "1"));
    RIG_COMMAND(c, SESSION_OPEN, session_open, Mq__SessionOpen, MQ__SESSION_OPEN__INIT);
    c_session_open.client = client;
    CHECK_OK(rig_run(r, &c));
    source_learn(s, (struct token){r->result->session->session->epoch,
                                   r->result->session->session->position});
    rig_checkpoint(r);
}

#endif
