/* Body filters. Wires do not know of them: when the answer is ready, its body is replaced by what
 * the filters make of it. A short body that is at hand is filtered at once and gets a length; any
 * other becomes a source of unknown length, which reads the inner body piece by piece.
 *
 * The inner body is only read when nothing filtered is left over, so that what is held back is at most
 * what one piece became. Files are read with pread(): pages that are not in memory hold the loop up. */
#include "run/filter.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define WHOLE_MAX (256 * 1024) /* bytes of body that are filtered in one go */
#define PIECE 16000            /* bytes read at once; with its header, a chunk of 16 KiB */
#define HUNGRY 16              /* pieces that may vanish in the filters before they must flush */
#define HELD_MAX (4 * 1024 * 1024) /* bytes that one piece may become */

/* The filters of one answer. */
struct svl_filtering {
    struct svl_filter_use *first, *last; /* before the sink */
    struct svl_filter_use sink;
    struct svl_body inner;
    uint64_t taken;         /* bytes of it */
    struct svl_chunk *held; /* [at, len) was filtered and did not fit into the wire's room */
    size_t at;
    char *to; /* the wire's room: to[0, n) is filled */
    size_t room, n;
    bool unflushed; /* pushed something since the last flush */
    bool ended, closed;
};

static struct svl_filtering *filtering_of(const struct svl_ctx *ctx)
{
    return ((const struct svl_exchange *)ctx)->filtering;
}

/* The sink: where filtered bytes come out ---------------------------------------------------- */

static int hold(struct svl_filtering *f, struct svl_chunk_store *store, svl_str data)
{
    struct svl_chunk *old = f->held;
    size_t len = old ? old->len : 0;

    if (data.n > HELD_MAX - len) {
        svl_log(SVL_WARN, "filter: %s: one piece became too much", f->last->filter->name);
        return SVL_ELIMIT;
    }
    if (!old || old->cap - len < data.n) {
        f->held = svl_chunk_new(store, 2 * len + data.n + PIECE / 8);
        if (old)
            memcpy(f->held->bytes, old->bytes, len);
        f->held->len = len;
        svl_chunk_unref(old);
    }
    memcpy(f->held->bytes + len, data.p, data.n);
    f->held->len += data.n;
    return 0;
}

static int sink_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                     enum svl_flow flow)
{
    struct svl_filtering *f = use->state;
    size_t n = f->held ? 0 : f->room - f->n;

    SVL_MISUSE_IF(f->ended, "svl_push: nothing can follow SVL_END");
    if (flow == SVL_END)
        f->ended = true;
    if (n > data.n)
        n = data.n;
    if (n > 0)
        memcpy(f->to + f->n, data.p, n);
    f->n += n;
    data = svl_str_from(data, n);
    return data.n > 0 ? hold(f, &ctx->worker->chunks, data) : 0;
}

static const struct svl_filter sink = {.name = "sink", .push = sink_push};

static void take_held(struct svl_filtering *f)
{
    size_t n = f->held->len - f->at;

    if (n > f->room)
        n = f->room;
    memcpy(f->to, f->held->bytes + f->at, n);
    f->at += n;
    f->n = n;
    if (f->at < f->held->len)
        return;
    svl_chunk_unref(f->held);
    f->held = NULL;
    f->at = 0;
}

/* The inner body, piece by piece ------------------------------------------------------------- */

static int push(struct svl_ctx *ctx, struct svl_filtering *f, svl_str data, enum svl_flow flow)
{
    int err = svl_push(f->first, ctx, data, flow);

    f->unflushed = flow == SVL_MORE;
    if (err)
        return err < 0 && err != -EAGAIN ? err : -EIO;
    SVL_MISUSE_IF(flow == SVL_END && !f->ended, "a body filter did not hand on the end");
    if (f->ended)
        svl_filters_close(svl_exchange_of(ctx));
    return 0;
}

static ssize_t read_file(const struct svl_body *body, uint64_t from, char *to, size_t room)
{
    ssize_t n;

    do
        n = pread(body->fd, to, room, body->offset + (int64_t)from);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0) {
        svl_log(SVL_WARN, "answer: a file is shorter than announced");
        return -EIO;
    }
    return n;
}

static ssize_t read_inner(struct svl_ctx *ctx, struct svl_filtering *f, char *to)
{
    const struct svl_body *body = &f->inner;
    size_t room = PIECE;
    ssize_t n;

    if (body->length >= 0 && (uint64_t)body->length - f->taken < room)
        room = (size_t)((uint64_t)body->length - f->taken);
    if (room == 0)
        return 0;
    if (body->kind == SVL_BODY_FILE)
        return read_file(body, f->taken, to, room);
    n = body->pull(ctx, body->arg, to, room);
    SVL_MISUSE_IF(n > (ssize_t)room, "a source has written more than there was room for");
    if (n == 0 && body->length >= 0) {
        svl_log(SVL_WARN, "answer: a source ended %llu bytes short",
                (unsigned long long)((uint64_t)body->length - f->taken));
        SVL_MISUSE_IF(SVL_STRICT, "a source that cannot give all of its length returns an error");
        return -EIO;
    }
    return n;
}

