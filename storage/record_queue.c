/* Keys and rows of mail queues, and the outcome of an item out of those of its recipients. */
#include "storage/record_queue.h"

#include "base/must.h"
#include "proto/command.pb-c.h"
#include "storage/pen.h"

struct key key_item(uint32_t owner, uint32_t store, struct bytes id, uint64_t arrival)
{
    struct key k = key_u32_u32(owner, store);
    must(id.size > 0 && id.size <= QUEUE_ID_BYTES_MAX);
    memcpy(k.data + k.size, id.data, id.size);
    k.size += id.size;
    k.data[k.size++] = 0;
    put_be64(k.data + k.size, arrival);
    k.size += 8;
    return k;
}

struct key key_closed(uint32_t owner, uint32_t store, uint64_t number)
{
    struct key k = key_u32_u32(owner, store);
    put_be64(k.data + k.size, number);
    k.size += 8;
    return k;
}

enum status key_item_read(struct bytes key, struct bytes *out_id, uint64_t *out_arrival)
{
    if (key.size < QUEUE_PREFIX_BYTES + 10 ||
        key.size > QUEUE_PREFIX_BYTES + QUEUE_ID_BYTES_MAX + 9 || key.data[key.size - 9] != 0) {
        return STATUS_CORRUPT;
    }
    *out_id = (struct bytes){key.data + QUEUE_PREFIX_BYTES, key.size - QUEUE_PREFIX_BYTES - 9};
    *out_arrival = get_be64(key.data + key.size - 8);
    return OK;
}

size_t queue_row_encode(const struct queue_row *r, uint8_t *out)
{
    struct pen p = {out};
    bool placed = r->site.size > 0;
    w8(&p, (uint8_t)((r->sweeping ? 1 : 0) | (r->due ? 2 : 0) | (placed ? 4 : 0) |
                     (r->forgotten ? 8 : 0)));
    w32(&p, r->next_page);
    w32(&p, r->open);
    w32(&p, r->closed);
    w32(&p, r->unknown);
    w64(&p, r->sweep_ms);
    w64(&p, r->complete_ms);
    w64(&p, r->reported_ms);
    w64(&p, r->swept_ms);
    w64(&p, r->next_close);
    w64(&p, r->bytes);
    for (unsigned i = 0; i < QUEUE_STATES; i++) {
        w32(&p, r->states[i]);
    }
    if (placed) {
        w8(&p, (uint8_t)r->site.size);
        wbytes(&p, r->site.data, r->site.size);
    }
    wbytes(&p, r->position.data, r->position.size);
    return (size_t)(p.at - out);
}

enum status queue_row_decode(struct bytes b, struct queue_row *out_r)
{
    struct eye e = eye_on(b);
    uint8_t bits = r8(&e);
    out_r->sweeping = (bits & 1) != 0;
    out_r->due = (bits & 2) != 0;
    out_r->forgotten = (bits & 8) != 0;
    out_r->next_page = r32(&e);
    out_r->open = r32(&e);
    out_r->closed = r32(&e);
    out_r->unknown = r32(&e);
    out_r->sweep_ms = r64(&e);
    out_r->complete_ms = r64(&e);
    out_r->reported_ms = r64(&e);
    out_r->swept_ms = r64(&e);
    out_r->next_close = r64(&e);
    out_r->bytes = r64(&e);
    for (unsigned i = 0; i < QUEUE_STATES; i++) {
        out_r->states[i] = r32(&e);
    }
    out_r->site = rbytes(&e, (bits & 4) != 0 ? r8(&e) : 0);
    out_r->position = rbytes(&e, e.left);
    return out_r->site.size > SITE_BYTES_MAX || out_r->position.size > QUEUE_POSITION_BYTES_MAX
               ? STATUS_CORRUPT
               : whole(&e);
}

static void write_recipient(struct pen *p, const struct recipient_row *r)
{
    w8(p, (uint8_t)(r->outcome | r->told << 4));
    w64(p, r->at);
    w16(p, (uint16_t)r->address.size);
    w16(p, (uint16_t)r->orig_address.size);
    w8(p, (uint8_t)r->reply.size);
    wbytes(p, r->address.data, r->address.size);
    wbytes(p, r->orig_address.data, r->orig_address.size);
    wbytes(p, r->reply.data, r->reply.size);
}

static void read_recipient(struct eye *e, struct recipient_row *r)
{
    uint8_t bits = r8(e);
    r->outcome = bits & 15;
    r->told = bits >> 4;
    r->at = r64(e);
    size_t address = r16(e);
    size_t orig_address = r16(e);
    size_t reply = r8(e);
    r->address = rbytes(e, address);
    r->orig_address = rbytes(e, orig_address);
    r->reply = rbytes(e, reply);
    if (address > QUEUE_ADDRESS_BYTES_MAX || orig_address > QUEUE_ADDRESS_BYTES_MAX ||
        reply > QUEUE_REPLY_BYTES_MAX || r->outcome > MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN ||
        r->told > MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN) {
        e->bad = true;
    }
}

