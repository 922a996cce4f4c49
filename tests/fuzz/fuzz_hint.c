/* Any bytes on the port where exporters of Dovecot's events post: requests lie inside what has come, a user is one that the feed can work
 * with, and no byte behind a request changes it. */
#include "node/feed/hint_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at <= size) {
        char user[USER_NAME_MAX + 1], again[USER_NAME_MAX + 1];
        size_t used = 0, used_again = 0;
        if (hint_request_take(data + at, size - at, &used, user) != OK) {
            return 0;
        }
        must(used > 0 && used <= size - at);
        must(user[0] == '\0' || listing_user_valid(user));
        must(hint_request_take(data + at, used, &used_again, again) == OK);
        must(used == used_again && strcmp(user, again) == 0);
        at += used;
    }
    return 0;
}
