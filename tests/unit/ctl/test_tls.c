/* proto/tls.c with certificates from ctl/cert.c: who gets in, who does not and what is said; bytes in pieces of any size; and the
 * client engine over it. Stands here because a unit test of proto/ cannot make certificates. */
#include "proto/tls.h"

#include <sys/stat.h>

#include "ctl/cert.h"
#include "proto/client.h"
#include "proto/frame.h"
#include "tests/lib/check.h"
#include "tests/lib/remove_tree.h"

static char dir[] = "/tmp/mq-test-tls-XXXXXX";
static char paths[8][300];
static struct error problem;

static const char *in_dir(int slot, const char *name)
{
    snprintf(paths[slot], sizeof(paths[slot]), "%s/%s", dir, name);
    return paths[slot];
}

static void make_ca(const char *name)
{
    CHECK(mkdir(in_dir(0, name), 0700) == 0);
    CHECK_OK(cert_ca_new(in_dir(0, name), "test", &problem));
}

static struct cert_request request_of(enum tls_identity_kind kind, const char *name)
{
    struct cert_request r = {.identity = {.kind = kind}};
    snprintf(r.identity.name, sizeof(r.identity.name), "%s", name);
    snprintf(r.identity.role, sizeof(r.identity.role), "%s", kind == TLS_OPERATOR ? "admin" : "");
    return r;
}

static struct tls_context *context_of(const char *ca, const char *trust, struct cert_request r)
{
    static int serial;
    char base[64], crt[80], key[80], trust_file[80];
    struct tls_context *c;
    snprintf(base, sizeof(base), "cert-%d", serial++);
    snprintf(crt, sizeof(crt), "%s.crt", base);
    snprintf(key, sizeof(key), "%s.key", base);
    snprintf(trust_file, sizeof(trust_file), "%s/ca.crt", trust);
    r.sans[0] = "127.0.0.1";
    r.sans[1] = "bj1.example.org";
    CHECK_OK(cert_issue(in_dir(0, ca), &r, in_dir(1, crt), in_dir(2, key), &problem));
    enum status s =
        tls_context_new(in_dir(3, trust_file), in_dir(1, crt), in_dir(2, key), &c, &problem);
    return s == OK ? c : NULL;
}

static const char *const client_alpns[] = {ALPN_CLIENT, NULL};
static const char *const server_alpns[] = {ALPN_PEER, ALPN_CLIENT, NULL};
static const char *const copy_alpns[] = {ALPN_COPY, NULL};

struct link {
    struct tls *client, *server;
    struct buffer to_server, to_client, client_plain, server_plain;
    enum status client_status, server_status;
};

/* Moves bytes in pieces until both are silent. */
static void settle(struct link *l, size_t piece)
{
    while (l->to_server.size > 0 || l->to_client.size > 0) {
        size_t n = l->to_server.size < piece ? l->to_server.size : piece;
        if (n > 0) {
            enum status s =
                tls_receive(l->server, l->to_server.data, n, &l->server_plain, &l->to_client);
            l->server_status = l->server_status == OK ? s : l->server_status;
            buffer_consume(&l->to_server, n);
        }
        n = l->to_client.size < piece ? l->to_client.size : piece;
        if (n > 0) {
            enum status s =
                tls_receive(l->client, l->to_client.data, n, &l->client_plain, &l->to_server);
            l->client_status = l->client_status == OK ? s : l->client_status;
            buffer_consume(&l->to_client, n);
        }
    }
}

static void link_open(struct link *l, struct tls_context *client, struct tls_context *server,
                      const char *const *offers)
{
    memset(l, 0, sizeof(*l));
    CHECK(client != NULL && server != NULL);
    CHECK_OK(tls_new(client, false, offers, &l->client));
    CHECK_OK(tls_new(server, true, server_alpns, &l->server));
    CHECK_OK(tls_receive(l->client, NULL, 0, &l->client_plain, &l->to_server));
    CHECK_EQ(tls_send(l->client, (const uint8_t *)"x", 1, &l->to_server), STATUS_BUSY);
}

