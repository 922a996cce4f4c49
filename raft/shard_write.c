/* Writes of a shard: from a request to an entry, and from the applied entry back to the request.
 *
 * shard_submit() copies the command into the open batch. The batch closes into an entry when the log can take it (nothing of
 * the node's log is on its way to the disk) or when it is full; so while one sync runs, the next batch gathers.
 * An entry that is submitted waits in a ring until its results come back from apply. When leadership is lost, what is in an
 * entry is *unknown* (it may yet be applied), what is still in the open batch is *refused*: it never left this node. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/shard_internal.h"

void shard_writer_init(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    batch_builder_init(&w->builder);
    list_init(&w->open);
    list_init(&w->backlog);
    list_init(&w->finished);
    w->entries = calloc(PENDING_ENTRIES_MAX, sizeof(*w->entries));
}

void shard_writer_deinit(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    batch_builder_deinit(&w->builder);
    free(w->entries);
    w->entries = NULL;
}

static void finish(struct shard *s, struct shard_submit *r, enum submit_outcome outcome,
                   enum status status)
{
    r->outcome = outcome;
    r->status = status;
    block_unref(r->kept);
    r->kept = NULL;
    list_remove(&r->link);
    list_push_back(&s->writer.finished, &r->link);
    s->dirty = true;
}

static enum status admit(const struct shard *s, const struct shard_submit *r)
{
    const struct shard_writer *w = &s->writer;
    if (!shard_active(s) || s->role != ENGINE_LEADER) {
        return s->leader != 0 ? STATUS_NOT_LEADER : STATUS_NO_LEADER;
    }
    if (shard_witness(s) || s->lost) {
        return STATUS_NOT_LEADER; /* it hands over at once */
    }
    if (r->command.size > COMMAND_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (w->pending_bytes + batch_item_size(r->command.size) > s->host->o.pending_bytes_max) {
        return STATUS_OVERLOAD;
    }
    if (s->applier.paused_until_ms != 0 || s->applier.due.disk_low ||
        !log_has_room(s->host->log, batch_item_size(r->command.size))) {
        return STATUS_NO_SPACE;
    }
    return OK;
}

/* Time of the next batch: previous plus our own elapsed, drawn to wall time by at most 1 %. */
static uint64_t stamp(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    uint64_t now = host_now(s->host);
    uint64_t wall = clock_wall_ms(s->host->o.clock);
    if (w->time_ms == 0) {
        w->time_ms = wall;
    } else {
        uint64_t elapsed = now - w->time_at_ms;
        uint64_t time = w->time_ms + elapsed;
        uint64_t draw = elapsed / 100;
        if (wall > time) {
            time += wall - time < draw ? wall - time : draw;
        } else {
            time -= time - wall < draw ? time - wall : draw;
        }
        w->time_ms = time;
    }
    w->time_at_ms = now;
    return w->time_ms;
}

/* Leadership begins: time goes on from what the log has said, and never behind it. */
void shard_writer_led(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    uint64_t wall = clock_wall_ms(s->host->o.clock);
    uint64_t said = s->applier.due.time_ms;
    w->time_ms = wall > said ? wall : said;
    w->time_at_ms = host_now(s->host);
    w->tick_pending = false;
}

static struct pending_entry *pending_at(struct shard_writer *w, uint32_t i)
{
    return &w->entries[(w->entries_first + i) % PENDING_ENTRIES_MAX];
}

static void remember_entry(struct shard *s, uint64_t index)
{
    struct shard_writer *w = &s->writer;
    struct pending_entry *p = pending_at(w, w->entries_n);
    w->entries_n++;
    p->index = index;
    p->bytes = w->open_bytes;
    w->open_bytes = 0;
    list_init(&p->submits);
    list_splice(&p->submits, &w->open);
    list_each(n, &p->submits)
    {
        container_of(n, struct shard_submit, link)->entry_index = index;
    }
}

/* Closes the open batch into one entry. False: it stays open (window full, transfer under way). */
static bool close_batch(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    if (w->builder.count == 0) {
        return true;
    }
    uint64_t last = engine_last_index(s->engine);
    if (w->entries_n == PENDING_ENTRIES_MAX || last - s->commit >= 256 || shard_handing_over(s)) {
        return false;
    }
    struct batch_header header = {
        .shard = s->o.shard, .level = FEATURE_LEVEL, .epoch = s->o.epoch, .time_ms = stamp(s)};
    struct block *block;
    if (batch_builder_finish(&w->builder, &header, &block) != OK) {
        return false;
    }
    struct engine_entry entry = {engine_term(s->engine), ENTRY_COMMAND, block};
    uint64_t index = last + 1;
    remember_entry(
        s, index); /* before the step: it may lose the leadership, which settles what waits */
    enum status status = engine_submit(s->engine, host_now(s->host), &entry, 1);
    block_unref(block);
    if (status != OK) {
        shard_writer_lost(s); /* conservative: unknown */
    }
    shard_check_engine(s, status, "submit");
    return status == OK;
}

