/* Any bytes as a row of the store, of every kind (the first byte chooses): what decodes can be encoded into the room that rows have,
 * and the encoded row says the same again. */
#include "storage/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "storage/record_queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t first[DICT_ROW_BYTES_MAX + 65536], second[DICT_ROW_BYTES_MAX + 65536];

/* Bits that mean no more than yes may differ from what came in; after one turn nothing differs any more. */
#define ROUND(kind)                                                      \
    static void round_##kind(struct bytes b)                             \
    {                                                                    \
        struct kind##_row r, again;                                      \
        memset(&r, 0, sizeof(r));                                        \
        memset(&again, 0, sizeof(again));                                \
        if (kind##_row_decode(b, &r) != OK) {                            \
            return;                                                      \
        }                                                                \
        size_t n = kind##_row_encode(&r, first);                         \
        must(n <= b.size); /* an empty claim is written as none */       \
        must(kind##_row_decode((struct bytes){first, n}, &again) == OK); \
        must(kind##_row_encode(&again, second) == n);                    \
        must(memcmp(first, second, n) == 0);                             \
    }

ROUND(position)
ROUND(system)
ROUND(user)
ROUND(owner)
ROUND(lease)
ROUND(message)
ROUND(session)
ROUND(answer)
ROUND(dict)
ROUND(job)
ROUND(queue)
ROUND(item)

static void round_mailbox(struct bytes b)
{
    struct mailbox_row r, again;
    size_t key_size = b.size < 4 + MAILBOX_GUID_BYTES ? b.size : 4 + MAILBOX_GUID_BYTES;
    struct bytes key = {b.data, key_size}, row = {b.data + key_size, b.size - key_size};
    memset(&r, 0, sizeof(r));
    memset(&again, 0, sizeof(again));
    if (mailbox_row_decode(key, row, &r) != OK) {
        return;
    }
    must(r.cursor_count <= SLOTS_MAX && r.name_size <= MAILBOX_NAME_BYTES_MAX);
    for (unsigned i = 0; i < r.cursor_count; i++) {
        must(!mailbox_cursor_live(&r, &r.cursors[i]) ||
             mailbox_cursor_find(&r, r.cursors[i].store) != NULL);
    }
    (void)mailbox_cursor_find(&r, UINT32_MAX);
    size_t n = mailbox_row_encode(&r, first);
    must(n <= ROW_BYTES_MAX);
    must(mailbox_row_decode(key, (struct bytes){first, n}, &again) == OK);
    must(mailbox_row_encode(&again, second) == n);
    must(memcmp(first, second, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const rounds[])(struct bytes) = {
        round_position, round_system,  round_user,   round_owner, round_lease,
        round_message,  round_session, round_answer, round_dict,  round_job,
        round_mailbox,  round_queue,   round_item};
    if (size < 1 || size > 65536) {
        return 0;
    }
    struct bytes id;
    uint64_t arrival;
    if (key_item_read((struct bytes){data, size}, &id, &arrival) == OK) {
        must(id.data >= data && id.data + id.size <= data + size);
    }
    rounds[data[0] % (sizeof(rounds) / sizeof(rounds[0]))]((struct bytes){data + 1, size - 1});
    return 0;
}
