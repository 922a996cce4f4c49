/* Rows by hand. Decoding trusts nothing: a row that a disk has changed is CORRUPT, never a read outside of it. */
#include "storage/record.h"

#include <string.h>

#include <xxhash.h>

#include "base/must.h"
#include "storage/pen.h"

const char *const table_names[TABLE_COUNT] = {
    [TABLE_POSITION] = "position", [TABLE_SYSTEM] = "system",   [TABLE_USER] = "user",
    [TABLE_OWNER] = "owner",       [TABLE_STORE] = "store",     [TABLE_LEASE] = "lease",
    [TABLE_MAILBOX] = "mailbox",   [TABLE_MESSAGE] = "message", [TABLE_TOMBSTONE] = "tombstone",
    [TABLE_DICT] = "dict",         [TABLE_SESSION] = "session", [TABLE_ANSWER] = "answer",
    [TABLE_EXPIRY] = "expiry",     [TABLE_JOB] = "job",         [TABLE_QUEUE] = "queue",
    [TABLE_ITEM] = "item",         [TABLE_CLOSED] = "closed",
};

/* ---- keys ---- */

struct key key_u32(uint32_t a)
{
    struct key k;
    put_be32(k.data, a);
    k.size = 4;
    return k;
}

struct key key_u64(uint64_t a)
{
    struct key k;
    put_be64(k.data, a);
    k.size = 8;
    return k;
}

struct key key_u32_u32(uint32_t a, uint32_t b)
{
    struct key k;
    put_be32(k.data, a);
    put_be32(k.data + 4, b);
    k.size = 8;
    return k;
}

struct key key_u32_u64(uint32_t a, uint64_t b)
{
    struct key k;
    put_be32(k.data, a);
    put_be64(k.data + 4, b);
    k.size = 12;
    return k;
}

struct key key_u64_u32(uint64_t a, uint32_t b)
{
    struct key k;
    put_be64(k.data, a);
    put_be32(k.data + 8, b);
    k.size = 12;
    return k;
}

struct key key_text(char prefix, struct bytes text)
{
    struct key k = {.size = 0};
    must(text.size <= 255);
    if (prefix != 0) {
        k.data[k.size++] = (uint8_t)prefix;
    }
    memcpy(k.data + k.size, text.data, text.size);
    k.size += text.size;
    return k;
}

struct key key_store_number(uint32_t number)
{
    struct key k;
    k.data[0] = '#';
    put_be32(k.data + 1, number);
    k.size = 5;
    return k;
}

struct key key_store_state(uint32_t number)
{
    struct key k = key_store_number(number);
    k.data[0] = '@';
    return k;
}

struct key key_mailbox(uint32_t owner, const uint8_t guid[MAILBOX_GUID_BYTES])
{
    struct key k;
    put_be32(k.data, owner);
    memcpy(k.data + 4, guid, MAILBOX_GUID_BYTES);
    k.size = 4 + MAILBOX_GUID_BYTES;
    return k;
}

bool key_dict_hashed(struct bytes space, struct bytes key)
{
    return 5 + space.size + key.size > KEY_BYTES_MAX;
}

struct key key_dict(uint32_t owner, struct bytes space, struct bytes key)
{
    struct key k;
    must(space.size <= NAMESPACE_BYTES_MAX);
    put_be32(k.data, owner);
    k.data[4] = (uint8_t)space.size;
    memcpy(k.data + 5, space.data, space.size);
    k.size = 5 + space.size;
    size_t kept = key.size;
    if (key_dict_hashed(space, key)) {
        kept = KEY_BYTES_MAX - k.size - 16;
    }
    if (kept > 0) {
        memcpy(k.data + k.size, key.data, kept);
        k.size += kept;
    }
    if (kept < key.size) {
        XXH128_hash_t h = XXH3_128bits(key.data, key.size);
        put_be64(k.data + k.size, h.high64);
        put_be64(k.data + k.size + 8, h.low64);
        k.size += 16;
    }
    return k;
}

