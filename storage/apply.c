/* One batch: the header's time, then each command with its session, then the digest.
 *
 * Sessions: (session, sequence) names a command. Its answer lies in slot sequence % 64 of the session until a later sequence
 * takes the slot, so sending sequence s acknowledges everything up to s - 64. A retry finds its answer and gets it again;
 * one below the window is OLD. */
#include "storage/apply.h"

#include <string.h>

#include "base/must.h"

struct bytes apply_text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, s == NULL ? 0 : strlen(s)};
}

struct bytes apply_data(ProtobufCBinaryData d)
{
    return (struct bytes){d.data, d.len};
}

/* Length of the well-formed UTF-8 character at p, 0 when it is none (overlong, surrogate, cut). */
static size_t utf8_size(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

bool apply_name_ok(struct bytes name, size_t max)
{
    if (name.size == 0 || name.size > max) {
        return false;
    }
    for (size_t i = 0; i < name.size;) {
        size_t n = utf8_size(name.data + i, name.size - i);
        if (n == 0 || name.data[i] < 0x20 || name.data[i] == 0x7f) {
            return false;
        }
        i += n;
    }
    return true;
}

enum status apply_refuse(struct apply *a, enum status s, const char *text)
{
    a->text = text;
    return s;
}

uint32_t apply_owner(struct apply *a, struct bytes user, enum status *out_status)
{
    if (!apply_name_ok(user, USER_BYTES_MAX)) {
        *out_status = apply_refuse(a, STATUS_INVALID, "a user's name has 1 to 255 bytes of UTF-8");
        return 0;
    }
    uint32_t owner = rows_owner_find(a->rows, user);
    if (owner == 0) {
        a->moved = (Mq__ResultMoved)MQ__RESULT_MOVED__INIT;
        a->answer = MQ__RESULT__BODY_MOVED;
        *out_status =
            apply_refuse(a, STATUS_MOVED, "this shard does not own the user: ask the directory");
    }
    return owner;
}

struct token apply_token(const struct apply *a)
{
    return (struct token){a->epoch, token_position(a->index, a->ordinal)};
}

bool apply_token_equal(const Mq__Token *t, struct token own)
{
    return t != NULL && t->epoch == own.epoch && t->position == own.position;
}

/* ---- one command ---- */

static enum status dispatch(struct apply *a, const Mq__Command *c)
{
    switch (c->body_case) {
        case MQ__COMMAND__BODY_FOUNDING:
            return apply_founding(a, c->founding);
        case MQ__COMMAND__BODY_USER_ASSIGN:
            return apply_user_assign(a, c->user_assign);
        case MQ__COMMAND__BODY_OWNER:
            return apply_owner_command(a, c->owner);
        case MQ__COMMAND__BODY_LEASE_ACQUIRE:
            return apply_lease_acquire(a, c->lease_acquire);
        case MQ__COMMAND__BODY_LEASE_RENEW:
            return apply_lease_renew(a, c->lease_renew);
        case MQ__COMMAND__BODY_LEASE_RELEASE:
            return apply_lease_release(a, c->lease_release);
        case MQ__COMMAND__BODY_REPORT:
            return apply_report(a, c->report);
        case MQ__COMMAND__BODY_DICT:
            return apply_dict(a, c->dict);
        case MQ__COMMAND__BODY_SESSION_OPEN:
            return apply_session_open(a, c->session_open);
        case MQ__COMMAND__BODY_SESSION_CLOSE:
            return apply_session_close(a, c->session_close);
        case MQ__COMMAND__BODY_TICK:
            return apply_tick(a);
        case MQ__COMMAND__BODY_STORE_POSITION:
            return apply_store_position(a, c->store_position);
        case MQ__COMMAND__BODY_MAILBOX_ATTRIBUTES:
            return apply_mailbox_attributes(a, c->mailbox_attributes);
        case MQ__COMMAND__BODY_QUEUE_REPORT:
            return apply_queue_report(a, c->queue_report);
        case MQ__COMMAND__BODY_QUEUE_OUTCOME:
            return apply_queue_outcome(a, c->queue_outcome);
        case MQ__COMMAND__BODY_QUEUE_FORGET:
            return apply_queue_forget(a, c->queue_forget);
        case MQ__COMMAND__BODY_SETTING_SET:
            return apply_setting_set(a, c->setting_set);
        case MQ__COMMAND__BODY__NOT_SET:
        default:
            return apply_refuse(a, STATUS_MALFORMED, "not a command");
    }
}

static enum status run_command(struct apply *a, struct bytes command)
{
    a->text = NULL;
    a->answer = MQ__RESULT__BODY__NOT_SET;
    a->command = command;
    a->queue = NULL;
    arena_clear(a->arena);
    Mq__Command *c = mq__command__unpack(&a->arena->allocator, command.size, command.data);
    if (c == NULL && a->arena->no_memory) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return STATUS_NO_MEMORY;
    }
    arena_extend(a->arena);
    return c == NULL ? apply_refuse(a, STATUS_MALFORMED, "not a command") : dispatch(a, c);
}

