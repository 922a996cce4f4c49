/* Any bytes as a list of revoked certificates: it is bounded, or refused whole; what it holds is found again, with zeros before it too,
 * and nothing that is not in it. */
#include "proto/revoked.h"

#include <string.h>

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool listed(const struct revoked *r, const struct serial *s)
{
    for (unsigned i = 0; i < r->n; i++) {
        if (memcmp(&r->serials[i], s, sizeof(*s)) == 0) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct serial zero;
    struct revoked r = {0};
    struct error e = {0};
    enum status s = revoked_parse((const char *)data, size, &r, &e);
    must(s == OK || (r.serials == NULL && r.n == 0 && e.text[0] != '\0'));
    must(r.n <= REVOKED_MAX && !listed(&r, &zero));
    for (unsigned i = 0; i < r.n && i < 64; i++) {
        uint8_t wide[SERIAL_BYTES_MAX + 1] = {0};
        memcpy(wide + 1, r.serials[i].bytes, SERIAL_BYTES_MAX);
        must(revoked_has(&r, wide, sizeof(wide)));
        struct serial other = r.serials[i];
        other.bytes[i % SERIAL_BYTES_MAX] ^= 1;
        must(revoked_has(&r, other.bytes, SERIAL_BYTES_MAX) == listed(&r, &other));
    }
    revoked_deinit(&r);
    return 0;
}
