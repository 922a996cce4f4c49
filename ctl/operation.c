/* Bytes are written as sizes, all else as numbers. */
#include "ctl/operation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "ctl/screen.h"

#define WHOLE_MAX   1e19 /* more than any honest number, and within uint64_t */
#define PERCENT_MAX 999.0

static uint64_t whole(double value)
{
    return (uint64_t)(value < WHOLE_MAX ? value : WHOLE_MAX);
}

double operation_rate(const Mq__OperationRow *row)
{
    return row->elapsed_ms >= 100 ? (double)row->done * 1000 / (double)row->elapsed_ms : 0;
}

bool operation_stalled(const Mq__OperationRow *row)
{
    return row->running && row->still_ms >= OPERATION_STALL_MS;
}

bool operation_eta(const Mq__OperationRow *row, uint64_t *out_ms)
{
    double rate = operation_rate(row);
    if (!row->running || row->total == 0 || rate <= 0 || operation_stalled(row) ||
        row->done > row->total) {
        return false;
    }
    *out_ms = whole((double)(row->total - row->done) * 1000 / rate);
    return true;
}

static const char *amount(const Mq__OperationRow *row, double value, char text[SPAN_TEXT_SIZE])
{
    if (strcmp(row->unit, "bytes") == 0) {
        return size_format(whole(value), text);
    }
    snprintf(text, SPAN_TEXT_SIZE, value < 10 && value != (double)whole(value) ? "%.1f" : "%.0f",
             value);
    return text;
}

const char *operation_format(const Mq__OperationRow *row, char *text, size_t size)
{
    char a[SPAN_TEXT_SIZE], b[SPAN_TEXT_SIZE], amounts[100] = "", rate[60] = "", left[60] = "";
    bool bytes = strcmp(row->unit, "bytes") == 0;
    uint64_t eta_ms;
    if (row->total > 0) {
        double percent = (double)row->done * 100 / (double)row->total;
        snprintf(amounts, sizeof(amounts), ": %u%%, %s of %s%s%s",
                 (unsigned)(percent < PERCENT_MAX ? percent : PERCENT_MAX),
                 amount(row, (double)row->done, a), amount(row, (double)row->total, b),
                 bytes ? "" : " ", bytes ? "" : row->unit);
    }
    if (row->running && operation_rate(row) > 0) {
        snprintf(rate, sizeof(rate), ", %s/s", amount(row, operation_rate(row), a));
    }
    if (operation_eta(row, &eta_ms)) {
        snprintf(left, sizeof(left), ", %s left", span_format(eta_ms, a));
    }
    snprintf(text, size, "%s%s%s%s%s%s", row->step, amounts, rate, left,
             row->waits[0] != '\0' ? ", waits for " : "", row->waits);
    return text;
}
