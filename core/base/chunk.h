/* Chunks: the memory that bytes from the network land in. Counted references, so that the views
 * of a request stay valid as long as anybody may look at them. One worker's, not thread-safe. */
#ifndef SVL_BASE_CHUNK_H
#define SVL_BASE_CHUNK_H

#include "base/pool.h"

#define SVL_CHUNK_CLASSES 3 /* 4 KiB, 16 KiB, 64 KiB; larger ones are malloc'ed */

struct svl_chunk_store {
    struct svl_pool classes[SVL_CHUNK_CLASSES];
    size_t large; /* bytes in chunks above the largest class */
};

struct svl_chunk {
    struct svl_chunk_store *store;
    unsigned refs;
    unsigned kind; /* SVL_CHUNK_CLASSES = a malloc of its own */
    size_t cap;    /* of bytes */
    size_t len;    /* bytes[0, len) are in use */
    char bytes[];
};

void svl_chunk_store_init(struct svl_chunk_store *store);
void svl_chunk_store_finish(struct svl_chunk_store *store);

/* At least `room` bytes, len 0, one reference. */
struct svl_chunk *svl_chunk_new(struct svl_chunk_store *store, size_t room);

static inline struct svl_chunk *svl_chunk_ref(struct svl_chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

/* NULL is fine. */
void svl_chunk_unref(struct svl_chunk *chunk);

#endif
