/* Blocking calls, calls on a loop of the caller's, and fetches of handlers, over real sockets.
 * ctest-labels: threads */
#include "net/worker.h"
#include "serval/error.h"
#include "serval/serval.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <uv.h>

static struct svl_server *server;
static pthread_t thread;
static struct svl_client *client;
static char big[1000000];

static const char *url_of(char *to, const char *path)
{
    const char *address = svl_server_address(server, 0); /* ends in '/' */

    snprintf(to, 200, "%s%s", address, path + 1);
    return to;
}

static svl_str url_in(struct svl_ctx *ctx, const char *path)
{
    return svl_str_of(url_of(svl_alloc(ctx, 200), path));
}

static enum svl_verdict fetched(struct svl_ctx *ctx, const struct svl_reply *reply, void *arg)
{
    (void)arg;
    return svl_text(ctx, reply->error ? 502 : reply->status, reply->body);
}

static enum svl_verdict fetched_late(struct svl_ctx *ctx, const struct svl_reply *reply, void *arg)
{
    (void)arg;
    return svl_text(ctx, 502, reply->error == -ETIMEDOUT ? SVL_STR("timed out") : reply->body);
}

static enum svl_verdict fetched_all(struct svl_ctx *ctx, const struct svl_reply *const *replies,
                                    unsigned n, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%u %d %.*s", n, replies[0]->error == -ETIMEDOUT,
                               SVL_FMT(replies[1]->body)));
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict handle(struct svl_ctx *ctx, void *arg)
{
    svl_str path = ctx->req.path;

    (void)arg;
    if (svl_str_eq(path, SVL_STR("/big")))
        return svl_text(ctx, 200, (svl_str){big, sizeof big});
    if (svl_str_eq(path, SVL_STR("/slow")))
        return svl_pend(ctx, on_cancel, NULL); /* until nobody waits any more */
    if (svl_str_eq(path, SVL_STR("/fetch")))
        return svl_fetch(ctx, client,
                         &(struct svl_fetch){.url = url_in(ctx, "/echo"), .body = ctx->req.body},
                         fetched, NULL);
    if (svl_str_eq(path, SVL_STR("/wait")))
        return svl_fetch(ctx, client, &(struct svl_fetch){.url = url_in(ctx, "/slow")}, fetched,
                         NULL);
    if (svl_str_eq(path, SVL_STR("/until")))
        return svl_fetch(
            ctx, client,
            &(struct svl_fetch){.url = url_in(ctx, "/slow"), .deadline_ns = svl_in_ms(20)},
            fetched_late, NULL);
    if (svl_str_eq(path, SVL_STR("/all")))
        return svl_fetch_all(
            ctx, client,
            (struct svl_fetch[]){{.url = url_in(ctx, "/slow"), .timeout_ms = 30},
                                 {.url = url_in(ctx, "/echo"), .body = SVL_STR("x")}},
            2, fetched_all, NULL);
    return svl_text(ctx, 200, ctx->req.body);
}

static void *run(void *arg)
{
    svl_server_run(arg);
    return NULL;
}

static void begin(void)
{
    struct svl_server_config config = {
        .listen = {"127.0.0.1:0"},
        .handler = handle,
        .workers = 1,
        .grace_ms = 1, /* nobody waits for what /slow holds */
    };

    memset(big, 'b', sizeof big);
    cr_assert_eq(svl_client_open(&client, &(struct svl_client_config){0}), 0);
    cr_assert_eq(svl_server_open(&server, &config), 0);
    pthread_create(&thread, NULL, run, server);
}

static void end(void)
{
    svl_server_stop(server);
    pthread_join(thread, NULL);
    svl_server_close(server);
    svl_client_close(client);
}

TestSuite(client_sync, .init = begin, .fini = end);

static void echo(const char *path, svl_str body)
{
    struct svl_reply *reply;
    char url[200];
    int err = svl_http_do(
        client, &(struct svl_fetch){.url = svl_str_of(url_of(url, path)), .body = body}, &reply);

    cr_assert_eq(err, 0, "%s", svl_strerror(err));
    cr_assert_eq(reply->status, 200);
    cr_assert(svl_str_eq(reply->body, body));
    cr_assert(svl_str_eq(svl_reply_header(reply, SVL_H_SERVER), SVL_STR("serval")));
    svl_reply_free(reply);
}

