#include "run/switches.h"

#include "run/exchange.h"

bool svl_switches_wanted(const struct svl_server_config *c)
{
    return c->get_only || c->max_in_flight || c->on_head || c->default_type;
}

/* The modules are told as for a message that could not be read; the connection stays. */
static enum svl_verdict turn_down(struct svl_ctx *ctx, int status, const char *why)
{
    svl_exchange_of(ctx)->refused = true;
    return svl_fail(ctx, status, why);
}

static bool too_many(const struct svl_switches_config *cfg)
{
    struct svl_counts counts;

    if (!cfg->config->max_in_flight)
        return false;
    svl_server_counts(cfg->server, &counts);
    return counts.in_flight >= cfg->config->max_in_flight;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_switches_config *cfg = self->config;
    const struct svl_server_config *c = cfg->config;

    if (too_many(cfg)) {
        svl_tally_add(&ctx->worker->tally.refused, 1);
        svl_header_set(ctx, SVL_H_RETRY_AFTER, svl_printf(ctx, "%u", c->retry_after));
        return turn_down(ctx, 503, "too many requests are being answered");
    }
    if (c->get_only && ctx->req.method != SVL_GET && ctx->req.method != SVL_HEAD) {
        svl_header_set_static(ctx, SVL_H_ALLOW, SVL_STR("GET, HEAD"));
        return turn_down(ctx, 405, NULL);
    }
    return c->on_head ? c->on_head(self, ctx, c->hook_arg) : SVL_NEXT;
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_switches_config *cfg = self->config;

    if (cfg->config->default_type && !ctx->res.content_type.p &&
        ctx->res.body.kind != SVL_BODY_NONE)
        svl_content_type(ctx, svl_str_of(cfg->config->default_type));
    return SVL_NEXT;
}

const struct svl_module svl_switches = {
    .name = "switches",
    .summary = "limits and hooks of the whole server",
    .config_size = sizeof(struct svl_switches_config),
    .on_request = on_request,
    .on_response = on_response,
};
