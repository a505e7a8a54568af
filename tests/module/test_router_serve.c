/* What the router does with requests: answers by itself, steps around handlers, mounts.
 * ctest-module: router */
#include "net/worker.h"
#include "run/watchdog.h"
#include "serval/async.h"
#include "serval/mod/router.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static char trail[512];

static void note(const char *what)
{
    size_t n = strlen(trail);

    snprintf(trail + n, sizeof trail - n, "%s ", what);
}

/* Answers "pattern name=value ...", or with what `arg` says. */
static enum svl_verdict show(struct svl_ctx *ctx, void *arg)
{
    const struct svl_match *match = ctx->req.match;
    svl_str text = svl_printf(ctx, "%.*s", SVL_FMT(match->pattern));

    (void)arg;
    note("handler");
    for (unsigned i = 0; i < match->n_params; i++)
        text = svl_printf(ctx, "%.*s %.*s=%.*s", SVL_FMT(text), SVL_FMT(match->params[i].name),
                          SVL_FMT(match->params[i].value));
    return svl_text(ctx, 200, text);
}

static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, svl_printf(ctx, "%zu:%.*s", ctx->req.body.n, SVL_FMT(ctx->req.body)));
}

static enum svl_verdict broken(struct svl_ctx *ctx, void *arg)
{
    if (arg)
        svl_status(ctx, 409);
    return SVL_ERROR;
}

static enum svl_verdict link_to(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200,
                    svl_url(ctx, "user", "id", svl_param(ctx, SVL_STR("id")).n ? "7" : "8", NULL));
}

#define REQUEST(method, target) method " " target " HTTP/1.1\r\nHost: test\r\n\r\n"
#define EXPECT_BODY(l, request, text)                                                              \
    do {                                                                                           \
        svl_str body_ = loopback_body(loopback_ask(l, request));                                   \
        cr_expect(svl_str_eq(body_, SVL_STR(text)), "%s -> %.*s", request, SVL_FMT(body_));        \
    } while (0)
#define EXPECT_FIELD(l, request, status, name, text)                                               \
    do {                                                                                           \
        svl_str answer_ = loopback_ask(l, request);                                                \
        cr_expect_eq(loopback_status(answer_), status, "%s -> %.*s", request, SVL_FMT(answer_));   \
        cr_expect(svl_str_eq(loopback_field(answer_, name), SVL_STR(text)), "%s -> %.*s", request, \
                  SVL_FMT(answer_));                                                               \
    } while (0)

static const struct svl_route routes[] = {
    SVL_ROUTE("GET", "/", show),
    SVL_ROUTE("GET", "/users/{id}", show, .name = "user"),
    SVL_ROUTE("POST", "/users/{id}", echo),
    SVL_ROUTE("PUT", "/users/{id}", echo),
    SVL_ROUTE("GET", "/dir/", show),
    SVL_ROUTE("POST", "/form", echo),
    SVL_ROUTE("GET", "/Case/{x}", show),
    SVL_ROUTE("*", "/any", show),
    SVL_ROUTE("OPTIONS", "/own", show),
    SVL_ROUTE("GET", "/own", show),
    SVL_ROUTE("GET", "/link/{id}", link_to),
    SVL_ROUTE("GET", "/files/*path", show),
    SVL_ROUTE("BREW", "/pot", show),
    SVL_ROUTE("GET", "/broken", broken),
    SVL_ROUTE("GET", "/conflict", broken, trail),
    SVL_ROUTE_END,
};

Test(router_serve, params_and_pattern_are_on_the_ctx)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = routes));

    EXPECT_BODY(l, REQUEST("GET", "/users/7?x=1"), "/users/{id} id=7");
    EXPECT_BODY(l, REQUEST("GET", "/users/a%20b"), "/users/{id} id=a b");
    EXPECT_BODY(l, REQUEST("GET", "/files/a/b"), "/files/*path path=a/b");
    EXPECT_BODY(l, REQUEST("GET", "/link/1"), "/users/7");
    EXPECT_BODY(l, REQUEST("BREW", "/pot"), "/pot");
    EXPECT_BODY(l, REQUEST("DELETE", "/any"), "/any");
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/nobody"))), 404);
    loopback_close(l);
}

