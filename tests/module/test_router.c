/* Lookups: what each pattern finds, and what is refused at the start. test_router_serve.c has what
 * the module does with requests. */
#include "serval/mod/router.h"
#include "serval/serval.h"
#include "support/exact.h"
#include "support/logged.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static enum svl_verdict nothing(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return SVL_DONE;
}

static enum svl_verdict other(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    (void)ctx;
    return SVL_DONE;
}

/* A router of "GET /a" lines, NULL at the end. NULL if it was refused. */
static struct svl_router *make(const struct svl_router_config *like, const char *const *lines)
{
    static struct svl_route routes[64];
    static char methods[64][64];
    struct svl_router_config config = *like;
    struct svl_router *router;
    unsigned n = 0;

    for (; lines[n]; n++) {
        sscanf(lines[n], "%63s", methods[n]);
        routes[n] = (struct svl_route){.method = methods[n],
                                       .path = strchr(lines[n], ' ') + 1,
                                       .handler = nothing,
                                       .file = "test.c",
                                       .line = (int)n + 1};
    }
    routes[n] = (struct svl_route)SVL_ROUTE_END;
    config.routes = routes;
    logged_begin();
    return svl_router_open(&router, &config) ? NULL : router;
}

#define ROUTER(...) make(&(struct svl_router_config){0}, (const char *const[]){__VA_ARGS__, NULL})
#define ROUTER_WITH(config, ...)                                                                   \
    make(&(struct svl_router_config){config}, (const char *const[]){__VA_ARGS__, NULL})

/* "/users/{id} id=7", or "-" when nothing is found, or "-GET,HEAD" with other methods' bits. */
static const char *find_for(const struct svl_router *router, const char *method, const char *host,
                            const char *path)
{
    static char text[1024];
    struct svl_found found;
    svl_str copy = exact(svl_str_of(path));
    size_t n;

    if (!svl_router_find(router,
                         &(struct svl_ask){svl_method_of(svl_str_of(method)), svl_str_of(method),
                                           svl_str_of(host), copy},
                         &found)) {
        exact_free(copy);
        return found.allow ? "405" : "-";
    }
    n = (size_t)snprintf(text, sizeof text, "%.*s", SVL_FMT(svl_found_pattern(&found)));
    for (unsigned i = 0; i < found.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %.*s=%.*s",
                              SVL_FMT(svl_found_name(&found, i)), SVL_FMT(found.values[i]));
    exact_free(copy);
    return text;
}

static const char *find(const struct svl_router *router, const char *path)
{
    return find_for(router, "GET", "", path);
}

#define FINDS(router, path, expected) cr_expect_str_eq(find(router, path), expected, "%s", path)

Test(router, text_is_found_exactly)
{
    struct svl_router *r =
        ROUTER("GET /", "GET /a", "GET /ab", "GET /abc/", "GET /b/long/label/here");

    cr_assert(r);
    FINDS(r, "/", "/");
    FINDS(r, "/a", "/a");
    FINDS(r, "/ab", "/ab");
    FINDS(r, "/abc", "-");
    FINDS(r, "/abc/", "/abc/");
    FINDS(r, "/b/long/label/here", "/b/long/label/here");
    FINDS(r, "/b/long/label/her", "-");
    FINDS(r, "/b/long/label/heree", "-");
    FINDS(r, "/A", "-");
    FINDS(r, "", "-");
    FINDS(r, "a", "-");
    svl_router_close(r);
}

Test(router, more_than_eight_children_are_all_found)
{
    struct svl_router *r = ROUTER("GET /a", "GET /b", "GET /c", "GET /d", "GET /e", "GET /f",
                                  "GET /g", "GET /h", "GET /i", "GET /j/{x}", "GET /k", "GET /l",
                                  "GET /m", "GET /n", "GET /o", "GET /p", "GET /q", "GET /{any}");

    FINDS(r, "/a", "/a");
    FINDS(r, "/h", "/h");
    FINDS(r, "/i", "/i");
    FINDS(r, "/q", "/q");
    FINDS(r, "/j/1", "/j/{x} x=1");
    FINDS(r, "/z", "/{any} any=z");
    svl_router_close(r);
}

