/* The side file, birth, opening, and the three steps of a checkpoint; see checkpoint.h and env.h.
 *
 * Side file, little-endian: magic "MQCP", version, sequence, shard, environment id, epoch (number, id, parent), index, term, digest,
 * configuration index and size, meta, configuration, XXH3-64 of all before. */
#include "storage/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/must.h"
#include "storage/store_state.h"

#define SIDE_MAGIC      0x5043514du
#define SIDE_VERSION    1u
#define SIDE_HEAD_BYTES (4u + 4u + 8u + 4u + 16u + 24u + 8u + 8u + 16u + 8u + 4u + ENV_META_BYTES)

struct checkpoint {
    struct env_pin *pin;
    struct checkpoint_descriptor descriptor;
};

void checkpoint_descriptor_deinit(struct checkpoint_descriptor *d)
{
    block_unref(d->configuration);
    d->configuration = NULL;
}

void checkpoint_descriptor_copy(struct checkpoint_descriptor *to,
                                const struct checkpoint_descriptor *from)
{
    *to = *from;
    if (to->configuration != NULL) {
        block_ref(to->configuration);
    }
}

/* ---- the side file ---- */

static void encode_head(const struct checkpoint_descriptor *d, uint8_t *p)
{
    put_le32(p, SIDE_MAGIC);
    put_le32(p + 4, SIDE_VERSION);
    put_le64(p + 8, d->sequence);
    put_le32(p + 16, d->shard);
    memcpy(p + 20, d->environment.bytes, 16);
    put_le64(p + 36, d->epoch.number);
    put_le64(p + 44, d->epoch.id);
    put_le64(p + 52, d->epoch.parent);
    put_le64(p + 60, d->index);
    put_le64(p + 68, d->term);
    digest_encode(d->digest, p + 76);
    put_le64(p + 92, d->configuration_index);
    put_le32(p + 100, d->configuration == NULL ? 0 : d->configuration->size);
    memcpy(p + 104, d->meta.bytes, ENV_META_BYTES);
}

