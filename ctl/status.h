/* Fetching the status view, and what is to be said about it. */
#ifndef MQ_CTL_STATUS_H
#define MQ_CTL_STATUS_H

#include "ctl/cluster_view.h"
#include "ctl/ctl.h"

#define STATUS_EXPLAIN_NOTHING (-1)

/* The nodes are asked in turn until one has a quorum view; else the last answer counts, and says that it has none. *out_view is the
 * caller's (cluster_view_free). explain: of this shard the explanation too. */
enum status status_fetch(struct ctl *c, int explain, struct cluster_view **out_view,
                         struct call_answer *out_answer, enum exit_code *out_code);
/* Puts a message for each of the node's findings and each trouble of a feed into the screen; the highest severity among them. */
enum severity status_judge(const struct cluster_view *v, uint64_t now_ms, struct screen *s);
/* The same for a command whose subject is another one: why it is not green in one sentence, and the messages as JSON only. */
enum severity status_brief(const struct cluster_view *v, uint64_t now_ms, struct screen *s);
/* A severity of a message; an unknown one is red. */
enum severity status_severity(uint32_t number);
enum exit_code status_exit_code(const struct cluster_view *v, enum severity severity);
/* Header of any command that shows a view: cluster, source, NO QUORUM VIEW. */
void status_source(const struct cluster_view *v, const struct call_answer *a, struct screen *s,
                   bool local);
/* One look, shown; or one after the other (ctl/status_watch.c). */
enum exit_code status_once(struct ctl *c);
enum exit_code status_watch(struct ctl *c);

#endif
