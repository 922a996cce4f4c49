/* See scarce.h: the linker gives every malloc and calloc to these (--wrap). */
#include "tests/lib/scarce.h"

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static uint64_t calls, fail_at;

void scarce_fail_at(uint64_t n)
{
    calls = 0;
    fail_at = n;
}

uint64_t scarce_calls(void)
{
    return calls;
}

void *__wrap_malloc(size_t size)
{
    return ++calls == fail_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return ++calls == fail_at ? NULL : __real_calloc(n, size);
}
