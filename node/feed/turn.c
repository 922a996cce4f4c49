/* Two lanes; see the header. */
#include "node/feed/turn.h"

static uint64_t sick_share(uint64_t slots)
{
    return slots / TURN_SICK_PART > 1 ? slots / TURN_SICK_PART : 1;
}

enum turn_lane turn_next(const struct turn *t)
{
    uint64_t busy = t->running[TURN_HEALTHY] + t->running[TURN_SICK];
    bool sick = t->waits[TURN_SICK] && !(t->slots == 1 && t->rests);
    if (busy >= t->slots) {
        return TURN_NOBODY;
    }
    if (sick && t->running[TURN_SICK] < sick_share(t->slots)) {
        return TURN_SICK;
    }
    if (t->waits[TURN_HEALTHY]) {
        return TURN_HEALTHY;
    }
    return sick && busy + 1 < t->slots ? TURN_SICK : TURN_NOBODY;
}

uint64_t turn_rest_ms(uint64_t slots, uint64_t took_ms)
{
    return slots == 1 ? took_ms * (TURN_SICK_PART - 1) : 0;
}

uint64_t turn_patience_ms(unsigned failures)
{
    uint64_t ms = TURN_PATIENCE_MIN_MS;
    if (failures == 0) {
        return 0;
    }
    for (unsigned i = 1; i < failures && ms < TURN_PATIENCE_MAX_MS; i++) {
        ms *= 2;
    }
    return ms < TURN_PATIENCE_MAX_MS ? ms : TURN_PATIENCE_MAX_MS;
}
