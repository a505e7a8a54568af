/* Behaviours by number: tests/behaviours.md says what was decided about each. */
#include "base/arena.h"
#include "serval/serval.h"
#include "support/behaviour.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The handler answers with what it saw. */
static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%.*s %.*s [%.*s] host=%.*s foo=%.*s body=%.*s;",
                               SVL_FMT(ctx->req.method_text), SVL_FMT(ctx->req.path),
                               SVL_FMT(ctx->req.query), SVL_FMT(ctx->req.host),
                               SVL_FMT(svl_headers_find(&ctx->req.headers, SVL_STR("foo"))),
                               SVL_FMT(ctx->req.body)));
}

static int status_of(const char *request)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = echo});
    int status = loopback_status(loopback_ask(l, request));

    loopback_close(l);
    return status;
}

static bool answers(const char *request, int status, const char *part)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = echo});
    svl_str answer = loopback_ask(l, request);
    bool good = loopback_status(answer) == status && has(answer, part);

    if (!good)
        fprintf(stderr, "%s\n%.*s\n", request, SVL_FMT(answer));
    loopback_close(l);
    return good;
}

static unsigned count(const char *requests)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = echo});
    unsigned n = answers_in(loopback_ask(l, requests));

    loopback_close(l);
    return n;
}

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"

Test(behaviour, b001_a_plain_get_is_read)
{
    cr_assert(answers("GET /foo/bar HTTP/1.1\r\nHost: google.com\r\n\r\n", 200, "/foo/bar"));
}

Test(behaviour, b002_empty_lines_before_a_request_are_skipped)
{
    cr_assert(answers("\r\n\r\nGET /aaa HTTP/1.1\r\nHost: h\r\n\r\n", 200, "/aaa"));
}

/* What comes in and what comes back, until the client sends no more. */
static bool closes_after(const char *bytes, unsigned answers, const char *part)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = echo});
    svl_str got;
    bool good;

    loopback_send(l, bytes);
    loopback_eof(l);
    got = loopback_take(l);
    good = answers_in(got) == answers && has(got, part) && loopback_shut(l);
    loopback_close(l);
    return good;
}

Test(behaviour, b003_empty_lines_then_the_end_is_a_clean_end)
{
    cr_assert(closes_after(GET "\r\n\r\n\r\n\r\n", 1, " 200 "));
    cr_assert(closes_after(GET "\r\n\r\nerror\r\n\r\n", 2, " 400 "));
}

Test(behaviour, b004_empty_lines_after_a_post_are_skipped)
{
    cr_assert_eq(
        count("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nABC\r\n\r\n" GET "\r\n"), 2);
}

