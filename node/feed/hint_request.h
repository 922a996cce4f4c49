/* What an exporter of Dovecot's events posts: HTTP/1.1 requests, and the user each is about. Pure and bounded.
 *
 * Happy path: hint_request_take() over what has come -> OK with the bytes of one whole request and the user its JSON names (`fields.user`
 * of Dovecot's event exporter, or `user`, as other notifiers have it) -> answer -> the next.
 * A request without a user is one too (user is empty): nothing to do, it is answered. BUSY: more bytes are needed. MALFORMED and TOO_BIG:
 * the connection is not worth keeping. Only bodies with a Content-Length: what exporters send has one. */
#ifndef MQ_NODE_FEED_HINT_REQUEST_H
#define MQ_NODE_FEED_HINT_REQUEST_H

#include "base/status.h"
#include "node/feed/listing.h"

#define HINT_HEADER_MAX (8u * 1024u)
#define HINT_BODY_MAX   (64u * 1024u)

/* *out_used and out_user are set with OK only. */
enum status hint_request_take(const uint8_t *data, size_t size, size_t *out_used,
                              char out_user[USER_NAME_MAX + 1]);

#endif