/* Paths are read in words of several sizes, some of which overlap. */
Test(router, values_are_right_in_paths_of_every_length)
{
    struct svl_router *r =
        ROUTER("GET /{a}", "GET /{a}/{b}", "GET /{a}/{b}/end", "GET /{a}/long-label-x");
    char path[160];

    for (size_t a = 1; a < 72; a++) {
        for (size_t b = 1; b < 72; b++) {
            struct svl_found found;
            svl_str copy;

            memset(path, 'v', sizeof path);
            path[0] = path[a + 1] = '/';
            memcpy(path + a + b + 2, "/end", 4);
            copy = exact((svl_str){path, a + b + 6});
            cr_assert(
                svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = copy}, &found));
            cr_assert_eq(found.n, 2);
            cr_assert(svl_str_eq(found.values[0], (svl_str){path + 1, a}), "%zu %zu", a, b);
            cr_assert(svl_str_eq(found.values[1], (svl_str){path + a + 2, b}), "%zu %zu", a, b);
            copy.n--; /* "/en" is no route */
            cr_assert_not(
                svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = copy}, &found));
            exact_free(copy);
            copy = exact((svl_str){path, a + b + 2});
            cr_assert(
                svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = copy}, &found));
            cr_assert(svl_str_eq(found.values[1], (svl_str){path + a + 2, b}), "%zu %zu", a, b);
            exact_free(copy);
        }
    }
    svl_router_close(r);
}

Test(router, children_may_begin_with_any_byte)
{
    static char paths[254][8];
    static struct svl_route routes[255];
    struct svl_router *r;
    struct svl_found found;
    unsigned n = 0;

    for (unsigned c = 1; c < 256; c++)
        if (c != '/') /* by a backslash, as some mean something */
            snprintf(paths[n++], sizeof *paths, "/\\%ct", (int)c);
    for (unsigned i = 0; i < n; i++)
        routes[i] = (struct svl_route){.method = "GET", .path = paths[i], .handler = nothing};
    cr_assert_eq(svl_router_open(&r, &(struct svl_router_config){.routes = routes}), 0);
    for (unsigned i = 0; i < n; i++) {
        char path[] = {'/', paths[i][2], 't', '/'};

        cr_expect(
            svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = {path, 3}}, &found));
        cr_expect_eq(found.route, &routes[i]);
        cr_expect_not(
            svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = {path, 4}}, &found));
        cr_expect_not(
            svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = {path, 2}}, &found));
    }
    svl_router_close(r);
}

Test(router, colons_reach_to_the_end_of_the_segment)
{
    struct svl_router *r =
        ROUTER("GET /users/:id", "GET /users/:id/posts/:post", "GET /user_:name",
               "GET /user_:name/about", "GET /files/:dir/*filepath", "GET /:file.json/x");

    FINDS(r, "/users/7", "/users/:id id=7");
    FINDS(r, "/users/7/posts/8", "/users/:id/posts/:post id=7 post=8");
    FINDS(r, "/users/", "-");
    FINDS(r, "/users/7/", "-");
    FINDS(r, "/user_gopher", "/user_:name name=gopher");
    FINDS(r, "/user_gopher/about", "/user_:name/about name=gopher");
    FINDS(r, "/user_", "-");
    FINDS(r, "/files/js/inc/x.js", "/files/:dir/*filepath dir=js filepath=inc/x.js");
    FINDS(r, "/files/js/", "/files/:dir/*filepath dir=js filepath=");
    FINDS(r, "/a/x", "/:file.json/x file.json=a");
    svl_router_close(r);
}

Test(router, braces_have_text_on_both_sides)
{
    struct svl_router *r = ROUTER("GET /a/{name}.json", "GET /a/{name}", "GET /v{major}.{minor}/x",
                                  "GET /{from}-{to}", "GET /p/{a}:cancel", "GET /q/pre{b}post");

    FINDS(r, "/a/x.json", "/a/{name}.json name=x");
    FINDS(r, "/a/x.json.json", "/a/{name}.json name=x.json");
    FINDS(r, "/a/x.jso", "/a/{name} name=x.jso");
    FINDS(r, "/a/.json", "/a/{name} name=.json");
    FINDS(r, "/v1.22/x", "/v{major}.{minor}/x major=1 minor=22");
    FINDS(r, "/v1.2.3/x", "/v{major}.{minor}/x major=1 minor=2.3");
    FINDS(r, "/berlin-rome", "/{from}-{to} from=berlin to=rome");
    FINDS(r, "/a-b-c", "/{from}-{to} from=a to=b-c");
    FINDS(r, "/-b", "-");
    FINDS(r, "/p/7:cancel", "/p/{a}:cancel a=7");
    FINDS(r, "/p/7", "-");
    FINDS(r, "/q/prexpost", "/q/pre{b}post b=x");
    FINDS(r, "/q/prepost", "-");
    svl_router_close(r);
}

