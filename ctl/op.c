/* clusterctl op list, op watch: what the nodes are at that takes long. An operation is named NODE-NUMBER. Watching begins and ends nothing:
 * with Ctrl-C, or when the time is up, the operation goes on. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/fleet.h"
#include "ctl/op_watch.h"
#include "ctl/operation.h"

#define WATCH_MS 500

typedef void (*row_user)(void *arg, unsigned place, const char *node, const Mq__OperationRow *row);

static void each_operation(struct ctl *c, struct fleet *f, row_user use, void *arg)
{
    for (unsigned i = 0; i < f->n; i++) {
        Mq__Admin admin = MQ__ADMIN__INIT;
        Mq__AdminOperations body = MQ__ADMIN_OPERATIONS__INIT;
        Mq__AdminResult *result;
        admin.body_case = MQ__ADMIN__BODY_OPERATIONS;
        admin.operations = &body;
        if (fleet_ask(c, &f->nodes[i], &admin, &result) != OK) {
            continue;
        }
        const Mq__OperationsView *v = result->operations;
        for (size_t k = 0; v != NULL && k < v->n_rows; k++) {
            use(arg, i, v->node, v->rows[k]);
        }
        mq__admin_result__free_unpacked(result, NULL);
    }
}

static const char *state_of(const Mq__OperationRow *row, char text[64])
{
    char span[SPAN_TEXT_SIZE];
    if (!row->running) {
        snprintf(text, 64, "%s %s ago", row->outcome == OK ? "done" : "FAILED",
                 span_format(row->ended_ms, span));
    } else {
        snprintf(text, 64, "%s", operation_stalled(row) ? "STALLED" : "running");
    }
    return text;
}

static json_t *row_json(const char *node, const Mq__OperationRow *row)
{
    char id[OP_ID_SIZE];
    uint64_t eta_ms = 0;
    bool eta = operation_eta(row, &eta_ms);
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "id",
        json_text(op_id_format(node, row, id)), "node", json_text(node), "kind",
        json_text(row->kind), "object", json_text(row->object), "step", json_text(row->step),
        "waits_for", row->waits[0] != '\0' ? json_text(row->waits) : json_null(), "done",
        json_u64(row->done), "total", json_u64_or_null(row->total > 0, row->total), "unit",
        json_text(row->unit), "elapsed_seconds", json_seconds(true, row->elapsed_ms),
        "rate_per_second", json_real(operation_rate(row)), "eta_seconds", json_seconds(eta, eta_ms),
        "running", row->running, "stalled", operation_stalled(row), "outcome",
        row->running ? json_null() : json_text(status_name((enum status)row->outcome)));
}

/* ---- list ---- */

struct listing {
    struct screen s;
    json_t *rows;
    unsigned n;
};

static void list_row(void *arg, unsigned place, const char *node, const Mq__OperationRow *row)
{
    struct listing *l = arg;
    char text[OPERATION_TEXT_SIZE], state[64], span[SPAN_TEXT_SIZE], id[OP_ID_SIZE];
    (void)place;
    l->n++;
    screen_line(&l->s, "%s  %s of %s: %s, %s", op_id_format(node, row, id), row->kind, row->object,
                state_of(row, state), span_format(row->elapsed_ms, span));
    screen_line(&l->s, "    %s", operation_format(row, text, sizeof(text)));
    json_array_append_new(l->rows, row_json(node, row));
    if (operation_stalled(row)) {
        char message[400];
        snprintf(message, sizeof(message), "%s of %.63s on %.63s has not moved for %s: %.150s",
                 row->kind, row->object, node, span_format(row->still_ms, span),
                 row->waits[0] != '\0' ? row->waits : row->step);
        screen_message(&l->s, "OP_STALLED", SEVERITY_YELLOW, id, message, "");
        l->s.severity = SEVERITY_YELLOW;
    }
}

enum exit_code run_op_list(struct ctl *c)
{
    struct listing l = {0};
    struct fleet *f;
    enum exit_code code;
    if (fleet_open(c, &f, &code) != OK) {
        return code;
    }
    screen_init(&l.s, "operations");
    l.rows = json_array();
    l.s.answer = true;
    each_operation(c, f, list_row, &l);
    fleet_source(c, f, &l.s);
    code = fleet_judge(f, &l.s);
    if (l.n == 0 && code != EXIT_UNREACHABLE) {
        snprintf(l.s.summary, sizeof(l.s.summary), "no operation runs on the nodes that answer");
    }
    json_object_set_new(l.s.data, "operations", l.rows);
    fleet_close(f);
    return ctl_finish(c, &l.s, code);
}

