/* LMDB behind our own terms; see env.h for the recipe. Codes of LMDB are translated here and nowhere else.
 *
 * env_open(): write meta N into both slots -> sync -> unlink lock.mdb -> mdb_env_open -> pin -> check the pin is N -> database
 * handles in a read transaction of their own (a pin holds no handle, cursor or value). A failed commit leaves the environment as
 * it was, except that LMDB marks it panicked when the meta page itself could not be written: that is IO, and final. */
#include "storage/env.h"

#include <errno.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"

#define META_HEAD_BYTES 16u
#define META_MAGIC      0xBEEFC0DEu
#define META_VERSION    1u
#define META_PAGE_FLAG  0x08u
#define ENV_READERS_MAX 256u
#define ENV_PATH_MAX    4096u

struct env {
    MDB_env *mdb;
    struct disk *disk;
    struct disk_file *file; /* our own descriptor of data.mdb, opened before the first write */
    char directory[ENV_PATH_MAX];
    uint32_t page_size;
    uint64_t map_bytes;
    uint32_t database_count;
    MDB_dbi databases[ENV_DATABASES_MAX];
    atomic_uint_fast64_t used_bytes;
    atomic_uint_fast64_t churn_bytes;
    uint64_t reserved_end; /* up to here the file system gave the file its blocks */
};

struct env_txn {
    struct env *env;
    MDB_txn *txn;
    bool writes;
    MDB_cursor *cursors[ENV_DATABASES_MAX]; /* opened at first use; writes only */
};

struct env_cursor {
    MDB_cursor *cursor;
};

struct env_pin {
    MDB_txn *txn;
    struct env_meta meta;
};

static enum status translate(int rc)
{
    switch (rc) {
        case 0:
            return OK;
        case MDB_NOTFOUND:
            return STATUS_NOT_FOUND;
        case MDB_MAP_FULL:
        case ENOSPC:
        case EDQUOT:
            return STATUS_NO_SPACE;
        case ENOMEM:
            return STATUS_NO_MEMORY;
        case EMFILE:
        case ENFILE:
            return STATUS_NO_FILES;
        case MDB_CORRUPTED:
        case MDB_PAGE_NOTFOUND:
        case MDB_INVALID:
        case MDB_VERSION_MISMATCH:
            return STATUS_CORRUPT;
        case MDB_READERS_FULL:
            return STATUS_BUSY;
        case MDB_KEYEXIST:
            return STATUS_EXISTS;
        case MDB_BAD_VALSIZE:
            return STATUS_INVALID;
        default:
            return STATUS_IO;
    }
}

/* ---- meta pages ---- */

uint64_t env_meta_txnid(const struct env_meta *m)
{
    return get_le64(m->bytes + 128);
}

uint32_t env_meta_page_size(const struct env_meta *m)
{
    return get_le32(m->bytes + 24);
}

uint64_t env_meta_size(const struct env_meta *m)
{
    return (get_le64(m->bytes + 120) + 1) * env_meta_page_size(m);
}

uint32_t env_page_size(void)
{
    return (uint32_t)sysconf(_SC_PAGESIZE);
}

bool env_meta_plausible(const struct env_meta *m)
{
    uint32_t page = env_meta_page_size(m);
    return get_le32(m->bytes) == META_MAGIC && get_le32(m->bytes + 4) == META_VERSION &&
           page >= 512 && page <= 65536 && (page & (page - 1)) == 0 &&
           get_le64(m->bytes + 120) >= 1 && get_le64(m->bytes + 120) < (UINT64_C(1) << 44);
}

void env_meta_page(const struct env_meta *m, unsigned slot, uint8_t *page)
{
    must(slot < 2);
    memset(page, 0, env_meta_page_size(m));
    put_le64(page, slot);
    put_le16(page + 10, META_PAGE_FLAG);
    memcpy(page + META_HEAD_BYTES, m->bytes, ENV_META_BYTES);
}

