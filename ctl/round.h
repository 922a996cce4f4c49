/* A round asks each of some nodes once, within one deadline: a few that are silent must leave time for the one that answers. Pure. */
#ifndef MQ_CTL_ROUND_H
#define MQ_CTL_ROUND_H

#include <stdbool.h>
#include <stdint.h>

/* Until when the next of `nodes_left` nodes is waited for: half of what is left, all of it for the last. */
uint64_t round_until_ms(uint64_t now_ms, uint64_t end_ms, unsigned nodes_left);
/* Nothing new is begun any more: with less than 300 ms, and less than a quarter of the whole, it could only end unknown. */
bool round_late(uint64_t began_ms, uint64_t now_ms, uint64_t end_ms);

#endif
