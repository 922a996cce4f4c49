/* Flags of clusterctl: one row each, read by the parser, --help and the test that visits every row. */
#ifndef MQ_CTL_OPTIONS_H
#define MQ_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX 64

enum option_kind {
    OPTION_YES,
    OPTION_TEXT,
    OPTION_CHOICE,
    OPTION_DURATION,
    OPTION_NUMBER,
    OPTION_LIST
};

struct option_list {
    unsigned n;
    const char *items[OPTION_LIST_MAX]; /* borrowed from argv */
};

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_WIDE, OUTPUT_NDJSON, OUTPUT_CSV };

struct options { /* zeroed = nothing given; texts are borrowed from argv */
    int output;  /* enum output */
    struct option_list nodes;
    const char *config;
    bool local, plan, no_color, quiet, verbose, help;
    const char *apply, *confirm, *reason;
    uint64_t timeout_ms;
    /* of single commands */
    bool deep, messages, eta, closed;
    int state; /* Mq__QueueItem__State; 0 = any */
    const char *recipient;
    const char *from, *out, *ca, *to, *user, *priority, *role, *name, *prefix;
    struct option_list sans;
    const char *since; /* a change number, or a moment */
    bool follow, once, nagios, watch, exit_when_healthy;
    uint64_t interval_ms;
    uint64_t ttl_ms, max_ms, limit;
};

struct option_row {
    const char *name; /* without -- */
    char letter;      /* 0 = none */
    bool global;      /* every command takes it */
    enum option_kind kind;
    size_t offset;
    const char *value; /* name of its value; choices "table|json" */
    const char *help;
};

extern const struct option_row option_rows[];
extern const size_t option_rows_n;
/* The answer is for a program. */
bool options_json(const struct options *o);
const struct option_row *option_find(const char *name, size_t size);
const struct option_row *option_find_letter(char letter);

#endif
