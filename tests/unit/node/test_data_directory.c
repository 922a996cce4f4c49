/* Whose a data directory is (I4), that every start is a new life (I2), and that a damaged small
 * file is noticed. */
#include "tests/lib/check.h"
#include "tests/lib/remove_tree.h"

#include "base/clock.h"
#include "node/data_directory.h"

#include <fcntl.h>
#include <sys/stat.h>

static char base[256], path[300];
static struct random rng;
static struct executor_inline executor;

static struct data_directory_options options(void)
{
    struct data_directory_options o = {
        .path = path, .disk = &disk_posix, .random = &rng, .node = 1, .name = "one"};
    memset(&o.cluster, 1, sizeof(o.cluster));
    memset(&o.founding, 2, sizeof(o.founding));
    return o;
}

static void fresh(void)
{
    static int n;
    snprintf(path, sizeof(path), "%s/%d", base, n++);
}

static enum status open_it(struct data_directory *d, const struct data_directory_options *o,
                           const char **out_id)
{
    struct error e = {0};
    enum status s = data_directory_open(d, o, out_id, &e);
    if (s != OK) {
        CHECK(strstr(e.text, "What to do") != NULL);
    }
    return s;
}

static void on_saved(void *arg, enum status s)
{
    *(enum status *)arg = s;
}

static void I2_every_start_is_a_new_life(void)
{
    struct data_directory d;
    const char *id;
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    CHECK(d.fresh);
    CHECK_EQ(d.incarnation, 1);
    uint64_t nonce = d.nonce;
    data_directory_close(&d);
    CHECK_EQ(open_it(&d, &o, &id), OK);
    CHECK(!d.fresh);
    CHECK_EQ(d.incarnation, 2);
    CHECK_EQ(d.previous_nonce, nonce);
    CHECK(d.nonce != nonce);
    data_directory_close(&d);
}

static void I1_founded_born_and_acquainted_are_kept(void)
{
    struct data_directory d;
    const char *id;
    enum status saved = STATUS_BUSY;
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    CHECK(!d.founded);
    d.saved = on_saved;
    d.saved_arg = &saved;
    d.founded = true;
    d.born[3] = true;
    d.acquainted[2] = true;
    data_directory_save(&d, &executor.executor);
    data_directory_save(&d, &executor.executor); /* while one runs: once more afterwards */
    executor_inline_drain(&executor);
    CHECK_EQ(saved, OK);
    data_directory_close(&d);
    CHECK_EQ(open_it(&d, &o, &id), OK);
    CHECK(d.founded && d.born[3] && !d.born[2] && d.acquainted[2] && !d.acquainted[3]);
    data_directory_close(&d);
}

static void refused(const struct data_directory_options *o, const char *wanted)
{
    struct data_directory d;
    const char *id = "";
    CHECK(open_it(&d, o, &id) != OK);
    CHECK(strcmp(id, wanted) == 0);
}

static void I4_another_node_cluster_or_founding_is_refused(void)
{
    struct data_directory d;
    const char *id;
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    data_directory_close(&d);
    o.node = 2;
    refused(&o, "MQ-DATA-NODE");
    o = options();
    o.name = "two";
    refused(&o, "MQ-DATA-NODE");
    o = options();
    o.cluster.bytes[0]++;
    refused(&o, "MQ-DATA-CLUSTER");
    o = options();
    o.founding.bytes[0]++;
    refused(&o, "MQ-DATA-FOUNDING");
    o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    data_directory_close(&d);
}

static void I4_a_second_process_is_refused(void)
{
    struct data_directory d;
    const char *id;
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    refused(&o, "MQ-DATA-LOCKED"); /* flock() is by open file, so one process can play both */
    data_directory_close(&d);
}

