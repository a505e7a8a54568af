/* headers: rules, in order and by prefix, and the security preset. */
#include "serval/mod/headers.h"
#include "support/loopback.h"

#include <criterion/criterion.h>

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_header_set_name(ctx, SVL_STR("X-Old"), SVL_STR("1"));
    svl_header_set_name(ctx, SVL_STR("X-Here"), SVL_STR("mine"));
    if (svl_str_eq(ctx->req.path, SVL_STR("/framed")))
        svl_header_set(ctx, SVL_H_X_FRAME_OPTIONS, SVL_STR("DENY"));
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static struct loopback *open_with(const struct svl_headers_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_headers_module, config}, SVL_USE_END},
        .handler = handler});
}

#define FIELD(answer, name, text)                                                                  \
    cr_expect(svl_str_eq(loopback_field(answer, name), SVL_STR(text)), "%s: %.*s", name,           \
              SVL_FMT(loopback_field(answer, name)))

static const struct svl_header_rule rules[] = {
    {SVL_HEADER_SET, "X-New", "a", NULL},
    {SVL_HEADER_ADD, "X-Two", "1", NULL},
    {SVL_HEADER_ADD, "X-Two", "2", NULL},
    {SVL_HEADER_REMOVE, "X-Old", NULL, NULL},
    {SVL_HEADER_DEFAULT, "X-Here", "yours", NULL},
    {SVL_HEADER_DEFAULT, "X-There", "yours", NULL},
    {SVL_HEADER_SET, "X-Api", "1", "/api/"},
    {SVL_HEADER_SET, "Content-Type", "a/b", "/type"},
    {.name = NULL},
};

Test(headers, rules_are_applied_in_order)
{
    struct loopback *l = open_with(&(struct svl_headers_config){.rules = rules});
    svl_str answer = loopback_get(l, "/", "");

    FIELD(answer, "X-New", "a");
    FIELD(answer, "X-Here", "mine");
    FIELD(answer, "X-There", "yours");
    FIELD(answer, "X-Two", "1");
    cr_expect(memmem(answer.p, answer.n, "X-Two: 2\r\n", 10));
    cr_expect_null(loopback_field(answer, "X-Old").p);
    cr_expect_null(loopback_field(answer, "X-Api").p);
    cr_expect_null(loopback_field(answer, "X-Frame-Options").p);
    answer = loopback_get(l, "/api/x", "");
    FIELD(answer, "X-Api", "1");
    FIELD(loopback_get(l, "/type", ""), "Content-Type", "a/b");
    loopback_close(l);
}

Test(headers, the_preset_fills_in_what_is_missing)
{
    struct loopback *l = open_with(&(struct svl_headers_config){.security = true,
                                                                .csp = "default-src 'self'",
                                                                .hsts_seconds = 60,
                                                                .hsts_subdomains = true,
                                                                .referrer_policy = ""});
    svl_str answer = loopback_get(l, "/", "");

    FIELD(answer, "X-Content-Type-Options", "nosniff");
    FIELD(answer, "X-Frame-Options", "SAMEORIGIN");
    FIELD(answer, "Cross-Origin-Opener-Policy", "same-origin");
    FIELD(answer, "Content-Security-Policy", "default-src 'self'");
    FIELD(answer, "Strict-Transport-Security", "max-age=60; includeSubDomains");
    cr_expect_null(loopback_field(answer, "Referrer-Policy").p);
    FIELD(loopback_get(l, "/framed", ""), "X-Frame-Options", "DENY");
    loopback_close(l);
}

static void quiet(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

Test(headers, what_cannot_be_sent_is_refused_at_the_start)
{
    static const struct svl_header_rule bad[] = {{SVL_HEADER_SET, "Content-Length", "1", NULL},
                                                 {SVL_HEADER_SET, "X Y", "1", NULL},
                                                 {SVL_HEADER_SET, "X", "a\r\nb", NULL}};

    svl_log_to(quiet, NULL);
    for (int i = 0; i < 3; i++) {
        struct svl_header_rule one[] = {bad[i], {.name = NULL}};
        struct svl_headers_config config = {.rules = one};

        cr_expect_lt(svl_headers_module.setup(&config), 0, "%d", i);
    }
}
