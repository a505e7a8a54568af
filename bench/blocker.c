/* A handler that blocks, through svl_offload(), next to one that does not: /block (3 s) and all
 * other paths. bench/README.md says what is measured with it.
 *
 * blocker [ADDRESS] */
#include "serval/serval.h"

#include "serval/foreground.h"

#include <unistd.h>

static void work(void *arg)
{
    sleep(*(unsigned *)arg);
}

static enum svl_verdict done(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("done\n"));
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    unsigned *seconds;

    (void)arg;
    if (!svl_str_eq(ctx->req.path, SVL_STR("/block")))
        return svl_text(ctx, 200, SVL_STR("Hello, world!"));
    seconds = svl_alloc(ctx, sizeof *seconds);
    *seconds = 3;
    return svl_offload(ctx, work, done, seconds);
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {
        .listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}, .workers = 1, .handler = handler};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "blocker"});
    svl_server_close(server);
    return 0;
}
