/* Handles: numbers for objects that may be gone by the time somebody asks for them. A place is
 * used again for another object, with another generation. One worker's, not thread-safe. */
#ifndef SVL_BASE_HANDLES_H
#define SVL_BASE_HANDLES_H

#include <stdint.h>

struct svl_handle {
    void *object; /* NULL = free */
    uint32_t generation;
    uint32_t next_free; /* 1 + place; 0 = the last one */
};

/* Zeroed at first. */
struct svl_handles {
    struct svl_handle *at; /* at[0, n) */
    uint32_t n, room;
    uint32_t free; /* 1 + place; 0 = none */
};

/* The place of a new handle; at[place].generation goes with it. */
uint32_t svl_handles_put(struct svl_handles *handles, void *object);

/* NULL when it is gone. */
void *svl_handles_get(const struct svl_handles *handles, uint32_t place, uint32_t generation);

void svl_handles_drop(struct svl_handles *handles, uint32_t place);
void svl_handles_finish(struct svl_handles *handles);

#endif
