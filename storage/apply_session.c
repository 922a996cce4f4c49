/* Opening and closing sessions. A session's id is (epoch, log position) of the command that opened it. */
#include "storage/apply.h"

#include <string.h>

static struct bytes position_bytes(uint64_t position, uint8_t bytes[8])
{
    put_be64(bytes, position);
    return (struct bytes){bytes, 8};
}

enum status apply_session_open(struct apply *a, const Mq__SessionOpen *c)
{
    struct bytes client = apply_text(c->client);
    if (client.size > 0 && !apply_name_ok(client, 255)) {
        return apply_refuse(a, STATUS_INVALID, "a client's name has up to 255 bytes of UTF-8");
    }
    if (a->rows->system.sessions >= SESSIONS_MAX) {
        return apply_refuse(a, STATUS_FULL,
                            "too many sessions in this shard: try again when some have ended");
    }
    struct token id = apply_token(a);
    struct session_row *s = rows_session_new(a->rows, id.position);
    if (s == NULL) {
        return a->rows->failed;
    }
    uint8_t what[8];
    s->token = id;
    s->expires_ms = a->rows->system.time_ms + SESSION_TTL_MS;
    s->due_ms = s->expires_ms;
    s->client_size = (uint8_t)client.size;
    if (client.size > 0) {
        memcpy(s->client, client.data, client.size);
    }
    rows_expiry_put(a->rows, s->due_ms, EXPIRY_SESSION, position_bytes(id.position, what),
                    (struct bytes){NULL, 0});
    a->rows->system.sessions++;
    a->token = (Mq__Token)MQ__TOKEN__INIT;
    a->token.epoch = id.epoch;
    a->token.position = id.position;
    a->session = (Mq__ResultSession)MQ__RESULT_SESSION__INIT;
    a->session.session = &a->token;
    a->answer = MQ__RESULT__BODY_SESSION;
    return OK;
}

void apply_session_remove(struct apply *a, struct session_row *s)
{
    for (uint32_t slot = 0; slot < SESSION_WINDOW; slot++) {
        struct key k = key_u64_u32(s->token.position, slot);
        rows_delete(a->rows, TABLE_ANSWER, &k);
    }
    rows_session_delete(a->rows, s);
    a->rows->system.sessions--;
}

enum status apply_session_close(struct apply *a, const Mq__SessionClose *c)
{
    struct session_row *s =
        c->session == NULL ? NULL : rows_session_find(a->rows, c->session->position);
    if (s == NULL || s->token.epoch != c->session->epoch) {
        return a->rows->failed != OK ? a->rows->failed
                                     : apply_refuse(a, STATUS_NO_SESSION, "unknown session");
    }
    uint8_t what[8];
    rows_expiry_delete(a->rows, s->due_ms, EXPIRY_SESSION, position_bytes(s->token.position, what));
    apply_session_remove(a, s);
    return OK;
}
