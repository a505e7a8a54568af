/* How hosts are reached: through proxies of three kinds, where connect_to says, with dials of one's own. */
#include "net/worker.h"
#include "serval/error.h"
#include "serval/serval.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct svl_worker worker;
static struct svl_client *client;
static int listener, fd = -1; /* the proxy's */
static unsigned port;
static int done, error, status;
static char why[100];

static void on_closed(struct svl_worker *w)
{
    (void)w;
}

static void begin(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;

    worker = (struct svl_worker){.cpu = -1, .on_closed = on_closed};
    cr_assert_eq(svl_worker_open(&worker), 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&in, sizeof in), 0);
    cr_assert_eq(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&in, &len);
    port = ntohs(in.sin_port);
}

static void end(void)
{
    svl_worker_close(&worker);
    svl_client_close(client);
    close(listener);
    if (fd >= 0)
        close(fd);
}

TestSuite(client_proxy, .init = begin, .fini = end);

static const char *with_port(const char *format)
{
    static char text[200];

    snprintf(text, sizeof text, format, port);
    return text;
}

#define OPEN(...)                                                                                  \
    cr_assert_eq(                                                                                  \
        svl_client_open(&client,                                                                   \
                        &(struct svl_client_config){.name = "", .max_tries = 1, __VA_ARGS__}),     \
        0)

static void on_done(struct svl_reply *reply, void *arg)
{
    (void)arg;
    done++;
    error = reply->error;
    status = reply->status;
    snprintf(why, sizeof why, "%s", reply->why ? reply->why : "");
}

static void ask(const char *url)
{
    done = 0;
    svl_call(client, &worker, &(struct svl_fetch){.url = svl_str_of(url)}, on_done, NULL);
}

