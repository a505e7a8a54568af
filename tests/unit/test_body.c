/* Bodies of requests: whole, in pieces, paused, too large, and clients that leave meanwhile. */
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>

static char got[256 * 1024];
static size_t n_got;
static int pieces, last, gone;
static struct svl_ctx *held;
static size_t limit;
static bool pause_first, keep_when_gone, answer_early;

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    cr_assert_eq(arg, &pieces);
    if (kind == SVL_PIECE_GONE) {
        gone++;
        held = ctx;
        return keep_when_gone ? SVL_PENDING : SVL_DONE;
    }
    pieces++;
    cr_assert(n_got + piece.n <= sizeof got);
    memcpy(got + n_got, piece.p, piece.n);
    n_got += piece.n;
    if (answer_early)
        return svl_text(ctx, 200, SVL_STR("early"));
    if (kind == SVL_PIECE_LAST) {
        last++;
        return svl_text(ctx, 200, svl_printf(ctx, "%zu", n_got));
    }
    if (pause_first && pieces == 1) {
        held = ctx;
        svl_body_pause(ctx);
    }
    return SVL_PENDING;
}

/* Without end, in pieces as large as there is room for. */
static ssize_t pour(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx;
    (void)arg;
    memset(to, 'x', room);
    pieces++;
    return (ssize_t)room;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    if (limit)
        svl_body_limit(ctx, limit);
    if (svl_str_eq(ctx->req.path, SVL_STR("/refuse")))
        return svl_fail(ctx, 417, "not wanted");
    if (svl_str_eq(ctx->req.path, SVL_STR("/pour"))) {
        svl_status(ctx, 200);
        svl_body_source(ctx, pour, NULL, -1);
        return SVL_DONE;
    }
    return svl_stream_body(ctx, on_piece, &pieces);
}

static int done;

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    (void)ctx;
    done++;
}

static const struct svl_module streaming = {
    .name = "streaming", .on_request = on_request, .on_done = on_done};

static struct loopback *l;

static void begin(void)
{
    static const struct svl_use chain[] = {{&streaming, NULL}, SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){.chain = chain});
}