Test(router_serve, head_options_and_405_come_by_themselves)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = routes));

    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("HEAD", "/users/7"))), 200);
    EXPECT_BODY(l, REQUEST("HEAD", "/users/7"), "");
    EXPECT_FIELD(l, REQUEST("DELETE", "/users/7"), 405, "Allow", "GET, HEAD, OPTIONS, POST, PUT");
    EXPECT_FIELD(l, REQUEST("OPTIONS", "/users/7"), 200, "Allow", "GET, HEAD, OPTIONS, POST, PUT");
    EXPECT_FIELD(l, REQUEST("GET", "/pot"), 405, "Allow", "BREW, OPTIONS");
    EXPECT_BODY(l, REQUEST("OPTIONS", "/own"), "/own");
    EXPECT_FIELD(l, REQUEST("OPTIONS", "*"), 200, "Allow", "BREW, GET, HEAD, OPTIONS, POST, PUT");
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("OPTIONS", "/nobody"))), 404);
    loopback_close(l);

    l = LOOPBACK(
        SVL_USE(router, .routes = routes, .no_405 = true, .no_options = true, .no_head = true));
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("DELETE", "/users/7"))), 404);
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("OPTIONS", "/users/7"))), 404);
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("HEAD", "/users/7"))), 404);
    loopback_close(l);
}

Test(router_serve, a_slash_more_or_less_leads_to_the_route)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = routes));

    EXPECT_FIELD(l, REQUEST("GET", "/dir?a=b&c"), 301, "Location", "/dir/?a=b&c");
    EXPECT_FIELD(l, REQUEST("GET", "/users/7/"), 301, "Location", "/users/7");
    EXPECT_FIELD(l, REQUEST("POST", "/form/"), 308, "Location", "/form");
    EXPECT_FIELD(l, REQUEST("GET", "/files"), 301, "Location", "/files/");
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/form/"))), 404,
                 "GET has no route there");
    EXPECT_FIELD(l, REQUEST("GET", "/cASE/McFly"), 301, "Location", "/Case/McFly");
    EXPECT_FIELD(l, REQUEST("GET", "/DIR"), 301, "Location", "/dir/");
    loopback_close(l);

    l = LOOPBACK(SVL_USE(router, .routes = routes, .redirect_307 = true, .no_path_redirect = true));
    EXPECT_FIELD(l, REQUEST("POST", "/form/"), 307, "Location", "/form");
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/DIR"))), 404);
    loopback_close(l);
}

/* httprouter #311: a redirect to a path without a handler, which then redirects back. */
Test(router_serve, redirects_never_lead_nowhere_or_away)
{
    static const struct svl_route few[] = {SVL_ROUTE("GET", "/a/b/", show),
                                           SVL_ROUTE("GET", "/a/bc", show),
                                           SVL_ROUTE("GET", "/{x}/", show),
                                           SVL_ROUTE("GET", "/user/newa", show),
                                           SVL_ROUTE("GET", "/user/newb", show),
                                           SVL_ROUTE("GET", "/f/{rest:*}", show),
                                           SVL_ROUTE_END};
    static const char *const paths[] = {"/a",
                                        "/a/",
                                        "/a/b",
                                        "/a/bc/",
                                        "/user/new",
                                        "/user/newc",
                                        "/f",
                                        "/A/B",
                                        "//evil.example",
                                        "//evil.example/%2e%2e",
                                        "/%2f%2fevil.example",
                                        "/\\evil.example",
                                        "/x%0d%0aSet-Cookie:a",
                                        "/%2Fevil.example/.."};

    for (int raw = 0; raw < 3; raw++) {
        struct loopback *l =
            LOOPBACK(SVL_USE(router, .routes = few, .paths = (enum svl_router_paths)raw));

        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            char target[256];
            svl_str answer, location;

            snprintf(target, sizeof target, "%s", paths[i]);
            for (int hops = 0;; hops++) {
                cr_assert_lt(hops, 2, "%s loops", paths[i]);
                answer = loopback_get(l, target, "");
                location = loopback_field(answer, "Location");
                if (!location.p)
                    break;
                cr_expect(location.n > 0 && location.p[0] == '/' &&
                              (location.n == 1 || !strchr("/\\", location.p[1])),
                          "%s -> %.*s", paths[i], SVL_FMT(location));
                svl_str_copy(target, sizeof target, location);
            }
            if (strcmp(target, paths[i]) != 0)
                cr_expect_eq(loopback_status(answer), 200, "%s -> %s", paths[i], target);
        }
        loopback_close(l);
    }
}

