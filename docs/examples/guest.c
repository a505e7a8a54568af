/* A guest on somebody else's loop: the program has a libuv loop of its own with a timer on it, and
 * the server lives there too. It stops after the request for /stop; the program goes on.
 *
 *     curl http://127.0.0.1:8080/ ; curl http://127.0.0.1:8080/stop */
#include "serval/serval.h"

#include <stdio.h>
#include <uv.h>

struct program {
    uv_loop_t loop;
    uv_timer_t clock;
    unsigned ticks, left;
    struct svl_server *server;
};

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    struct program *p = arg;

    if (svl_str_eq(ctx->req.path, SVL_STR("/stop")))
        svl_server_stop(p->server);
    return svl_text(ctx, 200, svl_printf(ctx, "%u ticks\n", p->ticks));
}

/* The last connection has ended. */
static void on_stopped(struct svl_server *server, void *arg)
{
    struct program *p = arg;

    svl_server_close(server);
    p->left = 3;
    puts("the server has stopped");
}

static void tick(uv_timer_t *clock)
{
    struct program *p = clock->data;

    p->ticks++;
    if (p->left > 0 && --p->left == 0) {
        puts("and so has the clock");
        uv_close((uv_handle_t *)clock, NULL);
    }
}

int main(int argc, char **argv)
{
    static struct program p;
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler,
                                       .handler_arg = &p,
                                       .loop = &p.loop,
                                       .on_stopped = on_stopped,
                                       .hook_arg = &p};

    uv_loop_init(&p.loop);
    if (svl_server_open(&p.server, &config))
        return 3;
    printf("listen=%s\n", svl_server_address(p.server, 0));
    fflush(stdout);
    uv_timer_init(&p.loop, &p.clock);
    p.clock.data = &p;
    uv_timer_start(&p.clock, tick, 100, 100);
    uv_run(&p.loop, UV_RUN_DEFAULT); /* until neither of them has anything left to do */
    return uv_loop_close(&p.loop) ? 1 : 0;
}
