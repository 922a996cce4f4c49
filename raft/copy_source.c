/* The sending side of a copy: the raw pages of a pinned checkpoint, one frame at a time (K2).
 *
 * copy_source_new: the request is checked, a pin is taken (or found again for a receiver that comes back) -> head -> data, each piece
 * read on the copy lane after the one before has left -> end. When the connection breaks, the pin is kept for a while, so
 * that the receiver can resume; no pin outlives the growth that the state machine states. A source that was freed while its job
 * waits for the lane is abandoned; so many of them, and a receiver that comes back again and again is told to wait. */
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "proto/peer.pb-c.h"
#include "raft/shard_internal.h"

#define COPY_PIECE_BYTES   (256u * 1024u)
#define PARKED_MS          30000
#define PARKED_COMPLETE_MS 3000 /* the last piece may have been lost with its connection */
#define PARKED_MAX         8
#define ABANDONED_MAX      8

enum pin_state { PIN_USED, PIN_PARKED, PIN_CLOSING };

/* A pinned checkpoint; used by one source, parked after it, or being closed on the copy lane. */
struct copy_pin {
    struct list link; /* host's copy_sources when parked */
    struct job job;
    struct shard *shard;
    struct sm_copy *copy;
    struct sm_descriptor descriptor;
    enum pin_state state;
    uint64_t expires_ms;
};

struct copy_source {
    struct host *host;
    struct shard *shard;
    struct job job;
    bool busy, freed, head_sent, complete;
    uint64_t min_index, offset;
    struct copy_pin *pin;
    uint8_t *data;
    size_t data_size;
    enum status status;
    void *user;
};

void *copy_source_user(struct copy_source *c)
{
    return c->user;
}

void copy_source_set_user(struct copy_source *c, void *user)
{
    c->user = user;
}

/* ---- pins ---- */

static void work_close_pin(struct job *j)
{
    struct copy_pin *p = container_of(j, struct copy_pin, job);
    p->shard->o.machine.ops->copy_close(p->copy);
}

static void on_pin_closed(struct job *j)
{
    struct copy_pin *p = container_of(j, struct copy_pin, job);
    block_unref(p->descriptor.configuration);
    free(p);
}

static void close_pin(struct host *h, struct copy_pin *p)
{
    list_remove(&p->link);
    p->state = PIN_CLOSING;
    p->job.work = work_close_pin;
    p->job.done = on_pin_closed;
    host_job(h, LANE_COPY, &p->job);
}

static void park_pin(struct host *h, struct copy_pin *p, uint64_t ms)
{
    uint32_t parked = 0;
    list_each(n, &h->copy_sources)
    {
        parked++;
    }
    if (parked >= PARKED_MAX) {
        close_pin(h, container_of(h->copy_sources.next, struct copy_pin, link));
    }
    p->state = PIN_PARKED;
    p->expires_ms = host_now(h) + ms;
    list_push_back(&h->copy_sources, &p->link);
}

void copy_sources_close(struct host *h)
{
    list_each_safe(n, &h->copy_sources)
    {
        struct copy_pin *p = container_of(n, struct copy_pin, link);
        if (!h->closing && !h->stopping && host_now(h) < p->expires_ms) {
            continue;
        }
        if (!h->closing) {
            close_pin(h, p);
        } else { /* no job runs any more */
            list_remove(&p->link);
            p->shard->o.machine.ops->copy_close(p->copy);
            block_unref(p->descriptor.configuration);
            free(p);
        }
    }
}

static struct copy_pin *find_parked(struct host *h, struct shard *s, const Mq__CopyRequest *m)
{
    list_each(n, &h->copy_sources)
    {
        struct copy_pin *p = container_of(n, struct copy_pin, link);
        bool same = p->shard == s && m->environment.len == 16 &&
                    m->checkpoint == p->descriptor.checkpoint &&
                    memcmp(m->environment.data, p->descriptor.environment.bytes, 16) == 0;
        if (same) {
            list_remove(&p->link);
            p->state = PIN_USED;
            return p;
        }
    }
    return NULL;
}

