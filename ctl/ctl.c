/* The program: parse, configure, run, say. What several commands share is below. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/suggestion.h"
#include "ctl/cert.h"
#include "ctl/help.h"
#include "ctl/nagios.h"
#include "ctl/time_limit.h"

#define GRACE_MS 2000u /* over --timeout, until the process ends by force */

/* ---- saying what went wrong ---- */

enum exit_code ctl_fail(struct ctl *c, const struct error *e)
{
    return ctl_fail_as(c, e, exit_code_of(e->status));
}

enum exit_code ctl_fail_as(struct ctl *c, const struct error *e, enum exit_code code)
{
    const struct options *o = &c->arguments.options;
    if (o->nagios) {
        nagios_print(code, e->text, c->out);
        return code;
    }
    if (options_json(o)) {
        struct screen s;
        screen_init(&s, "error");
        s.severity = code == EXIT_REFUSED || code == EXIT_USAGE ? SEVERITY_YELLOW : SEVERITY_RED;
        s.as_of_ms = clock_wall_ms(&clock_system);
        snprintf(s.cluster_name, sizeof(s.cluster_name), "%s", c->config.cluster_name);
        snprintf(s.summary, sizeof(s.summary), "%s", e->text);
        screen_message(&s, status_name(e->status), s.severity, "", e->text, "");
        screen_print(&s, o, c->out);
        screen_deinit(&s);
        return code;
    }
    struct error said = *e; /* it may be a node that said so */
    text_clean(said.text);
    if (code == EXIT_REFUSED || code == EXIT_PLAN_STALE) {
        const struct command *command = c->arguments.command;
        bool writes = command != NULL && (command->marks & COMMAND_NEEDS_LEADER) != 0;
        fprintf(c->err, "REFUSED %s: %s%s\n", status_name(e->status), said.text,
                writes ? ". Nothing changed" : "");
    } else {
        fprintf(c->err, "clusterctl: %s\n", said.text);
    }
    return code;
}

enum exit_code ctl_usage(struct ctl *c, const char *format, ...)
{
    struct error e = {.status = STATUS_INVALID};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof(e.text), format, args);
    va_end(args);
    return ctl_fail_as(c, &e, EXIT_USAGE);
}

enum exit_code ctl_refuse(struct ctl *c, enum status s, const char *format, ...)
{
    struct error e = {.status = s};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof(e.text), format, args);
    va_end(args);
    return ctl_fail(c, &e);
}

enum exit_code ctl_finish(struct ctl *c, struct screen *s, enum exit_code code)
{
    if (c->arguments.options.nagios) {
        nagios_print(code, s->summary, c->out);
    } else {
        screen_print(s, &c->arguments.options, c->out);
    }
    screen_deinit(s);
    return code;
}

/* ---- calls ---- */

/* What the cluster's refusal means for the exit code. */
static enum exit_code answer_fail(struct ctl *c, const struct call_answer *a)
{
    struct error e = {.status = a->status};
    bool hint = a->status == STATUS_CONFLICT && c->hint != NULL;
    if (a->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN) {
        e.status = STATUS_UNKNOWN_OUTCOME;
        snprintf(e.text, sizeof(e.text), "outcome unknown: it may yet be carried out (%s%s%.300s)",
                 status_text(a->status), a->text[0] != '\0' ? ": " : "", a->text);
    } else {
        snprintf(e.text, sizeof(e.text), "%s%s%.250s%s%s", c->doing,
                 c->doing[0] != '\0' ? ": " : "",
                 a->text[0] != '\0' ? a->text : status_text(a->status), hint ? "; " : "",
                 hint ? c->hint : "");
    }
    if (e.status == OK) {
        e.status = STATUS_INTERNAL;
    }
    return ctl_fail(c, &e);
}

enum status ctl_call(struct ctl *c, Mq__RequestHeader *header, struct bytes payload, unsigned flags,
                     struct call_answer *out_answer, enum exit_code *out_code)
{
    struct error e = {0};
    enum status s =
        caller_call(c->caller, header, payload, flags, c->deadline_at_ms, out_answer, &e);
    if (s != OK) {
        *out_code = ctl_fail(c, &e);
        return s;
    }
    if (out_answer->outcome != MQ__OUTCOME__OUTCOME_APPLIED) {
        *out_code = answer_fail(c, out_answer);
        return out_answer->status != OK ? out_answer->status : STATUS_INTERNAL;
    }
    return OK;
}

