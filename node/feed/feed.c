/* Puts the parts together: who waits, who is visited, when to sweep, how to end. */
#include "node/feed/feed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "base/random.h"

static void run_visits(struct feed *f);
static void maybe_finished(struct feed *f);
static void next_stop_step(struct feed *f);

static uint64_t now_ms(const struct feed *f)
{
    return uv_now(f->loop);
}

/* ---- who waits ---- */

static struct list *lane_of(struct feed *f, const struct feed_user *u)
{
    return &f->ready[u->apart || u->failures > 0 ? TURN_SICK : TURN_HEALTHY];
}

static void enqueue(struct feed *f, struct feed_user *u, uint64_t delay_ms)
{
    uint64_t at = now_ms(f) + delay_ms;
    if (u->pending_since_ms == 0) {
        u->pending_since_ms = now_ms(f);
    }
    if (u->state == USER_RUNNING) {
        u->again = true;
        return;
    }
    if (u->state == USER_WAITING && u->not_before_ms <= at) {
        return;
    }
    if (u->state == USER_WAITING) {
        list_remove(&u->queue);
    } else {
        f->waiting_n++;
    }
    u->state = USER_WAITING;
    u->not_before_ms = at;
    list_push_back(delay_ms == 0 ? lane_of(f, u) : &f->delayed, &u->queue);
}

/* Not before its patience ends. */
static void enqueue_patiently(struct feed *f, struct feed_user *u, uint64_t delay_ms)
{
    uint64_t now = now_ms(f);
    uint64_t wait_ms = u->patient_until_ms > now ? u->patient_until_ms - now : 0;
    enqueue(f, u, wait_ms > delay_ms ? wait_ms : delay_ms);
}

static void sweep_dirty(struct sweep *s, struct feed_user *u)
{
    struct feed *f = s->arg;
    enqueue_patiently(f, u, 0);
}

/* ---- visits ---- */

/* After so many visits in a row that did not bring it further. */
static uint64_t patience_ms(unsigned visits)
{
    uint64_t ms = FEED_AGAIN_MS << (visits < 6 ? visits : 6);
    return ms < FEED_AGAIN_MAX_MS ? ms : FEED_AGAIN_MAX_MS;
}

static void visit_failed(struct feed *f, struct feed_user *u, const struct visit *v)
{
    u->failures++;
    u->patient_until_ms = now_ms(f) + turn_patience_ms(u->failures);
    f->counters.failed++;
    if (!f->stopping) {
        log_warn("event=feed.visit_failed user=%s failures=%u why=\"%s\"", u->name, u->failures,
                 v->why);
    }
    if (u->failures >= FEED_TROUBLE_FAILURES && (v->inbox_held || stuck_named(u))) {
        trouble_clear(&f->troubles, "MQ-FEED-USER", u->name); /* the other one says more */
    } else if (u->failures >= FEED_TROUBLE_FAILURES) {
        trouble_raise(&f->troubles, "MQ-FEED-USER", u->name, clock_wall_ms(&clock_system),
                      "look at this user with doveadm on that host; the feed tries again, later "
                      "each time up to 5 minutes; `clusterctl mailbox touch` makes it try at once",
                      "%u visits in a row failed: %.270s", u->failures, v->why);
    }
    if (f->once && u->failures < FEED_ONCE_TRIES) {
        enqueue(f, u, patience_ms(u->failures));
    } else if (f->once) {
        f->exit_code = 1;
    }
}

/* Nothing is wrong with this user: when the cluster answers again all that wait are reported at once, without patience. */
static void visit_unanswered(struct feed *f, struct feed_user *u, const struct visit *v)
{
    f->counters.failed++;
    if (!f->stopping) {
        log_warn("event=feed.visit_unanswered user=%s why=\"%s\"", u->name, v->why);
    }
    if (f->once && ++u->failures >= FEED_ONCE_TRIES) {
        f->exit_code = 1;
    } else {
        enqueue(f, u, FEED_AGAIN_MAX_MS);
    }
}

