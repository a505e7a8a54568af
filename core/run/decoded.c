/* The body of a request without its Content-Encoding. */
#include "serval/decode.h"

#include "serval/ctx.h"
#include "serval/error.h"

struct text {
    struct svl_ctx *ctx;
    char *p;
    size_t n, room;
};

static int collect(void *arg, const char *data, size_t n)
{
    struct text *text = arg;

    if (text->room - text->n < n) {
        size_t room = text->room ? 2 * text->room : 4096;
        char *p;

        while (room - text->n < n)
            room *= 2;
        p = svl_try_alloc(text->ctx, room);
        if (!p)
            return SVL_ELIMIT;
        if (text->n > 0)
            memcpy(p, text->p, text->n);
        text->p = p;
        text->room = room;
    }
    memcpy(text->p + text->n, data, n);
    text->n += n;
    return 0;
}

int svl_body_decoded(struct svl_ctx *ctx, size_t limit, svl_str *body)
{
    svl_str encoding = svl_header(ctx, SVL_H_CONTENT_ENCODING);
    struct text text = {.ctx = ctx};
    struct svl_decoder *decoder;
    int err;

    if (!ctx->req.body.p)
        return SVL_ESTATE;
    if (!encoding.p) {
        *body = ctx->req.body;
        return body->n <= limit ? 0 : SVL_ELIMIT;
    }
    err = svl_decoder_open(&decoder, encoding, limit, collect, &text);
    if (err)
        return err;
    err = svl_decoder_push(decoder, ctx->req.body);
    if (!err)
        err = svl_decoder_end(decoder);
    svl_decoder_close(decoder);
    *body = text.p ? (svl_str){text.p, text.n} : SVL_STR("");
    return err;
}
