/* The chain without connections: a wire here is a place to drop the answer. */
#include "run/exchange.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct drop {
    struct svl_wire wire; /* first */
    struct svl_exchange *now;
    int status, sends, wanted;
};

static char trail[512];
static struct svl_worker worker;
static struct svl_exchange *held;
static int cancelled;

static void say(const char *who, const char *what)
{
    size_t n = strlen(trail);

    snprintf(trail + n, sizeof trail - n, "%s%s ", who, what);
}

static void drop_send(struct svl_wire *wire, struct svl_exchange *x)
{
    struct drop *drop = (struct drop *)wire;

    cr_assert_eq(drop->now, x);
    drop->status = x->pub.res.status;
    drop->sends++;
    say("!", "send");
}

static void drop_want(struct svl_wire *wire, struct svl_exchange *x)
{
    (void)x;
    ((struct drop *)wire)->wanted++;
}

static void drop_replace(struct svl_wire *wire, struct svl_exchange *old,
                         struct svl_exchange *fresh)
{
    struct drop *drop = (struct drop *)wire;

    cr_assert_eq(drop->now, old);
    drop->now = fresh;
}

static const struct svl_wire_ops ops = {
    .send = drop_send, .want_body = drop_want, .replace = drop_replace};

static const char *name(const struct svl_link *link)
{
    return link->module->name;
}

static enum svl_verdict in(const struct svl_link *link, struct svl_ctx *ctx)
{
    (void)ctx;
    say(name(link), ">");
    return SVL_NEXT;
}

static enum svl_verdict out(const struct svl_link *link, struct svl_ctx *ctx)
{
    (void)ctx;
    say("<", name(link));
    return SVL_NEXT;
}

static void done(const struct svl_link *link, struct svl_ctx *ctx)
{
    (void)ctx;
    say(name(link), ".");
}

static void refused(const struct svl_link *link, struct svl_ctx *ctx)
{
    cr_assert_eq(ctx->res.status, 431);
    say(name(link), "?");
}

static enum svl_verdict answer(const struct svl_link *link, struct svl_ctx *ctx)
{
    say(name(link), ">");
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    cancelled++;
}

static void cancel_now(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    cancelled++;
    svl_resume(ctx, SVL_ERROR);
}

static enum svl_verdict slow(const struct svl_link *link, struct svl_ctx *ctx)
{
    say(name(link), ">");
    held = svl_exchange_of(ctx);
    return svl_pend(ctx, link->config ? cancel_now : on_cancel, NULL);
}

static enum svl_verdict eager(const struct svl_link *link, struct svl_ctx *ctx)
{
    enum svl_verdict v = svl_pend(ctx, NULL, NULL);

    say(name(link), ">");
    svl_status(ctx, 204);
    svl_resume(ctx, SVL_DONE);
    return v;
}

static enum svl_verdict broken(const struct svl_link *link, struct svl_ctx *ctx)
{
    (void)ctx;
    say(name(link), ">");
    return SVL_ERROR;
}

static const struct svl_module A = {
    .name = "a", .on_request = in, .on_response = out, .on_done = done, .on_refused = refused};
static const struct svl_module T = {
    .name = "t", .on_request = in, .on_response = out, .on_done = done};
static const struct svl_module B = {
    .name = "b", .on_request = in, .on_response = out, .on_done = done, .on_refused = refused};
static const struct svl_module H = {
    .name = "h", .on_request = answer, .on_response = out, .on_done = done};
static const struct svl_module S = {
    .name = "s", .on_request = slow, .on_response = out, .on_done = done};
static const struct svl_module E = {.name = "e", .on_request = eager, .on_done = done};
static const struct svl_module X = {.name = "x", .on_request = broken, .on_done = done};
static const struct svl_module W = {
    .name = "w", .on_request = answer, .on_done = done, .needs_body = true};
static const struct svl_module NIL = {.name = "nil"};

static struct drop drop;

static void setup(void)
{
    svl_pool_init(&worker.exchanges, sizeof(struct svl_exchange), 4);
    svl_pool_init(&worker.blocks, SVL_ARENA_BLOCK, 4);
    svl_chunk_store_init(&worker.chunks);
}

