/* Records as JSON: every field, 64-bit numbers as strings. */
#include <string.h>

#include "ctl/mailbox.h"

static const struct {
    uint32_t bit;
    const char *name;
} flag_names[] = {
    {MQ__MESSAGE_FLAG__FLAG_SEEN, "\\Seen"},       {MQ__MESSAGE_FLAG__FLAG_ANSWERED, "\\Answered"},
    {MQ__MESSAGE_FLAG__FLAG_FLAGGED, "\\Flagged"}, {MQ__MESSAGE_FLAG__FLAG_DELETED, "\\Deleted"},
    {MQ__MESSAGE_FLAG__FLAG_DRAFT, "\\Draft"},
};
#define FLAGS_N (sizeof(flag_names) / sizeof(flag_names[0]))

static struct bytes bytes_of(ProtobufCBinaryData b)
{
    return (struct bytes){b.data, b.len};
}

static json_t *store_json(const Mq__StoreCursor *s)
{
    return json_pack("{s:o, s:b, s:I, s:I, s:o, s:b, s:o, s:o, s:b, s:o}", "store",
                     json_text(s->store), "present", s->present, "uidvalidity",
                     (json_int_t)s->uidvalidity, "uidnext", (json_int_t)s->uidnext, "modseq",
                     json_u64(s->modseq), "in_progress", s->in_progress, "messages",
                     json_u64(s->messages), "size_bytes", json_u64(s->bytes), "lead", s->lead,
                     "reported", json_time(s->reported_ms));
}

json_t *mailbox_json(const Mq__Mailbox *m)
{
    json_t *stores = json_array();
    for (size_t i = 0; i < m->n_stores; i++) {
        json_array_append_new(stores, store_json(m->stores[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "guid",
                     json_hex(bytes_of(m->guid)), "user", json_text(m->user), "name",
                     json_text(m->name), "uidvalidity", (json_int_t)m->uidvalidity, "uidnext",
                     (json_int_t)m->uidnext, "highestmodseq", json_u64(m->highestmodseq),
                     "messages", json_u64(m->messages), "unseen", json_u64(m->unseen), "size_bytes",
                     json_u64(m->bytes), "subscribed", m->subscribed, "change", json_u64(m->change),
                     "horizon", json_u64(m->horizon), "stores", stores);
}

json_t *message_json(const Mq__MessageRow *row)
{
    const Mq__Message *m = row->message;
    if (m == NULL) {
        return json_null();
    }
    json_t *flags = json_array();
    json_t *keywords = json_array();
    json_t *stores = json_array();
    for (size_t i = 0; i < FLAGS_N; i++) {
        if ((m->flags & flag_names[i].bit) != 0) {
            json_array_append_new(flags, json_string(flag_names[i].name));
        }
    }
    for (size_t i = 0; i < m->n_keywords; i++) {
        json_array_append_new(keywords, json_text(m->keywords[i]));
    }
    for (size_t i = 0; i < row->n_stores; i++) {
        json_array_append_new(stores, json_text(row->stores[i]));
    }
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "uid",
                     (json_int_t)m->uid, "guid", json_hex(bytes_of(m->guid)), "modseq",
                     json_u64(m->modseq), "flags", flags, "keywords", keywords, "internal_date",
                     json_date(m->internal_date), "size_bytes", json_u64(m->size), "body_hash",
                     m->body_hash.len > 0 ? json_hex(bytes_of(m->body_hash)) : json_null(),
                     "stores", stores, "change", json_u64(row->change));
}

static void flag_add(char *text, size_t size, size_t *at, const char *flag)
{
    int n = *at < size ? snprintf(text + *at, size - *at, "%s%s", *at > 0 ? " " : "", flag) : 0;
    *at += n > 0 ? (size_t)n : 0;
}

void flags_format(const Mq__Message *m, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < FLAGS_N; i++) {
        if ((m->flags & flag_names[i].bit) != 0) {
            flag_add(text, size, &at, flag_names[i].name);
        }
    }
    for (size_t i = 0; i < m->n_keywords; i++) {
        flag_add(text, size, &at, m->keywords[i]);
    }
}
