/* One pass over the directory for each question: they are asked at a start and at a rotation. */
#include "node/feed/log_rotated.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum log_rotated log_rotated_name(const char *base, const char *name)
{
    size_t n = strlen(base);
    if (strncmp(name, base, n) != 0 || (name[n] != '.' && name[n] != '-')) {
        return LOG_ROTATED_NOT;
    }
    const char *rest = name + n + 1;
    size_t digits = strspn(rest, "0123456789-");
    if (digits == 0) {
        return LOG_ROTATED_NOT; /* NAME.offset, NAME.old.txt: somebody else's */
    }
    const char *end = rest + digits;
    static const char *const compressors[] = {".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z"};
    for (size_t i = 0; i < sizeof(compressors) / sizeof(compressors[0]); i++) {
        if (strcmp(end, compressors[i]) == 0) {
            return LOG_ROTATED_COMPRESSED;
        }
    }
    return *end == '\0' ? LOG_ROTATED_PLAIN : LOG_ROTATED_NOT;
}

void log_rotated_scan(const char *path,
                      bool (*each)(void *arg, const char *path, const struct stat *st,
                                   enum log_rotated kind),
                      void *arg)
{
    char name[LOG_ROTATED_PATH_MAX], directory[LOG_ROTATED_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (n == 0 || n >= sizeof(directory)) {
        return;
    }
    memcpy(directory, path, n);
    directory[n] = '\0';
    DIR *d = opendir(directory);
    struct dirent *entry;
    for (unsigned i = 0; d != NULL && i < LOG_ROTATED_NAMES_MAX && (entry = readdir(d)) != NULL;
         i++) {
        struct stat st;
        enum log_rotated kind = log_rotated_name(slash + 1, entry->d_name);
        int length = snprintf(name, sizeof(name), "%s%s", directory, entry->d_name);
        if (kind == LOG_ROTATED_NOT || length >= (int)sizeof(name) || stat(name, &st) != 0 ||
            !S_ISREG(st.st_mode)) {
            continue;
        }
        if (!each(arg, name, &st, kind)) {
            break;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

/* ---- the next one ---- */

struct next {
    const struct stat *last;
    struct timespec plain, compressed; /* times of last change; tv_sec 0: none */
    char *path;
};

static bool before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool sooner(struct timespec *best, const struct timespec *t)
{
    bool yes = best->tv_sec == 0 || before(t, best);
    *best = yes ? *t : *best;
    return yes;
}

static bool on_rotated(void *arg, const char *path, const struct stat *st, enum log_rotated kind)
{
    struct next *n = arg;
    if (st->st_ino == n->last->st_ino || !before(&n->last->st_mtim, &st->st_mtim)) {
        return true; /* a compressed one has the time of what it was made of */
    }
    if (kind == LOG_ROTATED_COMPRESSED) {
        sooner(&n->compressed, &st->st_mtim);
    } else if (sooner(&n->plain, &st->st_mtim)) {
        snprintf(n->path, LOG_ROTATED_PATH_MAX, "%s", path);
    }
    return true;
}

void log_rotated_next(const char *path, const struct stat *last,
                      char out_next[LOG_ROTATED_PATH_MAX], bool *out_unreadable)
{
    struct next n = {.last = last, .path = out_next};
    out_next[0] = '\0';
    log_rotated_scan(path, on_rotated, &n);
    *out_unreadable =
        n.compressed.tv_sec != 0 && (n.plain.tv_sec == 0 || before(&n.compressed, &n.plain));
}
