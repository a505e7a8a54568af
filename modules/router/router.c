/* router: finds the handler for a request and runs what stands around it. Lookups are in find.c;
 * what belongs to a request is in struct run. */
#include "around.h"

#include "serval/async.h"
#include "serval/error.h"
#include "serval/uri.h"

/* What one request has come to, over the times its hook is asked. Zeroed at first. */
struct run {
    struct svl_match match;
    svl_handler_fn *answer; /* the handler, or the group's for a miss */
    void *arg;
    const struct place *place; /* where errors go; NULL = not looked up yet */
    const char *label;         /* of the route, for the watchdog; NULL without one */
    svl_str path, raw_path;    /* as they were, while a mount is answered */
    uint32_t around;           /* 1 + inner chain, 0 = none */
    uint8_t flags;             /* enum svl_route_flags */
    bool found, stripped;
};

/* --- what was found ------------------------------------------------------------------------- */

static svl_str decoded(struct svl_ctx *ctx, svl_str value)
{
    char *to;

    if (svl_str_find(value, '%') == value.n)
        return value;
    to = svl_alloc(ctx, value.n);
    return (svl_str){to, svl_unescape(to, value, false)};
}

static void take_found(struct run *run, const struct svl_router *r, struct svl_ctx *ctx,
                       const struct svl_found *found)
{
    const struct svl_target *target = found->target;
    struct svl_param *params = found->n ? svl_alloc(ctx, found->n * sizeof *params) : NULL;

    for (unsigned i = 0; i < found->n; i++) {
        svl_str value = found->values[i];

        if (r->config.rest_with_slash && target->rest && i + 1 == found->n)
            value = (svl_str){value.p - 1, value.n + 1};
        if (r->config.paths == SVL_ROUTER_RAW_SPLIT)
            value = decoded(ctx, value);
        params[i] = (struct svl_param){target->names[i], value};
    }
    run->match = (struct svl_match){.pattern = target->pattern,
                                    .name = target->name,
                                    .params = params,
                                    .n_params = found->n,
                                    .router = r};
    ctx->req.match = &run->match;
    run->found = true;
    run->flags = (uint8_t)target->route->flags;
    run->answer = target->route->handler;
    run->arg = target->route->arg;
    run->place = target->place;
    run->label = target->label;
    run->around = target->around;
}

/* --- what was not found --------------------------------------------------------------------- */

/* Which of a group's handlers for misses is meant. */
enum miss { NOT_FOUND, NOT_ALLOWED, OPTIONS };

static svl_handler_fn *miss_handler(const struct svl_group *group, enum miss what)
{
    return what == NOT_FOUND     ? group->not_found
           : what == NOT_ALLOWED ? group->not_allowed
                                 : group->options;
}

static enum svl_verdict plain_404(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_fail(ctx, 404, NULL);
}

static enum svl_verdict plain_405(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_fail(ctx, 405, NULL);
}

static enum svl_verdict plain_options(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_status(ctx, 200);
    svl_body_bytes(ctx, SVL_STR(""));
    return SVL_DONE;
}

static enum svl_verdict onward(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return SVL_NEXT;
}

/* The innermost group around the path that has something to say. */
static void take_miss(struct run *run, const struct svl_router *r, const struct place *place,
                      enum miss what)
{
    static svl_handler_fn *const plain[] = {plain_404, plain_405, plain_options};

    run->place = place;
    run->around = place->around;
    for (; place; place = place->outer) {
        svl_handler_fn *handler = miss_handler(place->group, what);

        if (handler) {
            run->answer = handler;
            run->arg = place->group->arg;
            return;
        }
    }
    run->answer = what == NOT_FOUND && r->config.fallthrough ? onward : plain[what];
}

/* Of the answer to a path that is known: `allow` and what the router adds by itself. */
static void set_allow(const struct svl_router *r, struct svl_ctx *ctx, uint64_t allow)
{
    if (!r->config.no_head && allow & METHOD_BIT(SVL_GET))
        allow |= METHOD_BIT(SVL_HEAD);
    if (!r->config.no_options)
        allow |= METHOD_BIT(SVL_OPTIONS);
    svl_header_set_static(ctx, SVL_H_ALLOW, router_allow(r, ctx, allow));
}

