/* Between the three files of a visit. */
#ifndef MQ_NODE_FEED_VISIT_INTERNAL_H
#define MQ_NODE_FEED_VISIT_INTERNAL_H

#include "node/feed/visit.h"

/* Decides what comes next; called when a child or a question is back. */
void visit_advance(struct visit *v);
/* The first end counts; later calls only see whether all has come back. */
void visit_over(struct visit *v, enum visit_end end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* All that was listed is reported: ends it, FAILED when something could not be read. */
void visit_reported(struct visit *v);
/* Asks until there is an answer that counts, then visit_advance() (or visit_over()). */
void visit_ask(struct visit *v, enum visit_ask ask);
void visit_session_start(struct visit *v);
void visit_session_advance(struct visit *v);
/* The cluster will not have this mailbox; the others of the user go on. */
void visit_session_discard(struct visit *v);
/* The mailbox of the slice under way needs a full comparison. */
void visit_session_resync(struct visit *v);
/* The slice under way is applied: the roster moves, the next slice or page follows. */
void visit_slice_applied(struct visit *v, const struct report_place *place);
bool visit_box_differs(struct visit *v, const struct visit_box *b);
/* The name as reports have it. */
void visit_report_name(const struct visit *v, const char *name, char out[MAILBOX_NAME_MAX + 1]);

#endif
