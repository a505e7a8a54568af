/* What the client costs: the twins of fasthttp's client benchmarks, on one thread.
 *
 * fast      ClientDoFastServer: no server and no sockets; a fake connection drops the request and has
 *           the 77 bytes of the answer ready
 * memory    GetEndToEnd…Inmemory: client and server on one loop, connected by pipes
 * tcp       GetEndToEnd…TCP: the same over 127.0.0.1
 * pipeline  PipelineClient: memory, with all requests on one connection
 *
 * One operation is a request, its answer and a look at status and body. `callers` of them are on
 * their way at any time. */
#include "fake.h"

#include "base/check.h"
#include "run/client.h"
#include "serval/serval.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char usage[] =
    "usage: micro_client [options]\n"
    "  --twin NAME     fast, memory, tcp or pipeline (fast)\n"
    "  --requests N    in all (1000000)\n"
    "  --callers C     at a time (1)\n"
    "  --url URL       of another server, for tcp: only the client is measured; any 200 is right\n"
    "  --idle          instead: bytes of each of C idle connections\n"
    "Prints one line of JSON. Exit code 1: not every answer was right.\n";

#define ANSWER                                                                                     \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n012345678912"
#define BODY "012345678912"
#define SENT 66 /* bytes of the twin's request */

static const char *twin = "fast", *other;
static unsigned long requests = 1000000, begun, answered, wrong;
static unsigned callers = 1;

static struct svl_client *client;
static struct svl_worker *worker;
static struct svl_fetch ask;
static svl_str expected;

/* A connection whose server answers at once ------------------------------------------------- */

static unsigned long due; /* answers that were not read yet */
static size_t written;

static ssize_t fake_read(struct svl_conn *c, char *to, size_t room)
{
    (void)c;
    if (due == 0 || room < sizeof ANSWER - 1)
        return -EAGAIN;
    due--;
    memcpy(to, ANSWER, sizeof ANSWER - 1);
    return sizeof ANSWER - 1;
}

static ssize_t fake_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    size_t total = fake_length(iov, n);

    (void)c, (void)more;
    due++;
    written += total;
    return (ssize_t)total;
}

static const struct svl_transport fake = FAKE_TRANSPORT(fake_read, fake_writev);

static struct svl_conn *fakes[1];

static struct svl_conn *open_fake(void *arg, struct svl_worker *w,
                                  const struct svl_protocol *protocol)
{
    (void)arg;
    fakes[0] = svl_conn_new(w, &fake, protocol);
    svl_conn_start(fakes[0]);
    return fakes[0];
}

static void on_answer(struct svl_reply *reply, void *arg)
{
    (void)arg;
    answered++;
    wrong += reply->error != 0 || reply->status != 200 ||
             (expected.p && !svl_str_eq(reply->body, expected));
}

static void run_fast(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        svl_call(client, worker, &ask, on_answer, NULL);
        svl_conn_ready(fakes[0], SVL_WATCH_READ);
    }
}

/* Callers that each ask again as soon as they are answered ----------------------------------- */

static unsigned long total;

static void on_again(struct svl_reply *reply, void *arg)
{
    on_answer(reply, arg);
    if (begun < total) {
        begun++;
        svl_call(client, worker, &ask, on_again, arg);
    }
}

static void run_callers(unsigned long n)
{
    answered = 0;
    total = n;
    begun = callers;
    for (unsigned i = 0; i < callers; i++)
        svl_call(client, worker, &ask, on_again, NULL);
    while (answered < n)
        svl_worker_poll(worker, true);
}

static enum svl_verdict answer(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (*twin == 'p')
        return svl_text(ctx, 200, SVL_STR("foobar"));
    svl_content_type(ctx, SVL_STR("text/plain"));
    return svl_text(ctx, 200, ctx->req.target);
}

static struct svl_pipe *dial(void *arg)
{
    return svl_server_dial(*(struct svl_server **)arg, NULL);
}

/* ------------------------------------------------------------------------------------------- */

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void on_worker_closed(struct svl_worker *w)
{
    (void)w;
}