struct key key_expiry(uint64_t due_ms, enum expiry_kind kind, struct bytes what)
{
    struct key k;
    must(what.size <= KEY_BYTES_MAX);
    put_be64(k.data, due_ms);
    k.data[8] = (uint8_t)kind;
    memcpy(k.data + EXPIRY_HEAD_BYTES, what.data, what.size);
    k.size = EXPIRY_HEAD_BYTES + what.size;
    return k;
}

/* ---- rows ---- */

size_t position_row_encode(const struct position_row *r, uint8_t *out)
{
    struct pen p = {out};
    w64(&p, r->index);
    w64(&p, r->term);
    w64(&p, r->digest.low);
    w64(&p, r->digest.high);
    return (size_t)(p.at - out);
}

enum status position_row_decode(struct bytes b, struct position_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->index = r64(&e);
    out_r->term = r64(&e);
    out_r->digest.low = r64(&e);
    out_r->digest.high = r64(&e);
    return whole(&e);
}

size_t system_row_encode(const struct system_row *r, uint8_t *out)
{
    struct pen p = {out};
    w64(&p, r->time_ms);
    w64(&p, r->change_floor);
    w64(&p, r->next_job);
    w32(&p, r->next_owner);
    w32(&p, r->next_generation);
    w32(&p, r->next_store);
    w32(&p, r->sessions);
    w32(&p, r->jobs);
    return (size_t)(p.at - out);
}

enum status system_row_decode(struct bytes b, struct system_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->time_ms = r64(&e);
    out_r->change_floor = r64(&e);
    out_r->next_job = r64(&e);
    out_r->next_owner = r32(&e);
    out_r->next_generation = r32(&e);
    out_r->next_store = r32(&e);
    out_r->sessions = r32(&e);
    out_r->jobs = r32(&e);
    return whole(&e);
}

size_t user_row_encode(const struct user_row *r, uint8_t *out)
{
    struct pen p = {out};
    w32(&p, r->shard);
    w32(&p, r->flags);
    w8(&p, (uint8_t)r->priority.size);
    wbytes(&p, r->priority.data, r->priority.size);
    return (size_t)(p.at - out);
}

enum status user_row_decode(struct bytes b, struct user_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->shard = r32(&e);
    out_r->flags = r32(&e);
    out_r->priority = rbytes(&e, r8(&e));
    return whole(&e);
}

size_t owner_row_encode(const struct owner_row *r, uint8_t *out)
{
    struct pen p = {out};
    w32(&p, r->number);
    w32(&p, r->mailboxes);
    w64(&p, r->generation);
    w8(&p, (uint8_t)r->home.size);
    wbytes(&p, r->home.data, r->home.size);
    return (size_t)(p.at - out);
}

enum status owner_row_decode(struct bytes b, struct owner_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->number = r32(&e);
    out_r->mailboxes = r32(&e);
    out_r->generation = r64(&e);
    out_r->home = rbytes(&e, r8(&e));
    return out_r->home.size > SITE_BYTES_MAX ? STATUS_CORRUPT : whole(&e);
}

size_t lease_row_encode(const struct lease_row *r, uint8_t *out)
{
    struct pen p = {out};
    w64(&p, r->token.epoch);
    w64(&p, r->token.position);
    w64(&p, r->expires_ms);
    w8(&p, (uint8_t)r->holder.size);
    wbytes(&p, r->holder.data, r->holder.size);
    return (size_t)(p.at - out);
}

enum status lease_row_decode(struct bytes b, struct lease_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->token.epoch = r64(&e);
    out_r->token.position = r64(&e);
    out_r->expires_ms = r64(&e);
    out_r->holder = rbytes(&e, r8(&e));
    return whole(&e);
}

