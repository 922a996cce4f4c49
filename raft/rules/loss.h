/* Whether the process of another node is known to be gone, or has fallen silent (facts/libraft.md U21, Lost).
 *
 * The links observe, this decides. GONE is a fact about the process that was connected: nothing it sent may be used from then
 * on. SILENT is a guess and is taken back as soon as something is heard. Times are monotonic milliseconds. */
#ifndef MQ_RAFT_RULES_LOSS_H
#define MQ_RAFT_RULES_LOSS_H

#include <stdbool.h>
#include <stdint.h>

struct loss_view {
    bool connected;  /* a connection of ours to it is up */
    bool ended;      /* one that was up has ended, and not by us; no new one is up since */
    bool refused;    /* dialled since then: nobody listens there */
    bool other_life; /* it greets with another incarnation than the one we were connected to */
    uint64_t
        heard_ms; /* anything came from it, on any connection; or we ourselves were not running until then */
    uint64_t asked_ms;   /* the oldest ping without an answer; 0 = none */
    uint64_t silence_ms; /* silent after this long */
};

enum loss_verdict { LOSS_NONE = 0, LOSS_SILENT, LOSS_GONE };

struct loss_decision {
    enum loss_verdict verdict;
    const char *reason;
};

/* Without a pong and without a frame for this long a node counts as silent: three fifths of the election timeout (300 ms of
 * 500), and its round trip on top. */
uint64_t loss_silence_ms(uint64_t election_timeout_ms, uint64_t round_trip_us);
struct loss_decision loss_decide(const struct loss_view *v, uint64_t now_ms);

#endif
