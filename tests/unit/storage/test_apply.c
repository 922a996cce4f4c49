/* Commands other than reports: users, leases, dictionary, sessions, ticks, limits. */
#include "storage/apply.h"
#include "tests/unit/storage/store_rig.h"

static Mq__Command founding_of(Mq__Founding *f, Mq__FoundingShard *shards,
                               Mq__FoundingShard **shard_list, Mq__FoundingNode *node,
                               Mq__FoundingNode **node_list, uint8_t *id)
{
    Mq__Command c = MQ__COMMAND__INIT;
    mq__founding__init(f);
    mq__founding_node__init(node);
    node->node = 1;
    node_list[0] = node;
    for (uint32_t i = 0; i < 2; i++) {
        mq__founding_shard__init(&shards[i]);
        shards[i].shard = i;
        shard_list[i] = &shards[i];
    }
    f->cluster_id = (ProtobufCBinaryData){16, id};
    f->founding_id = (ProtobufCBinaryData){16, id};
    f->n_nodes = 1;
    f->nodes = node_list;
    f->n_shards = 2;
    f->shards = shard_list;
    c.body_case = MQ__COMMAND__BODY_FOUNDING;
    c.founding = f;
    return c;
}

static enum status assign(struct rig *r, const char *user, uint32_t shard, uint32_t flags)
{
    char name[64];
    snprintf(name, sizeof(name), "%s", user);
    RIG_COMMAND(c, USER_ASSIGN, user_assign, Mq__UserAssign, MQ__USER_ASSIGN__INIT);
    c_user_assign.user = name;
    c_user_assign.shard = shard;
    c_user_assign.flags = flags;
    return rig_run(r, &c);
}

