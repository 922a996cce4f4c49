/* The table of commands, in the order in which --help shows them. */
#include "ctl/commands.h"

#include <limits.h>
#include <string.h>

#define LEADER  COMMAND_NEEDS_LEADER
#define DANGER  COMMAND_DANGEROUS
#define OFFLINE COMMAND_OFFLINE
#define VIEW    COMMAND_VIEW
#define HIDDEN  COMMAND_HIDDEN
#define TABLE   COMMAND_TABLE

const struct noun nouns[] = {
    {"user", "who is served by which shard",
     "A user belongs to one shard, which holds all of the user's mailboxes and entries."},
    {"mailbox", "what the cluster holds of a user's mailboxes",
     "A mailbox is named as its user sees it, or by its GUID (32 hex digits). What is shown is "
     "what the "
     "feeds of all sites have reported; the stores themselves are never asked."},
    {"feed", "the feeds on the mail hosts",
     "A feed (mailfeed) runs beside a mail server and reports what it holds. It says every few "
     "seconds how it is; any node answers, also when the feed or its site is gone."},
    {"store", "the mail stores, and what each holds",
     "A store is what one mail server, or several of one site, keep mail in. What is shown is what "
     "its feed has reported."},
    {"report", "what would be lost", "Reports ask every shard; they change nothing."},
    {"queue", "mail that waits in the Postfix of a host",
     "What the feeds report of their hosts' mail queues, and what the logs said became of it. The "
     "bodies are "
     "not copied: queued mail is not protected, but what would be lost is known."},
    {"dict", "replicated dictionary entries",
     "Entries are shared by all users or, with --user, belong to one. A write goes through a "
     "session, so "
     "that one whose outcome is unknown is repeated until it is known, and is carried out once."},
    {"op", "long tasks of the nodes",
     "Watching begins and ends nothing: an operation goes on whether somebody looks or not."},
    {"config", "settings of the whole cluster",
     "They are replicated, and count instead of what a node's file says. The file holds what is a "
     "node's "
     "own: its name, its paths, its address, its certificates."},
    {"snapshot", "a file with the state of every shard",
     "A snapshot is one file with a consistent checkpoint of each shard, and a check sum over all. "
     "The "
     "shards are not taken at one moment: each holds at least what was acknowledged before."},
    {"cert", "certificates of nodes, mail hosts and operators",
     "Everything speaks TLS 1.3 with certificates of the cluster's own CA; kind, name and role "
     "stand in "
     "the certificate. These commands ask no node."},
};
const size_t nouns_n = sizeof(nouns) / sizeof(nouns[0]);

