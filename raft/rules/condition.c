#include "raft/rules/condition.h"

#include <string.h>

#include "raft/rules/lag.h"

/* ---- nodes ---- */

static void disk(const struct observed_node *n, struct findings *f)
{
    struct sentence s;
    if (n->disk_total_bytes == 0 || n->disk_free_bytes >= n->disk_total_bytes / 10) {
        return;
    }
    bool little = n->disk_free_bytes < n->disk_total_bytes / 33;
    struct finding *at =
        findings_add(f, FINDING_DISK_LOW, little ? SEVERITY_ORANGE : SEVERITY_YELLOW, n->name);
    finding_text(at, &s);
    sentence_add(&s, "the disk of %s has %llu MB left (%llu %%)", n->name,
                 (unsigned long long)(n->disk_free_bytes >> 20),
                 (unsigned long long)(n->disk_free_bytes / (n->disk_total_bytes / 100 + 1)));
    finding_next(at, &s);
    sentence_add(&s, "make room on %s: below the reserve writes are refused", n->name);
}

static void certificate(const struct observed_node *n, struct findings *f)
{
    char span[SPAN_TEXT_SIZE];
    struct sentence s;
    if (n->certificate_left_ms == AGE_UNKNOWN || n->certificate_left_ms >= CERTIFICATE_YELLOW_MS) {
        return;
    }
    bool soon = n->certificate_left_ms < CERTIFICATE_ORANGE_MS;
    struct finding *at =
        findings_add(f, FINDING_CERT_EXPIRES, soon ? SEVERITY_ORANGE : SEVERITY_YELLOW, n->name);
    finding_text(at, &s);
    sentence_add(&s, "the certificate of %s expires in %s", n->name,
                 span_format(n->certificate_left_ms, span));
    finding_next(at, &s);
    sentence_add(&s, "clusterctl cert issue node %s, install it, then kill -HUP", n->name);
}

static bool ends_sooner(const struct observed_feed *a, const struct observed_feed *b)
{
    return a->certificate_left_ms < b->certificate_left_ms ||
           (a->certificate_left_ms == b->certificate_left_ms && strcmp(a->host, b->host) < 0);
}

/* Of all hosts' the one that ends first, and how many more do: hosts are many, and often issued on one day. */
static void feeds_certificates(const struct observation *o, struct findings *f)
{
    const struct observed_feed *first = NULL;
    char span[SPAN_TEXT_SIZE];
    struct sentence s;
    unsigned n = 0;
    for (unsigned i = 0; i < o->feeds_n; i++) {
        const struct observed_feed *feed = &o->feeds[i];
        if (feed->certificate_left_ms < CERTIFICATE_YELLOW_MS) {
            n++;
            first = first == NULL || ends_sooner(feed, first) ? feed : first;
        }
    }
    if (first == NULL) {
        return;
    }
    bool soon = first->certificate_left_ms < CERTIFICATE_ORANGE_MS;
    struct finding *at = findings_add(f, FINDING_CERT_EXPIRES,
                                      soon ? SEVERITY_ORANGE : SEVERITY_YELLOW, first->host);
    finding_text(at, &s);
    sentence_add(&s, "the certificate of the feed on %s expires in %s", first->host,
                 span_format(first->certificate_left_ms, span));
    if (n > 1) {
        sentence_add(&s, "; those of %u more feeds expire soon", n - 1);
    }
    finding_next(at, &s);
    sentence_add(&s, "clusterctl cert issue host %s, install it, then systemctl restart mailfeed",
                 first->host);
}

