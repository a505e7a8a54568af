#include "serval/mod/rewrite.h"

#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Says what the modules behind the rules see. */
static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%.*s%s%.*s", SVL_FMT(ctx->req.path),
                               ctx->req.query.p ? "?" : "", SVL_FMT(ctx->req.query)));
}

#define RULES(...)                                                                                 \
    (const struct svl_rewrite_rule[])                                                              \
    {                                                                                              \
        __VA_ARGS__, SVL_REWRITE_END                                                               \
    }

static struct loopback *serve(const struct svl_rewrite_rule *rules)
{
    const struct svl_use chain[] = {SVL_USE(rewrite, .rules = rules), SVL_USE_END};

    return loopback_open(&(struct svl_server_config){.chain = chain, .handler = echo});
}

static void see(struct loopback *l, const char *target, const char *expected)
{
    svl_str answer = loopback_get(l, target, "");

    cr_expect_eq(loopback_status(answer), 200, "%s: %d", target, loopback_status(answer));
    cr_expect(svl_str_eq(loopback_body(answer), svl_str_of(expected)), "%s: %.*s, not %s", target,
              SVL_FMT(loopback_body(answer)), expected);
}

static void sent_to(struct loopback *l, const char *target, int status, const char *location)
{
    svl_str answer = loopback_get(l, target, ""), got = loopback_field(answer, "Location");

    cr_expect_eq(loopback_status(answer), status, "%s: %d", target, loopback_status(answer));
    cr_expect(svl_str_eq(got, svl_str_of(location)), "%s: %.*s, not %s", target, SVL_FMT(got),
              location);
}

Test(rewrite, exact_paths)
{
    struct loopback *l =
        serve(RULES({.exact = "/old", .to = "/new"}, {.exact = "/", .to = "/home"}));

    see(l, "/old", "/new");
    see(l, "/old?a=1", "/new?a=1");
    see(l, "/old/", "/old/");
    see(l, "/old/x", "/old/x");
    see(l, "/", "/home");
    loopback_close(l);
}

Test(rewrite, prefixes_end_at_segments)
{
    struct loopback *l = serve(RULES({.prefix = "/static/", .to = "/files"},
                                     {.prefix = "/cut", .to = "/"}, {.prefix = "/a", .to = "/b/"}));

    see(l, "/static/x/y", "/files/x/y");
    see(l, "/static", "/files");
    see(l, "/static/", "/files/");
    see(l, "/statics", "/statics");
    see(l, "/cut/x", "/x");
    see(l, "/cut", "/");
    see(l, "/a/x", "/b/x");
    see(l, "/ab", "/ab");
    loopback_close(l);
}

Test(rewrite, strips_and_adds)
{
    struct loopback *l = serve(
        RULES({.prefix = "/two", .strip = 2}, {.prefix = "/one", .strip = 1}, {.add = "/www"}));

    see(l, "/two/b/c/d", "/c/d");
    see(l, "/two/b", "/");
    see(l, "/two", "/");
    see(l, "/one/x/", "/x/");
    see(l, "/x", "/www/x");
    see(l, "/", "/www/");
    loopback_close(l);
}

Test(rewrite, the_first_match_is_the_last_unless_it_goes_on)
{
    struct loopback *l = serve(RULES({.prefix = "/a", .to = "/b", .go_on = true},
                                     {.prefix = "/b", .to = "/c"}, {.prefix = "/c", .to = "/a"}));

    see(l, "/a", "/c");
    see(l, "/b", "/c");
    see(l, "/c", "/a"); /* and not round again */
    loopback_close(l);
}

static svl_str with_host(struct loopback *l, const char *host)
{
    char request[400];

    snprintf(request, sizeof request, "GET /x HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    return loopback_body(loopback_ask(l, request));
}

Test(rewrite, hosts_become_folders)
{
    static const char *const cases[][2] = {
        {"example.org", "/example.org/x"},  {"EXAMPLE.org:8080", "/example.org/x"},
        {"example.org.", "/example.org/x"}, {"192.0.2.1:80", "/192.0.2.1/x"},
        {"[::1]:80", "/invalid-host/x"},    {"a..b", "/invalid-host/x"},
        {".hidden", "/invalid-host/x"},     {"a-b_c.example", "/a-b_c.example/x"},
    };
    struct loopback *l = serve(RULES({.vhost = true}));

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        svl_str body = with_host(l, cases[i][0]);

        cr_expect(svl_str_eq(body, svl_str_of(cases[i][1])), "%s: %.*s", cases[i][0],
                  SVL_FMT(body));
    }
    loopback_close(l);
}

