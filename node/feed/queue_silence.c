/* A count that a line sets back. */
#include "node/feed/queue_silence.h"

bool queue_silence_sweep(struct queue_silence *s, uint64_t ours, uint32_t vanished)
{
    if (ours != s->ours) {
        s->ours = ours;
        s->sweeps = 0;
    } else if (vanished > 0 && s->sweeps < QUEUE_SILENCE_SWEEPS) {
        s->sweeps++;
    }
    return s->sweeps == QUEUE_SILENCE_SWEEPS;
}
