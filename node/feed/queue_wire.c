/* Repeated fields may stand anywhere in an encoded message (protobuf), so the pieces are put behind a head without any. */
#include "node/feed/queue_wire.h"

#include <string.h>

#include "proto/command.pb-c.h"

enum { FIELD_COMMAND_REPORT = 20, FIELD_COMMAND_OUTCOME = 21 };
enum { FIELD_REPORT_ITEMS = 9, FIELD_REPORT_MISSING = 10, FIELD_OUTCOME_EVENTS = 4 };

#define HEAD_BYTES_MAX 2048u

static size_t varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) {
        out[n++] = (uint8_t)(v | 0x80);
    }
    out[n++] = (uint8_t)v;
    return n;
}

/* A length-delimited field: its number and size. */
static size_t field_head(uint8_t *out, unsigned field, size_t size)
{
    size_t n = varint(out, (uint64_t)field << 3 | 2);
    return n + varint(out + n, size);
}

static enum status add_field(struct buffer *b, unsigned field, const ProtobufCMessage *m)
{
    uint8_t head[20], *at;
    size_t size = protobuf_c_message_get_packed_size(m);
    size_t n = field_head(head, field, size);
    enum status s = buffer_reserve(b, n + size, &at);
    if (s == OK) {
        memcpy(at, head, n);
        protobuf_c_message_pack(m, at + n);
        b->size += n + size;
    }
    return s;
}

enum status queue_wire_item(struct buffer *pieces, const struct postqueue_item *item)
{
    Mq__QueueItem m = MQ__QUEUE_ITEM__INIT;
    Mq__QueueRecipient recipients[POSTQUEUE_RECIPIENTS_MAX], *list[POSTQUEUE_RECIPIENTS_MAX];
    m.id = (char *)item->id;
    m.arrival = item->arrival;
    m.state = (Mq__QueueItem__State)item->state;
    m.size = item->size;
    m.sender = (char *)item->sender;
    m.forced_expire = item->forced_expire;
    m.recipients_omitted = item->recipients_omitted;
    for (uint32_t i = 0; i < item->recipients_n; i++) {
        const struct postqueue_recipient *r = &item->recipients[i];
        mq__queue_recipient__init(&recipients[i]);
        recipients[i].address = (char *)r->address;
        recipients[i].orig_address = (char *)r->orig_address;
        recipients[i].reply = (char *)r->reply;
        list[i] = &recipients[i];
    }
    m.recipients = list;
    m.n_recipients = item->recipients_n;
    return add_field(pieces, FIELD_REPORT_ITEMS, &m.base);
}

enum status queue_wire_missing(struct buffer *pieces, const char *id, uint64_t arrival)
{
    Mq__QueueKey m = MQ__QUEUE_KEY__INIT;
    m.id = (char *)id;
    m.arrival = arrival;
    return add_field(pieces, FIELD_REPORT_MISSING, &m.base);
}

enum status queue_wire_event(struct buffer *pieces, const struct maillog_event *e)
{
    static const Mq__QueueEvent__Kind kinds[] = {
        [MAILLOG_SENT] = MQ__QUEUE_EVENT__KIND__SENT,
        [MAILLOG_BOUNCED] = MQ__QUEUE_EVENT__KIND__BOUNCED,
        [MAILLOG_EXPIRED] = MQ__QUEUE_EVENT__KIND__EXPIRED,
        [MAILLOG_REMOVED] = MQ__QUEUE_EVENT__KIND__REMOVED,
        [MAILLOG_DELETED] = MQ__QUEUE_EVENT__KIND__DELETED,
        [MAILLOG_REQUEUED] = MQ__QUEUE_EVENT__KIND__REQUEUED,
        [MAILLOG_FORWARDED] = MQ__QUEUE_EVENT__KIND__FORWARDED,
        [MAILLOG_DISCARDED] = MQ__QUEUE_EVENT__KIND__DISCARDED,
    };
    Mq__QueueEvent m = MQ__QUEUE_EVENT__INIT;
    m.id = (char *)e->id;
    m.at = e->at;
    m.kind = kinds[e->kind];
    m.recipient = (char *)e->recipient;
    m.orig_recipient = (char *)e->orig_recipient;
    m.reply = (char *)e->reply;
    m.successor = (char *)e->successor;
    return add_field(pieces, FIELD_OUTCOME_EVENTS, &m.base);
}

/* The command: its one field, that holds head and pieces. */
static enum status wrap(unsigned field, const ProtobufCMessage *m, struct bytes pieces,
                        struct buffer *out)
{
    uint8_t head[HEAD_BYTES_MAX], outer[20];
    size_t size = protobuf_c_message_get_packed_size(m);
    if (size > sizeof(head)) {
        return STATUS_TOO_BIG;
    }
    protobuf_c_message_pack(m, head);
    enum status s = buffer_append(out, outer, field_head(outer, field, size + pieces.size));
    s = s == OK ? buffer_append(out, head, size) : s;
    return s == OK && pieces.size > 0 ? buffer_append(out, pieces.data, pieces.size) : s;
}

static Mq__Token token_of(const struct queue_name *name)
{
    Mq__Token t = MQ__TOKEN__INIT;
    t.epoch = name->lease.epoch;
    t.position = name->lease.position;
    return t;
}

enum status queue_wire_report(const struct queue_name *name, const struct queue_page *page,
                              struct bytes pieces, struct buffer *out)
{
    Mq__Token token = token_of(name);
    Mq__QueueReport m = MQ__QUEUE_REPORT__INIT;
    m.user = (char *)name->user;
    m.instance = (char *)name->instance;
    m.lease = &token;
    m.sweep_ms = page->sweep_ms;
    m.after_ms = page->after_ms;
    m.page = page->page;
    m.complete = page->complete;
    m.last = page->last;
    m.site = (char *)name->site;
    return wrap(FIELD_COMMAND_REPORT, &m.base, pieces, out);
}

enum status queue_wire_outcome(const struct queue_name *name, const char *position,
                               struct bytes pieces, struct buffer *out)
{
    Mq__Token token = token_of(name);
    Mq__QueueOutcome m = MQ__QUEUE_OUTCOME__INIT;
    m.user = (char *)name->user;
    m.instance = (char *)name->instance;
    m.lease = &token;
    m.position = (char *)position;
    return wrap(FIELD_COMMAND_OUTCOME, &m.base, pieces, out);
}
