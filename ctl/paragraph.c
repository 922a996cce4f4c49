/* Word by word: what does not fit any more begins the next line. */
#include "ctl/paragraph.h"

#include <string.h>

#include "ctl/screen.h"

static void new_line(size_t indent, FILE *out)
{
    fprintf(out, "\n%*s", (int)indent, "");
}

void paragraph_print(const char *text, size_t at, size_t indent, FILE *out)
{
    paragraph_print_within(text, at, indent, PARAGRAPH_WIDTH, out);
}

void paragraph_print_within(const char *text, size_t at, size_t indent, size_t width, FILE *out)
{
    char word[1024];
    bool first = true;
    while (*text != '\0') {
        if (strncmp(text, "\n\n", 2) == 0) {
            fputc('\n', out);
            new_line(indent, out);
            at = indent;
            first = true;
            text += 2;
            continue;
        }
        if (*text == ' ' || *text == '\n') {
            text++;
            continue;
        }
        size_t size = strcspn(text, " \n");
        size = size < sizeof(word) - 1 ? size : sizeof(word) - 1;
        memcpy(word, text, size);
        word[size] = '\0';
        size_t needed = text_width(word);
        if (!first && at + 1 + needed > width) {
            new_line(indent, out);
            at = indent;
        } else if (!first) {
            fputc(' ', out);
            at++;
        }
        fputs(word, out);
        at += needed;
        first = false;
        text += size;
    }
    fputc('\n', out);
}