static void link_close(struct link *l)
{
    tls_free(l->client);
    tls_free(l->server);
    buffer_deinit(&l->to_server);
    buffer_deinit(&l->to_client);
    buffer_deinit(&l->client_plain);
    buffer_deinit(&l->server_plain);
}

static void both_sides_know_each_other_whatever_the_pieces(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct tls_context *operator= context_of("ca", "ca", request_of(TLS_OPERATOR, "wang"));
    static const size_t pieces[] = {1, 7, 1000, 1 << 20};
    CHECK_STR_EQ(tls_context_identity(node)->name, "bj1");
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct link l;
        link_open(&l, operator, node, client_alpns);
        settle(&l, pieces[i]);
        CHECK(tls_ready(l.client) && tls_ready(l.server));
        CHECK_EQ(tls_peer(l.client)->kind, TLS_NODE);
        CHECK_STR_EQ(tls_peer(l.client)->name, "bj1");
        CHECK_EQ(tls_peer(l.server)->kind, TLS_OPERATOR);
        CHECK_STR_EQ(tls_peer(l.server)->name, "wang");
        CHECK_STR_EQ(tls_peer(l.server)->role, "admin");
        CHECK(tls_peer(l.server)->expires_ms > 1000000000000ull);
        CHECK_STR_EQ(tls_alpn(l.server), ALPN_CLIENT);
        CHECK_STR_EQ(tls_alpn(l.client), ALPN_CLIENT);
        static uint8_t big[100000];
        memset(big, 'm', sizeof(big));
        CHECK_OK(tls_send(l.client, big, sizeof(big), &l.to_server));
        CHECK(l.to_server.size < sizeof(big) + 8 * 64);
        CHECK_OK(tls_send(l.server, (const uint8_t *)"hello", 5, &l.to_client));
        settle(&l, pieces[i]);
        CHECK_EQ(l.server_plain.size, sizeof(big));
        CHECK_MEM_EQ(l.server_plain.data, big, sizeof(big));
        CHECK_EQ(l.client_plain.size, 5);
        CHECK_OK(l.client_status);
        CHECK_OK(l.server_status);
        link_close(&l);
    }
    tls_context_free(node);
    tls_context_free(operator);
}

/* The server refuses this client; both know why. */
static void refused(struct tls_context *client, struct tls_context *server,
                    const char *const *offers, const char *why)
{
    struct link l;
    link_open(&l, client, server, offers);
    settle(&l, 1000);
    CHECK_EQ(l.server_status, STATUS_TLS);
    CHECK(!tls_ready(l.server));
    CHECK(!tls_ready(l.client)); /* the alert has reached it */
    CHECK_EQ(l.client_status, STATUS_TLS);
    CHECK_STR_EQ(tls_error_text(l.server), why);
    CHECK(strncmp(tls_error_text(l.client), "the other side refused: ", 24) == 0);
    CHECK_EQ(tls_receive(l.server, (const uint8_t *)"x", 1, &l.server_plain, &l.to_client),
             STATUS_TLS);
    link_close(&l);
}

static void strangers_are_refused_with_the_reason(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct cert_request nameless = request_of(TLS_OPERATOR, "wang");
    struct cert_request server_only = request_of(TLS_OPERATOR, "wang");
    struct cert_request expired = request_of(TLS_OPERATOR, "wang");
    struct cert_request early = request_of(TLS_OPERATOR, "wang");
    nameless.without_identity = true;
    server_only.usage = "serverAuth";
    expired.not_before_s = -86400;
    expired.not_after_s = -10;
    early.not_before_s = 3600;
    early.not_after_s = 86400;
    CHECK(context_of("ca", "ca", nameless) == NULL);
    CHECK(strstr(problem.text, "certificate has no mq:// name") != NULL);
    CHECK(context_of("ca", "ca", expired) == NULL);
    CHECK(strstr(problem.text, "certificate has expired") != NULL);
    CHECK(context_of("ca", "ca", early) == NULL);
    CHECK(strstr(problem.text, "certificate is not yet valid") != NULL);
    CHECK(context_of("other", "ca", request_of(TLS_OPERATOR, "wang")) == NULL);
    struct tls_context *c = context_of("ca", "ca", server_only);
    refused(c, node, client_alpns, "unsuitable certificate purpose");
    tls_context_free(c);
    tls_context_free(node);
}

