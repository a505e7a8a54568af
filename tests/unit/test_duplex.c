/* Answers that begin before the request's body has ended: its pieces go on coming. */
#include "serval/stream.h"
#include "support/loopback.h"

#include <criterion/criterion.h>

static struct loopback *l;
static struct svl_ctx *held;
static struct svl_stream *stream;
static int pieces, last, lost, done;
static bool no_more;

/* An echo, once the answer has begun. */
static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    (void)arg;
    held = ctx;
    if (kind == SVL_PIECE_GONE) {
        lost++;
        if (stream)
            svl_stream_abort(stream);
        return SVL_DONE;
    }
    pieces++;
    last += kind == SVL_PIECE_LAST;
    if (stream && piece.n > 0)
        cr_assert_eq(svl_stream_write(stream, piece), 0);
    if (stream && kind == SVL_PIECE_LAST)
        svl_stream_end(stream);
    return no_more ? SVL_DONE : SVL_PENDING;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    if (svl_str_eq(ctx->req.path, SVL_STR("/plain")))
        return svl_text(ctx, 200, SVL_STR("plain"));
    return svl_stream_body(ctx, on_piece, NULL);
}

static void on_gone(struct svl_stream *s, void *arg)
{
    (void)s;
    (void)arg;
    stream = NULL;
}

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    (void)ctx;
    done++;
}

static const struct svl_module echo = {
    .name = "echo", .on_request = on_request, .on_done = on_done};

static void begin(void)
{
    static const struct svl_use chain[] = {{&echo, NULL}, SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){.chain = chain});
}

static void end(void)
{
    loopback_close(l);
}

TestSuite(duplex, .init = begin, .fini = end, .timeout = 20);

#define POST(fields) "POST /echo HTTP/1.1\r\nHost: x\r\n" fields "\r\n"

/* The answer begins between two pieces. */
static void answer(void)
{
    cr_assert_not_null(held);
    svl_status(held, 200);
    stream = svl_stream_open(held, NULL, on_gone, NULL);
    svl_resume(held, SVL_DONE);
}

static void expect(const char *part)
{
    svl_str got;

    loopback_round(l);
    got = loopback_take(l);
    cr_assert_not_null(memmem(got.p, got.n, part, strlen(part)), "%.*s", SVL_FMT(got));
}

Test(duplex, pieces_come_while_the_answer_is_sent)
{
    loopback_send(l, POST("Content-Length: 6\r\n") "ab");
    answer();
    expect("Transfer-Encoding: chunked");
    loopback_send(l, "cd");
    expect("00000002\r\ncd\r\n");
    loopback_send(l, "ef");
    expect("ef\r\n0\r\n\r\n");
    cr_assert_eq(last, 1);
    cr_assert_eq(done, 1);
    cr_assert_eq(loopback_status(loopback_get(l, "/plain", "")), 200, "it is kept alive");
}

Test(duplex, chunks_come_too_and_the_next_request_follows)
{
    loopback_send(l, POST("Transfer-Encoding: chunked\r\n") "2\r\nab\r\n");
    answer();
    loopback_take(l);
    loopback_send(l, "2\r\ncd\r\n0\r\n\r\nGET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
    expect("plain");
    cr_assert_eq(done, 2);
}

Test(duplex, a_last_answer_still_gets_the_body)
{
    loopback_send(l, POST("Content-Length: 4\r\nConnection: close\r\n") "ab");
    answer();
    expect("Connection: close");
    loopback_send(l, "cd");
    expect("cd\r\n0\r\n\r\n");
    cr_assert_eq(last, 1);
    cr_assert(loopback_shut(l) || loopback_closed(l));
}

Test(duplex, a_pause_holds_for_the_answer_too)
{
    loopback_send(l, POST("Content-Length: 6\r\n") "ab");
    answer();
    svl_body_pause(held);
    loopback_offer(l, SVL_STR("cdef"));
    loopback_round(l);
    cr_assert_eq(pieces, 1);
    svl_body_continue(held);
    while (!done)
        loopback_round(l);
    cr_assert_eq(last, 1);
}

Test(duplex, who_wants_no_more_gets_none)
{
    loopback_send(l, POST("Content-Length: 6\r\n") "ab");
    answer();
    no_more = true;
    loopback_send(l, "c");
    loopback_send(l, "d");
    cr_assert_eq(pieces, 2);
    svl_stream_end(stream);
    expect("0\r\n\r\n");
    loopback_send(l, "ef");
    cr_assert_eq(loopback_status(loopback_get(l, "/plain", "")), 200);
}

Test(duplex, an_answer_that_is_over_first_drops_the_rest)
{
    loopback_send(l, POST("Content-Length: 6\r\n") "ab");
    answer();
    svl_stream_end(stream);
    expect("0\r\n\r\n");
    loopback_send(l, "cdef");
    cr_assert_eq(pieces, 1);
    cr_assert_eq(done, 1);
    cr_assert_eq(loopback_status(loopback_get(l, "/plain", "")), 200);
}

Test(duplex, a_body_that_breaks_the_rules_is_told)
{
    loopback_send(l, POST("Transfer-Encoding: chunked\r\n") "2\r\nab\r\n");
    answer();
    loopback_send(l, "zz\r\n");
    loopback_round(l);
    cr_assert_eq(lost, 1);
    cr_assert(loopback_closed(l), "the answer is seen to be short");
    cr_assert_eq(done, 1);
}

Test(duplex, a_client_that_leaves_ends_it)
{
    loopback_send(l, POST("Content-Length: 6\r\n") "ab");
    answer();
    loopback_reset(l);
    cr_assert_eq(done, 1);
    cr_assert_null(stream);
    cr_assert_eq(loopback_exchanges(l), 0);
}

Test(duplex, what_is_answered_plainly_drops_the_rest)
{
    loopback_send(l, POST("Content-Length: 6\r\n") "ab");
    svl_text(held, 200, SVL_STR("enough"));
    svl_resume(held, SVL_DONE);
    expect("enough");
    loopback_send(l, "cdef");
    cr_assert_eq(pieces, 1);
    cr_assert_eq(loopback_status(loopback_get(l, "/plain", "")), 200);
}