static void teardown(void)
{
    svl_pool_finish(&worker.exchanges);
    svl_pool_finish(&worker.blocks);
    svl_chunk_store_finish(&worker.chunks);
}

TestSuite(chain, .init = setup, .fini = teardown);

static struct svl_exchange *begin(struct svl_link *links, unsigned n)
{
    static struct svl_chain chain;
    static const struct svl_limits limits = {8192, 16384, 100, 1000, 16384, 6096, 0};
    static const struct svl_address nobody;

    for (unsigned i = 0; i < n; i++)
        links[i].index = i;
    chain = (struct svl_chain){links, n, n};
    trail[0] = '\0';
    cancelled = 0;
    drop = (struct drop){.wire = {&ops}};
    drop.now = svl_exchange_open(&worker, &drop.wire, &chain, &limits, &nobody);
    return drop.now;
}

static struct svl_exchange *go(struct svl_link *links, unsigned n)
{
    svl_exchange_start(begin(links, n));
    return drop.now;
}

#define CHAIN(...)                                                                                 \
    (struct svl_link[]){__VA_ARGS__},                                                              \
        sizeof((struct svl_link[]){__VA_ARGS__}) / sizeof(struct svl_link)
#define M(m)                                                                                       \
    {                                                                                              \
        .module = &m                                                                               \
    }
#define TRAIL(s) cr_assert_str_eq(trail, s " ")
#define LIVE(n) cr_assert_eq(worker.exchanges.live, n)

Test(chain, goes_in_and_out_in_mirror_order)
{
    svl_exchange_sent(go(CHAIN(M(A), M(NIL), M(B), M(H))));
    TRAIL("a> b> h> <b <a !send h. b. a.");
    cr_assert_eq(drop.status, 200);
    LIVE(0);
}

Test(chain, nobody_answers_is_404)
{
    svl_exchange_sent(go(CHAIN(M(A), M(B))));
    TRAIL("a> b> <b <a !send b. a.");
    cr_assert_eq(drop.status, 404);
    LIVE(0);
}

Test(chain, a_failure_is_500_and_outer_modules_still_see_it)
{
    svl_exchange_sent(go(CHAIN(M(A), M(X), M(H))));
    TRAIL("a> x> <a !send x. a.");
    cr_assert_eq(drop.status, 500);
    LIVE(0);
}

Test(chain, an_answer_before_the_hook_returns_is_not_lost)
{
    svl_exchange_sent(go(CHAIN(M(A), M(E))));
    TRAIL("a> e> <a !send e. a.");
    cr_assert_eq(drop.status, 204);
    LIVE(0);
}

Test(chain, pending_then_next_goes_on_inwards)
{
    struct svl_link links[] = {M(A), M(S), M(H)};

    go(links, 3);
    TRAIL("a> s>");
    svl_resume(&held->pub, SVL_NEXT);
    svl_exchange_sent(drop.now);
    TRAIL("a> s> h> <s <a !send h. s. a.");
    LIVE(0);
}

Test(chain, a_deadline_answers_for_the_outer_half)
{
    struct svl_link links[] = {M(A), M(T), M(B), M(S)};
    struct svl_exchange *x = go(links, 4);

    svl_exchange_expire(x, 1, 503);
    TRAIL("a> t> b> s> <a !send");
    cr_assert_eq(drop.status, 503);
    cr_assert_eq(cancelled, 1);
    cr_assert_neq(drop.now, x);
    LIVE(2);
    svl_exchange_sent(drop.now); /* the connection is free for the next request */
    TRAIL("a> t> b> s> <a !send t. a.");
    LIVE(1);
    held->pub.res.status = 200; /* the busy module comes back: scribbles, pays back */
    svl_resume(&held->pub, SVL_DONE);
    TRAIL("a> t> b> s> <a !send t. a. s. b.");
    cr_assert_eq(drop.sends, 1);
    LIVE(0);
}

Test(chain, a_busy_module_is_back_while_the_deadlines_answer_is_in_flight)
{
    struct svl_link links[] = {M(A), M(T), M(S)};

    svl_exchange_expire(go(links, 3), 1, 503);
    svl_resume(&held->pub, SVL_DONE);
    LIVE(2); /* the lender must outlive the borrower */
    svl_exchange_sent(drop.now);
    TRAIL("a> t> s> <a !send s. t. a.");
    LIVE(0);
}

