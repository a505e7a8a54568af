/* The chain: carries one exchange inwards through the modules until one of them answers,
 * outwards through those it passed, then to the wire.
 *
 * Everything here runs on the loop thread of the ctx. A hook never calls the next hook; it
 * returns a verdict and carry() moves on, so the stack stays flat however long the chain is and
 * a verdict that comes late needs no special case. */
#include "run/exchange.h"

#include "base/check.h"
#include "run/watchdog.h"
#include "run/filter.h"
#include "run/values.h"
#include "serval/hijack.h"

/* Whether a hook just said SVL_NEXT, and neither it nor the client has left anything to deal with. */
static inline bool plain(const struct svl_exchange *x, enum svl_verdict v)
{
    return svl_likely(v == SVL_NEXT) && !x->stirred;
}

static inline enum svl_verdict ask_in(struct svl_exchange *x, const struct svl_link *link)
{
    const struct svl_module *module = link->module;

    x->entered = (uint8_t)(x->at + 1);
    if (!module->on_request)
        return SVL_NEXT;
    svl_watch_hook(x->pub.worker, link);
    if (module->needs_body && !x->pub.req.body.p)
        return svl_await_body(&x->pub);
    return module->on_request(link, &x->pub);
}

static inline enum svl_verdict ask_out(struct svl_exchange *x, const struct svl_link *link)
{
    if (!link->module->on_response)
        return SVL_NEXT;
    svl_watch_hook(x->pub.worker, link);
    return link->module->on_response(link, &x->pub);
}

/* Asks links[at] and, as long as they say no more than SVL_NEXT, those behind it; returns the last
 * one's verdict, for heed(). links[at] is the one that has said it. */
static enum svl_verdict ask(struct svl_exchange *x)
{
    const struct svl_chain *chain = x->chain;
    const struct svl_link *link = &chain->links[x->at];
    enum svl_verdict v;

    if (!x->outwards) {
        while (plain(x, v = ask_in(x, link))) {
            if (svl_unlikely(x->chain != chain)) { /* it has entered an inner one */
                chain = x->chain;
                link = &chain->links[x->at];
            }
            if (x->at + 1u == chain->n)
                break;
            x->at++;
            link++;
        }
        return v;
    }
    while (plain(x, v = ask_out(x, link)) && x->at > x->first) {
        x->at--;
        link--;
        if (svl_unlikely(x->innermost > x->at))
            svl_deadlines_drop(x, x->at);
    }
    return v;
}

/* links[at] has failed: it and those outside it may see to it, in the end the core does. */
__attribute__((cold)) static enum svl_verdict see_to_failure(struct svl_exchange *x)
{
    struct svl_ctx *ctx = &x->pub;

    if (ctx->res.status < 400)
        svl_status(ctx, 500);
    for (unsigned i = x->at + 1u; x->wire && i-- > x->first;) {
        const struct svl_link *link = &x->chain->links[i];
        enum svl_verdict v;

        if (!link->module->on_failure)
            continue;
        x->cancel = NULL;
        x->awaits_body = false;
        x->early = SVL_IDLE;
        svl_watch_hook(ctx->worker, link);
        v = link->module->on_failure(link, ctx);
        if (v == SVL_PENDING && x->early >= 0)
            v = (enum svl_verdict)x->early;
        if (v == SVL_DONE || v == SVL_PENDING)
            return v;
    }
    return svl_fail(ctx, ctx->res.status, NULL);
}

/* Move to where the verdict points. Returns false when the answer is ready to go. */
static bool obey(struct svl_exchange *x, enum svl_verdict v)
{
    if (!x->outwards) {
        if (v == SVL_NEXT && ++x->at < x->chain->n)
            return true;
        if (v == SVL_NEXT)
            svl_fail(&x->pub, 404, NULL);
        x->outwards = true;
    }
    if (x->at == x->first)
        return false;
    x->at--;
    if (svl_unlikely(x->innermost > x->at))
        svl_deadlines_drop(x, x->at);
    return true;
}

static void send(struct svl_exchange *x)
{
    x->state = SVL_SENDING;
    if (svl_unlikely(x->innermost > 0))
        svl_deadlines_drop(x, 0);
    if (svl_unlikely(x->filtering != NULL))
        svl_filters_apply(x);
    x->wire->ops->send(x->wire, x);
}

