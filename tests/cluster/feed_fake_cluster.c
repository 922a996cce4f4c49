/* A cluster as the feed sees it, small enough to be believed: reports are applied to a plain model in memory, by the rules of the
 * wire (cursor, lease, pages), and every rule the feed must keep is checked. It can be told to misbehave as a real one may.
 *
 *   feed_fake_cluster SOCKET DUMP [option=value...]     SIGUSR1: writes the model to DUMP (via DUMP.new and rename)
 *   feed_fake_cluster touch SOCKET USER                 sends a hint
 *
 * Options, all chances in a thousand per command: lose_answer (applied, then the connection ends), lose_question (the connection ends
 * before it is applied), refuse (NO_LEADER), unknown_applied, unknown_not (outcome unknown; applied or not), resync (spurious RESYNC),
 * stale (the lease is taken away), removals=N (a page takes away at most N rows and ends early, as storage does), too_big=N
 * (a page of more messages than N is TOO_BIG), assigned=PREFIX (only these users have a shard), seed=N, slow_ms=N (each report).
 * The dump: one line a mailbox and one a message, tab-separated, sorted. Exit code 1 with "VIOLATION ..." when the feed breaks a rule. */
#include "tests/cluster/feed_fake_model.h"

/* ---- frames ---- */

static void peer_close(struct peer *p)
{
    close(p->fd);
    buffer_deinit(&p->in);
    memset(p, 0, sizeof(*p));
    p->fd = -1;
}

static void peer_send(struct peer *p, enum frame_kind kind, struct bytes header,
                      struct bytes payload)
{
    struct buffer b = {0};
    if (p->fd >= 0 && frame_encode(&b, kind, header, payload) == OK) {
        for (size_t at = 0; at < b.size;) {
            ssize_t n = write(p->fd, b.data + at, b.size - at);
            if (n <= 0) {
                break;
            }
            at += (size_t)n;
        }
    }
    buffer_deinit(&b);
}

static void respond(struct peer *p, uint64_t id, Mq__Outcome outcome, enum status s,
                    struct bytes payload)
{
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    uint8_t packed[512];
    h.id = id;
    h.outcome = outcome;
    h.status = s;
    h.text = (char *)status_text(s);
    peer_send(p, FRAME_CLIENT_RESPONSE,
              (struct bytes){packed, mq__response_header__pack(&h, packed)}, payload);
}

static void submit(struct peer *p, uint64_t id, struct bytes payload)
{
    Mq__Command *c = mq__command__unpack(NULL, payload.size, payload.data);
    Mq__Result r = MQ__RESULT__INIT;
    Mq__ResultReport report;
    Mq__ResultLease lease;
    Mq__Token token;
    bool answer = false, lease_answer = false;
    enum status s = STATUS_MALFORMED;
    if (c == NULL || payload.size > 1024 * 1024) {
        VIOLATION("a command of %zu bytes that is none", payload.size);
    }
    if (chance("lose_question")) {
        peer_close(p);
        mq__command__free_unpacked(c, NULL);
        return;
    }
    if (chance("refuse") || chance("unknown_not")) {
        bool unknown = random_below(&chance_random, 2) == 0;
        respond(p, id, unknown ? MQ__OUTCOME__OUTCOME_UNKNOWN : MQ__OUTCOME__OUTCOME_REFUSED,
                unknown ? STATUS_UNKNOWN_OUTCOME : STATUS_NO_LEADER, (struct bytes){0});
        mq__command__free_unpacked(c, NULL);
        return;
    }
    switch (c->body_case) {
        case MQ__COMMAND__BODY_REPORT:
            if (option("slow_ms") > 0) {
                usleep((useconds_t)option("slow_ms") * 1000);
            }
            if (chance("stale")) {
                lease_find(c->report->user, true)->position = ++position;
            }
            s = apply_report(c->report, &report, &answer);
            break;
        case MQ__COMMAND__BODY_LEASE_ACQUIRE:
            s = apply_acquire(c->lease_acquire, &lease, &token);
            lease_answer = true;
            break;
        case MQ__COMMAND__BODY_STORE_POSITION:
            s = OK;
            break;
        case MQ__COMMAND__BODY_LEASE_RENEW:
            s = apply_renew(c->lease_renew->user, c->lease_renew->token, c->lease_renew->ttl_ms,
                            &lease, &token);
            lease_answer = s == OK;
            break;
        case MQ__COMMAND__BODY_LEASE_RELEASE:
            s = apply_renew(c->lease_release->user, c->lease_release->token, 0, &lease, &token);
            break;
        default:
            VIOLATION("a command a feed has no business with");
    }
    if (answer && !(s == OK && c->report->deleted)) {
        r.body_case = MQ__RESULT__BODY_REPORT;
        r.report = &report;
    } else if (lease_answer) {
        r.body_case = MQ__RESULT__BODY_LEASE;
        r.lease = &lease;
    }
    uint8_t packed[1024];
    struct bytes result = {packed, mq__result__pack(&r, packed)};
    mq__command__free_unpacked(c, NULL);
    if (chance("lose_answer")) {
        peer_close(p);
    } else if (s == OK && chance("unknown_applied")) {
        respond(p, id, MQ__OUTCOME__OUTCOME_UNKNOWN, STATUS_TIMEOUT, (struct bytes){0});
    } else {
        respond(p, id, s == OK ? MQ__OUTCOME__OUTCOME_APPLIED : MQ__OUTCOME__OUTCOME_REFUSED, s,
                result);
    }
}

