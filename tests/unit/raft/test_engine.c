/* The engine's contract: what raft/engine.h says is so, single engines and a few of them on a
 * quiet network. */
#include "raft/engine.h"

#include "raft/guard.h"
#include "tests/unit/raft/mini_cluster.h"

#define SEED 20261124

/* An engine of its own, with the last update's outline. */
struct rig {
    struct engine *e;
    uint32_t updates;
    uint64_t commit, entries_first;
    uint32_t entries_n;
    const struct engine_entry *entries;
    bool term_changed, install;
    struct engine_message
        first; /* message of the last update that had one; borrowed parts are not to be used */
    uint32_t messages;
};

static void rig_carry_out(void *arg, const struct engine_update *u)
{
    struct rig *r = arg;

    r->updates++;
    r->commit = u->commit;
    r->term_changed = u->term_changed;
    r->install = u->install;
    r->entries = u->entries;
    r->entries_n = u->entries_changed ? u->entries_n : 0;
    r->entries_first = u->entries_first;
    r->messages += u->messages_n;
    if (u->messages_n > 0) {
        r->first = u->messages[0];
    }
}

static void rig_new(struct rig *r, uint64_t replica)
{
    struct engine_options o = {.replica = replica,
                               .election_timeout_ms = 500,
                               .heartbeat_ms = 50,
                               .inflight_max = 8,
                               .seed = 7,
                               .carry_out = rig_carry_out,
                               .arg = r};

    memset(r, 0, sizeof(*r));
    CHECK_OK(engine_new(&o, &r->e));
    CHECK_EQ(engine_role(r->e), ENGINE_STOPPED);
    CHECK_EQ(engine_deadline_ms(r->e), UINT64_MAX);
}

static const uint64_t ids[] = {1, 2, 3, 4, 5};

/* A log of n entries of term 2 behind the first, and if index > 0 a snapshot there. */
struct image {
    struct engine_entry entries[64];
    struct engine_start start;
};

static void image_init(struct image *i, uint32_t voters, uint32_t n, uint64_t snapshot)
{
    memset(i, 0, sizeof(*i));
    i->entries[0] = (struct engine_entry){
        .term = 1, .type = ENTRY_CHANGE, .payload = mini_configuration(ids, voters)};
    for (uint32_t k = 1; k <= n; k++) {
        i->entries[k] = (struct engine_entry){.term = 2, .type = ENTRY_COMMAND};
    }
    i->start = (struct engine_start){
        .term = 2, .start_index = 1, .entries = i->entries, .entries_n = n + 1};
    if (snapshot > 0) {
        i->start.has_snapshot = true;
        i->start.snapshot = (struct engine_snapshot){.index = snapshot,
                                                     .term = snapshot > 1 ? 2 : 1,
                                                     .configuration_index = 1,
                                                     .configuration = i->entries[0].payload};
    }
}

static void image_cut(struct image *i, uint64_t first)
{
    i->start.entries += first - i->start.start_index;
    i->start.entries_n -= (uint32_t)(first - i->start.start_index);
    i->start.start_index = first;
}

static void image_deinit(struct image *i)
{
    block_unref(i->entries[0].payload);
}

static enum status start_status(struct image *i)
{
    struct rig r;
    enum status s;

    rig_new(&r, 1);
    s = engine_start(r.e, 1000, &i->start);
    CHECK(s != OK || engine_start(r.e, 1000, &i->start) == STATUS_INVALID); /* once */
    engine_free(r.e);
    return s;
}

static void U2_after_start_the_commit_index_is_the_snapshot_or_1(void)
{
    struct image i;
    struct rig r;

    for (uint64_t snapshot = 0; snapshot <= 11; snapshot++) {
        image_init(&i, 3, 10, snapshot);
        if (snapshot > 2) {
            image_cut(&i, snapshot - 1);
        }
        rig_new(&r, 1);
        CHECK_OK(engine_start(r.e, 1000, &i.start));
        CHECK_EQ(r.updates, 1);
        CHECK_EQ(engine_commit(r.e), snapshot > 0 ? snapshot : 1);
        CHECK_EQ(r.commit, engine_commit(r.e));
        CHECK_EQ(engine_last_index(r.e), 11);
        CHECK_EQ(engine_last_stored(r.e), 11);
        CHECK_EQ(engine_first_index(r.e), snapshot > 2 ? snapshot - 1 : 1);
        CHECK_EQ(engine_role(r.e), ENGINE_FOLLOWER);
        CHECK_EQ(engine_term(r.e), 2);
        CHECK(!r.term_changed);
        for (uint64_t k = engine_first_index(r.e); k <= 11; k++) {
            CHECK_EQ(guard_term_of((const struct raft *)r.e, k),
                     k == 1 ? 1 : 2); /* struct raft is its first member */
        }
        engine_free(r.e);
        image_deinit(&i);
    }
}

