/* Intrusive doubly linked lists. A head is a link that points at itself when empty; an element
 * that is in no list is zero. */
#ifndef SVL_BASE_LIST_H
#define SVL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct svl_list {
    struct svl_list *next, *prev;
};

static inline void svl_list_init(struct svl_list *head)
{
    head->next = head->prev = head;
}

static inline bool svl_list_empty(const struct svl_list *head)
{
    return head->next == head;
}

static inline bool svl_list_linked(const struct svl_list *element)
{
    return element->next != NULL;
}

static inline void svl_list_append(struct svl_list *head, struct svl_list *element)
{
    element->prev = head->prev;
    element->next = head;
    head->prev->next = element;
    head->prev = element;
}

/* Fine for an element that is in no list. */
static inline void svl_list_remove(struct svl_list *element)
{
    if (!element->next)
        return;
    element->prev->next = element->next;
    element->next->prev = element->prev;
    element->next = element->prev = NULL;
}

/* Makes `to` a list of all that are in `from`, which is empty then. */
static inline void svl_list_move(struct svl_list *from, struct svl_list *to)
{
    svl_list_init(to);
    if (svl_list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    svl_list_init(from);
}

#endif
