/* sd_notify(3) by hand: one datagram to $NOTIFY_SOCKET; nothing happens without it. Never fails: a
 * lost note is no reason to stop. */
#ifndef MQ_NODE_NOTIFY_H
#define MQ_NODE_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "STATUS=...", "WATCHDOG=1"; several lines in one note are possible. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How often the watchdog wants to hear from us (half its time); 0 = there is none. */
uint64_t notify_watchdog_ms(void);

#endif