/* What mounts further out have taken off the path, as it came: raw_path is the rest of the target's. */
static svl_str mounted_at(const struct svl_request *req)
{
    svl_str path = req->target;
    size_t scheme = svl_str_find(path, ':');

    if (path.n > 0 && path.p[0] != '/' &&
        svl_str_starts(svl_str_from(path, scheme), SVL_STR("://"))) {
        path = svl_str_from(path, scheme + 3);
        path = svl_str_from(path, svl_str_find(path, '/'));
    }
    if (req->raw_path.n == 0 || req->raw_path.p < path.p || req->raw_path.p > path.p + path.n)
        return SVL_STR("");
    return svl_str_head(path, (size_t)(req->raw_path.p - path.p));
}

/* A Location that stays on this host: the path begins with exactly one slash. */
static enum svl_verdict redirect(const struct svl_router *r, struct svl_ctx *ctx, svl_str path)
{
    bool safe = ctx->req.method == SVL_GET || ctx->req.method == SVL_HEAD;
    svl_str prefix = mounted_at(&ctx->req);
    char *to = svl_alloc(ctx, prefix.n + 3 * path.n + 1 + ctx->req.query.n);
    size_t n = prefix.n;

    while (path.n > 1 && path.p[1] == '/')
        path = svl_str_from(path, 1);
    if (n > 0)
        memcpy(to, prefix.p, n);
    if (r->config.paths == SVL_ROUTER_DECODED) {
        n += svl_path_escape(to + n, path);
    } else {
        memcpy(to + n, path.p, path.n);
        n += path.n;
    }
    if (ctx->req.query.p) {
        to[n++] = '?';
        memcpy(to + n, ctx->req.query.p, ctx->req.query.n);
        n += ctx->req.query.n;
    }
    return svl_redirect(ctx, safe ? 301 : r->config.redirect_307 ? 307 : 308, (svl_str){to, n});
}

/* The path that the client may have meant: one that has a route for its method, and is not what it
 * asked for. Length 0 = none. */
static svl_str meant(const struct svl_router *r, struct svl_ctx *ctx, svl_str path)
{
    struct svl_ask ask = {ctx->req.method, ctx->req.method_text, ctx->req.host, path};
    struct svl_found found;
    char *to = svl_alloc(ctx, path.n + 2);
    svl_str better;
    ptrdiff_t n = (ptrdiff_t)path.n;

    memcpy(to, path.p, path.n);
    if (!r->config.no_slash_redirect && path.n > 1) {
        to[path.n] = '/';
        better = (svl_str){to, path.p[path.n - 1] == '/' ? path.n - 1 : path.n + 1};
        ask.path = better;
        if (svl_router_find(r, &ask, &found))
            return better;
    }
    if (r->config.no_path_redirect)
        return SVL_STR_NONE;
    if (r->config.paths != SVL_ROUTER_DECODED) {
        n = svl_path_clean(to, path);
        path = (svl_str){to, n > 0 ? (size_t)n : 0};
    }
    to = svl_alloc(ctx, path.n + 1);
    ask.path = path;
    better = (svl_str){to, svl_router_fix(r, &ask, to)};
    return better;
}

static enum svl_verdict answer_miss(struct run *run, const struct svl_router *r,
                                    struct svl_ctx *ctx, svl_str path, uint64_t allow,
                                    const struct place *place)
{
    const struct svl_router_config *cfg = &r->config;

    if (ctx->req.method == SVL_OPTIONS && svl_str_eq(path, SVL_STR("*")))
        allow = r->all;
    else if (ctx->req.method != SVL_CONNECT && !(cfg->no_slash_redirect && cfg->no_path_redirect)) {
        svl_str better = meant(r, ctx, path);

        if (better.n > 0 && !svl_str_eq(better, path))
            return redirect(r, ctx, better);
    }
    if (ctx->req.method == SVL_OPTIONS && allow && !cfg->no_options) {
        set_allow(r, ctx, allow);
        take_miss(run, r, place, OPTIONS);
    } else if (allow && !cfg->no_405) {
        set_allow(r, ctx, allow);
        take_miss(run, r, place, NOT_ALLOWED);
    } else {
        take_miss(run, r, place, NOT_FOUND);
    }
    return SVL_NEXT;
}

/* --- mounts ---------------------------------------------------------------------------------- */

/* The catch-all's value as the path, for what stands behind the router. */
static void strip(struct run *run, struct svl_ctx *ctx)
{
    struct svl_request *req = &ctx->req;
    svl_str rest =
        run->match.n_params ? run->match.params[run->match.n_params - 1].value : req->path;
    size_t raw = 0, left = 0;

    run->path = req->path;
    run->raw_path = req->raw_path;
    run->stripped = true;
    if (rest.p > req->path.p && rest.p + rest.n == req->path.p + req->path.n && rest.p[-1] == '/')
        req->path = (svl_str){rest.p - 1, rest.n + 1};
    if (svl_path_is_clean(req->raw_path)) {
        left = run->path.n - req->path.n;
        raw = req->raw_path.n > left ? left : 0;
    }
    req->raw_path = svl_str_from(req->raw_path, raw);
}

