/* The file system that forgets: names, faults and the disk table. Sectors are in crash_file.c.
 *
 * Two name spaces: `live` is what the tmpfs directory shows; `durable` is what a power cut would leave at least; `pending` are the
 * directory operations between them, in order. Every file has a second, hidden name in root.inodes, so that a name can be given
 * back to a file that was renamed over or removed. lock.mdb is not kept at all: it is shared memory with a name. */
#include "tests/lib/crash_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "tests/lib/crash_fs_internal.h"

#define FS_MAX     64
#define FREE_BYTES (8ull << 30)

static struct crash_fs *registry[FS_MAX];

/* ---- names -------------------------------------------------------------------------------------------- */

static struct fs_name *names_find(struct fs_names *names, const char *path)
{
    for (uint32_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i].path, path) == 0) {
            return &names->items[i];
        }
    }
    return NULL;
}

static void names_remove(struct fs_names *names, const char *path)
{
    struct fs_name *name = names_find(names, path);
    if (name != NULL) {
        free(name->path);
        /* Order is kept: it decides the order in which random numbers are drawn. */
        size_t after = (size_t)(&names->items[names->n] - name) - 1;
        memmove(name, name + 1, after * sizeof(*name));
        names->n--;
    }
}

static void names_set(struct fs_names *names, const char *path, struct fs_inode *inode)
{
    names_remove(names, path);
    if (names->n == names->capacity) {
        names->capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        names->items = realloc(names->items, names->capacity * sizeof(*names->items));
        must(names->items != NULL);
    }
    names->items[names->n++] = (struct fs_name){strdup(path), inode};
}

static void names_clear(struct fs_names *names)
{
    for (uint32_t i = 0; i < names->n; i++) {
        free(names->items[i].path);
    }
    names->n = 0;
}

static bool same_directory(const char *path, const char *directory)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    return path[0] != '\0' && strlen(directory) == size && strncmp(path, directory, size) == 0;
}

/* ---- directory operations ----------------------------------------------------------------------------- */

static void op_push(struct crash_fs *fs, enum fs_op_kind kind, const char *path, const char *to,
                    struct fs_inode *inode)
{
    if (fs->ops_n == fs->ops_capacity) {
        fs->ops_capacity = fs->ops_capacity == 0 ? 64 : fs->ops_capacity * 2;
        fs->ops = realloc(fs->ops, fs->ops_capacity * sizeof(*fs->ops));
        must(fs->ops != NULL);
    }
    fs->ops[fs->ops_n++] =
        (struct fs_op){kind, strdup(path), to != NULL ? strdup(to) : NULL, inode};
}

static void op_free(struct fs_op *op)
{
    free(op->path);
    free(op->to);
}

static void op_apply(struct fs_names *names, const struct fs_op *op)
{
    switch (op->kind) {
        case OP_SET:
            names_set(names, op->path, op->inode);
            break;
        case OP_REMOVE:
            names_remove(names, op->path);
            break;
        case OP_RENAME:
            names_remove(names, op->path);
            names_set(names, op->to, op->inode);
            break;
    }
}

/* Makes durable what happened in a directory. */
static bool ops_sync(struct crash_fs *fs, const char *directory)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fs->ops_n; i++) {
        struct fs_op *op = &fs->ops[i];
        if (same_directory(op->path, directory) ||
            (op->to != NULL && same_directory(op->to, directory))) {
            op_apply(&fs->durable, op);
            op_free(op);
        } else {
            fs->ops[kept++] = *op;
        }
    }
    bool any = kept != fs->ops_n;
    fs->ops_n = kept;
    return any;
}

static void ops_lose(struct crash_fs *fs)
{
    /* All, none, or each by itself. */
    uint64_t mode = random_below(&fs->random, 4);
    for (uint32_t i = 0; i < fs->ops_n; i++) {
        if (mode == 0 || (mode > 1 && random_below(&fs->random, 2) == 0)) {
            op_apply(&fs->durable, &fs->ops[i]);
        }
        op_free(&fs->ops[i]);
    }
    fs->ops_n = 0;
}

/* ---- inodes ------------------------------------------------------------------------------------------- */

static bool inode_named(const struct crash_fs *fs, const struct fs_inode *inode)
{
    for (uint32_t i = 0; i < fs->live.n; i++) {
        if (fs->live.items[i].inode == inode) {
            return true;
        }
    }
    for (uint32_t i = 0; i < fs->durable.n; i++) {
        if (fs->durable.items[i].inode == inode) {
            return true;
        }
    }
    for (uint32_t i = 0; i < fs->ops_n; i++) {
        if (fs->ops[i].inode == inode) {
            return true;
        }
    }
    return false;
}