Test(router_serve, raw_paths_keep_escapes)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = routes, .paths = SVL_ROUTER_RAW));

    EXPECT_BODY(l, REQUEST("GET", "/users/a%2Fb%20c"), "/users/{id} id=a%2Fb%20c");
    loopback_close(l);
    l = LOOPBACK(SVL_USE(router, .routes = routes, .paths = SVL_ROUTER_RAW_SPLIT));
    EXPECT_BODY(l, REQUEST("GET", "/users/a%2Fb%20c"), "/users/{id} id=a/b c");
    EXPECT_FIELD(l, REQUEST("GET", "/users//a/.%2e/7"), 301, "Location", "/users/7");
    loopback_close(l);
    l = LOOPBACK(SVL_USE(router, .routes = routes, .rest_with_slash = true));
    EXPECT_BODY(l, REQUEST("GET", "/files/"), "/files/*path path=/");
    EXPECT_BODY(l, REQUEST("GET", "/files/a"), "/files/*path path=/a");
    loopback_close(l);
}

Test(router_serve, handlers_get_the_whole_body)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){SVL_USE(router, .routes = routes), SVL_USE_END},
        .max_body = 10});

    EXPECT_BODY(l, "POST /users/7 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc", "3:abc");
    EXPECT_BODY(l,
                "PUT /users/7 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
                "3:abc");
    EXPECT_BODY(l, REQUEST("POST", "/users/7"), "0:");
    loopback_take(l);
    loopback_send(l, "POST /users/7 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\na");
    cr_expect_eq(loopback_take(l).n, 0);
    loopback_send(l, "bc");
    cr_expect(svl_str_eq(loopback_body(loopback_take(l)), SVL_STR("3:abc")));
    cr_expect_eq(loopback_status(loopback_ask(
                     l, "POST /users/7 HTTP/1.1\r\nHost: t\r\nContent-Length: 30\r\n\r\n")),
                 413);
    loopback_close(l);
}

Test(router_serve, the_watchdog_is_told_the_route)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = routes));
    struct svl_watch *watch = &loopback_worker(l)->watch;

    loopback_ask(l, REQUEST("GET", "/users/7"));
    cr_expect_str_eq(atomic_load(&watch->doing), "GET /users/{id}");
    loopback_ask(l, REQUEST("GET", "/files/a"));
    cr_expect_str_eq(atomic_load(&watch->doing), "GET /files/*path");
    loopback_close(l);
}

static atomic_bool told;
static char told_line[512];

static void listen_to_log(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)arg;
    if (strncmp(line, "watchdog", 8) != 0 || atomic_load(&told))
        return;
    snprintf(told_line, sizeof told_line, "%s", line);
    atomic_store(&told, true);
}

/* Holds the loop until the watchdog has said so. */
static enum svl_verdict hold_the_loop(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    while (!atomic_load(&told))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return svl_text(ctx, 200, SVL_STR("at last"));
}

Test(router_serve, a_route_that_holds_the_loop_is_named, .timeout = 20)
{
    struct loopback *l = LOOPBACK(
        SVL_USE(router, .routes = (const struct svl_route[]){
                            SVL_ROUTE("GET", "/slow/{id}", hold_the_loop), SVL_ROUTE_END}));
    struct svl_worker *worker = loopback_worker(l);
    struct svl_watchdog *dog;

    svl_log_to(listen_to_log, NULL);
    dog = svl_watchdog_start(&worker, 1, 10);
    cr_assert_not_null(dog);
    EXPECT_BODY(l, REQUEST("GET", "/slow/7"), "at last");
    svl_watchdog_stop(dog);
    cr_expect(strstr(told_line, "worker 0: router: GET /slow/{id} has held the loop"), "%s",
              told_line);
    cr_expect_geq(atomic_load(&worker->watch.stalls), 1);
    loopback_close(l);
}

/* --- groups -------------------------------------------------------------------------------- */

static enum svl_verdict in(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    note(svl_printf(ctx, "%s>", (const char *)arg).p);
    return SVL_NEXT;
}

static enum svl_verdict out(struct svl_ctx *ctx, void *arg)
{
    note(svl_printf(ctx, "<%s", (const char *)arg).p);
    return SVL_NEXT;
}

static void end(struct svl_ctx *ctx, void *arg)
{
    note(svl_printf(ctx, "%s.", (const char *)arg).p);
}

static enum svl_verdict deny(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    note("deny");
    return svl_text(ctx, 401, SVL_STR("no"));
}

static enum svl_verdict group_404(struct svl_ctx *ctx, void *arg)
{
    return svl_text(ctx, 404, svl_str_of(arg));
}

static enum svl_verdict group_405(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 405, SVL_STR("group 405"));
}

