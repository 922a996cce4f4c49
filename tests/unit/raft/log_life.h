/* Many lives of one log over the crash disk, from one seed, against a model.
 *
 * Every record is kept with its sequence. After each crash the log says up to which sequence it
 * recovered: that must be at least what was reported durable, at most what was queued, and every
 * shard must be exactly what the records up to there make of it: states, terms of all entries,
 * bytes. A power cut alone is never damage. A violation is a sentence. */
#ifndef MQ_TESTS_UNIT_RAFT_LOG_LIFE_H
#define MQ_TESTS_UNIT_RAFT_LOG_LIFE_H

#include "tests/unit/raft/log_rig.h"

#define LIFE_SHARDS      4u
#define LIFE_INDEX_MAX   8192u
#define LIFE_RECORDS_MAX 20000u

struct life_shard {
    bool exists;
    uint64_t term, vote, snapshot;
    uint64_t floor; /* nothing below it since the last install */
    uint64_t last;
    uint32_t terms[LIFE_INDEX_MAX];
};

struct life_record {
    uint64_t sequence;
    enum log_kind kind;
    shard_id shard;
    uint64_t index, term, vote, snapshot;
};

struct life {
    struct rig rig;
    struct random random;
    struct life_shard base[LIFE_SHARDS]; /* at base_sequence */
    struct life_shard now[LIFE_SHARDS];  /* at the sequence being checked */
    uint64_t base_sequence;
    struct life_record records[LIFE_RECORDS_MAX];
    uint32_t records_n;
    uint64_t durable; /* reported, or recovered by a log that opened */
    uint64_t queued;
    uint32_t failed_opens; /* in a row: each may have left a record of its generation */
    bool kills;
    uint32_t crashes, kills_n, switches;
    char violation[256];
};

__attribute__((unused)) static bool life_wrong(struct life *w, const char *what, uint64_t a,
                                               uint64_t b)
{
    if (w->violation[0] == 0) {
        snprintf(w->violation, sizeof(w->violation), "%.200s (%" PRIu64 ", %" PRIu64 ")", what, a,
                 b);
    }
    return false;
}

static inline void life_apply(struct life_shard *s, const struct life_record *r)
{
    switch (r->kind) {
        case KIND_ENTRY:
            s->last = r->index;
            s->terms[r->index] = (uint32_t)r->term;
            break;
        case KIND_TRUNCATE:
            s->last = r->index - 1;
            break;
        case KIND_STATE:
        case KIND_INSTALL:
            s->exists = true;
            s->term = r->term;
            s->vote = r->vote;
            s->snapshot = r->snapshot;
            if (r->kind == KIND_INSTALL) {
                s->floor = r->snapshot + 1;
                s->last = r->snapshot;
            }
            break;
        case KIND_GENERATION:
            break;
    }
}

/* w->now = the model at `sequence`. */
static inline void life_model_at(struct life *w, uint64_t sequence)
{
    memcpy(w->now, w->base, sizeof(w->now));
    for (uint32_t i = 0; i < w->records_n && w->records[i].sequence <= sequence; i++) {
        life_apply(&w->now[w->records[i].shard], &w->records[i]);
    }
}

__attribute__((unused)) static bool life_compare_shard(struct life *w, shard_id shard, bool quiet)
{
    const struct life_shard *m = &w->now[shard];
    const struct log_state *s = log_state_find(w->rig.log, shard);
    const char *what = NULL;
    if (!m->exists) {
        return s == NULL ? true : quiet ? false : life_wrong(w, "a shard was invented", shard, 0);
    }
    if (s == NULL) {
        return quiet ? false : life_wrong(w, "a shard is gone", shard, 0);
    }
    uint64_t first = log_first_index(w->rig.log, shard), last = log_last_index(w->rig.log, shard);
    what = s->term != m->term                 ? "term"
           : s->vote != m->vote               ? "vote"
           : s->snapshot_index != m->snapshot ? "snapshot"
                                              : NULL;
    what = what != NULL                                  ? what
           : last != m->last                             ? "last index"
           : first > m->snapshot + 1 || first < m->floor ? "first index"
                                                         : NULL;
    for (uint64_t i = first; i <= last && what == NULL; i++) {
        const struct log_entry *e = log_entry_find(w->rig.log, shard, i);
        what = e == NULL || e->term != m->terms[i] ? "term of an entry" : NULL;
    }
    if (what != NULL) {
        return quiet ? false : life_wrong(w, what, last, m->last);
    }
    for (uint64_t i = first; i <= last && !quiet; i++) {
        if (rig_read(&w->rig, shard, i) != OK) {
            return life_wrong(w, "an entry can't be read", shard, i);
        }
    }
    return true;
}