static enum status write_metas(struct disk *disk, struct disk_file *f, const struct env_meta *m)
{
    uint32_t size = env_meta_page_size(m);
    uint8_t *page = malloc(size);
    if (page == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status s = OK;
    for (unsigned slot = 0; slot < 2 && s == OK; slot++) {
        env_meta_page(m, slot, page);
        s = disk_write(disk, f, page, size, (uint64_t)slot * size);
    }
    free(page);
    return s;
}

/* Both metas by pread; the larger txnid. */
static enum status read_newest_meta(struct env *env, struct env_meta *out_m)
{
    struct env_meta metas[2];
    for (unsigned slot = 0; slot < 2; slot++) {
        size_t size;
        enum status s = disk_read(env->disk, env->file, metas[slot].bytes, ENV_META_BYTES,
                                  (uint64_t)slot * env->page_size + META_HEAD_BYTES, &size);
        if (s != OK) {
            return s;
        }
        if (size != ENV_META_BYTES || !env_meta_plausible(&metas[slot])) {
            return STATUS_CORRUPT;
        }
    }
    *out_m = env_meta_txnid(&metas[0]) > env_meta_txnid(&metas[1]) ? metas[0] : metas[1];
    return OK;
}

/* ---- opening ---- */

static enum status open_file(struct env *env, const struct env_options *o, int flags,
                             struct error *e)
{
    char path[ENV_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/" ENV_DATA_FILE, o->directory);
    if (n < 0 || (size_t)n >= sizeof(path) || strlen(o->directory) >= sizeof(env->directory)) {
        return error_set(e, STATUS_TOO_BIG, "%s: the path is too long", o->directory);
    }
    memcpy(env->directory, o->directory, strlen(o->directory) + 1);
    env->disk = o->disk;
    enum status s = disk_open(o->disk, path, flags, &env->file);
    return s == OK ? OK : error_set(e, s, "%s: %s", path, status_text(s));
}

static enum status open_mdb(struct env *env, const struct env_options *o, struct error *e)
{
    must(o->database_count <= ENV_DATABASES_MAX);
    env->map_bytes = o->map_bytes != 0 ? o->map_bytes : ENV_MAP_BYTES;
    env->database_count = o->database_count;
    int rc = mdb_env_create(&env->mdb);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(env->mdb, (size_t)env->map_bytes);
    }
    if (rc == 0) {
        rc = mdb_env_set_maxdbs(env->mdb, o->database_count);
    }
    if (rc == 0) {
        rc = mdb_env_set_maxreaders(env->mdb, ENV_READERS_MAX);
    }
    if (rc == 0) {
        rc = mdb_env_open(env->mdb, o->directory, MDB_NOSYNC | MDB_NOTLS, 0600);
    }
    if (rc != 0) {
        return error_set(e, translate(rc), "%s: LMDB: %s", o->directory, mdb_strerror(rc));
    }
    MDB_stat stat;
    mdb_env_stat(env->mdb, &stat);
    env->page_size = stat.ms_psize;
    return OK;
}

static enum status open_databases(struct env *env, const struct env_options *o, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0) {
        return translate(rc);
    }
    for (uint32_t i = 0; i < o->database_count && rc == 0; i++) {
        rc = mdb_dbi_open(txn, o->databases[i], create ? MDB_CREATE : 0, &env->databases[i]);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc == MDB_NOTFOUND ? STATUS_CORRUPT : translate(rc);
    }
    return translate(mdb_txn_commit(txn)); /* of a reader: only keeps the handles */
}

static void note_used(struct env *env)
{
    MDB_envinfo info;
    mdb_env_info(env->mdb, &info);
    atomic_store(&env->used_bytes, ((uint64_t)info.me_last_pgno + 1) * env->page_size);
}

