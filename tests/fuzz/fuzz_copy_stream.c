/* Any bytes from the node that `clusterctl snapshot save` fetches a shard from. The whole program runs; its caller is ours, its socket
 * is one end of a pair, and what TLS would give is what the input holds, piece by piece. Whatever comes, the command ends, a file
 * that it says it saved can be read by `snapshot inspect`, and where it fails there is none.
 *
 *   input: u8 flags (1: hangs up before it reads; 2: another node's name; 4: TLS fails with the last piece), then pieces, by their first byte:
 *     00..3f   raw: u8 size, bytes
 *     40..7f   a frame CopyHead, built along its descriptor (message_source.h); odd: one that fits
 *     80..bf   a frame CopyData, built so; its payload: u8 times 4096 bytes; odd: where the last one ended
 *     c0..ff   a frame: u8 kind, u8 size of its header, u8 of its payload, bytes */
#include "tests/fuzz/asked_node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/socket.h>

#include "proto/frame.h"
#include "proto/peer.pb-c.h"
#include "proto/tls.h"

#define PIECES_MAX 64u
#define PAGE       4096u
#define HOUR_MS    3600000u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);

enum { HANGS_UP = 1, ANOTHER = 2, TLS_FAILS = 4 };

struct tls {
    struct tls_identity peer;
};

static struct {
    char directory[64], path[80];
    struct tls tls;
    uint8_t flags;
    unsigned pieces; /* not received yet */
    int node;        /* its end of the pair */
    uint64_t at;     /* what CopyData has reached */
    uint8_t page[PAGE * 255];
} stream;

/* ---- what the node says ---- */

