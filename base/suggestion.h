/* "did you mean ...": the nearest of some candidates by edit distance, if it is near enough to be a slip of the keyboard. */
#ifndef MQ_BASE_SUGGESTION_H
#define MQ_BASE_SUGGESTION_H

#define SUGGESTION_WORD_MAX 64

struct suggestion {
    const char *word; /* borrowed */
    const char *best; /* borrowed from the candidates; NULL when nothing is near */
    unsigned distance;
};

void suggestion_init(struct suggestion *s, const char *word);
void suggestion_offer(struct suggestion *s, const char *candidate);
/* Insertions, deletions, replacements and swaps of neighbours; SUGGESTION_WORD_MAX when either word is too long. */
unsigned edit_distance(const char *a, const char *b);

#endif
