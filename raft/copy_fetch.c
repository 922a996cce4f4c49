/* The receiving side of a copy (K2, K3): dial -> head -> install_begin -> data, each piece written on the copy lane before the
 * next is taken -> install_commit (digest checked, side file) -> the shard names the new environment in its log.
 * A broken connection is dialled again and resumes where it was, as long as the source still has the same pin; a source
 * that says no, a wrong digest, or too many breaks without progress end the fetch, and the shard tries another source. */
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "proto/peer.pb-c.h"
#include "raft/shard_internal.h"

#define REDIAL_MS  200
#define BREAKS_MAX 10
#define STALL_MS   15000

enum fetch_step {
    FETCH_HEAD,
    FETCH_BEGIN,
    FETCH_DATA,
    FETCH_WRITE,
    FETCH_COMMIT,
    FETCH_BROKEN,
    FETCH_ABORT
};

struct copy_fetch {
    struct shard *shard;
    struct host *host;
    node_id node;
    uint64_t min_index, max_index;
    enum fetch_step step;
    bool connected, canceled, reader_paused, last;
    uint32_t breaks;
    uint64_t redial_ms, progress_ms;
    struct sm_descriptor descriptor;
    struct sm_install *install;
    uint64_t offset; /* written and acknowledged by the disk job */
    struct block *piece;
    struct job job;
    bool busy;
    enum status status;
    struct uuid environment;
    struct error error;
    void *user;
};

node_id copy_fetch_node(const struct copy_fetch *f)
{
    return f->node;
}

void *copy_fetch_user(struct copy_fetch *f)
{
    return f->user;
}

void copy_fetch_set_user(struct copy_fetch *f, void *user)
{
    f->user = user;
}

bool copy_fetch_busy(const struct copy_fetch *f)
{
    return f->busy;
}

uint64_t copy_fetch_bytes(const struct copy_fetch *f, uint64_t *out_size)
{
    *out_size = f->descriptor.size;
    return f->offset;
}

unsigned copy_fetch_percent(const struct copy_fetch *f)
{
    return f->descriptor.size == 0 ? 0 : (unsigned)(f->offset * 100 / f->descriptor.size);
}

static void start(struct copy_fetch *f, enum fetch_step step, void (*work)(struct job *),
                  void (*done)(struct job *))
{
    f->step = step;
    f->busy = true;
    f->job.work = work;
    f->job.done = done;
    host_job(f->host, LANE_COPY, &f->job);
}

static void free_now(struct copy_fetch *f)
{
    block_unref(f->piece);
    block_unref(f->descriptor.configuration);
    free(f);
}

/* ---- the end ---- */

static void work_abort(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    f->shard->o.machine.ops->install_abort(f->install);
    f->install = NULL;
}

static void tell_and_free(struct copy_fetch *f)
{
    if (!f->canceled) {
        struct shard *s = f->shard;
        shard_install_fetched(s, f->status, &f->environment, &f->descriptor);
    }
    free_now(f);
}

static void on_aborted(struct job *j)
{
    tell_and_free(container_of(j, struct copy_fetch, job));
}

static void hang_up(struct copy_fetch *f)
{
    if (f->connected) {
        f->connected = false;
        f->host->o.copy_hang_up(f->host->o.arg, f);
    }
}

static void finish(struct copy_fetch *f, enum status status)
{
    must(!f->busy);
    hang_up(f);
    f->status = status;
    if (f->install != NULL) {
        start(f, FETCH_ABORT, work_abort, on_aborted);
        return;
    }
    tell_and_free(f);
}

void copy_fetch_cancel(struct copy_fetch *f)
{
    f->canceled = true;
    hang_up(f);
    if (f->busy) {
        return; /* the job's completion ends it */
    }
    if (f->install != NULL && f->host->closing) {
        f->shard->o.machine.ops->install_abort(f->install); /* no job runs any more */
        f->install = NULL;
    }
    finish(f, STATUS_CANCELED);
}

/* ---- jobs ---- */

static void resume_reading(struct copy_fetch *f)
{
    if (f->reader_paused && f->connected) {
        f->reader_paused = false;
        f->host->o.copy_resume(f->host->o.arg, f);
    }
}

