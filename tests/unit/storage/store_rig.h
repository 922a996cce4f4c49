/* One store in a directory of its own, with commands made in a line each. Shared by the tests of storage/ and the bench.
 *
 *     struct rig r; rig_open(&r, 1);  rig_owner(&r, "ada");  CHECK_OK(rig_run(&r, &c));  rig_close(&r);
 *
 * The log is kept (blocks), so that another store can be fed the same entries in other batches. */
#ifndef MQ_TESTS_STORE_RIG_H
#define MQ_TESTS_STORE_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/random.h"
#include "proto/api.pb-c.h"
#include "proto/batch.h"
#include "proto/command.pb-c.h"
#include "storage/checkpoint.h"
#include "storage/copy.h"
#include "storage/query.h"
#include "storage/store.h"
#include "tests/lib/check.h"

#define RIG_MAP_BYTES (1ull << 30)

struct rig {
    char root[256];
    char directory[512];
    struct uuid environment;
    struct store_options options;
    struct store *store;
    uint64_t index;
    uint64_t time_ms;
    struct token session; /* used for the next commands while position != 0 */
    uint64_t sequence;
    struct block **log; /* entry i has index i + 1 */
    size_t log_size;
    size_t log_capacity;
    /* the last answer */
    enum status status;
    Mq__Result *result;
    struct token lease;       /* of the last acquire */
    struct token queue_lease; /* queue_rig.h */
    uint64_t queue_sweep_ms, queue_after_ms;
    uint32_t answers;
};

__attribute__((unused)) static void rig_environment(struct rig *r, uint8_t tag)
{
    char name[UUID_TEXT_SIZE];
    memset(&r->environment, tag, sizeof(r->environment));
    uuid_format(&r->environment, name);
    snprintf(r->directory, sizeof(r->directory), "%s/shards/%u/%s", r->root, r->options.shard,
             name);
    r->options.directory = r->directory;
}

__attribute__((unused)) static void rig_start(struct rig *r)
{
    struct checkpoint_descriptor d;
    struct error e = {0};
    enum status s = store_open(&r->options, &r->environment, &r->store, &d, &e);
    if (s != OK) {
        printf("%s\n", e.text);
    }
    CHECK_OK(s);
    r->index = d.index;
    checkpoint_descriptor_deinit(&d);
}

