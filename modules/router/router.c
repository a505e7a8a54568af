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
    svl_str outside;           /* match.mount, likewise */
    size_t rest;               /* what the catch-all fits; SIZE_MAX = there is none */
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

    run->outside = svl_mounted_at(ctx);
    run->rest = target->rest && found->n ? found->values[found->n - 1].n : SIZE_MAX;
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
                                    .mount = run->outside,
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

static size_t put(char *to, svl_str bytes)
{
    if (bytes.n > 0)
        memcpy(to, bytes.p, bytes.n);
    return bytes.n;
}

/* As it came, but a backslash: browsers take it for a slash. */
static size_t put_raw(char *to, svl_str path)
{
    size_t n = 0;

    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '\\')
            n += svl_path_escape(to + n, (svl_str){path.p + i, 1});
        else
            to[n++] = path.p[i];
    return n;
}

/* A Location that stays on this host: the path begins with exactly one slash. */
static enum svl_verdict redirect(const struct svl_router *r, struct svl_ctx *ctx, svl_str path)
{
    bool safe = ctx->req.method == SVL_GET || ctx->req.method == SVL_HEAD;
    svl_str prefix = svl_mounted_at(ctx);
    char *to = svl_alloc(ctx, prefix.n + 3 * path.n + 1 + ctx->req.query.n);
    size_t n = put(to, prefix);

    while (path.n > 1 && path.p[1] == '/')
        path = svl_str_from(path, 1);
    n += r->config.paths == SVL_ROUTER_DECODED ? svl_path_escape(to + n, path)
                                               : put_raw(to + n, path);
    if (ctx->req.query.p) {
        to[n++] = '?';
        n += put(to + n, ctx->req.query);
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

/* Where `raw` is to be cut so that what is in front is head bytes of `path`, and the rest the rest.
 * Length of raw when they are not the same path: one had dot segments, or was rewritten. */
static size_t raw_cut(struct svl_ctx *ctx, svl_str raw, svl_str path, size_t head)
{
    size_t at = 0;

    if (!svl_str_eq(decoded(ctx, raw), path))
        return raw.n;
    for (size_t i = 0; i < head; i++)
        at += raw.p[at] == '%' ? 3 : 1;
    return at;
}

static svl_str escaped(struct svl_ctx *ctx, svl_str path)
{
    char *to = svl_alloc(ctx, 3 * path.n);

    return (svl_str){to, svl_path_escape(to, path)};
}

static svl_str joined(struct svl_ctx *ctx, svl_str prefix, svl_str raw)
{
    char *to = svl_alloc(ctx, prefix.n + 3 * raw.n);
    size_t n = put(to, prefix);

    while (raw.n > 1 && raw.p[1] == '/')
        raw = svl_str_from(raw, 1);
    return (svl_str){to, n + put_raw(to + n, raw)};
}

/* What the catch-all fits, with its slash, as the path for what stands behind the router. */
static void strip(struct run *run, const struct svl_router *r, struct svl_ctx *ctx)
{
    struct svl_request *req = &ctx->req;
    bool decodes = r->config.paths == SVL_ROUTER_DECODED;
    svl_str path = decodes ? req->path : req->raw_path, mount;
    size_t head = path.n - run->rest - 1, cut = head;

    run->path = req->path;
    run->raw_path = req->raw_path;
    run->stripped = true;
    if (run->rest >= path.n || head == 0 || path.p[head] != '/')
        return;
    if (decodes) {
        req->path = svl_str_from(path, head);
        if (req->raw_path.p != path.p)
            cut = raw_cut(ctx, req->raw_path, path, head);
        mount = svl_str_head(req->raw_path, cut);
        req->raw_path = svl_str_from(req->raw_path, cut);
        if (req->raw_path.n == 0) {
            mount = escaped(ctx, svl_str_head(path, head));
            req->raw_path = escaped(ctx, req->path);
        }
    } else {
        char *to = svl_alloc(ctx, run->rest + 1);

        mount = svl_str_head(path, head);
        req->raw_path = svl_str_from(path, head);
        req->path = (svl_str){to, (size_t)svl_path_clean(to, req->raw_path)};
    }
    run->match.mount = joined(ctx, run->match.mount, mount);
}

static void unstrip(struct run *run, struct svl_ctx *ctx)
{
    if (!run->stripped)
        return;
    ctx->req.path = run->path;
    ctx->req.raw_path = run->raw_path;
    run->match.mount = run->outside;
    run->stripped = false;
}

static struct run *run_of(const struct svl_link *self, struct svl_ctx *ctx)
{
    return svl_slot(self->opener, ctx);
}

static enum svl_verdict strip_in(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_router_config *cfg = self->opener->config;

    strip(run_of(self, ctx), cfg->router, ctx);
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
        ctx->req.match = &run->match;
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
