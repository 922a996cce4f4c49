/* termios(3) and a handful of control sequences that every terminal since the VT100 knows; no library. */
#include "ctl/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/screen.h"

#define ROWS_USUAL    24u
#define COLUMNS_USUAL 80u

static FILE *console;
static struct termios before;
static volatile sig_atomic_t ended;

static void on_end(int number)
{
    (void)number;
    ended = 1;
}

bool console_possible(FILE *out)
{
    const char *term = getenv("TERM");
    return isatty(STDIN_FILENO) == 1 && isatty(fileno(out)) == 1 && term != NULL &&
           strcmp(term, "dumb") != 0;
}

void console_open(FILE *out)
{
    struct sigaction act = {.sa_handler = on_end}; /* no SA_RESTART: poll must return */
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct termios raw;
    console = out;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaction(numbers[i], &act, NULL);
    }
    if (tcgetattr(STDIN_FILENO, &before) == 0) {
        raw = before;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs("\033[?1049h\033[?25l", console); /* a screen of our own, no cursor */
    (void)fflush(console);
}

void console_close(void)
{
    if (console == NULL) {
        return;
    }
    fputs("\033[?25h\033[?1049l", console);
    (void)fflush(console);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    console = NULL;
}

char console_key(uint64_t wait_ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    int n = ended ? -1 : poll(&p, 1, (int)wait_ms);
    if (ended || (n > 0 && (p.revents & (POLLHUP | POLLERR)) != 0 && (p.revents & POLLIN) == 0)) {
        return 'q';
    }
    if (n > 0 && read(STDIN_FILENO, &key, 1) != 1) {
        return 'q';
    }
    return key;
}

struct console_size console_size(void)
{
    struct winsize size;
    bool known = ioctl(fileno(console), TIOCGWINSZ, &size) == 0;
    return (struct console_size){known && size.ws_row > 1 ? size.ws_row : ROWS_USUAL,
                                 known && size.ws_col > 1 ? size.ws_col : COLUMNS_USUAL};
}

void console_fit(const char *text, struct console_size size, FILE *out)
{
    char line[2048];
    for (unsigned row = 0; *text != '\0' && row + 1 < size.rows; row++) {
        size_t n = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", n < sizeof(line) ? (int)n : (int)sizeof(line) - 1,
                 text);
        fprintf(out, "%.*s\033[K\r\n", (int)text_fits(line, size.columns), line);
        text += n + (text[n] == '\n');
    }
}

void console_show(const char *text)
{
    fputs("\033[H", console);
    console_fit(text, console_size(), console);
    fputs("\033[J", console);
    (void)fflush(console);
}
