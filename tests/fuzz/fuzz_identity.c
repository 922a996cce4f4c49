/* Any bytes as the URI of a certificate: who it speaks for has a name that a founding file could have, and is written back as a URI that
 * says the same. */
#include <string.h>

#include "base/must.h"
#include "proto/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_identity i = {.expires_ms = 7}, again = {.expires_ms = 7};
    char uri[TLS_URI_MAX];
    if (!tls_identity_parse((const char *)data, size, &i)) {
        must(i.kind == TLS_NOBODY && i.name[0] == '\0' && i.role[0] == '\0' && i.expires_ms == 7);
        return 0;
    }
    must(i.kind > TLS_NOBODY && i.kind <= TLS_OPERATOR && i.expires_ms == 7);
    must(memchr(i.name, '\0', sizeof(i.name)) != NULL);
    must(i.name[strspn(i.name, "abcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0');
    must(i.name[0] != '\0' && (i.role[0] != '\0') == (i.kind == TLS_OPERATOR));
    must(tls_identity_format(&i, uri) == OK);
    must(tls_identity_parse(uri, strlen(uri), &again));
    must(i.kind == again.kind && strcmp(i.name, again.name) == 0);
    must(strcmp(i.role, again.role) == 0);
    /* One way to write it, but for a viewer's role. */
    must(i.kind == TLS_OPERATOR || (strlen(uri) == size && memcmp(uri, data, size) == 0));
    return 0;
}