enum status env_create(const struct env_options *o, struct env **out_env, struct error *e)
{
    struct env *env = calloc(1, sizeof(*env));
    if (env == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
    }
    enum status s = open_file(env, o, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, e);
    if (s == OK) {
        s = open_mdb(env, o, e);
    }
    if (s == OK) {
        s = open_databases(env, o, true);
        if (s != OK) {
            error_set(e, s, "%s: making the databases: %s", o->directory, status_text(s));
        }
    }
    if (s != OK) {
        env_close(env);
        return s;
    }
    note_used(env);
    *out_env = env;
    return OK;
}

/* Step 6 of the recipe up to the point where LMDB may look. */
static enum status roll_back(struct env *env, const struct env_options *o, const struct env_meta *m,
                             struct error *e)
{
    if (!env_meta_plausible(m)) {
        return error_set(e, STATUS_CORRUPT, "%s: the checkpoint's meta page makes no sense",
                         o->directory);
    }
    if (env_meta_page_size(m) != env_page_size()) {
        return error_set(e, STATUS_WRONG_FORMAT, "%s: pages of %u bytes, this machine has %u",
                         o->directory, env_meta_page_size(m), env_page_size());
    }
    enum status s = open_file(env, o, DISK_READ | DISK_WRITE, e);
    if (s != OK) {
        return s;
    }
    s = write_metas(o->disk, env->file, m);
    if (s == OK) {
        s = disk_sync(o->disk, env->file, "environment.roll_back");
    }
    if (s == OK) {
        char path[ENV_PATH_MAX + 16];
        snprintf(path, sizeof(path), "%s/" ENV_LOCK_FILE, o->directory);
        s = disk_remove(o->disk, path);
        s = s == STATUS_NOT_FOUND ? OK : s;
    }
    return s == OK ? OK
                   : error_set(e, s, "%s: putting it back to its checkpoint: %s", o->directory,
                               status_text(s));
}

enum status env_open(const struct env_options *o, const struct env_meta *m, struct env **out_env,
                     struct env_pin **out_pin, struct error *e)
{
    struct env *env = calloc(1, sizeof(*env));
    if (env == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
    }
    struct env_pin *pin = NULL;
    enum status s = roll_back(env, o, m, e);
    if (s == OK) {
        s = open_mdb(env, o, e);
    }
    if (s == OK) {
        s = env_pin_new(env, &pin);
        if (s == OK && env_meta_txnid(&pin->meta) != env_meta_txnid(m)) {
            s = STATUS_CORRUPT;
        }
        if (s == OK) {
            s = open_databases(env, o, false);
        }
        if (s != OK) {
            error_set(e, s, "%s: opening at its checkpoint: %s", o->directory, status_text(s));
        }
    }
    if (s != OK) {
        env_pin_free(pin);
        env_close(env);
        return s;
    }
    note_used(env);
    *out_env = env;
    *out_pin = pin;
    return OK;
}

void env_close(struct env *env)
{
    if (env == NULL) {
        return;
    }
    if (env->mdb != NULL) {
        mdb_env_close(env->mdb);
    }
    if (env->file != NULL) {
        disk_close(env->disk, env->file);
    }
    free(env);
}

/* ---- pins and syncs ---- */

enum status env_pin_new(struct env *env, struct env_pin **out_pin)
{
    struct env_pin *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return STATUS_NO_MEMORY;
    }
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &p->txn);
    if (rc != 0) {
        free(p);
        return translate(rc);
    }
    enum status s = read_newest_meta(env, &p->meta);
    if (s == OK && env_meta_txnid(&p->meta) != mdb_txn_id(p->txn)) {
        s = STATUS_CORRUPT;
    }
    if (s != OK) {
        env_pin_free(p);
        return s;
    }
    *out_pin = p;
    return OK;
}

const struct env_meta *env_pin_meta(const struct env_pin *p)
{
    return &p->meta;
}

void env_pin_free(struct env_pin *p)
{
    if (p != NULL) {
        mdb_txn_abort(p->txn); /* never commit: a reader's commit can write */
        free(p);
    }
}

enum status env_sync(struct env *env, const char *site)
{
    return disk_sync(env->disk, env->file, site);
}

/* ---- transactions ---- */

