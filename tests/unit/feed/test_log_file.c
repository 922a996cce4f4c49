/* A log file that grows, is rotated, truncated, replaced, and followed by one who was away. */
#include "node/feed/log_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/feed/log_rotated.h"
#include "tests/lib/check.h"

static char directory[256], path[300], rotated[304];
static struct log_file f;
static char got[65536];
static uint64_t now_ms = 1000;
static unsigned lines_max;

static const char *const others[] = {".2", ".3", ".2.gz", "-20261123", "-20261124", ".offset"};

static const char *other(const char *suffix)
{
    static char name[320];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    return name;
}

static void begin(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%s/mq-log-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/mail.log", directory);
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    lines_max = 1000;
}

static void end(void)
{
    log_file_close(&f);
    unlink(path);
    unlink(rotated);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        unlink(other(others[i]));
    }
    CHECK_EQ(rmdir(directory), 0);
}

static void append(const char *file, const char *text)
{
    FILE *out = fopen(file, "a");
    CHECK(out != NULL);
    fputs(text, out);
    fclose(out);
}

static bool on_line(void *arg, const char *data, size_t size)
{
    unsigned *n = arg;
    size_t have = strlen(got);
    snprintf(got + have, sizeof(got) - have, "%.*s|", (int)(size < 40 ? size : 40), data);
    return ++*n < lines_max;
}

/* What comes, with a '|' behind each line. */
static const char *read_all(void)
{
    got[0] = '\0';
    for (int i = 0; i < 4; i++) {
        unsigned n = 0;
        CHECK_OK(log_file_read(&f, now_ms, on_line, &n));
    }
    return got;
}

static void it_begins_at_the_end_and_hands_out_whole_lines(void)
{
    begin();
    append(path, "old\n");
    CHECK_OK(log_file_open(&f, path, ""));
    CHECK_STR_EQ(read_all(), "");
    append(path, "one\ntw");
    CHECK_STR_EQ(read_all(), "one|");
    append(path, "o\nthree\n");
    CHECK_STR_EQ(read_all(), "two|three|");
    lines_max = 1;
    append(path, "a\nb\nc\nd\ne\n");
    CHECK_STR_EQ(read_all(), "a|b|c|d|"); /* one a call */
    end();
}

static void it_goes_on_where_it_was(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    append(path, "zero\n");
    CHECK_OK(log_file_open(&f, path, ""));
    append(path, "one\ntwo\n");
    lines_max = 1;
    unsigned n = 0;
    got[0] = '\0';
    CHECK_OK(log_file_read(&f, now_ms, on_line, &n));
    CHECK_STR_EQ(got, "one|");
    log_file_position(&f, position);
    log_file_close(&f);
    lines_max = 1000;
    append(path, "three\n");
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_all(), "two|three|");
    /* Rotated while it was away. */
    log_file_close(&f);
    CHECK_EQ(rename(path, rotated), 0);
    append(path, "new\n");
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_all(), "two|three|");
    now_ms += LOG_FILE_GRACE_MS;
    CHECK_STR_EQ(read_all(), "new|");
    CHECK_EQ(f.gaps, 0);
    /* Gone altogether: from the start of what is there, and that is said. */
    log_file_close(&f);
    unlink(rotated);
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_all(), "new|");
    CHECK_EQ(f.gaps, 1);
    end();
}

static void a_file_of_the_same_number_and_another_beginning_is_another(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    append(path, "zero\n");
    CHECK_OK(log_file_open(&f, path, ""));
    log_file_position(&f, position);
    log_file_close(&f);
    FILE *out = fopen(path, "w");
    fputs("other\nagain\n", out);
    fclose(out);
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_all(), "other|again|");
    CHECK_EQ(f.gaps, 1);
    end();
}

