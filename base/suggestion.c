/* Edit distance with swaps (optimal string alignment), three rows at a time. */
#include "base/suggestion.h"

#include <string.h>

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][SUGGESTION_WORD_MAX + 1];
    size_t n = strlen(a);
    size_t m = strlen(b);
    if (n > SUGGESTION_WORD_MAX || m > SUGGESTION_WORD_MAX) {
        return SUGGESTION_WORD_MAX;
    }
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above2 = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(above[j] + 1, now[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < now[j]) {
                now[j] = above2[j - 2] + 1;
            }
        }
    }
    return rows[n % 3][m];
}

void suggestion_init(struct suggestion *s, const char *word)
{
    s->word = word;
    s->best = NULL;
    s->distance = SUGGESTION_WORD_MAX;
}

void suggestion_offer(struct suggestion *s, const char *candidate)
{
    size_t length = strlen(s->word);
    unsigned near_enough = length < 3 ? 1 : (unsigned)(length + 2) / 3;
    unsigned d = edit_distance(s->word, candidate);
    if (d <= near_enough && d < s->distance) {
        s->distance = d;
        s->best = candidate;
    }
}
