/* From a status view to what is said: who is up, who leads, which message; and never an old value for what is not known. */
#include "ctl/cluster_view.h"

#include "ctl/lag_eta.h"
#include "ctl/status.h"
#include "tests/lib/check.h"

/* Five nodes, one shard: bj1 bj2 sh1 sh2 wit1, as the leader bj1 sees them. */
static const char *const names[] = {"bj1", "bj2", "sh1", "sh2", "wit1"};
static const char *const sites[] = {"beijing", "beijing", "shanghai", "shanghai", "witness"};

static struct {
    Mq__StatusView view;
    Mq__NodeView nodes[5], *node_list[5];
    Mq__ShardView shard, own[5], *shard_list[1], *own_list[5][1];
    Mq__ReplicaView replicas[5], own_replicas[5], *replica_list[5], *own_replica_list[5][1];
    char *preference[2];
    uint8_t id[16];
} w;

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void world(void)
{
    memset(&w, 0, sizeof(w));
    mq__status_view__init(&w.view);
    mq__shard_view__init(&w.shard);
    w.view.cluster_id = (ProtobufCBinaryData){16, w.id};
    w.view.cluster_name = text("demo");
    w.view.node = text("bj1");
    w.view.quorum = true;
    w.preference[0] = text("beijing");
    w.preference[1] = text("shanghai");
    w.shard.shard = 1;
    w.shard.name = text("mail-1");
    w.shard.leader = 1;
    w.shard.leader_known = true;
    w.shard.term = 4;
    w.shard.n_preference = 2;
    w.shard.preference = w.preference;
    for (uint32_t i = 0; i < 5; i++) {
        mq__node_view__init(&w.nodes[i]);
        mq__replica_view__init(&w.replicas[i]);
        mq__replica_view__init(&w.own_replicas[i]);
        mq__shard_view__init(&w.own[i]);
        w.nodes[i].node = i + 1;
        w.nodes[i].name = text(names[i]);
        w.nodes[i].site = text(sites[i]);
        w.nodes[i].role = text(i == 4 ? "witness" : "data");
        w.nodes[i].up = w.nodes[i].known = true;
        w.nodes[i].version = text("0.1.0");
        w.nodes[i].state = text("ok");
        w.node_list[i] = &w.nodes[i];
        w.replicas[i].node = w.own_replicas[i].node = i + 1;
        w.replicas[i].voter = w.own_replicas[i].voter = true;
        w.replicas[i].known = w.own_replicas[i].known = true;
        w.replicas[i].lag_known = i != 0;
        w.replica_list[i] = &w.replicas[i];
        w.own_replicas[i].state = text("ok");
        w.own_replicas[i].applied_index = 100 + i;
        w.own_replica_list[i][0] = &w.own_replicas[i];
        w.own[i] = w.shard;
        w.own[i].n_replicas = 1;
        w.own[i].replicas = w.own_replica_list[i];
        w.own_list[i][0] = &w.own[i];
        w.nodes[i].n_shards = 1;
        w.nodes[i].shards = w.own_list[i];
    }
    w.shard.n_replicas = 5;
    w.shard.replicas = w.replica_list;
    w.shard_list[0] = &w.shard;
    w.view.n_nodes = 5;
    w.view.nodes = w.node_list;
    w.view.n_shards = 1;
    w.view.shards = w.shard_list;
}

static void down(unsigned i)
{
    w.nodes[i].up = w.nodes[i].known = false;
    w.nodes[i].age_ms = 372000;
    w.replicas[i].known = false;
}

static struct cluster_view *v;

static void read_view(void)
{
    cluster_view_free(v);
    v = calloc(1, sizeof(*v));
    CHECK_OK(cluster_view_read(&w.view, v));
}

static enum severity judged(struct screen *s)
{
    screen_init(s, "status");
    return status_judge(v, 1000, s);
}

static const char *message_field(const struct screen *s, size_t i, const char *field)
{
    return json_string_value(json_object_get(json_array_get(s->messages, i), field));
}

static void a_whole_cluster_is_read(void)
{
    world();
    read_view();
    CHECK_EQ(v->shards[0].voters, 5);
    CHECK_EQ(v->shards[0].voters_up, 5);
    CHECK_EQ(v->shards[0].leader, 0);
    CHECK_EQ(cluster_view_replica(&v->shards[0], 2)->applied_index, 102);
}