static void rotation_reads_the_old_file_to_its_end(void)
{
    begin();
    append(path, "zero\n");
    CHECK_OK(log_file_open(&f, path, ""));
    append(path, "one\n");
    CHECK_EQ(rename(path, rotated), 0);
    CHECK_STR_EQ(read_all(), "one|");
    append(path, "new\n");
    CHECK_STR_EQ(read_all(), "");
    append(rotated, "late\n"); /* its writer does not know yet */
    CHECK_STR_EQ(read_all(), "late|");
    now_ms += LOG_FILE_GRACE_MS;
    CHECK_STR_EQ(read_all(), "new|");
    append(path, "newer\n");
    CHECK_STR_EQ(read_all(), "newer|");
    end();
}

static void truncation_begins_anew(void)
{
    begin();
    append(path, "a long first line\n");
    CHECK_OK(log_file_open(&f, path, ""));
    append(path, "one\n");
    CHECK_STR_EQ(read_all(), "one|");
    CHECK_EQ(truncate(path, 0), 0);
    append(path, "two\n");
    CHECK_STR_EQ(read_all(), "two|");
    CHECK_EQ(f.gaps, 0);
    append(path, "written while nobody looked\n");
    now_ms += 2 * LOG_FILE_GRACE_MS;
    CHECK_EQ(truncate(path, 0), 0);
    append(path, "3\n");
    CHECK_STR_EQ(read_all(), "3|");
    CHECK_EQ(f.gaps, 1);
    end();
}

static void a_file_that_comes_later_is_read_from_its_start(void)
{
    begin();
    CHECK_OK(log_file_open(&f, path, ""));
    CHECK_STR_EQ(read_all(), "");
    append(path, "first\n");
    CHECK_STR_EQ(read_all(), "first|");
    end();
}

static void a_line_without_end_is_passed_over(void)
{
    begin();
    append(path, "");
    CHECK_OK(log_file_open(&f, path, ""));
    for (int i = 0; i < 3000; i++) {
        append(path, "0123456789012345678901234567890123456789012345678901234567890123");
        if (i % 500 == 0) {
            CHECK_STR_EQ(read_all(), "");
        }
    }
    append(path, "\nshort\n");
    for (int i = 0; i < 10 && read_all()[0] == '\0'; i++) {
    }
    CHECK_STR_EQ(got, "short|");
    CHECK_EQ(f.lines_skipped, 1);
    end();
}

/* ---- away for long ---- */

/* The last change of a file, in seconds of 1970: what the order of rotated ones goes by. */
static void changed_at(const char *file, time_t s)
{
    struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};
    CHECK_EQ(utimensat(AT_FDCWD, file, times, 0), 0);
}

/* "one" was read, "two" was not. Closed; rotated to NAME + suffix. */
static void away(char position[LOG_FILE_POSITION_MAX], const char *suffix)
{
    append(path, "zero\n");
    CHECK_OK(log_file_open(&f, path, ""));
    append(path, "one\n");
    CHECK_STR_EQ(read_all(), "one|");
    log_file_position(&f, position);
    log_file_close(&f);
    append(path, "two\n");
    CHECK_EQ(rename(path, other(suffix)), 0);
    changed_at(other(suffix), 1000);
}

static const char *read_on(void)
{
    static char all[1000];
    all[0] = '\0';
    for (int i = 0; i < 4; i++) {
        size_t n = strlen(all);
        snprintf(all + n, sizeof(all) - n, "%s", read_all());
        now_ms += LOG_FILE_GRACE_MS;
    }
    return all;
}

static void rotated_twice_while_it_was_away_it_reads_both_and_the_new_one(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    away(position, ".2");
    append(rotated, "three\n");
    changed_at(rotated, 2000);
    append(other(".3"), "older\n");
    changed_at(other(".3"), 500);
    append(other(".offset"), "no log\n");
    changed_at(other(".offset"), 1500);
    append(path, "four\n");
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_on(), "two|three|four|");
    CHECK_EQ(f.gaps, 0);
    end();
}

static void a_file_that_was_rotated_to_a_name_with_a_date_is_found(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    away(position, "-20261123");
    append(other("-20261124"), "three\n");
    changed_at(other("-20261124"), 2000);
    append(path, "four\n");
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_on(), "two|three|four|");
    CHECK_EQ(f.gaps, 0);
    end();
}

