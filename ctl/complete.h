/* What may come next on a command line, from the table of commands. Pure: live names come from the caller. The shells' scripts call
 * `clusterctl complete -- WORD...`, so they know no command themselves. */
#ifndef MQ_CTL_COMPLETE_H
#define MQ_CTL_COMPLETE_H

#include <stdio.h>

#include "base/error.h"

#define COMPLETE_FILES       ":files" /* alone on its line: the shell completes it */
#define COMPLETE_DIRECTORIES ":directories"

enum complete_kind { COMPLETE_NODES, COMPLETE_SHARDS, COMPLETE_SITES };

struct complete_names { /* where live names come from */
    void *arg;
    /* Calls each() for every name it knows now. */
    void (*list)(void *arg, enum complete_kind kind,
                 void (*each)(void *each_arg, const char *name, const char *says), void *each_arg);
};

/* words: those behind the program's name; the last is the one that is being typed and may be empty. Writes "candidate TAB what it is" a
 * line. names may be NULL. */
void complete(const char *const *words, unsigned n, const struct complete_names *names, FILE *out);
/* The script that a shell loads; INVALID for a shell it does not know. */
enum status complete_script(const char *shell, FILE *out, struct error *e);

#endif
