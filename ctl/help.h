/* --help, from the table of commands: of the tool, of a noun with its verbs, of one command. */
#ifndef MQ_CTL_HELP_H
#define MQ_CTL_HELP_H

#include <stdio.h>

#include "ctl/commands.h"

/* Both NULL: of the tool. */
void help_print(const struct command *command, const struct noun *noun, FILE *out);
/* "-o, --output table|json", without the text. */
#define FLAG_TEXT_SIZE 80
const char *flag_format(const struct option_row *row, char text[FLAG_TEXT_SIZE]);

#endif
