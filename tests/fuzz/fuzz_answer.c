/* Any answers from a node, possibly a hostile one, to any command of clusterctl: the whole program runs, only its caller is ours and
 * says what the input holds. Whatever comes, the command ends with one of its exit codes, what it prints holds no control character
 * (a node must not move the cursor of who asks it), and what it prints as JSON can be read.
 *
 *   input: u8 command, u8 options, then answers, in the order of the questions:
 *     u8 kind   0..5f: built along the descriptor (message_source.h): u8 n of 1..4, n times u8 field and its value
 *               60..7f: the same, all fields in turn
 *               80..bf: raw: u16 size, bytes
 *               c0..df: refused or unknown: u8 outcome, u8 status, text
 *               e0..ff: no answer at all: u8 status
 *   Questions that are not answered any more are not answered. */
#include "tests/fuzz/message_source.h"

#include <jansson.h>

#include "tests/fuzz/answer_source.h"
#include "tests/fuzz/asked_node.h"

#define CALLS_MAX 16u
#define HOUR_MS   3600000u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);

static const char *const lines[] = {
    "status",
    "members",
    "shards",
    "lag",
    "lag --eta --max 1s",
    "explain 1",
    "explain test",
    "top --once --interval 200ms",
    "events",
    "events --limit 3 --since 2001-01-01",
    "verify",
    "verify --deep",
    "switchover 1 --plan",
    "switchover 1 --to here --confirm test --reason r",
    "user assign ada 1 --priority here",
    "user show ada",
    "mailbox list ada",
    "mailbox list ada --limit 2",
    "mailbox show ada INBOX",
    "mailbox show ada INBOX --messages --limit 2",
    "mailbox changes ada INBOX",
    "mailbox changes ada INBOX --since 1 --limit 2",
    "mailbox touch ada INBOX",
    "mailbox touch ada",
    "feed list",
    "feed show",
    "feed show here",
    "store list",
    "report lost-site here",
    "report lost-site there --limit 2",
    "queue list",
    "queue list mx1 --limit 2",
    "queue list mx1 --state deferred --recipient x@a.test",
    "queue list mx1 --closed",
    "queue show mx1 4jYk1",
    "queue assign mx1 1",
    "dict get shared k",
    "dict get priv k --user ada",
    "dict set shared k 1",
    "dict set priv k 1 --user ada --ttl 1h",
    "dict unset shared k",
    "dict inc shared k -9",
    "op list",
    "op watch --timeout 1s",
    "op watch n1-1 --timeout 1s",
    "config get",
    "config get lag_ms",
    "config set lag.limit 1s --plan",
    "config set lag.limit 1s --confirm lag.limit --reason r",
    "config diff",
};

static const char *const options[] = {"",        "-o json",         "-o wide",
                                      "-o csv",  "-o ndjson",       "--quiet",
                                      "--local", "--local -o json", "--verbose --no-color"};

/* ---- the node ---- */

/* Each look at the clock is an hour later: nothing waits. */
uint64_t caller_now_ms(void)
{
    asked.now_ms += HOUR_MS;
    return asked.now_ms;
}

enum status caller_dial(struct caller *c, const char *node, const char *address, uint64_t until_ms,
                        int *out_fd, struct tls_context **out_tls, struct error *e)
{
    (void)c;
    (void)address;
    (void)until_ms;
    (void)out_fd;
    (void)out_tls;
    return error_set(e, STATUS_UNREACHABLE, "node %s is not there", node);
}

static void say(struct source *s, char *out, size_t size)
{
    arena_clear(&s->arena);
    if (setjmp(s->too_big) == 0) {
        snprintf(out, size, "%s", source_text(s));
    }
}

/* As on_done() of the caller puts a response into an answer. */
static void fill(struct source *s, uint8_t kind, Mq__Op op, struct call_answer *a)
{
    struct bytes payload = {NULL, 0};
    a->outcome = MQ__OUTCOME__OUTCOME_APPLIED;
    snprintf(a->node, sizeof(a->node), "n%u", asked.calls % ASKED_NODES + 1);
    if (kind < 0x80) {
        payload = answer_built(s, op, kind >= 0x60);
    } else if (kind < 0xc0) {
        size_t n = source_byte(s);
        payload = source_bytes(s, n << 8 | source_byte(s));
    } else {
        a->outcome = source_byte(s) % 4u;
        a->status = source_byte(s) % STATUS_COUNT;
        say(s, a->text, sizeof(a->text));
        say(s, a->message_id, sizeof(a->message_id));
    }
    a->index = a->epoch = a->term = kind;
    a->age_ms = kind % 2 == 0 ? kind : UINT64_MAX;
    a->shard = kind % 4u;
    a->payload = malloc(payload.size + 1);
    CHECK(a->payload != NULL);
    if (payload.size > 0) {
        memcpy(a->payload, payload.data, payload.size);
    }
    a->payload_size = payload.size;
}

enum status caller_call(struct caller *c, Mq__RequestHeader *header, struct bytes payload,
                        unsigned flags, uint64_t deadline_at_ms, struct call_answer *out_answer,
                        struct error *e)
{
    struct source *s = &c->source;
    (void)payload;
    (void)flags;
    (void)deadline_at_ms;
    if (s->at == s->end || c->calls == CALLS_MAX) {
        return error_set(e, STATUS_UNREACHABLE, "no node answers");
    }
    uint8_t kind = source_byte(s);
    c->calls++;
    if (kind >= 0xe0) {
        return error_set(e, source_byte(s) % (STATUS_COUNT - 1u) + 1u, "no answer");
    }
    call_answer_clear(out_answer);
    fill(s, kind, header->op, out_answer);
    return OK;
}

/* ---- what is printed ---- */

static void check_json(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        json_error_t e;
        json_t *j = json_loadb(text + at, size - at, JSON_DISABLE_EOF_CHECK, &e);
        CHECK(j != NULL);
        json_decref(j);
        at += (size_t)e.position;
        at += strspn(text + at, "\n");
    }
}

/* ---- the program ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    asked_configure();
    arena_init(&asked.source.arena);
    source_learn(&asked.source, (struct token){1, 2});
    asked.source.shallow = true;
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    arena_deinit(&asked.source.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    char line[COMMAND_LINE_MAX];
    struct printed p;
    asked.source.at = in;
    asked.source.end = in + size;
    asked.now_ms = asked.calls = 0;
    uint8_t l = source_byte(&asked.source) % (sizeof(lines) / sizeof(lines[0]));
    uint8_t o = source_byte(&asked.source) % (sizeof(options) / sizeof(options[0]));
    snprintf(line, sizeof(line), "clusterctl %s %s", lines[l], options[o]);
    bool json = strstr(options[o], "json") != NULL;
    asked_run(line, &p);
    check_clean(p.out, p.out_size, json);
    check_clean(p.err, p.err_size, false);
    if (json && p.code != EXIT_USAGE) {
        check_json(p.out, p.out_size);
    }
    free(p.out);
    free(p.err);
    return 0;
}
