/* The last resort against hanging: a name look-up blocks as long as a resolver likes, and nothing in libc can shorten it. */
#ifndef MQ_CTL_TIME_LIMIT_H
#define MQ_CTL_TIME_LIMIT_H

#include <stdint.h>

/* Ends the process after so long with this code, saying `text` (borrowed for ever; empty = nothing) on standard error. Once a process; a
 * second call moves the limit. ms 0: no limit any more. */
void time_limit_start(uint64_t ms, int exit_code, const char *text);

#endif