Test(router, optional_params_end_the_path_early)
{
    struct svl_router *r = ROUTER("GET /show/{name?}", "GET /a/{x?}/{y?:[0-9]+}", "GET /{lang?}");

    FINDS(r, "/show", "/show/{name?}");
    FINDS(r, "/show/x", "/show/{name?} name=x");
    FINDS(r, "/show/", "-");
    FINDS(r, "/a", "/a/{x?}/{y?:[0-9]+}");
    FINDS(r, "/a/b", "/a/{x?}/{y?:[0-9]+} x=b");
    FINDS(r, "/a/b/12", "/a/{x?}/{y?:[0-9]+} x=b y=12");
    FINDS(r, "/a/b/c", "-");
    FINDS(r, "/", "/{lang?}");
    FINDS(r, "/de", "/{lang?} lang=de");
    svl_router_close(r);
}

Test(router, classes_and_counts_need_no_pcre2)
{
    struct svl_router *r =
        ROUTER("GET /u/{id:[0-9]+}", "GET /u/{name}", "GET /h/{hex:[0-9a-f]{8}}",
               "GET /d/{n:\\d{1,3}}", "GET /w/{w:^\\w+$}", "GET /n/{n:[^.]+}.txt",
               "GET /o/{o:[ab]?}", "GET /m/{m:[a-z]{2,}}-{n}");

    FINDS(r, "/u/12", "/u/{id:[0-9]+} id=12");
    FINDS(r, "/u/12a", "/u/{name} name=12a");
    FINDS(r, "/h/00ff00ff", "/h/{hex:[0-9a-f]{8}} hex=00ff00ff");
    FINDS(r, "/h/00ff00f", "-");
    FINDS(r, "/h/00ff00ff0", "-");
    FINDS(r, "/d/123", "/d/{n:\\d{1,3}} n=123");
    FINDS(r, "/d/1234", "-");
    FINDS(r, "/w/a_9", "/w/{w:^\\w+$} w=a_9");
    FINDS(r, "/w/a-9", "-");
    FINDS(r, "/n/abc.txt", "/n/{n:[^.]+}.txt n=abc");
    FINDS(r, "/n/a.b.txt", "-");
    FINDS(r, "/o/a", "/o/{o:[ab]?} o=a");
    FINDS(r, "/m/ab-c", "/m/{m:[a-z]{2,}}-{n} m=ab n=c");
    FINDS(r, "/m/a-c", "-");
    svl_router_close(r);
}

Test(router, expressions_fit_whole_values)
{
    struct svl_router *r = ROUTER("GET /e/{w:(foo|foobar)}", "GET /v/{v:v[0-9]+(-rc[0-9]+)?}/x",
                                  "GET /s/{s:(a+)+}!", "GET /d/{date:\\d{4}-\\d{2}-\\d{2}}.{ext}");

    if (!r) { /* built without PCRE2 */
        cr_expect(strstr(logged, "SVL_ROUTER_REGEX"));
        return;
    }
    FINDS(r, "/e/foo", "/e/{w:(foo|foobar)} w=foo");
    FINDS(r, "/e/foobar", "/e/{w:(foo|foobar)} w=foobar");
    FINDS(r, "/e/foobarx", "-");
    FINDS(r, "/v/v12-rc3/x", "/v/{v:v[0-9]+(-rc[0-9]+)?}/x v=v12-rc3");
    FINDS(r, "/v/12/x", "-");
    FINDS(r, "/d/2026-01-31.tar.gz",
          "/d/{date:\\d{4}-\\d{2}-\\d{2}}.{ext} date=2026-01-31 ext=tar.gz");
    svl_router_close(r);
}

