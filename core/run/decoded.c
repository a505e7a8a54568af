/* The body of a request without its Content-Encoding. */
#include "serval/decode.h"

#include "base/arena.h"
#include "serval/ctx.h"
#include "serval/error.h"

struct decoded {
    struct svl_arena *arena;
    struct svl_text text;
};

static int collect(void *arg, const char *data, size_t n)
{
    struct decoded *d = arg;

    return svl_arena_append(d->arena, &d->text, data, n) ? 0 : SVL_ELIMIT;
}

int svl_body_decoded(struct svl_ctx *ctx, size_t limit, svl_str *body)
{
    svl_str encoding = svl_header(ctx, SVL_H_CONTENT_ENCODING);
    struct decoded decoded = {.arena = ctx->arena};
    struct svl_decoder *decoder;
    int err;

    if (!ctx->req.body.p)
        return SVL_ESTATE;
    if (!encoding.p) {
        *body = ctx->req.body;
        return body->n <= limit ? 0 : SVL_ELIMIT;
    }
    err = svl_decoder_open(&decoder, encoding, limit, collect, &decoded);
    if (err)
        return err;
    err = svl_decoder_push(decoder, ctx->req.body);
    if (!err)
        err = svl_decoder_end(decoder);
    svl_decoder_close(decoder);
    *body = svl_text_view(&decoded.text);
    return err;
}