static const char *list_of(const struct tls_context *c)
{
    FILE *f = fopen(in_dir(5, "revoked"), "w");
    CHECK(f != NULL && fprintf(f, "serial=%s\n", tls_context_identity(c)->serial) > 8);
    CHECK(fclose(f) == 0);
    return paths[5];
}

static void a_revoked_certificate_is_refused_by_both_sides_and_named(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct tls_context *other = context_of("ca", "ca", request_of(TLS_OPERATOR, "li"));
    struct tls_context *stolen = context_of("ca", "ca", request_of(TLS_OPERATOR, "wang"));
    char text[TLS_REVOKED_TEXT_SIZE], why[TLS_REVOKED_TEXT_SIZE];
    struct link l, m;
    link_open(&l, stolen, node, client_alpns);
    link_open(&m, other, node, client_alpns);
    settle(&l, 1000);
    settle(&m, 1000);
    CHECK(!tls_revoked(l.server, node, text));
    CHECK_OK(tls_context_revoke(node, list_of(stolen), &problem));
    CHECK(tls_revoked(l.server, node, why)); /* also who is connected already */
    CHECK(strncmp(why, "the certificate of operator wang with serial number ", 52) == 0);
    CHECK(!tls_revoked(m.server, node, text));
    link_close(&l);
    link_close(&m);
    refused(stolen, node, client_alpns, why);
    CHECK_EQ(tls_context_revoke(stolen, paths[5], &problem), STATUS_TLS);
    CHECK(strstr(problem.text, "is revoked by") != NULL);
    tls_context_free(stolen);
    tls_context_free(node);
    node = context_of("ca", "ca", request_of(TLS_NODE, "bj2"));
    CHECK_OK(tls_context_revoke(other, list_of(node), &problem));
    link_open(&l, other, node, client_alpns);
    settle(&l, 1000);
    CHECK_EQ(l.client_status, STATUS_TLS);
    CHECK(strstr(tls_error_text(l.client), "certificate of node bj2 with") != NULL);
    CHECK_STR_EQ(tls_error_text(l.server), "the other side refused: certificate revoked");
    link_close(&l);
    tls_context_free(other);
    tls_context_free(node);
}

static void a_certificate_of_another_cluster_is_refused(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct tls_context *foreign = context_of("other", "both", request_of(TLS_OPERATOR, "wang"));
    refused(foreign, node, client_alpns, "unable to get local issuer certificate");
    tls_context_free(foreign);
    tls_context_free(node);
}

static void a_client_refuses_a_server_that_is_no_node_and_one_of_another_cluster(void)
{
    struct cert_request host = request_of(TLS_HOST, "mail-beijing");
    host.usage = "serverAuth,clientAuth";
    struct tls_context *server = context_of("ca", "ca", host);
    struct tls_context *client = context_of("ca", "ca", request_of(TLS_OPERATOR, "wang"));
    struct tls_context *foreign = context_of("other", "other", request_of(TLS_NODE, "bj1"));
    struct link l;
    link_open(&l, client, server, client_alpns);
    settle(&l, 1000);
    CHECK_STR_EQ(tls_error_text(l.client), "certificate is not a node's");
    CHECK(!tls_ready(l.server));
    link_close(&l);
    link_open(&l, client, foreign, client_alpns);
    settle(&l, 1000);
    CHECK_EQ(l.client_status, STATUS_TLS);
    CHECK(!tls_ready(l.client) && !tls_ready(l.server));
    link_close(&l);
    tls_context_free(server);
    tls_context_free(client);
    tls_context_free(foreign);
}

