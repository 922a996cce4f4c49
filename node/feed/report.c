/* Pages become Report commands here, and answers become one of eight verdicts. */
#include "node/feed/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

/* ---- slices ---- */

struct report_slice report_slice(const struct pull_page *page, uint32_t first_uid,
                                 uint32_t last_uid_max)
{
    struct report_slice s = {.first_uid = first_uid};
    uint32_t last = page->last_uid < last_uid_max ? page->last_uid : last_uid_max;
    must(first_uid >= page->first_uid && first_uid <= last);
    while (s.messages_at < page->messages_n && page->messages[s.messages_at].uid < first_uid) {
        s.messages_at++;
    }
    while (s.ranges_at < page->vanished_n && page->vanished[s.ranges_at].last < first_uid) {
        s.ranges_at++;
    }
    uint32_t n = s.ranges_at;
    while (n < page->vanished_n && page->vanished[n].first <= last &&
           n - s.ranges_at < REPORT_RANGES_MAX) {
        n++;
    }
    s.ranges_n = n - s.ranges_at;
    if (n < page->vanished_n &&
        page->vanished[n].first <= last) { /* too many: up to the next one */
        last = page->vanished[n].first - 1;
    }
    while (s.messages_at + s.messages_n < page->messages_n &&
           page->messages[s.messages_at + s.messages_n].uid <= last) {
        s.messages_n++;
    }
    s.last_uid = last;
    s.last = page->last && last == page->last_uid;
    return s;
}

uint32_t report_half(const struct pull_page *page, const struct report_slice *s)
{
    if (s->first_uid == s->last_uid) {
        return 0;
    }
    if (s->messages_n > 1) {
        return page->messages[s->messages_at + s->messages_n / 2 - 1].uid;
    }
    return s->first_uid + (s->last_uid - s->first_uid) / 2;
}

/* ---- encoding ---- */

static void fill_box(const struct report_box *box, Mq__Report *r, Mq__Token *token)
{
    mq__token__init(token);
    token->epoch = box->lease.epoch;
    token->position = box->lease.position;
    r->user = (char *)box->user;
    r->store = (char *)box->store;
    r->lease = token;
    r->mailbox = (ProtobufCBinaryData){sizeof(box->guid.bytes), (uint8_t *)box->guid.bytes};
    r->name = (char *)box->name;
    r->uidvalidity = box->uidvalidity;
    r->uidnext = box->uidnext;
    r->highestmodseq = box->highestmodseq;
    r->subscribed = box->subscribed;
    r->from_modseq = box->from_modseq;
    r->to_modseq = box->to_modseq;
}

static enum status pack(Mq__Report *r, struct buffer *out)
{
    Mq__Command c = MQ__COMMAND__INIT;
    uint8_t *at;
    c.body_case = MQ__COMMAND__BODY_REPORT;
    c.report = r;
    size_t n = mq__command__get_packed_size(&c);
    enum status s = buffer_reserve(out, n, &at);
    if (s == OK) {
        mq__command__pack(&c, at);
        out->size += n;
    }
    return s;
}

enum status report_encode_deleted(const struct report_box *box, struct buffer *out)
{
    Mq__Report r = MQ__REPORT__INIT;
    Mq__Token token;
    fill_box(box, &r, &token);
    r.deleted = true;
    r.last = true;
    return pack(&r, out);
}

/* One block for messages, pointers to them, keyword pointers and ranges. */
struct parts {
    Mq__Message messages[PULL_PAGE_MESSAGES_MAX];
    Mq__Message *message_pointers[PULL_PAGE_MESSAGES_MAX];
    Mq__UidRange ranges[REPORT_RANGES_MAX];
    Mq__UidRange *range_pointers[REPORT_RANGES_MAX];
    char *keywords[];
};

static void fill_message(const struct pull_page *page, const struct pull_message *m,
                         Mq__Message *out, char **keywords)
{
    char *text = (char *)page->bytes.data;
    char *at = text + m->keywords_at;
    mq__message__init(out);
    out->uid = m->uid;
    out->guid = (ProtobufCBinaryData){m->guid_n, page->bytes.data + m->guid_at};
    out->modseq = m->modseq;
    out->flags = m->flags;
    out->internal_date = m->internal_date;
    out->size = m->size;
    for (uint32_t i = 0; i < m->keywords_n; i++) {
        keywords[i] = at;
        at += strlen(at) + 1;
    }
    out->n_keywords = m->keywords_n;
    out->keywords = keywords;
}

