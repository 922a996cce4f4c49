/* The list of revoked certificates: what it takes, and that nothing in it is taken for something else. */
#include "proto/revoked.h"

#include <stdio.h>

#include "tests/lib/check.h"

static struct error problem;

static enum status parse(const char *text, struct revoked *r)
{
    *r = (struct revoked){0};
    return revoked_parse(text, strlen(text), r, &problem);
}

static void serials_are_read_as_openssl_prints_them(void)
{
    struct revoked r;
    CHECK_OK(
        parse("# stolen laptop\nserial=7F00AB\r\n\n  0a # "
              "wang\n00000000000000000000000000000000000000000000000001",
              &r));
    CHECK_EQ(r.n, 3);
    CHECK(revoked_has(&r, (const uint8_t *)"\x7f\x00\xab", 3));
    CHECK(revoked_has(&r, (const uint8_t *)"\x00\x7f\x00\xab", 4));
    CHECK(revoked_has(&r, (const uint8_t *)"\x0a", 1));
    CHECK(revoked_has(&r, (const uint8_t *)"\x01", 1));
    CHECK(!revoked_has(&r, (const uint8_t *)"\x7f\x00\xac", 3));
    CHECK(!revoked_has(&r, (const uint8_t *)"\x7f\x00", 2));
    CHECK(!revoked_has(&r, (const uint8_t *)"\xab", 1));
    CHECK(!revoked_has(&r, (const uint8_t *)"", 0));
    revoked_deinit(&r);
}

static void the_longest_serial_fits_and_no_longer_one(void)
{
    struct revoked r;
    uint8_t longest[21];
    memset(longest, 0xff, sizeof(longest));
    CHECK_OK(parse("ffffffffffffffffffffffffffffffffffffffff", &r));
    CHECK(revoked_has(&r, longest, 20));
    CHECK(!revoked_has(&r, longest, 21));
    CHECK(!revoked_has(&r, longest, 19));
    revoked_deinit(&r);
    CHECK_EQ(parse("1ffffffffffffffffffffffffffffffffffffffff", &r), STATUS_INVALID);
}

static void an_empty_list_revokes_nothing(void)
{
    struct revoked r;
    CHECK_OK(parse("", &r));
    CHECK(!revoked_has(&r, (const uint8_t *)"\x01", 1));
    revoked_deinit(&r);
    struct revoked none = {0};
    CHECK(!revoked_has(&none, (const uint8_t *)"\x01", 1));
}

static void a_line_that_is_none_makes_the_list_unusable(void)
{
    static const char *const lines[] = {
        "0a\nwang\n", "0x0a", "0a 0b", "serial=", "0", "0a:0b", "-1"};
    struct revoked r;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CHECK_EQ(parse(lines[i], &r), STATUS_INVALID);
        CHECK(r.serials == NULL);
    }
    CHECK_EQ(parse(lines[0], &r), STATUS_INVALID);
    CHECK(strstr(problem.text, "line 2 ") != NULL);
}

static void more_than_fit_are_refused(void)
{
    static char text[2 * (REVOKED_MAX + 1) + 1];
    struct revoked r;
    for (unsigned i = 0; i <= REVOKED_MAX; i++) {
        memcpy(text + 2 * i, "1\n", 2);
    }
    CHECK_EQ(parse(text, &r), STATUS_TOO_BIG);
    text[2 * REVOKED_MAX] = '\0';
    CHECK_OK(parse(text, &r));
    revoked_deinit(&r);
    CHECK_EQ(revoked_read("/nonexistent", &r, &problem), STATUS_NOT_FOUND);
}

CHECK_MAIN
{
    RUN(serials_are_read_as_openssl_prints_them);
    RUN(the_longest_serial_fits_and_no_longer_one);
    RUN(an_empty_list_revokes_nothing);
    RUN(a_line_that_is_none_makes_the_list_unusable);
    RUN(more_than_fit_are_refused);
}
