/* fastcgi: the module, its options, and which paths are asked for. request.c does one request, pool.c
 * has the connections, record.c the bytes. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static int setup(void *config)
{
    struct svl_fastcgi_config *cfg = config;

    if (!cfg->servers[0] || (cfg->prefix && cfg->prefix[0] != '/') ||
        (cfg->front && (cfg->front[0] != '/' || !cfg->root))) {
        svl_log(SVL_ALERT,
                "fastcgi: a server is needed; prefix and front begin with '/', and front "
                "needs a root");
        return SVL_ECONFIG;
    }
    DEFAULT(cfg->max_connections, 32);
    DEFAULT(cfg->max_waiting, 256);
    DEFAULT(cfg->wait_ms, 10000);
    DEFAULT(cfg->connect_ms, 5000);
    DEFAULT(cfg->idle_ms, 30000);
    DEFAULT(cfg->prefix, "/");
    cfg->limits.who = "fastcgi";
    return 0;
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    struct fcgi_state *state = calloc(1, sizeof *state);
    int err;

    if (!state)
        return -ENOMEM;
    state->config = self->config;
    state->worker = worker;
    state->folder = (struct svl_gateway_folder){.root = state->config->root,
                                                .prefix = state->config->prefix,
                                                .suffix = state->config->suffix,
                                                .index = state->config->index,
                                                .fd = -1};
    err = fcgi_servers_parse(state);
    if (!err && state->config->root) {
        err = svl_gateway_folder_open(&state->folder);
        if (err)
            svl_log(SVL_ALERT, "fastcgi: %s: %s", state->config->root, svl_strerror(err));
    }
    if (err)
        free(state);
    else
        self->state = state;
    return err;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    struct fcgi_state *state = self->state;

    (void)worker;
    if (state->config->root)
        svl_gateway_folder_close(&state->folder);
    fcgi_pool_close(state);
    free(state);
}

/* Which path is asked for ------------------------------------------------------------------- */

/* The length of the prefix without its last '/'; -1 for paths that are not below it. */
static int prefix_of(svl_str path, const char *prefix)
{
    svl_str p = svl_str_of(prefix);

    if (p.p[p.n - 1] == '/')
        p.n--;
    return svl_str_starts(path, p) && (path.n == p.n || path.p[p.n] == '/') ? (int)p.n : -1;
}

/* The root may be called otherwise where the server runs. */
static void translate(const struct fcgi_state *state, struct svl_ctx *ctx,
                      struct svl_gateway_target *target)
{
    const char *there = state->config->server_root;

    if (!there)
        return;
    target->script_filename =
        svl_printf(ctx, "%s%s", there, target->script_filename.p + target->document_root.n);
    target->document_root = svl_str_of(there);
}

/* All that is no file. */
static void use_front(const struct fcgi_state *state, struct svl_ctx *ctx, int prefix,
                      struct svl_gateway_target *target)
{
    target->script_name = svl_printf(ctx, "%.*s%s", prefix, ctx->req.path.p, state->config->front);
    target->document_root = svl_str_of(state->folder.root);
    target->script_filename = svl_printf(ctx, "%s%s", state->folder.root, state->config->front);
    target->path_info = SVL_STR_NONE;
}

/* What looks like a script is not left to others, who might know the file and show its text. */
static enum svl_verdict no_script(const struct fcgi_state *state, struct svl_ctx *ctx)
{
    const char *suffix = state->config->suffix;

    return suffix && svl_str_ends(ctx->req.path, svl_str_of(suffix)) ? svl_fail(ctx, 404, NULL)
                                                                     : SVL_NEXT;
}

/* SVL_PENDING = ask the server. */
static enum svl_verdict find(const struct fcgi_state *state, struct svl_ctx *ctx,
                             struct svl_gateway_target *target)
{
    int prefix = prefix_of(ctx->req.path, state->config->prefix);
    mode_t mode;

    if (prefix < 0)
        return SVL_NEXT;
    if (!state->config->root) {
        target->script_name = svl_str_head(ctx->req.path, (size_t)prefix);
        target->path_info = svl_str_from(ctx->req.path, (size_t)prefix);
        return SVL_PENDING;
    }
    switch (svl_gateway_find(ctx, &state->folder, target, &mode)) {
    case SVL_GATEWAY_MOVED:
        return svl_redirect(ctx, 301, svl_printf(ctx, "%.*s/", SVL_FMT(ctx->req.path)));
    case SVL_GATEWAY_OTHER: return SVL_NEXT;
    case SVL_GATEWAY_NOTHING:
        if (!state->config->front)
            return no_script(state, ctx);
        use_front(state, ctx, prefix, target);
        break;
    case SVL_GATEWAY_FILE:
        if (!S_ISREG(mode))
            return svl_fail(ctx, 403, NULL);
        break;
    }
    translate(state, ctx, target);
    return SVL_PENDING;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct fcgi_state *state = self->state;
    struct svl_gateway_target target = {.authorization = !state->config->hide_authorization};
    enum svl_verdict v = find(state, ctx, &target);
    struct fcgi_request *req;

    if (v != SVL_PENDING)
        return v;
    if (ctx->req.content_length < 0 && !ctx->req.body.p) /* CONTENT_LENGTH has to be known */
        return svl_await_body(ctx);
    req = svl_alloc(ctx, sizeof *req);
    req->self = self;
    req->ctx = ctx;
    req->state = state;
    req->target = target;
    return fcgi_answer(req);
}

const struct svl_module svl_fastcgi_module = {
    .name = "fastcgi",
    .summary = "answers of a FastCGI server",
    .config_size = sizeof(struct svl_fastcgi_config),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
};
