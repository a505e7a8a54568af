/* A spool: takes bytes, and keeps them in the ctx's memory or in a file without a name. */
#ifndef SVL_RUN_SPOOL_H
#define SVL_RUN_SPOOL_H

#include "base/arena.h"
#include "serval/spool.h"

struct svl_spool {
    struct svl_ctx *ctx;
    size_t memory;
    const char *folder; /* NULL = as spool.h says */
    struct svl_text text;
    struct svl_spooled so_far; /* fd is -1 at first */
};

/* Returns 0 or -errno. What does not fit into the ctx's memory goes to the file early. */
int svl_spool_add(struct svl_spool *spool, const char *data, size_t n);
struct svl_spooled svl_spool_end(struct svl_spool *spool);

/* What to tell a client whose body could not be taken: `error` is SVL_ELIMIT, SVL_ESYNTAX or
 * -errno. */
enum svl_verdict svl_spool_fail(struct svl_ctx *ctx, int error);

/* A limit for a body in pieces: `max`, but not above svl_body_limit(); without both the server's. */
void svl_spool_limit(struct svl_ctx *ctx, uint64_t max);

#endif