__attribute__((unused)) static void rig_open(struct rig *r, shard_id shard)
{
    struct epoch epoch = {1, 77, 0};
    memset(r, 0, sizeof(*r));
    const char *tmp = getenv("TMPDIR");
    snprintf(r->root, sizeof(r->root), "%s/mq-storage-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(r->root) != NULL);
    r->options = (struct store_options){
        .disk = &disk_posix, .shard = shard, .map_bytes = RIG_MAP_BYTES, .reserve_bytes = 1 << 20};
    r->time_ms = 1000000;
    rig_environment(r, 1);
    CHECK_OK(store_create(&r->options, &r->environment, &epoch, NULL));
    rig_start(r);
}

__attribute__((unused)) static void rig_forget_answer(struct rig *r)
{
    if (r->result != NULL) {
        mq__result__free_unpacked(r->result, NULL);
        r->result = NULL;
    }
}

__attribute__((unused)) static void rig_remove(struct rig *r)
{
    char command[600];
    snprintf(command, sizeof(command), "%s/shards/%u", r->root, r->options.shard);
    for (unsigned tag = 1; tag < 9; tag++) {
        rig_environment(r, (uint8_t)tag);
        install_remove(&disk_posix, r->directory);
    }
    rmdir(command);
    snprintf(command, sizeof(command), "%s/shards", r->root);
    rmdir(command);
    rmdir(r->root);
}

__attribute__((unused)) static void rig_close(struct rig *r)
{
    rig_forget_answer(r);
    store_close(r->store);
    for (size_t i = 0; i < r->log_size; i++) {
        block_unref(r->log[i]);
    }
    free(r->log);
    rig_remove(r);
}

__attribute__((unused)) static void rig_on_answer(void *arg, uint64_t index, uint32_t ordinal,
                                                  enum status s, struct block *payload)
{
    struct rig *r = arg;
    (void)index;
    (void)ordinal;
    rig_forget_answer(r);
    r->status = s;
    r->answers++;
    if (payload != NULL) {
        r->result = mq__result__unpack(NULL, payload->size, payload->data);
        CHECK(r->result != NULL);
    }
    block_unref(payload);
}

__attribute__((unused)) static struct block *rig_batch(struct rig *r, Mq__Command **commands,
                                                       uint32_t n)
{
    struct batch_builder b;
    struct block *block;
    struct batch_header h = {
        .shard = r->options.shard, .level = 1, .epoch = {1, 77, 0}, .time_ms = r->time_ms};
    batch_builder_init(&b);
    for (uint32_t i = 0; i < n; i++) {
        size_t size = mq__command__get_packed_size(commands[i]);
        uint8_t *bytes = malloc(size + 1);
        mq__command__pack(commands[i], bytes);
        struct batch_item item = {.command = {bytes, size}};
        if (r->session.position != 0) {
            item.session = r->session;
            item.sequence = r->sequence;
        }
        CHECK_OK(batch_builder_add(&b, &item));
        free(bytes);
    }
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    batch_builder_deinit(&b);
    return block;
}

/* Takes the block. */
__attribute__((unused)) static enum status rig_apply_block(struct rig *r, struct block *block)
{
    struct store_entry e = {r->index + 1, 1, block};
    struct store_sink sink = {rig_on_answer, r};
    enum status s = store_apply(r->store, &e, 1, &sink, NULL);
    if (s != OK) {
        block_unref(block);
        return s;
    }
    r->index++;
    if (r->log_size == r->log_capacity) {
        r->log_capacity = r->log_capacity * 2 + 64;
        r->log = realloc(r->log, r->log_capacity * sizeof(struct block *));
    }
    r->log[r->log_size++] = block;
    return OK;
}

/* The command's own status. */
__attribute__((unused)) static enum status rig_run(struct rig *r, Mq__Command *c)
{
    rig_forget_answer(r);
    r->status = STATUS_INTERNAL;
    CHECK_OK(rig_apply_block(r, rig_batch(r, &c, 1)));
    return r->status;
}

__attribute__((unused)) static void rig_commit(struct rig *r)
{
    CHECK_OK(store_commit(r->store, NULL));
}

__attribute__((unused)) static void rig_checkpoint(struct rig *r)
{
    struct checkpoint *c;
    struct checkpoint_descriptor d;
    struct block *configuration = block_copy("conf", 4);
    CHECK_OK(checkpoint_begin(r->store, configuration, 1, &c));
    CHECK_OK(checkpoint_finish(r->store, c, &d));
    checkpoint_release(r->store, c, true);
    checkpoint_descriptor_deinit(&d);
    block_unref(configuration);
}

/* Closes without a word and opens again: back at the last checkpoint; the log is applied from there. */
__attribute__((unused)) static void rig_restart(struct rig *r)
{
    store_close(r->store);
    rig_start(r);
    while (r->index < r->log_size) {
        struct store_entry e = {r->index + 1, 1, r->log[r->index]};
        CHECK_OK(store_apply(r->store, &e, 1, NULL, NULL));
        r->index++;
    }
}

/* ---- commands ---- */

#define RIG_COMMAND(name, kind, field, type, init) \
    Mq__Command name = MQ__COMMAND__INIT;          \
    type name##_##field = init;                    \
    name.body_case = MQ__COMMAND__BODY_##kind;     \
    name.field = &name##_##field

__attribute__((unused)) static enum status rig_owner(struct rig *r, const char *user)
{
    char name[512];
    snprintf(name, sizeof(name), "%s", user);
    RIG_COMMAND(c, OWNER, owner, Mq__Owner, MQ__OWNER__INIT);
    c_owner.user = name;
    c_owner.generation = 1;
    return rig_run(r, &c);
}

__attribute__((unused)) static enum status rig_lease(struct rig *r, const char *user,
                                                     const char *store, const char *holder,
                                                     uint32_t ttl_ms)
{
    char text[3][512];
    snprintf(text[0], sizeof(text[0]), "%s", user);
    snprintf(text[1], sizeof(text[1]), "%s", store);
    snprintf(text[2], sizeof(text[2]), "%s", holder);
    RIG_COMMAND(c, LEASE_ACQUIRE, lease_acquire, Mq__LeaseAcquire, MQ__LEASE_ACQUIRE__INIT);
    c_lease_acquire.user = text[0];
    c_lease_acquire.store = text[1];
    c_lease_acquire.holder = text[2];
    c_lease_acquire.ttl_ms = ttl_ms;
    enum status s = rig_run(r, &c);
    if (s == OK) {
        r->lease =
            (struct token){r->result->lease->token->epoch, r->result->lease->token->position};
    }
    return s;
}

__attribute__((unused)) static enum status rig_tick(struct rig *r)
{
    RIG_COMMAND(c, TICK, tick, Mq__Tick, MQ__TICK__INIT);
    return rig_run(r, &c);
}

__attribute__((unused)) static enum status rig_dict_op(struct rig *r, Mq__DictOp__Kind kind,
                                                       const char *user, const char *key,
                                                       const char *value, int64_t delta,
                                                       bool create, uint64_t ttl_ms)
{
    char space[] = "test";
    char owner[64];
    snprintf(owner, sizeof(owner), "%s", user);
    union {
        const char *in;
        uint8_t *out;
    } k = {.in = key}, v = {.in = value};
    Mq__DictOp op = MQ__DICT_OP__INIT;
    op.kind = kind;
    op.namespace_ = space;
    op.user = owner;
    op.key = (ProtobufCBinaryData){strlen(key), k.out};
    op.value = (ProtobufCBinaryData){value == NULL ? 0 : strlen(value), v.out};
    op.delta = delta;
    op.create = create;
    op.ttl_ms = ttl_ms;
    Mq__DictOp *ops[1] = {&op};
    RIG_COMMAND(c, DICT, dict, Mq__DictTransaction, MQ__DICT_TRANSACTION__INIT);
    c_dict.n_ops = 1;
    c_dict.ops = ops;
    return rig_run(r, &c);
}

__attribute__((unused)) static enum status rig_set(struct rig *r, const char *user, const char *key,
                                                   const char *value)
{
    return rig_dict_op(r, MQ__DICT_OP__KIND__SET, user, key, value, 0, false, 0);
}

/* A report in the making; the mailbox's GUID is 16 times `mailbox`. */
struct report {
    Mq__Report c;
    char user[64];
    char store[64];
    char name[64];
    uint8_t guid[16];
    Mq__Token token;
    Mq__Message messages[1100];
    Mq__Message *message_list[1100];
    uint8_t guids[1100][16];
    Mq__UidRange ranges[1100];
    Mq__UidRange *range_list[1100];
};

__attribute__((unused)) static struct report *report_new(const struct rig *r, const char *user,
                                                         const char *store, uint8_t mailbox,
                                                         uint64_t from, uint64_t to)
{
    struct report *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    mq__report__init(&p->c);
    mq__token__init(&p->token);
    snprintf(p->user, sizeof(p->user), "%s", user);
    snprintf(p->store, sizeof(p->store), "%s", store);
    snprintf(p->name, sizeof(p->name), "box%u", mailbox);
    memset(p->guid, mailbox, sizeof(p->guid));
    p->token.epoch = r->lease.epoch;
    p->token.position = r->lease.position;
    p->c.user = p->user;
    p->c.store = p->store;
    p->c.name = p->name;
    p->c.mailbox = (ProtobufCBinaryData){16, p->guid};
    p->c.lease = &p->token;
    p->c.uidvalidity = 1;
    p->c.uidnext = 1;
    p->c.highestmodseq = to;
    p->c.from_modseq = from;
    p->c.to_modseq = to;
    p->c.first_uid = 1;
    p->c.last_uid = UINT32_MAX;
    p->c.last = true;
    p->c.messages = p->message_list;
    p->c.vanished = p->range_list;
    return p;
}

__attribute__((unused)) static void report_message(struct report *p, uint32_t uid, uint32_t flags,
                                                   uint64_t size)
{
    size_t i = p->c.n_messages++;
    Mq__Message *m = &p->messages[i];
    mq__message__init(m);
    m->uid = uid;
    m->flags = flags;
    m->size = size;
    m->modseq = p->c.to_modseq;
    m->internal_date = 1700000000 + uid;
    memset(p->guids[i], 0, 16);
    put_le32(p->guids[i], uid);
    p->guids[i][15] = p->guid[0];
    m->guid = (ProtobufCBinaryData){16, p->guids[i]};
    p->message_list[i] = m;
    if (uid >= p->c.uidnext) {
        p->c.uidnext = uid + 1;
    }
}

__attribute__((unused)) static void report_vanished(struct report *p, uint32_t first, uint32_t last)
{
    size_t i = p->c.n_vanished++;
    mq__uid_range__init(&p->ranges[i]);
    p->ranges[i].first = first;
    p->ranges[i].last = last;
    p->range_list[i] = &p->ranges[i];
}

/* Runs and frees it. */
__attribute__((unused)) static enum status report_run(struct rig *r, struct report *p)
{
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_REPORT;
    c.report = &p->c;
    enum status s = rig_run(r, &c);
    free(p);
    return s;
}

/* ---- queries: the result is the caller's to free ---- */

__attribute__((unused)) static Mq__QueryResult *rig_query(struct rig *r, Mq__Query *q,
                                                          enum status *out_status)
{
    struct buffer out;
    buffer_init(&out, 0);
    size_t size = mq__query__get_packed_size(q);
    uint8_t *bytes = malloc(size + 1);
    mq__query__pack(q, bytes);
    rig_commit(r);
    *out_status = query_run(r->store, (struct bytes){bytes, size}, &out);
    Mq__QueryResult *result = mq__query_result__unpack(NULL, out.size, out.data);
    CHECK(result != NULL);
    free(bytes);
    buffer_deinit(&out);
    return result;
}

#define RIG_QUERY(name, kind, field, type, init) \
    Mq__Query name = MQ__QUERY__INIT;            \
    type name##_##field = init;                  \
    name.body_case = MQ__QUERY__BODY_##kind;     \
    name.field = &name##_##field

__attribute__((unused)) static Mq__QueryResult *rig_mailbox(struct rig *r, const char *user,
                                                            uint8_t mailbox, enum status *s)
{
    char name[64];
    uint8_t guid[16];
    snprintf(name, sizeof(name), "%s", user);
    memset(guid, mailbox, sizeof(guid));
    RIG_QUERY(q, MAILBOX, mailbox, Mq__QueryMailbox, MQ__QUERY_MAILBOX__INIT);
    q_mailbox.user = name;
    q_mailbox.mailbox = (ProtobufCBinaryData){16, guid};
    return rig_query(r, &q, s);
}

__attribute__((unused)) static Mq__QueryResult *rig_messages(struct rig *r, const char *user,
                                                             uint8_t mailbox, uint32_t after,
                                                             uint32_t limit, enum status *s)
{
    char name[64];
    uint8_t guid[16];
    snprintf(name, sizeof(name), "%s", user);
    memset(guid, mailbox, sizeof(guid));
    RIG_QUERY(q, MESSAGES, messages, Mq__QueryMessages, MQ__QUERY_MESSAGES__INIT);
    q_messages.user = name;
    q_messages.mailbox = (ProtobufCBinaryData){16, guid};
    q_messages.after_uid = after;
    q_messages.limit = limit;
    return rig_query(r, &q, s);
}

__attribute__((unused)) static Mq__QueryResult *rig_changes(struct rig *r, const char *user,
                                                            uint8_t mailbox, uint64_t since,
                                                            uint32_t limit, enum status *s)
{
    char name[64];
    uint8_t guid[16];
    snprintf(name, sizeof(name), "%s", user);
    memset(guid, mailbox, sizeof(guid));
    RIG_QUERY(q, CHANGES, changes, Mq__QueryChanges, MQ__QUERY_CHANGES__INIT);
    q_changes.user = name;
    q_changes.mailbox = (ProtobufCBinaryData){16, guid};
    q_changes.since = since;
    q_changes.limit = limit;
    return rig_query(r, &q, s);
}

__attribute__((unused)) static Mq__QueryResult *rig_dict(struct rig *r, const char *user,
                                                         const char *key, bool prefix,
                                                         enum status *s)
{
    char space[] = "test";
    char name[64];
    char text[8192];
    snprintf(name, sizeof(name), "%s", user);
    snprintf(text, sizeof(text), "%s", key);
    RIG_QUERY(q, DICT, dict, Mq__QueryDict, MQ__QUERY_DICT__INIT);
    q_dict.namespace_ = space;
    q_dict.user = name;
    q_dict.key = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    q_dict.prefix = prefix;
    return rig_query(r, &q, s);
}

/* The running digest and the recomputed one are the same, and the position's. */
__attribute__((unused)) static void rig_check_digest(struct rig *r)
{
    enum status s;
    RIG_QUERY(q, DIGEST, digest, Mq__QueryDigest, MQ__QUERY_DIGEST__INIT);
    q_digest.recompute = true;
    Mq__QueryResult *result = rig_query(r, &q, &s);
    CHECK_OK(s);
    CHECK_EQ(result->digest.len, 16);
    CHECK_EQ(result->digest2.len, 16);
    CHECK_MEM_EQ(result->digest.data, result->digest2.data, 16);
    CHECK_EQ(result->index, r->index);
    mq__query_result__free_unpacked(result, NULL);
}

/* ---- a copy of its newest durable checkpoint ---- */

struct rig_pages {
    uint8_t *data;
    uint64_t size;
    struct checkpoint_descriptor d;
};

__attribute__((unused)) static void rig_copy(struct rig *r, struct rig_pages *p)
{
    struct copy *copy;
    size_t got;
    CHECK_OK(copy_open(r->store, 0, &copy, &p->d));
    p->size = env_meta_size(&p->d.meta);
    p->data = malloc(p->size);
    CHECK(p->data != NULL);
    for (uint64_t at = 0; at < p->size; at += got) {
        CHECK_OK(copy_read(copy, at, p->data + at,
                           COPY_PIECE_BYTES < p->size - at ? COPY_PIECE_BYTES : p->size - at,
                           &got));
    }
    copy_close(copy);
}

__attribute__((unused)) static void rig_pages_deinit(struct rig_pages *p)
{
    free(p->data);
    checkpoint_descriptor_deinit(&p->d);
}

#endif
