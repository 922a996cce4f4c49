/* An operation of a node as it is shown: how fast, how long yet, what it waits for. Pure. */
#ifndef MQ_CTL_OPERATION_H
#define MQ_CTL_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/api.pb-c.h"

#define OPERATION_STALL_MS  30000u
#define OPERATION_TEXT_SIZE 240

/* A second, over its whole time; 0 = not known. */
double operation_rate(const Mq__OperationRow *row);
/* false: cannot be told (no total, or it does not move). */
bool operation_eta(const Mq__OperationRow *row, uint64_t *out_ms);
/* It runs, and has not moved for long. */
bool operation_stalled(const Mq__OperationRow *row);
/* "fetching from bj1: 41% of 9.1G, 12.0M/s, 6m12s left, waits for the disk" */
const char *operation_format(const Mq__OperationRow *row, char *text, size_t size);

#endif
