/* clusterctl top: once a second what each shard does. On a terminal a screen with keys, which stands after the first look and takes a key
 * between two nodes; else (or with --once) one sample as plain text. Rates come from two looks, so also a single sample takes one
 * interval; when the second look fails, the first is shown and the rates are not known. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/console.h"
#include "ctl/event_feed.h"
#include "ctl/status.h"

#define INTERVAL_MS     1000u
#define INTERVAL_MS_MIN 200u
#define MESSAGES_SHOWN  3u
#define EVENTS_SHOWN    30u

struct look {
    struct cluster_view *view; /* owned; NULL = none */
    struct call_answer answer;
    uint64_t at_ms;
};

struct top {
    struct ctl *c;
    struct look before, now;
    struct event_feed events;
    bool events_open;
    char lines[EVENTS_SHOWN][600]; /* a ring of the last events */
    unsigned lines_next;
    char failure[ERROR_TEXT_MAX]; /* of the last look; empty = there is one */
    uint64_t began_ms;
    char view; /* a key: 's', 'e' */
    bool quit;
};

static void look_free(struct look *l)
{
    cluster_view_free(l->view);
    call_answer_clear(&l->answer);
    memset(l, 0, sizeof(*l));
}

/* A look that fails leaves the one before where it was, with its age. */
static enum status look(struct top *t, enum exit_code *out_code)
{
    struct look l = {0};
    enum status s = status_fetch(t->c, STATUS_EXPLAIN_NOTHING, &l.view, &l.answer, out_code);
    if (s != OK) {
        return s;
    }
    l.at_ms = caller_now_ms();
    look_free(&t->before);
    t->before = t->now;
    t->now = l;
    return OK;
}

/* ---- rates ---- */

struct rates {
    bool known;
    double writes, reads; /* a second */
};

/* Only while the same leader counts: a new one begins at zero. */
static struct rates rates_of(const struct top *t, unsigned shard)
{
    struct rates r = {0};
    const struct view_shard *now = &t->now.view->shards[shard];
    const struct cluster_view *v = t->before.view;
    const struct view_shard *before = v != NULL && shard < v->shards_n ? &v->shards[shard] : NULL;
    double seconds = (double)(t->now.at_ms - t->before.at_ms) / 1000;
    if (before != NULL && now->leader >= 0 && before->leader == now->leader &&
        before->term == now->term && before->shard == now->shard &&
        now->writes_total >= before->writes_total && now->reads_total >= before->reads_total &&
        seconds > 0) {
        r.known = true;
        r.writes = (double)(now->writes_total - before->writes_total) / seconds;
        r.reads = (double)(now->reads_total - before->reads_total) / seconds;
    }
    return r;
}

static bool worst_lag(const struct view_shard *s, uint64_t *out_ms)
{
    bool known = false;
    *out_ms = 0;
    for (unsigned i = 0; i < s->replicas_n; i++) {
        if (s->replicas[i].lag_known) {
            known = true;
            *out_ms = s->replicas[i].lag_ms > *out_ms ? s->replicas[i].lag_ms : *out_ms;
        }
    }
    return known;
}

/* ---- the table ---- */

static void rate_cell(struct screen *s, bool known, double rate)
{
    screen_cell(s, known ? (rate < 10 ? "%.1f" : "%.0f") : "?", rate);
}