Test(router, an_expression_that_explodes_is_cut_off, .timeout = 20)
{
    struct svl_router *r = ROUTER("GET /s/{s:(a+)+b}");
    char path[4096] = "/s/";

    if (!r)
        return;
    memset(path + 3, 'a', 4000);
    FINDS(r, path, "-");
    svl_router_close(r);
}

Test(router, params_within_a_segment_cannot_be_made_slow, .timeout = 20)
{
    struct svl_router *r = ROUTER("GET /{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}!", "GET /x{a}.json");
    char path[8000] = "/";

    memset(path + 1, '-', 7900);
    FINDS(r, path, "-");
    memset(path + 1, 'x', 7900);
    memcpy(path + 7900, ".json", 6);
    cr_expect(svl_str_starts(svl_str_of(find(r, path)), SVL_STR("/x{a}.json a=xxx")));
    svl_router_close(r);
}

Test(router, angles_may_be_empty_and_unnamed)
{
    struct svl_router *r =
        ROUTER_WITH(.syntax = SVL_ROUTER_ANGLES, "GET /users/accnt-<id:\\d+>", "GET /u/<name>",
                    "GET /r/<:\\d+>/x", "GET /static/*", "GET /a:b");

    FINDS(r, "/users/accnt-12", "/users/accnt-<id:\\d+> id=12");
    FINDS(r, "/users/accnt-x", "-");
    FINDS(r, "/u/", "/u/<name> name=");
    FINDS(r, "/u/x", "/u/<name> name=x");
    FINDS(r, "/r/1/x", "/r/<:\\d+>/x =1");
    FINDS(r, "/static/a/b", "/static/* *=a/b");
    FINDS(r, "/a:b", "/a:b");
    svl_router_close(r);
}

Test(router, text_before_params_before_catch_all)
{
    struct svl_router *r = ROUTER("GET /{rest:*}", "GET /{a}/{b}", "GET /x/{b}", "GET /{a}/y",
                                  "GET /x/y", "GET /x/{rest:*}");

    FINDS(r, "/x/y", "/x/y");
    FINDS(r, "/x/z", "/x/{b} b=z");
    FINDS(r, "/w/y", "/{a}/y a=w");
    FINDS(r, "/w/z", "/{a}/{b} a=w b=z");
    FINDS(r, "/x/y/z", "/x/{rest:*} rest=y/z");
    FINDS(r, "/w/y/z", "/{rest:*} rest=w/y/z");
    FINDS(r, "/x", "/{rest:*} rest=x");
    FINDS(r, "/", "/{rest:*} rest=");
    svl_router_close(r);
}

/* fasthttp/router: a text node without a handler ended the search, and then redirected to itself. */
Test(router, a_text_that_ends_nowhere_gives_way_to_a_param)
{
    struct svl_router *r = ROUTER("GET /user/newa", "GET /user/newb", "GET /user/{name}",
                                  "GET /user/{name}/x", "GET /user/newa/y");
    char fixed[32];

    FINDS(r, "/user/new", "/user/{name} name=new");
    FINDS(r, "/user/newc", "/user/{name} name=newc");
    FINDS(r, "/user/newa", "/user/newa");
    FINDS(r, "/user/newa/x", "/user/{name}/x name=newa");
    FINDS(r, "/user/newa/z", "-");
    cr_expect_eq(
        svl_router_fix(r, &(struct svl_ask){.method = SVL_GET, .path = SVL_STR("/user/newa/z")},
                       fixed),
        0);
    svl_router_close(r);
}

Test(router, params_with_other_names_share_a_place)
{
    struct svl_router *r =
        ROUTER("GET /{a}/x", "GET /{b}/y", "POST /{c}/x", "GET /:names", "GET /cmd/:tool/",
               "GET /cmd/:tool/:sub", "GET /search/", "GET /search/:query");

    FINDS(r, "/1/x", "/{a}/x a=1");
    FINDS(r, "/1/y", "/{b}/y b=1");
    cr_expect_str_eq(find_for(r, "POST", "", "/1/x"), "/{c}/x c=1");
    FINDS(r, "/cmd/test/", "/cmd/:tool/ tool=test");
    FINDS(r, "/cmd/test/3", "/cmd/:tool/:sub tool=test sub=3");
    FINDS(r, "/search/", "/search/");
    FINDS(r, "/search/a", "/search/:query query=a");
    svl_router_close(r);
}

