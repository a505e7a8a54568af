/* Cookies: counts a browser's visits and forgets them when it is asked to.
 *
 *     curl -c jar -b jar http://127.0.0.1:8080/
 *     curl -c jar -b jar http://127.0.0.1:8080/forget */
#include "serval/foreground.h"
#include "serval/serval.h"

#define YEAR (365 * 86400)

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    uint64_t visits = 0;

    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/forget"))) {
        svl_cookie_delete(ctx, SVL_STR("visits"), SVL_STR("/"), SVL_STR_NONE);
        return svl_redirect(ctx, 303, SVL_STR("/"));
    }
    /* A cookie is what the client likes to say: anything but a number counts as none. */
    if (!svl_uint_parse(svl_cookie(ctx, SVL_STR("visits")), &visits) || visits > 1000000)
        visits = 0;
    visits++;
    svl_cookie_set(ctx, &(struct svl_set_cookie){
                            .name = SVL_STR("visits"),
                            .value = svl_printf(ctx, "%llu", (unsigned long long)visits),
                            .path = SVL_STR("/"),
                            .max_age = YEAR,
                            .http_only = true,
                            .same_site = SVL_SAME_SITE_LAX,
                        });
    svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, SVL_STR("no-store"));
    return svl_text(ctx, 200, svl_printf(ctx, "visit %llu\n", (unsigned long long)visits));
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "visits"});
    svl_server_close(server);
    return 0;
}
