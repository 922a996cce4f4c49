/* clusterctl dict get, set, unset, inc. Writes go through a session: opened first, so that an attempt whose outcome is unknown can be
 * repeated until it is known, and is carried out once. An entry of a user lives in the user's shard, a shared one in the shard that the
 * founding file names. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

struct place {
    const char *user; /* "" = shared */
    uint32_t shard;   /* of shared entries */
};

static enum status place_find(struct ctl *c, struct place *out_place, enum exit_code *out_code)
{
    const Mq__Founding *f;
    snprintf(c->doing, sizeof(c->doing), "entry %.100s of %.100s", c->arguments.args[1],
             c->arguments.args[0]);
    if (c->arguments.options.user != NULL) {
        *out_place = (struct place){c->arguments.options.user, 0};
        return OK;
    }
    enum status s = ctl_founding(c, &f, out_code);
    if (s != OK) {
        return s;
    }
    for (size_t i = 0; i < f->n_shards; i++) {
        if (f->shards[i]->shared_dict) {
            *out_place = (struct place){"", f->shards[i]->shard};
            return OK;
        }
    }
    *out_code = ctl_refuse(c, STATUS_NOT_FOUND,
                           "no shard of this cluster holds shared entries; use --user");
    return STATUS_NOT_FOUND;
}

/* ---- get ---- */

enum exit_code run_dict_get(struct ctl *c)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryDict body = MQ__QUERY_DICT__INIT;
    Mq__QueryResult *result;
    struct place place;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (place_find(c, &place, &code) != OK) {
        return code;
    }
    const char *key = c->arguments.args[1];
    body.namespace_ = (char *)c->arguments.args[0];
    body.user = (char *)place.user;
    body.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(char *)key};
    body.limit = 1;
    query.body_case = MQ__QUERY__BODY_DICT;
    query.dict = &body;
    if (ctl_query(c, place.user, place.shard, &query, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    if (result->n_dict == 0) {
        code = ctl_refuse(c, STATUS_NOT_FOUND, "there is no entry %s in %s", key, body.namespace_);
    } else {
        const Mq__DictEntry *entry = result->dict[0];
        screen_init(&s, "dict_entry");
        ctl_source(c, &s, &a);
        s.verbatim = true;
        screen_line(&s, "%.*s", (int)entry->value.len, (const char *)entry->value.data);
        json_object_set_new(s.data, "namespace", json_text(body.namespace_));
        json_object_set_new(s.data, "user",
                            place.user[0] != '\0' ? json_text(place.user) : json_null());
        json_object_set_new(s.data, "key", json_text(key));
        json_object_set_new(s.data, "value",
                            json_text_sized((const char *)entry->value.data, entry->value.len));
        json_object_set_new(s.data, "value_hex",
                            json_hex((struct bytes){entry->value.data, entry->value.len}));
        json_object_set_new(s.data, "expires", json_time(entry->expires_ms));
        code = ctl_finish(c, &s, EXIT_HEALTHY);
    }
    mq__query_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return code;
}

/* ---- writes ---- */

static enum status session_open(struct ctl *c, const struct place *place, Mq__Token *out_token,
                                enum exit_code *out_code)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__SessionOpen open = MQ__SESSION_OPEN__INIT;
    struct call_answer a = {0};
    char client[] = "clusterctl";
    open.client = client;
    command.body_case = MQ__COMMAND__BODY_SESSION_OPEN;
    command.session_open = &open;
    header.user = (char *)place->user;
    header.shard = place->shard;
    /* Opening twice leaves one to expire, no more. */
    struct error e = {0};
    uint8_t packed[128];
    header.op = MQ__OP__OP_SUBMIT;
    struct bytes payload = {packed, mq__command__pack(&command, packed)};
    enum status s =
        caller_call(c->caller, &header, payload, CALL_REPEAT, c->deadline_at_ms, &a, &e);
    if (s == OK && a.outcome != MQ__OUTCOME__OUTCOME_APPLIED) {
        s = a.status != OK ? a.status : STATUS_INTERNAL;
        (void)error_set(&e, s, "no session could be opened, so nothing was changed: %.300s",
                        a.text[0] != '\0' ? a.text : status_text(s));
    }
    Mq__Result *result = s == OK ? mq__result__unpack(NULL, a.payload_size, a.payload) : NULL;
    call_answer_clear(&a);
    if (s != OK) {
        *out_code = ctl_fail(c, &e);
        return s;
    }
    if (result != NULL && result->body_case == MQ__RESULT__BODY_SESSION &&
        result->session->session != NULL) {
        mq__token__init(out_token);
        out_token->epoch = result->session->session->epoch;
        out_token->position = result->session->session->position;
    } else {
        *out_code = ctl_refuse(c, STATUS_INTERNAL, "the node opened no session");
        s = STATUS_INTERNAL;
    }
    mq__result__free_unpacked(result, NULL);
    return s;
}

