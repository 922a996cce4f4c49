/* A character at a time: strings and words are gathered into `text`, brackets move `place`. */
#include "node/feed/postqueue.h"

#include <string.h>

#include "proto/command.pb-c.h"

void postqueue_begin(struct postqueue *p)
{
    bool (*on_item)(struct postqueue *, const struct postqueue_item *) = p->on_item;
    void *arg = p->arg;
    memset(p, 0, sizeof(*p));
    p->on_item = on_item;
    p->arg = arg;
}

bool postqueue_end(const struct postqueue *p)
{
    return p->expect == EXPECT_OBJECT && p->bad == 0;
}

/* ---- texts ---- */

/* Bytes of the well-formed character at p, 0 when it is none. */
static size_t character(const unsigned char *p)
{
    if (p[0] < 0x80) {
        return p[0] < 0x20 || p[0] == 0x7f ? 0 : 1;
    }
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) { /* a NUL ends it too */
            return 0;
        }
    }
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                 (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

void feed_text_clean(char *text, size_t max)
{
    unsigned char *at = (unsigned char *)text;
    size_t size = 0;
    while (at[size] != '\0') {
        size_t n = character(at + size);
        if (n == 0) {
            at[size] = '?';
            n = 1;
        }
        if (size + n > max) {
            break;
        }
        size += n;
    }
    at[size] = '\0';
}

static void add(struct postqueue *p, char c)
{
    if (p->is_key) {
        if (p->key_n < POSTQUEUE_KEY_MAX) {
            p->key[p->key_n++] = c;
        }
        return;
    }
    if (p->text_n < sizeof(p->text) - 1) {
        p->text[p->text_n++] = c == '\0' ? '?' : c;
    } else {
        p->cut = true;
    }
}

static void add_code(struct postqueue *p, uint32_t code)
{
    if (code >= 0xd800 && code < 0xdc00) {
        p->surrogate = code;
        return;
    }
    if (code >= 0xdc00 && code < 0xe000) {
        code =
            p->surrogate == 0 ? '?' : 0x10000 + ((p->surrogate - 0xd800) << 10) + (code - 0xdc00);
    }
    p->surrogate = 0;
    if (code < 0x80) {
        add(p, (char)code);
        return;
    }
    if (code < 0x800) {
        add(p, (char)(0xc0 | (code >> 6)));
    } else if (code < 0x10000) {
        add(p, (char)(0xe0 | (code >> 12)));
        add(p, (char)(0x80 | ((code >> 6) & 0x3f)));
    } else {
        add(p, (char)(0xf0 | (code >> 18)));
        add(p, (char)(0x80 | ((code >> 12) & 0x3f)));
        add(p, (char)(0x80 | ((code >> 6) & 0x3f)));
    }
    add(p, (char)(0x80 | (code & 0x3f)));
}

static bool equals(const char *a, size_t size, const char *b)
{
    return strlen(b) == size && memcmp(a, b, size) == 0;
}

/* Copies the text; an over-long one ends in "..." */
static void take(struct postqueue *p, char *out, size_t max)
{
    p->text[p->text_n] = '\0';
    feed_text_clean(p->text, sizeof(p->text) - 1);
    size_t n = strlen(p->text);
    bool over = p->cut || n > max;
    if (over) {
        feed_text_clean(p->text, max - 3);
        n = strlen(p->text);
    }
    memcpy(out, p->text, n);
    memcpy(out + n, over ? "..." : "", over ? 4 : 1);
}

/* ---- values ---- */

static uint64_t number(const struct postqueue *p, bool *out_ok)
{
    uint64_t v = 0;
    *out_ok = p->text_n > 0 && p->text_n < 19;
    for (size_t i = 0; i < p->text_n && *out_ok; i++) {
        *out_ok = p->text[i] >= '0' && p->text[i] <= '9';
        v = v * 10 + (uint64_t)(p->text[i] - '0');
    }
    return v;
}

static int state_of(const char *text)
{
    static const char *const names[] = {"",     "incoming", "active", "deferred",
                                        "hold", "maildrop", "corrupt"};
    for (int i = 1; i < (int)(sizeof(names) / sizeof(*names)); i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    return MQ__QUEUE_ITEM__STATE__NONE;
}

static bool id_ok(const char *id)
{
    size_t n = strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    return n > 0 && id[n] == '\0';
}

static bool item_value(struct postqueue *p, bool word)
{
    struct postqueue_item *i = &p->item;
    char text[POSTQUEUE_ID_MAX + 4];
    bool ok = true;
    if (equals(p->key, p->key_n, "arrival_time") && word) {
        i->arrival = number(p, &ok);
        p->has_arrival = ok;
    } else if (equals(p->key, p->key_n, "message_size") && word) {
        i->size = number(p, &ok);
    } else if (equals(p->key, p->key_n, "forced_expire") && word) {
        i->forced_expire = equals(p->text, p->text_n, "true");
    } else if (equals(p->key, p->key_n, "queue_id") && !word) {
        take(p, i->id, POSTQUEUE_ID_MAX);
        ok = p->has_id = id_ok(i->id);
    } else if (equals(p->key, p->key_n, "queue_name") && !word) {
        take(p, text, POSTQUEUE_ID_MAX);
        i->state = state_of(text);
    } else if (equals(p->key, p->key_n, "sender") && !word) {
        take(p, i->sender, POSTQUEUE_ADDRESS_MAX);
        if (strcmp(i->sender, "MAILER-DAEMON") == 0) { /* how postqueue writes the null sender */
            i->sender[0] = '\0';
        }
    }
    return ok;
}

static bool recipient_value(struct postqueue *p, bool word)
{
    struct postqueue_recipient *r = &p->recipient;
    if (word) {
        return true;
    }
    if (equals(p->key, p->key_n, "address")) {
        take(p, r->address, POSTQUEUE_ADDRESS_MAX);
        p->recipient_over = p->cut || p->text_n > POSTQUEUE_ADDRESS_MAX;
    } else if (equals(p->key, p->key_n, "orig_address")) {
        take(p, r->orig_address, POSTQUEUE_ADDRESS_MAX);
    } else if (equals(p->key, p->key_n, "delay_reason") ||
               equals(p->key, p->key_n, "bounce_reason") ||
               equals(p->key, p->key_n, "other_reason")) {
        take(p, r->reply, POSTQUEUE_REPLY_MAX);
    }
    return true;
}

/* A string or a word has ended. */
static bool value(struct postqueue *p, bool word)
{
    bool ok = p->place == IN_ITEM        ? item_value(p, word)
              : p->place == IN_RECIPIENT ? recipient_value(p, word)
                                         : true;
    p->text_n = 0;
    p->cut = false;
    p->expect = EXPECT_COMMA;
    return ok;
}

static void end_recipient(struct postqueue *p)
{
    struct postqueue_item *i = &p->item;
    if (p->recipient.address[0] == '\0' || p->recipient_over ||
        i->recipients_n == POSTQUEUE_RECIPIENTS_MAX) {
        i->recipients_omitted++;
    } else {
        i->recipients[i->recipients_n++] = p->recipient;
    }
    p->place = IN_RECIPIENTS;
    p->expect = EXPECT_COMMA;
}

/* false: it lacks something without which it is none. */
static bool end_item(struct postqueue *p, bool *out_enough)
{
    p->expect = EXPECT_OBJECT;
    if (!p->has_id || !p->has_arrival || p->item.state == MQ__QUEUE_ITEM__STATE__NONE) {
        return false;
    }
    p->items++;
    *out_enough = !p->on_item(p, &p->item);
    return true;
}

/* ---- characters ---- */

static bool open_bracket(struct postqueue *p, char c)
{
    if (p->expect == EXPECT_OBJECT && c == '{') {
        memset(&p->item, 0, offsetof(struct postqueue_item, recipients));
        p->has_id = p->has_arrival = false;
        p->place = IN_ITEM;
        p->expect = EXPECT_KEY;
        return true;
    }
    if (p->expect == EXPECT_ELEMENT && c == '{') {
        memset(&p->recipient, 0, sizeof(p->recipient));
        p->recipient_over = false;
        p->place = IN_RECIPIENT;
        p->expect = EXPECT_KEY;
        return true;
    }
    if (p->expect != EXPECT_VALUE) {
        return false;
    }
    if (p->place == IN_ITEM && c == '[' && equals(p->key, p->key_n, "recipients")) {
        p->place = IN_RECIPIENTS;
        p->expect = EXPECT_ELEMENT;
        return true;
    }
    p->outer = p->place;
    p->place = IN_UNKNOWN;
    p->depth = 1;
    return true;
}

static bool close_bracket(struct postqueue *p, char c, bool *out_enough)
{
    bool may = p->expect == EXPECT_COMMA || p->expect == EXPECT_KEY || p->expect == EXPECT_ELEMENT;
    if (!may) {
        return false;
    }
    if (p->place == IN_RECIPIENT && c == '}') {
        end_recipient(p);
        return true;
    }
    if (p->place == IN_RECIPIENTS && c == ']') {
        p->place = IN_ITEM;
        p->expect = EXPECT_COMMA;
        return true;
    }
    return p->place == IN_ITEM && c == '}' && end_item(p, out_enough);
}

/* Inside a value that this version does not know: only brackets count. */
static bool unknown(struct postqueue *p, char c)
{
    if (c == '"') {
        p->in_string = true;
        p->is_key = false;
    } else if (c == '{' || c == '[') {
        p->depth++;
        return p->depth < 16;
    } else if ((c == '}' || c == ']') && --p->depth == 0) {
        p->place = p->outer;
        p->expect = EXPECT_COMMA;
    }
    return true;
}

static bool begin_text(struct postqueue *p, char c)
{
    bool word = c != '"';
    if (p->expect == EXPECT_KEY && !word) {
        p->is_key = true;
        p->key_n = 0;
    } else if (p->expect == EXPECT_VALUE) {
        p->is_key = false;
        p->text_n = 0;
        p->cut = false;
    } else {
        return false;
    }
    p->in_string = !word;
    p->in_word = word;
    if (word) {
        add(p, c);
    }
    return true;
}

static bool outside(struct postqueue *p, char c, bool *out_enough)
{
    if (c == ' ' || c == '\t' || c == '\r') {
        return true;
    }
    if (p->place == IN_UNKNOWN && p->expect != EXPECT_OBJECT) {
        return c != '\n' && unknown(p, c);
    }
    switch (c) {
        case '\n':
            return p->expect == EXPECT_OBJECT;
        case '{':
        case '[':
            return open_bracket(p, c);
        case '}':
        case ']':
            return close_bracket(p, c, out_enough);
        case ':':
            if (p->expect != EXPECT_COLON) {
                return false;
            }
            p->expect = EXPECT_VALUE;
            return true;
        case ',':
            if (p->expect != EXPECT_COMMA) {
                return false;
            }
            p->expect = p->place == IN_RECIPIENTS ? EXPECT_ELEMENT : EXPECT_KEY;
            return true;
        default:
            return begin_text(p, c);
    }
}

static bool escaped(struct postqueue *p, char c)
{
    static const char from[] = "\"\\/bfnrtu", to[] = "\"\\/?????";
    if (p->escape == 5) {
        const char *at = c == '\0' ? NULL : strchr(from, c);
        p->code = 0;
        p->escape = c == 'u' ? 4 : 0;
        if (at != NULL && c != 'u') {
            add(p, to[at - from]);
        }
        return at != NULL;
    }
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    p->code = p->code * 16 + (uint32_t)(digit < 0 ? 0 : digit);
    if (--p->escape == 0) {
        add_code(p, p->code);
    }
    return digit >= 0;
}

static bool in_string(struct postqueue *p, char c)
{
    if (p->escape > 0) {
        return escaped(p, c);
    }
    if (c == '\\') {
        p->escape = 5;
        return true;
    }
    if (c == '\n') {
        return false;
    }
    if (c != '"') {
        add(p, c);
        return true;
    }
    p->in_string = false;
    p->surrogate = 0;
    if (p->place == IN_UNKNOWN) {
        p->text_n = 0;
        return true;
    }
    if (p->is_key) {
        p->expect = EXPECT_COLON;
        return true;
    }
    return value(p, false);
}

static bool one(struct postqueue *p, char c, bool *out_enough)
{
    if (p->in_string) {
        return in_string(p, c);
    }
    if (p->in_word) {
        bool more = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' ||
                    c == '+' || c == 'E';
        if (more) {
            add(p, c);
            return true;
        }
        p->in_word = false;
        if (!value(p, true)) {
            return false;
        }
    }
    return outside(p, c, out_enough);
}

size_t postqueue_input(struct postqueue *p, const char *data, size_t size)
{
    bool enough = false;
    size_t i = 0;
    for (; i < size && !enough; i++) {
        if (p->expect == EXPECT_LINE_END) {
            p->expect = data[i] == '\n' ? EXPECT_OBJECT : EXPECT_LINE_END;
        } else if (!one(p, data[i], &enough)) {
            p->bad++;
            p->in_string = p->in_word = false;
            p->escape = 0;
            p->text_n = 0;
            p->expect = data[i] == '\n' ? EXPECT_OBJECT : EXPECT_LINE_END;
        }
    }
    return i;
}
