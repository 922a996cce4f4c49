/* One data replica: raft/'s table on one side, a store on the other.
 *
 * What is open is one reference that the replica holds under a lock; queries, checkpoints and copies take one of their own for as
 * long as they need it, so close() and open() of another environment never wait for them: they finish on what they began with.
 * Failure: open() of an environment that somebody still reads from an earlier open() answers BUSY (an environment
 * must not be open twice in one process); raft/ opens an environment again only after a restart of the process. */
#include "node/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "storage/checkpoint.h"
#include "storage/copy.h"
#include "storage/query.h"
#include "storage/store.h"

#define REPLICA_PATH_MAX 3500u

/* An environment that is open, or being installed: its directory is in use. */
struct in_use {
    struct list link;
    struct replica *replica;
    struct uuid environment;
};

struct replica {
    struct state_machine machine;
    struct replica_options options;
    char directory[REPLICA_PATH_MAX]; /* <data>/shards/<shard> */
    struct lock lock;
    struct store *store; /* NULL while closed */
    struct list used;
};

struct sm_checkpoint {
    struct store *store;
    struct checkpoint *checkpoint;
};
struct sm_copy {
    struct copy *copy;
};
struct sm_install {
    struct in_use *use;
    struct install *install;
};

static void path_of(const struct replica *r, const struct uuid *environment, char *out, size_t size)
{
    char name[UUID_TEXT_SIZE];
    uuid_format(environment, name);
    snprintf(out, size, "%s/%s", r->directory, name);
}

static struct store_options options_of(struct replica *r, const char *directory)
{
    return (struct store_options){.directory = directory,
                                  .disk = r->options.disk,
                                  .shard = r->options.shard,
                                  .map_bytes = r->options.map_bytes,
                                  .reserve_bytes = r->options.reserve_bytes,
                                  .pin_growth_bytes = r->options.pin_growth_bytes};
}

/* A reference to what is open, or NULL. */
static struct store *current(struct replica *r)
{
    lock_take(&r->lock);
    struct store *s = r->store == NULL ? NULL : store_ref(r->store);
    lock_give(&r->lock);
    return s;
}

/* ---- environments in use ---- */

static bool used(struct replica *r, const struct uuid *environment)
{
    list_each(n, &r->used)
    {
        if (uuid_equal(&container_of(n, struct in_use, link)->environment, environment)) {
            return true;
        }
    }
    return false;
}

/* NULL: it is in use (or no memory). */
static struct in_use *use(struct replica *r, const struct uuid *environment)
{
    struct in_use *u = malloc(sizeof(*u));
    if (u == NULL) {
        return NULL;
    }
    u->replica = r;
    u->environment = *environment;
    lock_take(&r->lock);
    if (used(r, environment)) {
        free(u);
        u = NULL;
    } else {
        list_push_back(&r->used, &u->link);
    }
    lock_give(&r->lock);
    return u;
}

static void unuse(void *arg)
{
    struct in_use *u = arg;
    lock_take(&u->replica->lock);
    list_remove(&u->link);
    lock_give(&u->replica->lock);
    free(u);
}

static struct uuid draw(struct replica *r)
{
    struct uuid u;
    lock_take(&r->lock);
    random_fill(r->options.random, u.bytes, sizeof(u.bytes));
    lock_give(&r->lock);
    return u;
}

/* ---- create, open, close ---- */

static enum status on_create(void *sm, const struct epoch *epoch, struct uuid *out_environment,
                             struct error *e)
{
    struct replica *r = sm;
    char path[REPLICA_PATH_MAX + 64];
    struct uuid environment = draw(r);
    path_of(r, &environment, path, sizeof(path));
    struct store_options o = options_of(r, path);
    enum status s = store_create(&o, &environment, epoch, e);
    if (s == OK) {
        *out_environment = environment;
    }
    return s;
}

static void fill(struct sm_descriptor *out, const struct checkpoint_descriptor *d)
{
    *out = (struct sm_descriptor){
        .environment = d->environment,
        .epoch = d->epoch,
        .checkpoint = d->sequence,
        .index = d->index,
        .term = d->term,
        .configuration = d->configuration, /* its reference goes along */
        .configuration_index = d->configuration_index,
        .size = env_meta_size(&d->meta),
    };
    digest_encode(d->digest, out->digest);
}

static void close_store(struct replica *r)
{
    lock_take(&r->lock);
    struct store *s = r->store;
    r->store = NULL;
    lock_give(&r->lock);
    store_close(s);
}