size_t message_row_encode(const struct message_row *r, uint8_t *out)
{
    struct pen p = {out};
    w8(&p, r->expunged ? 2 : 1);
    w8(&p, r->last_slot);
    w16(&p, r->slots);
    w32(&p, r->flags);
    w64(&p, r->change);
    w64(&p, r->modseq);
    w64(&p, (uint64_t)r->date);
    w64(&p, r->size);
    w8(&p, (uint8_t)r->guid.size);
    w8(&p, (uint8_t)r->hash.size);
    w8(&p, r->keyword_count);
    wbytes(&p, r->guid.data, r->guid.size);
    wbytes(&p, r->hash.data, r->hash.size);
    wbytes(&p, r->keywords.data, r->keywords.size);
    return (size_t)(p.at - out);
}

static struct bytes read_keywords(struct eye *e, unsigned count)
{
    struct bytes all = {e->at, 0};
    for (unsigned i = 0; i < count && !e->bad; i++) {
        rbytes(e, r8(e));
    }
    all.size = (size_t)(e->at - all.data);
    return all;
}

enum status message_row_decode(struct bytes b, struct message_row *out_r)
{
    struct eye e = eye_on(b);
    uint8_t kind = r8(&e);
    out_r->expunged = kind == 2;
    out_r->last_slot = r8(&e);
    out_r->slots = r16(&e);
    out_r->flags = r32(&e);
    out_r->change = r64(&e);
    out_r->modseq = r64(&e);
    out_r->date = (int64_t)r64(&e);
    out_r->size = r64(&e);
    size_t guid = r8(&e);
    size_t hash = r8(&e);
    out_r->keyword_count = r8(&e);
    out_r->guid = rbytes(&e, guid);
    out_r->hash = rbytes(&e, hash);
    out_r->keywords = read_keywords(&e, out_r->keyword_count);
    return kind != 1 && kind != 2 ? STATUS_CORRUPT : whole(&e);
}

size_t session_row_encode(const struct session_row *r, uint8_t *out)
{
    struct pen p = {out};
    w64(&p, r->token.epoch);
    w64(&p, r->token.position);
    w64(&p, r->sequence_max);
    w64(&p, r->expires_ms);
    w64(&p, r->due_ms);
    w8(&p, r->client_size);
    wbytes(&p, r->client, r->client_size);
    return (size_t)(p.at - out);
}

enum status session_row_decode(struct bytes b, struct session_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->token.epoch = r64(&e);
    out_r->token.position = r64(&e);
    out_r->sequence_max = r64(&e);
    out_r->expires_ms = r64(&e);
    out_r->due_ms = r64(&e);
    out_r->client_size = r8(&e);
    struct bytes client = rbytes(&e, out_r->client_size);
    if (client.size > 0) {
        memcpy(out_r->client, client.data, client.size);
    }
    return whole(&e);
}

size_t answer_row_encode(const struct answer_row *r, uint8_t *out)
{
    struct pen p = {out};
    w64(&p, r->sequence);
    w32(&p, r->status);
    wbytes(&p, r->payload.data, r->payload.size);
    return (size_t)(p.at - out);
}

enum status answer_row_decode(struct bytes b, struct answer_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->sequence = r64(&e);
    out_r->status = r32(&e);
    out_r->payload = rbytes(&e, e.left);
    return whole(&e);
}

size_t dict_row_encode(const struct dict_row *r, uint8_t *out)
{
    struct pen p = {out};
    w64(&p, r->expires_ms);
    w16(&p, (uint16_t)r->key.size);
    wbytes(&p, r->key.data, r->key.size);
    wbytes(&p, r->value.data, r->value.size);
    return (size_t)(p.at - out);
}

enum status dict_row_decode(struct bytes b, struct dict_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->expires_ms = r64(&e);
    size_t key = r16(&e);
    out_r->key = rbytes(&e, key);
    out_r->value = rbytes(&e, e.left);
    return whole(&e);
}

