/* Sentences for people, built where the failure is understood and prefixed on the way up. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status error_set(struct error *e, enum status s, const char *format, ...)
{
    if (e == NULL) {
        return s;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    e->status = s;
    return s;
}

enum status error_prefix(struct error *e, const char *format, ...)
{
    if (e == NULL) {
        return STATUS_INTERNAL;
    }
    char old[ERROR_TEXT_MAX];
    memcpy(old, e->text, sizeof(old));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(e->text)) {
        snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %.*s", (int)sizeof(old) - 3, old);
    }
    return e->status;
}
