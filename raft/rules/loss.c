/* See loss.h. */
#include "raft/rules/loss.h"

uint64_t loss_silence_ms(uint64_t election_timeout_ms, uint64_t round_trip_us)
{
    return election_timeout_ms * 3 / 5 + round_trip_us / 1000;
}

struct loss_decision loss_decide(const struct loss_view *v, uint64_t now_ms)
{
    if (v->other_life) {
        return (struct loss_decision){LOSS_GONE, "it answers in another life"};
    }
    if (v->ended && v->refused) {
        return (struct loss_decision){LOSS_GONE, "its connection ended, and nobody listens there"};
    }
    if (v->ended) {
        return (struct loss_decision){LOSS_NONE, "its connection ended, it may still run"};
    }
    bool quiet = now_ms >= v->heard_ms + v->silence_ms;
    bool asked = v->asked_ms != 0 && now_ms >= v->asked_ms + v->silence_ms / 3;
    if (v->connected && quiet && asked) {
        return (struct loss_decision){LOSS_SILENT, "connected, and nothing comes from it"};
    }
    return (struct loss_decision){LOSS_NONE, v->connected ? "it is heard" : "not connected"};
}