/* After an open that succeeded. */
__attribute__((unused)) static bool life_check(struct life *w)
{
    struct log *l = w->rig.log;
    uint64_t sequence = log_durable_sequence(l) - 1; /* without the record of this generation */
    if (log_ever_damaged(l)) {
        return life_wrong(w, "a crash looks like damage", sequence, 0);
    }
    bool found = false;
    for (uint32_t back = 0; back <= w->failed_opens && !found; back++) {
        if (sequence < back || sequence - back < w->durable || sequence - back > w->queued) {
            continue;
        }
        life_model_at(w, sequence - back);
        found = true;
        for (shard_id i = 0; i < LIFE_SHARDS; i++) {
            found = found && life_compare_shard(w, i, true);
        }
    }
    if (!found && (sequence < w->durable || sequence > w->queued + w->failed_opens)) {
        return life_wrong(w, "recovered sequence and durable", sequence, w->durable);
    }
    if (!found) {
        life_model_at(w, sequence);
    }
    for (shard_id i = 0; i < LIFE_SHARDS; i++) {
        if (!life_compare_shard(w, i, false)) {
            return false;
        }
    }
    memcpy(w->base, w->now, sizeof(w->base));
    w->records_n = 0;
    w->failed_opens = 0;
    w->durable = log_durable_sequence(l);
    w->queued = w->durable;
    return true;
}

__attribute__((unused)) static void life_note(struct life *w, struct life_record r)
{
    CHECK(w->records_n < LIFE_RECORDS_MAX);
    w->records[w->records_n++] = r;
    w->queued = r.sequence;
}

__attribute__((unused)) static void life_put(struct life *w, shard_id shard, uint64_t term,
                                             uint64_t vote, uint64_t snapshot, enum log_kind kind)
{
    const struct log_state *old = log_state_find(w->rig.log, shard);
    struct log_state s = old == NULL ? rig_state(shard, 0, 0) : *old;
    s.term = term;
    s.vote = vote;
    s.snapshot_index = snapshot;
    uint64_t sequence =
        kind == KIND_INSTALL ? log_install(w->rig.log, &s) : log_put_state(w->rig.log, &s);
    life_note(w, (struct life_record){sequence, kind, shard, 0, term, vote, snapshot});
}

__attribute__((unused)) static void life_append(struct life *w, shard_id shard)
{
    struct log *l = w->rig.log;
    const struct log_state *s = log_state_find(l, shard);
    uint64_t last = log_last_index(l, shard),
             low = s->snapshot_index + 1 > log_first_index(l, shard) ? s->snapshot_index + 1
                                                                     : log_first_index(l, shard);
    uint64_t first = last + 1;
    uint32_t n = (uint32_t)random_below(&w->random, 6);
    uint32_t size =
        (uint32_t)random_below(&w->random, random_below(&w->random, 4) == 0 ? 6000 : 300);
    if (random_below(&w->random, 5) == 0 && last >= low) {
        first = low + random_below(&w->random, last + 1 - low);
    }
    if (first + n >= LIFE_INDEX_MAX || (n == 0 && first > last)) {
        return;
    }
    uint64_t sequence = rig_append(&w->rig, shard, first, n, s->term, size);
    if (n == 0) {
        life_note(w,
                  (struct life_record){
                      .sequence = sequence, .kind = KIND_TRUNCATE, .shard = shard, .index = first});
    }
    for (uint32_t i = 0; i < n; i++) {
        life_note(w, (struct life_record){.sequence = sequence - n + 1 + i,
                                          .kind = KIND_ENTRY,
                                          .shard = shard,
                                          .index = first + i,
                                          .term = s->term});
    }
}

