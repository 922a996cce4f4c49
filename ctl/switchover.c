/* clusterctl switchover SHARD --to NODE: a planned move of the leader. It loses nothing or is refused.
 *
 *   --plan                        shows rails and a hash, changes nothing
 *   --apply HASH --reason TEXT    carries that very plan out; refused (21) when anything of it has changed. Without --to the target is
 *                                 found by asking for the plan of each member until one has this hash
 *   --confirm SHARD --reason TEXT plan and apply at once
 *   none of them                  shows the plan and ends with 22: nothing is ever done by accident */
#include <inttypes.h>
#include <string.h>

#include "ctl/ctl.h"

struct switchover {
    struct ctl *c;
    const Mq__Founding *founding;
    const Mq__FoundingShard *shard;
    struct call_answer answer;
    Mq__AdminResult *result;
    const Mq__SwitchoverPlan *plan;
};

static void forget(struct switchover *w)
{
    mq__admin_result__free_unpacked(w->result, NULL);
    w->result = NULL;
    w->plan = NULL;
    call_answer_clear(&w->answer);
}

/* hash NULL: the plan only. */
static enum status ask(struct switchover *w, const char *to, const char *hash,
                       enum exit_code *out_code)
{
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminSwitchover body = MQ__ADMIN_SWITCHOVER__INIT;
    const char *reason = w->c->arguments.options.reason;
    forget(w);
    body.to = (char *)to;
    body.apply = hash != NULL;
    body.plan_hash = (char *)(hash != NULL ? hash : "");
    body.reason = (char *)(reason != NULL ? reason : "");
    admin.body_case = MQ__ADMIN__BODY_SWITCHOVER;
    admin.switchover = &body;
    enum status s = ctl_admin(w->c, w->shard->shard, &admin, hash != NULL ? 0 : CALL_REPEAT,
                              &w->answer, &w->result, out_code);
    if (s != OK) {
        return s;
    }
    w->plan = w->result->plan;
    if (w->plan == NULL) {
        *out_code = ctl_refuse(w->c, STATUS_INTERNAL, "the node's answer holds no plan");
        return STATUS_INTERNAL;
    }
    return OK;
}

static bool rails_hold(const Mq__SwitchoverPlan *p)
{
    for (size_t i = 0; i < p->n_rails; i++) {
        if (!p->rails[i]->ok) {
            return false;
        }
    }
    return true;
}

static void plan_fill(const struct switchover *w, struct screen *s)
{
    const Mq__SwitchoverPlan *p = w->plan;
    json_t *rails = json_array();
    ctl_source(w->c, s, &w->answer);
    for (size_t i = 0; i < p->n_rails; i++) {
        const Mq__Rail *r = p->rails[i];
        screen_line(s, "  %s %s%s%s", r->ok ? "ok" : "NO", r->name, r->text[0] != '\0' ? ": " : "",
                    r->text);
        json_array_append_new(rails, json_pack("{s:o, s:b, s:o}", "name", json_text(r->name), "ok",
                                               r->ok, "text", json_text(r->text)));
    }
    json_object_set_new(s->data, "hash", json_text(p->hash));
    json_object_set_new(s->data, "shard", json_text(w->shard->name));
    json_object_set_new(s->data, "from", json_text(p->from));
    json_object_set_new(s->data, "to", json_text(p->to));
    json_object_set_new(s->data, "effect", json_text(p->effect));
    json_object_set_new(s->data, "undo", json_text(p->undo));
    json_object_set_new(s->data, "pause_seconds", json_real((double)p->pause_ms / 1000));
    json_object_set_new(s->data, "rails", rails);
}