static void an_unknown_protocol_and_plain_bytes_are_refused(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct tls_context *c = context_of("ca", "ca", request_of(TLS_OPERATOR, "wang"));
    refused(c, node, copy_alpns, "no application protocol");
    static const char *const junk[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                       "EHLO mail.example.org\r\n", "\x16\x03\x01\xff\xff\x01"};
    for (size_t i = 0; i < 3; i++) {
        struct tls *t;
        struct buffer plain = {0}, cipher = {0};
        CHECK_OK(tls_new(node, true, server_alpns, &t));
        CHECK_EQ(tls_receive(t, (const uint8_t *)junk[i], strlen(junk[i]), &plain, &cipher),
                 STATUS_TLS);
        CHECK(tls_error_text(t)[0] != '\0');
        CHECK_EQ(plain.size, 0);
        tls_free(t);
        buffer_deinit(&plain);
        buffer_deinit(&cipher);
    }
    tls_context_free(node);
    tls_context_free(c);
}

static void a_flipped_bit_ends_the_session(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct link l;
    link_open(&l, node, node, client_alpns);
    settle(&l, 1000);
    CHECK_OK(tls_send(l.client, (const uint8_t *)"hello", 5, &l.to_server));
    l.to_server.data[l.to_server.size - 3] ^= 1;
    settle(&l, 1000);
    CHECK_EQ(l.server_status, STATUS_TLS);
    CHECK_EQ(l.server_plain.size, 0);
    link_close(&l);
    tls_context_free(node);
}

static void a_key_that_others_may_read_is_refused_with_what_to_do(void)
{
    struct tls_context *c = context_of("ca", "ca", request_of(TLS_NODE, "sh1"));
    char key[300];
    snprintf(key, sizeof(key), "%s", paths[2]);
    tls_context_free(c);
    CHECK(chmod(key, 0640) == 0);
    CHECK_EQ(tls_context_new(paths[3], paths[1], key, &c, &problem), STATUS_PERMISSION);
    CHECK(strstr(problem.text, "chmod 600 ") != NULL);
    CHECK_EQ(tls_context_new(paths[3], paths[1], in_dir(4, "ca/ca.key"), &c, &problem),
             STATUS_INVALID);
    CHECK(strstr(problem.text, "does not belong to the certificate") != NULL);
    CHECK_EQ(tls_context_new(paths[3], paths[1], "/nonexistent", &c, &problem), STATUS_NOT_FOUND);
}

static void our_own_certificate_is_warned_of_in_its_last_thirty_days(void)
{
    char text[CERT_WARNING_SIZE] = "";
    struct tls_identity own = {.kind = TLS_OPERATOR,
                               .name = "wang",
                               .role = "admin",
                               .expires_ms = 100 * UINT64_C(86400000)};
    CHECK(!cert_warning(&own, 70 * UINT64_C(86400000), text));
    CHECK_STR_EQ(text, "");
    CHECK(cert_warning(&own, 70 * UINT64_C(86400000) + 1, text));
    CHECK(strstr(text, "cert issue operator wang --role admin where") != NULL);
    CHECK(cert_warning(&own, 200 * UINT64_C(86400000), text));
    own = (struct tls_identity){.kind = TLS_HOST, .name = "mx1", .expires_ms = 1};
    CHECK(cert_warning(&own, 0, text));
    CHECK(strstr(text, "cert issue host mx1 where") != NULL);
}

static void nothing_is_written_over(void)
{
    struct cert_request r = request_of(TLS_NODE, "sh2");
    CHECK_EQ(cert_ca_new(in_dir(0, "ca"), "test", &problem), STATUS_EXISTS);
    CHECK_OK(cert_issue(in_dir(0, "ca"), &r, in_dir(1, "a.crt"), in_dir(2, "a.key"), &problem));
    CHECK_EQ(cert_issue(in_dir(0, "ca"), &r, in_dir(1, "b.crt"), in_dir(2, "a.key"), &problem),
             STATUS_EXISTS);
    r.sans[0] = "a,DNS:evil";
    CHECK_EQ(cert_issue(in_dir(0, "ca"), &r, in_dir(1, "c.crt"), in_dir(2, "c.key"), &problem),
             STATUS_INVALID);
    r = request_of(TLS_NODE, "UPPER");
    CHECK_EQ(cert_issue(in_dir(0, "ca"), &r, in_dir(1, "c.crt"), in_dir(2, "c.key"), &problem),
             STATUS_INVALID);
}

