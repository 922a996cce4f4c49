/* OP_ADMIN: what an operator asks of the cluster. Each is a task of several steps that ends in one
 * AdminResult.
 *   status       status_view.c     switchover   switchover.c     verify   verify.c     user assign
 *   assigner.c   events   events.c   config, config set   cluster_config.c
 *   operations   operations.c */
#ifndef MQ_NODE_ADMIN_H
#define MQ_NODE_ADMIN_H

#include "node/service.h"

/* Waits for time, looked at each tick; embedded. */
struct task {
    struct list link; /* service->tasks */
    void (*tick)(struct task *t, uint64_t now_ms);
};

void admin_start(struct request *r);
/* Packs and ends the request. text NULL: of the status. */
void admin_finish(struct request *r, Mq__Outcome outcome, enum status s, const char *text,
                  const Mq__AdminResult *result);

void status_view_start(struct request *r, const Mq__AdminStatus *a);
void switchover_start(struct request *r, const Mq__AdminSwitchover *a);
void verify_start(struct request *r, const Mq__AdminVerify *a);
void assign_start(struct request *r, const Mq__AdminUserAssign *a);

#endif
