/* vars: what is counted, by whom, and how it is shown.
 * ctest-labels: threads */
#include "net/worker.h"
#include "serval/mod/vars.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static double seven(void *arg)
{
    (void)arg;
    return 7.5;
}

static const double bounds[] = {1, 5, 10, 0};
static struct svl_var orders = SVL_COUNTER("app_orders_total", "Orders\ntaken \\ so far.");
static struct svl_var depth = SVL_GAUGE("app_depth", "How deep.");
static struct svl_var sizes = SVL_HISTOGRAM("app_sizes", "How large.", bounds);
static struct svl_var figure = SVL_FIGURE("app_figure", "A figure.", seven, NULL);
static struct svl_var *const vars[] = {&orders, &depth, &sizes, &figure, NULL};

static const struct svl_match match = {.pattern = {"/users/{\"id\"}", 13}};

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_starts(ctx->req.path, SVL_STR("/users/")))
        ctx->req.match = &match; /* as a router would */
    return svl_text(ctx, 200, SVL_STR("12345"));
}

static struct loopback *open_with(const struct svl_vars_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_vars_module, config}, SVL_USE_END},
        .handler = handler});
}

static const char *body_of(struct loopback *l, const char *target)
{
    return loopback_body(loopback_get(l, target, "")).p;
}

#define HOLDS(text, part) cr_expect(strstr(text, part), "\"%s\" is not in\n%s", part, text)

static void count_some(void)
{
    svl_var_add(&orders, 2);
    svl_var_add(&orders, 1);
    svl_var_add(&depth, 5);
    svl_var_add(&depth, -7);
    svl_var_observe(&sizes, 0.5);
    svl_var_observe(&sizes, 5);
    svl_var_observe(&sizes, 100);
}

Test(vars, figures_are_shown_for_prometheus)
{
    struct loopback *l = open_with(&(struct svl_vars_config){.vars = vars, .no_requests = true});
    const char *text;

    count_some();
    text = body_of(l, "/metrics");
    HOLDS(text,
          "# HELP app_orders_total Orders\\ntaken \\\\ so far.\n# TYPE app_orders_total counter\n"
          "app_orders_total 3\n");
    HOLDS(text, "# TYPE app_depth gauge\napp_depth -2\n");
    HOLDS(text, "app_sizes_bucket{le=\"1\"} 1\napp_sizes_bucket{le=\"5\"} "
                "2\napp_sizes_bucket{le=\"10\"} 2\n"
                "app_sizes_bucket{le=\"+Inf\"} 3\napp_sizes_sum 105.5\napp_sizes_count 3\n");
    HOLDS(text, "app_figure 7.5\n");
    HOLDS(text, "# TYPE process_cpu_seconds_total counter\n");
    HOLDS(text, "process_resident_memory_bytes ");
    cr_expect_null(strstr(text, "http_requests"));
    loopback_close(l);
}

Test(vars, figures_are_shown_as_json_and_filtered)
{
    struct loopback *l = open_with(&(struct svl_vars_config){.vars = vars});
    const char *text;

    count_some();
    text = body_of(l, "/debug/vars");
    HOLDS(text, "\"app_orders_total\": 3");
    HOLDS(text, "\"app_sizes\": {\"count\": 3, \"sum\": 105.5, \"buckets\": {\"1\": 1, \"5\": 1, "
                "\"10\": 0}}");
    cr_expect_str_eq(body_of(l, "/debug/vars?r=%5Eapp_(d|f)"),
                     "{\n\"app_depth\": -2,\n\"app_figure\": 7.5\n}\n");
    cr_expect_str_eq(body_of(l, "/debug/vars?r=nothing"), "{\n}\n");
    cr_expect_eq(loopback_status(loopback_get(l, "/debug/vars?r=(", "")), 400);
    cr_expect_eq(loopback_status(loopback_get(l, "/debug/vars/", "")), 200,
                 "not ours: the exact path only");
    loopback_close(l);
}

