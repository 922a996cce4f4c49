/* All nodes at once: a connection to each, for what only the node itself knows (its events, its operations, its configuration). A node that
 * does not answer holds the others up once, for FLEET_MS_MAX, and is then left alone for a while. */
#ifndef MQ_CTL_FLEET_H
#define MQ_CTL_FLEET_H

#include "ctl/ctl.h"

#define FLEET_MS_MAX   1500u /* of one question to one node */
#define FLEET_RETRY_MS 5000u
#define FLEET_MAX      (OPTION_LIST_MAX + 1)

struct fleet_node {
    char name[SETTING_ITEM_MAX]; /* as it is called on the line or in the configuration */
    struct caller *caller;
    uint64_t retry_at_ms;      /* not asked before; 0 = any time */
    struct call_answer answer; /* of the last question */
    struct error why;          /* text empty: it answered */
};

struct fleet {
    unsigned n;
    struct fleet_node nodes[FLEET_MAX];
};

/* The nodes of --node, else of the configuration. */
enum status fleet_open(struct ctl *c, struct fleet **out_f, enum exit_code *out_code);
void fleet_close(struct fleet *f);
/* Not OK: n->why says why not; BUSY: it is being left alone. The result is the caller's to free with mq__admin_result__free_unpacked. */
enum status fleet_ask(struct ctl *c, struct fleet_node *n, Mq__Admin *admin,
                      Mq__AdminResult **out_result);
/* Which cluster it is, by a node that has answered; the view is no quorum's. */
void fleet_source(const struct ctl *c, const struct fleet *f, struct screen *s);
/* One yellow message for each node that did not answer. Gives the exit code: 30 when none did, 10 when some did not or the screen is yellow
 * or worse already, else 0. */
enum exit_code fleet_judge(const struct fleet *f, struct screen *s);

#endif
