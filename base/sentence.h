/* Sentences for people, written piece by piece into memory of the caller: cut at its end, always NUL-terminated, never failing.
 * It needs nothing of the C library's formatting, so that pure rules can use it: no locale, no allocation. */
#ifndef MQ_BASE_SENTENCE_H
#define MQ_BASE_SENTENCE_H

#include <stddef.h>
#include <stdint.h>

struct sentence {
    char *text;
    size_t size, used; /* used < size, without the NUL */
};

/* size > 0. */
void sentence_init(struct sentence *s, char *text, size_t size);
/* %s, %c, %u, %d, %llu, each with an optional 0 and width; %%. Nothing else. */
void sentence_add(struct sentence *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "0.03s", "6m12s", "3h", "84d". */
#define SPAN_TEXT_SIZE 24
const char *span_format(uint64_t ms, char text[SPAN_TEXT_SIZE]);
/* The time of day, UTC: "03:01:00Z". */
#define TIME_TEXT_SIZE 16
const char *time_format(uint64_t unix_ms, char text[TIME_TEXT_SIZE]);

#endif