/* One piece of bytes that are in memory anyway, or of what is read into a chunk. */
static int advance(struct svl_ctx *ctx, struct svl_filtering *f, enum svl_flow flow)
{
    struct svl_chunk *piece = NULL;
    svl_str data;
    ssize_t n;
    int err;

    if (f->inner.kind == SVL_BODY_BYTES) {
        data = svl_str_head(svl_str_from(f->inner.bytes, f->taken), PIECE);
    } else {
        piece = svl_chunk_new(&ctx->worker->chunks, PIECE);
        n = read_inner(ctx, f, piece->bytes);
        if (n < 0) {
            svl_chunk_unref(piece);
            return (int)n;
        }
        data = (svl_str){piece->bytes, (size_t)n};
    }
    f->taken += data.n;
    if (data.n == 0 || (f->inner.length >= 0 && f->taken == (uint64_t)f->inner.length))
        flow = SVL_END;
    err = push(ctx, f, data, flow);
    svl_chunk_unref(piece);
    return err;
}

/* The wire wants bytes. */
static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct svl_filtering *f = arg;

    f->to = to;
    f->room = room;
    f->n = 0;
    if (f->held)
        take_held(f);
    for (int pieces = 1; f->n == 0 && !f->ended; pieces++) {
        int err = advance(ctx, f, pieces % HUNGRY ? SVL_MORE : SVL_FLUSH);

        if (err == -EAGAIN && f->unflushed)
            err = push(ctx, f, SVL_STR(""), SVL_FLUSH);
        if (err)
            return err;
    }
    f->to = NULL;
    f->room = 0;
    return (ssize_t)f->n;
}

/* Wrapping ----------------------------------------------------------------------------------- */

static void unref_chunk(void *arg)
{
    svl_chunk_unref(arg);
}

/* A short file, if all of it can be had without waiting. */
static struct svl_chunk *read_at_once(struct svl_ctx *ctx, const struct svl_body *body)
{
    struct svl_chunk *chunk = svl_chunk_new(&ctx->worker->chunks, (size_t)body->length);
    struct iovec iov = {chunk->bytes, (size_t)body->length};

    chunk->len = (size_t)body->length;
    if (preadv2(body->fd, &iov, 1, body->offset, RWF_NOWAIT) == (ssize_t)body->length)
        return chunk;
    svl_chunk_unref(chunk);
    return NULL;
}

static int filter_whole(struct svl_ctx *ctx, struct svl_filtering *f, svl_str bytes)
{
    int err = push(ctx, f, bytes, SVL_END);

    if (err)
        return err;
    if (f->held) {
        svl_on_free(ctx, unref_chunk, f->held);
        svl_body_bytes(ctx, (svl_str){f->held->bytes, f->held->len});
        f->held = NULL;
    } else {
        svl_body_bytes(ctx, SVL_STR(""));
    }
    return 0;
}

/* Nothing was sent yet, so that the client can be told. */
static void cannot_filter(struct svl_ctx *ctx, int err)
{
    svl_log(SVL_WARN, "filter: %.*s: %s", SVL_FMT(ctx->req.raw_path), svl_strerror(err));
    svl_response_reset(ctx);
    svl_fail(ctx, 500, NULL);
    ctx->res.close = true;
}

static bool has_no_body(const struct svl_ctx *ctx)
{
    return ctx->req.method == SVL_HEAD || ctx->res.status == 204 || ctx->res.status == 304;
}

void svl_filters_apply(struct svl_exchange *x)
{
    struct svl_ctx *ctx = &x->pub;
    struct svl_filtering *f = x->filtering;
    struct svl_body *body = &ctx->res.body;
    struct svl_chunk *file = NULL;
    int err = 0;

    if (has_no_body(ctx) || body->kind == SVL_BODY_NONE) {
        if (body->kind != SVL_BODY_NONE) /* the length a GET would get is not known */
            svl_body_source(ctx, pull, f, -1);
        svl_filters_close(x);
        return;
    }
    f->inner = *body;
    if (body->kind == SVL_BODY_BYTES)
        f->inner.length = (int64_t)body->bytes.n;
    if (body->kind == SVL_BODY_FILE && body->length <= WHOLE_MAX)
        file = read_at_once(ctx, body);

    if (file)
        err = filter_whole(ctx, f, (svl_str){file->bytes, file->len});
    else if (body->kind == SVL_BODY_BYTES && body->bytes.n <= WHOLE_MAX)
        err = filter_whole(ctx, f, body->bytes);
    else
        svl_body_source(ctx, pull, f, -1);
    svl_chunk_unref(file);
    if (err)
        cannot_filter(ctx, err);
}

/* Adding and closing ------------------------------------------------------------------------- */

void svl_filter_add(struct svl_ctx *ctx, const struct svl_filter *filter, void *state)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_filter_use *use = svl_alloc(ctx, sizeof *use);
    struct svl_filtering *f = x->filtering;

    SVL_MISUSE_IF(x->state == SVL_SENDING, "svl_filter_add: the answer is on its way");
    if (!f) {
        f = x->filtering = svl_alloc(ctx, sizeof *f);
        f->sink = (struct svl_filter_use){.filter = &sink, .state = f};
    }
    *use = (struct svl_filter_use){filter, state, &f->sink};
    if (f->last)
        f->last->next = use;
    else
        f->first = use;
    f->last = use;
}

bool svl_filtered(const struct svl_ctx *ctx)
{
    return filtering_of(ctx) != NULL;
}

void svl_filters_close(struct svl_exchange *x)
{
    struct svl_filtering *f = x->filtering;

    if (f->closed)
        return;
    f->closed = true;
    for (struct svl_filter_use *use = f->first; use != &f->sink; use = use->next)
        if (use->filter->close)
            use->filter->close(use, &x->pub);
}

void svl_filters_drop(struct svl_exchange *x)
{
    struct svl_filtering *f = x->filtering;

    svl_filters_close(x);
    svl_chunk_unref(f->held);
    f->held = NULL;
    x->filtering = NULL;
}