const struct command commands[] = {
    {.words = "status",
     .summary = "what the cluster survives now, what happened, what to do next",
     .text =
         "One sentence of verdict, what may be lost without losing an acknowledged write, a row a "
         "site, and for each thing to know its severity, its name, a sentence and the next "
         "step.\n\nThe view is confirmed by a majority. Without one it says NO QUORUM VIEW and "
         "ends "
         "with 12: what it shows then is what one node knows, and ? stands for what is not known "
         "now.\n\nWith --nagios it is one line and ends as a check of Nagios and its like does: "
         "with 0 (ok, blue), 1 (yellow, orange), 2 (red, no quorum, or no node answers) or 3 (the "
         "check itself: usage, configuration, certificate, version).\n\nWith --watch it goes on, a "
         "look each --interval (of -o json a line), with --exit-when-healthy until one is well; "
         "--timeout ends both. The exit code is the last look's.",
     .flags = {"nagios", "watch", "exit-when-healthy", "interval"},
     .marks = VIEW | TABLE,
     .examples = {{"status", "how it is"},
                  {"status --exit-when-healthy --timeout 10m", "wait until all is well again"},
                  {"status --node bj1 --local",
                   "what bj1 knows by itself; 12 if it hears no majority"}},
     .run = run_status},
    {.words = "members",
     .summary = "the nodes, and how they are",
     .text =
         "A row a node: when it was last heard, its version, what it leads, space left on its "
         "disk, "
         "how long its disk takes to sync, and for how long its certificate is valid. A node that "
         "is not heard is DOWN and what it said last is not shown.",
     .marks = VIEW | TABLE,
     .examples = {{"members", "all nodes"}},
     .run = run_members},
    {.words = "shards",
     .summary = "the shards, who leads them, where they are at home",
     .text = "A row a shard: its leader, the leader's site (\"away\" when the shard prefers "
             "another), its "
             "term, how many of its voters are up, and the sites that it prefers, first the best.",
     .marks = VIEW | TABLE,
     .examples = {{"shards", "all shards"}},
     .run = run_shards},
    {.words = "lag",
     .summary = "how far each copy of each shard is behind",
     .text =
         "A row a shard and a column a node: how long ago the copy held what its leader has now. A "
         "dash marks the leader, ? what is not known. With --eta a copy that is down comes before "
         "all that are only behind.",
     .flags = {"max", "eta"},
     .marks = VIEW | TABLE,
     .examples = {{"lag", "every copy"},
                  {"lag --max 5s", "exit 10 if one is further behind"},
                  {"lag --eta", "whether and when one will be, by its trend"}},
     .run = run_lag},
    {.words = "explain",
     .summary = "why a shard is led where it is",
     .text = "Since when and why it has its leader; every candidate with every condition and "
             "whether it holds; and why it is not led from the site that it prefers. The same "
             "conditions decide when the shard moves by itself.",
     .args = "SHARD",
     .marks = VIEW | TABLE,
     .examples = {{"explain mail-beijing", "who leads it, why, and who could"}},
     .run = run_explain},
    {.words = "top",
     .summary = "what every shard does now, once a second",
     .text = "Writes and reads a second, the time that 99 of 100 writes of the last seconds did "
             "not exceed, how "
             "long the leader's disk takes to sync, and the copy that is furthest behind. On a "
             "terminal it is a "
             "screen: s shows the shards, e the events, q ends it. Elsewhere, or with --once, it "
             "is one "
             "sample.",
     .flags = {"once", "interval"},
     .marks = VIEW | COMMAND_ENDLESS | TABLE,
     .examples = {{"top", "until q is pressed"},
                  {"top --once -o json", "one sample for a program"}},
     .run = run_top},
    {.words = "events",
     .summary = "what happened lately, of all nodes in order of time",
     .text = "Each node keeps its last 1,024 events until it ends: leaders and why they changed, "
             "nodes lost and "
             "heard, copies, checkpoints, space, feeds, starts and stops. What several nodes saw "
             "alike is shown "
             "once, as the first of them saw it; times are those of the nodes' clocks. The names "
             "are those of "
             "mailquorum-messages(7). Without --since: the last 24 hours.\n\nWith --follow it goes "
             "on until it is "
             "stopped; -o json then writes an event a line.",
     .flags = {"since", "limit", "follow"},
     .marks = COMMAND_ENDLESS,
     .exits = {EXIT_DEGRADED},
     .examples = {{"events --since 10m", "the last ten minutes"},
                  {"events --follow -o ndjson", "for a program that watches"}},
     .run = run_events},
    {.words = "verify",
     .summary = "compare the digests of all copies",
     .text =
         "For each shard one index is agreed on and every copy is asked for its digest there. With "
         "--deep each copy also computes its digest anew from every stored pair, which finds "
         "damage "
         "on a disk. A copy that does not answer is not verified, which is not the same as good.",
     .flags = {"deep"},
     .marks = LEADER | TABLE,
     .timeout_ms = 600000,
     .exits = {EXIT_DEGRADED, EXIT_CRITICAL, EXIT_NO_QUORUM},
     .examples = {{"verify", "in the blink of an eye"}, {"verify --deep", "reads all there is"}},
     .run = run_verify},
    {.words = "switchover",
     .summary = "move a shard's leader: planned, loses nothing or is refused",
     .text =
         "The plan names the effect, the pause in writes, each rail and whether it holds, the "
         "undo, "
         "and a hash. Carrying it out is refused when anything of it has changed since. The target "
         "is never chosen for you; when --apply is given without --to, it is the one of the plan.",
     .args = "SHARD",
     .flags = {"to"},
     .marks = LEADER | DANGER,
     .exits = {EXIT_PLAN_STALE, EXIT_NOT_CONFIRMED, EXIT_CRITICAL},
     .examples = {{"switchover mail-beijing --to sh1 --plan", "what would happen"},
                  {"switchover mail-beijing --apply 7c1e --reason CHG-88", "do just that"},
                  {"switchover mail-beijing --to sh1 --confirm mail-beijing --reason CHG-88",
                   "both at once"}},
     .run = run_switchover},
    {.words = "user assign",
     .summary = "give a new user a shard",
     .text = "The first assignment of a user stays; assigning again to the same shard changes "
             "nothing and "
             "is done.",
     .args = "USER SHARD",
     .flags = {"priority"},
     .marks = LEADER,
     .examples = {{"user assign anna mail-beijing", "anna is at home in Beijing"}},
     .run = run_user_assign},
    {.words = "user show",
     .summary = "the user's shard",
     .text = "Says which shard serves the user, and whether that shard knows it yet.",
     .args = "USER",
     .examples = {{"user show anna", "where anna is"}},
     .run = run_user_show},
    {.words = "mailbox list",
     .summary = "the user's mailboxes",
     .text =
         "Messages, those that the store furthest behind has not, unseen ones, size and the IMAP "
         "numbers of each mailbox.",
     .args = "USER",
     .flags = {"limit"},
     .marks = TABLE,
     .examples = {{"mailbox list anna", "all of anna's"}},
     .run = run_mailbox_list},
    {.words = "mailbox show",
     .summary = "one mailbox, by name or GUID",
     .text = "Its numbers, and for each store how far it has reported; with --messages the "
             "messages too: "
             "UID, flags, size, and how many stores hold each.",
     .args = "USER MAILBOX",
     .flags = {"messages", "limit"},
     .marks = TABLE,
     .examples = {{"mailbox show anna INBOX --messages --limit 20", "its first twenty messages"}},
     .run = run_mailbox_show},
    {.words = "mailbox changes",
     .summary = "what changed in it, expunges included",
     .text = "Everything after the change number of --since, in order, each message once with what "
             "it is now. The answer "
             "ends with the number to give next time. Without --since: as far back as the mailbox "
             "knows. Before that "
             "expunges are known no more, and a number from there is refused.",
     .args = "USER MAILBOX",
     .flags = {"since", "limit"},
     .marks = TABLE,
     .examples = {{"mailbox changes anna INBOX --since 4711", "what is new since then"}},
     .run = run_mailbox_changes},
    {.words = "mailbox touch",
     .summary = "tell the feeds to look now; a hint that may be lost",
     .text = "Nothing is recorded. Feeds look by themselves as well, only later.",
     .args = "USER [MAILBOX]",
     .examples = {{"mailbox touch anna", "all of anna's mailboxes"}},
     .run = run_mailbox_touch},
    {.words = "feed list",
     .summary = "the feeds on the mail hosts, as they last spoke",
     .text =
         "A feed that has been silent for long is named: what its mail host holds since then is "
         "not known here.",
     .marks = TABLE,
     .examples = {{"feed list", "all feeds"}},
     .run = run_feed_list},
    {.words = "feed show",
     .summary = "one feed with its troubles",
     .text = "Each trouble with its name, what it is about, since when, and what to do.",
     .args = "[HOST]",
     .examples = {{"feed show mail1.beijing", "the feed of that mail host"}},
     .run = run_feed_show},
    {.words = "store list",
     .summary = "a shard's mail stores: how far reported, what only they have",
     .text =
         "BEHIND is the time since everything the store held was reported; ONLY HERE are messages "
         "that no other site has, MISSING those that another store has in the same mailboxes.",
     .marks = TABLE,
     .examples = {{"store list", "all stores"}},
     .run = run_store_list},
    {.words = "report lost-site",
     .summary = "what exists at a site and nowhere else, as if it burned now",
     .text =
         "Users, whole mailboxes and messages that no other site has, and the queued mail of its "
         "hosts, "
         "with totals. For each store "
         "it says up to when all it held is reported: what came after that is not known here. "
         "Nothing lost is said only when every shard has answered, and without \"that is known\" "
         "only when that is proved: every store and queue there, and every store with copies, was "
         "reported completely within the last 10 minutes, at least one queue there is followed, of "
         "every user something is reported, no queue is without a site, and each feed there has "
         "spoken and leaves nothing out. What is missing for it stands in the lines \"not "
         "proved\", and in JSON in `unproved`.\n\nIt asks the cluster, not the "
         "site, so it says the same when the site is gone.",
     .args = "SITE",
     .flags = {"limit"},
     .timeout_ms = 600000,
     .marks = TABLE,
     .examples = {{"report lost-site beijing", "totals and the first 200 rows"},
                  {"report lost-site beijing -o csv", "every row, for a spreadsheet"}},
     .run = run_report_lost_site},
    {.words = "queue list",
     .summary = "the mail queues, or the items of one host",
     .text =
         "Without HOST a row a queue: how many items wait, in which state, how many have left and "
         "how "
         "many of those nobody has explained, and when the queue was last seen as a whole. With "
         "HOST its "
         "items, as its Postfix lists them, with the last reply.",
     .args = "[HOST]",
     .flags = {"state", "recipient", "closed", "limit"},
     .marks = TABLE,
     .examples = {{"queue list", "all queues"},
                  {"queue list mx1 --state deferred --recipient @example.org",
                   "what waits for one domain"}},
     .run = run_queue_list},
    {.words = "queue show",
     .summary = "one item: its recipients, last replies, what became of them",
     .text = "All items of this queue id; short queue ids are used again by Postfix.",
     .args = "HOST QUEUE-ID",
     .marks = TABLE,
     .examples = {{"queue show mx1 4jYkWb5N1Bz1Sx42", "one message"}},
     .run = run_queue_show},
    {.words = "queue assign",
     .summary = "give a host's mail queue a shard",
     .text = "The first assignment stays, as that of a user. Before it the feed of that host "
             "reports no queue.",
     .args = "HOST SHARD",
     .marks = LEADER,
     .examples = {{"queue assign mx1 mail-beijing", "its site's shard"}},
     .run = run_queue_assign},
    {.words = "queue forget",
     .summary = "drop what is recorded of a host's mail queues that are gone",
     .text = "For a host or an instance that was taken out of service or renamed: until then its "
             "messages count as waiting there. Refused while its feed reports it: stop that "
             "first, its lease ends within a minute. The items go, those that have left too; "
             "what was lost with a host stands only here, so save the report before.",
     .args = "HOST [INSTANCE]",
     .marks = LEADER,
     .examples = {{"queue forget mx1", "all its instances"},
                  {"queue forget mx1 postfix-out", "one of them"}},
     .run = run_queue_forget},
    {.words = "dict get",
     .summary = "read a dictionary entry",
     .text = "Prints the value and nothing else, so that a script can use it.",
     .args = "NAMESPACE KEY",
     .flags = {"user"},
     .examples = {{"dict get prefs greeting --user anna", "anna's entry"}},
     .run = run_dict_get},
    {.words = "dict set",
     .summary = "write a dictionary entry",
     .text = "Replaces what is there. With --ttl it expires.",
     .args = "NAMESPACE KEY VALUE",
     .flags = {"user", "ttl"},
     .marks = LEADER,
     .examples = {{"dict set prefs greeting hello --user anna --ttl 1h", "for an hour"}},
     .run = run_dict_set},
    {.words = "dict unset",
     .summary = "remove a dictionary entry",
     .text = "Removing what is not there is done as well.",
     .args = "NAMESPACE KEY",
     .flags = {"user"},
     .marks = LEADER,
     .examples = {{"dict unset prefs greeting --user anna", "gone"}},
     .run = run_dict_unset},
    {.words = "dict inc",
     .summary = "add to a number, exactly once",
     .text =
         "The entry must be there and hold a whole number; the new value is printed. DELTA may be "
         "negative.",
     .args = "NAMESPACE KEY DELTA",
     .flags = {"user"},
     .marks = LEADER,
     .examples = {{"dict inc quota messages -3 --user anna", "three fewer"}},
     .run = run_dict_inc},
    {.words = "op list",
     .summary = "what the nodes are at that takes long",
     .text = "Copies being fetched, checkpoints, verifications: how far each is, how fast, how "
             "long it will take "
             "yet, and what it waits for. What has not moved for 30 s is named STALLED. Those that "
             "ended stay "
             "in the list for a while.",
     .exits = {EXIT_DEGRADED},
     .examples = {{"op list", "all nodes"}},
     .run = run_op_list},
    {.words = "op watch",
     .summary = "follow an operation to its end",
     .text = "One, or without a name every one that runs. Progress goes to standard error. Ctrl-C, "
             "and the end of "
             "--timeout, leave the operation alone: it goes on, and the exit code is 24. That is "
             "also the "
             "code when how one ended is not known: its node has not answered for 10 s, or has "
             "started anew. One that failed has the code of what it failed with.",
     .exits = {EXIT_DEGRADED, EXIT_CRITICAL},
     .args = "[OP]",
     .marks = COMMAND_ENDLESS,
     .examples = {{"op watch sh2-3", "until it has ended"},
                  {"op watch --timeout 30s", "for so long at most"}},
     .run = run_op_watch},
    {.words = "config get",
     .summary = "the cluster's settings, who changed them and why",
     .text =
         "All that there are, or one. What is not set for the cluster is as each node's file says.",
     .args = "[SETTING]",
     .marks = TABLE,
     .examples = {{"config get", "all"}, {"config get raft.preference", "one"}},
     .run = run_config_get},
    {.words = "config set",
     .summary = "change a setting of the cluster",
     .text = "An unknown key, or a value out of bounds, is refused before anything is asked. Every "
             "node takes "
             "the new value up while it runs, also one that comes back later. The value "
             "\"default\" takes the "
             "setting away again.",
     .args = "SETTING VALUE",
     .marks = LEADER | DANGER,
     .exits = {EXIT_PLAN_STALE, EXIT_NOT_CONFIRMED},
     .examples = {{"config set raft.preference no --plan", "what would happen"},
                  {"config set raft.preference no --confirm raft.preference --reason CHG-90",
                   "leaders stay where they are, from now on"}},
     .run = run_config_set},
    {.words = "config diff",
     .summary = "where a node's file, the cluster and the defaults differ",
     .text = "A row for each key of each node whose file does not say the default, or for which "
             "the cluster "
             "says something else. What is a node's own (names, paths, addresses) is left out.",
     .exits = {EXIT_DEGRADED},
     .marks = TABLE,
     .examples = {{"config diff", "all nodes"}, {"config diff --node bj1", "one"}},
     .run = run_config_diff},
    {.words = "init",
     .summary = "found a cluster: certificates and configuration of each node",
     .text = "From a topology file that says which nodes, sites and shards are wanted, makes the "
             "founding "
             "file, a CA (unless --ca names one), a certificate and a configuration for each node, "
             "mail "
             "host and operator. The directory must be new or empty; nothing is ever written over. "
             "Nothing is started: copy each directory to its machine and start mailquorumd there.",
     .flags = {"from", "out", "ca"},
     .marks = OFFLINE | TABLE,
     .examples = {{"init --from topology.ini --out cluster", "everything into ./cluster"}},
     .run = run_init},
    {.words = "snapshot save",
     .summary = "write a checkpoint of every shard into a file",
     .text =
         "For each shard a node sends the pages of a checkpoint that it has durably and that holds "
         "everything acknowledged before the command began, which may take until the next "
         "checkpoint (5 s). Serving goes on. The file gets its name only when it is whole, read "
         "back and synced; nothing is overwritten. Needs an administrator's certificate.",
     .args = "FILE",
     .marks = LEADER | TABLE,
     .timeout_ms = 600000,
     .examples = {{"snapshot save /backup/mail.mqsnap", "all shards"}},
     .run = run_snapshot_save},
    {.words = "snapshot inspect",
     .summary = "check such a file and show what it holds",
     .text = "Reads the whole file, checks every part and the check sum, and shows cluster, epoch, "
             "index, term and digest of each shard. Asks no node.",
     .args = "FILE",
     .marks = OFFLINE | TABLE,
     .exits = {EXIT_CRITICAL, EXIT_VERSION},
     .examples = {{"snapshot inspect /backup/mail.mqsnap", "is it whole, and of when"}},
     .run = run_snapshot_inspect},
    {.words = "cert ca init",
     .summary = "make a CA",
     .text = "Makes ca.crt and ca.key. Keep the key off the nodes.",
     .flags = {"out", "name"},
     .marks = OFFLINE,
     .examples = {{"cert ca init --out ca --name mail-prod", "into ./ca"}},
     .run = run_cert_ca_init},
    {.words = "cert issue",
     .summary = "issue a certificate",
     .text = "For a node (its name as in the founding file), a mail host that feeds, or an "
             "operator with "
             "a role. Makes NAME.crt and NAME.key.",
     .args = "node|host|operator NAME",
     .flags = {"ca", "out", "san", "role"},
     .marks = OFFLINE,
     .examples = {{"cert issue operator li --role operator --ca ca", "li may move leaders"}},
     .run = run_cert_issue},
    {.words = "completion",
     .summary = "print the script that completes clusterctl's words in a shell",
     .text = "The packages install it. By hand: for bash, put \"source <(clusterctl completion "
             "bash)\" into "
             "~/.bashrc; for zsh, \"source <(clusterctl completion zsh)\" into ~/.zshrc behind "
             "compinit. "
             "Names of nodes, shards and sites are asked of the cluster, for 300 ms at most.",
     .args = "bash|zsh",
     .marks = OFFLINE,
     .examples = {{"completion bash", "for bash"}},
     .run = run_completion},
    {.words = "complete",
     .summary = "what may come next on a line, for the shells",
     .text = "Its arguments are the words of a line, the last of them unfinished. Prints a "
             "candidate, a tab "
             "and what it is, a line each; \":files\" or \":directories\" where the shell knows "
             "better.",
     .args = "[WORD]...",
     .marks = OFFLINE | HIDDEN,
     .run = run_complete},
    {.words = "man",
     .summary = "write the manual pages into a directory",
     .text = "For the build: clusterctl.1, one page a noun, and clusterctl.conf.5.",
     .args = "DIR",
     .marks = OFFLINE | HIDDEN,
     .run = run_man},
};
const size_t commands_n = sizeof(commands) / sizeof(commands[0]);