static void accept_one(void)
{
    while ((fd = accept(listener, NULL, NULL)) < 0)
        svl_worker_poll(&worker, false);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* Those bytes and no others come. */
static void expect_bytes(const void *bytes, size_t n)
{
    char got[1000];
    size_t at = 0;

    while (at < n) {
        ssize_t more = recv(fd, got + at, sizeof got - at, 0);

        cr_assert(more > 0 || (more < 0 && errno == EAGAIN));
        if (more > 0)
            at += (size_t)more;
        else
            svl_worker_poll(&worker, false);
    }
    cr_assert_eq(at, n);
    cr_assert(memcmp(got, bytes, n) == 0, "%.*s", (int)n, got);
}

static void expect(const char *text)
{
    expect_bytes(text, strlen(text));
}

static void say_bytes(const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void say(const char *text)
{
    say_bytes(text, strlen(text));
}

static void wait_for_it(void)
{
    while (!done)
        svl_worker_poll(&worker, false);
}

static void ends_well(void)
{
    say(OK);
    wait_for_it();
    cr_assert_eq(error, 0, "%s", why);
    cr_assert_eq(status, 200);
}

Test(client_proxy, http_is_asked_for_the_whole_url)
{
    OPEN(.proxy = with_port("http://u:p@127.0.0.1:%u"));
    ask("http://name.test:81/x?y");
    accept_one();
    expect("GET http://name.test:81/x?y HTTP/1.1\r\nHost: name.test:81\r\n"
           "Proxy-Authorization: Basic dTpw\r\n\r\n");
    ends_well();
}

Test(client_proxy, a_tunnel)
{
    OPEN(.proxy = with_port("http://u:p@127.0.0.1:%u"), .tunnel = true);
    ask("http://name.test/x");
    accept_one();
    expect("CONNECT name.test:80 HTTP/1.1\r\nHost: name.test:80\r\n"
           "Proxy-Authorization: Basic dTpw\r\n\r\n");
    say("HTTP/1.1 200 Connection");
    svl_worker_poll(&worker, false);
    say(" established\r\nX: y\r\n\r\n");
    expect("GET /x HTTP/1.1\r\nHost: name.test\r\n\r\n");
    ends_well();
    ask("http://name.test/again");
    expect("GET /again HTTP/1.1\r\nHost: name.test\r\n\r\n");
    ends_well();
}

static void refused_by(const char *answer, const char *text)
{
    OPEN(.proxy = with_port("http://127.0.0.1:%u"), .tunnel = true);
    ask("http://name.test/x");
    accept_one();
    say(answer);
    if (!*answer)
        close(fd);
    wait_for_it();
    cr_assert_eq(error, SVL_EPROXY);
    cr_assert_not_null(strstr(why, text), "%s", why);
    if (!*answer)
        fd = -1;
}

Test(client_proxy, a_tunnel_is_refused)
{
    refused_by("HTTP/1.1 403 no\r\n\r\n", "refuses");
}

Test(client_proxy, a_tunnel_wants_credentials)
{
    refused_by("HTTP/1.1 407 no\r\n\r\n", "credentials");
}

Test(client_proxy, a_tunnel_says_too_much)
{
    refused_by("HTTP/1.1 200 yes\r\n\r\nHTTP/1.1 200 evil\r\n\r\n", "more than it should");
}

Test(client_proxy, a_tunnel_speaks_something_else)
{
    refused_by("SSH-2.0\r\n", "response");
}

Test(client_proxy, a_tunnel_closes)
{
    refused_by("", "closed");
}

Test(client_proxy, socks)
{
    OPEN(.proxy = with_port("socks5://127.0.0.1:%u"));
    ask("http://name.test/x");
    accept_one();
    expect_bytes("\5\1\0", 3);
    say_bytes("\5\0", 2);
    expect_bytes("\5\1\0\3\11name.test\0\120", 16);
    say_bytes("\5\0\0\1", 4);
    svl_worker_poll(&worker, false);
    say_bytes("\1\2\3\4\0\1", 6);
    expect("GET /x HTTP/1.1\r\nHost: name.test\r\n\r\n");
    ends_well();
}

Test(client_proxy, socks_with_a_password_and_an_address)
{
    OPEN(.proxy = with_port("socks5://us%%65r:pw@127.0.0.1:%u"));
    ask("http://192.0.2.7:8080/x");
    accept_one();
    expect_bytes("\5\2\0\2", 4);
    say_bytes("\5\2", 2);
    expect_bytes("\1\4user\2pw", 9);
    say_bytes("\1\0", 2);
    expect_bytes("\5\1\0\1\300\0\2\7\37\220", 10);
    say_bytes("\5\0\0\3\4name\0\1", 11);
    expect("GET /x HTTP/1.1\r\nHost: 192.0.2.7:8080\r\n\r\n");
    ends_well();
}

Test(client_proxy, socks_refuses)
{
    OPEN(.proxy = with_port("socks5://127.0.0.1:%u"));
    ask("http://name.test/x");
    accept_one();
    expect_bytes("\5\1\0", 3);
    say_bytes("\5\0", 2);
    expect_bytes("\5\1\0\3\11name.test\0\120", 16);
    say_bytes("\5\5\0\1\0\0\0\0\0\0", 10);
    wait_for_it();
    cr_assert_eq(error, SVL_EPROXY);
}

Test(client_proxy, b201_the_environment_says_which_and_what_not)
{
    setenv("http_proxy", with_port("http://127.0.0.1:%u"), 1);
    setenv("no_proxy", "other.test, .localhost,127.0.0.0/8", 1);
    OPEN(.proxy_from_env = true);
    ask("http://name.test/x");
    accept_one();
    expect("GET http://name.test/x HTTP/1.1\r\nHost: name.test\r\n\r\n");
    ends_well();
    close(fd);
    ask(with_port("http://127.0.0.1:%u/direct"));
    accept_one();
    expect(with_port("GET /direct HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n"));
    ends_well();
    unsetenv("http_proxy");
    unsetenv("no_proxy");
}

Test(client_proxy, connect_to)
{
    OPEN(.connect_to = with_port("127.0.0.1:%u,127.0.0.1:1"));
    ask("http://name.test/x");
    accept_one();
    expect("GET /x HTTP/1.1\r\nHost: name.test\r\n\r\n");
    say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    wait_for_it();
    cr_assert_eq(error, 0);
    ask("http://name.test/x");
    wait_for_it();
    cr_assert_eq(error, -ECONNREFUSED);
}

static int dial_own(svl_str host, unsigned to, void *arg)
{
    int *pair = arg;

    cr_assert(svl_str_eq(host, SVL_STR("name.test")));
    cr_assert_eq(to, 80);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    return pair[0];
}

Test(client_proxy, dials_of_ones_own)
{
    int pair[2];

    OPEN(.dial = dial_own, .dial_arg = pair);
    ask("http://name.test/x");
    fd = pair[1];
    expect("GET /x HTTP/1.1\r\nHost: name.test\r\n\r\n");
    ends_well();
}

Test(client_proxy, bad_configs)
{
    struct svl_client_config bad[] = {
        {.proxy = "ftp://x"},    {.proxy = "x"},
        {.connect_to = "x"},     {.connect_to = "http://x/"},
        {.connect_to = "unix:"}, {.local_address = "x"},
        {.name = "a\nb"},        {.backends = {"ftp://"}},
        {.max_fields = 300},
    };

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(svl_client_open(&client, &bad[i]), SVL_ECONFIG, "%u", i);
}
