/* brotli (RFC 7932). Its encoder cannot be used twice, so what is kept between two bodies is its
 * memory. */
#include "internal.h"

#include <brotli/encode.h>
#include <errno.h>
#include <stdlib.h>

#define WINDOW 19      /* log2 of bytes, at most */
#define SLOW_WINDOW 22 /* at levels that nobody waits for */
#define SLOW_LEVEL 10
#define KEPT 24 /* pieces of memory */
#define KEPT_BYTES ((size_t)4 << 20)

/* Before each piece of memory. */
union piece {
    size_t size;
    max_align_t align;
};

struct context {
    BrotliEncoderState *state;
    int level;
    union piece *kept[KEPT];
    unsigned n_kept;
    size_t kept_bytes;
};

/* The smallest kept piece that does and is not much too large. */
static void *allocate(void *opaque, size_t size)
{
    struct context *c = opaque;
    unsigned best = KEPT;
    union piece *piece;

    for (unsigned i = 0; i < c->n_kept; i++) {
        size_t has = c->kept[i]->size;

        if (has >= size && has / 2 <= size && (best == KEPT || has < c->kept[best]->size))
            best = i;
    }
    if (best < KEPT) {
        piece = c->kept[best];
        c->kept_bytes -= piece->size;
        c->kept[best] = c->kept[--c->n_kept];
        return piece + 1;
    }
    piece = malloc(sizeof *piece + size);
    if (!piece)
        return NULL;
    piece->size = size;
    return piece + 1;
}

static void give_back(void *opaque, void *memory)
{
    struct context *c = opaque;
    union piece *piece = memory;

    if (!memory)
        return;
    piece--;
    if (c->n_kept == KEPT || piece->size > KEPT_BYTES - c->kept_bytes) {
        free(piece);
        return;
    }
    c->kept_bytes += piece->size;
    c->kept[c->n_kept++] = piece;
}

static void *open_context(int level)
{
    struct context *c = calloc(1, sizeof *c);

    if (c)
        c->level = level;
    return c;
}

static void end(struct context *c)
{
    if (c->state)
        BrotliEncoderDestroyInstance(c->state);
    c->state = NULL;
}

static void close_context(void *context)
{
    struct context *c = context;

    end(c);
    while (c->n_kept > 0)
        free(c->kept[--c->n_kept]);
    free(c);
}

static int begin(void *context, int64_t length)
{
    struct context *c = context;
    uint32_t most = c->level >= SLOW_LEVEL ? SLOW_WINDOW : WINDOW, window = most;

    end(c); /* of a body that was given up */
    c->state = BrotliEncoderCreateInstance(allocate, give_back, c);
    if (!c->state)
        return -ENOMEM;
    BrotliEncoderSetParameter(c->state, BROTLI_PARAM_QUALITY, (uint32_t)c->level);
    if (length >= 0) {
        BrotliEncoderSetParameter(c->state, BROTLI_PARAM_SIZE_HINT,
                                  length < 1 << 30 ? (uint32_t)length : 1u << 30);
        for (window = BROTLI_MIN_WINDOW_BITS; window < most; window++)
            if ((int64_t)1 << window >= length + 16)
                break;
    }
    BrotliEncoderSetParameter(c->state, BROTLI_PARAM_LGWIN, window);
    return 0;
}

static int push(void *context, svl_str data, enum svl_flow flow, struct outlet *outlet)
{
    static const BrotliEncoderOperation how[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                 BROTLI_OPERATION_FINISH};
    struct context *c = context;
    const uint8_t *in = (const uint8_t *)data.p;
    size_t left = data.n, room = 0, n;
    int err = 0;

    do { /* once more after output was taken: only then is a flush or the end complete */
        const uint8_t *out;

        n = 0;
        if (!BrotliEncoderCompressStream(c->state, how[flow], &left, &in, &room, NULL, NULL))
            return -EIO;
        out = BrotliEncoderTakeOutput(c->state, &n);
        if (n > 0)
            err = outlet->put(outlet, (const char *)out, n);
    } while (!err && (left > 0 || n > 0));
    if (!err && flow == SVL_END && !BrotliEncoderIsFinished(c->state))
        return -EIO;
    if (flow == SVL_END)
        end(c);
    return err;
}

const struct encoder svl_compress_br = {
    .name = "br",
    .memory = 3 * 1024 * 1024,
    .open = open_context,
    .close = close_context,
    .begin = begin,
    .push = push,
};
