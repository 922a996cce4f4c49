/* See message.h for the layout. Both ways are one pass over the header; the only memory is the
 * frame, or the array of entries and one block for each payload, which the log then shares. */
#include "raft/message.h"

#include <stdlib.h>

#define LAYOUT        1u
#define FLAG_GRANTED  1u
#define FLAG_PRE_VOTE 2u
#define FLAG_DISRUPT  4u
#define FLAG_CHOSEN   8u
#define NUMBER_LIMIT  (UINT64_C(1) << 62) /* terms and indexes lie below */

uint32_t message_entries_fit(const struct engine_entry *entries, uint32_t n, uint32_t bytes_max)
{
    uint64_t size = 0;
    uint32_t i;

    if (bytes_max > FRAME_PAYLOAD_MAX) {
        bytes_max = FRAME_PAYLOAD_MAX;
    }
    for (i = 0; i < n && i < MESSAGE_ENTRIES_MAX; i++) {
        size += entries[i].payload != NULL ? entries[i].payload->size : 0;
        if (i > 0 && size > bytes_max) {
            break;
        }
    }
    return i;
}

/* ---- out ---- */

/* a, b, c, flags of the fixed part. */
static void kind_encode(const struct engine_message *m, uint8_t *h)
{
    uint64_t v[3] = {0, 0, 0};
    unsigned flags = 0;

    switch (m->kind) {
        case MESSAGE_VOTE:
            v[0] = m->vote.last_index;
            v[1] = m->vote.last_term;
            flags = (m->vote.pre_vote ? FLAG_PRE_VOTE : 0) |
                    (m->vote.disrupt_leader ? FLAG_DISRUPT : 0);
            break;
        case MESSAGE_VOTE_RESULT:
            v[0] = m->vote_result.features;
            v[1] = m->vote_result.capacity;
            flags = (m->vote_result.pre_vote ? FLAG_PRE_VOTE : 0) |
                    (m->vote_result.granted ? FLAG_GRANTED : 0);
            break;
        case MESSAGE_APPEND:
            v[0] = m->append.prev_index;
            v[1] = m->append.prev_term;
            v[2] = m->append.commit;
            break;
        case MESSAGE_APPEND_RESULT:
            v[0] = m->append_result.rejected;
            v[1] = m->append_result.last_log_index;
            v[2] = m->append_result.features | (uint64_t)m->append_result.capacity << 16;
            break;
        case MESSAGE_INSTALL:
            v[0] = m->install.last_index;
            v[1] = m->install.last_term;
            v[2] = m->install.configuration_index;
            break;
        case MESSAGE_TIMEOUT_NOW:
            v[0] = m->timeout_now.last_index;
            v[1] = m->timeout_now.last_term;
            flags = m->timeout_now.chosen ? FLAG_CHOSEN : 0;
            break;
    }
    h[2] = (uint8_t)flags;
    put_le64(h + 48, v[0]);
    put_le64(h + 56, v[1]);
    put_le64(h + 64, v[2]);
}

static void header_encode(const struct message_envelope *env, const struct engine_message *m,
                          uint32_t n, uint8_t *h)
{
    h[0] = LAYOUT;
    h[1] = (uint8_t)m->kind;
    h[3] = m->version;
    put_le32(h + 4, env->shard);
    put_le64(h + 8, env->epoch.number);
    put_le64(h + 16, env->epoch.id);
    put_le64(h + 24, m->from);
    put_le64(h + 32, m->to);
    put_le64(h + 40, m->term);
    kind_encode(m, h);
    put_le64(h + 72, m->kind == MESSAGE_APPEND ? env->lowest_match : 0);
    put_le32(h + 80, n);
    put_le32(h + 84, 0);
}

/* The frame with its head; header and payload are the caller's to fill. */
static enum status frame_new(size_t header_size, size_t payload_size, struct block **out_frame)
{
    struct block *b = block_new(FRAME_HEAD_SIZE + header_size + payload_size);

    if (b == NULL) {
        return STATUS_NO_MEMORY;
    }
    put_le32(b->data, (uint32_t)(header_size + payload_size));
    put_le16(b->data + 4, FRAME_RAFT);
    put_le16(b->data + 6, (uint16_t)header_size);
    *out_frame = b;
    return OK;
}

static enum status entries_size(const struct engine_message *m, size_t *out_size)
{
    uint64_t size = 0;

