/* Samples the anonymous memory of processes until SIGTERM or until they are gone, and says the most it saw.
 *
 *   memwatch [--interval MS] PID...
 *
 * One line a process at the end: pid, samples, RssAnon at the first sample, the most, and VmHWM (which counts mapped files too), in
 * KiB. RssAnon of the kernel is kept per CPU and may be off by some dozen pages. A process that is not there yet or any more is
 * passed over; exit 1 when one was never seen. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROCESSES_MAX 32

struct process {
    const char *pid;
    unsigned long samples, first_kib, most_kib, high_kib;
};

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
    (void)signal;
    ended = 1;
}

static int sample(struct process *p)
{
    char path[64], line[256];
    unsigned long kib, found = 0;
    snprintf(path, sizeof(path), "/proc/%s/status", p->pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "RssAnon: %lu", &kib) == 1) {
            p->first_kib = p->samples == 0 ? kib : p->first_kib;
            p->most_kib = kib > p->most_kib ? kib : p->most_kib;
            p->samples++;
            found = 1;
        } else if (sscanf(line, "VmHWM: %lu", &kib) == 1) {
            p->high_kib = kib;
        }
    }
    fclose(f);
    return found != 0;
}

int main(int argc, char **argv)
{
    struct process processes[PROCESSES_MAX] = {0};
    int n = 0, code = 0;
    long interval_ms = 50;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--interval") == 0 && i + 1 < argc) {
            interval_ms = strtol(argv[++i], NULL, 10);
        } else if (n < PROCESSES_MAX) {
            processes[n++].pid = argv[i];
        }
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    for (int alive = 1; alive > 0 && !ended;) {
        alive = 0;
        for (int i = 0; i < n; i++) {
            alive += sample(&processes[i]);
        }
        nanosleep(&(struct timespec){interval_ms / 1000, interval_ms % 1000 * 1000000}, NULL);
    }
    for (int i = 0; i < n; i++) {
        struct process *p = &processes[i];
        printf("pid=%s samples=%lu first_kib=%lu most_kib=%lu high_kib=%lu\n", p->pid, p->samples,
               p->first_kib, p->most_kib, p->high_kib);
        code |= p->samples == 0;
    }
    return code;
}