static void names_are_parsed_exactly(void)
{
    static const char *const good[] = {"mq://node/bj1", "mq://host/mail.beijing",
                                       "mq://operator/wang?role=admin"};
    static const char *const bad[] = {"mq://node/",
                                      "mq://node/a/b",
                                      "mq://node/a?role=admin",
                                      "mq://Node/a",
                                      "http://node/a",
                                      "mq://operator/a?role=god",
                                      "mq://operator/a?role=",
                                      "mq://nobody/a",
                                      "mq://node/A",
                                      ""};
    struct tls_identity i;
    for (size_t n = 0; n < 3; n++) {
        char back[TLS_URI_MAX];
        CHECK(tls_identity_parse(good[n], strlen(good[n]), &i));
        CHECK_OK(tls_identity_format(&i, back));
        CHECK_STR_EQ(back, good[n]);
    }
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        CHECK(!tls_identity_parse(bad[n], strlen(bad[n]), &i));
    }
    CHECK(!tls_identity_parse("mq://node/a\0b", 13, &i));
    CHECK(tls_identity_parse("mq://operator/li", 16, &i));
    CHECK_STR_EQ(i.role, "viewer");
}

/* ---- the client engine over TLS ---- */

static int answered;
static void on_done(struct client_request *r)
{
    answered += r->outcome == MQ__OUTCOME__OUTCOME_APPLIED;
}

static void server_hello(struct tls *t, const char *node, struct buffer *cipher)
{
    Mq__ClientHello hello = MQ__CLIENT_HELLO__INIT;
    uint8_t packed[200], id[16] = {7};
    char name[64];
    struct buffer b = {0};
    snprintf(name, sizeof(name), "%s", node);
    hello.version = WIRE_VERSION;
    hello.node = name;
    hello.cluster_id = (ProtobufCBinaryData){16, id};
    size_t n = mq__client_hello__pack(&hello, packed);
    CHECK_OK(
        frame_encode(&b, FRAME_CLIENT_HELLO, (struct bytes){packed, n}, (struct bytes){NULL, 0}));
    CHECK_OK(tls_send(t, b.data, b.size, cipher));
    buffer_deinit(&b);
}

static void pump(struct client *c, struct tls *server, struct buffer *plain, struct buffer *cipher)
{
    for (;;) {
        struct bytes out = client_output(c);
        if (out.size == 0 && cipher->size == 0) {
            return;
        }
        if (out.size > 0) {
            CHECK_OK(tls_receive(server, out.data, out.size, plain, cipher));
            client_written(c, out.size);
        }
        if (cipher->size > 0) {
            (void)client_receive(c, 0, cipher->data, cipher->size);
            buffer_clear(cipher);
        }
    }
}

