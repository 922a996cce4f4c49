/* The manual pages of clusterctl, from its tables: clusterctl(1), one for each noun, clusterctl.conf(5). */
#ifndef MQ_CTL_MANUAL_H
#define MQ_CTL_MANUAL_H

#include <stdio.h>

#include "ctl/commands.h"

/* noun NULL: of the tool. Else the first word of some command's words. */
void manual_print(const char *noun, FILE *out);

#endif
