/* All shard replicas of one node, their common log, and the table through which they reach the world. node/ and the simulator
 * each own one. Everything runs on the loop; jobs go to the executor's lanes.
 *
 *   host_open (blocking: recovers the log) -> host_add_shard for each shard the directory or the log names ->
 *   { host_receive for each frame, host_tick when due, host_turn at the end of each turn of the loop } -> host_stop -> host_close */
#ifndef MQ_RAFT_HOST_H
#define MQ_RAFT_HOST_H

#include "base/clock.h"
#include "raft/shard.h"

/* control: small and urgent (empty AppendEntries, votes, read rounds). bulk: entries, in order. */
enum channel { CHANNEL_CONTROL = 0, CHANNEL_BULK = 1, CHANNEL_COUNT };

struct copy_fetch;
struct copy_source;

struct host_options {
    struct uuid cluster;
    node_id node;
    const char *log_directory;
    struct disk *disk;
    struct executor *executor;
    struct random *random;
    struct clock *clock;
    uint32_t election_timeout_ms; /* 0 = 500 */
    uint32_t heartbeat_ms;        /* 0 = 50 */
    uint32_t segment_bytes;       /* 0 = 64 MiB */
    uint64_t cache_bytes;         /* 0 = 8 MiB */
    uint64_t retain_bytes;        /* entries kept for voters that lack them, a shard; 0 = 256 MiB */
    uint64_t checkpoint_bytes;    /* of log; 0 = 64 MiB */
    uint32_t checkpoint_ms;       /* 0 = 5,000 */
    uint32_t commit_ms;           /* apply's open transaction; 0 = 5 */
    uint64_t pending_bytes_max;   /* admission a shard: submitted and not yet applied; 0 = 32 MiB */
    bool preference;              /* take leadership back to the preferred site */
    bool
        early_campaign; /* followers of a process that is gone do not wait for their timers (U21) */

    /* Hands a whole frame to a peer, in order within a channel; borrowed (takes its own reference). False: dropped (no link, or its
     * window is full); Raft repeats. */
    bool (*send)(void *arg, node_id to, enum channel channel, struct block *frame);
    /* The process must end: message id (docs/messages.md) and sentence. Called once, from the loop. */
    void (*failed)(void *arg, enum status s, const char *message_id, const char *text);
    /* Role, leader, state or term of a shard changed. */
    void (*shard_changed)(void *arg, struct shard *s);
    /* Committed and applied in this node's directory (or any) shard: new position visible; node/ looks for new shards. */
    void (*applied)(void *arg, struct shard *s, uint64_t index);

    /* Copies, on a connection of their own. fetch: dial node copy_fetch_node(f), send copy_fetch_request(f), feed frames to
     * copy_fetch_receive, call copy_fetch_closed when it ends. UNREACHABLE at once when it can't be tried. */
    enum status (*copy_dial)(void *arg, struct copy_fetch *f);
    void (*copy_hang_up)(void *arg, struct copy_fetch *f); /* close it; no further calls for f */
    void (*copy_resume)(
        void *arg,
        struct copy_fetch *
            f); /* reading was paused by copy_fetch_receive returning BUSY: give that frame again */
    /* source: sends one frame; then copy_source_written() once it left (bounded memory: one frame at a time). */
    void (*copy_send)(void *arg, struct copy_source *c, struct block *frame);
    void (*copy_end)(void *arg,
                     struct copy_source *
                         c); /* the source has said all: close the connection after what was sent */
    void *arg;
};

enum status host_open(const struct host_options *o, struct host **out_host, struct error *e);
/* Asynchronous; errors show in the shard's state and log lines. EXISTS, FULL, PERMISSION (the log was damaged: founds nothing new). */
enum status host_add_shard(struct host *h, const struct shard_options *o, struct error *e);
struct shard *host_find_shard(struct host *h, shard_id id);
void host_each_shard(struct host *h, void (*each)(void *arg, struct shard *s), void *arg);
struct log *host_log(struct host *h);

/* What may be changed while it runs. */
struct host_tuning {
    bool preference;
    uint64_t checkpoint_bytes;
    uint32_t checkpoint_ms;
};
void host_tune(struct host *h, const struct host_tuning *t);

/* FRAME_RAFT, FRAME_READ_*: from an authenticated peer node. Foreign or malformed ones are counted and dropped: the status says why. */
enum status host_receive(struct host *h, node_id from, const struct frame *f);
void host_peer_up(struct host *h, node_id node);
void host_peer_down(struct host *h, node_id node);
/* Its process is gone (nothing it sent is given to host_receive any more), or it seems to be: shards that follow a leader there
 * look for another one at once (U21). False alarms cost an election at most. round_trip_us: of the slowest other peer. */
void host_peer_lost(struct host *h, node_id node, uint64_t round_trip_us);
/* Monotonic time of the next tick. */
uint64_t host_deadline_ms(const struct host *h);
void host_tick(struct host *h);
/* End of a turn of the loop: closes batches, starts read rounds, kicks the log and applies. */
void host_turn(struct host *h);

/* Clean stop: hands leaderships over, takes a last checkpoint, then done(). deadline: whatever is not finished by then is left
 * (every start recovers the same way). Then host_close. */
void host_stop(struct host *h, uint64_t deadline_ms, void (*done)(void *arg), void *arg);
/* Nothing new is begun from here on, whatever comes in; jobs under way end. Before waiting for the last of them. */
void host_freeze(struct host *h);
/* Needs: no job pending in the executor (drain or drop them first). Frees all. */
void host_close(struct host *h);

/* copy, receiver side */
node_id copy_fetch_node(const struct copy_fetch *f);
struct block *copy_fetch_request(
    struct copy_fetch *f); /* new reference; FRAME_COPY_REQUEST, with where to resume */
/* OK: taken. BUSY: keep the frame, stop reading, wait for copy_resume. Anything else: close. */
enum status copy_fetch_receive(struct copy_fetch *f, const struct frame *frame);
void copy_fetch_closed(struct copy_fetch *f, enum status why);
/* copy, source side: a connection with ALPN mailquorum-copy/1 sent FRAME_COPY_REQUEST. `from` is its authenticated node (0: an operator's
 * snapshot). Owner: the connection, until copy_source_free (which may be called at any time; pending work is let go safely). */
enum status copy_source_new(struct host *h, node_id from, const struct frame *request,
                            struct copy_source **out_c);
void copy_source_written(struct copy_source *c);
void copy_source_free(struct copy_source *c);
void *copy_source_user(struct copy_source *c);
void copy_source_set_user(struct copy_source *c, void *user);
void *copy_fetch_user(struct copy_fetch *f);
void copy_fetch_set_user(struct copy_fetch *f, void *user);

#endif
