/* sim: seeds of whole clusters, one after the other or side by side.
 *
 *   sim --seed N [--seconds S] [--nodes 3|5] [--plant NAME] [--verbose]    one run; prints its trace hash
 *   sim --minutes M [--jobs J] [--from N] [--plant NAME]                   seeds until the time is over; prints totals
 *   sim --count N ...                                                      so many seeds
 *   sim --plants [--jobs J]                                                each planted fault until it is found, two minutes at most
 * Nodes take each other's processes for gone, rightly and wrongly, in every other world; --false-beliefs: in each; --no-beliefs: in none.
 * Each seed of the last two is a process of its own: a crash of it is a violation like any other. Exit code 1 for a violation
 * (with --plant and --plants: for none). */
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "tests/sim/interpose.h"
#include "tests/sim/world.h"

#define JOBS_MAX      16
#define PLANT_SECONDS 120.0

struct result {
    struct world_stats stats;
    uint64_t trace;
    bool finished;
};

struct arguments {
    struct world_options world;
    uint64_t from, count;
    double minutes;
    unsigned jobs;
    bool seed_given, all_plants, quiet;
};

static const struct world_options *running;

static void on_signal(int number)
{
    char text[160];
    int n = snprintf(text, sizeof(text), "VIOLATION seed %llu nodes %u: killed by signal %d\n",
                     (unsigned long long)running->seed, running->nodes, number);
    (void)!write(STDOUT_FILENO, text, (size_t)n);
    signal(number, SIG_DFL);
    raise(number);
}

static void catch_signals(const struct world_options *o)
{
    running = o;
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGABRT, on_signal);
}

static uint32_t default_nodes(uint64_t seed)
{
    return seed % 2 == 0 ? 5 : 3;
}

static uint32_t default_chaos_ms(uint64_t seed)
{
    return (uint32_t)(10000 + seed * 7919 % 30000);
}

static void add(struct world_stats *to, const struct world_stats *from)
{
    uint64_t *a = (uint64_t *)to;
    const uint64_t *b = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++) {
        a[i] += b[i];
    }
}

static void print_stats(const struct world_stats *s)
{
    printf("worlds %llu, virtual seconds %llu, events %llu\n", (unsigned long long)s->worlds,
           (unsigned long long)(s->virtual_ms / 1000), (unsigned long long)s->events);
    printf(
        "crashes %llu (power cuts %llu, sectors lost %llu, clean stops %llu), elections %llu, "
        "transfers %llu\n",
        (unsigned long long)s->crashes, (unsigned long long)s->power_cuts,
        (unsigned long long)s->sectors_lost, (unsigned long long)s->clean_stops,
        (unsigned long long)s->elections, (unsigned long long)s->transfers);
    printf("installs %llu, checkpoints %llu, failing syncs %llu\n", (unsigned long long)s->installs,
           (unsigned long long)s->checkpoints, (unsigned long long)s->sync_failures);
    printf(
        "acknowledged %llu, unknown %llu, refused %llu, reads %llu, sessions lost %llu, frames "
        "refused %llu\n",
        (unsigned long long)s->acked, (unsigned long long)s->unknown,
        (unsigned long long)s->refused, (unsigned long long)s->reads,
        (unsigned long long)s->session_lost, (unsigned long long)s->malformed);
    printf("reads on nodes with a full disk %llu\n", (unsigned long long)s->reads_full);
    printf("beliefs %llu, of which false %llu, early rounds of pre-votes %llu\n",
           (unsigned long long)s->beliefs, (unsigned long long)s->false_beliefs,
           (unsigned long long)s->early_rounds);
    printf("violations %llu\n", (unsigned long long)s->violations);
}

static int run_one(const struct arguments *a)
{
    struct world_stats stats;
    uint64_t trace;
    catch_signals(&a->world);
    world_run(&a->world, &stats, &trace);
    print_stats(&stats);
    printf("seed %llu nodes %u trace %016llx\n", (unsigned long long)a->world.seed, a->world.nodes,
           (unsigned long long)trace);
    return (stats.violations > 0) != (a->world.plant != NULL) ? 1 : 0;
}

