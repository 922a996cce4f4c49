/* Any frames of linearizable reads at a leader or a follower that has reads waiting: each read ends once, on a leader never confirmed
 * without another node's word nor at an index below what was committed when it was asked, and what is kept for a peer is one read.
 *
 *   input: u8 which of the three hosts; steps: u8 what, u8 size, bytes. What, its low 3 bits: FRAME_READ_ROUND, _ACK, _INDEX or _INDEX_ACK
 *   (bytes: its header; the next two bits: from which node); a read is asked for here; a turn of the loop; 60 ms pass; the leader is lost. */
#include <stdlib.h>
#include <unistd.h>

/* A check that fails ends the program by a signal, or libFuzzer would not keep the input. */
#define _exit(code) ((void)(code), abort())
#include "tests/unit/raft/host_world.h"
#undef _exit

#include "base/log_line.h"
#include "base/must.h"

#define READS_MAX 8u
#define TIMES_MAX 10u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input may change of a host, as it was before. */
struct kept {
    struct shard_reader reader;
    struct shard_peer peers[MEMBERS_MAX];
};

static struct {
    struct kept kept[NODES + 1];
    uint64_t now_ms;
} rest;

struct asked {
    struct shard_read read;
    uint64_t commit; /* then */
    unsigned done;
};

static struct {
    struct asked reads[READS_MAX];
    unsigned reads_n, times_n;
    bool word; /* another node answered a round, for all we know */
} now;

static struct shard *shard_at(uint32_t node)
{
    return host_find_shard(nodes[node].host, SHARD);
}

static void drop_line(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static void drop_packets(void)
{
    for (struct list *l = list_pop(&network); l != NULL; l = list_pop(&network)) {
        struct packet *p = container_of(l, struct packet, link);
        struct frame f = frame_of(p->frame);
        must(f.kind >= FRAME_READ_ROUND && f.kind <= FRAME_READ_INDEX_ACK && f.payload.size == 0);
        block_unref(p->frame);
        free(p);
    }
}

/* Three hosts with a leader, all applied and durable, nothing under way; their clock stands from here on. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_line_set_sink(drop_line, NULL);
    begin();
    write_some(3);
    run(2000);
    must(leader() != 0);
    for (struct list *l = list_pop(&network); l != NULL; l = list_pop(&network)) {
        struct packet *p = container_of(l, struct packet, link);
        block_unref(p->frame);
        free(p);
    }
    shell("rm -rf %s", root); /* the open files are enough: nothing is written any more */
    for (uint32_t i = 1; i <= NODES; i++) {
        struct shard *s = shard_at(i);
        must(s->applier.visible == s->commit && s->state == SHARD_RUNNING);
        rest.kept[i].reader = s->reader;
        memcpy(rest.kept[i].peers, s->peers, sizeof(s->peers));
    }
    rest.now_ms = now_ms;
    return 0;
}

static void on_done(struct shard_read *r)
{
    struct asked *a = container_of(r, struct asked, read);
    a->done++;
}

static void ask(struct shard *s)
{
    if (now.reads_n == READS_MAX) {
        return;
    }
    struct asked *a = &now.reads[now.reads_n++];
    a->commit = s->commit;
    a->read = (struct shard_read){.deadline_ms = now_ms + 400, .done = on_done};
    shard_read(s, &a->read);
}

static void turn(struct world_node *n)
{
    host_turn(n->host);
    executor_inline_drain(&n->executor);
    host_turn(n->host);
}

static void take(uint32_t node, unsigned what, struct bytes b)
{
    struct shard *s = shard_at(node);
    uint32_t from = what >> 3 & 3u;
    struct frame f = {.kind = (enum frame_kind)(FRAME_READ_ROUND + (what & 3u)), .header = b};
    switch (what & 7u) {
        case 4:
            ask(s);
            break;
        case 5:
            turn(&nodes[node]);
            break;
        case 6:
            if (now.times_n++ < TIMES_MAX) {
                now_ms += 60;
                shard_reader_tick(s, now_ms);
            }
            break;
        case 7:
            shard_reader_lost(s, STATUS_NO_LEADER);
            break;
        default:
            now.word = now.word || (f.kind == FRAME_READ_ACK && from != node && from != 0);
            (void)host_receive(nodes[node].host, from, &f);
            break;
    }
}

static void check(struct shard *s)
{
    unsigned remote = 0;
    list_each(n, &s->reader.remote_waiting)
    {
        remote++;
    }
    must(remote <= NODES);
    shard_reader_lost(s, STATUS_CLOSED);
    shard_reader_complete(s);
    for (unsigned i = 0; i < now.reads_n; i++) {
        const struct asked *a = &now.reads[i];
        must(a->done == 1);
        if (a->read.status == OK) {
            must(a->read.index <= s->applier.visible);
            must(!shard_is_leader(s) || (now.word && a->read.index >= a->commit));
        }
    }
}

static void put_back(uint32_t node)
{
    struct shard *s = shard_at(node);
    const struct kept *k = &rest.kept[node];
    drop_packets();
    s->reader.round = k->reader.round;
    s->reader.ask_sent_ms = k->reader.ask_sent_ms;
    s->reader.next_id = k->reader.next_id;
    memcpy(s->peers, k->peers, sizeof(s->peers));
    s->applier.commit_asked = false;
    s->dirty = false;
    now_ms = rest.now_ms;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data + 1, *end = data + size;
    if (size < 3) {
        return 0;
    }
    uint32_t node = data[0] % NODES + 1;
    memset(&now, 0, sizeof(now));
    while (end - at >= 2) {
        unsigned what = at[0];
        size_t n = at[1] < end - at - 2 ? at[1] : (size_t)(end - at - 2);
        at += 2;
        take(node, what, (struct bytes){at, n});
        at += n;
    }
    check(shard_at(node));
    turn(&nodes[node]);
    put_back(node);
    return 0;
}
