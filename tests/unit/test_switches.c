/* Switches, hooks and counters of a server. */
#include "serval/hijack.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct svl_ctx *held[4];
static int n_held, n_refused, n_handled;

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    n_handled++;
    if (svl_str_eq(ctx->req.path, SVL_STR("/hold"))) {
        held[n_held++] = ctx;
        return svl_pend(ctx, NULL, NULL);
    }
    if (svl_str_eq(ctx->req.path, SVL_STR("/fail")))
        return svl_fail(ctx, 418, "short and stout");
    if (svl_str_eq(ctx->req.path, SVL_STR("/error")))
        return SVL_ERROR;
    if (svl_str_eq(ctx->req.path, SVL_STR("/close")))
        svl_close(ctx);
    if (svl_str_eq(ctx->req.path, SVL_STR("/untyped"))) {
        svl_body_bytes(ctx, SVL_STR("bytes"));
        return SVL_DONE;
    }
    if (svl_str_eq(ctx->req.path, SVL_STR("/empty"))) {
        svl_status(ctx, 204);
        return SVL_DONE;
    }
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static void on_refused(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self, (void)ctx;
    n_refused++;
}

static const struct svl_module watching = {.name = "watching", .on_refused = on_refused};
static const struct svl_use chain[] = {{&watching, NULL}, SVL_USE_END};
static struct loopback *l;

static void open_with(struct svl_server_config config)
{
    config.handler = handler;
    config.chain = chain;
    l = loopback_open(&config);
}

static void end(void)
{
    loopback_close(l);
}

TestSuite(switches, .fini = end);

static void expect(svl_str answer, int status)
{
    cr_assert_eq(loopback_status(answer), status, "%.*s", SVL_FMT(answer));
}

#define ON(client, target)                                                                         \
    (loopback_take_on(l, client),                                                                  \
     loopback_send_on(l, client, SVL_STR("GET " target " HTTP/1.1\r\nHost: x\r\n\r\n")),           \
     loopback_take_on(l, client))

/* Fields ----------------------------------------------------------------------------------- */

Test(switches, all_off_sends_date_and_server)
{
    svl_str answer;

    open_with((struct svl_server_config){0});
    answer = loopback_get(l, "/untyped", "");
    cr_assert(loopback_field(answer, "Date").p);
    cr_assert(loopback_field(answer, "Server").p);
    cr_assert_null(loopback_field(answer, "Content-Type").p);
    cr_assert_null(loopback_field(answer, "Connection").p);
}

Test(switches, no_date_and_an_empty_name_leave_both_fields_out)
{
    svl_str answer;

    open_with((struct svl_server_config){.no_date = true, .name = ""});
    answer = loopback_get(l, "/", "");
    cr_assert_null(loopback_field(answer, "Date").p);
    cr_assert_null(loopback_field(answer, "Server").p);
    expect(answer, 200);
}

Test(switches, a_default_type_is_for_bodies_that_have_none)
{
    open_with((struct svl_server_config){.default_type = "application/x"});
    cr_assert(svl_str_eq(loopback_field(loopback_get(l, "/untyped", ""), "Content-Type"),
                         SVL_STR("application/x")));
    cr_assert(svl_str_starts(loopback_field(loopback_get(l, "/", ""), "Content-Type"),
                             SVL_STR("text/plain")));
    cr_assert_null(loopback_field(loopback_get(l, "/empty", ""), "Content-Type").p);
}