static void a_blank_node_starts_with_nothing(void)
{
    struct engine_start s = {.start_index = 1};
    struct engine_configuration c;
    struct rig r;

    rig_new(&r, 9);
    CHECK_EQ(engine_tick(r.e, 5), STATUS_CLOSED);
    CHECK_OK(engine_start(r.e, 1000, &s));
    CHECK_EQ(engine_commit(r.e), 0);
    CHECK_EQ(engine_last_index(r.e), 0);
    engine_get_configuration(r.e, &c);
    CHECK_EQ(c.n, 0);
    for (uint64_t t = 1000; t < 10000; t += 10) {
        CHECK_OK(engine_tick(r.e, t));
    }
    CHECK_EQ(engine_role(r.e), ENGINE_FOLLOWER);
    CHECK_EQ(r.messages, 0);
    engine_free(r.e);
}

static void W6_a_log_that_does_not_reach_its_snapshot_is_refused(void)
{
    struct image i;

    image_init(&i, 3, 10, 12);
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* ends at 11 */
    i.start.entries_n = 0;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* would begin at 1 */
    i.start.start_index = 13;
    CHECK_OK(start_status(&i));
    i.start.start_index = 14;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT);
    i.start.start_index = 13;
    i.start.entries_n = 1;
    i.start.entries = i.entries + 1;
    CHECK_OK(start_status(&i));
    i.start.snapshot.term = 1;
    CHECK_OK(start_status(&i));
    i.start.snapshot.term = 3;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* beyond the term */
    image_deinit(&i);
}

static void a_log_that_makes_no_sense_is_refused(void)
{
    struct image i;

    image_init(&i, 3, 10, 5);
    CHECK_OK(start_status(&i));
    i.start.snapshot.term = 1;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* another term at the snapshot's index */
    i.start.has_snapshot = false;
    i.entries[7].term = 3;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* above the node's term */
    i.entries[7].term = 1;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* falls */
    i.entries[7].term = 2;
    i.entries[7].type = ENTRY_CHANGE;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* no configuration */
    i.entries[7].type = (enum entry_type)9;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT);
    i.entries[7].type = ENTRY_BARRIER;
    CHECK_OK(start_status(&i));
    i.start.term = 0;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT);
    i.start.term = 2;
    i.entries[0].type = ENTRY_COMMAND;
    CHECK_EQ(start_status(&i), STATUS_CORRUPT); /* does not begin with a configuration */
    image_deinit(&i);
}

static void options_that_make_no_sense_are_refused(void)
{
    struct engine_options o = {.replica = 0,
                               .election_timeout_ms = 500,
                               .heartbeat_ms = 50,
                               .inflight_max = 8,
                               .carry_out = rig_carry_out};
    struct engine *e;

    CHECK_EQ(engine_new(&o, &e), STATUS_INVALID);
    o.replica = 1;
    o.heartbeat_ms = 501;
    CHECK_EQ(engine_new(&o, &e), STATUS_INVALID);
    o.heartbeat_ms = 50;
    o.inflight_max = 0;
    CHECK_EQ(engine_new(&o, &e), STATUS_INVALID);
}

