/* clusterctl completion bash|zsh, and the hidden clusterctl complete, which asks a node for names: for 300 ms at most; without
 * an answer the names of the configuration are offered. */
#include <string.h>

#include "ctl/complete.h"
#include "ctl/ctl.h"
#include "ctl/time_limit.h"

#define LIVE_MS_MAX 300
#define HARD_MS_MAX 1000 /* with a resolver that blocks: then nothing is offered */

enum exit_code run_completion(struct ctl *c)
{
    struct error e = {0};
    if (complete_script(c->arguments.args[0], c->out, &e) != OK) {
        return ctl_usage(c, "%s", e.text);
    }
    return EXIT_HEALTHY;
}

static void configured_names(const struct ctl *c,
                             void (*each)(void *arg, const char *name, const char *says), void *arg)
{
    for (unsigned i = 0; i < c->config.nodes.n; i++) {
        char name[SETTING_ITEM_MAX];
        snprintf(name, sizeof(name), "%s", c->config.nodes.items[i]);
        char *at = strchr(name, '@');
        if (at != NULL) {
            *at = '\0';
            each(arg, name, at + 1);
        }
    }
}

static const Mq__Founding *live(struct ctl *c)
{
    const Mq__Founding *f = NULL;
    enum exit_code code;
    time_limit_start(HARD_MS_MAX, EXIT_TIMED_OUT, "");
    c->deadline_at_ms = caller_now_ms() + LIVE_MS_MAX;
    if (c->caller == NULL && ctl_connect(c) != EXIT_HEALTHY) {
        return NULL;
    }
    return ctl_founding(c, &f, &code) == OK ? f : NULL;
}

static bool first_of_site(const Mq__Founding *f, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(f->nodes[j]->site, f->nodes[i]->site) == 0) {
            return false;
        }
    }
    return true;
}

static void list(void *arg, enum complete_kind kind,
                 void (*each)(void *each_arg, const char *name, const char *says), void *each_arg)
{
    struct ctl *c = arg;
    const Mq__Founding *f = live(c);
    if (f == NULL) {
        if (kind == COMPLETE_NODES) {
            configured_names(c, each, each_arg);
        }
        return;
    }
    for (size_t i = 0; kind == COMPLETE_SHARDS && i < f->n_shards; i++) {
        each(each_arg, f->shards[i]->name, "shard");
    }
    for (size_t i = 0; kind != COMPLETE_SHARDS && i < f->n_nodes; i++) {
        if (kind == COMPLETE_NODES) {
            each(each_arg, f->nodes[i]->name, f->nodes[i]->site);
        } else if (first_of_site(f, i)) {
            each(each_arg, f->nodes[i]->site, "site");
        }
    }
}

/* The configuration that the line being typed names. */
static void take_config(struct ctl *c)
{
    for (unsigned i = 0; i + 1 < c->arguments.args_n; i++) {
        if (strcmp(c->arguments.args[i], "--config") == 0) {
            c->arguments.options.config = c->arguments.args[i + 1];
        } else if (strncmp(c->arguments.args[i], "--config=", 9) == 0) {
            c->arguments.options.config = c->arguments.args[i] + 9;
        }
    }
}

enum exit_code run_complete(struct ctl *c)
{
    FILE *err = c->err;
    FILE *null = fopen("/dev/null", "w");
    struct complete_names names = {.arg = c, .list = list};
    if (null != NULL) {
        c->err = null; /* nothing but candidates may come out */
    }
    c->arguments.options.output = OUTPUT_TABLE;
    take_config(c);
    complete(c->arguments.args, c->arguments.args_n, &names, c->out);
    c->err = err;
    if (null != NULL) {
        fclose(null);
    }
    return EXIT_HEALTHY;
}
