/* The series and the line through it; see the header. */
#include "raft/rules/lag.h"

void lag_series_clear(struct lag_series *s)
{
    s->first = 0;
    s->n = 0;
}

static uint32_t place(const struct lag_series *s, uint32_t i)
{
    return (s->first + i) % LAG_SERIES_MAX;
}

void lag_series_add(struct lag_series *s, uint64_t now_ms, uint64_t lag_ms)
{
    if (s->n > 0 && now_ms < s->samples[place(s, s->n - 1)].time_ms + LAG_SAMPLE_MS) {
        return;
    }
    if (s->n == LAG_SERIES_MAX) {
        s->first = place(s, 1);
        s->n--;
    }
    uint32_t at = place(s, s->n++);
    s->samples[at].time_ms = now_ms;
    s->samples[at].lag_ms = lag_ms;
}

bool lag_series_slope(const struct lag_series *s, uint64_t now_ms, int64_t *out_slope_us)
{
    if (s->n < LAG_TREND_SAMPLES ||
        now_ms > s->samples[place(s, s->n - 1)].time_ms + 5 * LAG_SAMPLE_MS) {
        return false;
    }
    /* Relative to the first sample, so that the sums stay exact. */
    double n = s->n, t_sum = 0, y_sum = 0, ty_sum = 0, tt_sum = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        double t = (double)(s->samples[place(s, i)].time_ms - s->samples[s->first].time_ms);
        double y = (double)s->samples[place(s, i)].lag_ms - (double)s->samples[s->first].lag_ms;
        t_sum += t;
        y_sum += y;
        ty_sum += t * y;
        tt_sum += t * t;
    }
    double spread = n * tt_sum - t_sum * t_sum;
    if (spread <= 0) {
        return false;
    }
    double slope = (n * ty_sum - t_sum * y_sum) / spread * 1e6;
    *out_slope_us = slope > 1e15    ? INT64_C(1000000000000000)
                    : slope < -1e15 ? -INT64_C(1000000000000000)
                                    : (int64_t)slope;
    return true;
}

/* How long a way of so many milliseconds of lag takes at that slope. */
static uint64_t takes_ms(uint64_t way_ms, int64_t slope_us)
{
    double a_second = (double)slope_us;
    double ms = (double)way_ms * 1e6 / (a_second > 0 ? a_second : -a_second);
    return ms < 1e15 ? (uint64_t)ms : UINT64_MAX;
}

static enum lag_course course(uint64_t lag_ms, bool known, int64_t slope_us, uint64_t limit_ms,
                              uint64_t *out_eta_ms)
{
    *out_eta_ms = 0;
    if (lag_ms >= limit_ms) {
        if (!known) {
            return LAG_COURSE_UNKNOWN;
        }
        if (slope_us > -LAG_SLOPE_US_MIN) {
            return LAG_NOT_FALLING;
        }
        *out_eta_ms = takes_ms(lag_ms - limit_ms, slope_us);
        return *out_eta_ms <= LAG_HORIZON_MS ? LAG_CLEARS : LAG_NOT_FALLING;
    }
    if (lag_ms < LAG_FLOOR_MS) {
        return LAG_NEVER;
    }
    if (!known) {
        return LAG_COURSE_UNKNOWN;
    }
    if (slope_us < LAG_SLOPE_US_MIN) {
        return LAG_NEVER;
    }
    *out_eta_ms = takes_ms(limit_ms - lag_ms, slope_us);
    return *out_eta_ms <= LAG_HORIZON_MS ? LAG_BREACH : LAG_NEVER;
}

struct lag_verdict lag_judge(uint64_t lag_ms, bool slope_known, int64_t slope_us, uint64_t limit_ms)
{
    uint64_t limit = limit_ms != 0 ? limit_ms : LAG_LIMIT_MS;
    uint64_t orange = limit > LAG_LIMIT_ORANGE_MS ? limit : LAG_LIMIT_ORANGE_MS;
    struct lag_verdict v = {.severity = SEVERITY_OK};
    v.course = course(lag_ms, slope_known, slope_us, limit, &v.eta_ms);
    if (lag_ms >= limit) {
        v.severity = lag_ms >= orange ? SEVERITY_ORANGE : SEVERITY_YELLOW;
    } else if (v.course == LAG_BREACH && v.eta_ms <= LAG_PREDICT_MS &&
               lag_ms >= LAG_PREDICT_FLOOR_MS) {
        v.severity = SEVERITY_YELLOW;
    }
    return v;
}

void lag_eta_text(const struct lag_verdict *v, struct sentence *s)
{
    char span[SPAN_TEXT_SIZE];
    switch (v->course) {
        case LAG_NEVER:
            sentence_add(s, "never");
            break;
        case LAG_BREACH:
            sentence_add(s, "in %s", span_format(v->eta_ms, span));
            break;
        case LAG_CLEARS:
            sentence_add(s, "below in %s", span_format(v->eta_ms, span));
            break;
        case LAG_NOT_FALLING:
            sentence_add(s, "not falling");
            break;
        default:
            sentence_add(s, "?");
    }
}
