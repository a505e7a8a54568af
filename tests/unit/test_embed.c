/* Servers in somebody else's program: on its loop, and many of them one after the other. */
#include <criterion/criterion.h>

#include "serval/serval.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define GET "GET /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("hello"));
}

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static int dial_tcp(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* A program with a loop: its timer looks for the answer, then stops the server. ------------- */

struct program {
    uv_loop_t loop;
    uv_timer_t tick;
    struct svl_server *server;
    int fd;
    char got[1024];
    unsigned ticks, ticks_after;
    bool stopped;
};

static void on_stopped(struct svl_server *server, void *arg)
{
    struct program *p = arg;

    cr_assert_eq(server, p->server);
    svl_server_close(server);
    p->stopped = true;
}

static void on_tick(uv_timer_t *timer)
{
    struct program *p = timer->data;
    ssize_t n;

    p->ticks++;
    if (p->stopped) {
        if (++p->ticks_after == 3)
            uv_close((uv_handle_t *)timer, NULL);
        return;
    }
    n = recv(p->fd, p->got, sizeof p->got - 1, MSG_DONTWAIT);
    if (n > 0)
        svl_server_stop(p->server);
}

static void open_program(struct program *p)
{
    struct svl_server_config config = {.listen = {"127.0.0.1:0"},
                                       .handler = hello,
                                       .workers = 7,
                                       .loop = &p->loop,
                                       .on_stopped = on_stopped,
                                       .hook_arg = p};

    uv_loop_init(&p->loop);
    uv_timer_init(&p->loop, &p->tick);
    p->tick.data = p;
    uv_timer_start(&p->tick, on_tick, 1, 1);
    cr_assert_eq(svl_server_open(&p->server, &config), 0);
    cr_assert_eq(svl_server_workers(p->server), 1);
    cr_assert_eq(svl_server_run(p->server), SVL_ESTATE);
}

Test(embed, the_callers_loop_goes_on_when_the_server_has_closed)
{
    static struct program p;

    open_program(&p);
    p.fd = dial_tcp(svl_server_address(p.server, 0));
    cr_assert_eq(send(p.fd, GET, sizeof GET - 1, 0), sizeof GET - 1);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    cr_assert(p.stopped);
    cr_assert(strstr(p.got, "HTTP/1.1 200 OK") == p.got && strstr(p.got, "\r\n\r\nhello"));
    cr_assert_eq(p.ticks_after, 3, "the program's own timer ran on");
    cr_assert_eq(uv_loop_close(&p.loop), 0, "nothing of the server is left in it");
    close(p.fd);
}

Test(embed, closed_in_the_middle_of_requests)
{
    static struct program p;
    struct svl_pipe *end;
    char got[16];

    open_program(&p);
    uv_close((uv_handle_t *)&p.tick, NULL);
    p.fd = dial_tcp(svl_server_address(p.server, 0));
    cr_assert_eq(send(p.fd, GET, 20, 0), 20);
    end = svl_server_dial(p.server, NULL);
    svl_pipe_write(end, SVL_STR("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc"), 0);
    for (int i = 0; i < 5; i++)
        uv_run(&p.loop, UV_RUN_NOWAIT);
    svl_server_close(p.server);
    cr_assert_eq(svl_pipe_read(end, got, sizeof got, 0), 0);
    cr_assert_eq(uv_run(&p.loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&p.loop), 0);
    cr_assert_leq(recv(p.fd, got, sizeof got, 0), 0);
    cr_assert(!p.stopped, "that was no svl_server_stop()");
    svl_pipe_close(end);
    close(p.fd);
}

Test(embed, one_that_cannot_open_leaves_the_loop_as_it_was)
{
    struct svl_server_config config = {.listen = {"127.0.0.1:0", "nonsense:x"}, .handler = hello};
    struct svl_server *server;
    uv_loop_t loop;

    uv_loop_init(&loop);
    config.loop = &loop;
    cr_assert_eq(svl_server_open(&server, &config), SVL_EBADADDR);
    cr_assert_null(server);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

/* A thousand servers ------------------------------------------------------------------------ */

static void one_request(struct svl_server *server)
{
    struct svl_pipe *end = svl_server_dial(server, NULL);
    char got[1024];
    ssize_t n;

    svl_pipe_write(end, SVL_STR(GET), 0);
    for (int i = 0; (n = svl_pipe_read(end, got, sizeof got, 0)) == -EAGAIN; i++) {
        cr_assert_lt(i, 100);
        svl_server_poll(server, true);
    }
    cr_assert(n > 12 && memcmp(got, "HTTP/1.1 200", 12) == 0);
    svl_pipe_close(end);
}

Test(embed, a_thousand_servers_in_one_process)
{
    struct svl_server_config config = {.listen = {"127.0.0.1:0"}, .handler = hello, .workers = 1};
    unsigned before = 0;

    for (int i = 0; i < 1000; i++) {
        struct svl_server *server;

        config.workers = 1 + (unsigned)i % 2;
        cr_assert_eq(svl_server_open(&server, &config), 0);
        if (config.workers == 1)
            one_request(server);
        svl_server_close(server);
        if (i == 1)
            before = open_files();
    }
    cr_assert_eq(open_files(), before);
}

Test(embed, a_hundred_on_one_loop)
{
    struct svl_server_config config = {.listen = {"127.0.0.1:0"}, .handler = hello};
    unsigned before;
    uv_loop_t loop;

    uv_loop_init(&loop);
    config.loop = &loop;
    before = open_files();
    for (int i = 0; i < 100; i++) {
        struct svl_server *servers[2];

        cr_assert_eq(svl_server_open(&servers[0], &config), 0);
        cr_assert_eq(svl_server_open(&servers[1], &config), 0);
        one_request(servers[0]);
        one_request(servers[1]);
        svl_server_close(servers[0]);
        svl_server_close(servers[1]);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    cr_assert_eq(open_files(), before);
    cr_assert_eq(uv_loop_close(&loop), 0);
}