Test(client_sync, one_after_the_other)
{
    for (int i = 0; i < 20; i++)
        echo("/echo", SVL_STR("hello"));
}

Test(client_sync, large_bodies)
{
    struct svl_reply *reply;
    char url[200];

    echo("/echo", (svl_str){big, 100000});
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(svl_http_do(client,
                                 &(struct svl_fetch){.url = svl_str_of(url_of(url, "/big"))},
                                 &reply),
                     0);
        cr_assert_eq(reply->body.n, sizeof big);
        cr_assert(memcmp(reply->body.p, big, sizeof big) == 0);
        svl_reply_free(reply);
    }
}

static struct svl_timing timing_of(const char *path)
{
    struct svl_reply *reply;
    struct svl_timing timing;
    char url[200];

    cr_assert_eq(
        svl_http_do(client,
                    &(struct svl_fetch){.url = svl_str_of(url_of(url, path)), .timing = true},
                    &reply),
        0);
    timing = reply->timing;
    svl_reply_free(reply);
    return timing;
}

Test(client_sync, what_took_how_long)
{
    struct svl_timing fresh = timing_of("/big"), kept = timing_of("/big");

    cr_assert_gt(fresh.resolved, 0);
    cr_assert_geq(fresh.connected, fresh.resolved);
    cr_assert_geq(fresh.sent, fresh.connected);
    cr_assert_geq(fresh.first_byte, fresh.sent);
    cr_assert_geq(fresh.done, fresh.first_byte);
    cr_assert_eq(kept.resolved, 0);
    cr_assert_eq(kept.connected, 0);
    cr_assert_gt(kept.sent, 0);
    cr_assert_geq(kept.done, kept.first_byte);
}

static void *many(void *arg)
{
    for (int i = 0; i < 20; i++)
        echo("/echo", svl_str_of(arg));
    return NULL;
}