static void the_verdict_of_the_node_is_what_is_said(void)
{
    struct screen s;
    Mq__Verdict verdict = MQ__VERDICT__INIT;
    Mq__Finding finding = MQ__FINDING__INIT, *findings[1] = {&finding};
    world();
    finding.id = text("SITE_DOWN");
    finding.severity = SEVERITY_ORANGE;
    finding.object = text("beijing");
    finding.text = text("beijing GONE");
    finding.next = text("bring it back");
    finding.avoid = text("empty it");
    finding.since_ms = 1764000000000;
    verdict.severity = SEVERITY_ORANGE;
    verdict.n_findings = 1;
    verdict.findings = findings;
    w.view.verdict = &verdict;
    read_view();
    CHECK_EQ(judged(&s), SEVERITY_ORANGE);
    CHECK_EQ(json_array_size(s.messages), 1);
    CHECK_STR_EQ(message_field(&s, 0, "id"), "SITE_DOWN");
    CHECK_STR_EQ(message_field(&s, 0, "severity"), "orange");
    CHECK_STR_EQ(message_field(&s, 0, "hint"), "bring it back");
    CHECK_STR_EQ(message_field(&s, 0, "do_not"), "empty it");
    CHECK_STR_EQ(message_field(&s, 0, "since"), "2025-11-24T16:00:00.000Z");
    screen_deinit(&s);
    verdict.severity = 77; /* of a later version: never less than it is */
    CHECK_EQ(judged(&s), SEVERITY_RED);
    screen_deinit(&s);
    CHECK_EQ(status_exit_code(v, SEVERITY_OK), EXIT_HEALTHY);
    CHECK_EQ(status_exit_code(v, SEVERITY_BLUE), EXIT_HEALTHY);
    CHECK_EQ(status_exit_code(v, SEVERITY_YELLOW), EXIT_DEGRADED);
    CHECK_EQ(status_exit_code(v, SEVERITY_ORANGE), EXIT_DEGRADED);
    CHECK_EQ(status_exit_code(v, SEVERITY_RED), EXIT_CRITICAL);
}

static void a_node_without_a_verdict_is_never_ok(void)
{
    struct screen s;
    world();
    read_view();
    CHECK_EQ(judged(&s), SEVERITY_YELLOW);
    CHECK_STR_EQ(message_field(&s, 0, "id"), "NO_VERDICT");
    screen_deinit(&s);
}

static void a_leader_that_others_speak_of_is_one(void)
{
    world();
    down(2);
    w.shard.leader = 3;
    w.shard.term = 9;
    read_view();
    CHECK_EQ(v->shards[0].leader, -1); /* an old word */
    w.shard.leader_hearsay = true;
    read_view();
    CHECK_EQ(v->shards[0].leader, 2);
}

static void a_copy_that_may_not_vote_does_not_count(void)
{
    world();
    w.own_replicas[1].state = text("AMNESIA: acknowledged up to 100, holds 40");
    read_view();
    CHECK_EQ(v->shards[0].voters_up, 4);
}

static void nothing_old_is_shown_of_a_node_that_is_not_heard(void)
{
    world();
    down(1);
    w.nodes[1].version = text("0.0.9");
    w.nodes[1].disk_total_bytes = 100;
    w.own_replicas[1].applied_index = 7;
    read_view();
    CHECK(!v->nodes[1].up);
    CHECK_STR_EQ(v->nodes[1].version, "");
    CHECK_EQ(v->nodes[1].disk_total_bytes, 0);
    CHECK_EQ(v->nodes[1].heard_ms, 372000);
    CHECK(!cluster_view_replica(&v->shards[0], 1)->known);
    CHECK_EQ(cluster_view_replica(&v->shards[0], 1)->applied_index, 0);
    CHECK(!cluster_view_replica(&v->shards[0], 1)->lag_known);
}

static void without_quorum_nobody_leads_and_the_exit_code_says_so(void)
{
    world();
    w.view.quorum = false;
    down(2);
    down(3);
    down(4);
    read_view();
    CHECK_EQ(v->shards[0].leader, -1);
    CHECK_EQ(status_exit_code(v, SEVERITY_RED), EXIT_NO_QUORUM);
}