static bool log_can_take(const struct shard *s)
{
    return log_queued_bytes(s->host->log) == 0;
}

/* Into the open batch; its bytes are counted as pending already. */
static enum status add_to_batch(struct shard *s, struct shard_submit *r)
{
    struct shard_writer *w = &s->writer;
    struct batch_item item = {r->command, r->session, r->sequence};
    enum status status = batch_builder_add(&w->builder, &item);
    if (status == STATUS_FULL && close_batch(s)) {
        status = batch_builder_add(&w->builder, &item);
    }
    if (status == OK) {
        r->ordinal = w->builder.count - 1;
        w->open_bytes += batch_item_size(r->command.size);
        list_push_back(&w->open, &r->link);
    }
    return status;
}

static void drop_backlog(struct shard *s, struct shard_submit *r, enum status why)
{
    s->writer.pending_bytes -= batch_item_size(r->command.size);
    finish(s, r, SUBMIT_REFUSED, why);
}

static void drain_backlog(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    while (!list_empty(&w->backlog) && s->role == ENGINE_LEADER) {
        struct shard_submit *r = container_of(w->backlog.next, struct shard_submit, link);
        list_remove(&r->link);
        enum status status = add_to_batch(s, r);
        if (status == STATUS_FULL) {
            list_push_front(&w->backlog, &r->link);
            return;
        }
        if (status != OK) {
            drop_backlog(s, r, status);
            continue;
        }
        block_unref(r->kept);
        r->kept = NULL;
    }
}

static void propose_tick(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    const struct sm_due *due = &s->applier.due;
    if (w->tick_pending || s->o.tick_command == NULL || due->due_ms == 0 || shard_witness(s)) {
        return;
    }
    uint64_t now = w->time_ms + (host_now(s->host) - w->time_at_ms);
    if (now < due->due_ms || w->builder.count > 0 || s->applier.paused_until_ms != 0 ||
        due->disk_low || !log_has_room(s->host->log, 4096)) {
        return; /* a batch that is about to go carries the time as well; the next turn looks again */
    }
    struct batch_item item = {.command = {s->o.tick_command->data, s->o.tick_command->size}};
    if (batch_builder_add(&w->builder, &item) == OK) {
        w->tick_pending = true;
        w->tick_index = engine_last_index(s->engine) + 1;
        close_batch(s);
    }
}

void shard_writer_turn(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    if (s->role != ENGINE_LEADER) {
        return;
    }
    if (w->tick_pending && s->applier.visible >= w->tick_index) {
        w->tick_pending = false;
    }
    propose_tick(s);
    drain_backlog(s);
    if (w->builder.count > 0 && log_can_take(s)) {
        close_batch(s);
        drain_backlog(s);
    }
}

void shard_writer_tick(struct shard *s, uint64_t now_ms)
{
    struct shard_writer *w = &s->writer;
    list_each_safe(n, &w->open)
    {
        struct shard_submit *r = container_of(n, struct shard_submit, link);
        if (r->deadline_ms <= now_ms) {
            finish(s, r, SUBMIT_UNKNOWN, STATUS_TIMEOUT); /* its bytes are in the batch */
        }
    }
    list_each_safe(b, &w->backlog)
    {
        struct shard_submit *r = container_of(b, struct shard_submit, link);
        if (r->deadline_ms <= now_ms) {
            drop_backlog(s, r, STATUS_TIMEOUT); /* it never left */
        }
    }
    for (uint32_t i = 0; i < w->entries_n; i++) {
        list_each_safe(m, &pending_at(w, i)->submits)
        {
            struct shard_submit *r = container_of(m, struct shard_submit, link);
            if (r->deadline_ms <= now_ms) {
                finish(s, r, SUBMIT_UNKNOWN, STATUS_TIMEOUT);
            }
        }
    }
}

