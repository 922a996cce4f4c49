/* Whose turn it is to be visited, and how long a sick user waits. Pure.
 *
 * A user is sick when its last visit failed or its listing is slow: each visit of it may hold its slot for the whole deadline. So that a
 * few of them (a hung NFS volume) do not starve all others:
 *
 *   - a quarter of the slots, at least one, is the sick ones' and is given to them first, so that they are not starved either;
 *   - the others are for the healthy; the sick may have them when no healthy user waits, all but one;
 *   - when there is but one slot, a sick visit is followed by a rest of three times what it took: a quarter of the time is the sick ones';
 *   - they wait after each failure, twice as long each time, from TURN_PATIENCE_MIN_MS up to TURN_PATIENCE_MAX_MS. */
#ifndef MQ_NODE_FEED_TURN_H
#define MQ_NODE_FEED_TURN_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_SICK_PART       4u /* of the slots, or of the time of the only one */
#define TURN_PATIENCE_MIN_MS 1000u
#define TURN_PATIENCE_MAX_MS 300000u

enum turn_lane { TURN_HEALTHY, TURN_SICK, TURN_NOBODY };
#define TURN_LANES TURN_NOBODY

struct turn {
    uint64_t slots;
    uint64_t running[TURN_LANES];
    bool waits[TURN_LANES];
    bool rests; /* turn_rest_ms() has not passed yet */
};

enum turn_lane turn_next(const struct turn *t);
/* From the end of a sick visit to the beginning of the next one; 0 with more than one slot. */
uint64_t turn_rest_ms(uint64_t slots, uint64_t took_ms);
/* After so many failures in a row; 0 after none. */
uint64_t turn_patience_ms(unsigned failures);

#endif
