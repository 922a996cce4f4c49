/* Moments as people write them. */
#ifndef MQ_CTL_MOMENT_H
#define MQ_CTL_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* "10m" (so long before now), or RFC 3339 in UTC: "2026-11-24", "2026-11-24T14:00Z", "2026-11-24T14:00:05.250Z". Pure. */
bool moment_parse(const char *text, uint64_t now_unix_ms, uint64_t *out_unix_ms);
/* "2026-11-24 14:00:05.250Z"; "?" for 0. */
#define MOMENT_TEXT_SIZE 32
const char *moment_format(uint64_t unix_ms, char text[MOMENT_TEXT_SIZE]);

#endif