static void put(struct svl_exchange *x)
{
    struct svl_worker *w = x->pub.worker;

    if (x->raw && x->raw->on_gone) /* it never came to the takeover */
        x->raw->on_gone(NULL, x->raw_arg);
    svl_arena_finish(&x->arena);
    svl_chunk_unref(x->head_chunk);
    svl_chunk_unref(x->body_chunk);
    x->state = SVL_FREE;
    x->magic = 0;
    svl_pool_put(&w->exchanges, x);
}

static void unref(struct svl_exchange *x)
{
    while (x && --x->refs == 0) {
        struct svl_exchange *lender = x->lender;

        put(x);
        x = lender;
    }
}

static void tell_refused(struct svl_exchange *x)
{
    for (unsigned i = x->chain->n; i-- > 0;) {
        const struct svl_link *link = &x->chain->links[i];

        if (link->module->on_refused)
            link->module->on_refused(link, &x->pub);
    }
}

static void end(const struct svl_link *link, struct svl_exchange *x)
{
    uintptr_t outer = svl_watch_outer(x->pub.worker);

    svl_watch_hook(x->pub.worker, link);
    link->module->on_done(link, &x->pub);
    svl_watch_leave(x->pub.worker, outer);
}

static void finish(struct svl_exchange *x)
{
    const struct svl_link *link = &x->chain->links[x->entered], *first = &x->chain->links[x->first];

    if (x->filtering)
        svl_filters_drop(x);
    if (svl_unlikely(x->in_flight))
        svl_tally_add(&x->pub.worker->tally.in_flight, -1);
    if (x->refused)
        tell_refused(x);
    while (link > first)
        if ((--link)->module->on_done)
            end(link, x);
    x->entered = x->first;
    if (svl_unlikely(x->ref != 0))
        svl_handles_drop(&x->pub.worker->handles_of_ctx, x->ref - 1);
    unref(x);
}

/* A hook said SVL_PENDING. */
static void lend(struct svl_exchange *x)
{
    svl_cancel_fn *cancel = x->cancel;

    svl_watch_leave(x->pub.worker, 0);
    x->state = SVL_LOANED;
    if (x->wire)
        return;
    x->cancel = NULL; /* the client went away inside the hook: nobody else will say so */
    if (x->awaits_body)
        finish(x);
    else if (cancel)
        cancel(&x->pub, x->cancel_arg);
}

/* What a hook said. Returns whether the next one is to be asked now. */
__attribute__((always_inline)) static inline bool heed_here(struct svl_exchange *x,
                                                            enum svl_verdict v)
{
    if (v == SVL_PENDING && x->early >= 0) /* svl_resume() came before the hook returned */
        v = (enum svl_verdict)x->early;
    if (svl_unlikely(v >= SVL_ERROR)) {
        SVL_MISUSE_IF(v != SVL_ERROR, "a hook has returned what is no verdict");
        v = see_to_failure(x);
    }
    if (v == SVL_PENDING) {
        SVL_MISUSE_IF(x->early != SVL_KEPT && !x->awaits_body,
                      "a hook has returned SVL_PENDING without svl_pend(): nobody would resume it");
        lend(x);
        return false;
    }
    x->cancel = NULL;
    x->awaits_body = false;
    if (svl_unlikely(!x->wire)) { /* the client went away inside the hook */
        svl_watch_leave(x->pub.worker, 0);
        finish(x);
        return false;
    }
    if (obey(x, v))
        return true;
    svl_watch_leave(x->pub.worker, 0);
    send(x);
    return false;
}

static bool heed(struct svl_exchange *x, enum svl_verdict v)
{
    return heed_here(x, v);
}

static void carry(struct svl_exchange *x)
{
    do {
        x->state = SVL_RUNNING;
        x->early = SVL_IDLE;
        x->stirred = false;
    } while (heed_here(x, ask(x)));
}

