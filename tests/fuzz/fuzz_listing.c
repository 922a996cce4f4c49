/* Any bytes as the table that doveadm prints, in pieces of any size: the same rows whatever the pieces, each within its limits. The
 * first byte is the size of the pieces. */
#include "node/feed/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

struct seen {
    uint64_t sum;
    uint32_t rows;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_row(void *arg, const struct listing_row *row)
{
    struct seen *s = arg;
    must(memchr(row->user, '\0', sizeof(row->user)) != NULL);
    must(memchr(row->name, '\0', sizeof(row->name)) != NULL);
    for (const char *c = row->name; *c != '\0'; c++) {
        s->sum = s->sum * 31 + (uint8_t)*c;
    }
    s->sum = s->sum * 31 + row->uidvalidity + row->uidnext + row->messages + row->highestmodseq +
             row->has + row->guid.bytes[0];
    s->rows++;
}

static struct seen read_all(const uint8_t *data, size_t size, size_t piece, uint32_t *out_bad)
{
    struct listing l;
    struct seen s = {0};
    listing_init(&l, on_row, &s);
    for (size_t at = 0; at < size; at += piece) {
        if (listing_input(&l, data + at, size - at < piece ? size - at : piece) != OK) {
            break;
        }
    }
    listing_end(&l);
    must(l.rows <= size && l.bad <= size);
    must(s.rows <= l.rows);
    *out_bad = l.bad;
    listing_deinit(&l);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t bad_whole, bad_pieces;
    if (size < 2) {
        return 0;
    }
    struct seen whole = read_all(data + 1, size - 1, size, &bad_whole);
    struct seen pieces = read_all(data + 1, size - 1, (size_t)data[0] + 1, &bad_pieces);
    must(whole.sum == pieces.sum && whole.rows == pieces.rows && bad_whole == bad_pieces);
    char user[USER_NAME_MAX + 2];
    size_t n = size < sizeof(user) - 1 ? size : sizeof(user) - 1;
    memcpy(user, data, n);
    user[n] = '\0';
    if (listing_user_valid(user)) {
        must(user[0] != '-' && strlen(user) <= USER_NAME_MAX);
    }
    return 0;
}
