/* headers: sets, adds and removes fields of answers on their way out. */
#include "serval/mod/headers.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/text.h"

#include <stdio.h>

/* Framing is the core's; it would refuse each time, so it is better said at the start. */
static bool is_framing(enum svl_header_id id)
{
    return id == SVL_H_CONTENT_LENGTH || id == SVL_H_TRANSFER_ENCODING || id == SVL_H_CONNECTION ||
           id == SVL_H_KEEP_ALIVE || id == SVL_H_UPGRADE;
}

static bool value_ok(const char *value)
{
    return value && !value[strcspn(value, "\r\n")];
}

static int check_rule(const struct svl_header_rule *rule)
{
    svl_str name = svl_str_of(rule->name);
    const char *why = NULL;

    if (!svl_is_token(name))
        why = "not the name of a field";
    else if (is_framing(svl_header_id(name)))
        why = "is the server's own";
    else if (rule->how != SVL_HEADER_REMOVE && !value_ok(rule->value))
        why = "not a value of a field";
    if (!why)
        return 0;
    svl_log(SVL_ALERT, "headers: rule \"%s\": %s", rule->name, why);
    return SVL_ECONFIG;
}

static const char *given(const char *value, const char *otherwise)
{
    return value ? value : otherwise;
}

static int setup(void *config)
{
    struct svl_headers_config *cfg = config;
    int err = 0;

    for (const struct svl_header_rule *rule = cfg->rules; rule && rule->name; rule++)
        if (check_rule(rule))
            err = SVL_ECONFIG;
    cfg->frame_options = given(cfg->frame_options, "SAMEORIGIN");
    cfg->referrer_policy = given(cfg->referrer_policy, "strict-origin-when-cross-origin");
    cfg->opener_policy = given(cfg->opener_policy, "same-origin");
    cfg->csp = given(cfg->csp, "");
    if (!value_ok(cfg->frame_options) || !value_ok(cfg->referrer_policy) ||
        !value_ok(cfg->opener_policy) || !value_ok(cfg->csp)) {
        svl_log(SVL_ALERT, "headers: a value holds a line end");
        err = SVL_ECONFIG;
    }
    if (cfg->hsts_seconds)
        snprintf(cfg->hsts, sizeof cfg->hsts, "max-age=%u%s%s", cfg->hsts_seconds,
                 cfg->hsts_subdomains ? "; includeSubDomains" : "",
                 cfg->hsts_preload ? "; preload" : "");
    return err;
}

static bool has(const struct svl_ctx *ctx, enum svl_header_id id, svl_str name)
{
    if (id == SVL_H_CONTENT_TYPE)
        return ctx->res.content_type.p != NULL;
    return svl_headers_find(&ctx->res.headers, name).p != NULL;
}

static void apply(struct svl_ctx *ctx, const struct svl_header_rule *rule)
{
    svl_str name = svl_str_of(rule->name), value = svl_str_of(rule->value);

    if (rule->prefix && !svl_str_starts(ctx->req.path, svl_str_of(rule->prefix)))
        return;
    switch (rule->how) {
    case SVL_HEADER_SET: svl_header_set_name(ctx, name, value); break;
    case SVL_HEADER_ADD: svl_header_add_name(ctx, name, value); break;
    case SVL_HEADER_REMOVE: svl_header_del_name(ctx, name); break;
    case SVL_HEADER_DEFAULT:
        if (!has(ctx, svl_header_id(name), name))
            svl_header_set_name(ctx, name, value);
        break;
    }
}

static void want(struct svl_ctx *ctx, enum svl_header_id id, const char *value)
{
    if (value[0] && !svl_headers_get(&ctx->res.headers, id).p)
        svl_header_set_static(ctx, id, svl_str_of(value));
}

static void want_name(struct svl_ctx *ctx, svl_str name, const char *value)
{
    if (value[0] && !svl_headers_find(&ctx->res.headers, name).p)
        svl_header_set_name(ctx, name, svl_str_of(value));
}

static void secure(struct svl_ctx *ctx, const struct svl_headers_config *cfg)
{
    want(ctx, SVL_H_X_CONTENT_TYPE_OPTIONS, "nosniff");
    want(ctx, SVL_H_X_FRAME_OPTIONS, cfg->frame_options);
    want(ctx, SVL_H_REFERRER_POLICY, cfg->referrer_policy);
    want_name(ctx, SVL_STR("Cross-Origin-Opener-Policy"), cfg->opener_policy);
    want(ctx, SVL_H_STRICT_TRANSPORT_SECURITY, cfg->hsts);
    if (cfg->csp_report_only)
        want_name(ctx, SVL_STR("Content-Security-Policy-Report-Only"), cfg->csp);
    else
        want(ctx, SVL_H_CONTENT_SECURITY_POLICY, cfg->csp);
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_headers_config *cfg = self->config;

    for (const struct svl_header_rule *rule = cfg->rules; rule && rule->name; rule++)
        apply(ctx, rule);
    if (cfg->security)
        secure(ctx, cfg);
    return SVL_NEXT;
}

const struct svl_module svl_headers_module = {
    .name = "headers",
    .summary = "set, add and remove fields of answers; security preset",
    .config_size = sizeof(struct svl_headers_config),
    .setup = setup,
    .on_response = on_response,
};