Test(router, the_first_declared_wins_when_ordered)
{
    struct svl_router *r =
        ROUTER_WITH(.policy = SVL_ROUTER_ORDERED, "GET /{a}/x", "GET /b/x", "GET /b/{c}",
                    "GET /b/y", "GET /{a}/x", "GET /{rest:*}", "GET /late");

    FINDS(r, "/b/x", "/{a}/x a=b");
    FINDS(r, "/b/y", "/b/{c} c=y");
    FINDS(r, "/late", "/{rest:*} rest=late");
    svl_router_close(r);
}

Test(router, methods_any_head_and_custom)
{
    struct svl_router *r =
        ROUTER("GET /a", "POST,PUT /a", "* /b", "GET /b", "BREW /a", "HEAD /h", "PROPFIND /a");
    struct svl_found found;

    cr_expect_str_eq(find_for(r, "GET", "", "/a"), "/a");
    cr_expect_str_eq(find_for(r, "HEAD", "", "/a"), "/a");
    cr_expect_str_eq(find_for(r, "PUT", "", "/a"), "/a");
    cr_expect_str_eq(find_for(r, "BREW", "", "/a"), "/a");
    cr_expect_str_eq(find_for(r, "PROPFIND", "", "/a"), "/a");
    cr_expect_str_eq(find_for(r, "brew", "", "/a"), "405");
    cr_expect_str_eq(find_for(r, "DELETE", "", "/a"), "405");
    cr_expect_str_eq(find_for(r, "GET", "", "/h"), "405");
    cr_expect_str_eq(find_for(r, "ANYTHING", "", "/b"), "/b");
    svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = SVL_STR("/b")}, &found);
    cr_expect_str_eq(found.route->method, "GET");
    svl_router_find(r, &(struct svl_ask){.method = SVL_HEAD, .path = SVL_STR("/b")}, &found);
    cr_expect_str_eq(found.route->method, "GET");
    svl_router_find(r, &(struct svl_ask){.method = SVL_DELETE, .path = SVL_STR("/b")}, &found);
    cr_expect_str_eq(found.route->method, "*");
    svl_router_close(r);
}

Test(router, another_method_gives_way_to_a_less_specific_path)
{
    struct svl_router *r = ROUTER("GET /users/new", "GET /users/{id}", "DELETE /users/{id}");

    cr_expect_str_eq(find_for(r, "DELETE", "", "/users/new"), "/users/{id} id=new");
    cr_expect_str_eq(find_for(r, "GET", "", "/users/new"), "/users/new");
    svl_router_close(r);
}

static const struct svl_route host_routes[] = {
    SVL_ROUTE("GET", "/", nothing),
    SVL_ROUTE("GET", "/", nothing, .host = "api.example.com"),
    SVL_ROUTE("GET", "/", nothing, .host = "*.example.com"),
    SVL_ROUTE("GET", "/", nothing, .host = "*.eu.example.com"),
    SVL_ROUTE("GET", "/{x}", nothing, .host = "{tenant}.example.org"),
    SVL_ROUTE("GET", "/", nothing, .host = "api.example.com:8443"),
    SVL_ROUTE("GET", "/all", nothing),
    SVL_ROUTE_END,
};

static const char *host_of(const struct svl_router *router, const char *host, const char *path)
{
    struct svl_found found;

    if (!svl_router_find(router,
                         &(struct svl_ask){
                             .method = SVL_GET, .host = svl_str_of(host), .path = svl_str_of(path)},
                         &found))
        return "-";
    return found.route->host ? found.route->host : "any";
}

