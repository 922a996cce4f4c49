/* host:port, or [IPv6 address]:port (RFC 3986 section 3.2.2), as topology, founding file and configurations name it. */
#ifndef MQ_BASE_ADDRESS_H
#define MQ_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* The host goes out without its brackets; false: it is none (a port is 1 to 65535), or a part does not fit. Names are not looked up. */
bool address_split(const char *address, char *out_host, size_t host_size, char *out_port,
                   size_t port_size);

#endif
