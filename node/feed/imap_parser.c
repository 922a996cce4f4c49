/* Responses of an IMAP server: first lines are joined over literals, then the whole response is read by a cursor that is
 * sticky: after the first byte that does not fit, every step does nothing and the response is MALFORMED. */
#include "node/feed/imap_parser.h"

#include <string.h>
#include <strings.h>

#include "base/must.h"

#define KEPT_OF_TOO_LONG 64u /* what is kept of a response over the maximum */
#define KEPT_OF_TAIL     16u
#define LITERAL_MARK_MAX 13u /* {1234567890+} */
#define DEPTH_MAX        32u /* lists inside lists that are skipped */

void imap_parser_init(struct imap_parser *p)
{
    *p = (struct imap_parser){0};
    buffer_init(&p->line, IMAP_RESPONSE_MAX);
}

void imap_parser_deinit(struct imap_parser *p)
{
    buffer_deinit(&p->line);
}

bool imap_bytes_is(struct bytes b, const char *word)
{
    return b.size == strlen(word) && strncasecmp((const char *)b.data, word, b.size) == 0;
}

/* ---- one whole response out of bytes ---- */

/* Text for people follows OK, NO, BAD, BYE and PREAUTH: a {5} at its end is no literal. */
static bool is_condition_line(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"OK", "NO", "BAD", "BYE", "PREAUTH"};
    const uint8_t *space = memchr(data, ' ', size);
    if (space == NULL) {
        return false;
    }
    size_t left = size - (size_t)(space + 1 - data);
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t n = strlen(words[i]);
        if (left >= n && strncasecmp((const char *)space + 1, words[i], n) == 0 &&
            (left == n || space[1 + n] == ' ')) {
            return true;
        }
    }
    return false;
}

/* {123} or {123+} at the end: the size of the literal that follows. */
static bool ends_in_literal(const uint8_t *data, size_t size, uint64_t *out_size)
{
    size_t at = size;
    uint64_t n = 0, place = 1;
    if (at < 3 || data[at - 1] != '}') {
        return false;
    }
    at--;
    if (data[at - 1] == '+') {
        at--;
    }
    size_t digits = 0;
    for (; at > 0 && data[at - 1] >= '0' && data[at - 1] <= '9' && digits < 10; at--, digits++) {
        n += place * (uint64_t)(data[at - 1] - '0');
        place *= 10;
    }
    if (digits == 0 || at == 0 || data[at - 1] != '{') {
        return false;
    }
    *out_size = n;
    return true;
}

/* Over the maximum only the beginning is kept, and behind it the last bytes, which may announce a literal. */
static enum status keep(struct imap_parser *p, const uint8_t *data, size_t size)
{
    if (!p->skipping) {
        size_t room = IMAP_RESPONSE_MAX - p->line.size;
        size_t n = size < room ? size : room;
        enum status s = buffer_append(&p->line, data, n);
        if (s != OK || n == size) {
            return s;
        }
        data += n;
        size -= n;
        p->skipping = true;
        memmove(p->line.data + KEPT_OF_TOO_LONG, p->line.data + p->line.size - KEPT_OF_TAIL,
                KEPT_OF_TAIL);
        p->line.size = KEPT_OF_TOO_LONG + KEPT_OF_TAIL;
    }
    uint8_t *tail = p->line.data + KEPT_OF_TOO_LONG;
    for (size_t i = size > KEPT_OF_TAIL ? size - KEPT_OF_TAIL : 0; i < size; i++) {
        memmove(tail, tail + 1, KEPT_OF_TAIL - 1);
        tail[KEPT_OF_TAIL - 1] = data[i];
    }
    return OK;
}

