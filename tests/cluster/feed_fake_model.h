/* The plain model of feed_fake_cluster.c: boxes, rows and leases in memory, the rules of the wire that a report must keep, and the
 * chances by which the cluster misbehaves. Included once, by that program. */
#ifndef MQ_TESTS_CLUSTER_FEED_FAKE_MODEL_H
#define MQ_TESTS_CLUSTER_FEED_FAKE_MODEL_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/identity.h"
#include "base/random.h"
#include "proto/api.pb-c.h"
#include "proto/frame.h"

#define CLIENTS_MAX 16
#define BOXES_MAX   32768 /* feed-cost's 10,000 users have two each */
#define SLOTS       (4 * BOXES_MAX)

struct row {
    uint32_t uid, flags;
    uint64_t modseq, size;
    int64_t date;
    char guid[65];
    char *keywords;
};
struct box {
    char user[256], name[1024];
    struct uuid guid;
    uint32_t uidvalidity, uidnext;
    uint64_t modseq, highestmodseq;
    bool compared, present, subscribed, in_progress;
    uint64_t from, to;
    uint32_t next_uid;
    struct row *rows;
    size_t rows_n;
};
struct lease {
    char user[256], holder[256];
    uint64_t position, until_ms;
};
struct peer {
    int fd;
    struct buffer in;
    bool subscribed;
};

static struct box boxes[BOXES_MAX];
static size_t boxes_n;
static struct lease leases[BOXES_MAX];
static size_t leases_n;
static uint32_t box_slots[SLOTS], lease_slots[SLOTS]; /* hash tables of places in those, plus 1 */
static struct peer peers[CLIENTS_MAX];
static struct random chance_random;
static uint64_t position = 1;
static volatile sig_atomic_t dump_wanted, over;
static struct {
    const char *name;
    uint64_t value;
} options[] = {{"lose_answer", 0}, {"lose_question", 0}, {"refuse", 0}, {"unknown_applied", 0},
               {"unknown_not", 0}, {"resync", 0},        {"stale", 0},  {"removals", 500},
               {"too_big", 1000},  {"seed", 1},          {"slow_ms", 0}};
static const char *assigned_prefix = "";
static uint64_t reports_n, pages_messages_n, faults_n;

#define VIOLATION(...)                 \
    do {                               \
        fprintf(stderr, "VIOLATION "); \
        fprintf(stderr, __VA_ARGS__);  \
        fputc('\n', stderr);           \
        exit(1);                       \
    } while (0)

static uint64_t option(const char *name)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (strcmp(options[i].name, name) == 0) {
            return options[i].value;
        }
    }
    abort();
}

static bool chance(const char *name)
{
    bool hit = random_below(&chance_random, 1000) < option(name);
    faults_n += hit;
    return hit;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the model ---- */

#define HASH_START 0xcbf29ce484222325u /* FNV-1a */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    for (const uint8_t *p = data; size-- > 0; p++) {
        hash = (hash ^ *p) * 0x100000001b3u;
    }
    return hash;
}

static struct box *box_find(const char *user, ProtobufCBinaryData guid, bool make)
{
    if (guid.len != 16) {
        VIOLATION("a mailbox GUID of %zu bytes", guid.len);
    }
    uint64_t at = hash_bytes(hash_bytes(HASH_START, user, strlen(user)), guid.data, 16) % SLOTS;
    for (; box_slots[at] != 0; at = (at + 1) % SLOTS) {
        struct box *b = &boxes[box_slots[at] - 1];
        if (strcmp(b->user, user) == 0 && memcmp(b->guid.bytes, guid.data, 16) == 0) {
            return b;
        }
    }
    if (!make) {
        return NULL;
    }
    if (boxes_n == BOXES_MAX) {
        VIOLATION("more than the %d mailboxes this model holds", BOXES_MAX);
    }
    struct box *b = &boxes[boxes_n++];
    box_slots[at] = (uint32_t)boxes_n;
    memset(b, 0, sizeof(*b));
    snprintf(b->user, sizeof(b->user), "%s", user);
    memcpy(b->guid.bytes, guid.data, 16);
    return b;
}

