/* timeout: late modules, the connection that goes on, and what the late answer keeps. */
#include "serval/mod/timeout.h"

#include "net/worker.h"
#include "support/exact.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY 5000

/* What the busy handler holds. */
static struct svl_ctx *held[MANY];
static unsigned n_held, cancels, over;

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    cancels++;
}

static void on_free(void *arg)
{
    (void)arg;
    over++;
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    svl_str path = ctx->req.path;

    (void)arg;
    if (svl_str_eq(path, SVL_STR("/now")))
        return svl_text(ctx, 200, SVL_STR("now\n"));
    if (svl_str_eq(path, SVL_STR("/quick")))
        svl_timeout_set(ctx, 100);
    if (svl_str_eq(path, SVL_STR("/poll")))
        svl_timeout_set(ctx, SVL_NEVER);
    svl_header_set_name(ctx, SVL_STR("X-Inner"), SVL_STR("busy"));
    svl_on_free(ctx, on_free, NULL);
    held[n_held++] = ctx;
    return svl_pend(ctx, on_cancel, NULL);
}

static struct loopback *open_chain(const struct svl_use *chain)
{
    n_held = cancels = over = 0;
    return loopback_open(&(struct svl_server_config){.chain = chain, .handler = handler});
}

#define WITH(...) open_chain((const struct svl_use[]){__VA_ARGS__, SVL_USE_END})

static void expect_status(svl_str answer, int status)
{
    cr_expect_eq(loopback_status(answer), status, "%.*s", SVL_FMT(answer));
}

static svl_str late(struct loopback *l, unsigned ms)
{
    loopback_take(l);
    loopback_pass(l, ms);
    return loopback_take(l);
}

Test(timeout, answers_for_a_busy_handler_and_the_connection_goes_on)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 1000));
    svl_str answer;

    cr_expect_eq(loopback_get(l, "/slow", "").n, 0);
    cr_expect_eq(late(l, 999).n, 0);
    answer = late(l, 1000);
    expect_status(answer, 503);
    cr_expect(!loopback_field(answer, "Connection").p);
    cr_expect(!loopback_field(answer, "X-Inner").p);
    cr_expect_eq(cancels, 1);
    expect_status(loopback_get(l, "/now", ""), 200);
    cr_expect_eq(loopback_exchanges(l), 1);
    svl_text(held[0], 200, SVL_STR("too late\n"));
    svl_resume(held[0], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    cr_expect_eq(over, 1);
    cr_expect_eq(loopback_take(l).n, 0);
    loopback_close(l);
}

Test(timeout, an_answer_in_time_is_the_handlers)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 1000));

    loopback_get(l, "/slow", "");
    svl_text(held[0], 200, SVL_STR("in time\n"));
    svl_resume(held[0], SVL_DONE);
    expect_status(loopback_take(l), 200);
    cr_expect_eq(late(l, 2000).n, 0);
    cr_expect_eq(cancels, 0);
    loopback_close(l);
}

Test(timeout, status_and_body_can_be_chosen)
{
    struct loopback *l =
        WITH(SVL_USE(timeout, .after_ms = 10, .status = 408, .body = "{}", .type = "text/x"));
    svl_str answer;

    loopback_get(l, "/slow", "");
    answer = late(l, 10);
    expect_status(answer, 408);
    cr_expect(svl_str_eq(loopback_body(answer), SVL_STR("{}")));
    cr_expect(svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("text/x")));
    svl_resume(held[0], SVL_DONE);
    loopback_close(l);
}

Test(timeout, a_route_can_have_a_time_of_its_own)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 1000));

    loopback_get(l, "/quick", "");
    expect_status(late(l, 100), 503);
    loopback_get(l, "/poll", "");
    cr_expect_eq(late(l, 3600000).n, 0);
    svl_text(held[1], 200, SVL_STR("at last\n"));
    svl_resume(held[1], SVL_DONE);
    expect_status(loopback_take(l), 200);
    svl_resume(held[0], SVL_DONE);
    loopback_close(l);
}