static enum status begin(struct env *env, unsigned flags, struct env_txn **out_txn)
{
    struct env_txn *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return STATUS_NO_MEMORY;
    }
    int rc = mdb_txn_begin(env->mdb, NULL, flags, &t->txn);
    if (rc != 0) {
        free(t);
        return translate(rc);
    }
    t->env = env;
    t->writes = flags == 0;
    *out_txn = t;
    return OK;
}

enum status env_begin_write(struct env *env, struct env_txn **out_txn)
{
    return begin(env, 0, out_txn);
}

enum status env_begin_read(struct env *env, struct env_txn **out_txn)
{
    return begin(env, MDB_RDONLY, out_txn);
}

/* Pages that the last transaction freed stand in the free list under its own number: one look in a reader of its own
 * (never in a pin). What it added to the file's end is the rest of its churn. */
static void note_churn(struct env *env)
{
    uint64_t before = atomic_load(&env->used_bytes);
    note_used(env);
    uint64_t churn = atomic_load(&env->used_bytes) - before;
    MDB_txn *txn;
    if (mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn) != 0) {
        return;
    }
    MDB_cursor *c;
    if (mdb_cursor_open(txn, 0, &c) == 0) {
        size_t id = mdb_txn_id(txn);
        MDB_val key = {sizeof(id), &id};
        MDB_val value;
        if (mdb_cursor_get(c, &key, &value, MDB_SET_KEY) == 0 && value.mv_size >= sizeof(size_t)) {
            size_t pages;
            memcpy(&pages, value.mv_data, sizeof(pages));
            churn += pages * env->page_size;
        }
        mdb_cursor_close(c);
    }
    mdb_txn_abort(txn);
    atomic_fetch_add(&env->churn_bytes, churn);
}

static void close_cursors(struct env_txn *txn)
{
    for (uint32_t i = 0; i < ENV_DATABASES_MAX; i++) {
        if (txn->cursors[i] != NULL) {
            mdb_cursor_close(txn->cursors[i]);
        }
    }
}

enum status env_commit(struct env_txn *txn)
{
    close_cursors(txn);
    enum status s = translate(mdb_txn_commit(txn->txn));
    if (s == OK && txn->writes) {
        note_churn(txn->env);
    }
    free(txn);
    return s;
}

void env_abort(struct env_txn *txn)
{
    if (txn != NULL) {
        close_cursors(txn);
        mdb_txn_abort(txn->txn);
        free(txn);
    }
}

/* ---- pairs ---- */

static MDB_val to_val(struct bytes b)
{
    union {
        const uint8_t *in;
        void *out;
    } cast = {.in = b.data};
    return (MDB_val){b.size, cast.out};
}

static struct bytes from_val(MDB_val v)
{
    return (struct bytes){v.mv_data, v.mv_size};
}

/* A cursor a database stays open in a write transaction: the put after a get finds its page at once. */
static int write_cursor(struct env_txn *txn, uint32_t db, MDB_cursor **out_c)
{
    must(db < txn->env->database_count);
    if (txn->cursors[db] == NULL) {
        int rc = mdb_cursor_open(txn->txn, txn->env->databases[db], &txn->cursors[db]);
        if (rc != 0) {
            return rc;
        }
    }
    *out_c = txn->cursors[db];
    return 0;
}

enum status env_get(struct env_txn *txn, uint32_t db, struct bytes key, struct bytes *out_value)
{
    must(db < txn->env->database_count);
    MDB_val k = to_val(key);
    MDB_val v;
    int rc;
    if (txn->writes) {
        MDB_cursor *c;
        rc = write_cursor(txn, db, &c);
        rc = rc == 0 ? mdb_cursor_get(c, &k, &v, MDB_SET) : rc;
    } else {
        rc = mdb_get(txn->txn, txn->env->databases[db], &k, &v);
    }
    if (rc != 0) {
        return translate(rc);
    }
    *out_value = from_val(v);
    return OK;
}