static void visit_lease_held(struct feed *f, struct feed_user *u, const struct visit *v)
{
    f->counters.lease_waits++;
    u->pending_since_ms = 0; /* whoever holds the lease reports */
    if (!u->lease_said) {
        log_warn("event=feed.lease_waits user=%s why=\"%s\"", u->name, v->why);
        u->lease_said = true;
    }
    enqueue(f, u, 1000);
}

static void visit_unassigned(struct feed *f, struct feed_user *u, const struct visit *v)
{
    if (!u->unassigned) {
        log_warn(
            "event=feed.user_unassigned user=%s why=\"%s\" hint=\"clusterctl user assign %s "
            "--shard N\"",
            u->name, v->why, u->name);
        f->counters.unassigned++;
    }
    trouble_raise(&f->troubles, "MQ-FEED-UNASSIGNED", "", clock_wall_ms(&clock_system),
                  "clusterctl user assign USER SHARD",
                  "users without a shard are not followed: %llu, one is %.200s",
                  (unsigned long long)f->counters.unassigned, u->name);
    u->unassigned = true;
    feed_user_unload(u); /* so that the next sweep tries it */
}

static void on_silent(void *arg, struct feed_user *u, int64_t group, uint64_t silent_ms)
{
    struct feed *f = arg;
    stuck_look(&f->stuck, u, group, silent_ms);
}

/* Nobody visits it any more, and what was wrong with it is nobody's trouble. */
static void user_gone(struct feed *f, struct feed_user *u)
{
    static const char *const ids[] = {"MQ-FEED-USER", "MQ-FEED-INBOX-REPLACED"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        trouble_clear(&f->troubles, ids[i], u->name);
    }
    stuck_over(&f->stuck, u);
    u->pending_since_ms = 0;
    u->failures = 0;
    u->patient_until_ms = 0;
}

/* What was left over keeps the user pending, and what it held then unreported. */
static void visit_ended_well(struct feed_user *u, const struct visit *v)
{
    u->left_over_n = v->left_over ? u->left_over_n + 1 : 0;
    if (!v->left_over) {
        u->pending_since_ms = 0;
        u->clean_ms = v->started_ms > u->clean_ms ? v->started_ms : u->clean_ms;
    }
}

static void by_end(struct feed *f, struct feed_user *u, const struct visit *v)
{
    if (u->unassigned && v->end != VISIT_UNASSIGNED && v->end != VISIT_FAILED &&
        v->end != VISIT_UNANSWERED) {
        u->unassigned = false;
        f->counters.unassigned--;
        if (f->counters.unassigned == 0) {
            trouble_clear(&f->troubles, "MQ-FEED-UNASSIGNED", "");
        }
        log_info("event=feed.user_assigned user=%s", u->name);
    }
    u->apart = visit_keeps_apart(v, u->apart);
    switch (v->end) {
        case VISIT_OK:
            u->failures = 0;
            u->patient_until_ms = 0;
            visit_ended_well(u, v);
            trouble_clear(&f->troubles, "MQ-FEED-USER", u->name);
            stuck_over(&f->stuck, u);
            break;
        case VISIT_RESUME:
            f->counters.resumed++;
            u->failures++;
            log_info("event=feed.resumes user=%s why=\"%s\"", u->name, v->why);
            enqueue(f, u, patience_ms(u->failures));
            break;
        case VISIT_LEASE_HELD:
            visit_lease_held(f, u, v);
            break;
        case VISIT_UNASSIGNED:
            visit_unassigned(f, u, v);
            break;
        case VISIT_UNKNOWN_USER:
            f->counters.unknown_users++;
            user_gone(f, u);
            log_warn("event=feed.user_unknown user=%s why=\"%s\"", u->name, v->why);
            break;
        case VISIT_SLOW:
            f->counters.slow++;
            visit_failed(f, u, v);
            break;
        case VISIT_UNANSWERED:
            visit_unanswered(f, u, v);
            break;
        case VISIT_FAILED:
            visit_failed(f, u, v);
            break;
    }
}