static void a_thousand_requests_leave_as_a_few_records(void)
{
    static struct client_request all[1000];
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct tls_context *operator= context_of("ca", "ca", request_of(TLS_OPERATOR, "wang"));
    struct buffer plain = {0}, cipher = {0};
    struct client c;
    struct tls *server;
    CHECK_OK(client_init(&c, operator, NULL));
    CHECK_OK(tls_new(node, true, server_alpns, &server));
    client_connected(&c, 0);
    pump(&c, server, &plain, &cipher);
    CHECK(tls_ready(server));
    server_hello(server, "bj1", &cipher);
    pump(&c, server, &plain, &cipher);
    CHECK(client_ready(&c));
    buffer_clear(&plain);
    for (size_t i = 0; i < 1000; i++) {
        mq__request_header__init(&all[i].header);
        all[i].header.op = MQ__OP__OP_SUBMIT;
        all[i].payload = (struct bytes){(const uint8_t *)"0123456789", 10};
        all[i].done = on_done;
        CHECK_OK(client_submit(&c, 0, &all[i]));
    }
    size_t plain_size = c.plain.size;
    struct bytes out = client_output(&c);
    CHECK(out.size > plain_size && out.size < plain_size + (plain_size / 16384 + 1) * 64);
    pump(&c, server, &plain, &cipher);
    CHECK_EQ(plain.size, plain_size);
    struct buffer frames = {0};
    for (size_t i = 0; i < 1000; i++) {
        Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
        uint8_t packed[64];
        h.id = all[i].header.id;
        h.outcome = MQ__OUTCOME__OUTCOME_APPLIED;
        size_t n = mq__response_header__pack(&h, packed);
        CHECK_OK(frame_encode(&frames, FRAME_CLIENT_RESPONSE, (struct bytes){packed, n},
                              (struct bytes){NULL, 0}));
    }
    CHECK_OK(tls_send(server, frames.data, frames.size, &cipher));
    pump(&c, server, &plain, &cipher);
    CHECK_EQ(answered, 1000);
    buffer_deinit(&frames);
    buffer_deinit(&plain);
    buffer_deinit(&cipher);
    client_deinit(&c);
    tls_free(server);
    tls_context_free(node);
    tls_context_free(operator);
}

static void a_node_whose_hello_is_not_its_certificate_is_left(void)
{
    struct tls_context *node = context_of("ca", "ca", request_of(TLS_NODE, "bj1"));
    struct buffer plain = {0}, cipher = {0};
    struct client c;
    struct tls *server;
    CHECK_OK(client_init(&c, node, NULL));
    CHECK_OK(tls_new(node, true, server_alpns, &server));
    client_connected(&c, 0);
    pump(&c, server, &plain, &cipher);
    server_hello(server, "bj2", &cipher);
    pump(&c, server, &plain, &cipher);
    CHECK(!client_ready(&c));
    CHECK_STR_EQ(c.error_text, "the node's hello and its certificate name different nodes");
    client_deinit(&c);
    tls_free(server);
    tls_context_free(node);
    buffer_deinit(&plain);
    buffer_deinit(&cipher);
}

static void both_cas_in_one_file(void)
{
    char line[4096];
    CHECK(mkdir(in_dir(0, "both"), 0700) == 0);
    FILE *out = fopen(in_dir(0, "both/ca.crt"), "w");
    static const char *const parts[] = {"ca/ca.crt", "other/ca.crt"};
    CHECK(out != NULL);
    for (int i = 0; i < 2; i++) {
        FILE *in = fopen(in_dir(1, parts[i]), "r");
        CHECK(in != NULL);
        while (fgets(line, sizeof(line), in) != NULL) {
            fputs(line, out);
        }
        fclose(in);
    }
    fclose(out);
}

CHECK_MAIN
{
    CHECK(mkdtemp(dir) != NULL);
    make_ca("ca");
    make_ca("other");
    both_cas_in_one_file();
    RUN(names_are_parsed_exactly);
    RUN(both_sides_know_each_other_whatever_the_pieces);
    RUN(strangers_are_refused_with_the_reason);
    RUN(a_revoked_certificate_is_refused_by_both_sides_and_named);
    RUN(a_certificate_of_another_cluster_is_refused);
    RUN(a_client_refuses_a_server_that_is_no_node_and_one_of_another_cluster);
    RUN(an_unknown_protocol_and_plain_bytes_are_refused);
    RUN(a_flipped_bit_ends_the_session);
    RUN(a_key_that_others_may_read_is_refused_with_what_to_do);
    RUN(our_own_certificate_is_warned_of_in_its_last_thirty_days);
    RUN(nothing_is_written_over);
    RUN(a_thousand_requests_leave_as_a_few_records);
    RUN(a_node_whose_hello_is_not_its_certificate_is_left);
    remove_tree(dir);
}