static void break_off(struct copy_fetch *f)
{
    f->step = FETCH_BROKEN;
    f->redial_ms = host_now(f->host) + REDIAL_MS;
    f->shard->dirty = true;
}

static void work_begin(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    struct state_machine *m = &f->shard->o.machine;
    if (f->install != NULL) {
        m->ops->install_abort(f->install);
        f->install = NULL;
    }
    f->status = m->ops->install_begin(m->self, &f->descriptor, &f->install);
}

static bool job_ends_here(struct copy_fetch *f)
{
    f->busy = false;
    if (f->canceled || f->status != OK) {
        finish(f, f->status != OK ? f->status : STATUS_CANCELED);
        return true;
    }
    return false;
}

static void on_begun(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    if (job_ends_here(f)) {
        return;
    }
    f->offset = 0;
    f->step = FETCH_DATA;
    if (!f->connected) {
        break_off(f);
        return;
    }
    resume_reading(f);
}

static void work_commit(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    struct sm_install *install = f->install;
    f->install = NULL; /* commit frees it, whatever it returns */
    f->status = f->shard->o.machine.ops->install_commit(install, &f->environment, &f->error);
}

static void on_committed(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    f->busy = false;
    if (f->status != OK) {
        log_warn("event=copy.refused shard=%u from_node=%u text=\"%s\"", f->shard->o.shard, f->node,
                 f->error.text);
    }
    finish(f, f->status);
}

static void work_write(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    f->status = f->shard->o.machine.ops->install_write(f->install, f->offset, f->piece->data,
                                                       f->piece->size);
}

static void on_written(struct job *j)
{
    struct copy_fetch *f = container_of(j, struct copy_fetch, job);
    if (job_ends_here(f)) {
        return;
    }
    f->offset += f->piece->size;
    block_unref(f->piece);
    f->piece = NULL;
    f->breaks = 0;
    f->progress_ms = host_now(f->host);
    f->step = FETCH_DATA;
    if (f->last) {
        hang_up(f);
        start(f, FETCH_COMMIT, work_commit, on_committed);
    } else if (!f->connected) {
        break_off(f);
    } else {
        resume_reading(f);
    }
}

/* ---- frames ---- */

static enum status take_head(struct copy_fetch *f, const Mq__CopyHead *m)
{
    if (m->status != OK) {
        log_warn("event=copy.not_served shard=%u from_node=%u text=\"%.100s\"", f->shard->o.shard,
                 f->node, m->text);
        return STATUS_UNREACHABLE;
    }
    bool sane = m->environment.len == 16 && m->digest.len == 16 && m->configuration.len > 0 &&
                m->configuration.len <= LOG_CONFIGURATION_BYTES_MAX && m->size > 0 &&
                m->size % 4096 == 0;
    if (!sane || m->index < f->min_index || m->index > f->max_index) {
        return STATUS_MALFORMED;
    }
    bool resumes = f->install != NULL && m->offset == f->offset &&
                   m->checkpoint == f->descriptor.checkpoint &&
                   memcmp(m->environment.data, f->descriptor.environment.bytes, 16) == 0;
    if (resumes) {
        f->step = FETCH_DATA;
        return OK;
    }
    if (m->offset != 0) {
        return STATUS_MALFORMED;
    }
    struct sm_descriptor *d = &f->descriptor;
    block_unref(d->configuration);
    *d = (struct sm_descriptor){.epoch = f->shard->o.epoch,
                                .checkpoint = m->checkpoint,
                                .index = m->index,
                                .term = m->term,
                                .configuration_index = m->configuration_index,
                                .size = m->size};
    memcpy(d->environment.bytes, m->environment.data, 16);
    memcpy(d->digest, m->digest.data, 16);
    d->configuration = block_copy(m->configuration.data, m->configuration.len);
    if (d->configuration == NULL) {
        return STATUS_NO_MEMORY;
    }
    start(f, FETCH_BEGIN, work_begin, on_begun);
    return OK;
}

static enum status take_data(struct copy_fetch *f, const Mq__CopyData *m, struct bytes payload)
{
    bool fits = m->offset == f->offset && payload.size > 0 &&
                payload.size <= f->descriptor.size - f->offset &&
                m->last == (f->offset + payload.size == f->descriptor.size);
    if (!fits) {
        return STATUS_MALFORMED;
    }
    f->piece = block_copy(payload.data, payload.size);
    if (f->piece == NULL) {
        return STATUS_NO_MEMORY;
    }
    f->last = m->last;
    start(f, FETCH_WRITE, work_write, on_written);
    return OK;
}

