/* The watchdog: who holds the loop is named and counted.
 * ctest-labels: threads */
#include "serval/serval.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[4096];

static void keep(enum svl_level level, const char *line, void *arg)
{
    size_t n;

    (void)level, (void)arg;
    pthread_mutex_lock(&lock);
    n = strlen(lines);
    snprintf(lines + n, sizeof lines - n, "%s\n", line);
    pthread_mutex_unlock(&lock);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self, (void)ctx;
    return SVL_NEXT;
}

static void slow_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    if (svl_str_eq(ctx->req.path, SVL_STR("/done")))
        pause_ms(300);
}

static void sleep_posted(void *arg)
{
    (void)arg;
    pause_ms(300);
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/named")))
        svl_doing(ctx, "GET /named");
    if (svl_str_eq(ctx->req.path, SVL_STR("/named")) || svl_str_eq(ctx->req.path, SVL_STR("/slow")))
        pause_ms(300);
    if (svl_str_eq(ctx->req.path, SVL_STR("/post")))
        svl_post(ctx->worker, sleep_posted, NULL);
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static void *serve(void *arg)
{
    svl_server_run(arg);
    return NULL;
}

static void ask(const struct svl_server *server, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char bytes[1024];

    to.sin_port = htons((uint16_t)atoi(strrchr(svl_server_address(server, 0), ':') + 1));
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(bytes, sizeof bytes, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    cr_assert_gt(write(fd, bytes, strlen(bytes)), 0);
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
}

/* What the log says about these requests, on a server that allows hooks `ms`. */
static const char *log_of(const char *const *paths, unsigned ms, unsigned long long *stalls)
{
    static const struct svl_module end_module = {
        .name = "end", .on_request = on_request, .on_done = slow_done};
    static const struct svl_use chain[] = {{&end_module, NULL}, SVL_USE_END};
    struct svl_server_config config = {.listen = {"127.0.0.1:0"},
                                       .chain = chain,
                                       .handler = handler,
                                       .workers = 1,
                                       .watchdog_ms = ms};
    struct svl_server *server;
    pthread_t thread;

    svl_log_to(keep, NULL);
    cr_assert_eq(svl_server_open(&server, &config), 0);
    pthread_create(&thread, NULL, serve, server);
    for (; *paths; paths++)
        ask(server, *paths);
    ask(server, "/last"); /* what holds the loop behind an answer is over then */
    *stalls = svl_server_stalls(server);
    svl_server_stop(server);
    pthread_join(thread, NULL);
    svl_server_close(server);
    return lines;
}

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(watchdog, names_the_module_and_what_it_did)
{
    unsigned long long stalls;
    const char *text = log_of(PATHS("/quick", "/named"), 50, &stalls);

    cr_expect(strstr(text, "worker 0: handler: GET /named has held the loop"), "%s", text);
    cr_expect_geq(stalls, 1);
}

Test(watchdog, names_a_hook_that_comes_after_the_answer)
{
    unsigned long long stalls;
    const char *text = log_of(PATHS("/done"), 50, &stalls);

    cr_expect(strstr(text, "worker 0: end has held the loop"), "%s", text);
}

Test(watchdog, names_what_was_posted)
{
    unsigned long long stalls;
    const char *text = log_of(PATHS("/post"), 50, &stalls);

    cr_expect(strstr(text, "svl_post has held the loop"), "%s", text);
}

Test(watchdog, counts_all_but_logs_one_line_a_second)
{
    unsigned long long stalls;
    const char *text = log_of(PATHS("/slow", "/slow"), 50, &stalls), *first;

    cr_expect_geq(stalls, 2);
    first = strstr(text, "has held");
    cr_assert_not_null(first);
    cr_expect_null(strstr(first + 1, "has held"));
}

Test(watchdog, says_nothing_about_what_is_quick_or_when_it_is_off)
{
    unsigned long long stalls;
    const char *text = log_of(PATHS("/a", "/b", "/c", "/d"), 5000, &stalls);

    cr_expect_eq(stalls, 0);
    text = log_of(PATHS("/slow"), SVL_NEVER, &stalls);
    cr_expect_eq(stalls, 0);
    cr_expect_str_empty(text);
}
