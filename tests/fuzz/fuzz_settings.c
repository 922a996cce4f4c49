/* Any bytes as a configuration file, through inih and a table with every type of value: what is accepted is within its limits, and
 * a refusal names the file. The same bytes as a single value with a unit. */
#include "base/settings.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

struct things {
    char name[16], word[8];
    uint64_t bytes, duration_ms, number;
    bool flag;
    int choice;
    struct setting_list list;
};

static const struct setting table[] = {
    SETTING_STRING("node", "name", struct things, name, NULL, "must be given"),
    SETTING_STRING("node", "word", struct things, word, "", "may be empty"),
    SETTING_BYTES("limits", "bytes", struct things, bytes, "4KB", 512, 1ull << 40, "a size"),
    SETTING_DURATION("limits", "duration", struct things, duration_ms, "5s", 100, 60000, "a time"),
    SETTING_INTEGER("limits", "number", struct things, number, "7", 2, 65536, "a number"),
    SETTING_BOOLEAN("limits", "flag", struct things, flag, "yes", "yes or no"),
    SETTING_CHOICE("limits", "choice", struct things, choice, "two", "one|two|three", "a choice"),
    SETTING_LIST("limits", "list", struct things, list, "", "words"),
};

#define TABLE_N (sizeof(table) / sizeof(table[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void whole_file(const uint8_t *data, size_t size)
{
    struct things t;
    struct error e = {0};
    memset(&t, 0, sizeof(t));
    ini_max_line = SETTINGS_LINE_BYTES_MAX;
    enum status s = settings_load(ini_parse_stream, "f.conf", (struct bytes){data, size}, table,
                                  TABLE_N, &t, &e);
    if (s != OK) {
        must(strncmp(e.text, "f.conf", 6) == 0);
        return;
    }
    must(memchr(t.name, '\0', sizeof(t.name)) != NULL && t.name[0] != '\0');
    must(memchr(t.word, '\0', sizeof(t.word)) != NULL);
    must(t.bytes >= 512 && t.bytes <= 1ull << 40);
    must(t.duration_ms >= 100 && t.duration_ms <= 60000);
    must(t.number >= 2 && t.number <= 65536);
    must(t.choice >= 0 && t.choice <= 2);
    must(t.list.n <= SETTING_LIST_MAX);
    for (unsigned i = 0; i < t.list.n; i++) {
        must(memchr(t.list.items[i], '\0', SETTING_ITEM_MAX) != NULL);
        must(strcspn(t.list.items[i], " \t,") == strlen(t.list.items[i]));
    }
}

static void one_value(const uint8_t *data, size_t size)
{
    char text[64];
    uint64_t value;
    size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    (void)setting_parse_bytes(text, &value);
    (void)setting_parse_duration(text, &value);
    if (setting_parse_integer(text, &value)) {
        must(text[0] >= '0' && text[0] <= '9'); /* blanks behind it are no matter */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        one_value(data, size);
    }
    whole_file(data, size);
    return 0;
}
