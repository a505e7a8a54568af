/* What switch.c does, as a table: HEAD, OPTIONS, 405 and redirects come by themselves.
 * example-needs: router
 *
 *     curl 'http://127.0.0.1:8080/hello?name=you' */
#include "serval/foreground.h"
#include "serval/mod/router.h"
#include "serval/serval.h"

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    svl_str name = svl_query(ctx, SVL_STR("name"));

    (void)arg;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "hello, %.*s\n", SVL_FMT(name.n ? name : SVL_STR("world"))));
}

static enum svl_verdict user(struct svl_ctx *ctx, void *arg)
{
    svl_str id = svl_param(ctx, SVL_STR("id"));

    (void)arg;
    return svl_text(ctx, 200, svl_printf(ctx, "user %.*s\n", SVL_FMT(id)));
}

static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, ctx->req.body);
}

static const struct svl_route routes[] = {
    SVL_ROUTE("GET", "/hello", hello),
    SVL_ROUTE("GET", "/users/{id}", user),
    SVL_ROUTE("POST", "/echo", echo),
    SVL_ROUTE_END,
};

int main(int argc, char **argv)
{
    const struct svl_use chain[] = {SVL_USE(router, .routes = routes), SVL_USE_END};
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .chain = chain};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "routes"});
    svl_server_close(server);
    return 0;
}
