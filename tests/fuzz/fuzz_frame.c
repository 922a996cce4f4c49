/* Any bytes through frame_decode: the sizes it reports must fit the bytes it was given, and what it accepts must encode to the
 * same bytes again. */
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        struct frame f;
        size_t used = 0;
        enum status s = frame_decode((struct bytes){data + at, size - at}, &f, &used);
        if (s == STATUS_BUSY && used <= size - at) {
            abort();
        }
        if (s != OK) {
            return 0;
        }
        struct buffer b = {0};
        if (used > size - at || frame_encode(&b, f.kind, f.header, f.payload) != OK ||
            b.size != used || memcmp(b.data, data + at, used) != 0) {
            abort();
        }
        buffer_deinit(&b);
        at += used;
    }
    return 0;
}