static void the_directory_is_founded_once_and_assigns_users_to_its_shards(void)
{
    struct rig r;
    Mq__Founding f;
    Mq__FoundingShard shards[2];
    Mq__FoundingShard *shard_list[2];
    Mq__FoundingNode node;
    Mq__FoundingNode *node_list[1];
    uint8_t id[16] = {1};
    enum status s;
    rig_open(&r, SHARD_DIRECTORY);
    CHECK_EQ(assign(&r, "ada", 1, 0), STATUS_NOT_FOUND);
    Mq__Command c = founding_of(&f, shards, shard_list, &node, node_list, id);
    CHECK_OK(rig_run(&r, &c));
    CHECK_OK(rig_run(&r, &c));
    id[0] = 2;
    CHECK_EQ(rig_run(&r, &c), STATUS_EXISTS);
    CHECK_EQ(assign(&r, "ada", 9, 0), STATUS_NOT_FOUND);
    CHECK_OK(assign(&r, "ada", 1, 0));
    CHECK_EQ(assign(&r, "ada", 0, 0), STATUS_CONFLICT);
    CHECK_EQ(r.result->user->shard, 1);
    CHECK_OK(assign(&r, "ada", 1, 1));
    CHECK_OK(assign(&r, "bob", 1, 0));
    CHECK_EQ(assign(&r, "", 1, 0), STATUS_INVALID);
    char after[] = "ada";
    RIG_QUERY(q, USERS, users, Mq__QueryUsers, MQ__QUERY_USERS__INIT);
    q_users.limit = 1;
    Mq__QueryResult *result = rig_query(&r, &q, &s);
    CHECK_EQ(result->n_users, 1);
    CHECK(result->more);
    CHECK_STR_EQ(result->users[0]->name, "ada");
    CHECK(result->users[0]->owner_applied);
    mq__query_result__free_unpacked(result, NULL);
    q_users.after = after;
    result = rig_query(&r, &q, &s);
    CHECK_EQ(result->n_users, 1);
    CHECK(!result->more);
    CHECK_STR_EQ(result->users[0]->name, "bob");
    CHECK(!result->users[0]->owner_applied);
    mq__query_result__free_unpacked(result, NULL);
    RIG_QUERY(qf, FOUNDING, founding, Mq__QueryFounding, MQ__QUERY_FOUNDING__INIT);
    result = rig_query(&r, &qf, &s);
    CHECK_OK(s);
    CHECK_EQ(result->founding->n_shards, 2);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_user_of_another_shard_is_refused_as_moved(void)
{
    struct rig r;
    rig_open(&r, 1);
    CHECK_EQ(rig_set(&r, "ada", "k", "v"), STATUS_MOVED);
    CHECK_EQ(rig_lease(&r, "ada", "s", "h", 5000), STATUS_MOVED);
    CHECK_EQ(report_run(&r, report_new(&r, "ada", "s", 1, 0, 1)), STATUS_MOVED);
    CHECK_EQ(assign(&r, "ada", 1, 0), STATUS_INVALID);
    CHECK_OK(rig_owner(&r, "ada"));
    CHECK_OK(rig_set(&r, "ada", "k", "v"));
    CHECK_EQ(rig_set(&r, "eve", "k", "v"), STATUS_MOVED);
    CHECK_OK(rig_set(&r, "", "k", "shared"));
    rig_close(&r);
}

static enum status renew(struct rig *r, const char *user, const char *store, struct token t)
{
    char text[2][64];
    snprintf(text[0], sizeof(text[0]), "%s", user);
    snprintf(text[1], sizeof(text[1]), "%s", store);
    Mq__Token token = MQ__TOKEN__INIT;
    token.epoch = t.epoch;
    token.position = t.position;
    RIG_COMMAND(c, LEASE_RENEW, lease_renew, Mq__LeaseRenew, MQ__LEASE_RENEW__INIT);
    c_lease_renew.user = text[0];
    c_lease_renew.store = text[1];
    c_lease_renew.token = &token;
    c_lease_renew.ttl_ms = 5000;
    return rig_run(r, &c);
}

static enum status release(struct rig *r, const char *user, const char *store, struct token t)
{
    char text[2][64];
    snprintf(text[0], sizeof(text[0]), "%s", user);
    snprintf(text[1], sizeof(text[1]), "%s", store);
    Mq__Token token = MQ__TOKEN__INIT;
    token.epoch = t.epoch;
    token.position = t.position;
    RIG_COMMAND(c, LEASE_RELEASE, lease_release, Mq__LeaseRelease, MQ__LEASE_RELEASE__INIT);
    c_lease_release.user = text[0];
    c_lease_release.store = text[1];
    c_lease_release.token = &token;
    return rig_run(r, &c);
}

static void one_holder_has_the_lease_and_a_stale_token_is_refused(void)
{
    struct rig r;
    rig_open(&r, 1);
    CHECK_OK(rig_owner(&r, "ada"));
    CHECK_OK(rig_lease(&r, "ada", "s", "one", 5000));
    struct token first = r.lease;
    CHECK_EQ(first.position, token_position(r.index, 0));
    CHECK_EQ(rig_lease(&r, "ada", "s", "two", 5000), STATUS_CONFLICT);
    CHECK_STR_EQ(r.result->lease->holder, "one");
    CHECK_OK(rig_lease(&r, "ada", "other", "two", 5000));
    CHECK_OK(renew(&r, "ada", "s", first));
    r.time_ms += 4999;
    CHECK_OK(renew(&r, "ada", "s", first));
    r.time_ms += 5000; /* the moment it is over, tick or not */
    CHECK_EQ(renew(&r, "ada", "s", first), STATUS_STALE_TOKEN);
    CHECK_OK(rig_lease(&r, "ada", "s", "two", 5000));
    struct token second = r.lease;
    CHECK(second.position > first.position);
    CHECK_EQ(renew(&r, "ada", "s", first), STATUS_STALE_TOKEN);
    CHECK_EQ(release(&r, "ada", "s", first), STATUS_STALE_TOKEN);
    CHECK_EQ(report_run(&r, ({
                 r.lease = first;
                 report_new(&r, "ada", "s", 1, 0, 1);
             })),
             STATUS_STALE_TOKEN);
    CHECK_OK(release(&r, "ada", "s", second));
    CHECK_EQ(renew(&r, "ada", "s", second), STATUS_STALE_TOKEN);
    CHECK_OK(rig_lease(&r, "ada", "s", "one", 1));
    rig_check_digest(&r);
    rig_close(&r);
}

static void leases_and_entries_fall_due_by_tick(void)
{
    struct rig r;
    struct store_due due;
    enum status s;
    rig_open(&r, 1);
    CHECK_OK(rig_owner(&r, "ada"));
    CHECK_OK(rig_lease(&r, "ada", "s", "one", 5000));
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__SET, "ada", "k", "v", 0, false, 3000));
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.time_ms, r.time_ms);
    CHECK_EQ(due.due_ms, r.time_ms + 3000);
    r.time_ms += 2999;
    CHECK_OK(rig_tick(&r));
    Mq__QueryResult *result = rig_dict(&r, "ada", "k", false, &s);
    CHECK_OK(s);
    mq__query_result__free_unpacked(result, NULL);
    r.time_ms += 1;
    CHECK_OK(
        rig_set(&r, "ada", "else", "x")); /* moves the time, no tick yet: absent all the same */
    result = rig_dict(&r, "ada", "k", false, &s);
    CHECK_EQ(s, STATUS_NOT_FOUND);
    mq__query_result__free_unpacked(result, NULL);
    CHECK_EQ(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "ada", "k", NULL, 1, false, 0),
             STATUS_CONFLICT);
    CHECK_OK(rig_tick(&r));
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, 1000000 + 5000);
    r.time_ms += 2000;
    CHECK_OK(rig_tick(&r));
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, 0);
    rig_check_digest(&r);
    rig_close(&r);
}

