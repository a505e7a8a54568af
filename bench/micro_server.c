/* In-process twins of fasthttp's ServerGet benchmarks: the same request and response bytes, read
 * in the same pieces, without sockets or a kernel.
 *
 * A fake transport fills at most 4096 bytes per read by repeating the request, until the
 * connection's quota is used up, and drops what is written after counting it. One operation is
 * one request; with a quota of 1 it includes opening and closing the connection.
 *
 * micro_server [--requests N] [--per-conn Q] [--clients C] [--hello] */
#include "base/check.h"
#include "net/conn.h"
#include "run/h1.h"
#include "run/server.h"
#include "serval/serval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char request[] = "GET /foobar?baz HTTP/1.1\r\n"
                              "Host: google.com\r\n"
                              "User-Agent: aaa/bbb/ccc/ddd/eee Firefox Chrome MSIE Opera\r\n"
                              "Referer: http://xxx.com/aaa?bbb=ccc\r\n"
                              "Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n";

static const char small[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

#define READ_SIZE 4096

static const char *text = request;
static size_t text_len = sizeof request - 1;
static char cycle[READ_SIZE + sizeof request]; /* the text repeated: any start, any length */
static unsigned long quota, served;
static size_t written;

struct fake {
    struct svl_conn conn; /* first */
    size_t left, at;      /* bytes to come; place in the text */
};

static ssize_t fake_read(struct svl_conn *c, char *to, size_t room)
{
    struct fake *fake = (struct fake *)c;
    size_t n = room < READ_SIZE ? room : READ_SIZE;

    if (n > fake->left)
        n = fake->left;
    memcpy(to, cycle + fake->at, n);
    fake->at = (fake->at + n) % text_len;
    fake->left -= n;
    return (ssize_t)n;
}

static ssize_t fake_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    size_t total = 0;

    (void)c;
    (void)more;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    written += total;
    return (ssize_t)total;
}

static void fake_watch(struct svl_conn *c, int events)
{
    (void)c;
    (void)events;
}

static void fake_shutdown(struct svl_conn *c)
{
    (void)c;
}

static void fake_close(struct svl_conn *c)
{
    svl_conn_free(c);
}

static const struct svl_transport fake = {
    .read = fake_read,
    .writev = fake_writev,
    .watch = fake_watch,
    .shutdown = fake_shutdown,
    .close = fake_close,
};

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (ctx->req.method != SVL_GET)
        return SVL_ERROR;
    svl_text(ctx, 200, SVL_STR("Hello, world!"));
    svl_content_type(ctx, SVL_STR("text/plain"));
    if (quota == 1)
        svl_close(ctx);
    served++;
    return SVL_DONE;
}

static struct svl_conn *open_one(struct svl_worker *worker, unsigned long requests)
{
    struct svl_conn *c = svl_conn_new(worker, &fake, &svl_h1);

    ((struct fake *)c)->left = requests * text_len;
    ((struct fake *)c)->at = 0;
    svl_conn_start(c);
    return c;
}

/* Each connection in turn takes one read, as if all were ready at once. */
static void run(struct svl_worker *worker, unsigned long total, unsigned clients)
{
    struct svl_conn **conns = calloc(clients, sizeof(struct svl_conn *));
    unsigned long begun = 0;

    while (served < total) {
        for (unsigned i = 0; i < clients && served < total; i++) {
            if (!conns[i]) {
                unsigned long requests = quota < total - begun ? quota : total - begun;

                if (requests == 0)
                    continue;
                conns[i] = open_one(worker, requests);
                begun += requests;
            }
            svl_conn_ready(conns[i], SVL_WATCH_READ);
            if (quota == 1) {
                conns[i] = NULL; /* the answer closed it */
            } else if (((struct fake *)conns[i])->left == 0) {
                svl_conn_ready(conns[i], SVL_WATCH_READ); /* the end */
                conns[i] = NULL;
            }
        }
    }
    free(conns);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    unsigned long total = 3000000, clients = 2;
    struct svl_server *server;
    size_t expected;
    double begin, took;

    quota = 10000;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (!strcmp(argv[i], "--hello")) {
            text = small;
            text_len = sizeof small - 1;
            continue;
        }
        if (!strcmp(argv[i], "--requests"))
            total = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--per-conn"))
            quota = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--clients"))
            clients = strtoul(value, NULL, 10);
        i++;
    }
    for (size_t i = 0; i < sizeof cycle; i++)
        cycle[i] = text[i % text_len];
    SVL_ASSERT(sizeof(struct fake) <= svl_conn_size());

    if (svl_server_open(&server, &(struct svl_server_config){
                                     .workers = 1, .handler = hello, .name = "fasthttp"}) != 0)
        return 3;
    begin = now();
    run(svl_server_worker(server, 0), total, (unsigned)clients);
    took = now() - begin;
    expected = total * (quota == 1 ? 152 : 133);
    printf("%lu requests, %lu per connection, %lu clients: %.1f ns/op, %.1f bytes/op\n", total,
           quota, clients, took / (double)total, (double)written / (double)total);
    if (served != total || written != expected) {
        fprintf(stderr, "served %lu, wrote %zu bytes instead of %zu\n", served, written, expected);
        return 1;
    }
    svl_server_close(server);
    return 0;
}
