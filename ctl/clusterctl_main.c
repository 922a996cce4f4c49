/* clusterctl: see ctl.c. */
#include "ctl/ctl.h"

#include <signal.h>

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_DFL); /* a reader that went away ends us without a word */
    return ctl_main(argc, argv, stdout, stderr);
}
