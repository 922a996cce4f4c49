/* PeerHello out and in. In: version, cluster, founding, then that number, name and certificate are
 * one node of the founding file. */
#include "node/greeting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "proto/peer.pb-c.h"

struct positions {
    Mq__PeerPosition items[SHARDS_MAX];
    Mq__PeerPosition *pointers[SHARDS_MAX];
    size_t n;
    uint64_t now_ms;
};

static void add_position(void *arg, struct shard *s)
{
    struct positions *p = arg;
    struct shard_view v;
    if (p->n >= SHARDS_MAX) {
        return;
    }
    shard_get_view(s, p->now_ms, &v);
    Mq__PeerPosition *item = &p->items[p->n];
    mq__peer_position__init(item);
    item->shard = v.shard;
    item->epoch_number = v.epoch.number;
    item->epoch_id = v.epoch.id;
    item->replica = v.replica;
    item->term = v.term;
    item->last_index = v.last_index;
    item->amnesia = v.state == SHARD_AMNESIA;
    p->pointers[p->n] = item;
    p->n++;
}

enum status greeting_send(struct node *n, struct connection *c, node_id to, enum channel channel)
{
    struct positions *positions = calloc(1, sizeof(*positions));
    Mq__PeerHello hello = MQ__PEER_HELLO__INIT;
    if (positions == NULL) {
        return STATUS_NO_MEMORY;
    }
    positions->now_ms = node_now_ms(n);
    if (n->host != NULL) {
        host_each_shard(n->host, add_position, positions);
    }
    hello.version = WIRE_VERSION;
    hello.cluster_id = (ProtobufCBinaryData){16, n->founding.cluster.bytes};
    hello.founding_id = (ProtobufCBinaryData){16, n->founding.id.bytes};
    hello.node = n->self->node;
    hello.name = n->config.name;
    hello.channel = (uint32_t)channel;
    hello.incarnation = n->data.incarnation;
    hello.nonce = n->data.nonce;
    hello.previous_nonce = n->data.previous_nonce;
    hello.blank = !n->founder.started; /* durably founded */
    hello.acquainted = to <= NODES_MAX && n->data.acquainted[to];
    hello.n_positions = positions->n;
    hello.positions = positions->pointers;
    size_t size = mq__peer_hello__get_packed_size(&hello);
    uint8_t *packed = malloc(size);
    enum status s = STATUS_NO_MEMORY;
    if (packed != NULL) {
        mq__peer_hello__pack(&hello, packed);
        s = connection_send_frame(c, FRAME_PEER_HELLO, (struct bytes){packed, size},
                                  (struct bytes){NULL, 0});
    }
    free(packed);
    free(positions);
    return s;
}

static enum status check(struct node *n, struct connection *c, const Mq__PeerHello *h,
                         node_id expected, struct error *e)
{
    if (h->version == 0 || h->version + 1 < WIRE_VERSION || h->version > WIRE_VERSION + 1) {
        return error_set(e, STATUS_VERSION, "it speaks wire version %u, this node %u", h->version,
                         WIRE_VERSION);
    }
    if (h->cluster_id.len != 16 || memcmp(h->cluster_id.data, n->founding.cluster.bytes, 16) != 0) {
        return error_set(e, STATUS_WRONG_CLUSTER, "it belongs to another cluster");
    }
    if (h->founding_id.len != 16 || memcmp(h->founding_id.data, n->founding.id.bytes, 16) != 0) {
        return error_set(e, STATUS_WRONG_CLUSTER, "it comes from another founding of this cluster");
    }
    const struct tls_identity *identity = tls_peer(c->tls);
    const struct founding_node *node = founding_find_node(&n->founding, h->node);
    if (node == NULL || strcmp(node->name, h->name) != 0 || identity->kind != TLS_NODE ||
        strcmp(identity->name, h->name) != 0) {
        return error_set(e, STATUS_WRONG_NODE, "it says node %u %.63s, its certificate says %s",
                         h->node, h->name, identity->name);
    }
    if (expected != 0 ? h->node != expected : h->node == n->self->node) {
        return error_set(e, STATUS_WRONG_NODE, "node %s answers where another was expected",
                         node->name);
    }
    if (h->channel >= CHANNEL_COUNT) {
        return error_set(e, STATUS_MALFORMED, "it wants channel %u", h->channel);
    }
    return OK;
}

enum status greeting_receive(struct node *n, struct connection *c, const struct frame *f,
                             node_id expected, struct greeting *out_g, struct error *e)
{
    if (f->kind != FRAME_PEER_HELLO) {
        return error_set(e, STATUS_MALFORMED, "it did not begin with a hello");
    }
    Mq__PeerHello *h = mq__peer_hello__unpack(NULL, f->header.size, f->header.data);
    if (h == NULL) {
        return error_set(e, STATUS_MALFORMED, "its hello is malformed");
    }
    enum status s = check(n, c, h, expected, e);
    if (s == OK) {
        *out_g = (struct greeting){.node = h->node,
                                   .channel = (enum channel)h->channel,
                                   .blank = h->blank,
                                   .acquainted = h->acquainted,
                                   .incarnation = h->incarnation,
                                   .nonce = h->nonce,
                                   .previous_nonce = h->previous_nonce};
    }
    mq__peer_hello__free_unpacked(h, NULL);
    return s;
}
