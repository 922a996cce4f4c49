/* A whole feed, with doveadm and the cluster played. For one test program: it defines what node/feed/child.c and uplink.c do, and everything
 * in it is used.
 *
 *     prepare(); add("anna", "INBOX", 1); begin("anna\n"); reported();
 *     box_of(account("anna"), "INBOX")->modseq++; sweeps(2); CHECK(...); end(); */
#ifndef MQ_TESTS_UNIT_FEED_FEED_WORLD_H
#define MQ_TESTS_UNIT_FEED_FEED_WORLD_H

#include "node/feed/feed.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/command.pb-c.h"
#include "tests/lib/check.h"

#define TURNS_MAX 20000 /* a millisecond or so each */
#define STEP_US   500
#define BOXES_MAX 8

static uv_loop_t loop;
static struct feed_config config;
static struct feed feed;
static char users_path[] = "/tmp/mq-test-feed-XXXXXX";

/* ---- Dovecot ---- */

enum behaviour { GOOD, UNREADABLE, ABSENT, MOVED, BYE, HANGS };

struct box {
    const char *name;
    unsigned guid; /* 1.. */
    unsigned modseq, uidvalidity;
    enum behaviour behaviour;
};
struct account {
    const char *name;
    struct box boxes[BOXES_MAX];
    bool hangs; /* whoever asks about it */
};
static struct account accounts[] = {{.name = "anna"},  {.name = "bo"},    {.name = "hang1"},
                                    {.name = "hang2"}, {.name = "hang3"}, {.name = "hang4"}};
#define ACCOUNTS (sizeof(accounts) / sizeof(*accounts))
static const char *namespaces; /* as IMAP says them */
static char examined[512];     /* names, in the order in which sessions asked for them */
static char deleted[512];      /* "USER/GUID ", as the cluster was told */
static char visited[4096];     /* users whose own listing was asked for */

static struct account *account(const char *name)
{
    for (size_t i = 0; i < ACCOUNTS; i++) {
        if (strcmp(accounts[i].name, name) == 0) {
            return &accounts[i];
        }
    }
    CHECK_FAIL("no account %s", name);
}

static struct box *box_of(struct account *a, const char *name)
{
    for (size_t i = 0; i < BOXES_MAX; i++) {
        if (a->boxes[i].name != NULL && strcmp(a->boxes[i].name, name) == 0) {
            return &a->boxes[i];
        }
    }
    return NULL;
}

static struct box *add(const char *user, const char *name, unsigned guid)
{
    struct account *a = account(user);
    for (size_t i = 0; i < BOXES_MAX; i++) {
        if (a->boxes[i].name == NULL) {
            a->boxes[i] = (struct box){.name = name, .guid = guid, .modseq = 5, .uidvalidity = 77};
            return &a->boxes[i];
        }
    }
    CHECK_FAIL("too many mailboxes");
}

static struct uuid guid_of(unsigned n)
{
    struct uuid guid;
    memset(guid.bytes, (int)n, sizeof(guid.bytes));
    return guid;
}

/* ---- programs: node/feed/child.h, played ---- */

struct program {
    struct child *child;
    struct account *account; /* of -u; NULL: all */
    char output[16384];
    bool imap, hangs, over;
};
static struct program programs[8];

static void say(struct program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct program *p, const char *format, ...)
{
    size_t n = strlen(p->output);
    va_list args;
    va_start(args, format);
    CHECK(vsnprintf(p->output + n, sizeof(p->output) - n, format, args) <
          (int)(sizeof(p->output) - n));
    va_end(args);
}

static void complain(struct child *c, const char *user, const char *name, const char *why)
{
    char line[300];
    snprintf(line, sizeof(line),
             "doveadm(%s): Error: Mailbox %s: Failed to lookup mailbox status: %s", user, name,
             why);
    c->error_lines++;
    c->error_lines_harmless += c->harmless != NULL && c->harmless(line);
    snprintf(c->error, sizeof(c->error), "cut off)|%s|", line); /* the end of more */
}