static void visit_done(struct visit *v)
{
    struct feed_slot *slot = v->arg;
    struct feed *f = slot->feed;
    struct feed_user *u = v->user;
    bool again = u->again;
    slot->used = false;
    f->running--;
    if (slot->lane == TURN_SICK) {
        f->running_sick--;
        f->sick_rest_until_ms =
            now_ms(f) + turn_rest_ms(f->config.imap_children_max, now_ms(f) - v->started_ms);
    }
    u->again = false;
    u->state = USER_IDLE;
    if (v->child.timed_out) {
        stuck_silent(&f->stuck, u, f->config.pull_deadline_ms);
    }
    by_end(f, u, v);
    if (again && u->state == USER_IDLE) {
        enqueue_patiently(f, u, patience_ms(u->left_over_n)); /* not at once: it may move on */
    }
    if (f->stopping) {
        next_stop_step(f);
        return;
    }
    run_visits(f);
    maybe_finished(f);
}

static struct feed_slot *free_slot(struct feed *f)
{
    for (uint64_t i = 0; i < f->config.imap_children_max; i++) {
        if (!f->slots[i].used) {
            return &f->slots[i];
        }
    }
    return NULL;
}

static void run_visit(struct feed *f, enum turn_lane lane)
{
    struct feed_slot *slot = free_slot(f);
    struct feed_user *u = container_of(list_pop(&f->ready[lane]), struct feed_user, queue);
    must(slot != NULL);
    f->waiting_n--;
    u->state = USER_RUNNING;
    u->again = false;
    memset(&slot->visit, 0, sizeof(slot->visit));
    slot->visit.done = visit_done;
    slot->visit.arg = slot;
    slot->visit.started_ms = now_ms(f);
    slot->used = true;
    slot->lane = lane;
    f->running++;
    f->running_sick += lane == TURN_SICK;
    visit_start(&slot->visit, &f->world, u);
}

static enum turn_lane next_lane(const struct feed *f)
{
    struct turn t = {
        .slots = f->config.imap_children_max,
        .running = {f->running - f->running_sick, f->running_sick},
        .waits = {!list_empty(&f->ready[TURN_HEALTHY]), !list_empty(&f->ready[TURN_SICK])},
        .rests = now_ms(f) < f->sick_rest_until_ms};
    return turn_next(&t);
}

static void run_visits(struct feed *f)
{
    enum turn_lane lane;
    while (!f->stopping && uplink_ready(&f->uplink) && (lane = next_lane(f)) != TURN_NOBODY) {
        run_visit(f, lane);
    }
}

static void on_poll(uv_timer_t *t)
{
    struct feed *f = t->data;
    uint64_t now = now_ms(f);
    list_each_safe(n, &f->delayed)
    {
        struct feed_user *u = container_of(n, struct feed_user, queue);
        if (u->not_before_ms <= now) {
            list_remove(n);
            list_push_back(lane_of(f, u), n);
        }
    }
    run_visits(f);
    if (f->once && !f->stopping) {
        maybe_finished(f); /* the queues may have been the last */
    }
}

/* ---- sweeps ---- */

static void on_sweep_time(uv_timer_t *t);

