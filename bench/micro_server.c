/* A server without sockets or a kernel, so that its own work is all that is measured: the twins
 * of fasthttp's server benchmarks (get, post, hijack, big: the same bytes in the same pieces as
 * bench/peers/go/fake), and requests that go through modules (fs, router).
 *
 * A fake transport fills at most 4096 bytes per read by repeating the request, until the
 * connection's quota is used up, and drops what is written after counting it. One operation is
 * one request; with a quota of 1 it includes opening and closing the connection. */
#include "fake.h"

#include "base/check.h"
#include "net/conn.h"
#include "run/h1.h"
#include "run/server.h"
#include "serval/features.h"
#include "serval/serval.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif
#if defined SVL_HAVE_ROUTER && SVL_HAVE_ROUTER
#include "routes.h"
#endif

static const char usage[] =
    "usage: micro_server [options]\n"
    "  --twin NAME     get, post, hijack, big, hello, fs or router (get)\n"
    "  --requests N    in all (3000000)\n"
    "  --per-conn Q    requests on each connection (10000)\n"
    "  --clients C     connections that take turns (2)\n"
    "  --threads T     workers with a thread each (1)\n"
    "  --count WHO     shared: one number for all threads, as in the original; or apart (shared)\n"
    "  --root DIR      of the twin fs, which gets /1k\n"
    "  --routes FILE   of the twin router\n"
    "Prints one line of JSON. Exit code 1: not every answer was as long as it has to be.\n";

#define GET                                                                                        \
    "GET /foobar?baz HTTP/1.1\r\n"                                                                 \
    "Host: google.com\r\n"                                                                         \
    "User-Agent: aaa/bbb/ccc/ddd/eee Firefox Chrome MSIE Opera\r\n"                                \
    "Referer: http://xxx.com/aaa?bbb=ccc\r\n"                                                      \
    "Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n"

#define POST                                                                                       \
    "POST /foobar?baz HTTP/1.1\r\n"                                                                \
    "Host: google.com\r\n"                                                                         \
    "Content-Type: foo/bar\r\n"                                                                    \
    "Content-Length: 13\r\n"                                                                       \
    "User-Agent: Opera Chrome MSIE Firefox and other/1.2.34\r\n"                                   \
    "Referer: http://google.com/aaaa/bbb/ccc\r\n"                                                  \
    "Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n"                            \
    "Hello, world!"

#define HIJACK "GET /foo HTTP/1.1\r\nHost: google.com\r\n\r\n"
#define SMALL "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
#define FILE_1K "GET /1k HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
#define ROUTED                                                                                     \
    "GET /repos/serval/serval/issues/42/comments HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"

enum { READ_SIZE = 4096, CLOSE_FIELD = 19, BIG = 1 << 20 };

/* `answer` is the length of one without Connection: close; 0 = not known. */
static const struct twin {
    const char *name, *text;
    size_t answer;
} twins[] = {
    {"get", GET, 133},     {"post", POST, 133}, {"hijack", HIJACK, 118}, {"big", GET, 125 + BIG},
    {"hello", SMALL, 133}, {"fs", FILE_1K, 0},  {"router", ROUTED, 133},
};

static const struct twin *twin = twins;
static size_t text_len;
static char cycle[READ_SIZE + 1024]; /* the text repeated: any start, any length */
static char big[BIG];
static const char *root = ".", *routes = "bench/lib/routes.txt";
static unsigned long quota = 10000;
static atomic_ulong served; /* one for all threads, as in the original, */
static bool shared = true;  /* which costs each of them the way to the other's cache */

/* One thread's part, on cache lines of its own. */
struct part {
    _Alignas(128) pthread_t thread;
    struct svl_worker *worker;
    unsigned long total, answered;
    unsigned clients;
    size_t written;
    struct fake *outer, *nested; /* twin hijack: whose turn it is, and what it has become */
};

static _Thread_local struct part *part;

struct fake {
    struct svl_conn conn; /* first */
    size_t left, at;      /* bytes to come; place in the text */
    bool taken;           /* a server serves on it that is not the one it was opened for */
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
    size_t total = fake_length(iov, n);

    (void)c, (void)more;
    part->written += total;
    return (ssize_t)total;
}

