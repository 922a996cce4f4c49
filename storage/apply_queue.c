/* What a host's Postfix holds (report) and what became of it (outcome).
 *
 * A report is a page of a sweep, that is of one look at the whole queue. Listed items are put; those that a complete sweep did not list
 * are counted as missing, and closed when two complete sweeps running missed them and they are older than both: a file that Postfix is
 * moving from one queue to another may be overlooked once. Closed like that means `unknown`: not delivered, not lost.
 * An outcome is what the log says. It closes an item at once (the log knows), and explains those that sweeps have closed.
 *
 * An item that is listed lives: a closed one is opened again, unless the listing began before the log closed it. */
#include "storage/apply_queue.h"

#include <string.h>

#define OUTCOME(name) MQ__QUEUE_RECIPIENT__OUTCOME__##name
#define EVENT(name)   MQ__QUEUE_EVENT__KIND__##name

static enum status invalid(struct apply *a, const char *text)
{
    return apply_refuse(a, STATUS_INVALID, text);
}

static bool equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* ---- checks ---- */

static bool text_ok(const char *s, size_t max)
{
    struct bytes text = apply_text(s);
    return text.size == 0 || apply_name_ok(text, max);
}

static enum status check_item(struct apply *a, const Mq__QueueItem *i)
{
    if (!queue_id_ok(apply_text(i->id)) || i->state == MQ__QUEUE_ITEM__STATE__NONE ||
        (unsigned)i->state >= QUEUE_STATES || i->size > (UINT64_C(1) << 48) ||
        !text_ok(i->sender, QUEUE_ADDRESS_BYTES_MAX)) {
        return invalid(a,
                       "an item has a queue id of up to 31 letters and digits, a state, and a "
                       "sender of up to 320 bytes of UTF-8");
    }
    if (i->n_recipients > QUEUE_RECIPIENTS_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG,
                            "an item has up to 64 recipients, others are counted");
    }
    for (size_t k = 0; k < i->n_recipients; k++) {
        const Mq__QueueRecipient *r = i->recipients[k];
        if (!apply_name_ok(apply_text(r->address), QUEUE_ADDRESS_BYTES_MAX) ||
            !text_ok(r->orig_address, QUEUE_ADDRESS_BYTES_MAX) ||
            !text_ok(r->reply, QUEUE_REPLY_BYTES_MAX) || r->outcome != OUTCOME(OPEN)) {
            return invalid(a,
                           "a recipient has an address of up to 320 bytes of UTF-8, a reply of "
                           "up to 200, and no outcome yet");
        }
    }
    return OK;
}

static enum status check_report(struct apply *a, const Mq__QueueReport *c)
{
    if (c->n_items > QUEUE_ITEMS_MAX || c->n_missing > QUEUE_MISSING_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "a page has up to 300 items and 500 missing ones");
    }
    if (c->sweep_ms == 0 || ((c->n_missing > 0 || c->last) && !c->complete)) {
        return invalid(a,
                       "a sweep has a time, and only a complete one says what is missing or ends");
    }
    if (!text_ok(c->site, SITE_BYTES_MAX)) {
        return invalid(a, "a site's name has up to 63 bytes of UTF-8");
    }
    for (size_t i = 0; i < c->n_items; i++) {
        enum status s = check_item(a, c->items[i]);
        if (s != OK) {
            return s;
        }
    }
    for (size_t i = 0; i < c->n_missing; i++) {
        if (!queue_id_ok(apply_text(c->missing[i]->id))) {
            return invalid(a, "a queue id has up to 31 letters and digits");
        }
    }
    return OK;
}

static void answer_queue(struct apply *a, const struct queue *q)
{
    a->queue_place = (Mq__ResultQueue)MQ__RESULT_QUEUE__INIT;
    a->queue_place.complete_ms = q->row.complete_ms;
    a->queue_place.sweep_ms = q->row.sweep_ms;
    a->queue_place.next_page = q->row.next_page;
    a->queue_place.sweeping = q->row.sweeping;
    a->answer = MQ__RESULT__BODY_QUEUE;
}

/* OK, and *out_again: this very page was applied before. */
static enum status check_sequence(struct apply *a, const struct queue *q, const Mq__QueueReport *c,
                                  bool *out_again)
{
    const struct queue_row *row = &q->row;
    *out_again = row->sweep_ms == c->sweep_ms && row->next_page == c->page + 1;
    if (*out_again ||
        (row->sweeping && row->sweep_ms == c->sweep_ms && row->next_page == c->page)) {
        return OK;
    }
    answer_queue(a, q);
    if (c->page != 0 || c->sweep_ms <= row->sweep_ms) {
        return apply_refuse(a, STATUS_NOT_NEXT,
                            "not the next page, nor the first of a later sweep");
    }
    if (c->after_ms != row->complete_ms) {
        return apply_refuse(a, STATUS_RESYNC, "not a difference to the last complete sweep");
    }
    return OK;
}