/* Best effort: what is not closed expires. */
static void session_close(struct ctl *c, const struct place *place, Mq__Token *token)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__SessionClose close = MQ__SESSION_CLOSE__INIT;
    struct call_answer a = {0};
    struct error e = {0};
    uint8_t packed[128];
    close.session = token;
    close.acknowledged = 1;
    command.body_case = MQ__COMMAND__BODY_SESSION_CLOSE;
    command.session_close = &close;
    header.op = MQ__OP__OP_SUBMIT;
    header.user = (char *)place->user;
    header.shard = place->shard;
    struct bytes payload = {packed, mq__command__pack(&command, packed)};
    (void)caller_call(c->caller, &header, payload, CALL_THIS_NODE, caller_now_ms() + 1000, &a, &e);
    call_answer_clear(&a);
}

static enum exit_code write_entry(struct ctl *c, Mq__DictOp *op)
{
    Mq__RequestHeader header = MQ__REQUEST_HEADER__INIT;
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__DictTransaction transaction = MQ__DICT_TRANSACTION__INIT;
    Mq__Token token;
    Mq__Result *result;
    struct place place;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    if (place_find(c, &place, &code) != OK || session_open(c, &place, &token, &code) != OK) {
        return code;
    }
    op->namespace_ = (char *)c->arguments.args[0];
    op->user = (char *)place.user;
    op->key = (ProtobufCBinaryData){strlen(c->arguments.args[1]),
                                    (uint8_t *)(char *)c->arguments.args[1]};
    transaction.n_ops = 1;
    transaction.ops = &op;
    command.body_case = MQ__COMMAND__BODY_DICT;
    command.dict = &transaction;
    header.user = (char *)place.user;
    header.shard = place.shard;
    header.session = &token;
    header.sequence = 1;
    if (ctl_submit(c, &header, &command, CALL_REPEAT, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    session_close(c, &place, &token);
    screen_init(&s, "dict_write");
    ctl_source(c, &s, &a);
    json_object_set_new(s.data, "key", json_text(c->arguments.args[1]));
    json_object_set_new(s.data, "index", json_u64(a.index));
    json_object_set_new(s.data, "value", json_null());
    if (result->body_case == MQ__RESULT__BODY_DICT && result->dict->n_values > 0) {
        snprintf(s.summary, sizeof(s.summary), "%" PRId64, result->dict->values[0]);
        json_object_set_new(s.data, "value", json_sprintf("%" PRId64, result->dict->values[0]));
    } else {
        snprintf(s.summary, sizeof(s.summary), "applied at index %" PRIu64, a.index);
    }
    mq__result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

enum exit_code run_dict_set(struct ctl *c)
{
    Mq__DictOp op = MQ__DICT_OP__INIT;
    const char *value = c->arguments.args[2];
    op.kind = MQ__DICT_OP__KIND__SET;
    op.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)(char *)value};
    op.ttl_ms = c->arguments.options.ttl_ms;
    return write_entry(c, &op);
}

enum exit_code run_dict_unset(struct ctl *c)
{
    Mq__DictOp op = MQ__DICT_OP__INIT;
    op.kind = MQ__DICT_OP__KIND__UNSET;
    return write_entry(c, &op);
}

enum exit_code run_dict_inc(struct ctl *c)
{
    Mq__DictOp op = MQ__DICT_OP__INIT;
    const char *text = c->arguments.args[2];
    char *rest;
    errno = 0;
    long long delta = strtoll(text, &rest, 10);
    if (errno != 0 || rest == text || *rest != '\0') {
        return ctl_usage(c, "%s is not a whole number", text);
    }
    c->hint = "it must be there and be a number: clusterctl dict set makes one";
    op.kind = MQ__DICT_OP__KIND__INCREMENT;
    op.delta = delta;
    return write_entry(c, &op);
}
