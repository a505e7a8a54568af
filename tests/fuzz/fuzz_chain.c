/* Modules that do anything a module may do, chains that lead into others, a router with steps, timeouts,
 * work on other threads, clients that come and go, deadlines and a stop at any
 * moment: every request that was carried into a module comes out of it once, and nothing is left.
 * The input is read as a list of decisions; when it ends, every decision is 0. */
#include "base/check.h"
#include "run/exchange.h"
#include "run/server.h"
#include "serval/mod/router.h"
#include "serval/mod/timeout.h"
#include "support/answers.h"
#include "support/loopback.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#define LINKS 32 /* of the deepest chain, and more */
#define HELD 64

struct slot {
    bool entered, done;
};

static const uint8_t *input;
static size_t left;
static unsigned entered[LINKS], done[LINKS]; /* by place */
static struct svl_ctx *held[HELD];           /* on loan to us */
static unsigned n_held;
static struct svl_ctx *sources[HELD];
static unsigned n_sources;
static unsigned steps_entered, steps_ended;
static bool threads; /* work goes to them: few inputs do that, because they are slow */

static unsigned decide(unsigned n)
{
    if (left == 0)
        return 0;
    left--;
    return *input++ % n;
}

/* Loans ------------------------------------------------------------------------------------ */

static enum svl_verdict any_verdict(struct svl_ctx *ctx);

static void resume(unsigned i)
{
    struct svl_ctx *ctx = held[i];
    enum svl_verdict v;

    held[i] = held[--n_held];
    v = any_verdict(ctx);
    svl_resume(ctx, v);
}

static void cancel(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < n_held; i++) {
        if (held[i] == ctx && decide(2)) {
            resume(i);
            return;
        }
    }
}

static enum svl_verdict pend(struct svl_ctx *ctx)
{
    enum svl_verdict v;

    if (n_held == HELD)
        return SVL_ERROR;
    v = svl_pend(ctx, decide(2) ? cancel : NULL, NULL);
    if (decide(4) == 3) {
        svl_resume(ctx, any_verdict(ctx)); /* before the hook has returned */
        return v;
    }
    held[n_held++] = ctx;
    return v;
}

/* Work that ends when it is let go. Which thread is how far differs from run to run, what is asserted
 * does not. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside, let_go;
    bool open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void work(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    while (!gate.open && gate.let_go == 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    if (gate.let_go > 0)
        gate.let_go--;
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
}

static void let_one_go(void)
{
    pthread_mutex_lock(&gate.lock);
    if (gate.inside > gate.let_go)
        gate.let_go++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    sched_yield();
}

static void set_gate(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    gate.let_go = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Answers ---------------------------------------------------------------------------------- */

static void forget_source(void *arg)
{
    for (unsigned i = 0; i < n_sources; i++)
        if (sources[i] == arg)
            sources[i] = sources[--n_sources];
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    size_t n = decide(200) * 10;

    (void)ctx;
    switch (decide(8)) {
    case 0: n = 0; break;
    case 1: return -EAGAIN;
    case 2: return -EIO;
    default: break;
    }
    if (n == 0 && arg) /* it has a length: to end before that would be a mistake */
        return -EIO;
    if (n > room)
        n = room;
    memset(to, 's', n);
    return (ssize_t)n;
}

static void body(struct svl_ctx *ctx)
{
    static const char text[20000];
    int64_t length;

    switch (decide(5)) {
    case 0: svl_text(ctx, 200, SVL_STR("ok")); break;
    case 1: svl_text(ctx, 200, (svl_str){text, decide(256) * 78}); break;
    case 2:
        svl_status(ctx, 200);
        length = decide(2) ? -1 : (int64_t)decide(256) * 10;
        svl_body_source(ctx, pull, length < 0 ? NULL : ctx, length);
        if (n_sources < HELD) {
            sources[n_sources++] = ctx;
            svl_on_free(ctx, forget_source, ctx);
        }
        break;
    case 3: svl_status(ctx, decide(2) ? 204 : 304); break;
    case 4: svl_fail(ctx, 400 + (int)decide(100), NULL); break;
    }
    if (decide(8) == 7)
        svl_close(ctx);
}

static enum svl_verdict any_verdict(struct svl_ctx *ctx)
{
    switch (decide(4)) {
    case 0: return SVL_NEXT;
    case 1: return SVL_ERROR;
    default: body(ctx); return SVL_DONE;
    }
}