Test(router, hosts_exact_then_wild_then_any)
{
    struct svl_router *r;

    cr_assert_eq(svl_router_open(&r, &(struct svl_router_config){.routes = host_routes}), 0);
    cr_expect_str_eq(host_of(r, "api.example.com", "/"), "api.example.com");
    cr_expect_str_eq(host_of(r, "API.Example.com:80", "/"), "api.example.com");
    cr_expect_str_eq(host_of(r, "api.example.com.", "/"), "api.example.com");
    cr_expect_str_eq(host_of(r, "api.example.com:8443", "/"), "api.example.com:8443");
    cr_expect_str_eq(host_of(r, "www.example.com", "/"), "*.example.com");
    cr_expect_str_eq(host_of(r, "a.b.example.com", "/"), "*.example.com");
    cr_expect_str_eq(host_of(r, "a.eu.example.com", "/"), "*.eu.example.com");
    cr_expect_str_eq(host_of(r, "example.com", "/"), "any");
    cr_expect_str_eq(host_of(r, "", "/"), "any");
    cr_expect_str_eq(host_of(r, "api.example.com", "/all"), "any");
    cr_expect_str_eq(find_for(r, "GET", "acme.example.org", "/7"), "/{x} tenant=acme x=7");
    cr_expect_str_eq(find_for(r, "GET", "a.b.example.org", "/7"), "-");
    svl_router_close(r);
}

#define REFUSED(text, ...)                                                                         \
    do {                                                                                           \
        cr_expect_null(ROUTER(__VA_ARGS__));                                                       \
        cr_expect(strstr(logged, text), "\"%s\" instead of \"%s\"", logged, text);                 \
    } while (0)

Test(router, conflicts_name_both_routes_and_where_they_stand)
{
    REFUSED("GET /a (test.c:2): the path is already taken by GET /a (test.c:1)", "GET /a",
            "GET /a");
    REFUSED("GET /u/{b} (test.c:2): the path is already taken by GET /u/{a} (test.c:1)",
            "GET /u/{a}", "GET /u/{b}");
    REFUSED("already taken by GET /f/*a", "GET /f/*a", "GET /f/{b:*}");
    REFUSED("already taken by GET /s ", "GET /s", "GET /s/{x?}");
    REFUSED("already taken", "GET,POST /m", "POST /m");
    REFUSED("already taken", "* /m", "* /m");
    cr_expect_null(ROUTER("GET /a", "GET /a", "GET /b", "GET /b"));
    cr_expect(strstr(logged, "/a") && strstr(logged, "/b"), "all of them are said");
}

Test(router, patterns_that_cannot_be_are_refused)
{
    REFUSED("does not begin with a slash", "GET a");
    REFUSED("a catch-all must be last", "GET /*a/b");
    REFUSED("a catch-all must be last", "GET /{a:*}/b");
    REFUSED("must follow a slash", "GET /x{a:*}");
    REFUSED("must follow a slash", "GET /x*a");
    REFUSED("needs a name", "GET /:/x");
    REFUSED("needs a name", "GET /{}");
    REFUSED("needs a name", "GET /*");
    REFUSED("two params in one segment", "GET /:a:b");
    REFUSED("without text between", "GET /{a}{b}");
    REFUSED("special character", "GET /{a{b}}");
    REFUSED("not closed", "GET /{a");
    REFUSED("closes that was not opened", "GET /{a}}");
    REFUSED("one name", "GET /{a}/{a}");
    REFUSED("expression is empty", "GET /{a:}");
    REFUSED("not a method", "G(T /a");
    REFUSED("/e/{w:(}", "GET /e/{w:(}");
}

Test(router, strict_finds_two_routes_for_one_path)
{
    struct svl_router_config strict = {.policy = SVL_ROUTER_STRICT};

    cr_expect_null(make(&strict, (const char *const[]){"GET /a/b", "GET /a/{x}", NULL}));
    cr_expect(
        strstr(logged, "GET /a/{x} (test.c:2): some path fits both, this and GET /a/b (test.c:1)"));
    cr_expect_null(make(&strict, (const char *const[]){"GET /{x}/b", "GET /a/{y}", NULL}));
    cr_expect_null(make(&strict, (const char *const[]){"GET /f/{x:*}", "GET /f/{y}", NULL}));
    cr_expect_null(make(&strict, (const char *const[]){"GET /{x}.json", "GET /{y}", NULL}));
    cr_expect_null(make(&strict, (const char *const[]){"* /x", "GET /x", NULL}));
    for (int i = 0; i < 1; i++) {
        struct svl_router *r =
            make(&strict, (const char *const[]){"GET /a/{x}", "POST /a/b", "GET /b/{x}",
                                                "GET /a/{x}/c", "GET /{x}-{y}/z", NULL});

        cr_expect(r, "%s", logged);
        svl_router_close(r);
    }
}

