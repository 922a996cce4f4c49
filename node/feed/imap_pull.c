/* One user's IMAP session as a machine; see the header for the order of things. Every response goes through advance(). */
#include "node/feed/imap_pull.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/must.h"

#define FETCH_ITEMS "UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID"
#define OUTPUT_MAX  (16u * 1024u)

enum status imap_pull_init(struct imap_pull *p)
{
    memset(p, 0, sizeof(*p));
    imap_parser_init(&p->parser);
    buffer_init(&p->output, OUTPUT_MAX);
    buffer_init(&p->page.bytes, PULL_PAGE_BYTES_MAX + IMAP_RESPONSE_MAX);
    p->page.messages = calloc(PULL_PAGE_MESSAGES_MAX, sizeof(*p->page.messages));
    return p->page.messages == NULL ? STATUS_NO_MEMORY : OK;
}

void imap_pull_deinit(struct imap_pull *p)
{
    imap_parser_deinit(&p->parser);
    buffer_deinit(&p->output);
    buffer_deinit(&p->page.bytes);
    free(p->page.messages);
    free(p->ranges);
    free(p->subscriptions);
}

/* ---- what to read ---- */

struct pull_plan imap_pull_plan(const struct pull_cursor *c, uint32_t uidvalidity, uint32_t uidnext,
                                uint64_t highestmodseq)
{
    struct pull_plan full = {.from_modseq = 0, .to_modseq = highestmodseq, .first_uid = 1};
    if (c->uidvalidity == 0) {
        full.why = "never reported";
    } else if (c->uidvalidity != uidvalidity) {
        full.why = "UIDVALIDITY changed";
    } else if (c->resync) {
        full.why = "the cluster asks for a full comparison, or counts otherwise";
    } else if (highestmodseq < c->modseq) {
        full.why = "HIGHESTMODSEQ is below the cursor";
    } else if (uidnext < c->uidnext) {
        full.why = "UIDNEXT is below the cursor";
    } else if (c->in_progress && c->next_uid > 0 && c->to_modseq <= highestmodseq) {
        return (struct pull_plan){.from_modseq = c->from_modseq,
                                  .to_modseq = c->to_modseq,
                                  .first_uid = c->next_uid,
                                  .why = "an unfinished range"};
    } else if (c->in_progress) {
        full.why = "HIGHESTMODSEQ is below the unfinished range";
    } else if (c->modseq == 0) {
        full.why = "never reported to the end";
    } else if (uidnext > c->uidnext && highestmodseq == c->modseq) {
        full.why = "UIDNEXT has grown and HIGHESTMODSEQ has not"; /* MODSEQs were given out anew */
    } else {
        bool nothing = c->modseq == highestmodseq && c->uidnext == uidnext;
        return (struct pull_plan){.from_modseq = c->modseq,
                                  .to_modseq = highestmodseq,
                                  .first_uid = 1,
                                  .new_uid = uidnext > c->uidnext ? c->uidnext : 0,
                                  .nothing = nothing,
                                  .why = "changed"};
    }
    return full;
}

/* ---- commands ---- */

static void __attribute__((format(printf, 2, 3)))
command(struct imap_pull *p, const char *format, ...)
{
    char line[MAILBOX_NAME_IMAP_MAX * 2 + 512];
    int tag_n = snprintf(line, sizeof(line), "m%u ", ++p->tag);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + tag_n, sizeof(line) - (size_t)tag_n - 2, format, args);
    va_end(args);
    must(n > 0 && (size_t)(tag_n + n) < sizeof(line) - 2);
    memcpy(line + tag_n + n, "\r\n", 2);
    must(buffer_append(&p->output, line, (size_t)(tag_n + n) + 2) == OK);
}

/* "name" with \ and " escaped; modified UTF-7 has no other byte that matters. */
static void quote(const char *name, char *out)
{
    *out++ = '"';
    for (; *name != '\0'; name++) {
        if (*name == '\\' || *name == '"') {
            *out++ = '\\';
        }
        *out++ = *name;
    }
    *out++ = '"';
    *out = '\0';
}

static void send_examine(struct imap_pull *p)
{
    char quoted[MAILBOX_NAME_IMAP_MAX * 2 + 3];
    quote(p->name, quoted);
    p->state = PULL_EXAMINE;
    p->uidvalidity = p->uidnext = p->exists = 0;
    p->highestmodseq = 0;
    p->hole = p->moved = false;
    command(p, "EXAMINE %s", quoted);
}