Test(timeout, never_waits_for_a_route_that_says_so)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = SVL_NEVER));

    loopback_get(l, "/slow", "");
    cr_expect_eq(late(l, 3600000).n, 0);
    svl_resume(held[0], SVL_ERROR);
    expect_status(loopback_take(l), 500);
    loopback_get(l, "/quick", "");
    expect_status(late(l, 100), 503);
    svl_resume(held[1], SVL_DONE);
    loopback_close(l);
}

Test(timeout, nested_ones_each_have_their_time)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 1000, .status = 504),
                              SVL_USE(timeout, .after_ms = 100, .status = 503));

    loopback_get(l, "/slow", "");
    expect_status(late(l, 100), 503);
    cr_expect_eq(late(l, 1000).n, 0);
    loopback_get(l, "/poll", ""); /* takes the inner one off */
    expect_status(late(l, 1000), 504);
    svl_resume(held[0], SVL_DONE);
    svl_resume(held[1], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(timeout, head_http_1_0_and_close_survive_it)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 10));
    svl_str answer;

    loopback_ask(l, "HEAD /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = late(l, 10);
    expect_status(answer, 503);
    cr_expect_eq(loopback_body(answer).n, 0);
    expect_status(loopback_get(l, "/now", ""), 200);

    loopback_get(l, "/slow", "Connection: close\r\n");
    answer = late(l, 10);
    expect_status(answer, 503);
    cr_expect(svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close")));
    cr_expect(loopback_shut(l));

    loopback_reconnect(l);
    loopback_ask(l, "GET /slow HTTP/1.0\r\n\r\n");
    answer = late(l, 10);
    expect_status(answer, 503);
    cr_expect(loopback_shut(l));

    loopback_reconnect(l);
    loopback_ask(l, "GET /slow HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    answer = late(l, 10);
    cr_expect(svl_str_ieq(loopback_field(answer, "Connection"), SVL_STR("keep-alive")));
    cr_expect_not(loopback_shut(l));
    while (n_held > 0)
        svl_resume(held[--n_held], SVL_DONE);
    loopback_close(l);
}

static enum svl_verdict stamp(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    svl_header_set_name(ctx, SVL_STR("X-Request-Id"), SVL_STR("42"));
    svl_header_add(ctx, SVL_H_VARY, SVL_STR("Origin"));
    svl_close(ctx);
    return SVL_NEXT;
}

static enum svl_verdict stamp_out(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    svl_header_set_name(ctx, SVL_STR("X-Out"), SVL_STR("seen"));
    return SVL_NEXT;
}

Test(timeout, what_outer_modules_have_put_into_the_answer_survives_it)
{
    static const struct svl_module outer = {
        .name = "outer", .on_request = stamp, .on_response = stamp_out};
    struct loopback *l = WITH({&outer, NULL}, SVL_USE(timeout, .after_ms = 10));
    svl_str answer;

    loopback_get(l, "/slow", "");
    answer = late(l, 10);
    expect_status(answer, 503);
    cr_expect(svl_str_eq(loopback_field(answer, "X-Request-Id"), SVL_STR("42")));
    cr_expect(svl_str_eq(loopback_field(answer, "Vary"), SVL_STR("Origin")));
    cr_expect(svl_str_eq(loopback_field(answer, "X-Out"), SVL_STR("seen")));
    cr_expect(svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close")));
    svl_resume(held[0], SVL_DONE);
    loopback_close(l);
}

Test(timeout, a_body_that_does_not_come_is_not_waited_for)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 10));

    loopback_send(l, "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    expect_status(late(l, 10), 503);
    cr_expect_eq(n_held, 0);
    cr_expect(loopback_shut(l)); /* where the next request begins is not known */
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(timeout, does_not_count_while_a_slow_client_reads)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 10));

    loopback_room(l, 5);
    loopback_get(l, "/now", "");
    cr_expect_eq(late(l, 100).n, 0);
    loopback_room(l, SIZE_MAX);
    loopback_round(l);
    cr_expect(svl_str_ends(loopback_take(l), SVL_STR("now\n")));
    loopback_close(l);
}

