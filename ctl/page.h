/* Where the next page of a long answer begins. */
#ifndef MQ_CTL_PAGE_H
#define MQ_CTL_PAGE_H

#include "ctl/ctl.h"

#define PAGE_POSITION_MAX 512u

struct page_position { /* zeroed: before the first page */
    uint8_t data[PAGE_POSITION_MAX];
    size_t size;
};

/* A number as a position; 0, which none is, as no bytes. */
static inline struct bytes page_number(const uint64_t *n)
{
    return (struct bytes){(const uint8_t *)n, *n != 0 ? sizeof(*n) : 0};
}

/* Goes on to `next`, which an answer with more behind it names. INTERNAL, said by ctl_refuse, when that is none (empty, too long, or
 * where we are): the answer then must not pass for the last one. */
enum status page_next(struct ctl *c, struct page_position *p, struct bytes next,
                      const struct call_answer *a, enum exit_code *out_code);

#endif
