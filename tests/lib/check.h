/* check.h: the few lines our tests need.
 *
 * A test is a function without arguments whose name is a sentence; it says what must hold with CHECK and its
 * kin. The first check that does not hold prints file, line and values, and ends the program with status 1, so
 * a later test never runs on what a failed one left behind.
 *
 *     static void a_lagging_voter_is_not_promoted(void) { CHECK_EQ(lag(), 3); }
 *
 *     CHECK_MAIN
 *     {
 *         RUN(a_lagging_voter_is_not_promoted);
 *     }
 *
 * A main() of one's own may use RUN() too and end with `return check_report();`. Arguments of the program, if
 * any, are names of tests: only those run. check_seed() is printed at its first use; MQ_SEED=N repeats a run.
 * Checks may be used from any thread. Everything is in this header so that a test needs no library to stand on.
 */
#ifndef MQ_TESTS_LIB_CHECK_H
#define MQ_TESTS_LIB_CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHECK_SKIPPED = 77 };

static struct {
    int passed;
    int skipped;
    int n_names;
    char **names;
    const char *now; /* the test that runs, for messages */
} check_;

__attribute__((unused)) static int check_wanted(const char *name)
{
    int i;

    for (i = 0; i < check_.n_names; i++) {
        if (strcmp(check_.names[i], name) == 0) {
            return 1;
        }
    }
    return check_.n_names == 0;
}

__attribute__((unused, noreturn)) static void check_stop(int code)
{
    fflush(stdout);
    fflush(stderr);
#ifdef MQ_FUZZ /* libFuzzer keeps the input of what aborts, not of what exits */
    abort();
#endif
    _exit(code);
}

__attribute__((unused)) static int check_report(void)
{
    printf("%d passed, 0 failed, %d skipped\n", check_.passed, check_.skipped);
    fflush(stdout);
    return check_.passed == 0 && check_.skipped > 0 ? CHECK_SKIPPED : 0;
}

/* One number a process: from MQ_SEED, else from the clock; printed so that a failure can be repeated. */
__attribute__((unused)) static uint64_t check_seed(void)
{
    static uint64_t seed;
    static int known;
    const char *given = getenv("MQ_SEED");
    struct timespec now;

    if (!known) {
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
        if (given != NULL) {
            seed = strtoull(given, NULL, 0);
        }
        known = 1;
        printf("seed %" PRIu64 "\n", seed);
    }
    return seed;
}

#define CHECK_FAIL(...)                                       \
    do {                                                      \
        fflush(stdout);                                       \
        fprintf(stderr, "%s:%d: in %s: ", __FILE__, __LINE__, \
                check_.now != NULL ? check_.now : __func__);  \
        fprintf(stderr, __VA_ARGS__);                         \
        fputc('\n', stderr);                                  \
        check_stop(1);                                        \
    } while (0)

#define CHECK(cond)                                 \
    do {                                            \
        if (!(cond)) {                              \
            CHECK_FAIL("does not hold: %s", #cond); \
        }                                           \
    } while (0)

/* Whole numbers, enums and pointers of any width. */
#define CHECK_EQ(a, b)                                                                            \
    do {                                                                                          \
        uintmax_t check_a_ = (uintmax_t)(a);                                                      \
        uintmax_t check_b_ = (uintmax_t)(b);                                                      \
        if (check_a_ != check_b_) {                                                               \
            CHECK_FAIL("%s is %jd (0x%jx), not %s, which is %jd (0x%jx)", #a, (intmax_t)check_a_, \
                       check_a_, #b, (intmax_t)check_b_, check_b_);                               \
        }                                                                                         \
    } while (0)

#define CHECK_NE(a, b)                                                        \
    do {                                                                      \
        uintmax_t check_a_ = (uintmax_t)(a);                                  \
        if (check_a_ == (uintmax_t)(b)) {                                     \
            CHECK_FAIL("%s and %s are both %jd", #a, #b, (intmax_t)check_a_); \
        }                                                                     \
    } while (0)

/* enum status and its like: 0 is OK. */
#define CHECK_OK(expr) CHECK_EQ(expr, 0)

#define CHECK_STR_EQ(a, b)                                                                     \
    do {                                                                                       \
        const char *check_a_ = (a);                                                            \
        const char *check_b_ = (b);                                                            \
        if (check_a_ == NULL || check_b_ == NULL || strcmp(check_a_, check_b_) != 0) {         \
            CHECK_FAIL("%s is \"%s\", not \"%s\"", #a, check_a_ != NULL ? check_a_ : "(null)", \
                       check_b_ != NULL ? check_b_ : "(null)");                                \
        }                                                                                      \
    } while (0)

#define CHECK_MEM_EQ(a, b, n)                                                     \
    do {                                                                          \
        if (memcmp((a), (b), (n)) != 0) {                                         \
            CHECK_FAIL("%s and %s differ within %zu bytes", #a, #b, (size_t)(n)); \
        }                                                                         \
    } while (0)

#define RUN(fn)                                       \
    do {                                              \
        if (check_wanted(#fn)) {                      \
            check_.now = #fn;                         \
            fn();                                     \
            check_.passed++;                          \
            printf("ok %d %s\n", check_.passed, #fn); \
            fflush(stdout);                           \
            check_.now = NULL;                        \
        }                                             \
    } while (0)

/* For what this machine cannot do: named and counted, never silently passed. */
#define SKIP(fn, reason)                      \
    do {                                      \
        (void)(fn);                           \
        check_.skipped++;                     \
        printf("skip %s: %s\n", #fn, reason); \
    } while (0)

#define CHECK_MAIN                  \
    static void check_all_(void);   \
    int main(int argc, char **argv) \
    {                               \
        check_.n_names = argc - 1;  \
        check_.names = argv + 1;    \
        check_all_();               \
        return check_report();      \
    }                               \
    static void check_all_(void)

#endif
