/* The table that raft/ sees, over a real store: life of an environment, a copy that becomes
 * another node's, queries meanwhile. */
#include "node/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/api.pb-c.h"
#include "proto/batch.h"
#include "proto/command.pb-c.h"
#include "tests/lib/check.h"

struct node {
    char data[200];
    struct random random;
    struct replica *replica;
    struct state_machine *machine;
    struct uuid environment;
    struct sm_position position;
};

static const struct epoch epoch = {1, 77, 0};

static void node_open(struct node *n, uint64_t seed)
{
    memset(n, 0, sizeof(*n));
    const char *tmp = getenv("TMPDIR");
    snprintf(n->data, sizeof(n->data), "%s/mq-replica-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(n->data) != NULL);
    random_init_seed(&n->random, seed);
    struct replica_options o = {.data = n->data,
                                .shard = 3,
                                .disk = &disk_posix,
                                .random = &n->random,
                                .map_bytes = 1ull << 30,
                                .reserve_bytes = 1 << 20};
    CHECK_OK(replica_new(&o, &n->replica));
    n->machine = replica_machine(n->replica);
}

static void start(struct node *n, struct sm_descriptor *d)
{
    struct error e = {0};
    enum status s = n->machine->ops->open(n->machine->self, &n->environment, d, &e);
    if (s != OK) {
        printf("%s\n", e.text);
    }
    CHECK_OK(s);
    block_unref(d->configuration);
}

static void create(struct node *n)
{
    struct sm_descriptor d;
    struct error e = {0};
    CHECK_OK(n->machine->ops->create(n->machine->self, &epoch, &n->environment, &e));
    start(n, &d);
    CHECK_EQ(d.index, 0);
    CHECK(epoch_equal(&d.epoch, &epoch));
}

static unsigned environments(struct node *n)
{
    char command[300];
    char line[64];
    unsigned count = 0;
    snprintf(command, sizeof(command), "ls %s/shards/3", n->data);
    FILE *f = popen(command, "r");
    while (fgets(line, sizeof(line), f) != NULL) {
        count++;
    }
    pclose(f);
    return count;
}

static void node_close(struct node *n)
{
    char command[300];
    n->machine->ops->close(n->machine->self);
    n->machine->ops->close(n->machine->self);
    replica_free(n->replica);
    snprintf(command, sizeof(command), "rm -r '%s'", n->data);
    FILE *f = popen(command, "r");
    pclose(f);
}

static struct block *set(const char *key)
{
    struct batch_builder b;
    struct block *block;
    struct batch_header h = {.shard = 3, .level = 1, .epoch = epoch, .time_ms = 1000};
    char space[] = "t";
    char user[] = "";
    uint8_t bytes[64];
    uint8_t packed[200];
    snprintf((char *)bytes, sizeof(bytes), "%s", key);
    Mq__DictOp op = MQ__DICT_OP__INIT;
    op.namespace_ = space;
    op.user = user;
    op.key = (ProtobufCBinaryData){strlen(key), bytes};
    op.value = (ProtobufCBinaryData){strlen(key), bytes};
    Mq__DictOp *ops[1] = {&op};
    Mq__DictTransaction t = MQ__DICT_TRANSACTION__INIT;
    t.n_ops = 1;
    t.ops = ops;
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &t;
    struct batch_item item = {.command = {packed, mq__command__pack(&c, packed)}};
    batch_builder_init(&b);
    CHECK_OK(batch_builder_add(&b, &item));
    CHECK_OK(batch_builder_finish(&b, &h, &block));
    batch_builder_deinit(&b);
    return block;
}

static void write_some(struct node *n, unsigned count)
{
    struct sm_results results = {0};
    struct sm_due due;
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key%u", (unsigned)n->position.index);
        struct sm_entry e[2] = {{n->position.index + 1, 2, set(key)},
                                {n->position.index + 2, 2, NULL}};
        CHECK_OK(n->machine->ops->apply(n->machine->self, e, 2, &results, &n->position));
        block_unref(e[0].payload);
    }
    CHECK_EQ(results.count, count);
    for (uint32_t i = 0; i < results.count; i++) {
        CHECK_OK(results.items[i].status);
        block_unref(results.items[i].payload);
    }
    free(results.items);
    CHECK_OK(n->machine->ops->commit(n->machine->self, &due));
}

static void checkpoint(struct node *n, struct sm_descriptor *d)
{
    struct sm_checkpoint *c;
    struct block *configuration = block_copy("members", 7);
    CHECK_OK(n->machine->ops->checkpoint_begin(n->machine->self, configuration, 1, &c));
    CHECK_OK(n->machine->ops->checkpoint_finish(n->machine->self, c, d));
    n->machine->ops->checkpoint_release(n->machine->self, c, true);
    block_unref(configuration);
}