static enum status take_line(struct imap_parser *p, const uint8_t *data, size_t size, size_t *used,
                             bool *out_whole)
{
    const uint8_t *newline = memchr(data, '\n', size);
    size_t n = newline == NULL ? size : (size_t)(newline - data) + 1;
    *used += n;
    p->text_n += n;
    *out_whole = false;
    enum status s = keep(p, data, n);
    if (s != OK || newline == NULL) {
        return s;
    }
    size_t end = p->line.size - 1, text_n = (size_t)p->text_n - 1;
    if (text_n > 0 && end > 0 && p->line.data[end - 1] == '\r') {
        end--;
        text_n--;
    }
    p->text_n = 0;
    text_n = text_n < LITERAL_MARK_MAX ? text_n : LITERAL_MARK_MAX;
    bool text = is_condition_line(p->line.data, end < KEPT_OF_TOO_LONG ? end : KEPT_OF_TOO_LONG);
    if (!text && ends_in_literal(p->line.data + end - text_n, text_n, &p->literal_left)) {
        return OK; /* what follows is part of this response, even when the literal is empty */
    }
    if (!p->skipping) {
        p->line.size = end;
    }
    *out_whole = true;
    return OK;
}

enum status imap_parser_take(struct imap_parser *p, const uint8_t *data, size_t size,
                             size_t *out_used, struct imap_response *out_r)
{
    bool whole = false;
    *out_used = 0;
    if (p->done) {
        buffer_clear(&p->line);
        p->done = false;
        p->skipping = false;
    }
    while (*out_used < size && !whole) {
        const uint8_t *at = data + *out_used;
        size_t left = size - *out_used;
        enum status s = OK;
        if (p->literal_left > 0) {
            size_t n = left < p->literal_left ? left : (size_t)p->literal_left;
            p->literal_left -= n;
            *out_used += n;
            s = keep(p, at, n);
        } else {
            s = take_line(p, at, left, out_used, &whole);
        }
        if (s != OK) {
            return s;
        }
    }
    if (!whole) {
        return STATUS_BUSY;
    }
    p->done = true;
    if (p->skipping) {
        *out_r =
            (struct imap_response){.kind = IMAP_TOO_LONG, .text = {p->line.data, KEPT_OF_TOO_LONG}};
        return OK;
    }
    return imap_response_parse(p->line.data, p->line.size, out_r);
}

/* ---- the cursor ---- */

struct cursor {
    uint8_t *at, *end;
    bool bad;
};

static bool at_end(const struct cursor *c)
{
    return c->bad || c->at == c->end;
}

static bool next_is(const struct cursor *c, char x)
{
    return !at_end(c) && *c->at == (uint8_t)x;
}

static bool accept(struct cursor *c, char x)
{
    if (!next_is(c, x)) {
        return false;
    }
    c->at++;
    return true;
}

static void expect(struct cursor *c, char x)
{
    if (!accept(c, x)) {
        c->bad = true;
    }
}

/* Up to a space or a bracket of any kind; may be empty only when bad. */
static struct bytes word(struct cursor *c)
{
    uint8_t *start = c->at;
    while (!at_end(c) && *c->at > ' ' && strchr("()[]\"{", *c->at) == NULL) {
        c->at++;
    }
    if (c->bad || c->at == start) {
        c->bad = true;
        return (struct bytes){0};
    }
    return (struct bytes){start, (size_t)(c->at - start)};
}

static uint64_t number(struct cursor *c, uint64_t max)
{
    uint64_t n = 0;
    bool any = false;
    while (!at_end(c) && *c->at >= '0' && *c->at <= '9') {
        uint64_t digit = (uint64_t)(*c->at - '0');
        if (n > (max - digit) / 10) {
            c->bad = true;
            return 0;
        }
        n = n * 10 + digit;
        any = true;
        c->at++;
    }
    c->bad = c->bad || !any;
    return c->bad ? 0 : n;
}

