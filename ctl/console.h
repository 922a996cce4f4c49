/* The terminal as a screen of its own: keys as they are pressed, and everything put back however it ends (key, signal, error). */
#ifndef MQ_CTL_CONSOLE_H
#define MQ_CTL_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Standard input and `out` are both a terminal that can move its cursor. */
bool console_possible(FILE *out);
void console_open(FILE *out);
void console_close(void);
/* A key, or 0 when none came in time. 'q' also for a signal that ends programs, and when the terminal is gone. */
char console_key(uint64_t wait_ms);
struct console_size {
    unsigned rows, columns;
};
struct console_size console_size(void);
/* Puts the text up, from the top left; what does not fit is left out, to the right too: a line that the terminal broke would push the first
 * ones out. */
void console_show(const char *text);
/* The lines that console_show puts up on a terminal of that size. */
void console_fit(const char *text, struct console_size size, FILE *out);

#endif
