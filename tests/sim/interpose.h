/* Where the executables of this folder answer for the system (interpose.c). */
#ifndef MQ_TESTS_SIM_INTERPOSE_H
#define MQ_TESTS_SIM_INTERPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* world.c: the virtual clock and the seeded chance while a world runs; false: ask the kernel. */
bool interpose_clock(int clock, struct timespec *out_time);
bool interpose_random(void *data, size_t size);
/* The kernel's own clock, whatever runs. */
double interpose_real_seconds(void);

#endif
