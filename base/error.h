/* A status and a sentence, only where a person will read it: configuration, clusterctl, start-up. */
#ifndef MQ_BASE_ERROR_H
#define MQ_BASE_ERROR_H

#include "base/status.h"

#define ERROR_TEXT_MAX 512

struct error {
    enum status status;
    char text[ERROR_TEXT_MAX]; /* empty when status is OK */
};

/* Sets status and text (cut at ERROR_TEXT_MAX - 1) and returns the status. e may be NULL. */
enum status error_set(struct error *e, enum status s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "what it was trying to do: " before the text and returns the status. */
enum status error_prefix(struct error *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