void crash_fs_hidden(const struct crash_fs *fs, const struct fs_inode *inode,
                     char path[FS_PATH_MAX])
{
    must(snprintf(path, FS_PATH_MAX, "%s.inodes/%llu", fs->root, (unsigned long long)inode->id) <
         FS_PATH_MAX);
}

static void full_path(const struct crash_fs *fs, const char *relative, char path[FS_PATH_MAX])
{
    must(snprintf(path, FS_PATH_MAX, "%s/%s", fs->root, relative) < FS_PATH_MAX);
}

/* Lets go of files without a name that nobody has open. */
static void inodes_sweep(struct crash_fs *fs)
{
    list_each_safe(n, &fs->inodes)
    {
        struct fs_inode *inode = container_of(n, struct fs_inode, link);
        if (inode->opens == 0 && !inode_named(fs, inode)) {
            char hidden[FS_PATH_MAX];
            crash_fs_hidden(fs, inode, hidden);
            unlink(hidden);
            list_remove(&inode->link);
            crash_file_free(inode);
        }
    }
}

static struct fs_inode *inode_create(struct crash_fs *fs, const char *relative)
{
    char path[FS_PATH_MAX], hidden[FS_PATH_MAX];
    struct fs_inode *inode = crash_file_new(fs, fs->next_inode++);
    full_path(fs, relative, path);
    crash_fs_hidden(fs, inode, hidden);
    must(link(path, hidden) == 0);
    inode->fd = crash_fs_raw_open(hidden, O_RDWR | O_CLOEXEC, 0);
    must(inode->fd >= 0);
    list_push_back(&fs->inodes, &inode->link);
    names_set(&fs->live, relative, inode);
    op_push(fs, OP_SET, relative, NULL, inode);
    return inode;
}

/* ---- a crash ------------------------------------------------------------------------------------------ */

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        unlink(path);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char child[FS_PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        must(snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) < FS_PATH_MAX);
        if (entry->d_type == DT_DIR) {
            remove_tree(child);
        } else {
            unlink(child);
        }
    }
    closedir(dir);
    rmdir(path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct fs_name *)a)->path, ((const struct fs_name *)b)->path);
}

/* The tmpfs directory and `live` become `durable`. A name in a directory that did not survive is lost with it. */
static void rebuild(struct crash_fs *fs)
{
    remove_tree(fs->root);
    must(mkdir(fs->root, 0700) == 0);
    names_clear(&fs->live);
    if (fs->durable.n > 0) {
        qsort(fs->durable.items, fs->durable.n, sizeof(*fs->durable.items), compare_names);
    }
    for (uint32_t i = 0; i < fs->durable.n; i++) {
        struct fs_name *name = &fs->durable.items[i];
        char path[FS_PATH_MAX], hidden[FS_PATH_MAX];
        full_path(fs, name->path, path);
        bool there;
        if (name->inode == NULL) {
            there = mkdir(path, 0700) == 0;
        } else {
            crash_fs_hidden(fs, name->inode, hidden);
            there = link(hidden, path) == 0;
        }
        if (there) {
            names_set(&fs->live, name->path, name->inode);
        }
    }
    names_clear(&fs->durable);
    for (uint32_t i = 0; i < fs->live.n; i++) {
        names_set(&fs->durable, fs->live.items[i].path, fs->live.items[i].inode);
    }
}

void crash_fs_crash(struct crash_fs *fs, enum crash_kind kind)
{
    list_each_safe(n, &fs->handles)
    {
        disk_close(&fs->disk, container_of(n, struct disk_file, link));
    }
    fs->cut = false;
    fs->cut_calls = 0;
    fs->fail_syncs = 0;
    if (kind == CRASH_POWER) {
        ops_lose(fs);
        list_each(n, &fs->inodes)
        {
            struct fs_inode *inode = container_of(n, struct fs_inode, link);
            must(inode->opens == 0);
            crash_file_lose(inode);
        }
        rebuild(fs);
    }
    inodes_sweep(fs);
}

/* ---- faults ------------------------------------------------------------------------------------------- */

bool crash_fs_step(struct crash_fs *fs)
{
    fs->calls++;
    if (fs->cut) {
        errno = EIO;
        return false;
    }
    if (fs->cut_calls > 0 && --fs->cut_calls == 0) {
        fs->cut = true;
        errno = EIO;
        return false;
    }
    return true;
}