/* Directories that neither the log's record nor this process needs. */
static void remove_other(void *arg, const char *name)
{
    struct replica *r = arg;
    struct uuid environment;
    char path[REPLICA_PATH_MAX + 64];
    if (!uuid_parse(name, &environment)) {
        return;
    }
    lock_take(&r->lock);
    bool keep = used(r, &environment);
    lock_give(&r->lock);
    if (!keep) {
        path_of(r, &environment, path, sizeof(path));
        enum status s = install_remove(r->options.disk, path);
        log_info("event=environment.removed shard=%u environment=%s status=%s", r->options.shard,
                 name, status_name(s));
    }
}

static enum status on_open(void *sm, const struct uuid *environment,
                           struct sm_descriptor *out_descriptor, struct error *e)
{
    struct replica *r = sm;
    char path[REPLICA_PATH_MAX + 64];
    struct checkpoint_descriptor d;
    struct store *opened = NULL;
    close_store(r);
    struct in_use *u = use(r, environment);
    if (u == NULL) {
        return error_set(e, STATUS_BUSY, "the environment is still read from before: try again");
    }
    path_of(r, environment, path, sizeof(path));
    struct store_options o = options_of(r, path);
    o.closed = unuse;
    o.closed_arg = u;
    enum status s = store_open(&o, environment, &opened, &d, e);
    if (s != OK) {
        unuse(u);
        return s;
    }
    lock_take(&r->lock);
    r->store = opened;
    lock_give(&r->lock);
    disk_list(r->options.disk, r->directory, remove_other, r);
    fill(out_descriptor, &d);
    return OK;
}

static void on_close(void *sm)
{
    close_store(sm);
}

/* ---- apply ---- */

struct collecting {
    struct sm_results *results;
    bool no_memory;
};

static void on_answer(void *arg, uint64_t index, uint32_t ordinal, enum status s,
                      struct block *payload)
{
    struct collecting *c = arg;
    struct sm_results *r = c->results;
    if (r->count == r->capacity) {
        uint32_t capacity = r->capacity == 0 ? 64 : r->capacity * 2;
        struct sm_result *items = realloc(r->items, capacity * sizeof(*items));
        if (items == NULL) {
            c->no_memory = true;
            block_unref(payload);
            return;
        }
        r->items = items;
        r->capacity = capacity;
    }
    r->items[r->count++] = (struct sm_result){index, ordinal, s, payload};
}

static enum status on_apply(void *sm, const struct sm_entry *entries, uint32_t n,
                            struct sm_results *results, struct sm_position *out_position)
{
    struct replica *r = sm;
    struct collecting c = {results, false};
    struct store_sink sink = {on_answer, &c};
    struct store_position at;
    uint32_t before = results == NULL ? 0 : results->count;
    must(r->store != NULL); /* only this lane changes it */
    struct store_entry *copy = malloc((n + 1) * sizeof(*copy));
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = (struct store_entry){entries[i].index, entries[i].term, entries[i].payload};
    }
    enum status s = store_apply(r->store, copy, n, results == NULL ? NULL : &sink, &at);
    free(copy);
    s = s == OK && c.no_memory ? STATUS_NO_MEMORY : s;
    if (s != OK) {
        while (results != NULL && results->count > before) {
            block_unref(results->items[--results->count].payload);
        }
        return s;
    }
    out_position->index = at.index;
    out_position->term = at.term;
    digest_encode(at.digest, out_position->digest);
    return OK;
}

static enum status on_commit(void *sm, struct sm_due *out_due)
{
    struct replica *r = sm;
    struct store_due due;
    must(r->store != NULL);
    enum status s = store_commit(r->store, &due);
    if (out_due != NULL) {
        *out_due = (struct sm_due){due.time_ms, due.due_ms, due.dirty_bytes, due.disk_low};
    }
    return s;
}

/* ---- checkpoints ---- */

static enum status on_checkpoint_begin(void *sm, struct block *configuration,
                                       uint64_t configuration_index, struct sm_checkpoint **out_c)
{
    struct replica *r = sm;
    must(r->store != NULL);
    struct sm_checkpoint *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status s = checkpoint_begin(r->store, configuration, configuration_index, &c->checkpoint);
    if (s != OK) {
        free(c);
        return s;
    }
    c->store = store_ref(r->store);
    *out_c = c;
    return OK;
}

static enum status on_checkpoint_finish(void *sm, struct sm_checkpoint *c,
                                        struct sm_descriptor *out_descriptor)
{
    (void)sm;
    struct checkpoint_descriptor d;
    enum status s = checkpoint_finish(c->store, c->checkpoint, &d);
    if (s == OK) {
        fill(out_descriptor, &d);
    }
    return s;
}

static void on_checkpoint_release(void *sm, struct sm_checkpoint *c, bool durable)
{
    (void)sm;
    checkpoint_release(c->store, c->checkpoint, durable);
    store_unref(c->store);
    free(c);
}

/* ---- copies ---- */

