/* A caller asks the cluster: it keeps one connection to one node, drives the client engine with poll(2), and answers each call
 * synchronously. It tries the nodes in turn until one answers, follows the leader named in an answer, and repeats what may be
 * repeated (reads, hints, and commands of a session, which keep their session and sequence) until the deadline.
 *
 * Happy path: caller_open -> caller_call ... -> caller_close.
 * Fails: UNREACHABLE when no node answered in time, TLS or DENIED when one refused our certificate, UNKNOWN_OUTCOME for a change that
 * was sent and not answered. A refusal by the cluster is an answer, not a failure: call returns OK and outcome says REFUSED. */
#ifndef MQ_CTL_CALLER_H
#define MQ_CTL_CALLER_H

#include <stdio.h>

#include "base/error.h"
#include "ctl/ctl_config.h"
#include "ctl/options.h"
#include "proto/api.pb-c.h"
#include "proto/client.h"

#define CALLER_CONNECT_MS_MAX 2000
#define CALLER_PAUSE_MS       100

struct call_answer { /* zero it before the first use; call_answer_clear frees the payload */
    Mq__Outcome outcome;
    enum status status;
    char text[ERROR_TEXT_MAX];
    char message_id[64];
    char leader[NAME_MAX_BYTES + 1];
    char durability[16];
    char node[NAME_MAX_BYTES + 1]; /* that answered */
    uint32_t shard;
    uint64_t epoch, index, term, age_ms;
    uint8_t *payload;
    size_t payload_size;
};
void call_answer_clear(struct call_answer *a);

enum call_flag {
    CALL_REPEAT = 1,    /* may be carried out more than once: a read, or a command of a session */
    CALL_THIS_NODE = 2, /* ask the present node only, and follow nobody */
};

struct caller;
/* Nodes: those of the options, else the configuration's, else (unix socket first) with --local. out_c's log goes to `log` if not
 * NULL. The configuration is borrowed. */
enum status caller_open(const struct ctl_config *config, const struct options *options, FILE *log,
                        struct caller **out_c, struct error *e);
void caller_close(struct caller *c);
/* header: id and deadline are filled in. */
enum status caller_call(struct caller *c, Mq__RequestHeader *header, struct bytes payload,
                        unsigned flags, uint64_t deadline_at_ms, struct call_answer *out_answer,
                        struct error *e);
unsigned caller_nodes_n(const struct caller *c);
/* The node, from 0, that the next call begins with: that of the last answer, or the one after the last failure. */
unsigned caller_present(const struct caller *c);
/* Leaves the present node, unless it is that one. */
void caller_turn_to(struct caller *c, unsigned node);
uint64_t caller_now_ms(void);
/* A TCP connection of its own to a node, for what is no call (copies): non-blocking, the caller's to close. The address is the
 * configuration's, or the one given. out_tls: what to speak on it; borrowed. UNREACHABLE, or INVALID without certificates. */
enum status caller_dial(struct caller *c, const char *node, const char *address, uint64_t until_ms,
                        int *out_fd, struct tls_context **out_tls, struct error *e);
/* Whom the nodes see in us; borrowed. NULL: unix sockets only. */
const struct tls_identity *caller_identity(const struct caller *c);
/* The cluster's id from the last hello; zero before. */
struct uuid caller_cluster(const struct caller *c);

#endif
