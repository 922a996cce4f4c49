/* clusterctl with a caller of ours: what the nodes answer is the target's, which has caller_call, caller_dial and caller_now_ms. These
 * functions stand in place of ctl/caller.c and ctl/time_limit.c; the rest is the program's own. */
#ifndef MQ_TESTS_ASKED_NODE_H
#define MQ_TESTS_ASKED_NODE_H

#include "tests/fuzz/message_source.h"

#include <sys/mman.h>

#include "ctl/ctl.h"
#include "ctl/time_limit.h"

#define ASKED_NODES      2u
#define WORDS_MAX        24
#define COMMAND_LINE_MAX 200

struct caller {
    struct source source;
    uint64_t now_ms;
    unsigned calls;
};

static struct caller asked;

/* A screen of thousands of rows grows piece by piece: what it leaves behind must not count as used. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16";
}

enum status caller_open(const struct ctl_config *config, const struct options *o, FILE *log,
                        struct caller **out_c, struct error *e)
{
    (void)config;
    (void)o;
    (void)log;
    (void)e;
    *out_c = &asked;
    return OK;
}

void caller_close(struct caller *c)
{
    (void)c;
}

void call_answer_clear(struct call_answer *a)
{
    free(a->payload);
    memset(a, 0, sizeof(*a));
}

const struct tls_identity *caller_identity(const struct caller *c)
{
    (void)c;
    return NULL;
}

unsigned caller_nodes_n(const struct caller *c)
{
    (void)c;
    return ASKED_NODES;
}

unsigned caller_present(const struct caller *c)
{
    (void)c;
    return 0;
}

void caller_turn_to(struct caller *c, unsigned node)
{
    (void)c;
    (void)node;
}

struct uuid caller_cluster(const struct caller *c)
{
    (void)c;
    return (struct uuid){{1}};
}

void time_limit_start(uint64_t ms, int exit_code, const char *text)
{
    (void)ms;
    (void)exit_code;
    (void)text;
}

static void asked_configure(void)
{
    static const char config[] =
        "[cluster]\nname = test\nnode = n1@127.0.0.1:1\nnode = n2@127.0.0.1:2\n";
    char path[40];
    int fd = memfd_create("clusterctl.conf", 0);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, config, sizeof(config) - 1), (ssize_t)sizeof(config) - 1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_EQ(setenv("MAILQUORUM_CONFIG", path, 1), 0);
}

struct printed { /* texts are the caller's to free */
    int code;
    char *out, *err;
    size_t out_size, err_size;
};

/* Words are parted by blanks. */
static void asked_run(char *line, struct printed *p)
{
    char *argv[WORDS_MAX + 1] = {NULL}, *rest = NULL;
    int argc = 0;
    memset(p, 0, sizeof(*p));
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        CHECK(argc < WORDS_MAX);
        argv[argc++] = word;
    }
    FILE *out = open_memstream(&p->out, &p->out_size);
    FILE *err = open_memstream(&p->err, &p->err_size);
    CHECK(out != NULL);
    CHECK(err != NULL);
    p->code = ctl_main(argc, argv, out, err);
    CHECK_EQ(fclose(out), 0);
    CHECK_EQ(fclose(err), 0);
}

/* JSON may hold what JSON need not escape: it is for programs. */
static void check_clean(const char *text, size_t size, bool json)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i], next = i + 1 < size ? (uint8_t)text[i + 1] : 0;
        bool line_end = c == '\n' || (c == '\r' && next == '\n'); /* CSV has both */
        bool high = c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);
        if ((c < 0x20 && !line_end) || (high && !json)) {
            fprintf(stderr, "byte %02x in what is printed:\n%.*s\n", c, (int)i, text);
            abort();
        }
    }
}

#endif