static void say_status(const struct feed *f)
{
    const struct feed_counters *c = &f->counters;
    log_info(
        "event=feed.status sweep=%llu took_ms=%llu cpu_ms=%llu interval_ms=%llu users=%u "
        "waiting=%llu running=%u node=%s up=%d "
        "visits=%llu pages=%llu messages=%llu "
        "vanished=%llu applied=%llu refused=%llu unknown=%llu retried=%llu resumed=%llu full=%llu "
        "deleted=%llu failed=%llu slow=%llu "
        "lease_waits=%llu unassigned=%llu unknown_users=%llu users_refused=%llu hints=%llu "
        "keywords_dropped=%llu",
        (unsigned long long)c->sweeps, (unsigned long long)(now_ms(f) - f->sweep.started_ms),
        (unsigned long long)(f->sweep.cpu_us / 1000), (unsigned long long)f->interval_ms,
        f->sweep.users_seen, (unsigned long long)f->waiting_n, f->running, uplink_node(&f->uplink),
        uplink_ready(&f->uplink), (unsigned long long)c->visits, (unsigned long long)c->pages,
        (unsigned long long)c->messages, (unsigned long long)c->vanished,
        (unsigned long long)c->applied, (unsigned long long)c->refused,
        (unsigned long long)c->unknown, (unsigned long long)c->retried,
        (unsigned long long)c->resumed, (unsigned long long)c->full_compares,
        (unsigned long long)c->deleted, (unsigned long long)c->failed, (unsigned long long)c->slow,
        (unsigned long long)c->lease_waits, (unsigned long long)c->unassigned,
        (unsigned long long)c->unknown_users, (unsigned long long)c->users_refused,
        (unsigned long long)c->hints, (unsigned long long)c->keywords_dropped);
}

static void not_named(void *arg, struct feed_user *u)
{
    struct feed *f = arg;
    if (u->seen != f->sweep.number && u->state == USER_IDLE) {
        user_gone(f, u);
    }
}

static void after_sweep(struct feed *f, enum status status, uint64_t took_ms)
{
    uint64_t now = clock_wall_ms(&clock_system);
    uint64_t refused = f->counters.users_refused - f->users_refused_before;
    f->users_refused_before = f->counters.users_refused;
    if (status == OK) {
        feed_status_swept(&f->status, took_ms);
        positions_swept(&f->positions, f->sweep.number, f->sweep.started_ms);
        roster_each(&f->roster, not_named, f);
        trouble_clear(&f->troubles, "MQ-FEED-SWEEP", "");
    } else {
        trouble_raise(&f->troubles, "MQ-FEED-SWEEP", "", now, "look at the feed's log on that host",
                      "the mailboxes could not be looked at: %s", status_text(status));
    }
    if (refused > 0) {
        trouble_raise(&f->troubles, "MQ-FEED-USERS-MAX", "", now, "raise [feed] users_max",
                      "%llu users over [feed] users_max = %llu are not followed",
                      (unsigned long long)refused, (unsigned long long)f->config.users_max);
    } else {
        trouble_clear(&f->troubles, "MQ-FEED-USERS-MAX", "");
    }
}

/* How often sweeps come: by the setting, and so that they keep to their share of a processor. */
static uint64_t sweep_interval_ms(const struct feed *f)
{
    uint64_t paced_ms = f->sweep.cpu_us / 10 / f->config.sweep_cpu;
    return paced_ms > f->config.sweep_interval_ms ? paced_ms : f->config.sweep_interval_ms;
}

static uint64_t rest_ms(const struct feed *f, uint64_t took_ms)
{
    return took_ms + FEED_REST_MIN_MS < f->interval_ms ? f->interval_ms - took_ms
                                                       : FEED_REST_MIN_MS;
}

static void sweep_done(struct sweep *s, enum status status)
{
    struct feed *f = s->arg;
    uint64_t took_ms = now_ms(f) - s->started_ms;
    if (f->stopping) {
        next_stop_step(f);
        return;
    }
    say_status(f);
    f->swept = true;
    f->interval_ms = sweep_interval_ms(f);
    after_sweep(f, status, took_ms);
    if (status != OK && f->once) {
        f->exit_code = 1;
    }
    if (!f->once) {
        uv_timer_start(&f->sweep_timer, on_sweep_time, rest_ms(f, took_ms), 0);
    }
    run_visits(f);
    maybe_finished(f);
}

