/* TCP links that can be cut, slowed and made one-way, for tests of real processes on one machine and in containers.
 *
 *   linkproxy --control FIFO [--listen ADDRESS] [--delay MS] NAME=LISTEN_PORT:TARGET_HOST:TARGET_PORT ...
 *
 * --listen is 127.0.0.1 if not given; --delay is what each link has from the start and goes back to. A target that is no number is
 * looked up again every second: a container that is started again may have another address.
 *
 * Lines written into the FIFO (made if missing), one command each, NAME * meaning all:
 *   NAME cut        connections are reset, new ones are refused (accepted and reset)
 *   NAME silent     bytes of both directions are swallowed: what a pulled cable looks like
 *   NAME forward-silent | backward-silent      only what the dialler sends, or only what it gets,
 * is swallowed
 *   NAME delay MS   each piece waits that long, both ways
 *   NAME drop PERCENT   of the pieces are lost and come 200 ms later, after those that TCP would hold back with them
 *   NAME rate BYTES a second, both ways together
 *   NAME heal       back to the link it was at the start; connections that were silent are reset (their streams
 * have holes)
 *   quit
 * Prints "ready" when it listens. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"

#define LINKS_MAX   64
#define PAIRS_MAX   512
#define PIECES_MAX  256
#define PIECE_BYTES 65536
#define RESEND_MS   200 /* the least after which Linux sends again */
#define IDLE_MS     1000

struct piece {
    struct piece *next;
    uint64_t due_ms;
    size_t size, at;
    char data[];
};

struct way { /* from one socket to the other */
    struct piece *first, **last;
    unsigned n;
    uint64_t newest_due_ms;
    bool ended; /* the source has closed */
};

struct link {
    char name[64], host[64];
    int listener;
    struct sockaddr_in target; /* of a host with a name: by `targets`; address 0: not found yet */
    bool cut, silent[2];
    uint64_t delay_ms, rate, drop_percent;
    uint64_t tokens, tokens_ms;
};

struct pair {
    struct link *link;
    int fd[2];         /* dialler, target; -1 = free */
    struct way way[2]; /* 0: dialler -> target */
    bool holed, connecting;
};

static struct link links[LINKS_MAX];
static unsigned links_n;
static struct pair pairs[PAIRS_MAX];
static pthread_mutex_t targets = PTHREAD_MUTEX_INITIALIZER;
static struct in_addr listen_address = {.s_addr = 0};
static uint64_t base_delay_ms;
static struct random rng;

static void die(const char *what)
{
    fprintf(stderr, "linkproxy: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void listen_on(struct link *l, unsigned port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = listen_address};
    int one = 1;
    l->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->listener < 0 ||
        setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(l->listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(l->listener, 64) != 0) {
        die(l->name);
    }
}

/* A thread of its own for each name: one that is not found may take seconds to say so. */
static void *look_up(void *arg)
{
    struct link *l = arg;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    for (;;) {
        if (getaddrinfo(l->host, NULL, &hints, &found) == 0) {
            struct sockaddr_in a;
            memcpy(&a, found->ai_addr, sizeof(a));
            freeaddrinfo(found);
            pthread_mutex_lock(&targets);
            l->target.sin_addr = a.sin_addr;
            pthread_mutex_unlock(&targets);
        }
        (void)poll(NULL, 0, 1000);
    }
    return NULL;
}

static void look_up_always(struct link *l)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, look_up, l);
    if (errno != 0) {
        die("thread");
    }
    pthread_detach(thread);
}

static struct sockaddr_in target_of(struct link *l)
{
    pthread_mutex_lock(&targets);
    struct sockaddr_in a = l->target;
    pthread_mutex_unlock(&targets);
    return a;
}

static void add_link(const char *text)
{
    char name[64], host[64];
    unsigned port = 0, target = 0;
    struct link *l = &links[links_n];
    if (links_n == LINKS_MAX ||
        sscanf(text, "%63[^=]=%u:%63[^:]:%u", name, &port, host, &target) != 4) {
        errno = EINVAL;
        die(text);
    }
    memcpy(l->name, name, sizeof(name));
    memcpy(l->host, host, sizeof(host));
    l->delay_ms = base_delay_ms;
    l->target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)target)};
    if (inet_pton(AF_INET, host, &l->target.sin_addr) != 1) {
        look_up_always(l);
    }
    listen_on(l, port);
    links_n++;
}

/* ---- pairs ---- */

static void drop_way(struct way *w)
{
    while (w->first != NULL) {
        struct piece *p = w->first;
        w->first = p->next;
        free(p);
    }
    w->n = 0;
    w->last = &w->first;
}

static void close_pair(struct pair *p, bool reset)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    for (int i = 0; i < 2; i++) {
        if (p->fd[i] >= 0) {
            if (reset) {
                (void)setsockopt(p->fd[i], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
            }
            close(p->fd[i]);
        }
        p->fd[i] = -1;
        drop_way(&p->way[i]);
    }
    p->link = NULL;
}

