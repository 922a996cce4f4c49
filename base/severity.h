/* How bad a thing is, in the five steps that every screen, exit code and alert uses. */
#ifndef MQ_BASE_SEVERITY_H
#define MQ_BASE_SEVERITY_H

enum severity {
    SEVERITY_OK,     /* nothing to say */
    SEVERITY_BLUE,   /* worth a note, redundancy whole */
    SEVERITY_YELLOW, /* redundancy reduced, or a breach predicted */
    SEVERITY_ORANGE, /* serving, but no further failure may be survivable, or users are affected */
    SEVERITY_RED     /* something is unavailable, data at risk, or two lead at once */
};
#define SEVERITY_COUNT 5

const char *severity_word(enum severity s); /* "OK", "YELLOW", ...: for people */
const char *severity_name(enum severity s); /* "ok", "yellow", ...: for programs */

static inline enum severity severity_higher(enum severity a, enum severity b)
{
    return a > b ? a : b;
}

#endif