static void list_box(struct program *p, struct account *a, const struct box *b, bool named)
{
    char guid[UUID_TEXT_SIZE];
    struct uuid id = guid_of(b->guid);
    if (b->behaviour == UNREADABLE) {
        complain(p->child, a->name, b->name, "Permission denied");
        p->child->exit_status = 75;
        return;
    }
    if (b->behaviour == ABSENT) {
        complain(p->child, a->name, b->name, "Mailbox doesn't exist: Temp");
        p->child->exit_status = p->child->exit_status == 0 ? 68 : p->child->exit_status;
        return;
    }
    uuid_format(&id, guid);
    say(p, "%s%s%s\t%s\t%u\t1\t%u\t0\n", named ? a->name : "", named ? "\t" : "", b->name, guid,
        b->uidvalidity, b->modseq);
}

static void list_account(struct program *p, struct account *a, bool named)
{
    p->hangs = p->hangs || a->hangs;
    for (size_t i = 0; i < BOXES_MAX; i++) {
        if (a->boxes[i].name != NULL) {
            list_box(p, a, &a->boxes[i], named);
        }
    }
}

static void list_status(struct program *p, int users_fd)
{
    char users[1024] = "";
    say(p, "%smailbox\tguid\tuidvalidity\tuidnext\thighestmodseq\tmessages\n",
        p->account == NULL ? "Username\t" : "");
    if (p->account != NULL) {
        snprintf(visited + strlen(visited), sizeof(visited) - strlen(visited), "%s ",
                 p->account->name);
        list_account(p, p->account, false);
        return;
    }
    CHECK(pread(users_fd, users, sizeof(users) - 1, 0) > 0);
    char *rest = users, *name;
    while ((name = strsep(&rest, "\n")) != NULL) {
        if (*name != '\0') {
            list_account(p, account(name), true);
        }
    }
}

enum status child_start(struct child *c, uv_loop_t *l, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms)
{
    struct program *p = programs;
    (void)l, (void)deadline_ms;
    while (p->child != NULL) {
        p++;
        CHECK(p < programs + sizeof(programs) / sizeof(*programs));
    }
    memset(p, 0, sizeof(*p));
    p->child = c;
    c->active = true;
    c->exit_status = c->signal = 0;
    c->timed_out = c->killed = c->paused = false;
    c->error[0] = '\0';
    c->error_lines = c->error_lines_harmless = 0;
    for (int i = 1; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "-u") == 0) {
            p->account = account(argv[i + 1]);
        }
        p->imap = p->imap || strcmp(argv[i], "imap") == 0;
    }
    if (p->imap) {
        say(p, "* PREAUTH [CAPABILITY IMAP4rev1] Logged in\r\n");
        return OK;
    }
    p->over = true;
    if (strcmp(argv[4], "status") == 0) {
        list_status(p, inherit_fd);
    } else {
        say(p, "Username\tmailbox\n"); /* mailbox list -s */
    }
    return OK;
}

static void examine(struct program *p, const char *tag, char *name)
{
    name[strcspn(name, "\"")] = '\0';
    const struct box *b = box_of(p->account, name);
    snprintf(examined + strlen(examined), sizeof(examined) - strlen(examined), "%s ", name);
    if (b == NULL || b->behaviour == MOVED) {
        say(p, "%s NO [NONEXISTENT] Mailbox doesn't exist: %s\r\n", tag, name);
    } else if (b->behaviour == BYE) {
        say(p, "* BYE Internal error occurred\r\n");
        p->over = true;
        p->child->exit_status = 89;
    } else if (b->behaviour == HANGS) {
        p->hangs = true;
    } else {
        say(p,
            "* 0 EXISTS\r\n* OK [UIDVALIDITY %u] v\r\n* OK [UIDNEXT 1] n\r\n"
            "* OK [HIGHESTMODSEQ %u] h\r\n%s OK done\r\n",
            b->uidvalidity, b->modseq, tag);
    }
}

