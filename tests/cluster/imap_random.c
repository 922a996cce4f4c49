/* Random IMAP operations from one seed against a Dovecot of its own: what users and their clients do, and what an administrator does to
 * UIDVALIDITY. It judges nothing: whoever compares afterwards does.
 *
 *   imap_random --port P --config DOVECOT_CONF --seed N --ops 1000 [--pause-ms 30] [--password secret] USER...
 *
 * Two connections a user, in turn at random, each with whatever mailbox it selected last. Operations: append (flags, keywords, dates),
 * store, expunge, copy, move, create, rename (children follow), delete, subscribe, unsubscribe, and UIDVALIDITY by `doveadm mailbox
 * update`. What the server refuses counts as done and refused: two clients are in each other's way as real ones are.
 * One line at the end: how many of each were done; `mailboxes` is how many were ever made (INBOX included), `uidvalidity` how many
 * changes. Exit 0: all operations were done; 2: no connection. */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"

#define USERS_MAX        16
#define SESSIONS         2
#define NAMES_MAX        64
#define NAME_BYTES       400
#define LINE_BYTES       8192
#define RECONNECTS       5
#define PARTS_MAX        3 /* of a mailbox's name */
#define UIDS_OF_INTEREST 40u

struct session {
    FILE *stream; /* NULL: not connected */
    unsigned tag;
    char selected[NAME_BYTES];
    uint32_t uidnext;
};

struct user {
    const char *name;
    struct session sessions[SESSIONS];
};

enum op {
    APPEND,
    STORE,
    EXPUNGE,
    COPY,
    MOVE,
    CREATE,
    RENAME,
    DELETE,
    SUBSCRIBE,
    UNSUBSCRIBE,
    UIDVALIDITY,
    OPS
};
static const char *const op_names[OPS] = {"append",    "store",       "expunge",    "copy",
                                          "move",      "create",      "rename",     "delete",
                                          "subscribe", "unsubscribe", "uidvalidity"};
static const unsigned weights[OPS] = {30, 20, 9, 9, 8, 6, 6, 3, 3, 3, 3};

static struct {
    unsigned port, ops, pause_ms;
    uint64_t seed;
    const char *config, *password;
} o = {.ops = 1000, .pause_ms = 30, .seed = 1, .password = "secret"};

static struct random rng;
static struct user users[USERS_MAX];
static unsigned users_n, done[OPS], refused[OPS], mailboxes, messages;
static char names[NAMES_MAX][NAME_BYTES]; /* of the user at hand, quoted as IMAP wants them */
static unsigned names_n;

static uint32_t below(uint32_t n)
{
    return (uint32_t)random_below(&rng, n);
}

static void die(const char *what)
{
    fprintf(stderr, "imap_random: %s\n", what);
    exit(2);
}

/* ---- one connection ---- */

static void disconnect(struct session *s)
{
    if (s->stream != NULL) {
        fclose(s->stream);
    }
    *s = (struct session){.tag = s->tag};
}

static bool read_line(struct session *s, char line[LINE_BYTES])
{
    return s->stream != NULL && fgets(line, LINE_BYTES, s->stream) != NULL;
}

/* Sends one command and reads to its answer; each untagged line goes to `each`. False: refused, or the connection is gone. */
static bool __attribute__((format(printf, 3, 4)))
command(struct session *s, void (*each)(struct session *s, char *line), const char *format, ...)
{
    char line[LINE_BYTES], tag[16];
    if (s->stream == NULL) {
        return false;
    }
    int tag_n = snprintf(tag, sizeof(tag), "r%u ", ++s->tag);
    int fd = fileno(s->stream);
    va_list args;
    va_start(args, format);
    bool sent =
        dprintf(fd, "%s", tag) > 0 && vdprintf(fd, format, args) > 0 && dprintf(fd, "\r\n") > 0;
    va_end(args);
    while (sent && read_line(s, line)) {
        if (strncmp(line, tag, (size_t)tag_n) == 0) {
            return strncmp(line + tag_n, "OK", 2) == 0;
        }
        if (each != NULL) {
            each(s, line);
        }
    }
    disconnect(s);
    return false;
}

static bool try_connect(struct session *s, const char *user)
{
    char line[LINE_BYTES];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)o.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        (s->stream = fdopen(fd, "r")) == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    if (!read_line(s, line) || !command(s, NULL, "LOGIN %s %s", user, o.password)) {
        disconnect(s);
        return false;
    }
    return true;
}

static struct session *session_of(struct user *u)
{
    struct session *s = &u->sessions[below(SESSIONS)];
    for (unsigned i = 0; s->stream == NULL && !try_connect(s, u->name); i++) {
        if (i == RECONNECTS) {
            die("no IMAP connection");
        }
        sleep(1);
    }
    return s;
}

/* ---- names ---- */

