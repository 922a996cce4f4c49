/* clusterctl mailbox list, show, changes, touch: what the cluster holds of a user's mailboxes. Long answers come in pages; each page is
 * read at its own position, and what changes between two pages may be seen or not. */
#include "ctl/mailbox.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/page.h"

#define PAGE_ROWS 500u

static uint64_t limit_of(const struct ctl *c)
{
    return c->arguments.options.limit != 0 ? c->arguments.options.limit : UINT64_MAX;
}

static uint32_t page_of(uint64_t left)
{
    return left < PAGE_ROWS ? (uint32_t)left : PAGE_ROWS;
}

/* ---- list ---- */

/* Messages that the store furthest behind has not; "-" when only one has the mailbox. */
static void missing_cell(const Mq__Mailbox *m, struct screen *s)
{
    uint64_t most = 0;
    for (size_t i = 0; i < m->n_stores; i++) {
        uint64_t has = m->stores[i]->messages;
        most = has < m->messages && m->messages - has > most ? m->messages - has : most;
    }
    if (m->n_stores > 1) {
        screen_cell(s, "%" PRIu64, most);
    } else {
        screen_cell(s, "-");
    }
}

static void list_row(const Mq__Mailbox *m, struct screen *s, json_t *rows)
{
    char guid[40], size[SPAN_TEXT_SIZE];
    hex_format((struct bytes){m->guid.data, m->guid.len}, guid, sizeof(guid));
    screen_cell(s, "%s", m->name);
    screen_cell(s, "%" PRIu64, m->messages);
    missing_cell(m, s);
    screen_cell(s, "%" PRIu64, m->unseen);
    screen_cell(s, "%s", size_format(m->bytes, size));
    screen_cell(s, "%u", m->uidvalidity);
    screen_cell(s, "%u", m->uidnext);
    screen_cell(s, "%" PRIu64, m->highestmodseq);
    screen_cell(s, "%" PRIu64, m->change);
    screen_cell(s, "%s", guid);
    json_array_append_new(rows, mailbox_json(m));
}

enum exit_code run_mailbox_list(struct ctl *c)
{
    static const char *const columns[] = {"MAILBOX",     "MESSAGES", "MISSING", "UNSEEN", "SIZE",
                                          "UIDVALIDITY", "UIDNEXT",  "MODSEQ",  "CHANGE", "GUID"};
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryMailboxes body = MQ__QUERY_MAILBOXES__INIT;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code = EXIT_HEALTHY;
    struct page_position after = {.size = 0};
    uint64_t left = limit_of(c);
    enum status status = OK;
    bool more = true;
    body.user = (char *)c->arguments.args[0];
    snprintf(c->doing, sizeof(c->doing), "user %.200s", body.user);
    query.body_case = MQ__QUERY__BODY_MAILBOXES;
    query.mailboxes = &body;
    screen_init(&s, "mailboxes");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        (strcmp(columns[i], "GUID") == 0 ? screen_column_wide : screen_column)(&s, columns[i]);
    }
    json_t *rows = json_array();
    json_object_set_new(s.data, "user", json_text(body.user));
    json_object_set_new(s.data, "mailboxes", rows);
    while (more && left > 0 && status == OK) {
        Mq__QueryResult *result;
        body.limit = page_of(left);
        status = ctl_query(c, body.user, 0, &query, &a, &result, &code);
        if (status != OK) {
            break;
        }
        for (size_t i = 0; i < result->n_mailboxes; i++) {
            list_row(result->mailboxes[i], &s, rows);
        }
        left -= result->n_mailboxes < left ? result->n_mailboxes : left;
        const Mq__Mailbox *last =
            result->n_mailboxes > 0 ? result->mailboxes[result->n_mailboxes - 1] : NULL;
        more = result->more;
        if (more && left > 0) {
            struct bytes next = {last != NULL ? last->guid.data : NULL,
                                 last != NULL ? last->guid.len : 0};
            status = page_next(c, &after, next, &a, &code);
            body.after = (ProtobufCBinaryData){after.size, after.data};
        }
        mq__query_result__free_unpacked(result, NULL);
    }
    if (status != OK) {
        screen_deinit(&s);
        call_answer_clear(&a);
        return code;
    }
    ctl_source(c, &s, &a);
    call_answer_clear(&a);
    snprintf(s.summary, sizeof(s.summary), "%u mailboxes", s.cells_n / s.columns_n);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