static struct bytes quoted(struct cursor *c)
{
    expect(c, '"');
    uint8_t *start = c->at, *to = c->at;
    while (!at_end(c) && *c->at != '"') {
        if (*c->at == '\\' && c->at + 1 < c->end) {
            c->at++;
        }
        if (*c->at == '\0' || *c->at == '\r' || *c->at == '\n') {
            c->bad = true;
        } else {
            *to++ = *c->at++;
        }
    }
    expect(c, '"');
    return c->bad ? (struct bytes){0} : (struct bytes){start, (size_t)(to - start)};
}

static struct bytes literal(struct cursor *c)
{
    expect(c, '{');
    uint64_t size = number(c, IMAP_RESPONSE_MAX);
    accept(c, '+');
    expect(c, '}');
    accept(c, '\r');
    expect(c, '\n');
    if (c->bad || (uint64_t)(c->end - c->at) < size) {
        c->bad = true;
        return (struct bytes){0};
    }
    c->at += size;
    return (struct bytes){c->at - size, (size_t)size};
}

/* Atom, quoted or literal; ] may stand in an atom here (names such as a]b). */
static struct bytes string(struct cursor *c)
{
    if (next_is(c, '"')) {
        return quoted(c);
    }
    if (next_is(c, '{')) {
        return literal(c);
    }
    uint8_t *start = c->at;
    while (!at_end(c) && *c->at > ' ' && strchr("()\"{", *c->at) == NULL) {
        c->at++;
    }
    if (c->bad || c->at == start) {
        c->bad = true;
        return (struct bytes){0};
    }
    return (struct bytes){start, (size_t)(c->at - start)};
}

/* Any value: what a later server may add. Lists are walked with a counter, not by calling ourselves. */
static void skip_value(struct cursor *c)
{
    unsigned depth = 0;
    do {
        while (accept(c, ' ')) {
        }
        if (accept(c, '(')) {
            depth++;
            c->bad = c->bad || depth > DEPTH_MAX;
        } else if (depth > 0 && accept(c, ')')) {
            depth--;
        } else {
            string(c);
        }
    } while (depth > 0 && !at_end(c));
    c->bad = c->bad || depth > 0;
}

/* ---- the parts of a FETCH ---- */

static bool is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++) {
        if (b.data[i] <= ' ' || b.data[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static void take_flag(struct imap_fetch *f, struct bytes flag)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } system[] = {
        {"\\Seen", IMAP_SEEN},       {"\\Answered", IMAP_ANSWERED}, {"\\Flagged", IMAP_FLAGGED},
        {"\\Deleted", IMAP_DELETED}, {"\\Draft", IMAP_DRAFT},
    };
    for (size_t i = 0; i < sizeof(system) / sizeof(*system); i++) {
        if (imap_bytes_is(flag, system[i].name)) {
            f->flags |= system[i].bit;
            return;
        }
    }
    if (flag.data[0] == '\\') {
        return; /* \Recent belongs to a session, not to the message */
    }
    if (f->keywords_n == IMAP_KEYWORDS_MAX || flag.size > IMAP_KEYWORD_BYTES_MAX ||
        !is_ascii(flag)) {
        f->keywords_dropped++;
        return;
    }
    f->keywords[f->keywords_n++] = flag;
}

static void take_flags(struct cursor *c, struct imap_fetch *f)
{
    f->flags = 0;
    f->keywords_n = 0;
    expect(c, '(');
    while (!at_end(c) && !next_is(c, ')')) {
        struct bytes flag = string(c);
        if (c->bad) {
            return;
        }
        take_flag(f, flag);
        if (!next_is(c, ')')) {
            expect(c, ' ');
        }
    }
    expect(c, ')');
}

static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t month_number(struct cursor *c)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (c->bad || c->end - c->at < 3) {
        c->bad = true;
        return 1;
    }
    for (int64_t i = 0; i < 12; i++) {
        if (strncasecmp((const char *)c->at, months + 3 * i, 3) == 0) {
            c->at += 3;
            return i + 1;
        }
    }
    c->bad = true;
    return 1;
}