static void copy_file(const char *name, const char *to)
{
    char from[400], at[400];
    uint8_t *data;
    size_t size;
    snprintf(from, sizeof(from), "%s/%s", path, name);
    snprintf(at, sizeof(at), "%s/%s", to, name);
    CHECK_EQ(disk_read_file(&disk_posix, from, &data, &size), OK);
    int fd = open(at, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    free(data);
}

static void I4_a_plain_copy_is_refused(void)
{
    struct data_directory d;
    const char *id;
    char to[sizeof(path) + 8];
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    data_directory_close(&d);
    snprintf(to, sizeof(to), "%s.copy", path);
    CHECK_EQ(mkdir(to, 0700), 0);
    copy_file("identity", to);
    copy_file("incarnation", to);
    copy_file("lock", to);
    o.path = to;
    refused(&o, "MQ-DATA-COPY");
}

/* A copy that took the original's place, its lock file's inode number with it: the file system gave
 * the number out again. */
static void I4_a_copy_that_got_the_same_inode_is_refused(void)
{
    struct data_directory d;
    const char *id;
    char file[400];
    struct record_file *r = malloc(sizeof(*r));
    struct error e = {0};
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    uint64_t born_ns = d.born_ns;
    data_directory_close(&d);
    snprintf(file, sizeof(file), "%s/identity", path);
    CHECK_EQ(record_file_read(&disk_posix, file, r, &e), OK);
    char *value = strstr(r->text, "inode_born_ns ");
    CHECK_EQ(value != NULL, born_ns != 0);
    if (value != NULL) {
        char *digit = strchr(value, '\n') - 1;
        *digit = *digit == '0' ? '1' : '0';
        CHECK_EQ(record_file_write(&disk_posix, path, "identity", r, "test", NULL), OK);
        refused(&o, "MQ-DATA-COPY");
    }
    free(r);
}

static void a_change_of_any_byte_is_noticed(void)
{
    struct data_directory d;
    const char *id;
    char file[400];
    uint8_t *data;
    size_t size;
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    data_directory_close(&d);
    snprintf(file, sizeof(file), "%s/identity", path);
    CHECK_EQ(disk_read_file(&disk_posix, file, &data, &size), OK);
    for (size_t i = 0; i < size; i++) {
        int fd = open(file, O_WRONLY);
        uint8_t bad = data[i] ^ 1;
        CHECK(fd >= 0 && pwrite(fd, &bad, 1, (off_t)i) == 1);
        refused(&o, "MQ-DATA-DAMAGED");
        CHECK(pwrite(fd, &data[i], 1, (off_t)i) == 1);
        close(fd);
    }
    for (size_t keep = 0; keep < size; keep++) {
        CHECK_EQ(truncate(file, (off_t)keep), 0);
        refused(&o, "MQ-DATA-DAMAGED");
        int fd = open(file, O_WRONLY);
        CHECK(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
        close(fd);
    }
    free(data);
}

static void I2_a_founded_node_without_its_incarnation_is_refused(void)
{
    struct data_directory d;
    const char *id;
    char file[400];
    enum status saved = STATUS_BUSY;
    fresh();
    struct data_directory_options o = options();
    CHECK_EQ(open_it(&d, &o, &id), OK);
    d.saved = on_saved;
    d.saved_arg = &saved;
    d.founded = true;
    data_directory_save(&d, &executor.executor);
    executor_inline_drain(&executor);
    data_directory_close(&d);
    snprintf(file, sizeof(file), "%s/incarnation", path);
    CHECK_EQ(unlink(file), 0);
    refused(&o, "MQ-DATA-DAMAGED");
}

CHECK_MAIN
{
    const char *tmp = getenv("TMPDIR");
    snprintf(base, sizeof(base), "%s/mq-data-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(base) != NULL);
    random_init_seed(&rng, check_seed());
    executor_inline_init(&executor);
    RUN(I2_every_start_is_a_new_life);
    RUN(I1_founded_born_and_acquainted_are_kept);
    RUN(I4_another_node_cluster_or_founding_is_refused);
    RUN(I4_a_second_process_is_refused);
    RUN(I4_a_plain_copy_is_refused);
    RUN(I4_a_copy_that_got_the_same_inode_is_refused);
    RUN(a_change_of_any_byte_is_noticed);
    RUN(I2_a_founded_node_without_its_incarnation_is_refused);
    remove_tree(base);
}