/* `* LIST (flags) "/" name`: the name as it comes, quoted when it is not. Those that cannot be selected are left out. */
static void take_list(struct session *s, char *line)
{
    (void)s;
    char *name = strstr(line, ") \"/\" ");
    if (strncmp(line, "* LIST ", 7) != 0 || name == NULL || names_n == NAMES_MAX) {
        return;
    }
    *name = '\0';
    if (strcasestr(line, "\\Noselect") != NULL || strcasestr(line, "\\NonExistent") != NULL) {
        return;
    }
    name += 6;
    name[strcspn(name, "\r\n")] = '\0';
    snprintf(names[names_n++], NAME_BYTES, *name == '"' ? "%s" : "\"%s\"", name);
}

static bool list_names(struct session *s)
{
    names_n = 0;
    return command(s, take_list, "LIST \"\" \"*\"") && names_n > 0;
}

static const char *a_name(void)
{
    return names[below(names_n)];
}

/* Not INBOX; NULL when there is nothing else. */
static const char *a_name_to_change(void)
{
    for (unsigned i = 0; i < 4 * names_n; i++) {
        const char *name = a_name();
        if (strcmp(name, "\"INBOX\"") != 0) {
            return name;
        }
    }
    return NULL;
}

static void new_name(char out[NAME_BYTES])
{
    static const char *const parts[] = {
        "Work",   "2026", "Entw&APw-rfe", "a b",    "&U,BTFw-", "R&-D",
        "q\\\"t", "Temp", "lists",        "Q(1)*x", "~keep",    "long-name-with-much-to-say"};
    size_t n = 1;
    out[0] = '"';
    for (unsigned i = 0, depth = 1 + below(PARTS_MAX); i < depth; i++) {
        n += (size_t)snprintf(out + n, NAME_BYTES - n, "%s%s", i > 0 ? "/" : "",
                              parts[below(sizeof(parts) / sizeof(parts[0]))]);
    }
    snprintf(out + n, NAME_BYTES - n, "\"");
}

/* ---- messages ---- */

static void take_select(struct session *s, char *line)
{
    const char *at = strstr(line, "[UIDNEXT ");
    if (at != NULL) {
        s->uidnext = (uint32_t)strtoul(at + 9, NULL, 10);
    }
}

static bool select_some(struct session *s)
{
    const char *name = a_name();
    if (strcmp(s->selected, name) == 0 && below(3) != 0) {
        return true; /* as clients do: it stays open */
    }
    snprintf(s->selected, sizeof(s->selected), "%s", name);
    if (!command(s, take_select, "SELECT %s", name)) {
        s->selected[0] = '\0';
        return false;
    }
    return true;
}

/* Some of the latest UIDs, sometimes all. */
static const char *some_uids(const struct session *s)
{
    static char text[64];
    uint32_t high = s->uidnext > 1 ? s->uidnext - 1 : 1;
    uint32_t low = high > UIDS_OF_INTEREST ? high - UIDS_OF_INTEREST : 1;
    uint32_t a = low + below(high - low + 1), b = a + below(5);
    if (below(25) == 0) {
        return "1:*";
    }
    snprintf(text, sizeof(text), below(3) == 0 ? "%u" : "%u:%u", a, b);
    return text;
}

static const char *some_flags(void)
{
    static const char *const flags[] = {"\\Seen",         "\\Flagged", "\\Answered \\Seen",
                                        "\\Draft",        "\\Deleted", "$Forwarded",
                                        "kw1 kw2 \\Seen", "Junk",      "$label1 kw3"};
    static char text[64];
    if (below(6) == 0) { /* more keywords than Maildir's 26 letters */
        snprintf(text, sizeof(text), "word%u", below(60));
        return text;
    }
    return flags[below(sizeof(flags) / sizeof(flags[0]))];
}

static bool append(struct session *s)
{
    char body[3000], date[64] = "";
    int n = snprintf(
        body, sizeof(body),
        "From: a@example.org\r\nSubject: message %u\r\nMessage-ID: <%u.%llu@example.org>\r\n\r\n",
        messages, messages, (unsigned long long)o.seed);
    uint32_t lines = below(40);
    messages++;
    for (uint32_t i = 0; i < lines; i++) {
        n += snprintf(body + n, sizeof(body) - (size_t)n, "line %u of what was said\r\n", i);
    }
    if (below(4) == 0) {
        snprintf(date, sizeof(date), " \"%02u-Mar-20%02u 10:11:12 +0%u00\"", 1 + below(28),
                 below(27), below(9));
    }
    return command(s, NULL, "APPEND %s (%s)%s {%d+}\r\n%s", a_name(),
                   below(3) == 0 ? some_flags() : "", date, n, body);
}

static bool store(struct session *s)
{
    static const char *const how[] = {"+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT"};
    return select_some(s) &&
           command(s, NULL, "UID STORE %s %s (%s)", some_uids(s), how[below(4)], some_flags());
}

static bool expunge(struct session *s)
{
    if (!select_some(s)) {
        return false;
    }
    const char *uids = some_uids(s);
    if (!command(s, NULL, "UID STORE %s +FLAGS.SILENT (\\Deleted)", uids)) {
        return false;
    }
    return below(2) == 0 ? command(s, NULL, "EXPUNGE") : command(s, NULL, "UID EXPUNGE %s", uids);
}