static void end(void)
{
    cr_assert_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

TestSuite(body, .init = begin, .fini = end);

#define POST(path, fields) "POST " path " HTTP/1.1\r\nHost: x\r\n" fields "\r\n"

static void expect_answer(int status, const char *body)
{
    svl_str answer = loopback_take(l);

    cr_assert_eq(loopback_status(answer), status, "%.*s", SVL_FMT(answer));
    if (body)
        cr_assert(svl_str_eq(loopback_body(answer), svl_str_of(body)), "%.*s", SVL_FMT(answer));
}

Test(body, comes_in_the_pieces_it_arrives_in)
{
    loopback_send(l, POST("/", "Content-Length: 10\r\n") "01234");
    cr_assert_eq(pieces, 1);
    loopback_send(l, "567");
    cr_assert_eq(pieces, 2);
    cr_assert_eq(loopback_take(l).n, 0);
    loopback_send(l, "89");
    cr_assert_eq(last, 1);
    expect_answer(200, "10");
    cr_assert_eq(memcmp(got, "0123456789", 10), 0);
    cr_assert_not(loopback_closed(l));
}

Test(body, that_comes_with_its_head_ends_too)
{
    loopback_send(l, POST("/", "Content-Length: 5\r\n") "01234" POST("/", "Content-Length: 2\r\n"));
    expect_answer(200, "5");
    loopback_send(l, "56");
    expect_answer(200, "7");
    cr_assert_eq(last, 2);
}

Test(body, of_no_bytes_is_one_empty_last_piece)
{
    loopback_send(l, POST("/", ""));
    cr_assert_eq(pieces, 1);
    expect_answer(200, "0");
}

Test(body, in_chunks_is_given_without_their_lines)
{
    loopback_send(
        l, POST("/", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
                                                       "GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(n_got, 7);
    cr_assert_eq(memcmp(got, "abcdefg", 7), 0);
    expect_answer(200, NULL);
    cr_assert_eq(done, 2);
}

Test(body, larger_than_all_memory_for_whole_ones_passes_through)
{
    static char megabyte[1 << 20];
    char head[100];

    answer_early = false;
    memset(megabyte, 'x', sizeof megabyte);
    snprintf(head, sizeof head, POST("/", "Content-Length: %d\r\n"), 8 << 20);
    loopback_send(l, head);
    for (int i = 0; i < 8; i++) {
        n_got = 0; /* the sink is small */
        for (size_t at = 0; at < sizeof megabyte; at += 65536) {
            n_got = 0;
            loopback_send_bytes(l, (svl_str){megabyte + at, 65536});
        }
    }
    cr_assert_eq(last, 1);
    expect_answer(200, NULL);
}

Test(body, waits_while_it_is_paused)
{
    pause_first = true;
    loopback_send(l, POST("/", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n");
    cr_assert_eq(pieces, 1);
    loopback_send(l, "3\r\ndef\r\n");
    cr_assert_eq(pieces, 1);
    svl_body_continue(&*held);
    loopback_pass(l, 0);
    loopback_send(l, "3\r\ndef\r\n0\r\n\r\n"); /* what the loopback could not deliver before */
    cr_assert_eq(last, 1);
    cr_assert_eq(memcmp(got, "abcdef", 6), 0);
    expect_answer(200, "6");
}

Test(body, rests_that_were_read_before_a_pause_are_not_lost)
{
    pause_first = true;
    loopback_send(
        l, POST("/", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
                                                       "GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(pieces, 1);
    svl_body_continue(held);
    loopback_pass(l, 0);
    cr_assert_eq(last, 1);
    cr_assert_eq(memcmp(got, "abcdef", 6), 0);
    cr_assert_eq(done, 2);
    loopback_take(l);
}

Test(body, is_dropped_when_the_hook_answers_early)
{
    answer_early = true;
    loopback_send(l, POST("/", "Content-Length: 10\r\n") "01234");
    expect_answer(200, "early");
    cr_assert_not(loopback_shut(l));
    loopback_send(l, "56789" POST("/refuse", ""));
    expect_answer(417, NULL);
}

Test(body, over_its_own_limit_is_refused_at_once_when_the_length_tells)
{
    limit = 9;
    loopback_send(l, POST("/", "Content-Length: 10\r\n"));
    cr_assert_eq(pieces, 0);
    cr_assert_eq(gone, 0);
    expect_answer(413, NULL);
    loopback_send(l, "0123456789"); /* short enough to be read and dropped */
    cr_assert_not(loopback_shut(l));
}

Test(body, over_its_own_limit_is_refused_when_it_gets_there)
{
    limit = 5;
    loopback_send(l, POST("/", "Transfer-Encoding: chunked\r\n") "5\r\nabcde\r\n");
    cr_assert_eq(pieces, 1);
    loopback_send(l, "1\r\nf\r\n0\r\n\r\n");
    cr_assert_eq(gone, 1);
    expect_answer(413, NULL);
    cr_assert(loopback_shut(l));
}

Test(body, that_breaks_the_rules_is_told_and_answered)
{
    loopback_send(l, POST("/", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\nzz\r\n");
    cr_assert_eq(gone, 1);
    expect_answer(400, NULL);
    cr_assert(loopback_shut(l));
}

Test(body, that_breaks_the_rules_is_answered_though_the_ctx_is_still_used)
{
    keep_when_gone = true;
    loopback_send(l, POST("/", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\nzz\r\n");
    expect_answer(400, NULL);
    cr_assert_eq(done, 0);
    cr_assert_eq(loopback_exchanges(l), 1);
    svl_resume(held, SVL_DONE);
    cr_assert_eq(done, 1);
}

Test(body, that_is_late_is_408)
{
    loopback_send(l, POST("/", "Content-Length: 10\r\n") "01234");
    loopback_pass(l, 11000);
    cr_assert_eq(gone, 1);
    expect_answer(408, NULL);
}

Test(body, of_a_client_that_leaves_ends_the_request)
{
    loopback_send(l, POST("/", "Content-Length: 10\r\n") "01234");
    loopback_reset(l);
    cr_assert_eq(gone, 1);
    cr_assert_eq(done, 1);
}

Test(body, of_a_client_that_leaves_may_still_be_used_until_resumed)
{
    keep_when_gone = true;
    loopback_send(l, POST("/", "Content-Length: 10\r\n") "01234");
    loopback_reset(l);
    cr_assert_eq(done, 0);
    svl_resume(held, SVL_DONE);
    cr_assert_eq(done, 1);
}

Test(body, is_asked_for_with_100_when_it_is_wanted_and_only_then)
{
    loopback_send(l, POST("/refuse", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    expect_answer(417, NULL);
    cr_assert(loopback_shut(l));
    loopback_reconnect(l);
    loopback_send(l, POST("/", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    cr_assert(svl_str_eq(loopback_take(l), SVL_STR("HTTP/1.1 100 Continue\r\n\r\n")));
    loopback_send(l, "01234");
    expect_answer(200, "5");
}

Test(body, any_cut_gives_the_same)
{
    static const char text[] =
        POST("/", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: v\r\n\r\n";

    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        n_got = 0;
        loopback_send_bytes(l, (svl_str){text, cut});
        loopback_send_bytes(l, (svl_str){text + cut, sizeof text - 1 - cut});
        expect_answer(200, "7");
    }
}

/* What is gathered for a client that has gone was once put behind what had been left of it, and so
 * behind the end of that memory. */
Test(body, of_an_answer_ends_when_writing_fails)
{
    loopback_break(l);
    loopback_get(l, "/pour", "");
    cr_assert(loopback_closed(l));
    cr_assert_leq(pieces, 64);
    cr_assert_eq(done, 1);
}
