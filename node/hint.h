/* Hints (OP_TOUCH): a mailbox may have changed. Not replicated: told to the subscribers here and
 * once to every peer; lost if nobody hears. */
#ifndef MQ_NODE_HINT_H
#define MQ_NODE_HINT_H

#include "node/service.h"

enum status hint_receive(struct service *s, const struct frame *f);
void hint_touch(struct request *r);
void hint_subscribe(struct request *r);

#endif