static void send_piece(const void *data, size_t size)
{
    if (size > 0 && stream.pieces < PIECES_MAX &&
        send(stream.node, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size) {
        stream.pieces++;
    }
}

static void send_frame(enum frame_kind kind, struct bytes header, struct bytes payload)
{
    struct buffer b = {0};
    uint32_t header_max, payload_max;
    frame_limits(kind, &header_max, &payload_max);
    if (header.size <= header_max && payload.size <= payload_max &&
        frame_encode(&b, kind, header, payload) == OK) {
        send_piece(b.data, b.size);
    }
    buffer_deinit(&b);
}

static void send_head(struct source *s, bool fits)
{
    uint8_t sixteen[16] = {1}, packed[256];
    Mq__CopyHead m = MQ__COPY_HEAD__INIT;
    struct bytes header = source_encoded(s, &mq__copy_head__descriptor);
    if (fits) {
        m.index = 7;
        m.term = 1;
        m.size = PAGE * (source_byte(s) % 8u + 1u);
        m.digest = m.environment = (ProtobufCBinaryData){sizeof(sixteen), sixteen};
        header = (struct bytes){packed, mq__copy_head__pack(&m, packed)};
    }
    send_frame(FRAME_COPY_HEAD, header, (struct bytes){NULL, 0});
}

static void send_data(struct source *s, bool fits)
{
    uint8_t packed[64];
    Mq__CopyData m = MQ__COPY_DATA__INIT;
    struct bytes payload = {stream.page, source_byte(s) * (size_t)PAGE};
    struct bytes header = source_encoded(s, &mq__copy_data__descriptor);
    if (fits) {
        m.offset = stream.at;
        m.last = source_byte(s) & 1;
        header = (struct bytes){packed, mq__copy_data__pack(&m, packed)};
    }
    stream.at += payload.size;
    send_frame(FRAME_COPY_DATA, header, payload);
}

static void say(struct source *s)
{
    while (s->at < s->end) {
        uint8_t c = source_byte(s);
        if (c < 0x40) {
            struct bytes raw = source_bytes(s, source_byte(s));
            send_piece(raw.data, raw.size);
        } else if (c < 0x80) {
            send_head(s, c % 2 != 0);
        } else if (c < 0xc0) {
            send_data(s, c % 2 != 0);
        } else {
            enum frame_kind kind = source_byte(s) % FRAME_KIND_COUNT;
            size_t header = source_byte(s), payload = source_byte(s);
            struct bytes h = source_bytes(s, header);
            send_frame(kind, h, source_bytes(s, payload));
        }
    }
}

/* ---- in place of what reaches it ---- */

uint64_t caller_now_ms(void)
{
    return asked.now_ms;
}

/* The founding record, then where the shard stands. */
enum status caller_call(struct caller *c, Mq__RequestHeader *header, struct bytes payload,
                        unsigned flags, uint64_t deadline_at_ms, struct call_answer *out_answer,
                        struct error *e)
{
    char n1[] = "n1", test[] = "test", here[] = "here", address[] = "127.0.0.1:1";
    uint8_t id[16] = {1};
    Mq__QueryResult r = MQ__QUERY_RESULT__INIT;
    Mq__Founding f = MQ__FOUNDING__INIT;
    Mq__FoundingNode node = MQ__FOUNDING_NODE__INIT, *nodes[1] = {&node};
    Mq__FoundingMember member = MQ__FOUNDING_MEMBER__INIT, *members[1] = {&member};
    Mq__FoundingShard shard = MQ__FOUNDING_SHARD__INIT, *shards[1] = {&shard};
    (void)header;
    (void)payload;
    (void)flags;
    (void)deadline_at_ms;
    (void)e;
    node.node = member.node = shard.shard = 1;
    node.name = n1;
    node.site = here;
    node.address = address;
    shard.name = f.cluster_name = test;
    shard.members = members;
    f.cluster_id = (ProtobufCBinaryData){sizeof(id), id};
    f.nodes = nodes;
    f.shards = shards;
    shard.n_members = f.n_nodes = f.n_shards = 1;
    r.founding = c->calls++ == 0 ? &f : NULL;
    call_answer_clear(out_answer);
    out_answer->outcome = MQ__OUTCOME__OUTCOME_APPLIED;
    out_answer->payload_size = mq__query_result__get_packed_size(&r);
    out_answer->payload = malloc(out_answer->payload_size + 1);
    CHECK(out_answer->payload != NULL);
    mq__query_result__pack(&r, out_answer->payload);
    return OK;
}

enum status caller_dial(struct caller *c, const char *node, const char *address, uint64_t until_ms,
                        int *out_fd, struct tls_context **out_tls, struct error *e)
{
    int pair[2];
    (void)address;
    (void)until_ms;
    (void)out_tls;
    (void)e;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_EQ(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    stream.node = pair[1];
    stream.pieces = 0;
    stream.at = 0;
    snprintf(stream.tls.peer.name, sizeof(stream.tls.peer.name), "%s",
             (stream.flags & ANOTHER) != 0 ? "n2" : node);
    say(&c->source);
    if ((stream.flags & HANGS_UP) != 0) {
        close(stream.node);
        stream.node = -1;
    } else {
        CHECK_EQ(shutdown(stream.node, SHUT_WR), 0);
    }
    *out_fd = pair[0];
    return OK;
}

enum status tls_new(struct tls_context *c, bool server, const char *const *alpns,
                    struct tls **out_t)
{
    (void)c;
    (void)server;
    (void)alpns;
    *out_t = &stream.tls;
    return OK;
}

/* Nothing is tried a second time: from here on it is late. */
void tls_free(struct tls *t)
{
    (void)t;
    asked.now_ms += HOUR_MS;
    if (stream.node >= 0) {
        close(stream.node);
        stream.node = -1;
    }
}

enum status tls_receive(struct tls *t, const uint8_t *data, size_t size, struct buffer *plain,
                        struct buffer *cipher)
{
    (void)t;
    (void)cipher;
    if (size == 0) {
        return OK;
    }
    CHECK_OK(buffer_append(plain, data, size));
    stream.pieces--;
    return stream.pieces == 0 && (stream.flags & TLS_FAILS) != 0 ? STATUS_TLS : OK;
}

enum status tls_send(struct tls *t, const uint8_t *data, size_t size, struct buffer *cipher)
{
    (void)t;
    return buffer_append(cipher, data, size);
}

bool tls_ready(const struct tls *t)
{
    return t != NULL;
}

const struct tls_identity *tls_peer(const struct tls *t)
{
    return &t->peer;
}

const char *tls_error_text(const struct tls *t)
{
    (void)t;
    return "bad record mac";
}

/* ---- the program ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(stream.directory, sizeof(stream.directory), "%s/mq-storage-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(stream.directory) != NULL);
    snprintf(stream.path, sizeof(stream.path), "%s/s", stream.directory);
    asked_configure();
    arena_init(&asked.source.arena);
    source_learn(&asked.source, (struct token){1, 2});
    stream.node = -1;
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    arena_deinit(&asked.source.arena);
    rmdir(stream.directory);
}

static int run(const char *words)
{
    char line[COMMAND_LINE_MAX];
    struct printed p;
    snprintf(line, sizeof(line), "clusterctl snapshot %s %s --verbose", words, stream.path);
    asked_run(line, &p);
    check_clean(p.out, p.out_size, false);
    check_clean(p.err, p.err_size, false);
    free(p.out);
    free(p.err);
    return p.code;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    asked.source.at = in;
    asked.source.end = in + size;
    asked.now_ms = HOUR_MS;
    asked.calls = 0;
    stream.flags = source_byte(&asked.source);
    if (run("save") == EXIT_HEALTHY) {
        CHECK_EQ(run("inspect"), EXIT_HEALTHY);
        CHECK_EQ(unlink(stream.path), 0);
    }
    CHECK_NE(access(stream.path, F_OK), 0);
    CHECK_EQ(stream.node, -1);
    CHECK_EQ(rmdir(stream.directory), 0); /* nothing is left half written */
    CHECK_EQ(mkdir(stream.directory, 0700), 0);
    return 0;
}
