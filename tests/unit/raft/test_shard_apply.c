/* A commit that finds no space is owed: what was applied stays applied and answered, what would see it waits, and nothing new is
 * applied before it is committed, by the next try or by a checkpoint. With the toy state machine of host_world.h, which checks that
 * each entry follows the one before it: none is applied twice. */
#include "tests/unit/raft/host_world.h"

static struct shard *shard_of(uint32_t node)
{
    return host_find_shard(nodes[node].host, SHARD);
}

static struct shard_applier *applier_of(uint32_t node)
{
    return &shard_of(node)->applier;
}

/* Runs until nothing is left to commit, and the next one is made in the job that applies. */
static void settle(void)
{
    run(400);
    for (uint32_t i = 1; i <= NODES; i++) {
        CHECK_EQ(nodes[i].toy.committed, nodes[i].toy.position.index);
        CHECK(!applier_of(i)->commit_owed);
    }
}

static void check_owed(uint32_t node)
{
    const struct shard_applier *a = applier_of(node);
    const struct toy *t = &nodes[node].toy;
    CHECK(a->commit_owed);
    CHECK_EQ(a->applied, t->position.index);
    CHECK_EQ(a->visible, t->committed);
    CHECK(a->visible < a->applied);
    CHECK_EQ(shard_of(node)->state, SHARD_RUNNING);
}

static void check_paid(uint32_t node)
{
    const struct shard_applier *a = applier_of(node);
    CHECK(!a->commit_owed);
    CHECK_EQ(a->paused_until_ms, 0);
    CHECK_EQ(a->visible, nodes[node].toy.committed);
    CHECK_EQ(a->applied, nodes[node].toy.position.index);
    CHECK_EQ(a->visible, a->applied);
}

/* A write that the node refuses. */
static void check_refused(uint32_t node)
{
    uint8_t c = 1;
    struct shard_submit r = {.command = {&c, 1}, .deadline_ms = UINT64_MAX, .done = on_submit};
    answered = 0;
    shard_submit(shard_of(node), &r);
    step();
    CHECK_EQ(answered, 1);
    CHECK_EQ(r.outcome, SUBMIT_REFUSED);
    CHECK_EQ(r.status, STATUS_NO_SPACE);
}

/* Answers go out, reads of what is not committed wait and others do not, new writes are refused, the commit is tried about once a
 * second however much waits for it. */
static void a_commit_that_finds_no_space_is_owed(void)
{
    begin();
    write_some(20);
    uint32_t l = wait_leader();
    struct toy *t = &nodes[l].toy;
    settle();
    t->commit_status = t->begin_status = STATUS_NO_SPACE;
    write_some(1); /* applied, and answered so */
    check_owed(l);
    uint64_t applied = applier_of(l)->applied, seen = applier_of(l)->visible;
    check_refused(l);

    struct shard_read local = {.deadline_ms = now_ms + 3000, .done = on_read};
    answered = 0;
    shard_read_local(shard_of(l), &local, 0);
    run(5);
    CHECK_EQ(answered, 1);
    CHECK_EQ(local.status, OK);
    CHECK_EQ(local.index, seen);

    struct shard_read late = {.deadline_ms = now_ms + 2500, .done = on_read};
    struct shard_read read = {.deadline_ms = now_ms + 10000, .done = on_read};
    answered = 0;
    shard_read(shard_of(l), &late);
    shard_read(shard_of(l), &read);
    t->commits = 0;
    run(4000);
    CHECK_EQ(answered, 1); /* the one whose time was over */
    CHECK_EQ(late.status, STATUS_TIMEOUT);
    CHECK(t->commits >= 3 && t->commits <= 5);
    check_owed(l);
    CHECK_EQ(applier_of(l)->applied, applied);
    CHECK_EQ(nodes[l % NODES + 1].toy.committed, applied); /* the others have space */

    t->commit_status = t->begin_status = OK;
    run(1100);
    CHECK_EQ(answered, 2);
    CHECK_EQ(read.status, OK);
    CHECK(read.index >= applied);
    check_paid(l);
    write_some(5);
    check_equal();
    end();
}

/* What is decided meanwhile waits in the log; it comes after the commit, each entry once. */
static void nothing_new_is_applied_while_a_commit_is_owed(void)
{
    begin();
    write_some(20);
    uint32_t f = wait_leader() % NODES + 1;
    struct toy *t = &nodes[f].toy;
    settle();
    t->commit_status = t->begin_status = STATUS_NO_SPACE;
    write_some(1);
    run(100);
    check_owed(f);
    uint64_t applied = applier_of(f)->applied;
    write_some(200);
    run(3000);
    check_owed(f);
    CHECK_EQ(applier_of(f)->applied, applied);
    CHECK(shard_of(f)->commit >= applied + 200);
    t->commit_status = OK; /* and checkpoints find none yet */
    run(1500);
    check_paid(f);
    CHECK(t->position.index >= applied + 200);
    t->begin_status = OK;
    write_some(5);
    check_equal();
    end();
}