/* ---- reading a row ---- */

size_t command_noun_size(const struct command *c)
{
    return strcspn(c->words, " ");
}

bool command_has_noun(const struct command *c, const char *noun, size_t size)
{
    return command_noun_size(c) == size && memcmp(c->words, noun, size) == 0;
}

bool command_begins_noun(const struct command *c)
{
    for (const struct command *before = commands; before < c; before++) {
        if (command_has_noun(before, c->words, command_noun_size(c))) {
            return false;
        }
    }
    return true;
}

const struct noun *noun_find(const char *name, size_t size)
{
    for (size_t i = 0; i < nouns_n; i++) {
        if (strlen(nouns[i].name) == size && memcmp(nouns[i].name, name, size) == 0) {
            return &nouns[i];
        }
    }
    return NULL;
}

bool command_takes(const struct command *c, const struct option_row *row)
{
    for (size_t i = 0; c != NULL && i < COMMAND_FLAGS_MAX && c->flags[i] != NULL; i++) {
        if (strcmp(c->flags[i], row->name) == 0) {
            return true;
        }
    }
    return false;
}

const char *command_arg(const struct command *c, unsigned n, size_t *out_size)
{
    const char *at = c->args != NULL ? c->args : "";
    for (; *at != '\0'; n--) {
        size_t size = strcspn(at, " ");
        if (n == 0) {
            at += at[0] == '[';
            *out_size = strcspn(at, " ].");
            return at;
        }
        at += size + (at[size] == ' ');
    }
    return NULL;
}