static void time_never_goes_back(void)
{
    struct rig r;
    struct store_due due;
    rig_open(&r, 1);
    r.time_ms = 5000;
    CHECK_OK(rig_set(&r, "", "a", "1"));
    r.time_ms = 4000;
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__SET, "", "b", "1", 0, false, 100));
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.time_ms, 5000);
    CHECK_EQ(due.due_ms, 5100);
    rig_close(&r);
}

static void a_transaction_is_all_or_nothing(void)
{
    struct rig r;
    enum status s;
    char space[] = "test";
    char user[] = "";
    uint8_t key[2][2] = {"a", "b"};
    uint8_t value[] = "7";
    Mq__DictOp op[3] = {MQ__DICT_OP__INIT, MQ__DICT_OP__INIT, MQ__DICT_OP__INIT};
    Mq__DictOp *ops[3] = {&op[0], &op[1], &op[2]};
    rig_open(&r, 1);
    for (int i = 0; i < 3; i++) {
        op[i].namespace_ = space;
        op[i].user = user;
        op[i].key = (ProtobufCBinaryData){1, key[i == 1]};
        op[i].value = (ProtobufCBinaryData){1, value};
    }
    op[1].kind = MQ__DICT_OP__KIND__INCREMENT;
    op[2].kind = MQ__DICT_OP__KIND__INCREMENT;
    op[1].delta = 1;
    op[2].delta = 5;
    RIG_COMMAND(c, DICT, dict, Mq__DictTransaction, MQ__DICT_TRANSACTION__INIT);
    c_dict.n_ops = 3;
    c_dict.ops = ops;
    CHECK_EQ(rig_run(&r, &c), STATUS_CONFLICT); /* b is missing, so a is not set either */
    Mq__QueryResult *result = rig_dict(&r, "", "a", false, &s);
    CHECK_EQ(s, STATUS_NOT_FOUND);
    mq__query_result__free_unpacked(result, NULL);
    op[1].create = true;
    CHECK_OK(rig_run(&r, &c));
    CHECK_EQ(r.result->dict->n_values, 2);
    CHECK_EQ(r.result->dict->values[0], 1);
    CHECK_EQ(r.result->dict->values[1], 12); /* sees the set before it */
    result = rig_dict(&r, "", "a", false, &s);
    CHECK_OK(s);
    CHECK_EQ(result->dict[0]->value.len, 2);
    CHECK_MEM_EQ(result->dict[0]->value.data, "12", 2);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void increments_keep_to_numbers(void)
{
    struct rig r;
    rig_open(&r, 1);
    CHECK_OK(rig_set(&r, "", "k", "abc"));
    CHECK_EQ(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "k", NULL, 1, true, 0),
             STATUS_CONFLICT);
    CHECK_OK(rig_set(&r, "", "k", "9223372036854775806"));
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "k", NULL, 1, false, 0));
    CHECK_EQ(r.result->dict->values[0], INT64_MAX);
    CHECK_EQ(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "k", NULL, 1, false, 0),
             STATUS_CONFLICT);
    CHECK_OK(rig_set(&r, "", "k", "-5"));
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "k", NULL, -7, false, 0));
    CHECK_EQ(r.result->dict->values[0], -12);
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__UNSET, "", "k", NULL, 0, false, 0));
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__UNSET, "", "k", NULL, 0, false, 0));
    CHECK_EQ(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "k", NULL, 1, false, 0),
             STATUS_CONFLICT);
    rig_check_digest(&r);
    rig_close(&r);
}