static enum svl_verdict group_error(struct svl_ctx *ctx, void *arg)
{
    return svl_text(ctx, ctx->res.status,
                    svl_printf(ctx, "%s %d", (const char *)arg, ctx->res.status));
}

static enum svl_verdict not_mine(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return SVL_NEXT;
}

static char A[] = "a", B[] = "b", R[] = "r";
static const struct svl_step a_steps[] = {{in, out, end, A}, SVL_STEP_END};
static const struct svl_step b_steps[] = {{in, out, end, B}, SVL_STEP_END};
static const struct svl_step r_steps[] = {{in, out, end, R}, SVL_STEP_END};
static const struct svl_step guard[] = {{deny, NULL, NULL, NULL}, SVL_STEP_END};
static svl_handler_fn *const skip_in[] = {in, NULL};

static const struct svl_route inner_routes[] = {
    SVL_ROUTE("GET", "/x", show, .steps = r_steps),
    SVL_ROUTE("GET", "/free", show, .skip = skip_in),
    SVL_ROUTE("GET", "/guarded", show, .steps = guard),
    SVL_ROUTE("GET", "/broken", broken),
    SVL_ROUTE("GET", "/conflict", broken, trail),
    SVL_ROUTE_END,
};
static const struct svl_group inner = {.prefix = "/inner",
                                       .steps = b_steps,
                                       .routes = inner_routes,
                                       .not_found = group_404,
                                       .error = not_mine,
                                       .arg = "inner"};
static const struct svl_group always = {
    .prefix = "/always",
    .steps = b_steps,
    .always = true,
    .routes = (const struct svl_route[]){SVL_ROUTE("GET", "/x", show), SVL_ROUTE_END}};
static const struct svl_group outer = {.prefix = "/outer",
                                       .steps = a_steps,
                                       .groups =
                                           (const struct svl_group *const[]){&inner, &always, NULL},
                                       .not_found = group_404,
                                       .not_allowed = group_405,
                                       .error = group_error,
                                       .arg = "outer"};
static const struct svl_group *const groups[] = {&outer, NULL};

#define EXPECT_TRAIL(l, request, text)                                                             \
    do {                                                                                           \
        trail[0] = '\0';                                                                           \
        loopback_ask(l, request);                                                                  \
        cr_expect_str_eq(trail, text, "%s -> %s", request, trail);                                 \
    } while (0)

Test(router_serve, steps_go_in_and_come_out_in_mirror_order)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .groups = groups));

    EXPECT_TRAIL(l, REQUEST("GET", "/outer/inner/x"), "a> b> r> handler <r <b <a r. b. a. ");
    EXPECT_TRAIL(l, REQUEST("GET", "/outer/inner/free"), "handler ");
    EXPECT_TRAIL(l, REQUEST("GET", "/outer/inner/guarded"), "a> b> deny <b <a b. a. ");
    EXPECT_TRAIL(l, REQUEST("GET", "/outer/inner/broken"), "a> b> <b <a b. a. ");
    EXPECT_TRAIL(l, REQUEST("GET", "/outer/inner/nobody"), "");
    EXPECT_TRAIL(l, REQUEST("GET", "/outer/always/nobody"), "a> b> <b <a b. a. ");
    EXPECT_TRAIL(l, REQUEST("OPTIONS", "/outer/always/x"), "a> b> <b <a b. a. ");
    loopback_close(l);
}

Test(router_serve, misses_and_errors_are_the_innermost_groups)
{
    struct loopback *l = LOOPBACK(
        SVL_USE(router, .groups = groups, .routes = routes, .not_found = group_404, .arg = "root"));

    EXPECT_BODY(l, REQUEST("GET", "/nobody"), "root");
    EXPECT_BODY(l, REQUEST("GET", "/outer/nobody"), "outer");
    EXPECT_BODY(l, REQUEST("GET", "/outer/inner/nobody"), "inner");
    EXPECT_BODY(l, REQUEST("GET", "/outer"), "outer");
    EXPECT_BODY(l, REQUEST("GET", "/outerspace"), "root");
    EXPECT_BODY(l, REQUEST("POST", "/outer/inner/x"), "group 405");
    EXPECT_FIELD(l, REQUEST("POST", "/outer/inner/x"), 405, "Allow", "GET, HEAD, OPTIONS");
    EXPECT_BODY(l, REQUEST("GET", "/outer/inner/broken"), "outer 500");
    EXPECT_BODY(l, REQUEST("GET", "/outer/inner/conflict"), "outer 409");
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/broken"))), 500);
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/conflict"))), 409);
    loopback_close(l);
}

/* --- what stands behind -------------------------------------------------------------------- */