static int compare_box_pointers(const void *a, const void *b)
{
    struct box *const *x = a, *const *y = b;
    return memcmp((*x)->guid.bytes, (*y)->guid.bytes, 16);
}

static void query(struct peer *p, uint64_t id, struct bytes payload)
{
    Mq__Query *q = mq__query__unpack(NULL, payload.size, payload.data);
    if (q == NULL ||
        (q->body_case != MQ__QUERY__BODY_CURSORS && q->body_case != MQ__QUERY__BODY_MAILBOXES)) {
        VIOLATION("a query a feed has no business with");
    }
    bool cursors = q->body_case == MQ__QUERY__BODY_CURSORS;
    const char *user = cursors ? q->cursors->user : q->mailboxes->user;
    ProtobufCBinaryData after = cursors ? q->cursors->after : q->mailboxes->after;
    struct box **found = calloc(boxes_n + 1, sizeof(*found));
    size_t n = 0, limit = 3; /* tiny pages, so that they are used */
    for (size_t i = 0; i < boxes_n; i++) {
        if (strcmp(boxes[i].user, user) == 0 &&
            (after.len == 0 || memcmp(boxes[i].guid.bytes, after.data, 16) > 0)) {
            found[n++] = &boxes[i];
        }
    }
    qsort(found, n, sizeof(*found), compare_box_pointers);
    Mq__QueryResult r = MQ__QUERY_RESULT__INIT;
    Mq__Cursor rows[3], *row_pointers[3];
    Mq__StoreCursor stores[3];
    Mq__Mailbox mailboxes[3], *mailbox_pointers[3];
    r.more = n > limit;
    n = n < limit ? n : limit;
    for (size_t i = 0; i < n; i++) {
        const struct box *b = found[i];
        ProtobufCBinaryData guid = {16, (uint8_t *)b->guid.bytes};
        mq__cursor__init(&rows[i]);
        mq__store_cursor__init(&stores[i]);
        mq__mailbox__init(&mailboxes[i]);
        rows[i].mailbox = mailboxes[i].guid = guid;
        rows[i].name = mailboxes[i].name = (char *)b->name;
        mailboxes[i].subscribed = b->subscribed;
        rows[i].cursor = &stores[i];
        stores[i].uidvalidity = b->uidvalidity;
        stores[i].uidnext = b->uidnext;
        stores[i].modseq = b->compared ? b->modseq : 0;
        stores[i].in_progress = b->in_progress;
        stores[i].from_modseq = b->in_progress ? b->from : 0;
        stores[i].to_modseq = b->in_progress ? b->to : 0;
        stores[i].next_uid = b->in_progress ? b->next_uid : 0;
        stores[i].present = b->present;
        row_pointers[i] = &rows[i];
        mailbox_pointers[i] = &mailboxes[i];
    }
    r.n_cursors = cursors ? n : 0;
    r.cursors = row_pointers;
    r.n_mailboxes = cursors ? 0 : n;
    r.mailboxes = mailbox_pointers;
    uint8_t *packed = malloc(mq__query_result__get_packed_size(&r));
    respond(p, id, MQ__OUTCOME__OUTCOME_APPLIED, OK,
            (struct bytes){packed, mq__query_result__pack(&r, packed)});
    free(packed);
    free(found);
    mq__query__free_unpacked(q, NULL);
}

