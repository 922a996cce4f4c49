/* Any bytes as one of a node's small files (identity, incarnation, acquaintances). The sum is put right, so that what lies behind it is
 * reached, unless the first byte says to leave it. What is read can be written, and is the same when read again. */
#include "node/record_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "tests/lib/crash_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct record_file *r)
{
    char value[64];
    uint64_t number;
    static const char *const keys[] = {"cluster", "node", "peer", ""};
    for (size_t k = 0; k < 4; k++) {
        for (unsigned i = 0; i < 3; i++) {
            if (record_file_find(r, keys[k], i, value, sizeof(value))) {
                must(memchr(value, '\0', sizeof(value)) != NULL);
            }
            (void)record_file_find_u64(r, keys[k], i, &number);
        }
    }
}

/* As the last line of the file has it. */
static uint64_t sum_of(const uint8_t *text, size_t size)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ text[i]) * 0x100000001b3ull;
    }
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct record_file r, again;
    struct error e = {0};
    if (size < 1 || size > RECORD_FILE_BYTES_MAX + 100) {
        return 0;
    }
    struct crash_disk *c = crash_disk_new(1);
    struct disk *d = crash_disk_disk(c);
    uint8_t *file = malloc(size + 32);
    must(file != NULL);
    size_t n = size - 1;
    memcpy(file, data + 1, n);
    if ((data[0] & 1) == 0) {
        n += (size_t)snprintf((char *)file + n, 32, "sum %016" PRIx64 "\n", sum_of(file, n));
    }
    must(disk_make_dir(d, "/d") == OK);
    crash_disk_put(c, "/d/file", file, n);
    free(file);
    if (record_file_read(d, "/d/file", &r, &e) == OK) {
        look(&r);
        record_file_put(&r, "peer", "%s", "one more");
        if (!r.overflow) {
            must(record_file_write(d, "/d", "file", &r, "fuzz.file", "fuzz.directory") == OK);
            must(record_file_read(d, "/d/file", &again, &e) == OK);
            must(again.size == r.size && memcmp(again.text, r.text, r.size) == 0);
        }
    }
    crash_disk_free(c);
    return 0;
}
