/* clusterctl user assign, user show: which shard holds a user. */
#include "ctl/user.h"

#include <inttypes.h>
#include <string.h>

static const char *shard_name(struct ctl *c, uint32_t shard)
{
    const Mq__Founding *f = c->founding_result != NULL ? c->founding_result->founding : NULL;
    for (size_t i = 0; f != NULL && i < f->n_shards; i++) {
        if (f->shards[i]->shard == shard) {
            return f->shards[i]->name;
        }
    }
    return "?";
}

enum status user_assign(struct ctl *c, struct user_assignment *w, struct call_answer *a,
                        Mq__AdminResult **out_result, enum exit_code *out_code)
{
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminUserAssign assign = MQ__ADMIN_USER_ASSIGN__INIT;
    enum status s = ctl_shard(c, w->shard, &w->to, out_code);
    if (s != OK) {
        return s;
    }
    if (w->to->shard == SHARD_DIRECTORY) {
        *out_code =
            ctl_refuse(c, STATUS_INVALID, "the directory holds no %s: name another shard", w->what);
        return STATUS_INVALID;
    }
    assign.user = (char *)w->user;
    assign.shard = w->to->shard;
    assign.priority = (char *)(w->priority != NULL ? w->priority : "");
    admin.body_case = MQ__ADMIN__BODY_USER_ASSIGN;
    admin.user_assign = &assign;
    return ctl_admin(c, SHARD_DIRECTORY, &admin, CALL_REPEAT, a, out_result, out_code);
}

enum exit_code run_user_assign(struct ctl *c)
{
    Mq__AdminResult *result;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    struct user_assignment w = {.user = c->arguments.args[0],
                                .shard = c->arguments.args[1],
                                .priority = c->arguments.options.priority,
                                .what = "users"};
    snprintf(c->doing, sizeof(c->doing), "user %.200s", w.user);
    if (user_assign(c, &w, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "user");
    ctl_source(c, &s, &a);
    snprintf(s.summary, sizeof(s.summary), "%.200s is assigned to %s%s%.100s", w.user, w.to->name,
             result->text[0] != '\0' ? ": " : "", result->text);
    json_object_set_new(s.data, "user", json_text(w.user));
    json_object_set_new(s.data, "shard", json_text(w.to->name));
    mq__admin_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

enum exit_code run_user_show(struct ctl *c)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryUser body = MQ__QUERY_USER__INIT;
    Mq__QueryResult *result;
    const Mq__Founding *f;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    const char *user = c->arguments.args[0];
    if (ctl_founding(c, &f, &code) != OK) {
        return code;
    }
    snprintf(c->doing, sizeof(c->doing), "user %.200s", user);
    body.user = (char *)user;
    query.body_case = MQ__QUERY__BODY_USER;
    query.user = &body;
    if (ctl_query(c, "", SHARD_DIRECTORY, &query, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    if (result->n_users == 0) {
        code = ctl_refuse(c, STATUS_NOT_FOUND,
                          "there is no user %s. To make one: clusterctl user assign %s SHARD", user,
                          user);
    } else {
        const Mq__User *u = result->users[0];
        screen_init(&s, "user");
        ctl_source(c, &s, &a);
        snprintf(s.summary, sizeof(s.summary), "%.200s: shard %s%s%s%s", u->name,
                 shard_name(c, u->shard), u->priority[0] != '\0' ? ", priority " : "", u->priority,
                 u->owner_applied ? "" : ", the shard does not know it yet (assign it again)");
        json_object_set_new(s.data, "user", json_text(u->name));
        json_object_set_new(s.data, "shard", json_text(shard_name(c, u->shard)));
        json_object_set_new(s.data, "priority", json_text(u->priority));
        json_object_set_new(s.data, "flags", json_integer(u->flags));
        code = ctl_finish(c, &s, EXIT_HEALTHY);
    }
    mq__query_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return code;
}