size_t job_row_encode(const struct job_row *r, uint8_t *out)
{
    struct pen p = {out};
    w8(&p, (uint8_t)r->kind);
    w8(&p, r->slot);
    w32(&p, r->generation);
    w32(&p, r->next_uid);
    w32(&p, r->owner);
    wbytes(&p, r->guid, sizeof(r->guid));
    return (size_t)(p.at - out);
}

enum status job_row_decode(struct bytes b, struct job_row *out_r)
{
    struct eye e = eye_on(b);
    uint8_t kind = r8(&e);
    out_r->slot = r8(&e);
    out_r->generation = r32(&e);
    out_r->next_uid = r32(&e);
    out_r->owner = r32(&e);
    struct bytes guid = rbytes(&e, MAILBOX_GUID_BYTES);
    if (guid.size > 0) {
        memcpy(out_r->guid, guid.data, guid.size);
    }
    if (kind != JOB_DROP_GENERATION && kind != JOB_CLEAR_SLOT) {
        return STATUS_CORRUPT;
    }
    out_r->kind = (enum job_kind)kind;
    return whole(&e);
}

/* ---- mailboxes ---- */

static void write_generation(struct pen *p, const struct generation *g)
{
    w32(p, g->number);
    if (g->number == 0) {
        return;
    }
    w32(p, g->uidvalidity);
    w32(p, g->uidnext);
    w32(p, g->tombstones);
    w64(p, g->highestmodseq);
    w64(p, g->messages);
    w64(p, g->unseen);
    w64(p, g->bytes);
    w64(p, g->change);
    w64(p, g->horizon);
    w8(p, g->tombstones_due);
}

static void read_generation(struct eye *e, struct generation *g)
{
    memset(g, 0, sizeof(*g));
    g->number = r32(e);
    if (g->number == 0) {
        return;
    }
    g->uidvalidity = r32(e);
    g->uidnext = r32(e);
    g->tombstones = r32(e);
    g->highestmodseq = r64(e);
    g->messages = r64(e);
    g->unseen = r64(e);
    g->bytes = r64(e);
    g->change = r64(e);
    g->horizon = r64(e);
    g->tombstones_due = r8(e) != 0;
}

static void write_cursor(struct pen *p, const struct cursor_row *c)
{
    w32(p, c->store);
    w8(p, c->slot);
    w8(p, (uint8_t)((c->in_progress ? 1 : 0) | (c->compared ? 2 : 0) | (c->full ? 4 : 0)));
    w32(p, c->uidvalidity);
    w32(p, c->uidnext);
    w32(p, c->next_uid);
    w64(p, c->modseq);
    w64(p, c->from_modseq);
    w64(p, c->to_modseq);
    w64(p, c->reported_ms);
    w64(p, c->messages);
    w64(p, c->bytes);
    w64(p, c->sole_messages);
    w64(p, c->sole_bytes);
}

static void read_cursor(struct eye *e, struct cursor_row *c)
{
    c->store = r32(e);
    c->slot = r8(e);
    uint8_t bits = r8(e);
    c->in_progress = (bits & 1) != 0;
    c->compared = (bits & 2) != 0;
    c->full = (bits & 4) != 0;
    c->uidvalidity = r32(e);
    c->uidnext = r32(e);
    c->next_uid = r32(e);
    c->modseq = r64(e);
    c->from_modseq = r64(e);
    c->to_modseq = r64(e);
    c->reported_ms = r64(e);
    c->messages = r64(e);
    c->bytes = r64(e);
    c->sole_messages = r64(e);
    c->sole_bytes = r64(e);
    if (c->slot >= SLOTS_MAX) {
        e->bad = true;
    }
}