Test(chain, a_cancel_may_resume_at_once)
{
    struct svl_link links[] = {M(A), M(T), {.module = &S, .config = "now"}};

    svl_exchange_expire(go(links, 3), 1, 504);
    svl_exchange_sent(drop.now);
    cr_assert_eq(drop.status, 504);
    LIVE(0);
}

Test(chain, the_client_goes_while_pending)
{
    struct svl_link links[] = {M(A), M(S)};

    svl_exchange_abandon(go(links, 2));
    cr_assert_eq(cancelled, 1);
    LIVE(1);
    svl_resume(&held->pub, SVL_DONE);
    TRAIL("a> s> s. a.");
    cr_assert_eq(drop.sends, 0);
    LIVE(0);
}

Test(chain, the_client_goes_while_sending)
{
    svl_exchange_abandon(go(CHAIN(M(A), M(H))));
    TRAIL("a> h> <a !send h. a.");
    LIVE(0);
}

Test(chain, a_module_that_needs_the_body_is_asked_when_it_is_there)
{
    struct svl_link links[] = {M(A), M(W)};
    struct svl_exchange *x = begin(links, 2);

    x->pub.req.content_length = 5;
    svl_exchange_start(x);
    TRAIL("a>");
    cr_assert_eq(drop.wanted, 1);
    svl_exchange_body(x, SVL_STR("hello"));
    svl_exchange_sent(x);
    TRAIL("a> w> <a !send w. a.");
    LIVE(0);
}

Test(chain, a_body_over_the_limit_is_refused_before_it_is_read)
{
    struct svl_link links[] = {M(A), M(W)};
    struct svl_exchange *x = begin(links, 2);

    x->pub.req.content_length = 1001;
    svl_exchange_start(x);
    cr_assert_eq(drop.wanted, 0);
    cr_assert_eq(drop.status, 413);
    svl_exchange_sent(x);
    TRAIL("a> <a !send w. a.");
    LIVE(0);
}

Test(chain, the_client_goes_while_its_body_is_awaited)
{
    struct svl_link links[] = {M(A), M(W)};
    struct svl_exchange *x = begin(links, 2);

    x->pub.req.content_length = 5;
    svl_exchange_start(x);
    svl_exchange_abandon(x);
    TRAIL("a> w. a.");
    LIVE(0);
}

Test(chain, a_deadline_while_the_body_is_awaited_leaves_nothing_behind)
{
    struct svl_link links[] = {M(A), M(T), M(W)};
    struct svl_exchange *x = begin(links, 3);

    x->pub.req.content_length = 5;
    svl_exchange_start(x);
    svl_exchange_expire(x, 1, 408);
    svl_exchange_sent(drop.now);
    TRAIL("a> t> w. <a !send t. a.");
    LIVE(0);
}

Test(chain, a_refused_message_is_told_to_the_modules_that_want_to_know)
{
    struct svl_link links[] = {M(A), M(B), M(H)};
    struct svl_exchange *x = begin(links, 3);

    svl_exchange_refuse(x, 431, "too large");
    svl_exchange_sent(x);
    TRAIL("!send b? a?");
    LIVE(0);
}

Test(chain, slots_go_with_the_half_they_belong_to)
{
    struct svl_link links[] = {M(A), M(T), M(S)};
    static struct svl_module with_slot;
    struct svl_exchange *x;
    int *outer, *inner;

    with_slot = T;
    with_slot.slot_size = sizeof(int);
    links[1].module = &with_slot;
    x = go(links, 3);
    outer = svl_slot(&links[1], &x->pub);
    *outer = 7;
    svl_exchange_expire(x, 1, 503);
    inner = svl_slot(&links[1], &drop.now->pub);
    cr_assert_eq(*inner, 7);
    cr_assert_eq(inner, outer);
    svl_resume(&held->pub, SVL_DONE);
    cr_assert_eq(*inner, 7); /* the memory outlives the busy half */
    svl_exchange_sent(drop.now);
    LIVE(0);
}