static void shard_row(const struct top *t, unsigned i, struct screen *s, json_t *rows)
{
    const struct cluster_view *v = t->now.view;
    const struct view_shard *shard = &v->shards[i];
    const struct view_node *leader = shard->leader >= 0 ? &v->nodes[shard->leader] : NULL;
    struct rates r = rates_of(t, i);
    char span[SPAN_TEXT_SIZE];
    uint64_t lag_ms;
    bool lag = worst_lag(shard, &lag_ms) && v->quorum;
    bool p99 = leader != NULL && shard->write_p99_us > 0;
    screen_cell(s, "%s", shard->name);
    screen_cell(s, "%s", leader != NULL ? leader->name : "?");
    screen_cell(s, "%s", leader != NULL ? leader->site : "?");
    rate_cell(s, r.known, r.writes);
    rate_cell(s, r.known, r.reads);
    screen_cell(s, p99 ? "%.1f ms" : "-", (double)shard->write_p99_us / 1000);
    screen_cell(s, leader != NULL && leader->fsync_us > 0 ? "%.1f ms" : "?",
                leader != NULL ? (double)leader->fsync_us / 1000 : 0.0);
    screen_cell(s, "%s", lag ? span_format(lag_ms, span) : "?");
    screen_cell(s, "%u/%u", shard->voters_up, shard->voters);
    json_array_append_new(
        rows,
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i}", "name", json_text(shard->name),
                  "leader", leader != NULL ? json_text(leader->name) : json_null(), "site",
                  leader != NULL ? json_text(leader->site) : json_null(), "writes_per_second",
                  r.known ? json_real(r.writes) : json_null(), "reads_per_second",
                  r.known ? json_real(r.reads) : json_null(), "write_p99_seconds",
                  p99 ? json_real((double)shard->write_p99_us / 1e6) : json_null(),
                  "worst_lag_seconds", json_seconds(lag, lag_ms), "voters", (int)shard->voters,
                  "voters_up", (int)shard->voters_up));
}

static void fill_head(const struct top *t, struct screen *s)
{
    const struct cluster_view *v = t->now.view;
    const Mq__Verdict *verdict = v->said->verdict;
    unsigned up = 0, led = 0;
    for (unsigned i = 0; i < v->nodes_n; i++) {
        up += v->nodes[i].up;
    }
    for (unsigned i = 0; i < v->shards_n; i++) {
        led += v->shards[i].leader >= 0;
    }
    s->severity = status_judge(v, clock_wall_ms(&clock_system), s);
    if (v->quorum || v->local_majority) { /* else the source has said so */
        snprintf(s->summary, sizeof(s->summary), "%s | %u/%u nodes | %u/%u shards led | %.400s",
                 v->cluster_name, up, v->nodes_n, led, v->shards_n,
                 verdict != NULL ? verdict->survives : "no verdict");
    }
    s->verdict = true;
}

static enum exit_code fill(const struct top *t, struct screen *s)
{
    static const char *const columns[] = {"SHARD", "LEADER", "SITE",      "WRITES/S", "READS/S",
                                          "P99",   "FSYNC",  "WORST LAG", "VOTERS UP"};
    json_t *rows = json_array();
    screen_init(s, "top");
    status_source(t->now.view, &t->now.answer, s, t->c->arguments.options.local);
    fill_head(t, s);
    while (json_array_size(s->messages) > MESSAGES_SHOWN) {
        json_array_remove(s->messages, json_array_size(s->messages) - 1);
    }
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(s, columns[i]);
    }
    for (unsigned i = 0; i < t->now.view->shards_n; i++) {
        shard_row(t, i, s, rows);
    }
    json_object_set_new(s->data, "shards", rows);
    return status_exit_code(t->now.view, s->severity);
}

/* ---- on a terminal ---- */

static void take_events(struct top *t)
{
    event_feed_fetch(&t->events);
    for (size_t i = 0; i < t->events.list.n; i++) {
        event_row_format(&t->events.list.rows[i], t->lines[t->lines_next % EVENTS_SHOWN],
                         sizeof(t->lines[0]));
        t->lines_next++;
    }
}

static void print_events(const struct top *t, FILE *out)
{
    unsigned n = t->lines_next < EVENTS_SHOWN ? t->lines_next : EVENTS_SHOWN;
    fputs("events, the newest first\n", out);
    for (unsigned i = 1; i <= n; i++) {
        fprintf(out, "%.*s\n", 100, t->lines[(t->lines_next - i) % EVENTS_SHOWN]);
    }
}

static void draw(struct top *t)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        return;
    }
    fputs("s shards   e events   q quit\n", f);
    if (t->failure[0] != '\0') {
        uint64_t since = t->now.view != NULL ? t->now.at_ms : t->began_ms;
        fprintf(f, "RED no answer for %.1f s: %.80s\n", (double)(caller_now_ms() - since) / 1000,
                t->failure);
    }
    if (t->view == 'e') {
        print_events(t, f);
    } else if (t->now.view != NULL) {
        struct screen s;
        (void)fill(t, &s);
        s.width = console_size().columns;
        screen_print(&s, &t->c->arguments.options, f);
        screen_deinit(&s);
    }
    if (fclose(f) == 0) {
        console_show(text);
    }
    free(text);
}

