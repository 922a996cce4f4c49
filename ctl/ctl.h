/* One run of clusterctl: the parsed command line, the configuration, the caller, and what several commands need of the cluster. */
#ifndef MQ_CTL_CTL_H
#define MQ_CTL_CTL_H

#include <stdio.h>

#include "base/version.h"
#include "ctl/arguments.h"
#include "ctl/caller.h"
#include "ctl/ctl_config.h"
#include "ctl/screen.h"

#define CTL_TIMEOUT_MS 10000
#define CTL_VERSION    MAILQUORUM_VERSION

struct ctl {
    struct arguments arguments;
    struct ctl_config config;
    struct caller *caller;
    uint64_t deadline_at_ms;
    Mq__QueryResult *founding_result; /* once asked for */
    char doing[256];                  /* put before a refusal: "user li", "mailbox INBOX of li" */
    const char *hint;                 /* said after a CONFLICT; NULL = nothing */
    bool (*between)(void *arg); /* asked between two nodes of a round: true ends it; may be NULL */
    void *between_arg;
    FILE *out, *err;
};

/* The whole program. */
int ctl_main(int argc, char **argv, FILE *out, FILE *err);

/* Reads the configuration and opens the caller; done before every command that is not OFFLINE. */
enum exit_code ctl_connect(struct ctl *c);
/* The last moment is that much later: the command waits by itself. */
void ctl_more_time(struct ctl *c, uint64_t ms);
/* From here on there is no last moment any more. */
void ctl_endless(struct ctl *c);
/* Says what went wrong (as JSON too, when that is wanted) and gives the exit code. */
enum exit_code ctl_fail(struct ctl *c, const struct error *e);
/* The same where the status alone does not give the code. */
enum exit_code ctl_fail_as(struct ctl *c, const struct error *e, enum exit_code code);
/* A call that must end applied; else ctl_fail's code is in *out_code and the status is not OK. */
enum status ctl_call(struct ctl *c, Mq__RequestHeader *header, struct bytes payload, unsigned flags,
                     struct call_answer *out_answer, enum exit_code *out_code);
/* A query: linearizable, with --local the answering node's own. The result is the caller's to free (mq__query_result__free_unpacked). */
enum status ctl_query(struct ctl *c, const char *user, uint32_t shard, Mq__Query *query,
                      struct call_answer *out_answer, Mq__QueryResult **out_result,
                      enum exit_code *out_code);
/* An admin request; result to be freed with mq__admin_result__free_unpacked. */
enum status ctl_admin(struct ctl *c, uint32_t shard, Mq__Admin *admin, unsigned flags,
                      struct call_answer *out_answer, Mq__AdminResult **out_result,
                      enum exit_code *out_code);
/* A command as a submit. */
enum status ctl_submit(struct ctl *c, Mq__RequestHeader *header, Mq__Command *command,
                       unsigned flags, struct call_answer *out_answer, Mq__Result **out_result,
                       enum exit_code *out_code);

/* The founding record (names of shards and nodes never change); asked for once. */
enum status ctl_founding(struct ctl *c, const Mq__Founding **out_f, enum exit_code *out_code);
/* A shard by name or number; an unknown one is refused with a suggestion. */
enum status ctl_shard(struct ctl *c, const char *text, const Mq__FoundingShard **out_shard,
                      enum exit_code *out_code);
const Mq__FoundingNode *ctl_node_by_id(const Mq__Founding *f, uint32_t node);
/* A node by name or number. */
enum status ctl_node(struct ctl *c, const char *text, const Mq__FoundingNode **out_node,
                     enum exit_code *out_code);
/* Puts node, age, cluster into the screen. */
void ctl_source(struct ctl *c, struct screen *s, const struct call_answer *a);
enum exit_code ctl_usage(struct ctl *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum exit_code ctl_refuse(struct ctl *c, enum status s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints and frees; returns code. */
enum exit_code ctl_finish(struct ctl *c, struct screen *s, enum exit_code code);

#endif