/* F2: it would lead in the term in which it led before. */
static void a_single_voter_leads_with_a_new_term_at_each_start(void)
{
    struct engine_entry command = {.term = 3, .type = ENTRY_COMMAND};
    struct image i;
    struct rig r;

    image_init(&i, 1, 4, 0);
    rig_new(&r, 1);
    CHECK_OK(engine_start(r.e, 1000, &i.start));
    CHECK_EQ(engine_role(r.e), ENGINE_LEADER);
    CHECK_EQ(engine_term(r.e), 3);
    CHECK(r.term_changed);
    CHECK_EQ(engine_commit(r.e), 5);
    CHECK(engine_needs_barrier(r.e));
    CHECK_OK(engine_submit(r.e, 1001, &command, 1));
    CHECK_EQ(r.entries_first, 6);
    CHECK_EQ(r.entries, &command);
    CHECK(!engine_needs_barrier(r.e));
    CHECK_EQ(engine_commit(r.e), 5);
    CHECK_OK(engine_persisted(r.e, 1002, 6));
    CHECK_EQ(engine_commit(r.e), 6);
    engine_free(r.e);
    image_deinit(&i);
}

/* F2 again: the leader of two removes itself, and the other, which leads alone from then on,
 * must not use its term. */
static void the_last_voter_takes_over_with_a_new_term(void)
{
    struct mini_cluster *c = mini_new(2, 2, SEED);
    struct engine_configuration configuration;
    uint64_t term;

    mini_up_all(c);
    mini_elect(c, 2);
    mini_commit(c, 2, 3);
    term = engine_term(mini_node(c, 2)->engine);
    engine_get_configuration(mini_node(c, 2)->engine, &configuration);
    configuration.n = 1;
    CHECK_OK(mini_change(c, 2, &configuration));
    mini_run(c, 5000);
    CHECK_STR_EQ(c->violation, "");
    CHECK_EQ(engine_role(mini_node(c, 1)->engine), ENGINE_LEADER);
    CHECK(engine_term(mini_node(c, 1)->engine) > term);
    mini_commit(c, 1, 3);
    CHECK_STR_EQ(c->violation, "");
    mini_free(c);
}

/* ---- elections and entries ---- */

static struct mini_cluster *three(uint64_t leader)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);

    mini_up_all(c);
    mini_elect(c, leader);
    mini_run(c, 200);
    return c;
}

static void done(struct mini_cluster *c)
{
    if (c->violation[0] != 0) {
        CHECK_FAIL("%s", c->violation);
    }
    mini_free(c);
}

static void three_nodes_elect_one_leader_and_commit_what_it_is_given(void)
{
    struct mini_cluster *c = mini_new(3, 3, SEED);
    uint64_t leader;

    mini_up_all(c);
    mini_run(c, 3000);
    leader = mini_leader(c);
    CHECK_NE(leader, 0);
    mini_commit(c, leader, 50);
    mini_run(c, 200);
    for (uint64_t id = 1; id <= 3; id++) {
        struct engine *e = mini_node(c, id)->engine;
        CHECK_EQ(engine_leader(e), leader);
        CHECK_EQ(engine_role(e), id == leader ? ENGINE_LEADER : ENGINE_FOLLOWER);
        CHECK_EQ(engine_commit(e), 52);
        CHECK_EQ(mini_node(c, id)->applied, 52);
        CHECK_EQ(engine_match(mini_node(c, leader)->engine, id), 52);
        CHECK_EQ(engine_match(e, 99), 0);
    }
    done(c);
}

static void submit_says_why_not(void)
{
    struct mini_cluster *c = three(1);
    struct engine *e = mini_node(c, 1)->engine;
    struct engine_entry entries[65];
    struct engine_configuration configuration;
    uint64_t term = engine_term(e);

    for (int i = 0; i < 65; i++) {
        entries[i] = (struct engine_entry){.term = term, .type = ENTRY_COMMAND};
    }
    CHECK_EQ(engine_submit(mini_node(c, 2)->engine, c->time, entries, 1), STATUS_NOT_LEADER);
    CHECK_EQ(engine_submit(e, c->time, entries, 0), STATUS_INVALID);
    CHECK_EQ(engine_submit(e, c->time, entries, 65), STATUS_FULL);
    entries[1].term--;
    CHECK_EQ(engine_submit(e, c->time, entries, 2), STATUS_INVALID);
    entries[1] = (struct engine_entry){.term = term,
                                       .type = ENTRY_CHANGE,
                                       .payload = mini_entry_at(mini_node(c, 1), 1)->e.payload};
    CHECK_EQ(engine_submit(e, c->time, entries, 2), STATUS_INVALID); /* F14: a change goes alone */
    CHECK_EQ(engine_submit(e, c->time, entries + 1, 1), STATUS_INVALID); /* changes nothing */
    entries[1].payload = NULL;
    CHECK_EQ(engine_submit(e, c->time, entries + 1, 1), STATUS_INVALID);
    entries[1] = entries[0];
    engine_get_configuration(e, &configuration);
    configuration.members[0].replica = 7;
    CHECK_EQ(mini_change(c, 1, &configuration),
             STATUS_INVALID); /* one replaced by another is two steps */
    configuration.n = 1;
    CHECK_EQ(mini_change(c, 1, &configuration), STATUS_INVALID);
    CHECK_OK(engine_submit(e, c->time, entries, 64));
    CHECK_EQ(engine_submit(e, c->time, entries, 1), STATUS_FULL); /* U15 */
    mini_run(c, 100);
    CHECK_EQ(engine_commit(e), 66);
    CHECK_OK(engine_submit(e, c->time, entries, 1));
    mini_run(c, 100);
    done(c);
}