static void a_local_view_is_not_one_without_a_quorum(void)
{
    struct screen s;
    Mq__Verdict verdict = MQ__VERDICT__INIT;
    world();
    w.view.verdict = &verdict;
    w.view.quorum = false;
    w.view.local_majority = true;
    read_view();
    CHECK_EQ(v->shards[0].leader, -1); /* nobody confirmed it */
    CHECK_EQ(judged(&s), SEVERITY_OK);
    CHECK_EQ(status_exit_code(v, SEVERITY_OK), EXIT_HEALTHY);
    CHECK_EQ(status_exit_code(v, SEVERITY_RED), EXIT_CRITICAL);
    status_source(v, &(struct call_answer){.node = "bj1"}, &s, true);
    CHECK(!s.quorum);
    CHECK_STR_EQ(s.summary, "");
    screen_deinit(&s);
    w.view.local_majority = false;
    read_view();
    CHECK_EQ(status_exit_code(v, SEVERITY_RED), EXIT_NO_QUORUM);
    screen_init(&s, "status");
    status_source(v, &(struct call_answer){.node = "bj1"}, &s, true);
    CHECK(strstr(s.summary, "NO QUORUM VIEW") != NULL);
    screen_deinit(&s);
}

static const char *eta_said(void)
{
    static char said[LAG_ETA_SIZE];
    read_view();
    lag_eta_format(v, &v->shards[0], said, sizeof(said));
    return said;
}

static void a_copy_that_is_down_is_worse_off_than_any_that_is_behind(void)
{
    world();
    CHECK_STR_EQ(eta_said(), "?");
    for (unsigned i = 1; i < 5; i++) {
        w.replicas[i].eta = text("never");
        w.replicas[i].lag_course = text("never");
    }
    CHECK_STR_EQ(eta_said(), "never");
    CHECK_STR_EQ(lag_course(v, cluster_view_replica(&v->shards[0], 1)), "never");
    w.replicas[3].eta = text("in 11m20s");
    w.replicas[3].lag_course = text("breach");
    CHECK_STR_EQ(eta_said(), "sh2 in 11m20s");
    down(2);
    CHECK_STR_EQ(eta_said(), "sh1 down");
    CHECK_STR_EQ(lag_course(v, cluster_view_replica(&v->shards[0], 2)), "down");
    down(4);
    CHECK_STR_EQ(eta_said(), "sh1 +1 down");
    w.nodes[2].role = text("standby"); /* no voter */
    CHECK_STR_EQ(eta_said(), "wit1 down");
    w.view.quorum = false;
    CHECK_STR_EQ(eta_said(), "wit1 down");
    CHECK_STR_EQ(lag_course(v, cluster_view_replica(&v->shards[0], 1)), "");
}

static void the_newest_term_says_who_leads(void)
{
    world();
    w.own[2].term = 5;
    w.own[2].leader = 3;
    w.own[2].leader_known = true;
    read_view();
    CHECK_EQ(v->shards[0].leader, 2);
    CHECK_EQ(v->shards[0].term, 5);
}

static void voters_that_nobody_hears_are_voters(void)
{
    world();
    w.view.quorum = false;
    w.nodes[4].role = text("standby");
    for (unsigned i = 1; i < 5; i++) {
        down(i);
        w.nodes[i].n_shards = 0;
        w.replicas[i].lag_known = false;
    }
    read_view();
    CHECK_EQ(v->shards[0].voters, 4);
    CHECK_EQ(v->shards[0].voters_up, 1);
}

static void a_view_over_its_maxima_is_refused(void)
{
    world();
    w.view.cluster_id.len = 3;
    CHECK_EQ(cluster_view_read(&w.view, v), STATUS_MALFORMED);
}

CHECK_MAIN
{
    RUN(a_whole_cluster_is_read);
    RUN(the_verdict_of_the_node_is_what_is_said);
    RUN(a_node_without_a_verdict_is_never_ok);
    RUN(a_leader_that_others_speak_of_is_one);
    RUN(a_copy_that_may_not_vote_does_not_count);
    RUN(nothing_old_is_shown_of_a_node_that_is_not_heard);
    RUN(without_quorum_nobody_leads_and_the_exit_code_says_so);
    RUN(a_local_view_is_not_one_without_a_quorum);
    RUN(a_copy_that_is_down_is_worse_off_than_any_that_is_behind);
    RUN(the_newest_term_says_who_leads);
    RUN(voters_that_nobody_hears_are_voters);
    RUN(a_view_over_its_maxima_is_refused);
    cluster_view_free(v);
}
