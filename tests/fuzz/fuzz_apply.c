/* Any commands in any committed entries, applied to a real store: what one replica stumbles over stops them all. Whatever comes, apply
 * goes on, the running digest is the recomputed one, and (for inputs that ask) a second store fed the same log in other commits has
 * the same digest. A store with a user, two stores of mail, a queue, a dictionary and a session is made once; each input begins
 * with a copy of its files.
 *
 *   input: u8 flags (1: replay), then steps, by their first byte
 *     00..9f   a command built along its descriptor (message_source.h) joins the batch; odd: in a session (u8 which, u8 sequence)
 *     a0..bf   raw: u8 size, bytes of the command
 *     c0..cf   u8 n of 1..15, n bytes, u16 times: so many copies of them before a built command, as one command
 *     d0..ef   the batch ends and is applied; from e0 on it is committed too; the low bits move the time
 *     f0..ff   raw entry: u8 size, bytes of the payload */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/fuzz/store_of_everything.h"

#define FUZZ_MAP    (256ull << 20)
#define FILES_MAX   8u
#define STEPS_MAX   400u
#define REPLAY      1u
#define COPIES_EACH 8u

static struct {
    struct rig rig;
    struct source source;
    struct {
        char name[64];
        uint8_t *data;
        size_t size;
    } files[FILES_MAX];
    size_t files_n;
    struct batch_builder batch;
    uint8_t *command; /* COMMAND_BYTES_MAX */
    struct token base_tokens[SOURCE_TOKENS];
    struct block **log;
    size_t log_n;
} fuzz;

/* ---- the store all inputs begin with ---- */

static void keep_files(void)
{
    DIR *d = opendir(fuzz.rig.directory);
    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[900];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", fuzz.rig.directory, e->d_name);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        CHECK(fuzz.files_n < FILES_MAX);
        size_t i = fuzz.files_n++;
        int fd = open(path, O_RDONLY);
        snprintf(fuzz.files[i].name, sizeof(fuzz.files[i].name), "%.63s", e->d_name);
        fuzz.files[i].size = (size_t)st.st_size;
        fuzz.files[i].data = malloc(fuzz.files[i].size + 1);
        CHECK_EQ(read(fd, fuzz.files[i].data, fuzz.files[i].size), (ssize_t)fuzz.files[i].size);
        close(fd);
    }
    closedir(d);
}