static void a_submit_is_one_update_with_the_callers_own_array(void)
{
    struct image i;
    struct rig r;
    struct engine_entry entries[3];

    image_init(&i, 1, 0, 0);
    rig_new(&r, 1);
    CHECK_OK(engine_start(r.e, 1000, &i.start));
    for (int k = 0; k < 3; k++) {
        entries[k] = (struct engine_entry){.term = engine_term(r.e), .type = ENTRY_COMMAND};
    }
    CHECK_OK(engine_submit(r.e, 1000, entries, 3));
    CHECK_EQ(r.entries, entries);
    CHECK_EQ(r.entries_n, 3);
    CHECK_EQ(r.entries_first, 2);
    engine_free(r.e);
    image_deinit(&i);
}

static void a_transfer_hands_over_or_fails_in_silence(void)
{
    struct mini_cluster *c = three(1);
    struct engine *e = mini_node(c, 1)->engine;
    struct engine_entry entry = {.term = engine_term(e), .type = ENTRY_COMMAND};

    CHECK_EQ(engine_transfer(mini_node(c, 2)->engine, c->time, 3), STATUS_NOT_LEADER);
    CHECK_EQ(engine_transfer(e, c->time, 9), STATUS_NOT_FOUND);
    CHECK_EQ(engine_transfer(e, c->time, 1), STATUS_NOT_FOUND);
    mini_isolate(c, 3, true);
    CHECK_OK(engine_transfer(e, c->time, 3));
    CHECK(engine_transferring(e));
    CHECK_EQ(engine_submit(e, c->time, &entry, 1), STATUS_BUSY);
    CHECK_EQ(engine_transfer(e, c->time, 2), STATUS_BUSY);
    mini_run(c, 700);
    CHECK(!engine_transferring(e));
    CHECK_EQ(mini_leader(c), 1);
    CHECK_OK(mini_submit(c, 1));
    mini_run(c, 100);
    mini_transfer(c, 2);
    mini_run(c, 200);
    CHECK_EQ(engine_leader(mini_node(c, 1)->engine), 2);
    done(c);
}

static void U21_a_follower_forgets_its_leader_and_asks_for_votes_at_once(void)
{
    struct mini_cluster *c = three(1);
    struct engine *e = mini_node(c, 2)->engine;
    uint64_t term = engine_term(e);
    CHECK_EQ(engine_campaign(e, c->time), STATUS_BUSY); /* there is a leader */
    CHECK_EQ(engine_forget_leader(e, c->time, 3), STATUS_NOT_FOUND);
    CHECK_EQ(engine_forget_leader(e, c->time, 0), STATUS_NOT_FOUND);
    CHECK_EQ(engine_forget_leader(mini_node(c, 1)->engine, c->time, 1), STATUS_NOT_FOUND);
    /* A wrong belief of one: node 3 hears its leader, and refuses. */
    CHECK_OK(engine_forget_leader(e, c->time, 1));
    CHECK_EQ(engine_leader(e), 0);
    CHECK_OK(engine_campaign(e, c->time));
    CHECK(engine_in_pre_vote(e));
    CHECK_EQ(engine_term(e), term);
    mini_run(c, 100);
    CHECK_EQ(engine_leader(e), 1);
    CHECK_EQ(engine_term(e), term);

    /* A right one of both. */
    mini_isolate(c, 1, true);
    mini_run(c, 20);
    CHECK_OK(engine_forget_leader(e, c->time, 1));
    CHECK_OK(engine_forget_leader(mini_node(c, 3)->engine, c->time, 1));
    CHECK_OK(engine_campaign(e, c->time));
    mini_run(c, 50);
    CHECK_EQ(engine_role(e), ENGINE_LEADER);
    CHECK_EQ(engine_term(e), term + 1);
    mini_isolate(c, 1, false);
    mini_run(c, 200);
    CHECK_OK(mini_submit(c, 2));
    mini_run(c, 200);
    done(c);
}