/* ---- listed ---- */

static void fill_recipient(struct recipient_row *r, const Mq__QueueRecipient *c)
{
    r->address = apply_text(c->address);
    r->orig_address = apply_text(c->orig_address);
    r->reply = apply_text(c->reply);
}

static struct recipient_row *find_recipient(struct item_row *item, struct bytes address)
{
    for (unsigned i = 0; i < item->recipient_count; i++) {
        if (equal(item->recipients[i].address, address)) {
            return &item->recipients[i];
        }
    }
    return NULL;
}

/* Postfix lists it after it ended by the log, by a sweep that began later: it waits. An expired one is listed until its bounce is sent. */
static bool waits_again(const struct recipient_row *r, uint64_t sweep_ms)
{
    return r->outcome == OUTCOME(UNKNOWN) ||
           (r->outcome != OUTCOME(OPEN) && r->outcome != OUTCOME(EXPIRED) &&
            sweep_ms / 1000 > r->at + QUEUE_CLOCK_S);
}

/* Those listed wait; those of before that are not listed any more are done, and the log says how. */
static void merge_recipients(struct item_row *item, const Mq__QueueItem *c, uint64_t sweep_ms)
{
    uint64_t listed = 0;
    for (size_t i = 0; i < c->n_recipients; i++) {
        struct recipient_row *r = find_recipient(item, apply_text(c->recipients[i]->address));
        if (r == NULL && item->recipient_count < QUEUE_RECIPIENTS_MAX) {
            r = &item->recipients[item->recipient_count++];
            memset(r, 0, sizeof(*r));
        }
        if (r == NULL) {
            item->recipients_omitted++;
            continue;
        }
        listed |= UINT64_C(1) << (r - item->recipients);
        if (waits_again(r, sweep_ms)) {
            r->outcome = OUTCOME(OPEN);
        }
        if (r->outcome == OUTCOME(OPEN)) {
            fill_recipient(r, c->recipients[i]);
        }
    }
    for (unsigned i = 0; i < item->recipient_count && c->recipients_omitted == 0; i++) {
        struct recipient_row *r = &item->recipients[i];
        if ((listed & (UINT64_C(1) << i)) == 0 && r->outcome == OUTCOME(OPEN)) {
            r->outcome = r->told != OUTCOME(OPEN) ? r->told : OUTCOME(UNKNOWN);
        }
    }
}

static void reopen_recipients(struct item_row *item)
{
    for (unsigned i = 0; i < item->recipient_count; i++) {
        uint8_t *outcome = &item->recipients[i].outcome;
        if (*outcome == OUTCOME(DELETED) || *outcome == OUTCOME(REQUEUED)) {
            *outcome = OUTCOME(UNKNOWN);
        }
    }
    if (item->omitted == OUTCOME(DELETED) || item->omitted == OUTCOME(REQUEUED)) {
        item->omitted = OUTCOME(UNKNOWN);
    }
}

static void put_listed(struct queue *q, const Mq__QueueReport *c, const Mq__QueueItem *i)
{
    if (!queue_item_load(q, apply_text(i->id), i->arrival)) {
        q->item.recorded_ms = q->a->rows->system.time_ms;
    } else if (q->item.closed) {
        if (q->item.certain && c->sweep_ms / 1000 <= q->item.closed_at + QUEUE_CLOCK_S) {
            return; /* listed before it was done with */
        }
        queue_item_reopen(q);
        reopen_recipients(&q->item);
    }
    q->item.state = (uint8_t)i->state;
    q->item.size = i->size;
    q->item.sender = apply_text(i->sender);
    q->item.forced_expire = i->forced_expire;
    q->item.missing = 0;
    q->item.missing_ms = 0;
    q->item.recipients_omitted = i->recipients_omitted;
    merge_recipients(&q->item, i, c->sweep_ms);
    if (q->item.recipients_omitted > 0 && q->item.omitted == OUTCOME(OPEN)) {
        q->item.omitted = OUTCOME(UNKNOWN);
    }
    queue_item_put(q);
}

/* ---- missing ---- */