static enum status malformed(struct ctl *c, enum exit_code *out_code)
{
    *out_code = ctl_refuse(c, STATUS_INTERNAL, "the node's answer cannot be read");
    return STATUS_INTERNAL;
}

/* protobuf-c offers pack functions of this shape for every message. */
static enum status packed(const ProtobufCMessage *m, uint8_t **out_data, struct bytes *out_bytes)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL) {
        return STATUS_NO_MEMORY;
    }
    protobuf_c_message_pack(m, data);
    *out_data = data;
    *out_bytes = (struct bytes){data, size};
    return OK;
}

static enum status call_with(struct ctl *c, Mq__RequestHeader *header, const ProtobufCMessage *m,
                             unsigned flags, struct call_answer *out_answer,
                             enum exit_code *out_code)
{
    uint8_t *data;
    struct bytes payload;
    enum status s = packed(m, &data, &payload);
    if (s != OK) {
        *out_code = ctl_refuse(c, s, "out of memory");
        return s;
    }
    s = ctl_call(c, header, payload, flags, out_answer, out_code);
    free(data);
    return s;
}

enum status ctl_query(struct ctl *c, const char *user, uint32_t shard, Mq__Query *query,
                      struct call_answer *out_answer, Mq__QueryResult **out_result,
                      enum exit_code *out_code)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    bool local = c->arguments.options.local;
    header.op = MQ__OP__OP_QUERY;
    header.user = (char *)user;
    header.shard = shard;
    header.consistency = local ? MQ__CONSISTENCY__LOCAL : MQ__CONSISTENCY__LINEARIZABLE;
    enum status s = call_with(c, &header, &query->base, CALL_REPEAT | (local ? CALL_THIS_NODE : 0u),
                              out_answer, out_code);
    if (s != OK) {
        return s;
    }
    *out_result = mq__query_result__unpack(NULL, out_answer->payload_size, out_answer->payload);
    return *out_result != NULL ? OK : malformed(c, out_code);
}

enum status ctl_admin(struct ctl *c, uint32_t shard, Mq__Admin *admin, unsigned flags,
                      struct call_answer *out_answer, Mq__AdminResult **out_result,
                      enum exit_code *out_code)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    header.op = MQ__OP__OP_ADMIN;
    header.shard = shard;
    enum status s = call_with(c, &header, &admin->base, flags, out_answer, out_code);
    if (s != OK) {
        return s;
    }
    *out_result = mq__admin_result__unpack(NULL, out_answer->payload_size, out_answer->payload);
    return *out_result != NULL ? OK : malformed(c, out_code);
}

enum status ctl_submit(struct ctl *c, Mq__RequestHeader *header, Mq__Command *command,
                       unsigned flags, struct call_answer *out_answer, Mq__Result **out_result,
                       enum exit_code *out_code)
{
    header->op = MQ__OP__OP_SUBMIT;
    enum status s = call_with(c, header, &command->base, flags, out_answer, out_code);
    if (s != OK) {
        return s;
    }
    *out_result = mq__result__unpack(NULL, out_answer->payload_size, out_answer->payload);
    return *out_result != NULL ? OK : malformed(c, out_code);
}

/* ---- names ---- */

enum status ctl_founding(struct ctl *c, const Mq__Founding **out_f, enum exit_code *out_code)
{
    if (c->founding_result == NULL) {
        Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
        Mq__Query query = MQ__QUERY__INIT;
        Mq__QueryFounding founding = MQ__QUERY_FOUNDING__INIT;
        struct call_answer a = {0};
        query.body_case = MQ__QUERY__BODY_FOUNDING;
        query.founding = &founding;
        header.op = MQ__OP__OP_QUERY;
        header.consistency = MQ__CONSISTENCY__LOCAL; /* it never changes */
        enum status s = call_with(c, &header, &query.base, CALL_REPEAT, &a, out_code);
        Mq__QueryResult *result =
            s == OK ? mq__query_result__unpack(NULL, a.payload_size, a.payload) : NULL;
        call_answer_clear(&a);
        if (s != OK) {
            return s;
        }
        if (result == NULL || result->founding == NULL) {
            mq__query_result__free_unpacked(result, NULL);
            return malformed(c, out_code);
        }
        c->founding_result = result;
    }
    *out_f = c->founding_result->founding;
    return OK;
}