Test(timeout, a_client_that_leaves_takes_its_deadline_along)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 10));

    loopback_get(l, "/slow", "");
    loopback_reset(l);
    cr_expect_eq(cancels, 1);
    loopback_pass(l, 1000);
    svl_resume(held[0], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(timeout, pipelined_requests_wait_behind_the_late_one)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 10));
    svl_str answer;

    loopback_send(l, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = late(l, 10);
    expect_status(answer, 503);
    cr_expect(svl_str_ends(answer, SVL_STR("now\n")));
    svl_resume(held[0], SVL_DONE);
    loopback_close(l);
}

Test(timeout, more_than_may_run_are_refused_until_the_late_ones_are_back)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 10, .max_running = 2));

    loopback_get(l, "/slow", "");
    late(l, 10);
    loopback_get(l, "/slow", "");
    late(l, 10);
    expect_status(loopback_get(l, "/now", ""), 429);
    svl_resume(held[0], SVL_DONE);
    expect_status(loopback_get(l, "/now", ""), 200);
    expect_status(loopback_get(l, "/now", ""), 200);
    svl_resume(held[1], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(timeout, the_servers_switches_survive_it)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){SVL_USE(timeout, .after_ms = 10, .max_running = 1,
                                                  .full_status = 503),
                                          SVL_USE_END},
        .handler = handler,
        .name = "mine",
        .no_date = true});
    svl_str answer;

    loopback_get(l, "/slow", "");
    answer = late(l, 10);
    expect_status(answer, 503);
    cr_expect(svl_str_eq(loopback_field(answer, "Server"), SVL_STR("mine")));
    cr_expect_null(loopback_field(answer, "Date").p);
    answer = loopback_get(l, "/now", "");
    expect_status(answer, 503);
    cr_expect_null(loopback_field(answer, "Date").p);
    svl_resume(held[0], SVL_DONE);
    answer = loopback_get(l, "/now", "");
    expect_status(answer, 200);
    cr_expect(svl_str_eq(loopback_field(answer, "Server"), SVL_STR("mine")));
    loopback_close(l);
}

/* Each request is left behind by its deadline, so that one connection can begin them all. */
Test(timeout, thousands_may_be_pending)
{
    struct loopback *l = WITH(SVL_USE(timeout, .after_ms = 50));
    unsigned answered = 0;

    for (unsigned i = 0; i < MANY; i++) {
        loopback_get(l, "/slow", "");
        answered += loopback_status(late(l, 50)) == 503;
    }
    cr_expect_eq(answered, MANY);
    cr_expect_eq(loopback_exchanges(l), MANY);
    for (unsigned i = 0; i < MANY; i++)
        svl_resume(held[(i * 7919) % MANY], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

static enum svl_verdict held_itself(const struct svl_link *self, struct svl_ctx *ctx)
{
    if (!svl_str_eq(ctx->req.path, SVL_STR("/self")))
        return SVL_NEXT;
    svl_deadline(self, ctx, 20, 504);
    held[n_held++] = ctx;
    return svl_pend(ctx, on_cancel, NULL);
}

Test(timeout, a_module_can_set_a_deadline_for_itself)
{
    static const struct svl_module outer = {.name = "outer", .on_response = stamp_out};
    static const struct svl_module own = {.name = "own", .on_request = held_itself};
    struct loopback *l = WITH({&outer, NULL}, {&own, NULL});
    svl_str answer;

    loopback_get(l, "/self", "");
    answer = late(l, 20);
    expect_status(answer, 504);
    cr_expect(svl_str_eq(loopback_field(answer, "X-Out"), SVL_STR("seen")));
    svl_resume(held[0], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);

    l = WITH({&own, NULL}); /* the outermost one */
    loopback_get(l, "/self", "");
    expect_status(late(l, 20), 504);
    svl_resume(held[0], SVL_DONE);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

static void answer_empty(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_status(ctx, 204);
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict poll(struct svl_ctx *ctx, void *arg)
{
    struct svl_alarm *alarm = svl_alarm_new(ctx, answer_empty, NULL);

    (void)arg;
    svl_alarm_set(alarm, 5);
    svl_alarm_set(alarm, 500);
    return svl_pend(ctx, NULL, NULL);
}

Test(timeout, an_alarm_resumes_what_waits)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = poll});

    loopback_get(l, "/", "");
    cr_expect_eq(late(l, 499).n, 0);
    expect_status(late(l, 500), 204);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}
