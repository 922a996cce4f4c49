/* Copies out of a pinned checkpoint, and installing one; see copy.h. */
#include "storage/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "storage/store_state.h"

/* ---- source ---- */

struct copy {
    struct store *store;
    struct store_pin *pin;
    struct disk_file *file;
    uint32_t page_size;
    uint64_t size;
    uint8_t *metas; /* the first two pages */
};

static enum status open_pages(struct copy *c)
{
    char path[STORE_PATH_MAX + 32];
    const struct env_meta *m = &c->pin->descriptor.meta;
    c->page_size = env_meta_page_size(m);
    c->size = env_meta_size(m);
    c->metas = malloc(2 * (size_t)c->page_size);
    if (c->metas == NULL) {
        return STATUS_NO_MEMORY;
    }
    env_meta_page(m, 0, c->metas);
    env_meta_page(m, 1, c->metas + c->page_size);
    snprintf(path, sizeof(path), "%s/" ENV_DATA_FILE, c->store->directory);
    return disk_open(c->store->disk, path, DISK_READ, &c->file);
}

enum status copy_open(struct store *s, uint64_t min_index, struct copy **out_copy,
                      struct checkpoint_descriptor *out_d)
{
    struct copy *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    lock_take(&s->lock);
    if (s->durable != NULL && s->durable->descriptor.index >= min_index) {
        c->pin = s->durable;
        c->pin->references++;
    }
    lock_give(&s->lock);
    if (c->pin == NULL) {
        free(c);
        return STATUS_NOT_FOUND;
    }
    c->store = store_ref(s);
    enum status status = open_pages(c);
    if (status != OK) {
        copy_close(c);
        return status;
    }
    checkpoint_descriptor_copy(out_d, &c->pin->descriptor);
    *out_copy = c;
    return OK;
}

static bool canceled(struct copy *c)
{
    lock_take(&c->store->lock);
    bool yes = c->pin->canceled;
    lock_give(&c->store->lock);
    return yes;
}

enum status copy_read(struct copy *c, uint64_t offset, uint8_t *data, size_t size, size_t *out_size)
{
    if (offset > c->size) {
        return STATUS_INVALID;
    }
    uint64_t left = c->size - offset;
    size_t want = size < left ? size : (size_t)left;
    size_t done = 0;
    size_t head = 2 * (size_t)c->page_size;
    if (offset < head) {
        done = want < head - (size_t)offset ? want : head - (size_t)offset;
        memcpy(data, c->metas + offset, done);
    }
    if (done < want) {
        size_t got;
        enum status s =
            disk_read(c->store->disk, c->file, data + done, want - done, offset + done, &got);
        if (s != OK) {
            return s;
        }
        memset(data + done + got, 0,
               want - done - got); /* a shorter file: its last pages are free */
    }
    /* After reading: while the pin stood, nobody wrote to these pages. */
    if (canceled(c)) {
        return STATUS_CANCELED;
    }
    *out_size = want;
    return OK;
}

void copy_close(struct copy *c)
{
    if (c == NULL) {
        return;
    }
    if (c->file != NULL) {
        disk_close(c->store->disk, c->file);
    }
    store_pin_unref(c->store, c->pin);
    store_unref(c->store);
    free(c->metas);
    free(c);
}

/* ---- target ---- */

struct install {
    struct store_options options;
    char directory[STORE_PATH_MAX];
    struct checkpoint_descriptor descriptor;
    struct disk_file *file;
    uint64_t size;
    uint64_t written;
    size_t head_size; /* of the first two pages, kept here until the end */
    uint8_t *head;
};