static void on_sweep_time(uv_timer_t *t)
{
    struct feed *f = t->data;
    if (f->stopping || f->sweep.step != SWEEP_IDLE) {
        return;
    }
    if (!uplink_ready(&f->uplink)) {
        f->sweep_wanted = true; /* nothing could be compared or reported: at the next connection */
        return;
    }
    f->sweep_wanted = false;
    uv_update_time(f->loop);
    sweep_start(&f->sweep);
}

static void maybe_finished(struct feed *f)
{
    if (f->once && f->swept && f->running == 0 && f->waiting_n == 0 &&
        f->sweep.step == SWEEP_IDLE && queue_set_finished(&f->queues)) {
        feed_stop(f);
    }
}

/* ---- the connection ---- */

static void subscribed(struct client_request *r)
{
    struct feed *f = r->arg;
    f->subscribing = false;
    if (r->outcome != MQ__OUTCOME__OUTCOME_APPLIED && !f->stopping) {
        log_warn("event=feed.subscribe_failed status=%s then=\"changes are found by sweeps only\"",
                 status_name(r->status));
    }
}

static void subscribe(struct feed *f)
{
    Mq__Subscribe s = MQ__SUBSCRIBE__INIT;
    uint8_t packed[2 * NAME_MAX_BYTES + 16];
    if (f->subscribing) {
        return;
    }
    s.store = f->config.store;
    s.host = f->config.host;
    must(mq__subscribe__get_packed_size(&s) <= sizeof(packed));
    memset(&f->subscribe, 0, sizeof(f->subscribe));
    mq__request_header__init(&f->subscribe.header);
    f->subscribe.header.op = MQ__OP__OP_SUBSCRIBE;
    f->subscribe.payload = (struct bytes){packed, mq__subscribe__pack(&s, packed)};
    f->subscribe.done = subscribed;
    f->subscribe.arg = f;
    f->subscribing = uplink_submit(&f->uplink, &f->subscribe) == OK;
}

static void on_up(struct uplink *u)
{
    struct feed *f = u->arg;
    log_info("event=feed.connected node=%s name=%s", uplink_node(u), u->client.server_node);
    subscribe(f);
    feed_status_send(&f->status);
    if (f->sweep_wanted) {
        uv_timer_start(&f->sweep_timer, on_sweep_time, 0, 0);
    }
    run_visits(f);
}

static void on_down(struct uplink *u, const char *why)
{
    const struct feed *f = u->arg;
    if (!f->stopping) {
        log_warn("event=feed.disconnected node=%s why=\"%s\"", uplink_node(u), why);
    }
}

/* A user no sweep has named is not of this host, or of the next sweep. */
static void take_hint(struct feed *f, const char *name, bool from_person)
{
    struct feed_user *user = f->stopping ? NULL : roster_find(&f->roster, name);
    f->counters.hints++;
    if (user != NULL) {
        user->subscriptions_changed = true; /* no listing of mailboxes shows it */
        if (from_person) {
            enqueue(f, user, FEED_HINT_DELAY_MS);
        } else {
            enqueue_patiently(f, user, FEED_HINT_DELAY_MS);
        }
    }
}

static void on_event(struct uplink *u, const Mq__Event *event)
{
    if (event->body_case == MQ__EVENT__BODY_TOUCH) {
        take_hint(u->arg, event->touch->user, true);
    }
}

static void on_hint(struct hints *h, const char *user)
{
    take_hint(h->arg, user, false);
}

/* ---- the end ---- */

static void on_uplink_stopped(struct uplink *u)
{
    (void)u;
}

static void close_all(struct feed *f)
{
    if (f->closing) {
        return;
    }
    f->closing = true;
    hints_close(&f->hints);
    uv_close((uv_handle_t *)&f->sweep_timer, NULL);
    uv_close((uv_handle_t *)&f->poll_timer, NULL);
    feed_status_close(&f->status);
    positions_close(&f->positions);
    uv_close((uv_handle_t *)&f->stop_timer, NULL);
    uv_close((uv_handle_t *)&f->on_term, NULL);
    uv_close((uv_handle_t *)&f->on_int, NULL);
    uplink_stop(&f->uplink);
}