Test(router, a_later_one_replaces_when_asked_to)
{
    struct svl_router *r = ROUTER_WITH(.replace = true, "GET /a", "GET /a");
    struct svl_found found;

    cr_assert(r);
    svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = SVL_STR("/a")}, &found);
    cr_expect_eq(found.route->line, 2);
    svl_router_close(r);
}

static const struct svl_route users[] = {SVL_ROUTE("GET", "", nothing),
                                         SVL_ROUTE("GET", "/", other),
                                         SVL_ROUTE("GET", "/{id}", nothing), SVL_ROUTE_END};
static const struct svl_group inner = {.prefix = "/v{version:[0-9]+}/users", .routes = users};
static const struct svl_group api = {.prefix = "/api",
                                     .groups = (const struct svl_group *const[]){&inner, NULL}};

Test(router, groups_join_prefixes_and_need_handlers)
{
    struct svl_router *r;

    cr_assert_eq(svl_router_open(&r,
                                 &(struct svl_router_config){
                                     .groups = (const struct svl_group *const[]){&api, NULL}}),
                 0);
    FINDS(r, "/api/v1/users", "/api/v{version:[0-9]+}/users version=1");
    FINDS(r, "/api/v1/users/", "/api/v{version:[0-9]+}/users/ version=1");
    FINDS(r, "/api/v1/users/7", "/api/v{version:[0-9]+}/users/{id} version=1 id=7");
    svl_router_close(r);

    logged_begin();
    cr_expect(svl_router_open(&r, &(struct svl_router_config){
                                      .routes = (const struct svl_route[]){
                                          {.method = "GET", .path = "/x"}, SVL_ROUTE_END}}) < 0);
    cr_expect(strstr(logged, "no handler"));
}

Test(router, groups_by_calls)
{
    struct svl_group *made = svl_group_open("/api"), *nested;
    struct svl_router *r;

    svl_group_add(made, "GET", "/ping", nothing);
    nested = svl_group_group(made, "/users");
    svl_group_add(nested, "GET", "/{id}", nothing, .name = "user");
    for (int i = 0; i < 20; i++)
        svl_group_step(nested, &(struct svl_step){.before = nothing});
    cr_assert_eq(svl_router_open(&r,
                                 &(struct svl_router_config){
                                     .groups = (const struct svl_group *const[]){made, NULL}}),
                 0);
    FINDS(r, "/api/ping", "/api/ping");
    FINDS(r, "/api/users/7", "/api/users/{id} id=7");
    svl_router_close(r);
    svl_group_close(made);
}

static const struct svl_route named[] = {
    SVL_ROUTE("GET", "/users/{id:[0-9]+}", nothing, .name = "user"),
    SVL_ROUTE("POST", "/users/{id:[0-9]+}", nothing, .name = "user"),
    SVL_ROUTE("GET", "/files/{path:*}", nothing, .name = "file"),
    SVL_ROUTE("GET", "/show/{a?}/{b?}", nothing, .name = "show"),
    SVL_ROUTE("GET", "/{name}.{ext}", nothing, .name = "doc"),
    SVL_ROUTE_END,
};

static const char *url(const struct svl_router *r, const char *name, const char *key,
                       const char *value)
{
    static char to[64];
    struct svl_param param = {svl_str_of(key), svl_str_of(value)};
    ptrdiff_t n = svl_router_url(r, svl_str_of(name), &param, key ? 1 : 0, to, sizeof to - 1);

    if (n < 0)
        return n == SVL_ELIMIT ? "too long" : "-";
    to[n] = '\0';
    return to;
}

Test(router, urls_of_named_routes)
{
    struct svl_router *r;

    cr_assert_eq(svl_router_open(&r, &(struct svl_router_config){.routes = named}), 0);
    cr_expect_str_eq(url(r, "user", "id", "7"), "/users/7");
    cr_expect_str_eq(url(r, "user", "id", "x"), "-");
    cr_expect_str_eq(url(r, "user", NULL, NULL), "-");
    cr_expect_str_eq(url(r, "user", "id", ""), "-");
    cr_expect_str_eq(url(r, "file", "path", "a b/c?.txt"), "/files/a%20b/c%3F.txt");
    cr_expect_str_eq(url(r, "show", NULL, NULL), "/show");
    cr_expect_str_eq(url(r, "show", "a", "1/2"), "/show/1%2F2");
    cr_expect_str_eq(url(r, "show", "b", "1"), "/show");
    cr_expect_str_eq(url(r, "nobody", NULL, NULL), "-");
    cr_expect_str_eq(
        url(r, "file", "path", "0123456789012345678901234567890123456789012345678901234567890"),
        "too long");
    svl_router_close(r);
}