static enum svl_verdict behind(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(
        ctx, 200,
        svl_printf(ctx, "behind %.*s %.*s", SVL_FMT(ctx->req.path), SVL_FMT(ctx->req.raw_path)));
}

static enum svl_verdict path_after(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    note(svl_copy(ctx, ctx->req.path).p);
    return SVL_NEXT;
}

static const struct svl_route mounts[] = {
    SVL_ROUTE("GET", "/static/own", show),
    SVL_MOUNT("/static", NULL),
    SVL_ROUTE("GET", "/on/*rest", NULL, .flags = SVL_ROUTE_ONWARD),
    SVL_ROUTE("GET", "/pass", not_mine),
    SVL_ROUTE_END,
};
static const struct svl_step watch[] = {{.after = path_after}, SVL_STEP_END};

Test(router_serve, a_mount_hands_on_without_its_prefix)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){SVL_USE(router, .routes = mounts, .steps = watch),
                                          SVL_USE_END},
        .handler = behind});

    EXPECT_BODY(l, REQUEST("GET", "/static/a/b"), "behind /a/b /a/b");
    EXPECT_BODY(l, REQUEST("GET", "/static/"), "behind / /");
    EXPECT_BODY(l, REQUEST("GET", "/static/own"), "/static/own");
    EXPECT_BODY(l, REQUEST("GET", "/on/a"), "behind /on/a /on/a");
    EXPECT_BODY(l, REQUEST("GET", "/pass"), "behind /pass /pass");
    EXPECT_FIELD(l, REQUEST("GET", "/static"), 301, "Location", "/static/");
    EXPECT_TRAIL(l, REQUEST("GET", "/static/a"), "/static/a ");
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/nobody"))), 404);
    loopback_close(l);
}

Test(router_serve, what_is_not_found_may_go_on)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){SVL_USE(router, .routes = mounts, .fallthrough = true),
                                          SVL_USE(router, .routes = routes, .fallthrough = true),
                                          SVL_USE_END},
        .handler = behind});

    EXPECT_BODY(l, REQUEST("GET", "/nobody"), "behind /nobody /nobody");
    EXPECT_BODY(l, REQUEST("GET", "/users/7"), "/users/{id} id=7");
    EXPECT_BODY(l, REQUEST("GET", "/static/own"), "/static/own");
    loopback_close(l);
}

/* --- answering later ----------------------------------------------------------------------- */

static struct svl_ctx *held;

static enum svl_verdict later(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    held = ctx;
    return svl_pend(ctx, NULL, NULL);
}

static const struct svl_route waiting[] = {SVL_ROUTE("GET", "/later/{x}", later), SVL_ROUTE_END};

Test(router_serve, a_handler_may_answer_later)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = waiting));

    cr_expect_eq(loopback_ask(l, REQUEST("GET", "/later/7")).n, 0);
    svl_text(held, 200, svl_param(held, SVL_STR("x")));
    svl_resume(held, SVL_DONE);
    cr_expect(svl_str_eq(loopback_body(loopback_take(l)), SVL_STR("7")));
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

static enum svl_verdict wait_in(struct svl_ctx *ctx, void *arg)
{
    in(ctx, arg);
    held = ctx;
    return svl_pend(ctx, NULL, NULL);
}

static enum svl_verdict wait_out(struct svl_ctx *ctx, void *arg)
{
    out(ctx, arg);
    held = ctx;
    return svl_pend(ctx, NULL, NULL);
}

static const struct svl_step slow_steps[] = {{wait_in, wait_out, end, A}, SVL_STEP_END};
static const struct svl_route slow_routes[] = {
    SVL_ROUTE("GET", "/x", show, .steps = slow_steps),
    SVL_ROUTE("GET", "/later", later, .steps = r_steps),
    SVL_ROUTE_END,
};

Test(router_serve, steps_may_wait_and_stand_around_late_answers)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = slow_routes, .steps = b_steps,
                                          .error = group_error, .arg = "late"));

    EXPECT_TRAIL(l, REQUEST("GET", "/x"), "b> a> ");
    svl_resume(held, SVL_NEXT);
    cr_expect_str_eq(trail, "b> a> handler <a ");
    svl_resume(held, SVL_NEXT);
    cr_expect_str_eq(trail, "b> a> handler <a <b a. b. ");
    cr_expect(svl_str_eq(loopback_body(loopback_take(l)), SVL_STR("/x")));

    EXPECT_TRAIL(l, REQUEST("GET", "/x"), "b> a> ");
    svl_text(held, 401, SVL_STR("no"));
    svl_resume(held, SVL_DONE);
    cr_expect_str_eq(trail, "b> a> <b a. b. ");
    cr_expect_eq(loopback_status(loopback_take(l)), 401);

    EXPECT_TRAIL(l, REQUEST("GET", "/later"), "b> r> ");
    svl_status(held, 409);
    svl_resume(held, SVL_ERROR);
    cr_expect_str_eq(trail, "b> r> <r <b r. b. ");
    cr_expect(svl_str_eq(loopback_body(loopback_take(l)), SVL_STR("late 409")));
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

