/* What `postqueue -j` prints, read as it comes: one JSON object a line, any number of recipients in it. Pure, and of a fixed size: the
 * items are handed out one by one, and of an item no more is kept than the cluster records.
 *
 * postqueue_input() takes bytes until they end or the owner has had enough; postqueue_end() says whether they ended between two
 * objects. A line that is no such object makes `bad` grow and is skipped: the listing is then not a complete one. What this
 * version does not know in an object is passed over. Texts come out as UTF-8 without control characters ('?' stands for others). */
#ifndef MQ_NODE_FEED_POSTQUEUE_H
#define MQ_NODE_FEED_POSTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POSTQUEUE_ID_MAX         31u
#define POSTQUEUE_ADDRESS_MAX    320u
#define POSTQUEUE_REPLY_MAX      200u /* what is longer is cut */
#define POSTQUEUE_RECIPIENTS_MAX 64u
#define POSTQUEUE_KEY_MAX        31u

struct postqueue_recipient {
    char address[POSTQUEUE_ADDRESS_MAX + 1];
    char orig_address[POSTQUEUE_ADDRESS_MAX + 1]; /* empty: not told */
    char reply[POSTQUEUE_REPLY_MAX + 1];          /* empty: not told */
};

struct postqueue_item {
    char id[POSTQUEUE_ID_MAX + 1];
    int state; /* Mq__QueueItem__State */
    bool forced_expire;
    uint64_t arrival, size;
    char sender[POSTQUEUE_ADDRESS_MAX + 1]; /* empty: the null sender */
    uint32_t recipients_n, recipients_omitted;
    struct postqueue_recipient recipients[POSTQUEUE_RECIPIENTS_MAX];
};

enum postqueue_expect {                /* what may come next */
                        EXPECT_OBJECT, /* between two lines */
                        EXPECT_KEY,
                        EXPECT_COLON,
                        EXPECT_VALUE,
                        EXPECT_COMMA,    /* or the end of the object */
                        EXPECT_ELEMENT,  /* of the recipients */
                        EXPECT_LINE_END, /* the line is bad: nothing until it ends */
};
enum postqueue_place { IN_ITEM, IN_RECIPIENTS, IN_RECIPIENT, IN_UNKNOWN };

struct postqueue {
    enum postqueue_expect expect;
    enum postqueue_place place, outer; /* outer: around the unknown value */
    unsigned depth;                    /* of brackets inside an unknown value */
    bool in_string, is_key, in_word;
    unsigned escape; /* characters of an escape still to come: 5 = the one after the backslash */
    uint32_t code, surrogate;
    char key[POSTQUEUE_KEY_MAX + 1];
    size_t key_n;
    char text[POSTQUEUE_ADDRESS_MAX + 8];
    size_t text_n;
    bool cut; /* text was longer */
    bool has_id, has_arrival, recipient_over;
    uint32_t bad, items;
    struct postqueue_item item;
    struct postqueue_recipient recipient;
    /* false: enough for now; the input stops behind this item. The item is borrowed for the call. */
    bool (*on_item)(struct postqueue *p, const struct postqueue_item *item);
    void *arg;
};

/* on_item and arg are the caller's to set before. */
void postqueue_begin(struct postqueue *p);
/* Bytes taken; fewer than size only when on_item had enough. */
size_t postqueue_input(struct postqueue *p, const char *data, size_t size);
/* Nothing begun, nothing bad. */
bool postqueue_end(const struct postqueue *p);

/* In place: well-formed UTF-8 without control characters; at most `max` bytes of whole characters. Used for logs too. */
void feed_text_clean(char *text, size_t max);

#endif