static void long_keys_end_in_their_hash_and_are_listed_whole(void)
{
    struct rig r;
    enum status s;
    char key[3][4097];
    rig_open(&r, 1);
    for (int i = 0; i < 3; i++) {
        memset(key[i], 'x', 4096);
        key[i][4096] = 0;
        key[i][4095] = (char)('a' + i);
        CHECK_OK(rig_set(&r, "", key[i], "v"));
    }
    CHECK_OK(rig_set(&r, "", "short", "v"));
    Mq__QueryResult *result = rig_dict(&r, "", "x", true, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_dict, 3);
    CHECK_EQ(result->dict[0]->key.len, 4096);
    mq__query_result__free_unpacked(result, NULL);
    result = rig_dict(&r, "", key[1], false, &s);
    CHECK_OK(s);
    mq__query_result__free_unpacked(result, NULL);
    key[0][4000] = 0;
    result = rig_dict(&r, "", key[0], true, &s);
    CHECK_EQ(result->n_dict, 3);
    mq__query_result__free_unpacked(result, NULL);
    CHECK_OK(rig_dict_op(&r, MQ__DICT_OP__KIND__UNSET, "", key[2], NULL, 0, false, 0));
    result = rig_dict(&r, "", "x", true, &s);
    CHECK_EQ(result->n_dict, 2);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void what_is_over_a_limit_is_refused_by_name(void)
{
    struct rig r;
    static char big[70000];
    char name[300];
    rig_open(&r, 1);
    memset(big, 'v', sizeof(big) - 1);
    CHECK_EQ(rig_set(&r, "", "k", big), STATUS_TOO_BIG);
    big[65536] = 0;
    CHECK_OK(rig_set(&r, "", "k", big));
    big[4097] = 0;
    CHECK_EQ(rig_set(&r, "", big, "v"), STATUS_TOO_BIG);
    memset(name, 'u', sizeof(name));
    name[256] = 0;
    CHECK_EQ(rig_owner(&r, name), STATUS_INVALID);
    name[255] = 0;
    CHECK_OK(rig_owner(&r, name));
    CHECK_EQ(rig_owner(&r, "bad\nname"), STATUS_INVALID);
    CHECK_EQ(rig_owner(&r, "bad\xff"), STATUS_INVALID);
    CHECK_OK(rig_owner(&r, "g\xc3\xb6ran"));
    rig_check_digest(&r);
    rig_close(&r);
}

static void poison_is_refused_and_changes_nothing_else(void)
{
    struct rig r;
    struct batch_builder b;
    struct block *block;
    struct batch_header h = {.shard = 1, .level = 1, .epoch = {1, 77, 0}, .time_ms = 5};
    uint8_t garbage[] = {0xff, 0xff, 0xff, 0x01};
    struct batch_item item = {.command = {garbage, sizeof(garbage)}};
    rig_open(&r, 1);
    batch_builder_init(&b);
    CHECK_OK(batch_builder_add(&b, &item));
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    batch_builder_deinit(&b);
    CHECK_OK(rig_apply_block(&r, block));
    CHECK_EQ(r.status, STATUS_MALFORMED);
    CHECK_OK(rig_apply_block(&r, block_copy("no batch at all", 15)));
    struct store_entry barrier = {++r.index, 2, NULL};
    CHECK_OK(store_apply(r.store, &barrier, 1, NULL, NULL));
    CHECK_EQ(store_position(r.store).index, 3);
    CHECK_EQ(store_position(r.store).term, 2);
    RIG_COMMAND(empty, TICK, tick, Mq__Tick, MQ__TICK__INIT);
    empty.body_case = MQ__COMMAND__BODY__NOT_SET;
    (void)empty_tick;
    CHECK_EQ(rig_run(&r, &empty), STATUS_MALFORMED);
    rig_check_digest(&r);
    rig_close(&r);
}

/* ---- sessions ---- */

static void session(struct rig *r)
{
    RIG_COMMAND(c, SESSION_OPEN, session_open, Mq__SessionOpen, MQ__SESSION_OPEN__INIT);
    CHECK_OK(rig_run(r, &c));
    r->session =
        (struct token){r->result->session->session->epoch, r->result->session->session->position};
}

static enum status increment(struct rig *r, uint64_t sequence)
{
    r->sequence = sequence;
    return rig_dict_op(r, MQ__DICT_OP__KIND__INCREMENT, "", "n", NULL, 1, true, 0);
}

static void a_retry_gets_the_first_answer(void)
{
    struct rig r;
    rig_open(&r, 1);
    session(&r);
    CHECK_OK(increment(&r, 1));
    CHECK_EQ(r.result->dict->values[0], 1);
    CHECK_OK(increment(&r, 1));
    CHECK_EQ(r.result->dict->values[0], 1);
    CHECK_OK(increment(&r, 2));
    CHECK_EQ(r.result->dict->values[0], 2);
    CHECK_OK(increment(&r, 1));
    CHECK_EQ(r.result->dict->values[0], 1);
    /* A refusal is an answer too. */
    r.sequence = 3;
    CHECK_EQ(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "absent", NULL, 1, false, 0),
             STATUS_CONFLICT);
    struct token kept = r.session;
    r.session = (struct token){0, 0};
    CHECK_OK(rig_set(&r, "", "absent", "1"));
    r.session = kept;
    CHECK_EQ(rig_dict_op(&r, MQ__DICT_OP__KIND__INCREMENT, "", "absent", NULL, 1, false, 0),
             STATUS_CONFLICT);
    CHECK(r.result != NULL && r.result->text[0] != 0);
    rig_checkpoint(&r);
    rig_restart(&r);
    CHECK_OK(increment(&r, 2));
    CHECK_EQ(r.result->dict->values[0], 2);
    rig_check_digest(&r);
    rig_close(&r);
}