static void a_leader_without_a_majority_steps_down(void)
{
    struct mini_cluster *c = three(1);

    mini_isolate(c, 1, true);
    mini_run(c, 1500);
    CHECK_NE(engine_role(mini_node(c, 1)->engine), ENGINE_LEADER);
    CHECK_NE(mini_leader(c), 0);
    done(c);
}

/* ---- messages ---- */

static void foreign_and_hostile_messages_change_nothing(void)
{
    struct mini_cluster *c = three(1);
    struct engine *e = mini_node(c, 2)->engine;
    uint64_t term = engine_term(e);
    struct engine_entry entries[2] = {{.term = term, .type = ENTRY_COMMAND},
                                      {.term = term, .type = ENTRY_CHANGE}};
    struct block *rubbish = block_copy("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16);
    const struct engine_message good = {
        .kind = MESSAGE_APPEND, .from = 1, .to = 2, .term = term + 5};
    struct engine_message m[40];
    uint32_t n = 0;

#define BAD(field, value) (m[n] = good, m[n].field = (value), n++)
    BAD(kind, (enum engine_message_kind)0);
    BAD(kind, (enum engine_message_kind)7);
    BAD(to, 3);
    BAD(from, 0);
    BAD(from, 2);
    BAD(term, 0);
    BAD(term, UINT64_C(1) << 62);
    BAD(append.prev_index, 5); /* without its term */
    BAD(append.prev_term, 1);  /* without its index */
    BAD(append.prev_index, UINT64_MAX);
    BAD(append.commit, UINT64_MAX);
    BAD(append.n, 1); /* without entries */
    BAD(append.n, UINT32_MAX);
    m[n] = good;
    m[n].append.entries = entries;
    m[n++].append.n = 1; /* a command at index 1 */
    m[n] = good;
    m[n].append.prev_index = m[n].append.prev_term = 1;
    m[n].append.entries = entries;
    m[n++].append.n = 2;     /* a change without configuration */
    BAD(kind, MESSAGE_VOTE); /* of another candidate, of no version */
    BAD(kind, MESSAGE_VOTE_RESULT);
    BAD(kind, MESSAGE_INSTALL);
    m[n] = good;
    m[n].kind = MESSAGE_INSTALL;
    m[n].install.last_index = m[n].install.last_term = m[n].install.configuration_index = 1;
    m[n++].install.configuration = rubbish;
    m[n] = good;
    m[n].kind = MESSAGE_APPEND_RESULT;
    m[n++].append_result.last_log_index = UINT64_MAX;
    m[n] = good;
    m[n].kind = MESSAGE_TIMEOUT_NOW;
    m[n++].timeout_now.last_term = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        CHECK_EQ(engine_receive(e, c->time, &m[i]), STATUS_MALFORMED);
        CHECK_EQ(engine_term(e), term);
    }
    m[0] = good; /* two leaders of one term */
    m[0].from = 2;
    m[0].to = 1;
    m[0].term = engine_term(mini_node(c, 1)->engine);
    CHECK_EQ(engine_receive(mini_node(c, 1)->engine, c->time, &m[0]), STATUS_MALFORMED);
    CHECK_EQ(mini_leader(c), 1);
    block_unref(rubbish);
    done(c);
}

