/* How far a copy is behind, where that is going, and when it crosses its limit. A leader samples the lag of each copy once a second into a
 * bounded series; a line through the samples (least squares) is the trend. The series is part of the observation: whoever has one asks. */
#ifndef MQ_RAFT_RULES_LAG_H
#define MQ_RAFT_RULES_LAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sentence.h"
#include "base/severity.h"

#define LAG_SERIES_MAX      32
#define LAG_SAMPLE_MS       1000u /* between two samples */
#define LAG_TREND_SAMPLES   5     /* fewer show no trend */
#define LAG_LIMIT_MS        5000u /* yellow */
#define LAG_LIMIT_ORANGE_MS 30000u
#define LAG_PREDICT_MS      900000u  /* a breach within a quarter of an hour is yellow now */
#define LAG_HORIZON_MS      3600000u /* later than an hour is never */
#define LAG_FLOOR_MS        500u     /* below it a slope is noise */
#define LAG_PREDICT_FLOOR_MS \
    2000u /* below it a predicted breach is no alarm yet: a burst looks like that */
#define LAG_SLOPE_US_MIN 1000 /* a second of lag gained in a quarter of an hour */

struct lag_series {
    struct {
        uint64_t time_ms, lag_ms;
    } samples[LAG_SERIES_MAX]; /* a ring */
    uint32_t first, n;
};

/* Forgets everything: another leader counts anew. */
void lag_series_clear(struct lag_series *s);
/* Keeps it when the last one is LAG_SAMPLE_MS old, over the oldest. A time before the last is ignored. */
void lag_series_add(struct lag_series *s, uint64_t now_ms, uint64_t lag_ms);
/* Microseconds of lag a second; false while there are too few samples, or none of the last few seconds. */
bool lag_series_slope(const struct lag_series *s, uint64_t now_ms, int64_t *out_slope_us);

enum lag_course {
    LAG_COURSE_UNKNOWN,
    LAG_NEVER,      /* below the limit, and not on the way to it */
    LAG_BREACH,     /* below it, and reaches it in eta_ms */
    LAG_CLEARS,     /* above it, and below it again in eta_ms */
    LAG_NOT_FALLING /* above it, and staying there */
};

struct lag_verdict {
    enum severity severity;
    enum lag_course course;
    uint64_t eta_ms; /* of BREACH and CLEARS */
};

/* limit_ms 0: LAG_LIMIT_MS. */
struct lag_verdict lag_judge(uint64_t lag_ms, bool slope_known, int64_t slope_us,
                             uint64_t limit_ms);
/* "never", "in 11m20s", "below in 12.00s", "not falling", "?". */
void lag_eta_text(const struct lag_verdict *v, struct sentence *s);

#endif