enum status env_put(struct env_txn *txn, uint32_t db, struct bytes key, struct bytes value,
                    bool is_new)
{
    must(txn->writes);
    MDB_cursor *c;
    int rc = write_cursor(txn, db, &c);
    if (rc != 0) {
        return translate(rc);
    }
    MDB_val k = to_val(key);
    MDB_val v = to_val(value);
    return translate(mdb_cursor_put(c, &k, &v, is_new ? MDB_NOOVERWRITE : 0));
}

enum status env_delete(struct env_txn *txn, uint32_t db, struct bytes key)
{
    must(txn->writes);
    MDB_cursor *c;
    int rc = write_cursor(txn, db, &c);
    if (rc != 0) {
        return translate(rc);
    }
    MDB_val k = to_val(key);
    MDB_val v;
    rc = mdb_cursor_get(c, &k, &v, MDB_SET);
    return translate(rc == 0 ? mdb_cursor_del(c, 0) : rc);
}

enum status env_cursor_open(struct env_txn *txn, uint32_t db, struct env_cursor **out_c)
{
    must(db < txn->env->database_count);
    struct env_cursor *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    int rc = mdb_cursor_open(txn->txn, txn->env->databases[db], &c->cursor);
    if (rc != 0) {
        free(c);
        return translate(rc);
    }
    *out_c = c;
    return OK;
}

void env_cursor_close(struct env_cursor *c)
{
    if (c != NULL) {
        mdb_cursor_close(c->cursor);
        free(c);
    }
}

static enum status cursor_get(struct env_cursor *c, MDB_val k, MDB_cursor_op op,
                              struct bytes *out_key, struct bytes *out_value)
{
    MDB_val v;
    int rc = mdb_cursor_get(c->cursor, &k, &v, op);
    if (rc != 0) {
        return translate(rc);
    }
    *out_key = from_val(k);
    *out_value = from_val(v);
    return OK;
}

enum status env_cursor_seek(struct env_cursor *c, struct bytes key, struct bytes *out_key,
                            struct bytes *out_value)
{
    return cursor_get(c, to_val(key), key.size == 0 ? MDB_FIRST : MDB_SET_RANGE, out_key,
                      out_value);
}

enum status env_cursor_next(struct env_cursor *c, struct bytes *out_key, struct bytes *out_value)
{
    return cursor_get(c, (MDB_val){0, NULL}, MDB_NEXT, out_key, out_value);
}

enum status env_cursor_before(struct env_cursor *c, struct bytes key, struct bytes *out_key,
                              struct bytes *out_value)
{
    if (key.size > 0) {
        struct bytes k;
        struct bytes v;
        enum status s = env_cursor_seek(c, key, &k, &v);
        if (s == OK) {
            return cursor_get(c, (MDB_val){0, NULL}, MDB_PREV, out_key, out_value);
        }
        if (s != STATUS_NOT_FOUND) {
            return s;
        }
    }
    return cursor_get(c, (MDB_val){0, NULL}, MDB_LAST, out_key, out_value);
}

uint64_t env_used_bytes(const struct env *env)
{
    return atomic_load(&env->used_bytes);
}

uint64_t env_map_bytes(const struct env *env)
{
    return env->map_bytes;
}

uint64_t env_reserved_bytes(const struct env *env)
{
    uint64_t used = env_used_bytes(env);
    return env->reserved_end > used ? env->reserved_end - used : 0;
}

enum status env_reserve(struct env *env, uint64_t bytes)
{
    if (env_reserved_bytes(env) >= bytes / 2) {
        return OK;
    }
    uint64_t end = env_used_bytes(env) + bytes;
    must(end > env->reserved_end);
    /* From there and not from the used bytes: where commits went further than the blocks taken ahead, a page that was given back
     * before it was written is a hole. */
    enum status s = disk_reserve(env->disk, env->file, env->reserved_end, end);
    if (s == OK) {
        env->reserved_end = end;
    }
    return s;
}

uint64_t env_churn_bytes(const struct env *env)
{
    return atomic_load(&env->churn_bytes);
}