static size_t row_place(const struct box *b, uint32_t uid)
{
    size_t low = 0, high = b->rows_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (b->rows[middle].uid < uid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void row_remove(struct box *b, size_t at)
{
    free(b->rows[at].keywords);
    memmove(b->rows + at, b->rows + at + 1, (b->rows_n - at - 1) * sizeof(*b->rows));
    b->rows_n--;
}

static void row_put(struct box *b, const Mq__Message *m)
{
    size_t at = row_place(b, m->uid);
    if (at == b->rows_n || b->rows[at].uid != m->uid) {
        b->rows = realloc(b->rows, (b->rows_n + 1) * sizeof(*b->rows));
        memmove(b->rows + at + 1, b->rows + at, (b->rows_n - at) * sizeof(*b->rows));
        b->rows_n++;
        memset(&b->rows[at], 0, sizeof(*b->rows));
    }
    struct row *r = &b->rows[at];
    free(r->keywords);
    size_t n = 1;
    for (size_t i = 0; i < m->n_keywords; i++) {
        n += strlen(m->keywords[i]) + 1;
    }
    r->keywords = calloc(1, n);
    for (size_t i = 0; i < m->n_keywords; i++) {
        if (i > 0 && strcmp(m->keywords[i - 1], m->keywords[i]) >= 0) {
            VIOLATION("keywords not sorted: %s %s", m->keywords[i - 1], m->keywords[i]);
        }
        if (i > 0) {
            memcpy(r->keywords + strlen(r->keywords), " ", 2);
        }
        memcpy(r->keywords + strlen(r->keywords), m->keywords[i], strlen(m->keywords[i]) + 1);
    }
    r->uid = m->uid;
    r->flags = m->flags;
    r->modseq = m->modseq;
    r->size = m->size;
    r->date = m->internal_date;
    snprintf(r->guid, sizeof(r->guid), "%.*s", (int)m->guid.len, (const char *)m->guid.data);
}

/* Rows of [first, last] that the page does not list (full) are gone; at most `removals`. Returns where the page ended. */
static uint32_t remove_range(struct box *b, const Mq__Report *c, uint32_t first, uint32_t last,
                             uint64_t *removals_left)
{
    size_t at = row_place(b, first), m = 0;
    while (at < b->rows_n && b->rows[at].uid <= last) {
        while (c->from_modseq == 0 && m < c->n_messages && c->messages[m]->uid < b->rows[at].uid) {
            m++;
        }
        if (c->from_modseq == 0 && m < c->n_messages && c->messages[m]->uid == b->rows[at].uid) {
            at++;
        } else if (*removals_left == 0) {
            return b->rows[at].uid - 1;
        } else {
            --*removals_left;
            row_remove(b, at);
        }
    }
    return last;
}

static void check_page(const Mq__Report *c, uint32_t first, uint32_t last)
{
    uint32_t previous = first - 1;
    if (c->n_messages > 1000 || c->n_vanished > 1000 || first > last ||
        c->to_modseq < c->from_modseq) {
        VIOLATION("page %u:%u has %zu messages, %zu ranges", first, last, c->n_messages,
                  c->n_vanished);
    }
    if (c->name[0] == '\0' || c->uidvalidity == 0 || c->uidnext == 0) {
        VIOLATION("a page without name, UIDVALIDITY or UIDNEXT");
    }
    for (size_t i = 0; i < c->n_messages; i++) {
        const Mq__Message *m = c->messages[i];
        if (m->uid <= previous || m->uid > last || m->guid.len == 0 || m->guid.len > 64 ||
            m->n_keywords > 64 || m->flags > 31) {
            VIOLATION("message %u in page %u:%u", m->uid, first, last);
        }
        previous = m->uid;
    }
    previous = 0;
    for (size_t i = 0; i < c->n_vanished; i++) {
        if (c->vanished[i]->first <= previous || c->vanished[i]->last < c->vanished[i]->first ||
            c->vanished[i]->first < first || c->vanished[i]->last > last) {
            VIOLATION("vanished %u:%u in page %u:%u", c->vanished[i]->first, c->vanished[i]->last,
                      first, last);
        }
        previous = c->vanished[i]->last;
    }
}

static enum status check_sequence(const struct box *b, const Mq__Report *c, uint32_t first)
{
    bool known = b != NULL && b->compared && b->uidvalidity == c->uidvalidity;
    if (first > 1) {
        bool continues = b != NULL && b->in_progress && b->uidvalidity == c->uidvalidity &&
                         b->from == c->from_modseq && b->to == c->to_modseq && b->next_uid == first;
        return continues                                ? OK
               : known || (b != NULL && b->in_progress) ? STATUS_NOT_NEXT
                                                        : STATUS_RESYNC;
    }
    if (c->from_modseq == 0) {
        return OK;
    }
    if (!known || c->highestmodseq < b->modseq || c->uidnext < b->uidnext) {
        return STATUS_RESYNC;
    }
    return b->modseq == c->from_modseq ? OK : STATUS_NOT_NEXT;
}

static void answer_report(const struct box *b, Mq__ResultReport *out)
{
    mq__result_report__init(out);
    if (b != NULL) {
        out->modseq = b->compared ? b->modseq : 0;
        out->in_progress = b->in_progress;
        out->next_uid = b->in_progress ? b->next_uid : 0;
        out->to_modseq = b->in_progress ? b->to : 0;
        out->uidvalidity = b->uidvalidity;
        out->messages = b->rows_n;
        out->leads = true;
    }
}

static struct lease *lease_find(const char *user, bool make)
{
    uint64_t at = hash_bytes(HASH_START, user, strlen(user)) % SLOTS;
    for (; lease_slots[at] != 0; at = (at + 1) % SLOTS) {
        if (strcmp(leases[lease_slots[at] - 1].user, user) == 0) {
            return &leases[lease_slots[at] - 1];
        }
    }
    if (!make) {
        return NULL;
    }
    if (leases_n == BOXES_MAX) {
        VIOLATION("more than the %d users this model holds", BOXES_MAX);
    }
    struct lease *l = &leases[leases_n++];
    lease_slots[at] = (uint32_t)leases_n;
    memset(l, 0, sizeof(*l));
    snprintf(l->user, sizeof(l->user), "%s", user);
    return l;
}

static void apply_page(struct box *b, const Mq__Report *c, uint32_t first, uint32_t last)
{
    uint64_t removals = option("removals");
    uint32_t end = last;
    if (b->uidvalidity !=
        c->uidvalidity) { /* the model shows a new generation at once: the suite compares at rest */
        while (b->rows_n > 0) {
            row_remove(b, b->rows_n - 1);
        }
        b->compared = false;
        b->modseq = 0;
    }
    if (c->from_modseq == 0) {
        end = remove_range(b, c, first, last, &removals);
    }
    for (size_t i = 0; c->from_modseq != 0 && i < c->n_vanished && end == last; i++) {
        uint32_t to = remove_range(b, c, c->vanished[i]->first, c->vanished[i]->last, &removals);
        end = to < c->vanished[i]->last ? to : last;
    }
    for (size_t i = 0; i < c->n_messages && c->messages[i]->uid <= end; i++) {
        row_put(b, c->messages[i]);
    }
    bool done = end == last && c->last;
    b->uidvalidity = c->uidvalidity;
    b->uidnext = c->uidnext;
    b->highestmodseq = c->highestmodseq;
    b->present = true;
    b->subscribed = c->subscribed;
    snprintf(b->name, sizeof(b->name), "%s", c->name);
    b->in_progress = !done;
    b->from = c->from_modseq;
    b->to = c->to_modseq;
    b->next_uid = end + 1;
    if (done) {
        b->compared = true;
        b->modseq = c->to_modseq;
    }
}

static enum status apply_report(const Mq__Report *c, Mq__ResultReport *out, bool *out_answer)
{
    const struct lease *l = lease_find(c->user, false);
    struct box *b = box_find(c->user, c->mailbox, false);
    uint32_t first = c->first_uid == 0 ? 1 : c->first_uid,
             last = c->last ? UINT32_MAX : c->last_uid;
    if (l == NULL || l->until_ms <= now_ms() || c->lease == NULL ||
        c->lease->position != l->position) {
        return STATUS_STALE_TOKEN;
    }
    *out_answer = true;
    answer_report(b, out);
    if (c->deleted) {
        if (b != NULL) {
            while (b->rows_n > 0) {
                row_remove(b, b->rows_n - 1);
            }
            b->present = b->compared = b->in_progress = false;
            b->uidvalidity = 0;
            b->modseq = 0;
        }
        return OK;
    }
    check_page(c, first, last);
    if (c->n_messages > option("too_big")) {
        return STATUS_TOO_BIG;
    }
    enum status s = check_sequence(b, c, first);
    if (s == OK && chance("resync") && c->from_modseq != 0) {
        b->compared = false;
        s = STATUS_RESYNC;
    }
    if (s == OK) {
        b = box_find(c->user, c->mailbox, true);
        apply_page(b, c, first, last);
        reports_n++;
        pages_messages_n += c->n_messages;
    }
    answer_report(b, out);
    return s;
}

static enum status apply_acquire(const Mq__LeaseAcquire *c, Mq__ResultLease *out, Mq__Token *token)
{
    struct lease *l = lease_find(c->user, true);
    mq__result_lease__init(out);
    mq__token__init(token);
    out->token = token;
    if (l->until_ms > now_ms() && strcmp(l->holder, c->holder) != 0) {
        out->holder = l->holder;
        return STATUS_CONFLICT;
    }
    snprintf(l->holder, sizeof(l->holder), "%s", c->holder);
    l->position = ++position;
    l->until_ms = now_ms() + c->ttl_ms;
    out->holder = l->holder;
    token->epoch = 1;
    token->position = l->position;
    return OK;
}

static enum status apply_renew(const char *user, const Mq__Token *given, uint32_t ttl_ms,
                               Mq__ResultLease *out, Mq__Token *token)
{
    struct lease *l = lease_find(user, true);
    if (given == NULL || l->until_ms <= now_ms() || l->position != given->position) {
        return STATUS_STALE_TOKEN;
    }
    l->until_ms = ttl_ms == 0 ? 0 : now_ms() + ttl_ms;
    mq__result_lease__init(out);
    mq__token__init(token);
    out->token = token;
    out->holder = l->holder;
    token->epoch = 1;
    token->position = l->position;
    return OK;
}

#endif
