/* Copies we fetch: a connection of their own to the node that has the state, one request, then
 * frames to the host in bounded memory (a frame the host cannot take now stays here, and nothing
 * more is read). host_options.copy_dial, copy_hang_up and copy_resume. */
#ifndef MQ_NODE_COPY_LINK_H
#define MQ_NODE_COPY_LINK_H

#include "raft/host.h"

struct node;

enum status copy_link_dial(struct node *n, struct copy_fetch *f);
void copy_link_hang_up(struct copy_fetch *f);
void copy_link_resume(struct copy_fetch *f);

#endif
