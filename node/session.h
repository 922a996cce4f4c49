/* A connection that somebody made to us. ALPN says which kind; the unix socket carries clients
 * only. A handle, freed when closed.
 *   peer     another node's frames: Raft, views, forwards, hints         peer_session.c
 *   client   the native API                                              client_session.c
 *   copy     asks for a copy of a shard's state                          copy_session.c */
#ifndef MQ_NODE_SESSION_H
#define MQ_NODE_SESSION_H

#include "node/connection.h"
#include "raft/host.h"

struct node;

enum session_kind { SESSION_PENDING = 0, SESSION_PEER, SESSION_CLIENT, SESSION_COPY };

struct session {
    struct connection connection;
    struct node *node;
    enum session_kind kind;
    struct list link; /* listener->sessions */
    struct tls_identity identity;
    bool local; /* unix socket */
    bool greeted;
    /* peer */
    node_id peer;
    uint64_t incarnation; /* its */
    enum channel channel;
    /* client, and forwards of a peer */
    struct list requests; /* struct request, origin_link */
    uint32_t requests_n;
    uint64_t request_bytes;
    uint32_t rights;
    bool subscribed;
    char feed[NAME_MAX_BYTES + 1]; /* of a subscriber: the host it says it is */
    struct list subscriber_link;
    /* copy */
    struct copy_source *source;
    bool sending;
    bool denied; /* has been told so; a client: what it must hear has been sent */
};

enum status peer_session_frame(struct session *s, const struct frame *f);
void peer_session_closed(struct session *s, const char *text);
enum status client_session_frame(struct session *s, const struct frame *f);
void client_session_closed(struct session *s, const char *text);
void client_session_drained(struct session *s);
enum status copy_session_frame(struct session *s, const struct frame *f);
/* Answers, before it is asked, that this certificate gets no copy. */
void copy_session_deny(struct session *s);
void copy_session_closed(struct session *s);
void copy_session_drained(struct session *s);
/* host_options.copy_send and copy_end, of the source's session. */
void copy_session_send(struct node *n, struct copy_source *c, struct block *frame);
void copy_session_end(struct node *n, struct copy_source *c);

#endif
