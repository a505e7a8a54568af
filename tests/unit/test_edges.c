/* Every limit of a server and of a form, one below it, at it, and one above: what is allowed passes,
 * and what is not gets the status that server.h and form.h name. */
#include "serval/serval.h"
#include "support/behaviour.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HEAD "Host: h\r\n"

static char text[70000]; /* of x */
static struct svl_form_config form_config;
static struct svl_spool_config spool_config;

/* Takes what it gets as the path says. */
static enum svl_verdict got_form(struct svl_ctx *ctx, void *arg, struct svl_form *form)
{
    (void)arg, (void)form;
    return svl_text(ctx, 200, SVL_STR("form"));
}

static enum svl_verdict got_body(struct svl_ctx *ctx, void *arg, const struct svl_spooled *body)
{
    (void)arg, (void)body;
    return svl_text(ctx, 200, SVL_STR("body"));
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    if (is(ctx->req.path, "/form"))
        return svl_await_form(ctx, &form_config, got_form, NULL);
    if (is(ctx->req.path, "/spool"))
        return svl_spool_body(ctx, &spool_config, got_body, NULL);
    if (!ctx->req.body.p)
        return svl_await_body(ctx);
    return svl_text(ctx, 200, SVL_STR("ok"));
}

static const struct svl_module takes = {.name = "takes", .on_request = on_request};
static const struct svl_use chain[] = {{&takes, NULL}, SVL_USE_END};

/* A request whose size is n, as that limit counts. */
typedef size_t make_fn(char *to, size_t n);

static size_t target(char *to, size_t n)
{
    return (size_t)sprintf(to, "GET /%.*s HTTP/1.1\r\n" HEAD "\r\n", (int)n - 1, text);
}

#define FIXED (sizeof "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n" - 1)

static size_t head(char *to, size_t n)
{
    return (size_t)sprintf(to, "GET / HTTP/1.1\r\n" HEAD "A: %.*s\r\n\r\n", (int)(n - FIXED), text);
}

static size_t fields(char *to, size_t n)
{
    size_t at = (size_t)sprintf(to, "GET / HTTP/1.1\r\n" HEAD);

    for (size_t i = 1; i < n; i++)
        at += (size_t)sprintf(to + at, "A: b\r\n");
    return at + (size_t)sprintf(to + at, "\r\n");
}

static size_t body(char *to, size_t n)
{
    return (size_t)sprintf(to, "POST / HTTP/1.1\r\n" HEAD "Content-Length: %zu\r\n\r\n%.*s", n,
                           (int)n, text);
}

static size_t chunks(char *to, size_t n)
{
    return (size_t)sprintf(to,
                           "POST / HTTP/1.1\r\n" HEAD
                           "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n%zx\r\n%.*s\r\n0\r\n\r\n",
                           n - 1, (int)n - 1, text);
}

static size_t spooled(char *to, size_t n)
{
    return (size_t)sprintf(to, "POST /spool HTTP/1.1\r\n" HEAD "Content-Length: %zu\r\n\r\n%.*s", n,
                           (int)n, text);
}

static size_t form(char *to, const char *parts)
{
    return (size_t)sprintf(to,
                           "POST /form HTTP/1.1\r\n" HEAD
                           "Content-Type: multipart/form-data; boundary=b\r\n"
                           "Content-Length: %zu\r\n\r\n%s--b--",
                           strlen(parts) + 5, parts);
}

#define PART "--b\r\nContent-Disposition: form-data; name=\"%.*s\"%s\r\n\r\n%.*s\r\n"
#define OF_A_FILE "; filename=\"f\""

static char parts[200000];

static size_t one_part(char *to, size_t name, const char *more, size_t size)
{
    sprintf(parts, PART, (int)name, text, more, (int)size, text);
    return form(to, parts);
}

static size_t many_parts(char *to, size_t n, const char *more)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        at += (size_t)sprintf(parts + at, PART, 1, text, more, 1, text);
    return form(to, parts);
}

static size_t form_parts(char *to, size_t n)
{
    return many_parts(to, n, "");
}

static size_t form_files(char *to, size_t n)
{
    return many_parts(to, n, OF_A_FILE);
}

static size_t form_name(char *to, size_t n)
{
    return one_part(to, n, "", 1);
}

static size_t form_field(char *to, size_t n)
{
    return one_part(to, 1, "", n);
}

static size_t form_file(char *to, size_t n)
{
    return one_part(to, 1, OF_A_FILE, n);
}

#define PART_HEAD (sizeof "Content-Disposition: form-data; name=\"x\"\r\nA: \r\n\r\n" - 1)

static size_t form_head(char *to, size_t n)
{
    char more[8192];

    sprintf(more, "\r\nA: %.*s", (int)(n - PART_HEAD), text);
    return one_part(to, 1, more, 1);
}

static size_t form_total(char *to, size_t n)
{
    sprintf(parts, PART, 1, text, "", 1, text);
    return one_part(to, 1, "", n - strlen(parts) - 5 + 1);
}

#define LIMIT(n, m, a, s, ...)                                                                     \
    {                                                                                              \
        .name = n, .make = m, .at = a, .status = s, __VA_ARGS__                                    \
    }

