/* Any position that the cluster gives back, at any log, over growth, rotation, truncation and reopening: each line that is handed out is
 * one of a file that is there, the offset never passes the end, and a position of our own is taken up where it stopped.
 *
 *   input: text up to a zero byte: the position ("$" stands for the number of the log's file, "~" for the one of its predecessor), then steps:
 *     00..3f   the log grows: u8 size, bytes     40..5f   by u8 times 1024 bytes without a line end
 *     60..7f   it is read; the low bits say how many lines are wanted
 *     80..9f   rotated: it is NAME.1 now, a new one is there      a0..af   truncated to u8 bytes
 *     b0..cf   closed, and opened at its own position             d0..df   removed
 *     e0..ff   time passes */
#include "node/feed/log_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"

#define POSITION_MAX 200

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[64], path[80], rotated[84];
static struct log_file f;
static bool disturbed; /* a file was cut or is gone: a position may mean nothing any more */

struct input {
    const uint8_t *at, *end;
    unsigned wanted;
};

static uint8_t byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(directory, sizeof(directory), "%s/mq-log-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/log", directory);
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    unlink(path);
    unlink(rotated);
    rmdir(directory);
}

static void append(const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    must(fd >= 0);
    must(write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void append_long(unsigned times)
{
    static char x[1024];
    memset(x, 'x', sizeof(x));
    for (unsigned i = 0; i < times; i++) {
        append(x, sizeof(x));
    }
}

static uint64_t number_of(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 ? st.st_ino : 0;
}

/* The numbers of files are not known to who wrote the input. */
static void take_position(struct input *in, char out[POSITION_MAX])
{
    size_t n = 0;
    for (uint8_t c = byte(in); c != 0 && n < POSITION_MAX - 24; c = byte(in)) {
        if (c == '$' || c == '~') {
            n += (size_t)snprintf(out + n, POSITION_MAX - n, "%" PRIu64,
                                  number_of(c == '$' ? path : rotated));
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
}

static bool on_line(void *arg, const char *data, size_t size)
{
    struct input *in = arg;
    must(size <= LOG_FILE_LINE_MAX);
    must(memchr(data, '\n', size) == NULL);
    return in->wanted-- > 1;
}

static void read_some(struct input *in, unsigned wanted, uint64_t now_ms)
{
    struct stat st;
    in->wanted = wanted + 1;
    (void)log_file_read(&f, now_ms, on_line, in);
    must(f.at <= f.end && f.end <= sizeof(f.buffer));
    must(f.fd < 0 || fstat(f.fd, &st) == 0);
    must(f.fd < 0 || f.offset <= (uint64_t)st.st_size || f.rotated_ms == 0);
}

static void reopen(void)
{
    char position[LOG_FILE_POSITION_MAX];
    uint64_t offset = f.offset, inode = f.inode;
    log_file_position(&f, position);
    log_file_close(&f);
    bool there = position[0] != '\0' && (number_of(path) == inode || number_of(rotated) == inode);
    (void)log_file_open(&f, path, position);
    if (there && !disturbed) {
        must(f.inode == inode && f.offset == offset && f.gaps == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size, 0};
    char position[POSITION_MAX];
    uint64_t now_ms = 1000;
    disturbed = false;
    unlink(path);
    unlink(rotated);
    append("one\n", 4);
    must(rename(path, rotated) == 0);
    append("two\nthree\n", 10);
    append_long(1); /* longer than what a file is known by */
    take_position(&in, position);
    (void)log_file_open(&f, path, position);
    while (in.at < in.end) {
        uint8_t c = byte(&in);
        if (c < 0x40) {
            size_t n = byte(&in);
            n = n < (size_t)(in.end - in.at) ? n : (size_t)(in.end - in.at);
            append(in.at, n);
            in.at += n;
        } else if (c < 0x60) {
            append_long(byte(&in));
        } else if (c < 0x80) {
            read_some(&in, c & 31, now_ms);
        } else if (c < 0xa0) {
            disturbed = disturbed || number_of(rotated) == f.inode;
            (void)rename(path, rotated);
            append("new\n", 4);
        } else if (c < 0xb0) {
            (void)truncate(path, byte(&in));
            disturbed = true;
        } else if (c < 0xd0) {
            reopen();
        } else if (c < 0xe0) {
            (void)unlink(path);
            disturbed = true;
        } else {
            now_ms += (c & 31u) * 500;
        }
    }
    log_file_close(&f);
    return 0;
}