static void unstrip(struct run *run, struct svl_ctx *ctx)
{
    if (!run->stripped)
        return;
    ctx->req.path = run->path;
    ctx->req.raw_path = run->raw_path;
    run->stripped = false;
}

static struct run *run_of(const struct svl_link *self, struct svl_ctx *ctx)
{
    return svl_slot(self->opener, ctx);
}

static enum svl_verdict strip_in(const struct svl_link *self, struct svl_ctx *ctx)
{
    strip(run_of(self, ctx), ctx);
    return SVL_NEXT;
}

static enum svl_verdict strip_out(const struct svl_link *self, struct svl_ctx *ctx)
{
    unstrip(run_of(self, ctx), ctx);
    return SVL_NEXT;
}

const struct svl_module router_strip_module = {
    .name = "router mount",
    .summary = "takes the prefix off the path",
    .on_request = strip_in,
    .on_response = strip_out,
};

/* --- answering ------------------------------------------------------------------------------- */

static enum svl_verdict answer(struct run *run, struct svl_ctx *ctx)
{
    if (run->found && !ctx->req.body.p && !(run->flags & SVL_ROUTE_NO_BODY))
        return svl_await_body(ctx);
    if (run->label)
        svl_doing(ctx, run->label);
    return run->answer(ctx, run->arg);
}

/* At the end of an inner chain. A mounted one comes here when it has not answered. */
static enum svl_verdict handle(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_router_config *cfg = self->opener->config;
    struct run *run = run_of(self, ctx);

    if (run->found && run->flags & SVL_ROUTE_ONWARD) {
        unstrip(run, ctx);
        run->found = false;
        take_miss(run, cfg->router, run->place, NOT_FOUND);
    }
    return answer(run, ctx);
}

const struct svl_module router_handler_module = {
    .name = "router",
    .summary = "asks the handler that was found",
    .on_request = handle,
};

/* The error handlers, the innermost group's first. */
static enum svl_verdict on_failure(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct run *run = svl_slot(self, ctx);

    for (const struct place *place = run->place; place; place = place->outer) {
        enum svl_verdict v;

        if (!place->group->error)
            continue;
        v = place->group->error(ctx, place->group->arg);
        if (v == SVL_DONE || v == SVL_PENDING)
            return v;
    }
    return SVL_NEXT;
}

static enum svl_verdict look_up(struct run *run, const struct svl_router *r, struct svl_ctx *ctx)
{
    const struct svl_request *req = &ctx->req;
    svl_str path = r->config.paths == SVL_ROUTER_DECODED ? req->path : req->raw_path;
    struct svl_ask ask = {req->method, req->method_text, req->host, path};
    const struct place *miss;
    struct svl_found found;

    if (router_find(r, &ask, &found, &miss)) {
        take_found(run, r, ctx, &found);
        return SVL_NEXT;
    }
    return answer_miss(run, r, ctx, path, found.allow, miss);
}

/* --- the module ----------------------------------------------------------------------------- */

static int setup(void *config)
{
    struct svl_router_config *cfg = config;

    return svl_router_open(&cfg->router, cfg);
}

static void teardown(void *config)
{
    struct svl_router_config *cfg = config;

    svl_router_close(cfg->router);
    cfg->router = NULL;
}

static const struct svl_use *const *inner(const void *config, unsigned i)
{
    const struct svl_router_config *cfg = config;

    return i < cfg->router->n_lists ? cfg->router->lists[i] : NULL;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_router_config *cfg = self->config;
    struct run *run = svl_slot(self, ctx);

    if (!run->place) {
        enum svl_verdict v = look_up(run, cfg->router, ctx);

        if (v != SVL_NEXT)
            return v;
        if (run->around) {
            svl_enter(self, ctx, run->around - 1);
            return SVL_NEXT;
        }
    }
    return run->found && run->flags & SVL_ROUTE_ONWARD ? SVL_NEXT : answer(run, ctx);
}

const struct svl_module svl_router_module = {
    .name = "router",
    .summary = "find the handler for a method, a host and a path",
    .config_size = sizeof(struct svl_router_config),
    .slot_size = sizeof(struct run),
    .setup = setup,
    .teardown = teardown,
    .inner = inner,
    .on_request = on_request,
    .on_failure = on_failure,
};