/* "24-Nov-2026 08:19:55 +0000", a day under 10 with a space in front. */
static void take_date(struct cursor *c, int64_t *out_seconds)
{
    struct bytes text = quoted(c);
    if (c->bad) {
        return;
    }
    struct cursor d = {(uint8_t *)text.data, (uint8_t *)text.data + text.size, c->bad};
    accept(&d, ' ');
    int64_t day = (int64_t)number(&d, 31);
    expect(&d, '-');
    int64_t month = month_number(&d);
    expect(&d, '-');
    int64_t year = (int64_t)number(&d, 9999);
    expect(&d, ' ');
    int64_t seconds = (int64_t)number(&d, 23) * 3600;
    expect(&d, ':');
    seconds += (int64_t)number(&d, 59) * 60;
    expect(&d, ':');
    seconds += (int64_t)number(&d, 60);
    expect(&d, ' ');
    bool west = next_is(&d, '-');
    if (!accept(&d, '+')) {
        expect(&d, '-');
    }
    int64_t zone = (int64_t)number(&d, 9999);
    zone = (zone / 100 * 60 + zone % 100) * 60;
    c->bad = c->bad || d.bad || d.at != d.end || day == 0;
    *out_seconds = days_since_1970(year, month, day) * 86400 + seconds + (west ? zone : -zone);
}

static void take_fetch_item(struct cursor *c, struct imap_fetch *f)
{
    struct bytes name = word(c);
    if (next_is(c, '[')) { /* BODY[...] was not asked for */
        c->bad = true;
    }
    expect(c, ' ');
    if (c->bad) {
        return;
    }
    if (imap_bytes_is(name, "UID")) {
        f->uid = (uint32_t)number(c, UINT32_MAX);
        f->has |= IMAP_HAS_UID;
        c->bad = c->bad || f->uid == 0;
    } else if (imap_bytes_is(name, "FLAGS")) {
        take_flags(c, f);
        f->has |= IMAP_HAS_FLAGS;
    } else if (imap_bytes_is(name, "MODSEQ")) {
        expect(c, '(');
        f->modseq = number(c, INT64_MAX);
        expect(c, ')');
        f->has |= IMAP_HAS_MODSEQ;
    } else if (imap_bytes_is(name, "INTERNALDATE")) {
        take_date(c, &f->internal_date);
        f->has |= IMAP_HAS_DATE;
    } else if (imap_bytes_is(name, "RFC822.SIZE")) {
        f->size = number(c, INT64_MAX);
        f->has |= IMAP_HAS_SIZE;
    } else if (imap_bytes_is(name, "X-GUID")) {
        f->guid = string(c);
        f->has |= IMAP_HAS_GUID;
    } else {
        skip_value(c);
    }
}

static void take_fetch(struct cursor *c, struct imap_fetch *f)
{
    expect(c, ' ');
    expect(c, '(');
    while (!at_end(c) && !next_is(c, ')')) {
        take_fetch_item(c, f);
        if (!next_is(c, ')')) {
            expect(c, ' ');
        }
    }
    expect(c, ')');
}

/* ---- the other responses ---- */

static void take_condition(struct cursor *c, struct imap_response *r)
{
    accept(c, ' ');
    if (accept(c, '[')) {
        r->code = word(c);
        if (accept(c, ' ') && !at_end(c) && *c->at >= '0' && *c->at <= '9') {
            r->code_number = number(c, INT64_MAX);
        }
        while (!at_end(c) &&
               *c->at != ']') { /* the rest of a code we do not read, strings with ] included */
            if (next_is(c, '"')) {
                quoted(c);
            } else {
                c->at++;
            }
        }
        expect(c, ']');
        accept(c, ' ');
    }
    if (!c->bad) {
        r->text = (struct bytes){c->at, (size_t)(c->end - c->at)};
        c->at = c->end;
    }
}