/* ---- watch ---- */

static volatile sig_atomic_t detached;

static void on_interrupt(int number)
{
    (void)number;
    detached = 1;
}

struct watching {
    struct ctl *c;
    struct fleet *f;
    struct op_watch w;
    uint64_t now_ms; /* of this look */
    char line[OPERATION_TEXT_SIZE + 200], last[OPERATION_TEXT_SIZE + 200];
};

static void watch_row(void *arg, unsigned place, const char *node, const Mq__OperationRow *row)
{
    struct watching *w = arg;
    char text[OPERATION_TEXT_SIZE], state[64];
    struct op_seen *seen = op_watch_row(&w->w, place, node, row, w->now_ms);
    if (seen == NULL || seen->state == OP_FORGOTTEN || (!row->running && !seen->changed)) {
        return;
    }
    json_decref(seen->row);
    seen->row = row_json(node, row);
    snprintf(w->line, sizeof(w->line), "%s %s %s %s: %s", seen->id, row->kind, row->object,
             row->running ? "" : state_of(row, state), operation_format(row, text, sizeof(text)));
    text_clean(w->line);
    if (strcmp(w->line, w->last) != 0 && !w->c->arguments.options.quiet) {
        bool screen = isatty(fileno(w->c->err)) == 1;
        fprintf(w->c->err, screen ? "\r%.99s\033[K" : "%s\n", w->line);
        (void)fflush(w->c->err);
        snprintf(w->last, sizeof(w->last), "%s", w->line);
    }
}

static void watch_look(struct watching *w)
{
    bool answers[FLEET_MAX];
    w->now_ms = caller_now_ms();
    op_watch_begin(&w->w);
    each_operation(w->c, w->f, watch_row, w);
    for (unsigned i = 0; i < w->f->n; i++) {
        answers[i] = w->f->nodes[i].why.text[0] == '\0';
    }
    op_watch_end(&w->w, answers, w->now_ms);
}

/* May a node that does not answer be the one that has it? By its name, where that is known. */
static const struct fleet_node *silent_holder(const struct fleet *f, const char *id)
{
    const char *end = strrchr(id, '-');
    size_t size = end != NULL ? (size_t)(end - id) : strlen(id);
    for (unsigned i = 0; i < f->n; i++) {
        const struct fleet_node *n = &f->nodes[i];
        bool named = n->name[0] != '\0' && strchr(n->name, ':') == NULL;
        if (n->why.text[0] != '\0' &&
            (!named || (strlen(n->name) == size && strncmp(n->name, id, size) == 0))) {
            return n;
        }
    }
    return NULL;
}

static enum exit_code not_found(struct watching *w)
{
    const struct fleet_node *holder = silent_holder(w->f, w->w.id);
    if (holder != NULL) {
        return ctl_refuse(w->c, STATUS_UNREACHABLE,
                          "whether there is an operation %s is not known: %.300s", w->w.id,
                          holder->why.text);
    }
    return ctl_refuse(w->c, STATUS_NOT_FOUND,
                      "no node that answers has an operation %s; clusterctl op list shows them",
                      w->w.id);
}

/* One message for each that did not end well, as far as is known. */
static void seen_message(const struct op_seen *seen, struct screen *s)
{
    char text[400];
    enum severity severity = seen->state == OP_FAILED ? SEVERITY_RED : SEVERITY_YELLOW;
    const char *kind = json_string_value(json_object_get(seen->row, "kind"));
    const char *object = json_string_value(json_object_get(seen->row, "object"));
    if (seen->state == OP_FAILED) {
        snprintf(text, sizeof(text), "%.60s of %.80s FAILED: %s", kind != NULL ? kind : "?",
                 object != NULL ? object : "?", status_text(seen->outcome));
    } else {
        snprintf(text, sizeof(text), "how %.60s of %.80s ended is not known: its node %s",
                 kind != NULL ? kind : "?", object != NULL ? object : "?",
                 seen->state == OP_SILENT ? "does not answer"
                                          : "does not know it any more, and may have started anew");
        json_object_set_new(seen->row, "running", json_null());
        json_object_set_new(seen->row, "stalled", json_null());
    }
    screen_message(s, seen->state == OP_FAILED ? "OP_FAILED" : "OP_LOST", severity, seen->id, text,
                   "clusterctl op list");
    s->severity = severity_higher(s->severity, severity);
}

