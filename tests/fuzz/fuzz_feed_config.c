/* Any bytes as mailfeed's configuration file: what is accepted keeps what the rest of the feed relies on, a refusal is a sentence that
 * names the file. "@" stands for a file that is there and can be run, so that an input need not know this machine. */
#include "node/feed/feed_config.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"
#include "node/feed/hints.h"

#define PROGRAM         "/bin/sh"
#define SIZE_MAX_FUZZED 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const char *node)
{
    if (strncmp(node, "unix:/", 6) == 0) {
        must(strlen(node + 5) <= 107); /* sun_path */
        return;
    }
    const char *colon = strrchr(node, ':');
    must(colon != NULL && colon != node);
    uint64_t port = 0;
    must(setting_parse_integer(colon + 1, &port));
    must(port > 0 && port <= 65535);
}

static void check(const struct feed_config *c)
{
    must(c->store[0] != '\0' && c->site[0] != '\0' && c->host[0] != '\0');
    must(c->nodes.n > 0 && c->nodes.n <= SETTING_LIST_MAX);
    bool tls = false;
    for (unsigned i = 0; i < c->nodes.n; i++) {
        check_node(c->nodes.items[i]);
        tls = tls || strncmp(c->nodes.items[i], "unix:/", 6) != 0;
    }
    must(tls == c->needs_tls);
    must(!tls || (c->ca[0] != '\0' && c->certificate[0] != '\0' && c->key[0] != '\0'));
    must(c->dovecot || c->postfix);
    must(!c->dovecot || (c->users_file[0] != '\0') != c->iterate);
    must(c->lease_ttl_ms >= 2000 && c->lease_ttl_ms <= UINT32_MAX);
    must(c->users_max >= 1 && c->imap_children_max >= 1 && c->sweep_cpu >= 1);
    must(c->cluster_id[0] == '\0' || strlen(c->cluster_id) == UUID_TEXT_SIZE - 1);
    if (c->dovecot && c->hints[0] != '\0') {
        struct sockaddr_storage a;
        struct error e = {0};
        must(hints_check_address(c->hints, &a, &e) == OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    static struct feed_config c;
    struct error e = {0};
    if (size > SIZE_MAX_FUZZED) {
        return 0;
    }
    int fd = memfd_create("mailfeed.conf", MFD_CLOEXEC);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    must(out != NULL);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '@') {
            fputs(PROGRAM, out);
        } else {
            fputc(data[i], out);
        }
    }
    must(fflush(out) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    enum status s = feed_config_load(path, &c, &e);
    must((s == OK) == (e.text[0] == '\0'));
    if (s == OK) {
        check(&c);
    } else {
        must(strncmp(e.text, path, strlen(path)) == 0);
    }
    must(fclose(out) == 0);
    return 0;
}
