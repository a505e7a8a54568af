/* The encoders there are, and one worker's pool of them. */
#include "internal.h"

static const struct {
    const char *name;
    const struct encoder *encoder;
} codings[CODINGS] = {
    [CODING_BR] = {"br", SVL_COMPRESS_BROTLI ? &svl_compress_br : NULL},
    [CODING_ZSTD] = {"zstd", SVL_COMPRESS_ZSTD ? &svl_compress_zstd : NULL},
    [CODING_GZIP] = {"gzip", SVL_COMPRESS_GZIP ? &svl_compress_gzip : NULL},
    [CODING_DEFLATE] = {"deflate", SVL_COMPRESS_DEFLATE ? &svl_compress_deflate : NULL},
};

const struct encoder *svl_compress_encoder(enum coding coding)
{
    return codings[coding].encoder;
}

const char *svl_compress_name(enum coding coding)
{
    return codings[coding].name;
}

enum coding svl_compress_coding(svl_str name)
{
    for (enum coding c = 0; c < CODINGS; c++)
        if (svl_str_ieq(name, svl_str_of(codings[c].name)))
            return c;
    return svl_str_ieq(name, SVL_STR("x-gzip")) ? CODING_GZIP : CODINGS; /* RFC 9110 8.4.1.3 */
}

bool svl_compress_reserve(struct encoders *e, enum coding coding)
{
    size_t memory = codings[coding].encoder->memory;

    if (e->limit - e->busy < memory)
        return false;
    e->busy += memory;
    return true;
}

void svl_compress_unreserve(struct encoders *e, enum coding coding)
{
    e->busy -= codings[coding].encoder->memory;
}

void *svl_compress_open(struct encoders *e, enum coding coding)
{
    if (e->n_idle[coding] > 0)
        return e->idle[coding][--e->n_idle[coding]];
    return codings[coding].encoder->open(e->level[coding]);
}

void svl_compress_close(struct encoders *e, enum coding coding, void *context)
{
    if (e->n_idle[coding] < MAX_IDLE)
        e->idle[coding][e->n_idle[coding]++] = context;
    else
        codings[coding].encoder->close(context);
}

void svl_compress_close_all(struct encoders *e)
{
    for (enum coding c = 0; c < CODINGS; c++)
        while (e->n_idle[c] > 0)
            codings[c].encoder->close(e->idle[c][--e->n_idle[c]]);
}
