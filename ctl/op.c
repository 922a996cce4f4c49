/* clusterctl op list, op watch: what the nodes are at that takes long. An operation is named NODE-NUMBER. Watching begins and ends nothing:
 * with Ctrl-C, or when the time is up, the operation goes on. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/fleet.h"
#include "ctl/operation.h"

#define WATCH_MS 500

typedef void (*row_user)(void *arg, const char *node, const Mq__OperationRow *row);

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
            use(arg, v->node, v->rows[k]);
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
    char id[NAME_MAX_BYTES + 32];
    uint64_t eta_ms = 0;
    bool eta = operation_eta(row, &eta_ms);
    snprintf(id, sizeof(id), "%s-%" PRIu64, node, row->id);
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "id",
        json_text(id), "node", json_text(node), "kind", json_text(row->kind), "object",
        json_text(row->object), "step", json_text(row->step), "waits_for",
        row->waits[0] != '\0' ? json_text(row->waits) : json_null(), "done", json_u64(row->done),
        "total", json_u64_or_null(row->total > 0, row->total), "unit", json_text(row->unit),
        "elapsed_seconds", json_seconds(true, row->elapsed_ms), "rate_per_second",
        json_real(operation_rate(row)), "eta_seconds", json_seconds(eta, eta_ms), "running",
        row->running, "stalled", operation_stalled(row), "outcome",
        row->running ? json_null() : json_text(status_name((enum status)row->outcome)));
}

/* ---- list ---- */

struct listing {
    struct screen s;
    json_t *rows;
    unsigned n;
};

static void list_row(void *arg, const char *node, const Mq__OperationRow *row)
{
    struct listing *l = arg;
    char text[OPERATION_TEXT_SIZE], state[64], span[SPAN_TEXT_SIZE];
    l->n++;
    screen_line(&l->s, "%s-%" PRIu64 "  %s of %s: %s, %s", node, row->id, row->kind, row->object,
                state_of(row, state), span_format(row->elapsed_ms, span));
    screen_line(&l->s, "    %s", operation_format(row, text, sizeof(text)));
    json_array_append_new(l->rows, row_json(node, row));
    if (operation_stalled(row)) {
        char object[NAME_MAX_BYTES + 32], message[400];
        snprintf(object, sizeof(object), "%s-%" PRIu64, node, row->id);
        snprintf(message, sizeof(message), "%s of %.63s on %.63s has not moved for %s: %.150s",
                 row->kind, row->object, node, span_format(row->still_ms, span),
                 row->waits[0] != '\0' ? row->waits : row->step);
        screen_message(&l->s, "OP_STALLED", SEVERITY_YELLOW, object, message, "");
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
    const char *id; /* NULL: every one that runs */
    bool found, running;
    enum status outcome; /* of the last one seen to have ended */
    char line[OPERATION_TEXT_SIZE + 200], last[OPERATION_TEXT_SIZE + 200];
    json_t *row;
};

static void watch_row(void *arg, const char *node, const Mq__OperationRow *row)
{
    struct watching *w = arg;
    char id[NAME_MAX_BYTES + 32], text[OPERATION_TEXT_SIZE], state[64];
    snprintf(id, sizeof(id), "%s-%" PRIu64, node, row->id);
    if (w->id != NULL ? strcmp(w->id, id) != 0 : !row->running) {
        return;
    }
    w->found = true;
    w->running = w->running || row->running;
    w->outcome = row->running ? OK : (enum status)row->outcome;
    snprintf(w->line, sizeof(w->line), "%s %s %s %s: %s", id, row->kind, row->object,
             row->running ? "" : state_of(row, state), operation_format(row, text, sizeof(text)));
    text_clean(w->line);
    json_decref(w->row);
    w->row = row_json(node, row);
    if (strcmp(w->line, w->last) != 0 && !w->c->arguments.options.quiet) {
        bool screen = isatty(fileno(w->c->err)) == 1;
        fprintf(w->c->err, screen ? "\r%.99s\033[K" : "%s\n", w->line);
        (void)fflush(w->c->err);
        snprintf(w->last, sizeof(w->last), "%s", w->line);
    }
}

static enum exit_code watch_end(struct watching *w)
{
    struct screen s;
    if (isatty(fileno(w->c->err)) == 1 && w->last[0] != '\0') {
        fputc('\n', w->c->err);
    }
    if (w->id != NULL && !w->found) {
        return ctl_refuse(w->c, STATUS_NOT_FOUND,
                          "no node that answers has an operation %s; clusterctl op list shows them",
                          w->id);
    }
    screen_init(&s, "operation");
    json_object_set_new(s.data, "operation", w->row != NULL ? json_incref(w->row) : json_null());
    if (w->running) {
        snprintf(s.summary, sizeof(s.summary),
                 "%.150s goes on; to see it again: clusterctl op watch %s",
                 w->id != NULL ? w->id : "what runs", w->id != NULL ? w->id : "");
        return ctl_finish(w->c, &s, EXIT_TIMED_OUT);
    }
    snprintf(s.summary, sizeof(s.summary), "%.400s",
             w->id != NULL ? w->line : "no operation runs on the nodes that answer");
    return ctl_finish(w->c, &s, w->outcome == OK ? EXIT_HEALTHY : exit_code_of(w->outcome));
}

enum exit_code run_op_watch(struct ctl *c)
{
    struct watching w = {.c = c, .id = c->arguments.args_n > 0 ? c->arguments.args[0] : NULL};
    struct sigaction act = {.sa_handler = on_interrupt};
    struct fleet *f;
    enum exit_code code;
    uint64_t limit_ms = c->arguments.options.timeout_ms;
    uint64_t until = limit_ms != 0 ? caller_now_ms() + limit_ms : UINT64_MAX;
    if (fleet_open(c, &f, &code) != OK) {
        return code;
    }
    ctl_endless(c);
    (void)sigaction(SIGINT, &act, NULL);
    for (;;) {
        w.found = w.running = false;
        each_operation(c, f, watch_row, &w);
        if (!w.running || detached || caller_now_ms() >= until) {
            break;
        }
        (void)poll(NULL, 0, WATCH_MS);
    }
    code = watch_end(&w);
    json_decref(w.row);
    fleet_close(f);
    return code;
}