static void touch(struct bytes payload)
{
    Mq__Touch *t = mq__touch__unpack(NULL, payload.size, payload.data);
    Mq__Event e = MQ__EVENT__INIT;
    uint8_t packed[1024];
    if (t == NULL) {
        return;
    }
    e.body_case = MQ__EVENT__BODY_TOUCH;
    e.touch = t;
    struct bytes header = {packed, mq__event__pack(&e, packed)};
    for (int i = 0; i < CLIENTS_MAX; i++) {
        if (peers[i].fd >= 0 && peers[i].subscribed) {
            peer_send(&peers[i], FRAME_CLIENT_EVENT, header, (struct bytes){0});
        }
    }
    mq__touch__free_unpacked(t, NULL);
}

static void request(struct peer *p, const struct frame *f)
{
    Mq__RequestHeader *h = mq__request_header__unpack(NULL, f->header.size, f->header.data);
    if (h == NULL) {
        VIOLATION("a request header that is none");
    }
    uint64_t id = h->id;
    Mq__Op op = h->op;
    bool unassigned =
        h->user[0] != '\0' && strncmp(h->user, assigned_prefix, strlen(assigned_prefix)) != 0;
    mq__request_header__free_unpacked(h, NULL);
    if (unassigned) {
        respond(p, id, MQ__OUTCOME__OUTCOME_REFUSED, STATUS_NOT_FOUND, (struct bytes){0});
    } else if (op == MQ__OP__OP_SUBMIT) {
        submit(p, id, f->payload);
    } else if (op == MQ__OP__OP_QUERY) {
        query(p, id, f->payload);
    } else if (op == MQ__OP__OP_SUBSCRIBE) {
        p->subscribed = true;
        respond(p, id, MQ__OUTCOME__OUTCOME_APPLIED, OK, (struct bytes){0});
    } else if (op == MQ__OP__OP_FEED_STATUS) {
        respond(p, id, MQ__OUTCOME__OUTCOME_APPLIED, OK, (struct bytes){0});
    } else if (op == MQ__OP__OP_TOUCH) {
        touch(f->payload);
        respond(p, id, MQ__OUTCOME__OUTCOME_APPLIED, OK, (struct bytes){0});
    } else {
        VIOLATION("operation %d", (int)op);
    }
}

static void hello(struct peer *p)
{
    Mq__ClientHello h = MQ__CLIENT_HELLO__INIT;
    uint8_t packed[256], cluster[16] = {7};
    h.version = WIRE_VERSION;
    h.software = (char *)"fake";
    h.cluster_id = (ProtobufCBinaryData){16, cluster};
    h.node = (char *)"fake-1";
    peer_send(p, FRAME_CLIENT_HELLO, (struct bytes){packed, mq__client_hello__pack(&h, packed)},
              (struct bytes){0});
}

static void peer_read(struct peer *p)
{
    uint8_t *at;
    if (buffer_reserve(&p->in, 65536, &at) != OK) {
        abort();
    }
    ssize_t n = read(p->fd, at, 65536);
    if (n <= 0) {
        peer_close(p);
        return;
    }
    p->in.size += (size_t)n;
    struct frame f;
    size_t size;
    enum status s = STATUS_BUSY;
    while (p->fd >= 0 &&
           (s = frame_decode((struct bytes){p->in.data, p->in.size}, &f, &size)) == OK) {
        if (f.kind == FRAME_CLIENT_HELLO) {
            hello(p);
        } else if (f.kind == FRAME_CLIENT_REQUEST) {
            request(p, &f);
        } else {
            VIOLATION("a frame of kind %d", (int)f.kind);
        }
        if (p->fd >= 0) {
            buffer_consume(&p->in, size);
        }
    }
    if (p->fd >= 0 && s != STATUS_BUSY) {
        VIOLATION("a frame that is none: %s", status_text(s));
    }
}

/* ---- the dump ---- */

static int compare_boxes(const void *a, const void *b)
{
    struct box *const *x = a, *const *y = b;
    int c = strcmp((*x)->user, (*y)->user);
    return c != 0 ? c : strcmp((*x)->name, (*y)->name);
}

static void dump_box(FILE *out, const struct box *b)
{
    static const char *const names[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
                                        "\\Draft"};
    char guid[UUID_TEXT_SIZE];
    uuid_format(&b->guid, guid);
    fprintf(out, "box\t%s\t%s\t%s\t%u\t%u\t%llu\t%zu\t%s%s\n", b->user, b->name, guid,
            b->uidvalidity, b->uidnext, (unsigned long long)b->highestmodseq, b->rows_n,
            b->subscribed ? "subscribed" : "-", b->in_progress ? "\tunfinished" : "");
    for (size_t i = 0; i < b->rows_n; i++) {
        const struct row *r = &b->rows[i];
        fprintf(out, "msg\t%s\t%s\t%u\t%s\t%llu\t%llu\t%lld\t", b->user, guid, r->uid, r->guid,
                (unsigned long long)r->modseq, (unsigned long long)r->size, (long long)r->date);
        for (int f = 0; f < 5; f++) {
            fprintf(out, "%s", r->flags & (1u << f) ? names[f] : "");
        }
        fprintf(out, "\t%s\n", r->keywords);
    }
}