/* --- modules in groups --------------------------------------------------------------------- */

/* Says its name, counts in its worker's state, and may answer for a path of its own. */
struct note_config {
    const char *name, *answers;
    unsigned ms; /* what is further in has */
};

static unsigned n_noted;

static int note_init(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    self->state = &n_noted;
    n_noted += 100;
    return 0;
}

static enum svl_verdict note_in(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct note_config *cfg = self->config;

    ++*(unsigned *)self->state;
    note(svl_printf(ctx, "%s>", cfg->name).p);
    if (cfg->ms)
        svl_deadline(self, ctx, cfg->ms, 504);
    if (cfg->answers && svl_str_eq(ctx->req.path, svl_str_of(cfg->answers)))
        return svl_text(ctx, 200,
                        svl_printf(ctx, "%s %.*s", cfg->name, SVL_FMT(ctx->req.raw_path)));
    return SVL_NEXT;
}

static enum svl_verdict note_out(const struct svl_link *self, struct svl_ctx *ctx)
{
    note(svl_printf(ctx, "<%s", ((const struct note_config *)self->config)->name).p);
    return SVL_NEXT;
}

static void note_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    note(svl_printf(ctx, "%s.", ((const struct note_config *)self->config)->name).p);
}

static const struct svl_module svl_note_module = {.name = "note",
                                                  .config_size = sizeof(struct note_config),
                                                  .worker_init = note_init,
                                                  .on_request = note_in,
                                                  .on_response = note_out,
                                                  .on_done = note_done};
#define svl_note_config note_config

static const struct svl_use chain_m[] = {SVL_USE(note, .name = "M"), SVL_USE_END};
static const struct svl_use chain_n[] = {SVL_USE(note, .name = "N"), SVL_USE(note, .name = "O"),
                                         SVL_USE_END};
static const struct svl_use chain_p[] = {SVL_USE(note, .name = "P"), SVL_USE_END};
static const struct svl_use site[] = {SVL_USE(note, .name = "S"),
                                      SVL_USE(note, .name = "T", .answers = "/page"), SVL_USE_END};
static const struct svl_group deep = {
    .prefix = "/deep",
    .steps = b_steps,
    .chain = chain_n,
    .routes =
        (const struct svl_route[]){SVL_ROUTE("GET", "/x", show),
                                   SVL_ROUTE("GET", "/p", show, .steps = r_steps, .chain = chain_p),
                                   SVL_ROUTE("GET", "/free", show, .skip = skip_in),
                                   SVL_ROUTE("GET", "/broken", broken), SVL_ROUTE_END}};
static const struct svl_group shallow = {
    .prefix = "/shallow",
    .steps = a_steps,
    .chain = chain_m,
    .not_found = group_404,
    .error = group_error,
    .arg = "shallow",
    .groups = (const struct svl_group *const[]){&deep, NULL},
    .routes = (const struct svl_route[]){SVL_ROUTE("GET", "/x", show), SVL_MOUNT("/site", site),
                                         SVL_ROUTE_END}};
static const struct svl_group by_host = {
    .host = "site.test", .routes = (const struct svl_route[]){SVL_MOUNT("", site), SVL_ROUTE_END}};
static const struct svl_group *const with_chains[] = {&shallow, &by_host, NULL};

Test(router_serve, modules_stand_in_groups_and_routes)
{
    struct loopback *l;

    n_noted = 0;
    l = LOOPBACK(SVL_USE(router, .groups = with_chains));
    cr_expect_eq(n_noted, 600, "%u: M N O P S T are one use each, wherever they stand", n_noted);
    EXPECT_TRAIL(l, REQUEST("GET", "/shallow/x"), "a> M> handler <M <a M. a. ");
    EXPECT_TRAIL(l, REQUEST("GET", "/shallow/deep/x"),
                 "a> M> b> N> O> handler <O <N <b <M <a O. N. b. M. a. ");
    EXPECT_TRAIL(l, REQUEST("GET", "/shallow/deep/p"),
                 "a> M> b> N> O> r> P> handler <P <r <O <N <b <M <a P. r. O. N. b. M. a. ");
    EXPECT_TRAIL(l, REQUEST("GET", "/shallow/deep/free"), "M> N> O> handler <O <N <M O. N. M. ");
    EXPECT_BODY(l, REQUEST("GET", "/shallow/deep/broken"), "shallow 500");
    EXPECT_TRAIL(l, REQUEST("GET", "/shallow/deep/none"), "");
    cr_expect_eq(n_noted, 600 + 1 + 3 + 4 + 3 + 3);
    loopback_close(l);
}

