/* Any bytes as the pages of a copy that a node installs. A store with rows, an overflow page and free pages is made once and copied;
 * the input is a list of patches to that copy. Whatever comes, install_commit() ends with a status: OK only for a state that
 * its digest names, which then opens, can be read whole and takes writes; else the directory is gone.
 *
 *   input: patches: u8 page, u16 place in it, u8 size, bytes */
#include <sys/stat.h>

#include <stdlib.h>
#include <unistd.h>

/* A check that fails ends the program by a signal, or libFuzzer would not keep the input. */
#define _exit(code) ((void)(code), abort())
#include "tests/unit/storage/store_rig.h"
#undef _exit

#define PAGE          4096u
#define FUZZ_MAP      (64ull << 20)
#define WRITES_AFTER  20
#define OVERFLOW_SIZE 9000

static struct {
    struct rig rig;
    struct checkpoint_descriptor descriptor;
    uint8_t *pages, *work;
    uint64_t size;
} image;

static void fill(struct rig *r)
{
    static char big[OVERFLOW_SIZE + 1];
    char key[32];
    memset(big, 'x', OVERFLOW_SIZE);
    CHECK_OK(rig_owner(r, "ada"));
    CHECK_OK(rig_lease(r, "ada", "s", "feed", 600000));
    struct report *p = report_new(r, "ada", "s", 1, 0, 5);
    for (uint32_t uid = 1; uid <= 120; uid++) {
        report_message(p, uid, uid % 32, uid);
    }
    CHECK_OK(report_run(r, p));
    for (int i = 0; i < 200; i++) { /* committed one by one: most of their pages are free again */
        snprintf(key, sizeof(key), "key%d", i * 7919 % 200);
        CHECK_OK(rig_set(r, "", key, i % 3 == 0 ? "a" : "a value with some letters in it"));
        if (i % 20 == 0) {
            rig_commit(r);
        }
    }
    CHECK_OK(rig_set(r, "", "big", big));
    rig_checkpoint(r);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct copy *copy;
    size_t got;
    CHECK_EQ(setenv("TMPDIR", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", 0), 0);
    rig_open(&image.rig, 1);
    fill(&image.rig);
    CHECK_OK(copy_open(image.rig.store, 0, &copy, &image.descriptor));
    image.size = env_meta_size(&image.descriptor.meta);
    image.pages = malloc(image.size);
    image.work = malloc(image.size);
    CHECK(image.pages != NULL && image.work != NULL);
    for (uint64_t at = 0; at < image.size; at += got) {
        uint64_t left = image.size - at;
        CHECK_OK(copy_read(copy, at, image.pages + at,
                           left < COPY_PIECE_BYTES ? left : COPY_PIECE_BYTES, &got));
    }
    copy_close(copy);
    store_close(image.rig.store);
    image.rig.store = NULL;
    image.rig.options.map_bytes = FUZZ_MAP;
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    if (image.pages != NULL) {
        checkpoint_descriptor_deinit(&image.descriptor);
        rig_close(&image.rig);
        free(image.pages);
        free(image.work);
    }
}

static void patch(const uint8_t *in, size_t size)
{
    memcpy(image.work, image.pages, image.size);
    for (size_t at = 0; at + 4 <= size;) {
        uint64_t place = (in[at] % (image.size / PAGE)) * PAGE + get_le16(in + at + 1) % PAGE;
        size_t n = in[at + 3];
        at += 4;
        n = n < size - at ? n : size - at;
        n = n < image.size - place ? n : (size_t)(image.size - place);
        memcpy(image.work + place, in + at, n);
        at += n;
    }
}

/* What was installed is a store like any other. */
static void use(struct rig *r)
{
    char key[32];
    rig_start(r);
    rig_check_digest(r);
    for (int i = 0; i < WRITES_AFTER; i++) {
        snprintf(key, sizeof(key), "key%d", i * 10);
        CHECK_OK(rig_set(r, "", key, "after"));
        rig_commit(r);
    }
    rig_check_digest(r);
    rig_checkpoint(r);
    store_close(r->store);
    r->store = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    struct rig *r = &image.rig;
    struct install *i;
    struct error e = {0};
    patch(in, size);
    rig_environment(r, 2);
    CHECK_OK(install_begin(&r->options, &r->environment, &image.descriptor, image.size, &i));
    CHECK_OK(install_write(i, 0, image.work, (size_t)image.size));
    enum status s = install_commit(i, &e);
    if (memcmp(image.work, image.pages, image.size) == 0) {
        CHECK_OK(s);
    }
    if (s == OK) {
        use(r);
        CHECK_OK(install_remove(&disk_posix, r->directory));
    }
    CHECK_NE(access(r->directory, F_OK), 0);
    return 0;
}
