/* Work on other threads, and calls from there: what svl_offload() and svl_post() mean for a ctx. */
#include "net/offload.h"

#include "base/check.h"
#include "run/exchange.h"
#include "run/watchdog.h"

#include <stdlib.h>

/* In the ctx's memory, which stays as long as somebody may write to it: a batch that is not through
 * keeps the ctx on loan. */
struct offload {
    struct svl_batch batch;
    struct svl_ctx *ctx;
    svl_handler_fn *reply;
    void *arg;
};

static void on_through(struct svl_mail *mail)
{
    struct offload *o = svl_container(mail, struct offload, batch.mail);

    svl_resume_with(o->ctx, o->reply, o->arg);
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    struct offload *o = arg;

    if (svl_offload_withdraw(ctx->worker->offload, &o->batch))
        svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict refuse(struct svl_ctx *ctx)
{
    svl_header_set_static(ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
    return svl_fail(ctx, 503, "too much work is waiting");
}

enum svl_verdict svl_offload_all(struct svl_ctx *ctx, const struct svl_work *works, unsigned n,
                                 svl_handler_fn *reply, void *arg)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct offload *o;

    SVL_MISUSE_IF(x->state != SVL_RUNNING, "svl_offload: only a hook that was asked can do that");
    if (n == 0)
        return reply(ctx, arg);
    if (!x->wire) /* the client went away inside the hook */
        return SVL_DONE;
    o = svl_alloc(ctx, sizeof *o);
    o->ctx = ctx;
    o->reply = reply;
    o->arg = arg;
    o->batch.mail.run = on_through;
    o->batch.worker = ctx->worker;
    o->batch.n = n;
    o->batch.jobs = svl_alloc(ctx, n * sizeof *o->batch.jobs);
    for (unsigned i = 0; i < n; i++) {
        o->batch.jobs[i].work = works[i].work;
        o->batch.jobs[i].arg = works[i].arg;
    }
    if (svl_offload_submit(ctx->worker->offload, &o->batch))
        return refuse(ctx);
    return svl_pend(ctx, on_cancel, o);
}

enum svl_verdict svl_offload(struct svl_ctx *ctx, svl_work_fn *work, svl_handler_fn *reply,
                             void *arg)
{
    return svl_offload_all(ctx, &(struct svl_work){work, arg}, 1, reply, arg);
}

/* Posting ---------------------------------------------------------------------------------- */

struct post {
    struct svl_mail mail;
    svl_ref ref; /* only the worker is, when it is about no ctx */
    svl_post_fn *fn;
    svl_alarm_fn *ctx_fn;
    void *arg;
};

static void deliver(struct svl_mail *mail)
{
    struct post post = *svl_container(mail, struct post, mail);

    free(svl_container(mail, struct post, mail));
    svl_watch_hook(post.ref.worker, &svl_watch_post);
    if (post.fn)
        post.fn(post.arg);
    else
        post.ctx_fn(svl_ref_get(&post.ref), post.arg);
    svl_watch_leave(post.ref.worker, 0);
}

static void send(struct svl_worker *w, const struct post *what)
{
    struct post *post = svl_malloc(sizeof *post);

    *post = *what;
    post->mail.run = deliver;
    svl_mail_send(w, &post->mail);
}

void svl_post(struct svl_worker *w, svl_post_fn *fn, void *arg)
{
    send(w, &(struct post){.ref.worker = w, .fn = fn, .arg = arg});
}

void svl_post_ctx(svl_ref ref, svl_alarm_fn *fn, void *arg)
{
    send(ref.worker, &(struct post){.ref = ref, .ctx_fn = fn, .arg = arg});
}

svl_ref svl_ref_of(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_handles *handles = &ctx->worker->handles_of_ctx;

    if (!x->ref)
        x->ref = svl_handles_put(handles, ctx) + 1;
    return (svl_ref){ctx->worker, x->ref - 1, handles->at[x->ref - 1].generation};
}

struct svl_ctx *svl_ref_get(const svl_ref *ref)
{
    return svl_handles_get(&ref->worker->handles_of_ctx, ref->place, ref->generation);
}
