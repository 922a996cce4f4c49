/* Values of settings as text, the way they are written in a file. */
#ifndef MQ_BASE_SETTING_TEXT_H
#define MQ_BASE_SETTING_TEXT_H

#include "base/settings.h"

#define SETTING_TEXT_MAX 600

/* A number in the row's unit: "64MB", "5s", "4096". */
const char *setting_number_format(const struct setting *row, uint64_t value, char *text,
                                  size_t size);
/* The row's field of a struct. */
const char *setting_value_format(const struct setting *row, const void *of, char *text,
                                 size_t size);

#endif
