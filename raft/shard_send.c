/* What a shard replica sends. Every message waits while a term or vote record before it is not durable (U5); an AppendEntries is
 * filled from the log, cut into parts that fit a frame, and when its payloads are no longer cached they are read back first.
 * A message may always be dropped: Raft repeats it. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/message.h"
#include "raft/shard_internal.h"

void shard_send(struct shard *s, node_id node, enum channel channel, struct block **frame)
{
    struct block *b = *frame;
    *frame = NULL;
    bool free_to_go = s->hold_sequence <= s->host->durable && list_empty(&s->held);
    if (free_to_go || (shard_rules_off & SHARD_RULE_HOLD) != 0) {
        s->host->o.send(s->host->o.arg, node, channel, b);
        block_unref(b);
        return;
    }
    bool fits = s->held_n < HELD_MAX && s->held_bytes + b->size <= HELD_BYTES_MAX;
    struct held_frame *f = fits ? malloc(sizeof(*f)) : NULL;
    if (f == NULL) {
        block_unref(b); /* Raft repeats what is dropped */
        return;
    }
    *f = (struct held_frame){
        .sequence = s->hold_sequence, .node = node, .channel = channel, .frame = b};
    list_push_back(&s->held, &f->link);
    s->held_n++;
    s->held_bytes += b->size;
}

void shard_release_held(struct shard *s)
{
    while (!list_empty(&s->held)) {
        struct held_frame *f = container_of(s->held.next, struct held_frame, link);
        if (f->sequence > s->host->durable) {
            return;
        }
        list_remove(&f->link);
        s->held_n--;
        s->held_bytes -= f->frame->size;
        s->host->o.send(s->host->o.arg, f->node, f->channel, f->frame);
        block_unref(f->frame);
        free(f);
    }
}

void shard_send_message(struct shard *s, const struct engine_message *m)
{
    struct engine_message choice;
    if (m->kind == MESSAGE_APPEND_RESULT) {
        s->result_form = *m;
    }
    if (m->kind == MESSAGE_TIMEOUT_NOW) {
        choice = *m;
        choice.timeout_now.chosen = s->handover_chosen;
        m = &choice;
    }
    int to = shard_member_find(s, m->to);
    if (to < 0) {
        return;
    }
    struct message_envelope env = {.shard = s->o.shard,
                                   .epoch = s->o.epoch,
                                   .from = s->o.replica,
                                   .to = m->to,
                                   .lowest_match = shard_lowest_match(s)};
    struct block *frame;
    if (message_encode(&env, m, &frame) != OK) {
        s->dropped_total++;
        return;
    }
    bool bulk = (m->kind == MESSAGE_APPEND && m->append.n > 0) || m->kind == MESSAGE_INSTALL;
    shard_send(s, s->o.members[to].node, bulk ? CHANNEL_BULK : CHANNEL_CONTROL, &frame);
}

/* An AppendEntries whose payloads are read back from the disk first. */
struct append_fetch {
    struct log_fetch fetch;
    struct shard *shard;
    struct engine_message message;
    struct engine_entry entries[APPEND_ENTRIES_MAX];
};

static void on_append_fetched(struct log_fetch *f)
{
    struct append_fetch *a = container_of(f, struct append_fetch, fetch);
    struct shard *s = a->shard;
    must(s->fetches_n > 0);
    s->fetches_n--;
    s->dirty = true;
    if (f->status == OK) {
        if (shard_is_leader(s) && engine_term(s->engine) == a->message.term) {
            for (uint32_t i = 0; i < f->n; i++) {
                a->entries[i].payload = f->payloads[i];
            }
            a->message.append.entries = a->entries;
            shard_send_message(s, &a->message);
        }
        for (uint32_t i = 0; i < f->n; i++) {
            block_unref(f->payloads[i]);
        }
    }
    free(a);
}

static void fetch_append(struct shard *s, const struct engine_message *m,
                         const struct engine_entry *entries)
{
    struct append_fetch *a = s->fetches_n < APPEND_FETCHES_MAX ? malloc(sizeof(*a)) : NULL;
    if (a == NULL) {
        return; /* dropped: the engine asks again */
    }
    a->shard = s;
    a->message = *m;
    memcpy(a->entries, entries, sizeof(*entries) * m->append.n);
    a->fetch = (struct log_fetch){.shard = s->o.shard,
                                  .first = m->append.prev_index + 1,
                                  .n = m->append.n,
                                  .done = on_append_fetched};
    s->fetches_n++;
    log_fetch_submit(s->host->log, &a->fetch);
}

/* Fills one part of an AppendEntries from the log; returns how many entries it took, 0 when the log has not got them. */
static uint32_t fill_part(struct shard *s, struct engine_message *part, uint32_t left,
                          struct engine_entry *entries, bool *out_cached)
{
    uint64_t bytes = 0;
    uint32_t n = 0;
    *out_cached = true;
    while (n < left && n < APPEND_ENTRIES_MAX) {
        const struct log_entry *e =
            log_entry_find(s->host->log, s->o.shard, part->append.prev_index + 1 + n);
        if (e == NULL || (n > 0 && bytes + e->size > APPEND_BYTES_MAX)) {
            break;
        }
        *out_cached = *out_cached && (e->payload != NULL || e->size == 0);
        entries[n] = (struct engine_entry){e->term, e->type, e->payload};
        bytes += e->size;
        n++;
    }
    part->append.n = n;
    part->append.entries = entries;
    return n;
}

/* The engine limits an AppendEntries by count only; we cut it into parts that fit a frame. */
void shard_send_append(struct shard *s, const struct engine_message *m)
{
    struct engine_entry entries[APPEND_ENTRIES_MAX];
    struct engine_message part = *m;
    uint32_t left = m->append.n;
    if (left == 0) {
        shard_send_message(s, m);
        return;
    }
    while (left > 0) {
        bool cached;
        uint32_t n = fill_part(s, &part, left, entries, &cached);
        if (n == 0) {
            return;
        }
        uint64_t last_term = entries[n - 1].term;
        if (cached) {
            shard_send_message(s, &part);
        } else {
            fetch_append(s, &part, entries);
        }
        part.append.prev_index += n;
        part.append.prev_term = last_term;
        left -= n;
    }
}
