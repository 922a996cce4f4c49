/* Intrusive doubly linked list. The head is a node of its own; a node belongs to one list at a time.
 * A node that is in no list is either zeroed or points at itself. */
#ifndef MQ_BASE_LIST_H
#define MQ_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline bool list_linked(const struct list *n)
{
    return n->next != NULL && n->next != n;
}

static inline void list_push_back(struct list *l, struct list *n)
{
    n->prev = l->prev;
    n->next = l;
    l->prev->next = n;
    l->prev = n;
}

static inline void list_push_front(struct list *l, struct list *n)
{
    n->next = l->next;
    n->prev = l;
    l->next->prev = n;
    l->next = n;
}

/* Removing a node that is in no list does nothing. */
static inline void list_remove(struct list *n)
{
    if (n->next == NULL) {
        return;
    }
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n;
    n->prev = n;
}

/* First node, removed; NULL when empty. */
static inline struct list *list_pop(struct list *l)
{
    struct list *n = l->next;
    if (n == l) {
        return NULL;
    }
    list_remove(n);
    return n;
}

/* Appends all of b to a and leaves b empty. */
static inline void list_splice(struct list *a, struct list *b)
{
    if (list_empty(b)) {
        return;
    }
    b->next->prev = a->prev;
    a->prev->next = b->next;
    b->prev->next = a;
    a->prev = b->prev;
    list_init(b);
}

#define list_each(n, l) for (struct list *n = (l)->next; n != (l); n = n->next)
/* Safe against removal of n itself. */
#define list_each_safe(n, l)                                        \
    for (struct list *n = (l)->next, *n##_next = n->next; n != (l); \
         n = n##_next, n##_next = n->next)

#endif
