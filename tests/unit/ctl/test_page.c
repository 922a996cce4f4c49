/* Commands whose answer comes in pages, as whole programs before a scripted cluster: the pages make up the whole, a limit ends the
 * reading, and an answer that has more behind it without saying where is an error, not the end. (Queues: test_queue_read.c.) */
#include "ctl/page.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

#define ROWS_MAX 3u
#define CHANGES  9000u /* in the mailbox */

struct page {
    unsigned rows[ROWS_MAX]; /* their numbers; 0: none */
    bool more;
    unsigned
        after; /* of answers that say apart from their rows where the next page begins; 0: nowhere */
};
static struct page pages[4];
static unsigned pages_n, asked;
static uint64_t positions[4]; /* the number behind which each page was asked for */
static Mq__Query__BodyCase paged;
static char *said;

/* ---- the cluster: what the caller gives instead of a node's answers ---- */

static struct answer {
    Mq__QueryResult result;
    uint8_t guids[ROWS_MAX][16];
    char names[ROWS_MAX][16], after[16];
    Mq__Mailbox boxes[ROWS_MAX], *box_at[ROWS_MAX];
    Mq__MessageRow messages[ROWS_MAX], *message_at[ROWS_MAX];
    Mq__Message bodies[ROWS_MAX];
    Mq__Change changes[ROWS_MAX], *change_at[ROWS_MAX];
    Mq__StoreSums stores[ROWS_MAX], *store_at[ROWS_MAX];
    Mq__LossMailbox lost[ROWS_MAX], *lost_at[ROWS_MAX];
} answer;

static void put_mailbox(unsigned i, unsigned number)
{
    Mq__Mailbox *m = answer.box_at[i] = &answer.boxes[i];
    mq__mailbox__init(m);
    m->name = answer.names[i];
    m->guid = (ProtobufCBinaryData){16, answer.guids[i]};
    m->change = CHANGES;
    put_le32(answer.guids[i], number);
    answer.result.mailboxes = answer.box_at;
    answer.result.n_mailboxes = i + 1;
}

static void put_message(unsigned i, unsigned number)
{
    Mq__MessageRow *row = answer.message_at[i] = &answer.messages[i];
    mq__message_row__init(row);
    mq__message__init(&answer.bodies[i]);
    row->message = &answer.bodies[i];
    row->message->uid = number;
    answer.result.messages = answer.message_at;
    answer.result.n_messages = i + 1;
}

static void put_change(unsigned i, unsigned number)
{
    Mq__Change *c = answer.change_at[i] = &answer.changes[i];
    mq__change__init(c);
    c->change = number;
    answer.result.changes = answer.change_at;
    answer.result.n_changes = i + 1;
}

static void put_store(unsigned i, unsigned number)
{
    Mq__StoreSums *s = answer.store_at[i] = &answer.stores[i];
    mq__store_sums__init(s);
    s->store = answer.names[i];
    s->number = number;
    answer.result.stores = answer.store_at;
    answer.result.n_stores = i + 1;
}

static void put_lost(unsigned i, unsigned number)
{
    Mq__LossMailbox *m = answer.lost_at[i] = &answer.lost[i];
    mq__loss_mailbox__init(m);
    m->name = answer.names[i];
    m->guid = (ProtobufCBinaryData){16, answer.guids[i]};
    m->whole = true;
    put_le32(answer.guids[i], number);
    answer.result.loss_mailboxes = answer.lost_at;
    answer.result.n_loss_mailboxes = i + 1;
}

static void put_page(void)
{
    const struct page *p = &pages[asked];
    CHECK(asked < pages_n);
    for (unsigned i = 0; i < ROWS_MAX && p->rows[i] != 0; i++) {
        snprintf(answer.names[i], sizeof(answer.names[i]), "row%u", p->rows[i]);
        (paged == MQ__QUERY__BODY_MAILBOXES  ? put_mailbox
         : paged == MQ__QUERY__BODY_MESSAGES ? put_message
         : paged == MQ__QUERY__BODY_CHANGES  ? put_change
         : paged == MQ__QUERY__BODY_STORES   ? put_store
                                             : put_lost)(i, p->rows[i]);
    }
    if (p->after != 0) {
        int n = snprintf(answer.after, sizeof(answer.after), "%u", p->after);
        answer.result.loss_after = (ProtobufCBinaryData){(size_t)n, (uint8_t *)answer.after};
    }
    answer.result.more = p->more;
}

static uint64_t position_of(const Mq__Query *q)
{
    char text[16] = "";
    switch (q->body_case) {
        case MQ__QUERY__BODY_MAILBOXES:
            return q->mailboxes->after.len > 0 ? get_le32(q->mailboxes->after.data) : 0;
        case MQ__QUERY__BODY_MESSAGES:
            return q->messages->after_uid;
        case MQ__QUERY__BODY_CHANGES:
            return q->changes->since;
        case MQ__QUERY__BODY_STORES:
            return q->stores->after;
        default:
            CHECK(q->loss->after.len < sizeof(text));
            if (q->loss->after.len > 0) {
                memcpy(text, q->loss->after.data, q->loss->after.len);
            }
            return strtoull(text, NULL, 10);
    }
}