/* ---- show ---- */

static void show_head(const Mq__Mailbox *m, struct screen *s)
{
    char guid[40], size[SPAN_TEXT_SIZE];
    hex_format((struct bytes){m->guid.data, m->guid.len}, guid, sizeof(guid));
    snprintf(s->summary, sizeof(s->summary),
             "%.200s of %.100s: %" PRIu64 " messages, %" PRIu64 " unseen, %s", m->name, m->user,
             m->messages, m->unseen, size_format(m->bytes, size));
    screen_line(s,
                "GUID %s, UIDVALIDITY %u, UIDNEXT %u, HIGHESTMODSEQ %" PRIu64 ", change %" PRIu64
                " (changes known since %" PRIu64 ")%s",
                guid, m->uidvalidity, m->uidnext, m->highestmodseq, m->change, m->horizon,
                m->subscribed ? ", subscribed" : "");
    for (size_t i = 0; i < m->n_stores; i++) {
        const Mq__StoreCursor *cursor = m->stores[i];
        uint64_t missing =
            m->messages - (cursor->messages < m->messages ? cursor->messages : m->messages);
        screen_line(s,
                    "store %s%s: %" PRIu64 " messages, %" PRIu64
                    " missing; reported up to MODSEQ %" PRIu64 " (UIDVALIDITY %u, UIDNEXT %u)%s",
                    cursor->store, cursor->lead ? " (the record follows it)" : "", cursor->messages,
                    missing, cursor->modseq, cursor->uidvalidity, cursor->uidnext,
                    cursor->in_progress ? ", a report is under way" : "");
    }
    json_object_set_new(s->data, "mailbox", mailbox_json(m));
}

static void message_row(const Mq__MessageRow *row, struct screen *s, json_t *rows)
{
    char flags[600], guid[140];
    const Mq__Message *m = row->message;
    if (m == NULL) {
        return;
    }
    flags_format(m, flags, sizeof(flags));
    hex_format((struct bytes){m->guid.data, m->guid.len}, guid, sizeof(guid));
    screen_cell(s, "%u", m->uid);
    screen_cell(s, "%" PRIu64, m->modseq);
    screen_cell(s, "%" PRIu64, m->size);
    screen_cell(s, "%s", flags);
    screen_cell(s, "%zu", row->n_stores);
    screen_cell(s, "%s", guid);
    json_array_append_new(rows, message_json(row));
}

static enum status show_messages(struct ctl *c, const Mq__Mailbox *m, struct screen *s,
                                 enum exit_code *out_code)
{
    static const char *const columns[] = {"UID", "MODSEQ", "SIZE", "FLAGS", "STORES", "GUID"};
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryMessages body = MQ__QUERY_MESSAGES__INIT;
    struct call_answer a = {0};
    struct page_position after = {.size = 0};
    enum status status = OK;
    uint64_t left = limit_of(c);
    bool more = true;
    json_t *rows = json_array();
    json_object_set_new(s->data, "messages", rows);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        (strcmp(columns[i], "GUID") == 0 ? screen_column_wide : screen_column)(s, columns[i]);
    }
    body.user = m->user;
    body.mailbox = m->guid;
    query.body_case = MQ__QUERY__BODY_MESSAGES;
    query.messages = &body;
    while (more && left > 0 && status == OK) {
        Mq__QueryResult *result;
        body.limit = page_of(left);
        status = ctl_query(c, c->arguments.args[0], 0, &query, &a, &result, out_code);
        if (status != OK) {
            break;
        }
        for (size_t i = 0; i < result->n_messages; i++) {
            message_row(result->messages[i], s, rows);
        }
        left -= result->n_messages < left ? result->n_messages : left;
        const Mq__MessageRow *last =
            result->n_messages > 0 ? result->messages[result->n_messages - 1] : NULL;
        more = result->more;
        if (more && left > 0) {
            uint64_t next = last != NULL && last->message != NULL ? last->message->uid : 0;
            status = page_next(c, &after, page_number(&next), &a, out_code);
            body.after_uid = (uint32_t)next;
        }
        mq__query_result__free_unpacked(result, NULL);
    }
    call_answer_clear(&a);
    return status;
}