static uint64_t query_index(struct node *n)
{
    struct buffer out;
    uint8_t bytes[64];
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryDigest d = MQ__QUERY_DIGEST__INIT;
    q.body_case = MQ__QUERY__BODY_DIGEST;
    q.digest = &d;
    buffer_init(&out, 0);
    CHECK_OK(replica_query(n->replica, (struct bytes){bytes, mq__query__pack(&q, bytes)}, &out));
    Mq__QueryResult *r = mq__query_result__unpack(NULL, out.size, out.data);
    uint64_t index = r->index;
    mq__query_result__free_unpacked(r, NULL);
    buffer_deinit(&out);
    return index;
}

static void an_environment_lives_through_checkpoints_and_starts(void)
{
    struct node n;
    struct sm_descriptor d;
    struct buffer out = {0};
    node_open(&n, 1);
    CHECK_EQ(replica_query(n.replica, (struct bytes){NULL, 0}, &out), STATUS_CLOSED);
    create(&n);
    write_some(&n, 100);
    CHECK_EQ(n.position.index, 200);
    CHECK_EQ(query_index(&n), 200);
    CHECK_EQ(replica_committed_index(n.replica), 200);
    checkpoint(&n, &d);
    CHECK_EQ(d.index, 200);
    CHECK_EQ(d.term, 2);
    CHECK_EQ(d.configuration->size, 7);
    CHECK_MEM_EQ(d.digest, n.position.digest, 16);
    block_unref(d.configuration);
    write_some(&n, 50);
    n.machine->ops->close(n.machine->self);
    start(&n, &d);
    CHECK_EQ(d.index, 200);
    CHECK_EQ(query_index(&n), 200);
    node_close(&n);
}

static void a_copy_becomes_the_other_nodes_environment_and_old_readers_finish(void)
{
    struct node a;
    struct node b;
    struct sm_descriptor d;
    struct sm_copy *copy;
    struct sm_copy *old;
    struct sm_install *i;
    struct error e = {0};
    static uint8_t piece[65536];
    size_t got;
    node_open(&a, 1);
    node_open(&b, 2);
    create(&a);
    create(&b);
    write_some(&a, 500);
    write_some(&b, 3);
    checkpoint(&a, &d);
    block_unref(d.configuration);
    CHECK_EQ(a.machine->ops->copy_open(a.machine->self, 1001, &copy, &d), STATUS_NOT_FOUND);
    CHECK_OK(a.machine->ops->copy_open(a.machine->self, 1000, &copy, &d));
    CHECK_OK(b.machine->ops->install_begin(b.machine->self, &d, &i));
    for (uint64_t at = 0; at < d.size; at += got) {
        CHECK_OK(a.machine->ops->copy_read(copy, at, piece, sizeof(piece), &got));
        CHECK_OK(b.machine->ops->install_write(i, at, piece, got));
        write_some(&a, 1);
    }
    a.machine->ops->copy_close(copy);
    struct uuid before = b.environment;
    CHECK_OK(b.machine->ops->install_commit(i, &b.environment, &e));
    CHECK(!uuid_equal(&before, &b.environment));
    CHECK_EQ(query_index(&b), 6);
    struct sm_descriptor held;
    CHECK_OK(
        b.machine->ops->copy_open(b.machine->self, 0, &old, &held)); /* a reader of the old one */
    block_unref(held.configuration);
    CHECK_EQ(environments(&b), 2);
    struct sm_descriptor opened;
    start(&b, &opened);
    CHECK_EQ(opened.index, 1000);
    CHECK_EQ(query_index(&b), 1000);
    CHECK_OK(b.machine->ops->copy_read(old, 0, piece, sizeof(piece), &got));
    b.machine->ops->copy_close(old);
    start(&b, &opened); /* the old one goes at the next start, when nobody reads it */
    CHECK_EQ(environments(&b), 1);
    b.position.index = 1000;
    write_some(&b, 3);
    block_unref(d.configuration);
    node_close(&a);
    node_close(&b);
}

static void a_lost_environment_is_said_and_a_foreign_one_refused(void)
{
    struct node n;
    struct sm_descriptor d;
    struct error e = {0};
    char path[400];
    char name[UUID_TEXT_SIZE];
    node_open(&n, 1);
    create(&n);
    n.machine->ops->close(n.machine->self);
    uuid_format(&n.environment, name);
    snprintf(path, sizeof(path), "%s/shards/3/%s/checkpoint", n.data, name);
    CHECK_OK(truncate(path, 50));
    CHECK_EQ(n.machine->ops->open(n.machine->self, &n.environment, &d, &e), STATUS_CORRUPT);
    CHECK(e.text[0] != 0);
    struct uuid other = {{5}};
    CHECK_EQ(n.machine->ops->open(n.machine->self, &other, &d, &e), STATUS_CORRUPT);
    CHECK_EQ(environments(&n), 1); /* kept: nothing was opened in its place */
    node_close(&n);
}

CHECK_MAIN
{
    RUN(an_environment_lives_through_checkpoints_and_starts);
    RUN(a_copy_becomes_the_other_nodes_environment_and_old_readers_finish);
    RUN(a_lost_environment_is_said_and_a_foreign_one_refused);
}
