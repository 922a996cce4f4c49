/* See crash_disk.h. Files are inodes (what is read, what is durable, and the sectors between);
 * names are two flat maps of full paths, the one seen and the durable one, and a list of the
 * operations between. Inodes live as long as the disk. */
#include "tests/lib/crash_disk.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/random.h"

#define SECTOR    512u
#define SITES_MAX 64u

struct sector {
    uint64_t number;
    bool clean; /* its page will not be written by a sync */
    uint8_t data[SECTOR];
};

struct inode {
    uint8_t *seen;
    uint8_t *durable;
    uint64_t seen_size;
    uint64_t durable_size;
    uint64_t capacity;
    struct sector *sectors;
    size_t sectors_n;
    size_t sectors_capacity;
    bool directory;
    struct inode *next;
};

struct name {
    char *path;
    struct inode *inode;
};

struct names {
    struct name *items;
    size_t n;
    size_t capacity;
};

/* path -> inode (NULL: removed); a rename is two that share a group and survive together. */
struct operation {
    char *path;
    struct inode *inode;
    unsigned group;
};

struct crash_disk {
    struct disk disk;
    struct random random;
    struct inode *inodes;
    struct names seen;
    struct names durable;
    struct operation *operations;
    size_t operations_n;
    size_t operations_capacity;
    unsigned group;
    unsigned life; /* files of an older one are dead */
    uint64_t steps;
    uint64_t cut_at;
    bool cut;
    uint64_t fail_at;
    bool fail_for_good;
    enum status fail_status;
    const char *disabled;
    char *sites[SITES_MAX];
    uint64_t site_counts[SITES_MAX];
    unsigned sites_n;
    uint64_t free_bytes;
};

struct disk_file {
    struct inode *inode;
    unsigned life;
    bool writable;
};

static void *grow(void *items, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    items = realloc(items, *capacity * size);
    must(items != NULL);
    return items;
}

static struct crash_disk *of(struct disk *d)
{
    return (struct crash_disk *)(void *)d; /* its first member */
}

static struct name *find_name(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i].path, path) == 0) {
            return &names->items[i];
        }
    }
    return NULL;
}

static void set_name(struct names *names, const char *path, struct inode *inode)
{
    struct name *old = find_name(names, path);
    if (old != NULL && inode != NULL) {
        old->inode = inode;
    } else if (old != NULL) {
        free(old->path);
        *old = names->items[--names->n];
    } else if (inode != NULL) {
        names->items = grow(names->items, names->n, &names->capacity, sizeof(names->items[0]));
        names->items[names->n++] = (struct name){strdup(path), inode};
    }
}

static void clear_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        free(names->items[i].path);
    }
    names->n = 0;
}

static void copy_names(struct names *to, const struct names *from)
{
    clear_names(to);
    for (size_t i = 0; i < from->n; i++) {
        set_name(to, from->items[i].path, from->items[i].inode);
    }
}

/* Is path directly inside dir? */
static bool is_in(const char *path, const char *dir)
{
    size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    return strncmp(path, dir, n) == 0 && path[n] == '/' && path[n + 1] != 0 &&
           strchr(path + n + 1, '/') == NULL;
}

static void parent_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    must(slash != NULL);
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    must(n < PATH_MAX);
    memcpy(out, path, n);
    out[n] = 0;
}

static bool has_parent(const struct names *names, const char *path)
{
    char dir[PATH_MAX];
    parent_of(path, dir);
    const struct name *n = find_name(names, dir);
    return strcmp(dir, "/") == 0 || (n != NULL && n->inode->directory);
}

static void add_operation(struct crash_disk *c, const char *path, struct inode *inode)
{
    c->operations =
        grow(c->operations, c->operations_n, &c->operations_capacity, sizeof(c->operations[0]));
    c->operations[c->operations_n++] = (struct operation){strdup(path), inode, c->group};
    set_name(&c->seen, path, inode);
}

static void drop_operation(struct crash_disk *c, size_t i)
{
    free(c->operations[i].path);
    c->operations_n--;
    memmove(&c->operations[i], &c->operations[i + 1],
            (c->operations_n - i) * sizeof(c->operations[0]));
}

