/* Behaviours by number, URIs, escapes, cookies, fields, memory: tests/behaviours.md says what was
 * decided about each. */
#include "serval/serval.h"
#include "support/behaviour.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

static svl_handler_fn *handler;

static enum svl_verdict run(struct svl_ctx *ctx, void *arg)
{
    handler(ctx, arg);
    return svl_text(ctx, ctx->res.status ? ctx->res.status : 200, SVL_STR("ok"));
}

/* What the handler makes of a request, on the wire. */
static svl_str wire(svl_handler_fn *with, const char *target, const char *fields)
{
    static char kept[2048];
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = run});
    svl_str answer;

    handler = with;
    answer = loopback_get(l, target, fields);
    cr_assert_lt(answer.n, sizeof kept);
    memcpy(kept, answer.p, answer.n);
    loopback_close(l);
    return (svl_str){kept, answer.n};
}

/* URIs and escapes ------------------------------------------------------------------------- */

static enum svl_verdict sees_raw(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(ctx->req.raw_path, "/aaa%2Fbbb%2F%2E.%2Fxxx"));
    cr_assert(is(ctx->req.path, "/aaa/xxx"));
    return SVL_DONE;
}

Test(behaviour_fields, b114_the_path_is_there_as_it_came)
{
    cr_assert_eq(loopback_status(wire(sees_raw, "/aaa%2Fbbb%2F%2E.%2Fxxx", "")), 200);
}

static enum svl_verdict sees_decoded(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(ctx->req.path, "/Test + \xd0\xbf"));
    cr_assert(is(ctx->req.raw_path, "/Test%20+%20%D0%BF"));
    cr_assert(is(ctx->req.query, "asdf=%20%20&s=12"));
    return SVL_DONE;
}

Test(behaviour_fields, b120_path_decoded_raw_and_query)
{
    cr_assert_eq(loopback_status(wire(sees_decoded, "/Test%20+%20%D0%BF?asdf=%20%20&s=12", "")),
                 200);
}

Test(behaviour_fields, b121_an_escaped_host_name_is_kept)
{
    struct svl_uri uri;

    cr_assert_eq(svl_uri_parse(&uri, SVL_STR("http://hello.%e4%b8%96.com/foo")), 0);
    cr_assert(is(uri.host, "hello.%e4%b8%96.com"));
}

Test(behaviour_fields, b122_a_literal_has_no_zone) /* stricter: RFC 3986 3.2.2, RFC 9844 */
{
    struct svl_uri uri;

    cr_assert_eq(svl_uri_parse(&uri, SVL_STR("http://[fe80::1%25en0]:8080/")), SVL_ESYNTAX);
    cr_assert_eq(svl_uri_parse(&uri, SVL_STR("http://[fe80::1]:8080/")), 0);
}

Test(behaviour_fields, b127_a_uri_is_printed_whole)
{
    static const char text[] = "ftp://u:p@example.com:8080/a/b?c=d#e";
    struct svl_uri uri;
    char to[64];

    svl_uri_parse(&uri, svl_str_of(text));
    cr_assert_eq(svl_uri_length(&uri), sizeof text - 1);
    cr_assert(is((svl_str){to, svl_uri_print(to, &uri)}, text));
}

Test(behaviour_fields, b131_what_is_parsed_is_not_written_to)
{
    static const char *const texts[] = {"//%AA", "/%41?%41#%41", "http://H/%2e%2e/"};

    for (int i = 0; i < 3; i++) {
        struct svl_uri uri;
        char copy[32], room[32];

        strcpy(copy, texts[i]);
        if (svl_uri_parse(&uri, svl_str_of(copy)) == 0)
            svl_uri_normalize(&uri, room);
        svl_path_clean(room, svl_str_of(copy));
        svl_unescape(room, svl_str_of(copy), true);
        cr_assert_str_eq(copy, texts[i]);
    }
}

Test(behaviour_fields, b138_every_byte_is_escaped_and_back)
{
    char all[256], escaped[768], back[768];
    size_t n;

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    n = svl_query_escape(escaped, (svl_str){all, 256});
    for (size_t i = 0; i < n; i++)
        cr_assert(strchr("%+-._*~", escaped[i]) || (escaped[i] >= '0' && escaped[i] <= '9') ||
                      (escaped[i] >= 'A' && escaped[i] <= 'Z') ||
                      (escaped[i] >= 'a' && escaped[i] <= 'z'),
                  "%c", escaped[i]);
    cr_assert_eq(svl_unescape(back, (svl_str){escaped, n}, true), 256);
    cr_assert_arr_eq(back, all, 256);
    cr_assert(is((svl_str){escaped, svl_query_escape(escaped, SVL_STR("a b"))}, "a+b"));
}

/* Cookies ---------------------------------------------------------------------------------- */

