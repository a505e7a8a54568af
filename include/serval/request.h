/* More about a request than its struct holds: arguments, cookies, what it carries, and values that
 * modules leave for each other. */
#ifndef SVL_REQUEST_H
#define SVL_REQUEST_H

#include "serval/args.h"
#include "serval/cookie.h"
#include "serval/ctx.h"

/* Arguments of the query: the first with that name, decoded ("" for one without '='; p is NULL if
 * there is none); or all of them, parsed on the first call. The list is the ctx's to keep and
 * yours to change. Of more than SVL_ARGS_MAX the rest is left out. */
svl_str svl_query(struct svl_ctx *ctx, svl_str name);
struct svl_args *svl_query_args(struct svl_ctx *ctx);

/* "text/html" of Content-Type, without parameters; one of its parameters ("charset"); p is NULL if
 * it is not there. */
svl_str svl_request_type(const struct svl_ctx *ctx);
svl_str svl_request_type_parameter(const struct svl_ctx *ctx, svl_str name);

static inline svl_str svl_referer(const struct svl_ctx *ctx)
{
    return svl_header(ctx, SVL_H_REFERER);
}

static inline svl_str svl_user_agent(const struct svl_ctx *ctx)
{
    return svl_header(ctx, SVL_H_USER_AGENT);
}

/* Whether what was last changed at that second is news to the client: true unless the request is a
 * GET or HEAD with an If-Modified-Since that is not before it, and no If-None-Match, which counts
 * more (RFC 9110 13.1.3). */
bool svl_modified_since(const struct svl_ctx *ctx, int64_t seconds);

/* If-Modified-Since in seconds since 1970; -1 if there is none or it is not a date. */
int64_t svl_if_modified_since(const struct svl_ctx *ctx);

/* Values that modules leave on a ctx. A key is a constant text, compared by its bytes. destroy
 * (may be NULL) is called when the value is replaced, and otherwise with the ctx, when the request
 * can still be read; the value set last goes first. A value of NULL removes. After a deadline has
 * split a ctx, both halves see what was set before. */
void svl_value_set(struct svl_ctx *ctx, const char *key, void *value, void (*destroy)(void *value));
void *svl_value_get(const struct svl_ctx *ctx, const char *key);

/* Each value in turn, the one set last first: start with *at = NULL. Returns its key, or NULL. */
const char *svl_value_next(const struct svl_ctx *ctx, const void **at, void **value);

#endif
