/* What waiting costs, without sockets: modules that say next, a deadline that never passes, and many
 * requests that are pending with one.
 *
 * micro_async [--requests N] [--chain N] [--timeout]   ns per request of that chain
 * micro_async --pending N                               ns and resident bytes of each */
#include "fake.h"

#include "base/check.h"
#include "net/conn.h"
#include "run/h1.h"
#include "run/server.h"
#include "serval/async.h"
#include "serval/features.h"
#if SVL_HAVE_TIMEOUT
#include "serval/mod/timeout.h"
#endif
#include "serval/serval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

#define LEN (sizeof request - 1)
#define PIPELINE 16 /* requests of one read */

static char text[PIPELINE * LEN];
static size_t per_read = LEN;
static struct svl_ctx **held;
static unsigned long n_held;

static ssize_t fake_read(struct svl_conn *c, char *to, size_t room)
{
    (void)c;
    if (room < per_read)
        return -EAGAIN;
    memcpy(to, text, per_read);
    return (ssize_t)per_read;
}

static ssize_t fake_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    (void)c, (void)more;
    return (ssize_t)fake_length(iov, n);
}

static const struct svl_transport fake = FAKE_TRANSPORT(fake_read, fake_writev);

static enum svl_verdict answer(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("Hello, world!"));
}

static enum svl_verdict hold(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    held[n_held++] = ctx;
    return svl_pend(ctx, NULL, NULL);
}

static enum svl_verdict say_next(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self, (void)ctx;
    return SVL_NEXT;
}

static const struct svl_module next_module = {
    .name = "next", .on_request = say_next, .on_response = say_next};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long resident(void)
{
    long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f) {
        if (fscanf(f, "%ld %ld", &size, &pages) != 2)
            pages = 0;
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static struct svl_conn *connect_one(struct svl_worker *w)
{
    struct svl_conn *c = svl_conn_new(w, &fake, &svl_h1);

    svl_conn_start(c);
    return c;
}

static void measure_chain(struct svl_server *server, unsigned long requests)
{
    struct svl_conn *c = connect_one(svl_server_worker(server, 0));
    double begin, best = 1e9;

    per_read = sizeof text;
    for (int round = 0; round < 5; round++) {
        begin = now();
        for (unsigned long i = 0; i < requests / 5 / PIPELINE; i++)
            svl_conn_ready(c, SVL_WATCH_READ);
        begin = (now() - begin) / (double)(requests / 5 / PIPELINE * PIPELINE);
        best = begin < best ? begin : best;
    }
    printf("%.1f ns/request\n", best);
}

/* Begins all, lets their deadlines pass, then brings the late ones back. */
static void measure_pending(struct svl_server *server, unsigned long n)
{
    struct svl_worker *w = svl_server_worker(server, 0);
    long before;
    double begin, begun, expired;

    held = calloc(n + 1, sizeof(struct svl_ctx *));
    for (unsigned long i = 0; i <= n; i++)
        held[i] = (struct svl_ctx *)held;           /* its pages are not to be counted, */
    svl_conn_ready(connect_one(w), SVL_WATCH_READ); /* nor what is loaded once */
    before = resident();
    begin = now();
    for (unsigned long i = 0; i < n; i++)
        svl_conn_ready(connect_one(w), SVL_WATCH_READ);
    begun = now();
    printf("%lu pending: %.0f ns and %.0f bytes each, ", n, (begun - begin) / (double)n,
           (double)(resident() - before) / (double)n);
    begin = now();
    svl_timers_run(&w->timers, svl_now_ms(w) + 30000);
    expired = now();
    for (unsigned long i = 0; i <= n; i++)
        svl_resume(held[i], SVL_DONE);
    printf("%.0f ns for each deadline that passes, %.0f ns for each resume\n",
           (expired - begin) / (double)n, (now() - expired) / (double)n);
}

int main(int argc, char **argv)
{
    unsigned long requests = 2000000, pending = 0, chain_length = 0;
    struct svl_use chain[SVL_MAX_LINKS] = {SVL_USE_END};
#if SVL_HAVE_TIMEOUT
    const struct svl_use timeout = SVL_USE(timeout, .after_ms = 30000);
#else
    const struct svl_use timeout = SVL_USE_END; /* measures nothing */
#endif
    struct svl_server *server;
    bool timed = false;
    unsigned n = 0;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--timeout"))
            timed = true;
        else if (!strcmp(argv[i], "--requests") && i + 1 < argc)
            requests = strtoul(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--chain") && i + 1 < argc)
            chain_length = strtoul(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--pending") && i + 1 < argc)
            pending = strtoul(argv[++i], NULL, 10);
    }
    for (unsigned long i = 0; i < PIPELINE; i++)
        memcpy(text + i * LEN, request, LEN);
    if (timed || pending)
        chain[n++] = timeout;
    while (chain_length-- > 0 && n < SVL_MAX_LINKS - 2)
        chain[n++] = (struct svl_use){&next_module, NULL};
    if (svl_server_open(&server, &(struct svl_server_config){.workers = 1,
                                                             .chain = chain,
                                                             .handler = pending ? hold : answer}))
        return 3;
    if (pending)
        measure_pending(server, pending);
    else
        measure_chain(server, requests);
    svl_server_close(server);
    return 0;
}