Test(vars, requests_are_told_apart_by_route_not_by_path)
{
    struct loopback *l = open_with(&(struct svl_vars_config){.series = 3});
    const char *text;

    for (int i = 0; i < 20; i++) {
        char path[32];

        snprintf(path, sizeof path, "/users/%d", i);
        loopback_get(l, path, "");
    }
    loopback_get(l, "/other", "");
    loopback_ask(l, "BREW /users/1 HTTP/1.1\r\nHost: t\r\n\r\n");
    loopback_ask(l, "PUT /users/1 HTTP/1.1\r\nHost: t\r\n\r\n"); /* over the limit of series */
    text = body_of(l, "/metrics");
    HOLDS(text,
          "http_requests_total{route=\"/users/{\\\"id\\\"}\",method=\"GET\",code=\"200\"} 20\n");
    HOLDS(text, "http_requests_total{route=\"\",method=\"GET\",code=\"200\"} 1\n");
    HOLDS(text, "http_requests_total{route=\"other\",method=\"other\",code=\"0\"} 1\n");
    HOLDS(text, "http_requests_in_flight 1\n");
    HOLDS(text, "http_response_body_bytes_total{route=\"/users/"
                "{\\\"id\\\"}\",method=\"GET\",code=\"200\"} 100\n");
    HOLDS(text, "http_request_duration_seconds_count{route=\"/users/"
                "{\\\"id\\\"}\",method=\"GET\",code=\"200\"} 20\n");
    HOLDS(text, "http_request_duration_seconds_bucket{route=\"/users/"
                "{\\\"id\\\"}\",method=\"GET\",code=\"200\",le=\"+Inf\"} 20\n");
    HOLDS(text, "http_request_duration_seconds_bucket{route=\"\",method=\"GET\",code=\"200\","
                "le=\"+Inf\"} 1\n");
    text = body_of(l, "/debug/vars?r=http_requests$");
    HOLDS(text, "\"method\": \"GET\", \"code\": 200, \"count\": 20, \"bytes\": 100, \"seconds\": ");
    HOLDS(text, ", \"buckets\": {\"0.0001\": ");
    loopback_close(l);
}

Test(vars, the_server_says_how_it_is)
{
    struct loopback *l = open_with(&(struct svl_vars_config){0});
    const char *text;

    atomic_store(&loopback_worker(l)->watch.stalls, 3); /* as the watchdog does */
    loopback_get(l, "/other", "");
    text = body_of(l, "/metrics");
    HOLDS(text, "# TYPE serval_stalls_total counter\nserval_stalls_total 3\n");
    HOLDS(text, "serval_workers 1\n");
    HOLDS(text, "# TYPE serval_connections_open gauge\nserval_connections_open 1\n");
    HOLDS(text, "process_threads ");
    text = body_of(l, "/debug/vars?r=stalls");
    cr_expect_str_eq(text, "{\n\"serval_stalls_total\": 3\n}\n");
    loopback_close(l);
}

static void *count_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        svl_var_add(&orders, 1);
        svl_var_observe(&sizes, 2);
    }
    return NULL;
}

Test(vars, threads_count_by_themselves_and_are_added_up)
{
    struct loopback *l = open_with(&(struct svl_vars_config){.vars = vars});
    int64_t before = svl_var_read(&orders), sized = svl_var_read(&sizes);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    for (int i = 0; i < 50; i++)
        HOLDS(body_of(l, "/metrics"), "app_orders_total ");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(svl_var_read(&orders) - before, 40000);
    cr_expect_eq(svl_var_read(&sizes) - sized, 40000);
    loopback_close(l);
}

/* ./dev deps leaves promtool out: it only comes with all of Prometheus, 96 MB. */
Test(vars, promtool_is_content)
{
    struct loopback *l = open_with(&(struct svl_vars_config){.vars = vars});
    FILE *promtool;

    if (system("promtool --version >/dev/null 2>&1") != 0)
        cr_skip_test("promtool is not installed (package prometheus)");
    count_some();
    loopback_get(l, "/users/7", "");
    promtool = popen("promtool check metrics", "w");
    cr_assert(promtool);
    fputs(body_of(l, "/metrics"), promtool);
    cr_expect_eq(pclose(promtool), 0);
    loopback_close(l);
}

static void quiet(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

Test(vars, names_are_checked_at_the_start)
{
    static struct svl_var bad = SVL_COUNTER("app-orders", "");
    struct svl_vars_config config = {.vars = (struct svl_var *const[]){&bad, NULL}};

    svl_log_to(quiet, NULL);
    cr_expect_lt(svl_vars_module.setup(&config), 0);
}