enum status child_write(struct child *c, const void *data, size_t size)
{
    struct program *p = programs;
    char line[300], *rest = line;
    while (p->child != c) {
        p++;
    }
    CHECK(p->imap && size < sizeof(line));
    memcpy(line, data, size);
    line[size] = '\0';
    const char *tag = strsep(&rest, " ");
    if (strncmp(rest, "EXAMINE \"", 9) == 0) {
        examine(p, tag, rest + 9);
        return OK;
    }
    if (strncmp(rest, "NAMESPACE", 9) == 0) {
        say(p, "* NAMESPACE %s\r\n", namespaces);
    } else if (strncmp(rest, "ENABLE", 6) == 0) {
        say(p, "* ENABLED QRESYNC\r\n");
    } else if (strncmp(rest, "LIST", 4) == 0) {
        say(p, "* LIST () \"/\" INBOX\r\n");
    } else if (strncmp(rest, "LOGOUT", 6) == 0) {
        say(p, "* BYE Logging out\r\n");
        p->over = true;
    }
    say(p, "%s OK done\r\n", tag);
    return OK;
}

void child_pause(struct child *c)
{
    c->paused = true;
}

void child_resume(struct child *c)
{
    c->paused = false;
}

void child_touch(struct child *c)
{
    (void)c;
}

void child_kill(struct child *c)
{
    c->killed = c->killed || c->active;
}

static void program_turn(struct program *p)
{
    struct child *c = p->child;
    char text[sizeof(p->output)];
    if (c == NULL || (c->paused && !c->killed) || (p->hangs && !c->killed && !c->timed_out)) {
        return;
    }
    memcpy(text, p->output, sizeof(text));
    p->output[0] = '\0';
    if (text[0] != '\0' && !c->killed && !p->hangs) {
        c->output(c, (const uint8_t *)text, strlen(text));
    }
    if (p->child == c &&
        (c->killed || c->timed_out || (p->over && p->output[0] == '\0' && !c->paused))) {
        p->child = NULL;
        c->active = false;
        c->ended(c);
    }
}

/* The deadline of all that hang. */
static void deadline(void)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        if (programs[i].child != NULL && programs[i].hangs) {
            programs[i].child->timed_out = true;
        }
    }
}

/* ---- the cluster: node/feed/uplink.h, played; it takes everything and knows nothing before ---- */

static struct client_request *asked[64];
static size_t asked_n;
static bool no_quorum; /* it says so to everything */

enum status uplink_start(struct uplink *u, uv_loop_t *l, const struct setting_list *nodes,
                         struct tls_context *tls, const struct uuid *cluster)
{
    (void)l, (void)nodes, (void)tls, (void)cluster;
    u->ready = false;
    return OK;
}

void uplink_stop(struct uplink *u)
{
    u->ready = false;
}

const char *uplink_node(const struct uplink *u)
{
    (void)u;
    return "played";
}

void uplink_heard(struct uplink *u, bool answered)
{
    (void)u, (void)answered;
}

static void hear(struct client_request *r, Mq__Result *result, Mq__ResultLease *lease)
{
    Mq__Command *c = mq__command__unpack(NULL, r->payload.size, r->payload.data);
    CHECK(c != NULL);
    if (c->body_case == MQ__COMMAND__BODY_LEASE_ACQUIRE ||
        c->body_case == MQ__COMMAND__BODY_LEASE_RENEW) {
        result->body_case = MQ__RESULT__BODY_LEASE;
        result->lease = lease;
    } else if (c->body_case == MQ__COMMAND__BODY_REPORT && c->report->deleted) {
        snprintf(deleted + strlen(deleted), sizeof(deleted) - strlen(deleted), "%s/%u ",
                 r->header.user, c->report->mailbox.data[0]);
    }
    mq__command__free_unpacked(c, NULL);
}

enum status uplink_submit(struct uplink *u, struct client_request *r)
{
    static uint8_t results[sizeof(asked) / sizeof(*asked)][100];
    Mq__Result result = MQ__RESULT__INIT;
    Mq__ResultLease lease = MQ__RESULT_LEASE__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    (void)u;
    CHECK(asked_n < sizeof(asked) / sizeof(*asked));
    token.epoch = token.position = 1;
    lease.token = &token;
    r->result = (struct bytes){results[asked_n], 0}; /* of a query: nothing */
    if (r->header.op == MQ__OP__OP_SUBMIT) {
        hear(r, &result, &lease);
        r->result.size = mq__result__pack(&result, results[asked_n]);
    }
    asked[asked_n++] = r;
    return OK;
}

