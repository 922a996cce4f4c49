/* What a client's frame carries, as a node reads it before anything is proposed: header, command,
 * query. */
#include <stddef.h>
#include <stdint.h>

#include "node/command_check.h"
#include "node/request_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_header h;
    uint32_t rights;
    const char *text;
    (void)request_header_decode((struct bytes){data, size}, &h);
    (void)command_check((struct bytes){data, size}, &rights, &text);
    (void)query_check((struct bytes){data, size}, &text);
    return 0;
}
