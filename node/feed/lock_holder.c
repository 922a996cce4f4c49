/* Small reads of /proc, each bounded; what cannot be read is not there. */
#include "node/feed/lock_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCKS_TEXT_MAX (1024u * 1024u)
#define FDS_MAX        256u
#define FOLDERS_MAX    16u
#define ENTRIES_MAX    4096u
#define PATH_BYTES     512u
#define HOPS_MAX       8u /* of one who waits for one who waits */

/* ---- pure ---- */

/* "12: POSIX  ADVISORY  WRITE 345 fe:01:77 0 EOF", or with "->" behind the number. */
static bool parse_lock(const char *line, uint64_t *out_number, bool *out_waits, int64_t *out_pid)
{
    char *at;
    *out_number = strtoull(line, &at, 10);
    if (at == line || *at != ':') {
        return false;
    }
    at += 1 + strspn(at + 1, " ");
    *out_waits = strncmp(at, "->", 2) == 0;
    at += *out_waits ? 2 : 0;
    for (int words = 0; words < 3; words++) {
        at += strspn(at, " ");
        at += strcspn(at, " \n");
    }
    char *end;
    *out_pid = strtoll(at, &end, 10);
    return end != at;
}

bool lock_holder_next(struct lock_lines *l, int64_t *out_waiter, int64_t *out_holder)
{
    while (*l->at != '\0') {
        const char *line = l->at;
        uint64_t number;
        int64_t pid;
        bool waits;
        l->at += strcspn(line, "\n");
        l->at += *l->at == '\n';
        if (!parse_lock(line, &number, &waits, &pid)) {
            continue;
        }
        if (!waits) {
            l->number = number;
            l->holder = pid;
        } else if (number == l->number && pid > 0 && l->holder > 0) {
            *out_waiter = pid;
            *out_holder = l->holder;
            return true;
        }
    }
    return false;
}

bool lock_holder_parse_file(const char *text, int64_t *out_pid,
                            char out_host[LOCK_HOLDER_HOST_MAX + 1])
{
    char *end;
    int64_t pid = strtoll(text, &end, 10);
    if (end == text || *end != ':' || pid <= 0) {
        return false;
    }
    size_t n = strcspn(end + 1, "\r\n \t");
    if (n == 0 || n > LOCK_HOLDER_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)end[1 + i]) && strchr(".-_", end[1 + i]) == NULL) {
            return false;
        }
    }
    memcpy(out_host, end + 1, n);
    out_host[n] = '\0';
    *out_pid = pid;
    return true;
}

bool lock_holder_parse_stat(const char *text, int64_t *out_group, uint64_t *out_start_ticks)
{
    const char *at = strrchr(text, ')'); /* a command may hold anything, also ')' */
    char state;
    long long parent, group;
    unsigned long long start;
    if (at == NULL ||
        sscanf(at + 1,
               " %c %lld %lld %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &state, &parent, &group, &start) != 4) {
        return false;
    }
    *out_group = group;
    *out_start_ticks = start;
    return true;
}

/* ---- /proc ---- */

/* Up to size - 1 bytes and a NUL; how many, 0 when it cannot be read. */
static size_t read_file(const char *path, char *out, size_t size)
{
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd >= 0 && n < size - 1) {
        ssize_t r = read(fd, out + n, size - 1 - n);
        if (r <= 0) {
            break;
        }
        n += (size_t)r;
    }
    if (fd >= 0) {
        close(fd);
    }
    out[n] = '\0';
    return n;
}

static bool stat_of(int64_t pid, int64_t *out_group, uint64_t *out_start_ticks)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    return read_file(path, text, sizeof(text)) > 0 &&
           lock_holder_parse_stat(text, out_group, out_start_ticks);
}

