/* The commands: one row each. Parser, --help, manual pages, completion and the tests that visit each row read this table, so a new
 * command is one row in commands.c, its run_... here, and its own flags in options.c; a noun with several verbs has a row in nouns[]. */
#ifndef MQ_CTL_COMMANDS_H
#define MQ_CTL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/exit_code.h"
#include "ctl/options.h"

#define COMMAND_FLAGS_MAX    8
#define COMMAND_EXITS_MAX    6
#define COMMAND_EXAMPLES_MAX 3

struct ctl;

enum command_mark {
    COMMAND_NEEDS_LEADER = 1, /* of some shard: nothing to be had from a minority */
    COMMAND_DANGEROUS = 2,    /* plan, hash or confirmation, and a reason */
    COMMAND_OFFLINE = 4,      /* talks to no node and needs no configuration */
    COMMAND_HIDDEN = 8,       /* for programs: in no list, page or completion */
    COMMAND_VIEW = 16, /* shows the cluster's health: exit codes 10, 11 and 12 are its answer */
    COMMAND_ENDLESS =
        32, /* may go on until it is stopped (it calls ctl_endless then): --timeout is for each question */
    COMMAND_TABLE = 64, /* its answer has a table: there is something to say with -o csv */
};

struct example {
    const char *line; /* without "clusterctl"; its words are parted by one blank each */
    const char *says;
};

struct command {
    const char *words;   /* "cert ca init": the noun, then the verb */
    const char *summary; /* one line, no capital, no full stop */
    const char *text; /* more: paragraphs parted by an empty line, each of them whole sentences */
    const char
        *args; /* "USER [MAILBOX]": optional ones in [ ] and last; NULL = none. The words NODE,
                          * SHARD, SITE, SETTING, FILE, DIR and a|b are completed. The last may end in "..." */
    const char *flags[COMMAND_FLAGS_MAX]; /* beside the global ones; NULL ends */
    unsigned marks;
    uint64_t timeout_ms;                     /* 0 = CTL_TIMEOUT_MS */
    enum exit_code exits[COMMAND_EXITS_MAX]; /* beside those that every command has; 0 ends */
    struct example examples[COMMAND_EXAMPLES_MAX];
    enum exit_code (*run)(struct ctl *c);
};

struct noun { /* one that has verbs */
    const char *name;
    const char *summary;
    const char *text;
};

/* What is said of every dangerous one. */
#define COMMAND_DANGER_TEXT                                                                       \
    "Dangerous: --plan shows what would be done and a hash; --apply HASH --reason TEXT does it, " \
    "if "                                                                                         \
    "nothing has changed since; --confirm NAME --reason TEXT does both at once."

extern const struct command commands[];
extern const size_t commands_n;
extern const struct noun nouns[];
extern const size_t nouns_n;

/* Size of the first word of its words. */
size_t command_noun_size(const struct command *c);
/* No command before it in the table begins with the same noun. */
bool command_begins_noun(const struct command *c);
bool command_has_noun(const struct command *c, const char *noun, size_t size);
/* NULL when no noun with verbs has this name. */
const struct noun *noun_find(const char *name, size_t size);
/* The flag is one of its own. c may be NULL. */
bool command_takes(const struct command *c, const struct option_row *row);
/* How many arguments it takes, by its args; max UINT_MAX for a list. */
void command_args_range(const struct command *c, unsigned *out_min, unsigned *out_max);
/* The n-th word of its args without brackets and dots, size in *out_size; NULL beyond the last. */
const char *command_arg(const struct command *c, unsigned n, size_t *out_size);
/* Calls each() for every exit code it may end with, lowest first. */
void command_each_exit(const struct command *c, void (*each)(void *arg, enum exit_code code),
                       void *arg);

enum exit_code run_init(struct ctl *c);
enum exit_code run_status(struct ctl *c);
enum exit_code run_members(struct ctl *c);
enum exit_code run_shards(struct ctl *c);
enum exit_code run_lag(struct ctl *c);
enum exit_code run_explain(struct ctl *c);
enum exit_code run_verify(struct ctl *c);
enum exit_code run_switchover(struct ctl *c);
enum exit_code run_user_assign(struct ctl *c);
enum exit_code run_user_show(struct ctl *c);
enum exit_code run_mailbox_list(struct ctl *c);
enum exit_code run_mailbox_show(struct ctl *c);
enum exit_code run_mailbox_changes(struct ctl *c);
enum exit_code run_mailbox_touch(struct ctl *c);
enum exit_code run_queue_list(struct ctl *c);
enum exit_code run_queue_show(struct ctl *c);
enum exit_code run_queue_assign(struct ctl *c);
enum exit_code run_queue_forget(struct ctl *c);
enum exit_code run_feed_list(struct ctl *c);
enum exit_code run_feed_show(struct ctl *c);
enum exit_code run_store_list(struct ctl *c);
enum exit_code run_report_lost_site(struct ctl *c);
enum exit_code run_dict_get(struct ctl *c);
enum exit_code run_dict_set(struct ctl *c);
enum exit_code run_dict_unset(struct ctl *c);
enum exit_code run_dict_inc(struct ctl *c);
enum exit_code run_cert_ca_init(struct ctl *c);
enum exit_code run_cert_issue(struct ctl *c);
enum exit_code run_top(struct ctl *c);
enum exit_code run_events(struct ctl *c);
enum exit_code run_config_get(struct ctl *c);
enum exit_code run_config_set(struct ctl *c);
enum exit_code run_config_diff(struct ctl *c);
enum exit_code run_op_list(struct ctl *c);
enum exit_code run_op_watch(struct ctl *c);
enum exit_code run_snapshot_save(struct ctl *c);
enum exit_code run_snapshot_inspect(struct ctl *c);
enum exit_code run_completion(struct ctl *c);
enum exit_code run_complete(struct ctl *c);
enum exit_code run_man(struct ctl *c);

#endif