void svl_resume_with(struct svl_ctx *ctx, svl_handler_fn *step, void *arg)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_worker *w = ctx->worker;
    uintptr_t outer = svl_watch_outer(w);

    SVL_MISUSE_IF(x->magic != SVL_EXCHANGE_MAGIC, "svl_resume_with: this ctx is over");
    SVL_MISUSE_IF(x->state != SVL_LOANED || x->awaits_body, "svl_resume_with: nothing is pending");
    x->cancel = NULL;
    if (!x->wire) {
        finish(x);
        return;
    }
    x->state = SVL_RUNNING;
    x->early = SVL_IDLE;
    svl_watch_hook(w, &x->chain->links[x->at]);
    if (heed(x, step(ctx, arg)))
        carry(x);
    svl_watch_leave(w, outer);
}

enum svl_verdict svl_pend(struct svl_ctx *ctx, svl_cancel_fn *cancel, void *arg)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    SVL_MISUSE_IF(x->state != SVL_RUNNING, "svl_pend: only a hook that was asked can keep a ctx");
    x->cancel = cancel;
    x->cancel_arg = arg;
    x->stirred = true;
    if (x->early == SVL_IDLE)
        x->early = SVL_KEPT;
    return SVL_PENDING;
}

void svl_resume(struct svl_ctx *ctx, enum svl_verdict v)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_worker *w = ctx->worker;
    uintptr_t outer;

    if (SVL_MISTAKE(x->magic != SVL_EXCHANGE_MAGIC, "svl_resume: this ctx is over"))
        return;
    if (SVL_MISTAKE(v == SVL_PENDING, "svl_resume: needs a final verdict"))
        v = SVL_ERROR;
    if (x->state == SVL_RUNNING) { /* answered before the hook returned */
        if (SVL_MISTAKE(x->early >= 0, "svl_resume: called twice"))
            return;
        x->early = (int8_t)v;
        return;
    }
    if (SVL_MISTAKE(x->state != SVL_LOANED || (x->awaits_body && !x->on_piece),
                    "svl_resume: nothing is pending"))
        return;
    x->cancel = NULL;
    if (v != SVL_DONE)
        x->on_piece = NULL;
    x->awaits_body = false;
    if (!x->wire) {
        finish(x);
        return;
    }
    outer = svl_watch_outer(w);
    x->state = SVL_RUNNING;
    x->early = SVL_IDLE;
    if (heed(x, v))
        carry(x);
    svl_watch_leave(w, outer);
}

void svl_enter(const struct svl_link *self, struct svl_ctx *ctx, unsigned i)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    SVL_MISUSE_IF(x->state != SVL_RUNNING && x->state != SVL_LOANED,
                  "svl_enter: only while a module is asked, or holds the ctx");
    SVL_MISUSE_IF(x->outwards || x->at != self->index || i >= self->n_inner,
                  "svl_enter: not a chain that this module leads into, or not on the way in");
    x->chain = &self->inner[i];
}

/* Asks the wire for the body, unless it is known to be too large. */
static enum svl_verdict want_body(struct svl_exchange *x, uint64_t limit)
{
    int64_t length = x->pub.req.content_length;

    SVL_MISUSE_IF(x->state != SVL_RUNNING || x->outwards,
                  "only on_request can ask for the body of a request");
    if (length > 0 && (uint64_t)length > limit)
        return svl_fail(&x->pub, 413, "the body is too large");
    x->body_limit = limit;
    x->awaits_body = x->stirred = true;
    if (x->wire)
        x->wire->ops->want_body(x->wire, x);
    return SVL_PENDING;
}

enum svl_verdict svl_await_body(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    return want_body(x, x->body_limit ? x->body_limit : x->parser.limits->max_body);
}

enum svl_verdict svl_stream_body(struct svl_ctx *ctx, svl_piece_fn *fn, void *arg)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    enum svl_verdict v;

    if (ctx->req.body.p) {
        v = fn(ctx, arg, ctx->req.body, SVL_PIECE_LAST);
        if (v == SVL_PENDING && x->early == SVL_IDLE)
            x->early = SVL_KEPT;
        return v;
    }
    v = want_body(x, x->body_limit ? x->body_limit : UINT64_MAX);
    if (v == SVL_PENDING) {
        x->on_piece = fn;
        x->piece_arg = arg;
    }
    return v;
}

void svl_body_limit(struct svl_ctx *ctx, uint64_t bytes)
{
    svl_exchange_of(ctx)->body_limit = bytes ? bytes : 1;
}

void svl_body_pause(struct svl_ctx *ctx)
{
    svl_exchange_of(ctx)->body_paused = true;
}