static bool copy_or_move(struct session *s, const char *what)
{
    return select_some(s) && command(s, NULL, "UID %s %s %s", what, some_uids(s), a_name());
}

/* ---- mailboxes ---- */

static bool create(struct session *s)
{
    char name[NAME_BYTES];
    new_name(name);
    bool made = command(s, NULL, "CREATE %s", name);
    mailboxes += made;
    return made;
}

static bool rename_one(struct session *s)
{
    const char *from = a_name_to_change();
    char to[NAME_BYTES];
    new_name(to);
    return from != NULL && command(s, NULL, "RENAME %s %s", from, to);
}

static bool delete_one(struct session *s)
{
    const char *name = a_name_to_change();
    return name != NULL && command(s, NULL, "DELETE %s", name);
}

static uint32_t uidvalidity_seen;

static void take_status(struct session *s, char *line)
{
    const char *at = strstr(line, "(UIDVALIDITY ");
    (void)s;
    if (at != NULL) {
        uidvalidity_seen = (uint32_t)strtoul(at + 13, NULL, 10);
    }
}

/* doveadm wants the name in UTF-8: only those are taken whose IMAP name is the same, quotes off. */
static bool change_uidvalidity(struct session *s, const char *user)
{
    char name[NAME_BYTES], value[16];
    const char *quoted = a_name();
    if (strpbrk(quoted, "&\\*") != NULL) {
        return false;
    }
    uidvalidity_seen = 0;
    if (!command(s, take_status, "STATUS %s (UIDVALIDITY)", quoted) || uidvalidity_seen == 0) {
        return false;
    }
    snprintf(name, sizeof(name), "%s", quoted + 1);
    name[strlen(name) - 1] = '\0';
    uint32_t to =
        below(4) == 0 ? uidvalidity_seen - 1 - below(1000) : uidvalidity_seen + 1 + below(1000);
    snprintf(value, sizeof(value), "%u", to);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("doveadm", "doveadm", "-c", o.config, "mailbox", "update", "-u", user,
               "--uid-validity", value, name, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- the run ---- */

static enum op an_op(void)
{
    uint32_t at = below(100);
    unsigned i = 0;
    while (i < OPS - 1 && at >= weights[i]) {
        at -= weights[i++];
    }
    return (enum op)i;
}

static bool perform(enum op op, struct user *u)
{
    struct session *s = session_of(u);
    if (!list_names(s)) {
        return false;
    }
    switch (op) {
        case APPEND:
            return append(s);
        case STORE:
            return store(s);
        case EXPUNGE:
            return expunge(s);
        case COPY:
            return copy_or_move(s, "COPY");
        case MOVE:
            return copy_or_move(s, "MOVE");
        case CREATE:
            return create(s);
        case RENAME:
            return rename_one(s);
        case DELETE:
            return delete_one(s);
        case SUBSCRIBE:
            return command(s, NULL, "SUBSCRIBE %s", a_name());
        case UNSUBSCRIBE:
            return command(s, NULL, "UNSUBSCRIBE %s", a_name());
        default:
            return change_uidvalidity(s, u->name);
    }
}

static void run(void)
{
    for (unsigned i = 0; i < o.ops; i++) {
        enum op op = an_op();
        if (perform(op, &users[below(users_n)])) {
            done[op]++;
        } else {
            refused[op]++;
        }
        uint32_t ms = o.pause_ms == 0 ? 0 : below(2 * o.pause_ms);
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
                  NULL);
    }
}

static void take_options(int argc, char **argv)
{
    static const struct option options[] = {{"port", 1, NULL, 'p'},     {"config", 1, NULL, 'c'},
                                            {"seed", 1, NULL, 's'},     {"ops", 1, NULL, 'n'},
                                            {"pause-ms", 1, NULL, 'm'}, {"password", 1, NULL, 'w'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
            case 'p':
                o.port = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'c':
                o.config = optarg;
                break;
            case 's':
                o.seed = strtoull(optarg, NULL, 10);
                break;
            case 'n':
                o.ops = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'm':
                o.pause_ms = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'w':
                o.password = optarg;
                break;
            default:
                die("see the comment at the top of tests/cluster/imap_random.c");
        }
    }
    while (optind < argc && users_n < USERS_MAX) {
        users[users_n++].name = argv[optind++];
    }
    if (users_n == 0 || o.port == 0 || o.config == NULL || optind < argc) {
        die("--port, --config and up to 16 users are needed");
    }
}

int main(int argc, char **argv)
{
    take_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    random_init_seed(&rng, o.seed);
    mailboxes = users_n; /* each has an INBOX */
    run();
    printf("imap_random: seed=%llu ops=%u mailboxes=%u", (unsigned long long)o.seed, o.ops,
           mailboxes);
    for (unsigned i = 0; i < OPS; i++) {
        printf(" %s=%u/%u", op_names[i], done[i], done[i] + refused[i]);
    }
    printf("\n");
    for (unsigned i = 0; i < users_n; i++) {
        for (unsigned k = 0; k < SESSIONS; k++) {
            command(&users[i].sessions[k], NULL, "LOGOUT");
            disconnect(&users[i].sessions[k]);
        }
    }
    return 0;
}
