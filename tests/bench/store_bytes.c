/* Where the bytes of a stopped node's store go: its tables, their pages, and the parts of a message row.
 *
 *   store_bytes DIRECTORY     of one environment (<data>/shards/<shard>/<environment>); nothing in it is changed
 *
 * The node must be stopped: the newest of the two meta pages is read without a lock. One line each, values in bytes:
 *   file size=... allocated=... used=... free=...     used: pages that a table holds; free: pages that the next commits will use
 *   table NAME rows=... branch=... leaf=... overflow=... key=... value=... node=... fill=...    node: LMDB's head and pointer of a
 *         row (10); fill: percent of the table's leaf pages that rows take
 *   message rows=... fixed=... guid=... hash=... keywords=... key=... node=... slack=...        sums over all messages; slack: of the
 *         leaf pages, what holds no row (page heads, halves left by splits), with the branch pages above them
 * Exit: 0, or 1 when the environment cannot be read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <lmdb.h>

#include "storage/env.h"
#include "storage/record.h"

#define NODE_BYTES 10u /* LMDB's: 8 of node head, 2 of pointer */

struct sums {
    uint64_t rows, key, value, pad, guid, hash, keywords;
};

static int complain(const char *what, int rc)
{
    fprintf(stderr, "store_bytes: %s: %s\n", what, mdb_strerror(rc));
    return 1;
}

static int add_message(struct sums *s, MDB_val value)
{
    struct message_row row;
    struct bytes b = {value.mv_data, value.mv_size};
    if (message_row_decode(b, &row) != OK) {
        fprintf(stderr, "store_bytes: a message row is damaged\n");
        return 1;
    }
    s->guid += row.guid.size;
    s->hash += row.hash.size;
    s->keywords += row.keywords.size;
    return 0;
}

static int walk(MDB_txn *txn, MDB_dbi dbi, bool messages, struct sums *s)
{
    MDB_cursor *c;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &c);
    if (rc != 0) {
        return complain("a cursor", rc);
    }
    int code = 0;
    while (code == 0 && (rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) == 0) {
        s->rows++;
        s->key += key.mv_size;
        s->value += value.mv_size;
        s->pad += (key.mv_size + value.mv_size) & 1; /* nodes begin at even places */
        code = messages ? add_message(s, value) : 0;
    }
    mdb_cursor_close(c);
    return code != 0 || rc == MDB_NOTFOUND ? code : complain("the next row", rc);
}

/* The free list is LMDB's database 0: an array of page numbers each, its count first. */
static uint64_t free_pages(MDB_txn *txn)
{
    MDB_cursor *c;
    MDB_val key, value;
    uint64_t pages = 0;
    if (mdb_cursor_open(txn, 0, &c) != 0) {
        return 0;
    }
    while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
        size_t n;
        memcpy(&n, value.mv_data, sizeof(n));
        pages += n;
    }
    mdb_cursor_close(c);
    return pages;
}

static int show_table(MDB_txn *txn, enum table t, uint64_t *used)
{
    MDB_dbi dbi;
    MDB_stat stat;
    int rc = mdb_dbi_open(txn, table_names[t], 0, &dbi);
    rc = rc == 0 ? mdb_stat(txn, dbi, &stat) : rc;
    if (rc != 0) {
        return complain(table_names[t], rc);
    }
    struct sums s = {0};
    if (walk(txn, dbi, t == TABLE_MESSAGE, &s) != 0) {
        return 1;
    }
    uint64_t page = stat.ms_psize;
    uint64_t branch = stat.ms_branch_pages * page, leaf = stat.ms_leaf_pages * page,
             overflow = stat.ms_overflow_pages * page;
    uint64_t node = NODE_BYTES * s.rows + s.pad;
    *used += branch + leaf + overflow;
    /* A value on overflow pages is not on the leaf; there fill says nothing. */
    uint64_t fill = leaf == 0 || overflow > 0 ? 0 : 100 * (s.key + s.value + node) / leaf;
    printf("table %s rows=%" PRIu64 " branch=%" PRIu64 " leaf=%" PRIu64 " overflow=%" PRIu64
           " key=%" PRIu64 " value=%" PRIu64 " node=%" PRIu64 " fill=%" PRIu64 "\n",
           table_names[t], s.rows, branch, leaf, overflow, s.key, s.value, node, fill);
    if (t == TABLE_MESSAGE) {
        printf("message rows=%" PRIu64 " fixed=%" PRIu64 " guid=%" PRIu64 " hash=%" PRIu64
               " keywords=%" PRIu64 " key=%" PRIu64 " node=%" PRIu64 " slack=%" PRIu64 "\n",
               s.rows, s.value - s.guid - s.hash - s.keywords, s.guid, s.hash, s.keywords, s.key,
               node, branch + leaf + overflow - s.key - s.value - node);
    }
    return 0;
}

static int show(MDB_env *env, const char *directory)
{
    MDB_txn *txn;
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/" ENV_DATA_FILE, directory);
    if (n < 0 || (size_t)n >= sizeof(path) || stat(path, &st) != 0) {
        fprintf(stderr, "store_bytes: no " ENV_DATA_FILE " in %s\n", directory);
        return 1;
    }
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return complain("a transaction", rc);
    }
    uint64_t used = 0;
    int code = 0;
    for (int t = 0; t < TABLE_COUNT && code == 0; t++) {
        code = show_table(txn, (enum table)t, &used);
    }
    if (code == 0) {
        printf("file size=%" PRIu64 " allocated=%" PRIu64 " used=%" PRIu64 " free=%" PRIu64 "\n",
               (uint64_t)st.st_size, (uint64_t)st.st_blocks * 512, used,
               free_pages(txn) * env_page_size());
    }
    mdb_txn_abort(txn);
    return code;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: store_bytes DIRECTORY\n");
        return 2;
    }
    MDB_env *env;
    int rc = mdb_env_create(&env);
    rc = rc == 0 ? mdb_env_set_maxdbs(env, ENV_DATABASES_MAX) : rc;
    rc = rc == 0 ? mdb_env_open(env, argv[1], MDB_RDONLY | MDB_NOLOCK, 0) : rc;
    int code = rc == 0 ? show(env, argv[1]) : complain(argv[1], rc);
    mdb_env_close(env);
    return code;
}
