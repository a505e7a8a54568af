/* Decoding with an end: each stage hands small pieces to the next one, and what comes out is
 * counted before it is handed on, so that a bomb costs its window and no more. */
#include "serval/decode.h"

#include "base/check.h"
#include "serval/error.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>

#define MAX_STAGES 4
#define PIECE 16384
#define INNER_FACTOR 64 /* what a stage before the last may hand on, in limits */

enum coding { IDENTITY, GZIP, DEFLATE, BROTLI };

struct stage {
    enum coding coding;
    bool begun, ended;
    uint64_t left; /* bytes it may still hand on */
    z_stream z;
    BrotliDecoderState *br;
};

struct svl_decoder {
    svl_decoded_fn *decoded;
    void *arg;
    int error;
    unsigned n;
    struct stage stages[MAX_STAGES]; /* in the order of decoding: the last one applied is first */
};

static int push_stage(struct svl_decoder *d, unsigned at, const char *data, size_t n);

/* A piece that a stage has decoded. */
static int hand_on(struct svl_decoder *d, unsigned at, const char *data, size_t n)
{
    struct stage *stage = &d->stages[at];
    bool over = n > stage->left;
    int err;

    if (over)
        n = (size_t)stage->left;
    stage->left -= n;
    err = n > 0 ? push_stage(d, at + 1, data, n) : 0;
    return err || !over ? err : SVL_ELIMIT;
}

/* Many senders of "deflate" leave out the zlib header. It begins with 8 in the low half of its
 * first byte, and is a multiple of 31; raw data that looks like it is rare. */
static int window_bits(const struct stage *stage, const unsigned char *p, size_t n)
{
    if (stage->coding == GZIP)
        return 15 + 16;
    if ((p[0] & 15) != 8 || (n > 1 && (p[0] * 256 + p[1]) % 31 != 0))
        return -15;
    return 15;
}

static int begin_zlib(struct stage *stage, const unsigned char *data, size_t n)
{
    SVL_ASSERT(inflateInit2(&stage->z, window_bits(stage, data, n)) == Z_OK);
    stage->begun = true;
    return 0;
}

/* gzip may have several members, one behind the other (RFC 1952 2.2). */
static int next_member(struct stage *stage)
{
    if (stage->coding != GZIP)
        return SVL_ESYNTAX;
    stage->ended = false;
    return inflateReset(&stage->z) == Z_OK ? 0 : SVL_ESYNTAX;
}

static int push_zlib(struct svl_decoder *d, unsigned at, const char *data, size_t n)
{
    struct stage *stage = &d->stages[at];
    char out[PIECE];
    int err = stage->begun ? 0 : begin_zlib(stage, (const unsigned char *)data, n);

    stage->z.next_in = (unsigned char *)data;
    stage->z.avail_in = (unsigned)n;
    while (!err) {
        int got;

        if (stage->ended && stage->z.avail_in > 0)
            err = next_member(stage);
        if (err || stage->ended)
            break;
        stage->z.next_out = (unsigned char *)out;
        stage->z.avail_out = PIECE;
        got = inflate(&stage->z, Z_NO_FLUSH);
        if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
            return SVL_ESYNTAX;
        stage->ended = got == Z_STREAM_END;
        err = hand_on(d, at, out, PIECE - stage->z.avail_out);
        if (stage->z.avail_in == 0 && stage->z.avail_out > 0)
            break;
    }
    return err;
}

static int push_brotli(struct svl_decoder *d, unsigned at, const char *data, size_t n)
{
    struct stage *stage = &d->stages[at];
    const uint8_t *in = (const uint8_t *)data;
    BrotliDecoderResult got;
    char out[PIECE];

    if (stage->ended)
        return SVL_ESYNTAX;
    if (!stage->begun) {
        stage->br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        SVL_ASSERT(stage->br != NULL);
        stage->begun = true;
    }
    do {
        uint8_t *to = (uint8_t *)out;
        size_t room = PIECE;
        int err;

        got = BrotliDecoderDecompressStream(stage->br, &n, &in, &room, &to, NULL);
        if (got == BROTLI_DECODER_RESULT_ERROR)
            return SVL_ESYNTAX;
        err = hand_on(d, at, out, PIECE - room);
        if (err)
            return err;
    } while (got == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    stage->ended = got == BROTLI_DECODER_RESULT_SUCCESS;
    return n > 0 ? SVL_ESYNTAX : 0;
}

static int push_stage(struct svl_decoder *d, unsigned at, const char *data, size_t n)
{
    if (at == d->n)
        return d->decoded(d->arg, data, n);
    switch (d->stages[at].coding) {
    case GZIP:
    case DEFLATE: return push_zlib(d, at, data, n);
    case BROTLI: return push_brotli(d, at, data, n);
    case IDENTITY: break;
    }
    return hand_on(d, at, data, n);
}

static int coding_of(svl_str name)
{
    if (svl_str_ieq(name, SVL_STR("gzip")) || svl_str_ieq(name, SVL_STR("x-gzip")))
        return GZIP;
    if (svl_str_ieq(name, SVL_STR("deflate")))
        return DEFLATE;
    if (svl_str_ieq(name, SVL_STR("br")))
        return BROTLI;
    return svl_str_ieq(name, SVL_STR("identity")) ? IDENTITY : -1;
}

static int read_stages(struct svl_decoder *d, svl_str encoding)
{
    svl_str name;

    while (svl_str_split(&encoding, ',', &name)) {
        int coding = coding_of(svl_str_trim(name));

        if (svl_str_trim(name).n == 0)
            continue;
        if (coding < 0)
            return SVL_ESYNTAX;
        if (d->n == MAX_STAGES)
            return SVL_ELIMIT;
        memmove(d->stages + 1, d->stages, d->n++ * sizeof *d->stages);
        d->stages[0] = (struct stage){.coding = (enum coding)coding};
    }
    if (d->n == 0)
        d->n = 1; /* identity, so that something counts */
    return 0;
}

int svl_decoder_open(struct svl_decoder **to, svl_str encoding, uint64_t limit,
                     svl_decoded_fn *decoded, void *arg)
{
    struct svl_decoder *d = svl_calloc(sizeof *d);
    int err = read_stages(d, encoding);

    if (err) {
        free(d);
        *to = NULL;
        return err;
    }
    d->decoded = decoded;
    d->arg = arg;
    for (unsigned i = 0; i < d->n; i++)
        d->stages[i].left = limit;
    for (unsigned i = 0; i + 1 < d->n; i++)
        d->stages[i].left = limit < UINT64_MAX / INNER_FACTOR ? limit * INNER_FACTOR : UINT64_MAX;
    *to = d;
    return 0;
}

int svl_decoder_push(struct svl_decoder *d, svl_str data)
{
    while (!d->error && data.n > 0) {
        svl_str piece = svl_str_head(data, 1u << 30); /* zlib counts in unsigned */

        d->error = push_stage(d, 0, piece.p, piece.n);
        data = svl_str_from(data, piece.n);
    }
    return d->error;
}

int svl_decoder_end(struct svl_decoder *d)
{
    for (unsigned i = 0; i < d->n && !d->error; i++)
        if (d->stages[i].coding != IDENTITY && !d->stages[i].ended)
            d->error = SVL_ESYNTAX;
    return d->error;
}

void svl_decoder_close(struct svl_decoder *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->n; i++) {
        struct stage *stage = &d->stages[i];

        if (stage->begun && stage->coding != BROTLI)
            inflateEnd(&stage->z);
        if (stage->br)
            BrotliDecoderDestroyInstance(stage->br);
    }
    free(d);
}
