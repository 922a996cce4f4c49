/* See page.h. */
#include "ctl/page.h"

#include <string.h>

enum status page_next(struct ctl *c, struct page_position *p, struct bytes next,
                      const struct call_answer *a, enum exit_code *out_code)
{
    bool here = next.size == p->size && next.size > 0 && memcmp(next.data, p->data, p->size) == 0;
    if (next.size == 0 || next.size > sizeof(p->data) || here) {
        *out_code = ctl_refuse(c, STATUS_INTERNAL, "%s: the answer cannot be read", a->node);
        return STATUS_INTERNAL;
    }
    memcpy(p->data, next.data, next.size);
    p->size = next.size;
    return OK;
}
