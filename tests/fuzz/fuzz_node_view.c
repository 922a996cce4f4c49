/* Any views that other nodes say of themselves: whatever they claim, this node's status of the cluster can be made of it, decodes, and
 * names every node and shard of the founding file once.
 *
 *   input: u8 of which shard the leadership is explained, and whether a limit of lag is given; then what is said:
 *   u8 by whom (low 2 bits; 3: node 2 again), as the bytes are (4), a second passes before it (8).
 *   As the bytes are: u16 size, view. Else a view built along its descriptor, about shards, nodes and roles that exist. */
#include "tests/fuzz/message_source.h"

#include "tests/fuzz/node_stand.h"

#define SAYS_MAX  8u
#define ITEMS_MAX 20u /* of each kind in a view that is built: thousands only cost time */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct source source;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    stand_open();
    arena_init(&source.arena);
    return 0;
}

/* ---- what is said ---- */

static void name_replica(Mq__ReplicaView *r)
{
    static char *const roles[] = {"leader", "follower", "candidate", "unknown"};
    static char *const states[] = {"ok", "ok", "AMNESIA", "installing 41%", "environment lost"};
    r->node = r->node % (STAND_NODES + 2);
    r->role = r->role[0] == '\0' ? roles[r->term % 4] : r->role;
    r->state = r->state[0] == '\0' ? states[r->replica % 5] : r->state;
}

static void shorten(size_t *n)
{
    *n = *n < ITEMS_MAX ? *n : ITEMS_MAX;
}

static void name_view(Mq__NodeView *v, node_id node)
{
    v->node = node;
    shorten(&v->n_shards);
    for (size_t i = 0; i < v->n_shards; i++) {
        Mq__ShardView *s = v->shards[i];
        shorten(&s->n_preference);
        shorten(&s->n_replicas);
        shorten(&s->n_sites);
        s->shard %= 3;
        s->leader %= STAND_NODES + 2;
        s->before %= STAND_NODES + 2;
        s->lost %= STAND_NODES + 2;
        s->handed_to %= STAND_NODES + 2;
        for (size_t k = 0; k < s->n_replicas; k++) {
            name_replica(s->replicas[k]);
        }
    }
    for (size_t i = 0; i < v->n_hears; i++) {
        v->hears[i]->node %= STAND_NODES + 2;
    }
}

static struct bytes built(node_id node)
{
    arena_clear(&source.arena);
    if (setjmp(source.too_big) != 0) {
        return (struct bytes){NULL, 0};
    }
    ProtobufCMessage *m = source_message(&source, &mq__node_view__descriptor);
    name_view((Mq__NodeView *)(void *)m, node);
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = source_alloc(&source, size + 1);
    protobuf_c_message_pack(m, bytes);
    return (struct bytes){bytes, size};
}

static void say(void)
{
    uint8_t how = source_byte(&source);
    node_id node = how % 4u == 3 ? 2 : how % 4u + 2;
    struct frame f = {.kind = FRAME_PEER_VIEW};
    stand.node.loop.now_ms += (how & 8u) != 0 ? 1000 : 10;
    if ((how & 4u) != 0) {
        size_t n = source_byte(&source);
        n |= (size_t)source_byte(&source) << 8;
        f.payload = source_bytes(&source, n);
    } else {
        f.payload = built(node);
    }
    struct session *s = stand_peer_open(0, node);
    if (peer_session_frame(s, &f) == OK) {
        const Mq__NodeView *v = view_last(&stand.node.views, node);
        must(v != NULL && v->node == node);
    }
    stand_session_close(s);
}

/* ---- what is made of it ---- */

static void check_status(const Mq__StatusView *v)
{
    must(v->n_nodes == STAND_NODES && v->n_shards == 2 && v->verdict != NULL);
    for (size_t i = 0; i < v->n_nodes; i++) {
        must(v->nodes[i]->node == i + 1 && v->nodes[i]->n_shards == 0);
        must(!v->nodes[i]->known || v->nodes[i]->age_ms <= VIEW_AGE_MS_MAX);
    }
    for (size_t i = 0; i < v->n_shards; i++) {
        must(v->shards[i]->shard == i && v->shards[i]->n_replicas > 0);
    }
}

static void ask(unsigned how)
{
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    Mq__Admin a = MQ__ADMIN__INIT;
    Mq__AdminStatus status = MQ__ADMIN_STATUS__INIT;
    uint8_t header[64], payload[64];
    struct session *s = stand_session_open(0, SESSION_CLIENT, STAND_OPERATOR);
    struct frame f = {.kind = FRAME_CLIENT_REQUEST};
    size_t at = 0;
    s->greeted = true;
    h.id = 1;
    h.op = MQ__OP__OP_ADMIN;
    h.shard = how % 4u;
    a.body_case = MQ__ADMIN__BODY_STATUS;
    a.status = &status;
    status.local = true;
    status.explain = true;
    status.lag_limit_ms = (how & 4u) != 0 ? 3000 : 0;
    f.header = (struct bytes){header, mq__request_header__pack(&h, header)};
    f.payload = (struct bytes){payload, mq__admin__pack(&a, payload)};
    must(client_session_frame(s, &f) == OK);
    if (s->connection.out.size == 0) { /* an answer that is too big for a frame */
        must(s->connection.closing);
    } else {
        must(stand_sent(&s->connection, &at, &f) && at == s->connection.out.size);
        Mq__AdminResult *r = mq__admin_result__unpack(NULL, f.payload.size, f.payload.data);
        must(r != NULL && r->status != NULL);
        check_status(r->status);
        mq__admin_result__free_unpacked(r, NULL);
    }
    stand_session_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    stand_reset();
    source.at = data + 1;
    source.end = data + size;
    for (unsigned i = 0; i < SAYS_MAX && source.at < source.end; i++) {
        say();
    }
    ask(data[0]);
    (void)shards_leader(&stand.node.shards, SHARD_DIRECTORY); /* by what the others say */
    return 0;
}
