/* Lines of Postfix' log. See showq(8), postsuper(1) and the log lines of 3.7. */
#include "node/feed/maillog.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- time, tag, text ---- */

static bool digits(const char *s, size_t n, int *out_v)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ' && i == 0) { /* "Nov  4" */
            continue;
        }
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
        v = v * 10 + (s[i] - '0');
    }
    *out_v = v;
    return true;
}

static bool clock_of(const char *s, struct tm *tm)
{
    return s[2] == ':' && s[5] == ':' && digits(s, 2, &tm->tm_hour) &&
           digits(s + 3, 2, &tm->tm_min) && digits(s + 6, 2, &tm->tm_sec);
}

/* "Nov 24 13:42:59 ": local time, no year. */
static size_t traditional_time(const char *s, size_t size, uint64_t now, uint64_t *out_at)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {.tm_isdst = -1}, today;
    time_t t = (time_t)now;
    char month[4] = {0};
    if (size < 16 || s[3] != ' ' || s[6] != ' ' || s[15] != ' ' ||
        localtime_r(&t, &today) == NULL) {
        return 0;
    }
    memcpy(month, s, 3);
    const char *at = strstr(months, month);
    if (at == NULL || (at - months) % 3 != 0 || !digits(s + 4, 2, &tm.tm_mday) ||
        !clock_of(s + 7, &tm)) {
        return 0;
    }
    tm.tm_mon = (int)(at - months) / 3;
    tm.tm_year = today.tm_year;
    struct tm copy = tm;
    t = mktime(&tm);
    if (t > (time_t)now + 86400) { /* of last year */
        copy.tm_year--;
        t = mktime(&copy);
    }
    *out_at = t > 0 ? (uint64_t)t : 0;
    return 16;
}

/* "2026-11-24T13:42:59.123456+01:00 ", or with a Z. */
static size_t iso_time(const char *s, size_t size, uint64_t *out_at)
{
    struct tm tm = {0};
    int zone_h = 0, zone_m = 0;
    if (size < 21 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || !digits(s, 4, &tm.tm_year) ||
        !digits(s + 5, 2, &tm.tm_mon) || !digits(s + 8, 2, &tm.tm_mday) || !clock_of(s + 11, &tm)) {
        return 0;
    }
    size_t n = 19;
    if (s[n] == '.') {
        n++;
        while (n < size && s[n] >= '0' && s[n] <= '9') {
            n++;
        }
    }
    if (n < size && s[n] == 'Z') {
        n++;
    } else if (n + 6 < size && (s[n] == '+' || s[n] == '-') && s[n + 3] == ':' &&
               digits(s + n + 1, 2, &zone_h) && digits(s + n + 4, 2, &zone_m)) {
        int sign = s[n] == '+' ? 1 : -1;
        zone_h *= sign;
        zone_m *= sign;
        n += 6;
    } else {
        return 0;
    }
    if (n >= size || s[n] != ' ') {
        return 0;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t t = timegm(&tm) - (time_t)zone_h * 3600 - (time_t)zone_m * 60;
    *out_at = t > 0 ? (uint64_t)t : 0;
    return n + 1;
}

bool maillog_line(const char *line, size_t size, uint64_t now, struct maillog_entry *out_e)
{
    size_t n = iso_time(line, size, &out_e->at);
    n = n == 0 ? traditional_time(line, size, now, &out_e->at) : n;
    const char *host_end = n == 0 ? NULL : memchr(line + n, ' ', size - n);
    if (host_end == NULL) {
        return false;
    }
    const char *tag = host_end + 1, *end = line + size;
    const char *tag_end = tag;
    while (tag_end < end && *tag_end != '[' && *tag_end != ':' && *tag_end != ' ') {
        tag_end++;
    }
    out_e->tag = (struct maillog_part){tag, (size_t)(tag_end - tag)};
    if (tag_end < end && *tag_end == '[') {
        tag_end = memchr(tag_end, ']', (size_t)(end - tag_end));
        tag_end = tag_end == NULL ? end : tag_end + 1;
    }
    if (end - tag_end < 2 || tag_end[0] != ':' || tag_end[1] != ' ') {
        return false;
    }
    out_e->text = (struct maillog_part){tag_end + 2, (size_t)(end - tag_end - 2)};
    return true;
}

static const char *member(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s == NULL ? "" : s;
}

bool maillog_journal(const char *line, size_t size, char *space, struct maillog_entry *out_e,
                     char *out_cursor)
{
    json_t *o = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    const char *tag = member(o, "SYSLOG_IDENTIFIER"), *text = member(o, "MESSAGE");
    const char *cursor = member(o, "__CURSOR");
    size_t tag_n = strlen(tag), text_n = strlen(text);
    if (strlen(cursor) > 0 && strlen(cursor) <= MAILLOG_CURSOR_MAX) {
        memcpy(out_cursor, cursor, strlen(cursor) + 1);
    }
    bool ok = tag_n > 0 && text_n > 0 && tag_n + text_n <= MAILLOG_LINE_MAX;
    if (ok) {
        memcpy(space, tag, tag_n);
        memcpy(space + tag_n, text, text_n);
        out_e->at = strtoull(member(o, "__REALTIME_TIMESTAMP"), NULL, 10) / 1000000;
        out_e->tag = (struct maillog_part){space, tag_n};
        out_e->text = (struct maillog_part){space + tag_n, text_n};
    }
    json_decref(o);
    return ok;
}

/* ---- events ---- */

struct reader {
    const char *at, *end;
};

static bool skip(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0) {
        return false;
    }
    r->at += n;
    return true;
}