static void describe(struct lock_holder *h)
{
    char path[64], uptime[64];
    int64_t group;
    uint64_t start;
    snprintf(path, sizeof(path), "/proc/%lld/cmdline", (long long)h->pid);
    size_t n = read_file(path, h->command, sizeof(h->command));
    while (n > 0 && h->command[n - 1] == '\0') {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)h->command[i];
        h->command[i] = x < ' ' || x == 0x7f || x == '"' ? ' ' : (char)x;
    }
    h->command[n] = '\0';
    if (stat_of(h->pid, &group, &start) && read_file("/proc/uptime", uptime, sizeof(uptime)) > 0) {
        uint64_t now_s = strtoull(uptime, NULL, 10),
                 start_s = start / (uint64_t)sysconf(_SC_CLK_TCK);
        h->age_s = now_s > start_s ? now_s - start_s : 0;
    }
}

static bool in_group(int64_t pid, int64_t group)
{
    int64_t its;
    uint64_t unused;
    return pid == group || (stat_of(pid, &its, &unused) && its == group);
}

static bool find_kernel_lock(int64_t group, struct lock_holder *h)
{
    char *text = malloc(LOCKS_TEXT_MAX);
    bool found = false;
    if (text != NULL && read_file("/proc/locks", text, LOCKS_TEXT_MAX) > 0) {
        struct lock_lines lines = {.at = text};
        int64_t waiter, holder;
        while (!found && lock_holder_next(&lines, &waiter, &holder)) {
            if (in_group(waiter, group)) {
                h->pid = holder;
                found = true;
            }
        }
    }
    free(text);
    return found;
}

/* ---- lock files ---- */

/* A lock file that a waiting process made itself is not what it waits for. */
static bool find_in_folder(const char *folder, int64_t waiting, struct lock_holder *h)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    bool found = false;
    for (unsigned n = 0; dir != NULL && !found && n < ENTRIES_MAX && (e = readdir(dir)) != NULL;
         n++) {
        size_t size = strlen(e->d_name);
        char path[PATH_BYTES + 300], text[128], host[LOCK_HOLDER_HOST_MAX + 1], ours[256] = "";
        if (size < 6 || strcmp(e->d_name + size - 5, ".lock") != 0) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        int64_t pid;
        if (read_file(path, text, sizeof(text)) == 0 || !lock_holder_parse_file(text, &pid, host) ||
            in_group(pid, waiting)) {
            continue;
        }
        found = true;
        h->pid = pid;
        snprintf(h->file, sizeof(h->file), "%.*s", (int)LOCK_HOLDER_FILE_MAX, path);
        gethostname(ours, sizeof(ours) - 1);
        size_t ours_n = strcspn(ours, ".");
        if (strncmp(host, ours, ours_n) != 0 || (host[ours_n] != '\0' && host[ours_n] != '.')) {
            memcpy(h->host, host, sizeof(host));
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

static bool find_lock_file(int64_t pid, struct lock_holder *h)
{
    char path[64], folders[FOLDERS_MAX][PATH_BYTES];
    unsigned folders_n = 0;
    bool found = false;
    for (unsigned fd = 0; fd < FDS_MAX && !found && folders_n < FOLDERS_MAX; fd++) {
        char target[PATH_BYTES];
        snprintf(path, sizeof(path), "/proc/%lld/fd/%u", (long long)pid, fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n <= 0 || target[0] != '/') {
            continue;
        }
        target[n] = '\0';
        char *slash = strrchr(target, '/');
        *slash = '\0';
        bool seen = strncmp(target, "/dev", 4) == 0 || strncmp(target, "/proc", 5) == 0;
        for (unsigned i = 0; i < folders_n && !seen; i++) {
            seen = strcmp(folders[i], target) == 0;
        }
        if (!seen && target[0] != '\0') {
            memcpy(folders[folders_n++], target, sizeof(target));
            found = find_in_folder(target, pid, h);
        }
    }
    return found;
}

bool lock_holder_find(int64_t group, struct lock_holder *out_h)
{
    struct lock_holder h = {.pid = group};
    unsigned hops = 0;
    while (hops < HOPS_MAX) {
        struct lock_holder next = {0};
        if (h.host[0] != '\0' ||
            (!find_kernel_lock(h.pid, &next) && !find_lock_file(h.pid, &next)) ||
            in_group(next.pid, group)) {
            break;
        }
        h = next;
        hops++;
    }
    if (hops == 0) {
        return false;
    }
    if (h.host[0] == '\0') {
        describe(&h);
    }
    *out_h = h;
    return true;
}
