/* hello behind the router, with the routes of a list. */

#include "routes.h"

#include <serval/serval.h>

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_text(ctx, 200, SVL_STR("Hello, World!"));
    svl_content_type(ctx, SVL_STR("text/plain"));
    return SVL_DONE;
}

int main(int argc, char **argv)
{
    struct svl_router_config router = {0};
    const struct svl_use chain[] = {{&svl_router_module, &router}, SVL_USE_END};
    struct svl_server_config config = {.listen = {"127.0.0.1:8080"}, .chain = chain};

    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];

        if (value && !strcmp(argv[i], "--listen")) {
            config.listen[0] = value;
        } else if (value && !strcmp(argv[i], "--workers")) {
            config.workers = (unsigned)atoi(value);
        } else if (value && !strcmp(argv[i], "--routes")) {
            router.routes = routes_read(value, hello);
        } else {
            router.routes = NULL;
            break;
        }
    }
    if (!router.routes) {
        fprintf(stderr, "usage: routes --routes FILE [--listen ADDR] [--workers N]\n");
        return 2;
    }
    return svl_serve(&config);
}