static void measure(void (*run)(unsigned long n))
{
    double wall, cpu;

    run(requests / 10 + callers);
    answered = 0;
    wall = now(CLOCK_MONOTONIC);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    run(requests);
    wall = now(CLOCK_MONOTONIC) - wall;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"twin\":\"%s\",\"callers\":%u,\"requests\":%lu,\"ns\":%.1f,\"cpu_ns\":%.1f,\"wrong\":"
           "%lu}\n",
           twin, callers, answered, wall / (double)answered, cpu / (double)answered, wrong);
}

static int fast(void)
{
    static struct svl_worker own = {.cpu = -1, .on_closed = on_worker_closed};

    if (svl_worker_open(&own) != 0 ||
        svl_client_open(&client, &(struct svl_client_config){.name = "fasthttp"}) != 0)
        return 1;
    worker = &own;
    client->open = open_fake;
    ask.url = SVL_STR("http://foobar1.com/aaa/bbb");
    expected = SVL_STR(BODY);
    run_fast(1);
    wrong += written != SENT;
    measure(run_fast);
    svl_worker_close(&own);
    return 0;
}

static int end_to_end(void)
{
    static struct svl_server *server;
    bool tcp = *twin == 't', pipelined = *twin == 'p';
    struct svl_server_config config = {
        .listen = {tcp ? "127.0.0.1:0" : NULL}, .handler = answer, .workers = 1};
    struct svl_client_config ours = {.name = "fasthttp",
                                     .max_per_host = pipelined ? 1 : callers,
                                     .pipeline = pipelined ? callers : 1,
                                     .max_waiting = callers + 1,
                                     .dial_pipe = tcp ? NULL : dial,
                                     .dial_arg = &server};
    static char url[200] = "http://unused.host/foo/bar?baz=123";

    if (svl_server_open(&server, &config) != 0 || svl_client_open(&client, &ours) != 0)
        return 1;
    worker = svl_server_worker(server, 0);
    if (tcp)
        snprintf(url, sizeof url, "%sfoo/bar?baz=123", svl_server_address(server, 0));
    ask.url = svl_str_of(url);
    expected = pipelined ? SVL_STR("foobar") : SVL_STR("/foo/bar?baz=123");
    measure(run_callers);
    svl_server_close(server);
    return 0;
}

static int client_only(void)
{
    static struct svl_worker own = {.cpu = -1, .on_closed = on_worker_closed};

    if (svl_worker_open(&own) != 0 ||
        svl_client_open(&client, &(struct svl_client_config){.max_per_host = callers,
                                                             .max_waiting = callers}) != 0)
        return 1;
    worker = &own;
    ask.url = svl_str_of(other);
    measure(run_callers);
    svl_worker_close(&own);
    return 0;
}

/* Connections without work, and without their server's half: what malloc has given out. */
static int idle(void)
{
    static struct svl_worker own = {.cpu = -1, .on_closed = on_worker_closed};
    size_t before;

    if (svl_worker_open(&own) != 0 ||
        svl_client_open(&client, &(struct svl_client_config){.max_per_host = callers}) != 0)
        return 1;
    worker = &own;
    client->open = open_fake;
    ask.url = SVL_STR("http://foobar1.com/aaa/bbb");
    expected = SVL_STR(BODY);
    run_fast(100);
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (unsigned i = 0; i < callers; i++)
        svl_call(client, worker, &ask, on_answer, NULL);
    for (struct svl_list *at = own.open.next; at != &own.open; at = at->next)
        svl_conn_ready(svl_container(at, struct svl_conn, link), SVL_WATCH_READ);
    printf("{\"twin\":\"idle\",\"connections\":%u,\"struct\":%zu,\"with_calls\":%.1f}\n",
           own.n_open, svl_conn_size(),
           (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / own.n_open);
    svl_worker_close(&own);
    return 0;
}

int main(int argc, char **argv)
{
    bool only_idle = false;
    int err;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--idle") == 0) {
            only_idle = true;
            continue;
        }
        if (strcmp(argv[i], "--twin") == 0)
            twin = value;
        else if (strcmp(argv[i], "--url") == 0)
            other = value;
        else if (strcmp(argv[i], "--requests") == 0)
            requests = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--callers") == 0)
            callers = (unsigned)strtoul(value, NULL, 10);
        else
            return fputs(usage, stderr), 2;
        i++;
    }
    err = only_idle ? idle() : other ? client_only() : *twin == 'f' ? fast() : end_to_end();
    svl_client_close(client);
    return err || wrong > 0;
}