/* 0: go on; 1: say OK and do nothing; -1: errno. */
static int sync_step(struct crash_fs *fs, const char *site, bool dirty)
{
    uint32_t i = 0;
    while (i < fs->sites_n && strcmp(fs->sites[i].name, site) != 0) {
        i++;
    }
    if (i == fs->sites_n) {
        must(fs->sites_n < CRASH_FS_SITES_MAX);
        fs->sites[fs->sites_n++] = (struct crash_fs_site){site, 0, 0};
    }
    fs->sites[i].syncs++;
    fs->sites[i].dirty += dirty;
    fs->syncs++;
    if (fs->skip_site != NULL && strcmp(fs->skip_site, site) == 0) {
        return 1;
    }
    if (!crash_fs_step(fs)) {
        return -1;
    }
    if (fs->fail_syncs > 0 && --fs->fail_syncs == 0) {
        errno = EIO;
        return -1;
    }
    return 0;
}

static int sync_file(struct crash_fs *fs, struct fs_inode *inode, const char *site)
{
    int step = sync_step(fs, site, crash_file_dirty(inode));
    if (step == 0) {
        crash_file_sync(inode);
    } else if (step < 0 && !fs->cut) {
        crash_file_sync_failed(inode);
    }
    return step < 0 ? -1 : 0;
}

void crash_fs_arm_cut(struct crash_fs *fs, uint64_t calls)
{
    fs->cut_calls = calls;
}

void crash_fs_stop(struct crash_fs *fs)
{
    fs->cut = true;
}

bool crash_fs_is_cut(const struct crash_fs *fs)
{
    return fs->cut;
}

void crash_fs_fail_sync(struct crash_fs *fs, uint64_t syncs)
{
    fs->fail_syncs = syncs;
}

void crash_fs_skip_site(struct crash_fs *fs, const char *site)
{
    fs->skip_site = site;
}

void crash_fs_set_full(struct crash_fs *fs, bool full)
{
    fs->full = full;
}

uint64_t crash_fs_calls(const struct crash_fs *fs)
{
    return fs->calls;
}

uint64_t crash_fs_syncs(const struct crash_fs *fs)
{
    return fs->syncs;
}

uint32_t crash_fs_sites(const struct crash_fs *fs, const struct crash_fs_site **out_sites)
{
    *out_sites = fs->sites;
    return fs->sites_n;
}