size_t mailbox_row_encode(const struct mailbox_row *r, uint8_t *out)
{
    struct pen p = {out};
    w8(&p, r->subscribed);
    w8(&p, r->lead_slot);
    w8(&p, r->pending_slot);
    w8(&p, r->cursor_count);
    w16(&p, r->clearing);
    w64(&p, r->pending_ms);
    write_generation(&p, &r->current);
    write_generation(&p, &r->pending);
    for (unsigned i = 0; i < r->cursor_count; i++) {
        write_cursor(&p, &r->cursors[i]);
    }
    w16(&p, r->name_size);
    wbytes(&p, r->name, r->name_size);
    return (size_t)(p.at - out);
}

enum status mailbox_row_decode(struct bytes key, struct bytes b, struct mailbox_row *out_r)
{
    struct eye e = eye_on(b);
    if (key.size != 4 + MAILBOX_GUID_BYTES) {
        return STATUS_CORRUPT;
    }
    out_r->owner = get_be32(key.data);
    memcpy(out_r->guid, key.data + 4, MAILBOX_GUID_BYTES);
    out_r->subscribed = r8(&e) != 0;
    out_r->lead_slot = r8(&e);
    out_r->pending_slot = r8(&e);
    out_r->cursor_count = r8(&e);
    out_r->clearing = r16(&e);
    out_r->pending_ms = r64(&e);
    read_generation(&e, &out_r->current);
    read_generation(&e, &out_r->pending);
    if (out_r->cursor_count > SLOTS_MAX) {
        return STATUS_CORRUPT;
    }
    for (unsigned i = 0; i < out_r->cursor_count; i++) {
        read_cursor(&e, &out_r->cursors[i]);
    }
    out_r->name_size = r16(&e);
    struct bytes name = rbytes(&e, out_r->name_size);
    if (e.bad || name.size > MAILBOX_NAME_BYTES_MAX) {
        return STATUS_CORRUPT;
    }
    if (name.size > 0) {
        memcpy(out_r->name, name.data, name.size);
    }
    return whole(&e);
}

struct cursor_row *mailbox_cursor_find(struct mailbox_row *m, uint32_t store)
{
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].store == store && mailbox_cursor_live(m, &m->cursors[i])) {
            return &m->cursors[i];
        }
    }
    return NULL;
}

void mailbox_cursor_remove(struct mailbox_row *m, uint8_t slot)
{
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].slot == slot) {
            m->cursor_count--;
            memmove(&m->cursors[i], &m->cursors[i + 1],
                    (m->cursor_count - i) * sizeof(m->cursors[0]));
            return;
        }
    }
}

/* ---- stores ---- */

size_t store_row_encode(const struct store_row *r, uint8_t *out)
{
    struct pen p = {out};
    w32(&p, r->place);
    w64(&p, r->complete_ms);
    w64(&p, r->heard_ms);
    w64(&p, r->mailboxes);
    w64(&p, r->messages);
    w64(&p, r->bytes);
    w64(&p, r->sole_messages);
    w64(&p, r->sole_bytes);
    w64(&p, r->missing_messages);
    w64(&p, r->missing_bytes);
    w8(&p, r->site_size);
    wbytes(&p, r->site, r->site_size);
    return (size_t)(p.at - out);
}

enum status store_row_decode(uint32_t number, struct bytes b, struct store_row *out_r)
{
    struct eye e = eye_on(b);
    out_r->number = number;
    out_r->place = r32(&e);
    out_r->complete_ms = r64(&e);
    out_r->heard_ms = r64(&e);
    out_r->mailboxes = r64(&e);
    out_r->messages = r64(&e);
    out_r->bytes = r64(&e);
    out_r->sole_messages = r64(&e);
    out_r->sole_bytes = r64(&e);
    out_r->missing_messages = r64(&e);
    out_r->missing_bytes = r64(&e);
    out_r->site_size = r8(&e);
    struct bytes site = rbytes(&e, out_r->site_size);
    if (e.bad || site.size > SITE_BYTES_MAX) {
        return STATUS_CORRUPT;
    }
    if (site.size > 0) {
        memcpy(out_r->site, site.data, site.size);
    }
    return whole(&e);
}