size_t item_row_encode(const struct item_row *r, uint8_t *out)
{
    struct pen p = {out};
    bool claimed = r->claim.position != 0;
    bool omits = r->omitted != MQ__QUEUE_RECIPIENT__OUTCOME__OPEN;
    w8(&p, (uint8_t)((r->forced_expire ? 1 : 0) | (r->closed ? 2 : 0) | (r->certain ? 4 : 0) |
                     (claimed ? 8 : 0) | (omits ? 16 : 0)));
    w8(&p, r->state);
    w8(&p, r->missing);
    w8(&p, r->recipient_count);
    w32(&p, r->recipients_omitted);
    w64(&p, r->size);
    w64(&p, r->missing_ms);
    w64(&p, r->recorded_ms);
    w64(&p, r->closed_ms);
    w64(&p, r->close_number);
    w64(&p, r->closed_at);
    if (claimed) {
        w64(&p, r->claim.epoch);
        w64(&p, r->claim.position);
    }
    if (omits) {
        w8(&p, r->omitted);
    }
    w16(&p, (uint16_t)r->sender.size);
    wbytes(&p, r->sender.data, r->sender.size);
    w8(&p, (uint8_t)r->successor.size);
    wbytes(&p, r->successor.data, r->successor.size);
    for (unsigned i = 0; i < r->recipient_count; i++) {
        write_recipient(&p, &r->recipients[i]);
    }
    must((size_t)(p.at - out) <= ITEM_ROW_BYTES_MAX);
    return (size_t)(p.at - out);
}

enum status item_row_decode(struct bytes b, struct item_row *out_r)
{
    struct eye e = eye_on(b);
    uint8_t bits = r8(&e);
    out_r->forced_expire = (bits & 1) != 0;
    out_r->closed = (bits & 2) != 0;
    out_r->certain = (bits & 4) != 0;
    out_r->state = r8(&e);
    out_r->missing = r8(&e);
    out_r->recipient_count = r8(&e);
    out_r->recipients_omitted = r32(&e);
    out_r->size = r64(&e);
    out_r->missing_ms = r64(&e);
    out_r->recorded_ms = r64(&e);
    out_r->closed_ms = r64(&e);
    out_r->close_number = r64(&e);
    out_r->closed_at = r64(&e);
    out_r->claim.epoch = (bits & 8) != 0 ? r64(&e) : 0;
    out_r->claim.position = (bits & 8) != 0 ? r64(&e) : 0;
    out_r->omitted = (bits & 16) != 0 ? r8(&e) : MQ__QUEUE_RECIPIENT__OUTCOME__OPEN;
    out_r->sender = rbytes(&e, r16(&e));
    out_r->successor = rbytes(&e, r8(&e));
    if (out_r->omitted > MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN || out_r->state >= QUEUE_STATES ||
        out_r->recipient_count > QUEUE_RECIPIENTS_MAX ||
        out_r->sender.size > QUEUE_ADDRESS_BYTES_MAX ||
        out_r->successor.size > QUEUE_ID_BYTES_MAX || b.size > ITEM_ROW_BYTES_MAX) {
        return STATUS_CORRUPT;
    }
    for (unsigned i = 0; i < out_r->recipient_count; i++) {
        read_recipient(&e, &out_r->recipients[i]);
    }
    return whole(&e);
}

uint8_t outcome_worse(uint8_t a, uint8_t b)
{
    static const uint8_t ranks[] = {
        [MQ__QUEUE_RECIPIENT__OUTCOME__OPEN] = 0,     [MQ__QUEUE_RECIPIENT__OUTCOME__DELIVERED] = 1,
        [MQ__QUEUE_RECIPIENT__OUTCOME__REQUEUED] = 2, [MQ__QUEUE_RECIPIENT__OUTCOME__DELETED] = 3,
        [MQ__QUEUE_RECIPIENT__OUTCOME__EXPIRED] = 4,  [MQ__QUEUE_RECIPIENT__OUTCOME__BOUNCED] = 5,
        [MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN] = 6};
    return ranks[b] > ranks[a] ? b : a;
}

uint8_t item_outcome(const struct item_row *r)
{
    uint8_t worst = r->omitted;
    for (unsigned i = 0; i < r->recipient_count; i++) {
        worst = outcome_worse(worst, r->recipients[i].outcome);
    }
    return worst;
}
