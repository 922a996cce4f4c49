/* A caller a node, asked in turn. */
#include "ctl/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static enum status add(struct ctl *c, struct fleet *f, const char *name, struct error *e)
{
    struct options only = c->arguments.options;
    struct fleet_node *n = &f->nodes[f->n];
    FILE *log = only.verbose ? c->err : NULL;
    snprintf(n->name, sizeof(n->name), "%s", name);
    if (name[0] != '\0') {
        only.nodes.n = 1;
        only.nodes.items[0] = name;
    }
    enum status s = caller_open(&c->config, &only, log, &n->caller, e);
    f->n += s == OK;
    return s;
}

static enum status add_all(struct ctl *c, struct fleet *f, struct error *e)
{
    const struct options *o = &c->arguments.options;
    enum status s = OK;
    for (unsigned i = 0; s == OK && i < o->nodes.n; i++) {
        s = add(c, f, o->nodes.items[i], e);
    }
    if (o->nodes.n > 0) {
        return s;
    }
    if (c->config.nodes.n == 0 || o->local) {
        return add(c, f, "", e); /* the socket */
    }
    for (unsigned i = 0; s == OK && i < c->config.nodes.n; i++) {
        char name[SETTING_ITEM_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(c->config.nodes.items[i], "@"),
                 c->config.nodes.items[i]);
        s = add(c, f, name, e);
    }
    return s;
}

enum status fleet_open(struct ctl *c, struct fleet **out_f, enum exit_code *out_code)
{
    struct error e = {0};
    struct fleet *f = calloc(1, sizeof(*f));
    enum status s =
        f != NULL ? add_all(c, f, &e) : error_set(&e, STATUS_NO_MEMORY, "out of memory");
    if (s != OK) {
        fleet_close(f);
        *out_code = ctl_fail_as(c, &e, EXIT_CONFIG);
        return s;
    }
    *out_f = f;
    return OK;
}

void fleet_close(struct fleet *f)
{
    for (unsigned i = 0; f != NULL && i < f->n; i++) {
        caller_close(f->nodes[i].caller);
        call_answer_clear(&f->nodes[i].answer);
    }
    free(f);
}

static uint64_t deadline_of(const struct ctl *c)
{
    uint64_t now = caller_now_ms();
    uint64_t most = now + FLEET_MS_MAX;
    return most < c->deadline_at_ms ? most : c->deadline_at_ms;
}

enum status fleet_ask(struct ctl *c, struct fleet_node *n, Mq__Admin *admin,
                      Mq__AdminResult **out_result)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    uint8_t packed[2048];
    if (n->retry_at_ms > caller_now_ms()) {
        return STATUS_BUSY;
    }
    if (mq__admin__get_packed_size(admin) > sizeof(packed)) {
        return error_set(&n->why, STATUS_TOO_BIG, "the question is too long");
    }
    struct bytes payload = {packed, mq__admin__pack(admin, packed)};
    header.op = MQ__OP__OP_ADMIN;
    n->why = (struct error){0};
    enum status s = caller_call(n->caller, &header, payload, CALL_THIS_NODE, deadline_of(c),
                                &n->answer, &n->why);
    if (s == OK && n->answer.outcome != MQ__OUTCOME__OUTCOME_APPLIED) {
        s = n->answer.status != OK ? n->answer.status : STATUS_INTERNAL;
        (void)error_set(&n->why, s, "%s",
                        n->answer.text[0] != '\0' ? n->answer.text : status_text(s));
        return s;
    }
    if (s != OK) {
        n->retry_at_ms = caller_now_ms() + FLEET_RETRY_MS;
        return s;
    }
    *out_result = mq__admin_result__unpack(NULL, n->answer.payload_size, n->answer.payload);
    if (*out_result == NULL) {
        return error_set(&n->why, STATUS_MALFORMED, "its answer cannot be read");
    }
    return OK;
}

void fleet_source(const struct ctl *c, const struct fleet *f, struct screen *s)
{
    snprintf(s->cluster_name, sizeof(s->cluster_name), "%s", c->config.cluster_name);
    s->as_of_ms = clock_wall_ms(&clock_system);
    for (unsigned i = 0; i < f->n; i++) {
        struct uuid cluster = caller_cluster(f->nodes[i].caller);
        if (!uuid_zero(&cluster)) {
            uuid_format(&cluster, s->cluster_id);
        }
    }
}

enum exit_code fleet_judge(const struct fleet *f, struct screen *s)
{
    unsigned silent = 0;
    for (unsigned i = 0; i < f->n; i++) {
        char text[700];
        if (f->nodes[i].why.text[0] == '\0') {
            continue;
        }
        snprintf(text, sizeof(text), "%s does not answer, so what it knows is not here: %.400s",
                 f->nodes[i].name, f->nodes[i].why.text);
        screen_message(s, "NODE_SILENT", SEVERITY_YELLOW, f->nodes[i].name, text,
                       "clusterctl status");
        s->severity = s->severity > SEVERITY_YELLOW ? s->severity : SEVERITY_YELLOW;
        silent++;
    }
    if (silent == f->n) {
        return EXIT_UNREACHABLE;
    }
    return s->severity >= SEVERITY_YELLOW ? EXIT_DEGRADED : EXIT_HEALTHY;
}
