/* cgi: a program per request. This file is the module: its options, and what is refused; run.c runs
 * the program. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what, const char *why)
{
    svl_log(SVL_ALERT, "cgi: %s: %s", what, why);
    return SVL_ECONFIG;
}

static int setup(void *config)
{
    struct svl_cgi_config *cfg = config;

    if (!cfg->root)
        return fail("root", "is needed");
    if (!cfg->prefix)
        cfg->prefix = "/cgi-bin";
    if (cfg->prefix[0] != '/')
        return fail(cfg->prefix, "a prefix begins with '/'");
    if (cfg->interpreter && (cfg->interpreter[0] != '/' || access(cfg->interpreter, X_OK) != 0))
        return fail(cfg->interpreter, "is no absolute path of a program");
    if (!cfg->max_running)
        cfg->max_running = 32;
    if (!cfg->kill_ms)
        cfg->kill_ms = 2000;
    cfg->limits.who = "cgi";
    return 0;
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct svl_cgi_config *cfg = self->config;
    struct cgi_state *state = calloc(1, sizeof *state);
    int err;

    (void)worker;
    if (!state)
        return -ENOMEM;
    state->folder = (struct svl_gateway_folder){
        .root = cfg->root, .prefix = cfg->prefix, .suffix = cfg->suffix, .index = cfg->index};
    err = svl_gateway_folder_open(&state->folder);
    if (err) {
        free(state);
        return fail(cfg->root, svl_strerror(err));
    }
    self->state = state;
    return 0;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    struct cgi_state *state = self->state;

    (void)worker;
    svl_gateway_folder_close(&state->folder);
    free(state);
}

/* A program that writes to the client itself (RFC 3875 5) would pass by everything that makes an
 * answer right: framing, limits, what other modules add. */
static bool talks_itself(const struct svl_gateway_target *target)
{
    return svl_str_starts(svl_path_last(target->script_name), SVL_STR("nph-"));
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_cgi_config *cfg = self->config;
    struct cgi_state *state = self->state;
    struct svl_gateway_target target = {.authorization = cfg->pass_authorization};
    mode_t mode;

    switch (svl_gateway_find(ctx, &state->folder, &target, &mode)) {
    case SVL_GATEWAY_OTHER:
    case SVL_GATEWAY_NOTHING: return SVL_NEXT;
    case SVL_GATEWAY_MOVED:
        return svl_redirect(ctx, 301, svl_printf(ctx, "%.*s/", SVL_FMT(ctx->req.path)));
    case SVL_GATEWAY_FILE: break;
    }
    if (!S_ISREG(mode) || (!cfg->interpreter && !(mode & 0111)))
        return svl_fail(ctx, 403, NULL);
    if (talks_itself(&target))
        return svl_fail(ctx, 501, "programs that write to the client themselves are not run");
    if (ctx->req.content_length < 0 && !ctx->req.body.p) /* CONTENT_LENGTH has to be known */
        return svl_await_body(ctx);
    if (state->running >= cfg->max_running) {
        svl_header_set_static(ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
        return svl_fail(ctx, 503, "too many programs are running");
    }
    return cgi_run(self, ctx, &target);
}

const struct svl_module svl_cgi_module = {
    .name = "cgi",
    .summary = "runs a program for each request",
    .config_size = sizeof(struct svl_cgi_config),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
};
