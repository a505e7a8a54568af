/* Testing handlers in memory: a whole server, with its limits and deadlines, but no socket, no port
 * and no thread. The program is its own test: it says what it has seen and exits with 0 or 1. */
#include "serval/serval.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is tested. */
static enum svl_verdict greet(struct svl_ctx *ctx, void *arg)
{
    svl_str name = svl_query(ctx, SVL_STR("name"));

    (void)arg;
    if (name.n == 0)
        return svl_fail(ctx, 400, "who are you?");
    return svl_text(ctx, 200, svl_printf(ctx, "hello, %.*s", SVL_FMT(name)));
}

/* Sends a request and turns the loop until the answer has ended, which closing tells. */
static void ask(struct svl_server *server, const char *target, char *to, size_t room)
{
    struct svl_pipe *client = svl_server_dial(server, NULL);
    char request[256];
    size_t n = 0;
    ssize_t got;

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
             target);
    svl_pipe_write(client, svl_str_of(request), 0);
    while ((got = svl_pipe_read(client, to + n, room - 1 - n, 0)) != 0) {
        if (got == -EAGAIN)
            svl_server_poll(server, true);
        else
            n += (size_t)got;
    }
    to[n] = '\0';
    svl_pipe_close(client);
}

static int failures;

static void expect(struct svl_server *server, const char *target, const char *status,
                   const char *body)
{
    char answer[2048];
    bool good;

    ask(server, target, answer, sizeof answer);
    good = strncmp(answer + 9, status, 3) == 0 && strstr(answer, body);
    printf("%s  %s\n", good ? "ok  " : "FAIL", target);
    failures += !good;
}

int main(void)
{
    struct svl_server *server;

    if (svl_server_open(&server, &(struct svl_server_config){.handler = greet, .workers = 1}))
        return 3;
    expect(server, "/?name=Ada", "200", "hello, Ada");
    expect(server, "/?name=%3Cb%3E", "200", "hello, <b>");
    expect(server, "/", "400", "who are you?");
    svl_server_close(server);
    return failures > 0;
}
