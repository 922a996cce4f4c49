/* Mailbox names between UTF-8 and modified UTF-7. Every byte is checked; nothing is repaired. */
#include "node/feed/mailbox_name.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

struct out {
    char *data;
    size_t size, size_max;
    enum status status;
};

static void put(struct out *o, char c)
{
    if (o->size >= o->size_max) {
        o->status = STATUS_TOO_BIG;
        return;
    }
    o->data[o->size++] = c;
}

/* One code point from valid UTF-8; 0 when it is not valid (NUL never is, here). */
static uint32_t take_utf8(const unsigned char **at)
{
    static const uint32_t lowest[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = *at;
    int more = p[0] < 0x80             ? 0
               : (p[0] & 0xe0) == 0xc0 ? 1
               : (p[0] & 0xf0) == 0xe0 ? 2
               : (p[0] & 0xf8) == 0xf0 ? 3
                                       : -1;
    if (more < 0) {
        return 0;
    }
    uint32_t c = more == 0 ? p[0] : p[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = (c << 6) | (p[i] & 0x3fu);
    }
    if (c < lowest[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    *at = p + more + 1;
    return c;
}

static void put_utf8(struct out *o, uint32_t c)
{
    if (c < 0x80) {
        put(o, (char)c);
    } else if (c < 0x800) {
        put(o, (char)(0xc0 | (c >> 6)));
        put(o, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        put(o, (char)(0xe0 | (c >> 12)));
        put(o, (char)(0x80 | ((c >> 6) & 0x3f)));
        put(o, (char)(0x80 | (c & 0x3f)));
    } else {
        put(o, (char)(0xf0 | (c >> 18)));
        put(o, (char)(0x80 | ((c >> 12) & 0x3f)));
        put(o, (char)(0x80 | ((c >> 6) & 0x3f)));
        put(o, (char)(0x80 | (c & 0x3f)));
    }
}

/* UTF-16 units into base64, six bits at a time. */
struct shift {
    uint32_t bits;
    int bits_n;
    bool open;
};

static void shift_unit(struct out *o, struct shift *s, uint32_t unit)
{
    if (!s->open) {
        put(o, '&');
        *s = (struct shift){.open = true};
    }
    s->bits = (s->bits << 16) | unit;
    s->bits_n += 16;
    while (s->bits_n >= 6) {
        s->bits_n -= 6;
        put(o, base64[(s->bits >> s->bits_n) & 0x3f]);
    }
    s->bits &= (1u << s->bits_n) - 1;
}

static void shift_close(struct out *o, struct shift *s)
{
    if (!s->open) {
        return;
    }
    if (s->bits_n > 0) {
        put(o, base64[(s->bits << (6 - s->bits_n)) & 0x3f]);
    }
    put(o, '-');
    s->open = false;
}

enum status mailbox_name_to_imap(const char *utf8, char *out)
{
    struct out o = {.data = out, .size_max = MAILBOX_NAME_IMAP_MAX};
    struct shift s = {0};
    const unsigned char *at = (const unsigned char *)utf8;
    if (strlen(utf8) > MAILBOX_NAME_MAX) {
        return STATUS_TOO_BIG;
    }
    while (*at != 0 && o.status == OK) {
        uint32_t c = take_utf8(&at);
        if (c < 0x20 || c == 0x7f) {
            return STATUS_MALFORMED;
        }
        if (c < 0x7f) {
            shift_close(&o, &s);
            put(&o, (char)c);
            if (c == '&') {
                put(&o, '-');
            }
        } else if (c < 0x10000) {
            shift_unit(&o, &s, c);
        } else {
            shift_unit(&o, &s, 0xd800 + ((c - 0x10000) >> 10));
            shift_unit(&o, &s, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    shift_close(&o, &s);
    out[o.size] = '\0';
    return o.status;
}

/* The run between '&' and '-'; *at points behind the '&' and is moved behind the '-'. */
static enum status take_shifted(const char **at, const char *end, struct out *o)
{
    uint32_t bits = 0, high = 0;
    int bits_n = 0;
    for (; *at < end && **at != '-'; (*at)++) {
        const char *digit = **at == '\0' ? NULL : strchr(base64, **at);
        if (digit == NULL) {
            return STATUS_MALFORMED;
        }
        bits = (bits << 6) | (uint32_t)(digit - base64);
        bits_n += 6;
        if (bits_n < 16) {
            continue;
        }
        bits_n -= 16;
        uint32_t unit = (bits >> bits_n) & 0xffff;
        bits &= (1u << bits_n) - 1;
        if (unit >= 0xdc00 && unit <= 0xdfff && high != 0) {
            put_utf8(o, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
            high = 0;
        } else if (high == 0 && unit >= 0xd800 && unit <= 0xdbff) {
            high = unit;
        } else if (high != 0 || unit < 0x7f || (unit >= 0xdc00 && unit <= 0xdfff)) {
            return STATUS_MALFORMED;
        } else {
            put_utf8(o, unit);
        }
    }
    if (*at == end || high != 0 || bits_n >= 6 || bits != 0) {
        return STATUS_MALFORMED;
    }
    (*at)++;
    return OK;
}

enum status mailbox_name_from_imap(const char *imap, size_t size, char *out)
{
    struct out o = {.data = out, .size_max = MAILBOX_NAME_MAX};
    const char *at = imap, *end = imap + size;
    while (at < end && o.status == OK) {
        unsigned char c = (unsigned char)*at++;
        if (c < 0x20 || c >= 0x7f) {
            return STATUS_MALFORMED;
        }
        if (c != '&') {
            put(&o, (char)c);
        } else if (at < end && *at == '-') {
            put(&o, '&');
            at++;
        } else {
            enum status s = take_shifted(&at, end, &o);
            if (s != OK) {
                return s;
            }
        }
    }
    if (o.status == OK) {
        out[o.size] = '\0';
    }
    return o.status;
}

void mailbox_name_swap_separator(char *name, char separator)
{
    if (separator == '\0' || separator == '/') {
        return;
    }
    for (; *name != '\0'; name++) {
        if (*name == separator) {
            *name = '/';
        } else if (*name == '/') {
            *name = separator;
        }
    }
}
