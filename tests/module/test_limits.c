/* limits: buckets, numbers of running requests, and who counts as somebody. */
#include "serval/mod/limits.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static struct svl_ctx *held[8];
static unsigned n_held;

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/wait"))) {
        held[n_held++] = ctx;
        return svl_pend(ctx, NULL, NULL);
    }
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static struct loopback *open_with(const struct svl_limits_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_limits_module, config}, SVL_USE_END},
        .handler = handler});
}

static int status(struct loopback *l, const char *path, const char *fields)
{
    return loopback_status(loopback_get(l, path, fields));
}

#define FIELD(answer, name, text)                                                                  \
    cr_expect(svl_str_eq(loopback_field(answer, name), SVL_STR(text)), "%s: %.*s", name,           \
              SVL_FMT(loopback_field(answer, name)))

Test(limits, a_burst_then_a_wait)
{
    struct loopback *l = open_with(&(struct svl_limits_config){.rate = 0.1, .burst = 3});
    svl_str answer = loopback_get(l, "/", "");

    FIELD(answer, "RateLimit-Limit", "3");
    FIELD(answer, "RateLimit-Remaining", "2");
    FIELD(answer, "RateLimit-Reset", "10");
    cr_expect_eq(status(l, "/", ""), 200);
    cr_expect_eq(status(l, "/", ""), 200);
    answer = loopback_get(l, "/", "");
    cr_expect_eq(loopback_status(answer), 429);
    FIELD(answer, "Retry-After", "10");
    FIELD(answer, "RateLimit-Remaining", "0");
    loopback_close(l);
}

Test(limits, the_bucket_fills_up_again)
{
    struct loopback *l =
        open_with(&(struct svl_limits_config){.rate = 20, .burst = 1, .quiet = true});

    cr_expect_eq(status(l, "/", ""), 200);
    cr_expect_eq(status(l, "/", ""), 429);
    usleep(70000);
    loopback_round(l);
    cr_expect_eq(status(l, "/", ""), 200);
    cr_expect_null(loopback_field(loopback_get(l, "/", ""), "RateLimit-Limit").p);
    loopback_close(l);
}

Test(limits, somebody_is_an_address_or_a_field_or_what_a_function_says)
{
    struct loopback *l = open_with(&(struct svl_limits_config){
        .rate = 0.1, .burst = 1, .by = SVL_LIMITS_HEADER, .header = "X-Key", .prefix = "/api"});

    cr_expect_eq(status(l, "/api", "X-Key: a\r\n"), 200);
    cr_expect_eq(status(l, "/api", "X-Key: a\r\n"), 429);
    cr_expect_eq(status(l, "/api", "X-Key: b\r\n"), 200);
    cr_expect_eq(status(l, "/api", "X-Key: b2345678901234567890\r\n"), 200);
    cr_expect_eq(status(l, "/api", "X-Key: b2345678901234567891\r\n"), 200);
    cr_expect_eq(status(l, "/api", ""), 200);
    cr_expect_eq(status(l, "/api", ""), 429);
    cr_expect_eq(status(l, "/other", "X-Key: a\r\n"), 200);
    loopback_close(l);
}

static svl_str path_key(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_str_eq(ctx->req.path, SVL_STR("/free")) ? SVL_STR_NONE : ctx->req.path;
}

Test(limits, a_function_may_free_from_limits)
{
    struct loopback *l = open_with(
        &(struct svl_limits_config){.rate = 0.1, .burst = 1, .key = path_key, .status = 503});

    cr_expect_eq(status(l, "/a", ""), 200);
    cr_expect_eq(status(l, "/a", ""), 503);
    cr_expect_eq(status(l, "/b", ""), 200);
    cr_expect_eq(status(l, "/free", ""), 200);
    cr_expect_eq(status(l, "/free", ""), 200);
    loopback_close(l);
}

Test(limits, running_requests_are_counted_until_they_are_over)
{
    struct loopback *l = open_with(&(struct svl_limits_config){.running = 2, .by = SVL_LIMITS_ALL});
    svl_str wait = SVL_STR("GET /wait HTTP/1.1\r\nHost: t\r\n\r\n");

    loopback_send_on(l, 1, wait);
    loopback_send_on(l, 2, wait);
    cr_expect_eq(n_held, 2);
    cr_expect_eq(status(l, "/", ""), 429);
    svl_text(held[0], 200, SVL_STR("late"));
    svl_resume(held[0], SVL_DONE);
    cr_expect_eq(status(l, "/", ""), 200);
    loopback_reset_on(l, 2);
    cr_expect_eq(status(l, "/", ""), 200, "one of two places is free");
    svl_resume(held[1], SVL_DONE);
    loopback_send_on(l, 3, wait);
    cr_expect_eq(status(l, "/", ""), 200);
    svl_resume(held[2], SVL_ERROR);
    loopback_close(l);
}

Test(limits, running_requests_are_counted_for_each_key)
{
    struct loopback *l = open_with(&(struct svl_limits_config){
        .running = 1, .by = SVL_LIMITS_HEADER, .header = "X-Key", .status = 503});

    loopback_send_on(l, 1, SVL_STR("GET /wait HTTP/1.1\r\nHost: t\r\nX-Key: a\r\n\r\n"));
    cr_expect_eq(n_held, 1);
    cr_expect_eq(status(l, "/", "X-Key: a\r\n"), 503);
    cr_expect_eq(status(l, "/", "X-Key: b\r\n"), 200);
    svl_resume(held[0], SVL_ERROR);
    cr_expect_eq(status(l, "/", "X-Key: a\r\n"), 200);
    loopback_close(l);
}

Test(limits, a_full_table_forgets_the_quiet_ones)
{
    struct loopback *l = open_with(&(struct svl_limits_config){
        .rate = 0.1, .burst = 1, .by = SVL_LIMITS_HEADER, .header = "X-Key", .entries = 8});
    char field[32];
    int first = 0;

    for (int i = 0; i < 100; i++) {
        snprintf(field, sizeof field, "X-Key: %d\r\n", i);
        first += status(l, "/", field) == 200;
    }
    cr_expect_eq(first, 100, "nobody pays for others");
    cr_expect_eq(status(l, "/", "X-Key: 99\r\n"), 429, "the last one is remembered");
    loopback_close(l);
}

static void quiet(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

Test(limits, what_limits_nothing_is_refused_at_the_start)
{
    svl_log_to(quiet, NULL);
    cr_expect_lt(svl_limits_module.setup(&(struct svl_limits_config){.burst = 1}), 0);
    cr_expect_lt(svl_limits_module.setup(&(struct svl_limits_config){.rate = -1}), 0);
    cr_expect_lt(svl_limits_module.setup(&(struct svl_limits_config){.rate = 1, .status = 200}), 0);
    cr_expect_lt(
        svl_limits_module.setup(&(struct svl_limits_config){.rate = 1, .by = SVL_LIMITS_HEADER}),
        0);
}
