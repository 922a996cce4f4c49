/* clusterctl verify: the digests of all copies at one index; --deep computes each anew from every stored pair. A copy that differs is
 * named with node, shard and index. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static const Mq__FoundingShard *shard_by_id(const Mq__Founding *f, uint32_t shard)
{
    for (size_t i = 0; i < f->n_shards; i++) {
        if (f->shards[i]->shard == shard) {
            return f->shards[i];
        }
    }
    return NULL;
}

static const char *verdict_text(const Mq__VerifyRow *row)
{
    return !row->known ? "?" : row->ok ? "ok" : row->disputed ? "DISPUTED" : "DIFFERS";
}

static void row_show(const Mq__Founding *f, const Mq__VerifyRow *row, bool deep, struct screen *s,
                     json_t *rows)
{
    const Mq__FoundingShard *shard = shard_by_id(f, row->shard);
    const Mq__FoundingNode *node = ctl_node_by_id(f, row->node);
    struct bytes digest = {row->digest.data, row->digest.len};
    struct bytes recomputed = {row->recomputed.data, row->recomputed.len};
    char hex[40], hex2[40];
    hex_format(digest, hex, sizeof(hex));
    hex_format(recomputed, hex2, sizeof(hex2));
    screen_cell(s, "%s", shard != NULL ? shard->name : "?");
    screen_cell(s, "%s", node != NULL ? node->name : "?");
    screen_cell(s, row->known ? "%" PRIu64 : "?", row->index);
    screen_cell(s, "%s", row->known && digest.size > 0 ? hex : "?");
    if (deep) {
        screen_cell(s, "%s", row->known && recomputed.size > 0 ? hex2 : "?");
        screen_cell(s, row->known ? "%" PRIu64 : "?", row->rows);
    }
    screen_cell(s, "%s", verdict_text(row));
    screen_cell(s, "%s", row->text);
    json_array_append_new(rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "shard",
                                          json_text(shard != NULL ? shard->name : ""), "node",
                                          json_text(node != NULL ? node->name : ""), "index",
                                          json_u64_or_null(row->known, row->index), "digest",
                                          row->known ? json_hex(digest) : json_null(), "recomputed",
                                          row->known && deep ? json_hex(recomputed) : json_null(),
                                          "rows", json_u64_or_null(row->known && deep, row->rows),
                                          "ok", row->known ? json_boolean(row->ok) : json_null(),
                                          "disputed", row->disputed, "text", json_text(row->text)));
}

/* The names of the copies of a shard that did not answer, and the first of them; NULL when all did. */
static const Mq__VerifyRow *silent_names(const Mq__Founding *f, const Mq__VerifyView *v,
                                         uint32_t shard, char *text, size_t size)
{
    const Mq__VerifyRow *first = NULL;
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < v->n_rows; i++) {
        const Mq__FoundingNode *node = ctl_node_by_id(f, v->rows[i]->node);
        if (v->rows[i]->shard != shard || v->rows[i]->known) {
            continue;
        }
        int more = at < size ? snprintf(text + at, size - at, "%s%s", first != NULL ? " " : "",
                                        node != NULL ? node->name : "?")
                             : 0;
        at += more > 0 ? (size_t)more : 0;
        first = first != NULL ? first : v->rows[i];
    }
    return first;
}

static void differs_message(const Mq__Founding *f, const Mq__VerifyRow *row, const char *shard,
                            bool silent, struct screen *s)
{
    const Mq__FoundingNode *node = ctl_node_by_id(f, row->node);
    const char *name = node != NULL ? node->name : "?";
    char text[600];
    snprintf(text, sizeof(text), "node %s shard %s index %" PRIu64 ": the copy differs%s%.300s",
             name, shard, row->index, row->text[0] != '\0' ? ": " : "", row->text);
    screen_message(
        s, "DIVERGENCE", SEVERITY_RED, name, text,
        silent ? "bring back the nodes that are silent, then stop that node and take its store away"
               : "stop that node and take its store away: it fetches a new copy when it starts");
}