static void take_list(struct cursor *c, struct imap_list *l)
{
    expect(c, ' ');
    expect(c, '(');
    while (!at_end(c) && !next_is(c, ')')) {
        struct bytes flag = string(c);
        if (c->bad) {
            return;
        }
        l->subscribed = l->subscribed || imap_bytes_is(flag, "\\Subscribed");
        l->nonexistent = l->nonexistent || imap_bytes_is(flag, "\\NonExistent");
        l->noselect = l->noselect || imap_bytes_is(flag, "\\Noselect");
        if (!next_is(c, ')')) {
            expect(c, ' ');
        }
    }
    expect(c, ')');
    expect(c, ' ');
    struct bytes separator = string(c);
    if (!c->bad && !imap_bytes_is(separator, "NIL")) {
        c->bad = separator.size != 1;
        l->separator = c->bad ? '\0' : (char)separator.data[0];
    }
    expect(c, ' ');
    l->name = string(c);
    while (accept(c, ' ')) { /* extended data: ("CHILDINFO" (...)) */
        skip_value(c);
    }
}

static void take_status(struct cursor *c, struct imap_status *s)
{
    expect(c, ' ');
    s->name = string(c);
    expect(c, ' ');
    expect(c, '(');
    while (!at_end(c) && !next_is(c, ')')) {
        struct bytes name = word(c);
        expect(c, ' ');
        if (imap_bytes_is(name, "UIDNEXT")) {
            s->uidnext = (uint32_t)number(c, UINT32_MAX);
            s->has |= IMAP_HAS_UIDNEXT;
        } else if (imap_bytes_is(name, "UIDVALIDITY")) {
            s->uidvalidity = (uint32_t)number(c, UINT32_MAX);
            s->has |= IMAP_HAS_UIDVALIDITY;
        } else if (imap_bytes_is(name, "MESSAGES")) {
            s->messages = (uint32_t)number(c, UINT32_MAX);
            s->has |= IMAP_HAS_MESSAGES;
        } else if (imap_bytes_is(name, "HIGHESTMODSEQ")) {
            s->highestmodseq = number(c, INT64_MAX);
            s->has |= IMAP_HAS_HIGHESTMODSEQ;
        } else {
            skip_value(c);
        }
        if (!next_is(c, ')')) {
            expect(c, ' ');
        }
    }
    expect(c, ')');
}

/* One of the three lists: NIL, or ((prefix separator extensions...)...). */
static void take_namespace_list(struct cursor *c, struct imap_namespaces *s, bool personal)
{
    expect(c, ' ');
    if (!accept(c, '(')) {
        c->bad = c->bad || !imap_bytes_is(string(c), "NIL");
        return;
    }
    while (accept(c, '(')) {
        struct bytes prefix = string(c);
        while (accept(c, ' ')) {
            skip_value(c);
        }
        expect(c, ')');
        if (c->bad || s->n == IMAP_NAMESPACES_MAX) {
            s->dropped++;
            continue;
        }
        s->items[s->n].prefix = prefix;
        s->items[s->n++].personal = personal;
    }
    expect(c, ')');
}

static void take_vanished(struct cursor *c, struct imap_response *r)
{
    expect(c, ' ');
    if (accept(c, '(')) {
        r->earlier = imap_bytes_is(word(c), "EARLIER");
        expect(c, ')');
        expect(c, ' ');
    }
    r->set = word(c);
    struct bytes set = r->set;
    uint32_t first, last;
    enum status s = c->bad ? STATUS_MALFORMED : OK;
    while (s == OK) { /* so that the reader of the set meets no surprise */
        s = imap_set_next(&set, &first, &last);
    }
    c->bad = c->bad || s != STATUS_NOT_FOUND;
}

