/* health: /healthz answers as long as the loop turns; /readyz says whether to send requests. */
#include "serval/mod/health.h"

#include "serval/error.h"
#include "serval/log.h"

#include <stdatomic.h>

static atomic_bool away;

void svl_health_set_ready(bool ready)
{
    atomic_store(&away, !ready);
}

static int setup(void *config)
{
    struct svl_health_config *cfg = config;

    if (!cfg->live)
        cfg->live = "/healthz";
    if (!cfg->ready)
        cfg->ready = "/readyz";
    if (cfg->live[0] == '/' && cfg->ready[0] == '/')
        return 0;
    svl_log(SVL_ALERT, "health: a path does not begin with a slash");
    return SVL_ECONFIG;
}

static bool wants_json(const struct svl_ctx *ctx)
{
    return svl_headers_has_token(&ctx->req.headers, SVL_H_ACCEPT, SVL_STR("application/json"));
}

/* One line for each check, or one object; names and texts are the program's own. */
static svl_str report(const struct svl_health_config *cfg, struct svl_ctx *ctx, bool json,
                      bool *well)
{
    svl_str text = SVL_STR("");

    *well = !atomic_load(&away);
    if (!*well)
        text = json ? SVL_STR(",\"service\":\"away\"") : SVL_STR("service: away\n");
    for (const struct svl_health_check *check = cfg->checks; check && check->name; check++) {
        const char *why = check->check(check->arg);

        if (why)
            *well = false;
        text = svl_printf(ctx, json ? "%.*s,\"%s\":\"%s\"" : "%.*s%s: %s\n", SVL_FMT(text),
                          check->name, why ? why : "ok");
    }
    return text;
}

static enum svl_verdict ready(const struct svl_health_config *cfg, struct svl_ctx *ctx)
{
    bool json = wants_json(ctx), well;
    svl_str text = report(cfg, ctx, json, &well);
    const char *word = well ? "ok" : "unavailable";

    if (json)
        text = svl_printf(ctx, "{\"status\":\"%s\"%.*s}\n", word, SVL_FMT(text));
    else
        text = svl_printf(ctx, "%s\n%.*s", word, SVL_FMT(text));
    svl_text(ctx, well ? 200 : 503, text);
    if (json)
        svl_content_type(ctx, SVL_STR("application/json"));
    return SVL_DONE;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_health_config *cfg = self->config;
    bool live = svl_str_eq(ctx->req.path, svl_str_of(cfg->live));

    if (!live && !svl_str_eq(ctx->req.path, svl_str_of(cfg->ready)))
        return SVL_NEXT;
    if (ctx->req.method != SVL_GET && ctx->req.method != SVL_HEAD) {
        svl_header_set_static(ctx, SVL_H_ALLOW, SVL_STR("GET, HEAD"));
        return svl_fail(ctx, 405, NULL);
    }
    svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, SVL_STR("no-store"));
    return live ? svl_text(ctx, 200, SVL_STR("ok\n")) : ready(cfg, ctx);
}

const struct svl_module svl_health_module = {
    .name = "health",
    .summary = "say whether the program lives and is ready",
    .config_size = sizeof(struct svl_health_config),
    .setup = setup,
    .on_request = on_request,
};
