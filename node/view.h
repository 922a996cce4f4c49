/* What every node tells every other each 200 ms (FRAME_PEER_VIEW): itself as an mq.NodeView. What
 * was received is kept with its age; too old is unknown, never the last value. */
#ifndef MQ_NODE_VIEW_H
#define MQ_NODE_VIEW_H

#include "base/buffer.h"
#include "base/executor.h"
#include "base/identity.h"
#include "proto/api.pb-c.h"
#include "raft/rules/observation.h"

struct node;

#define VIEW_MS         200u
#define VIEW_AGE_MS_MAX SAID_MS_MAX
#define STALL_MS        1000u /* between two ticks: this node stood still */

struct peer_view {
    Mq__NodeView *view; /* owned; NULL = never */
    uint64_t received_ms;
    uint64_t since_ms; /* they have come without a break since then */
};

struct views {
    struct node *node;
    struct peer_view peers[NODES_MAX + 1];
    uint64_t sent_ms, disk_asked_ms;
    uint64_t started_ms, ticked_ms;
    uint64_t stall_ms, stall_end_ms; /* the loop stood still for so long, until then; 0 = never */
    struct job disk_job;
    bool disk_running;
    uint64_t disk_free_bytes, disk_total_bytes, work_free_bytes, work_total_bytes;
};

void views_init(struct views *v, struct node *n);
void views_deinit(struct views *v);
void views_tick(struct views *v, uint64_t now_ms);
enum status view_receive(struct views *v, node_id from, struct bytes payload);
/* Ours, now. Packed into a new block. */
struct block *view_pack_own(struct views *v);
/* NULL when unknown: never heard or too old. *out_age_ms is set whenever one was ever heard
 * (UINT64_MAX: never). */
const Mq__NodeView *view_find(const struct views *v, node_id node, uint64_t *out_age_ms);
/* Its last words however old, as history; NULL = never. */
const Mq__NodeView *view_last(const struct views *v, node_id node);

#endif
