/* The table of flags. No flag means two things; long names are never abbreviated. */
#include "ctl/options.h"

#include <string.h>

#define ROW(name, letter, global, kind, field, value, help)                      \
    {                                                                            \
        name, letter, global, kind, offsetof(struct options, field), value, help \
    }

const struct option_row option_rows[] = {
    ROW("output", 'o', true, OPTION_CHOICE, output, "table|json|wide|ndjson|csv",
        "how the answer is written (default table)"),
    ROW("node", 0, true, OPTION_LIST, nodes, "NODE",
        "ask this node: a name of the configuration, host:port or unix:PATH; repeatable"),
    ROW("config", 0, true, OPTION_TEXT, config, "FILE",
        "configuration (default /etc/mailquorum/clusterctl.conf)"),
    ROW("local", 0, true, OPTION_YES, local, NULL,
        "what the node that answers holds itself, without asking the others"),
    ROW("plan", 0, true, OPTION_YES, plan, NULL, "show what would be done, do nothing"),
    ROW("apply", 0, true, OPTION_TEXT, apply, "HASH", "carry out the plan of this hash"),
    ROW("confirm", 0, true, OPTION_TEXT, confirm, "NAME",
        "carry out without a plan shown before: type the object's name"),
    ROW("reason", 0, true, OPTION_TEXT, reason, "TEXT", "why, for the record"),
    ROW("timeout", 0, true, OPTION_DURATION, timeout_ms, "TIME",
        "give up after this long (default 10s; verify 10m)"),
    ROW("no-color", 0, true, OPTION_YES, no_color, NULL, "no colours"),
    ROW("quiet", 'q', true, OPTION_YES, quiet, NULL, "no text but the answer itself"),
    ROW("verbose", 'v', true, OPTION_YES, verbose, NULL, "say which node is asked, and each retry"),
    ROW("help", 'h', true, OPTION_YES, help, NULL, "this text"),

    ROW("from", 0, false, OPTION_TEXT, from, "FILE", "topology.ini: the cluster that is wanted"),
    ROW("out", 0, false, OPTION_TEXT, out, "DIR", "where the files go"),
    ROW("ca", 0, false, OPTION_TEXT, ca, "DIR", "the CA: a directory with ca.crt and ca.key"),
    ROW("name", 0, false, OPTION_TEXT, name, "NAME", "name of the cluster"),
    ROW("san", 0, false, OPTION_LIST, sans, "NAME",
        "host name or IP address to put in as well; repeatable"),
    ROW("role", 0, false, OPTION_TEXT, role, "ROLE",
        "of an operator: viewer, operator or admin (default viewer)"),
    ROW("max", 0, false, OPTION_DURATION, max_ms, "TIME",
        "exit 10 if a copy is further behind than this"),
    ROW("eta", 0, false, OPTION_YES, eta, NULL,
        "when the lag crosses the limit of --max (default 5s): its trend"),
    ROW("deep", 0, false, OPTION_YES, deep, NULL,
        "compute every digest anew from every stored pair"),
    ROW("to", 0, false, OPTION_TEXT, to, "NODE", "the node that shall lead"),
    ROW("priority", 0, false, OPTION_TEXT, priority, "CLASS", "priority class of the user"),
    ROW("messages", 0, false, OPTION_YES, messages, NULL, "the messages too"),
    ROW("since", 0, false, OPTION_TEXT, since, "POINT",
        "what came after it: a change number of a mailbox; of events how long ago (10m) or a "
        "moment "
        "in UTC"),
    ROW("nagios", 0, false, OPTION_YES, nagios, NULL,
        "one line, and the exit codes 0 to 3 of a Nagios check"),
    ROW("watch", 0, false, OPTION_YES, watch, NULL, "look again and again, and show each look"),
    ROW("exit-when-healthy", 0, false, OPTION_YES, exit_when_healthy, NULL,
        "look again and again until all is well, or --timeout is over"),
    ROW("once", 0, false, OPTION_YES, once, NULL, "one sample as plain text, also on a terminal"),
    ROW("interval", 0, false, OPTION_DURATION, interval_ms, "TIME",
        "how often it is looked (default 1s, at least 200ms)"),
    ROW("follow", 0, false, OPTION_YES, follow, NULL, "go on and show what happens"),
    ROW("state", 0, false, OPTION_CHOICE, state,
        "any|incoming|active|deferred|hold|maildrop|corrupt", "only open items in this state"),
    ROW("recipient", 0, false, OPTION_TEXT, recipient, "ADDRESS",
        "only items with this recipient; @domain: one of this domain"),
    ROW("closed", 0, false, OPTION_YES, closed, NULL, "those that have left the queue too"),
    ROW("limit", 0, false, OPTION_NUMBER, limit, "N", "at most so many rows (default: all)"),
    ROW("user", 0, false, OPTION_TEXT, user, "USER", "entry of this user instead of a shared one"),
    ROW("ttl", 0, false, OPTION_DURATION, ttl_ms, "TIME", "the entry expires after this long"),
};
const size_t option_rows_n = sizeof(option_rows) / sizeof(option_rows[0]);

bool options_json(const struct options *o)
{
    return o->output == OUTPUT_JSON || o->output == OUTPUT_NDJSON;
}

const struct option_row *option_find(const char *name, size_t size)
{
    for (size_t i = 0; i < option_rows_n; i++) {
        if (strlen(option_rows[i].name) == size && memcmp(option_rows[i].name, name, size) == 0) {
            return &option_rows[i];
        }
    }
    return NULL;
}

const struct option_row *option_find_letter(char letter)
{
    for (size_t i = 0; i < option_rows_n; i++) {
        if (letter != 0 && option_rows[i].letter == letter) {
            return &option_rows[i];
        }
    }
    return NULL;
}