void command_args_range(const struct command *c, unsigned *out_min, unsigned *out_max)
{
    const char *at = c->args != NULL ? c->args : "";
    *out_min = 0;
    *out_max = 0;
    while (*at != '\0') {
        size_t size = strcspn(at, " ");
        *out_min += at[0] != '[';
        *out_max += 1;
        at += size + (at[size] == ' ');
    }
    if (c->args != NULL && strstr(c->args, "...") != NULL) {
        *out_max = UINT_MAX;
    }
}

static bool has_exit(const struct command *c, enum exit_code code)
{
    for (size_t i = 0; i < COMMAND_EXITS_MAX && c->exits[i] != EXIT_HEALTHY; i++) {
        if (c->exits[i] == code) {
            return true;
        }
    }
    switch (code) {
        case EXIT_HEALTHY:
        case EXIT_BUG:
        case EXIT_REFUSED:
        case EXIT_USAGE:
            return true;
        case EXIT_DEGRADED:
        case EXIT_CRITICAL:
            return (c->marks & COMMAND_VIEW) != 0;
        case EXIT_NO_QUORUM:
        case EXIT_TIMED_OUT:
        case EXIT_UNREACHABLE:
        case EXIT_DENIED:
        case EXIT_VERSION:
        case EXIT_CONFIG:
            return (c->marks & COMMAND_OFFLINE) == 0;
        default:
            return false;
    }
}

void command_each_exit(const struct command *c, void (*each)(void *arg, enum exit_code code),
                       void *arg)
{
    for (size_t i = 0; i < exit_rows_n; i++) {
        if (has_exit(c, exit_rows[i].code)) {
            each(arg, exit_rows[i].code);
        }
    }
}
