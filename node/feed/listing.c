/* doveadm's tab-separated rows. Columns are found by their names, so their order and later additions do not matter. */
#include "node/feed/listing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum column {
    COLUMN_OTHER,
    COLUMN_USER,
    COLUMN_NAME,
    COLUMN_GUID,
    COLUMN_UIDVALIDITY,
    COLUMN_UIDNEXT,
    COLUMN_MODSEQ,
    COLUMN_MESSAGES
};

static const struct {
    const char *name;
    enum column column;
} columns[] = {
    {"username", COLUMN_USER},
    {"user", COLUMN_USER},
    {"mailbox", COLUMN_NAME},
    {"guid", COLUMN_GUID},
    {"uidvalidity", COLUMN_UIDVALIDITY},
    {"uidnext", COLUMN_UIDNEXT},
    {"highestmodseq", COLUMN_MODSEQ},
    {"messages", COLUMN_MESSAGES},
};

void listing_init(struct listing *l, void (*row)(void *arg, const struct listing_row *row),
                  void *arg)
{
    memset(l, 0, sizeof(*l));
    buffer_init(&l->line, LISTING_LINE_MAX);
    l->row = row;
    l->arg = arg;
}

void listing_deinit(struct listing *l)
{
    buffer_deinit(&l->line);
}

bool listing_user_valid(const char *user)
{
    size_t n = 0;
    if (user[0] == '-') {
        return false; /* doveadm would take it for an option */
    }
    for (; user[n] != '\0' && n <= USER_NAME_MAX; n++) {
        if ((unsigned char)user[n] <= ' ' || user[n] == 0x7f) {
            return false;
        }
    }
    return n > 0 && n <= USER_NAME_MAX;
}

/* ---- fields ---- */

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (n > (max - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

static bool parse_u32(const char *text, uint32_t *out)
{
    uint64_t n;
    if (!parse_number(text, UINT32_MAX, &n)) {
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool parse_text(const char *text, char *out, size_t size_max)
{
    size_t n = strlen(text);
    if (n == 0 || n > size_max) {
        return false;
    }
    memcpy(out, text, n + 1);
    return true;
}

static bool take_field(struct listing_row *r, enum column column, const char *text)
{
    switch (column) {
        case COLUMN_USER:
            return listing_user_valid(text) && parse_text(text, r->user, USER_NAME_MAX);
        case COLUMN_NAME:
            r->has |= LISTING_HAS_NAME;
            return parse_text(text, r->name, MAILBOX_NAME_MAX);
        case COLUMN_GUID:
            r->has |= LISTING_HAS_GUID;
            return uuid_parse(text, &r->guid) && !uuid_zero(&r->guid);
        case COLUMN_UIDVALIDITY:
            r->has |= LISTING_HAS_UIDVALIDITY;
            return parse_u32(text, &r->uidvalidity) && r->uidvalidity != 0;
        case COLUMN_UIDNEXT:
            r->has |= LISTING_HAS_UIDNEXT;
            return parse_u32(text, &r->uidnext) && r->uidnext != 0;
        case COLUMN_MODSEQ:
            r->has |= LISTING_HAS_MODSEQ;
            return parse_number(text, INT64_MAX, &r->highestmodseq) && r->highestmodseq != 0;
        case COLUMN_MESSAGES:
            return parse_u32(text, &r->messages);
        default:
            return true;
    }
}

/* ---- lines ---- */

static void take_header(struct listing *l, char *line)
{
    char *rest = line, *name;
    while ((name = strsep(&rest, "\t")) != NULL && l->columns_n < LISTING_COLUMNS_MAX) {
        enum column c = COLUMN_OTHER;
        for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
            if (strcasecmp(columns[i].name, name) == 0) {
                c = columns[i].column;
            }
        }
        l->columns[l->columns_n++] = (uint8_t)c;
    }
    l->header_seen = true;
}

static void take_row(struct listing *l, char *line)
{
    struct listing_row *r = &l->current;
    char *rest = line, *field;
    uint32_t n = 0;
    bool good = true;
    memset(r, 0, sizeof(*r));
    while (good && n < l->columns_n && (field = strsep(&rest, "\t")) != NULL) {
        good = take_field(r, (enum column)l->columns[n++], field);
    }
    if (!good || n != l->columns_n || rest != NULL) {
        l->bad++;
        return;
    }
    l->row(l->arg, r);
}

static void take_line(struct listing *l)
{
    uint8_t nul = 0;
    bool whole = !l->overlong && memchr(l->line.data, 0, l->line.size) == NULL &&
                 buffer_append(&l->line, &nul, 1) == OK;
    if (!whole) {
        l->bad++;
    } else if (!l->header_seen) {
        take_header(l, (char *)l->line.data);
    } else if (l->line.size > 1) {
        l->rows++;
        take_row(l, (char *)l->line.data);
    }
    buffer_clear(&l->line);
    l->overlong = false;
}

enum status listing_input(struct listing *l, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t n = newline == NULL ? size : (size_t)(newline - data);
        if (!l->overlong && n > 0) {
            l->overlong = buffer_append(&l->line, data, n) != OK;
        }
        if (newline == NULL) {
            return OK;
        }
        if (l->line.data == NULL && buffer_reserve(&l->line, 1, NULL) != OK) {
            return STATUS_NO_MEMORY;
        }
        take_line(l);
        if (l->rows > LISTING_ROWS_MAX) {
            return STATUS_TOO_BIG;
        }
        data += n + 1;
        size -= n + 1;
    }
    return OK;
}

void listing_end(struct listing *l)
{
    if (l->line.size > 0 || l->overlong) {
        l->bad++;
        buffer_clear(&l->line);
    }
}