static void take(struct call_answer *a, const ProtobufCMessage *m)
{
    call_answer_clear(a);
    a->outcome = MQ__OUTCOME__OUTCOME_APPLIED;
    snprintf(a->node, sizeof(a->node), "n1");
    a->payload_size = protobuf_c_message_get_packed_size(m);
    a->payload = malloc(a->payload_size + 1);
    CHECK(a->payload != NULL);
    protobuf_c_message_pack(m, a->payload);
}

static void answer_query(const Mq__Query *q, struct call_answer *a)
{
    Mq__Founding founding = MQ__FOUNDING__INIT;
    Mq__FoundingNode node = MQ__FOUNDING_NODE__INIT, *nodes = &node;
    Mq__FoundingShard shard = MQ__FOUNDING_SHARD__INIT, *shards = &shard;
    memset(&answer, 0, sizeof(answer));
    mq__query_result__init(&answer.result);
    if (q->body_case == paged) {
        CHECK(asked < pages_n);
        positions[asked] = position_of(q);
        put_page();
        asked++;
    } else if (q->body_case == MQ__QUERY__BODY_FOUNDING) {
        node.node = shard.shard = 1;
        node.name = shard.name = (char *)"one";
        node.site = (char *)"east";
        founding.n_nodes = founding.n_shards = 1;
        founding.nodes = &nodes;
        founding.shards = &shards;
        answer.result.founding = &founding;
    } else if (q->body_case == MQ__QUERY__BODY_MAILBOX) {
        snprintf(answer.names[0], sizeof(answer.names[0]), "INBOX");
        put_mailbox(0, 1);
    }
    take(a, &answer.result.base);
}

enum status caller_call(struct caller *c, Mq__RequestHeader *header, struct bytes payload,
                        unsigned flags, uint64_t deadline_at_ms, struct call_answer *a,
                        struct error *e)
{
    (void)c, (void)flags, (void)deadline_at_ms, (void)e;
    if (header->op == MQ__OP__OP_ADMIN) {
        Mq__AdminResult none = MQ__ADMIN_RESULT__INIT;
        take(a, &none.base);
        return OK;
    }
    Mq__Query *q = mq__query__unpack(NULL, payload.size, payload.data);
    CHECK(q != NULL);
    answer_query(q, a);
    mq__query__free_unpacked(q, NULL);
    return OK;
}

/* ---- the rest of ctl/caller.h, so that the real one is left out ---- */

enum status caller_open(const struct ctl_config *config, const struct options *options, FILE *log,
                        struct caller **out_c, struct error *e)
{
    (void)config, (void)options, (void)log, (void)e;
    *out_c = NULL;
    return OK;
}

void caller_close(struct caller *c)
{
    (void)c;
}

void call_answer_clear(struct call_answer *a)
{
    free(a->payload);
    memset(a, 0, sizeof(*a));
}

const struct tls_identity *caller_identity(const struct caller *c)
{
    (void)c;
    return NULL;
}

unsigned caller_nodes_n(const struct caller *c)
{
    (void)c;
    return 1;
}

unsigned caller_present(const struct caller *c)
{
    (void)c;
    return 0;
}

void caller_turn_to(struct caller *c, unsigned node)
{
    (void)c;
    (void)node;
}

uint64_t caller_now_ms(void)
{
    return 1;
}

enum status caller_dial(struct caller *c, const char *node, const char *address, uint64_t until_ms,
                        int *out_fd, struct tls_context **out_tls, struct error *e)
{
    (void)c, (void)node, (void)address, (void)until_ms, (void)out_fd, (void)out_tls, (void)e;
    return STATUS_UNREACHABLE;
}

struct uuid caller_cluster(const struct caller *c)
{
    (void)c;
    return (struct uuid){{1}};
}

/* ---- the commands ---- */

static const struct paged_command {
    const char *words[6];
    Mq__Query__BodyCase body;
    bool limited; /* --limit ends the reading */
} commands_paged[] = {
    {{"mailbox", "list", "li"}, MQ__QUERY__BODY_MAILBOXES, true},
    {{"mailbox", "show", "li", "INBOX", "--messages"}, MQ__QUERY__BODY_MESSAGES, true},
    {{"mailbox", "changes", "li", "INBOX"}, MQ__QUERY__BODY_CHANGES, true},
    {{"store", "list"}, MQ__QUERY__BODY_STORES, false},
    {{"report", "lost-site", "east"}, MQ__QUERY__BODY_LOSS, false},
};
#define COMMANDS_N (sizeof(commands_paged) / sizeof(commands_paged[0]))