void svl_body_continue(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (!x->body_paused)
        return;
    x->body_paused = false;
    if (x->wire && (x->awaits_body || svl_exchange_streams(x)))
        x->wire->ops->want_body(x->wire, x);
}

/* The hook that asked for the pieces has come to a verdict. */
static void pieces_over(struct svl_exchange *x, enum svl_verdict v)
{
    x->awaits_body = false;
    x->on_piece = NULL;
    if (v == SVL_PENDING)
        x->state = SVL_LOANED;
    else if (heed(x, v))
        carry(x);
}

void svl_exchange_piece(struct svl_exchange *x, svl_str piece, bool last)
{
    enum svl_piece kind = last ? SVL_PIECE_LAST : SVL_PIECE;
    enum svl_verdict v;

    if (x->state == SVL_SENDING) {
        if (x->on_piece(&x->pub, x->piece_arg, piece, kind) != SVL_PENDING || last)
            x->on_piece = NULL;
        return;
    }
    SVL_ASSERT(x->state == SVL_LOANED && x->awaits_body);
    x->state = SVL_RUNNING;
    x->early = SVL_IDLE;
    v = x->on_piece(&x->pub, x->piece_arg, piece, kind);
    if (v == SVL_PENDING && x->early >= 0)
        v = (enum svl_verdict)x->early;
    if (v == SVL_PENDING && !last && x->wire)
        x->state = SVL_LOANED;
    else
        pieces_over(x, v == SVL_PENDING && !x->wire && !last ? SVL_ERROR : v);
}

void svl_exchange_body(struct svl_exchange *x, svl_str body)
{
    SVL_ASSERT(x->state == SVL_LOANED && x->awaits_body);
    x->pub.req.body = body;
    x->awaits_body = false;
    carry(x); /* asks the same hook again */
}

void svl_body_more(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (x->wire && x->state == SVL_SENDING)
        x->wire->ops->more(x->wire, x);
}

/* Who takes the pieces may keep the ctx a little longer, and then pays back like any loan. */
static void end_pieces(struct svl_exchange *x)
{
    enum svl_verdict v = SVL_ERROR;

    x->awaits_body = false;
    if (x->on_piece)
        v = x->on_piece(&x->pub, x->piece_arg, SVL_STR(""), SVL_PIECE_GONE);
    x->on_piece = NULL;
    if (v != SVL_PENDING)
        finish(x);
}

void svl_exchange_pieces_lost(struct svl_exchange *x)
{
    svl_piece_fn *fn = x->on_piece;

    x->on_piece = NULL;
    fn(&x->pub, x->piece_arg, SVL_STR(""), SVL_PIECE_GONE);
}

void svl_exchange_body_failed(struct svl_exchange *x, int status, const char *why)
{
    svl_piece_fn *fn = x->on_piece;

    SVL_ASSERT(x->state == SVL_LOANED && x->awaits_body);
    x->awaits_body = false;
    x->on_piece = NULL;
    x->pub.res.close = true;
    if (fn && fn(&x->pub, x->piece_arg, SVL_STR(""), SVL_PIECE_GONE) == SVL_PENDING)
        x = svl_exchange_split(x, x->at); /* it still uses the ctx: a fresh one answers */
    svl_fail(&x->pub, status, why);
    svl_resume(&x->pub, SVL_DONE);
}

/* What the wire lent itself for the body goes back at once; a module brings its loan back. */
static void disown(struct svl_exchange *x)
{
    svl_cancel_fn *cancel = x->cancel;

    if (x->wire->ops->about) {
        struct svl_connection *gone = svl_arena_alloc(&x->arena, sizeof *gone);

        x->wire->ops->about(x->wire, gone);
        x->gone = gone;
    }
    x->wire = NULL;
    x->stirred = true;
    x->cancel = NULL;
    if (x->deadlines)
        svl_deadlines_drop(x, 0);
    if (x->state == SVL_LOANED && x->awaits_body)
        end_pieces(x);
    else if (cancel)
        cancel(&x->pub, x->cancel_arg); /* may resume, and so free x: last use */
}

size_t svl_exchange_held(const struct svl_exchange *x)
{
    size_t held = sizeof *x + svl_arena_size(&x->arena);

    if (x->head_chunk)
        held += x->head_chunk->cap;
    if (x->body_chunk && x->body_chunk != x->head_chunk)
        held += x->body_chunk->cap;
    return held;
}