static void a_vote_that_was_never_asked_for_is_refused(void)
{
    struct engine_message m = {
        .kind = MESSAGE_VOTE_RESULT, .from = 2, .to = 1, .version = 2, .term = 4};
    struct image i;
    struct rig r;

    image_init(&i, 3, 3, 0);
    rig_new(&r, 1);
    CHECK_OK(engine_start(r.e, 1000, &i.start));
    CHECK_OK(engine_tick(r.e, engine_deadline_ms(r.e)));
    m.vote_result.granted = m.vote_result.pre_vote = true;
    CHECK_EQ(engine_receive(r.e, 3000, &m), STATUS_MALFORMED);
    m.term = 3;
    CHECK_OK(engine_receive(r.e, 3000, &m));
    CHECK_EQ(engine_term(r.e), 3); /* two of three: now in earnest */
    m.vote_result.pre_vote = false;
    m.term = 4;
    CHECK_EQ(engine_receive(r.e, 3000, &m), STATUS_MALFORMED);
    m.term = 3;
    CHECK_OK(engine_receive(r.e, 3000, &m));
    CHECK_EQ(engine_role(r.e), ENGINE_LEADER);
    engine_free(r.e);
    image_deinit(&i);
}

static void an_injected_heartbeat_names_what_the_peer_has(void)
{
    struct mini_cluster *c = three(1);
    struct engine *e = mini_node(c, 1)->engine;
    struct engine_message m;

    mini_commit(c, 1, 5);
    mini_isolate(c, 3, true);
    mini_commit(c, 1, 5);
    CHECK_EQ(engine_heartbeat(mini_node(c, 2)->engine, 1, &m), STATUS_NOT_LEADER);
    CHECK_EQ(engine_heartbeat(e, 9, &m), STATUS_NOT_FOUND);
    CHECK_EQ(engine_heartbeat(e, 1, &m), STATUS_NOT_FOUND);
    CHECK_OK(engine_heartbeat(e, 3, &m));
    CHECK_EQ(m.kind, MESSAGE_APPEND);
    CHECK_EQ(m.append.n, 0);
    CHECK_EQ(m.append.prev_index, engine_match(e, 3));
    CHECK_EQ(m.append.prev_term, engine_term(e));
    CHECK_EQ(m.append.commit, m.append.prev_index);
    CHECK(m.append.prev_index < engine_commit(e));
    mini_deliver(c, &m);
    CHECK(mini_node(c, 3)->commit <= m.append.prev_index);
    done(c);
}

static void early_ticks_are_ignored_and_time_never_runs_back(void)
{
    struct image i;
    struct rig r;
    uint64_t due;

    image_init(&i, 3, 3, 0);
    rig_new(&r, 1);
    CHECK_OK(engine_start(r.e, 1000, &i.start));
    due = engine_deadline_ms(r.e);
    CHECK(due >= 1500 && due <= 2000);
    CHECK_OK(engine_tick(r.e, due - 1));
    CHECK_EQ(engine_role(r.e), ENGINE_FOLLOWER);
    CHECK_OK(engine_tick(r.e, due));
    CHECK_EQ(engine_role(r.e), ENGINE_CANDIDATE);
    CHECK_EQ(r.first.kind, MESSAGE_VOTE);
    CHECK(r.first.vote.pre_vote);
    CHECK_EQ(r.first.vote.last_index, 4);
    CHECK_EQ(engine_term(r.e), 2); /* asking costs no term */
    CHECK_OK(engine_tick(r.e, 5));
    CHECK(engine_deadline_ms(r.e) > due);
    engine_free(r.e);
    image_deinit(&i);
}

/* F13: a member that no longer gets messages must not keep the leader's timer in the past. */
static void a_demoted_spare_does_not_make_the_leader_spin(void)
{
    struct mini_cluster *c = mini_new(4, 4, SEED);
    struct engine_configuration configuration;
    struct engine *e;
    int ticks = 0;

    mini_up_all(c);
    mini_elect(c, 1);
    mini_commit(c, 1, 3);
    mini_run(c, 200);
    e = mini_node(c, 1)->engine;
    engine_get_configuration(e, &configuration);
    configuration.members[3].role = MEMBER_STANDBY;
    CHECK_OK(mini_change(c, 1, &configuration));
    mini_run(c, 200);
    configuration.members[3].role = MEMBER_SPARE;
    CHECK_OK(mini_change(c, 1, &configuration));
    mini_run(c, 1000);
    CHECK_EQ(mini_leader(c), 1);
    for (uint64_t end = c->time + 1000; c->time < end;) {
        ticks += c->time + 1 >= engine_deadline_ms(e);
        mini_step(c);
    }
    CHECK(ticks <= 45);
    CHECK(ticks >= 10);
    done(c);
}

/* ---- snapshots ---- */