Test(rewrite, rules_may_be_for_a_host)
{
    struct loopback *l =
        serve(RULES({.host = "a.example", .add = "/a"}, {.host = "*.b.example", .add = "/b"}));

    cr_expect(svl_str_eq(with_host(l, "A.example:80"), SVL_STR("/a/x")));
    cr_expect(svl_str_eq(with_host(l, "www.b.example"), SVL_STR("/b/x")));
    cr_expect(svl_str_eq(with_host(l, "b.example"), SVL_STR("/x")));
    cr_expect(svl_str_eq(with_host(l, "xb.example"), SVL_STR("/x")));
    loopback_close(l);
}

Test(rewrite, maps)
{
    static const struct svl_rewrite_pair exact[] = {
        {"/z", "/1"}, {"/a", "/2?from=a"}, {"/m/n", "/3"}, {NULL, NULL}};
    static const struct svl_rewrite_pair prefixes[] = {
        {"/p", "/4"}, {"/p/q", "/5/"}, {"/p/q/r/s", "/6"}, {NULL, NULL}};
    struct loopback *l = serve(RULES({.map = exact}, {.prefix_map = prefixes}));

    see(l, "/z", "/1");
    see(l, "/a?x", "/2?from=a");
    see(l, "/m/n?x", "/3?x");
    see(l, "/m", "/m");
    see(l, "/p", "/4");
    see(l, "/p/x", "/4/x");
    see(l, "/pq", "/pq");
    see(l, "/p/q", "/5/");
    see(l, "/p/q/r", "/5/r");
    see(l, "/p/q/r/s/t", "/6/t");
    see(l, "/p/q/r/st", "/5/r/st");
    loopback_close(l);
}

Test(rewrite, a_prefix_map_may_have_the_root)
{
    static const struct svl_rewrite_pair prefixes[] = {{"/", "/all"}, {"/x", "/y"}, {NULL, NULL}};
    struct loopback *l = serve(RULES({.prefix_map = prefixes}));

    see(l, "/", "/all/");
    see(l, "/a/b", "/all/a/b");
    see(l, "/x/b", "/y/b");
    loopback_close(l);
}

Test(rewrite, queries_stay_go_or_change)
{
    struct loopback *l = serve(
        RULES({.exact = "/keep", .to = "/x"}, {.exact = "/drop", .to = "/x?"},
              {.exact = "/new", .to = "/x?b=2"}, {.exact = "/both", .to = "/x?b=2", .append = true},
              {.exact = "/only", .to = "/x?", .append = true}));

    see(l, "/keep?a=1", "/x?a=1");
    see(l, "/keep?", "/x?");
    see(l, "/keep", "/x");
    see(l, "/drop?a=1", "/x");
    see(l, "/new?a=1", "/x?b=2");
    see(l, "/both?a=1", "/x?b=2&a=1");
    see(l, "/both", "/x?b=2");
    see(l, "/only?a=1", "/x?a=1");
    loopback_close(l);
}

Test(rewrite, nothing_leaves_the_root)
{
    struct loopback *l = serve(
        RULES({.prefix = "/in", .to = "/a/../../../b/./c//d"}, {.prefix = "/up", .to = "/x/.."}));

    see(l, "/in/e", "/b/c/d/e");
    see(l, "/in/%2e%2e/%2e%2e", "/");
    see(l, "/up/..%2f..%2fetc/passwd", "/etc/passwd");
    see(l, "/up/x%3fy%25z", "/x?y%z");
    loopback_close(l);
}

Test(rewrite, redirects_are_escaped_and_stay_on_this_host)
{
    struct loopback *l = serve(RULES(
        {.prefix = "/go", .to = "/", .redirect = 301},
        {.prefix = "/ext", .to = "https://example.org/base", .redirect = 308},
        {.exact = "/q", .to = "/p?x=1", .append = true, .redirect = 302},
        {.prefix = "/same", .to = "/same", .redirect = 302}, {.prefix = "/same", .to = "/other"}));

    sent_to(l, "/go/a/b", 301, "/a/b");
    sent_to(l, "/go//evil.example/x", 301, "/evil.example/x");
    sent_to(l, "/go/%2f%2fevil.example", 301, "/evil.example");
    sent_to(l, "/go/%5cevil", 301, "/%5Cevil");
    sent_to(l, "/go/a%0d%0aSet-Cookie:x", 301, "/a%0D%0ASet-Cookie%3Ax");
    sent_to(l, "/go/%C3%A4?q=%20", 301, "/%C3%A4?q=%20");
    sent_to(l, "/ext/x?y", 308, "https://example.org/base/x?y");
    sent_to(l, "/q?z", 302, "/p?x=1&z");
    see(l, "/same/x", "/other/x"); /* nobody is sent to where he is */
    loopback_close(l);
}

