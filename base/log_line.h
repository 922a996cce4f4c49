/* Structured log lines: event=peer.connected shard=3 peer=7 took_ms=41
 * One line a fact an operator could act on; the event's name first, then values. Goes to stderr (journald adds
 * time and unit); with MQ_LOG_TIME set in the environment a time is put in front. A line is cut at 1,000 bytes. */
#ifndef MQ_BASE_LOG_LINE_H
#define MQ_BASE_LOG_LINE_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Default INFO. */
void log_line_set_level(enum log_level level);
/* Tests and the simulator take the lines away from stderr; NULL puts them back. */
void log_line_set_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