static void dump(const char *path)
{
    char temporary[4096];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *out = fopen(temporary, "w");
    struct box **sorted = calloc(boxes_n + 1, sizeof(*sorted));
    size_t n = 0;
    for (size_t i = 0; i < boxes_n; i++) {
        if (boxes[i].present || boxes[i].in_progress) {
            sorted[n++] = &boxes[i];
        }
    }
    qsort(sorted, n, sizeof(*sorted), compare_boxes);
    for (size_t i = 0; i < n; i++) {
        dump_box(out, sorted[i]);
    }
    free(sorted);
    fprintf(out, "#\treports=%llu messages=%llu faults=%llu\n", (unsigned long long)reports_n,
            (unsigned long long)pages_messages_n, (unsigned long long)faults_n);
    fclose(out);
    if (rename(temporary, path) != 0) {
        abort();
    }
}

/* ---- the process ---- */

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        dump_wanted = 1;
    } else {
        over = 1;
    }
}

static int listen_on(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 16) != 0) {
        perror(path);
        exit(2);
    }
    return fd;
}

static int send_touch(const char *path, const char *user)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct peer p = {.fd = socket(AF_UNIX, SOCK_STREAM, 0)};
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    Mq__Touch t = MQ__TOUCH__INIT;
    uint8_t header[64], payload[512], answer[4096];
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (connect(p.fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        perror(path);
        return 2;
    }
    h.id = 1;
    h.op = MQ__OP__OP_TOUCH;
    t.user = (char *)user;
    hello(&p);
    peer_send(&p, FRAME_CLIENT_REQUEST,
              (struct bytes){header, mq__request_header__pack(&h, header)},
              (struct bytes){payload, mq__touch__pack(&t, payload)});
    size_t got = 0, size = 0, frames = 0; /* hello, then the answer */
    for (size_t at = 0; frames < 2;) {
        struct frame f;
        if (frame_decode((struct bytes){answer + at, got - at}, &f, &size) == OK) {
            at += size;
            frames++;
            continue;
        }
        ssize_t n = read(p.fd, answer + got, sizeof(answer) - got);
        if (n <= 0) {
            break;
        }
        got += (size_t)n;
    }
    close(p.fd);
    return frames == 2 ? 0 : 2;
}

static void take_options(int argc, char **argv)
{
    for (int i = 3; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        bool known = false;
        if (equals == NULL) {
            exit(2);
        }
        *equals = '\0';
        for (size_t k = 0; k < sizeof(options) / sizeof(*options); k++) {
            if (strcmp(options[k].name, argv[i]) == 0) {
                options[k].value = strtoull(equals + 1, NULL, 10);
                known = true;
            }
        }
        if (strcmp(argv[i], "assigned") == 0) {
            assigned_prefix = equals + 1;
            known = true;
        }
        if (!known) {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            exit(2);
        }
    }
}

static void accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);
    for (int i = 0; i < CLIENTS_MAX && fd >= 0; i++) {
        if (peers[i].fd < 0) {
            peers[i] = (struct peer){.fd = fd};
            return;
        }
    }
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "touch") == 0) {
        return send_touch(argv[2], argv[3]);
    }
    if (argc < 3) {
        return 2;
    }
    take_options(argc, argv);
    random_init_seed(&chance_random, option("seed"));
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(argv[1]);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        peers[i].fd = -1;
    }
    while (!over) {
        struct pollfd fds[CLIENTS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < CLIENTS_MAX; i++) {
            fds[i + 1] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        }
        int n = poll(fds, CLIENTS_MAX + 1, 50);
        if (dump_wanted) {
            dump_wanted = 0;
            dump(argv[2]);
        }
        if (n <= 0) {
            continue;
        }
        for (int i = 0; i < CLIENTS_MAX; i++) {
            if (fds[i + 1].fd >= 0 && fds[i + 1].revents != 0 && peers[i].fd == fds[i + 1].fd) {
                peer_read(&peers[i]);
            }
        }
        if (fds[0].revents != 0) {
            accept_one(listener);
        }
    }
    return 0;
}
