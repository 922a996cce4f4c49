/* host:port in two, and nothing that some other reader of it would refuse. */
#include "tests/lib/check.h"

#include "base/address.h"

static void splits(const char *address, const char *host, const char *port)
{
    char h[64], p[8];
    CHECK(address_split(address, h, sizeof(h), p, sizeof(p)));
    CHECK(strcmp(h, host) == 0);
    CHECK(strcmp(p, port) == 0);
}

static void names_and_addresses_are_split(void)
{
    splits("bj1.example:7405", "bj1.example", "7405");
    splits("192.0.2.1:1", "192.0.2.1", "1");
    splits("[2001:db8::1]:65535", "2001:db8::1", "65535");
    splits("[::]:7405", "::", "7405");
}

static void what_is_none_is_refused(void)
{
    static const char *const bad[] = {
        "",        ":",        "host",   "host:",     ":1",     "host:0",
        "h:65536", "h:000001", "h:1x",   "h:-1",      "h: 1",   "2001:db8::1:1",
        "[]:1",    "[::1:1",   "::1]:1", "[[::1]]:1", "h[0]:1", "[[[:3"};
    char h[64], p[8];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!address_split(bad[i], h, sizeof(h), p, sizeof(p)));
    }
}

static void what_does_not_fit_is_refused(void)
{
    char h[4], p[3];
    CHECK(address_split("abc:12", h, sizeof(h), p, sizeof(p)));
    CHECK(!address_split("abcd:12", h, sizeof(h), p, sizeof(p)));
    CHECK(!address_split("abc:123", h, sizeof(h), p, sizeof(p)));
}

CHECK_MAIN
{
    RUN(names_and_addresses_are_split);
    RUN(what_is_none_is_refused);
    RUN(what_does_not_fit_is_refused);
}
