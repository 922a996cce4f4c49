/* The JSON side of a screen: the envelope of api v1. Every field is always there, null when it is not known. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/screen.h"

void screen_print_json(const struct screen *s, bool compact, FILE *out);

json_t *json_text_sized(const char *text, size_t size)
{
    json_t *j = json_stringn(text, size);
    if (j != NULL) {
        return j;
    }
    char *copy = malloc(size + 1); /* no UTF-8: keep what is ASCII */
    if (copy == NULL) {
        return json_null();
    }
    for (size_t i = 0; i < size; i++) {
        copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    }
    j = json_stringn(copy, size);
    free(copy);
    return j != NULL ? j : json_null();
}

json_t *json_text(const char *text)
{
    return json_text_sized(text, strlen(text));
}

json_t *json_u64(uint64_t value)
{
    return json_sprintf("%" PRIu64, value);
}

json_t *json_u64_or_null(bool known, uint64_t value)
{
    return known ? json_u64(value) : json_null();
}

json_t *json_time(uint64_t unix_ms)
{
    char text[40];
    struct tm tm;
    time_t seconds = (time_t)(unix_ms / 1000);
    if (unix_ms == 0 || gmtime_r(&seconds, &tm) == NULL) {
        return json_null();
    }
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(unix_ms % 1000));
    return json_string(text);
}

json_t *json_date(int64_t unix_seconds)
{
    struct tm tm;
    time_t seconds = (time_t)unix_seconds;
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        return json_null();
    }
    return json_sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

json_t *json_seconds(bool known, uint64_t ms)
{
    return known ? json_real((double)ms / 1000) : json_null();
}

json_t *json_hex(struct bytes b)
{
    char text[257];
    if (b.size > (sizeof(text) - 1) / 2) {
        return json_null();
    }
    hex_format(b, text, sizeof(text));
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_text(text) : json_null();
}

void screen_message(struct screen *s, const char *id, enum severity severity, const char *object,
                    const char *text, const char *hint)
{
    json_array_append_new(
        s->messages, json_pack("{s:s, s:s, s:o, s:n, s:o, s:o, s:n}", "id", id, "severity",
                               severity_name(severity), "object", text_or_null(object), "since",
                               "text", json_text(text), "hint", text_or_null(hint), "do_not"));
}

void screen_message_more(struct screen *s, uint64_t since_ms, const char *avoid)
{
    json_t *last = json_array_get(s->messages, json_array_size(s->messages) - 1);
    json_object_set_new(last, "since", json_time(since_ms));
    json_object_set_new(last, "do_not", text_or_null(avoid));
}

void screen_print_json(const struct screen *s, bool compact, FILE *out)
{
    json_t *cluster =
        json_pack("{s:o, s:o, s:o}", "name", text_or_null(s->cluster_name), "id",
                  text_or_null(s->cluster_id), "epoch", json_u64_or_null(s->epoch != 0, s->epoch));
    json_t *source =
        json_pack("{s:o, s:s, s:o}", "node", text_or_null(s->node), "consistency",
                  s->quorum ? "quorum" : "local", "age_seconds",
                  json_seconds(s->node[0] != '\0' && s->age_ms < UINT64_MAX / 2, s->age_ms));
    json_t *all = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:O, s:O}", "api", "v1", "kind",
                            s->kind, "cluster", cluster, "as_of", json_time(s->as_of_ms), "source",
                            source, "severity", severity_name(s->severity), "summary",
                            json_text(s->summary), "messages", s->messages, "data", s->data);
    if (all != NULL) {
        json_dumpf(all, out,
                   (compact ? (size_t)JSON_COMPACT : JSON_INDENT(2)) | JSON_PRESERVE_ORDER |
                       JSON_REAL_PRECISION(9));
        fputc('\n', out);
    }
    json_decref(all);
}