/* By name, or by GUID when it is 32 hex digits. The result holds exactly one mailbox. */
static enum status mailbox_get(struct ctl *c, struct call_answer *a, Mq__QueryResult **out_result,
                               enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryMailbox body = MQ__QUERY_MAILBOX__INIT;
    struct uuid guid;
    const char *name = c->arguments.args[1];
    body.user = (char *)c->arguments.args[0];
    snprintf(c->doing, sizeof(c->doing), "mailbox %.100s of %.100s", name, body.user);
    if (uuid_parse(name, &guid)) {
        body.mailbox = (ProtobufCBinaryData){sizeof(guid.bytes), guid.bytes};
    } else {
        body.name = (char *)name;
    }
    query.body_case = MQ__QUERY__BODY_MAILBOX;
    query.mailbox = &body;
    enum status s = ctl_query(c, body.user, 0, &query, a, out_result, out_code);
    if (s == OK && (*out_result)->n_mailboxes == 0) {
        mq__query_result__free_unpacked(*out_result, NULL);
        *out_code = ctl_refuse(c, STATUS_NOT_FOUND, "%s has no mailbox %s", body.user, name);
        return STATUS_NOT_FOUND;
    }
    return s;
}

enum exit_code run_mailbox_show(struct ctl *c)
{
    Mq__QueryResult *result;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (c->arguments.options.output == OUTPUT_CSV && !c->arguments.options.messages) {
        return ctl_usage(c, "only with --messages there is a table to write as csv");
    }
    if (mailbox_get(c, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "mailbox");
    ctl_source(c, &s, &a);
    show_head(result->mailboxes[0], &s);
    enum status status =
        c->arguments.options.messages ? show_messages(c, result->mailboxes[0], &s, &code) : OK;
    mq__query_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    if (status != OK) {
        screen_deinit(&s);
        return code;
    }
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

/* ---- changes ---- */

static void change_row(const Mq__Change *change, struct screen *s, json_t *rows)
{
    char flags[600] = "";
    const Mq__Message *m = change->row != NULL ? change->row->message : NULL;
    if (m != NULL) {
        flags_format(m, flags, sizeof(flags));
    }
    screen_cell(s, "%" PRIu64, change->change);
    screen_cell(s, "%u", change->uid);
    screen_cell(s, "%s", change->expunged ? "expunged" : "present");
    screen_cell(s, "%s", flags);
    json_array_append_new(
        rows, json_pack("{s:o, s:I, s:b, s:o}", "change", json_u64(change->change), "uid",
                        (json_int_t)change->uid, "expunged", change->expunged, "message",
                        change->row != NULL ? message_json(change->row) : json_null()));
}

/* From where: within what the mailbox still knows. */
static enum status since_of(struct ctl *c, const Mq__Mailbox *m, uint64_t *out_since,
                            enum exit_code *out_code)
{
    const char *text = c->arguments.options.since;
    *out_since = m->horizon;
    if (text != NULL && !setting_parse_integer(text, out_since)) {
        *out_code = ctl_usage(c, "--since %s: this is not a change number", text);
        return STATUS_INVALID;
    }
    if (*out_since > m->change) {
        *out_code =
            ctl_refuse(c, STATUS_INVALID, "the mailbox is at change %" PRIu64 " only", m->change);
        return STATUS_INVALID;
    }
    if (*out_since < m->horizon) {
        *out_code = ctl_refuse(c, STATUS_RESYNC,
                               "changes up to %" PRIu64
                               " are known no more, expunges among them. Read all of it "
                               "(mailbox show --messages), then go on with --since %" PRIu64,
                               m->horizon, m->change);
        return STATUS_RESYNC;
    }
    return OK;
}

static enum status show_changes(struct ctl *c, const Mq__Mailbox *m, uint64_t since,
                                struct screen *s, enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryChanges body = MQ__QUERY_CHANGES__INIT;
    struct call_answer a = {0};
    struct page_position after = {.size = 0};
    enum status status = OK;
    uint64_t left = limit_of(c);
    bool more = true;
    json_t *rows = json_array();
    json_object_set_new(s->data, "changes", rows);
    body.user = m->user;
    body.mailbox = m->guid;
    body.since = since;
    query.body_case = MQ__QUERY__BODY_CHANGES;
    query.changes = &body;
    while (more && left > 0 && status == OK) {
        Mq__QueryResult *result;
        body.limit = page_of(left);
        status = ctl_query(c, c->arguments.args[0], 0, &query, &a, &result, out_code);
        if (status != OK) {
            break;
        }
        for (size_t i = 0; i < result->n_changes; i++) {
            change_row(result->changes[i], s, rows);
        }
        left -= result->n_changes < left ? result->n_changes : left;
        const Mq__Change *last =
            result->n_changes > 0 ? result->changes[result->n_changes - 1] : NULL;
        more = result->more;
        if (more && left > 0) {
            uint64_t next = last != NULL ? last->change : 0;
            status = page_next(c, &after, page_number(&next), &a, out_code);
        }
        body.since = last != NULL ? last->change : body.since;
        mq__query_result__free_unpacked(result, NULL);
    }
    call_answer_clear(&a);
    if (status != OK) {
        return status;
    }
    /* Cut by --limit: the rest comes behind the last row. */
    uint64_t next = more || body.since > m->change ? body.since : m->change;
    json_object_set_new(s->data, "next_since", json_u64(next));
    json_object_set_new(s->data, "complete", json_boolean(!more));
    screen_note(s, "%sgo on with --since %" PRIu64, more ? "there is more: " : "", next);
    return OK;
}

enum exit_code run_mailbox_changes(struct ctl *c)
{
    static const char *const columns[] = {"CHANGE", "UID", "WHAT", "FLAGS"};
    Mq__QueryResult *result;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (mailbox_get(c, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "mailbox_changes");
    ctl_source(c, &s, &a);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&s, columns[i]);
    }
    const Mq__Mailbox *m = result->mailboxes[0];
    uint64_t since;
    json_object_set_new(s.data, "mailbox", mailbox_json(m));
    enum status status = since_of(c, m, &since, &code);
    status = status == OK ? show_changes(c, m, since, &s, &code) : status;
    snprintf(s.summary, sizeof(s.summary), "%.200s: change %" PRIu64 ", %u changes since %" PRIu64,
             m->name, m->change, s.cells_n / s.columns_n, since);
    mq__query_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    if (status != OK) {
        screen_deinit(&s);
        return code;
    }
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

/* ---- touch ---- */

enum exit_code run_mailbox_touch(struct ctl *c)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    Mq__Touch touch = MQ__TOUCH__INIT;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    uint8_t packed[2048];
    touch.user = (char *)c->arguments.args[0];
    touch.mailbox = (char *)(c->arguments.args_n > 1 ? c->arguments.args[1] : "");
    if (mq__touch__get_packed_size(&touch) > sizeof(packed)) {
        return ctl_usage(c, "the names are too long");
    }
    struct bytes payload = {packed, mq__touch__pack(&touch, packed)};
    header.op = MQ__OP__OP_TOUCH;
    if (ctl_call(c, &header, payload, CALL_REPEAT, &a, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "touch");
    ctl_source(c, &s, &a);
    snprintf(s.summary, sizeof(s.summary),
             "told the feeds that are connected; they look at %.200s when they can", touch.user);
    json_object_set_new(s.data, "user", json_text(touch.user));
    call_answer_clear(&a);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}