/* The files as they were, and the store open on them. */
static void begin(void)
{
    for (size_t i = 0; i < fuzz.files_n; i++) {
        char path[900];
        snprintf(path, sizeof(path), "%s/%s", fuzz.rig.directory, fuzz.files[i].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        CHECK(fd >= 0);
        CHECK_EQ(write(fd, fuzz.files[i].data, fuzz.files[i].size), (ssize_t)fuzz.files[i].size);
        close(fd);
    }
    rig_start(&fuzz.rig);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    CHECK_EQ(setenv("TMPDIR", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", 0), 0);
    rig_open(&fuzz.rig, SHARD_DIRECTORY);
    arena_init(&fuzz.source.arena);
    everything_fill(&fuzz.rig, &fuzz.source);
    memcpy(fuzz.base_tokens, fuzz.source.tokens, sizeof(fuzz.base_tokens));
    store_close(fuzz.rig.store);
    fuzz.rig.store = NULL;
    fuzz.rig.options.map_bytes = FUZZ_MAP;
    keep_files();
    fuzz.command = malloc(COMMAND_BYTES_MAX);
    fuzz.log = calloc(STEPS_MAX + 2, sizeof(struct block *));
    CHECK(fuzz.command != NULL && fuzz.log != NULL);
    batch_builder_init(&fuzz.batch);
    return 0;
}

__attribute__((destructor)) static void clean(void)
{
    if (fuzz.command == NULL) {
        return;
    }
    rig_close(&fuzz.rig);
    batch_builder_deinit(&fuzz.batch);
    arena_deinit(&fuzz.source.arena);
    for (size_t i = 0; i < fuzz.files_n; i++) {
        free(fuzz.files[i].data);
    }
    free(fuzz.command);
    free(fuzz.log);
}

/* ---- steps ---- */

static void on_answer(void *arg, uint64_t index, uint32_t ordinal, enum status s,
                      struct block *payload)
{
    (void)arg;
    (void)index;
    (void)ordinal;
    Mq__Result *r = payload == NULL ? NULL : mq__result__unpack(NULL, payload->size, payload->data);
    CHECK(payload == NULL || r != NULL);
    CHECK_NE(s, STATUS_INTERNAL);
    const Mq__Token *t = r == NULL                                  ? NULL
                         : r->body_case == MQ__RESULT__BODY_LEASE   ? r->lease->token
                         : r->body_case == MQ__RESULT__BODY_SESSION ? r->session->session
                                                                    : NULL;
    if (t != NULL) {
        source_learn(&fuzz.source, (struct token){t->epoch, t->position});
    }
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
    block_unref(payload);
}

/* Takes the block. A level that this version does not know stops a replica, and has to. */
static void entry(struct block *b)
{
    struct batch_header h;
    struct store_sink sink = {on_answer, NULL};
    if (batch_decode_header((struct bytes){b->data, b->size}, &h) == STATUS_VERSION) {
        block_unref(b);
        return;
    }
    struct store_entry e = {fuzz.rig.index + 1, 1, b};
    CHECK_OK(store_apply(fuzz.rig.store, &e, 1, &sink, NULL));
    fuzz.rig.index++;
    fuzz.log[fuzz.log_n++] = b;
}

static void end_batch(void)
{
    struct block *b;
    struct batch_header h = {
        .level = FEATURE_LEVEL, .epoch = {1, 77, 0}, .time_ms = fuzz.rig.time_ms};
    h.count = fuzz.batch.count;
    h.shard = fuzz.rig.options.shard;
    CHECK_OK(batch_builder_finish(&fuzz.batch, &h, &b));
    entry(b);
}

static void add(uint8_t step, struct bytes command)
{
    struct source *s = &fuzz.source;
    struct batch_item item = {.command = command};
    if (step < 0xa0 && step % 2 == 1) {
        item.session = s->tokens[source_byte(s) % SOURCE_TOKENS];
        item.sequence = source_byte(s);
    }
    if (command.size > COMMAND_BYTES_MAX) {
        return;
    }
    if (batch_builder_add(&fuzz.batch, &item) == STATUS_FULL) {
        if (fuzz.log_n >= STEPS_MAX) {
            return;
        }
        end_batch();
        CHECK_OK(batch_builder_add(&fuzz.batch, &item));
    }
}

static void copies(uint8_t step)
{
    struct source *s = &fuzz.source;
    struct bytes piece = source_bytes(s, source_byte(s) % 16u);
    size_t times = source_byte(s);
    times = (times << 8 | source_byte(s)) * COPIES_EACH;
    struct bytes tail = source_encoded(s, &mq__command__descriptor);
    size_t size = 0;
    for (; times > 0 && size + piece.size + tail.size <= COMMAND_BYTES_MAX; times--) {
        memcpy(fuzz.command + size, piece.data, piece.size);
        size += piece.size;
        times = piece.size == 0 ? 1 : times;
    }
    if (tail.size > 0 && tail.size <= COMMAND_BYTES_MAX - size) {
        memcpy(fuzz.command + size, tail.data, tail.size);
        size += tail.size;
    }
    add(step, (struct bytes){fuzz.command, size});
}

static void step(void)
{
    static const uint64_t later_ms[16] = {
        0,        1,        1000,      30000,      60001,      600001,     700000, 3600000,
        86400000, 86400000, 691200000, 2592000000, 1ull << 36, 1ull << 40, 2000,   10000};
    struct source *s = &fuzz.source;
    uint8_t c = source_byte(s);
    if (c < 0xa0) {
        add(c, source_encoded(s, &mq__command__descriptor));
    } else if (c < 0xc0) {
        add(c, source_bytes(s, source_byte(s)));
    } else if (c < 0xd0) {
        copies(c);
    } else if (c < 0xf0) {
        fuzz.rig.time_ms += later_ms[c & 15];
        end_batch();
        if (c >= 0xe0) {
            rig_commit(&fuzz.rig);
        }
    } else {
        struct bytes raw = source_bytes(s, source_byte(s));
        struct block *b = block_copy(raw.data, raw.size);
        CHECK(b != NULL);
        entry(b);
    }
}

/* The log again, from the start, with no commit in between and no one who waits for answers. */
static void replay(struct digest wanted)
{
    store_close(fuzz.rig.store);
    begin();
    for (size_t i = 0; i < fuzz.log_n; i++) {
        struct store_entry e = {fuzz.rig.index + 1, 1, fuzz.log[i]};
        CHECK_OK(store_apply(fuzz.rig.store, &e, 1, NULL, NULL));
        fuzz.rig.index++;
    }
    CHECK(digest_equal(store_position(fuzz.rig.store).digest, wanted));
    rig_check_digest(&fuzz.rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    fuzz.source.at = in;
    fuzz.source.end = in + size;
    memcpy(fuzz.source.tokens, fuzz.base_tokens, sizeof(fuzz.base_tokens));
    fuzz.rig.time_ms = 1000000;
    fuzz.log_n = 0;
    uint8_t flags = source_byte(&fuzz.source);
    begin();
    while (fuzz.source.at < fuzz.source.end && fuzz.log_n < STEPS_MAX) {
        step();
    }
    end_batch();
    rig_check_digest(&fuzz.rig);
    if ((flags & REPLAY) != 0) {
        replay(store_position(fuzz.rig.store).digest);
    }
    store_close(fuzz.rig.store);
    fuzz.rig.store = NULL;
    for (size_t i = 0; i < fuzz.log_n; i++) {
        block_unref(fuzz.log[i]);
    }
    return 0;
}