struct svl_exchange *svl_exchange_open(struct svl_worker *w, struct svl_wire *wire,
                                       const struct svl_chain *chain,
                                       const struct svl_limits *limits,
                                       const struct svl_address *peer)
{
    struct svl_exchange *x = svl_pool_get(&w->exchanges);

    memset(x, 0, offsetof(struct svl_exchange, parser));
    svl_arena_init(&x->arena, x->memory, sizeof x->memory, &w->blocks, limits->max_made);
    svl_parser_begin(&x->parser, &x->pub.req, limits, &x->arena);
    x->magic = SVL_EXCHANGE_MAGIC;
    x->state = SVL_READING;
    x->chain = chain;
    x->wire = wire;
    x->refs = 1;
    x->peer = *peer;
    x->pub.arena = &x->arena;
    x->pub.worker = w;
    x->pub.req.headers.at = x->fields;
    x->pub.req.headers.room = SVL_INLINE_FIELDS;
    x->pub.res.headers.at = x->answers;
    x->pub.res.headers.room = SVL_INLINE_ANSWERS;
    return x;
}

/* The table of fields grows no more: its unused end is memory like what lies behind it. */
static inline void use_rest_of_fields(struct svl_exchange *x)
{
    size_t used = (x->pub.req.headers.n * sizeof *x->fields + 15) & ~(size_t)15;

    if (x->arena.at == x->memory) /* else the table may have grown, and be elsewhere */
        x->arena.at = (char *)x->fields + used;
}

void svl_exchange_start(struct svl_exchange *x)
{
    use_rest_of_fields(x);
    if (x->pub.req.content_length == 0)
        x->pub.req.body = SVL_STR("");
    carry(x);
}

void svl_exchange_sent(struct svl_exchange *x)
{
    SVL_ASSERT(x->state == SVL_SENDING);
    finish(x);
}

void svl_exchange_abandon(struct svl_exchange *x)
{
    if (x->state == SVL_SENDING || x->state == SVL_READING)
        finish(x);
    else
        disown(x); /* whoever holds it will bring it back */
}

void svl_exchange_refuse(struct svl_exchange *x, int status, const char *why)
{
    x->refused = true;
    svl_fail(&x->pub, status, why);
    x->pub.res.close = true;
    send(x);
}

/* A fresh exchange takes the wire, the request and the slots of the outer links; x keeps the inner
 * ones. The fresh one refers to x's memory, so it holds a reference on x. */
struct svl_exchange *svl_exchange_split(struct svl_exchange *x, unsigned at)
{
    unsigned n = at < x->at ? at + 1 : at; /* links[first, n) go over */
    struct svl_exchange *y;

    SVL_ASSERT(x->state == SVL_LOANED && x->wire && x->first <= at && at <= x->at);

    y = svl_exchange_open(x->pub.worker, x->wire, x->chain, x->parser.limits, &x->peer);
    y->pub.req = x->pub.req;
    y->pub.res.close = x->pub.res.close;
    y->lender = x;
    x->refs++;
    if (x->slots) {
        y->slots = svl_arena_alloc(&y->arena, x->chain->deepest * sizeof *y->slots);
        for (unsigned i = x->first; i < n; i++) {
            y->slots[i] = x->slots[i];
            x->slots[i] = NULL;
        }
    }
    svl_values_split(y, x);
    y->gone_at_eof = x->gone_at_eof;
    y->first_ms = x->first_ms;
    y->head_ms = x->head_ms;
    y->received = x->received;
    y->parser.keep_alive = x->parser.keep_alive;
    y->state = SVL_LOANED;
    y->first = x->first;
    y->entered = (uint8_t)n;
    y->at = (uint8_t)at;
    x->first = (uint8_t)n;
    svl_deadlines_hand_over(x, y, at);

    y->wire->ops->replace(y->wire, x, y);
    disown(x);
    return y;
}

void svl_exchange_expire(struct svl_exchange *x, unsigned at, int status)
{
    struct svl_exchange *y = svl_exchange_split(x, at);

    svl_fail(&y->pub, status, NULL);
    svl_resume(&y->pub, SVL_DONE);
}
