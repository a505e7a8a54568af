#include "base/pool.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void svl_pool_init(struct svl_pool *pool, size_t size, size_t per_slab)
{
    size_t rounded = (size + 15) & ~(size_t)15;

    *pool = (struct svl_pool){.size = rounded, .per_slab = per_slab};
}

#if SVL_ASAN

void *svl_pool_get(struct svl_pool *pool)
{
    pool->live++;
    return svl_malloc(pool->size);
}

void svl_pool_put(struct svl_pool *pool, void *object)
{
    SVL_ASSERT(pool->live > 0);
    pool->live--;
    free(object);
}

void svl_pool_finish(struct svl_pool *pool)
{
    pool->live = 0;
}

#else

/* The first bytes of a slab link it to the one before. */
static void add_slab(struct svl_pool *pool)
{
    char *slab = svl_malloc(16 + pool->size * pool->per_slab);

    *(void **)slab = pool->slabs;
    pool->slabs = slab;
    pool->fresh = slab + 16;
    pool->fresh_end = pool->fresh + pool->size * pool->per_slab;
}

void *svl_pool_get(struct svl_pool *pool)
{
    void *object = pool->free;

    pool->live++;
    if (svl_likely(object != NULL)) {
        pool->free = *(void **)object;
        return object;
    }
    if (pool->fresh == pool->fresh_end)
        add_slab(pool);
    object = pool->fresh;
    pool->fresh += pool->size;
    return object;
}

void svl_pool_put(struct svl_pool *pool, void *object)
{
    SVL_ASSERT(pool->live > 0);
    pool->live--;
#ifndef __OPTIMIZE__
    memset(object, 0xdb, pool->size);
#endif
    *(void **)object = pool->free;
    pool->free = object;
}

void svl_pool_finish(struct svl_pool *pool)
{
    while (pool->slabs) {
        void *next = *(void **)pool->slabs;

        free(pool->slabs);
        pool->slabs = next;
    }
    svl_pool_init(pool, pool->size, pool->per_slab);
}

#endif