static enum status on_copy_open(void *sm, uint64_t min_index, struct sm_copy **out_copy,
                                struct sm_descriptor *out_descriptor)
{
    struct store *store = current(sm);
    struct checkpoint_descriptor d;
    if (store == NULL) {
        return STATUS_CLOSED;
    }
    struct sm_copy *c = calloc(1, sizeof(*c));
    enum status s = c == NULL ? STATUS_NO_MEMORY : copy_open(store, min_index, &c->copy, &d);
    store_unref(store);
    if (s != OK) {
        free(c);
        return s;
    }
    fill(out_descriptor, &d);
    *out_copy = c;
    return OK;
}

static enum status on_copy_read(struct sm_copy *copy, uint64_t offset, uint8_t *data, size_t size,
                                size_t *out_size)
{
    return copy_read(copy->copy, offset, data, size, out_size);
}

static void on_copy_close(struct sm_copy *copy)
{
    if (copy != NULL) {
        copy_close(copy->copy);
        free(copy);
    }
}

static enum status on_install_begin(void *sm, const struct sm_descriptor *d,
                                    struct sm_install **out_i)
{
    struct replica *r = sm;
    char path[REPLICA_PATH_MAX + 64];
    struct checkpoint_descriptor c = {.epoch = d->epoch,
                                      .index = d->index,
                                      .term = d->term,
                                      .digest = digest_decode(d->digest),
                                      .configuration = d->configuration,
                                      .configuration_index = d->configuration_index};
    struct uuid environment = draw(r);
    struct sm_install *i = calloc(1, sizeof(*i));
    if (i == NULL) {
        return STATUS_NO_MEMORY;
    }
    i->use = use(r, &environment);
    path_of(r, &environment, path, sizeof(path));
    struct store_options o = options_of(r, path);
    enum status s = i->use == NULL ? STATUS_NO_MEMORY
                                   : install_begin(&o, &environment, &c, d->size, &i->install);
    if (s != OK) {
        if (i->use != NULL) {
            unuse(i->use);
        }
        free(i);
        return s;
    }
    *out_i = i;
    return OK;
}

static enum status on_install_write(struct sm_install *i, uint64_t offset, const uint8_t *data,
                                    size_t size)
{
    return install_write(i->install, offset, data, size);
}

static enum status on_install_commit(struct sm_install *i, struct uuid *out_environment,
                                     struct error *e)
{
    struct uuid environment = i->use->environment;
    enum status s = install_commit(i->install, e);
    unuse(i->use);
    free(i);
    if (s == OK) {
        *out_environment = environment;
    }
    return s;
}

static void on_install_abort(struct sm_install *i)
{
    if (i != NULL) {
        install_abort(i->install);
        unuse(i->use);
        free(i);
    }
}

static const struct sm_ops replica_ops = {
    .create = on_create,
    .open = on_open,
    .close = on_close,
    .apply = on_apply,
    .commit = on_commit,
    .checkpoint_begin = on_checkpoint_begin,
    .checkpoint_finish = on_checkpoint_finish,
    .checkpoint_release = on_checkpoint_release,
    .copy_open = on_copy_open,
    .copy_read = on_copy_read,
    .copy_close = on_copy_close,
    .install_begin = on_install_begin,
    .install_write = on_install_write,
    .install_commit = on_install_commit,
    .install_abort = on_install_abort,
};

/* ---- the object, and queries ---- */

enum status replica_new(const struct replica_options *o, struct replica **out_r)
{
    struct replica *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return STATUS_NO_MEMORY;
    }
    int n = snprintf(r->directory, sizeof(r->directory), "%s/shards/%u", o->data, o->shard);
    if (n < 0 || (size_t)n >= sizeof(r->directory)) {
        free(r);
        return STATUS_TOO_BIG;
    }
    r->options = *o;
    r->options.data = NULL; /* copied into directory */
    r->machine = (struct state_machine){&replica_ops, r};
    lock_init(&r->lock);
    list_init(&r->used);
    *out_r = r;
    return OK;
}

void replica_free(struct replica *r)
{
    if (r != NULL) {
        must(r->store == NULL);
        must(list_empty(&r->used));
        lock_deinit(&r->lock);
        free(r);
    }
}

struct state_machine *replica_machine(struct replica *r)
{
    return &r->machine;
}

enum status replica_query(struct replica *r, struct bytes query, struct buffer *out)
{
    struct store *s = current(r);
    if (s == NULL) {
        return STATUS_CLOSED;
    }
    enum status status = query_run(s, query, out);
    store_unref(s);
    return status;
}

uint64_t replica_committed_index(struct replica *r)
{
    struct store *s = current(r);
    if (s == NULL) {
        return 0;
    }
    uint64_t index = query_committed_index(s);
    store_unref(s);
    return index;
}
