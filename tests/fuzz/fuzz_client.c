/* Any bytes from a node, in chunks of any size, at a client with requests in flight: each request completes exactly once, and the
 * client never reads or writes outside its buffers (the sanitizers say so). The first byte is the size of the chunks; its highest bit
 * says whether one cluster is expected and the clock runs fast. */
#include "proto/client.h"

#include <stdlib.h>
#include <string.h>

#define REQUESTS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_done(struct client_request *r)
{
    int *n = r->arg;
    (*n)++;
}

static void on_event(void *arg, const Mq__Event *event)
{
    (void)arg;
    if (event == NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct uuid expected = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct client c;
    struct client_request r[REQUESTS];
    int done[REQUESTS] = {0};
    bool strict = size > 0 && (data[0] & 128) != 0;
    if (size < 1 || client_init(&c, NULL, strict ? &expected : NULL) != OK) {
        return 0;
    }
    c.on_event = on_event;
    size_t chunk = (size_t)data[0] + 1;
    client_connected(&c, 0);
    for (int i = 0; i < REQUESTS; i++) {
        memset(&r[i], 0, sizeof(r[i]));
        mq__request_header__init(&r[i].header);
        r[i].header.op = i % 2 == 0 ? MQ__OP__OP_SUBMIT : MQ__OP__OP_QUERY;
        r[i].done = on_done;
        r[i].arg = &done[i];
        if (client_submit(&c, 0, &r[i]) != OK) {
            abort();
        }
    }
    enum status s = OK;
    for (size_t at = 1; at < size && s == OK; at += chunk) {
        size_t n = size - at < chunk ? size - at : chunk;
        s = client_receive(&c, at, data + at, n);
        struct bytes out = client_output(&c);
        client_written(&c, out.size / 2);
        client_tick(&c, strict ? at * 1000 : at);
    }
    client_disconnected(&c, "end of input");
    client_deinit(&c);
    for (int i = 0; i < REQUESTS; i++) {
        if (done[i] != 1) {
            abort();
        }
    }
    return 0;
}