static void on_release_timeout(uv_timer_t *t)
{
    close_all(t->data);
}

static void released(struct client_request *r)
{
    struct feed *f = r->arg;
    if (--f->releases_n == 0 && !f->closing) {
        uv_timer_start(&f->stop_timer, on_release_timeout, 0, 0);
    }
}

/* So that another feed of this store need not wait for the leases to run out. */
static void release_one(void *arg, struct feed_user *u)
{
    struct feed *f = arg;
    uint8_t packed[USER_NAME_MAX + NAME_MAX_BYTES + 64];
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__LeaseRelease release = MQ__LEASE_RELEASE__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    if (!u->leased || u->lease_until_ms <= now_ms(f) || f->releases_n == FEED_RELEASES_MAX) {
        return;
    }
    token.epoch = u->token.epoch;
    token.position = u->token.position;
    release.user = u->name;
    release.store = f->config.store;
    release.token = &token;
    c.body_case = MQ__COMMAND__BODY_LEASE_RELEASE;
    c.lease_release = &release;
    must(mq__command__get_packed_size(&c) <= sizeof(packed));
    struct client_request *r = &f->releases[f->releases_n];
    mq__request_header__init(&r->header);
    r->header.op = MQ__OP__OP_SUBMIT;
    r->header.user = u->name;
    r->deadline_ms = FEED_RELEASE_MS;
    r->payload = (struct bytes){packed, mq__command__pack(&c, packed)};
    r->done = released;
    r->arg = f;
    f->releases_n += uplink_submit(&f->uplink, r) == OK;
}

static void next_stop_step(struct feed *f)
{
    if (f->running > 0 || f->sweep.step != SWEEP_IDLE || f->releasing || !f->queues_stopped) {
        return;
    }
    f->releasing = true;
    f->releases = calloc(FEED_RELEASES_MAX, sizeof(*f->releases));
    if (f->releases != NULL && uplink_ready(&f->uplink)) {
        roster_each(&f->roster, release_one, f);
        f->releases_n += feed_status_send_last(&f->status, released) == OK;
    }
    uv_timer_start(&f->stop_timer, on_release_timeout, f->releases_n > 0 ? FEED_RELEASE_MS : 0, 0);
}

static void on_queues_stopped(struct queue_set *q)
{
    struct feed *f = q->arg;
    f->queues_stopped = true;
    next_stop_step(f);
}

static void start_queues(struct feed *f)
{
    f->queues.world = (struct queue_world){.loop = f->loop,
                                           .config = &f->config,
                                           .uplink = &f->uplink,
                                           .troubles = &f->troubles,
                                           .holder = f->holder};
    f->queues.stopped = on_queues_stopped;
    f->queues.arg = f;
    if (f->config.postfix) {
        must(queue_set_start(&f->queues) == OK);
    }
}

static void on_stop_timeout(uv_timer_t *t)
{
    struct feed *f = t->data;
    for (uint64_t i = 0; i < f->config.imap_children_max; i++) {
        if (f->slots[i].used) {
            visit_stop(&f->slots[i].visit);
        }
    }
}

void feed_stop(struct feed *f)
{
    if (f->stopping) {
        return;
    }
    f->stopping = true;
    say_status(f);
    log_info("event=feed.stopping running=%u waiting=%llu", f->running,
             (unsigned long long)f->waiting_n);
    uv_timer_start(&f->stop_timer, on_stop_timeout, FEED_STOP_MS, 0);
    sweep_stop(&f->sweep);
    f->queues_stopped = !f->queues.started;
    if (f->queues.started) {
        queue_set_stop(&f->queues);
    }
    next_stop_step(f);
}

static void on_signal(uv_signal_t *s, int number)
{
    (void)number;
    feed_stop(s->data);
}

/* ---- the start ---- */

