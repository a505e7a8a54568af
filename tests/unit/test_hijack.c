/* Connections that are taken over after an answer. */
#include "serval/hijack.h"
#include "support/loopback.h"

#include <criterion/criterion.h>

static struct svl_raw *raw;
static int opened, gone, drained, eofs;

static void on_open(struct svl_raw *r, void *arg)
{
    (void)arg;
    raw = r;
    opened++;
    svl_raw_write(r, SVL_STR("hello "));
}

/* Echoes; a dot ends it. */
static void on_data(struct svl_raw *r, void *arg, svl_str data)
{
    (void)arg;
    svl_raw_write(r, data);
    if (data.n > 0 && data.p[data.n - 1] == '.')
        svl_raw_close(r);
}

static void on_drained(struct svl_raw *r, void *arg)
{
    (void)r;
    (void)arg;
    drained++;
}

static void on_eof(struct svl_raw *r, void *arg)
{
    (void)arg;
    eofs++;
    svl_raw_write(r, SVL_STR("bye"));
    svl_raw_close(r);
}

static void on_gone(struct svl_raw *r, void *arg)
{
    (void)r;
    cr_assert_eq(arg, &gone);
    gone++;
}

static const struct svl_raw_events echo = {.on_open = on_open,
                                           .on_data = on_data,
                                           .on_drained = on_drained,
                                           .on_eof = on_eof,
                                           .on_gone = on_gone};

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/switch")))
        return svl_switch(ctx, SVL_STR("echo"), &echo, &gone);
    if (svl_str_eq(ctx->req.path, SVL_STR("/close")))
        svl_close(ctx);
    if (!svl_str_eq(ctx->req.path, SVL_STR("/plain")))
        svl_hijack(ctx, &echo, &gone);
    return svl_text(ctx, 200, SVL_STR("ok;"));
}

static struct loopback *l;

static void begin(void)
{
    l = loopback_open(&(struct svl_server_config){.handler = handler});
}

static void end(void)
{
    cr_assert_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

TestSuite(hijack, .init = begin, .fini = end);

static void expect_end(const char *text)
{
    svl_str got = loopback_take(l);

    cr_assert(svl_str_ends(got, svl_str_of(text)), "%.*s", SVL_FMT(got));
}

Test(hijack, takes_the_connection_after_the_answer)
{
    loopback_get(l, "/", "");
    cr_assert_eq(opened, 1);
    loopback_send(l, "one");
    expect_end("one");
    loopback_send(l, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_end("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
    loopback_send(l, "end.");
    expect_end("end.");
    cr_assert(loopback_closed(l));
    cr_assert_eq(gone, 1);
}

Test(hijack, gets_what_was_read_behind_the_request)
{
    loopback_send(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\nrest");
    expect_end("ok;hello rest");
}

Test(hijack, waits_for_answers_before_it)
{
    loopback_send(l, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nrest");
    expect_end("ok;hello rest");
    cr_assert_eq(opened, 1);
}

Test(hijack, of_an_answer_that_closes_never_opens_but_is_told)
{
    loopback_get(l, "/close", "");
    cr_assert_eq(opened, 0);
    cr_assert_eq(gone, 1);
    cr_assert(loopback_shut(l));
}

Test(hijack, is_told_when_the_client_leaves)
{
    loopback_get(l, "/", "");
    loopback_reset(l);
    cr_assert_eq(gone, 1);
}

Test(hijack, may_answer_a_client_that_sends_no_more)
{
    loopback_get(l, "/", "");
    loopback_eof(l);
    expect_end("bye");
    cr_assert_eq(eofs, 1);
    cr_assert_eq(gone, 1);
}

Test(hijack, tells_when_a_slow_client_has_caught_up)
{
    loopback_get(l, "/", "");
    loopback_room(l, 0);
    cr_assert_not(svl_raw_write(raw, SVL_STR("slow")));
    cr_assert_eq(drained, 0);
    loopback_room(l, SIZE_MAX);
    cr_assert_eq(drained, 1);
    expect_end("slow");
}

Test(hijack, ends_when_idle_for_too_long)
{
    loopback_get(l, "/", "");
    svl_raw_idle(raw, 1000);
    loopback_pass(l, 1001);
    cr_assert(loopback_closed(l));
    cr_assert_eq(gone, 1);
}

Test(hijack, ends_when_the_server_stops)
{
    loopback_get(l, "/", "");
    loopback_stop(l);
    cr_assert(loopback_closed(l));
    cr_assert_eq(gone, 1);
}

Test(hijack, a_switch_answers_101_to_those_who_ask_for_it)
{
    svl_str answer = loopback_get(l, "/switch", "Connection: upgrade\r\nUpgrade: echo\r\n");

    cr_assert_eq(loopback_status(answer), 101);
    cr_assert(svl_str_eq(loopback_field(answer, "Upgrade"), SVL_STR("echo")));
    cr_assert(svl_str_ieq(loopback_field(answer, "Connection"), SVL_STR("upgrade")));
    cr_assert_null(loopback_field(answer, "Content-Length").p);
    cr_assert(svl_str_ends(answer, SVL_STR("\r\n\r\nhello ")));
}

Test(hijack, a_switch_tells_others_what_they_should_ask_for)
{
    svl_str answer = loopback_get(l, "/switch", "");

    cr_assert_eq(loopback_status(answer), 426);
    cr_assert(svl_str_eq(loopback_field(answer, "Upgrade"), SVL_STR("echo")));
    cr_assert_eq(opened, 0);
}

Test(hijack, an_upgrade_that_nobody_claims_is_an_ordinary_request)
{
    svl_str answer = loopback_get(l, "/plain", "Connection: upgrade\r\nUpgrade: h2c\r\n");

    cr_assert_eq(loopback_status(answer), 200);
    cr_assert_eq(loopback_status(loopback_get(l, "/plain", "")), 200);
}
