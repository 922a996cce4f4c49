#include "raft/rules/verdict.h"

#include "raft/rules/condition.h"
#include "raft/rules/failure.h"
#include "raft/rules/holders.h"
#include "raft/rules/leaders.h"

static void headline(struct verdict *v)
{
    char span[SPAN_TEXT_SIZE];
    struct sentence s;
    const struct finding *worst = v->findings.n > 0 ? &v->findings.items[0] : NULL;
    sentence_init(&s, v->headline, sizeof(v->headline));
    v->next = v->avoid = "";
    v->since_ms = AGE_UNKNOWN;
    if (worst == NULL || worst->severity <= SEVERITY_BLUE) {
        sentence_add(&s, "nothing to do");
        return;
    }
    sentence_add(&s, "%s", finding_name(worst->kind));
    if (worst->since_ms != AGE_UNKNOWN) {
        sentence_add(&s, " +%s", span_format(worst->since_ms, span));
    }
    sentence_add(&s, ": %s", worst->text);
    v->next = worst->next;
    v->avoid = worst->avoid;
    v->since_ms = worst->since_ms;
}

void verdict_judge(const struct observation *o, struct verdict *out_v)
{
    struct sentence s;
    findings_init(&out_v->findings);
    failure_judge(o, &out_v->findings);
    if (observation_majority_heard(o)) {
        leaders_judge(o, &out_v->findings);
        holders_judge(o, &out_v->findings);
    }
    condition_judge(o, &out_v->findings);
    findings_sort(&out_v->findings);
    survival_judge(o, &out_v->survival);
    sentence_init(&s, out_v->survives, sizeof(out_v->survives));
    if (o->quorum) {
        survival_text(o, &out_v->survival, &s);
    }
    headline(out_v);
}