static enum status make_file(struct install *i)
{
    char path[STORE_PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/" ENV_DATA_FILE, i->directory);
    enum status s = store_directories_make(i->options.disk, i->directory);
    return s == OK ? disk_open(i->options.disk, path,
                               DISK_READ | DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &i->file)
                   : s;
}

enum status install_begin(const struct store_options *o, const struct uuid *environment,
                          const struct checkpoint_descriptor *d, uint64_t size,
                          struct install **out_i)
{
    size_t head = 2 * (size_t)env_page_size();
    if (size < head || strlen(o->directory) >= STORE_PATH_MAX) {
        return STATUS_INVALID;
    }
    struct install *i = calloc(1, sizeof(*i));
    uint8_t *pages = i == NULL ? NULL : calloc(1, head);
    if (pages == NULL) {
        free(i);
        return STATUS_NO_MEMORY;
    }
    i->options = *o;
    snprintf(i->directory, sizeof(i->directory), "%s", o->directory);
    i->options.directory = i->directory;
    checkpoint_descriptor_copy(&i->descriptor, d);
    i->descriptor.environment = *environment;
    i->descriptor.shard = o->shard;
    i->descriptor.sequence = 1;
    i->size = size;
    i->head_size = head;
    i->head = pages;
    enum status s = make_file(i);
    if (s != OK) {
        install_abort(i);
        return s;
    }
    *out_i = i;
    return OK;
}

enum status install_write(struct install *i, uint64_t offset, const uint8_t *data, size_t size)
{
    if (offset != i->written || size > i->size - i->written) {
        return STATUS_INVALID;
    }
    size_t done = 0;
    if (offset < i->head_size) {
        done = size < i->head_size - (size_t)offset ? size : i->head_size - (size_t)offset;
        memcpy(i->head + offset, data, done);
    }
    if (done < size) {
        enum status s =
            disk_write(i->options.disk, i->file, data + done, size - done, offset + done);
        if (s != OK) {
            return s;
        }
    }
    i->written += size;
    return OK;
}

/* What came is the state that the descriptor names. */
static enum status verify(struct install *i, struct error *e)
{
    struct env_options eo = store_env_options(&i->options);
    struct env *env;
    struct env_pin *pin;
    struct env_txn *txn = NULL;
    struct store_position at = {0};
    struct digest sum = {0, 0};
    uint64_t pairs;
    enum status s = env_check_pages(i->options.disk, i->file, &i->descriptor.meta);
    if (s != OK) {
        return error_set(e, s, "%s: the copy's pages %s: %s", i->directory,
                         s == STATUS_CORRUPT ? "make no sense" : "can't be looked at",
                         status_text(s));
    }
    s = env_open(&eo, &i->descriptor.meta, &env, &pin, e);
    if (s != OK) {
        return s;
    }
    s = env_begin_read(env, &txn);
    s = s == OK ? store_read_position(txn, &at) : s;
    s = s == OK ? store_recompute(txn, &sum, &pairs) : s;
    env_abort(txn);
    env_pin_free(pin);
    env_close(env);
    if (s == OK && (at.index != i->descriptor.index || at.term != i->descriptor.term ||
                    !digest_equal(at.digest, i->descriptor.digest) ||
                    !digest_equal(sum, i->descriptor.digest))) {
        s = STATUS_CORRUPT;
    }
    return s == OK ? OK
                   : error_set(e, s, "%s: the copy is not what its source said: %s", i->directory,
                               status_text(s));
}

static enum status finish(struct install *i, struct error *e)
{
    if (i->written != i->size) {
        return error_set(e, STATUS_INVALID, "%s: the copy ended early", i->directory);
    }
    memcpy(i->descriptor.meta.bytes, i->head + 16, ENV_META_BYTES);
    if (!env_meta_plausible(&i->descriptor.meta) || env_meta_size(&i->descriptor.meta) != i->size) {
        return error_set(e, STATUS_CORRUPT, "%s: the copy's first page makes no sense",
                         i->directory);
    }
    enum status s =
        verify(i, e); /* opens it: which puts the metas in and syncs the file, pages and all */
    if (s != OK) {
        return s;
    }
    s = checkpoint_write(i->options.disk, i->directory, &i->descriptor);
    s = s == OK ? store_directories_sync(i->options.disk, i->directory) : s;
    return s == OK ? OK : error_set(e, s, "%s: %s", i->directory, status_text(s));
}

static void free_install(struct install *i)
{
    if (i->file != NULL) {
        disk_close(i->options.disk, i->file);
    }
    checkpoint_descriptor_deinit(&i->descriptor);
    free(i->head);
    free(i);
}

enum status install_commit(struct install *i, struct error *e)
{
    enum status s = finish(i, e);
    if (s != OK) {
        install_abort(i);
        return s;
    }
    free_install(i);
    return OK;
}

void install_abort(struct install *i)
{
    if (i == NULL) {
        return;
    }
    struct disk *disk = i->options.disk;
    char directory[STORE_PATH_MAX];
    memcpy(directory, i->directory, sizeof(directory));
    free_install(i);
    install_remove(disk, directory);
}

/* ---- removing ---- */

struct removal {
    struct disk *disk;
    const char *directory;
    enum status status;
};

static void remove_one(void *arg, const char *name)
{
    struct removal *r = arg;
    char path[STORE_PATH_MAX + 300];
    snprintf(path, sizeof(path), "%s/%s", r->directory, name);
    enum status s = disk_remove(r->disk, path);
    if (s != OK && s != STATUS_NOT_FOUND && r->status == OK) {
        r->status = s;
    }
}

enum status install_remove(struct disk *disk, const char *directory)
{
    struct removal r = {disk, directory, OK};
    enum status s = disk_list(disk, directory, remove_one, &r);
    if (s == STATUS_NOT_FOUND) {
        return OK;
    }
    if (s == OK) {
        s = r.status;
    }
    return s == OK ? disk_remove(disk, directory) : s;
}
