/* Any answers of the cluster, in any order and with any loss of the connection, to the questions of visits to one user: the steps of
 * node/feed/visit.c, its questions and its IMAP session run as they are, in a world of ours (feed_world.h). Whatever comes, one question
 * at most is under way, each visit ends once, and the next one begins with what the roster then believes.
 *
 *   input: steps, by their first byte
 *     00..1f   time passes, and what waits for it is tried again   20..8f   an answer, if there is a question: feed_world.h
 *     90..af   the child prints: u8 size, bytes                    b0..bf   the child ends: u8 status
 *     c0..df   the child prints what it should; odd: and ends well
 *     e0..ff   the visit is told to stop, if another one was before it */
#include "tests/fuzz/feed_world.h"

#include "base/log_line.h"
#include "node/feed/visit.h"

#define STEPS_MAX  300u
#define VISITS_MAX 4u
#define STOP_MAX   20u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);

static struct roster roster;
static struct feed_user *user;
static struct visit *visit;
static struct visit_world shared;
static unsigned begun, ended;

static void no_line(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    CHECK(line[0] != '\0');
}

static void on_done(struct visit *v)
{
    CHECK(!v->asking);
    CHECK(!child_active(&v->child));
    ended++;
}

static void on_silent(void *arg, struct feed_user *u, int64_t group, uint64_t silent_ms)
{
    (void)arg;
    (void)u;
    (void)group;
    (void)silent_ms;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_line_set_sink(no_line, NULL);
    world_configure();
    visit = malloc(sizeof(*visit));
    CHECK(visit != NULL);
    roster_init(&roster, 1); /* once: its buckets are many */
    CHECK_OK(roster_get(&roster, "ada", &user));
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    free(visit);
    roster_deinit(&roster);
    arena_deinit(&world.source.arena);
}

/* As roster_get() gave it. */
static void forget_user(void)
{
    struct feed_user fresh = {.link = user->link,
                              .mailboxes = user->mailboxes,
                              .mailboxes_capacity = user->mailboxes_capacity};
    memcpy(user, &fresh, offsetof(struct feed_user, name));
}

static void begin(void)
{
    memset(visit, 0, sizeof(*visit));
    visit->done = on_done;
    begun++;
    CHECK_OK(visit_start(visit, &shared, user));
}

static void child_does_well(bool ends)
{
    static const char rows[] =
        "mailbox\tguid\tuidvalidity\tuidnext\thighestmodseq\tmessages\n"
        "INBOX\t01010101010101010101010101010101\t77\t9\t5\t2\n"
        "box\t02020202020202020202020202020202\t77\t9\t5\t0\n";
    static const char session[] =
        "* PREAUTH hi\r\nm1 OK e\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nm2 OK n\r\n"
        "* LIST (\\Subscribed) \"/\" INBOX\r\nm3 OK l\r\n"
        "* 2 EXISTS\r\n* OK [UIDVALIDITY 77] v\r\n* OK [UIDNEXT 9] n\r\n"
        "* OK [HIGHESTMODSEQ 5] h\r\nm4 OK e\r\n"
        "* VANISHED (EARLIER) 4:6\r\n"
        "* 1 FETCH (UID 3 FLAGS (zz aa) MODSEQ (5) INTERNALDATE \" 1-Jan-1970 00:00:10 +0000\" "
        "RFC822.SIZE 18 X-GUID g3)\r\n"
        "* 2 FETCH (UID 8 FLAGS (\\Seen) MODSEQ (4) INTERNALDATE \" 1-Jan-1970 00:00:10 +0000\" "
        "RFC822.SIZE 18 X-GUID g8)\r\nm5 OK f\r\n";
    if (visit->step == VISIT_SESSION) {
        child_says(session, sizeof(session) - 1);
    } else {
        child_says(rows, sizeof(rows) - 1);
    }
    if (ends) {
        child_ends(0);
    }
}

static void retry(void)
{
    if (visit->retrying) {
        uv_timer_stop(&visit->timer);
        visit->timer.timer_cb(&visit->timer);
    }
}

static void step(void)
{
    struct source *s = &world.source;
    uint8_t c = source_byte(s);
    if (c < 0x20) {
        world_later(c);
        retry();
    } else if (c < 0x90) {
        if (visit->asking) {
            world_answer(&visit->request);
        }
    } else if (c < 0xb0) {
        struct bytes b = source_bytes(s, source_byte(s));
        child_says(b.data, b.size);
    } else if (c < 0xc0) {
        child_ends(source_byte(s));
    } else if (c < 0xe0) {
        child_does_well(c % 2 != 0);
    } else if (begun > 1) {
        visit_stop(visit);
    }
    CHECK(!(visit->asking && visit->retrying));
    if (!visit->timer_open) {
        world_turn();
        CHECK_EQ(ended, begun);
    }
}

static void finish(void)
{
    if (ended < begun) {
        visit_stop(visit);
    }
    for (unsigned i = 0; i < STOP_MAX && ended < begun; i++) {
        child_ends(1);
        if (visit->asking) {
            world_disconnect();
            world_connect();
        }
        world_turn();
    }
    CHECK_EQ(ended, begun);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    struct feed_counters counters = {0};
    shared = (struct visit_world){.loop = &world.loop,
                                  .config = &world.config,
                                  .uplink = &world.uplink,
                                  .counters = &counters,
                                  .troubles = &world.troubles,
                                  .holder = "mx1/1",
                                  .silent = on_silent,
                                  .separator = '/'};
    begun = ended = 0;
    world_open(in, size);
    forget_user();
    begin();
    for (unsigned i = 0; i < STEPS_MAX && world.source.at < world.source.end; i++) {
        step();
        if (ended == begun) {
            if (begun == VISITS_MAX) {
                break;
            }
            begin();
        }
    }
    finish();
    world_close();
    return 0;
}