/* ---- many --------------------------------------------------------------------------------------------- */

struct many {
    const struct arguments *a;
    struct result *results; /* shared with the children */
    pid_t children[JOBS_MAX];
    struct world_options worlds[JOBS_MAX];
    struct world_stats total;
    uint64_t next;
    bool found;
};

static void remove_leftovers(pid_t pid)
{
    char command[3][200];
    snprintf(command[0], sizeof(command[0]), "%s/mq-sim-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", pid);
    for (int n = 1; n <= SIM_NODES_MAX; n++) {
        snprintf(command[1], sizeof(command[1]), "%.150s-n%d", command[0], n);
        snprintf(command[2], sizeof(command[2]), "%.150s-n%d.inodes", command[0], n);
        for (int i = 1; i < 3; i++) {
            pid_t child = access(command[i], F_OK) == 0 ? fork() : 0;
            if (child == 0 && access(command[i], F_OK) == 0) {
                execlp("rm", "rm", "-rf", command[i], (char *)NULL);
                _exit(127);
            }
            if (child > 0) {
                waitpid(child, NULL, 0);
            }
        }
    }
}

static void start_child(struct many *m, unsigned slot)
{
    struct world_options *o = &m->worlds[slot];
    *o = m->a->world;
    o->seed = m->next++;
    o->nodes = o->nodes != 0 ? o->nodes : default_nodes(o->seed);
    o->chaos_ms = o->chaos_ms != 0 ? o->chaos_ms : default_chaos_ms(o->seed);
    memset(&m->results[slot], 0, sizeof(m->results[slot]));
    fflush(stdout);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        if (o->plant != NULL) {
            must(freopen("/dev/null", "w", stdout) != NULL);
            must(freopen("/dev/null", "w", stderr) != NULL);
        }
        catch_signals(o);
        world_run(o, &m->results[slot].stats, &m->results[slot].trace);
        m->results[slot].finished = true;
        fflush(stdout);
        _exit(0);
    }
    m->children[slot] = pid;
}

