/* Memory of the start: given back all at once. */
#include "internal.h"

#include <stdlib.h>

struct heap_block {
    struct heap_block *next;
    _Alignas(16) char bytes[];
};

void *heap_alloc(struct heap *heap, size_t size)
{
    struct heap_block *block = calloc(1, sizeof *block + size);

    if (!block)
        abort(); /* the program has not started yet */
    block->next = heap->blocks;
    heap->blocks = block;
    return block->bytes;
}

svl_str heap_copy(struct heap *heap, svl_str s)
{
    char *to = heap_alloc(heap, s.n + 1);

    if (s.n)
        memcpy(to, s.p, s.n);
    return (svl_str){to, s.n};
}

void heap_finish(struct heap *heap)
{
    while (heap->blocks) {
        struct heap_block *block = heap->blocks;

        heap->blocks = block->next;
        free(block);
    }
}