/* ---- frames ---- */

static void send_head(struct copy_source *c)
{
    Mq__CopyHead m = MQ__COPY_HEAD__INIT;
    m.status = c->status;
    m.text = (char *)status_text(c->status);
    uint8_t environment[16];
    if (c->status == OK) {
        struct sm_descriptor *d = &c->pin->descriptor;
        memcpy(environment, d->environment.bytes, sizeof(environment));
        m.index = d->index;
        m.term = d->term;
        m.configuration = (ProtobufCBinaryData){d->configuration->size, d->configuration->data};
        m.configuration_index = d->configuration_index;
        m.size = d->size;
        m.environment = (ProtobufCBinaryData){sizeof(environment), environment};
        m.checkpoint = d->checkpoint;
        m.digest = (ProtobufCBinaryData){sizeof(d->digest), d->digest};
        m.offset = c->offset;
    }
    size_t size = mq__copy_head__get_packed_size(&m);
    uint8_t *header = malloc(size);
    struct block *frame = NULL;
    if (header != NULL) {
        mq__copy_head__pack(&m, header);
        if (frame_block_new(FRAME_COPY_HEAD, (struct bytes){header, size}, (struct bytes){NULL, 0},
                            &frame) == OK) {
            c->head_sent = true;
            c->host->o.copy_send(c->host->o.arg, c, frame);
            block_unref(frame);
        }
        free(header);
    }
    if (frame == NULL || c->status != OK) {
        c->host->o.copy_end(c->host->o.arg, c);
    }
}

static void send_data(struct copy_source *c)
{
    Mq__CopyData m = MQ__COPY_DATA__INIT;
    m.offset = c->offset;
    m.last = c->offset + c->data_size >= c->pin->descriptor.size;
    uint8_t header[32];
    size_t size = mq__copy_data__pack(&m, header);
    struct block *frame;
    struct bytes payload = {c->data, c->data_size};
    if (frame_block_new(FRAME_COPY_DATA, (struct bytes){header, size}, payload, &frame) != OK) {
        c->host->o.copy_end(c->host->o.arg, c);
        return;
    }
    c->offset += c->data_size;
    c->complete = m.last;
    c->host->o.copy_send(c->host->o.arg, c, frame);
    block_unref(frame);
}

/* ---- steps ---- */

static void free_now(struct copy_source *c)
{
    if (c->pin != NULL) {
        if (c->status != OK || !c->head_sent) { /* of no more use: nobody can name it */
            close_pin(c->host, c->pin);
        } else {
            park_pin(c->host, c->pin, c->complete ? PARKED_COMPLETE_MS : PARKED_MS);
        }
    }
    free(c->data);
    free(c);
}

static void free_abandoned(struct copy_source *c)
{
    must(c->host->copies_abandoned > 0);
    c->host->copies_abandoned--;
    free_now(c);
}

static void work_open(struct job *j)
{
    struct copy_source *c = container_of(j, struct copy_source, job);
    struct state_machine *m = &c->shard->o.machine;
    c->status = m->ops->copy_open(m->self, c->min_index, &c->pin->copy, &c->pin->descriptor);
}

static void on_opened(struct job *j)
{
    struct copy_source *c = container_of(j, struct copy_source, job);
    c->busy = false;
    if (c->status != OK) {
        free(c->pin);
        c->pin = NULL;
    }
    if (c->freed) {
        free_abandoned(c);
        return;
    }
    send_head(c);
}

static void work_read(struct job *j)
{
    struct copy_source *c = container_of(j, struct copy_source, job);
    c->status = c->shard->o.machine.ops->copy_read(c->pin->copy, c->offset, c->data,
                                                   COPY_PIECE_BYTES, &c->data_size);
}