static bool at_end(const struct reader *r)
{
    return r->at == r->end;
}

/* Letters and digits. */
static bool read_id(struct reader *r, char out[POSTQUEUE_ID_MAX + 1])
{
    size_t n = 0;
    while (r->at + n < r->end && n <= POSTQUEUE_ID_MAX &&
           ((r->at[n] >= '0' && r->at[n] <= '9') || (r->at[n] >= 'A' && r->at[n] <= 'Z') ||
            (r->at[n] >= 'a' && r->at[n] <= 'z'))) {
        n++;
    }
    if (n == 0 || n > POSTQUEUE_ID_MAX) {
        return false;
    }
    memcpy(out, r->at, n);
    out[n] = '\0';
    r->at += n;
    return true;
}

/* "<...>": a quoted local part may hold anything. out may be NULL. false: unfinished, or longer than the cluster takes. */
static bool read_address(struct reader *r, char *out)
{
    bool quoted = false;
    const char *from = r->at + 1, *p = from;
    if (at_end(r) || *r->at != '<') {
        return false;
    }
    for (; p < r->end && (quoted || *p != '>'); p++) {
        if (*p == '\\' && p + 1 < r->end) {
            p++;
        } else if (*p == '"') {
            quoted = !quoted;
        }
    }
    size_t n = (size_t)(p - from);
    if (p >= r->end || (out != NULL && n > POSTQUEUE_ADDRESS_MAX)) {
        return false;
    }
    if (out != NULL) {
        memcpy(out, from, n);
        out[n] = '\0';
        feed_text_clean(out, POSTQUEUE_ADDRESS_MAX);
    }
    r->at = p + 1;
    return true;
}

static bool find(struct reader *r, const char *word)
{
    const char *at = memmem(r->at, (size_t)(r->end - r->at), word, strlen(word));
    if (at == NULL) {
        return false;
    }
    r->at = at + strlen(word);
    return true;
}

/* What stands in the brackets behind the status. */
static void read_reply(struct reader *r, char out[POSTQUEUE_REPLY_MAX + 1])
{
    char text[POSTQUEUE_REPLY_MAX + 5];
    size_t n;
    if (!skip(r, " (")) {
        out[0] = '\0';
        return;
    }
    n = (size_t)(r->end - r->at);
    n -= n > 0 && r->end[-1] == ')' ? 1 : 0;
    n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
    memcpy(text, r->at, n);
    text[n] = '\0';
    feed_text_clean(text, POSTQUEUE_REPLY_MAX);
    memcpy(out, text, strlen(text) + 1);
}

