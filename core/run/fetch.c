/* Calls from handlers: the ctx is on loan until the last reply is there. */
#include "serval/client.h"

#include "base/check.h"
#include "run/exchange.h"

struct fetch {
    struct svl_ctx *ctx;
    svl_fetched_fn *answer; /* one of the two */
    svl_fetched_all_fn *answer_all;
    void *arg;
    unsigned n, left;
    struct svl_call **calls; /* NULL = done */
    const struct svl_reply **replies;
};

/* One per call, so that done() knows which it is. */
struct slot {
    struct fetch *fetch;
    unsigned i;
};

static enum svl_verdict answer(struct svl_ctx *ctx, void *arg)
{
    struct fetch *f = arg;

    if (f->answer)
        return f->answer(ctx, f->replies[0], f->arg);
    return f->answer_all(ctx, f->replies, f->n, f->arg);
}

static void free_reply(void *reply)
{
    svl_reply_free(reply);
}

static void on_done(struct svl_reply *reply, void *arg)
{
    struct slot *slot = arg;
    struct fetch *f = slot->fetch;

    svl_reply_keep(reply);
    svl_on_free(f->ctx, free_reply, reply);
    f->calls[slot->i] = NULL;
    f->replies[slot->i] = reply;
    if (--f->left == 0)
        svl_resume_with(f->ctx, answer, f);
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    struct fetch *f = arg;

    for (unsigned i = 0; i < f->n; i++)
        if (f->calls[i])
            svl_call_cancel(f->calls[i]);
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict begin(struct svl_ctx *ctx, struct svl_client *client,
                              const struct svl_fetch *asks, struct fetch *f)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct slot *slots;

    SVL_MISUSE_IF(x->state != SVL_RUNNING, "svl_fetch: only a hook that was asked can do that");
    if (!x->wire) /* the client went away inside the hook */
        return SVL_DONE;
    f->ctx = ctx;
    f->left = f->n;
    f->calls = svl_alloc(ctx, f->n * sizeof *f->calls);
    f->replies = svl_alloc(ctx, f->n * sizeof *f->replies);
    slots = svl_alloc(ctx, f->n * sizeof *slots);
    for (unsigned i = 0; i < f->n; i++) {
        slots[i] = (struct slot){f, i};
        f->calls[i] = svl_call(client, ctx->worker, &asks[i], on_done, &slots[i]);
    }
    return svl_pend(ctx, on_cancel, f);
}

enum svl_verdict svl_fetch(struct svl_ctx *ctx, struct svl_client *client,
                           const struct svl_fetch *ask, svl_fetched_fn *fn, void *arg)
{
    struct fetch *f = svl_alloc(ctx, sizeof *f);

    f->answer = fn;
    f->arg = arg;
    f->n = 1;
    return begin(ctx, client, ask, f);
}

enum svl_verdict svl_fetch_all(struct svl_ctx *ctx, struct svl_client *client,
                               const struct svl_fetch *asks, unsigned n, svl_fetched_all_fn *fn,
                               void *arg)
{
    struct fetch *f = svl_alloc(ctx, sizeof *f);

    if (n == 0)
        return fn(ctx, NULL, 0, arg);
    f->answer_all = fn;
    f->arg = arg;
    f->n = n;
    return begin(ctx, client, asks, f);
}
