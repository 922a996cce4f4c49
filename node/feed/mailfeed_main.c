/* mailfeed CONFIG: reads the command line and the file, runs the loop, ends with what the feed says.
 * Exit codes: 0 done; 1 with --once, when something could not be reported; 64 usage; 78 configuration. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/program.h"
#include "base/version.h"
#include "node/feed/feed.h"
#include "node/feed/feed_notify.h"

enum { EXIT_USAGE = 64, EXIT_CONFIG = 78 };

static const struct program program = {
    .name = "mailfeed",
    .summary = "reports what a mail server holds to a Mailquorum cluster",
    .synopsis = {"mailfeed [--check-config | --once] [--debug] CONFIG", "mailfeed --print-config"},
    .text =
        "mailfeed runs on a mail host, beside its mail server, follows the mailboxes by IMAP as a "
        "reader "
        "and reports them resumably to the nodes of its site. It changes nothing in the mail "
        "server and its "
        "configuration, and mail goes on whatever becomes of it.",
    .options = {{"--check-config", "read the file, say what is wrong with it, and end"},
                {"--once", "one look at all mailboxes; end when everything is reported"},
                {"--print-config", "an example file with every setting and its default"},
                {"--debug", "more log lines"},
                {"--help", "this text"}},
    .exits = {{"0", "done"},
              {"1", "with --once: something could not be reported"},
              {"64", "usage"},
              {"78", "configuration"}},
    .files = {{"/etc/mailquorum/mailfeed.conf", "the configuration"}},
    .see_also = {"clusterctl(1)", "mailfeed.conf(5)", "mailquorumd(8)"},
    .file_name = "mailfeed.conf",
    .file_text =
        "Which store this host serves, which nodes are told, and how the mail server is asked.",
    .settings = feed_config_table,
};

static int usage(FILE *out)
{
    program_usage(&program, out);
    return out == stdout ? 0 : EXIT_USAGE;
}

static int manual(bool of_file)
{
    struct program p = program;
    p.settings_n = feed_config_table_n;
    (of_file ? program_man_file : program_man)(&p, "Mailquorum " MAILQUORUM_VERSION, stdout);
    return 0;
}

static int run(const struct feed_config *config, bool once)
{
    struct feed *f = calloc(1, sizeof(*f));
    struct feed_notify notify;
    struct error e = {0};
    uv_loop_t loop;
    if (f == NULL || uv_loop_init(&loop) != 0) {
        free(f);
        return 1;
    }
    int code = EXIT_CONFIG;
    if (feed_start(f, &loop, config, once, &e) != OK) {
        fprintf(stderr, "mailfeed: %s\n", e.text);
    } else {
        feed_notify_start(&notify, f);
        uv_run(&loop, UV_RUN_DEFAULT);
        feed_notify_stop(&notify);
        code = f->exit_code;
        log_info("event=feed.stopped code=%d", code);
    }
    feed_deinit(f);
    uv_loop_close(&loop);
    free(f);
    return code;
}

int main(int argc, char **argv)
{
    static struct feed_config config;
    struct error e = {0};
    bool check = false, once = false;
    const char *file = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return usage(stdout);
        } else if (strcmp(argv[i], "--print-config") == 0) {
            settings_print(feed_config_table, feed_config_table_n, stdout);
            return 0;
        } else if (strcmp(argv[i], "--man") == 0 || strcmp(argv[i], "--man-config") == 0) {
            return manual(strcmp(argv[i], "--man-config") == 0);
        } else if (strcmp(argv[i], "--check-config") == 0) {
            check = true;
        } else if (strcmp(argv[i], "--once") == 0) {
            once = true;
        } else if (strcmp(argv[i], "--debug") == 0) {
            log_line_set_level(LOG_LEVEL_DEBUG);
        } else if (argv[i][0] == '-' || file != NULL) {
            fprintf(stderr, "mailfeed: unexpected argument '%s'\n", argv[i]);
            return usage(stderr);
        } else {
            file = argv[i];
        }
    }
    if (file == NULL) {
        return usage(stderr);
    }
    if (feed_config_load(file, &config, &e) != OK) {
        fprintf(stderr, "mailfeed: %s\n", e.text);
        return EXIT_CONFIG;
    }
    if (check) {
        printf("%s: ok\n", file);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    return run(&config, once);
}
