#include "base/chunk.h"

#include "base/check.h"

#include <stdlib.h>

static const size_t kind_size[SVL_CHUNK_CLASSES] = {4096, 16384, 65536};

void svl_chunk_store_init(struct svl_chunk_store *store)
{
    static const size_t per_slab[SVL_CHUNK_CLASSES] = {8, 2, 1};

    for (unsigned i = 0; i < SVL_CHUNK_CLASSES; i++)
        svl_pool_init(&store->classes[i], kind_size[i], per_slab[i]);
    store->large = 0;
}

void svl_chunk_store_finish(struct svl_chunk_store *store)
{
    for (unsigned i = 0; i < SVL_CHUNK_CLASSES; i++)
        svl_pool_finish(&store->classes[i]);
}

struct svl_chunk *svl_chunk_new(struct svl_chunk_store *store, size_t room)
{
    size_t size = sizeof(struct svl_chunk) + room;
    struct svl_chunk *chunk;
    unsigned kind = 0;

    while (kind < SVL_CHUNK_CLASSES && kind_size[kind] < size)
        kind++;
    if (kind < SVL_CHUNK_CLASSES) {
        size = kind_size[kind];
        chunk = svl_pool_get(&store->classes[kind]);
    } else {
        chunk = svl_malloc(size);
        store->large += size;
    }
    chunk->store = store;
    chunk->refs = 1;
    chunk->kind = kind;
    chunk->cap = size - sizeof *chunk;
    chunk->len = 0;
    return chunk;
}

void svl_chunk_unref(struct svl_chunk *chunk)
{
    if (!chunk || --chunk->refs > 0)
        return;
    if (chunk->kind < SVL_CHUNK_CLASSES) {
        svl_pool_put(&chunk->store->classes[chunk->kind], chunk);
        return;
    }
    chunk->store->large -= sizeof *chunk + chunk->cap;
    free(chunk);
}