static void below_the_window_a_sequence_is_old(void)
{
    struct rig r;
    rig_open(&r, 1);
    session(&r);
    CHECK_OK(increment(&r, 1));
    for (uint64_t i = 2; i <= 64; i++) {
        CHECK_OK(increment(&r, i));
    }
    CHECK_OK(increment(&r, 1)); /* the last moment */
    CHECK_EQ(r.result->dict->values[0], 1);
    CHECK_OK(increment(&r, 65));
    CHECK_EQ(increment(&r, 1), STATUS_OLD);
    CHECK_OK(increment(&r, 2));
    CHECK_EQ(r.result->dict->values[0], 2);
    CHECK_OK(increment(&r, 300));
    CHECK_EQ(increment(&r, 236), STATUS_OLD);
    CHECK_OK(increment(&r, 237)); /* never seen, inside the window */
    CHECK_EQ(r.result->dict->values[0], 67);
    CHECK_EQ(increment(&r, 0), STATUS_INVALID);
    rig_check_digest(&r);
    rig_close(&r);
}

static enum status close_session(struct rig *r)
{
    Mq__Token t = MQ__TOKEN__INIT;
    RIG_COMMAND(c, SESSION_CLOSE, session_close, Mq__SessionClose, MQ__SESSION_CLOSE__INIT);
    t.epoch = r->session.epoch;
    t.position = r->session.position;
    c_session_close.session = &t;
    struct token kept = r->session;
    r->session = (struct token){0, 0};
    enum status s = rig_run(r, &c);
    r->session = kept;
    return s;
}

