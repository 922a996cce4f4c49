/* Pages that came from elsewhere, before LMDB looks at them: it trusts what a page says of itself, so one wrong byte makes it read or
 * write outside of its map. Only pread is used here, and whatever the pages hold ends with a status.
 *
 * From the meta page to the roots -> each tree down to its leaves, all of the same depth -> values of their own pages and the lists of
 * free pages. Every page is what its parent says, lies in the file and is used once: in one tree, for one value, or free. Within a
 * page, nodes lie in the part that holds nodes and apart from each other; keys ascend, and stay between their parents' keys.
 * Not looked at: what LMDB only counts (its entries, its pages), pages that nobody uses, and values, which the digest covers.
 * The layout is that of LMDB 0.9: 64 bits, little endian, no duplicates. */
#include "storage/env.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_HEAD      16u
#define PAGE_SIZE_MAX  65536u
#define PAGE_BRANCH    0x01u
#define PAGE_LEAF      0x02u
#define PAGE_OVERFLOW  0x04u
#define NODE_HEAD      8u
#define NODE_BIG       0x01u
#define NODE_DATABASE  0x02u
#define DATABASE_BYTES 48u
#define INTEGER_KEYS   0x08u
#define NO_PAGE        UINT64_MAX
#define DEPTH_MAX      30u /* LMDB's cursors hold 32, and a tree may still grow */
#define FIRST_PAGE     2u
#define TXNID_MAX      (UINT64_C(1) << 60)

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_ROWS };

/* A database record, as it stands in the meta page and in the main tree. */
struct tree {
    enum tree_kind kind;
    uint32_t depth;
    uint64_t root;
};

struct node {
    uint32_t flags;
    struct bytes key;
    uint64_t child;    /* of a branch, or the first page of a big value */
    uint64_t size;     /* of the value */
    const uint8_t *at; /* the value, unless it is big */
};

struct check {
    struct disk *disk;
    struct disk_file *file;
    uint32_t page_size;
    uint64_t pages; /* in the file */
    uint64_t txnid;
    uint8_t *used;                      /* a bit a page */
    uint8_t taken[PAGE_SIZE_MAX / 16u]; /* a bit each two bytes of the page at hand */
    enum status status;
};

static bool fail(struct check *c, enum status s)
{
    c->status = c->status == OK ? s : c->status;
    return false;
}

static bool expect(struct check *c, bool good)
{
    return good || fail(c, STATUS_CORRUPT);
}

/* ---- pages ---- */

static bool use(struct check *c, uint64_t first, uint64_t n)
{
    if (!expect(c, first >= FIRST_PAGE && first < c->pages && n <= c->pages - first)) {
        return false;
    }
    for (uint64_t p = first; p < first + n; p++) {
        if (!expect(c, (c->used[p / 8] & (1u << (p % 8))) == 0)) {
            return false;
        }
        c->used[p / 8] = (uint8_t)(c->used[p / 8] | (1u << (p % 8)));
    }
    return true;
}

static bool read_at(struct check *c, uint64_t page, uint64_t place, uint8_t *out, size_t size)
{
    size_t got = 0;
    enum status s = disk_read(c->disk, c->file, out, size, page * c->page_size + place, &got);
    return s == OK ? expect(c, got == size) : fail(c, s);
}

static bool take(struct check *c, uint32_t at, uint32_t size)
{
    for (uint32_t i = at / 2; i < (at + size + 1) / 2; i++) {
        if ((c->taken[i / 8] & (1u << (i % 8))) != 0) {
            return false;
        }
        c->taken[i / 8] = (uint8_t)(c->taken[i / 8] | (1u << (i % 8)));
    }
    return true;
}

static uint32_t nodes_of(const uint8_t *page)
{
    return (get_le16(page + 12) - PAGE_HEAD) / 2;
}

/* What node_place_ok() has looked at. */
static struct node node_of(const uint8_t *page, uint32_t i)
{
    const uint8_t *p = page + get_le16(page + PAGE_HEAD + 2 * i);
    uint32_t low = get_le32(p);
    struct node n = {.flags = get_le16(p + 4), .key = {p + NODE_HEAD, get_le16(p + 6)}};
    if (get_le16(page + 10) == PAGE_BRANCH) {
        n.child = low | (uint64_t)n.flags << 32;
        return n;
    }
    n.size = low;
    n.at = p + NODE_HEAD + n.key.size;
    n.child = (n.flags & NODE_BIG) != 0 ? get_le64(n.at) : 0;
    return n;
}

