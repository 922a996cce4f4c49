/* A short array, searched from the front. */
#include "node/feed/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool same_object(const struct trouble *x, const char *object)
{
    return strncmp(x->object, object, sizeof(x->object) - 1) == 0;
}

static int place_of(const struct troubles *t, const char *id, const char *object)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (strcmp(t->items[i].id, id) == 0 && same_object(&t->items[i], object)) {
            return (int)i;
        }
    }
    return -1;
}

const struct trouble *trouble_find(const struct troubles *t, const char *id, const char *object)
{
    int at = place_of(t, id, object);
    return at < 0 ? NULL : &t->items[at];
}

void trouble_raise(struct troubles *t, const char *id, const char *object, uint64_t now_ms,
                   const char *hint, const char *format, ...)
{
    int at = place_of(t, id, object);
    if (at < 0 && t->n == TROUBLES_MAX) {
        t->more = true;
        return;
    }
    struct trouble *x = &t->items[at < 0 ? t->n : (uint32_t)at];
    if (at < 0) {
        snprintf(x->id, sizeof(x->id), "%s", id);
        snprintf(x->object, sizeof(x->object), "%s", object);
        x->since_ms = now_ms;
        t->n++;
        t->version++;
    }
    snprintf(x->hint, sizeof(x->hint), "%s", hint);
    va_list args;
    va_start(args, format);
    vsnprintf(x->text, sizeof(x->text), format, args);
    va_end(args);
}

static void take_out(struct troubles *t, uint32_t at)
{
    memmove(&t->items[at], &t->items[at + 1], (t->n - at - 1) * sizeof(t->items[0]));
    t->n--;
    t->more = false;
    t->version++;
}

bool trouble_clear(struct troubles *t, const char *id, const char *object)
{
    int at = place_of(t, id, object);
    if (at >= 0) {
        take_out(t, (uint32_t)at);
    }
    return at >= 0;
}

void trouble_clear_object(struct troubles *t, const char *object)
{
    for (uint32_t i = t->n; i > 0; i--) {
        if (same_object(&t->items[i - 1], object)) {
            take_out(t, i - 1);
        }
    }
}
