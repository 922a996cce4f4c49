/* What a terminal is given: never more lines than it has, and none that it would break. */
#include "ctl/console.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

static char *fitted(const char *text, unsigned rows, unsigned columns)
{
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    CHECK(f != NULL);
    console_fit(text, (struct console_size){rows, columns}, f);
    fclose(f);
    return out;
}

#define FITS(TEXT, ROWS, COLUMNS, WANT)           \
    do {                                          \
        char *fits = fitted(TEXT, ROWS, COLUMNS); \
        CHECK_STR_EQ(fits, WANT);                 \
        free(fits);                               \
    } while (0)

static void the_last_row_stays_free_so_that_nothing_scrolls(void)
{
    FITS("a\nb\nc\nd\n", 4, 80, "a\033[K\r\nb\033[K\r\nc\033[K\r\n");
    FITS("a\nb\n", 4, 80, "a\033[K\r\nb\033[K\r\n");
    FITS("", 4, 80, "");
}

static void a_line_is_cut_where_the_terminal_ends(void)
{
    FITS("abcdef\nx\n", 9, 4, "abcd\033[K\r\nx\033[K\r\n");
    FITS("abcd\n", 9, 4, "abcd\033[K\r\n");
}

static void a_character_is_not_cut_in_two(void)
{
    FITS("a收件箱\n", 9, 4, "a收\033[K\r\n"); /* each is two columns wide */
    FITS("grün\n", 9, 3, "grü\033[K\r\n");
}

CHECK_MAIN
{
    RUN(the_last_row_stays_free_so_that_nothing_scrolls);
    RUN(a_line_is_cut_where_the_terminal_ends);
    RUN(a_character_is_not_cut_in_two);
}
