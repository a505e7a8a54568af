/* cors: who may read, what is asked beforehand, and what caches are told. */
#include "serval/mod/cors.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_header_set(ctx, SVL_H_VARY, SVL_STR("Accept-Encoding"));
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static struct loopback *open_with(const struct svl_cors_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_cors_module, config}, SVL_USE_END},
        .handler = handler});
}

static const char *const some[] = {"https://a.example", "https://*.b.example",
                                   "http://c.example:8080", NULL};
static const struct svl_cors_config named = {
    .origins = some, .credentials = true, .expose = "X-Total", .headers = "X-Token", .max_age = -1};

#define FIELD(answer, name, text)                                                                  \
    cr_expect(svl_str_eq(loopback_field(answer, name), SVL_STR(text)), "%s: %.*s", name,           \
              SVL_FMT(loopback_field(answer, name)))
#define ALLOWED "Access-Control-Allow-Origin"

Test(cors, all_sites_get_a_star)
{
    struct loopback *l = open_with(&(struct svl_cors_config){0});

    FIELD(loopback_get(l, "/", "Origin: https://x.example\r\n"), ALLOWED, "*");
    cr_expect_null(loopback_field(loopback_get(l, "/", ""), ALLOWED).p);
    FIELD(loopback_get(l, "/", "Origin: https://x.example\r\n"), "Vary", "Accept-Encoding");
    loopback_close(l);
}

Test(cors, named_sites_are_echoed_and_caches_told)
{
    struct loopback *l = open_with(&named);
    svl_str answer = loopback_get(l, "/", "Origin: https://a.example\r\n");

    FIELD(answer, ALLOWED, "https://a.example");
    FIELD(answer, "Access-Control-Allow-Credentials", "true");
    FIELD(answer, "Access-Control-Expose-Headers", "X-Total");
    cr_expect(memmem(answer.p, answer.n, "Vary: Origin\r\n", 14));
    answer = loopback_get(l, "/", "");
    cr_expect(memmem(answer.p, answer.n, "Vary: Origin\r\n", 14), "also when nobody says who asks");
    FIELD(loopback_get(l, "/", "Origin: https://x.b.example\r\n"), ALLOWED, "https://x.b.example");
    FIELD(loopback_get(l, "/", "Origin: https://x.y.b.example\r\n"), ALLOWED,
          "https://x.y.b.example");
    FIELD(loopback_get(l, "/", "Origin: http://c.example:8080\r\n"), ALLOWED,
          "http://c.example:8080");
    loopback_close(l);
}

Test(cors, lookalikes_are_not_allowed)
{
    static const char *const others[] = {"https://a.example.evil",  "http://a.example",
                                         "https://a.example:444",   "https://b.example",
                                         "https://.b.example",      "https://xb.example",
                                         "http://x.b.example",      "null",
                                         "https://evil/.b.example", "https://e:1.b.example",
                                         "https://e@x.b.example"};
    struct loopback *l = open_with(&named);

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char field[64];
        svl_str answer;

        snprintf(field, sizeof field, "Origin: %s\r\n", others[i]);
        answer = loopback_get(l, "/", field);
        cr_expect_eq(loopback_status(answer), 200);
        if (strcmp(others[i], "https://.b.example") != 0)
            cr_expect_null(loopback_field(answer, ALLOWED).p, "%s", others[i]);
        cr_expect_null(loopback_field(answer, "Access-Control-Expose-Headers").p);
    }
    loopback_close(l);
}

#define PREFLIGHT(origin)                                                                          \
    "OPTIONS /x HTTP/1.1\r\nHost: t\r\nOrigin: " origin                                            \
    "\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, x-b\r\n\r\n"

Test(cors, preflights_are_answered)
{
    struct loopback *l = open_with(&(struct svl_cors_config){0});
    svl_str answer = loopback_ask(l, PREFLIGHT("https://x.example"));

    cr_expect_eq(loopback_status(answer), 204);
    FIELD(answer, ALLOWED, "*");
    FIELD(answer, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    FIELD(answer, "Access-Control-Allow-Headers", "x-a, x-b");
    FIELD(answer, "Access-Control-Max-Age", "600");
    answer = loopback_ask(l, "OPTIONS /x HTTP/1.1\r\nHost: t\r\nOrigin: https://x.example\r\n\r\n");
    cr_expect_eq(loopback_status(answer), 200, "an OPTIONS that is no preflight goes on");
    loopback_close(l);

    l = open_with(&named);
    answer = loopback_ask(l, PREFLIGHT("https://a.example"));
    FIELD(answer, ALLOWED, "https://a.example");
    FIELD(answer, "Access-Control-Allow-Headers", "X-Token");
    FIELD(answer, "Access-Control-Max-Age", "-1");
    answer = loopback_ask(l, PREFLIGHT("https://evil.example"));
    cr_expect_eq(loopback_status(answer), 204);
    cr_expect_null(loopback_field(answer, ALLOWED).p);
    cr_expect_null(loopback_field(answer, "Access-Control-Allow-Methods").p);
    loopback_close(l);
}

static void quiet(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

Test(cors, passwords_for_all_sites_are_refused_at_the_start)
{
    struct svl_cors_config config = {.credentials = true};

    svl_log_to(quiet, NULL);
    cr_expect_lt(svl_cors_module.setup(&config), 0);
    config = (struct svl_cors_config){.origins = (const char *const[]){"a.example", NULL}};
    cr_expect_lt(svl_cors_module.setup(&config), 0);
}
