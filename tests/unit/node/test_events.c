/* The ring of events: bounded, in order, and honest about what it no longer has. */
#include "node/events.h"

#include "tests/lib/check.h"

static struct events events;

static void an_empty_ring_has_nothing_and_has_lost_nothing(void)
{
    memset(&events, 0, sizeof(events));
    CHECK(event_ring_after(&events.ring, 0) == NULL && !event_ring_lost(&events.ring, 0));
    CHECK(event_ring_after(&events.ring, UINT64_MAX) == NULL);
}

static void what_is_added_comes_back_in_order(void)
{
    memset(&events, 0, sizeof(events));
    events_add(&events, "MQ-EVENT-START", EVENT_BLUE, "bj1", NULL, "number %d", 1);
    events_add(&events, "MQ-EVENT-LEADER", EVENT_BLUE, "mail", "1/2", "number %d", 2);
    const struct event *e = event_ring_after(&events.ring, 0);
    CHECK(e != NULL && e->sequence == 1 && strcmp(e->text, "number 1") == 0 && e->key[0] == '\0');
    e = event_ring_after(&events.ring, 1);
    CHECK(e != NULL && e->sequence == 2 && strcmp(e->key, "1/2") == 0 && e->unix_ms > 0);
    CHECK(event_ring_after(&events.ring, 2) == NULL);
}

static void the_oldest_go_first_and_it_says_so(void)
{
    memset(&events, 0, sizeof(events));
    for (unsigned i = 0; i < EVENTS_MAX + 10; i++) {
        events_add(&events, "MQ-EVENT-START", EVENT_OK, "bj1", NULL, "%u", i + 1);
        CHECK_EQ(event_ring_lost(&events.ring, 0), i >= EVENTS_MAX);
    }
    const struct event *e = event_ring_after(&events.ring, 0);
    CHECK(e != NULL && e->sequence == 11 && strcmp(e->text, "11") == 0);
    CHECK(event_ring_lost(&events.ring, 9) && !event_ring_lost(&events.ring, 10));
    unsigned n = 0;
    for (uint64_t after = 0; (e = event_ring_after(&events.ring, after)) != NULL; n++) {
        after = e->sequence;
    }
    CHECK_EQ(n, EVENTS_MAX);
}

static void long_names_and_texts_are_cut(void)
{
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(&events, 0, sizeof(events));
    events_add(&events, "MQ-EVENT-START", EVENT_OK, text, text, "%s", text);
    const struct event *e = event_ring_after(&events.ring, 0);
    CHECK(e != NULL && strlen(e->object) == NAME_MAX_BYTES && strlen(e->key) == 63 &&
          strlen(e->text) == EVENT_TEXT_MAX - 1);
}

CHECK_MAIN
{
    RUN(an_empty_ring_has_nothing_and_has_lost_nothing);
    RUN(what_is_added_comes_back_in_order);
    RUN(the_oldest_go_first_and_it_says_so);
    RUN(long_names_and_texts_are_cut);
}
