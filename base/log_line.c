/* Log lines to stderr, one write each, so that lines of several threads never mix. */
#include "base/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1000

static enum log_level level_min = LOG_LEVEL_INFO;
static void (*line_sink)(void *, enum log_level, const char *);
static void *line_sink_arg;

void log_line_set_level(enum log_level level)
{
    level_min = level;
}

void log_line_set_sink(void (*sink)(void *, enum log_level, const char *), void *arg)
{
    line_sink = sink;
    line_sink_arg = arg;
}

static int put_time(char *at, size_t size)
{
    if (getenv("MQ_LOG_TIME") == NULL) {
        return 0;
    }
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    int n = snprintf(at, size, "%02d:%02d:%02d.%03ld ", tm.tm_hour, tm.tm_min, tm.tm_sec,
                     t.tv_nsec / 1000000);
    return n > 0 ? n : 0;
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level < level_min) {
        return;
    }
    char line[LINE_MAX_BYTES + 2];
    int used = put_time(line, LINE_MAX_BYTES);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, (size_t)(LINE_MAX_BYTES - used), format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    used = used + n < LINE_MAX_BYTES ? used + n : LINE_MAX_BYTES - 1;
    if (line_sink != NULL) {
        line_sink(line_sink_arg, level, line);
        return;
    }
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, (size_t)used);
    (void)written; /* a log line is not an error path */
}