static void reserve(struct inode *i, uint64_t size)
{
    if (size <= i->capacity) {
        return;
    }
    uint64_t capacity = (size + 65535) / 65536 * 65536;
    capacity = capacity < i->capacity * 2 ? i->capacity * 2 : capacity;
    i->seen = realloc(i->seen, capacity);
    i->durable = realloc(i->durable, capacity);
    must(i->seen != NULL && i->durable != NULL);
    memset(i->seen + i->capacity, 0, capacity - i->capacity);
    memset(i->durable + i->capacity, 0, capacity - i->capacity);
    i->capacity = capacity;
}

static struct inode *new_inode(struct crash_disk *c, bool directory)
{
    struct inode *i = calloc(1, sizeof(*i));
    must(i != NULL);
    i->directory = directory;
    if (!directory) {
        reserve(i, SECTOR); /* so that an empty file has bytes to point at */
    }
    i->next = c->inodes;
    c->inodes = i;
    return i;
}

/* One step: may it happen? */
static enum status step(struct crash_disk *c)
{
    if (c->cut) {
        return STATUS_IO;
    }
    c->steps++;
    if (c->steps == c->cut_at) {
        c->cut = true;
        return STATUS_IO;
    }
    if (c->fail_at != 0 &&
        (c->steps == c->fail_at || (c->fail_for_good && c->steps > c->fail_at))) {
        return c->fail_status;
    }
    return OK;
}

static bool dead(const struct crash_disk *c, const struct disk_file *f)
{
    return c->cut || f->life != c->life;
}

static enum status crash_open(struct disk *d, const char *path, int flags,
                              struct disk_file **out_file)
{
    struct crash_disk *c = of(d);
    struct name *n = find_name(&c->seen, path);
    if (c->cut) {
        return STATUS_IO;
    }
    if (n != NULL && n->inode->directory) {
        return STATUS_INVALID;
    }
    if (n == NULL && ((flags & DISK_CREATE) == 0 || !has_parent(&c->seen, path))) {
        return STATUS_NOT_FOUND;
    }
    if (n != NULL && (flags & DISK_EXCLUSIVE) != 0) {
        return STATUS_EXISTS;
    }
    struct inode *inode = n == NULL ? NULL : n->inode;
    if (n == NULL) {
        enum status s = step(c);
        if (s != OK) {
            return s;
        }
        inode = new_inode(c, false);
        c->group++;
        add_operation(c, path, inode);
    }
    struct disk_file *f = malloc(sizeof(*f));
    must(f != NULL);
    *f = (struct disk_file){inode, c->life, (flags & DISK_WRITE) != 0};
    *out_file = f;
    return OK;
}

static void crash_close(struct disk *d, struct disk_file *f)
{
    (void)d;
    free(f);
}

static enum status crash_read(struct disk *d, struct disk_file *f, void *data, size_t size,
                              uint64_t at, size_t *out_size)
{
    if (dead(of(d), f)) {
        return STATUS_IO;
    }
    uint64_t left = at < f->inode->seen_size ? f->inode->seen_size - at : 0;
    size_t n = size < left ? size : (size_t)left;
    if (n > 0) {
        memcpy(data, f->inode->seen + at, n);
    }
    *out_size = n;
    return OK;
}

static void add_sector(struct inode *i, uint64_t number)
{
    i->sectors = grow(i->sectors, i->sectors_n, &i->sectors_capacity, sizeof(i->sectors[0]));
    struct sector *s = &i->sectors[i->sectors_n++];
    s->number = number;
    s->clean = false;
    memcpy(s->data, i->seen + number * SECTOR, SECTOR);
}

static enum status crash_write(struct disk *d, struct disk_file *f, const void *data, size_t size,
                               uint64_t at)
{
    struct crash_disk *c = of(d);
    if (dead(c, f)) {
        return STATUS_IO;
    }
    must(f->writable);
    enum status s = step(c);
    if (s != OK && !c->cut) {
        return s;
    }
    if (c->cut) { /* a part of it came through */
        size = random_below(&c->random, 3) == 0
                   ? size
                   : (size_t)random_below(&c->random, size / SECTOR + 1) * SECTOR;
    }
    if (size > 0) {
        struct inode *i = f->inode;
        reserve(i, at + size + SECTOR);
        memcpy(i->seen + at, data, size);
        i->seen_size = at + size > i->seen_size ? at + size : i->seen_size;
        for (uint64_t n = at / SECTOR; n <= (at + size - 1) / SECTOR; n++) {
            add_sector(i, n);
        }
    }
    return s;
}

