/* A small formatter; see the header for what it knows. */
#include "base/sentence.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base/must.h"

static void put(struct sentence *s, const char *text, size_t n)
{
    size_t room = s->size - 1 - s->used;
    n = n < room ? n : room;
    memcpy(s->text + s->used, text, n);
    s->used += n;
    s->text[s->used] = '\0';
}

void sentence_init(struct sentence *s, char *text, size_t size)
{
    must(size > 0);
    *s = (struct sentence){.text = text, .size = size};
    text[0] = '\0';
}

static void put_number(struct sentence *s, unsigned long long value, bool negative, unsigned width,
                       bool zeros)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (zeros && sizeof(digits) - at < width && at > 1) {
        digits[--at] = '0';
    }
    if (negative) {
        digits[--at] = '-';
    }
    for (size_t n = sizeof(digits) - at; n < width; n++) {
        put(s, " ", 1);
    }
    put(s, digits + at, sizeof(digits) - at);
}

/* One directive behind its %; where it ends. */
static const char *directive(struct sentence *s, const char *p, va_list *args)
{
    bool zeros = *p == '0';
    unsigned width = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        width = width * 10 + (unsigned)(*p - '0');
    }
    if (p[0] == 'l' && p[1] == 'l' && p[2] == 'u') {
        put_number(s, va_arg(*args, unsigned long long), false, width, zeros);
        return p + 3;
    }
    if (*p == 's') {
        const char *text = va_arg(*args, const char *);
        put(s, text, strlen(text));
    } else if (*p == 'u') {
        put_number(s, va_arg(*args, unsigned), false, width, zeros);
    } else if (*p == 'd') {
        int value = va_arg(*args, int);
        put_number(s, value < 0 ? 0ull - (unsigned long long)value : (unsigned long long)value,
                   value < 0, width, zeros);
    } else if (*p == 'c') {
        char c = (char)va_arg(*args, int);
        put(s, &c, 1);
    } else {
        must(*p == '%');
        put(s, "%", 1);
    }
    return p + 1;
}

void sentence_add(struct sentence *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p != '\0';) {
        const char *plain = p;
        while (*p != '\0' && *p != '%') {
            p++;
        }
        put(s, plain, (size_t)(p - plain));
        if (*p == '%') {
            p = directive(s, p + 1, &args);
        }
    }
    va_end(args);
}

const char *span_format(uint64_t ms, char text[SPAN_TEXT_SIZE])
{
    struct sentence s;
    unsigned long long seconds = ms / 1000;
    sentence_init(&s, text, SPAN_TEXT_SIZE);
    if (ms < 60000) {
        sentence_add(&s, "%llu.%02us", seconds, (unsigned)(ms % 1000 / 10));
    } else if (seconds < 3600) {
        sentence_add(&s, "%llum%02us", seconds / 60, (unsigned)(seconds % 60));
    } else if (seconds < 2 * 86400) {
        sentence_add(&s, "%lluh", seconds / 3600);
    } else {
        sentence_add(&s, "%llud", seconds / 86400);
    }
    return text;
}

const char *time_format(uint64_t unix_ms, char text[TIME_TEXT_SIZE])
{
    struct sentence s;
    unsigned seconds = (unsigned)(unix_ms / 1000 % 86400);
    sentence_init(&s, text, TIME_TEXT_SIZE);
    sentence_add(&s, "%02u:%02u:%02uZ", seconds / 3600, seconds / 60 % 60, seconds % 60);
    return text;
}