static bool is_number(const char *text, uint64_t *out_number)
{
    return setting_parse_integer(text, out_number);
}

enum status ctl_shard(struct ctl *c, const char *text, const Mq__FoundingShard **out_shard,
                      enum exit_code *out_code)
{
    const Mq__Founding *f;
    struct suggestion near;
    uint64_t number = UINT64_MAX;
    enum status s = ctl_founding(c, &f, out_code);
    if (s != OK) {
        return s;
    }
    bool numeric = is_number(text, &number);
    suggestion_init(&near, text);
    for (size_t i = 0; i < f->n_shards; i++) {
        if (numeric ? f->shards[i]->shard == number : strcmp(f->shards[i]->name, text) == 0) {
            *out_shard = f->shards[i];
            return OK;
        }
        suggestion_offer(&near, f->shards[i]->name);
    }
    *out_code = ctl_refuse(c, STATUS_NOT_FOUND, "there is no shard %s%s%s%s", text,
                           near.best != NULL ? ", did you mean " : "",
                           near.best != NULL ? near.best : "", near.best != NULL ? "?" : "");
    return STATUS_NOT_FOUND;
}

const Mq__FoundingNode *ctl_node_by_id(const Mq__Founding *f, uint32_t node)
{
    for (size_t i = 0; i < f->n_nodes; i++) {
        if (f->nodes[i]->node == node) {
            return f->nodes[i];
        }
    }
    return NULL;
}

enum status ctl_node(struct ctl *c, const char *text, const Mq__FoundingNode **out_node,
                     enum exit_code *out_code)
{
    const Mq__Founding *f;
    struct suggestion near;
    uint64_t number = UINT64_MAX;
    enum status s = ctl_founding(c, &f, out_code);
    if (s != OK) {
        return s;
    }
    bool numeric = is_number(text, &number);
    suggestion_init(&near, text);
    for (size_t i = 0; i < f->n_nodes; i++) {
        if (strcmp(f->nodes[i]->name, text) == 0 || (numeric && f->nodes[i]->node == number)) {
            *out_node = f->nodes[i];
            return OK;
        }
        suggestion_offer(&near, f->nodes[i]->name);
    }
    *out_code = ctl_refuse(c, STATUS_NOT_FOUND, "there is no node %s%s%s%s", text,
                           near.best != NULL ? ", did you mean " : "",
                           near.best != NULL ? near.best : "", near.best != NULL ? "?" : "");
    return STATUS_NOT_FOUND;
}

void ctl_source(struct ctl *c, struct screen *s, const struct call_answer *a)
{
    struct uuid cluster = caller_cluster(c->caller);
    uuid_format(&cluster, s->cluster_id);
    snprintf(s->cluster_name, sizeof(s->cluster_name), "%s",
             c->founding_result != NULL ? c->founding_result->founding->cluster_name
                                        : c->config.cluster_name);
    snprintf(s->node, sizeof(s->node), "%s", a->node);
    s->quorum = !c->arguments.options.local;
    s->age_ms = a->age_ms;
    s->as_of_ms = clock_wall_ms(&clock_system);
    if (!s->quorum && !options_json(&c->arguments.options)) {
        char age[SPAN_TEXT_SIZE];
        bool known = a->age_ms < UINT64_MAX / 2;
        screen_line(s, "LOCAL VIEW of %s, %s%s", a->node,
                    known ? span_format(a->age_ms, age) : "of unknown age", known ? " old" : "");
    }
}

/* ---- the program ---- */