static enum status crash_truncate(struct disk *d, struct disk_file *f, uint64_t size)
{
    struct crash_disk *c = of(d);
    if (dead(c, f)) {
        return STATUS_IO;
    }
    enum status s = step(c);
    if (s != OK) {
        return s;
    }
    struct inode *i = f->inode;
    reserve(i, size + SECTOR);
    if (size < i->seen_size) {
        memset(i->seen + size, 0, i->seen_size - size);
        for (uint64_t n = size / SECTOR; n * SECTOR < i->seen_size; n++) {
            add_sector(i, n);
        }
    }
    i->seen_size = size;
    return OK;
}

static enum status crash_size(struct disk *d, struct disk_file *f, uint64_t *out_size)
{
    if (dead(of(d), f)) {
        return STATUS_IO;
    }
    *out_size = f->inode->seen_size;
    return OK;
}

/* True when the sync is to be a lie. */
static bool note_site(struct crash_disk *c, const char *site)
{
    unsigned i = 0;
    while (i < c->sites_n && strcmp(c->sites[i], site) != 0) {
        i++;
    }
    if (i == c->sites_n) {
        must(c->sites_n < SITES_MAX);
        c->sites[c->sites_n++] = strdup(site);
    }
    c->site_counts[i]++;
    return c->disabled != NULL && strcmp(c->disabled, site) == 0;
}

static enum status crash_sync(struct disk *d, struct disk_file *f, const char *site)
{
    struct crash_disk *c = of(d);
    if (dead(c, f)) {
        return STATUS_IO;
    }
    bool lie = note_site(c, site);
    enum status s = step(c);
    if (s != OK || lie) {
        return s;
    }
    struct inode *i = f->inode;
    size_t kept = 0;
    for (size_t k = 0; k < i->sectors_n; k++) {
        if (i->sectors[k].clean) {
            /* Only if nothing newer of the same sector is being written now. */
            bool newer = false;
            for (size_t m = k + 1; m < i->sectors_n && !newer; m++) {
                newer = !i->sectors[m].clean && i->sectors[m].number == i->sectors[k].number;
            }
            if (!newer) {
                i->sectors[kept++] = i->sectors[k];
            }
        } else {
            memcpy(i->durable + i->sectors[k].number * SECTOR, i->sectors[k].data, SECTOR);
        }
    }
    i->sectors_n = kept;
    i->durable_size = i->seen_size;
    return OK;
}

/* Makes operation i durable. */
static void settle(struct crash_disk *c, size_t i)
{
    set_name(&c->durable, c->operations[i].path, c->operations[i].inode);
    drop_operation(c, i);
}

static enum status crash_sync_dir(struct disk *d, const char *path, const char *site)
{
    struct crash_disk *c = of(d);
    if (c->cut) {
        return STATUS_IO;
    }
    if (strcmp(path, "/") != 0 && find_name(&c->seen, path) == NULL) {
        return STATUS_NOT_FOUND;
    }
    bool lie = note_site(c, site);
    enum status s = step(c);
    for (size_t i = 0; s == OK && !lie && i < c->operations_n;) {
        if (is_in(c->operations[i].path, path)) {
            settle(c, i);
        } else {
            i++;
        }
    }
    return s;
}

static enum status crash_rename(struct disk *d, const char *from, const char *to)
{
    struct crash_disk *c = of(d);
    struct name *n = find_name(&c->seen, from);
    if (c->cut) {
        return STATUS_IO;
    }
    if (n == NULL) {
        return STATUS_NOT_FOUND;
    }
    must(!n->inode->directory);
    enum status s = step(c);
    if (s != OK) {
        return s;
    }
    struct inode *inode = n->inode;
    c->group++;
    add_operation(c, to, inode);
    add_operation(c, from, NULL);
    return OK;
}

static bool has_children(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++) {
        if (is_in(names->items[i].path, path)) {
            return true;
        }
    }
    return false;
}

static enum status crash_remove(struct disk *d, const char *path)
{
    struct crash_disk *c = of(d);
    if (c->cut) {
        return STATUS_IO;
    }
    if (find_name(&c->seen, path) == NULL) {
        return STATUS_NOT_FOUND;
    }
    if (has_children(&c->seen, path)) {
        return STATUS_EXISTS;
    }
    enum status s = step(c);
    if (s == OK) {
        c->group++;
        add_operation(c, path, NULL);
    }
    return s;
}