static void a_session_ends_an_hour_after_its_last_command(void)
{
    struct rig r;
    struct store_due due;
    rig_open(&r, 1);
    session(&r);
    r.time_ms += 1800 * 1000;
    CHECK_OK(increment(&r, 1));
    r.time_ms += 1800 * 1000;
    struct token kept = r.session;
    r.session = (struct token){0, 0};
    CHECK_OK(rig_tick(&r)); /* it was used meanwhile: due later */
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, 1000000 + 1800 * 1000 + 3600 * 1000);
    r.session = kept;
    CHECK_OK(increment(&r, 2));
    r.time_ms += 3600 * 1000;
    CHECK_EQ(increment(&r, 3), STATUS_NO_SESSION);
    r.session = (struct token){0, 0};
    CHECK_OK(rig_tick(&r));
    CHECK_OK(rig_tick(&r));
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, 0);
    session(&r);
    CHECK_OK(increment(&r, 1));
    CHECK_OK(close_session(&r));
    CHECK_EQ(close_session(&r), STATUS_NO_SESSION);
    CHECK_EQ(increment(&r, 2), STATUS_NO_SESSION);
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, 0);
    r.session.epoch = 2;
    CHECK_EQ(increment(&r, 2), STATUS_NO_SESSION);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_shard_has_a_stated_number_of_sessions(void)
{
    struct rig r;
    Mq__Command *list[4000];
    uint32_t opened = 0;
    rig_open(&r, 1);
    RIG_COMMAND(c, SESSION_OPEN, session_open, Mq__SessionOpen, MQ__SESSION_OPEN__INIT);
    for (size_t i = 0; i < 1000; i++) {
        list[i] = &c;
    }
    while (opened < 65536) {
        uint32_t n = 65536 - opened < 1000 ? 65536 - opened : 1000;
        CHECK_OK(rig_apply_block(&r, rig_batch(&r, list, n)));
        CHECK_OK(r.status);
        opened += n;
        rig_commit(&r);
    }
    CHECK_EQ(rig_run(&r, &c), STATUS_FULL);
    r.time_ms += 3600 * 1000;
    uint32_t ticks = 0;
    struct store_due due;
    do {
        CHECK_OK(rig_tick(&r));
        CHECK_OK(store_commit(r.store, &due));
        ticks++;
    } while (due.due_ms != 0 && due.due_ms <= due.time_ms);
    CHECK(ticks > 65536 / 100); /* each of them bounded */
    CHECK_OK(rig_run(&r, &c));
    rig_check_digest(&r);
    rig_close(&r);
}

/* ---- what a command may unfold to ---- */

/* A page as large as it may be, of messages with as many keywords as they may have: more than 16 MiB were taken for them once, and
 * NO_MEMORY is the end of every replica's environment. */
