/* Probes of back ends: when they are asked and what follows, by the clock of the tests; and servers that
 * fall ill, die and come back, over real sockets.
 * ctest-labels: threads */
#include "serval/error.h"
#include "serval/serval.h"
#include "support/peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define ILL "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
#define PERIOD 100000 /* ms; long, because the clock of the tests goes on by itself, too */
#define ONE SVL_STR("http://one")

/* In memory --------------------------------------------------------------------------------- */

static struct asked a;

TestSuite(client_probe, .fini = peers_close);

static void open_with(struct svl_client_config config)
{
    config.name = "";
    config.backends[0] = "http://one";
    config.probe_path = "/health";
    config.probe_ms = PERIOD;
    config.io_ms = config.idle_ms = 1000 * PERIOD;
    peers_open(&config);
}

#define OPEN(...) open_with((struct svl_client_config){__VA_ARGS__})

static bool is_up(void)
{
    int up = svl_client_backend_is_up(peers_client, ONE);

    cr_assert_geq(up, 0);
    return up;
}

/* Connection 0 is the call's that has woken the client; each probe has the next one. */
static void wake(void)
{
    peers_ask_url(&a, "/");
    peers_pass(0);
    peer_say(0, OK);
    cr_assert_eq(a.status, 200);
    cr_assert_eq(peers_made(), 2);
}

static void probed(const char *answer)
{
    unsigned n = peers_made() - 1;

    cr_assert_str_eq(peer_take(n),
                     "GET /health HTTP/1.1\r\nHost: one\r\nConnection: close\r\n\r\n");
    peer_say(n, answer);
    cr_assert(!peer_open(n));
    peers_pass(PERIOD / 2);
    cr_assert_eq(peers_made(), n + 1);
    peers_pass(PERIOD / 2);
    cr_assert_eq(peers_made(), n + 2);
}

Test(client_probe, so_many_failures_and_so_many_successes)
{
    OPEN(.probe_falls = 2, .probe_rises = 3);
    wake();
    probed(ILL);
    probed(OK);
    probed(ILL);
    cr_assert(is_up());
    probed("garbage");
    cr_assert(!is_up());
    probed(OK);
    probed(OK);
    probed(ILL);
    probed(OK);
    probed(OK);
    cr_assert(!is_up());
    probed(OK);
    cr_assert(is_up());
}

Test(client_probe, no_answer_in_time_is_none)
{
    OPEN(.probe_falls = 1, .probe_timeout_ms = PERIOD / 2);
    wake();
    peers_pass(PERIOD / 4);
    cr_assert(is_up());
    peers_pass(PERIOD / 4);
    cr_assert(!is_up());
    cr_assert(!peer_open(1));
    peers_refuse(true);
    peers_pass(PERIOD / 2);
    cr_assert(!is_up());
}

Test(client_probe, a_slow_probe_is_not_asked_again)
{
    OPEN(.probe_timeout_ms = 7 * PERIOD / 2);
    wake();
    peers_pass(PERIOD);
    peers_pass(PERIOD);
    cr_assert_eq(peers_made(), 2);
    peer_say(1, OK);
    peers_pass(PERIOD);
    cr_assert_eq(peers_made(), 3);
}

static bool is_teapot(const struct svl_reply *reply, void *arg)
{
    return reply->status == *(int *)arg;
}

Test(client_probe, what_is_well_is_the_users_to_say)
{
    int status = 418;

    OPEN(.probe_falls = 1, .probe_rises = 1, .probe_healthy = is_teapot, .probe_arg = &status);
    wake();
    probed(OK);
    cr_assert(!is_up());
    probed("HTTP/1.1 418 x\r\nContent-Length: 0\r\n\r\n");
    cr_assert(is_up());
}

Test(client_probe, calls_that_hold_all_connections_do_not_keep_it_out)
{
    OPEN(.probe_falls = 1, .max_per_host = 1, .timeout_ms = SVL_NEVER);
    peers_ask_url(&a, "/");
    peers_pass(0);
    probed(OK);
    cr_assert(is_up());
    cr_assert_eq(a.done, 0);
}

Test(client_probe, one_that_is_left_out_is_asked_when_there_is_no_other)
{
    OPEN(.probe_falls = 1);
    wake();
    probed(ILL);
    cr_assert(!is_up());
    peers_ask_url(&a, "/");
    peer_say(0, OK);
    cr_assert_eq(a.status, 200);
    cr_assert_eq(svl_client_add_backend(peers_client, SVL_STR("http://two")), 0);
    for (int i = 0; i < 3; i++) {
        peers_ask_url(&a, "/");
        cr_assert_str_eq(a.url, "");
        peer_say(3, OK);
        cr_assert_str_eq(a.url, "http://two/");
    }
}

Test(client_probe, removed_while_it_is_probed)
{
    OPEN(.probe_falls = 1);
    wake();
    cr_assert_eq(svl_client_remove_backend(peers_client, ONE), 0);
    cr_assert_eq(svl_client_backend_is_up(peers_client, ONE), SVL_EGONE);
    peer_say(1, ILL);
    peers_pass(PERIOD);
    cr_assert_eq(peers_made(), 2);
}

