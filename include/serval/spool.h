/* Bodies of requests that may be too large for memory: they stay there while they are short, and go
 * to a file without a name above that, which is gone with the ctx unless it is saved. */
#ifndef SVL_SPOOL_H
#define SVL_SPOOL_H

#include "serval/ctx.h"

/* Zero means "the default" everywhere. */
struct svl_spool_config {
    size_t memory;      /* up to so long it stays in memory; 0 = 64 KiB */
    uint64_t max;       /* bytes, above it 413; 0 = svl_body_limit(), or the server's max_body */
    const char *folder; /* for temporary files, valid until then(); NULL = $TMPDIR or /tmp */
};

/* Owner: the ctx. */
struct svl_spooled {
    uint64_t size;
    svl_str bytes; /* all of it while in memory; p is NULL when it is in fd */
    int fd;        /* at any place of it: use pread(), svl_body_file(); -1 when in memory */
};

typedef enum svl_verdict svl_spooled_fn(struct svl_ctx *ctx, void *arg,
                                        const struct svl_spooled *body);

/* `return svl_spool_body(ctx, config, then, arg);` in on_request: then() is called with the whole
 * body and its verdict is the hook's. Without it an answer is made: 413 above the limit, 507
 * (RFC 4918 11.5) when the disk is full, 500 when it fails. config may be NULL. */
enum svl_verdict svl_spool_body(struct svl_ctx *ctx, const struct svl_spool_config *config,
                                svl_spooled_fn *then, void *arg);

/* Keeps it: gives it the name `path`, which must not exist, with the mode 0600. One on the same file
 * system is not copied. Blocks the loop while it copies. Returns 0 or -errno (-EEXIST). */
int svl_spooled_save(const struct svl_spooled *spooled, const char *path);

#endif
