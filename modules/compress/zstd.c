/* zstd (RFC 8878); its window stays far below the 8 MiB that clients must have (RFC 9659). */
#include "internal.h"

#include <errno.h>
#include <zstd.h>

#define WINDOW 19      /* log2 of bytes */
#define SLOW_WINDOW 22 /* at levels that nobody waits for */
#define SLOW_LEVEL 16

static void *open_context(int level)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();

    if (!c)
        return NULL;
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, level >= SLOW_LEVEL ? SLOW_WINDOW : WINDOW);
    return c;
}

static void close_context(void *context)
{
    ZSTD_freeCCtx(context);
}

static int begin(void *context, int64_t length)
{
    ZSTD_CCtx *c = context;

    ZSTD_CCtx_reset(c, ZSTD_reset_session_only); /* parameters stay */
    if (length >= 0 && ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(c, (unsigned long long)length)))
        return -EIO;
    return 0;
}

static int push(void *context, svl_str data, enum svl_flow flow, struct outlet *outlet)
{
    static const ZSTD_EndDirective how[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer in = {data.p, data.n, 0};
    char to[8192];
    size_t left;

    do {
        ZSTD_outBuffer out = {to, sizeof to, 0};
        int err;

        left = ZSTD_compressStream2(context, &out, &in, how[flow]);
        if (ZSTD_isError(left))
            return -EIO;
        err = out.pos > 0 ? outlet->put(outlet, to, out.pos) : 0;
        if (err)
            return err;
    } while (in.pos < in.size || (flow != SVL_MORE && left > 0));
    return 0;
}

const struct encoder svl_compress_zstd = {
    .name = "zstd",
    .memory = 2 * 1024 * 1024,
    .open = open_context,
    .close = close_context,
    .begin = begin,
    .push = push,
};