static enum status crash_make_dir(struct disk *d, const char *path)
{
    struct crash_disk *c = of(d);
    if (c->cut) {
        return STATUS_IO;
    }
    if (find_name(&c->seen, path) != NULL) {
        return STATUS_EXISTS;
    }
    if (!has_parent(&c->seen, path)) {
        return STATUS_NOT_FOUND;
    }
    enum status s = step(c);
    if (s == OK) {
        c->group++;
        add_operation(c, path, new_inode(c, true));
    }
    return s;
}

static enum status crash_list(struct disk *d, const char *path,
                              void (*each)(void *arg, const char *name), void *arg)
{
    struct crash_disk *c = of(d);
    if (c->cut) {
        return STATUS_IO;
    }
    if (strcmp(path, "/") != 0 && find_name(&c->seen, path) == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct names copy = {0}; /* each() may remove */
    copy_names(&copy, &c->seen);
    for (size_t i = 0; i < copy.n; i++) {
        if (is_in(copy.items[i].path, path)) {
            each(arg, strrchr(copy.items[i].path, '/') + 1);
        }
    }
    clear_names(&copy);
    free(copy.items);
    return OK;
}

static enum status crash_free_bytes(struct disk *d, const char *path, uint64_t *out_bytes)
{
    (void)path;
    if (of(d)->cut) {
        return STATUS_IO;
    }
    *out_bytes = of(d)->free_bytes;
    return OK;
}

static const struct disk_ops crash_ops = {
    .open = crash_open,
    .close = crash_close,
    .read = crash_read,
    .write = crash_write,
    .truncate = crash_truncate,
    .size = crash_size,
    .sync = crash_sync,
    .sync_dir = crash_sync_dir,
    .rename = crash_rename,
    .remove = crash_remove,
    .make_dir = crash_make_dir,
    .list = crash_list,
    .free_bytes = crash_free_bytes,
};

struct crash_disk *crash_disk_new(uint64_t seed)
{
    struct crash_disk *c = calloc(1, sizeof(*c));
    must(c != NULL);
    c->disk.ops = &crash_ops;
    c->free_bytes = UINT64_MAX / 2;
    random_init_seed(&c->random, seed);
    return c;
}

void crash_disk_free(struct crash_disk *c)
{
    if (c == NULL) {
        return;
    }
    while (c->inodes != NULL) {
        struct inode *i = c->inodes;
        c->inodes = i->next;
        free(i->seen);
        free(i->durable);
        free(i->sectors);
        free(i);
    }
    while (c->operations_n > 0) {
        drop_operation(c, c->operations_n - 1);
    }
    free(c->operations);
    clear_names(&c->seen);
    clear_names(&c->durable);
    free(c->seen.items);
    free(c->durable.items);
    for (unsigned i = 0; i < c->sites_n; i++) {
        free(c->sites[i]);
    }
    free(c);
}

struct disk *crash_disk_disk(struct crash_disk *c)
{
    return &c->disk;
}

static bool chance(struct random *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

static void crash_inode(struct inode *i, struct random *r)
{
    static const unsigned percents[] = {0, 10, 50, 90, 100};
    unsigned keep = percents[random_below(r, sizeof(percents) / sizeof(percents[0]))];
    for (size_t k = i->sectors_n; k > 1; k--) { /* any order */
        size_t m = (size_t)random_below(r, k);
        struct sector s = i->sectors[k - 1];
        i->sectors[k - 1] = i->sectors[m];
        i->sectors[m] = s;
    }
    if (chance(r, keep)) {
        i->durable_size = i->seen_size;
    }
    for (size_t k = 0; k < i->sectors_n; k++) {
        if (chance(r, keep)) {
            memcpy(i->durable + i->sectors[k].number * SECTOR, i->sectors[k].data, SECTOR);
        }
    }
    i->sectors_n = 0;
    if (i->durable_size < i->capacity) {
        memset(i->durable + i->durable_size, 0, i->capacity - i->durable_size);
    }
    if (i->capacity > 0) {
        memcpy(i->seen, i->durable, i->capacity);
    }
    i->seen_size = i->durable_size;
}

/* A random first part of each directory's operations is durable, a rename whole or not at all. */
static void crash_names(struct crash_disk *c, struct random *r)
{
    while (c->operations_n > 0) {
        char dir[PATH_MAX];
        parent_of(c->operations[0].path, dir);
        bool going = true;
        unsigned group = 0;
        for (size_t i = 0; i < c->operations_n;) {
            if (!is_in(c->operations[i].path, dir)) {
                i++;
                continue;
            }
            if (c->operations[i].group != group) {
                group = c->operations[i].group;
                going = going && chance(r, 60);
            }
            if (going) {
                settle(c, i);
            } else {
                drop_operation(c, i);
            }
        }
    }
    bool again = true;
    while (again) { /* what is in a directory that is gone is gone */
        again = false;
        for (size_t i = 0; i < c->durable.n && !again; i++) {
            if (!has_parent(&c->durable, c->durable.items[i].path)) {
                set_name(&c->durable, c->durable.items[i].path, NULL);
                again = true;
            }
        }
    }
    copy_names(&c->seen, &c->durable);
}

static void new_life(struct crash_disk *c)
{
    c->life++;
    c->steps = 0;
    c->cut_at = 0;
    c->fail_at = 0;
    c->cut = false;
}

void crash_disk_crash(struct crash_disk *c, uint64_t seed)
{
    struct random r;
    random_init_seed(&r, seed);
    for (struct inode *i = c->inodes; i != NULL; i = i->next) {
        if (!i->directory) {
            crash_inode(i, &r);
        }
    }
    crash_names(c, &r);
    new_life(c);
}

void crash_disk_kill(struct crash_disk *c)
{
    for (struct inode *i = c->inodes; i != NULL; i = i->next) {
        for (size_t k = 0; k < i->sectors_n; k++) {
            i->sectors[k].clean = true;
        }
    }
    new_life(c);
}

uint64_t crash_disk_steps(const struct crash_disk *c)
{
    return c->steps;
}

void crash_disk_cut_at(struct crash_disk *c, uint64_t n)
{
    c->cut_at = n == 0 ? 0 : c->steps + n;
}

bool crash_disk_is_cut(const struct crash_disk *c)
{
    return c->cut;
}

void crash_disk_fail_at(struct crash_disk *c, uint64_t n, enum status s, bool for_good)
{
    c->fail_at = n == 0 ? 0 : c->steps + n;
    c->fail_status = s;
    c->fail_for_good = for_good;
}

void crash_disk_disable_sync(struct crash_disk *c, const char *site)
{
    c->disabled = site;
}

uint64_t crash_disk_site_count(const struct crash_disk *c, const char *site)
{
    for (unsigned i = 0; i < c->sites_n; i++) {
        if (strcmp(c->sites[i], site) == 0) {
            return c->site_counts[i];
        }
    }
    return 0;
}

unsigned crash_disk_sites(const struct crash_disk *c)
{
    return c->sites_n;
}

const char *crash_disk_site(const struct crash_disk *c, unsigned i)
{
    must(i < c->sites_n);
    return c->sites[i];
}

void crash_disk_set_free_bytes(struct crash_disk *c, uint64_t bytes)
{
    c->free_bytes = bytes;
}

void crash_disk_put(struct crash_disk *c, const char *path, const void *data, size_t size)
{
    char dir[PATH_MAX];
    parent_of(path, dir);
    if (strcmp(dir, "/") != 0 && find_name(&c->seen, dir) == NULL) {
        struct inode *i = new_inode(c, true);
        set_name(&c->seen, dir, i);
        set_name(&c->durable, dir, i);
    }
    struct inode *i = new_inode(c, false);
    reserve(i, size + SECTOR);
    if (size > 0) {
        memcpy(i->seen, data, size);
        memcpy(i->durable, data, size);
    }
    i->seen_size = size;
    i->durable_size = size;
    set_name(&c->seen, path, i);
    set_name(&c->durable, path, i);
}

bool crash_disk_flip(struct crash_disk *c, const char *path, uint64_t at, uint8_t bits)
{
    struct name *n = find_name(&c->seen, path);
    if (n == NULL || at >= n->inode->seen_size) {
        return false;
    }
    n->inode->seen[at] ^= bits;
    n->inode->durable[at] ^= bits;
    return true;
}

const uint8_t *crash_disk_data(const struct crash_disk *c, const char *path, size_t *out_size)
{
    const struct name *n = find_name(&c->seen, path);
    if (n == NULL) {
        return NULL;
    }
    *out_size = (size_t)n->inode->seen_size;
    return n->inode->seen;
}