uint64_t crash_fs_sectors_lost(const struct crash_fs *fs)
{
    return fs->sectors_lost;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static const struct disk_ops crash_ops;

enum status crash_fs_new(const char *root, uint64_t seed, struct crash_fs **out_fs)
{
    char inodes[FS_PATH_MAX];
    struct crash_fs *fs = calloc(1, sizeof(*fs));
    must(fs != NULL);
    fs->disk.ops = &crash_ops;
    must(snprintf(fs->root, sizeof(fs->root), "%s", root) < (int)sizeof(fs->root));
    must(snprintf(inodes, sizeof(inodes), "%s.inodes", root) < FS_PATH_MAX);
    list_init(&fs->inodes);
    list_init(&fs->handles);
    random_init_seed(&fs->random, seed);
    if (mkdir(root, 0700) != 0 || mkdir(inodes, 0700) != 0) {
        free(fs);
        return status_from_errno(errno);
    }
    for (int i = 0; i < FS_MAX; i++) {
        if (registry[i] == NULL) {
            registry[i] = fs;
            *out_fs = fs;
            return OK;
        }
    }
    free(fs);
    return STATUS_FULL;
}

void crash_fs_free(struct crash_fs *fs)
{
    char inodes[FS_PATH_MAX];
    if (fs == NULL) {
        return;
    }
    for (int i = 0; i < FS_MAX; i++) {
        if (registry[i] == fs) {
            registry[i] = NULL;
        }
    }
    list_each_safe(h, &fs->handles)
    {
        disk_close(&fs->disk, container_of(h, struct disk_file, link));
    }
    list_each_safe(n, &fs->inodes)
    {
        struct fs_inode *inode = container_of(n, struct fs_inode, link);
        list_remove(n);
        crash_file_free(inode);
    }
    for (uint32_t i = 0; i < fs->ops_n; i++) {
        op_free(&fs->ops[i]);
    }
    names_clear(&fs->live);
    names_clear(&fs->durable);
    remove_tree(fs->root);
    must(snprintf(inodes, sizeof(inodes), "%s.inodes", fs->root) < FS_PATH_MAX);
    remove_tree(inodes);
    free(fs->live.items);
    free(fs->durable.items);
    free(fs->ops);
    free(fs);
}

struct disk *crash_fs_disk(struct crash_fs *fs)
{
    return &fs->disk;
}

const char *crash_fs_root(const struct crash_fs *fs)
{
    return fs->root;
}

/* "" for the root itself; NULL outside. */
static const char *relative_in(const struct crash_fs *fs, const char *path)
{
    size_t size = strlen(fs->root);
    if (strncmp(path, fs->root, size) != 0 || (path[size] != '/' && path[size] != '\0')) {
        return NULL;
    }
    path += size;
    while (*path == '/') {
        path++;
    }
    return path;
}

static bool is_lock_file(const char *path)
{
    size_t size = strlen(path);
    return size >= 8 && strcmp(path + size - 8, "lock.mdb") == 0;
}

struct crash_fs *crash_fs_find(const char *path, const char **out_relative)
{
    for (int i = 0; i < FS_MAX; i++) {
        const char *relative = registry[i] != NULL ? relative_in(registry[i], path) : NULL;
        if (relative != NULL && !is_lock_file(relative)) {
            *out_relative = relative;
            return registry[i];
        }
    }
    return NULL;
}

/* ---- opening, for both sides -------------------------------------------------------------------------- */

int crash_fs_open_inode(struct crash_fs *fs, const char *relative, int flags, mode_t mode,
                        struct fs_inode **out_inode)
{
    char path[FS_PATH_MAX];
    full_path(fs, relative, path);
    struct fs_name *name = names_find(&fs->live, relative);
    if (name == NULL && (flags & O_CREAT) != 0) {
        if (!crash_fs_step(fs)) {
            return -1;
        }
        if (fs->full) {
            errno = ENOSPC;
            return -1;
        }
    }
    must((flags & O_TRUNC) == 0);
    int fd = crash_fs_raw_open(path, flags, mode);
    if (fd < 0) {
        return -1;
    }
    if (name != NULL) {
        must(name->inode != NULL);
        *out_inode = name->inode;
    } else {
        *out_inode = inode_create(fs, relative);
    }
    (*out_inode)->opens++;
    return fd;
}

void crash_fs_close_inode(struct fs_inode *inode)
{
    must(inode->opens > 0);
    inode->opens--;
}

int crash_fs_sync_inode(struct fs_inode *inode, const char *site)
{
    return sync_file(inode->fs, inode, site);
}

/* ---- the table ---------------------------------------------------------------------------------------- */

static struct crash_fs *of(struct disk *d)
{
    return container_of(d, struct crash_fs, disk);
}

static enum status failed(void)
{
    return status_from_errno(errno);
}

static enum status table_open(struct disk *d, const char *path, int flags,
                              struct disk_file **out_file)
{
    struct crash_fs *fs = of(d);
    const char *relative = relative_in(fs, path);
    if (relative == NULL) {
        return STATUS_NOT_FOUND;
    }
    int mode = O_CLOEXEC | O_NOFOLLOW;
    mode |= (flags & DISK_WRITE) == 0 ? O_RDONLY : O_RDWR;
    if ((flags & DISK_CREATE) != 0) {
        mode |= O_CREAT | ((flags & DISK_EXCLUSIVE) != 0 ? O_EXCL : 0);
    }
    struct fs_inode *inode = NULL;
    int fd = crash_fs_open_inode(fs, relative, mode, 0600, &inode);
    if (fd < 0) {
        return failed();
    }
    struct disk_file *f = calloc(1, sizeof(*f));
    must(f != NULL);
    f->fd = fd;
    f->inode = inode;
    list_push_back(&fs->handles, &f->link);
    *out_file = f;
    return OK;
}

static void table_close(struct disk *d, struct disk_file *f)
{
    (void)d;
    if (f != NULL) {
        list_remove(&f->link);
        crash_fs_close_inode(f->inode);
        crash_fs_raw_close(f->fd);
        free(f);
    }
}

static enum status table_read(struct disk *d, struct disk_file *f, void *data, size_t size,
                              uint64_t at, size_t *out_size)
{
    (void)d;
    size_t have = 0;
    while (have < size) {
        ssize_t n = pread(f->fd, (uint8_t *)data + have, size - have, (off_t)(at + have));
        if (n < 0) {
            return failed();
        }
        if (n == 0) {
            break;
        }
        have += (size_t)n;
    }
    *out_size = have;
    return OK;
}

static enum status table_write(struct disk *d, struct disk_file *f, const void *data, size_t size,
                               uint64_t at)
{
    (void)d;
    return crash_file_write(f->inode, data, size, at) ? OK : failed();
}

static enum status table_truncate(struct disk *d, struct disk_file *f, uint64_t size)
{
    (void)d;
    return crash_file_truncate(f->inode, size) ? OK : failed();
}

static enum status table_size(struct disk *d, struct disk_file *f, uint64_t *out_size)
{
    (void)d;
    *out_size = f->inode->size;
    return OK;
}

static enum status table_sync(struct disk *d, struct disk_file *f, const char *site)
{
    return sync_file(of(d), f->inode, site) == 0 ? OK : failed();
}

static enum status table_sync_dir(struct disk *d, const char *path, const char *site)
{
    struct crash_fs *fs = of(d);
    const char *relative = relative_in(fs, path);
    if (relative == NULL) {
        /* Above the node's root: nothing of ours is there. */
        return OK;
    }
    if (relative[0] != '\0' && names_find(&fs->live, relative) == NULL) {
        return STATUS_NOT_FOUND;
    }
    char directory[FS_PATH_MAX];
    must(snprintf(directory, sizeof(directory), "%s", relative) < FS_PATH_MAX);
    size_t size = strlen(directory);
    while (size > 0 && directory[size - 1] == '/') {
        directory[--size] = '\0';
    }
    bool any = false;
    for (uint32_t i = 0; i < fs->ops_n; i++) {
        any = any || same_directory(fs->ops[i].path, directory);
    }
    int step = sync_step(fs, site, any);
    if (step == 0) {
        ops_sync(fs, directory);
        inodes_sweep(fs);
    }
    return step < 0 ? failed() : OK;
}

static enum status table_rename(struct disk *d, const char *from, const char *to)
{
    struct crash_fs *fs = of(d);
    const char *relative_from = relative_in(fs, from), *relative_to = relative_in(fs, to);
    must(relative_from != NULL);
    must(relative_to != NULL);
    if (!crash_fs_step(fs)) {
        return failed();
    }
    struct fs_name *name = names_find(&fs->live, relative_from);
    if (name == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct fs_inode *inode = name->inode;
    must(inode != NULL); /* directories are never renamed: K3 */
    if (rename(from, to) != 0) {
        return failed();
    }
    struct fs_op op = {OP_RENAME, (char *)(uintptr_t)relative_from, (char *)(uintptr_t)relative_to,
                       inode};
    op_apply(&fs->live, &op);
    op_push(fs, OP_RENAME, relative_from, relative_to, inode);
    inodes_sweep(fs);
    return OK;
}

static enum status table_remove(struct disk *d, const char *path)
{
    struct crash_fs *fs = of(d);
    const char *relative = relative_in(fs, path);
    must(relative != NULL);
    if (!crash_fs_step(fs)) {
        return failed();
    }
    if (remove(path) != 0) {
        return failed();
    }
    if (!is_lock_file(relative)) {
        names_remove(&fs->live, relative);
        op_push(fs, OP_REMOVE, relative, NULL, NULL);
        inodes_sweep(fs);
    }
    return OK;
}

static enum status table_make_dir(struct disk *d, const char *path)
{
    struct crash_fs *fs = of(d);
    const char *relative = relative_in(fs, path);
    must(relative != NULL);
    if (!crash_fs_step(fs)) {
        return failed();
    }
    if (mkdir(path, 0700) != 0) {
        return failed();
    }
    names_set(&fs->live, relative, NULL);
    op_push(fs, OP_SET, relative, NULL, NULL);
    return OK;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of the alphabet: a real directory's order would differ from run to run. */
static enum status table_list(struct disk *d, const char *path,
                              void (*each)(void *arg, const char *name), void *arg)
{
    (void)d;
    char *names[4096];
    size_t n = 0;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return failed();
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            must(n < 4096);
            names[n++] = strdup(entry->d_name);
        }
    }
    closedir(dir);
    qsort(names, n, sizeof(names[0]), compare_text);
    for (size_t i = 0; i < n; i++) {
        each(arg, names[i]);
        free(names[i]);
    }
    return OK;
}

static enum status table_free_bytes(struct disk *d, const char *path, uint64_t *out_bytes)
{
    (void)path;
    *out_bytes = of(d)->full ? 0 : FREE_BYTES;
    return OK;
}

static const struct disk_ops crash_ops = {
    .open = table_open,
    .close = table_close,
    .read = table_read,
    .write = table_write,
    .truncate = table_truncate,
    .size = table_size,
    .sync = table_sync,
    .sync_dir = table_sync_dir,
    .rename = table_rename,
    .remove = table_remove,
    .make_dir = table_make_dir,
    .list = table_list,
    .free_bytes = table_free_bytes,
};

bool crash_fs_rot(struct crash_fs *fs, const char *path, uint64_t at)
{
    const char *relative = relative_in(fs, path);
    struct fs_name *name = relative != NULL ? names_find(&fs->live, relative) : NULL;
    return name != NULL && name->inode != NULL && crash_file_rot(name->inode, at);
}
