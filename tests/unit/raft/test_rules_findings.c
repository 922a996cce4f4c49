/* Single findings: certificates that end, and what becomes of findings when there are too many. */
#include "raft/rules/condition.h"
#include "tests/unit/raft/rules_world.h"

/* -1: nothing is found. */
static int certificate_severity(void)
{
    judge();
    const struct finding *f = found(FINDING_CERT_EXPIRES);
    return f == NULL ? -1 : (int)f->severity;
}

static void a_certificate_is_yellow_for_thirty_days_and_orange_for_seven(void)
{
    static struct observed_feed feed = {.host = "mx1"};
    static const struct {
        uint64_t left_ms;
        int severity;
    } rows[] = {
        {AGE_UNKNOWN, -1},
        {CERTIFICATE_YELLOW_MS, -1},
        {CERTIFICATE_YELLOW_MS - 1, SEVERITY_YELLOW},
        {CERTIFICATE_ORANGE_MS, SEVERITY_YELLOW},
        {CERTIFICATE_ORANGE_MS - 1, SEVERITY_ORANGE},
        {0, SEVERITY_ORANGE},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world(BJ1);
        w.nodes[SH2].certificate_left_ms = rows[i].left_ms;
        CHECK_EQ(certificate_severity(), rows[i].severity);
        world(BJ1);
        w.o.feeds = &feed;
        w.o.feeds_n = 1;
        feed.certificate_left_ms = rows[i].left_ms;
        CHECK_EQ(certificate_severity(), rows[i].severity);
    }
    CHECK_STR_EQ(found(FINDING_CERT_EXPIRES)->object, "mx1");
}

static void of_the_feeds_certificates_the_first_to_end_is_named(void)
{
    static struct observed_feed feeds[] = {
        {"mx1", 20 * UINT64_C(86400000)}, {"mx2", 3 * UINT64_C(86400000)}, {"mx3", AGE_UNKNOWN}};
    world(BJ1);
    w.o.feeds = feeds;
    w.o.feeds_n = 3;
    CHECK_EQ(certificate_severity(), SEVERITY_ORANGE);
    CHECK_STR_EQ(
        found(FINDING_CERT_EXPIRES)->text,
        "the certificate of the feed on mx2 expires in 3d; those of 1 more feeds expire soon");
    CHECK_STR_EQ(found(FINDING_CERT_EXPIRES)->next,
                 "clusterctl cert issue host mx2, install it, then systemctl restart mailfeed");
}

static void more_findings_than_there_is_room_for_are_counted(void)
{
    static struct findings f;
    findings_init(&f);
    for (unsigned i = 0; i < FINDINGS_MAX + 7; i++) {
        findings_add(&f, FINDING_LAG, i == FINDINGS_MAX + 3 ? SEVERITY_RED : SEVERITY_YELLOW, "x");
    }
    CHECK_EQ(f.n, FINDINGS_MAX);
    CHECK_EQ(f.left_out, 7);
    CHECK_EQ(f.severity, SEVERITY_RED);
}

/* A network in pieces is a finding for every pair of nodes; what must never be is among them, or after them. */
static void what_does_not_fit_is_the_least_of_it(void)
{
    static struct findings f;
    findings_init(&f);
    findings_add(&f, FINDING_AWAY, SEVERITY_BLUE, "blue");
    for (unsigned i = 0; i < FINDINGS_MAX + 100; i++) {
        findings_add(&f, FINDING_LINK_CUT, SEVERITY_YELLOW, "yellow");
    }
    findings_add(&f, FINDING_TWO_LEADERS, SEVERITY_RED, "red");
    findings_add(&f, FINDING_LAG, SEVERITY_YELLOW, "an effect");
    findings_sort(&f);
    CHECK_EQ(f.n, FINDINGS_MAX);
    CHECK_EQ(f.left_out, 103);
    CHECK_STR_EQ(f.items[0].object, "red");
    for (unsigned i = 1; i < f.n; i++) {
        CHECK_STR_EQ(f.items[i].object, "yellow");
    }
}

CHECK_MAIN
{
    RUN(a_certificate_is_yellow_for_thirty_days_and_orange_for_seven);
    RUN(of_the_feeds_certificates_the_first_to_end_is_named);
    RUN(more_findings_than_there_is_room_for_are_counted);
    RUN(what_does_not_fit_is_the_least_of_it);
}