static enum status configure(struct ctl *c, struct error *e)
{
    const struct options *o = &c->arguments.options;
    const char *file = o->config != NULL ? o->config : getenv("MAILQUORUM_CONFIG");
    bool given = file != NULL;
    enum status s = ctl_config_load(given ? file : CTL_CONFIG_FILE, &c->config, e);
    bool all_sockets = o->nodes.n > 0;
    for (unsigned i = 0; i < o->nodes.n; i++) {
        all_sockets = all_sockets && strncmp(o->nodes.items[i], "unix:", 5) == 0;
    }
    if (s == STATUS_NOT_FOUND && !given && all_sockets) {
        return OK; /* a unix socket needs no configuration */
    }
    if (s == STATUS_NOT_FOUND) {
        return error_set(e, s,
                         "there is no configuration %.300s. What to do: --config FILE, or "
                         "MAILQUORUM_CONFIG; on a node's own machine --node unix:SOCKET",
                         given ? file : CTL_CONFIG_FILE);
    }
    return s;
}

static uint64_t timeout_of(const struct arguments *a)
{
    uint64_t usual = a->command->timeout_ms != 0 ? a->command->timeout_ms : CTL_TIMEOUT_MS;
    return a->options.timeout_ms != 0 ? a->options.timeout_ms : usual;
}

/* Once it has ended, nothing here works any more, and nobody else sees it end. */
static void warn_of_certificate(struct ctl *c)
{
    char text[CERT_WARNING_SIZE];
    const struct tls_identity *own = caller_identity(c->caller);
    if (own != NULL && cert_warning(own, clock_wall_ms(&clock_system), text)) {
        fprintf(c->err, "clusterctl: warning: %s\n", text);
    }
}

enum exit_code ctl_connect(struct ctl *c)
{
    struct error e = {0};
    FILE *log = c->arguments.options.verbose ? c->err : NULL;
    if (configure(c, &e) != OK ||
        caller_open(&c->config, &c->arguments.options, log, &c->caller, &e) != OK) {
        return ctl_fail_as(c, &e, EXIT_CONFIG);
    }
    warn_of_certificate(c);
    return EXIT_HEALTHY;
}

static void limit_start(const struct ctl *c)
{
    uint64_t now = caller_now_ms();
    uint64_t left = c->deadline_at_ms > now ? c->deadline_at_ms - now : 0;
    time_limit_start(left + GRACE_MS,
                     c->arguments.options.nagios ? (int)NAGIOS_CRITICAL : (int)EXIT_TIMED_OUT,
                     "clusterctl: no answer in time, perhaps from the resolver; what was asked "
                     "for may yet be carried out\n");
}

void ctl_more_time(struct ctl *c, uint64_t ms)
{
    c->deadline_at_ms += ms;
    limit_start(c);
}

void ctl_endless(struct ctl *c)
{
    c->deadline_at_ms = UINT64_MAX;
    time_limit_start(0, EXIT_HEALTHY, "");
}

static enum exit_code run(struct ctl *c)
{
    const struct command *command = c->arguments.command;
    enum exit_code code = EXIT_HEALTHY;
    c->deadline_at_ms = caller_now_ms() + timeout_of(&c->arguments);
    if ((command->marks & COMMAND_OFFLINE) == 0) {
        limit_start(c);
    }
    if ((command->marks & COMMAND_OFFLINE) == 0) {
        code = ctl_connect(c);
    }
    if (code == EXIT_HEALTHY) {
        code = command->run(c);
    }
    mq__query_result__free_unpacked(c->founding_result, NULL);
    caller_close(c->caller);
    return code;
}

int ctl_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct ctl *c = calloc(1, sizeof(*c));
    struct error e = {0};
    if (c == NULL) {
        return EXIT_BUG;
    }
    c->out = out;
    c->err = err;
    int code;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        fprintf(out, "clusterctl %s\n", CTL_VERSION);
        code = EXIT_HEALTHY;
    } else if (arguments_parse(argc, argv, &c->arguments, &e) != OK) {
        arguments_wish(argc, argv, &c->arguments.options);
        code = (int)ctl_usage(c, "%s", e.text);
    } else if (c->arguments.options.help) {
        help_print(c->arguments.command, c->arguments.noun, out);
        code = EXIT_HEALTHY;
    } else {
        code = (int)run(c);
    }
    if (fflush(out) != 0 || ferror(out) != 0) {
        fprintf(err, "clusterctl: the answer could not be written: %s\n", strerror(errno));
        code = code == EXIT_HEALTHY ? EXIT_BUG : code;
    }
    bool nagios = c->arguments.options.nagios && !c->arguments.options.help;
    free(c);
    return nagios ? (int)nagios_state((enum exit_code)code) : code;
}