Test(router_serve, a_chain_is_mounted_under_a_prefix_or_host)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){SVL_USE(router, .groups = with_chains), SVL_USE_END},
        .handler = behind});

    EXPECT_BODY(l, REQUEST("GET", "/shallow/site/page"), "T /page");
    EXPECT_TRAIL(l, REQUEST("GET", "/shallow/site/page"), "a> M> S> T> <S <M <a T. S. M. a. ");
    EXPECT_BODY(l, REQUEST("POST", "/shallow/site/page"), "T /page");
    EXPECT_BODY(l, REQUEST("GET", "/shallow/site/none"), "shallow");
    EXPECT_BODY(l, "GET /page HTTP/1.1\r\nHost: site.test\r\n\r\n", "T /page");
    cr_expect_eq(loopback_status(loopback_ask(l, "GET /x HTTP/1.1\r\nHost: site.test\r\n\r\n")),
                 404);
    cr_expect_eq(loopback_status(loopback_ask(l, REQUEST("GET", "/page"))), 404);
    loopback_close(l);

    l = loopback_open(&(struct svl_server_config){
        .chain =
            (const struct svl_use[]){SVL_USE(router, .groups = with_chains, .fallthrough = true),
                                     SVL_USE_END},
        .handler = behind});
    EXPECT_BODY(l, "GET /x HTTP/1.1\r\nHost: site.test\r\n\r\n", "behind /x /x");
    loopback_close(l);
}

Test(router_serve, chains_are_mounted_by_calls_in_any_dialect)
{
    struct svl_group *group = svl_group_open("/g");
    const struct svl_group *const made[] = {group, NULL};
    struct loopback *l;

    svl_mount(group, "/site", site);
    for (int syntax = SVL_ROUTER_EITHER; syntax <= SVL_ROUTER_ANGLES; syntax++) {
        l = LOOPBACK(SVL_USE(router, .groups = made, .syntax = (enum svl_router_syntax)syntax));
        EXPECT_BODY(l, REQUEST("GET", "/g/site/page"), "T /page");
        loopback_close(l);
    }
    svl_group_close(group);
}

static const struct svl_route outer_mount[] = {SVL_MOUNT("/shallow", NULL), SVL_ROUTE_END};
static const struct svl_group nested = {
    .prefix = "/api",
    .chain = (const struct svl_use[]){SVL_USE(router, .groups = with_chains, .fallthrough = true),
                                      SVL_USE_END},
    .routes = (const struct svl_route[]){SVL_ROUTE("GET", "/shallow/x", show),
                                         SVL_ROUTE("GET", "/own", show), SVL_ROUTE_END}};

Test(router_serve, a_router_may_stand_in_a_group_of_another)
{
    struct loopback *l =
        LOOPBACK(SVL_USE(router, .groups = (const struct svl_group *const[]){&nested, NULL},
                         .error = group_error, .arg = "outer"),
                 SVL_USE(router, .routes = outer_mount));

    EXPECT_BODY(l, REQUEST("GET", "/api/own"), "/api/own");
    EXPECT_BODY(l, REQUEST("GET", "/api/shallow/x"), "/api/shallow/x");
    loopback_close(l);
}

static const struct svl_group limited = {
    .prefix = "/slow",
    .chain = (const struct svl_use[]){SVL_USE(note, .name = "L"),
                                      SVL_USE(note, .name = "T", .ms = 50), SVL_USE_END},
    .steps = a_steps,
    .routes = waiting};

