/* Any bytes as the side file of a store's checkpoint. The sum is put right unless the first byte says to leave it. What is read is
 * written as it was. */
#include "storage/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/must.h"
#include "tests/lib/crash_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct crash_disk *c, const uint8_t *file, size_t n)
{
    struct checkpoint_descriptor d;
    struct error e = {0};
    size_t again;
    if (checkpoint_read(crash_disk_disk(c), "/d", &d, &e) != OK) {
        return;
    }
    must(checkpoint_write(crash_disk_disk(c), "/d", &d) == OK);
    const uint8_t *p = crash_disk_data(c, "/d/" CHECKPOINT_FILE, &again);
    must(p != NULL && again == n && memcmp(p, file, n) == 0);
    checkpoint_descriptor_deinit(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > CHECKPOINT_CONFIGURATION_BYTES_MAX) {
        return 0;
    }
    struct crash_disk *c = crash_disk_new(1);
    size_t n = size - 1;
    uint8_t *file = malloc(n + 8);
    must(file != NULL);
    memcpy(file, data + 1, n);
    if ((data[0] & 1) == 0) {
        put_le64(file + n, XXH3_64bits(file, n));
        n += 8;
    }
    must(disk_make_dir(crash_disk_disk(c), "/d") == OK);
    crash_disk_put(c, "/d/" CHECKPOINT_FILE, file, n);
    write_again(c, file, n);
    free(file);
    crash_disk_free(c);
    return 0;
}