/* A failure is shown on the screen, not between its lines. */
static void look_quietly(struct top *t)
{
    char *text = NULL;
    size_t size = 0;
    FILE *err = t->c->err;
    FILE *f = open_memstream(&text, &size);
    enum exit_code code;
    int output = t->c->arguments.options.output;
    t->c->err = f != NULL ? f : err;
    t->c->arguments.options.output = OUTPUT_TABLE; /* else it would be said as an answer */
    enum status s = look(t, &code);
    t->c->arguments.options.output = output;
    t->c->err = err;
    if (f != NULL && fclose(f) == 0) {
        snprintf(t->failure, sizeof(t->failure), "%.*s", (int)strcspn(text, "\n"),
                 s != OK ? text : "");
    }
    free(text);
}

/* true: the screen is another now. */
static bool take_key(struct top *t, uint64_t wait_ms)
{
    char key = console_key(wait_ms);
    enum exit_code code;
    if (key == 'e' && !t->events_open) {
        t->events_open = event_feed_open(&t->events, t->c, 0, &code) == OK;
    }
    t->quit = t->quit || key == 'q';
    if (key == 's' || (key == 'e' && t->events_open)) {
        t->view = key;
        return true;
    }
    return t->quit;
}

static bool key_between(void *arg)
{
    struct top *t = arg;
    (void)take_key(t, 0);
    return t->quit;
}

static enum exit_code watch(struct top *t, uint64_t interval_ms)
{
    ctl_endless(t->c);
    t->view = 's';
    t->c->between = key_between;
    t->c->between_arg = t;
    console_open(t->c->out);
    draw(t); /* the keys: they count from here on */
    while (!t->quit) {
        t->c->deadline_at_ms = caller_now_ms() + CTL_TIMEOUT_MS;
        look_quietly(t);
        if (t->view == 'e' && !t->quit) {
            take_events(t);
        }
        draw(t);
        uint64_t until = caller_now_ms() + interval_ms;
        for (uint64_t now = caller_now_ms(); !t->quit && now < until; now = caller_now_ms()) {
            if (take_key(t, until - now)) {
                break;
            }
        }
    }
    console_close();
    return EXIT_HEALTHY;
}

/* The first look may take half of the time, so that there is some for the second; what it has seen is said whatever becomes of that. */
static enum exit_code sample(struct top *t, uint64_t interval_ms)
{
    struct screen s;
    enum exit_code code;
    uint64_t end, now = caller_now_ms();
    ctl_more_time(t->c, interval_ms);
    end = t->c->deadline_at_ms;
    t->c->deadline_at_ms = now + (end - now - interval_ms) / 2;
    if (look(t, &code) != OK) {
        return code;
    }
    t->c->deadline_at_ms = end;
    (void)poll(NULL, 0, (int)interval_ms);
    look_quietly(t);
    if (t->failure[0] != '\0') {
        text_clean(t->failure);
        fprintf(t->c->err, "rates are not known: %s\n", t->failure);
    }
    code = fill(t, &s);
    return ctl_finish(t->c, &s, code);
}

enum exit_code run_top(struct ctl *c)
{
    const struct options *o = &c->arguments.options;
    struct top *t = calloc(1, sizeof(*t));
    uint64_t interval_ms = o->interval_ms != 0 ? o->interval_ms : INTERVAL_MS;
    interval_ms = interval_ms < INTERVAL_MS_MIN ? INTERVAL_MS_MIN : interval_ms;
    if (t == NULL) {
        return ctl_refuse(c, STATUS_NO_MEMORY, "out of memory");
    }
    t->c = c;
    t->began_ms = caller_now_ms();
    bool screen = !o->once && !options_json(o) && console_possible(c->out);
    enum exit_code code = screen ? watch(t, interval_ms) : sample(t, interval_ms);
    look_free(&t->before);
    look_free(&t->now);
    event_feed_close(&t->events);
    free(t);
    return code;
}