static bool prints(struct svl_set_cookie cookie, const char *want)
{
    char to[SVL_COOKIE_MAX];
    ptrdiff_t n = svl_cookie_print(to, &cookie);

    return want ? n > 0 && is((svl_str){to, (size_t)n}, want) : n < 0;
}

Test(behaviour_fields, b145_values_may_be_quoted)
{
    struct svl_set_cookie c;

    cr_assert(svl_cookie_parse(&c, SVL_STR("foo=bar")) == 0 && is(c.value, "bar"));
    cr_assert(svl_cookie_parse(&c, SVL_STR("foo=")) == 0 && is(c.value, ""));
    cr_assert(svl_cookie_parse(&c, SVL_STR("foo=\"bar\"")) == 0 && is(c.value, "bar"));
    cr_assert(svl_cookie_parse(&c, SVL_STR("\"foo\"=bar")) == 0 && is(c.name, "\"foo\""));
    cr_assert(svl_cookie_parse(&c, SVL_STR("foo")) == 0 && is(c.name, "") && is(c.value, "foo"));
}

#define COOKIE(...) ((struct svl_set_cookie){SVL_STR("a"), SVL_STR("b"), __VA_ARGS__})

Test(behaviour_fields, b147_max_age_and_expires_are_both_written)
{
    cr_assert(prints(COOKIE(.expires = 1257894000, .max_age = 5),
                     "a=b; Expires=Tue, 10 Nov 2009 23:00:00 GMT; Max-Age=5"));
    cr_assert(prints(COOKIE(.max_age = SVL_COOKIE_EXPIRED), "a=b; Max-Age=0"));
}

Test(behaviour_fields, b148_same_site) /* stricter: None needs Secure */
{
    cr_assert(prints(COOKIE(.same_site = SVL_SAME_SITE_LAX), "a=b; SameSite=Lax"));
    cr_assert(prints(COOKIE(.same_site = SVL_SAME_SITE_STRICT), "a=b; SameSite=Strict"));
    cr_assert(prints(COOKIE(.same_site = SVL_SAME_SITE_NONE), NULL));
    cr_assert(prints(COOKIE(.same_site = SVL_SAME_SITE_NONE, .secure = true),
                     "a=b; Secure; SameSite=None"));
}

Test(behaviour_fields, b149_partitioned) /* stricter: Secure is asked for, not added */
{
    cr_assert(prints(COOKIE(.partitioned = true), NULL));
    cr_assert(prints(COOKIE(.partitioned = true, .secure = true, .path = SVL_STR("/")),
                     "a=b; Path=/; Secure; Partitioned"));
}

Test(behaviour_fields, b151_bytes_of_domain_and_path)
{
    cr_assert(prints(COOKIE(.domain = SVL_STR("a\"b")), NULL));
    cr_assert(prints(COOKIE(.domain = SVL_STR("a\\b")), NULL));
    cr_assert(prints(COOKIE(.path = SVL_STR("/\x7f")), NULL));
    cr_assert(prints(COOKIE(.path = SVL_STR("/\xff")), NULL));
    cr_assert(prints(COOKIE(.path = SVL_STR("/a\\b")), "a=b; Path=/a\\b"));
}

/* Fields ----------------------------------------------------------------------------------- */

static enum svl_verdict finds_all(struct svl_ctx *ctx, void *arg)
{
    const struct svl_header *first, *second;
    unsigned at = 0;

    (void)arg;
    first = svl_headers_next(&ctx->req.headers, SVL_H_COOKIE, &at);
    second = svl_headers_next(&ctx->req.headers, SVL_H_COOKIE, &at);
    cr_assert(is(svl_header_value(first), "a") && is(svl_header_value(second), "b"));
    cr_assert_null(svl_headers_next(&ctx->req.headers, SVL_H_COOKIE, &at));
    cr_assert(is(svl_header(ctx, SVL_H_HOST), "test"));
    svl_header_add_name(ctx, SVL_STR("aaa"), SVL_STR("1"));
    svl_header_add_name(ctx, SVL_STR("AAA"), SVL_STR("2"));
    svl_header_del_name(ctx, SVL_STR("Aaa"));
    return SVL_DONE;
}

Test(behaviour_fields, b156_all_of_a_name_are_found_and_deleted)
{
    cr_assert(!has(wire(finds_all, "/", "Cookie: a\r\nCookie: b\r\n"), "aaa"));
}

static enum svl_verdict injects(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert_eq(svl_header_set(ctx, SVL_H_ETAG, SVL_STR("a\r\nEvil: 1")), SVL_EHEADER);
    cr_assert_eq(svl_header_set_name(ctx, SVL_STR("X"), SVL_STR("a\nEvil: 1")), SVL_EHEADER);
    cr_assert_eq(svl_header_add_name(ctx, SVL_STR("X"), (svl_str){"a\0b", 3}), SVL_EHEADER);
    cr_assert_eq(svl_reason(ctx, SVL_STR("fine\r\nEvil: 1")), SVL_EHEADER);
    return SVL_DONE;
}

