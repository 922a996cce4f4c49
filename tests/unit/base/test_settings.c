/* Settings: values with units, unknown names with a suggestion, files with their mistakes by line. The grammar here is a small
 * stand-in for inih's ini_parse_stream (base/ is not linked with it); tests/unit/ctl reads through the real one. */
#include "base/settings.h"

#include "base/suggestion.h"
#include "tests/lib/check.h"

struct sample {
    char name[8];
    uint64_t patience_ms, room_bytes, count;
    bool loud;
    int role;
    struct setting_list peers;
};

static const struct setting table[] = {
    SETTING_STRING("node", "name", struct sample, name, NULL, "name of this node"),
    SETTING_CHOICE("node", "role", struct sample, role, "data", "data|witness|standby",
                   "what it does"),
    SETTING_DURATION("limits", "patience", struct sample, patience_ms, "5s", 100, 60000,
                     "how long to wait"),
    SETTING_BYTES("limits", "room", struct sample, room_bytes, "64KB", 1024, 1ull << 40,
                  "how much"),
    SETTING_INTEGER("limits", "count", struct sample, count, "3", 1, 9, "how many"),
    SETTING_BOOLEAN("limits", "loud", struct sample, loud, "no", "say it"),
    SETTING_LIST("limits", "peers", struct sample, peers, "", "whom"),
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static int small_grammar(char *(*reader)(char *, int, void *), void *stream,
                         int (*handler)(void *, const char *, const char *, const char *),
                         void *arg)
{
    char line[200], section[64] = "";
    int at = 0, wrong = 0;
    while (reader(line, sizeof(line), stream) != NULL) {
        at++;
        line[strcspn(line, "\n")] = '\0';
        char *equals = strchr(line, '=');
        if (line[0] == '[') {
            snprintf(section, sizeof(section), "%.*s", (int)strcspn(line + 1, "]"), line + 1);
        } else if (equals != NULL) {
            *equals = '\0';
            char *end = equals;
            while (end > line && end[-1] == ' ') {
                *--end = '\0';
            }
            equals++;
            handler(arg, section, line, equals + strspn(equals, " "));
        } else if (line[0] != '\0' && line[0] != ';' && wrong == 0) {
            wrong = at;
        }
    }
    return wrong;
}

static struct error problem;
static struct sample loaded;

static enum status load(const char *text)
{
    problem = (struct error){0};
    loaded = (struct sample){0};
    return settings_load(small_grammar, "x.conf",
                         (struct bytes){(const uint8_t *)text, strlen(text)}, table, ROWS, &loaded,
                         &problem);
}

static void defaults_hold_where_the_file_says_nothing(void)
{
    CHECK_OK(load("[node]\nname = bj1\n"));
    CHECK_STR_EQ(loaded.name, "bj1");
    CHECK_EQ(loaded.patience_ms, 5000);
    CHECK_EQ(loaded.room_bytes, 65536);
    CHECK_EQ(loaded.count, 3);
    CHECK_EQ(loaded.role, 0);
    CHECK(!loaded.loud);
    CHECK_EQ(loaded.peers.n, 0);
}

static void every_type_is_read(void)
{
    CHECK_OK(
        load("[node]\n  name=a\n  role = standby\n[limits]\npatience = "
             "1m\nroom=10GB\nloud=YES\npeers = a, b\npeers=c\n"));
    CHECK_EQ(loaded.role, 2);
    CHECK_EQ(loaded.patience_ms, 60000);
    CHECK_EQ(loaded.room_bytes, 10ull << 30);
    CHECK(loaded.loud);
    CHECK_EQ(loaded.peers.n, 3);
    CHECK_STR_EQ(loaded.peers.items[2], "c");
}

static void mistakes_name_their_line_and_suggest(void)
{
    CHECK_EQ(load("[node]\nname = a\n[limits]\npatiense = 5s\n"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text,
                 "x.conf:4: unknown key \"patiense\" in [limits], did you mean \"patience\"?");
    CHECK_EQ(load("[nod]\nname = a\n"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "x.conf:1: unknown section [nod], did you mean [node]?");
    CHECK_EQ(load("[node]\nname = a\nrole = witnes\n"), STATUS_INVALID);
    CHECK_STR_EQ(
        problem.text,
        "x.conf:3: role = witnes: did you mean \"witness\"? It is one of data|witness|standby");
    CHECK_EQ(load("[node]\nname = a\ncount = 3\n"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text,
                 "x.conf:3: unknown key \"count\" in [node], it belongs into [limits]");
    CHECK_EQ(load("[node]\nname = a\nname = b\n"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "x.conf:3: \"name\" was already set in line 2");
    CHECK_EQ(load("[node]\nname = abcdefgh\n"), STATUS_TOO_BIG);
    CHECK_EQ(load("[node]\nname =\n"), STATUS_INVALID);
    CHECK_EQ(load("name = a\n"), STATUS_INVALID);
    CHECK_EQ(load("[node]\nrole = data\n"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "x.conf: [node] name is missing: name of this node");
}

static void ranges_and_units_are_held(void)
{
    CHECK_EQ(load("[node]\nname=a\n[limits]\npatience = 5\n"), STATUS_INVALID);
    CHECK_EQ(load("[node]\nname=a\n[limits]\npatience = 99ms\n"), STATUS_INVALID);
    CHECK_OK(load("[node]\nname=a\n[limits]\npatience = 100ms\n"));
    CHECK_EQ(load("[node]\nname=a\n[limits]\ncount = 10\n"), STATUS_INVALID);
    CHECK_EQ(load("[node]\nname=a\n[limits]\ncount = -1\n"), STATUS_INVALID);
    CHECK_EQ(load("[node]\nname=a\n[limits]\nroom = 20000000000000000000\n"), STATUS_INVALID);
    CHECK_EQ(load("[node]\nname=a\n[limits]\nroom = 18000000000GB\n"), STATUS_INVALID);
}

static void an_overlong_line_and_a_nul_byte_are_refused_with_their_line(void)
{
    char text[600] = "[node]\nname=";
    size_t n = strlen(text);
    memset(text + n, 'x', 300);
    CHECK_EQ(load(text), STATUS_TOO_BIG);
    CHECK_STR_EQ(problem.text, "x.conf:2: the line is longer than 198 bytes");
    struct bytes nul = {(const uint8_t *)"[node]\nna\0me=a\n", 15};
    CHECK_EQ(settings_load(small_grammar, "x.conf", nul, table, ROWS, &loaded, &problem),
             STATUS_MALFORMED);
    CHECK_EQ(load("[node]\nname=a\nwhat\n"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "x.conf:3: this is neither [section] nor key = value nor a comment");
}

static void a_slip_is_near_and_another_word_is_not(void)
{
    CHECK_EQ(edit_distance("status", "statsu"), 1);
    CHECK_EQ(edit_distance("", "abc"), 3);
    CHECK_EQ(edit_distance("kitten", "sitting"), 3);
    struct suggestion s;
    suggestion_init(&s, "stauts");
    suggestion_offer(&s, "shards");
    suggestion_offer(&s, "status");
    CHECK_STR_EQ(s.best, "status");
    suggestion_init(&s, "frobnicate");
    suggestion_offer(&s, "status");
    CHECK(s.best == NULL);
}

CHECK_MAIN
{
    RUN(defaults_hold_where_the_file_says_nothing);
    RUN(every_type_is_read);
    RUN(mistakes_name_their_line_and_suggest);
    RUN(ranges_and_units_are_held);
    RUN(an_overlong_line_and_a_nul_byte_are_refused_with_their_line);
    RUN(a_slip_is_near_and_another_word_is_not);
}
