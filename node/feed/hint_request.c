/* Finds the end of the header, its Content-Length, and in the body the user. */
#include "node/feed/hint_request.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Behind the empty line that ends the header; NULL when it has not come. */
static const uint8_t *header_end(const uint8_t *data, size_t size)
{
    size_t n = size < HINT_HEADER_MAX ? size : HINT_HEADER_MAX;
    const uint8_t *at = memmem(data, n, "\r\n\r\n", 4);
    return at == NULL ? NULL : at + 4;
}

static enum status content_length(const char *line, size_t size, size_t *out_length)
{
    size_t n = 0, at = 0;
    while (at < size && (line[at] == ' ' || line[at] == '\t')) {
        at++;
    }
    if (at == size) {
        return STATUS_MALFORMED;
    }
    for (; at < size && line[at] != ' '; at++) {
        if (line[at] < '0' || line[at] > '9') {
            return STATUS_MALFORMED;
        }
        n = n * 10 + (size_t)(line[at] - '0');
        if (n > HINT_BODY_MAX) {
            return STATUS_TOO_BIG;
        }
    }
    *out_length = n;
    return OK;
}

/* Every line of the header; no Content-Length: no body. */
static enum status body_length(const uint8_t *data, const uint8_t *end, size_t *out_length)
{
    static const char name[] = "content-length:";
    const char *line = (const char *)data, *last = (const char *)end;
    enum status s = OK;
    *out_length = 0;
    while (line < last && s == OK) {
        const char *next = memchr(line, '\n', (size_t)(last - line));
        size_t n = (size_t)(next - line);
        n -= n > 0 && line[n - 1] == '\r';
        if (n >= sizeof(name) - 1 && strncasecmp(line, name, sizeof(name) - 1) == 0) {
            s = content_length(line + sizeof(name) - 1, n - (sizeof(name) - 1), out_length);
        } else if (n >= 18 && strncasecmp(line, "transfer-encoding:", 18) == 0) {
            s = STATUS_MALFORMED;
        }
        line = next + 1;
    }
    return s;
}

static void user_of(const uint8_t *body, size_t size, char out_user[USER_NAME_MAX + 1])
{
    json_t *event = json_loadb((const char *)body, size, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *fields = json_object_get(event, "fields");
    const char *user = json_string_value(json_object_get(fields != NULL ? fields : event, "user"));
    out_user[0] = '\0';
    if (user != NULL && listing_user_valid(user)) {
        snprintf(out_user, USER_NAME_MAX + 1, "%s", user);
    }
    json_decref(event);
}

enum status hint_request_take(const uint8_t *data, size_t size, size_t *out_used,
                              char out_user[USER_NAME_MAX + 1])
{
    size_t length;
    const uint8_t *body = size == 0 ? NULL : header_end(data, size);
    if (body == NULL) {
        return size >= HINT_HEADER_MAX ? STATUS_TOO_BIG : STATUS_BUSY;
    }
    enum status s = body_length(data, body, &length);
    if (s != OK) {
        return s;
    }
    if (size - (size_t)(body - data) < length) {
        return STATUS_BUSY;
    }
    user_of(body, length, out_user);
    *out_used = (size_t)(body - data) + length;
    return OK;
}
