/* One assignment is a chain of three submits of our own; a step that is refused for now, or whose
 * outcome is unknown, is tried again. */
#include "node/assigner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "node/admin.h"
#include "node/node.h"
#include "storage/record.h"

#define ACTIVE_MAX    64u
#define STEP_MS       3000u
#define RETRY_STEP_MS 200u
#define PAGE_USERS    500u
#define PAGE_PAUSE_MS 250u
#define WALK_PAUSE_MS 10000u

enum step { STEP_ASSIGN = 0, STEP_OWNER = 1, STEP_NOTE = 2, STEP_DONE = 3 };

struct assignment {
    struct list link;
    struct assigner *assigner;
    struct request *request; /* NULL: taken up after a crash, or its deadline has passed */
    char user[USER_BYTES_MAX + 1];
    char priority[NAME_MAX_BYTES + 1];
    shard_id shard;
    enum step step;
    bool submitted;
    uint64_t retry_ms;
};

struct assigner {
    struct service *service;
    struct list active;
    unsigned active_n;
    bool walking;
    char after[USER_BYTES_MAX + 1];
    uint64_t walk_ms;
};

enum status assigner_new(struct service *s, struct assigner **out_a)
{
    struct assigner *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return STATUS_NO_MEMORY;
    }
    a->service = s;
    list_init(&a->active);
    *out_a = a;
    return OK;
}

void assigner_free(struct assigner *a)
{
    if (a == NULL) {
        return;
    }
    for (struct list *n = list_pop(&a->active); n != NULL; n = list_pop(&a->active)) {
        free(container_of(n, struct assignment, link));
    }
    free(a);
}

static void end(struct assignment *t)
{
    list_remove(&t->link);
    t->assigner->active_n--;
    free(t);
}

static void answer(struct assignment *t, Mq__Outcome outcome, enum status s, const char *text)
{
    struct request *r = t->request;
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    if (r == NULL) {
        return;
    }
    t->request = NULL;
    result.text = (char *)(uintptr_t)text;
    admin_finish(r, outcome, s, text, &result);
}

/* The site that the user's shard prefers; "" when it has no preference. */
static const char *home_of(const struct assignment *t)
{
    const Mq__FoundingShard *record = shards_record(&t->assigner->service->node->shards, t->shard);
    return record != NULL && record->n_preference > 0 ? record->preference[0] : "";
}

static struct block *pack(const struct assignment *t)
{
    Mq__Command command = MQ__COMMAND__INIT;
    Mq__UserAssign assign = MQ__USER_ASSIGN__INIT;
    Mq__Owner owner = MQ__OWNER__INIT;
    if (t->step == STEP_OWNER) {
        owner.user = (char *)(uintptr_t)t->user;
        owner.generation = 1;
        owner.home = (char *)(uintptr_t)home_of(t);
        command.body_case = MQ__COMMAND__BODY_OWNER;
        command.owner = &owner;
    } else {
        assign.user = (char *)(uintptr_t)t->user;
        assign.shard = t->shard;
        assign.priority = (char *)(uintptr_t)t->priority;
        assign.flags = t->step == STEP_NOTE ? USER_OWNER_APPLIED : 0;
        command.body_case = MQ__COMMAND__BODY_USER_ASSIGN;
        command.user_assign = &assign;
    }
    struct block *b = block_new(mq__command__get_packed_size(&command));
    if (b != NULL) {
        mq__command__pack(&command, b->data);
    }
    return b;
}

static void next(struct assignment *t);

static void on_step(struct request *own, const struct response *response)
{
    struct assignment *t = own->arg;
    t->submitted = false;
    if (response->outcome == MQ__OUTCOME__OUTCOME_APPLIED) {
        t->step++;
        t->retry_ms = 0;
        if (t->step == STEP_DONE) {
            log_info("event=user.assigned user=%s shard=%u", t->user, t->shard);
            answer(t, MQ__OUTCOME__OUTCOME_APPLIED, OK, "");
            end(t);
        } else {
            next(t);
        }
        return;
    }
    bool for_good = response->outcome == MQ__OUTCOME__OUTCOME_REFUSED && t->step == STEP_ASSIGN &&
                    (response->status == STATUS_CONFLICT || response->status == STATUS_INVALID ||
                     response->status == STATUS_NOT_FOUND);
    if (for_good) {
        answer(t, MQ__OUTCOME__OUTCOME_REFUSED, response->status,
               response->status == STATUS_CONFLICT
                   ? "the user is assigned to another shard; moving a user comes later"
                   : "no such shard, or an impossible name");
        end(t);
        return;
    }
    t->retry_ms = t->assigner->service->node->loop.now_ms + RETRY_STEP_MS;
}

static void next(struct assignment *t)
{
    struct service *s = t->assigner->service;
    struct block *b = pack(t);
    uint64_t now = s->node->loop.now_ms;
    struct request *own =
        b == NULL ? NULL
                  : request_new_own(s, MQ__OP__OP_SUBMIT,
                                    t->step == STEP_OWNER ? t->shard : SHARD_DIRECTORY,
                                    (struct bytes){b->data, b->size}, now + STEP_MS, on_step, t);
    block_unref(b);
    if (own == NULL) {
        t->retry_ms = now + RETRY_STEP_MS;
        return;
    }
    t->submitted = true;
    request_advance(own);
}