Test(router_serve, a_timeout_in_a_group_splits_what_is_further_in)
{
    struct loopback *l =
        LOOPBACK(SVL_USE(router, .groups = (const struct svl_group *const[]){&limited, NULL}));

    EXPECT_TRAIL(l, REQUEST("GET", "/slow/later/7"), "a> L> T> ");
    loopback_pass(l, 100);
    cr_expect_eq(loopback_status(loopback_take(l)), 504);
    cr_expect_str_eq(trail, "a> L> T> <L <a T. L. a. ");
    cr_expect(svl_str_eq(svl_param(held, SVL_STR("x")), SVL_STR("7")));
    svl_resume(held, SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

static const struct svl_use routed[] = {
    SVL_USE(router,
            .routes = (const struct svl_route[]){SVL_ROUTE("GET", "/dir/", show),
                                                 SVL_ROUTE("GET", "/Case", show), SVL_ROUTE_END}),
    SVL_USE_END};
static const struct svl_route mounts_a_router[] = {SVL_MOUNT("/app", routed), SVL_ROUTE_END};

Test(router_serve, a_mounted_router_redirects_below_its_prefix)
{
    struct loopback *l = LOOPBACK(SVL_USE(router, .routes = mounts_a_router));

    EXPECT_FIELD(l, REQUEST("GET", "/app/dir?x=1"), 301, "Location", "/app/dir/?x=1");
    EXPECT_FIELD(l, REQUEST("GET", "/app/case"), 301, "Location", "/app/Case");
    EXPECT_FIELD(l, REQUEST("GET", "http://test/app/dir"), 301, "Location", "/app/dir/");
    EXPECT_FIELD(l, REQUEST("GET", "/a%70p/dir"), 301, "Location", "/a%70p/dir/");
    EXPECT_FIELD(l, REQUEST("GET", "/app/d%69r?x=1"), 301, "Location", "/app/dir/?x=1");
    EXPECT_FIELD(l, REQUEST("GET", "//x/..//app/./dir"), 301, "Location", "/app/dir/");
    loopback_close(l);
}

static const struct svl_use routed_raw[] = {
    SVL_USE(router, .paths = SVL_ROUTER_RAW_SPLIT,
            .routes = (const struct svl_route[]){SVL_ROUTE("GET", "/dir/", show),
                                                 SVL_ROUTE("GET", "/of/{x}", show), SVL_ROUTE_END}),
    SVL_USE_END};
static const struct svl_group tenant = {
    .prefix = "/{who}",
    .routes = (const struct svl_route[]){SVL_MOUNT("/app", routed), SVL_MOUNT("/raw", routed_raw),
                                         SVL_MOUNT("/seen", NULL), SVL_ROUTE_END}};
static const struct svl_use tenants[] = {
    SVL_USE(router, .groups = (const struct svl_group *const[]){&tenant, NULL}), SVL_USE_END};

Test(router_serve, mounts_keep_escapes_in_their_prefix_and_below)
{
    static const struct svl_route outer_routes[] = {SVL_MOUNT("/t", tenants), SVL_ROUTE_END};

    for (int raw = SVL_ROUTER_DECODED; raw <= SVL_ROUTER_RAW_SPLIT; raw++) {
        struct loopback *l = loopback_open(&(struct svl_server_config){
            .chain = (const struct svl_use[]){SVL_USE(router, .routes = outer_routes,
                                                      .paths = (enum svl_router_paths)raw),
                                              SVL_USE_END},
            .handler = behind});

        EXPECT_FIELD(l, REQUEST("GET", "/t/a%20b/app/dir"), 301, "Location", "/t/a%20b/app/dir/");
        EXPECT_FIELD(l, REQUEST("GET", "/t/a%20b/raw/dir"), 301, "Location", "/t/a%20b/raw/dir/");
        EXPECT_FIELD(l, REQUEST("GET", "/t/%C3%A4/app/DIR/"), 301, "Location",
                     "/t/%C3%A4/app/dir/");
        EXPECT_BODY(l, REQUEST("GET", "/t/a%20b/raw/of/c%2Fd"), "/of/{x} x=c/d");
        loopback_close(l);
    }
    for (int raw = SVL_ROUTER_DECODED; raw <= SVL_ROUTER_RAW_SPLIT; raw++) {
        struct loopback *l = loopback_open(&(struct svl_server_config){
            .chain = (const struct svl_use[]){SVL_USE(router, .paths = (enum svl_router_paths)raw,
                                                      .groups =
                                                          (const struct svl_group *const[]){&tenant,
                                                                                            NULL}),
                                              SVL_USE_END},
            .handler = behind});

        EXPECT_BODY(l, REQUEST("GET", "/a%20b/seen/c%20d/e"), "behind /c d/e /c%20d/e");
        EXPECT_BODY(l, REQUEST("GET", "/a/seen/c%2Fd"), "behind /c/d /c%2Fd");
        loopback_close(l);
    }
}