/* Up to the UIDNEXT of EXAMINE, which the cursor will have: what came since is the next pull's, and when it goes again VANISHED tells of it. */
static void send_fetch_new(struct imap_pull *p)
{
    p->state = PULL_FETCH_NEW;
    p->sequence = 0;
    command(p, "UID FETCH %u:%u (" FETCH_ITEMS ")", p->plan.new_uid, p->uidnext - 1);
}

static void send_fetch(struct imap_pull *p)
{
    p->state = PULL_FETCH;
    p->sequence = 0;
    p->ranges_n = 0;
    if (p->plan.from_modseq == 0) {
        command(p, "UID FETCH %u:* (" FETCH_ITEMS ")", p->position);
    } else if (p->plan.new_uid == 1) {
        send_fetch_new(p); /* the mailbox was empty */
    } else if (p->plan.new_uid > 1) {
        command(p, "UID FETCH %u:%u (" FETCH_ITEMS ") (CHANGEDSINCE %llu VANISHED)", p->position,
                p->plan.new_uid - 1, (unsigned long long)p->plan.from_modseq);
    } else {
        command(p, "UID FETCH %u:* (" FETCH_ITEMS ") (CHANGEDSINCE %llu VANISHED)", p->position,
                (unsigned long long)p->plan.from_modseq);
    }
}

enum status imap_pull_mailbox(struct imap_pull *p, const char *name, uint32_t uidvalidity,
                              const struct pull_cursor *c)
{
    must(p->state == PULL_IDLE);
    enum status s = mailbox_name_to_imap(name, p->name);
    if (s != OK) {
        return s;
    }
    p->cursor = *c;
    p->uidvalidity_expected = uidvalidity;
    p->examines = 0;
    p->position = 0;
    p->full_instead = false;
    p->finished = false;
    send_examine(p);
    return OK;
}

void imap_pull_logout(struct imap_pull *p)
{
    if (p->state != PULL_DEAD) {
        p->state = PULL_LOGOUT;
        command(p, "LOGOUT");
    }
}

struct bytes imap_pull_output(struct imap_pull *p)
{
    return (struct bytes){p->output.data, p->output.size};
}

void imap_pull_written(struct imap_pull *p, size_t size)
{
    buffer_consume(&p->output, size);
}

/* ---- ends ---- */

static enum pull_event fail(struct imap_pull *p, enum status s, const char *what,
                            struct bytes detail)
{
    int n = detail.size > 160 ? 160 : (int)detail.size;
    p->state = PULL_DEAD;
    p->result = s;
    snprintf(p->result_text, sizeof(p->result_text), "%s%s%.*s", what, n > 0 ? ": " : "", n,
             n > 0 ? (const char *)detail.data : "");
    return PULL_FAILED;
}

static enum pull_event done(struct imap_pull *p, enum status s, const char *what,
                            struct bytes detail)
{
    fail(p, s, what, detail);
    p->state = PULL_IDLE;
    return PULL_DONE;
}

static const struct bytes no_detail;

/* ---- vanished ranges ---- */

