#include "raft/rules/copies.h"

#include <string.h>

static bool counts(const struct copy_digest *c)
{
    return c->known && !c->damaged;
}

static bool alike(const struct copy_digest *a, const struct copy_digest *b)
{
    return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* NULL: no digest has more than half of the copies that count. */
static const struct copy_digest *majority(const struct copy_digest *copies, unsigned n)
{
    unsigned all = 0;
    for (unsigned i = 0; i < n; i++) {
        all += counts(&copies[i]) ? 1 : 0;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned like = 0;
        for (unsigned k = 0; k < n; k++) {
            like += counts(&copies[k]) && alike(&copies[i], &copies[k]) ? 1 : 0;
        }
        if (counts(&copies[i]) && 2 * like > all) {
            return &copies[i];
        }
    }
    return NULL;
}

void copies_judge(const struct copy_digest *copies, unsigned n, enum copy_verdict *out_verdicts)
{
    const struct copy_digest *right = majority(copies, n);
    for (unsigned i = 0; i < n; i++) {
        out_verdicts[i] = !copies[i].known           ? COPY_SILENT
                          : right == NULL            ? COPY_DISPUTED
                          : alike(&copies[i], right) ? COPY_SAME
                                                     : COPY_DIFFERS;
    }
}
