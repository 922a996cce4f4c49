/* Assigning users to shards: people, and the queue/HOST that owns the mail queues of a host. */
#ifndef MQ_CTL_USER_H
#define MQ_CTL_USER_H

#include "ctl/ctl.h"

struct user_assignment {
    const char *user, *shard;
    const char *priority;        /* NULL: none */
    const char *what;            /* that the directory does not hold: "users" */
    const Mq__FoundingShard *to; /* out */
};
/* Done twice it is the same as once. On OK *out_result is the caller's to free (mq__admin_result__free_unpacked); on failure all is said. */
enum status user_assign(struct ctl *c, struct user_assignment *w, struct call_answer *a,
                        Mq__AdminResult **out_result, enum exit_code *out_code);

#endif