    if (m->append.n > MESSAGE_ENTRIES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (m->append.n > 0 && m->append.entries == NULL) {
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < m->append.n; i++) {
        size += m->append.entries[i].payload != NULL ? m->append.entries[i].payload->size : 0;
    }
    *out_size = (size_t)size;
    return size > FRAME_PAYLOAD_MAX ? STATUS_TOO_BIG : OK;
}

static void entries_encode(const struct engine_message *m, uint8_t *head, uint8_t *payload)
{
    for (uint32_t i = 0; i < m->append.n; i++) {
        const struct engine_entry *entry = &m->append.entries[i];
        uint32_t size = entry->payload != NULL ? entry->payload->size : 0;

        put_le64(head, entry->term);
        put_le32(head + 8, size);
        put_le32(head + 12, (uint32_t)entry->type);
        head += MESSAGE_ENTRY_SIZE;
        if (size > 0) {
            memcpy(payload, entry->payload->data, size);
            payload += size;
        }
    }
}

enum status message_encode(const struct message_envelope *env, const struct engine_message *m,
                           struct block **out_frame)
{
    const struct block *configuration =
        m->kind == MESSAGE_INSTALL ? m->install.configuration : NULL;
    uint32_t n = m->kind == MESSAGE_APPEND ? m->append.n : 0;
    size_t header_size = MESSAGE_HEADER_SIZE + (size_t)n * MESSAGE_ENTRY_SIZE;
    size_t payload_size = 0;
    struct block *b = NULL;
    enum status s = OK;

    if (m->kind == MESSAGE_APPEND) {
        s = entries_size(m, &payload_size);
    } else if (m->kind == MESSAGE_INSTALL) {
        s = configuration == NULL                               ? STATUS_INVALID
            : configuration->size > LOG_CONFIGURATION_BYTES_MAX ? STATUS_TOO_BIG
                                                                : OK;
        payload_size = configuration != NULL ? configuration->size : 0;
    }
    if (s == OK) {
        s = frame_new(header_size, payload_size, &b);
    }
    if (s != OK) {
        return s;
    }
    header_encode(env, m, n, b->data + FRAME_HEAD_SIZE);
    if (n > 0) {
        entries_encode(m, b->data + FRAME_HEAD_SIZE + MESSAGE_HEADER_SIZE,
                       b->data + FRAME_HEAD_SIZE + header_size);
    } else if (configuration != NULL) {
        memcpy(b->data + FRAME_HEAD_SIZE + header_size, configuration->data, payload_size);
    }
    *out_frame = b;
    return OK;
}

/* ---- in ---- */

enum status message_peek(const struct frame *f, struct message_envelope *out_env)
{
    const uint8_t *h = f->header.data;

    if (f->kind != FRAME_RAFT || f->header.size < MESSAGE_HEADER_SIZE || h[0] != LAYOUT) {
        return STATUS_MALFORMED;
    }
    *out_env = (struct message_envelope){
        .shard = get_le32(h + 4),
        .epoch = {.number = get_le64(h + 8), .id = get_le64(h + 16)},
        .from = get_le64(h + 24),
        .to = get_le64(h + 32),
        .lowest_match = get_le64(h + 72),
    };
    return OK;
}

static bool flag_take(unsigned *flags, unsigned flag)
{
    bool set = (*flags & flag) != 0;

    *flags &= ~flag;
    return set;
}

/* False when a field holds what its kind does not know. */
static bool kind_decode(const uint8_t *h, struct engine_message *m)
{
    uint64_t a = get_le64(h + 48), b = get_le64(h + 56), c = get_le64(h + 64);
    unsigned flags = h[2];

    if (a >= NUMBER_LIMIT || b >= NUMBER_LIMIT || c >= NUMBER_LIMIT) {
        return false;
    }
    switch (h[1]) {
        case MESSAGE_VOTE:
            m->vote.candidate = m->from;
            m->vote.last_index = a;
            m->vote.last_term = b;
            m->vote.pre_vote = flag_take(&flags, FLAG_PRE_VOTE);
            m->vote.disrupt_leader = flag_take(&flags, FLAG_DISRUPT);
            return flags == 0 && c == 0;
        case MESSAGE_VOTE_RESULT:
            m->vote_result.features = (uint16_t)a;
            m->vote_result.capacity = (uint16_t)b;
            m->vote_result.pre_vote = flag_take(&flags, FLAG_PRE_VOTE);
            m->vote_result.granted = flag_take(&flags, FLAG_GRANTED);
            return flags == 0 && a <= UINT16_MAX && b <= UINT16_MAX && c == 0;
        case MESSAGE_APPEND:
            m->append.prev_index = a;
            m->append.prev_term = b;
            m->append.commit = c;
            return flags == 0;
        case MESSAGE_APPEND_RESULT:
            m->append_result.rejected = a;
            m->append_result.last_log_index = b;
            m->append_result.features = (uint16_t)c;
            m->append_result.capacity = (uint16_t)(c >> 16);
            return flags == 0 && c <= UINT32_MAX;
        case MESSAGE_INSTALL:
            m->install.last_index = a;
            m->install.last_term = b;
            m->install.configuration_index = c;
            return flags == 0;
        case MESSAGE_TIMEOUT_NOW:
            m->timeout_now.last_index = a;
            m->timeout_now.last_term = b;
            m->timeout_now.chosen = flag_take(&flags, FLAG_CHOSEN);
            return flags == 0 && c == 0;
        default:
            return false;
    }
}

/* Sizes and types first, so that nothing is allocated for a lie. */
static bool entries_check(const struct frame *f, uint32_t n, uint64_t message_term)
{
    const uint8_t *head = f->header.data + MESSAGE_HEADER_SIZE;
    uint64_t size = 0;

    for (uint32_t i = 0; i < n; i++, head += MESSAGE_ENTRY_SIZE) {
        uint64_t term = get_le64(head);
        uint32_t type = get_le32(head + 12);

        size += get_le32(head + 8);
        if (term == 0 || term > message_term || get_le32(head + 8) > LOG_ENTRY_BYTES_MAX ||
            type < ENTRY_COMMAND || type > ENTRY_CHANGE) {
            return false;
        }
    }
    return size == f->payload.size;
}

static enum status entries_decode(const struct frame *f, uint32_t n, struct message_in *m)
{
    const uint8_t *head = f->header.data + MESSAGE_HEADER_SIZE;
    const uint8_t *payload = f->payload.data;