static void watch_summary(const struct watching *w, bool all_silent, struct screen *s)
{
    const struct op_watch *o = &w->w;
    unsigned count[OP_STATES] = {0};
    for (unsigned i = 0; i < o->n; i++) {
        count[o->seen[i].state]++;
    }
    if (op_watch_running(o)) {
        snprintf(s->summary, sizeof(s->summary),
                 "%.150s goes on; to see it again: clusterctl op watch%s%s",
                 o->id != NULL ? o->id : "what runs", o->id != NULL ? " " : "",
                 o->id != NULL ? o->id : "");
    } else if (o->n == 0) {
        snprintf(s->summary, sizeof(s->summary), "%s",
                 all_silent ? "no node answers" : "no operation runs on the nodes that answer");
    } else if (o->id != NULL && count[OP_FORGOTTEN] + count[OP_SILENT] == 0) {
        snprintf(s->summary, sizeof(s->summary), "%.400s", w->line);
    } else {
        snprintf(s->summary, sizeof(s->summary), "%u done, %u failed, %u ended as nobody knows",
                 count[OP_DONE], count[OP_FAILED], count[OP_FORGOTTEN] + count[OP_SILENT]);
    }
}

static enum exit_code watch_end(struct watching *w)
{
    struct screen s;
    struct op_watch *o = &w->w;
    enum exit_code code = op_watch_running(o) ? EXIT_TIMED_OUT : op_watch_code(o);
    json_t *rows = json_array();
    if (isatty(fileno(w->c->err)) == 1 && w->last[0] != '\0') {
        fputc('\n', w->c->err);
    }
    screen_init(&s, "operation");
    fleet_source(w->c, w->f, &s);
    for (unsigned i = 0; i < o->n; i++) {
        if (o->seen[i].state != OP_RUNNING && o->seen[i].state != OP_DONE) {
            seen_message(&o->seen[i], &s);
        }
        json_array_append(rows, o->seen[i].row);
    }
    json_t *last = json_array_get(rows, json_array_size(rows) - 1);
    json_object_set_new(s.data, "operation", last != NULL ? json_incref(last) : json_null());
    json_object_set_new(s.data, "operations", rows);
    /* Of one that has told its end the others need not answer. */
    bool told = o->id != NULL && code == EXIT_HEALTHY;
    enum exit_code fleet = told ? EXIT_HEALTHY : fleet_judge(w->f, &s);
    watch_summary(w, fleet == EXIT_UNREACHABLE, &s);
    return ctl_finish(w->c, &s, code != EXIT_HEALTHY ? code : fleet);
}

static enum exit_code watch(struct watching *w)
{
    uint64_t limit_ms = w->c->arguments.options.timeout_ms;
    uint64_t until = limit_ms != 0 ? caller_now_ms() + limit_ms : UINT64_MAX;
    for (;;) {
        watch_look(w);
        if (!op_watch_running(&w->w) || detached || caller_now_ms() >= until) {
            break;
        }
        (void)poll(NULL, 0, WATCH_MS);
    }
    return w->w.id != NULL && w->w.n == 0 ? not_found(w) : watch_end(w);
}

enum exit_code run_op_watch(struct ctl *c)
{
    struct sigaction act = {.sa_handler = on_interrupt};
    struct watching *w = calloc(1, sizeof(*w));
    enum exit_code code;
    if (w == NULL) {
        return ctl_refuse(c, STATUS_NO_MEMORY, "out of memory");
    }
    w->c = c;
    op_watch_init(&w->w, c->arguments.args_n > 0 ? c->arguments.args[0] : NULL);
    if (fleet_open(c, &w->f, &code) == OK) {
        ctl_endless(c);
        (void)sigaction(SIGINT, &act, NULL);
        code = watch(w);
    }
    op_watch_deinit(&w->w);
    fleet_close(w->f);
    free(w);
    return code;
}