static enum svl_verdict piece(struct svl_ctx *ctx, void *arg, svl_str bytes, enum svl_piece kind)
{
    (void)arg;
    (void)bytes;
    if (kind != SVL_PIECE && decide(2) && n_held < HELD) {
        held[n_held++] = ctx;
        return SVL_PENDING;
    }
    if (kind != SVL_PIECE || decide(8) == 7)
        return any_verdict(ctx);
    return SVL_PENDING;
}

/* Hooks ------------------------------------------------------------------------------------ */

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct slot *slot = svl_slot(self, ctx);

    SVL_ASSERT(!slot->done);
    if (!slot->entered)
        entered[self->index]++;
    slot->entered = true;
    if (self->n_inner && decide(2))
        svl_enter(self, ctx, decide(self->n_inner));
    switch (decide(8)) {
    case 0:
    case 1: return SVL_NEXT;
    case 2: body(ctx); return SVL_DONE;
    case 3: return pend(ctx);
    case 4: return ctx->req.body.p ? SVL_NEXT : svl_await_body(ctx);
    case 5:
        if (decide(2))
            svl_deadline(self, ctx, 1 + decide(100), 503);
        return SVL_NEXT;
    case 6: return SVL_ERROR;
    default: return ctx->req.body.p ? pend(ctx) : svl_stream_body(ctx, piece, NULL);
    }
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    switch (decide(8)) {
    case 0: return pend(ctx);
    case 1: return SVL_ERROR;
    case 2: svl_header_set_name(ctx, SVL_STR("X-Seen"), SVL_STR("yes")); return SVL_NEXT;
    case 3: body(ctx); return SVL_NEXT;
    default: return SVL_NEXT;
    }
}

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct slot *slot = svl_slot(self, ctx);

    SVL_ASSERT(slot->entered && !slot->done);
    slot->done = true;
    done[self->index]++;
}

static enum svl_verdict on_failure(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct slot *slot = svl_slot(self, ctx);

    SVL_ASSERT(slot->entered && !slot->done && ctx->res.status >= 400);
    switch (decide(4)) {
    case 0: body(ctx); return SVL_DONE;
    case 1: return pend(ctx);
    case 2: return SVL_ERROR;
    default: return SVL_NEXT;
    }
}

/* What a use leads into: its config is the list of lists, NULL = nothing. */
struct config {
    const struct svl_use *const *const *inner;
};

static const struct svl_use *const *inner(const void *arg, unsigned i)
{
    const struct config *cfg = arg;

    return cfg->inner ? cfg->inner[i] : NULL;
}

static const struct svl_module module = {
    .name = "any",
    .config_size = sizeof(struct config),
    .inner = inner,
    .on_failure = on_failure,
    .slot_size = sizeof(struct slot),
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
};

/* Routes ----------------------------------------------------------------------------------- */

static enum svl_verdict reply(struct svl_ctx *ctx, void *arg);

static enum svl_verdict offload(struct svl_ctx *ctx)
{
    static const struct svl_work works[3] = {{work, NULL}, {work, NULL}, {work, NULL}};

    if (!threads)
        return pend(ctx);
    if (decide(2))
        return svl_offload(ctx, work, reply, NULL);
    return svl_offload_all(ctx, works, decide(4), reply, NULL);
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    switch (decide(6)) {
    case 0: body(ctx); return SVL_DONE;
    case 1: return pend(ctx);
    case 2: svl_timeout_set(ctx, decide(2) ? SVL_NEVER : 1 + decide(50)); return offload(ctx);
    case 3: return SVL_ERROR;
    case 4: return SVL_NEXT;
    default: return offload(ctx);
    }
}

static enum svl_verdict reply(struct svl_ctx *ctx, void *arg)
{
    return handler(ctx, arg);
}

static enum svl_verdict before(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    steps_entered++;
    switch (decide(6)) {
    case 0: return pend(ctx);
    case 1: return offload(ctx);
    case 2: return any_verdict(ctx);
    default: return SVL_NEXT;
    }
}

static enum svl_verdict after(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    switch (decide(6)) {
    case 0: return pend(ctx);
    case 1: return SVL_ERROR;
    default: return SVL_NEXT;
    }
}

static void final(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    steps_ended++;
}

static enum svl_verdict see_to_error(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    SVL_ASSERT(ctx->res.status >= 400);
    return decide(2) ? pend(ctx) : any_verdict(ctx);
}

static const struct svl_step steps[] = {{before, after, final, NULL}, SVL_STEP_END};
static const struct svl_use guards[] = {
    {&module, NULL},
    SVL_USE(timeout, .after_ms = 20, .status = 504, .max_running = 2),
    SVL_USE_END};
