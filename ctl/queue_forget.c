/* clusterctl queue forget HOST [INSTANCE]: what was reported of a mail queue that is not there any more goes. Instance by instance, each done
 * or refused by itself; said again it goes on. */
#include <inttypes.h>
#include <string.h>

#include "base/suggestion.h"
#include "ctl/queue_read.h"

struct forgetting {
    struct ctl *c;
    const char *host, *instance; /* instance NULL: all of them */
    char *user;
    json_t *rows; /* those forgotten */
    uint64_t messages;
};

static enum status forget_one(struct forgetting *f, const Mq__Queue *q, struct call_answer *a,
                              enum exit_code *out_code)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__QueueForget body = MQ__QUEUE_FORGET__INIT;
    Mq__Result *result;
    body.user = f->user;
    body.instance = q->instance;
    command.body_case = MQ__COMMAND__BODY_QUEUE_FORGET;
    command.queue_forget = &body;
    header.user = f->user;
    snprintf(f->c->doing, sizeof(f->c->doing), "queue %.100s of %.100s", q->instance, f->host);
    enum status s = ctl_submit(f->c, &header, &command, CALL_REPEAT, a, &result, out_code);
    if (s != OK) {
        return s;
    }
    mq__result__free_unpacked(result, NULL);
    f->messages += q->open;
    json_array_append_new(f->rows, json_pack("{s:o, s:o}", "instance", json_text(q->instance),
                                             "messages", json_u64(q->open)));
    return OK;
}

static enum status forget_all(struct forgetting *f, const Mq__QueryResult *known,
                              struct call_answer *a, enum exit_code *out_code)
{
    struct suggestion near;
    enum status s = OK;
    suggestion_init(&near, f->instance != NULL ? f->instance : "");
    for (size_t i = 0; i < known->n_queues && s == OK; i++) {
        const Mq__Queue *q = known->queues[i];
        suggestion_offer(&near, q->instance);
        if (f->instance == NULL || strcmp(f->instance, q->instance) == 0) {
            s = forget_one(f, q, a, out_code);
        }
    }
    if (s == OK && json_array_size(f->rows) == 0) {
        s = STATUS_NOT_FOUND;
        *out_code = f->instance == NULL || near.best == NULL
                        ? ctl_refuse(f->c, s, "no queue of %s is recorded", f->host)
                        : ctl_refuse(f->c, s, "%s has no queue %s, did you mean %s?", f->host,
                                     f->instance, near.best);
    }
    return s;
}

enum exit_code run_queue_forget(struct ctl *c)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryQueues body = MQ__QUERY_QUEUES__INIT;
    Mq__QueryResult *known;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code = EXIT_HEALTHY;
    char user[QUEUE_USER_SIZE];
    struct forgetting f = {.c = c, .host = c->arguments.args[0], .user = user};
    f.instance = c->arguments.args_n > 1 ? c->arguments.args[1] : NULL;
    if (!queue_user(f.host, user)) {
        return ctl_usage(c, "the name of the host is too long");
    }
    snprintf(c->doing, sizeof(c->doing), "queues of %.200s", f.host);
    c->hint = "a feed reports it: stop that on its host first";
    body.user = user;
    query.body_case = MQ__QUERY__BODY_QUEUES;
    query.queues = &body;
    if (ctl_query(c, user, 0, &query, &a, &known, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    f.rows = json_array();
    enum status status = forget_all(&f, known, &a, &code);
    mq__query_result__free_unpacked(known, NULL);
    if (status != OK) {
        json_decref(f.rows);
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "queue_forgotten");
    ctl_source(c, &s, &a);
    call_answer_clear(&a);
    snprintf(s.summary, sizeof(s.summary),
             "%zu queues of %.200s are forgotten, and the %" PRIu64 " messages that waited there",
             json_array_size(f.rows), f.host, f.messages);
    json_object_set_new(s.data, "host", json_text(f.host));
    json_object_set_new(s.data, "queues", f.rows);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}
