/* Taking a connection over: a client that asks to switch to the protocol "echo" gets back what it
 * sends, until it sends no more. Any other request is an ordinary one.
 *
 *     printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello\n' |
 *         nc -N 127.0.0.1 8080 */
#include "serval/foreground.h"
#include "serval/serval.h"

#define IDLE_MS 60000

static void on_open(struct svl_raw *raw, void *arg)
{
    (void)arg;
    svl_raw_idle(raw, IDLE_MS);
}

/* Who does not read what comes back is not read from either. */
static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)arg;
    if (!svl_raw_write(raw, data))
        svl_raw_read(raw, false);
}

static void on_drained(struct svl_raw *raw, void *arg)
{
    (void)arg;
    svl_raw_read(raw, true);
}

static const struct svl_raw_events echo = {
    .on_open = on_open, .on_data = on_data, .on_drained = on_drained};

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_header(ctx, SVL_H_UPGRADE).p)
        return svl_switch(ctx, SVL_STR("echo"), &echo, NULL);
    return svl_text(ctx, 200, SVL_STR("say Upgrade: echo\n"));
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "echo"});
    svl_server_close(server);
    return 0;
}