    m->entries = calloc(n, sizeof(*m->entries));
    if (m->entries == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (m->n = 0; m->n < n; m->n++, head += MESSAGE_ENTRY_SIZE) {
        struct engine_entry *entry = &m->entries[m->n];
        uint32_t size = get_le32(head + 8);

        entry->term = get_le64(head);
        entry->type = (enum entry_type)get_le32(head + 12);
        if (size > 0) {
            entry->payload = block_copy(payload, size);
            if (entry->payload == NULL) {
                return STATUS_NO_MEMORY;
            }
            payload += size;
        }
    }
    m->message.append.n = n;
    m->message.append.entries = m->entries;
    return OK;
}

static enum status body_decode(const struct frame *f, uint32_t n, struct message_in *m)
{
    switch (m->message.kind) {
        case MESSAGE_APPEND:
            if (!entries_check(f, n, m->message.term)) {
                return STATUS_MALFORMED;
            }
            return n > 0 ? entries_decode(f, n, m) : OK;
        case MESSAGE_INSTALL:
            if (f->payload.size == 0 || f->payload.size > LOG_CONFIGURATION_BYTES_MAX) {
                return STATUS_MALFORMED;
            }
            m->configuration = block_copy(f->payload.data, f->payload.size);
            m->message.install.configuration = m->configuration;
            return m->configuration != NULL ? OK : STATUS_NO_MEMORY;
        default:
            return f->payload.size == 0 ? OK : STATUS_MALFORMED;
    }
}

enum status message_decode(const struct frame *f, struct message_envelope *out_env,
                           struct message_in *out_m)
{
    struct message_in m = {.n = 0};
    struct message_envelope env;
    enum status s = message_peek(f, &env);
    const uint8_t *h = f->header.data;
    uint32_t n;

    if (s != OK) {
        return s;
    }
    n = get_le32(h + 80);
    m.message.kind = (enum engine_message_kind)h[1];
    m.message.version = h[3];
    m.message.from = env.from;
    m.message.to = env.to;
    m.message.term = get_le64(h + 40);
    if (!kind_decode(h, &m.message) || m.message.term == 0 || m.message.term >= NUMBER_LIMIT ||
        env.lowest_match >= NUMBER_LIMIT || (env.lowest_match != 0 && h[1] != MESSAGE_APPEND) ||
        env.from == 0 || env.to == 0 || get_le32(h + 84) != 0 || n > MESSAGE_ENTRIES_MAX ||
        (n > 0 && h[1] != MESSAGE_APPEND) ||
        f->header.size != MESSAGE_HEADER_SIZE + (size_t)n * MESSAGE_ENTRY_SIZE) {
        return STATUS_MALFORMED;
    }
    s = body_decode(f, n, &m);
    if (s != OK) {
        message_in_deinit(&m);
        return s;
    }
    *out_env = env;
    *out_m = m;
    return OK;
}

void message_in_deinit(struct message_in *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        block_unref(m->entries[i].payload);
    }
    free(m->entries);
    block_unref(m->configuration);
    *m = (struct message_in){.n = 0};
}