static void settle(struct item_row *item, uint8_t outcome, uint64_t at)
{
    for (unsigned i = 0; i < item->recipient_count; i++) {
        struct recipient_row *r = &item->recipients[i];
        bool waits = r->outcome == OUTCOME(OPEN) || r->outcome == OUTCOME(UNKNOWN);
        if (outcome == OUTCOME(UNKNOWN) && waits && r->told != OUTCOME(OPEN)) {
            r->outcome = r->told;
        } else if (r->outcome == OUTCOME(OPEN) ||
                   (r->outcome == OUTCOME(UNKNOWN) && outcome != OUTCOME(UNKNOWN))) {
            r->outcome = outcome;
            r->at = at;
        }
    }
    if (item->omitted == OUTCOME(UNKNOWN)) {
        item->omitted = outcome;
    }
}

/* Nobody says how it ended: that one member of an alias has it says nothing of the others, that one has not does. */
static void settle_vanished(struct item_row *item)
{
    for (unsigned i = 0; i < item->recipient_count; i++) {
        struct recipient_row *r = &item->recipients[i];
        if (r->outcome == OUTCOME(OPEN)) {
            r->outcome = r->told == OUTCOME(BOUNCED) ? r->told : OUTCOME(UNKNOWN);
        }
    }
}

static void put_missing(struct queue *q, const Mq__QueueReport *c, const Mq__QueueKey *k)
{
    if (!queue_item_load(q, apply_text(k->id), k->arrival) || q->item.closed ||
        q->item.missing_ms == c->sweep_ms || k->arrival >= c->sweep_ms / 1000) {
        return;
    }
    bool again = q->item.missing > 0 && q->item.missing_ms == q->row.complete_ms;
    q->item.missing = again ? (uint8_t)(q->item.missing + 1) : 1;
    q->item.missing_ms = c->sweep_ms;
    if (q->item.missing < 2) {
        queue_item_put(q);
        return;
    }
    settle_vanished(&q->item);
    queue_item_close(q, 0, false);
}

enum status apply_queue_report(struct apply *a, const Mq__QueueReport *c)
{
    struct queue *q = NULL;
    bool again = false;
    enum status s = check_report(a, c);
    s = s == OK ? queue_begin(a, c->user, c->instance, c->lease, &q) : s;
    s = s == OK ? check_sequence(a, q, c, &again) : s;
    if (s == OK && !again && q->row.open + c->n_items > QUEUE_OPEN_MAX) {
        s = apply_refuse(a, STATUS_FULL, "the queue has as many open items as it may");
    }
    if (s != OK || again) {
        if (s == OK) {
            answer_queue(a, q);
        }
        return s;
    }
    for (size_t i = 0; i < c->n_items && a->rows->failed == OK; i++) {
        put_listed(q, c, c->items[i]);
    }
    for (size_t i = 0; i < c->n_missing && a->rows->failed == OK; i++) {
        put_missing(q, c, c->missing[i]);
    }
    if (c->site[0] != '\0') {
        q->row.site = apply_text(c->site);
    }
    q->row.sweep_ms = c->sweep_ms;
    q->row.next_page = c->page + 1;
    q->row.sweeping = !c->last;
    q->row.reported_ms = a->rows->system.time_ms;
    if (c->last) {
        q->row.complete_ms = c->sweep_ms;
        q->row.swept_ms = a->rows->system.time_ms;
    }
    queue_end(q);
    answer_queue(a, q);
    return OK;
}

/* ---- outcomes ---- */

/* OPEN: it is no event of one recipient. */
static uint8_t recipient_outcome(Mq__QueueEvent__Kind kind)
{
    return kind == EVENT(SENT)        ? OUTCOME(DELIVERED)
           : kind == EVENT(BOUNCED)   ? OUTCOME(BOUNCED)
           : kind == EVENT(FORWARDED) ? OUTCOME(REQUEUED)
           : kind == EVENT(DISCARDED) ? OUTCOME(DELETED)
                                      : OUTCOME(OPEN);
}

static enum status check_outcome(struct apply *a, const Mq__QueueOutcome *c)
{
    if (c->n_events > QUEUE_EVENTS_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "up to 500 events at a time");
    }
    if (!text_ok(c->position, QUEUE_POSITION_BYTES_MAX)) {
        return invalid(a, "a position has up to 400 bytes of UTF-8");
    }
    for (size_t i = 0; i < c->n_events; i++) {
        const Mq__QueueEvent *e = c->events[i];
        bool of_recipient = recipient_outcome(e->kind) != OUTCOME(OPEN);
        if (!queue_id_ok(apply_text(e->id)) || e->kind == EVENT(NONE) ||
            (unsigned)e->kind > EVENT(DISCARDED) ||
            !text_ok(e->recipient, QUEUE_ADDRESS_BYTES_MAX) ||
            !text_ok(e->orig_recipient, QUEUE_ADDRESS_BYTES_MAX) ||
            !text_ok(e->reply, QUEUE_REPLY_BYTES_MAX) ||
            (of_recipient && apply_text(e->recipient).size == 0) ||
            (e->successor[0] != '\0' && !queue_id_ok(apply_text(e->successor)))) {
            return invalid(a, "an event has a queue id, a kind, and texts within their limits");
        }
    }
    return OK;
}