static struct assignment *add(struct assigner *a, const char *user, const char *priority,
                              shard_id shard, enum step step)
{
    struct assignment *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return NULL;
    }
    t->assigner = a;
    snprintf(t->user, sizeof(t->user), "%s", user);
    snprintf(t->priority, sizeof(t->priority), "%s", priority);
    t->shard = shard;
    t->step = step;
    list_push_back(&a->active, &t->link);
    a->active_n++;
    return t;
}

void assign_start(struct request *r, const Mq__AdminUserAssign *m)
{
    struct assigner *a = r->service->assigner;
    if (m->user[0] == '\0' || strlen(m->user) > USER_BYTES_MAX ||
        strlen(m->priority) > NAME_MAX_BYTES) {
        request_refuse(r, STATUS_INVALID,
                       "a user's name has 1 to 255 bytes, a priority at most 63");
    } else if (shards_record(&r->service->node->shards, m->shard) == NULL ||
               m->shard == SHARD_DIRECTORY) {
        request_refuse(r, STATUS_NO_SHARD,
                       "no such shard for users. What to do: clusterctl shards");
    } else if (a->active_n >= 4 * ACTIVE_MAX) {
        request_refuse(r, STATUS_OVERLOAD, "too many assignments at once");
    } else {
        struct assignment *t = add(a, m->user, m->priority, m->shard, STEP_ASSIGN);
        if (t == NULL) {
            request_refuse(r, STATUS_NO_MEMORY, NULL);
            return;
        }
        t->request = r;
        next(t);
    }
}

/* ---- taking up what was left ---- */

static bool known(const struct assigner *a, const char *user)
{
    list_each(n, &a->active)
    {
        if (strcmp(container_of(n, struct assignment, link)->user, user) == 0) {
            return true;
        }
    }
    return false;
}

static void on_page(struct request *own, const struct response *response)
{
    struct assigner *a = own->arg;
    uint64_t now = a->service->node->loop.now_ms;
    Mq__QueryResult *q =
        response->outcome == MQ__OUTCOME__OUTCOME_APPLIED
            ? mq__query_result__unpack(NULL, response->payload.size, response->payload.data)
            : NULL;
    a->walking = false;
    a->walk_ms = now + PAGE_PAUSE_MS;
    for (size_t i = 0; q != NULL && i < q->n_users; i++) {
        const Mq__User *u = q->users[i];
        if (!u->owner_applied && a->active_n < ACTIVE_MAX && !known(a, u->name) &&
            strlen(u->name) <= USER_BYTES_MAX) {
            log_info("event=user.resumed user=%s shard=%u", u->name, u->shard);
            (void)add(a, u->name, u->priority, u->shard, STEP_OWNER);
        }
        snprintf(a->after, sizeof(a->after), "%s", u->name);
    }
    if (q == NULL || !q->more || q->n_users == 0) {
        a->after[0] = '\0';
        a->walk_ms = now + WALK_PAUSE_MS;
    }
    mq__query_result__free_unpacked(q, NULL);
}

static void walk(struct assigner *a, uint64_t now_ms)
{
    struct service *s = a->service;
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryUsers users = MQ__QUERY_USERS__INIT;
    uint8_t packed[USER_BYTES_MAX + 32];
    users.after = a->after;
    users.limit = PAGE_USERS;
    query.body_case = MQ__QUERY__BODY_USERS;
    query.users = &users;
    size_t size = mq__query__pack(&query, packed);
    struct request *own =
        request_new_own(s, MQ__OP__OP_QUERY, SHARD_DIRECTORY, (struct bytes){packed, size},
                        now_ms + STEP_MS, on_page, a);
    a->walk_ms = now_ms + PAGE_PAUSE_MS;
    if (own != NULL) {
        own->header.consistency = MQ__CONSISTENCY__LOCAL;
        a->walking = true;
        request_advance(own);
    }
}

void assigner_resume(struct assigner *a)
{
    a->after[0] = '\0';
    a->walk_ms = a->service->node->loop.now_ms + 1000;
}

void assigner_tick(struct assigner *a, uint64_t now_ms)
{
    struct node *n = a->service->node;
    list_each_safe(at, &a->active)
    {
        struct assignment *t = container_of(at, struct assignment, link);
        if (t->request != NULL && now_ms >= t->request->deadline_ms) {
            answer(t, MQ__OUTCOME__OUTCOME_UNKNOWN, STATUS_UNKNOWN_OUTCOME,
                   "it is being finished. What to do: clusterctl user show");
            if (t->step == STEP_ASSIGN && !t->submitted) {
                end(t);
                continue;
            }
        }
        if (!t->submitted && now_ms >= t->retry_ms && !n->stopping) {
            next(t);
        }
    }
    struct node_shard *directory = shards_find(&n->shards, SHARD_DIRECTORY);
    if (directory != NULL && directory->leads && !a->walking && now_ms >= a->walk_ms &&
        !n->stopping) {
        walk(a, now_ms);
    }
}
