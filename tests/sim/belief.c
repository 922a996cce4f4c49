/* Who takes whose process for gone (raft/host.h, host_peer_lost): most peers of a crashed node notice it after a while, as they do
 * when its connections end and nobody listens; and now and then somebody is told so of a node that lives, one, some, or all. Half
 * of these lose their link to it too, as after a refused dial; the others still hear it, as after a silence.
 *
 * Nothing may come of a wrong belief but an election. Its chance is its own, so that a world without beliefs runs as it did. */
#include <string.h>

#include "base/must.h"
#include "raft/message.h"
#include "tests/sim/world.h"

#define SALT      0x62656c6965667321ull
#define PLANT_US  300000
#define NOTICE_US 20000 /* from a crash until its peers know, at most */

static uint64_t between(struct world *w, uint64_t from, uint64_t to)
{
    return from + random_below(&w->belief_random, to - from + 1);
}

static void on_belief(struct event *e)
{
    struct sim_node *n = e->node;
    struct world *w = e->world;
    uint32_t of = (uint32_t)e->a;
    w->stats.beliefs++;
    w->stats.false_beliefs += w->nodes[of].up;
    w->believed_until_us[node_index(n)][of] = w->now_us + PLANT_US;
    if (e->b != 0) {
        network_take_down(w, node_index(n), of);
    }
    host_peer_lost(n->host, of + 1, network_slowest_us(n));
    node_turn(n);
}

static void believe(struct sim_node *n, uint32_t of, uint64_t delay_us, bool hang_up)
{
    if (n->up && node_index(n) != of) {
        struct event *e = node_event(n, delay_us, on_belief);
        e->a = of;
        e->b = hang_up;
    }
}

void beliefs_crashed(struct sim_node *n)
{
    struct world *w = n->world;
    for (uint32_t i = 0; w->beliefs && i < w->nodes_n; i++) {
        if (random_below(&w->belief_random, 100) < 85) {
            believe(&w->nodes[i], node_index(n), between(w, 100, NOTICE_US), false);
        }
    }
}

/* The leader of some shard, or once in a while just anybody. */
static uint32_t somebody(struct world *w)
{
    shard_id shard = (shard_id)random_below(&w->belief_random, w->shards_n);
    uint32_t any = (uint32_t)random_below(&w->belief_random, w->nodes_n);
    for (uint32_t i = 0; i < w->nodes_n && random_below(&w->belief_random, 10) > 0; i++) {
        struct sim_node *n = &w->nodes[i];
        struct shard *s = n->up ? host_find_shard(n->host, shard) : NULL;
        if (s != NULL && shard_is_leader(s)) {
            return i;
        }
    }
    return any;
}

static void on_lie(struct event *e)
{
    struct world *w = e->world;
    if (w->healing) {
        return;
    }
    uint32_t of = somebody(w);
    uint64_t mode = random_below(&w->belief_random, 4); /* one, one, some, all */
    uint32_t one = (uint32_t)random_below(&w->belief_random, w->nodes_n);
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        bool told = mode < 2 ? i == one : mode == 3 || random_below(&w->belief_random, 2) == 0;
        if (told) {
            believe(&w->nodes[i], of, between(w, 0, 30000),
                    random_below(&w->belief_random, 2) == 0);
        }
    }
    world_note(w, "sim: n%u is said to be gone", of + 1);
    world_event(w, between(w, 10000, 600000), on_lie);
}

void beliefs_init(struct world *w)
{
    random_init_seed(&w->belief_random, w->o.seed ^ SALT);
    w->beliefs = random_below(&w->belief_random, 2) == 0;
    w->beliefs = w->o.beliefs == BELIEFS_SOME ? w->beliefs : w->o.beliefs == BELIEFS_ALWAYS;
    w->beliefs = w->beliefs || planted(w, "belief-is-a-vote");
    if (w->beliefs) {
        world_event(w, between(w, 300000, 1500000), on_lie);
    }
}

/* ---- planted ---- */

static void on_forged(struct event *e)
{
    struct frame f;
    size_t size;
    must(frame_decode((struct bytes){e->frame->data, e->frame->size}, &f, &size) == OK);
    (void)host_receive(e->node->host, (node_id)e->a + 1, &f);
    node_turn(e->node);
}

bool beliefs_answer(struct sim_node *from, uint32_t to, const struct block *frame)
{
    struct world *w = from->world;
    struct message_envelope env;
    struct message_in in;
    struct frame f;
    size_t size;
    if (!planted(w, "belief-is-a-vote") ||
        w->now_us >= w->believed_until_us[node_index(from)][to] ||
        frame_decode((struct bytes){frame->data, frame->size}, &f, &size) != OK ||
        f.kind != FRAME_RAFT || message_decode(&f, &env, &in) != OK) {
        return false;
    }
    bool asks = in.message.kind == MESSAGE_VOTE;
    struct engine_message grant = {.kind = MESSAGE_VOTE_RESULT,
                                   .from = in.message.to,
                                   .to = in.message.from,
                                   .term = in.message.term,
                                   .version = in.message.version};
    grant.vote_result.granted = true;
    grant.vote_result.pre_vote = asks && in.message.vote.pre_vote;
    struct message_envelope back = env;
    back.from = env.to;
    back.to = env.from;
    if (asks) {
        struct event *e = node_event(from, 300, on_forged);
        e->a = to;
        must(message_encode(&back, &grant, &e->frame) == OK);
    }
    message_in_deinit(&in);
    return asks;
}
