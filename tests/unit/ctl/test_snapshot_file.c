/* The file of `snapshot save`: what was written is read back; any byte changed, cut off or added is found; nothing is overwritten and
 * nothing unfinished keeps a name. */
#include "ctl/snapshot_file.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/check.h"

#define PAGE 4096u

static char directory[64], path[80], part[90];
static uint8_t id[16] = {1, 2, 3}, digest[16] = {9, 8, 7}, pages[4 * PAGE];

static void begin(void)
{
    snprintf(directory, sizeof(directory), "/tmp/mq-snapshot-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/f", directory);
    snprintf(part, sizeof(part), "%s.part", path);
    for (size_t i = 0; i < sizeof(pages); i++) {
        pages[i] = (uint8_t)(i * 31 + i / 7);
    }
}

static void end(void)
{
    (void)unlink(path);
    CHECK_EQ(access(part, F_OK), -1);
    CHECK_EQ(rmdir(directory), 0);
}

static struct snapshot_writer *open_writer(void)
{
    Mq__SnapshotHead head = MQ__SNAPSHOT_HEAD__INIT;
    struct snapshot_writer *w = NULL;
    struct error e = {0};
    char name[] = "mail-demo";
    head.version = SNAPSHOT_VERSION;
    head.cluster_id = (ProtobufCBinaryData){sizeof(id), id};
    head.cluster_name = name;
    head.taken_ms = 1800000000000;
    CHECK_OK(snapshot_writer_open(path, &head, &w, &e));
    return w;
}

static void begin_shard(struct snapshot_writer *w, uint32_t shard, uint64_t size)
{
    Mq__SnapshotShard m = MQ__SNAPSHOT_SHARD__INIT;
    struct error e = {0};
    char name[] = "mail", node[] = "bj1";
    m.shard = shard;
    m.name = name;
    m.node = node;
    m.epoch_number = 1;
    m.index = 100 + shard;
    m.term = 7;
    m.size = size;
    m.digest = (ProtobufCBinaryData){sizeof(digest), digest};
    m.environment = (ProtobufCBinaryData){sizeof(id), id};
    CHECK_OK(snapshot_writer_shard(w, &m, &e));
}

static enum status piece(struct snapshot_writer *w, uint64_t offset, size_t size, bool last)
{
    struct error e = {0};
    return snapshot_writer_data(w, offset, (struct bytes){pages + offset, size}, last, &e);
}

/* Two shards, and one between them that was broken off. */
static void write_two(void)
{
    struct error e = {0};
    struct snapshot_writer *w = open_writer();
    begin_shard(w, 0, PAGE);
    CHECK_OK(piece(w, 0, PAGE, true));
    begin_shard(w, 1, 4 * PAGE);
    CHECK_OK(piece(w, 0, 2 * PAGE, false));
    CHECK_OK(snapshot_writer_undo(w, &e));
    begin_shard(w, 2, 3 * PAGE);
    CHECK_OK(piece(w, 0, 2 * PAGE, false));
    CHECK_OK(piece(w, 2 * PAGE, PAGE, true));
    CHECK_EQ(access(path, F_OK), -1); /* no name before it is whole */
    CHECK_OK(snapshot_writer_finish(w, &e));
    snapshot_writer_free(w);
}

static uint32_t shards[8], shards_n;
static uint64_t bytes_n;

static enum status on_shard(void *arg, const Mq__SnapshotShard *m)
{
    (void)arg;
    CHECK_EQ(m->index, 100 + m->shard);
    CHECK_EQ(memcmp(m->digest.data, digest, sizeof(digest)), 0);
    shards[shards_n++] = m->shard;
    return OK;
}

static enum status on_data(void *arg, uint64_t offset, struct bytes data, bool last)
{
    (void)arg;
    (void)last;
    CHECK_EQ(memcmp(data.data, pages + offset, data.size), 0);
    bytes_n += data.size;
    return OK;
}