Test(client_probe, closed_while_it_is_probed)
{
    OPEN(0);
    peers_ask_url(&a, "/");
    peers_pass(0);
    cr_assert_eq(peers_made(), 2);
}

Test(client_probe_config, a_path_is_a_path)
{
    struct svl_client *client;

    cr_assert_eq(svl_client_open(&client, &(struct svl_client_config){.probe_path = "health"}),
                 SVL_ECONFIG);
    cr_assert_null(client);
}

/* Over sockets ------------------------------------------------------------------------------ */

struct backend {
    struct svl_server *server;
    pthread_t thread;
    char address[100];
    char url[100]; /* as the client knows it: without the last slash */
    atomic_bool ill, silent;
    atomic_uint calls, probes;
};

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict handle(struct svl_ctx *ctx, void *arg)
{
    struct backend *backend = arg;

    if (!svl_str_eq(ctx->req.path, SVL_STR("/health"))) {
        atomic_fetch_add(&backend->calls, 1);
        return svl_text(ctx, 200, SVL_STR("ok"));
    }
    atomic_fetch_add(&backend->probes, 1);
    if (atomic_load(&backend->silent))
        return svl_pend(ctx, on_cancel, NULL);
    return svl_text(ctx, atomic_load(&backend->ill) ? 503 : 200, SVL_STR("."));
}

static void *run(void *arg)
{
    svl_server_run(arg);
    return NULL;
}

static void begin(struct backend *backend, const char *address)
{
    struct svl_server_config config = {.listen = {address},
                                       .handler = handle,
                                       .handler_arg = backend,
                                       .workers = 1,
                                       .grace_ms = 1};
    const char *url;

    cr_assert_eq(svl_server_open(&backend->server, &config), 0);
    url = svl_server_address(backend->server, 0);
    snprintf(backend->url, sizeof backend->url, "%.*s", (int)strlen(url) - 1, url);
    snprintf(backend->address, sizeof backend->address, "%s", backend->url + strlen("http://"));
    pthread_create(&backend->thread, NULL, run, backend->server);
}

static void end(struct backend *backend)
{
    svl_server_stop(backend->server);
    pthread_join(backend->thread, NULL);
    svl_server_close(backend->server);
}

static struct svl_client *open_client(struct backend *one, struct backend *two)
{
    struct svl_client *client;

    cr_assert_eq(
        svl_client_open(&client, &(struct svl_client_config){.backends = {one->url, two->url},
                                                             .probe_path = "/health",
                                                             .probe_ms = 2,
                                                             .probe_falls = 2,
                                                             .probe_rises = 2}),
        0);
    return client;
}

static void call(struct svl_client *client)
{
    cr_assert_eq(svl_http_do(client, &(struct svl_fetch){.url = SVL_STR("/")}, NULL), 0);
}

/* It will be; for how long to wait the test's own limit is the bound. */
static void await_up(struct svl_client *client, const struct backend *backend, int up)
{
    while (svl_client_backend_is_up(client, svl_str_of(backend->url)) != up)
        usleep(1000);
}

/* 20 calls, of which the first back end gets that many. */
static void share(struct svl_client *client, struct backend *one, unsigned least, unsigned most)
{
    unsigned before = atomic_load(&one->calls), n;

    for (int i = 0; i < 20; i++)
        call(client);
    n = atomic_load(&one->calls) - before;
    cr_assert(n >= least && n <= most, "%u", n);
}

Test(client_probe_sockets, ill_and_well_again)
{
    struct backend one = {0}, two = {0};
    struct svl_client *client;

    begin(&one, "127.0.0.1:0");
    begin(&two, "127.0.0.1:0");
    client = open_client(&one, &two);
    share(client, &one, 10, 10);
    atomic_store(&one.ill, true);
    await_up(client, &one, 0);
    share(client, &one, 0, 0);
    atomic_store(&one.ill, false);
    await_up(client, &one, 1);
    share(client, &one, 1, 20);
    svl_client_close(client);
    end(&one);
    end(&two);
}

Test(client_probe_sockets, dead_and_back_by_itself)
{
    struct backend one = {0}, two = {0};
    struct svl_client *client;
    char address[100];

    begin(&one, "127.0.0.1:0");
    begin(&two, "127.0.0.1:0");
    client = open_client(&one, &two);
    call(client);
    end(&one);
    await_up(client, &one, 0);
    share(client, &one, 0, 0);
    snprintf(address, sizeof address, "%s", one.address);
    begin(&one, address);
    await_up(client, &one, 1);
    share(client, &one, 1, 20);
    svl_client_close(client);
    end(&one);
    end(&two);
}

Test(client_probe_sockets, closing_does_not_wait_for_a_probe)
{
    struct backend one = {.silent = true}, two = {0};
    struct svl_client *client;
    unsigned after;

    begin(&one, "127.0.0.1:0");
    begin(&two, "127.0.0.1:0");
    client = open_client(&one, &two);
    call(client);
    while (atomic_load(&one.probes) == 0)
        usleep(1000);
    svl_client_close(client);
    end(&one);
    after = atomic_load(&two.probes);
    end(&two);
    cr_assert_leq(atomic_load(&two.probes), after + 1); /* what was on its way */
}