static void one_that_is_compressed_already_is_a_gap(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    away(position, ".3");
    append(other(".2.gz"), "gibberish\n");
    changed_at(other(".2.gz"), 1500);
    append(rotated, "four\n");
    changed_at(rotated, 2000);
    append(path, "five\n");
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_EQ(f.gaps, 0);
    CHECK_STR_EQ(read_on(), "two|four|five|");
    CHECK_EQ(f.gaps, 1);
    end();
}

static void a_compressed_one_of_before_is_none(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    append(other(".2.gz"), "gibberish\n");
    changed_at(other(".2.gz"), 1000); /* a compressor keeps the time */
    away(position, ".1");
    append(path, "four\n");
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_STR_EQ(read_on(), "two|four|");
    CHECK_EQ(f.gaps, 0);
    end();
}

/* Its number stays, and there may be more in it than there was. */
static void what_copytruncate_took_away_is_found_in_the_copy(void)
{
    char position[LOG_FILE_POSITION_MAX];
    begin();
    for (int i = 0; i < 40; i++) {
        append(path, "zero zero\n");
        append(rotated, "zero zero\n");
    }
    CHECK_OK(log_file_open(&f, path, ""));
    log_file_position(&f, position);
    log_file_close(&f);
    append(rotated, "one\n");
    CHECK_EQ(truncate(path, 0), 0);
    for (int i = 0; i < 60; i++) {
        append(path, "new\n");
    }
    for (int i = 0; i < 60; i++) {
        append(path, "newnew\n");
    }
    CHECK_OK(log_file_open(&f, path, position));
    CHECK_EQ(f.gaps, 0);
    CHECK_EQ(strncmp(read_on(), "one|new|new|", 12), 0);
    CHECK_EQ(f.gaps, 0);
    end();
}

static void a_position_of_another_kind_of_log_is_a_gap(void)
{
    begin();
    append(path, "one\n");
    CHECK_OK(log_file_open(&f, path, "journal s=1"));
    CHECK_EQ(f.gaps, 1);
    CHECK_STR_EQ(read_all(), "");
    end();
}

static void a_predecessor_is_known_by_its_name(void)
{
    CHECK_EQ(log_rotated_name("mail.log", "mail.log.1"), LOG_ROTATED_PLAIN);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log-20261124"), LOG_ROTATED_PLAIN);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log.20261124-093000"), LOG_ROTATED_PLAIN);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log.20261124-093000.gz"), LOG_ROTATED_COMPRESSED);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log.2.xz"), LOG_ROTATED_COMPRESSED);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log"), LOG_ROTATED_NOT);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log.offset"), LOG_ROTATED_NOT);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log.1.old"), LOG_ROTATED_NOT);
    CHECK_EQ(log_rotated_name("mail.log", "mail.log."), LOG_ROTATED_NOT);
    CHECK_EQ(log_rotated_name("mail.log", "mail.logs.1"), LOG_ROTATED_NOT);
    CHECK_EQ(log_rotated_name("mail.log", "mail.err.1"), LOG_ROTATED_NOT);
}

CHECK_MAIN
{
    RUN(it_begins_at_the_end_and_hands_out_whole_lines);
    RUN(it_goes_on_where_it_was);
    RUN(a_file_of_the_same_number_and_another_beginning_is_another);
    RUN(rotation_reads_the_old_file_to_its_end);
    RUN(truncation_begins_anew);
    RUN(a_file_that_comes_later_is_read_from_its_start);
    RUN(a_line_without_end_is_passed_over);
    RUN(rotated_twice_while_it_was_away_it_reads_both_and_the_new_one);
    RUN(a_file_that_was_rotated_to_a_name_with_a_date_is_found);
    RUN(one_that_is_compressed_already_is_a_gap);
    RUN(a_compressed_one_of_before_is_none);
    RUN(what_copytruncate_took_away_is_found_in_the_copy);
    RUN(a_position_of_another_kind_of_log_is_a_gap);
    RUN(a_predecessor_is_known_by_its_name);
}