enum status copy_fetch_receive(struct copy_fetch *f, const struct frame *frame)
{
    if (f->busy) {
        f->reader_paused = true;
        return STATUS_BUSY;
    }
    enum status status = STATUS_MALFORMED;
    if (frame->kind == FRAME_COPY_HEAD && f->step == FETCH_HEAD) {
        Mq__CopyHead *m = mq__copy_head__unpack(NULL, frame->header.size, frame->header.data);
        if (m != NULL) {
            status = take_head(f, m);
            mq__copy_head__free_unpacked(m, NULL);
        }
    } else if (frame->kind == FRAME_COPY_DATA && f->step == FETCH_DATA) {
        Mq__CopyData *m = mq__copy_data__unpack(NULL, frame->header.size, frame->header.data);
        if (m != NULL) {
            status = take_data(f, m, frame->payload);
            mq__copy_data__free_unpacked(m, NULL);
        }
    }
    if (status != OK) {
        f->breaks += BREAKS_MAX; /* this source will not do better */
    }
    return status;
}

void copy_fetch_closed(struct copy_fetch *f, enum status why)
{
    (void)why;
    f->connected = false;
    f->reader_paused = false;
    f->breaks++;
    if (!f->busy) {
        break_off(f);
    }
}

struct block *copy_fetch_request(struct copy_fetch *f)
{
    struct shard *s = f->shard;
    Mq__CopyRequest m = MQ__COPY_REQUEST__INIT;
    uint8_t cluster[16];
    uint8_t environment[16];
    memcpy(cluster, f->host->o.cluster.bytes, 16);
    memcpy(environment, f->descriptor.environment.bytes, 16);
    m.shard = s->o.shard;
    m.epoch_number = s->o.epoch.number;
    m.epoch_id = s->o.epoch.id;
    m.min_index = f->min_index;
    m.max_index = f->max_index;
    m.node = f->host->o.node;
    m.cluster_id = (ProtobufCBinaryData){16, cluster};
    if (f->install != NULL) {
        m.environment = (ProtobufCBinaryData){16, environment};
        m.checkpoint = f->descriptor.checkpoint;
        m.offset = f->offset;
    }
    uint8_t header[256];
    size_t size = mq__copy_request__pack(&m, header);
    struct block *frame = NULL;
    if (frame_block_new(FRAME_COPY_REQUEST, (struct bytes){header, size}, (struct bytes){NULL, 0},
                        &frame) != OK) {
        return NULL;
    }
    return frame;
}

static enum status dial(struct copy_fetch *f)
{
    f->step = FETCH_HEAD;
    f->progress_ms = host_now(f->host);
    f->connected = true;
    enum status status = f->host->o.copy_dial(f->host->o.arg, f);
    if (status != OK) {
        f->connected = false;
    }
    return status;
}

enum status copy_fetch_start(struct shard *s, node_id node, uint64_t min_index, uint64_t max_index,
                             struct copy_fetch **out_f)
{
    struct copy_fetch *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return STATUS_NO_MEMORY;
    }
    f->shard = s;
    f->host = s->host;
    f->node = node;
    f->min_index = min_index;
    f->max_index = max_index;
    enum status status = dial(f);
    if (status != OK) {
        free_now(f);
        return status;
    }
    *out_f = f;
    return OK;
}

void shard_install_tick(struct shard *s, uint64_t now_ms)
{
    struct copy_fetch *f = s->fetch;
    if (f == NULL || f->busy) {
        return;
    }
    if (f->step == FETCH_BROKEN && now_ms >= f->redial_ms) {
        if (f->breaks >= BREAKS_MAX) {
            finish(f, STATUS_UNREACHABLE);
        } else if (dial(f) != OK) {
            f->breaks++;
            break_off(f);
        }
        return;
    }
    if (f->step != FETCH_BROKEN && now_ms >= f->progress_ms + STALL_MS) {
        hang_up(f);
        f->breaks++;
        break_off(f);
    }
}
