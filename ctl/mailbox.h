/* Mailboxes and messages as JSON and as text. */
#ifndef MQ_CTL_MAILBOX_H
#define MQ_CTL_MAILBOX_H

#include "ctl/ctl.h"

json_t *mailbox_json(const Mq__Mailbox *m);
json_t *message_json(const Mq__MessageRow *row);
/* "\Seen \Flagged $Junk" */
void flags_format(const Mq__Message *m, char *text, size_t size);

#endif