static struct block *encode_answer(struct apply *a)
{
    if (a->answer == MQ__RESULT__BODY__NOT_SET && a->text == NULL) {
        return NULL;
    }
    union {
        const char *in;
        char *out;
    } text = {.in = a->text == NULL ? "" : a->text};
    Mq__Result r = MQ__RESULT__INIT;
    r.text = text.out;
    r.body_case = a->answer;
    switch (a->answer) {
        case MQ__RESULT__BODY_LEASE:
            r.lease = &a->lease;
            break;
        case MQ__RESULT__BODY_REPORT:
            r.report = &a->report;
            break;
        case MQ__RESULT__BODY_DICT:
            r.dict = &a->dict;
            break;
        case MQ__RESULT__BODY_SESSION:
            r.session = &a->session;
            break;
        case MQ__RESULT__BODY_MOVED:
            r.moved = &a->moved;
            break;
        case MQ__RESULT__BODY_USER:
            r.user = &a->user;
            break;
        case MQ__RESULT__BODY_QUEUE:
            r.queue = &a->queue_place;
            break;
        case MQ__RESULT__BODY__NOT_SET:
        default:
            break;
    }
    struct block *b = block_new(mq__result__get_packed_size(&r));
    if (b == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return NULL;
    }
    mq__result__pack(&r, b->data);
    return b;
}

/* ---- sessions ---- */

/* NULL with *out_status = the refusal. */
static struct session_row *session_of(struct apply *a, const struct batch_item *item,
                                      enum status *out_status)
{
    struct session_row *s = rows_session_find(a->rows, item->session.position);
    if (s == NULL || s->token.epoch != item->session.epoch ||
        s->expires_ms <= a->rows->system.time_ms) {
        *out_status = apply_refuse(a, STATUS_NO_SESSION, "unknown session: open a new one");
        return NULL;
    }
    if (item->sequence == 0) {
        *out_status = apply_refuse(a, STATUS_INVALID, "sequences start at 1");
        return NULL;
    }
    if (s->sequence_max >= SESSION_WINDOW && item->sequence <= s->sequence_max - SESSION_WINDOW) {
        *out_status = apply_refuse(a, STATUS_OLD, "below the session's window");
        return NULL;
    }
    return s;
}

/* The first answer of this (session, sequence), if there is one; OLD when its slot went to a later one. */
static bool answered(struct apply *a, const struct batch_item *item, enum status *out_status,
                     struct block **out_payload)
{
    struct key k = key_u64_u32(item->session.position, (uint32_t)(item->sequence % SESSION_WINDOW));
    struct bytes value;
    struct answer_row row;
    if (!rows_get(a->rows, TABLE_ANSWER, &k, &value)) {
        return false;
    }
    enum status s = answer_row_decode(value, &row);
    if (s != OK) {
        rows_fail(a->rows, s);
        return false;
    }
    if (row.sequence < item->sequence) {
        return false;
    }
    if (row.sequence > item->sequence) {
        *out_status = STATUS_OLD;
        return true;
    }
    *out_status = (enum status)row.status;
    if (row.payload.size > 0) {
        *out_payload = block_copy(row.payload.data, row.payload.size);
        if (*out_payload == NULL) {
            rows_fail(a->rows, STATUS_NO_MEMORY);
        }
    }
    return true;
}

static void keep_answer(struct apply *a, const struct batch_item *item, enum status s,
                        const struct block *payload)
{
    struct session_row *session = rows_session_find(a->rows, item->session.position);
    if (session == NULL) {
        return; /* it closed itself */
    }
    if (item->sequence > session->sequence_max) {
        session->sequence_max = item->sequence;
    }
    session->expires_ms = a->rows->system.time_ms + SESSION_TTL_MS;
    rows_session_touch(a->rows, session);
    struct answer_row row = {.sequence = item->sequence, .status = (uint32_t)s};
    if (payload != NULL) {
        must(payload->size <= ANSWER_BYTES_MAX);
        row.payload = (struct bytes){payload->data, payload->size};
    }
    uint8_t bytes[ANSWER_BYTES_MAX + 16];
    struct key k = key_u64_u32(item->session.position, (uint32_t)(item->sequence % SESSION_WINDOW));
    rows_put(a->rows, TABLE_ANSWER, &k, (struct bytes){bytes, answer_row_encode(&row, bytes)});
}

static enum status apply_item(struct apply *a, const struct batch_item *item, bool wanted,
                              struct block **out_payload)
{
    bool session = item->session.position != 0;
    enum status s = OK;
    a->text = NULL;
    a->answer = MQ__RESULT__BODY__NOT_SET;
    if (session) {
        if (session_of(a, item, &s) == NULL) {
            *out_payload = wanted ? encode_answer(a) : NULL;
            return s;
        }
        if (answered(a, item, &s, out_payload)) {
            return s;
        }
    }
    s = run_command(a, item->command);
    if (wanted || session) {
        *out_payload = encode_answer(a);
    }
    if (session) {
        keep_answer(a, item, s, *out_payload);
    }
    return s;
}

enum status apply_batch(struct apply *a, uint64_t index, struct bytes batch,
                        const struct apply_sink *sink)
{
    struct batch_header h;
    enum status s = batch_decode_header(batch, &h);
    if (s == STATUS_VERSION) {
        return s; /* skipping it would make this replica differ */
    }
    bool ours = s == OK && h.shard == a->shard;
    if (ours && h.time_ms > a->rows->system.time_ms) {
        a->rows->system.time_ms = h.time_ms;
    }
    a->index = index;
    a->epoch = ours ? h.epoch.number : 0;
    size_t cursor = 0;
    struct batch_item item;
    for (uint32_t i = 0; ours && i < h.count && batch_next(batch, &cursor, &item) == OK; i++) {
        struct block *payload = NULL;
        a->ordinal = i;
        s = apply_item(a, &item, sink != NULL, &payload);
        if (a->rows->failed != OK) {
            block_unref(payload);
            return a->rows->failed;
        }
        if (sink != NULL) {
            sink->answer(sink->arg, index, i, s, payload);
        } else {
            block_unref(payload);
        }
    }
    rows_fold(a->rows);
    return a->rows->failed;
}