static const struct limit {
    const char *name;
    make_fn *make;
    size_t at;
    int status;
    struct svl_server_config config;
    struct svl_form_config form;
    struct svl_spool_config spool;
} limits[] = {
    LIMIT("max_target", target, 100, 414, .config.max_target = 100),
    LIMIT("max_target, default", target, 8192, 414, .config.max_body = 0),
    LIMIT("max_head", head, 500, 431, .config.max_head = 500),
    LIMIT("max_head, default", head, 16384, 431, .config.max_body = 0),
    LIMIT("max_fields", fields, 10, 431, .config.max_fields = 10),
    LIMIT("max_fields, default", fields, 100, 431, .config.max_body = 0),
    LIMIT("max_body", body, 1000, 413, .config.max_body = 1000),
    LIMIT("max_body, chunked", chunks, 1000, 413, .config.max_body = 1000),
    LIMIT("spool max", spooled, 1000, 413, .spool.max = 1000),
    LIMIT("spool max, default", spooled, 1000, 413, .config.max_body = 1000),
    LIMIT("form max_total", form_total, 1000, 413, .form.limits.max_total = 1000),
    LIMIT("form max_total, default", form_total, 1000, 413, .config.max_body = 1000),
    LIMIT("form max_parts", form_parts, 5, 413, .form.limits.max_parts = 5),
    LIMIT("form max_parts, default", form_parts, 1000, 413, .config.max_body = 0),
    LIMIT("form max_name", form_name, 50, 413, .form.limits.max_name = 50),
    LIMIT("form max_name, default", form_name, 1024, 413, .config.max_body = 0),
    LIMIT("form max_head", form_head, 500, 413, .form.limits.max_head = 500),
    LIMIT("form max_head, default", form_head, 4096, 413, .config.max_body = 0),
    LIMIT("form max_field", form_field, 50, 413, .form.max_field = 50),
    LIMIT("form max_files", form_files, 3, 413, .form.max_files = 3),
    LIMIT("form max_files, default", form_files, 64, 413, .config.max_body = 0),
    LIMIT("form max_file", form_file, 50, 413, .form.max_file = 50),
};

static int status_at(const struct limit *limit, size_t n)
{
    struct svl_server_config config = limit->config;
    static char request[300000];
    struct loopback *l;
    int status;

    config.chain = chain;
    form_config = limit->form;
    spool_config = limit->spool;
    l = loopback_open(&config);
    loopback_send_bytes(l, (svl_str){request, limit->make(request, n)});
    status = loopback_status(loopback_take(l));
    loopback_close(l);
    return status;
}

Test(edges, below_at_and_above_every_limit)
{
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const struct limit *limit = &limits[i];
        int below = status_at(limit, limit->at - 1), at = status_at(limit, limit->at);
        int above = status_at(limit, limit->at + 1);

        cr_expect(below == 200 && at == 200 && above == limit->status, "%s: %d %d %d", limit->name,
                  below, at, above);
    }
}

/* Numbers of things --------------------------------------------------------------------------- */

#define GET "GET / HTTP/1.1\r\n" HEAD "\r\n"

static struct svl_ctx *held[8];
static unsigned n_held;

static enum svl_verdict hold(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    held[n_held++] = ctx;
    return svl_pend(ctx, NULL, NULL);
}

Test(edges, requests_of_a_connection)
{
    for (unsigned n = 2; n <= 4; n++) {
        struct loopback *l =
            loopback_open(&(struct svl_server_config){.chain = chain, .max_requests = 3});

        for (unsigned i = 0; i < n; i++)
            loopback_send(l, GET);
        cr_expect_eq(answers_in(loopback_take(l)), n < 3 ? n : 3);
        cr_expect_eq(loopback_shut(l), n >= 3);
        loopback_close(l);
    }
}

Test(edges, connections_of_an_address)
{
    struct svl_address from = {.family = AF_INET, .ip = {192, 0, 2, 1}};
    struct loopback *l =
        loopback_open(&(struct svl_server_config){.chain = chain, .max_per_address = 3});

    for (unsigned i = 1; i <= 4; i++) {
        loopback_address(l, i, &from);
        loopback_send_on(l, i, SVL_STR(GET));
        cr_expect_eq(loopback_status(loopback_take_on(l, i)), i <= 3 ? 200 : 429);
    }
    loopback_close(l);
}

Test(edges, requests_in_flight)
{
    struct loopback *l =
        loopback_open(&(struct svl_server_config){.handler = hold, .max_in_flight = 3});

    for (unsigned i = 0; i < 4; i++) {
        loopback_send_on(l, i, SVL_STR(GET));
        cr_expect_eq(loopback_take_on(l, i).n > 0, i == 3);
    }
    cr_expect_eq(n_held, 3);
    for (unsigned i = 0; i < n_held; i++)
        svl_resume(held[i], svl_text(held[i], 200, SVL_STR("ok")));
    loopback_send_on(l, 3, SVL_STR(GET));
    cr_expect_eq(n_held, 4, "there is room again");
    svl_resume(held[3], svl_text(held[3], 200, SVL_STR("ok")));
    loopback_close(l);
}

Test(edges, connections_of_a_server)
{
    struct svl_server *server;
    struct svl_pipe *ends[4];
    char got[8];

    svl_server_open(
        &server, &(struct svl_server_config){.chain = chain, .workers = 1, .max_connections = 3});
    for (int i = 0; i < 4; i++)
        ends[i] = svl_server_dial(server, NULL);
    svl_server_poll(server, false);
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(svl_pipe_read(ends[i], got, sizeof got, 0), i < 3 ? -EAGAIN : 0);
        svl_pipe_close(ends[i]);
    }
    svl_server_close(server);
}