static void accept_one(struct link *l)
{
    int one = 1;
    int fd = accept4(l->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct pair *p = NULL;
    for (unsigned i = 0; i < PAIRS_MAX && p == NULL; i++) {
        p = pairs[i].link == NULL ? &pairs[i] : NULL;
    }
    if (fd < 0) {
        return;
    }
    struct sockaddr_in target = target_of(l);
    int to = p != NULL && !l->cut && target.sin_addr.s_addr != 0
                 ? socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
                 : -1;
    struct pair lost = {.link = l, .fd = {fd, to}};
    if (to < 0 ||
        (connect(to, (struct sockaddr *)&target, sizeof(target)) != 0 && errno != EINPROGRESS)) {
        lost.way[0].last = &lost.way[0].first;
        lost.way[1].last = &lost.way[1].first;
        close_pair(&lost, true);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    memset(p, 0, sizeof(*p));
    p->link = l;
    p->fd[0] = fd;
    p->fd[1] = to;
    p->connecting = true;
    p->way[0].last = &p->way[0].first;
    p->way[1].last = &p->way[1].first;
}

/* false: there is nobody. */
static bool connected(struct pair *p)
{
    int error = 0;
    socklen_t size = sizeof(error);
    p->connecting = false;
    return getsockopt(p->fd[1], SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

/* When a piece that came now may go on: nothing overtakes a lost one. */
static uint64_t due_ms(const struct link *l, const struct way *w)
{
    uint64_t due = now_ms() + l->delay_ms;
    if (random_below(&rng, 100) < l->drop_percent) {
        due += RESEND_MS;
    }
    return w->newest_due_ms > due ? w->newest_due_ms : due;
}

static void take_in(struct pair *p, int i)
{
    static char data[PIECE_BYTES];
    ssize_t n = read(p->fd[i], data, sizeof(data));
    struct way *w = &p->way[i];
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        w->ended = true;
        return;
    }
    if (p->link->silent[i]) {
        p->holed = true;
        return;
    }
    struct piece *piece = malloc(sizeof(*piece) + (size_t)n);
    if (piece == NULL) {
        die("memory");
    }
    *piece = (struct piece){.due_ms = due_ms(p->link, w), .size = (size_t)n};
    w->newest_due_ms = piece->due_ms;
    memcpy(piece->data, data, (size_t)n);
    *w->last = piece;
    w->last = &piece->next;
    w->n++;
}

static size_t allowed(struct link *l, size_t want)
{
    uint64_t now = now_ms();
    if (l->rate == 0) {
        return want;
    }
    l->tokens += (now - l->tokens_ms) * l->rate / 1000;
    l->tokens_ms = now;
    l->tokens = l->tokens > l->rate / 4 + 1500 ? l->rate / 4 + 1500 : l->tokens;
    return want < l->tokens ? want : (size_t)l->tokens;
}

/* false: the pair is over. */
static bool give_out(struct pair *p, int i)
{
    struct way *w = &p->way[i];
    uint64_t now = now_ms();
    while (w->first != NULL && w->first->due_ms <= now) {
        struct piece *piece = w->first;
        size_t most = allowed(p->link, piece->size - piece->at);
        ssize_t n = most == 0 ? 0 : send(p->fd[1 - i], piece->data + piece->at, most, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (n <= 0) {
            return true;
        }
        p->link->tokens -= p->link->rate != 0 ? (uint64_t)n : 0;
        piece->at += (size_t)n;
        if (piece->at < piece->size) {
            return true;
        }
        w->first = piece->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
        w->n--;
        free(piece);
    }
    return w->first != NULL || !w->ended;
}

/* ---- commands ---- */

static void close_all(struct link *l, bool holed_only)
{
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        if (pairs[i].link == l && (!holed_only || pairs[i].holed)) {
            close_pair(&pairs[i], true);
        }
    }
}

static void command(struct link *l, const char *verb, uint64_t value)
{
    if (strcmp(verb, "cut") == 0) {
        l->cut = true;
        close_all(l, false);
    } else if (strcmp(verb, "silent") == 0) {
        l->silent[0] = l->silent[1] = true;
    } else if (strcmp(verb, "forward-silent") == 0) {
        l->silent[0] = true;
    } else if (strcmp(verb, "backward-silent") == 0) {
        l->silent[1] = true;
    } else if (strcmp(verb, "delay") == 0) {
        l->delay_ms = value;
    } else if (strcmp(verb, "drop") == 0) {
        l->drop_percent = value;
    } else if (strcmp(verb, "rate") == 0) {
        l->rate = value;
        l->tokens_ms = now_ms();
    } else if (strcmp(verb, "heal") == 0) {
        l->cut = l->silent[0] = l->silent[1] = false;
        l->delay_ms = base_delay_ms;
        l->rate = l->drop_percent = 0;
        close_all(l, true);
    } else {
        fprintf(stderr, "linkproxy: unknown command %s\n", verb);
    }
}

static void obey(const char *line)
{
    char name[64], verb[32];
    unsigned long long value = 0;
    int n = sscanf(line, "%63s %31s %llu", name, verb, &value);
    if (n >= 1 && strcmp(name, "quit") == 0) {
        exit(0);
    }
    for (unsigned i = 0; n >= 2 && i < links_n; i++) {
        if (strcmp(name, "*") == 0 || strcmp(name, links[i].name) == 0) {
            command(&links[i], verb, value);
        }
    }
}

static void read_commands(int fd)
{
    static char text[4096];
    static size_t used;
    ssize_t n = read(fd, text + used, sizeof(text) - 1 - used);
    if (n <= 0) {
        return;
    }
    used += (size_t)n;
    text[used] = '\0';
    char *line = text;
    for (char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        *end = '\0';
        obey(line);
        line = end + 1;
    }
    used = strlen(line);
    memmove(text, line, used);
    if (used == sizeof(text) - 1) {
        used = 0;
    }
}

/* ---- the loop ---- */

static struct pollfd polls[1 + LINKS_MAX + 2 * PAIRS_MAX];

static short wanted(const struct pair *p, int k)
{
    const struct way *out = &p->way[1 - k];
    if (p->connecting) {
        return k == 1 ? POLLOUT : 0;
    }
    bool in = !p->way[k].ended && p->way[k].n < PIECES_MAX;
    bool due = out->first != NULL && out->first->due_ms <= now_ms() && p->link->rate == 0;
    return (short)((in ? POLLIN : 0) | (due ? POLLOUT : 0));
}

/* Fills in `polls`; says how many there are and how long nothing is due. */
static nfds_t prepare(int control, int *wait_ms)
{
    nfds_t n = 0;
    *wait_ms = IDLE_MS;
    polls[n++] = (struct pollfd){.fd = control, .events = POLLIN};
    for (unsigned i = 0; i < links_n; i++) {
        polls[n++] = (struct pollfd){.fd = links[i].listener, .events = POLLIN};
    }
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        struct pair *p = &pairs[i];
        bool used = p->link != NULL;
        for (int k = 0; k < 2; k++) {
            polls[n++] = (struct pollfd){.fd = used ? p->fd[k] : -1,
                                         .events = used ? wanted(p, k) : (short)0};
            if (used && !p->connecting && p->way[k].first != NULL) {
                *wait_ms = 1;
            }
        }
    }
    return n;
}

static void serve(struct pair *p, const struct pollfd *f)
{
    if (p->connecting) {
        if ((f[1].revents & (POLLOUT | POLLHUP | POLLERR)) != 0 && !connected(p)) {
            close_pair(p, true);
        }
        return;
    }
    for (int k = 0; k < 2; k++) {
        if (f[k].fd == p->fd[k] && (f[k].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
            !p->way[k].ended && p->way[k].n < PIECES_MAX) {
            take_in(p, k);
        }
    }
    if (!give_out(p, 0) || !give_out(p, 1)) {
        close_pair(p, false);
    }
}

static void turn(int control)
{
    int wait_ms;
    nfds_t n = prepare(control, &wait_ms);
    if (poll(polls, n, wait_ms) < 0 && errno != EINTR) {
        die("poll");
    }
    if ((polls[0].revents & POLLIN) != 0) {
        read_commands(control);
    }
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        if (pairs[i].link != NULL) {
            serve(&pairs[i], &polls[1 + links_n + 2 * (size_t)i]);
        }
    }
    for (unsigned i = 0; i < links_n; i++) {
        if ((polls[1 + i].revents & POLLIN) != 0) {
            accept_one(&links[i]);
        }
    }
}

int main(int argc, char **argv)
{
    const char *fifo = NULL;
    signal(SIGPIPE, SIG_IGN);
    random_init_seed(&rng, now_ms());
    listen_address.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--control") == 0 && i + 1 < argc) {
            fifo = argv[++i];
        } else if (strcmp(argv[i], "--delay") == 0 && i + 1 < argc) {
            base_delay_ms = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--listen") == 0 && i + 1 < argc) {
            if (inet_pton(AF_INET, argv[++i], &listen_address) != 1) {
                errno = EINVAL;
                die(argv[i]);
            }
        } else {
            add_link(argv[i]);
        }
    }
    if (fifo == NULL || links_n == 0) {
        fprintf(stderr, "linkproxy: see the top of linkproxy.c\n");
        return 2;
    }
    if (mkfifo(fifo, 0600) != 0 && errno != EEXIST) {
        die(fifo);
    }
    int control =
        open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* RDWR: never ends when a writer goes */
    if (control < 0) {
        die(fifo);
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        turn(control);
    }
}