static const struct svl_transport fake = FAKE_TRANSPORT(fake_read, fake_writev);

static void count(struct svl_ctx *ctx)
{
    if (quota == 1)
        svl_close(ctx);
    if (shared)
        atomic_fetch_add_explicit(&served, 1, memory_order_relaxed);
    part->answered++;
}

static enum svl_verdict on_get(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (ctx->req.method != SVL_GET)
        return SVL_ERROR;
    svl_text(ctx, 200, SVL_STR("Hello, world!"));
    svl_content_type(ctx, SVL_STR("text/plain"));
    count(ctx);
    return SVL_DONE;
}

static enum svl_verdict on_post(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (ctx->req.method != SVL_POST || !svl_str_eq(ctx->req.body, SVL_STR("Hello, world!")))
        return SVL_ERROR;
    svl_text(ctx, 200, ctx->req.body);
    svl_content_type(ctx, SVL_STR("text/plain"));
    count(ctx);
    return SVL_DONE;
}

static enum svl_verdict on_big(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_text(ctx, 200, (svl_str){big, sizeof big});
    svl_content_type(ctx, SVL_STR("text/plain"));
    count(ctx);
    return SVL_DONE;
}

/* As if it had not been read: the bytes are the same everywhere. */
static void unread(struct fake *from, size_t n, struct fake *to)
{
    to->left = from->left + n;
    to->at = (from->at + text_len - n % text_len) % text_len;
    from->left = 0;
}

static struct fake *open_fake(void)
{
    return (struct fake *)svl_conn_new(part->worker, &fake, &svl_h1);
}

/* The connection that was taken over is served by another server, as nested ServeConn() does. */
static void on_taken(struct svl_raw *raw, void *arg, svl_str rest)
{
    struct fake *nested = open_fake();

    (void)arg;
    nested->taken = true;
    unread(part->outer, rest.n, nested);
    part->nested = nested;
    svl_conn_start(&nested->conn);
    svl_raw_close(raw);
}

static enum svl_verdict on_hijack(struct svl_ctx *ctx, void *arg)
{
    static const struct svl_raw_events events = {.on_data = on_taken};

    (void)arg;
    svl_text(ctx, 200, SVL_STR("123"));
    svl_content_type(ctx, SVL_STR("foobar"));
    count(ctx);
    if (!part->outer->taken)
        svl_hijack(ctx, &events, NULL);
    return SVL_DONE;
}

/* Where no handler of ours counts, what was answered follows from what was read. */
static bool counts_itself(void)
{
    return strcmp(twin->name, "fs") != 0;
}

static struct fake *open_one(unsigned long requests)
{
    struct fake *f = open_fake();

    f->left = requests * text_len;
    f->at = 0;
    f->taken = false;
    svl_conn_start(&f->conn);
    return f;
}

/* One read of f; returns what has its place now. */
static struct fake *serve(struct fake *f)
{
    part->outer = f;
    part->nested = NULL;
    svl_conn_ready(&f->conn, SVL_WATCH_READ);
    if (part->nested)
        return part->nested;
    while (quota > 1 && svl_conn_blocked(&f->conn)) { /* gives others a turn, which there are not */
        svl_worker_poll(part->worker, false);
        svl_conn_ready(&f->conn, SVL_WATCH_WRITE);
    }
    return f;
}