static void reap(struct many *m)
{
    int status;
    pid_t pid = wait(&status);
    for (unsigned slot = 0; slot < m->a->jobs; slot++) {
        struct result *r = &m->results[slot];
        if (m->children[slot] != pid) {
            continue;
        }
        m->children[slot] = 0;
        if (!r->finished) {
            r->stats.violations++;
            remove_leftovers(pid);
            if (m->a->world.plant == NULL) {
                printf("VIOLATION seed %llu nodes %u: its process ended with %s %d\n",
                       (unsigned long long)m->worlds[slot].seed, m->worlds[slot].nodes,
                       WIFSIGNALED(status) ? "signal" : "code",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            }
        }
        add(&m->total, &r->stats);
        m->found = m->found || r->stats.violations > 0;
    }
}

static void run_seeds(struct many *m, double seconds, bool stop_when_found)
{
    double end = interpose_real_seconds() + seconds;
    unsigned busy = 0;
    for (;;) {
        bool more = interpose_real_seconds() < end && !(stop_when_found && m->found);
        for (unsigned slot = 0; more && slot < m->a->jobs; slot++) {
            bool left = m->a->count == 0 || m->next < m->a->from + m->a->count;
            if (m->children[slot] == 0 && left) {
                start_child(m, slot);
                busy++;
            }
        }
        if (busy == 0) {
            return;
        }
        reap(m);
        busy--;
    }
}

static struct many *many_new(const struct arguments *a)
{
    static struct many m;
    struct result *results = m.results;
    memset(&m, 0, sizeof(m));
    m.a = a;
    m.next = a->from;
    m.results = results != NULL ? results
                                : mmap(NULL, JOBS_MAX * sizeof(*m.results), PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(m.results != MAP_FAILED);
    return &m;
}

static int run_many(const struct arguments *a)
{
    struct many *m = many_new(a);
    double began = interpose_real_seconds();
    run_seeds(m, a->minutes > 0 ? a->minutes * 60 : HUGE_VAL, a->world.plant != NULL);
    print_stats(&m->total);
    printf("seeds %llu..%llu, %.0f s on %u jobs\n", (unsigned long long)a->from,
           (unsigned long long)m->next - 1, interpose_real_seconds() - began, a->jobs);
    return m->found != (a->world.plant != NULL) ? 1 : 0;
}

static int run_plants(struct arguments *a)
{
    int missed = 0;
    for (unsigned i = 0; i < plants_n; i++) {
        a->world.plant = plants[i].name;
        struct many *m = many_new(a);
        double began = interpose_real_seconds();
        run_seeds(m, PLANT_SECONDS, true);
        printf("%s: %s after %.1f s, %llu seeds (%s)\n", plants[i].name,
               m->found ? "found" : "NOT FOUND", interpose_real_seconds() - began,
               (unsigned long long)(m->next - a->from), plants[i].text);
        fflush(stdout);
        missed += !m->found;
    }
    return missed > 0 ? 1 : 0;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: sim --seed N [--seconds S] [--nodes 3|5] [--plant NAME] [--verbose]\n"
        "       sim --minutes M [--count N] [--jobs J] [--from N] [--nodes 3|5] [--plant NAME]\n"
        "       sim --plants [--jobs J]\n"
        "  --false-beliefs, --no-beliefs: in every world, in none; else in every other one\n");
    for (unsigned i = 0; i < plants_n; i++) {
        fprintf(stderr, "  --plant %-22s %s\n", plants[i].name, plants[i].text);
    }
    return 2;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'},  {"seconds", 1, NULL, 'S'},       {"nodes", 1, NULL, 'n'},
        {"plant", 1, NULL, 'p'}, {"verbose", 0, NULL, 'v'},       {"minutes", 1, NULL, 'm'},
        {"jobs", 1, NULL, 'j'},  {"from", 1, NULL, 'f'},          {"plants", 0, NULL, 'P'},
        {"count", 1, NULL, 'c'}, {"false-beliefs", 0, NULL, 'B'}, {"no-beliefs", 0, NULL, 'N'},
        {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
            case 's':
                a->world.seed = strtoull(optarg, NULL, 0);
                a->seed_given = true;
                break;
            case 'S':
                a->world.chaos_ms = (uint32_t)(strtod(optarg, NULL) * 1000);
                break;
            case 'n':
                a->world.nodes = (uint32_t)strtoul(optarg, NULL, 10);
                break;
            case 'p':
                a->world.plant = optarg;
                break;
            case 'v':
                a->world.verbose = true;
                break;
            case 'm':
                a->minutes = strtod(optarg, NULL);
                break;
            case 'j':
                a->jobs = (unsigned)strtoul(optarg, NULL, 10);
                break;
            case 'f':
                a->from = strtoull(optarg, NULL, 0);
                break;
            case 'P':
                a->all_plants = true;
                break;
            case 'c':
                a->count = strtoull(optarg, NULL, 10);
                break;
            case 'B':
                a->world.beliefs = BELIEFS_ALWAYS;
                break;
            case 'N':
                a->world.beliefs = BELIEFS_NEVER;
                break;
            default:
                return false;
        }
    }
    bool known = a->world.plant == NULL;
    for (unsigned i = 0; i < plants_n && !known; i++) {
        known = strcmp(a->world.plant, plants[i].name) == 0;
    }
    bool nodes = a->world.nodes == 0 || a->world.nodes == 3 || a->world.nodes == 5;
    return known && nodes && a->jobs >= 1 && a->jobs <= JOBS_MAX &&
           (a->seed_given || a->minutes > 0 || a->count > 0 || a->all_plants);
}

int main(int argc, char **argv)
{
    struct arguments a = {.jobs = 1, .from = 1};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parse(argc, argv, &a)) {
        return usage();
    }
    if (a.all_plants) {
        return run_plants(&a);
    }
    if (!a.seed_given) {
        return run_many(&a);
    }
    a.world.nodes = a.world.nodes != 0 ? a.world.nodes : default_nodes(a.world.seed);
    a.world.chaos_ms = a.world.chaos_ms != 0 ? a.world.chaos_ms : default_chaos_ms(a.world.seed);
    return run_one(&a);
}