static void a_checkpoint_pays_a_commit_that_is_owed(void)
{
    begin();
    write_some(20);
    uint32_t f = wait_leader() % NODES + 1;
    struct toy *t = &nodes[f].toy;
    settle();
    t->commit_status = t->begin_status = STATUS_NO_SPACE;
    write_some(1);
    run(2500);
    check_owed(f); /* checkpoints that found no space either change nothing */
    CHECK(t->begins > 0);
    uint64_t applied = applier_of(f)->applied;
    struct shard_read read = {.deadline_ms = now_ms + 5000, .done = on_read};
    answered = 0;
    shard_read(shard_of(f), &read);
    run(50);
    CHECK_EQ(answered, 0);
    t->begin_status = OK; /* the commits by themselves never do */
    for (int i = 0; i < 2000 && applier_of(f)->commit_owed; i++) {
        step();
    }
    check_paid(f);
    run(10);
    CHECK_EQ(answered, 1);
    CHECK_EQ(read.status, OK);
    CHECK_EQ(t->durable.index, applied); /* of what was applied, not of what had been committed */

    write_some(30); /* owed again, paid by the next checkpoint, and so on */
    for (int i = 0; i < 20000 && t->committed < applied + 30; i++) {
        step();
    }
    CHECK(t->committed >= applied + 30);
    t->commit_status = OK;
    run(1500);
    stop(f);
    start(f);
    write_some(5);
    check_equal();
    end();
}

/* The state of `node` comes from another; its commits find no space all the while. */
static void check_repaired(uint32_t node)
{
    struct toy *t = &nodes[node].toy;
    struct shard *s = shard_of(node);
    CHECK_EQ(s->state, SHARD_LOST);
    t->commit_status = STATUS_NO_SPACE;
    t->begin_status = OK;
    t->commits = 0;
    for (int i = 0; i < 3000 && s->state != SHARD_RUNNING; i++) {
        step();
    }
    CHECK_EQ(s->state, SHARD_RUNNING);
    CHECK_EQ(s->installs_total, 1);
    check_paid(node); /* nothing of the old environment is owed in the new one */
    run(5);
    CHECK_EQ(t->commits, 0);
    t->commit_status = OK;
    write_some(5);
    check_equal();
    check_paid(node);
}

static void an_environment_whose_owed_commit_fails_is_replaced(void)
{
    begin();
    write_some(20);
    uint32_t l = wait_leader();
    struct toy *t = &nodes[l].toy;
    settle();
    t->commit_status = t->begin_status = STATUS_NO_SPACE;
    write_some(1); /* answered: it is in the log of a majority, and comes back with the copy */
    uint64_t applied = applier_of(l)->applied;
    struct shard_read read = {.deadline_ms = now_ms + 5000, .done = on_read};
    answered = 0;
    shard_read(shard_of(l), &read);
    run(600); /* the others' checkpoints reach it */
    check_owed(l);
    CHECK_EQ(answered, 0);
    t->commit_status = STATUS_IO;
    for (int i = 0; i < 1000 && shard_of(l)->state == SHARD_RUNNING; i++) {
        step();
    }
    CHECK_EQ(answered, 1);
    CHECK_EQ(read.status, STATUS_NOT_FOUND);
    check_repaired(l);
    CHECK(t->position.index > applied);
    end();
}

static void an_environment_lost_by_a_checkpoint_owes_nothing_afterwards(void)
{
    begin();
    write_some(20);
    uint32_t f = wait_leader() % NODES + 1;
    struct toy *t = &nodes[f].toy;
    settle();
    t->commit_status = t->begin_status = STATUS_NO_SPACE;
    write_some(1);
    run(600);
    check_owed(f);
    t->begin_status = STATUS_IO;
    for (int i = 0; i < 1500 && shard_of(f)->state == SHARD_RUNNING; i++) {
        step();
    }
    check_repaired(f);
    end();
}

CHECK_MAIN
{
    RUN(a_commit_that_finds_no_space_is_owed);
    RUN(nothing_new_is_applied_while_a_commit_is_owed);
    RUN(a_checkpoint_pays_a_commit_that_is_owed);
    RUN(an_environment_whose_owed_commit_fails_is_replaced);
    RUN(an_environment_lost_by_a_checkpoint_owes_nothing_afterwards);
}
