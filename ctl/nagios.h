/* `clusterctl status --nagios`: one line, and the exit codes that Nagios, Icinga and their like have agreed on. Pure, but for the line. */
#ifndef MQ_CTL_NAGIOS_H
#define MQ_CTL_NAGIOS_H

#include <stdio.h>

#include "ctl/exit_code.h"

enum nagios_state { NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN };

/* That no node answers is critical, so that a pager rings; unknown is what the check itself has got wrong. */
enum nagios_state nagios_state(enum exit_code code);
/* "MAILQUORUM WARNING - text". Newlines and bars of the text mean something to who reads it: they go. */
void nagios_print(enum exit_code code, const char *text, FILE *out);

#endif