static int compare_ranges(const void *a, const void *b)
{
    const struct pull_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static enum status range_append(struct imap_pull *p, uint32_t first, uint32_t last)
{
    if (p->ranges_n == p->ranges_capacity) {
        uint32_t capacity = p->ranges_capacity == 0 ? 64 : p->ranges_capacity * 2;
        if (capacity > PULL_RANGES_MAX) {
            return STATUS_TOO_BIG;
        }
        struct pull_range *ranges = realloc(p->ranges, capacity * sizeof(*ranges));
        if (ranges == NULL) {
            return STATUS_NO_MEMORY;
        }
        p->ranges = ranges;
        p->ranges_capacity = capacity;
    }
    p->ranges[p->ranges_n++] = (struct pull_range){first, last};
    return OK;
}

/* Ascending and apart, whatever the server sent. */
static void ranges_normalize(struct imap_pull *p)
{
    uint32_t kept = 0;
    if (p->ranges_n == 0) {
        return;
    }
    qsort(p->ranges, p->ranges_n, sizeof(*p->ranges), compare_ranges);
    for (uint32_t i = 1; i < p->ranges_n; i++) {
        struct pull_range *k = &p->ranges[kept], r = p->ranges[i];
        if (r.first <= k->last || r.first == k->last + 1) {
            k->last = r.last > k->last ? r.last : k->last;
        } else {
            p->ranges[++kept] = r;
        }
    }
    p->ranges_n = kept + 1;
}

static enum status take_vanished(struct imap_pull *p, struct bytes set)
{
    uint32_t first, last;
    enum status s = OK;
    while (s == OK && imap_set_next(&set, &first, &last) == OK) {
        if (last >= p->position) {
            s = range_append(p, first < p->position ? p->position : first, last);
        }
    }
    ranges_normalize(p);
    return s;
}

/* ---- pages ---- */

/* The page that was handed out is over: its ranges go, the next one begins empty. */
static void page_begin(struct imap_pull *p)
{
    uint32_t n = 0;
    while (n < p->ranges_n && p->ranges[n].last < p->position) {
        n++;
    }
    if (n > 0) {
        memmove(p->ranges, p->ranges + n, (p->ranges_n - n) * sizeof(*p->ranges));
        p->ranges_n -= n;
    }
    if (p->ranges_n > 0 && p->ranges[0].first < p->position) {
        p->ranges[0].first = p->position;
    }
    p->page.messages_n = 0;
    p->page_out = false;
    buffer_clear(&p->page.bytes);
}

static enum pull_event page_end(struct imap_pull *p, uint32_t last_uid, bool last)
{
    uint32_t n = 0;
    while (n < p->ranges_n && p->ranges[n].first <= last_uid) {
        n++;
    }
    p->page.first_uid = p->position;
    p->page.last_uid = last_uid;
    p->page.last = last;
    p->page.vanished = p->ranges;
    p->page.vanished_n = n;
    p->page_out = true;
    p->finished = last;
    p->position = last ? UINT32_MAX : last_uid + 1;
    return PULL_PAGE;
}

static int compare_keywords(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    int c = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
    return c != 0 ? c : x->size < y->size ? -1 : x->size > y->size;
}

/* A GUID over the maximum keeps its beginning; what makes it unique goes into the hash behind it. */
static enum status put_guid(struct buffer *b, struct bytes guid)
{
    char text[PULL_GUID_MAX + 1];
    if (guid.size <= PULL_GUID_MAX) {
        return guid.size == 0 ? OK : buffer_append(b, guid.data, guid.size);
    }
    XXH128_hash_t h = XXH3_128bits(guid.data, guid.size);
    snprintf(text, sizeof(text), "%.31s:%016llx%016llx", (const char *)guid.data,
             (unsigned long long)h.high64, (unsigned long long)h.low64);
    return buffer_append(b, text, PULL_GUID_MAX);
}

static enum status page_add(struct imap_pull *p, struct imap_fetch *f)
{
    struct buffer *b = &p->page.bytes;
    struct pull_message m = {.uid = f->uid,
                             .flags = f->flags,
                             .modseq = f->modseq,
                             .size = f->size,
                             .internal_date = f->internal_date};
    m.guid_at = (uint32_t)b->size;
    enum status s = put_guid(b, f->guid);
    m.guid_n = (uint32_t)b->size - m.guid_at;
    m.keywords_at = (uint32_t)b->size;
    qsort(f->keywords, f->keywords_n, sizeof(*f->keywords), compare_keywords);
    for (uint32_t i = 0; i < f->keywords_n && s == OK; i++) {
        if (i > 0 && compare_keywords(&f->keywords[i - 1], &f->keywords[i]) == 0) {
            continue;
        }
        s = buffer_append(b, f->keywords[i].data, f->keywords[i].size);
        s = s == OK ? buffer_append(b, "", 1) : s;
        m.keywords_n++;
    }
    if (s == OK) {
        p->page.messages[p->page.messages_n++] = m;
        p->messages_read++;
        p->keywords_dropped += f->keywords_dropped;
    }
    return s;
}

/* ---- the machine ---- */

static enum pull_event take_fetch_line(struct imap_pull *p, struct imap_response *r)
{
    struct imap_fetch *f = &r->fetch;
    if (f->has != IMAP_HAS_ALL) {
        return PULL_MORE; /* news about flags: its MODSEQ is above `to`, the next pull reads it */
    }
    bool first = p->sequence == 0 && p->position > 1;
    if (p->plan.from_modseq == 0 && !first && r->number != p->sequence + 1) {
        p->hole = true;
        p->state = PULL_DRAIN;
        return PULL_MORE;
    }
    p->sequence = r->number;
    uint32_t n = p->page.messages_n;
    uint32_t lowest = p->state == PULL_FETCH_NEW ? p->plan.new_uid : p->position;
    if (f->uid < lowest || (n > 0 && f->uid <= p->page.messages[n - 1].uid)) {
        return PULL_MORE; /* n:* names the last message even when its UID is lower */
    }
    enum status s = page_add(p, f);
    if (s != OK) {
        return fail(p, s, "a page of messages", no_detail);
    }
    if (p->page.messages_n == PULL_PAGE_MESSAGES_MAX || p->page.bytes.size > PULL_PAGE_BYTES_MAX) {
        return f->uid == UINT32_MAX ? PULL_MORE : page_end(p, f->uid, false);
    }
    return PULL_MORE;
}

static enum pull_event examine_again(struct imap_pull *p)
{
    if (p->examines >= PULL_EXAMINES_MAX) {
        return done(p, STATUS_BUSY, "the mailbox changes faster than it can be read", no_detail);
    }
    send_examine(p);
    return PULL_MORE;
}

static enum pull_event fetch_ended(struct imap_pull *p, struct imap_response *r)
{
    bool gone = imap_bytes_is(r->code, "EXPUNGEISSUED");
    if (r->condition != IMAP_OK && !gone) {
        return done(p, STATUS_IO, "UID FETCH was refused", r->text);
    }
    p->moved = p->moved || gone;
    if (p->plan.from_modseq == 0 && p->sequence != p->exists) {
        p->hole = true;
    }
    if (p->full_instead || p->hole) {
        return examine_again(p);
    }
    if (p->state == PULL_FETCH && p->plan.new_uid > 0) {
        send_fetch_new(p);
        return PULL_MORE;
    }
    return page_end(p, UINT32_MAX, true);
}

/* RFC 5530 has a code for it; Dovecot 2.3 says it in words only. */
static bool says_absent(const struct imap_response *r)
{
    static const char words[] = "Mailbox doesn't exist";
    return imap_bytes_is(r->code, "NONEXISTENT") ||
           (r->text.size >= sizeof(words) - 1 &&
            memcmp(r->text.data, words, sizeof(words) - 1) == 0);
}

static enum pull_event examine_ended(struct imap_pull *p, struct imap_response *r)
{
    if (r->condition != IMAP_OK) {
        return done(p, says_absent(r) ? STATUS_NOT_FOUND : STATUS_IO, "EXAMINE was refused",
                    r->text);
    }
    if (p->uidvalidity == 0 || p->uidnext == 0 || p->highestmodseq == 0) {
        return done(p, STATUS_INVALID, "the server gives no UIDVALIDITY, UIDNEXT or HIGHESTMODSEQ",
                    r->text);
    }
    if (p->uidvalidity != p->uidvalidity_expected) {
        return done(p, STATUS_CONFLICT, "the mailbox was replaced since it was listed", no_detail);
    }
    bool goes_on = p->examines > 0 && !p->full_instead && p->highestmodseq >= p->plan.to_modseq;
    if (!goes_on) {
        p->cursor.resync = p->cursor.resync || p->full_instead;
        p->plan = imap_pull_plan(&p->cursor, p->uidvalidity, p->uidnext, p->highestmodseq);
        p->position = p->plan.first_uid;
    }
    p->full_instead = false;
    p->examines++;
    p->ranges_n = 0;
    page_begin(p);
    if (p->plan.nothing) {
        return page_end(p, UINT32_MAX, true);
    }
    send_fetch(p);
    return PULL_MORE;
}

static enum pull_event take_namespaces(struct imap_pull *p, const struct imap_namespaces *s)
{
    enum status status = s->dropped > 0 ? STATUS_TOO_BIG : OK;
    memset(&p->namespaces, 0, sizeof(p->namespaces));
    for (uint32_t i = 0; i < s->n && status == OK; i++) {
        status = namespaces_add(&p->namespaces, (const char *)s->items[i].prefix.data,
                                s->items[i].prefix.size, s->items[i].personal);
    }
    return status == OK ? PULL_MORE : fail(p, status, "namespaces", no_detail);
}

static int compare_subscriptions(const void *a, const void *b)
{
    const struct pull_subscription *x = a, *y = b;
    return x->name_hash < y->name_hash ? -1 : x->name_hash > y->name_hash;
}

static enum pull_event take_list_line(struct imap_pull *p, const struct imap_list *l)
{
    if (imap_bytes_is(l->name, "INBOX")) {
        p->separator = l->separator;
    }
    if (!l->subscribed) {
        return PULL_MORE;
    }
    if (p->subscriptions_n == PULL_MAILBOXES_MAX) {
        return fail(p, STATUS_TOO_BIG, "too many subscriptions", no_detail);
    }
    if ((p->subscriptions_n & (p->subscriptions_n - 1)) == 0) { /* grows at powers of two */
        uint32_t n = p->subscriptions_n == 0 ? 1 : p->subscriptions_n * 2;
        struct pull_subscription *s = realloc(p->subscriptions, n * sizeof(*s));
        if (s == NULL) {
            return fail(p, STATUS_NO_MEMORY, "subscriptions", no_detail);
        }
        p->subscriptions = s;
    }
    p->subscriptions[p->subscriptions_n++] =
        (struct pull_subscription){XXH3_64bits(l->name.data, l->name.size), true};
    return PULL_MORE;
}

bool imap_pull_subscribed(const struct imap_pull *p, const char *name)
{
    char imap[MAILBOX_NAME_IMAP_MAX + 1];
    if (p->subscriptions_n == 0 || mailbox_name_to_imap(name, imap) != OK) {
        return false;
    }
    struct pull_subscription key = {.name_hash = XXH3_64bits(imap, strlen(imap))};
    return bsearch(&key, p->subscriptions, p->subscriptions_n, sizeof(key),
                   compare_subscriptions) != NULL;
}

/* The answer to the one command that is under way. */
static enum pull_event tagged(struct imap_pull *p, struct imap_response *r)
{
    switch (p->state) {
        case PULL_ENABLE:
            if (r->condition != IMAP_OK) {
                return fail(p, STATUS_INVALID, "the server does not know QRESYNC", r->text);
            }
            p->state = PULL_NAMESPACE;
            command(p, "NAMESPACE");
            return PULL_MORE;
        case PULL_NAMESPACE:
            if (r->condition != IMAP_OK || p->namespaces.n == 0) {
                return fail(p, STATUS_INVALID, "the server names no namespaces", r->text);
            }
            p->state = PULL_LIST;
            command(p, "LIST \"\" \"*\" RETURN (SUBSCRIBED)");
            return PULL_MORE;
        case PULL_LIST:
            if (r->condition != IMAP_OK) {
                return fail(p, STATUS_INVALID, "LIST was refused", r->text);
            }
            if (p->subscriptions_n > 0) {
                qsort(p->subscriptions, p->subscriptions_n, sizeof(*p->subscriptions),
                      compare_subscriptions);
            }
            p->state = PULL_IDLE;
            return PULL_READY;
        case PULL_EXAMINE:
            return examine_ended(p, r);
        case PULL_FETCH:
        case PULL_FETCH_NEW:
        case PULL_DRAIN:
            return fetch_ended(p, r);
        case PULL_LOGOUT:
            return PULL_MORE;
        default:
            return fail(p, STATUS_MALFORMED, "an answer to nothing", r->text);
    }
}

static void take_examine_code(struct imap_pull *p, const struct imap_response *r)
{
    if (imap_bytes_is(r->code, "UIDVALIDITY") && r->code_number <= UINT32_MAX) {
        p->uidvalidity = (uint32_t)r->code_number;
    } else if (imap_bytes_is(r->code, "UIDNEXT") && r->code_number <= UINT32_MAX) {
        p->uidnext = (uint32_t)r->code_number;
    } else if (imap_bytes_is(r->code, "HIGHESTMODSEQ")) {
        p->highestmodseq = r->code_number;
    }
}

static bool fetching(const struct imap_pull *p)
{
    return p->state == PULL_FETCH || p->state == PULL_FETCH_NEW;
}

static enum pull_event take_vanished_line(struct imap_pull *p, struct imap_response *r)
{
    if (!r->earlier) {
        p->moved = true;
        return PULL_MORE; /* happens now: above `to` */
    }
    if (p->page.messages_n > 0 || p->sequence > 0) {
        p->full_instead =
            true; /* it must come before the messages; a page may already have passed it */
        p->state = PULL_DRAIN;
        return PULL_MORE;
    }
    enum status s = take_vanished(p, r->set);
    if (s == STATUS_TOO_BIG) {
        p->full_instead = true;
        p->state = PULL_DRAIN;
        return PULL_MORE;
    }
    return s == OK ? PULL_MORE : fail(p, s, "VANISHED", no_detail);
}

static enum pull_event take_too_long(struct imap_pull *p, struct imap_response *r)
{
    static const char vanished[] = "* VANISHED";
    bool is_vanished = r->text.size >= sizeof(vanished) - 1 &&
                       memcmp(r->text.data, vanished, sizeof(vanished) - 1) == 0;
    if (fetching(p) && is_vanished) {
        p->full_instead = true;
        p->state = PULL_DRAIN;
        return PULL_MORE;
    }
    if (p->state == PULL_DRAIN) {
        return PULL_MORE;
    }
    return fail(p, STATUS_TOO_BIG, "a response over its maximum", r->text);
}

static enum pull_event advance(struct imap_pull *p, struct imap_response *r)
{
    if (p->state == PULL_GREETING) {
        if (r->kind != IMAP_PREAUTH) {
            return fail(p, STATUS_DENIED, "the greeting is not PREAUTH", r->text);
        }
        p->state = PULL_ENABLE;
        command(p, "ENABLE QRESYNC");
        return PULL_MORE;
    }
    switch (r->kind) {
        case IMAP_TAGGED: {
            char expected[16];
            snprintf(expected, sizeof(expected), "m%u", p->tag);
            return imap_bytes_is(r->tag, expected)
                       ? tagged(p, r)
                       : fail(p, STATUS_MALFORMED, "a wrong tag", r->tag);
        }
        case IMAP_BYE:
            return p->state == PULL_LOGOUT
                       ? PULL_MORE
                       : fail(p, STATUS_CLOSED, "the server ended the session", r->text);
        case IMAP_TOO_LONG:
            return take_too_long(p, r);
        case IMAP_LIST:
            return p->state == PULL_LIST ? take_list_line(p, &r->list) : PULL_MORE;
        case IMAP_NAMESPACE:
            return p->state == PULL_NAMESPACE ? take_namespaces(p, &r->namespaces) : PULL_MORE;
        case IMAP_EXISTS:
            if (p->state == PULL_EXAMINE) {
                p->exists = r->number;
            } else {
                p->moved = true;
            }
            return PULL_MORE;
        case IMAP_OK:
            if (p->state == PULL_EXAMINE) {
                take_examine_code(p, r);
            }
            return PULL_MORE;
        case IMAP_VANISHED:
            return fetching(p) ? take_vanished_line(p, r) : PULL_MORE;
        case IMAP_FETCH:
            return fetching(p) ? take_fetch_line(p, r) : PULL_MORE;
        default:
            return PULL_MORE;
    }
}

enum pull_event imap_pull_input(struct imap_pull *p, const uint8_t *data, size_t size,
                                size_t *out_used)
{
    struct imap_response r;
    *out_used = 0;
    if (p->state == PULL_DEAD) {
        return PULL_FAILED;
    }
    if (p->page_out) {
        page_begin(p);
    }
    if (p->finished) {
        p->finished = false;
        return done(p, OK, "", no_detail);
    }
    while (*out_used < size) {
        size_t used;
        enum status s = imap_parser_take(&p->parser, data + *out_used, size - *out_used, &used, &r);
        *out_used += used;
        if (s == STATUS_BUSY) {
            break;
        }
        enum pull_event e =
            s == OK ? advance(p, &r) : fail(p, s, "the server's answer cannot be read", no_detail);
        if (e != PULL_MORE) {
            return e;
        }
    }
    return PULL_MORE;
}

enum pull_event imap_pull_end(struct imap_pull *p)
{
    if (p->state == PULL_LOGOUT) {
        return PULL_MORE;
    }
    return p->state == PULL_DEAD ? PULL_FAILED
                                 : fail(p, STATUS_CLOSED, "the session ended early", no_detail);
}