/* "sent" is what local says of a mail that goes on under another id, and discard of one that it throws away. */
static bool sent_event(const struct reader *service, struct maillog_event *e)
{
    struct reader tag = *service;
    struct reader reply = {e->reply, e->reply + strlen(e->reply)};
    e->kind = MAILLOG_SENT;
    if (skip(&tag, "discard") && at_end(&tag)) {
        e->kind = MAILLOG_DISCARDED;
    } else if (skip(&tag, "local") && at_end(&tag) && skip(&reply, "forwarded as ")) {
        e->kind = MAILLOG_FORWARDED;
        return read_id(&reply, e->successor) && at_end(&reply);
    }
    return true;
}

/* "to=<a@b>, orig_to=<c@d>, relay=..., delay=..., dsn=..., status=sent (250 ok)": nothing before the status can hold a comma but the
 * addresses. */
static bool recipient_event(const struct reader *service, struct reader *r, struct maillog_event *e)
{
    struct reader tag = *service;
    if (!read_address(r, e->recipient) || e->recipient[0] == '\0') {
        return false;
    }
    if (skip(r, ", orig_to=") && !read_address(r, e->orig_recipient)) {
        return false;
    }
    if (e->orig_recipient[0] == '\0' && skip(&tag, "local") && at_end(&tag)) {
        memcpy(e->orig_recipient, e->recipient, sizeof(e->recipient));
    }
    if (!find(r, ", status=")) {
        return false;
    }
    if (skip(r, "sent")) {
        e->kind = MAILLOG_SENT;
    } else if (skip(r, "bounced")) {
        e->kind = MAILLOG_BOUNCED;
    } else if (skip(r, "expired")) {
        e->kind = MAILLOG_BOUNCED;
    } else if (skip(r, "deferred")) {
        e->kind = MAILLOG_DEFERRED;
    } else {
        return false;
    }
    if (!at_end(r) && *r->at != ' ') {
        return false;
    }
    read_reply(r, e->reply);
    return e->kind != MAILLOG_SENT || sent_event(service, e);
}

static bool qmgr_event(struct reader *r, struct maillog_event *e)
{
    if (skip(r, "removed") && at_end(r)) {
        e->kind = MAILLOG_REMOVED;
        return true;
    }
    if (!skip(r, "from=") || !read_address(r, NULL)) {
        return false;
    }
    e->kind = MAILLOG_EXPIRED;
    return skip(r, ", status=expired,") || skip(r, ", status=force-expired,");
}

/* "NEW: uid=0 from=<...> orig_id=OLD" */
static bool pickup_event(struct reader *r, struct maillog_event *e)
{
    memcpy(e->successor, e->id, sizeof(e->successor));
    e->kind = MAILLOG_REQUEUED;
    return skip(r, "uid=") && find(r, " from=") && read_address(r, NULL) && skip(r, " orig_id=") &&
           read_id(r, e->id) && at_end(r);
}

bool maillog_event(const struct maillog_entry *entry, const char *name, struct maillog_event *out_e)
{
    struct reader tag = {entry->tag.data, entry->tag.data + entry->tag.size};
    struct reader r = {entry->text.data, entry->text.data + entry->text.size};
    memset(out_e, 0, sizeof(*out_e));
    out_e->at = entry->at;
    if (!skip(&tag, name) || !skip(&tag, "/")) {
        return false;
    }
    const char *slash = memrchr(tag.at, '/', (size_t)(tag.end - tag.at));
    tag.at = slash != NULL ? slash + 1 : tag.at;
    if (!read_id(&r, out_e->id) || !skip(&r, ": ")) {
        return false;
    }
    const struct reader service = tag;
    if ((skip(&tag, "qmgr") || skip(&tag, "oqmgr") || skip(&tag, "nqmgr")) && at_end(&tag)) {
        return qmgr_event(&r, out_e);
    }
    if (skip(&tag, "postsuper") && at_end(&tag)) {
        out_e->kind = MAILLOG_DELETED;
        return skip(&r, "removed") && at_end(&r);
    }
    if (skip(&tag, "pickup") && at_end(&tag)) {
        return pickup_event(&r, out_e);
    }
    return skip(&r, "to=") && recipient_event(&service, &r, out_e);
}
