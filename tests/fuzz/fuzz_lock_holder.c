/* Any bytes as /proc/locks, as /proc/PID/stat and as a lock file of Dovecot: it ends, and what is found are pids and a host's name. */
#include "node/feed/lock_holder.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char host[LOCK_HOLDER_HOST_MAX + 1];
    int64_t waiter, holder, group;
    uint64_t ticks;
    size_t n = 0;
    char *text = malloc(size + 1);
    must(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    struct lock_lines lines = {.at = text};
    while (lock_holder_next(&lines, &waiter, &holder)) {
        must(waiter > 0 && holder > 0);
        must(++n <= size);
    }
    must(lines.at == text + strlen(text));
    if (lock_holder_parse_file(text, &holder, host)) {
        must(holder > 0 && memchr(host, '\0', sizeof(host)) != NULL);
    }
    (void)lock_holder_parse_stat(text, &group, &ticks);
    free(text);
    return 0;
}