static void cluster_turn(void)
{
    struct client_request *now[sizeof(asked) / sizeof(*asked)];
    size_t n = asked_n;
    memcpy(now, asked, sizeof(now));
    asked_n = 0;
    for (size_t i = 0; i < n; i++) {
        now[i]->outcome = no_quorum ? MQ__OUTCOME__OUTCOME_REFUSED : MQ__OUTCOME__OUTCOME_APPLIED;
        now[i]->status = no_quorum ? STATUS_NO_QUORUM : OK;
        now[i]->done(now[i]);
    }
}

/* ---- the world ---- */

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        program_turn(&programs[i]);
    }
    cluster_turn();
    usleep(STEP_US);
}

#define TURN_UNTIL(what)                                    \
    do {                                                    \
        for (int i_ = 0; i_ < TURNS_MAX && !(what); i_++) { \
            turn();                                         \
        }                                                   \
        CHECK(what);                                        \
    } while (0)

static void prepare(void)
{
    memset(programs, 0, sizeof(programs));
    for (size_t i = 0; i < ACCOUNTS; i++) {
        accounts[i] = (struct account){.name = accounts[i].name};
    }
    examined[0] = deleted[0] = visited[0] = '\0';
    namespaces = "((\"\" \"/\")) NIL NIL";
    memset(&config, 0, sizeof(config));
    snprintf(config.host, sizeof(config.host), "mail1");
    snprintf(config.store, sizeof(config.store), "s");
    snprintf(config.site, sizeof(config.site), "beijing");
    snprintf(config.doveadm, sizeof(config.doveadm), "/doveadm");
    config.dovecot = true;
    config.sweep_interval_ms = 100;
    config.sweep_cpu = 100;
    config.imap_children_max = 4;
    config.users_max = 100;
    config.pull_deadline_ms = config.locked_after_ms = 3600000;
    config.lease_ttl_ms = config.report_deadline_ms = 3600000;
    int fd = mkstemp(users_path);
    CHECK(fd >= 0);
    close(fd);
    snprintf(config.users_file, sizeof(config.users_file), "%s", users_path);
}

static void begin(const char *users)
{
    struct error e = {0};
    FILE *f = fopen(users_path, "w");
    CHECK(f != NULL);
    fputs(users, f);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_OK(feed_start(&feed, &loop, &config, false, &e));
    feed.uplink.ready = true;
    feed.uplink.up(&feed.uplink);
}

static void end(void)
{
    for (size_t i = 0; i < ACCOUNTS; i++) {
        accounts[i].hangs = false;
    }
    feed_stop(&feed);
    deadline();
    TURN_UNTIL(feed.closing);
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0) {
        cluster_turn();
    }
    CHECK_EQ(uv_loop_close(&loop), 0);
    feed_deinit(&feed);
    unlink(users_path);
    memcpy(users_path + sizeof(users_path) - 7, "XXXXXX", 6);
}

static struct feed_user *user(const char *name)
{
    struct feed_user *u = roster_find(&feed.roster, name);
    CHECK(u != NULL);
    return u;
}

/* Time passes for whoever waits. */
static void nobody_is_patient(void)
{
    list_each(n, &feed.delayed)
    {
        container_of(n, struct feed_user, queue)->not_before_ms = 0;
    }
}

static void sweeps(unsigned n)
{
    uint64_t until = feed.counters.sweeps + n;
    for (int i = 0; i < TURNS_MAX && feed.counters.sweeps < until; i++) {
        nobody_is_patient();
        turn();
    }
    CHECK(feed.counters.sweeps >= until);
    TURN_UNTIL(feed.running == 0 && feed.sweep.step == SWEEP_IDLE);
}

/* All that is there is in the cluster. */
static void reported(void)
{
    TURN_UNTIL(roster_find(&feed.roster, "anna") != NULL && user("anna")->clean_ms != 0 &&
               user("anna")->pending_since_ms == 0);
    visited[0] = examined[0] = '\0';
}

static const struct trouble *trouble(const char *id, const char *name)
{
    return trouble_find(&feed.troubles, id, name);
}

#endif
