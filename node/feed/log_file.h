/* A growing log file, line by line, over rotation, truncation and restarts of ours.
 *
 * Happy path: log_file_open(position of last time, or "") -> log_file_read() now and then -> log_file_position() says where to go on.
 * Without a position it begins at the end: what is older is nobody's news. With one it goes on there, also when the file has been
 * rotated meanwhile (node/feed/log_rotated.h says to which names; copytruncate: a copy that begins as it did), and then with those
 * rotated after it, in the order of their last change. When it is nowhere it begins at the start of the present one; `gaps` counts that,
 * and each time one to be read was compressed already: lines may have been missed.
 * Rotation: the old file is read to its end, and for LOG_FILE_GRACE_MS more because its writer may not know yet; then the next one.
 * Truncation (copytruncate): from the start; what was written between our last look and it is missed, and counted as a gap only when that look
 * is over LOG_FILE_GRACE_MS ago, or had not come to the end. A file that is not there is waited for. Lines over LOG_FILE_LINE_MAX are passed over. */
#ifndef MQ_NODE_FEED_LOG_FILE_H
#define MQ_NODE_FEED_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define LOG_FILE_LINE_MAX     8192u
#define LOG_FILE_READ_MAX     (64u * 1024u) /* bytes of one log_file_read() */
#define LOG_FILE_GRACE_MS     3000u
#define LOG_FILE_HEAD_MAX     256u /* what a file is known by beside its number */
#define LOG_FILE_POSITION_MAX 120u

struct log_file {
    const char *path;       /* borrowed */
    int fd;                 /* -1: not open */
    uint64_t inode, offset; /* offset: behind the last line handed out */
    uint64_t rotated_ms;    /* since when another file has the name; 0 = it is this one */
    uint64_t looked_ms;     /* the last look */
    bool behind;            /* there was more than it read */
    bool skipping;          /* inside a line that is too long */
    uint64_t gaps, lines_skipped;
    size_t at, end; /* of buffer: read, not handed out */
    char buffer[LOG_FILE_READ_MAX];
};

/* OK also when there is no file yet. */
enum status log_file_open(struct log_file *f, const char *path, const char *position);
void log_file_close(struct log_file *f);
/* Back to a position of this open file; an empty one is of a time when there was no file. One that cannot be opened now is waited for. */
void log_file_again(struct log_file *f, const char *position);
/* Hands out whole lines (borrowed, without their end) until `line` returns false or there are no more for now. */
enum status log_file_read(struct log_file *f, uint64_t now_ms,
                          bool (*line)(void *arg, const char *data, size_t size), void *arg);
/* In words of our own; empty while nothing is open. */
void log_file_position(const struct log_file *f, char out[LOG_FILE_POSITION_MAX]);

#endif