/* Each connection in turn takes one read, as if all were ready at once. */
static void *run(void *arg)
{
    struct fake **conns;
    unsigned long begun = 0;
    unsigned open = 0;

    part = arg;
    conns = calloc(part->clients, sizeof(struct fake *));
    do {
        for (unsigned i = 0; i < part->clients; i++) {
            if (!conns[i]) {
                unsigned long rest = part->total - begun, requests = quota < rest ? quota : rest;

                if (requests == 0)
                    continue;
                conns[i] = open_one(requests);
                begun += requests;
                open++;
            }
            conns[i] = serve(conns[i]);
            if (quota == 1 && counts_itself()) {
                conns[i] = NULL; /* the answer closed it */
                open--;
            } else if (conns[i]->left == 0) {
                svl_conn_ready(&conns[i]->conn, SVL_WATCH_READ); /* the end */
                conns[i] = NULL;
                open--;
            }
        }
    } while (open || begun < part->total);
    free(conns);
    return NULL;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void refuse(const char *what)
{
    fprintf(stderr, "micro_server: %s\n%s", what, usage);
    exit(2);
}

/* The server whose workers' protocol is measured: with a handler only, or with a module. */
static struct svl_server *open_server(unsigned threads)
{
    struct svl_server_config config = {.workers = threads, .handler = on_get, .name = "fasthttp"};
    struct svl_server *server = NULL;

    if (!strcmp(twin->name, "post"))
        config.handler = on_post;
    if (!strcmp(twin->name, "hijack"))
        config.handler = on_hijack;
    if (!strcmp(twin->name, "big"))
        config.handler = on_big;
    if (!strcmp(twin->name, "fs")) {
#if SVL_HAVE_FS
        static struct svl_fs_config fs;
        static const struct svl_use chain[] = {{&svl_fs_module, &fs}, SVL_USE_END};

        fs.root = root;
        fs.revalidate_us = 2000000000; /* no look depends on the time */
        config.chain = chain;
        config.handler = NULL;
#else
        refuse("the module fs is not built in");
#endif
    }
    if (!strcmp(twin->name, "router")) {
#ifdef ROUTES_H
        static struct svl_router_config router;
        static const struct svl_use chain[] = {{&svl_router_module, &router}, SVL_USE_END};

        router.routes = routes_read(routes, on_get);
        config.chain = chain;
        config.handler = NULL;
#else
        refuse("the module router is not built in");
#endif
    }
    if (svl_server_open(&server, &config) != 0)
        exit(3);
    return server;
}

static const struct twin *find_twin(const char *name)
{
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++)
        if (!strcmp(twins[i].name, name))
            return &twins[i];
    refuse("no such twin");
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned long total = 3000000, clients = 2, threads = 1;
    unsigned long answered = 0;
    size_t written = 0, expected;
    struct svl_server *server;
    struct part parts[64] = {{0}};
    double begin, took;

    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];

        if (!value)
            refuse("a value is missing");
        if (!strcmp(argv[i], "--twin"))
            twin = find_twin(value);
        else if (!strcmp(argv[i], "--requests"))
            total = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--per-conn"))
            quota = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--clients"))
            clients = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--threads"))
            threads = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--count"))
            shared = strcmp(value, "apart") != 0;
        else if (!strcmp(argv[i], "--root"))
            root = value;
        else if (!strcmp(argv[i], "--routes"))
            routes = value;
        else
            refuse("no such option");
    }
    if (threads < 1 || threads > sizeof parts / sizeof *parts || clients < threads || quota < 1)
        refuse("a number is out of range");
    text_len = strlen(twin->text);
    for (size_t i = 0; i < sizeof cycle; i++)
        cycle[i] = twin->text[i % text_len];
    SVL_ASSERT(sizeof(struct fake) <= svl_conn_size() && text_len < sizeof cycle - READ_SIZE);

    server = open_server((unsigned)threads);
    for (unsigned i = 0; i < threads; i++)
        parts[i] = (struct part){.worker = svl_server_worker(server, i),
                                 .total = total * (i + 1) / threads - total * i / threads,
                                 .clients = (unsigned)(clients / threads)};
    begin = now();
    for (unsigned i = 1; i < threads; i++)
        SVL_ASSERT(pthread_create(&parts[i].thread, NULL, run, &parts[i]) == 0);
    run(&parts[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(parts[i].thread, NULL);
    took = now() - begin;

    for (unsigned i = 0; i < threads; i++) {
        written += parts[i].written;
        answered += parts[i].answered;
    }
    printf("{\"requests\":%lu,\"ns\":%.2f,\"bytes\":%.2f}\n", total, took / (double)total,
           (double)written / (double)total);
    expected = total * (twin->answer + (quota == 1 ? CLOSE_FIELD : 0));
    if (counts_itself() &&
        (answered != total || (shared && atomic_load(&served) != total) || written != expected)) {
        fprintf(stderr, "served %lu of %lu, wrote %zu bytes instead of %zu\n", answered, total,
                written, expected);
        return 1;
    }
    svl_server_close(server);
    return 0;
}