static int run_pages(const struct paged_command *c, const char *limit, unsigned n,
                     const struct page *p)
{
    const char *const fixed[] = {"--node", "unix:/none", "--timeout", "600s", "-o", "csv"};
    char *argv[20] = {(char *)"clusterctl"};
    int argc = 1;
    size_t size = 0;
    memset(pages, 0, sizeof(pages));
    memcpy(pages, p, n * sizeof(*p));
    pages_n = n;
    asked = 0;
    paged = c->body;
    for (unsigned i = 0; i < 6 && c->words[i] != NULL; i++) {
        argv[argc++] = (char *)(uintptr_t)c->words[i];
    }
    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        argv[argc++] = (char *)(uintptr_t)fixed[i];
    }
    if (limit != NULL) {
        argv[argc++] = (char *)"--limit";
        argv[argc++] = (char *)(uintptr_t)limit;
    }
    free(said);
    said = NULL;
    FILE *f = open_memstream(&said, &size);
    CHECK(f != NULL);
    int code = ctl_main(argc, argv, f, f);
    fclose(f);
    return code;
}

static unsigned rows_said(void)
{
    unsigned n = 0;
    for (unsigned number = 7001; number <= 7003; number++) {
        char text[8];
        snprintf(text, sizeof(text), "%u", number);
        n += strstr(said, text) != NULL;
    }
    return n;
}

static void pages_make_up_the_whole(void)
{
    static const struct page two[] = {{{7001, 7002}, true, 7002}, {{7003}, false, 0}};
    for (size_t i = 0; i < COMMANDS_N; i++) {
        CHECK_EQ(run_pages(&commands_paged[i], NULL, 2, two), EXIT_HEALTHY);
        CHECK_EQ(asked, 2);
        CHECK_EQ(positions[0], 0);
        CHECK_EQ(positions[1], 7002);
        CHECK_EQ(rows_said(), 3);
    }
}

static void an_answer_that_has_more_without_saying_where_is_no_end(void)
{
    static const struct page nothing[] = {{{0}, true, 0}};
    static const struct page later[] = {{{7001, 7002}, true, 7002}, {{0}, true, 0}};
    static const struct page again[] = {{{7001, 7002}, true, 7002}, {{7002}, true, 7002}};
    static const struct {
        const struct page *pages;
        unsigned n;
    } scripts[] = {{nothing, 1}, {later, 2}, {again, 2}};
    for (size_t i = 0; i < COMMANDS_N; i++) {
        for (size_t k = 0; k < sizeof(scripts) / sizeof(scripts[0]); k++) {
            CHECK_EQ(run_pages(&commands_paged[i], NULL, scripts[k].n, scripts[k].pages), EXIT_BUG);
            CHECK_EQ(asked, scripts[k].n);
            CHECK(strstr(said, "n1: the answer cannot be read") != NULL);
            CHECK_EQ(rows_said(), 0); /* a part does not pass for the whole */
        }
    }
}

/* A page of a loss report may be empty, and says where the next one begins all the same. */
static void an_empty_page_that_says_where_goes_on(void)
{
    static const struct page three[] = {
        {{7001}, true, 5}, {{0}, true, 6}, {{7002, 7003}, false, 0}};
    CHECK_EQ(run_pages(&commands_paged[COMMANDS_N - 1], NULL, 3, three), EXIT_HEALTHY);
    CHECK_EQ(positions[2], 6);
    CHECK_EQ(rows_said(), 3);
    static const struct page nowhere[] = {{{7001}, true, 5}, {{7002}, true, 0}};
    CHECK_EQ(run_pages(&commands_paged[COMMANDS_N - 1], NULL, 2, nowhere), EXIT_BUG);
    CHECK_EQ(rows_said(), 0);
}

static void a_limit_ends_the_reading_wherever_the_next_page_would_be(void)
{
    static const struct page one[] = {{{7001, 7002}, true, 0}};
    static const struct page two[] = {{{7001, 7002}, true, 7002}, {{7003}, true, 0}};
    static const struct page again[] = {{{7001, 7002}, true, 7002}, {{7002}, true, 7002}};
    for (size_t i = 0; i < COMMANDS_N; i++) {
        if (!commands_paged[i].limited) {
            continue;
        }
        CHECK_EQ(run_pages(&commands_paged[i], "2", 1, one), EXIT_HEALTHY);
        CHECK_EQ(rows_said(), 2);
        CHECK_EQ(run_pages(&commands_paged[i], "3", 2, two), EXIT_HEALTHY);
        CHECK_EQ(rows_said(), 3);
        CHECK_EQ(run_pages(&commands_paged[i], "3", 2, again), EXIT_HEALTHY); /* not looked at */
    }
}

CHECK_MAIN
{
    RUN(pages_make_up_the_whole);
    RUN(an_answer_that_has_more_without_saying_where_is_no_end);
    RUN(an_empty_page_that_says_where_goes_on);
    RUN(a_limit_ends_the_reading_wherever_the_next_page_would_be);
    free(said);
}