static enum svl_verdict own(struct svl_ctx *ctx, void *arg, svl_str *path, svl_str *query)
{
    if (svl_str_eq(*path, SVL_STR("/answer")))
        return svl_text(ctx, 403, SVL_STR("no"));
    if (svl_str_eq(*path, SVL_STR("/fail")))
        return SVL_ERROR;
    if (svl_str_eq(*path, SVL_STR("/bad")))
        *path = SVL_STR("bad");
    else if (svl_str_eq(*path, SVL_STR("/badquery")))
        *query = SVL_STR("a b");
    else
        *path = svl_printf(ctx, "/%s/../../%.*s", (const char *)arg, SVL_FMT(*path));
    return SVL_NEXT;
}

Test(rewrite, a_programs_own_function)
{
    struct loopback *l = serve(RULES({.fn = own, .arg = "by"}));

    see(l, "/x?q", "/x?q");
    cr_expect_eq(loopback_status(loopback_get(l, "/answer", "")), 403);
    cr_expect_eq(loopback_status(loopback_get(l, "/fail", "")), 500);
    cr_expect_eq(loopback_status(loopback_get(l, "/bad", "")), 500);
    cr_expect_eq(loopback_status(loopback_get(l, "/badquery", "")), 500);
    loopback_close(l);
}

Test(rewrite, asterisk_is_no_path)
{
    struct loopback *l = serve(RULES({.add = "/www"}));
    svl_str answer = loopback_ask(l, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");

    cr_expect(svl_str_eq(loopback_body(answer), SVL_STR("*")));
    loopback_close(l);
}

#if SVL_REWRITE_PCRE2
Test(rewrite, patterns_with_groups)
{
    struct loopback *l =
        serve(RULES({.pattern = "^/user/(\\d+)(?:/(.*))?$", .to = "/u?id=$1&rest=$2"},
                    {.pattern = "^/(?<lang>de|en)/(.+)\\.html$", .to = "/$2/${1}$$.htm"},
                    {.pattern = "\\.php$", .to = "/gone$0", .redirect = 302}));

    see(l, "/user/42", "/u?id=42&rest=");
    see(l, "/user/42/a%26b=c?old", "/u?id=42&rest=a%26b%3Dc");
    see(l, "/user/x", "/user/x");
    see(l, "/de/a/b.html?q", "/a/b/de$.htm?q");
    see(l, "/de/..%2f..%2fb.html", "/b.html");
    sent_to(l, "/index.php", 302, "/gone.php");
    loopback_close(l);
}

Test(rewrite, a_pattern_that_takes_too_long_refuses_the_request)
{
    struct loopback *l = serve(RULES({.pattern = "^/(a+)+$", .to = "/x"}));

    see(l, "/aaa", "/x");
    cr_expect_eq(
        loopback_status(loopback_get(
            l, "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "")),
        400);
    loopback_close(l);
}
#endif

Test(rewrite, wrong_rules_do_not_start)
{
    static const struct svl_rewrite_pair twice[] = {{"/a", "/b"}, {"/a", "/c"}, {NULL, NULL}};
    static const struct svl_rewrite_pair nowhere[] = {{"/a", NULL}, {NULL, NULL}};
    static const struct svl_rewrite_rule wrong[] = {
        {.exact = "/a", .prefix = "/b", .to = "/c"},
        {.exact = "/a", .to = "/b", .strip = 1},
        {.exact = "a", .to = "/b"},
        {.exact = "/a", .to = "b"},
        {.exact = "/a", .to = ""},
        {.exact = "/a", .to = "/b", .redirect = 200},
        {.exact = "/a", .to = "https://x/"},
        {.exact = "/a", .to = "https:///x", .redirect = 302},
        {.exact = "/a", .to = "https://$1/x", .redirect = 302},
        {.exact = "/a", .to = "https://host", .redirect = 302},
        {.exact = "/a", .to = "/$0"},
        {.exact = "/a", .to = "/$x"},
        {.exact = "/a", .to = "/$"},
        {.pattern = "a(", .to = "/b"},
        {.pattern = "(a)", .to = "/$2"},
        {.pattern = "(a)", .to = "/${1"},
        {.map = twice},
        {.map = nowhere},
        {.map = twice, .to = "/x"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct svl_use chain[] = {SVL_USE(rewrite, .rules = RULES(wrong[i])), SVL_USE_END};
        struct svl_server *server;
        int err = svl_server_open(&server, &(struct svl_server_config){.chain = chain});

        cr_expect_eq(err, SVL_ECONFIG, "rule %zu: %d", i, err);
    }
}
