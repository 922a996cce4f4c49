/* Any answers of the cluster, in any order and with any loss of the connection, to the questions of a queue feed: the steps of
 * node/feed/queue_feed.c and their questions run as they are, in a world of ours (feed_world.h). Whatever comes, one question at most
 * is under way, the feed stops when it is told to, and what it knows stays within its bounds.
 *
 *   input: steps, by their first byte
 *     00..1f   time passes, and the feed looks what is due     20..8f   an answer, if there is a question: feed_world.h
 *     90..af   the child prints: u8 size, bytes                b0..bf   the child ends: u8 status
 *     c0..df   the child prints what it should, and ends well  e0..ff   the feed is told to stop */
#include "tests/fuzz/feed_world.h"

#include <sys/mman.h>

#include "base/log_line.h"
#include "node/feed/queue_feed.h"

#define STEPS_MAX 300u
#define STOP_MAX  50u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);

static struct queue_feed *feed;
static bool stopped;

static void on_stopped(struct queue_feed *q)
{
    (void)q;
    stopped = true;
}

static void no_line(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    CHECK(line[0] != '\0');
}

static bool name_taken(void *arg, const struct queue_feed *q)
{
    (void)arg;
    return strcmp(q->instance, "taken") == 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char log[] =
        "2026-11-24T20:00:00.000000+00:00 mx1 postfix/qmgr[1]: 4jYk1: removed\n";
    (void)argc;
    (void)argv;
    log_line_set_sink(no_line, NULL);
    world_configure();
    int fd = memfd_create("mail.log", 0);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, log, sizeof(log) - 1), (ssize_t)sizeof(log) - 1);
    snprintf(world.config.queue_log, sizeof(world.config.queue_log), "/proc/self/fd/%d", fd);
    feed = malloc(sizeof(*feed));
    CHECK(feed != NULL);
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    free(feed);
    arena_deinit(&world.source.arena);
}

static void look(void)
{
    if (!uv_is_closing((uv_handle_t *)&feed->timer)) {
        feed->timer.timer_cb(&feed->timer);
    }
}

static void child_does_well(void)
{
    static const char settings[] = "postfix\n\nmx\n";
    static const char queue[] =
        "{\"queue_name\": \"deferred\", \"queue_id\": \"4jYk1\", \"arrival_time\": 100, "
        "\"message_size\": 9, \"forced_expire\": false, \"sender\": \"a@b.test\", \"recipients\": "
        "[{\"address\": \"x@a.test\", \"delay_reason\": \"refused\"}]}\n";
    if (feed->step == QUEUE_SETTINGS) {
        child_says(settings, sizeof(settings) - 1);
    } else {
        child_says(queue, sizeof(queue) - 1);
    }
    child_ends(0);
}

static void step(void)
{
    struct source *s = &world.source;
    uint8_t c = source_byte(s);
    if (c < 0x20) {
        world_later(c);
        look();
    } else if (c < 0x90) {
        if (feed->asking) {
            world_answer(&feed->request);
        }
    } else if (c < 0xb0) {
        struct bytes b = source_bytes(s, source_byte(s));
        child_says(b.data, b.size);
    } else if (c < 0xc0) {
        child_ends(source_byte(s));
    } else if (c < 0xe0) {
        child_does_well();
    } else {
        queue_feed_stop(feed);
    }
    CHECK(!(feed->asking && feed->retrying));
    CHECK(feed->gone_n <= feed->table.used);
    CHECK(memchr(feed->position, '\0', sizeof(feed->position)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    struct queue_world w = {.loop = &world.loop,
                            .config = &world.config,
                            .uplink = &world.uplink,
                            .troubles = &world.troubles,
                            .holder = "mx1/1",
                            .name_taken = name_taken};
    memset(feed, 0, sizeof(*feed));
    feed->stopped = on_stopped;
    stopped = false;
    world_open(in, size);
    CHECK_OK(queue_feed_start(feed, &w, "/etc/postfix"));
    for (unsigned i = 0; i < STEPS_MAX && world.source.at < world.source.end; i++) {
        step();
    }
    queue_feed_stop(feed);
    for (unsigned i = 0; i < STOP_MAX && !stopped; i++) {
        child_ends(1);
        if (feed->asking) {
            world_disconnect();
            world_connect();
        }
        look();
        if (uv_is_closing((uv_handle_t *)&feed->timer)) {
            world_turn();
        }
    }
    CHECK(stopped);
    queue_feed_deinit(feed);
    world_close();
    return 0;
}
