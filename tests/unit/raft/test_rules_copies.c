/* Which copy is wrong is said against a majority of those that answered, and of nobody else. */
#include "raft/rules/copies.h"

#include "tests/lib/check.h"

#define COPIES_MAX 8

/* A letter a copy. Given: the digest, '.' none, a capital: damaged. Wanted: '=' same, '!' differs, '~' disputed, '.' silent. */
static const struct {
    const char *name, *given, *want;
} rows[] = {
    {"all agree", "aaaa", "===="},
    {"one differs", "aaba", "==!="},
    {"two differ from three, each in its own way", "abaca", "=!=!="},
    {"a site is silent, and those left agree", "..aa", "..=="},
    {"one alone answers", "...a", "...="},
    {"nobody answers", "....", "...."},
    {"one of three that answer differs", ".aba", ".=!="},
    {"half against half", "aabb", "~~~~"},
    {"one against one, a site being silent", "..ab", "..~~"},
    {"two of four is no majority", "aabc", "~~~~"},
    {"three of five is one", "aaabc", "===!!"},
    {"a damaged copy is no witness: one against one", "..aB", "..=!"},
    {"nor is it one for a half", "aaBb", "==!!"},
    {"two of three that count", "aabB", "==!!"},
    {"a damaged copy may have kept the digest", "aaAb", "===!"},
    {"only damaged ones answer", ".A.A", ".~.~"},
};

static void a_copy_is_judged_among_those_that_answered(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct copy_digest copies[COPIES_MAX] = {{0}};
        enum copy_verdict verdicts[COPIES_MAX];
        char got[COPIES_MAX + 1] = "";
        unsigned n = (unsigned)strlen(rows[i].given);
        for (unsigned k = 0; k < n; k++) {
            char c = rows[i].given[k];
            copies[k].known = c != '.';
            copies[k].damaged = c >= 'A' && c <= 'Z';
            copies[k].digest[15] = (uint8_t)(c | 0x20);
        }
        copies_judge(copies, n, verdicts);
        for (unsigned k = 0; k < n; k++) {
            got[k] = ".=!~"[verdicts[k]];
        }
        printf("%s: %s -> %s\n", rows[i].name, rows[i].given, got);
        CHECK_STR_EQ(got, rows[i].want);
    }
}

CHECK_MAIN
{
    RUN(a_copy_is_judged_among_those_that_answered);
}
