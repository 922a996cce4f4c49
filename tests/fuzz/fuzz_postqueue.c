/* Any bytes as the output of `postqueue -j`, in pieces of any size: no crash, items within their bounds with clean texts, and the same
 * items whatever the pieces. */
#include <string.h>

#include "base/must.h"
#include "node/feed/postqueue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t hash;
    bool stops;
};

static void text(struct sum *s, const char *t, size_t max)
{
    size_t n = strnlen(t, max + 1);
    must(n <= max);
    for (size_t i = 0; i < n; i++) {
        must((unsigned char)t[i] >= 0x20 && t[i] != 0x7f);
        s->hash = (s->hash ^ (unsigned char)t[i]) * 0x100000001b3u;
    }
    s->hash = s->hash * 31 + n;
}

static bool on_item(struct postqueue *p, const struct postqueue_item *i)
{
    struct sum *s = p->arg;
    must(i->recipients_n <= POSTQUEUE_RECIPIENTS_MAX);
    must(i->state > 0 && i->id[0] != '\0');
    text(s, i->id, POSTQUEUE_ID_MAX);
    text(s, i->sender, POSTQUEUE_ADDRESS_MAX);
    for (uint32_t k = 0; k < i->recipients_n; k++) {
        must(i->recipients[k].address[0] != '\0');
        text(s, i->recipients[k].address, POSTQUEUE_ADDRESS_MAX);
        text(s, i->recipients[k].orig_address, POSTQUEUE_ADDRESS_MAX);
        text(s, i->recipients[k].reply, POSTQUEUE_REPLY_MAX);
    }
    s->hash += i->arrival * 3 + i->size * 5 + i->recipients_omitted;
    return !s->stops;
}

static uint64_t parse(const uint8_t *data, size_t size, size_t piece, bool stops)
{
    static struct postqueue p;
    struct sum s = {.stops = stops};
    p.on_item = on_item;
    p.arg = &s;
    postqueue_begin(&p);
    for (size_t at = 0; at < size;) {
        size_t n = size - at < piece ? size - at : piece;
        size_t used = postqueue_input(&p, (const char *)data + at, n);
        must(used > 0 && used <= n);
        at += used;
    }
    return s.hash + p.bad * 7 + postqueue_end(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = parse(data, size, size + 1, false);
    must(parse(data, size, 1, false) == whole);
    must(parse(data, size, 7, true) == whole);
    return 0;
}
