/* One page made of three, and of those that came if not all did within 200 ms. The three are served here as
 * well; "stock" takes far too long until somebody mends it.
 *
 *     curl http://127.0.0.1:8080/page
 *     curl -d '' http://127.0.0.1:8080/mend */
#include "serval/foreground.h"
#include "serval/serval.h"

#include <stdatomic.h>

#define PARTS 3
#define PATIENCE_MS 200
#define FAR_TOO_LONG_MS 5000

static const char *const names[PARTS] = {"price", "stock", "reviews"};
static const char *const texts[PARTS] = {"12.50", "7 left", "quite good"};
static struct svl_client *client;
static atomic_bool mended;

static enum svl_verdict make_page(struct svl_ctx *ctx, const struct svl_reply *const *replies,
                                  unsigned n, void *arg)
{
    svl_str page = SVL_STR("");

    (void)arg;
    for (unsigned i = 0; i < n; i++) {
        svl_str text = replies[i]->error ? svl_str_of(replies[i]->why) : replies[i]->body;

        page = svl_printf(ctx, "%.*s%s: %.*s\n", SVL_FMT(page), names[i], SVL_FMT(text));
    }
    return svl_text(ctx, 200, page);
}

static enum svl_verdict ask_all(struct svl_ctx *ctx)
{
    struct svl_fetch fetches[PARTS] = {0};

    for (unsigned i = 0; i < PARTS; i++) {
        fetches[i].url = svl_printf(ctx, "http://%.*s/%s", SVL_FMT(ctx->req.host), names[i]);
        fetches[i].timeout_ms = PATIENCE_MS;
    }
    return svl_fetch_all(ctx, client, fetches, PARTS, make_page, NULL);
}

static void on_alarm(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_text(ctx, 200, SVL_STR("at last"));
    svl_resume(ctx, SVL_DONE);
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    svl_alarm_stop(arg);
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict dawdle(struct svl_ctx *ctx)
{
    struct svl_alarm *alarm = svl_alarm_new(ctx, on_alarm, NULL);

    svl_alarm_set(alarm, FAR_TOO_LONG_MS);
    return svl_pend(ctx, on_cancel, alarm);
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    svl_str name = svl_str_from(ctx->req.path, 1);

    (void)arg;
    if (svl_str_eq(name, SVL_STR("page")))
        return ask_all(ctx);
    if (svl_str_eq(name, SVL_STR("mend")))
        atomic_store(&mended, true);
    if (svl_str_eq(name, SVL_STR("stock")) && !atomic_load(&mended))
        return dawdle(ctx);
    for (unsigned i = 0; i < PARTS; i++)
        if (svl_str_eq(name, svl_str_of(names[i])))
            return svl_text(ctx, 200, svl_str_of(texts[i]));
    return svl_text(ctx, 200, SVL_STR("mended\n"));
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler};
    struct svl_server *server;

    if (svl_client_open(&client, &(struct svl_client_config){0}) ||
        svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "fanout"});
    svl_server_close(server);
    svl_client_close(client);
    return 0;
}
