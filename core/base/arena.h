/* An arena: memory that is given out piece by piece and freed as a whole. It starts in memory
 * its owner lends it and goes on in blocks of a pool. With the address sanitizer each piece is
 * its own malloc, so that overruns and late uses are seen. */
#ifndef SVL_BASE_ARENA_H
#define SVL_BASE_ARENA_H

#include "base/pool.h"
#include "serval/str.h"

#include <stdbool.h>

#define SVL_ARENA_BLOCK 4096 /* bytes of the pool's objects */

struct svl_arena_block;
struct svl_arena_cleanup;

struct svl_arena {
    char *at, *end; /* free part of the current block */
    struct svl_arena_block *blocks;
    struct svl_arena_cleanup *cleanups; /* last one first */
    struct svl_pool *pool;
    size_t tried;  /* bytes that svl_arena_try() has given out */
    size_t budget; /* what that may come to */
};

/* `first` (aligned to 16) is used before any block; it may be NULL if size is 0. */
void svl_arena_init(struct svl_arena *arena, void *first, size_t size, struct svl_pool *pool,
                    size_t budget);

/* Zeroed, aligned to 16. Never NULL. */
void *svl_arena_alloc(struct svl_arena *arena, size_t size);

/* NULL when the budget is used up. */
void *svl_arena_try(struct svl_arena *arena, size_t size);

/* A text that grows in an arena: p[0, n). Zeroed at first. */
struct svl_text {
    char *p;
    size_t n, room;
};

/* Adds to it, within the budget. False when that is used up, and nothing was added. */
bool svl_arena_append(struct svl_arena *arena, struct svl_text *text, const char *data, size_t n);

/* What it holds; p is never NULL. Valid until more is added. */
static inline svl_str svl_text_view(const struct svl_text *text)
{
    return (svl_str){text->p ? text->p : "", text->n};
}

/* fn(arg) is called by finish, the last one first. */
void svl_arena_on_free(struct svl_arena *arena, void (*fn)(void *arg), void *arg);

/* Bytes of its blocks. Looks at each of them. */
size_t svl_arena_size(const struct svl_arena *arena);

/* Clean-ups, then all memory. */
void svl_arena_finish(struct svl_arena *arena);

#endif