static void on_read(struct job *j)
{
    struct copy_source *c = container_of(j, struct copy_source, job);
    c->busy = false;
    if (c->freed) {
        free_abandoned(c);
        return;
    }
    c->status = c->status == OK && c->data_size == 0 ? STATUS_CORRUPT : c->status;
    if (c->status != OK) {
        log_warn("event=copy.source_failed shard=%u status=%s", c->shard->o.shard,
                 status_name(c->status));
        c->host->o.copy_end(c->host->o.arg, c);
        return;
    }
    send_data(c);
}

static void start(struct copy_source *c, void (*work)(struct job *), void (*done)(struct job *))
{
    c->busy = true;
    c->job.work = work;
    c->job.done = done;
    host_job(c->host, LANE_COPY, &c->job);
}

void copy_source_written(struct copy_source *c)
{
    if (c->busy || c->freed || c->status != OK) {
        return;
    }
    if (c->complete) {
        c->host->o.copy_end(c->host->o.arg, c);
        return;
    }
    start(c, work_read, on_read);
}

void copy_source_free(struct copy_source *c)
{
    if (c == NULL || c->freed) {
        return;
    }
    c->freed = true;
    if (c->busy) {
        c->host->copies_abandoned++;
    } else {
        free_now(c);
    }
}

static enum status check(struct host *h, const Mq__CopyRequest *m, struct shard **out_s)
{
    if (m->cluster_id.len != 16 || memcmp(m->cluster_id.data, h->o.cluster.bytes, 16) != 0) {
        return STATUS_WRONG_CLUSTER;
    }
    struct shard *s = host_find_shard(h, m->shard);
    if (s == NULL || shard_witness(s)) {
        return STATUS_NO_SHARD;
    }
    if (m->epoch_number != s->o.epoch.number || m->epoch_id != s->o.epoch.id) {
        return STATUS_WRONG_EPOCH;
    }
    if (s->state != SHARD_RUNNING || h->copies_abandoned >= ABANDONED_MAX) {
        return STATUS_BUSY;
    }
    *out_s = s;
    return OK;
}

static enum status begin(struct copy_source *c, const Mq__CopyRequest *m)
{
    c->min_index = m->min_index;
    c->data = malloc(COPY_PIECE_BYTES);
    if (c->data == NULL) {
        return STATUS_NO_MEMORY;
    }
    c->pin = find_parked(c->host, c->shard, m);
    if (c->pin != NULL && m->offset < c->pin->descriptor.size && m->offset % 4096 == 0) {
        c->offset = m->offset;
        send_head(c);
        return OK;
    }
    if (c->pin == NULL) {
        c->pin = calloc(1, sizeof(*c->pin));
        if (c->pin == NULL) {
            return STATUS_NO_MEMORY;
        }
        c->pin->shard = c->shard;
        start(c, work_open, on_opened);
        return OK;
    }
    send_head(c); /* from the start */
    return OK;
}

enum status copy_source_new(struct host *h, node_id from, const struct frame *request,
                            struct copy_source **out_c)
{
    Mq__CopyRequest *m = mq__copy_request__unpack(NULL, request->header.size, request->header.data);
    if (m == NULL) {
        return STATUS_MALFORMED;
    }
    struct shard *s = NULL;
    enum status status = check(h, m, &s);
    struct copy_source *c = status == OK ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        mq__copy_request__free_unpacked(m, NULL);
        return status == OK ? STATUS_NO_MEMORY : status;
    }
    c->host = h;
    c->shard = s;
    *out_c = c; /* the head may be sent from inside: the owner must be able to find it */
    status = begin(c, m);
    mq__copy_request__free_unpacked(m, NULL);
    if (status != OK) {
        *out_c = NULL;
        free(c->data);
        free(c);
        return status;
    }
    log_info("event=copy.serving shard=%u to_node=%u", s->o.shard, from);
    return OK;
}