static void count(void *arg, svl_str method, svl_str host, svl_str pattern,
                  const struct svl_route *route)
{
    char *list = arg;
    size_t n = strlen(list);

    (void)route;
    (void)host;
    snprintf(list + n, 512 - n, "%.*s %.*s;", SVL_FMT(method), SVL_FMT(pattern));
}

Test(router, all_routes_are_listed_as_declared)
{
    char list[512] = "";
    struct svl_router *r = ROUTER("GET,POST /b", "GET /a/{x?}", "* /c");

    svl_router_each(r, count, list);
    cr_expect_str_eq(list, "GET /b;POST /b;GET /a/{x?};* /c;");
    cr_expect_gt(svl_router_bytes(r), 0);
    svl_router_close(r);
}

Test(router, nearly_right_paths_are_fixed)
{
    struct svl_router *r =
        ROUTER("GET /Users/{id}/Posts", "GET /dir/", "GET /a/{x}.JSON", "GET /f/{rest:*}");
    char to[64];

#define FIXES(given, expected)                                                                     \
    do {                                                                                           \
        size_t n_ =                                                                                \
            svl_router_fix(r, &(struct svl_ask){.method = SVL_GET, .path = SVL_STR(given)}, to);   \
        cr_expect(svl_str_eq((svl_str){to, n_}, SVL_STR(expected)), "%s: %.*s", given, (int)n_,    \
                  to);                                                                             \
    } while (0)
    FIXES("/uSERS/McFly/posts", "/Users/McFly/Posts");
    FIXES("/users/McFly/posts/", "/Users/McFly/Posts");
    FIXES("/DIR", "/dir/");
    FIXES("/A/Data.json", "/a/Data.JSON");
    FIXES("/F/AbC/x", "/f/AbC/x");
    FIXES("/nothing", "");
    FIXES("/users", "");
    svl_router_close(r);
}

Test(router, every_lookup_of_a_large_random_set_is_right)
{
    static char paths[400][64];
    static struct svl_route routes[401];
    static const char *const parts[] = {"a",    "ab",  "abc", "b",  "users",
                                        "user", "{p}", "x",   "xy", "list.json"};
    struct svl_router *r;
    uint32_t random = 7;
    unsigned n = 0;

    for (unsigned tries = 0; tries < 4000 && n < 400; tries++) {
        char path[64] = "";
        unsigned depth, at = 0;

        random = random * 1664525 + 1013904223;
        depth = 1 + (random >> 20) % 4;
        for (unsigned i = 0; i < depth; i++) {
            random = random * 1664525 + 1013904223;
            at +=
                (unsigned)snprintf(path + at, sizeof path - at, "/%s", parts[(random >> 16) % 10]);
            if (strstr(path, "{p}"))
                *strstr(path, "{p}") = '\1'; /* one name each */
        }
        for (unsigned i = 0, k = 0; path[i]; i++)
            if (path[i] == '\1')
                path[i] = '{', path[i + 1] = (char)('a' + k++);
        for (unsigned i = 0; i < n; i++)
            if (strcmp(paths[i], path) == 0)
                path[0] = '\0';
        if (path[0])
            strcpy(paths[n++], path);
    }
    for (unsigned i = 0; i < n; i++)
        routes[i] = (struct svl_route){.method = "GET", .path = paths[i], .handler = nothing};
    routes[n] = (struct svl_route)SVL_ROUTE_END;
    cr_assert_eq(svl_router_open(&r, &(struct svl_router_config){.routes = routes}), 0);
    for (unsigned i = 0; i < n; i++) {
        char ask[64];
        struct svl_found found;

        strcpy(ask, paths[i]); /* "{p}" as a value fits no text */
        cr_expect(svl_router_find(r, &(struct svl_ask){.method = SVL_GET, .path = svl_str_of(ask)},
                                  &found));
        cr_expect_eq(found.route, &routes[i], "%s", ask);
    }
    svl_router_close(r);
}
