/* clusterctl store list: asks each shard for its stores, in pages. */
#include "ctl/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/page.h"

#define ROOM_FIRST 64u

static enum status add(struct ctl *c, struct store_sums *s, const Mq__FoundingShard *shard,
                       const Mq__StoreSums *from, enum exit_code *out_code)
{
    if (s->n == STORES_LISTED_MAX) {
        *out_code =
            ctl_refuse(c, STATUS_TOO_BIG, "there are more than %u stores", STORES_LISTED_MAX);
        return STATUS_TOO_BIG;
    }
    if (s->n == 0 || (s->n >= ROOM_FIRST && (s->n & (s->n - 1)) == 0)) { /* 64, 128, 256... */
        struct store_sum *more =
            realloc(s->of, (s->n == 0 ? ROOM_FIRST : 2u * s->n) * sizeof(*more));
        if (more == NULL) {
            *out_code = ctl_refuse(c, STATUS_NO_MEMORY, "out of memory");
            return STATUS_NO_MEMORY;
        }
        s->of = more;
    }
    struct store_sum *x = &s->of[s->n++];
    memset(x, 0, sizeof(*x));
    x->shard = shard->shard;
    snprintf(x->shard_name, sizeof(x->shard_name), "%s", shard->name);
    snprintf(x->store, sizeof(x->store), "%s", from->store);
    snprintf(x->site, sizeof(x->site), "%s", from->site);
    x->complete_ms = from->complete_ms;
    x->heard_ms = from->heard_ms;
    x->mailboxes = from->mailboxes;
    x->messages = from->messages;
    x->bytes = from->bytes;
    x->sole_messages = from->sole_messages;
    x->sole_bytes = from->sole_bytes;
    x->missing_messages = from->missing_messages;
    x->missing_bytes = from->missing_bytes;
    return OK;
}

static enum status fetch_shard(struct ctl *c, const Mq__FoundingShard *shard, struct call_answer *a,
                               struct store_sums *out_s, enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryStores body = MQ__QUERY_STORES__INIT;
    struct page_position after = {.size = 0};
    bool more = true;
    query.body_case = MQ__QUERY__BODY_STORES;
    query.stores = &body;
    while (more) {
        Mq__QueryResult *result;
        enum status s = ctl_query(c, NULL, shard->shard, &query, a, &result, out_code);
        if (s != OK) {
            return s;
        }
        if (body.after == 0 && result->shard_sums != NULL) {
            out_s->mailboxes += result->shard_sums->mailboxes;
            out_s->messages += result->shard_sums->messages;
            out_s->bytes += result->shard_sums->bytes;
        }
        for (size_t i = 0; i < result->n_stores && s == OK; i++) {
            s = add(c, out_s, shard, result->stores[i], out_code);
            body.after = result->stores[i]->number;
        }
        more = result->more;
        if (more && s == OK) {
            uint64_t next = body.after;
            s = page_next(c, &after, page_number(&next), a, out_code);
        }
        mq__query_result__free_unpacked(result, NULL);
        if (s != OK) {
            return s;
        }
    }
    return OK;
}

enum status store_sums_fetch(struct ctl *c, struct call_answer *a, struct store_sums *out_s,
                             enum exit_code *out_code)
{
    const Mq__Founding *f;
    memset(out_s, 0, sizeof(*out_s));
    enum status s = ctl_founding(c, &f, out_code);
    for (size_t i = 0; s == OK && i < f->n_shards; i++) {
        if (f->shards[i]->shard != SHARD_DIRECTORY) {
            snprintf(c->doing, sizeof(c->doing), "shard %.200s", f->shards[i]->name);
            s = fetch_shard(c, f->shards[i], a, out_s, out_code);
        }
    }
    c->doing[0] = '\0';
    return s;
}

void store_sums_free(struct store_sums *s)
{
    free(s->of);
    memset(s, 0, sizeof(*s));
}

static uint64_t behind_ms(const struct store_sum *s, uint64_t now_ms)
{
    return now_ms > s->complete_ms ? now_ms - s->complete_ms : 0;
}

const char *store_behind(const struct store_sum *s, uint64_t now_ms, char text[SPAN_TEXT_SIZE])
{
    return s->complete_ms == 0 ? "?" : span_format(behind_ms(s, now_ms), text);
}

json_t *store_sum_json(const struct store_sum *s, uint64_t now_ms)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "store",
        json_text(s->store), "site", s->site[0] != '\0' ? json_text(s->site) : json_null(), "shard",
        json_text(s->shard_name), "reported_up_to", json_time(s->complete_ms), "behind_seconds",
        json_seconds(s->complete_ms != 0, behind_ms(s, now_ms)), "heard", json_time(s->heard_ms),
        "mailboxes", json_u64(s->mailboxes), "messages", json_u64(s->messages), "size_bytes",
        json_u64(s->bytes), "messages_only_there", json_u64(s->sole_messages), "bytes_only_there",
        json_u64(s->sole_bytes), "messages_missing", json_u64(s->missing_messages), "bytes_missing",
        json_u64(s->missing_bytes));
}

enum exit_code run_store_list(struct ctl *c)
{
    static const char *const columns[] = {"STORE",    "SITE", "SHARD",     "BEHIND", "MAILBOXES",
                                          "MESSAGES", "SIZE", "ONLY HERE", "MISSING"};
    struct store_sums sums;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    char text[SPAN_TEXT_SIZE];
    uint64_t now_ms = clock_wall_ms(&clock_system);
    if (store_sums_fetch(c, &a, &sums, &code) != OK) {
        store_sums_free(&sums);
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "stores");
    ctl_source(c, &s, &a);
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&s, columns[i]);
    }
    for (unsigned i = 0; i < sums.n; i++) {
        const struct store_sum *x = &sums.of[i];
        screen_cell(&s, "%s", x->store);
        screen_cell(&s, "%s", x->site[0] != '\0' ? x->site : "?");
        screen_cell(&s, "%s", x->shard_name);
        screen_cell(&s, "%s", store_behind(x, now_ms, text));
        screen_cell(&s, "%" PRIu64, x->mailboxes);
        screen_cell(&s, "%" PRIu64, x->messages);
        screen_cell(&s, "%s", size_format(x->bytes, text));
        screen_cell(&s, "%" PRIu64, x->sole_messages);
        screen_cell(&s, "%" PRIu64, x->missing_messages);
        json_array_append_new(rows, store_sum_json(x, now_ms));
    }
    json_object_set_new(s.data, "stores", rows);
    snprintf(s.summary, sizeof(s.summary), "%" PRIu64 " messages of %" PRIu64 " mailboxes (%s)",
             sums.messages, sums.mailboxes, size_format(sums.bytes, text));
    store_sums_free(&sums);
    call_answer_clear(&a);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}
