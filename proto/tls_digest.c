/* EVP, and nothing else. */
#include "proto/tls_digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

struct tls_digest {
    EVP_MD_CTX *context;
    bool failed;
};

enum status tls_digest_new(struct tls_digest **out_d)
{
    struct tls_digest *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return STATUS_NO_MEMORY;
    }
    d->context = EVP_MD_CTX_new();
    if (d->context == NULL || EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) != 1) {
        tls_digest_free(d);
        return STATUS_NO_MEMORY;
    }
    *out_d = d;
    return OK;
}

void tls_digest_update(struct tls_digest *d, struct bytes b)
{
    d->failed = d->failed || EVP_DigestUpdate(d->context, b.data, b.size) != 1;
}

enum status tls_digest_finish(struct tls_digest *d, uint8_t out_sum[TLS_DIGEST_SIZE])
{
    d->failed = d->failed || EVP_DigestFinal_ex(d->context, out_sum, NULL) != 1;
    return d->failed ? STATUS_NO_MEMORY : OK;
}

void tls_digest_free(struct tls_digest *d)
{
    if (d != NULL) {
        EVP_MD_CTX_free(d->context);
        free(d);
    }
}
