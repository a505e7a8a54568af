#include "net/dial.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct svl_worker worker;
static struct svl_dial dial;
static int done, result;
static struct svl_address from;
static uint16_t port;

static void on_closed(struct svl_worker *w)
{
    (void)w;
}

static void begin(void)
{
    worker = (struct svl_worker){.cpu = -1, .on_closed = on_closed};
    cr_assert_eq(svl_worker_open(&worker), 0);
    memset(&dial, 0, sizeof dial);
    done = 0;
}

static void end(void)
{
    if (done && result >= 0)
        close(result);
    svl_worker_close(&worker);
}

TestSuite(dial, .init = begin, .fini = end);

static void on_dialed(struct svl_dial *d, int fd, const struct svl_address *peer)
{
    cr_assert_eq(d, &dial);
    done++;
    result = fd;
    if (fd >= 0 && peer->family == AF_INET)
        from = *peer;
}

static struct svl_address loopback(uint8_t last)
{
    return (struct svl_address){.family = AF_INET, .ip = {127, 0, 0, last}};
}

/* 127.0.0.<last>, on the same port as the one before. */
static int listen_on(uint8_t last, int backlog)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_addr.s_addr = htonl(0x7f000000u + last);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    cr_assert_eq(listen(fd, backlog), 0);
    getsockname(fd, (struct sockaddr *)&in, &len);
    port = ntohs(in.sin_port);
    return fd;
}

static void dial_to(struct svl_addresses to, unsigned ms)
{
    svl_dial_start(&dial, &worker, &to, port, &(struct svl_address){0}, ms, on_dialed);
    cr_assert_eq(done, 0);
}

static void wait_for_it(void)
{
    while (!done)
        svl_worker_poll(&worker, false);
    cr_assert_eq(done, 1);
    cr_assert(!dial.attempts);
}

static void pass(unsigned ms)
{
    worker.ahead_ms += ms;
    svl_timers_run(&worker.timers, svl_now_ms(&worker));
    svl_worker_poll(&worker, false);
}

/* A listener whose queue is full leaves whoever else comes without an answer. */
static void fill(int listener, int fds[8])
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;

    getsockname(listener, (struct sockaddr *)&in, &len);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fds[i], (struct sockaddr *)&in, sizeof in);
    }
}

static void close_all(int listener, int fds[8])
{
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    close(listener);
}

Test(dial, a_listener)
{
    int fd = listen_on(1, 8);

    dial_to((struct svl_addresses){1, {loopback(1)}}, 5000);
    wait_for_it();
    cr_assert_geq(result, 0);
    cr_assert_eq(from.ip[3], 1);
    cr_assert_eq(from.port, port);
    close(fd);
}

Test(dial, the_next_one_when_the_first_refuses)
{
    int fd = listen_on(1, 8);

    dial_to((struct svl_addresses){3, {loopback(7), loopback(8), loopback(1)}}, 5000);
    wait_for_it();
    cr_assert_geq(result, 0);
    cr_assert_eq(from.ip[3], 1);
    close(fd);
}

Test(dial, all_refuse)
{
    close(listen_on(1, 8));
    dial_to((struct svl_addresses){2, {loopback(7), loopback(1)}}, 5000);
    wait_for_it();
    cr_assert_eq(result, -ECONNREFUSED);
}

Test(dial, nowhere)
{
    dial_to((struct svl_addresses){0}, 5000);
    wait_for_it();
    cr_assert_lt(result, 0);
}

Test(dial, a_silent_one_has_a_head_start_only)
{
    int good = listen_on(1, 8), full = listen_on(2, 0), fds[8];

    fill(full, fds);
    dial_to((struct svl_addresses){2, {loopback(2), loopback(1)}}, 5000);
    for (int i = 0; i < 10; i++)
        svl_worker_poll(&worker, false);
    cr_assert_eq(done, 0);
    pass(250);
    wait_for_it();
    cr_assert_geq(result, 0);
    cr_assert_eq(from.ip[3], 1);
    close_all(full, fds);
    close(good);
}

Test(dial, the_time_is_up)
{
    int full = listen_on(2, 0), fds[8];

    fill(full, fds);
    dial_to((struct svl_addresses){1, {loopback(2)}}, 1000);
    pass(1000);
    cr_assert_eq(done, 1);
    cr_assert_eq(result, -ETIMEDOUT);
    close_all(full, fds);
}

Test(dial, nobody_waits)
{
    int full = listen_on(2, 0), fds[8];

    fill(full, fds);
    dial_to((struct svl_addresses){1, {loopback(2)}}, 5000);
    for (int i = 0; i < 10; i++)
        svl_worker_poll(&worker, false);
    cr_assert_not_null(dial.attempts);
    svl_dial_cancel(&dial);
    pass(6000);
    cr_assert_eq(done, 0);
    close_all(full, fds);
}

Test(dial, from_an_address)
{
    int fd = listen_on(1, 8), peer;
    struct sockaddr_in in;
    socklen_t len = sizeof in;
    struct svl_address here = loopback(9);

    svl_dial_start(&dial, &worker, &(struct svl_addresses){1, {loopback(1)}}, port, &here, 5000,
                   on_dialed);
    wait_for_it();
    peer = accept(fd, (struct sockaddr *)&in, &len);
    cr_assert_eq(ntohl(in.sin_addr.s_addr), 0x7f000009u);
    close(peer);
    close(fd);
}

Test(dial, unix_sockets)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char folder[64];

    snprintf(folder, sizeof folder, "/tmp/svl-dial-%d.sock", (int)getpid());
    snprintf(un.sun_path, sizeof un.sun_path, "%s", folder);
    unlink(folder);
    cr_assert_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    cr_assert_eq(listen(fd, 8), 0);
    svl_dial_unix(&dial, &worker, svl_str_of(un.sun_path), 5000, on_dialed);
    cr_assert_eq(done, 0);
    wait_for_it();
    cr_assert_geq(result, 0);
    close(result);
    close(fd);
    done = 0;
    svl_dial_unix(&dial, &worker, svl_str_of(un.sun_path), 5000, on_dialed);
    wait_for_it();
    cr_assert_eq(result, -ECONNREFUSED);
    unlink(un.sun_path);
    done = 0;
    svl_dial_unix(&dial, &worker, svl_str_of(un.sun_path), 5000, on_dialed);
    wait_for_it();
    cr_assert_eq(result, -ENOENT);
}

Test(dial, sockets_of_others)
{
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    svl_dial_fd(&dial, &worker, fds[0], 5000, on_dialed);
    wait_for_it();
    cr_assert_eq(result, fds[0]);
    close(fds[0]);
    close(fds[1]);
    done = 0;
    svl_dial_fd(&dial, &worker, -EACCES, 5000, on_dialed);
    wait_for_it();
    cr_assert_eq(result, -EACCES);
}