static void node_state(const struct observed_node *n, struct findings *f)
{
    char span[SPAN_TEXT_SIZE];
    struct sentence s;
    if (n->state[0] != '\0' && strcmp(n->state, "ok") != 0) {
        struct finding *at = findings_add(f, FINDING_NODE_STATE, SEVERITY_YELLOW, n->name);
        finding_text(at, &s);
        sentence_add(&s, "%s: %s", n->name, n->state);
    }
    if (n->sync_us >= SYNC_SLOW_US) {
        struct finding *at = findings_add(f, FINDING_SLOW_DISK, SEVERITY_YELLOW, n->name);
        finding_text(at, &s);
        sentence_add(&s, "the disk of %s takes %s for a sync", n->name,
                     span_format(n->sync_us / 1000, span));
        finding_next(at, &s);
        sentence_add(&s, "look at the disk of %s, and who else writes there", n->name);
    }
    if (n->stall_age_ms <= STALL_SHOWN_MS && n->stall_ms >= STALL_MS_MIN) {
        struct finding *at = findings_add(f, FINDING_STALLED, SEVERITY_BLUE, n->name);
        at->since_ms = n->stall_age_ms;
        finding_text(at, &s);
        sentence_add(&s, "%s stood still for %s", n->name, span_format(n->stall_ms, span));
        sentence_add(&s, " until %s ago", span_format(n->stall_age_ms, span));
    }
}

static void flapping(const struct observation *o, unsigned i, struct findings *f)
{
    struct sentence s;
    for (unsigned k = 0; k < o->nodes_n; k++) {
        unsigned breaks = o->nodes[i].links[k].breaks;
        if (k == i || breaks <= BREAKS_MAX) {
            continue;
        }
        struct finding *at = findings_add(f, FINDING_FLAPPING, SEVERITY_YELLOW, o->nodes[i].name);
        finding_text(at, &s);
        sentence_add(&s, "the connection from %s to %s was lost %u times in 5 minutes",
                     o->nodes[i].name, o->nodes[k].name, breaks);
        finding_next(at, &s);
        sentence_add(&s, "look at the network between %s and %s, and at the log of %s",
                     o->nodes[i].name, o->nodes[k].name, o->nodes[k].name);
    }
}

/* ---- clocks: as the observer measured them, its own being 0 ---- */

static int64_t median_offset(const struct observation *o)
{
    int64_t sorted[NODES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < o->nodes_n; i++) {
        const struct observed_link *l = &o->nodes[o->self].links[i];
        if (i != o->self && (!o->nodes[i].speaks || l->clock_error_us == 0)) {
            continue;
        }
        int64_t offset = i == o->self ? 0 : l->clock_offset_us;
        unsigned at = n++;
        while (at > 0 && sorted[at - 1] > offset) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = offset;
    }
    return sorted[(n - 1) / 2];
}

static void clocks(const struct observation *o, struct findings *f)
{
    struct sentence s;
    int64_t median = median_offset(o);
    for (unsigned i = 0; i < o->nodes_n; i++) {
        const struct observed_link *l = &o->nodes[o->self].links[i];
        if (i != o->self && (!o->nodes[i].speaks || l->clock_error_us == 0)) {
            continue;
        }
        int64_t off = (i == o->self ? 0 : l->clock_offset_us) - median;
        uint64_t size = off < 0 ? 0 - (uint64_t)off : (uint64_t)off;
        uint64_t error = i == o->self ? 0 : l->clock_error_us;
        if (size <= CLOCK_OFFSET_US_MAX + error) {
            continue;
        }
        struct finding *at =
            findings_add(f, FINDING_CLOCK_OFFSET, SEVERITY_YELLOW, o->nodes[i].name);
        finding_text(at, &s);
        sentence_add(&s, "the clock of %s is %c%llu ms from the median (limit %u)",
                     o->nodes[i].name, off < 0 ? '-' : '+', (unsigned long long)(size / 1000),
                     CLOCK_OFFSET_US_MAX / 1000);
        sentence_add(&s, "; nothing is decided by it, but logs and certificates are read by it");
        finding_next(at, &s);
        sentence_add(&s, "chronyc tracking on %s", o->nodes[i].name);
    }
}

/* ---- copies: of each node the worst, and how many more ---- */

static void more_text(unsigned more, const char *what, struct sentence *s)
{
    if (more > 0) {
        sentence_add(s, "; %u more of its copies %s", more, what);
    }
}

static enum severity state_severity(const struct observed_replica *r)
{
    return observation_votes_no_more(r) ? SEVERITY_ORANGE : SEVERITY_YELLOW;
}

