/* A pool: objects of one size, taken and put back without malloc. Not thread-safe: a worker has
 * pools of its own. With the address sanitizer every object is its own malloc, so that a use
 * after put is seen; in other debug builds what is put back is overwritten. */
#ifndef SVL_BASE_POOL_H
#define SVL_BASE_POOL_H

#include <stddef.h>

struct svl_pool {
    size_t size;     /* of one object, bytes */
    size_t per_slab; /* objects made at once */
    void *free;      /* the objects that were put back, last one first */
    char *fresh;     /* fresh objects of the newest slab: [fresh, fresh_end) */
    char *fresh_end;
    void *slabs;
    size_t live; /* objects out of the pool now */
};

void svl_pool_init(struct svl_pool *pool, size_t size, size_t per_slab);

/* Not zeroed. Never NULL. */
void *svl_pool_get(struct svl_pool *pool);
void svl_pool_put(struct svl_pool *pool, void *object);

/* Gives back all memory; objects that are still out become invalid. */
void svl_pool_finish(struct svl_pool *pool);

#endif