Test(behaviour, b005_silence_behind_empty_lines_closes_without_an_answer)
{
    struct loopback *l =
        loopback_open(&(struct svl_server_config){.handler = echo, .idle_ms = 100});

    loopback_send(l, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nABC\r\n\r\n");
    cr_assert_eq(answers_in(loopback_take(l)), 1);
    loopback_pass(l, 10001);
    cr_assert(loopback_shut(l) && loopback_take(l).n == 0);
    loopback_close(l);
}

Test(behaviour, b006_a_cut_request_line_is_no_request)
{
    cr_assert(closes_after("GET / HTTP/1.1\r", 0, ""));
    cr_assert_eq(count("GET / HTTP/1.1\r"), 0);
}

Test(behaviour, b007_the_request_line_has_two_blanks)
{
    cr_assert_eq(status_of("GET  /foo HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET /foo  HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET /foo/ bar baz HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

Test(behaviour, b008_a_target_is_needed)
{
    cr_assert_eq(status_of("GET  HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

Test(behaviour, b009_a_method_is_a_token)
{
    cr_assert_eq(status_of("G(ET /foo/bar HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    cr_assert(answers("foobar / HTTP/1.1\r\nHost: h\r\n\r\n", 200, "foobar /"));
}

Test(behaviour, b010_host_is_needed_in_http_1_1_only)
{
    cr_assert_eq(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET / HTTP/1.0\r\n\r\n"), 200);
}

Test(behaviour, b011_two_hosts_are_refused)
{
    cr_assert_eq(status_of("GET / HTTP/1.1\r\nHost: aaa.com\r\nhost: bbb.com\r\n\r\n"), 400);
}

Test(behaviour, b012_a_value_needs_no_blank_in_front)
{
    cr_assert(answers("GET / HTTP/1.1\r\nHost:aaaxd\r\n\r\n", 200, "host=aaaxd"));
}

Test(behaviour, b013_names_have_no_case)
{
    cr_assert(answers("GET / HTTP/1.1\r\nhoST: bbb.com\r\nconneCTION: close\r\n\r\n", 200,
                      "Connection: close"));
}

Test(behaviour, b014_a_blank_before_the_colon_is_refused)
{
    cr_assert_eq(status_of(GET "Foo : bar\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Content-Length : 4\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Transfer-Encoding : chunked\r\n\r\n"), 400);
}

Test(behaviour, b015_a_field_has_a_name)
{
    cr_assert_eq(status_of(GET ": zero-key\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 400);
}

Test(behaviour, b016_a_lone_cr_is_refused)
{
    cr_assert_eq(status_of(GET "\rFoo: bar\r\n\r\n"), 400);
}

Test(behaviour, b017_a_name_is_ascii)
{
    cr_assert_eq(status_of(GET "Fo\xc5\x91 : bar\r\n\r\n"), 400);
}

Test(behaviour, b018_a_name_has_no_blank) /* stricter: RFC 9110 5.1 */
{
    cr_assert_eq(status_of(GET "uSeR agent: agent\r\n\r\n"), 400);
}

Test(behaviour, b019_blanks_around_a_value_do_not_count)
{
    cr_assert(answers(GET "Foo:  b\r\n\r\n", 200, "foo=b "));
    cr_assert(answers(GET "Foo: \t v1 \t\r\n\r\n", 200, "foo=v1 "));
}

Test(behaviour, b020_folded_lines_are_refused) /* stricter: RFC 9112 5.2 */
{
    cr_assert_eq(status_of(GET "Multi: v1;\r\n v2\r\n\r\n"), 400);
}

Test(behaviour, b021_a_bare_lf_ends_no_line) /* stricter: RFC 9112 2.2 */
{
    cr_assert_eq(status_of("GET / HTTP/1.1\r\nHost: a\nFoo: bar\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
}

Test(behaviour, b022_http_1_0_stays_only_if_asked)
{
    cr_assert(answers("GET / HTTP/1.0\r\n\r\n", 200, "Connection: close"));
    cr_assert(
        answers("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "Connection: keep-alive"));
}

Test(behaviour, b023_of_two_types_the_first_counts)
{
    cr_assert(answers(GET "foo: ab\r\nfoo: xx\r\n\r\n", 200, "foo=ab "));
}

Test(behaviour, b024_content_length_is_one_number)
{
    cr_assert_eq(status_of(GET "Content-Length: 13\r\nContent-Length: 1\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Content-Length: dff\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Content-Length: 123w\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Content-Length: 1nope\r\n\r\n"), 400);
}

Test(behaviour, b025_a_huge_content_length_does_not_wrap)
{
    cr_assert_neq(status_of(GET "Content-Length: 9223372036854775808\r\n\r\n"), 200);
    cr_assert_neq(status_of(GET "Content-Length: 25000000000000000000\r\n\r\n"), 200);
    cr_assert_neq(status_of(GET "Content-Length: 41000000000000000000\r\n\r\n"), 200);
}

Test(behaviour, b026_chunked_comes_once)
{
    cr_assert_eq(status_of(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
                 400);
}

Test(behaviour, b027_http_1_0_has_no_chunks)
{
    cr_assert_eq(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

Test(behaviour, b028_two_framings_are_refused) /* stricter: RFC 9112 6.3 */
{
    cr_assert_eq(status_of(GET
                           "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n"
                           "0\r\n\r\n"),
                 400);
    cr_assert_eq(status_of(GET "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"),
                 400);
}

/* Keeps what it saw. */
static struct {
    char raw[512], target[128];
    unsigned n;
} saw;

static enum svl_verdict look(struct svl_ctx *ctx, void *arg)
{
    size_t at = 0;

    (void)arg;
    saw.n = ctx->req.headers.n;
    for (unsigned i = 0; i < ctx->req.headers.n; i++) {
        const struct svl_header *h = &ctx->req.headers.at[i];
        svl_str name = svl_header_name(h), value = svl_header_value(h);

        at += (size_t)snprintf(saw.raw + at, sizeof saw.raw - at, "%.*s: %.*s\r\n", SVL_FMT(name),
                               SVL_FMT(value));
    }
    snprintf(saw.target, sizeof saw.target, "%.*s", SVL_FMT(ctx->req.target));
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static void show(const char *request)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = look});

    cr_assert_eq(loopback_status(loopback_ask(l, request)), 200, "%s", request);
    loopback_close(l);
}

Test(behaviour, b029_what_Trailer_announces_is_ignored_not_obeyed)
{
    cr_assert_eq(status_of(GET "Trailer: Foo, Content-Length\r\n\r\n"), 200);
    cr_assert_eq(status_of("POST / HTTP/1.1\r\nHost: h\r\nTrailer: Content-Length\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n"),
                 200);
}

Test(behaviour,
     b030_an_absolute_target_is_kept_as_it_came) /* stricter: no fragment (RFC 9112 3.2) */
{
    show("GET http://gooGle.com/foO/%20bar?xxx HTTP/1.1\r\nHost: google.com\r\n\r\n");
    cr_assert_str_eq(saw.target, "http://gooGle.com/foO/%20bar?xxx");
    cr_assert_eq(status_of("GET http://g.com/foo#aaa HTTP/1.1\r\nHost: g.com\r\n\r\n"), 400);
}

Test(behaviour, b031_a_backslash_in_the_authority_is_refused)
{
    cr_assert_eq(
        status_of("GET http://vulndetector.com\\\\admin\\\\api HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

static svl_str repeated(char *to, const char *line, unsigned n, const char *end)
{
    size_t at = (size_t)sprintf(to, GET);

    for (unsigned i = 0; i < n; i++)
        at += (size_t)sprintf(to + at, "%s", line);
    at += (size_t)sprintf(to + at, "%s", end);
    return (svl_str){to, at};
}

Test(behaviour, b032_a_head_has_its_limit)
{
    static char head[400000];
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = echo});
    svl_str answer;

    loopback_send_bytes(l, repeated(head, "Some-Header: some value\r\n", 10500, "\r\n"));
    answer = loopback_take(l);
    cr_assert(loopback_status(answer) == 431 && has(answer, "Connection: close\r\n"));
    loopback_close(l);
}

Test(behaviour, b033_a_post_without_length_has_no_body)
{
    cr_assert(answers("POST / HTTP/1.1\r\nHost: h\r\n\r\n", 200, "body=;"));
}

#define ODD "hoST: h\r\nuSeR-aGent: a\r\nContent-Type: x/y\r\nCookie: b=c\r\ncookie: d=e\r\n"

Test(behaviour, b034_fields_are_there_as_they_came)
{
    show("GET / HTTP/1.1\r\n" ODD "\r\n");
    cr_assert_str_eq(saw.raw, ODD);
}

Test(behaviour, b035_no_field_is_special)
{
    show("GET / HTTP/1.1\r\n" ODD "Connection: close\r\n\r\n");
    cr_assert(saw.n == 6 && has(svl_str_of(saw.raw), "Connection: close"));
}

Test(behaviour, b036_fields_are_in_the_order_of_the_wire)
{
    show(GET "b: 1\r\nContent-Type: x/y\r\na: 2\r\nUser-Agent: z\r\n\r\n");
    cr_assert_str_eq(saw.raw, "Host: h\r\nb: 1\r\nContent-Type: x/y\r\na: 2\r\nUser-Agent: z\r\n");
}

static enum svl_verdict two_cookies(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cr_assert(is(svl_cookie(ctx, SVL_STR("b")), "c") && is(svl_cookie(ctx, SVL_STR("d")), "e"));
    return svl_text(ctx, 200, SVL_STR("ok"));
}

Test(behaviour, b037_two_cookie_lines_are_read_one_by_one)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = two_cookies});

    cr_assert_eq(loopback_status(loopback_get(l, "/", "Cookie: b=c\r\nCookie: d=e\r\n")), 200);
    loopback_close(l);
}

Test(behaviour, b038_random_bytes_do_no_harm)
{
    unsigned seed = 7;

    for (int i = 0; i < 300; i++) {
        struct loopback *l = loopback_open(&(struct svl_server_config){.handler = echo});
        char bytes[64] = "GET / HTTP/1.1\r\nHost: h\r\n";

        for (size_t at = (size_t)i % 28; at < sizeof bytes; at++)
            bytes[at] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        loopback_send_bytes(l, (svl_str){bytes, sizeof bytes});
        loopback_eof(l);
        cr_assert_leq(answers_in(loopback_take(l)), 2);
        loopback_close(l);
    }
}

Test(behaviour, b039_blanks_before_an_extension_are_refused)
{
#define CHUNKED "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    cr_assert(answers(CHUNKED "3\r\nabc\r\n0\r\n\r\n", 200, "body=abc;"));
    cr_assert(answers(CHUNKED "3;ext\r\nabc\r\n0\r\n\r\n", 200, "body=abc;"));
    cr_assert_eq(status_of(CHUNKED "3 ;ext\r\nabc\r\n0\r\n\r\n"), 400);
}

Test(behaviour, b047_an_empty_chunked_body_is_empty)
{
    cr_assert(answers(CHUNKED "0\r\n\r\n", 200, "body=;"));
}

Test(behaviour, b082_the_last_request_of_a_connection_closes_it)
{
    struct loopback *l =
        loopback_open(&(struct svl_server_config){.handler = echo, .max_requests = 1});
    svl_str answer = loopback_ask(l, GET "\r\n" GET "\r\n");

    cr_assert(has(answer, "Connection: close\r\n"));
    cr_assert(!has(svl_str_from(answer, 9), "HTTP/1.1 "));
    loopback_close(l);
}

Test(behaviour, b084_http_1_0_without_keep_alive_is_the_last)
{
    cr_assert_eq(count("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"
                       "GET / HTTP/1.0\r\n\r\n"),
                 2);
}

static void clean(const char *path, const char *want)
{
    char to[128];
    ptrdiff_t n = svl_path_clean(to, svl_str_of(path));

    cr_assert(n > 0 && is((svl_str){to, (size_t)n}, want), "%s", path);
}

Test(behaviour, b113_paths_are_normalised)
{
    static const char *const cases[][2] = {{"/aa//bb", "/aa/bb"},
                                           {"/x///y/", "/x/y/"},
                                           {"/xxxx%2fyyy%2f%2F%2F", "/xxxx/yyy/"},
                                           {"/aaa/..", "/"},
                                           {"/xxx/yyy/../", "/xxx/"},
                                           {"/a/b/../c/d/../e/..", "/a/c/"},
                                           {"/aaa/../../../../xxx", "/xxx"},
                                           {"/../../../../../..", "/"},
                                           {"/aaa%2Fbbb%2F%2E.%2Fxxx", "/aaa/xxx"},
                                           {"/aaa////..//b", "/b"},
                                           {"/aaa/..bbb/ccc/..", "/aaa/..bbb/"},
                                           {"/a/./b/././c/./d.html", "/a/b/c/d.html"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        clean(cases[i][0], cases[i][1]);
}

Test(behaviour, b115_paths_are_escaped) /* sub-delims too: they need not stand bare */
{
    char to[128];
    size_t n = svl_path_escape(to, SVL_STR("/aa?bb.\xd1\x82~qq"));

    cr_assert(is((svl_str){to, n}, "/aa%3Fbb.%D1%82~qq"));
}

Test(behaviour, b116_schemes_are_found)
{
    struct svl_uri uri;

    cr_assert(svl_uri_parse(&uri, SVL_STR("HTtP://example.com/")) == 0 && is(uri.scheme, "HTtP"));
    cr_assert_eq(svl_uri_parse(&uri, SVL_STR("://example.com/xyz")), SVL_ESYNTAX);
    cr_assert(svl_uri_parse(&uri, SVL_STR("//example.com/foobar")) == 0 &&
              is(uri.host, "example.com"));
    cr_assert(svl_uri_parse(&uri, SVL_STR("http://example.com?baz=111/222")) == 0 &&
              is(uri.query, "baz=111/222") && is(uri.path, ""));
}

static bool normal(const char *text, const char *want)
{
    struct svl_uri uri;
    char room[128], to[128];

    cr_assert_eq(svl_uri_parse(&uri, svl_str_of(text)), 0);
    svl_uri_normalize(&uri, room);
    return is((svl_str){to, svl_uri_print(to, &uri)}, want);
}

Test(behaviour, b118_hosts_become_lower_case)
{
    cr_assert(normal("http://EXAMPLE.COM/aaA", "http://example.com/aaA"));
}

Test(behaviour, b119_a_fragment_may_hold_a_question_mark)
{
    struct svl_uri uri;

    cr_assert(svl_uri_parse(&uri, SVL_STR("/foo#bar?baz=aaa")) == 0);
    cr_assert(is(uri.fragment, "bar?baz=aaa") && is(uri.query, NULL));
}

Test(behaviour, b123_bad_hosts_are_refused)
{
    static const char *const bad[] = {"http://[0:0::vulndetector.com]:80",
                                      "http://[vulndetector.com]/",
                                      "http://[::ffff:192.0.2.300]/",
                                      "https>://x/",
                                      "http://192.168.1.1:1111:2222/",
                                      "http://127.0.0.1[192.168.0.1]/",
                                      "http://[normal.com@]x/",
                                      "http://normal.com[user@x].com/"};
    struct svl_uri uri;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(svl_uri_parse(&uri, svl_str_of(bad[i])), SVL_ESYNTAX, "%s", bad[i]);
}

Test(behaviour, b124_a_second_at_sign_is_refused) /* stricter: RFC 3986 3.2.1 */
{
    struct svl_uri uri;

    cr_assert_eq(svl_uri_parse(&uri, SVL_STR("http://user:p@ss@example.com/")), SVL_ESYNTAX);
    cr_assert_eq(svl_uri_parse(&uri, SVL_STR("http://user:p%40ss@example.com/")), 0);
}

Test(behaviour, b125_a_fragment_hides_no_host)
{
    struct svl_uri uri;

    cr_assert(svl_uri_parse(&uri, SVL_STR("http://google.com#@github.com")) == 0);
    cr_assert(is(uri.host, "google.com"));
}

Test(behaviour, b126_references_are_resolved)
{
    static const char *const cases[][3] = {
        {"http://example.com/baz/xxx.html?aaa=22#aaa", "bb.html?xx=12#pp",
         "http://example.com/baz/bb.html?xx=12#pp"},
        {"http://example.com/a", "?q=//example.com", "http://example.com/a?q=//example.com"},
        {"http://a/b/", "https//example.com/x", "http://a/b/https//example.com/x"},
        {"http://a/b", "//example.com:8080/", "http://example.com:8080/"},
        {"http://a/b?c#d", "#fragment2", "http://a/b?c#fragment2"},
        {"http://h/a/b/c/d", "../qwe/p?zx=34", "http://h/a/b/qwe/p?zx=34"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct svl_uri base, reference, uri;
        char room[128], to[128];

        svl_uri_parse(&base, svl_str_of(cases[i][0]));
        svl_uri_parse(&reference, svl_str_of(cases[i][1]));
        svl_uri_resolve(&uri, &base, &reference, room);
        cr_assert(is((svl_str){to, svl_uri_print(to, &uri)}, cases[i][2]), "%s", cases[i][1]);
    }
}

Test(behaviour, b129_a_fragment_is_never_sent)
{
    struct svl_uri uri;
    char to[64];

    svl_uri_parse(&uri, SVL_STR("http://h/webhooks.html#events"));
    cr_assert(is((svl_str){to, svl_uri_target(to, &uri)}, "/webhooks.html"));
}

Test(behaviour, b130_the_last_segment_is_found)
{
    cr_assert(is(svl_path_last(SVL_STR("/foo/bar/")), ""));
    cr_assert(is(svl_path_last(SVL_STR("/foo/bar/baz.html")), "baz.html"));
}

static struct svl_pool pool;
static struct svl_arena arena;

static struct svl_args parsed(const char *text)
{
    struct svl_args args;

    svl_pool_init(&pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&arena, NULL, 0, &pool, 1 << 20);
    svl_args_init(&args, &arena);
    svl_args_parse(&args, svl_str_of(text));
    return args;
}

static void args_end(void)
{
    svl_arena_finish(&arena);
    svl_pool_finish(&pool);
}

#define ARGS(number_and_name, text, condition)                                                     \
    Test(behaviour, number_and_name)                                                               \
    {                                                                                              \
        struct svl_args args = parsed(text);                                                       \
                                                                                                   \
        cr_assert(condition);                                                                      \
        args_end();                                                                                \
    }

ARGS(b132_entries_are_counted, "foo1&foo2=&foo3=bar1&=bar2&&&&", args.n == 4)
ARGS(b133_the_first_of_several_is_found, "x=1&x=2&x=3",
     is(svl_args_get(&args, SVL_STR("x")), "1") && svl_args_del(&args, SVL_STR("x")) == 3)
ARGS(b134_a_value_may_hold_equals, "zz=1&k=v=v=a=a=s",
     is(svl_args_get(&args, SVL_STR("k")), "v=v=a=a=s"))
ARGS(b135_a_plus_is_a_blank, "f+o%20o=a+b", is(svl_args_get(&args, SVL_STR("f o o")), "a b"))
ARGS(b136_broken_escapes_stay, "f%=x&qw%z=d%0k%20p&%%20=%%%20x",
     is(svl_args_get(&args, SVL_STR("f%")), "x") &&
         is(svl_args_get(&args, SVL_STR("qw%z")), "d%0k p") &&
         is(svl_args_get(&args, SVL_STR("% ")), "%% x"))
ARGS(b137_what_has_no_value_keeps_none, "foo=bar&bb&=xxxx&cvx=&novalue",
     is(svl_args_text(&args), "foo=bar&bb&=xxxx&cvx=&novalue"))

Test(behaviour, b139_truths_are_words) /* "0", "n", "no" are false; "" and "123" are neither */
{
    bool value;

    cr_assert(svl_bool_parse(SVL_STR("1"), &value) && value);
    cr_assert(svl_bool_parse(SVL_STR("yes"), &value) && value);
    cr_assert(svl_bool_parse(SVL_STR("no"), &value) && !value);
    cr_assert(!svl_bool_parse(SVL_STR(""), &value) && !svl_bool_parse(SVL_STR("123"), &value));
}

ARGS(b140_sorting_is_by_name_and_value, "b=2&a=2&b=1&a=1",
     (svl_args_sort(&args), is(svl_args_text(&args), "a=1&a=2&b=1&b=2")))

Test(behaviour, b141_numbers_are_whole)
{
    static const char *const bad[] = {"", "-123", "123w", "1234.545", "123456789012345678901"};
    static const char *const floats[] = {"1.", ".1", "1234E-5", "1.234e+32"};
    static const char *const not_floats[] = {"1.3.4", "123e5e6", "123534e", "-Inf", "123E+SS5"};
    uint64_t value;
    double f;

    for (size_t i = 0; i < 5; i++)
        cr_assert(!svl_uint_parse(svl_str_of(bad[i]), &value), "%s", bad[i]);
    for (size_t i = 0; i < 4; i++)
        cr_assert(svl_float_parse(svl_str_of(floats[i]), &f), "%s", floats[i]);
    for (size_t i = 0; i < 5; i++)
        cr_assert(!svl_float_parse(svl_str_of(not_floats[i]), &f), "%s", not_floats[i]);
}

Test(behaviour, b142_html_is_escaped) /* &quot; instead of &#34; */
{
    char to[64];

    cr_assert(
        is((svl_str){to, svl_html_escape(to, SVL_STR("><\"''"))}, "&gt;&lt;&quot;&#39;&#39;"));
}

Test(behaviour, b143_ipv4_has_four_bytes)
{
    static const char *const bad[] = {"1.2.3", "123.456.789.11", "b.1.2.3", "::1"};
    uint8_t ip[4];

    for (size_t i = 0; i < 4; i++)
        cr_assert(!svl_ipv4_parse(svl_str_of(bad[i]), ip));
}

Test(behaviour, b144_dates_are_real) /* but a leap second is, too; and case counts (5.6.7) */
{
    static const char *const bad[] = {
        "Tue, 10 Nov 2009 23:00:00 UTC", "Tue, 00 Nov 2009 23:00:00 GMT",
        "Tue, 31 Feb 2009 23:00:00 GMT", "Tue, 10 Nov 2009 24:00:00 GMT",
        "Fri, 29 Feb 2019 23:00:00 GMT", "tue, 10 nov 2009 23:00:00 GMT"};
    int64_t seconds;

    cr_assert(svl_date_parse(SVL_STR("Tue, 10 Nov 2009 23:00:00 GMT"), &seconds));
    for (size_t i = 0; i < 6; i++)
        cr_assert(!svl_date_parse(svl_str_of(bad[i]), &seconds), "%s", bad[i]);
}

Test(behaviour, b146_set_cookie_is_read_generously)
{
    struct svl_set_cookie c;

    cr_assert_eq(
        svl_cookie_parse(&c, SVL_STR(" xxx = yyy  ; path=/a/b;;;domain=foobar.com ; expires= Tue, "
                                     "10 Nov 2009 23:00:00 GMT ; ;;")),
        0);
    cr_assert(is(c.name, "xxx") && is(c.value, "yyy") && is(c.path, "/a/b") &&
              is(c.domain, "foobar.com") && c.expires == 1257894000);
}

Test(behaviour, b150_torn_quotes_carry_no_attribute)
{
    struct svl_set_cookie c;
    svl_str rest = SVL_STR("session=\"abc; admin=true");
    struct svl_pair pair;

    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("session=\"abc; Domain=evil.com")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("session=abc\"; Domain=evil.com")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("session=\"abc\\\"")), SVL_ESYNTAX);
    cr_assert(svl_cookie_next(&rest, &pair) && is(pair.name, "admin") && is(pair.value, "true"));
}

Test(behaviour, b152_no_setter_injects) /* stricter: refused instead of changed */
{
    char to[SVL_COOKIE_MAX];
    struct svl_set_cookie c = {.name = SVL_STR("a"), .value = SVL_STR("b\r\nX: y")};

    cr_assert_eq(svl_cookie_print(to, &c), SVL_EHEADER);
    c.value = SVL_STR("b; Domain=evil");
    cr_assert_eq(svl_cookie_print(to, &c), SVL_EHEADER);
    c.value = SVL_STR("b");
    c.path = SVL_STR("/;x");
    cr_assert_eq(svl_cookie_print(to, &c), SVL_EHEADER);
}

Test(behaviour, b153_request_cookies_are_walked)
{
    svl_str rest = SVL_STR("xxx=aa;bb=c; =d; ;;e=g");
    static const char *const want[][2] = {{"xxx", "aa"}, {"bb", "c"}, {"", "d"}, {"e", "g"}};
    struct svl_pair pair;

    for (size_t i = 0; i < 4; i++)
        cr_assert(svl_cookie_next(&rest, &pair) && is(pair.name, want[i][0]) &&
                  is(pair.value, want[i][1]));
    cr_assert(!svl_cookie_next(&rest, &pair));
}

Test(behaviour, b154_an_empty_name_does_no_harm)
{
    struct svl_set_cookie c;

    cr_assert_eq(svl_cookie_parse(&c, SVL_STR(";SAMeSITe=")), SVL_ESYNTAX);
    cr_assert(svl_cookie_parse(&c, SVL_STR("a=123 ==   1")) == 0 && is(c.value, "123 ==   1"));
}

Test(behaviour, b155_names_are_written_as_usual)
{
    char to[16];

    svl_header_canonical(to, SVL_STR("foO-bAr-BAZ"));
    cr_assert(is((svl_str){to, 11}, "Foo-Bar-Baz"));
}

Test(behaviour, b159_parameters_are_read_strictly)
{
    svl_str rest = SVL_STR("text/plain;charset=utf-8;q=0.39");
    static const char *const none[] = {"text/plain foo=bar", "; foo",      "; foo=", "; =bar",
                                       "; foo = bar",        "; foo=\"bar"};
    struct svl_pair p;

    cr_assert(svl_field_next(&rest, &p) && svl_field_next(&rest, &p) && !svl_field_next(&rest, &p));
    for (size_t i = 0; i < 6; i++) {
        rest = svl_str_of(none[i]);
        cr_assert(!svl_field_next(&rest, &p), "%s", none[i]);
    }
}

Test(behaviour, b166_ranges_are_read) /* several and unsatisfiable ones by RFC 9110 14.2 */
{
    struct svl_range r;

    cr_assert(svl_range_parse(SVL_STR("bytes=0-0"), 1, &r, 1) == 1 && r.offset == 0 &&
              r.length == 1);
    cr_assert(svl_range_parse(SVL_STR("bytes=123-"), 456, &r, 1) == 1 && r.offset == 123);
    cr_assert(svl_range_parse(SVL_STR("bytes=-123"), 456, &r, 1) == 1 && r.offset == 333);
    cr_assert(svl_range_parse(SVL_STR("bytes=1-2345"), 234, &r, 1) == 1 && r.length == 233);
    cr_assert(svl_range_parse(SVL_STR("bytes=-567"), 56, &r, 1) == 1 && r.length == 56);
    cr_assert_eq(svl_range_parse(SVL_STR("bytes=123-"), 12, &r, 1), 0);
    cr_assert_eq(svl_range_parse(SVL_STR("bytes=-5"), 0, &r, 1), 0);
    cr_assert_eq(svl_range_parse(SVL_STR("foobar=1-34"), 99, &r, 1), SVL_ESYNTAX);
    cr_assert_eq(svl_range_parse(SVL_STR("bytes=123-34"), 999, &r, 1), SVL_ESYNTAX);
}