static void a_snapshot_is_taken_once_it_is_covered(void)
{
    struct mini_cluster *c = three(1);
    struct mini_node *node = mini_node(c, 1);
    struct engine_snapshot s;

    mini_commit(c, 1, 20);
    s = (struct engine_snapshot){.index = 20,
                                 .term = engine_term(node->engine),
                                 .configuration_index = 1,
                                 .configuration = mini_entry_at(node, 1)->e.payload};
    s.index = 23;
    CHECK_EQ(engine_snapshot_taken(node->engine, c->time, &s, 4), STATUS_BUSY);
    s.index = 20;
    s.term--;
    CHECK_EQ(engine_snapshot_taken(node->engine, c->time, &s, 4), STATUS_INVALID);
    s.term++;
    s.configuration_index = 0;
    CHECK_EQ(engine_snapshot_taken(node->engine, c->time, &s, 4), STATUS_INVALID);
    s.configuration_index = 1;
    CHECK_OK(engine_snapshot_taken(node->engine, c->time, &s, 4));
    CHECK_EQ(engine_first_index(node->engine), 17);
    CHECK_EQ(engine_snapshot_taken(node->engine, c->time, &s, 4), STATUS_EXISTS);
    s.index = 21;
    CHECK_OK(engine_snapshot_taken(node->engine, c->time, &s, 100)); /* keeps what there is */
    CHECK_EQ(engine_first_index(node->engine), 17);
    CHECK_EQ(engine_last_index(node->engine), 22);
    done(c);
}

static bool tap_install(struct mini_cluster *c, const struct engine_message *m)
{
    if (m->kind == MESSAGE_INSTALL && c->tapped.kind == 0) {
        c->tapped = mini_message_copy(m);
    }
    return false;
}

static void a_follower_too_far_behind_installs_and_goes_on(void)
{
    struct mini_cluster *c = three(1);
    struct mini_node *slow = mini_node(c, 3);
    uint64_t before;

    c->tap = tap_install;
    c->install_max = 1;
    mini_isolate(c, 3, true);
    mini_commit(c, 1, 40);
    CHECK(mini_snapshot(mini_node(c, 1), 3));
    before = slow->commit;
    mini_isolate(c, 3, false);
    for (int i = 0; i < 2000 && !engine_installing(slow->engine); i++) {
        mini_step(c);
    }
    CHECK(engine_installing(slow->engine));
    slow->install_at = c->time + 300; /* takes a while */
    CHECK_EQ(c->tapped.install.last_index, 42);
    CHECK_EQ(c->tapped.install.configuration_index, 1);
    CHECK_EQ(c->tapped.install.configuration, mini_entry_at(mini_node(c, 2), 1)->e.payload);
    CHECK_EQ(slow->install.index, 42);
    mini_run(c, 200);
    CHECK_EQ(engine_commit(slow->engine), before); /* nothing is told meanwhile */
    CHECK_OK(engine_persisted(slow->engine, c->time, 42));
    CHECK_EQ(engine_commit(slow->engine), before);
    mini_commit(c, 1, 3);
    mini_run(c, 3000);
    CHECK_EQ(c->installs, 1);
    CHECK_EQ(slow->applied, 45);
    CHECK_EQ(mini_leader(c), 1);
    done(c);
}

/* ---- configurations ---- */