static bool node_place_ok(struct check *c, const uint8_t *page, uint32_t i)
{
    bool branch = get_le16(page + 10) == PAGE_BRANCH;
    uint32_t at = get_le16(page + PAGE_HEAD + 2 * i), upper = get_le16(page + 14);
    if (at < upper || at % 2 != 0 || at + NODE_HEAD > c->page_size) {
        return false;
    }
    uint32_t key = get_le16(page + at + 6), value = get_le32(page + at);
    bool big = (get_le16(page + at + 4) & NODE_BIG) != 0;
    if (key > ENV_KEY_BYTES_MAX) {
        return false;
    }
    uint32_t size = NODE_HEAD + key;
    if (!branch && big) {
        size += 8;
    } else if (!branch) {
        uint32_t most = ((c->page_size - PAGE_HEAD) / 2 & ~1u) - 2; /* what is longer is big */
        if (value > most || size + value > most) {
            return false;
        }
        size += value;
    }
    return size <= c->page_size - at && take(c, at, size);
}

static bool page_ok(struct check *c, uint64_t number, const uint8_t *page, uint32_t kind,
                    uint32_t nodes_min)
{
    uint32_t lower = get_le16(page + 12), upper = get_le16(page + 14);
    bool good = get_le64(page) == number && get_le16(page + 10) == kind && lower >= PAGE_HEAD &&
                lower % 2 == 0 && lower <= upper && upper <= c->page_size &&
                nodes_of(page) >= nodes_min;
    memset(c->taken, 0, sizeof(c->taken));
    for (uint32_t i = 0; good && i < nodes_of(page); i++) {
        good = node_place_ok(c, page, i);
    }
    return expect(c, good);
}

/* ---- keys ---- */

static int compare(enum tree_kind kind, struct bytes a, struct bytes b)
{
    if (kind == TREE_FREE) {
        uint64_t x = get_le64(a.data), y = get_le64(b.data);
        return x < y ? -1 : x > y;
    }
    size_t shorter = a.size < b.size ? a.size : b.size;
    int d = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return d != 0 ? d : a.size < b.size ? -1 : a.size > b.size;
}

/* Ascending, not below `low` and below `high` (without data: no bound). A branch's first key stands for what is below its second. */
static bool keys_ok(const struct tree *t, const uint8_t *page, struct bytes low, struct bytes high)
{
    bool branch = get_le16(page + 10) == PAGE_BRANCH;
    struct bytes before = low;
    for (uint32_t i = branch ? 1 : 0; i < nodes_of(page); i++) {
        struct bytes key = node_of(page, i).key;
        bool first = before.data == low.data;
        if (key.size == 0 || (t->kind == TREE_FREE && key.size != 8)) {
            return false;
        }
        int d = before.data == NULL ? 1 : compare(t->kind, key, before);
        if (d < 0 || (d == 0 && !first)) {
            return false;
        }
        if (high.data != NULL && compare(t->kind, key, high) >= 0) {
            return false;
        }
        before = key;
    }
    return true;
}

/* ---- leaves ---- */

/* A list of free pages: how many, then the pages, descending. */
static bool free_list_ok(struct check *c, const uint8_t *list, uint64_t size)
{
    uint64_t n = size >= 8 ? get_le64(list) : 0;
    bool good = size >= 8 && n <= size / 8 - 1;
    for (uint64_t i = 0; good && i < n; i++) {
        uint64_t page = get_le64(list + 8 + 8 * i);
        good = (i == 0 || page < get_le64(list + 8 * i)) && use(c, page, 1);
    }
    return expect(c, good);
}

static bool big_list_ok(struct check *c, const struct node *n)
{
    uint8_t *list = malloc(n->size + 1);
    bool good = list != NULL ? read_at(c, n->child, PAGE_HEAD, list, n->size) &&
                                   free_list_ok(c, list, n->size)
                             : fail(c, STATUS_NO_MEMORY);
    free(list);
    return good;
}

/* A value with pages of its own. They may be more than it needs: a shorter one was written over it. */
static bool big_ok(struct check *c, const struct node *n)
{
    uint8_t head[PAGE_HEAD];
    uint64_t needs = (PAGE_HEAD - 1 + n->size) / c->page_size + 1;
    if (!expect(c, n->child < c->pages) || !read_at(c, n->child, 0, head, sizeof(head))) {
        return false;
    }
    uint64_t has = get_le32(head + 12);
    bool good = get_le64(head) == n->child && get_le16(head + 10) == PAGE_OVERFLOW && has >= needs;
    return expect(c, good) && use(c, n->child, has);
}

