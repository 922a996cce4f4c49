/* Any bytes from an IMAP server, in pieces of any size, through the parser and through a whole pull: no crash, no more memory
 * than the stated maxima, pages that are in order. Any bytes as a mailbox name: what decodes encodes to itself. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "node/feed/imap_pull.h"
#include "node/feed/listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_page(const struct imap_pull *p)
{
    const struct pull_page *page = &p->page;
    must(page->first_uid >= 1);
    must(page->first_uid <= page->last_uid);
    must(page->messages_n <= PULL_PAGE_MESSAGES_MAX);
    for (uint32_t i = 0; i < page->messages_n; i++) {
        must(page->messages[i].uid >= page->first_uid && page->messages[i].uid <= page->last_uid);
        must(i == 0 || page->messages[i].uid > page->messages[i - 1].uid);
        must(page->messages[i].guid_n <= PULL_GUID_MAX);
    }
    for (uint32_t i = 0; i < page->vanished_n; i++) {
        must(page->vanished[i].first <= page->vanished[i].last);
        must(page->vanished[i].last >= page->first_uid &&
             page->vanished[i].first <= page->last_uid);
        must(i == 0 || page->vanished[i].first > page->vanished[i - 1].last + 1);
    }
}

static void pull(const uint8_t *data, size_t size, size_t piece, const struct pull_cursor *c)
{
    struct imap_pull p;
    must(imap_pull_init(&p) == OK);
    size_t at = 0, events = 0;
    while (events < 4 * size + 16) {
        size_t n = size - at < piece ? size - at : piece, used;
        enum pull_event e = imap_pull_input(&p, data + at, n, &used);
        must(used <= n);
        at += used;
        events++;
        imap_pull_written(&p, imap_pull_output(&p).size);
        if (e == PULL_FAILED || (e == PULL_MORE && at == size)) {
            break;
        }
        if (e == PULL_PAGE) {
            check_page(&p);
        } else if (e == PULL_READY || e == PULL_DONE) {
            must(imap_pull_mailbox(&p, "INBOX", 1, c) == OK);
        }
    }
    imap_pull_end(&p);
    imap_pull_deinit(&p);
}

static void names(const uint8_t *data, size_t size)
{
    char utf8[MAILBOX_NAME_MAX + 1], imap[MAILBOX_NAME_IMAP_MAX + 1], again[MAILBOX_NAME_MAX + 1];
    if (mailbox_name_from_imap((const char *)data, size, utf8) == OK) {
        must(mailbox_name_to_imap(utf8, imap) == OK);
        must(mailbox_name_from_imap(imap, strlen(imap), again) == OK);
        must(strcmp(utf8, again) == 0);
    }
}

static void count_row(void *arg, const struct listing_row *row)
{
    must(strlen(row->name) <= MAILBOX_NAME_MAX);
    (*(size_t *)arg)++;
}

static void listing(const uint8_t *data, size_t size)
{
    size_t rows = 0;
    struct listing l;
    listing_init(&l, count_row, &rows);
    if (listing_input(&l, data, size / 2) == OK) {
        listing_input(&l, data + size / 2, size - size / 2);
    }
    listing_end(&l);
    must(rows <= size);
    listing_deinit(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pull_cursor cursors[] = {
        {0},
        {.uidvalidity = 1, .uidnext = 1, .modseq = 1},
        {.uidvalidity = 1,
         .uidnext = 1,
         .modseq = 1,
         .in_progress = true,
         .from_modseq = 1,
         .to_modseq = 2,
         .next_uid = 7},
    };
    static const char start[] =
        "* PREAUTH hi\r\nm1 OK e\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nm2 OK n\r\n"
        "* LIST () \"/\" INBOX\r\nm3 OK l\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 1] v\r\n"
        "* OK [UIDNEXT 9] n\r\n* OK [HIGHESTMODSEQ 5] h\r\nm4 OK e\r\n";
    if (size < 2) {
        return 0;
    }
    names(data, size);
    listing(data, size);
    size_t piece = (size_t)data[0] + 1;
    const struct pull_cursor *c = &cursors[data[1] % 3];
    if (data[1] & 4) {
        pull(data + 2, size - 2, piece, c);
        return 0;
    }
    size_t n = sizeof(start) - 1 + size - 2;
    uint8_t *all = malloc(n);
    must(all != NULL);
    memcpy(all, start, sizeof(start) - 1);
    memcpy(all + sizeof(start) - 1, data + 2, size - 2);
    pull(all, n, piece, c);
    free(all);
    return 0;
}
