/* Each node's ring is read page by page from where it was left. */
#include "ctl/event_feed.h"

#include "ctl/moment.h"

enum status event_feed_open(struct event_feed *f, struct ctl *c, uint64_t since_ms,
                            enum exit_code *out_code)
{
    f->c = c;
    f->since_ms = since_ms;
    return fleet_open(c, &f->fleet, out_code);
}

void event_feed_close(struct event_feed *f)
{
    fleet_close(f->fleet);
    f->fleet = NULL;
    event_list_free(&f->list);
}

/* Everything new of one node, page by page. */
static enum status fetch(struct event_feed *f, unsigned i)
{
    struct event_position *p = &f->positions[i];
    bool more = true;
    while (more) {
        Mq__Admin admin = MQ__ADMIN__INIT;
        Mq__AdminEvents events = MQ__ADMIN_EVENTS__INIT;
        Mq__AdminResult *result;
        events.after = p->after;
        events.incarnation = p->incarnation;
        events.since_ms = f->since_ms;
        admin.body_case = MQ__ADMIN__BODY_EVENTS;
        admin.events = &events;
        enum status s = fleet_ask(f->c, &f->fleet->nodes[i], &admin, &result);
        if (s != OK) {
            return s;
        }
        const Mq__EventsView *v = result->events;
        for (size_t k = 0; v != NULL && k < v->n_events; k++) {
            (void)event_list_add(&f->list, v->node, v->events[k]);
        }
        more = v != NULL && v->more && (v->after > p->after || v->incarnation != p->incarnation);
        if (v != NULL) {
            f->lost = f->lost || (v->lost && p->incarnation == v->incarnation);
            *p = (struct event_position){v->incarnation, v->after};
        }
        mq__admin_result__free_unpacked(result, NULL);
    }
    return OK;
}

void event_feed_fetch(struct event_feed *f)
{
    event_list_clear(&f->list);
    for (unsigned i = 0; i < f->fleet->n; i++) {
        (void)fetch(f, i);
    }
    event_list_order(&f->list);
}

enum severity event_row_severity(const struct event_row *row)
{
    return row->severity <= SEVERITY_RED ? (enum severity)row->severity : SEVERITY_BLUE;
}

json_t *event_row_json(const struct event_row *row)
{
    char severity[16];
    snprintf(severity, sizeof(severity), "%s", severity_word(event_row_severity(row)));
    for (char *p = severity; *p != '\0'; p++) {
        *p = (char)(*p | 0x20);
    }
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "time", json_time(row->unix_ms), "node",
                     json_text(row->node), "id", json_text(row->id), "severity", severity, "object",
                     json_text(row->object), "text", json_text(row->text), "sequence",
                     json_u64(row->sequence));
}

const char *event_row_format(const struct event_row *row, char *text, size_t size)
{
    char moment[MOMENT_TEXT_SIZE];
    snprintf(text, size, "%s %-6s %s %s: %s", moment_format(row->unix_ms, moment),
             severity_word(event_row_severity(row)), row->node, row->id, row->text);
    text_clean(text);
    return text;
}
