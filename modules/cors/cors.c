/* cors: answers what browsers ask before they send, and marks what they may read. Who is not
 * allowed gets an answer without marks, which is how a browser is told no. */
#include "serval/mod/cors.h"

#include "serval/error.h"
#include "serval/log.h"

#include <stdio.h>

static bool is_all(const char *origin)
{
    return strcmp(origin, "*") == 0;
}

static bool value_ok(const char *value)
{
    return !value || !value[strcspn(value, "\r\n")];
}

static int setup(void *config)
{
    static const char *const all[] = {"*", NULL};
    struct svl_cors_config *cfg = config;

    if (!cfg->origins)
        cfg->origins = all;
    if (!cfg->methods)
        cfg->methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
    if (cfg->max_age == 0)
        cfg->max_age = 600;
    if (!value_ok(cfg->methods) || !value_ok(cfg->headers) || !value_ok(cfg->expose)) {
        svl_log(SVL_ALERT, "cors: a value holds a line end");
        return SVL_ECONFIG;
    }
    for (const char *const *at = cfg->origins; *at; at++) {
        if (is_all(*at) && cfg->credentials) {
            svl_log(SVL_ALERT, "cors: credentials cannot be allowed to all sites: name them");
            return SVL_ECONFIG;
        }
        if (!is_all(*at) && strcmp(*at, "null") != 0 && !strstr(*at, "://")) {
            svl_log(SVL_ALERT, "cors: origin \"%s\": not like https://a.example", *at);
            return SVL_ECONFIG;
        }
    }
    snprintf(cfg->max_age_text, sizeof cfg->max_age_text, "%d", cfg->max_age);
    return 0;
}

/* A star stands for a name of any labels: it fits what has the same beginning and end, and a name between them. */
static bool fits(svl_str rule, svl_str origin)
{
    size_t star = svl_str_find(rule, '*');
    svl_str tail;

    if (star == rule.n)
        return svl_str_ieq(rule, origin);
    tail = svl_str_from(rule, star + 1);
    if (origin.n <= star + tail.n ||
        !svl_str_ieq(svl_str_head(origin, star), svl_str_head(rule, star)) ||
        !svl_str_ieq(svl_str_from(origin, origin.n - tail.n), tail))
        return false;
    for (size_t i = star; i < origin.n - tail.n; i++)
        if (strchr("/@:?#", origin.p[i]))
            return false;
    return true;
}

static bool allows_all(const struct svl_cors_config *cfg)
{
    for (const char *const *at = cfg->origins; *at; at++)
        if (is_all(*at))
            return true;
    return false;
}

static bool allows(const struct svl_cors_config *cfg, svl_str origin)
{
    for (const char *const *at = cfg->origins; *at; at++)
        if (fits(svl_str_of(*at), origin))
            return true;
    return false;
}

static void vary(struct svl_ctx *ctx, svl_str name)
{
    if (!svl_headers_has_token(&ctx->res.headers, SVL_H_VARY, name))
        svl_header_add(ctx, SVL_H_VARY, name);
}

/* Who may read this answer. Returns whether the one who asks may. Where it depends on who asks,
 * caches are told so, also in answers to those who do not say who they are. */
static bool mark(const struct svl_cors_config *cfg, struct svl_ctx *ctx)
{
    svl_str origin = svl_header(ctx, SVL_H_ORIGIN);

    if (allows_all(cfg)) {
        if (origin.p)
            svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_ALLOW_ORIGIN, SVL_STR("*"));
        return origin.p != NULL;
    }
    vary(ctx, SVL_STR("Origin"));
    if (!origin.p || !allows(cfg, origin))
        return false;
    svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if (cfg->credentials)
        svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_ALLOW_CREDENTIALS, SVL_STR("true"));
    return true;
}

/* What a browser asks before a request that a plain form could not have made. */
static bool is_preflight(const struct svl_ctx *ctx)
{
    return ctx->req.method == SVL_OPTIONS && svl_header(ctx, SVL_H_ORIGIN).p &&
           svl_header(ctx, SVL_H_ACCESS_CONTROL_REQUEST_METHOD).p;
}

static enum svl_verdict preflight(const struct svl_cors_config *cfg, struct svl_ctx *ctx)
{
    svl_str wanted = svl_header(ctx, SVL_H_ACCESS_CONTROL_REQUEST_HEADERS);

    svl_status(ctx, 204);
    if (mark(cfg, ctx)) {
        svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_ALLOW_METHODS, svl_str_of(cfg->methods));
        if (cfg->headers)
            wanted = svl_str_of(cfg->headers);
        if (wanted.n > 0)
            svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_MAX_AGE, svl_str_of(cfg->max_age_text));
    }
    vary(ctx, SVL_STR("Access-Control-Request-Method"));
    vary(ctx, SVL_STR("Access-Control-Request-Headers"));
    return SVL_DONE;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    return is_preflight(ctx) ? preflight(self->config, ctx) : SVL_NEXT;
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_cors_config *cfg = self->config;

    if (mark(cfg, ctx) && cfg->expose)
        svl_header_set_static(ctx, SVL_H_ACCESS_CONTROL_EXPOSE_HEADERS, svl_str_of(cfg->expose));
    return SVL_NEXT;
}

const struct svl_module svl_cors_module = {
    .name = "cors",
    .summary = "tell browsers which other sites may read the answers",
    .config_size = sizeof(struct svl_cors_config),
    .setup = setup,
    .on_request = on_request,
    .on_response = on_response,
};
