/* A gateway to several servers with the same content: the least busy one is asked, and one that fails is asked
 * less until it is well again.
 *
 *     balance 127.0.0.1:8080 http://127.0.0.1:8081 http://127.0.0.1:8082 */
#include "serval/foreground.h"
#include "serval/serval.h"

#define TRIES 3 /* of one visitor's request, at different back ends */

static struct svl_client *client;

static enum svl_verdict pass_on(struct svl_ctx *ctx, uintptr_t tries);

static enum svl_verdict fetched(struct svl_ctx *ctx, const struct svl_reply *reply, void *arg)
{
    uintptr_t tries = (uintptr_t)arg;

    if (reply->error && tries < TRIES)
        return pass_on(ctx, tries + 1);
    if (reply->error)
        return svl_fail(ctx, 502, reply->why);
    svl_content_type(ctx, svl_reply_header(reply, SVL_H_CONTENT_TYPE));
    svl_status(ctx, reply->status);
    svl_body_bytes(ctx, reply->body);
    return SVL_DONE;
}

static enum svl_verdict pass_on(struct svl_ctx *ctx, uintptr_t tries)
{
    return svl_fetch(ctx, client, &(struct svl_fetch){.url = ctx->req.target}, fetched,
                     (void *)tries); /* a URL that is a path goes to a back end */
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (ctx->req.method != SVL_GET || ctx->req.target.p[0] != '/')
        return svl_fail(ctx, 501, "only GET is passed on");
    return pass_on(ctx, 1);
}

int main(int argc, char **argv)
{
    struct svl_client_config config = {.connect_ms = 1000, .timeout_ms = 5000};
    struct svl_server_config ours = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                     .handler = handler};
    struct svl_server *server;

    for (int i = 2; i < argc && i - 2 < SVL_MAX_BACKENDS; i++)
        config.backends[i - 2] = argv[i];
    if (svl_client_open(&client, &config) || svl_server_open(&server, &ours))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "balance"});
    svl_server_close(server);
    svl_client_close(client);
    return 0;
}