enum status report_encode(const struct report_box *box, const struct pull_page *page,
                          const struct report_slice *s, struct buffer *out)
{
    Mq__Report r = MQ__REPORT__INIT;
    Mq__Token token;
    size_t keywords_n = 0;
    for (uint32_t i = 0; i < s->messages_n; i++) {
        keywords_n += page->messages[s->messages_at + i].keywords_n;
    }
    struct parts *p = malloc(sizeof(*p) + keywords_n * sizeof(char *));
    if (p == NULL) {
        return STATUS_NO_MEMORY;
    }
    char **keywords = p->keywords;
    for (uint32_t i = 0; i < s->messages_n; i++) {
        const struct pull_message *m = &page->messages[s->messages_at + i];
        fill_message(page, m, &p->messages[i], keywords);
        keywords += m->keywords_n;
        p->message_pointers[i] = &p->messages[i];
    }
    for (uint32_t i = 0; i < s->ranges_n; i++) {
        struct pull_range v = page->vanished[s->ranges_at + i];
        mq__uid_range__init(&p->ranges[i]);
        p->ranges[i].first = v.first > s->first_uid ? v.first : s->first_uid;
        p->ranges[i].last = v.last < s->last_uid ? v.last : s->last_uid;
        p->range_pointers[i] = &p->ranges[i];
    }
    fill_box(box, &r, &token);
    r.first_uid = s->first_uid;
    r.last_uid = s->last_uid;
    r.last = s->last;
    r.n_messages = s->messages_n;
    r.messages = p->message_pointers;
    r.n_vanished = s->ranges_n;
    r.vanished = p->range_pointers;
    enum status status = pack(&r, out);
    free(p);
    return status;
}

/* ---- answers ---- */

struct pull_cursor report_cursor(const Mq__StoreCursor *c)
{
    return (struct pull_cursor){.uidvalidity = c->uidvalidity,
                                .uidnext = c->uidnext,
                                .modseq = c->modseq,
                                .in_progress = c->in_progress,
                                .from_modseq = c->from_modseq,
                                .to_modseq = c->to_modseq,
                                .next_uid = c->next_uid};
}

/* Does the cluster stand inside this slice or right behind it? */
static bool place_of(struct bytes result, const struct report_box *box,
                     const struct report_slice *slice, struct report_place *out_place)
{
    Mq__Result *r =
        box == NULL || slice == NULL ? NULL : mq__result__unpack(NULL, result.size, result.data);
    bool known = false;
    if (r != NULL && r->body_case == MQ__RESULT__BODY_REPORT &&
        r->report->uidvalidity == box->uidvalidity) {
        const Mq__ResultReport *at = r->report;
        if (!at->in_progress) {
            known = slice->last && at->modseq == box->to_modseq;
            out_place->finished = known;
            out_place->counted = known && at->leads;
            out_place->messages = at->messages;
        } else if (at->to_modseq == box->to_modseq && at->next_uid > slice->first_uid &&
                   at->next_uid - 1 <= slice->last_uid) {
            known = true;
            out_place->next_uid = at->next_uid;
        }
    }
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
    return known;
}

bool report_count_differs(const struct report_place *place, uint32_t exists, int64_t known_excess)
{
    return place->finished && place->counted &&
           (int64_t)place->messages - (int64_t)exists != known_excess;
}

enum report_verdict report_judge(Mq__Outcome outcome, enum status status, struct bytes result,
                                 const struct report_box *box, const struct report_slice *slice,
                                 struct report_place *out_place)
{
    struct report_place place = {0};
    if (outcome == MQ__OUTCOME__OUTCOME_UNKNOWN) {
        return REPORT_AGAIN;
    }
    if (outcome == MQ__OUTCOME__OUTCOME_APPLIED && status == OK) {
        if (!place_of(result, box, slice, &place) && slice != NULL) {
            place.finished = slice->last;
        }
        *out_place = place;
        return REPORT_APPLIED;
    }
    if (status == STATUS_NOT_NEXT) {
        bool inside = place_of(result, box, slice, &place);
        *out_place = place;
        return inside ? REPORT_APPLIED : REPORT_RESUME;
    }
    switch (status) {
        case STATUS_RESYNC:
            return REPORT_RESYNC;
        case STATUS_STALE_TOKEN:
            return REPORT_LEASE;
        case STATUS_TOO_BIG:
            return REPORT_SPLIT;
        case STATUS_NOT_FOUND:
        case STATUS_NO_SHARD:
            return REPORT_UNASSIGNED;
        case STATUS_BUSY:
        case STATUS_FULL:
        case STATUS_CLOSED:
        case STATUS_TIMEOUT:
        case STATUS_CANCELED:
        case STATUS_NO_SPACE:
        case STATUS_NOT_LEADER:
        case STATUS_NO_LEADER:
        case STATUS_NO_QUORUM:
        case STATUS_UNKNOWN_OUTCOME:
        case STATUS_MOVED:
        case STATUS_WRONG_EPOCH:
        case STATUS_UNREACHABLE:
        case STATUS_OVERLOAD:
        case STATUS_NO_MEMORY:
            return REPORT_AGAIN;
        default:
            return REPORT_GIVE_UP;
    }
}
