#include "support/echo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

unsigned echo_begun, echo_done;

struct text {
    char *p;
    size_t n, cap;
};

static void add(struct svl_ctx *ctx, struct text *t, const char *p, size_t n)
{
    if (t->cap - t->n < n) {
        char *old = t->p;

        t->cap = 2 * (t->n + n) + 256;
        t->p = svl_alloc(ctx, t->cap);
        if (t->n > 0)
            memcpy(t->p, old, t->n);
    }
    if (n > 0)
        memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void add_text(struct svl_ctx *ctx, struct text *t, const char *text)
{
    add(ctx, t, text, strlen(text));
}

static void add_seen(struct svl_ctx *ctx, struct text *t, svl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char escape[8];

        if (c >= ' ' && c < 0x7f && c != '\\') {
            add(ctx, t, s.p + i, 1);
            continue;
        }
        add(ctx, t, escape, (size_t)snprintf(escape, sizeof escape, "\\x%02x", c));
    }
}

static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    const struct svl_request *req = &ctx->req;
    struct text t = {0};
    char number[32];

    (void)arg;
    add_seen(ctx, &t, req->method_text);
    add_text(ctx, &t, " ");
    add_seen(ctx, &t, req->path);
    add_text(ctx, &t, req->query.p ? "\nquery: " : "\nquery -");
    add_seen(ctx, &t, req->query);
    add_text(ctx, &t, "\nhost: ");
    add_seen(ctx, &t, req->host);
    snprintf(number, sizeof number, "\nbody(%zu): ", req->body.n);
    add_text(ctx, &t, number);
    add_seen(ctx, &t, req->body);
    add_text(ctx, &t, "\n");
    for (unsigned i = 0; i < req->headers.n; i++) {
        add_seen(ctx, &t, svl_header_name(&req->headers.at[i]));
        add_text(ctx, &t, ": ");
        add_seen(ctx, &t, svl_header_value(&req->headers.at[i]));
        add_text(ctx, &t, "\n");
    }
    return svl_text(ctx, 200, (svl_str){t.p, t.n});
}

/* Sources ---------------------------------------------------------------------------------- */

struct source {
    unsigned piece;
    bool waits, is_short;
    struct svl_ctx *ctx;
    struct source *next;
};

static struct source *waiting;

static void forget(void *arg)
{
    for (struct source **at = &waiting; *at; at = &(*at)->next) {
        if (*at == arg) {
            *at = (*at)->next;
            return;
        }
    }
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    static const char *const pieces[] = {"one ", "two ", "three "};
    struct source *s = arg;
    size_t n;

    (void)ctx;
    if (s->waits) {
        s->waits = false;
        s->next = waiting;
        waiting = s;
        return -EAGAIN;
    }
    if (s->is_short && s->piece == 2)
        return -EIO;
    if (s->piece == 3)
        return 0;
    n = strlen(pieces[s->piece]);
    if (n > room)
        n = room;
    memcpy(to, pieces[s->piece++], n);
    return (ssize_t)n;
}

void echo_more(void)
{
    while (waiting) {
        struct source *s = waiting;

        waiting = s->next;
        svl_body_more(s->ctx);
    }
}

static enum svl_verdict source(struct svl_ctx *ctx, int64_t length, bool waits, bool is_short)
{
    struct source *s = svl_alloc(ctx, sizeof *s);

    *s = (struct source){.waits = waits, .is_short = is_short, .ctx = ctx};
    svl_on_free(ctx, forget, s);
    svl_status(ctx, 200);
    svl_body_source(ctx, pull, s, length);
    return SVL_DONE;
}

/* Paths that mean something ---------------------------------------------------------------- */

static enum svl_verdict big(struct svl_ctx *ctx)
{
    size_t n = ctx->req.query.p ? strtoul(svl_copy(ctx, ctx->req.query).p, NULL, 10) : 0;
    char *bytes;

    if (n > 4 << 20)
        n = 4 << 20;
    bytes = svl_alloc(ctx, n + 1);
    memset(bytes, 'b', n);
    return svl_text(ctx, 200, (svl_str){bytes, n});
}

static svl_str unescaped_query(struct svl_ctx *ctx)
{
    char *to = svl_alloc(ctx, ctx->req.query.n + 1);

    return (svl_str){to, svl_unescape(to, ctx->req.query, false)};
}

static bool is(struct svl_ctx *ctx, const char *path)
{
    return svl_str_eq(ctx->req.path, svl_str_of(path));
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    echo_begun++;
    if (is(ctx, "/early"))
        return svl_text(ctx, 200, SVL_STR("early\n"));
    if (svl_str_starts(ctx->req.path, SVL_STR("/status/")) && ctx->req.path.n == 11) {
        int status = atoi(svl_copy(ctx, ctx->req.path).p + 8);

        svl_status(ctx, status >= 200 && status <= 999 ? status : 200);
        return SVL_DONE;
    }
    if (is(ctx, "/error"))
        return SVL_ERROR;
    if (is(ctx, "/close"))
        svl_close(ctx);
    if (is(ctx, "/chunks"))
        return source(ctx, -1, false, false);
    if (is(ctx, "/source"))
        return source(ctx, 14, false, false);
    if (is(ctx, "/late"))
        return source(ctx, -1, true, false);
    if (is(ctx, "/short"))
        return source(ctx, 14, false, true);
    if (is(ctx, "/big"))
        return big(ctx);
    if (is(ctx, "/redirect"))
        return svl_redirect(ctx, 302, unescaped_query(ctx));
    if (is(ctx, "/field"))
        svl_header_set_name(ctx, SVL_STR("X-Value"), unescaped_query(ctx));
    return SVL_NEXT;
}

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    (void)ctx;
    echo_done++;
}

static const struct svl_module module = {
    .name = "echo", .on_request = on_request, .on_done = on_done};

const struct svl_server_config echo_config = {
    .chain = (const struct svl_use[]){{&module, NULL}, SVL_USE_END},
    .handler = echo,
    .max_body = 5000,
};