/* Hints are never needed: without a listener changes are found by sweeps. */
static void open_hints(struct feed *f)
{
    struct error e = {0};
    if (f->once || f->config.hints[0] == '\0') {
        return;
    }
    f->hints.user = on_hint;
    f->hints.arg = f;
    if (hints_open(&f->hints, f->loop, f->config.hints, &e) != OK) {
        log_warn("event=feed.hints_failed why=\"%s\" then=\"changes are found by sweeps only\"",
                 e.text);
    }
}

static void open_handles(struct feed *f)
{
    must(uv_timer_init(f->loop, &f->sweep_timer) == 0 &&
         uv_timer_init(f->loop, &f->poll_timer) == 0);
    must(uv_timer_init(f->loop, &f->stop_timer) == 0);
    must(uv_signal_init(f->loop, &f->on_term) == 0 && uv_signal_init(f->loop, &f->on_int) == 0);
    f->sweep_timer.data = f->poll_timer.data = f->stop_timer.data = f->on_term.data =
        f->on_int.data = f;
    must(uv_timer_start(&f->poll_timer, on_poll, FEED_POLL_MS, FEED_POLL_MS) == 0);
    must(uv_signal_start(&f->on_term, on_signal, SIGTERM) == 0 &&
         uv_signal_start(&f->on_int, on_signal, SIGINT) == 0);
}

enum status feed_start(struct feed *f, uv_loop_t *loop, const struct feed_config *config, bool once,
                       struct error *e)
{
    struct random r;
    memset(f, 0, sizeof(*f));
    f->loop = loop;
    f->config = *config;
    f->once = once;
    f->interval_ms = config->sweep_interval_ms;
    list_init(&f->ready[TURN_HEALTHY]);
    list_init(&f->ready[TURN_SICK]);
    list_init(&f->delayed);
    roster_init(&f->roster, (uint32_t)config->users_max);
    if (config->needs_tls) {
        enum status s = tls_context_new(config->ca, config->certificate, config->key, &f->tls, e);
        if (s != OK) {
            return s;
        }
    }
    f->slots = calloc(config->imap_children_max, sizeof(*f->slots));
    if (f->slots == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    for (uint64_t i = 0; i < config->imap_children_max; i++) {
        f->slots[i].feed = f;
    }
    random_init_system(&r);
    snprintf(f->holder, sizeof(f->holder), "%s/%016llx", config->host,
             (unsigned long long)random_u64(&r));
    f->world = (struct visit_world){.loop = loop,
                                    .config = &f->config,
                                    .uplink = &f->uplink,
                                    .counters = &f->counters,
                                    .troubles = &f->troubles,
                                    .holder = f->holder,
                                    .silent = on_silent,
                                    .arg = f,
                                    .separator = '/'};
    stuck_init(&f->stuck, loop, config->locked_after_ms, &f->troubles);
    sweep_init(&f->sweep, &f->world, &f->roster);
    f->sweep.dirty = sweep_dirty;
    f->sweep.done = sweep_done;
    f->sweep.arg = f;
    f->sweep_wanted = config->dovecot;
    f->swept = !config->dovecot;
    f->uplink.up = on_up;
    f->uplink.down = on_down;
    f->uplink.event = on_event;
    f->uplink.stopped = on_uplink_stopped;
    f->uplink.arg = f;
    enum status s = uplink_start(&f->uplink, loop, &f->config.nodes, f->tls, &f->config.cluster);
    if (s != OK) {
        return error_set(e, s, "out of memory");
    }
    open_handles(f);
    feed_status_start(&f->status, f);
    open_hints(f);
    positions_start(&f->positions, f);
    start_queues(f);
    log_info("event=feed.started store=%s site=%s host=%s holder=%s nodes=%u", config->store,
             config->site, config->host, f->holder, config->nodes.n);
    return OK;
}

void feed_deinit(struct feed *f)
{
    roster_deinit(&f->roster);
    sweep_deinit(&f->sweep);
    queue_set_deinit(&f->queues);
    tls_context_free(f->tls);
    free(f->slots);
    free(f->releases);
}
