/* Memory that runs out at a chosen call, for tests of what is done then.
 *
 *     for (unsigned n = 1; n <= calls; n++) { scarce_fail_at(n); CHECK_EQ(work(), STATUS_NO_MEMORY); }
 *
 * Only malloc and calloc of our own code, and only in the programs that CMakeLists.txt links so (scarce_tests). Not for threads. */
#ifndef MQ_TESTS_LIB_SCARCE_H
#define MQ_TESTS_LIB_SCARCE_H

#include <stdint.h>

/* The n-th call from now on gets nothing, those before and behind it do; 0: all of them do. Counts from 0 again. */
void scarce_fail_at(uint64_t n);
/* Calls since. */
uint64_t scarce_calls(void);

#endif
