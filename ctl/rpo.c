/* Sums over shards; see the header. */
#include "ctl/rpo.h"

#include <inttypes.h>
#include <string.h>

static struct rpo_site *site_of(struct rpo *r, const char *site)
{
    for (unsigned i = 0; i < r->n; i++) {
        if (strcmp(r->sites[i].site, site) == 0) {
            return &r->sites[i];
        }
    }
    if (r->n == RPO_SITES_MAX) {
        return NULL;
    }
    struct rpo_site *x = &r->sites[r->n++];
    snprintf(x->site, sizeof(x->site), "%s", site);
    return x;
}

void rpo_sum(const struct cluster_view *v, struct rpo *out_r)
{
    memset(out_r, 0, sizeof(*out_r));
    out_r->whole = v->quorum;
    for (unsigned i = 0; i < v->shards_n; i++) {
        const struct view_shard *shard = &v->shards[i];
        out_r->whole = out_r->whole && (shard->shard == SHARD_DIRECTORY || shard->sites_known);
        for (unsigned k = 0; k < shard->sites_n; k++) {
            const struct view_holding *h = &shard->sites[k];
            struct rpo_site *x = site_of(out_r, h->site);
            if (x == NULL) {
                out_r->whole = false;
                continue;
            }
            x->stores += h->stores;
            x->unpositioned += h->unpositioned;
            x->sole_messages += h->sole_messages;
            x->sole_bytes += h->sole_bytes;
            if (h->complete_ms != 0 && (x->complete_ms == 0 || h->complete_ms < x->complete_ms)) {
                x->complete_ms = h->complete_ms;
            }
        }
    }
}

static void site_show(const struct rpo *r, const struct rpo_site *x, uint64_t now_ms,
                      struct screen *s, json_t *sites)
{
    char behind[SPAN_TEXT_SIZE] = "?", size[SPAN_TEXT_SIZE];
    bool known = r->whole && x->unpositioned == 0 && x->complete_ms != 0;
    uint64_t behind_ms = now_ms > x->complete_ms ? now_ms - x->complete_ms : 0;
    if (known) {
        span_format(behind_ms, behind);
    }
    json_array_append_new(
        sites,
        json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "site",
                  x->site[0] != '\0' ? json_text(x->site) : json_null(), "stores",
                  (json_int_t)x->stores, "stores_without_position", (json_int_t)x->unpositioned,
                  "records_behind_seconds", json_seconds(known, behind_ms), "messages_only_there",
                  json_u64_or_null(r->whole, x->sole_messages), "bytes_only_there",
                  json_u64_or_null(r->whole, x->sole_bytes)));
    const char *site = x->site[0] != '\0' ? x->site : "a store that names no site";
    if (!r->whole) {
        screen_line(s, "if %s burned now: records ? behind its stores, messages only there ?",
                    site);
    } else {
        screen_line(s,
                    "if %s burned now: records %s behind its stores, %" PRIu64
                    " messages (%s) only there",
                    site, behind, x->sole_messages, size_format(x->sole_bytes, size));
    }
}

void rpo_show(const struct cluster_view *v, struct screen *s)
{
    struct rpo r;
    json_t *sites = json_array();
    rpo_sum(v, &r);
    for (unsigned i = 0; i < r.n; i++) {
        site_show(&r, &r.sites[i], v->as_of_ms, s, sites);
    }
    json_object_set_new(s->data, "rpo",
                        json_pack("{s:n, s:o}", "accepted_mail_protected", "sites", sites));
}
