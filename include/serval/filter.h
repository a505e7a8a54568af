/* Body filters: what changes the body of an answer on its way out, piece by piece. */
#ifndef SVL_FILTER_H
#define SVL_FILTER_H

#include "serval/ctx.h"

struct svl_filter_use;

enum svl_flow {
    SVL_MORE,  /* more follows */
    SVL_FLUSH, /* more follows, but not soon: hand on all that is held back */
    SVL_END,   /* nothing follows; comes exactly once */
};

/* A filter: a static constant, one per kind. */
struct svl_filter {
    const char *name;

    /* Takes the next piece of the body, valid during the call and maybe empty, and hands on what
     * becomes of it with svl_push(use->next, ...): now, later, or never, but each SVL_FLUSH and the
     * SVL_END at once. It never blocks: the core asks the body's source for more only when the
     * client has taken what there was. A whole body that is at hand comes as one piece with SVL_END.
     * What one piece becomes has to fit in 4 MiB. Returns 0, or <0 when the body cannot be completed:
     * the connection is then closed, so that the client sees that it is short. */
    int (*push)(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data, enum svl_flow flow);

    /* Once for each use: the body is complete, or nobody reads it (any more): also without any push,
     * for HEAD and for answers that have no body. May be NULL. */
    void (*close)(struct svl_filter_use *use, struct svl_ctx *ctx);
};

/* One filter in the body of one answer. */
struct svl_filter_use {
    const struct svl_filter *filter;
    void *state;                 /* from svl_filter_add() */
    struct svl_filter_use *next; /* towards the client */
};

/* Puts a filter behind those that were added before: in on_response, filters of inner modules are
 * nearer to the handler by construction. Also before answering in on_request. The answer's fields are
 * the caller's business; the length of the body is the core's. svl_response_reset() takes all filters
 * out again. */
void svl_filter_add(struct svl_ctx *ctx, const struct svl_filter *filter, void *state);

/* Whether there is one: ctx->res.body is then not what the client will see. */
bool svl_filtered(const struct svl_ctx *ctx);

static inline int svl_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                           enum svl_flow flow)
{
    return use->filter->push(use, ctx, data, flow);
}

#endif
