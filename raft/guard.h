/* The guards around libraft 0.22.1, one small function for each fault of facts/libraft.md
 * section 3, named as there.
 *
 * Happy path: engine.c asks each guard at the place where its fault would enter; a guard looks
 * at the public fields of struct raft and at one message, and changes the message, or says that
 * it is to be dropped. Nothing here has state, does I/O or can fail. A guard that is switched
 * off (tests only) does what the bare library would have had happen. */
#ifndef MQ_RAFT_GUARD_H
#define MQ_RAFT_GUARD_H

#include <raft.h>

#include <stdbool.h>
#include <stdint.h>

#include "raft/engine.h"

bool guard_enabled(enum engine_guard guard);

/* The trail, read as libraft reads it. Term 0: the index is in neither log nor snapshot. */
uint64_t guard_last_index(const struct raft *r);
uint64_t guard_term_of(const struct raft *r, uint64_t index);

/* What comes in. */
void guard_prev0(const struct raft *r,
                 struct engine_message *m); /* F1: re-anchors at our snapshot */
void guard_commit(const struct raft *r,
                  struct engine_message *m); /* F7: a message that ends below our commit */
bool guard_reject(const struct raft *r,
                  const struct engine_message *m); /* F8: true = drop an old rejection */
bool guard_voteres(const struct raft *r);          /* F10: true = drop, not a candidate */
bool guard_busy(const struct raft *r);             /* F11: true = drop, installing */
uint32_t guard_split(const struct engine_entry *entries,
                     uint32_t n); /* F5: entries in the next part */
bool guard_confirm(
    const struct raft *r,
    const struct engine_message *m); /* F6: true = confirm the change we hold first */

/* What goes out. */
void guard_prevote(const struct raft *r,
                   struct engine_message *m);                 /* F3: a refusal tells our own term */
void guard_stale(bool older, struct engine_message *m);       /* F9: no false acknowledgement */
uint64_t guard_commit_max(uint64_t known, uint64_t reported); /* F7: own maximum */

/* What we ask of it. */
bool guard_noop_missing(
    const struct raft *r); /* F12: leads, and the last entry is not of its own term */
bool guard_noop_committed(const struct raft *r); /* F12: an entry of the own term is committed */
bool guard_solo(
    const struct raft *r); /* F2: the only voter is us: a new leadership needs a new term */
uint64_t guard_timer(const struct raft *r, uint64_t last_tick); /* F13 */

#endif
