/* Does the log that is read belong to this Postfix at all? Every message that leaves a queue leaves lines under the name of its instance;
 * a log that has none while messages vanish is another one: of before the journal, of another name. Pure. */
#ifndef MQ_NODE_FEED_QUEUE_SILENCE_H
#define MQ_NODE_FEED_QUEUE_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_SILENCE_SWEEPS 3u

struct queue_silence { /* zeroed: nothing is known */
    uint64_t ours;     /* lines, at the last sweep */
    unsigned sweeps;   /* that found messages vanished since there was a line */
};

/* A complete sweep has ended. ours: lines of this instance so far; vanished: messages that this sweep has closed and no line explains.
 * true: the log is wordless. */
bool queue_silence_sweep(struct queue_silence *s, uint64_t ours, uint32_t vanished);

#endif
