/* The end of a process whose own code is wrong. */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void must_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "event=bug.must what=\"%s\" at=%s:%d\n", what, file, line);
    abort();
}
