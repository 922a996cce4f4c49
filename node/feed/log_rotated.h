/* The predecessors of a log file in its directory, whatever rotated them: logrotate (NAME.1, NAME-20261124), `postfix logrotate`
 * (NAME.20261124-093000), each maybe compressed by now.
 *
 * Failure: a directory that cannot be read has none. At most LOG_ROTATED_NAMES_MAX of its names are looked at. */
#ifndef MQ_NODE_FEED_LOG_ROTATED_H
#define MQ_NODE_FEED_LOG_ROTATED_H

#include <stdbool.h>
#include <sys/stat.h>

#define LOG_ROTATED_NAMES_MAX 4096u
#define LOG_ROTATED_PATH_MAX  1024u

enum log_rotated { LOG_ROTATED_NOT, LOG_ROTATED_PLAIN, LOG_ROTATED_COMPRESSED };

/* Is `name` a predecessor of `base`, by its look? Pure. */
enum log_rotated log_rotated_name(const char *base, const char *name);

/* For each predecessor of `path` that is a regular file, in any order, until `each` returns false. */
void log_rotated_scan(const char *path,
                      bool (*each)(void *arg, const char *path, const struct stat *st,
                                   enum log_rotated kind),
                      void *arg);

/* The plain predecessor of `path` that was written to next after `last`, which is one of them; empty: none, the log itself is next.
 * *out_unreadable: a compressed one lies between, whose lines are missed. */
void log_rotated_next(const char *path, const struct stat *last,
                      char out_next[LOG_ROTATED_PATH_MAX], bool *out_unreadable);

#endif
