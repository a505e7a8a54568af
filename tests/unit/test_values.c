/* What a handler asks of a request: arguments, fields, cookies, values. */
#include "serval/serval.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static char trail[64];

static bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

static bool has(svl_str s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static void with(svl_handler_fn *handler, const char *request, int status)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = handler});

    trail[0] = '\0';
    cr_assert_eq(loopback_status(loopback_ask(l, request)), status);
    loopback_close(l);
}

#define GET(target, fields) "GET " target " HTTP/1.1\r\nHost: h\r\n" fields "\r\n"

static enum svl_verdict ask_query(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(svl_query(ctx, SVL_STR("a")), "1 2"));
    cr_assert(is(svl_query(ctx, SVL_STR("b")), ""));
    cr_assert(is(svl_query(ctx, SVL_STR("c")), NULL));
    svl_args_set(svl_query_args(ctx), SVL_STR("c"), SVL_STR("new"));
    cr_assert(is(svl_query(ctx, SVL_STR("c")), "new"));
    return svl_text(ctx, 200, SVL_STR(""));
}

Test(values, arguments_of_the_query_are_decoded)
{
    with(ask_query, GET("/?a=1+%32&b&a=3", ""), 200);
}

static enum svl_verdict ask_nothing(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(svl_query(ctx, SVL_STR("a")), NULL) && is(svl_cookie(ctx, SVL_STR("a")), NULL));
    cr_assert(is(svl_request_type(ctx), NULL) && is(svl_referer(ctx), NULL));
    cr_assert(is(svl_request_type_parameter(ctx, SVL_STR("charset")), NULL));
    cr_assert(svl_modified_since(ctx, 0) && svl_if_modified_since(ctx) == -1);
    cr_assert(is(svl_form(ctx, SVL_STR("a")), NULL) && !svl_form_file(ctx, SVL_STR("a")));
    cr_assert_null(svl_value_get(ctx, "a"));
    return svl_text(ctx, 200, SVL_STR(""));
}

Test(values, what_is_not_there_is_nothing)
{
    with(ask_nothing, GET("/", ""), 200);
}

static enum svl_verdict ask_fields(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(svl_request_type(ctx), "text/html"));
    cr_assert(is(svl_request_type_parameter(ctx, SVL_STR("CHARSET")), "utf-8"));
    cr_assert(is(svl_referer(ctx), "http://r/") && is(svl_user_agent(ctx), "u/1"));
    cr_assert(is(svl_cookie(ctx, SVL_STR("a")), "1") && is(svl_cookie(ctx, SVL_STR("c")), "3"));
    cr_assert(is(svl_cookie(ctx, SVL_STR("A")), NULL));
    return svl_text(ctx, 200, SVL_STR(""));
}

Test(values, fields_and_cookies_are_found)
{
    with(ask_fields,
         GET("/", "Content-Type: text/html; charset=\"utf-8\"\r\nReferer: http://r/\r\n"
                  "User-Agent: u/1\r\nCookie: a=1; b=2\r\nCookie: c=3; a=4\r\n"),
         200);
}

static enum svl_verdict ask_since(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert_eq(svl_if_modified_since(ctx), 784111777);
    return svl_text(ctx, svl_modified_since(ctx, 784111777) ? 200 : 201, SVL_STR(""));
}

Test(values, a_change_in_the_same_second_is_no_news)
{
#define SINCE "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    with(ask_since, GET("/", SINCE), 201);
    with(ask_since, GET("/", SINCE "If-None-Match: \"x\"\r\n"), 200);
    with(ask_since, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" SINCE "\r\n", 200);
}

static void destroy(void *value)
{
    strcat(trail, value);
}

static enum svl_verdict set_values(struct svl_ctx *ctx, void *arg)
{
    char key[] = "k";
    const void *at = NULL;
    void *value;
    char order[16] = "";

    (void)arg;
    svl_value_set(ctx, "k", "1", destroy);
    svl_value_set(ctx, "l", "2", destroy);
    svl_value_set(ctx, "m", "3", NULL);
    cr_assert_str_eq(svl_value_get(ctx, key), "1");
    svl_value_set(ctx, "k", "4", destroy);
    cr_assert_str_eq(trail, "1");
    svl_value_set(ctx, "m", NULL, NULL);
    cr_assert_null(svl_value_get(ctx, "m"));
    while (svl_value_next(ctx, &at, &value))
        strcat(order, value);
    cr_assert_str_eq(order, "24");
    return svl_text(ctx, 200, SVL_STR(""));
}

Test(values, users_values_are_destroyed_once_last_one_first)
{
    with(set_values, GET("/", ""), 200);
    cr_assert_str_eq(trail, "124");
}

static enum svl_verdict set_cookies(struct svl_ctx *ctx, void *arg)
{
    struct svl_set_cookie c = {.name = SVL_STR("a"), .value = SVL_STR("1")};

    (void)arg;
    cr_assert_eq(svl_cookie_set(ctx, &c), 0);
    c.path = SVL_STR("/x");
    cr_assert_eq(svl_cookie_set(ctx, &c), 0);
    c.value = SVL_STR("2");
    cr_assert_eq(svl_cookie_set(ctx, &c), 0);
    cr_assert_eq(svl_cookie_delete(ctx, SVL_STR("__Host-b"), SVL_STR("/"), SVL_STR_NONE), 0);
    c.value = SVL_STR("2\r\nX: y");
    cr_assert_eq(svl_cookie_set(ctx, &c), SVL_EHEADER);
    return svl_text(ctx, 200, SVL_STR(""));
}

Test(values, a_cookie_set_again_takes_the_place_of_the_first)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = set_cookies});
    svl_str answer = loopback_get(l, "/", "");

    cr_assert(has(answer, "Set-Cookie: a=1\r\n"));
    cr_assert(has(answer, "Set-Cookie: a=2; Path=/x\r\n"));
    cr_assert(!has(answer, "a=1; Path"));
    cr_assert(has(answer, "Set-Cookie: __Host-b=; Expires=Thu, 01 Jan 1970 00:00:01 GMT; "
                          "Max-Age=0; Path=/; Secure\r\n"));
    loopback_close(l);
}
