/* The largest unit that leaves a whole number. */
#include "base/setting_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void bytes_format(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"", "KB", "MB", "GB", "TB"};
    unsigned unit = 0;
    while (bytes >= 1024 && bytes % 1024 == 0 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, size, "%" PRIu64 "%s", bytes, units[unit]);
}

static void duration_format(uint64_t ms, char *text, size_t size)
{
    bool minutes = ms >= 60000 && ms % 60000 == 0;
    bool seconds = ms >= 1000 && ms % 1000 == 0;
    snprintf(text, size, "%" PRIu64 "%s",
             minutes   ? ms / 60000
             : seconds ? ms / 1000
                       : ms,
             minutes   ? "m"
             : seconds ? "s"
                       : "ms");
}

const char *setting_number_format(const struct setting *row, uint64_t value, char *text,
                                  size_t size)
{
    if (row->type == SETTING_TYPE_BYTES) {
        bytes_format(value, text, size);
    } else if (row->type == SETTING_TYPE_DURATION) {
        duration_format(value, text, size);
    } else {
        snprintf(text, size, "%" PRIu64, value);
    }
    return text;
}

static void choice_format(const struct setting *row, int place, char *text, size_t size)
{
    const char *at = row->choices;
    for (; place > 0 && *at != '\0'; place--) {
        at += strcspn(at, "|");
        at += *at == '|';
    }
    snprintf(text, size, "%.*s", (int)strcspn(at, "|"), at);
}

static void list_format(const struct setting_list *list, char *text, size_t size)
{
    text[0] = '\0';
    for (unsigned i = 0, at = 0; i < list->n && at < size; i++) {
        int n = snprintf(text + at, size - at, "%s%s", i > 0 ? " " : "", list->items[i]);
        at += n > 0 ? (unsigned)n : 0;
    }
}

const char *setting_value_format(const struct setting *row, const void *of, char *text, size_t size)
{
    const char *field = (const char *)of + row->offset;
    switch (row->type) {
        case SETTING_TYPE_STRING:
            snprintf(text, size, "%s", field);
            break;
        case SETTING_TYPE_BOOLEAN:
            snprintf(text, size, "%s", *(const bool *)(const void *)field ? "yes" : "no");
            break;
        case SETTING_TYPE_CHOICE:
            choice_format(row, *(const int *)(const void *)field, text, size);
            break;
        case SETTING_TYPE_LIST:
            list_format((const struct setting_list *)(const void *)field, text, size);
            break;
        default:
            return setting_number_format(row, *(const uint64_t *)(const void *)field, text, size);
    }
    return text;
}