static void a_full_page_of_messages_with_all_their_keywords_is_applied(void)
{
    struct rig r;
    enum status s;
    static char words[KEYWORDS_MAX][8];
    static char *keywords[KEYWORDS_MAX];
    rig_open(&r, 1);
    CHECK_OK(rig_owner(&r, "ada"));
    CHECK_OK(rig_lease(&r, "ada", "s", "feed", 600000));
    for (unsigned i = 0; i < KEYWORDS_MAX; i++) {
        snprintf(words[i], sizeof(words[i]), "k%02u", i);
        keywords[i] = words[i];
    }
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    for (uint32_t uid = 1; uid <= REPORT_MESSAGES_MAX; uid++) {
        report_message(p, uid, 0, uid);
        p->messages[uid - 1].n_keywords = KEYWORDS_MAX;
        p->messages[uid - 1].keywords = keywords;
    }
    CHECK_OK(report_run(&r, p));
    Mq__QueryResult *result = rig_messages(&r, "ada", 1, REPORT_MESSAGES_MAX - 1, 10, &s);
    CHECK_EQ(result->n_messages, 1);
    CHECK_EQ(result->messages[0]->message->n_keywords, KEYWORDS_MAX);
    CHECK_STR_EQ(result->messages[0]->message->keywords[KEYWORDS_MAX - 1], "k63");
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

/* The encoded command so many times after an empty one of its kind, which unfolds to 48 bytes of memory each: no field is unknown. */
static struct block *behind_empty_ones(const struct rig *r, Mq__Command *c, uint8_t tag, size_t n)
{
    struct batch_builder b;
    struct block *block;
    struct batch_header h = {.shard = r->options.shard, .level = 1, .epoch = {1, 77, 0}};
    size_t size = mq__command__get_packed_size(c);
    uint8_t *bytes = calloc(1, 2 * n + size);
    CHECK(bytes != NULL && 2 * n + size <= COMMAND_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        bytes[2 * i] = tag;
    }
    mq__command__pack(c, bytes + 2 * n);
    struct batch_item item = {.command = {bytes, 2 * n + size}};
    batch_builder_init(&b);
    h.time_ms = r->time_ms;
    CHECK_OK(batch_builder_add(&b, &item));
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    batch_builder_deinit(&b);
    free(bytes);
    return block;
}

/* It may leave its handler next to nothing of the 16 MiB; the handler's own memory comes on top, for NO_MEMORY would stop every
 * replica. Which number of empty ones is the last that decodes depends on the library: it is searched. */
static void a_command_that_unfolds_to_nearly_the_limit_stops_no_replica(void)
{
    struct rig r;
    char space[] = "test";
    uint8_t key[] = "k";
    unsigned ok = 0, malformed = 0;
    Mq__DictOp op = MQ__DICT_OP__INIT;
    Mq__DictOp *ops[1] = {&op};
    op.namespace_ = space;
    op.key = (ProtobufCBinaryData){1, key};
    RIG_COMMAND(c, DICT, dict, Mq__DictTransaction, MQ__DICT_TRANSACTION__INIT);
    c_dict.ops = ops;
    c_dict.n_ops = 1;
    rig_open(&r, 1);
    size_t fits = 1, over = COMMAND_BYTES_MAX / 2 - 100;
    while (over - fits > 1) {
        size_t n = fits + (over - fits) / 2;
        CHECK_OK(rig_apply_block(&r, behind_empty_ones(&r, &c, 8 << 3 | 2, n)));
        CHECK(r.status == OK || r.status == STATUS_MALFORMED);
        *(r.status == OK ? &fits : &over) = n;
        ok += r.status == OK;
        malformed += r.status != OK;
    }
    CHECK(ok > 0 && malformed > 0);
    rig_check_digest(&r);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(the_directory_is_founded_once_and_assigns_users_to_its_shards);
    RUN(a_user_of_another_shard_is_refused_as_moved);
    RUN(one_holder_has_the_lease_and_a_stale_token_is_refused);
    RUN(leases_and_entries_fall_due_by_tick);
    RUN(time_never_goes_back);
    RUN(a_transaction_is_all_or_nothing);
    RUN(increments_keep_to_numbers);
    RUN(long_keys_end_in_their_hash_and_are_listed_whole);
    RUN(what_is_over_a_limit_is_refused_by_name);
    RUN(poison_is_refused_and_changes_nothing_else);
    RUN(a_retry_gets_the_first_answer);
    RUN(below_the_window_a_sequence_is_old);
    RUN(a_session_ends_an_hour_after_its_last_command);
    RUN(a_shard_has_a_stated_number_of_sessions);
    RUN(a_full_page_of_messages_with_all_their_keywords_is_applied);
    RUN(a_command_that_unfolds_to_nearly_the_limit_stops_no_replica);
}
