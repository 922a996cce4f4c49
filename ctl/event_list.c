/* A growing array, a sort, and a ring of keys. */
#include "ctl/event_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void event_list_free(struct event_list *l)
{
    free(l->rows);
    l->rows = NULL;
    l->n = l->room = 0;
}

void event_list_clear(struct event_list *l)
{
    l->n = 0;
}

enum status event_list_add(struct event_list *l, const char *node, const Mq__EventView *e)
{
    if (l->n == l->room) {
        size_t room = l->room > 0 ? 2 * l->room : 64;
        struct event_row *rows = realloc(l->rows, room * sizeof(*rows));
        if (rows == NULL) {
            return STATUS_NO_MEMORY;
        }
        l->rows = rows;
        l->room = room;
    }
    struct event_row *row = &l->rows[l->n++];
    memset(row, 0, sizeof(*row));
    row->unix_ms = e->unix_ms;
    row->sequence = e->sequence;
    row->severity = e->severity;
    snprintf(row->node, sizeof(row->node), "%s", node);
    snprintf(row->object, sizeof(row->object), "%s", e->object);
    snprintf(row->id, sizeof(row->id), "%s", e->id);
    snprintf(row->key, sizeof(row->key), "%s", e->key);
    snprintf(row->text, sizeof(row->text), "%s", e->text);
    return OK;
}

static int compare(const void *a, const void *b)
{
    const struct event_row *x = a;
    const struct event_row *y = b;
    if (x->unix_ms != y->unix_ms) {
        return x->unix_ms < y->unix_ms ? -1 : 1;
    }
    int by_node = strcmp(x->node, y->node);
    return by_node != 0 ? by_node : (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static bool known(struct event_list *l, const struct event_row *row)
{
    char key[64 + 48];
    snprintf(key, sizeof(key), "%.12s%.50s",
             row->id + (strlen(row->id) > 12 ? strlen(row->id) - 12 : 0), row->key);
    for (unsigned i = 0; i < EVENT_KEYS_MAX; i++) {
        if (strcmp(l->keys[i], key) == 0) {
            return true;
        }
    }
    snprintf(l->keys[l->keys_next++ % EVENT_KEYS_MAX], sizeof(l->keys[0]), "%.63s", key);
    return false;
}

void event_list_order(struct event_list *l)
{
    size_t kept = 0;
    if (l->n > 0) {
        qsort(l->rows, l->n, sizeof(*l->rows), compare);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (l->rows[i].key[0] == '\0' || !known(l, &l->rows[i])) {
            if (kept != i) {
                l->rows[kept] = l->rows[i];
            }
            kept++;
        }
    }
    l->n = kept;
}
