/* What may be proposed: a command is decoded, within bounds of memory, before it becomes part of
 * an entry; one that carries anything this feature level does not know is refused, because apply
 * could not be the same everywhere. Pure. */
#ifndef MQ_NODE_COMMAND_CHECK_H
#define MQ_NODE_COMMAND_CHECK_H

#include "base/buffer.h"
#include "base/status.h"

/* Bits of what a connection may do. */
enum right {
    RIGHT_VIEW = 1,     /* queries, status */
    RIGHT_FEED = 2,     /* leases, reports, dictionary, sessions */
    RIGHT_OPERATE = 4,  /* switchover */
    RIGHT_ADMIN = 8,    /* users */
    RIGHT_INTERNAL = 16 /* founding, owner, tick: nodes only */
};
#define RIGHTS_ALL 31u

/* OK with the right it needs; MALFORMED, INVALID, TOO_BIG, VERSION. text: why. */
enum status command_check(struct bytes command, uint32_t *out_rights, const char **out_text);
enum status query_check(struct bytes query, const char **out_text);

#endif