static void judge_states(const struct observation *o, unsigned place, struct findings *f)
{
    const struct observed_replica *worst = NULL;
    const char *shard = "";
    const char *node = o->nodes[place].name;
    struct sentence s;
    unsigned n = 0;
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        const struct observed_replica *r = observation_replica(&o->shards[i], place);
        if (r == NULL || !r->known || r->ok) {
            continue;
        }
        n++;
        if (worst == NULL || state_severity(r) > state_severity(worst)) {
            worst = r;
            shard = o->shards[i].name;
        }
    }
    if (worst == NULL) {
        return;
    }
    bool votes_no_more = state_severity(worst) == SEVERITY_ORANGE;
    bool amnesia = strncmp(worst->state, "AMNESIA", 7) == 0;
    struct finding *at = findings_add(f, amnesia ? FINDING_AMNESIA : FINDING_REPLICA_STATE,
                                      state_severity(worst), node);
    finding_text(at, &s);
    sentence_add(&s, "the copy of %s on %s: %s", shard, node, worst->state);
    more_text(n - 1, "are not in order", &s);
    finding_next(at, &s);
    if (votes_no_more) {
        sentence_add(&s, "this copy may not vote again; keep the others up");
    } else {
        sentence_add(&s, "wait: it heals itself; the log of %s says how far it is", node);
    }
}

static void lag_text(const struct observed_replica *r, const struct lag_verdict *v,
                     struct sentence *s)
{
    char span[SPAN_TEXT_SIZE];
    sentence_add(s, "%s behind (%llu entries, %llu kB)", span_format(r->lag_ms, span),
                 (unsigned long long)r->lag_entries, (unsigned long long)(r->lag_bytes >> 10));
    if (r->lag_slope_known) {
        bool falls = r->lag_slope_us < 0;
        uint64_t size = falls ? 0 - (uint64_t)r->lag_slope_us : (uint64_t)r->lag_slope_us;
        sentence_add(s, ", %c%s/s", falls ? '-' : '+', span_format(size / 1000, span));
    }
    sentence_add(s, v->course == LAG_BREACH ? "; reaches its limit " : "; ETA: ");
    lag_eta_text(v, s);
}

static void judge_lags(const struct observation *o, unsigned place, struct findings *f)
{
    const struct observed_replica *worst = NULL;
    struct lag_verdict verdict = {.severity = SEVERITY_OK};
    const char *shard = "";
    const char *node = o->nodes[place].name;
    struct sentence s;
    unsigned n = 0;
    for (int i = observation_next_shard(o, -1); i >= 0;
         i = observation_next_shard(o, o->shards[i].shard)) {
        const struct observed_replica *r = observation_replica(&o->shards[i], place);
        if (r == NULL || !r->lag_known || (r->known && !r->ok)) {
            continue;
        }
        struct lag_verdict v = lag_judge(r->lag_ms, r->lag_slope_known, r->lag_slope_us, 0);
        n += v.severity > SEVERITY_OK ? 1 : 0;
        if (v.severity > verdict.severity ||
            (v.severity == verdict.severity && worst != NULL && r->lag_ms > worst->lag_ms)) {
            worst = r;
            verdict = v;
            shard = o->shards[i].name;
        }
    }
    if (worst == NULL) {
        return;
    }
    struct finding *at = findings_add(f, FINDING_LAG, verdict.severity, node);
    at->since_ms = worst->lag_ms;
    finding_text(at, &s);
    sentence_add(&s, "the copy of %s on %s is ", shard, node);
    lag_text(worst, &verdict, &s);
    more_text(n - 1, "are behind", &s);
    finding_next(at, &s);
    sentence_add(&s, "clusterctl lag --eta; look at the disk of %s and the network to it", node);
}

void condition_judge(const struct observation *o, struct findings *f)
{
    for (unsigned i = 0; i < o->nodes_n; i++) {
        if (o->nodes[i].speaks) {
            node_state(&o->nodes[i], f);
            disk(&o->nodes[i], f);
            certificate(&o->nodes[i], f);
            flapping(o, i, f);
        }
    }
    feeds_certificates(o, f);
    clocks(o, f);
    for (unsigned i = 0; i < o->nodes_n; i++) {
        judge_states(o, i, f);
        if (observation_majority_heard(o) && observation_alive(o, i)) {
            judge_lags(o, i, f);
        }
    }
}
