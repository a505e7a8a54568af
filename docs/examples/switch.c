/* One handler that looks at the path, as small programs do. routes.c does the same with the router.
 *
 *     curl 'http://127.0.0.1:8080/hello?name=you' */
#include "serval/foreground.h"
#include "serval/serval.h"

static enum svl_verdict hello(struct svl_ctx *ctx)
{
    svl_str name = svl_query(ctx, SVL_STR("name"));

    return svl_text(ctx, 200,
                    svl_printf(ctx, "hello, %.*s\n", SVL_FMT(name.n ? name : SVL_STR("world"))));
}

static enum svl_verdict echo(struct svl_ctx *ctx)
{
    return svl_text(ctx, 200, ctx->req.body);
}

/* "/users/7" -> "7"; p is NULL for what is something else. */
static svl_str user_of(svl_str path)
{
    svl_str id;

    if (!svl_str_starts(path, SVL_STR("/users/")))
        return SVL_STR_NONE;
    id = svl_str_from(path, sizeof "/users/" - 1);
    return id.n > 0 && svl_str_find(id, '/') == id.n ? id : SVL_STR_NONE;
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    svl_str path = ctx->req.path, user = user_of(path);
    bool get = ctx->req.method == SVL_GET || ctx->req.method == SVL_HEAD;

    (void)arg;
    if (get && svl_str_eq(path, SVL_STR("/hello")))
        return hello(ctx);
    if (get && user.p)
        return svl_text(ctx, 200, svl_printf(ctx, "user %.*s\n", SVL_FMT(user)));
    if (ctx->req.method == SVL_POST && svl_str_eq(path, SVL_STR("/echo")))
        return echo(ctx);
    return svl_fail(ctx, 404, NULL);
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "switch"});
    svl_server_close(server);
    return 0;
}