enum status checkpoint_write(struct disk *disk, const char *directory,
                             const struct checkpoint_descriptor *d)
{
    size_t more = d->configuration == NULL ? 0 : d->configuration->size;
    if (more > CHECKPOINT_CONFIGURATION_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    size_t size = SIDE_HEAD_BYTES + more + 8;
    uint8_t *data = malloc(size);
    if (data == NULL) {
        return STATUS_NO_MEMORY;
    }
    encode_head(d, data);
    if (more > 0) {
        memcpy(data + SIDE_HEAD_BYTES, d->configuration->data, more);
    }
    put_le64(data + size - 8, XXH3_64bits(data, size - 8));
    enum status s = disk_replace_file(disk, directory, CHECKPOINT_FILE, data, size,
                                      "checkpoint.side_file", "checkpoint.directory");
    free(data);
    return s;
}

static enum status decode(const uint8_t *p, size_t size, struct checkpoint_descriptor *d)
{
    if (size < SIDE_HEAD_BYTES + 8 || get_le32(p) != SIDE_MAGIC ||
        get_le64(p + size - 8) != XXH3_64bits(p, size - 8)) {
        return STATUS_CORRUPT;
    }
    if (get_le32(p + 4) != SIDE_VERSION) {
        return STATUS_WRONG_FORMAT;
    }
    size_t more = get_le32(p + 100);
    if (more != size - SIDE_HEAD_BYTES - 8) {
        return STATUS_CORRUPT;
    }
    *d = (struct checkpoint_descriptor){
        .sequence = get_le64(p + 8),
        .shard = get_le32(p + 16),
        .epoch = {get_le64(p + 36), get_le64(p + 44), get_le64(p + 52)},
        .index = get_le64(p + 60),
        .term = get_le64(p + 68),
        .digest = digest_decode(p + 76),
        .configuration_index = get_le64(p + 92),
    };
    memcpy(d->environment.bytes, p + 20, 16);
    memcpy(d->meta.bytes, p + 104, ENV_META_BYTES);
    if (more > 0) {
        d->configuration = block_copy(p + SIDE_HEAD_BYTES, more);
        return d->configuration == NULL ? STATUS_NO_MEMORY : OK;
    }
    return OK;
}

enum status checkpoint_read(struct disk *disk, const char *directory,
                            struct checkpoint_descriptor *out_d, struct error *e)
{
    char path[STORE_PATH_MAX + 32];
    uint8_t *data;
    size_t size;
    snprintf(path, sizeof(path), "%s/" CHECKPOINT_FILE, directory);
    enum status s = disk_read_file(disk, path, &data, &size);
    if (s != OK) {
        return error_set(e, s == STATUS_NOT_FOUND ? STATUS_CORRUPT : s, "%s: %s", path,
                         status_text(s));
    }
    s = decode(data, size, out_d);
    free(data);
    return s == OK
               ? OK
               : error_set(e, s,
                           "%s: %s: this environment is lost, a copy from another node heals it",
                           path, status_text(s));
}

/* ---- birth ---- */

static enum status make_dir(struct disk *disk, const char *path)
{
    enum status s = disk_make_dir(disk, path);
    return s == STATUS_EXISTS ? OK : s;
}

/* `up` path components are cut off. */
static void parent_of(const char *path, unsigned up, char *out, size_t size)
{
    snprintf(out, size, "%s", path);
    for (; up > 0; up--) {
        char *slash = strrchr(out, '/');
        must(slash != NULL && slash != out);
        *slash = 0;
    }
}

enum status store_directories_make(struct disk *disk, const char *directory)
{
    char path[STORE_PATH_MAX];
    enum status s = OK;
    for (unsigned up = 3; up-- > 0 && s == OK;) {
        parent_of(directory, up, path, sizeof(path));
        s = make_dir(disk, path);
    }
    return s;
}

enum status store_directories_sync(struct disk *disk, const char *directory)
{
    char path[STORE_PATH_MAX];
    enum status s = OK;
    for (unsigned up = 1; up <= 3 && s == OK; up++) {
        parent_of(directory, up, path, sizeof(path));
        s = disk_sync_dir(disk, path, up == 1 ? "environment.directory" : "environment.parents");
    }
    return s;
}

static enum status first_rows(struct env *env)
{
    struct env_txn *txn;
    uint8_t bytes[64];
    struct position_row row = {0};
    enum status s = env_begin_write(env, &txn);
    if (s != OK) {
        return s;
    }
    struct bytes value = {bytes, position_row_encode(&row, bytes)};
    s = env_put(txn, TABLE_POSITION, key_bytes(&store_position_key), value, true);
    if (s != OK) {
        env_abort(txn);
        return s;
    }
    return env_commit(txn);
}

enum status store_create(const struct store_options *o, const struct uuid *environment,
                         const struct epoch *epoch, struct error *e)
{
    struct env_options eo = store_env_options(o);
    struct env *env = NULL;
    struct env_pin *pin = NULL;
    enum status s = store_directories_make(o->disk, o->directory);
    if (s != OK) {
        return error_set(e, s, "%s: %s", o->directory, status_text(s));
    }
    s = env_create(&eo, &env, e);
    if (s != OK) {
        return s;
    }
    s = first_rows(env);
    s = s == OK ? env_pin_new(env, &pin) : s;
    s = s == OK ? env_sync(env, "birth.data") : s;
    if (s == OK) {
        struct checkpoint_descriptor d = {.sequence = 1,
                                          .shard = o->shard,
                                          .environment = *environment,
                                          .epoch = *epoch,
                                          .meta = *env_pin_meta(pin)};
        s = checkpoint_write(o->disk, o->directory, &d);
    }
    s = s == OK ? store_directories_sync(o->disk, o->directory) : s;
    env_pin_free(pin);
    env_close(env);
    return s == OK ? OK
                   : error_set(e, s, "%s: making an environment: %s", o->directory, status_text(s));
}

/* ---- opening ---- */

static enum status check_position(struct store *s, const struct checkpoint_descriptor *d)
{
    struct env_txn *txn;
    enum status status = env_begin_read(s->env, &txn);
    if (status != OK) {
        return status;
    }
    status = store_read_position(txn, &s->position);
    if (status == OK && (s->position.index != d->index || s->position.term != d->term ||
                         !digest_equal(s->position.digest, d->digest))) {
        status = STATUS_CORRUPT;
    }
    env_abort(txn);
    return status;
}

static struct store *new_store(const struct store_options *o)
{
    struct store *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    must(strlen(o->directory) < sizeof(s->directory));
    atomic_init(&s->references, 1);
    s->disk = o->disk;
    snprintf(s->directory, sizeof(s->directory), "%s", o->directory);
    s->shard = o->shard;
    s->reserve_bytes = o->reserve_bytes != 0 ? o->reserve_bytes : STORE_RESERVE_BYTES;
    s->pin_growth_bytes = o->pin_growth_bytes != 0 ? o->pin_growth_bytes : STORE_PIN_GROWTH_BYTES;
    digest_ring_init(&s->ring);
    lock_init(&s->lock);
    list_init(&s->pins);
    arena_init(&s->arena);
    s->apply = (struct apply){.rows = &s->rows, .arena = &s->arena, .shard = o->shard};
    return s;
}

static enum status open_at(const struct store_options *o, const struct checkpoint_descriptor *d,
                           struct store **out_s, struct error *e)
{
    struct env_options eo = store_env_options(o);
    struct env_pin *pin;
    struct store *s = new_store(o);
    if (s == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
    }
    enum status status = env_open(&eo, &d->meta, &s->env, &pin, e);
    if (status != OK) {
        store_close(s);
        return status;
    }
    status = store_pin_add(s, pin, d);
    if (status != OK) {
        env_pin_free(pin);
    } else {
        status = check_position(s, d);
    }
    if (status != OK) {
        store_close(s);
        return error_set(e, status, "%s: its rows are not those of its checkpoint: %s",
                         o->directory, status_text(status));
    }
    s->committed = s->position;
    atomic_store(&s->committed_index, s->position.index);
    rows_reset(&s->rows, s->position.digest);
    digest_ring_push(&s->ring, s->position.index, s->position.digest);
    s->closed = o->closed;
    s->closed_arg = o->closed_arg;
    *out_s = s;
    return OK;
}

enum status store_open(const struct store_options *o, const struct uuid *environment,
                       struct store **out_s, struct checkpoint_descriptor *out_d, struct error *e)
{
    struct checkpoint_descriptor d;
    enum status s = checkpoint_read(o->disk, o->directory, &d, e);
    if (s != OK) {
        return s;
    }
    if (!uuid_equal(&d.environment, environment) || d.shard != o->shard) {
        s = error_set(e, STATUS_WRONG_NODE, "%s: its checkpoint is of another environment or shard",
                      o->directory);
    }
    if (s == OK) {
        /* After kill -9 the side file may be there and its name not durable: then the first writes would go over the
         * pages of the one before it, and a power cut would bring that one back. */
        s = disk_sync_dir(o->disk, o->directory, "checkpoint.directory.again");
        s = s == OK ? OK : error_set(e, s, "%s: can't sync it: %s", o->directory, status_text(s));
    }
    s = s == OK ? open_at(o, &d, out_s, e) : s;
    if (s != OK) {
        checkpoint_descriptor_deinit(&d);
        return s;
    }
    *out_d = d;
    return OK;
}

/* ---- the next one ---- */

enum status checkpoint_begin(struct store *s, struct block *configuration,
                             uint64_t configuration_index, struct checkpoint **out_c)
{
    if (s->in_flight != NULL) {
        return STATUS_BUSY;
    }
    enum status status = store_commit(s, NULL);
    if (status != OK) {
        return status;
    }
    struct checkpoint *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    status = env_pin_new(s->env, &c->pin);
    if (status != OK) {
        free(c);
        store_set_lost(s, status);
        return status;
    }
    lock_take(&s->lock);
    c->descriptor = s->durable->descriptor;
    lock_give(&s->lock);
    c->descriptor.sequence++;
    c->descriptor.index = s->committed.index;
    c->descriptor.term = s->committed.term;
    c->descriptor.digest = s->committed.digest;
    c->descriptor.configuration = configuration == NULL ? NULL : block_ref(configuration);
    c->descriptor.configuration_index = configuration_index;
    c->descriptor.meta = *env_pin_meta(c->pin);
    s->churn_mark = env_churn_bytes(s->env);
    s->in_flight = c;
    *out_c = c;
    return OK;
}

/* No room for the temporary file: nothing has happened, as long as the old one is what a start would read. */
static bool old_side_file_stands(struct store *s, const struct checkpoint *c)
{
    struct checkpoint_descriptor d;
    if (checkpoint_read(s->disk, s->directory, &d, NULL) != OK) {
        return false;
    }
    checkpoint_descriptor_deinit(&d);
    return d.sequence + 1 == c->descriptor.sequence;
}

enum status checkpoint_finish(struct store *s, struct checkpoint *c,
                              struct checkpoint_descriptor *out_d)
{
    enum status status = env_sync(s->env, "checkpoint.data");
    if (status != OK) {
        store_set_lost(s, STATUS_IO); /* whatever it says: its pages are marked clean now */
        return STATUS_IO;
    }
    status = checkpoint_write(s->disk, s->directory, &c->descriptor);
    if (status == STATUS_NO_SPACE && old_side_file_stands(s, c)) {
        return status; /* release(durable = false), and the next checkpoint may succeed */
    }
    if (status != OK) {
        store_set_lost(s, STATUS_IO);
        return STATUS_IO;
    }
    if (out_d != NULL) {
        checkpoint_descriptor_copy(out_d, &c->descriptor);
    }
    return OK;
}

void checkpoint_release(struct store *s, struct checkpoint *c, bool durable)
{
    must(s->in_flight == c);
    s->in_flight = NULL;
    if (!durable) {
        env_pin_free(c->pin);
    } else if (store_pin_add(s, c->pin, &c->descriptor) != OK) {
        env_pin_free(
            c->pin); /* no memory for a new pin: the side file's transaction must be pinned, so stop writing */
        store_set_lost(s, STATUS_NO_MEMORY);
    }
    checkpoint_descriptor_deinit(&c->descriptor);
    free(c);
}