static void settle_as(struct recipient_row *r, const Mq__QueueEvent *e, uint8_t outcome)
{
    r->outcome = outcome;
    r->at = e->at;
    r->reply = apply_text(e->reply);
}

/* One member of an alias: the recipient waits for as long as Postfix lists it, then it has come to the worst of what its members have. */
static void settle_member(struct recipient_row *r, const Mq__QueueEvent *e, uint8_t outcome)
{
    uint8_t worst = outcome_worse(r->told, outcome);
    r->told = worst;
    if (worst != outcome) {
        return;
    }
    if (r->outcome == OUTCOME(OPEN)) {
        settle_as(r, e, OUTCOME(OPEN));
    } else if (r->outcome == OUTCOME(UNKNOWN) || r->outcome == OUTCOME(DELIVERED) ||
               r->outcome == OUTCOME(REQUEUED)) {
        settle_as(r, e, worst);
    }
}

/* By its address, else by the one it had before aliases. */
static void settle_recipient(struct item_row *item, const Mq__QueueEvent *e)
{
    uint8_t outcome = recipient_outcome(e->kind);
    bool member = strcmp(e->recipient, e->orig_recipient) == 0;
    struct recipient_row *r = find_recipient(item, apply_text(e->recipient));
    if (r == NULL && e->orig_recipient[0] != '\0') {
        r = find_recipient(item, apply_text(e->orig_recipient));
        member = true;
    }
    if (r == NULL) { /* omitted, or done with before the item was first listed */
        if (item->omitted == OUTCOME(UNKNOWN) && outcome == OUTCOME(BOUNCED)) {
            item->omitted = outcome; /* a delivery says nothing of the others */
        }
        return;
    }
    if (member) {
        settle_member(r, e, outcome);
    } else if (r->outcome == OUTCOME(OPEN) || r->outcome == OUTCOME(UNKNOWN)) {
        settle_as(r, e, outcome);
    } else {
        return;
    }
    if (e->kind == EVENT(FORWARDED) && item->successor.size == 0) {
        item->successor = apply_text(e->successor);
    }
}

static void put_event(struct queue *q, const Mq__QueueEvent *e)
{
    if (!queue_item_newest(q, apply_text(e->id), e->at)) {
        return;
    }
    bool ends = false;
    struct item_row *item = &q->item;
    switch (e->kind) {
        case EVENT(SENT):
        case EVENT(BOUNCED):
        case EVENT(FORWARDED):
        case EVENT(DISCARDED):
            settle_recipient(item, e);
            break;
        case EVENT(EXPIRED):
            settle(item, OUTCOME(EXPIRED), e->at);
            break;
        case EVENT(REMOVED):
            settle(item, OUTCOME(UNKNOWN), e->at); /* the lines of these recipients were not seen */
            ends = true;
            break;
        case EVENT(DELETED):
            settle(item, OUTCOME(DELETED), e->at);
            ends = true;
            break;
        case EVENT(REQUEUED):
            settle(item, OUTCOME(REQUEUED), e->at);
            item->successor = apply_text(e->successor);
            ends = true;
            break;
        default:
            return;
    }
    if (ends && !item->closed) {
        queue_item_close(q, e->at, true);
        return;
    }
    if (ends) { /* explained */
        item->certain = true;
        item->closed_at = e->at;
    }
    queue_item_put(q);
}

enum status apply_queue_outcome(struct apply *a, const Mq__QueueOutcome *c)
{
    struct queue *q = NULL;
    enum status s = check_outcome(a, c);
    s = s == OK ? queue_begin(a, c->user, c->instance, c->lease, &q) : s;
    if (s != OK) {
        return s;
    }
    for (size_t i = 0; i < c->n_events && a->rows->failed == OK; i++) {
        put_event(q, c->events[i]);
    }
    if (c->position[0] != '\0') {
        q->row.position = apply_text(c->position);
    }
    q->row.reported_ms = a->rows->system.time_ms;
    queue_end(q);
    answer_queue(a, q);
    return OK;
}