Test(switches, no_keep_alive_closes_after_each_answer)
{
    svl_str answer;

    open_with((struct svl_server_config){.no_keep_alive = true});
    answer = loopback_get(l, "/", "");
    cr_assert(svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close")));
    cr_assert(loopback_closed(l));
}

/* Methods ---------------------------------------------------------------------------------- */

Test(switches, get_only_takes_get_and_head_and_keeps_the_connection)
{
    svl_str answer;

    open_with((struct svl_server_config){.get_only = true});
    expect(loopback_ask(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    expect(loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    answer = loopback_ask(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    expect(answer, 405);
    cr_assert(svl_str_eq(loopback_field(answer, "Allow"), SVL_STR("GET, HEAD")));
    cr_assert_eq(n_refused, 1);
    cr_assert_eq(n_handled, 2);
    expect(loopback_ask(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
}

Test(switches, get_only_refuses_before_the_body_is_asked_for)
{
    open_with((struct svl_server_config){.get_only = true});
    expect(loopback_ask(l, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                           "Expect: 100-continue\r\n\r\n"),
           405);
}

/* Limits ----------------------------------------------------------------------------------- */

static void from(unsigned client, uint8_t last)
{
    loopback_address(l, client,
                     &(struct svl_address){.family = AF_INET, .port = 1, .ip = {192, 0, 2, last}});
}

Test(switches, max_per_address_answers_429_to_one_too_many)
{
    svl_str answer;

    open_with((struct svl_server_config){.max_per_address = 2});
    for (unsigned i = 1; i <= 4; i++)
        from(i, i == 4 ? 8 : 7);
    expect(ON(1, "/"), 200);
    expect(ON(2, "/"), 200);
    answer = loopback_take_on(l, 3); /* connects, says nothing */
    expect(answer, 429);
    cr_assert(svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close")));
    expect(ON(4, "/"), 200);
    expect(ON(0, "/"), 200); /* in memory: has no address */
    cr_assert_eq(n_refused, 1);
}

Test(switches, max_per_address_has_room_again_when_one_has_gone)
{
    open_with((struct svl_server_config){.max_per_address = 1});
    for (unsigned i = 1; i <= 3; i++)
        from(i, 7);
    expect(ON(1, "/"), 200);
    expect(loopback_take_on(l, 2), 429);
    loopback_reset_on(l, 1);
    expect(ON(3, "/"), 200);
}

Test(switches, what_a_refused_client_sends_is_dropped_and_not_answered)
{
    open_with((struct svl_server_config){.max_per_address = 1});
    from(1, 7), from(2, 7);
    expect(ON(1, "/"), 200);
    expect(loopback_take_on(l, 2), 429);
    cr_assert_eq(ON(2, "/").n, 0);
    cr_assert_eq(n_handled, 1);
    loopback_pass(l, 3000);
}

Test(switches, max_in_flight_answers_503_above_it_and_keeps_the_connection)
{
    svl_str answer;

    open_with((struct svl_server_config){.max_in_flight = 2, .retry_after = 7});
    ON(1, "/hold");
    ON(2, "/hold");
    answer = ON(3, "/");
    expect(answer, 503);
    cr_assert(svl_str_eq(loopback_field(answer, "Retry-After"), SVL_STR("7")));
    cr_assert_null(loopback_field(answer, "Connection").p);
    svl_text(held[0], 200, SVL_STR("late"));
    svl_resume(held[0], SVL_DONE);
    expect(ON(3, "/"), 200);
    svl_resume(held[1], SVL_DONE);
}

Test(switches, work_whose_client_has_gone_is_still_in_flight)
{
    open_with((struct svl_server_config){.max_in_flight = 1});
    ON(1, "/hold");
    loopback_reset_on(l, 1);
    expect(ON(2, "/"), 503);
    svl_resume(held[0], SVL_DONE);
    expect(ON(2, "/"), 200);
}

/* Hooks ------------------------------------------------------------------------------------ */

static int magic;

static enum svl_verdict on_head(const struct svl_link *self, struct svl_ctx *ctx, void *arg)
{
    cr_assert_eq(arg, &magic);
    if (svl_str_eq(ctx->req.path, SVL_STR("/small")))
        svl_body_limit(ctx, 3);
    if (svl_str_eq(ctx->req.path, SVL_STR("/hold")))
        svl_deadline(self, ctx, 500, 504);
    if (svl_str_eq(ctx->req.path, SVL_STR("/no")))
        return svl_fail(ctx, 417, NULL);
    return SVL_NEXT;
}

#define SMALL(length, body)                                                                        \
    "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: " length "\r\n\r\n" body

Test(switches, on_head_limits_the_body_of_one_request)
{
    open_with((struct svl_server_config){.on_head = on_head, .hook_arg = &magic});
    expect(loopback_ask(l, SMALL("2", "ab")), 200);
    expect(loopback_ask(l, SMALL("3", "abc")), 200);
    expect(loopback_ask(l, SMALL("4", "abcd")), 413);
    expect(loopback_ask(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd"), 200);
}

Test(switches, on_head_gives_one_request_a_deadline)
{
    open_with((struct svl_server_config){.on_head = on_head, .hook_arg = &magic});
    loopback_get(l, "/hold", "");
    loopback_pass(l, 600);
    expect(loopback_take(l), 504);
    svl_resume(held[0], SVL_DONE);
}

Test(switches, on_head_refuses_before_the_body_is_asked_for)
{
    open_with((struct svl_server_config){.on_head = on_head, .hook_arg = &magic});
    expect(loopback_ask(l, "POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                           "Expect: 100-continue\r\n\r\n"),
           417);
    cr_assert_eq(n_handled, 0);
}

static void on_error(struct svl_ctx *ctx, int status, const char *why, void *arg)
{
    cr_assert_eq(arg, &magic);
    svl_response_reset(ctx);
    svl_status(ctx, status == 418 ? 499 : status);
    svl_content_type(ctx, SVL_STR("application/json"));
    svl_body_copy(ctx, svl_printf(ctx, "{\"error\":%d,\"why\":\"%s\"}", status, why ? why : ""));
}

static const char *const broken[][2] = {
    {"GET / HTTP/1.1\r\n\r\n", "400"},
    {"GET / HTTP/2.5\r\nHost: x\r\n\r\n", "505"},
    {"\x01\x02\x03", "400"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", "413"},
    {"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
    {"GET /error HTTP/1.1\r\nHost: x\r\n\r\n", "500"},
    {"GET /a-target-that-is-too-long-for-the-limit HTTP/1.1\r\nHost: x\r\n\r\n", "414"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", "431"},
};

Test(switches, on_error_shapes_every_error_of_the_core)
{
    open_with((struct svl_server_config){
        .on_error = on_error, .hook_arg = &magic, .max_target = 20, .max_fields = 3});
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        svl_str answer = loopback_ask(l, broken[i][0]);
        char start[40];

        snprintf(start, sizeof start, "{\"error\":%s,", broken[i][1]);
        expect(answer, atoi(broken[i][1]));
        cr_assert(svl_str_starts(loopback_body(answer), svl_str_of(start)), "%.*s",
                  SVL_FMT(answer));
        loopback_reconnect(l);
    }
}

Test(switches, on_error_shapes_late_ones_and_may_change_the_status)
{
    svl_str answer;

    open_with((struct svl_server_config){.on_error = on_error, .hook_arg = &magic});
    expect(loopback_get(l, "/fail", ""), 499);
    loopback_send(l, "GET / HTTP/1.1\r\nHo");
    loopback_pass(l, 11000);
    answer = loopback_take(l);
    expect(answer, 408);
    cr_assert(svl_str_starts(loopback_body(answer), SVL_STR("{\"error\":408,")));
    cr_assert(svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close")));
    cr_assert(loopback_shut(l));
}

/* States and counters ---------------------------------------------------------------------- */

static char states[200];
static uint64_t ids[200];
static unsigned last_requests;

static void on_state(enum svl_connection_state state, const struct svl_connection *connection,
                     void *arg)
{
    size_t n = strlen(states);

    cr_assert_eq(arg, &magic);
    ids[n] = connection->id;
    states[n] = "NAIHC"[state];
    last_requests = connection->requests;
}

Test(switches, on_state_follows_a_connection)
{
    open_with((struct svl_server_config){.on_state = on_state, .hook_arg = &magic});
    cr_assert_str_eq(states, "N");
    loopback_send(l, "GET / HT");
    cr_assert_str_eq(states, "NA");
    loopback_send(l, "TP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_str_eq(states, "NAI");
    loopback_send(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /close HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_str_eq(states, "NAIAC");
    cr_assert_eq(last_requests, 3);
    for (size_t i = 1; states[i]; i++)
        cr_assert_eq(ids[i], ids[0]);
    loopback_reconnect(l);
    cr_assert_str_eq(states, "NAIACN");
    cr_assert_neq(ids[5], ids[0]);
    cr_assert_neq(ids[5], 0);
}

static void swallow(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)raw, (void)arg, (void)data;
}

static enum svl_verdict take_over(struct svl_ctx *ctx, void *arg)
{
    static const struct svl_raw_events events = {.on_data = swallow};

    (void)arg;
    svl_hijack(ctx, &events, NULL);
    return svl_text(ctx, 200, SVL_STR(""));
}

Test(switches, on_state_ends_with_hijacked)
{
    l = loopback_open(&(struct svl_server_config){
        .handler = take_over, .on_state = on_state, .hook_arg = &magic});
    loopback_get(l, "/", "");
    loopback_reset(l);
    cr_assert_str_eq(states, "NAH");
}

Test(switches, on_state_sees_refused_connections_come_and_go)
{
    open_with(
        (struct svl_server_config){.on_state = on_state, .hook_arg = &magic, .max_per_address = 1});
    from(1, 7), from(2, 7);
    loopback_take_on(l, 1);
    loopback_take_on(l, 2);
    loopback_reset_on(l, 2);
    cr_assert_eq(states[0], 'N');
    cr_assert_eq(states[strlen(states) - 1], 'C');
}

static void expect_counts(uint64_t connections, uint64_t open, uint64_t requests,
                          uint64_t in_flight, uint64_t refused)
{
    struct svl_counts c;

    svl_server_counts(loopback_server(l), &c);
    cr_assert_eq(c.connections, connections);
    cr_assert_eq(c.open, open);
    cr_assert_eq(c.requests, requests, "%lu", (unsigned long)c.requests);
    cr_assert_eq(c.in_flight, in_flight, "%lu", (unsigned long)c.in_flight);
    cr_assert_eq(c.refused, refused);
}

Test(switches, counts_follow)
{
    open_with((struct svl_server_config){.max_in_flight = 1});
    expect_counts(1, 1, 0, 0, 0);
    loopback_get(l, "/", "");
    expect_counts(1, 1, 1, 0, 0);
    ON(1, "/hold");
    expect_counts(2, 2, 2, 1, 0);
    expect(ON(2, "/"), 503);
    expect_counts(3, 3, 3, 1, 1);
    loopback_reset_on(l, 1);
    expect_counts(3, 2, 3, 1, 1);
    svl_resume(held[0], SVL_DONE);
    expect_counts(3, 2, 3, 0, 1);
    loopback_ask(l, "nonsense\r\n\r\n");
    expect_counts(3, 2, 3, 0, 1);
}

Test(switches, counts_are_right_after_a_split)
{
    open_with((struct svl_server_config){.on_head = on_head, .hook_arg = &magic});
    loopback_get(l, "/hold", "");
    loopback_pass(l, 600);
    expect_counts(1, 1, 1, 1, 0); /* whoever holds the ctx is still busy */
    svl_resume(held[0], SVL_DONE);
    expect_counts(1, 1, 1, 0, 0);
}

Test(switches, reduce_memory_serves_as_before)
{
    open_with((struct svl_server_config){.reduce_memory = true});
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 1; i < LOOPBACK_CLIENTS; i++)
            expect(ON(i, "/"), 200);
        loopback_reconnect(l);
        expect(loopback_get(l, "/", ""), 200);
    }
}