static void what_was_written_is_read_back(void)
{
    struct snapshot_visitor v = {.shard = on_shard, .data = on_data};
    struct error e = {0};
    uint8_t sum[32];
    begin();
    write_two();
    CHECK_OK(snapshot_read(path, &v, sum, &e));
    CHECK_EQ(shards_n, 2);
    CHECK_EQ(shards[0], 0);
    CHECK_EQ(shards[1], 2);
    CHECK_EQ(bytes_n, 4 * PAGE);
    end();
}

static void what_is_there_is_whole(void)
{
    static const struct snapshot_visitor nobody;
    struct error e = {0};
    uint8_t sum[32];
    CHECK_OK(snapshot_read(path, &nobody, sum, &e));
}

static long read_file(uint8_t *to, size_t most)
{
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    long n = (long)fread(to, 1, most, f);
    fclose(f);
    return n;
}

static enum status read_with(const uint8_t *data, long size)
{
    static const struct snapshot_visitor nobody;
    struct error e = {0};
    uint8_t sum[32];
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fwrite(data, 1, (size_t)size, f) == (size_t)size && fclose(f) == 0);
    enum status s = snapshot_read(path, &nobody, sum, &e);
    CHECK_EQ(s == OK, e.text[0] == '\0');
    return s;
}

static void any_byte_changed_cut_off_or_added_is_found(void)
{
    static uint8_t data[8 * PAGE];
    begin();
    write_two();
    long size = read_file(data, sizeof(data));
    CHECK(size > 4 * (long)PAGE);
    CHECK_OK(read_with(data, size));
    for (long i = 0; i < size; i++) {
        bool sparse = i > 200 && i < size - 200 && i % 37 != 0; /* pages: a part of them */
        for (int bit = 0; bit < 8 && !sparse; bit += 3) {
            data[i] ^= (uint8_t)(1u << bit);
            CHECK_NE(read_with(data, size), OK);
            data[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (long cut = 0; cut<size; cut += cut> 200 && cut < size - 200 ? 97 : 1) {
        CHECK_NE(read_with(data, cut), OK);
    }
    data[size] = 0;
    CHECK_NE(read_with(data, size + 1), OK);
    CHECK_OK(read_with(data, size));
    end();
}

static void nothing_is_overwritten_and_nothing_unfinished_stays(void)
{
    Mq__SnapshotHead head = MQ__SNAPSHOT_HEAD__INIT;
    struct snapshot_writer *second = NULL;
    struct error e = {0};
    char name[] = "mail-demo";
    begin();
    head.cluster_id = (ProtobufCBinaryData){sizeof(id), id};
    head.cluster_name = name;
    struct snapshot_writer *w = open_writer();
    CHECK_EQ(snapshot_writer_open(path, &head, &second, &e), STATUS_EXISTS); /* .part */
    begin_shard(w, 0, 2 * PAGE);
    CHECK_OK(piece(w, 0, PAGE, false));
    CHECK_EQ(snapshot_writer_finish(w, &e), STATUS_INVALID);
    snapshot_writer_free(w);
    CHECK_EQ(access(part, F_OK), -1);
    CHECK_EQ(access(path, F_OK), -1);
    write_two();
    CHECK_EQ(snapshot_writer_open(path, &head, &second, &e), STATUS_EXISTS);
    end();
}

static enum status open_again(struct snapshot_writer **out_w, struct error *e)
{
    Mq__SnapshotHead head = MQ__SNAPSHOT_HEAD__INIT;
    char name[] = "mail-demo";
    head.version = SNAPSHOT_VERSION;
    head.cluster_id = (ProtobufCBinaryData){sizeof(id), id};
    head.cluster_name = name;
    return snapshot_writer_open(path, &head, out_w, e);
}

/* The child is killed with the file open, as a save may be. */
static void what_a_killed_save_has_left_is_begun_again(void)
{
    struct snapshot_writer *w = NULL;
    struct error e = {0};
    int status, ready[2];
    char byte;
    begin();
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct snapshot_writer *its = open_writer();
        begin_shard(its, 0, 4 * PAGE);
        CHECK_OK(piece(its, 0, 3 * PAGE, false));
        CHECK_EQ(write(ready[1], "x", 1), 1);
        for (;;) {
            pause();
        }
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(open_again(&w, &e), STATUS_EXISTS); /* it lives */
    CHECK(strstr(e.text, "being taken") != NULL);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    close(ready[0]);
    close(ready[1]);
    CHECK_EQ(access(part, F_OK), 0);
    write_two();
    what_is_there_is_whole();
    end();
}

static void put_part(const char *text)
{
    FILE *f = fopen(part, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void a_file_of_somebody_else_is_not_taken_for_one(void)
{
    static const char *const theirs[] = {"a letter to my mother", "x"};
    struct snapshot_writer *w = NULL;
    struct error e = {0};
    char read_back[64] = "";
    begin();
    for (size_t i = 0; i < 2; i++) {
        put_part(theirs[i]);
        CHECK_EQ(open_again(&w, &e), STATUS_EXISTS);
        FILE *f = fopen(part, "r");
        CHECK(f != NULL && fgets(read_back, sizeof(read_back), f) != NULL && fclose(f) == 0);
        CHECK_STR_EQ(read_back, theirs[i]);
    }
    put_part(""); /* killed before its first byte */
    CHECK_OK(open_again(&w, &e));
    snapshot_writer_free(w);
    end();
}

static void pages_out_of_order_are_refused(void)
{
    begin();
    struct snapshot_writer *w = open_writer();
    CHECK_EQ(piece(w, 0, PAGE, true), STATUS_MALFORMED); /* no shard */
    begin_shard(w, 0, 3 * PAGE);
    CHECK_EQ(piece(w, PAGE, PAGE, false), STATUS_MALFORMED); /* a gap */
    CHECK_EQ(piece(w, 0, 4 * PAGE, true), STATUS_MALFORMED); /* too much */
    CHECK_EQ(piece(w, 0, PAGE, true), STATUS_MALFORMED);     /* too early the last */
    CHECK_EQ(piece(w, 0, 3 * PAGE, false), STATUS_MALFORMED);
    CHECK_OK(piece(w, 0, 3 * PAGE, true));
    snapshot_writer_free(w);
    end();
}

/* As a node may describe one: the file stays as it was, so that another node's copy can follow. */
static void a_shard_that_could_not_be_read_back_is_not_written(void)
{
    Mq__SnapshotShard good = MQ__SNAPSHOT_SHARD__INIT, bad[5];
    struct error e = {0};
    good.index = 100;
    good.size = PAGE;
    good.digest = (ProtobufCBinaryData){sizeof(digest), digest};
    good.environment = (ProtobufCBinaryData){sizeof(id), id};
    for (size_t i = 0; i < 5; i++) {
        bad[i] = good;
    }
    bad[0].digest = (ProtobufCBinaryData){0, NULL};
    bad[1].environment.len = 15;
    bad[2].size = 0;
    bad[3].size = PAGE + 1;
    bad[4].index = 0;
    begin();
    struct snapshot_writer *w = open_writer();
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ(snapshot_writer_shard(w, &bad[i], &e), STATUS_MALFORMED);
        CHECK_OK(snapshot_writer_undo(w, &e));
    }
    CHECK_OK(snapshot_writer_shard(w, &good, &e));
    CHECK_OK(piece(w, 0, PAGE, true));
    CHECK_OK(snapshot_writer_finish(w, &e));
    snapshot_writer_free(w);
    end();
}

CHECK_MAIN
{
    RUN(what_was_written_is_read_back);
    RUN(any_byte_changed_cut_off_or_added_is_found);
    RUN(nothing_is_overwritten_and_nothing_unfinished_stays);
    RUN(what_a_killed_save_has_left_is_begun_again);
    RUN(a_file_of_somebody_else_is_not_taken_for_one);
    RUN(pages_out_of_order_are_refused);
    RUN(a_shard_that_could_not_be_read_back_is_not_written);
}
