/* Our connections to the other nodes: two to each (control, bulk), dialled by us, for what we
 * send; answers to forwards and pongs come back on them. What the other sends of its own comes
 * over its own links (node/peer_session).
 *
 * idle -> (resolving) -> connecting -> greeting -> up -> closing -> idle ... with a growing pause
 * from 50 ms to 1 s; one that held for a second is dialled again at once. A link that gives no pong
 * for PONG_MS_MAX is closed and dialled again. host_peer_up when both channels are up,
 * host_peer_down when one goes.
 *
 * host_peer_lost when the process over there is gone, or silent (raft/rules/loss.h). After the first
 * its own connections to us are closed too: a late frame of it would bring a dead leader back. */
#ifndef MQ_NODE_LINK_H
#define MQ_NODE_LINK_H

#include "node/connection.h"
#include "node/founding.h"
#include "raft/host.h"
#include "raft/rules/loss.h"
#include "raft/rules/observation.h"

struct node;

#define CONTROL_WINDOW_BYTES (1024u * 1024u)
#define BULK_WINDOW_BYTES    (16u * 1024u * 1024u)
#define PONG_MS_MAX          3000u
#define DIAL_MS_MAX          3000u

enum link_state {
    LINK_IDLE = 0,
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_GREETING,
    LINK_UP,
    LINK_CLOSING
};

struct link_channel {
    struct connection connection;
    struct link *link;
    enum channel channel;
    enum link_state state;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    unsigned probes; /* left, since it went down */
    bool resolving;  /* resolve is in use, whatever the connection's state */
    bool connected;  /* since it was dialled: TCP has a connection */
    uint64_t dialled_ms, retry_ms, backoff_ms, up_ms, pong_ms, ping_sent_ms;
};

#define BREAKS_KEPT 8

struct link {
    struct node *node;
    const struct founding_node *to;
    struct link_channel channels[CHANNEL_COUNT];
    bool up;       /* both are */
    bool reported; /* down or refused has been logged */
    uint64_t rtt_us, incarnation, nonce;
    bool ended, refused; /* struct loss_view, as are heard_ms and asked_ms */
    uint64_t heard_ms, asked_ms;
    enum loss_verdict told; /* to the host, of its present life */
    enum link_answer answer;
    int64_t clock_offset_us;         /* the other's wall clock minus ours */
    uint64_t clock_error_us;         /* half a round trip; 0: not known */
    uint64_t held_incarnation;       /* of the other when this connection was last made */
    uint64_t breaks_ms[BREAKS_KEPT]; /* when it came back to the same life of the other, a ring */
    uint32_t breaks_next;
    uint64_t dropped_total;
    char text[160]; /* why it is down */
};

struct links {
    struct node *node;
    struct link *by_node[NODES_MAX + 1];
    uint64_t ticked_ms;
    bool stopped;
};

enum status links_init(struct links *l, struct node *n);
void links_deinit(struct links *l);
void links_tick(struct links *l, uint64_t now_ms);
/* Closes all; nothing is dialled again. */
void links_stop(struct links *l);
struct link *links_find(struct links *l, node_id node);
/* A frame of it came on a connection of its own; it greeted on one, in this life. NULL is ignored. */
void link_heard(struct link *l);
void link_greeted(struct link *l, uint64_t incarnation);
/* When its last pong came; 0 = never. */
uint64_t link_pong_ms(const struct link *l);
/* How often it was lost lately and came back, the other having run all the while. */
unsigned link_breaks(const struct link *l, uint64_t now_ms);
/* CLOSED, FULL. */
enum status link_send_block(struct link *l, enum channel channel, const struct block *frame);
enum status link_send_frame(struct link *l, enum channel channel, enum frame_kind kind,
                            struct bytes header, struct bytes payload);

#endif
