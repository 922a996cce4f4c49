/* The command line: words of a command, its arguments, flags anywhere between them. Pure.
 * INVALID with a sentence and a suggestion; nothing is guessed and nothing abbreviated. */
#ifndef MQ_CTL_ARGUMENTS_H
#define MQ_CTL_ARGUMENTS_H

#include <stdio.h>

#include "base/error.h"
#include "ctl/commands.h"
#include "ctl/options.h"

#define ARGUMENTS_MAX 32

struct arguments {
    const struct command *command; /* NULL: help was asked for without one */
    const struct noun *noun;       /* of which help was asked for, without a verb; else NULL */
    const char *args[ARGUMENTS_MAX];
    unsigned args_n;
    struct options options;
};

enum status arguments_parse(int argc, char **argv, struct arguments *out_a, struct error *e);
/* How a line that cannot be parsed wants to be told so: output and nagios. */
void arguments_wish(int argc, char **argv, struct options *out_o);

#endif