static enum imap_kind condition_of(struct bytes w)
{
    return imap_bytes_is(w, "OK")        ? IMAP_OK
           : imap_bytes_is(w, "NO")      ? IMAP_NO
           : imap_bytes_is(w, "BAD")     ? IMAP_BAD
           : imap_bytes_is(w, "BYE")     ? IMAP_BYE
           : imap_bytes_is(w, "PREAUTH") ? IMAP_PREAUTH
                                         : IMAP_OTHER;
}

static void take_untagged(struct cursor *c, struct imap_response *r)
{
    bool numbered = !at_end(c) && *c->at >= '0' && *c->at <= '9';
    if (numbered) {
        r->number = (uint32_t)number(c, UINT32_MAX);
        expect(c, ' ');
    }
    struct bytes w = word(c);
    if (c->bad) {
        return;
    }
    if (numbered) {
        r->kind = imap_bytes_is(w, "FETCH")     ? IMAP_FETCH
                  : imap_bytes_is(w, "EXISTS")  ? IMAP_EXISTS
                  : imap_bytes_is(w, "EXPUNGE") ? IMAP_EXPUNGE
                                                : IMAP_OTHER;
        if (r->kind == IMAP_FETCH) {
            take_fetch(c, &r->fetch);
        }
    } else if (imap_bytes_is(w, "VANISHED")) {
        r->kind = IMAP_VANISHED;
        take_vanished(c, r);
    } else if (imap_bytes_is(w, "LIST")) {
        r->kind = IMAP_LIST;
        take_list(c, &r->list);
    } else if (imap_bytes_is(w, "NAMESPACE")) {
        r->kind = IMAP_NAMESPACE;
        take_namespace_list(c, &r->namespaces, true);
        take_namespace_list(c, &r->namespaces, false); /* of other users */
        take_namespace_list(c, &r->namespaces, false); /* public */
    } else if (imap_bytes_is(w, "STATUS")) {
        r->kind = IMAP_STATUS;
        take_status(c, &r->status);
    } else {
        r->kind = condition_of(w);
        if (r->kind != IMAP_OTHER) {
            take_condition(c, r);
        }
    }
    if (r->kind == IMAP_OTHER) {
        c->at = c->end;
    }
}

enum status imap_response_parse(uint8_t *data, size_t size, struct imap_response *out_r)
{
    struct cursor c = {data, data + size, false};
    struct imap_response *r = out_r;
    memset(r, 0, sizeof(*r));
    if (next_is(&c, '+')) {
        return OK; /* we send no literals that wait: IMAP_OTHER */
    }
    struct bytes tag = word(&c);
    expect(&c, ' ');
    if (!c.bad && imap_bytes_is(tag, "*")) {
        take_untagged(&c, r);
    } else if (!c.bad) {
        r->kind = IMAP_TAGGED;
        r->tag = tag;
        r->condition = condition_of(word(&c));
        c.bad = c.bad ||
                (r->condition != IMAP_OK && r->condition != IMAP_NO && r->condition != IMAP_BAD);
        if (!c.bad) {
            take_condition(&c, r);
        }
    }
    if (c.bad || c.at != c.end) {
        memset(r, 0, sizeof(*r));
        return STATUS_MALFORMED;
    }
    return OK;
}

enum status imap_set_next(struct bytes *set, uint32_t *out_first, uint32_t *out_last)
{
    if (set->size == 0) {
        return STATUS_NOT_FOUND;
    }
    struct cursor c = {(uint8_t *)set->data, (uint8_t *)set->data + set->size, false};
    uint32_t first = (uint32_t)number(&c, UINT32_MAX), last = first;
    if (accept(&c, ':')) {
        last = (uint32_t)number(&c, UINT32_MAX);
    }
    if (c.at != c.end) {
        expect(&c, ',');
        c.bad = c.bad || c.at == c.end;
    }
    if (c.bad || first == 0 || last == 0) {
        return STATUS_MALFORMED;
    }
    *out_first = first < last ? first : last;
    *out_last = first < last ? last : first;
    *set = (struct bytes){c.at, (size_t)(c.end - c.at)};
    return OK;
}