void shard_writer_lost(struct shard *s)
{
    struct shard_writer *w = &s->writer;
    while (w->entries_n > 0) {
        struct pending_entry *p = pending_at(w, 0);
        while (!list_empty(&p->submits)) {
            finish(s, container_of(p->submits.next, struct shard_submit, link), SUBMIT_UNKNOWN,
                   STATUS_UNKNOWN_OUTCOME);
        }
        w->pending_bytes -= p->bytes;
        w->entries_first = (w->entries_first + 1) % PENDING_ENTRIES_MAX;
        w->entries_n--;
    }
    while (!list_empty(&w->open)) {
        finish(s, container_of(w->open.next, struct shard_submit, link), SUBMIT_REFUSED,
               STATUS_NOT_LEADER);
    }
    while (!list_empty(&w->backlog)) {
        drop_backlog(s, container_of(w->backlog.next, struct shard_submit, link),
                     STATUS_NOT_LEADER);
    }
    buffer_clear(&w->builder.buffer);
    w->builder.count = 0;
    w->pending_bytes -= w->open_bytes;
    w->open_bytes = 0;
    w->tick_pending = false;
}

static struct shard_submit *find_submit(struct pending_entry *p, uint32_t ordinal)
{
    list_each(n, &p->submits)
    {
        struct shard_submit *r = container_of(n, struct shard_submit, link);
        if (r->ordinal == ordinal) {
            return r;
        }
        if (r->ordinal > ordinal) {
            return NULL;
        }
    }
    return NULL;
}

/* Results come in the order of the log, so the front of the ring is the entry they speak of. */
void shard_writer_results(struct shard *s, const struct sm_results *results, uint64_t applied)
{
    struct shard_writer *w = &s->writer;
    uint64_t term = s->engine != NULL ? engine_term(s->engine) : 0;
    for (uint32_t i = 0; i < results->count; i++) {
        struct sm_result *result = &results->items[i];
        struct pending_entry *p = w->entries_n > 0 ? pending_at(w, 0) : NULL;
        while (p != NULL && p->index < result->index) {
            must(list_empty(&p->submits));
            w->pending_bytes -= p->bytes;
            w->entries_first = (w->entries_first + 1) % PENDING_ENTRIES_MAX;
            w->entries_n--;
            p = w->entries_n > 0 ? pending_at(w, 0) : NULL;
        }
        struct shard_submit *r =
            p != NULL && p->index == result->index ? find_submit(p, result->ordinal) : NULL;
        if (r == NULL) {
            block_unref(result->payload);
            continue;
        }
        r->index = result->index;
        r->term = term;
        r->result = result->payload;
        s->writes_total++;
        finish(s, r, SUBMIT_APPLIED, result->status);
    }
    while (w->entries_n > 0 && pending_at(w, 0)->index <= applied) {
        struct pending_entry *p = pending_at(w, 0);
        while (!list_empty(
            &p->submits)) { /* applied without a result for it: say no more than we know */
            finish(s, container_of(p->submits.next, struct shard_submit, link), SUBMIT_UNKNOWN,
                   STATUS_UNKNOWN_OUTCOME);
        }
        w->pending_bytes -= p->bytes;
        w->entries_first = (w->entries_first + 1) % PENDING_ENTRIES_MAX;
        w->entries_n--;
    }
}

void shard_writer_complete(struct shard *s)
{
    struct list done;
    list_init(&done);
    list_splice(&done, &s->writer.finished);
    for (struct list *n = list_pop(&done); n != NULL; n = list_pop(&done)) {
        struct shard_submit *r = container_of(n, struct shard_submit, link);
        r->done(r);
    }
}

void shard_submit(struct shard *s, struct shard_submit *r)
{
    struct shard_writer *w = &s->writer;
    r->index = 0;
    r->term = 0;
    r->result = NULL;
    r->entry_index = 0;
    r->kept = NULL;
    r->link = (struct list){NULL, NULL};
    s->dirty = true;
    enum status status = admit(s, r);
    if (status != OK) {
        finish(s, r, SUBMIT_REFUSED, status);
        return;
    }
    uint64_t bytes = batch_item_size(r->command.size);
    w->pending_bytes += bytes;
    status = list_empty(&w->backlog) ? add_to_batch(s, r) : STATUS_FULL;
    if (status == STATUS_FULL && s->role != ENGINE_LEADER) { /* closing the batch ended it */
        status = STATUS_NOT_LEADER;
    } else if (status == STATUS_FULL) { /* the batch is full and can't close yet: wait, in order */
        r->kept = block_copy(r->command.data, r->command.size);
        status = r->kept != NULL ? OK : STATUS_NO_MEMORY;
        if (status == OK) {
            r->command.data = r->kept->data;
            list_push_back(&w->backlog, &r->link);
        }
    }
    if (status != OK) {
        w->pending_bytes -= bytes;
        finish(s, r, SUBMIT_REFUSED, status);
    }
}
