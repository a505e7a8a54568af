#include "base/arena.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* Every block, from the pool or of its own, begins with this. */
struct svl_arena_block {
    struct svl_arena_block *next;
    size_t own; /* bytes of a malloc; 0 = it is the pool's */
};

struct svl_arena_cleanup {
    struct svl_arena_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

#define HEADER 16
#define LARGE (SVL_ARENA_BLOCK / 4)

_Static_assert(sizeof(struct svl_arena_block) <= HEADER, "block header");

void svl_arena_init(struct svl_arena *arena, void *first, size_t size, struct svl_pool *pool,
                    size_t budget)
{
    arena->at = first;
    arena->end = first ? (char *)first + size : NULL;
    arena->blocks = NULL;
    arena->cleanups = NULL;
    arena->pool = pool;
    arena->tried = 0;
    arena->budget = budget;
}

static char *add_block(struct svl_arena *arena, size_t size, bool own)
{
    struct svl_arena_block *block = own ? svl_malloc(HEADER + size) : svl_pool_get(arena->pool);

    block->next = arena->blocks;
    block->own = own ? HEADER + size : 0;
    arena->blocks = block;
    return (char *)block + HEADER;
}

void *svl_arena_alloc(struct svl_arena *arena, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    char *piece;

    if (SVL_ASAN || rounded > LARGE) {
        if (!SVL_ASAN && rounded <= (size_t)(arena->end - arena->at))
            goto bump;
        return memset(add_block(arena, size, true), 0, size);
    }
    if (rounded > (size_t)(arena->end - arena->at)) {
        arena->at = add_block(arena, SVL_ARENA_BLOCK, false);
        arena->end = arena->at + SVL_ARENA_BLOCK - HEADER;
    }
bump:
    piece = arena->at;
    arena->at += rounded;
    return memset(piece, 0, size);
}

void *svl_arena_try(struct svl_arena *arena, size_t size)
{
    if (size > arena->budget || arena->tried > arena->budget - size)
        return NULL;
    arena->tried += size;
    return svl_arena_alloc(arena, size);
}

/* What the text had before counts no longer: it cannot have come to more than this. */
static bool make_room(struct svl_arena *arena, struct svl_text *text, size_t n)
{
    size_t room = text->room ? 2 * text->room : 256;
    char *p;

    while (room - text->n < n)
        room *= 2;
    p = svl_arena_try(arena, room);
    if (!p)
        return false;
    arena->tried -= text->room;
    if (text->n > 0)
        memcpy(p, text->p, text->n);
    text->p = p;
    text->room = room;
    return true;
}

bool svl_arena_append(struct svl_arena *arena, struct svl_text *text, const char *data, size_t n)
{
    if (n == 0)
        return true;
    if (n > arena->budget || (text->room - text->n < n && !make_room(arena, text, n)))
        return false;
    memcpy(text->p + text->n, data, n);
    text->n += n;
    return true;
}

void svl_arena_on_free(struct svl_arena *arena, void (*fn)(void *arg), void *arg)
{
    struct svl_arena_cleanup *cleanup = svl_arena_alloc(arena, sizeof *cleanup);

    cleanup->fn = fn;
    cleanup->arg = arg;
    cleanup->next = arena->cleanups;
    arena->cleanups = cleanup;
}

size_t svl_arena_size(const struct svl_arena *arena)
{
    size_t size = 0;

    for (const struct svl_arena_block *b = arena->blocks; b; b = b->next)
        size += b->own ? b->own : SVL_ARENA_BLOCK;
    return size;
}

void svl_arena_finish(struct svl_arena *arena)
{
    for (struct svl_arena_cleanup *c = arena->cleanups; c; c = c->next)
        c->fn(c->arg);
    arena->cleanups = NULL;

    while (arena->blocks) {
        struct svl_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        if (block->own)
            free(block);
        else
            svl_pool_put(arena->pool, block);
    }
    arena->at = arena->end = NULL;
    arena->tried = 0;
}
