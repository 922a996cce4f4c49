#include "ctl/op_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *op_id_format(const char *node, const Mq__OperationRow *row, char text[OP_ID_SIZE])
{
    snprintf(text, OP_ID_SIZE, "%.*s-%" PRIu64, NAME_MAX_BYTES, node, row->id);
    return text;
}

void op_watch_init(struct op_watch *w, const char *id)
{
    memset(w, 0, sizeof(*w));
    w->id = id;
}

void op_watch_deinit(struct op_watch *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        json_decref(w->seen[i].row);
    }
    w->n = 0;
}

void op_watch_begin(struct op_watch *w)
{
    w->left_out = 0;
}

static struct op_seen *find(struct op_watch *w, const char *id)
{
    for (unsigned i = 0; i < w->n; i++) {
        if (strcmp(w->seen[i].id, id) == 0) {
            return &w->seen[i];
        }
    }
    return NULL;
}

static struct op_seen *add(struct op_watch *w, const char *id)
{
    if (w->n == OP_WATCH_MAX) {
        w->left_out++;
        return NULL;
    }
    struct op_seen *seen = &w->seen[w->n++];
    memset(seen, 0, sizeof(*seen));
    snprintf(seen->id, sizeof(seen->id), "%s", id);
    return seen;
}

static uint64_t began_ms(const Mq__OperationRow *row, uint64_t now_ms)
{
    uint64_t ago_ms = row->elapsed_ms + (row->running ? 0 : row->ended_ms);
    return ago_ms < now_ms ? now_ms - ago_ms : 0;
}

struct op_seen *op_watch_row(struct op_watch *w, unsigned place, const char *node,
                             const Mq__OperationRow *row, uint64_t now_ms)
{
    char id[OP_ID_SIZE];
    struct op_seen *seen = find(w, op_id_format(node, row, id));
    bool wanted = w->id != NULL ? strcmp(w->id, id) == 0 : row->running;
    bool fresh = seen == NULL && wanted;
    seen = fresh ? add(w, id) : seen;
    if (seen == NULL) {
        return NULL;
    }
    enum op_state before = seen->state;
    seen->began_ms = fresh ? began_ms(row, now_ms) : seen->began_ms;
    if (began_ms(row, now_ms) > seen->began_ms + OP_WATCH_SKEW_MS) {
        seen->state = OP_FORGOTTEN; /* this is another one */
        seen->changed = before != OP_FORGOTTEN;
        return seen;
    }
    seen->node = place;
    seen->heard_ms = now_ms;
    seen->outcome = row->running ? OK : (enum status)row->outcome;
    seen->state = row->running ? OP_RUNNING : seen->outcome == OK ? OP_DONE : OP_FAILED;
    seen->changed = fresh || seen->state != before;
    return seen;
}

void op_watch_end(struct op_watch *w, const bool *answers, uint64_t now_ms)
{
    for (unsigned i = 0; i < w->n; i++) {
        struct op_seen *seen = &w->seen[i];
        if (seen->state != OP_RUNNING || seen->heard_ms == now_ms) {
            continue;
        }
        if (answers[seen->node]) {
            seen->state = OP_FORGOTTEN;
        } else if (now_ms - seen->heard_ms >= OP_WATCH_SILENT_MS) {
            seen->state = OP_SILENT;
        }
    }
}

bool op_watch_running(const struct op_watch *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        if (w->seen[i].state == OP_RUNNING) {
            return true;
        }
    }
    return w->left_out > 0;
}

enum exit_code op_watch_code(const struct op_watch *w)
{
    enum exit_code code = EXIT_HEALTHY;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->seen[i].state == OP_FAILED) {
            return exit_code_of(w->seen[i].outcome);
        }
        if (w->seen[i].state != OP_DONE) {
            code = EXIT_TIMED_OUT;
        }
    }
    return code;
}
