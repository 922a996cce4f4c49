/* SIGALRM, whose handler may do no more than write and end. */
#include "ctl/time_limit.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t code_at_end;
static const char *volatile text_at_end = "";

static void on_alarm(int signal_number)
{
    const char *text = text_at_end;
    (void)signal_number;
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
    _exit(code_at_end);
}

void time_limit_start(uint64_t ms, int exit_code, const char *text)
{
    struct sigaction act = {.sa_handler = on_alarm};
    struct itimerval in = {
        .it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};
    code_at_end = exit_code;
    text_at_end = text;
    (void)sigaction(SIGALRM, &act, NULL);
    (void)setitimer(ITIMER_REAL, &in, NULL);
}
