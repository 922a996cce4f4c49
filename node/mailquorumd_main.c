/* mailquorumd: one node of a cluster. The table below is its --help and its manual page; everything
 * else is in the configuration file. Exit codes are those of sysexits.h, which the unit's
 * RestartPreventExitStatus= knows. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/program.h"
#include "node/node.h"

enum { EXIT_OK = 0, EXIT_USAGE = 64, EXIT_TEMPORARY = 75, EXIT_REFUSED = 78 };

static const struct program program = {
    .name = "mailquorumd",
    .summary = "a node of a Mailquorum cluster",
    .synopsis = {"mailquorumd --config FILE [--check-config]", "mailquorumd --print-config",
                 "mailquorumd --version | --help"},
    .text =
        "mailquorumd keeps the log and the state of the shards it is a member of, agrees with the "
        "other "
        "nodes, and serves the native API to clusterctl(1), mailfeed(8) and programs. A witness "
        "runs the "
        "same program and keeps logs without mail state.\n\nA node that finds something wrong "
        "about itself "
        "says so with a message id (mailquorum-messages(7)) and does not start, or ends, rather "
        "than guess. "
        "Nothing that a peer, a client or a disk does makes it lose what was answered \"applied\".",
    .options = {{"--config FILE", "the configuration, mailquorumd.conf(5)"},
                {"--check-config", "read it, say what is wrong with it, and end"},
                {"--print-config", "an example with every key and its default"},
                {"--version", "the version"},
                {"--help", "this text"}},
    .exits =
        {{"0", "a clean stop"},
         {"1", "failed while running; nothing acknowledged is lost"},
         {"64", "usage"},
         {"75", "the start was refused by what may pass: address taken, directory locked, disk"},
         {"78",
          "configuration or identity refused, which no restart can mend; nothing was changed"}},
    .signals = {{"SIGTERM, SIGINT", "hands its leaderships over, answers what waits, and ends"},
                {"SIGHUP", "reads certificates and key again; connections that are open stay"}},
    .files = {{"/etc/mailquorum/mailquorumd.conf", "the configuration"},
              {"/var/lib/mailquorum", "log and state; never to be copied back from a backup"}},
    .see_also = {"clusterctl(1)", "mailquorumd.conf(5)", "mailquorum-messages(7)", "mailfeed(8)"},
    .file_name = "mailquorumd.conf",
    .file_text =
        "What one node is: its name, its directory, its address, its certificates and its limits. "
        "clusterctl-init(1) writes one for each node. Settings of the whole cluster are replicated "
        "and not in files.",
};

static int usage(FILE *out, int code)
{
    program_usage(&program, out);
    return code;
}

static int manual(bool of_file)
{
    struct program p = program;
    p.settings = config_settings(&p.settings_n);
    (of_file ? program_man_file : program_man)(&p, "Mailquorum " NODE_VERSION, stdout);
    return EXIT_OK;
}

/* Is it worth trying again without anybody having changed a file? */
static bool may_pass(const char *message_id)
{
    static const char *const ids[] = {"MQ-DATA-LOCKED", "MQ-DATA-IO", "MQ-LOG-OPEN",
                                      "MQ-NODE-LISTEN", "MQ-NODE-START"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (strcmp(ids[i], message_id) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse(const char *message_id, const struct error *e)
{
    log_error("event=node.refused message=%s text=\"%s\"", message_id, e->text);
    return may_pass(message_id) ? EXIT_TEMPORARY : EXIT_REFUSED;
}

static int run(const struct config *c)
{
    struct error e = {0};
    const char *id = "MQ-NODE-START";
    struct node *n = calloc(1, sizeof(*n));
    if (n == NULL) {
        error_set(&e, STATUS_NO_MEMORY, "out of memory");
        return refuse(id, &e);
    }
    if (node_open(n, c, &e, &id) != OK) {
        node_close(n);
        free(n);
        return refuse(id, &e);
    }
    int code = node_run(n);
    node_close(n);
    free(n);
    log_info("event=node.stopped code=%d", code);
    return code;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    bool check = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            file = argv[++i];
        } else if (strcmp(argv[i], "--check-config") == 0) {
            check = true;
        } else if (strcmp(argv[i], "--print-config") == 0) {
            config_print_example(stdout);
            return EXIT_OK;
        } else if (strcmp(argv[i], "--man") == 0 || strcmp(argv[i], "--man-config") == 0) {
            return manual(strcmp(argv[i], "--man-config") == 0);
        } else if (strcmp(argv[i], "--version") == 0) {
            puts("mailquorumd " NODE_VERSION);
            return EXIT_OK;
        } else {
            return usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr,
                         strcmp(argv[i], "--help") == 0 ? EXIT_OK : EXIT_USAGE);
        }
    }
    if (file == NULL) {
        return usage(stderr, EXIT_USAGE);
    }
    struct config config;
    struct error e = {0};
    if (config_load(file, &config, &e) != OK) {
        return refuse("MQ-CONFIG", &e);
    }
    log_line_set_level((enum log_level)config.log_level);
    if (check) {
        printf("%s: good\n", file);
        return EXIT_OK;
    }
    signal(SIGPIPE, SIG_IGN);
    return run(&config);
}