static void a_configuration_is_written_as_libraft_does(void)
{
    static const int roles[] = {
        [MEMBER_SPARE] = RAFT_SPARE, [MEMBER_STANDBY] = RAFT_STANDBY, [MEMBER_VOTER] = RAFT_VOTER};
    struct engine_configuration c = {.n = MEMBERS_MAX}, again;
    struct raft_configuration theirs, read;
    struct raft_buffer buffer;
    struct block *b;
    char name[64];

    raft_configuration_init(&theirs);
    for (uint32_t i = 0; i < c.n; i++) {
        c.members[i] = (struct engine_member){.replica = UINT64_MAX - i * i,
                                              .node = i < 8 ? i : UINT32_MAX - i,
                                              .role = (enum engine_member_role)(i % 3)};
        snprintf(name, sizeof(name), "n%u.%016llx", c.members[i].node,
                 (unsigned long long)c.members[i].replica);
        CHECK_OK(raft_configuration_add(&theirs, c.members[i].replica, name, roles[i % 3]));
        struct engine_configuration part = c;
        part.n = i + 1;
        CHECK_OK(engine_configuration_encode(&part, &b));
        CHECK_OK(raft_configuration_encode(&theirs, &buffer));
        CHECK_EQ(buffer.len, b->size);
        CHECK_MEM_EQ(buffer.base, b->data, b->size);
        raft_free(buffer.base);
        CHECK_OK(engine_configuration_decode((struct bytes){b->data, b->size}, &again));
        CHECK_EQ(again.n, part.n);
        for (uint32_t k = 0; k < again.n; k++) {
            CHECK_EQ(again.members[k].replica, part.members[k].replica);
            CHECK_EQ(again.members[k].node, part.members[k].node);
            CHECK_EQ(again.members[k].role, part.members[k].role);
        }
        buffer = (struct raft_buffer){.base = b->data, .len = b->size};
        CHECK_OK(raft_configuration_decode(&buffer, &read));
        raft_configuration_close(&read);
        block_unref(b);
    }
    raft_configuration_close(&theirs);
    c.members[3].replica = c.members[5].replica;
    CHECK_EQ(engine_configuration_encode(&c, &b), STATUS_INVALID);
    c.n = 0;
    CHECK_EQ(engine_configuration_encode(&c, &b), STATUS_INVALID);
    c.n = MEMBERS_MAX + 1;
    CHECK_EQ(engine_configuration_encode(&c, &b), STATUS_INVALID);
}

static void what_is_no_configuration_is_malformed(void)
{
    struct block *good = mini_configuration(ids, 5);
    struct engine_configuration c;
    uint8_t *copy = malloc(good->size); /* exactly, for the sanitizer */
    struct random r;
    int accepted = 0;

    random_init_seed(&r, check_seed());
    for (size_t size = 0; size < good->size; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, good->data, size);
        CHECK_EQ(engine_configuration_decode((struct bytes){cut, size}, &c), STATUS_MALFORMED);
        free(cut);
    }
    for (int i = 0; i < 200000; i++) {
        memcpy(copy, good->data, good->size);
        for (uint64_t n = 1 + random_below(&r, 3); n > 0; n--) {
            copy[random_below(&r, good->size)] = (uint8_t)random_u64(&r);
        }
        if (engine_configuration_decode((struct bytes){copy, good->size}, &c) == OK) {
            struct block *again;
            accepted++;
            CHECK_OK(engine_configuration_encode(&c, &again)); /* one spelling each */
            CHECK_EQ(again->size, good->size);
            CHECK_MEM_EQ(again->data, copy, good->size);
            block_unref(again);
        }
    }
    CHECK(accepted > 0);
    free(copy);
    block_unref(good);
}

CHECK_MAIN
{
    RUN(U2_after_start_the_commit_index_is_the_snapshot_or_1);
    RUN(a_blank_node_starts_with_nothing);
    RUN(W6_a_log_that_does_not_reach_its_snapshot_is_refused);
    RUN(a_log_that_makes_no_sense_is_refused);
    RUN(options_that_make_no_sense_are_refused);
    RUN(a_single_voter_leads_with_a_new_term_at_each_start);
    RUN(the_last_voter_takes_over_with_a_new_term);
    RUN(three_nodes_elect_one_leader_and_commit_what_it_is_given);
    RUN(submit_says_why_not);
    RUN(a_submit_is_one_update_with_the_callers_own_array);
    RUN(a_transfer_hands_over_or_fails_in_silence);
    RUN(U21_a_follower_forgets_its_leader_and_asks_for_votes_at_once);
    RUN(a_leader_without_a_majority_steps_down);
    RUN(foreign_and_hostile_messages_change_nothing);
    RUN(a_vote_that_was_never_asked_for_is_refused);
    RUN(an_injected_heartbeat_names_what_the_peer_has);
    RUN(early_ticks_are_ignored_and_time_never_runs_back);
    RUN(a_demoted_spare_does_not_make_the_leader_spin);
    RUN(a_snapshot_is_taken_once_it_is_covered);
    RUN(a_follower_too_far_behind_installs_and_goes_on);
    RUN(a_configuration_is_written_as_libraft_does);
    RUN(what_is_no_configuration_is_malformed);
}
