/* A copy of one shard from one node, as its own nodes fetch it (proto/peer.proto, FRAME_COPY_*), on a connection of its own.
 *
 * copy_stream_run: dial -> TLS, ALPN copy -> request -> head() once -> data() for each piece, in order -> OK after the last.
 * Fails: UNREACHABLE, TLS, NOT_FOUND (its checkpoint is older than min_index), DENIED (our certificate is no administrator's: no node
 * will answer otherwise), CLOSED (it refuses: no such shard or epoch there, or it is not ready), TIMEOUT, and whatever head() or data() say. Memory: one frame. */
#ifndef MQ_CTL_COPY_STREAM_H
#define MQ_CTL_COPY_STREAM_H

#include "ctl/caller.h"
#include "proto/peer.pb-c.h"

struct copy_stream_ops {
    enum status (*head)(void *arg, const Mq__CopyHead *head, struct error *e);
    enum status (*data)(void *arg, uint64_t offset, struct bytes data, bool last, struct error *e);
};

/* address: host:port to use when the configuration does not know the node. */
enum status copy_stream_run(struct caller *c, const char *node, const char *address,
                            const Mq__CopyRequest *request, uint64_t deadline_at_ms,
                            const struct copy_stream_ops *ops, void *arg, struct error *e);

#endif
