/* How doveadm is called: the configured path, its configuration file, the words, the deadline. */
#ifndef MQ_NODE_FEED_DOVEADM_H
#define MQ_NODE_FEED_DOVEADM_H

#include "node/feed/child.h"
#include "node/feed/feed_config.h"

#define DOVEADM_WORDS_MAX 16
#define DOVEADM_EX_NOTFOUND \
    68 /* EX_NOHOST of sysexits.h: some mailbox does not exist, and nothing worse */
#define DOVEADM_STATUS_FIELDS "guid uidvalidity uidnext highestmodseq messages"

/* Did a listing of mailboxes name all that there are? Yes also when doveadm could not open some because they do not exist: Dovecot's list
 * index goes on naming mailboxes that were deleted, and then `mailbox status` says so each time and ends with EX_NOHOST. */
bool doveadm_listing_whole(const struct child *c);
/* words end in NULL; inherit_fd >= 0 becomes descriptor 3. As child_start. */
enum status doveadm_start(struct child *c, uv_loop_t *loop, const struct feed_config *f,
                          const char *const words[], int inherit_fd);

#endif
