/* serval's smallest server: thirteen bytes for every request. */

#include <serval/serval.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_text(ctx, 200, SVL_STR("Hello, World!"));
    svl_content_type(ctx, SVL_STR("text/plain"));
    return SVL_DONE;
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {
        .listen = {"127.0.0.1:8080"},
        .handler = hello,
        .idle_ms = 300000, /* as the peers: many are idle while others are asked */
    };

    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];
        if (value && !strcmp(argv[i], "--listen")) {
            config.listen[0] = value;
        } else if (value && !strcmp(argv[i], "--workers")) {
            config.workers = (unsigned)atoi(value);
        } else {
            fprintf(stderr, "usage: hello [--listen ADDR] [--workers N]\n");
            return 2;
        }
    }
    return svl_serve(&config);
}
