#include "base/address.h"

#include <stdlib.h>
#include <string.h>

#define PORT_DIGITS 5u

bool address_split(const char *address, char *out_host, size_t host_size, char *out_port,
                   size_t port_size)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL) {
        return false;
    }
    const char *host = address;
    size_t host_n = (size_t)(colon - address);
    size_t port_n = strlen(colon + 1);
    bool brackets = host_n >= 2 && host[0] == '[' && host[host_n - 1] == ']';
    if (brackets) {
        host++;
        host_n -= 2;
    }
    for (size_t i = 0; i < host_n; i++) {
        /* An IPv6 address needs its brackets, and has no others. */
        if (host[i] == '[' || host[i] == ']' || (host[i] == ':' && !brackets)) {
            return false;
        }
    }
    if (host_n == 0 || host_n >= host_size || port_n == 0 || port_n > PORT_DIGITS ||
        port_n >= port_size || strspn(colon + 1, "0123456789") != port_n) {
        return false;
    }
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (port == 0 || port > 65535) {
        return false;
    }
    memcpy(out_host, host, host_n);
    out_host[host_n] = '\0';
    memcpy(out_port, colon + 1, port_n + 1);
    return true;
}
