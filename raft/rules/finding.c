#include "raft/rules/finding.h"

#include <string.h>

const char *finding_name(enum finding_kind kind)
{
    static const char *const names[FINDING_KINDS] = {
        "TWO_LEADERS",  "DIVERGENCE",    "NO_QUORUM",    "SITE_DOWN",   "WITNESS_DOWN",
        "DC_LINK_CUT",  "ASYMMETRIC",    "SOLE_SITE",    "NODE_FROZEN", "NODE_DOWN",
        "UNCONFIRMED",  "LINK_CUT",      "QUORUM_LOST",  "NO_LEADER",   "QUORUM_MARGIN",
        "AMNESIA",      "REPLICA_STATE", "NODE_STATE",   "DISK_LOW",    "SLOW_DISK",
        "LAG",          "CERT_EXPIRES",  "CLOCK_OFFSET", "FLAPPING",    "STALE_LEADER",
        "LEADER_MOVED", "AWAY",          "STALLED",
    };
    return names[kind];
}

void findings_init(struct findings *f)
{
    f->n = 0;
    f->left_out = 0;
    f->severity = SEVERITY_OK;
}

static bool weighs_more(enum severity severity, enum finding_kind kind, const struct finding *than)
{
    return severity != than->severity ? severity > than->severity : kind < than->kind;
}

/* Of those that are there the one that weighs least, if the new one weighs more; else the scrap. */
static struct finding *place_in_full(struct findings *f, enum finding_kind kind,
                                     enum severity severity)
{
    struct finding *least = &f->items[0];
    for (unsigned i = 1; i < f->n; i++) {
        least = weighs_more(f->items[i].severity, f->items[i].kind, least) ? least : &f->items[i];
    }
    return weighs_more(severity, kind, least) ? least : &f->scrap;
}

struct finding *findings_add(struct findings *f, enum finding_kind kind, enum severity severity,
                             const char *object)
{
    bool full = f->n == FINDINGS_MAX;
    struct finding *at = full ? place_in_full(f, kind, severity) : &f->items[f->n++];
    struct sentence s;
    f->left_out += full ? 1 : 0;
    f->severity = severity_higher(f->severity, severity);
    at->kind = kind;
    at->severity = severity;
    at->since_ms = AGE_UNKNOWN;
    at->text[0] = at->next[0] = at->avoid[0] = '\0';
    sentence_init(&s, at->object, sizeof(at->object));
    sentence_add(&s, "%s", object);
    return at;
}

static bool before(const struct finding *a, const struct finding *b)
{
    if (a->severity != b->severity) {
        return a->severity > b->severity;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind;
    }
    int order = strcmp(a->object, b->object);
    return order != 0 ? order < 0 : strcmp(a->text, b->text) < 0;
}

/* By insertion: they are few. The scrap is free by now and holds the one that moves. */
void findings_sort(struct findings *f)
{
    for (unsigned i = 1; i < f->n; i++) {
        unsigned at = i;
        f->scrap = f->items[i];
        while (at > 0 && before(&f->scrap, &f->items[at - 1])) {
            f->items[at] = f->items[at - 1];
            at--;
        }
        f->items[at] = f->scrap;
    }
}

void finding_text(struct finding *f, struct sentence *out_s)
{
    sentence_init(out_s, f->text, sizeof(f->text));
}

void finding_next(struct finding *f, struct sentence *out_s)
{
    sentence_init(out_s, f->next, sizeof(f->next));
}

void finding_avoid(struct finding *f, struct sentence *out_s)
{
    sentence_init(out_s, f->avoid, sizeof(f->avoid));
}

void name_list_add(struct name_list *l, const char *name)
{
    if (l->n++ < NAMES_SHOWN_MAX) {
        sentence_add(l->s, "%s%s", l->n > 1 ? " " : "", name);
    }
}

void name_list_end(struct name_list *l)
{
    if (l->n > NAMES_SHOWN_MAX) {
        sentence_add(l->s, " and %u more", l->n - NAMES_SHOWN_MAX);
    }
}