static const struct svl_use mounted[] = {{&module, NULL}, SVL_USE_END};
static const struct svl_group inner_group = {
    .prefix = "/in",
    .steps = steps,
    .error = see_to_error,
    .routes = (const struct svl_route[]){SVL_ROUTE("*", "/{x}", handler, .chain = mounted),
                                         SVL_ROUTE_END}};
static const struct svl_group group = {
    .prefix = "/g",
    .steps = steps,
    .chain = guards,
    .error = see_to_error,
    .not_found = handler,
    .always = true,
    .groups = (const struct svl_group *const[]){&inner_group, NULL},
    .routes = (const struct svl_route[]){SVL_ROUTE("GET,POST", "/x", handler, .steps = steps),
                                         SVL_MOUNT("/m", mounted), SVL_ROUTE_END}};
static const struct svl_group *const groups[] = {&group, NULL};
static const struct svl_route routes[] = {
    SVL_ROUTE("GET", "/r", handler),
    SVL_ROUTE("POST", "/r", handler, .flags = SVL_ROUTE_NO_BODY),
    SVL_ROUTE_END,
};

/* The world -------------------------------------------------------------------------------- */

static const char *const requests[] = {
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /r HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "GET /g/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /g/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
    "GET /g/in/7 HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT /g/in/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "GET /g/m/file HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS /g/none HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhel",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "lo\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\n",
    "Host: x\r\n\r\n",
    "rubbish\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nhel",
};

static void act(struct loopback *l)
{
    unsigned which = decide(sizeof requests / sizeof *requests);

    switch (decide(12)) {
    case 0:
    case 1:
    case 2: loopback_offer(l, svl_str_of(requests[which])); break;
    case 3:
        if (n_held > 0)
            resume(decide(n_held));
        break;
    case 4:
        if (n_sources > 0)
            svl_body_more(sources[decide(n_sources)]);
        break;
    case 5: loopback_reset(l); break;
    case 6: loopback_eof(l); break;
    case 7: loopback_pass(l, decide(256) * 60); break;
    case 8: loopback_room(l, decide(4) ? decide(256) * 4 : SIZE_MAX); break;
    case 9:
    case 10: let_one_go(); break;
    default:
        if (loopback_closed(l))
            loopback_reconnect(l);
        break;
    }
}

static bool all_over(void *arg)
{
    while (n_held > 0)
        resume(0);
    return loopback_exchanges(arg) == 0;
}

/* The client takes all, then goes; what is still held is paid back. */
static void settle(struct loopback *l)
{
    loopback_room(l, SIZE_MAX);
    loopback_round(l);
    loopback_reset(l);
    set_gate(true);
    loopback_until(l, all_over, l);
    set_gate(false);
    SVL_ASSERT(steps_entered == steps_ended);
    for (unsigned i = 0; i < LINKS; i++)
        SVL_ASSERT(entered[i] == done[i]);
    SVL_ASSERT(n_sources == 0);
}

#define LIST(...)                                                                                  \
    (const struct svl_use *const[])                                                                \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define LEADS(...)                                                                                 \
    &(const struct config)                                                                         \
    {                                                                                              \
        (const struct svl_use *const *const[])                                                     \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

static const struct svl_use plain_a = {&module, NULL}, plain_b = {&module, NULL};
static const struct svl_use nested = {&module, LEADS(LIST(&plain_a), LIST(&plain_b, &plain_a))};
static const struct svl_server_config config = {
    .chain = (const struct svl_use[]){{&module, NULL},
                                      {&module, LEADS(LIST(&plain_a), LIST(&plain_b, &nested))},
                                      SVL_USE(timeout, .after_ms = 40, .max_running = 3),
                                      SVL_USE(router, .routes = routes, .groups = groups,
                                              .steps = steps, .fallthrough = true),
                                      {&module, LEADS(LIST(&nested))},
                                      SVL_USE_END},
    .offload_threads = 2,
    .offload_queue = 3,
    .max_body = 4000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct loopback *l;
    bool stop;

    if (!l)
        l = loopback_open(&config);
    if (len > 400)
        return -1;
    input = data;
    left = len;
    memset(entered, 0, sizeof entered);
    memset(done, 0, sizeof done);
    steps_entered = steps_ended = 0;
    stop = decide(16) == 15;
    threads = decide(64) == 63;
    loopback_reconnect(l);
    while (left > 0) {
        act(l);
        loopback_round(l);
        if (stop && decide(32) == 31) {
            loopback_stop(l);
            break;
        }
    }
    if (stop) {
        loopback_stop(l);
        settle(l);
        loopback_close(l);
        l = NULL;
        return 0;
    }
    settle(l);
    return 0;
}
