#include "ctl/lag_eta.h"

#include <stdio.h>
#include <string.h>

const char *lag_course(const struct cluster_view *v, const struct view_replica *r)
{
    if (!v->nodes[r->node].up) {
        return "down";
    }
    return v->quorum && r->lag_known ? r->course : "";
}

/* Which of two courses is the worse one to have. */
static int course_rank(const struct view_replica *r)
{
    static const char *const worst_first[] = {"not_falling", "clears", "breach", "unknown"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(r->course, worst_first[i]) == 0) {
            return 4 - i;
        }
    }
    return 0;
}

/* Those that hear each other: the copy that crosses the limit first, or stays above it. NULL = not known. */
static const struct view_replica *worst_of(const struct cluster_view *v,
                                           const struct view_shard *shard)
{
    const struct view_replica *worst = NULL;
    for (unsigned i = 0; v->quorum && i < shard->replicas_n; i++) {
        const struct view_replica *r = &shard->replicas[i];
        if (!r->lag_known || r->eta[0] == '\0') {
            continue;
        }
        int by = worst == NULL ? 1 : course_rank(r) - course_rank(worst);
        if (by > 0 || (by == 0 && r->eta_ms < worst->eta_ms)) {
            worst = r;
        }
    }
    return worst;
}

void lag_eta_format(const struct cluster_view *v, const struct view_shard *shard, char *text,
                    size_t size)
{
    const struct view_replica *worst = worst_of(v, shard), *down = NULL;
    unsigned more = 0;
    for (unsigned i = 0; i < shard->replicas_n; i++) {
        const struct view_replica *r = &shard->replicas[i];
        if (r->voter && !v->nodes[r->node].up) {
            more += down != NULL ? 1 : 0;
            down = down != NULL ? down : r;
        }
    }
    if (down != NULL && more > 0) {
        snprintf(text, size, "%s +%u down", v->nodes[down->node].name, more);
    } else if (down != NULL) {
        snprintf(text, size, "%s down", v->nodes[down->node].name);
    } else if (worst == NULL) {
        snprintf(text, size, "?");
    } else if (course_rank(worst) == 0) {
        snprintf(text, size, "%s", worst->eta);
    } else {
        snprintf(text, size, "%s %s", v->nodes[worst->node].name, worst->eta);
    }
}
