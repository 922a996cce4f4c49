/* The instances that postmulti names, with postmulti and the feeds played: which are followed, and since when. */
#include "node/feed/queue_set.h"

#include <string.h>

#include "tests/lib/check.h"

#define TURNS_MAX 60000

static uv_loop_t loop;
static struct feed_config config;
static struct troubles troubles;
static struct queue_set set;
static struct child *started;
static unsigned asked; /* postmulti was, so often */
static bool stopped;

/* ---- node/feed/queue_feed.h, played ---- */

enum status queue_feed_start(struct queue_feed *q, struct queue_world *world, const char *directory)
{
    q->world = world;
    if (strstr(directory, "too-long") != NULL) {
        return STATUS_INVALID;
    }
    snprintf(q->directory, sizeof(q->directory), "%s", directory);
    return OK;
}

void queue_feed_stop(struct queue_feed *q)
{
    q->stopped(q);
}

void queue_feed_deinit(struct queue_feed *q)
{
    (void)q;
}

bool queue_feed_finished(const struct queue_feed *q)
{
    (void)q;
    return true;
}

/* ---- node/feed/child.h, played ---- */

enum status child_start(struct child *c, uv_loop_t *l, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms)
{
    (void)l, (void)argv, (void)inherit_fd, (void)deadline_ms;
    c->active = true;
    c->exit_status = 0;
    started = c;
    asked++;
    return OK;
}

void child_kill(struct child *c)
{
    c->active = false;
    c->killed = true;
    c->ended(c);
}

static void postmulti_says(const char *text, int64_t exit_status)
{
    struct child *c = started;
    c->output(c, (const uint8_t *)text, strlen(text));
    started = NULL;
    c->active = false;
    c->exit_status = exit_status;
    c->ended(c);
}

static void next_ask(void)
{
    unsigned before = asked;
    if (uv_is_active((uv_handle_t *)&set.timer)) {
        CHECK(uv_timer_get_due_in(&set.timer) <= QUEUE_SET_AGAIN_MS);
        CHECK_EQ(uv_timer_start(&set.timer, set.timer.timer_cb, 0, 0), 0);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK_EQ(asked, before + 1);
}

/* ---- the world ---- */

static void on_stopped(struct queue_set *s)
{
    (void)s;
    stopped = true;
}

static void begin(void)
{
    memset(&set, 0, sizeof(set));
    memset(&troubles, 0, sizeof(troubles));
    memset(&config.config_directories, 0, sizeof(config.config_directories));
    config.queue_interval_ms = 10000;
    asked = 0;
    stopped = false;
    CHECK_EQ(uv_loop_init(&loop), 0);
    set.world.loop = &loop;
    set.world.config = &config;
    set.world.troubles = &troubles;
    set.stopped = on_stopped;
}

static void end(void)
{
    queue_set_stop(&set);
    for (int i = 0; i < TURNS_MAX && !stopped; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    CHECK(stopped);
    queue_set_deinit(&set);
    CHECK_EQ(uv_loop_close(&loop), 0);
}

static const struct trouble *trouble_of(const char *object)
{
    return trouble_find(&troubles, "MQ-FEED-QUEUE-POSTFIX", object);
}

/* ---- the tests ---- */

static void an_instance_that_is_added_later_is_followed(void)
{
    begin();
    CHECK_OK(queue_set_start(&set));
    next_ask();
    CHECK(!queue_set_finished(&set));
    postmulti_says("-               -               y         /etc/postfix\n", 0);
    CHECK_EQ(set.n, 1);
    CHECK(queue_set_finished(&set));
    next_ask();
    postmulti_says("- - y /etc/postfix\npostfix-in - y /etc/postfix-in\n", 0);
    CHECK_EQ(set.n, 2);
    CHECK_STR_EQ(set.feeds[1]->directory, "/etc/postfix-in");
    next_ask();
    postmulti_says("- - y /etc/postfix\n", 0);
    CHECK_EQ(set.n, 2);
    end();
}

static void a_postmulti_that_fails_or_hangs_is_a_trouble_until_it_does_not(void)
{
    begin();
    CHECK_OK(queue_set_start(&set));
    next_ask();
    started->silent(started);
    CHECK(trouble_of("") != NULL);
    postmulti_says("", 1);
    CHECK(trouble_of("") != NULL);
    CHECK(!queue_set_finished(&set));
    next_ask();
    postmulti_says("- - y /etc/postfix\n", 0);
    CHECK(trouble_of("") == NULL);
    next_ask();
    postmulti_says("", 1);
    CHECK(trouble_of("") != NULL); /* a new one would not be seen */
    CHECK_EQ(set.n, 1);
    CHECK(queue_set_finished(&set));
    next_ask();
    postmulti_says("- - y /etc/postfix\n", 0);
    CHECK(trouble_of("") == NULL);
    end();
}

static void what_is_left_out_is_a_trouble_for_as_long_as_it_is(void)
{
    char text[2000] = "";
    begin();
    CHECK_OK(queue_set_start(&set));
    next_ask();
    postmulti_says("- - y /etc/too-long\n- - y /etc/postfix\n", 0);
    CHECK_EQ(set.n, 1);
    CHECK(trouble_of("instances") != NULL);
    CHECK(strstr(trouble_of("instances")->text, "/etc/too-long") != NULL);
    next_ask();
    postmulti_says("- - y /etc/postfix\n", 0);
    CHECK(trouble_of("instances") == NULL);
    for (unsigned i = 0; i < QUEUE_INSTANCES_MAX; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "p%u - y /etc/postfix-%u\n", i, i);
    }
    next_ask();
    postmulti_says(text, 0);
    CHECK_EQ(set.n, QUEUE_INSTANCES_MAX);
    CHECK(strstr(trouble_of("instances")->text, "/etc/postfix-15") != NULL);
    end();
}

static void one_of_the_configuration_that_is_left_out_is_a_trouble(void)
{
    begin();
    config.config_directories.n = 2;
    snprintf(config.config_directories.items[0], sizeof(config.config_directories.items[0]),
             "/etc/postfix");
    snprintf(config.config_directories.items[1], sizeof(config.config_directories.items[1]),
             "/etc/too-long");
    CHECK_OK(queue_set_start(&set));
    CHECK_EQ(set.n, 1);
    CHECK(trouble_of("instances") != NULL);
    CHECK(!uv_is_active((uv_handle_t *)&set.timer)); /* postmulti is not asked */
    end();
}

CHECK_MAIN
{
    RUN(an_instance_that_is_added_later_is_followed);
    RUN(a_postmulti_that_fails_or_hangs_is_a_trouble_until_it_does_not);
    RUN(what_is_left_out_is_a_trouble_for_as_long_as_it_is);
    RUN(one_of_the_configuration_that_is_left_out_is_a_trouble);
}
