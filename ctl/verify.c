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
    screen_cell(s, "%s", !row->known ? "?" : row->ok ? "ok" : "DIFFERS");
    screen_cell(s, "%s", row->text);
    json_array_append_new(rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "shard",
                                          json_text(shard != NULL ? shard->name : ""), "node",
                                          json_text(node != NULL ? node->name : ""), "index",
                                          json_u64_or_null(row->known, row->index), "digest",
                                          row->known ? json_hex(digest) : json_null(), "recomputed",
                                          row->known && deep ? json_hex(recomputed) : json_null(),
                                          "rows", json_u64_or_null(row->known && deep, row->rows),
                                          "ok", row->known ? json_boolean(row->ok) : json_null(),
                                          "text", json_text(row->text)));
}

/* One message for each copy that differs, one for each shard that was not verified. */
static void row_message(const Mq__Founding *f, const Mq__VerifyRow *row, bool first_unknown,
                        struct screen *s)
{
    const Mq__FoundingShard *shard = shard_by_id(f, row->shard);
    const Mq__FoundingNode *node = ctl_node_by_id(f, row->node);
    const char *shard_name = shard != NULL ? shard->name : "?";
    const char *node_name = node != NULL ? node->name : "?";
    char text[600];
    if (row->known && !row->ok) {
        snprintf(text, sizeof(text), "node %s shard %s index %" PRIu64 ": the copy differs%s%.300s",
                 node_name, shard_name, row->index, row->text[0] != '\0' ? ": " : "", row->text);
        screen_message(
            s, "DIVERGENCE", SEVERITY_RED, node_name, text,
            "stop that node and take its store away: it fetches a new copy when it starts");
    } else if (!row->known && first_unknown) {
        snprintf(text, sizeof(text), "shard %s, node %s: not verified%s%.300s", shard_name,
                 node_name, row->text[0] != '\0' ? ": " : "", row->text);
        screen_message(s, "NOT_VERIFIED", SEVERITY_YELLOW, shard_name, text, "");
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
    uint32_t unknown_shard = UINT32_MAX;
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
        row_message(f, row, unknown_shard != row->shard, &s);
        unknown_shard = !row->known ? row->shard : unknown_shard;
        bad += row->known && !row->ok;
        unknown += !row->known;
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
