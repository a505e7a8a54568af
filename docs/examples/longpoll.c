/* Long poll: a request that is answered when there is something new, or after half a minute.
 *
 *     curl http://127.0.0.1:8080/next &
 *     curl -d 'here it is' http://127.0.0.1:8080/publish */
#include "serval/foreground.h"
#include "serval/serval.h"

#define PATIENCE_MS 30000

static struct svl_channel *news;

static enum svl_verdict answer(struct svl_ctx *ctx, svl_str message, void *arg)
{
    (void)arg;
    if (!message.p) {
        svl_status(ctx, 204); /* nothing new: the client asks again */
        return SVL_DONE;
    }
    svl_text(ctx, 200, SVL_STR(""));
    svl_body_copy(ctx, message);
    return SVL_DONE;
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    unsigned long long ms = PATIENCE_MS;

    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/next"))) {
        if (svl_str_starts(ctx->req.query, SVL_STR("ms=")))
            svl_str_u64(svl_str_from(ctx->req.query, 3), &ms);
        return svl_channel_wait(news, ctx, ms < PATIENCE_MS ? (unsigned)ms : PATIENCE_MS, answer,
                                NULL);
    }
    if (svl_str_eq(ctx->req.path, SVL_STR("/publish")) && ctx->req.method == SVL_POST) {
        svl_channel_publish(news, ctx->req.body);
        return svl_text(ctx, 200, SVL_STR("published\n"));
    }
    return svl_fail(ctx, 404, NULL);
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler};
    struct svl_server *server;

    news = svl_channel_new(SVL_SLOW_DROP);
    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "longpoll"});
    svl_server_close(server);
    svl_channel_free(news);
    return 0;
}