static enum exit_code show_plan(struct switchover *w)
{
    const Mq__SwitchoverPlan *p = w->plan;
    const struct options *o = &w->c->arguments.options;
    struct screen s;
    bool hold = rails_hold(p);
    screen_init(&s, "switchover_plan");
    plan_fill(w, &s);
    s.severity = hold ? SEVERITY_OK : SEVERITY_YELLOW;
    snprintf(s.summary, sizeof(s.summary), "PLAN %.64s  %s %s -> %s: %.200s", p->hash,
             w->shard->name, p->from, p->to, p->effect);
    if (!hold) {
        screen_message(&s, "RAIL", SEVERITY_YELLOW, w->shard->name,
                       "a rail does not hold: this would be refused. Nothing changed", "");
    } else {
        screen_note(&s, "undo: %s", p->undo);
        screen_note(&s, "to do it: clusterctl switchover %s --to %s --apply %s --reason TEXT",
                    w->shard->name, p->to, p->hash);
    }
    enum exit_code code = !hold ? EXIT_REFUSED : o->plan ? EXIT_HEALTHY : EXIT_NOT_CONFIRMED;
    if (code == EXIT_NOT_CONFIRMED) {
        screen_message(&s, "NOT_CONFIRMED", SEVERITY_YELLOW, w->shard->name,
                       "nothing was done: neither --apply nor --confirm was given", "");
    }
    return ctl_finish(w->c, &s, code);
}

static enum exit_code carry_out(struct switchover *w, const char *to, const char *hash)
{
    char target[NAME_MAX_BYTES + 1], plan_hash[128];
    enum exit_code code;
    struct screen s;
    snprintf(target, sizeof(target), "%s", to); /* ask() frees the plan they may come from */
    snprintf(plan_hash, sizeof(plan_hash), "%s", hash);
    uint64_t before = caller_now_ms();
    if (ask(w, target, plan_hash, &code) != OK) {
        return code;
    }
    screen_init(&s, "switchover");
    plan_fill(w, &s);
    snprintf(s.summary, sizeof(s.summary), "done in %.2f s: %s is led by %s%s%.200s",
             (double)(caller_now_ms() - before) / 1000, w->shard->name, target,
             w->result->text[0] != '\0' ? ", " : "", w->result->text);
    return ctl_finish(w->c, &s, EXIT_HEALTHY);
}

/* The member whose plan has this hash. */
static enum exit_code apply_by_hash(struct switchover *w, const char *hash)
{
    enum exit_code code = EXIT_PLAN_STALE;
    for (size_t i = 0; i < w->shard->n_members; i++) {
        const Mq__FoundingNode *node = ctl_node_by_id(w->founding, w->shard->members[i]->node);
        if (node == NULL || node->role != ROLE_DATA) {
            continue;
        }
        if (ask(w, node->name, NULL, &code) != OK) {
            return code;
        }
        if (strcmp(w->plan->hash, hash) == 0) {
            return carry_out(w, node->name, hash);
        }
    }
    return ctl_refuse(w->c, STATUS_PLAN_STALE,
                      "no plan for %s has the hash %s now: ask for a new one with --plan",
                      w->shard->name, hash);
}

static enum exit_code run_with(struct switchover *w)
{
    const struct options *o = &w->c->arguments.options;
    const Mq__FoundingNode *to = NULL;
    enum exit_code code;
    if (o->confirm != NULL && strcmp(o->confirm, w->shard->name) != 0) {
        return ctl_refuse(w->c, STATUS_NOT_CONFIRMED, "--confirm %s is not the shard's name, %s",
                          o->confirm, w->shard->name);
    }
    if (o->to == NULL) {
        return o->apply != NULL ? apply_by_hash(w, o->apply)
                                : ctl_usage(w->c,
                                            "usage: clusterctl switchover SHARD --to NODE (the "
                                            "target is never chosen for you)");
    }
    if (ctl_node(w->c, o->to, &to, &code) != OK) {
        return code;
    }
    if (o->apply != NULL) {
        return carry_out(w, to->name, o->apply);
    }
    if (ask(w, to->name, NULL, &code) != OK) {
        return code;
    }
    if (o->confirm == NULL || !rails_hold(w->plan)) {
        return show_plan(w);
    }
    return carry_out(w, to->name, w->plan->hash);
}

enum exit_code run_switchover(struct ctl *c)
{
    struct switchover w = {.c = c};
    enum exit_code code;
    if (ctl_founding(c, &w.founding, &code) != OK ||
        ctl_shard(c, c->arguments.args[0], &w.shard, &code) != OK) {
        return code;
    }
    code = run_with(&w);
    forget(&w);
    return code;
}