Test(behaviour_fields, b157_no_setter_injects_a_line) /* stricter: refused, not blanked */
{
    cr_assert(!has(wire(injects, "/", ""), "Evil"));
}

static enum svl_verdict has_tokens(struct svl_ctx *ctx, void *arg)
{
    const struct svl_headers *h = &ctx->req.headers;

    (void)arg;
    cr_assert(svl_headers_has_token(h, SVL_H_UPGRADE, SVL_STR("upgrade")));
    cr_assert(svl_headers_has_token(h, SVL_H_VARY, SVL_STR("foo")));
    cr_assert(svl_headers_has_token(h, SVL_H_VARY, SVL_STR("bar")));
    cr_assert(svl_headers_has_token(h, SVL_H_VARY, SVL_STR("baz")));
    cr_assert(!svl_headers_has_token(h, SVL_H_VARY, SVL_STR("ba")));
    return SVL_DONE;
}

Test(behaviour_fields, b158_tokens_of_a_list_are_found)
{
    wire(has_tokens, "/", "Upgrade: keep-alive  ,    Upgrade\r\nVary: foo  ,   bar,  baz   ,\r\n");
}

static enum svl_verdict odd_status(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_status(ctx, 512);
    return SVL_DONE;
}

Test(behaviour_fields, b161_a_status_without_a_name_can_be_set)
{
    svl_str answer = wire(odd_status, "/", "");

    cr_assert(has(answer, "HTTP/1.1 512 ") && !has(answer, "(null)"));
}

static enum svl_verdict empty_value(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(svl_headers_find(&ctx->req.headers, SVL_STR("one")), ""));
    cr_assert(is(svl_headers_find(&ctx->req.headers, SVL_STR("two")), ""));
    svl_header_set_name(ctx, SVL_STR("Three"), SVL_STR(""));
    return SVL_DONE;
}

Test(behaviour_fields, b162_empty_values_stay_empty)
{
    cr_assert(is(loopback_field(wire(empty_value, "/", "One:\r\nTwo:  \r\n"), "Three"), ""));
}

static enum svl_verdict sees_host(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(ctx->req.host, "google.com") && is(ctx->req.path, "/foo"));
    return SVL_DONE;
}

Test(behaviour_fields, b165_an_absolute_target_has_the_host) /* stricter: RFC 9112 3.2 */
{
    cr_assert_eq(loopback_status(wire(sees_host, "http://google.com/foo", "")), 200);
}

Test(behaviour_fields, b197_a_missing_port_is_that_of_the_scheme)
{
    static const struct {
        const char *text;
        unsigned port;
    } cases[] = {{"http://127.1/", 80}, {"https://[::1]/", 443}, {"http://a:81/", 81}};

    for (int i = 0; i < 3; i++) {
        struct svl_uri uri;

        cr_assert_eq(svl_uri_parse(&uri, svl_str_of(cases[i].text)), 0);
        cr_assert_eq(svl_uri_port(&uri), cases[i].port);
    }
}

/* In memory -------------------------------------------------------------------------------- */

Test(behaviour_fields, b202_a_full_pipe_and_an_empty_one_time_out)
{
    static char much[70000];
    struct svl_pipe *ends[2];

    svl_pipe_pair(ends);
    cr_assert_eq(svl_pipe_write(ends[0], (svl_str){much, sizeof much}, 1), 65536);
    cr_assert_eq(svl_pipe_write(ends[0], SVL_STR("x"), 1), 0);
    cr_assert_eq(svl_pipe_write(ends[0], SVL_STR("x"), 1), 0);
    cr_assert_eq(svl_pipe_read(ends[1], much, sizeof much, 1), 65536);
    cr_assert_eq(svl_pipe_read(ends[1], much, sizeof much, 1), -EAGAIN);
    cr_assert_eq(svl_pipe_read(ends[1], much, sizeof much, 1), -EAGAIN);
    svl_pipe_close(ends[0]);
    svl_pipe_close(ends[1]);
}

static enum svl_verdict never(struct svl_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return SVL_ERROR;
}

Test(behaviour_fields, b203_closing_a_server_ends_those_who_have_dialled)
{
    struct svl_server *server;
    struct svl_pipe *taken, *queued;
    char got[8];

    svl_server_open(&server, &(struct svl_server_config){.handler = never, .workers = 1});
    taken = svl_server_dial(server, NULL);
    svl_server_poll(server, false);
    queued = svl_server_dial(server, NULL);
    svl_server_close(server);
    cr_assert_eq(svl_pipe_read(taken, got, sizeof got, SVL_NEVER), 0);
    cr_assert_eq(svl_pipe_read(queued, got, sizeof got, SVL_NEVER), 0);
    svl_pipe_close(taken);
    svl_pipe_close(queued);
}
