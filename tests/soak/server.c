/* What ./dev soak asks: files, bodies in and out, streams, late answers and answers that are too late.
 * Bodies it makes are the alphabet over and over, so that a client can check every byte. Deadlines are
 * short, so that they pass. `server LISTEN FOLDER` */
#include "serval/foreground.h"
#include "serval/mod/fs.h"
#include "serval/mod/timeout.h"
#include "serval/serval.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Bodies that are made: how much of it is out, and how long it gets. */
struct making {
    uint64_t at, end;
    struct svl_alarm *alarm;
};

static void make(struct making *m, char *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (char)('a' + m->at++ % 26);
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct making *m = arg;
    size_t n = m->end - m->at < room ? (size_t)(m->end - m->at) : room;

    (void)ctx;
    make(m, to, n);
    return (ssize_t)n;
}

static void push(struct svl_stream *stream, void *arg)
{
    struct making *m = arg;
    char bytes[5000];

    while (m->at < m->end) {
        size_t n = m->end - m->at < sizeof bytes ? (size_t)(m->end - m->at) : sizeof bytes;
        uint64_t before = m->at;

        make(m, bytes, n);
        if (svl_stream_write(stream, (svl_str){bytes, n}) != 0) {
            m->at = before;
            return; /* on_room follows */
        }
    }
    svl_stream_end(stream);
}

/* Bodies that come in pieces: their length and their sum. */
struct adding {
    uint64_t n, sum;
};

static enum svl_verdict add(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    struct adding *a = arg;

    if (kind == SVL_PIECE_GONE)
        return SVL_DONE;
    for (size_t i = 0; i < piece.n; i++)
        a->sum = a->sum * 31 + (unsigned char)piece.p[i];
    a->n += piece.n;
    if (kind == SVL_PIECE)
        return SVL_PENDING;
    return svl_text(ctx, 200, svl_printf(ctx, "%" PRIu64 " %" PRIu64 "\n", a->n, a->sum));
}

static void sleep_long(void *arg)
{
    (void)arg;
    usleep(400000);
}

static void sleep_briefly(void *arg)
{
    (void)arg;
    usleep(5000);
}

static enum svl_verdict say_slept(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("slept\n"));
}

static void on_alarm(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_text(ctx, 200, SVL_STR("rang\n"));
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict answer(struct svl_ctx *ctx, struct making *m)
{
    svl_str path = ctx->req.path;

    if (svl_str_eq(path, SVL_STR("/echo"))) {
        if (!ctx->req.body.p)
            return svl_await_body(ctx);
        svl_body_bytes(ctx, ctx->req.body);
        return SVL_DONE;
    }
    if (svl_str_eq(path, SVL_STR("/sum")))
        return svl_stream_body(ctx, add, svl_alloc(ctx, sizeof(struct adding)));
    if (svl_str_eq(path, SVL_STR("/bytes"))) {
        char *bytes = svl_alloc(ctx, m->end + 1);

        make(m, bytes, m->end);
        svl_body_bytes(ctx, (svl_str){bytes, m->end});
        return SVL_DONE;
    }
    if (svl_str_eq(path, SVL_STR("/pull"))) {
        svl_body_source(ctx, pull, m, -1);
        return SVL_DONE;
    }
    if (svl_str_eq(path, SVL_STR("/push"))) {
        push(svl_stream_open(ctx, push, NULL, m), m);
        return SVL_DONE;
    }
    if (svl_str_eq(path, SVL_STR("/slept")))
        return svl_offload(ctx, sleep_briefly, say_slept, NULL);
    if (svl_str_eq(path, SVL_STR("/late")) && svl_timeout_set(ctx, 250))
        return svl_offload(ctx, sleep_long, say_slept, NULL);
    if (svl_str_eq(path, SVL_STR("/alarm"))) {
        m->alarm = svl_alarm_new(ctx, on_alarm, NULL);
        svl_alarm_set(m->alarm, 3);
        return svl_pend(ctx, NULL, NULL);
    }
    return SVL_NEXT;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct making *m = svl_alloc(ctx, sizeof *m);
    unsigned long long length = 0;

    (void)self;
    svl_str_u64(ctx->req.query, &length);
    m->end = length < 10000000 ? length : 0;
    return answer(ctx, m);
}

static const struct svl_module soak = {
    .name = "soak",
    .summary = "answers of every kind",
    .on_request = on_request,
};

int main(int argc, char **argv)
{
    struct svl_server *server;
    struct svl_server_config config = {
        .listen = {argc > 1 ? argv[1] : "127.0.0.1:0"},
        .workers = 2,
        .chain =
            (const struct svl_use[]){
                SVL_USE(timeout, .after_ms = SVL_NEVER),
                {&soak, NULL},
                SVL_USE(fs, .root = argc > 2 ? argv[2] : "."),
                SVL_USE_END,
            },
        .header_ms = 3000,
        .body_ms = 20000,
        .idle_ms = 10000,
        .write_ms = 20000,
        .linger_ms = 500,
        .grace_ms = 5000,
        .watchdog_ms = SVL_NEVER,
    };

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.key = "soak", .text = "on"});
    svl_server_close(server);
    return 0;
}