Test(client_sync, many_threads_at_once)
{
    pthread_t threads[8];
    char names[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, many, names[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

Test(client_sync, the_time_is_up)
{
    char url[200];
    struct svl_fetch ask = {.url = svl_str_of(url_of(url, "/slow")), .timeout_ms = 20};
    struct svl_reply *reply;

    cr_assert_eq(svl_http_do(client, &ask, &reply), -ETIMEDOUT);
    cr_assert_not_null(reply->why);
    svl_reply_free(reply);
    echo("/echo", SVL_STR("the next one is fine"));
}

/* Not before, and long before the client's own 60 s. */
Test(client_sync, the_point_in_time_has_come)
{
    uint64_t deadline = svl_in_ms(20);
    char url[200];
    struct svl_fetch ask = {.url = svl_str_of(url_of(url, "/slow")), .deadline_ns = deadline};
    struct svl_reply *reply;

    cr_assert_eq(svl_http_do(client, &ask, &reply), -ETIMEDOUT);
    cr_assert_geq(svl_in_ms(0), deadline);
    cr_assert_lt(svl_in_ms(0), deadline + 30 * UINT64_C(1000000000));
    svl_reply_free(reply);
    cr_assert_eq(svl_http_do(client, &ask, &reply), -ETIMEDOUT);
    cr_assert_eq(reply->tries, 0);
    svl_reply_free(reply);
    ask.deadline_ns = svl_in_ms(60000);
    ask.url = svl_str_of(url_of(url, "/echo"));
    cr_assert_eq(svl_http_do(client, &ask, NULL), 0);
}

Test(client_sync, handlers_fetch_until_a_point_in_time)
{
    struct svl_reply *reply;
    char url[200];

    cr_assert_eq(
        svl_http_do(client, &(struct svl_fetch){.url = svl_str_of(url_of(url, "/until"))}, &reply),
        0);
    cr_assert_eq(reply->status, 502);
    cr_assert(svl_str_eq(reply->body, SVL_STR("timed out")), "%.*s", SVL_FMT(reply->body));
    svl_reply_free(reply);
}

Test(client_sync, without_a_client_of_ones_own)
{
    struct svl_reply *reply;
    char url[200];

    cr_assert_eq(svl_http_post(url_of(url, "/echo"), "text/plain", SVL_STR("hi"), &reply), 0);
    cr_assert(svl_str_eq(reply->body, SVL_STR("hi")));
    svl_reply_free(reply);
    cr_assert_eq(svl_http_get(url, NULL), 0);
    cr_assert_eq(svl_http_get("nonsense", NULL), SVL_ESYNTAX);
}

Test(client_sync, nobody_listens)
{
    struct svl_reply *reply;

    cr_assert_eq(
        svl_http_do(client, &(struct svl_fetch){.url = SVL_STR("http://127.0.0.1:1/")}, &reply),
        -ECONNREFUSED);
    cr_assert_eq(reply->status, 0);
    svl_reply_free(reply);
}

Test(client_sync, handlers_fetch)
{
    echo("/fetch", SVL_STR("through a handler"));
    echo("/fetch", (svl_str){big, 100000});
}

Test(client_sync, handlers_fetch_several_and_do_without_the_late)
{
    struct svl_reply *reply;
    char url[200];

    cr_assert_eq(
        svl_http_do(client, &(struct svl_fetch){.url = svl_str_of(url_of(url, "/all"))}, &reply),
        0);
    cr_assert(svl_str_eq(reply->body, SVL_STR("2 1 x")), "%.*s", SVL_FMT(reply->body));
    svl_reply_free(reply);
}

Test(client_sync, a_client_that_leaves_cancels_the_fetch)
{
    char url[200];
    struct svl_fetch ask = {.url = svl_str_of(url_of(url, "/wait")), .timeout_ms = 10};

    cr_assert_eq(svl_http_do(client, &ask, NULL), -ETIMEDOUT);
    echo("/echo", SVL_STR("x"));
}

static enum svl_verdict answer(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, ctx->req.target);
}

static struct svl_pipe *dial(void *arg)
{
    return svl_server_dial(*(struct svl_server **)arg, NULL);
}

static void on_answer(struct svl_reply *reply, void *arg)
{
    cr_assert_eq(reply->error, 0, "%s", reply->why);
    cr_assert(svl_str_eq(reply->body, SVL_STR("/a")));
    ++*(int *)arg;
}

Test(client_sync, in_memory_on_one_loop)
{
    struct svl_server *inner;
    struct svl_client *own;
    int done = 0;

    cr_assert_eq(
        svl_server_open(&inner, &(struct svl_server_config){.handler = answer, .workers = 1}), 0);
    cr_assert_eq(
        svl_client_open(&own, &(struct svl_client_config){.dial_pipe = dial, .dial_arg = &inner}),
        0);
    for (int i = 0; i < 50; i++)
        svl_call(own, svl_server_worker(inner, 0),
                 &(struct svl_fetch){.url = SVL_STR("http://x/a")}, on_answer, &done);
    while (done < 50)
        svl_worker_poll(svl_server_worker(inner, 0), false);
    svl_server_close(inner);
    svl_client_close(own);
}

struct counted {
    struct svl_worker *worker;
    int left, bad;
};

static void on_done(struct svl_reply *reply, void *arg)
{
    struct counted *counted = arg;

    counted->bad += reply->error != 0 || reply->body.n != sizeof big;
    if (--counted->left == 0)
        svl_loop_close(counted->worker);
}

Test(client_sync, on_a_loop_of_the_callers)
{
    struct counted counted = {.left = 10};
    uv_loop_t loop;
    char url[200];

    uv_loop_init(&loop);
    cr_assert_eq(svl_loop_open(&counted.worker, &loop), 0);
    for (int i = 0; i < 10; i++)
        svl_call(client, counted.worker,
                 &(struct svl_fetch){.url = svl_str_of(url_of(url, "/big"))}, on_done, &counted);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(counted.left, 0);
    cr_assert_eq(counted.bad, 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
}
