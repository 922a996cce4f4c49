/* Halves: the first, which answered last time, is given the most. */
#include "ctl/round.h"

#define LATE_MS_MAX 300u

uint64_t round_until_ms(uint64_t now_ms, uint64_t end_ms, unsigned nodes_left)
{
    uint64_t left = end_ms > now_ms ? end_ms - now_ms : 0;
    return now_ms + (nodes_left > 1 ? left / 2 : left);
}

bool round_late(uint64_t began_ms, uint64_t now_ms, uint64_t end_ms)
{
    uint64_t whole = end_ms > began_ms ? end_ms - began_ms : 0;
    uint64_t late_ms = whole / 4 < LATE_MS_MAX ? whole / 4 : LATE_MS_MAX;
    return now_ms >= end_ms || end_ms - now_ms <= late_ms;
}
