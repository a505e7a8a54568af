/* gzip (RFC 1952) and deflate, which is zlib's format (RFC 1950): by zlib, whole bodies by libdeflate
 * where it is built in. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#if SVL_COMPRESS_LIBDEFLATE
#include <libdeflate.h>
#endif

enum { ZLIB_WINDOW = 15, GZIP_WINDOW = 15 + 16 };

/* Both are made when they are first needed: a context that only sees whole bodies has no zlib. */
struct context {
    z_stream stream;
    bool open; /* the stream */
    int level, window;
    void *whole;
};

static void *open_context(int level, int window)
{
    struct context *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->level = level;
    c->window = window;
    return c;
}

static void *open_gzip(int level)
{
    return open_context(level, GZIP_WINDOW);
}

static void *open_zlib(int level)
{
    return open_context(level, ZLIB_WINDOW);
}

static void close_context(void *context)
{
    struct context *c = context;

    if (c->open)
        deflateEnd(&c->stream);
#if SVL_COMPRESS_LIBDEFLATE
    libdeflate_free_compressor(c->whole);
#endif
    free(c);
}

static int begin(void *context, int64_t length)
{
    struct context *c = context;

    (void)length;
    if (c->open)
        return deflateReset(&c->stream) == Z_OK ? 0 : -EIO;
    if (deflateInit2(&c->stream, c->level, Z_DEFLATED, c->window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    c->open = true;
    return 0;
}

static int push(void *context, svl_str data, enum svl_flow flow, struct outlet *outlet)
{
    static const int how[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *z = &((struct context *)context)->stream;
    unsigned char to[8192];

    z->next_in = (unsigned char *)data.p;
    z->avail_in = (unsigned)data.n;
    do {
        int err;

        z->next_out = to;
        z->avail_out = sizeof to;
        err = deflate(z, how[flow]);
        if (err == Z_STREAM_ERROR)
            return -EIO;
        err = z->avail_out < sizeof to ? outlet->put(outlet, (char *)to, sizeof to - z->avail_out)
                                       : 0;
        if (err)
            return err;
    } while (z->avail_out == 0);
    return 0;
}

#if SVL_COMPRESS_LIBDEFLATE
static int whole(void *context, svl_str data, struct outlet *outlet)
{
    struct context *c = context;
    bool gzip = c->window == GZIP_WINDOW;
    size_t bound, n;
    char *to;
    int err;

    if (!c->whole)
        c->whole = libdeflate_alloc_compressor(c->level);
    if (!c->whole)
        return -ENOMEM;
    bound = gzip ? libdeflate_gzip_compress_bound(c->whole, data.n)
                 : libdeflate_zlib_compress_bound(c->whole, data.n);
    to = malloc(bound);
    if (!to)
        return -ENOMEM;
    n = gzip ? libdeflate_gzip_compress(c->whole, data.p, data.n, to, bound)
             : libdeflate_zlib_compress(c->whole, data.p, data.n, to, bound);
    err = n > 0 ? outlet->put(outlet, to, n) : -EIO;
    free(to);
    return err;
}
#define WHOLE whole
#else
#define WHOLE NULL
#endif

const struct encoder svl_compress_gzip = {
    .name = "gzip",
    .memory = 300 * 1024,
    .open = open_gzip,
    .close = close_context,
    .begin = begin,
    .push = push,
    .whole = WHOLE,
};

const struct encoder svl_compress_deflate = {
    .name = "deflate",
    .memory = 300 * 1024,
    .open = open_zlib,
    .close = close_context,
    .begin = begin,
    .push = push,
    .whole = WHOLE,
};
