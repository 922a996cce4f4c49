/* clusterctl as a whole where no node is needed: init, cert, usage, configuration; and the answers when nobody is there. */
#include <sys/stat.h>

#include "ctl/ctl.h"
#include "proto/tls.h"
#include "tests/lib/check.h"
#include "tests/lib/remove_tree.h"

static char dir[] = "/tmp/mq-test-init-XXXXXX";
static char *said;

/* Words parted by blanks; % stands for the directory. */
static int run(const char *line)
{
    char words[40][256];
    char *argv[40];
    int argc = 0;
    size_t size = 0;
    for (const char *at = line; argc < 39;) {
        size_t n = strcspn(at, " ");
        snprintf(words[argc], sizeof(words[0]), "%s%.*s", at[0] == '%' ? dir : "",
                 (int)(n - (at[0] == '%')), at + (at[0] == '%'));
        argv[argc] = words[argc];
        argc++;
        if (at[n] == '\0') {
            break;
        }
        at += n + 1;
    }
    free(said);
    said = NULL;
    FILE *f = open_memstream(&said, &size);
    CHECK(f != NULL);
    int code = ctl_main(argc, argv, f, f);
    fclose(f);
    return code;
}

static void file_put(const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static bool file_has(const char *name, const char *text)
{
    char path[300], data[8192];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    size_t n = fread(data, 1, sizeof(data) - 1, f);
    fclose(f);
    data[n] = '\0';
    return strstr(data, text) != NULL;
}

static void init_makes_what_each_node_needs_and_no_more(void)
{
    static const char *const nodes[] = {"bj1", "sh1", "wit1"};
    char ca[300], certificate[300], key[300];
    struct stat st;
    CHECK_EQ(run("clusterctl init --from %/t.ini --out %/c"), EXIT_HEALTHY);
    CHECK(strstr(said, "founded demo (") != NULL);
    for (size_t i = 0; i < 3; i++) {
        struct tls_context *c;
        struct error e = {0};
        snprintf(ca, sizeof(ca), "%s/c/%s/ca.crt", dir, nodes[i]);
        snprintf(certificate, sizeof(certificate), "%s/c/%s/node.crt", dir, nodes[i]);
        snprintf(key, sizeof(key), "%s/c/%s/node.key", dir, nodes[i]);
        CHECK_OK(tls_context_new(ca, certificate, key, &c, &e));
        CHECK_EQ(tls_context_identity(c)->kind, TLS_NODE);
        CHECK_STR_EQ(tls_context_identity(c)->name, nodes[i]);
        tls_context_free(c);
        CHECK(stat(key, &st) == 0);
        CHECK_EQ(st.st_mode & 0777, 0600);
    }
    CHECK(file_has("c/bj1/mailquorumd.conf", "name = bj1\n"));
    CHECK(file_has("c/bj1/mailquorumd.conf", "listen = 127.0.0.1:11\n"));
    CHECK(file_has("c/bj1/mailquorumd.conf", "/c/bj1/founding.pb\n"));
    CHECK(file_has("c/operator/clusterctl.conf", "node = wit1@127.0.0.1:13\n"));
    CHECK(file_has("c/mail-beijing/mailfeed.conf",
                   "site = beijing\nnodes = 127.0.0.1:11\nnodes = 127.0.0.1:12\n\n[tls]"));
    CHECK(file_has("c/mail-shanghai/mailfeed.conf", "/c/mail-shanghai/host.key\n"));
    snprintf(key, sizeof(key), "%s/c/bj1/ca.key", dir);
    CHECK(stat(key, &st) != 0); /* the CA's key is on no node */
    snprintf(key, sizeof(key), "%s/c/mail-witness", dir);
    CHECK(stat(key, &st) != 0); /* no mail where there is a witness only */
}

static void init_never_writes_over_anything(void)
{
    CHECK_EQ(run("clusterctl init --from %/t.ini --out %/c"), EXIT_REFUSED);
    CHECK(strstr(said, "is not empty") != NULL);
    CHECK_EQ(run("clusterctl init --from %/t.ini --out %/c2 --ca %/c/ca"), EXIT_HEALTHY);
    CHECK_EQ(run("clusterctl init --from %/nothing.ini --out %/c3"), EXIT_CONFIG);
    CHECK_EQ(run("clusterctl init --out %/c3"), EXIT_USAGE);
    file_put("two.ini",
             "[cluster]\nname = x\n[node a]\nsite = s\naddress = h:1\n[node b]\nsite = s\naddress "
             "= h:2\n[shard m]\nshared_dict = yes\n");
    CHECK_EQ(run("clusterctl init --from %/two.ini --out %/c3"), EXIT_CONFIG);
    CHECK(strstr(said, "two voters") != NULL);
    char path[300];
    struct stat st;
    snprintf(path, sizeof(path), "%s/c3", dir);
    CHECK(stat(path, &st) != 0); /* refused before the first file */
}

static void certificates_are_issued_for_whom_they_say(void)
{
    CHECK_EQ(run("clusterctl cert ca init --out %/ca --name test"), EXIT_HEALTHY);
    CHECK_EQ(run("clusterctl cert ca init --out %/ca"), EXIT_REFUSED);
    CHECK_EQ(run("clusterctl cert issue operator wang --role operator --ca %/ca --out %/certs"),
             EXIT_HEALTHY);
    CHECK_EQ(run("clusterctl cert issue node sh9 --ca %/ca --out %/certs --san sh9.example.org "
                 "--san 192.0.2.9"),
             EXIT_HEALTHY);
    CHECK_EQ(run("clusterctl cert issue node sh9 --ca %/ca --out %/certs"), EXIT_REFUSED);
    CHECK_EQ(run("clusterctl cert issue robot x --ca %/ca --out %/certs"), EXIT_USAGE);
    CHECK_EQ(run("clusterctl cert issue operator x --role god --ca %/ca --out %/certs"),
             EXIT_USAGE);
    CHECK_EQ(run("clusterctl cert issue host x --role admin --ca %/ca --out %/certs"), EXIT_USAGE);
    CHECK_EQ(run("clusterctl cert issue node Sh9 --ca %/ca --out %/certs"), EXIT_REFUSED);
    CHECK_EQ(run("clusterctl cert issue node x --ca %/none --out %/certs"), EXIT_REFUSED);
}

static void usage_and_configuration_have_their_exit_codes(void)
{
    CHECK_EQ(run("clusterctl statsu"), EXIT_USAGE);
    CHECK_EQ(run("clusterctl --help"), EXIT_HEALTHY);
    CHECK_EQ(run("clusterctl --version"), EXIT_HEALTHY);
    CHECK_EQ(run("clusterctl status --config %/none.conf"), EXIT_CONFIG);
    file_put("bad.conf", "[cluster]\nnodes = a@b:1\n");
    CHECK_EQ(run("clusterctl status --config %/bad.conf"), EXIT_CONFIG);
    CHECK(strstr(said, "bad.conf:2: unknown key \"nodes\" in [cluster], did you mean \"node\"?") !=
          NULL);
}

static void nobody_there_is_said_as_text_and_as_json(void)
{
    CHECK_EQ(run("clusterctl status --config %/c/operator/clusterctl.conf --timeout 2s"),
             EXIT_UNREACHABLE);
    CHECK(strstr(said, "none of 3 nodes answers") != NULL);
    CHECK_EQ(run("clusterctl -o json status --config %/c/operator/clusterctl.conf --timeout 2s"),
             EXIT_UNREACHABLE);
    json_t *j = json_loads(said, 0, NULL);
    CHECK(j != NULL);
    CHECK_STR_EQ(json_string_value(json_object_get(j, "kind")), "error");
    json_t *message = json_array_get(json_object_get(j, "messages"), 0);
    CHECK_STR_EQ(json_string_value(json_object_get(message, "id")), "UNREACHABLE");
    json_decref(j);
    CHECK_EQ(run("clusterctl dict get a b --config %/c/operator/clusterctl.conf --timeout 1s"),
             EXIT_UNREACHABLE);
    CHECK_EQ(run("clusterctl status --node unix:/nonexistent/socket --timeout 1s"),
             EXIT_UNREACHABLE);
}

CHECK_MAIN
{
    CHECK(mkdtemp(dir) != NULL);
    unsetenv("MAILQUORUM_CONFIG");
    file_put("t.ini",
             "[cluster]\nname = demo\n"
             "[node bj1]\nsite = beijing\naddress = 127.0.0.1:11\n"
             "[node sh1]\nsite = shanghai\naddress = 127.0.0.1:12\n"
             "[node wit1]\nsite = witness\nrole = witness\naddress = 127.0.0.1:13\n"
             "[shard mail-1]\npreference = beijing shanghai\n");
    RUN(init_makes_what_each_node_needs_and_no_more);
    RUN(init_never_writes_over_anything);
    RUN(certificates_are_issued_for_whom_they_say);
    RUN(usage_and_configuration_have_their_exit_codes);
    RUN(nobody_there_is_said_as_text_and_as_json);
    free(said);
    remove_tree(dir);
}
