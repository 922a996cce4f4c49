/* strptime(3) reads the fields, timegm(3) takes them as UTC. */
#include "ctl/moment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/settings.h"

/* ".250" in milliseconds; what is behind it in *out_rest. */
static uint64_t fraction(const char *at, const char **out_rest)
{
    uint64_t ms = 0;
    *out_rest = at;
    if (at[0] != '.') {
        return 0;
    }
    at++;
    for (uint64_t unit = 100; *at >= '0' && *at <= '9'; at++, unit /= 10) {
        ms += (uint64_t)(*at - '0') * unit;
    }
    *out_rest = at;
    return ms;
}

bool moment_parse(const char *text, uint64_t now_unix_ms, uint64_t *out_unix_ms)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%d"};
    uint64_t ago;
    if (setting_parse_duration(text, &ago)) {
        *out_unix_ms = ago < now_unix_ms ? now_unix_ms - ago : 0;
        return true;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm;
        memset(&tm, 0, sizeof(tm));
        const char *rest = strptime(text, forms[i], &tm);
        if (rest == NULL) {
            continue;
        }
        uint64_t ms = fraction(rest, &rest);
        time_t seconds = timegm(&tm);
        if ((strcmp(rest, "Z") == 0 || rest[0] == '\0') && seconds >= 0) {
            *out_unix_ms = (uint64_t)seconds * 1000 + ms;
            return true;
        }
    }
    return false;
}

const char *moment_format(uint64_t unix_ms, char text[MOMENT_TEXT_SIZE])
{
    struct tm tm;
    time_t seconds = (time_t)(unix_ms / 1000);
    if (unix_ms == 0 || gmtime_r(&seconds, &tm) == NULL) {
        snprintf(text, MOMENT_TEXT_SIZE, "?");
        return text;
    }
    size_t n = strftime(text, MOMENT_TEXT_SIZE - 5, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(text + n, MOMENT_TEXT_SIZE - n, ".%03uZ", (unsigned)(unix_ms % 1000));
    return text;
}