static void disputed_message(const Mq__VerifyRow *row, const char *shard, struct screen *s)
{
    char text[300];
    snprintf(text, sizeof(text),
             "shard %s index %" PRIu64
             ": copies differ, and no digest has a majority of those "
             "that answered: which is right is not known",
             shard, row->index);
    screen_message(s, "DIVERGENCE", SEVERITY_RED, shard, text,
                   "bring back every node, then clusterctl verify --deep");
    screen_message_more(s, 0, "empty any store");
}

/* One message for each copy that is known to be wrong; one for a shard where that is not known, and one for its copies that are silent. */
static void messages_show(const Mq__Founding *f, const Mq__VerifyView *v, struct screen *s)
{
    uint32_t shard_before = UINT32_MAX, disputed = UINT32_MAX;
    for (size_t i = 0; i < v->n_rows; i++) {
        const Mq__VerifyRow *row = v->rows[i];
        const Mq__FoundingShard *shard = shard_by_id(f, row->shard);
        const char *name = shard != NULL ? shard->name : "?";
        char silent[200], text[600];
        const Mq__VerifyRow *silent_first = silent_names(f, v, row->shard, silent, sizeof(silent));
        if (row->known && !row->ok && !row->disputed) {
            differs_message(f, row, name, silent_first != NULL, s);
        } else if (row->disputed && row->shard != disputed) {
            disputed_message(row, name, s);
            disputed = row->shard;
        }
        if (silent_first != NULL && row->shard != shard_before) {
            snprintf(text, sizeof(text), "shard %s: not verified on %s%s%.300s", name, silent,
                     silent_first->text[0] != '\0' ? ": " : "", silent_first->text);
            screen_message(s, "NOT_VERIFIED", SEVERITY_YELLOW, name, text, "");
        }
        shard_before = row->shard;
    }
}

enum exit_code run_verify(struct ctl *c)
{
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminVerify verify = MQ__ADMIN_VERIFY__INIT;
    Mq__AdminResult *result;
    struct call_answer a = {0};
    struct screen s;
    const Mq__Founding *f;
    enum exit_code code;
    bool deep = c->arguments.options.deep;
    unsigned bad = 0, unknown = 0;
    if (ctl_founding(c, &f, &code) != OK) {
        return code;
    }
    verify.deep = deep;
    admin.body_case = MQ__ADMIN__BODY_VERIFY;
    admin.verify = &verify;
    if (ctl_admin(c, SHARD_DIRECTORY, &admin, 0, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "verify");
    ctl_source(c, &s, &a);
    static const char *const columns[] = {"SHARD", "NODE", "INDEX", "DIGEST"};
    for (size_t i = 0; i < 4; i++) {
        screen_column(&s, columns[i]);
    }
    if (deep) {
        screen_column(&s, "RECOMPUTED");
        screen_column(&s, "PAIRS");
    }
    screen_column(&s, "VERDICT");
    screen_column(&s, "");
    json_t *rows = json_array();
    size_t n = result->verify != NULL ? result->verify->n_rows : 0;
    for (size_t i = 0; i < n; i++) {
        const Mq__VerifyRow *row = result->verify->rows[i];
        row_show(f, row, deep, &s, rows);
        bad += row->known && !row->ok;
        unknown += !row->known;
    }
    if (n > 0) {
        messages_show(f, result->verify, &s);
    }
    json_object_set_new(s.data, "deep", json_boolean(deep));
    json_object_set_new(s.data, "rows", rows);
    s.verdict = true;
    s.severity = bad > 0 ? SEVERITY_RED : unknown > 0 || n == 0 ? SEVERITY_YELLOW : SEVERITY_OK;
    snprintf(s.summary, sizeof(s.summary), "%zu copies %s: %u differ, %u not verified", n,
             deep ? "verified from every pair" : "compared", bad, unknown);
    mq__admin_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return ctl_finish(c, &s,
                      bad > 0        ? EXIT_CRITICAL
                      : unknown == n ? EXIT_NO_QUORUM
                      : unknown > 0  ? EXIT_DEGRADED
                                     : EXIT_HEALTHY);
}