__attribute__((unused)) static void life_step(struct life *w)
{
    shard_id shard = (shard_id)random_below(&w->random, LIFE_SHARDS);
    if (random_below(&w->random, 3) != 0) {
        shard = 0; /* one is busy, the others are quiet */
    }
    const struct log_state *s = log_state_find(w->rig.log, shard);
    if (s == NULL) {
        life_put(w, shard, 1 + random_below(&w->random, 5), 0, 0, KIND_STATE);
        return;
    }
    uint64_t snapshot = s->snapshot_index, last = log_last_index(w->rig.log, shard),
             what = random_below(&w->random, 20);
    if (what == 0) {
        life_put(w, shard, s->term + random_below(&w->random, 2), random_below(&w->random, 9),
                 snapshot, KIND_STATE);
    } else if (what == 1 && last + 20 < LIFE_INDEX_MAX && random_below(&w->random, 6) == 0) {
        life_put(w, shard, s->term, s->vote, last + random_below(&w->random, 10), KIND_INSTALL);
    } else if ((what == 2 || log_wants_checkpoint(w->rig.log, shard, 0)) && last > snapshot) {
        uint64_t index = snapshot + 1 + random_below(&w->random, last - snapshot);
        life_put(w, shard, s->term, s->vote, index, KIND_STATE);
        log_cut(w->rig.log, shard, index - random_below(&w->random, 2) * (index - snapshot));
    } else {
        life_append(w, shard);
    }
}

/* Opens; false on a violation. *out_open tells whether the log is there (the power may go while it
 * opens). */
__attribute__((unused)) static bool life_open(struct life *w, bool *out_open)
{
    struct error e = {0};
    enum status s = rig_try_open(&w->rig, &e);
    *out_open = s == OK;
    if (s == OK) {
        return life_check(w);
    }
    w->failed_opens++;
    if (!crash_disk_is_cut(w->rig.disk)) {
        life_wrong(w, e.text, s, 0);
        return false;
    }
    return true;
}

__attribute__((unused)) static void life_live(struct life *w)
{
    uint64_t steps = 1 + random_below(&w->random, 60);
    for (uint64_t i = 0; i < steps && w->rig.failed == 0; i++) {
        for (uint64_t k = random_below(&w->random, 8); k > 0; k--) {
            life_step(w);
        }
        rig_flush(&w->rig);
        if (w->rig.durable > w->durable) {
            w->durable = w->rig.durable;
        }
    }
    w->switches += w->rig.log->current->number;
    for (uint64_t k = random_below(&w->random, 4); k > 0 && w->rig.failed == 0; k--) {
        life_step(w); /* queued and never written */
    }
}

/* NULL when nothing was violated; else a sentence that lives until the next call. */
__attribute__((unused)) static const char *life_run(uint64_t seed, uint32_t lives,
                                                    const char *disabled, bool kills)
{
    static char violation[256];
    struct life *w = calloc(1, sizeof(*w));
    CHECK(w != NULL);
    rig_init(&w->rig, seed);
    random_init_seed(&w->random, seed ^ 0x9e3779b97f4a7c15u);
    crash_disk_disable_sync(w->rig.disk, disabled);
    for (shard_id i = 0; i < LIFE_SHARDS; i++) {
        w->base[i].floor = 1;
    }
    for (uint32_t i = 0; i < lives && w->violation[0] == 0; i++) {
        bool open;
        if (random_below(&w->random, 4) != 0) {
            crash_disk_cut_at(
                w->rig.disk,
                1 + random_below(&w->random, random_below(&w->random, 3) == 0 ? 20 : 200));
        }
        if (life_open(w, &open) && open) {
            life_live(w);
        }
        if (w->rig.log != NULL) {
            rig_close(&w->rig);
        }
        if (kills && random_below(&w->random, 2) == 0) {
            crash_disk_kill(w->rig.disk);
            w->kills_n++;
        } else {
            crash_disk_crash(w->rig.disk, random_u64(&w->random));
            w->crashes++;
        }
    }
    memcpy(violation, w->violation, sizeof(violation));
    rig_deinit(&w->rig);
    free(w);
    return violation[0] == 0 ? NULL : violation;
}

#endif