static bool tree_ok(struct check *c, const struct tree *t);

/* `at`: of a database record. */
static struct tree tree_of(enum tree_kind kind, const uint8_t *at)
{
    return (struct tree){kind, get_le16(at + 6), get_le64(at + 40)};
}

static bool leaf_ok(struct check *c, const struct tree *t, const uint8_t *page)
{
    for (uint32_t i = 0; i < nodes_of(page); i++) {
        struct node n = node_of(page, i);
        if (t->kind == TREE_MAIN) { /* nothing but our databases */
            if (!expect(c, n.flags == NODE_DATABASE && n.size == DATABASE_BYTES &&
                               get_le32(n.at) == 0 && get_le16(n.at + 4) == 0)) {
                return false;
            }
            struct tree rows = tree_of(TREE_ROWS, n.at);
            if (!tree_ok(c, &rows)) {
                return false;
            }
            continue;
        }
        bool big = n.flags == NODE_BIG;
        if (!expect(c, n.flags == 0 || big) || (big && !big_ok(c, &n))) {
            return false;
        }
        if (t->kind == TREE_FREE && !(expect(c, get_le64(n.key.data) <= c->txnid) &&
                                      (big ? big_list_ok(c, &n) : free_list_ok(c, n.at, n.size)))) {
            return false;
        }
    }
    return true;
}

/* ---- trees ---- */

static bool walk(struct check *c, const struct tree *t, uint64_t number, uint32_t level,
                 struct bytes low, struct bytes high);

static bool children_ok(struct check *c, const struct tree *t, const uint8_t *page, uint32_t level,
                        struct bytes low, struct bytes high)
{
    uint32_t n = nodes_of(page);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes from = i == 0 ? low : node_of(page, i).key;
        struct bytes to = i + 1 == n ? high : node_of(page, i + 1).key;
        if (!walk(c, t, node_of(page, i).child, level + 1, from, to)) {
            return false;
        }
    }
    return true;
}

/* Depth: at most twice DEPTH_MAX, a page of memory each. */
static bool walk(struct check *c, const struct tree *t, uint64_t number, uint32_t level,
                 struct bytes low, struct bytes high)
{
    bool leaf = level == t->depth;
    uint32_t least = leaf || t->kind == TREE_FREE ? 1 : 2;
    if (!use(c, number, 1)) {
        return false;
    }
    uint8_t *page = malloc(c->page_size);
    if (page == NULL) {
        return fail(c, STATUS_NO_MEMORY);
    }
    bool good = read_at(c, number, 0, page, c->page_size) &&
                page_ok(c, number, page, leaf ? PAGE_LEAF : PAGE_BRANCH, least) &&
                expect(c, keys_ok(t, page, low, high)) &&
                (leaf ? leaf_ok(c, t, page) : children_ok(c, t, page, level, low, high));
    free(page);
    return good;
}

static bool tree_ok(struct check *c, const struct tree *t)
{
    struct bytes none = {NULL, 0};
    if (t->root == NO_PAGE || t->depth == 0) {
        return expect(c, t->root == NO_PAGE && t->depth == 0);
    }
    return expect(c, t->depth <= DEPTH_MAX) && walk(c, t, t->root, 1, none, none);
}

enum status env_check_pages(struct disk *disk, struct disk_file *file, const struct env_meta *m)
{
    const uint8_t *free_pages = m->bytes + 24, *names = free_pages + DATABASE_BYTES;
    struct check *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    c->disk = disk;
    c->file = file;
    c->page_size = env_meta_page_size(m);
    c->txnid = env_meta_txnid(m);
    bool good = expect(c, env_meta_plausible(m) && c->txnid < TXNID_MAX &&
                              get_le16(free_pages + 4) == INTEGER_KEYS && get_le32(names) == 0 &&
                              get_le16(names + 4) == 0);
    c->pages = good ? env_meta_size(m) / c->page_size : 0;
    c->used = good ? calloc(1, c->pages / 8 + 1) : NULL;
    if (good && c->used == NULL) {
        good = fail(c, STATUS_NO_MEMORY);
    }
    struct tree free_tree = tree_of(TREE_FREE, free_pages), main_tree = tree_of(TREE_MAIN, names);
    (void)(good && tree_ok(c, &main_tree) && tree_ok(c, &free_tree));
    enum status s = c->status;
    free(c->used);
    free(c);
    return s;
}
