/* Connections of HTTP/1.1 through the loopback: what depends on time, on clients that do not read,
 * and on when something happens. What is sent and answered has its scripts in tests/wire. */
#include "run/server.h"
#include "support/answers.h"
#include "support/echo.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

static struct svl_ctx *held;
static int cancelled;

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    cancelled++;
}

static enum svl_verdict hold(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (!svl_str_eq(ctx->req.path, SVL_STR("/held")))
        return svl_text(ctx, 200, SVL_STR("free\n"));
    held = ctx;
    return svl_pend(ctx, on_cancel, NULL);
}

static const struct svl_server_config holding = {.handler = hold};

#define HELD "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"

static void nothing_is_left(struct loopback *l)
{
    loopback_reset(l);
    loopback_round(l);
    cr_assert_eq(loopback_exchanges(l), 0);
    cr_assert_eq(loopback_worker(l)->outs.live, 0);
    loopback_close(l);
}

/* Answers of what came back; each must be well formed. */
static unsigned count(svl_str bytes)
{
    struct answer a;
    const char *why = "";
    unsigned n = 0;
    int more;

    while ((more = answer_next(&bytes, &a, &why)) > 0)
        n++;
    cr_assert(more == 0, "%s", why);
    return n;
}

/* Suspended requests ----------------------------------------------------------------------- */

Test(h1, a_held_request_holds_back_those_behind_it)
{
    struct loopback *l = loopback_open(&holding);

    loopback_offer(l, SVL_STR(HELD GET GET));
    cr_assert_eq(loopback_take(l).n, 0);
    svl_text(held, 200, SVL_STR("held\n"));
    svl_resume(held, SVL_DONE);
    loopback_round(l);
    cr_assert_eq(count(loopback_take(l)), 3);
    nothing_is_left(l);
}

Test(h1, a_client_that_goes_while_its_request_is_held_leaves_the_memory_to_the_holder)
{
    struct loopback *l = loopback_open(&holding);

    loopback_offer(l, SVL_STR(HELD GET));
    loopback_reset(l);
    cr_assert_eq(cancelled, 1);
    cr_assert(svl_str_eq(held->req.path, SVL_STR("/held")));
    svl_text(held, 200, SVL_STR("too late\n"));
    svl_resume(held, SVL_DONE);
    cr_assert_eq(loopback_take(l).n, 0);
    nothing_is_left(l);
}

Test(h1, a_client_that_goes_at_any_byte_leaves_nothing)
{
    static const char text[] = HELD "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                    "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" HELD;
    struct loopback *l = loopback_open(&holding);

    for (size_t n = 0; n < sizeof text; n++) {
        for (int late = 0; late < 2; late++) {
            loopback_reconnect(l);
            held = NULL;
            loopback_offer(l, (svl_str){text, n});
            if (held && late) {
                struct svl_ctx *first = held;

                held = NULL;
                svl_resume(first, svl_text(first, 200, SVL_STR("ok")));
                loopback_round(l);
            }
            loopback_reset(l);
            if (held)
                svl_resume(held, SVL_ERROR);
            loopback_round(l);
            cr_assert_eq(loopback_exchanges(l), 0, "%zu bytes", n);
        }
    }
    nothing_is_left(l);
}

Test(h1, a_stop_at_any_byte_ends_every_connection)
{
    static const char text[] =
        GET "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" GET;

    for (size_t n = 0; n < sizeof text; n += 3) {
        struct loopback *l = loopback_open(&holding);

        loopback_offer(l, (svl_str){text, n});
        loopback_stop(l);
        loopback_offer(l, (svl_str){text + n, sizeof text - 1 - n});
        loopback_pass(l, 11000);
        count(loopback_take(l));
        cr_assert(loopback_shut(l), "%zu bytes", n);
        nothing_is_left(l);
    }
}

Test(h1, a_held_request_outlives_a_stop_and_says_close)
{
    struct loopback *l = loopback_open(&holding);
    svl_str got;

    loopback_offer(l, SVL_STR(HELD));
    loopback_stop(l);
    cr_assert(!loopback_closed(l));
    svl_resume(held, svl_text(held, 200, SVL_STR("held\n")));
    loopback_round(l);
    got = loopback_take(l);
    cr_assert_eq(loopback_status(got), 200);
    cr_assert(svl_str_eq(loopback_field(got, "Connection"), SVL_STR("close")));
    cr_assert(loopback_shut(l));
    nothing_is_left(l);
}

/* Clients that do not read ----------------------------------------------------------------- */

Test(h1, a_client_that_takes_a_byte_at_a_time_gets_every_byte)
{
    struct loopback *l = loopback_open(&echo_config);
    svl_str got;
    char *first;
    size_t n;

    loopback_offer(l, SVL_STR(GET "GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n"
                                  "GET /big?3000 HTTP/1.1\r\nHost: x\r\n\r\n" GET));
    got = loopback_take(l);
    n = got.n;
    first = malloc(n);
    memcpy(first, got.p, n);
    loopback_reconnect(l);
    loopback_room(l, 0);
    loopback_offer(l, SVL_STR(GET "GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n"
                                  "GET /big?3000 HTTP/1.1\r\nHost: x\r\n\r\n" GET));
    for (size_t i = 0; i < n + 10; i++)
        loopback_room(l, 1);
    loopback_room(l, SIZE_MAX);
    loopback_round(l);
    got = loopback_take(l);
    cr_assert_eq(got.n, n);
    cr_assert_eq(count(got), 4);
    free(first);
    nothing_is_left(l);
}

Test(h1, a_client_that_pipelines_and_does_not_read_costs_a_bounded_backlog)
{
    struct loopback *l = loopback_open(&echo_config);
    struct svl_chunk_store *chunks = &loopback_worker(l)->chunks;
    size_t large;

    loopback_room(l, 0);
    for (int i = 0; i < 2000; i++)
        loopback_offer(l, SVL_STR("GET /big?10000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    large = chunks->large;
    for (unsigned i = 0; i < SVL_CHUNK_CLASSES; i++)
        large += chunks->classes[i].live * chunks->classes[i].size;
    cr_assert_lt(large, 512 * 1024);
    nothing_is_left(l);
}

Test(h1, a_client_that_does_not_read_is_given_up_when_nothing_moves)
{
    struct loopback *l = loopback_open(&echo_config);

    loopback_room(l, 1000);
    loopback_offer(l, SVL_STR("GET /big?1000000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    loopback_pass(l, 59000);
    cr_assert(!loopback_closed(l));
    loopback_pass(l, 61000);
    cr_assert(loopback_closed(l));
    nothing_is_left(l);
}

/* `room` bytes are taken, then a minute passes. */
static void read_slowly(unsigned min_write_rate, size_t room, bool given_up)
{
    struct svl_server_config config = echo_config;
    struct loopback *l;

    config.min_write_rate = min_write_rate;
    l = loopback_open(&config);
    loopback_room(l, 1000);
    loopback_offer(l, SVL_STR("GET /big?1000000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int minutes = 0; minutes < 3; minutes++) {
        loopback_room(l, room);
        loopback_pass(l, 60001);
        cr_assert_eq(loopback_closed(l), given_up, "after %d minutes", minutes + 1);
    }
    nothing_is_left(l);
}

Test(h1, a_client_that_reads_slowly_is_not_given_up_while_it_reads_fast_enough)
{
    read_slowly(0, 14401, false);
    read_slowly(0, 14399, true);
    read_slowly(10, 601, false);
    read_slowly(10, 599, true);
    read_slowly(SVL_NEVER, 1, false);
}

/* Between two pieces the handler is busy: that is not the client's fault. */
static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    (void)piece;
    (void)arg;
    held = NULL;
    if (kind == SVL_PIECE_GONE)
        return SVL_DONE;
    if (kind == SVL_PIECE_LAST)
        return svl_text(ctx, 200, SVL_STR("got it\n"));
    held = ctx;
    svl_body_pause(ctx);
    return SVL_PENDING;
}

static enum svl_verdict take_pieces(const struct svl_link *self, struct svl_ctx *ctx, void *arg)
{
    (void)self;
    return svl_stream_body(ctx, on_piece, arg);
}

static struct loopback *send_in_pieces(unsigned pieces, unsigned busy_ms, unsigned silent_ms)
{
    struct svl_server_config config = {.on_head = take_pieces};
    struct loopback *l = loopback_open(&config);

    loopback_offer(l, SVL_STR("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"));
    for (unsigned i = 0; i < pieces && !loopback_shut(l); i++) {
        loopback_pass(l, silent_ms);
        loopback_offer(l, SVL_STR("a"));
        loopback_pass(l, busy_ms);
        if (held)
            svl_body_continue(held);
        loopback_round(l);
    }
    return l;
}

Test(h1, a_body_is_not_slow_because_its_handler_is)
{
    struct loopback *l = send_in_pieces(20, 60000, 100);

    cr_assert_eq(loopback_status(loopback_take(l)), 200);
    nothing_is_left(l);
}

Test(h1, pauses_of_the_handler_do_not_give_a_slow_body_more_time)
{
    struct loopback *l = send_in_pieces(20, 1000, 6000);

    cr_assert_eq(loopback_status(loopback_take(l)), 408);
    nothing_is_left(l);
}

Test(h1, a_client_that_goes_while_it_does_not_read_leaves_nothing)
{
    struct loopback *l = loopback_open(&echo_config);

    for (size_t room = 0; room < 2000; room += 97) {
        loopback_reconnect(l);
        loopback_room(l, room);
        loopback_offer(l, SVL_STR(GET "GET /big?70000 HTTP/1.1\r\nHost: x\r\n\r\n" GET));
        loopback_reset(l);
        loopback_round(l);
        cr_assert_eq(loopback_exchanges(l), 0);
    }
    nothing_is_left(l);
}

/* Sources ---------------------------------------------------------------------------------- */

Test(h1, a_source_that_has_nothing_is_asked_again_when_it_says_so)
{
    struct loopback *l = loopback_open(&echo_config);

    loopback_offer(l, SVL_STR("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
    cr_assert_eq(loopback_status(loopback_take(l)), 200); /* the head does not wait */
    echo_more();
    loopback_round(l);
    cr_assert(svl_str_ends(loopback_take(l), SVL_STR("\r\n0\r\n\r\n")));
    cr_assert(!loopback_closed(l));
    nothing_is_left(l);
}

Test(h1, a_source_that_wakes_up_while_the_client_does_not_read_waits_for_it)
{
    struct loopback *l = loopback_open(&echo_config);

    loopback_room(l, 10);
    loopback_offer(l, SVL_STR("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
    echo_more();
    loopback_round(l);
    cr_assert_eq(loopback_take(l).n, 10);
    loopback_room(l, SIZE_MAX);
    loopback_round(l);
    echo_more();
    loopback_round(l);
    cr_assert(svl_str_ends(loopback_take(l), SVL_STR("\r\n0\r\n\r\n")));
    nothing_is_left(l);
}

Test(h1, a_client_that_goes_while_its_source_has_nothing_leaves_nothing)
{
    struct loopback *l = loopback_open(&echo_config);

    loopback_offer(l, SVL_STR("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
    loopback_reset(l);
    echo_more(); /* of nobody */
    nothing_is_left(l);
}

/* Time ------------------------------------------------------------------------------------- */

Test(h1, the_time_for_a_head_is_not_prolonged_by_its_bytes)
{
    struct svl_server_config config = echo_config;
    struct loopback *l;
    svl_str got;

    config.header_ms = 300;
    l = loopback_open(&config);
    loopback_offer(l, SVL_STR("GET / HTTP/1.1\r\nHost: x\r\nA: "));
    for (int i = 0; i < 8 && !loopback_shut(l); i++) {
        usleep(50 * 1000);
        loopback_offer(l, SVL_STR("b"));
        loopback_round(l);
    }
    usleep(100 * 1000);
    loopback_round(l);
    got = loopback_take(l);
    cr_assert_eq(loopback_status(got), 408);
    cr_assert(loopback_shut(l));
    nothing_is_left(l);
}

Test(h1, many_requests_on_one_connection_and_then_it_closes)
{
    struct svl_server_config config = echo_config;
    struct loopback *l;

    config.max_requests = 3;
    l = loopback_open(&config);
    loopback_offer(l, SVL_STR(GET GET GET GET));
    cr_assert_eq(count(loopback_take(l)), 3);
    cr_assert(loopback_shut(l));
    nothing_is_left(l);
}

Test(h1, a_client_that_goes_on_talking_behind_the_last_answer_is_cut_off)
{
    struct loopback *l = loopback_open(&echo_config);

    loopback_offer(l, SVL_STR("GET / HTTP/1.1\r\n\r\n more"));
    cr_assert(loopback_shut(l));
    for (int i = 0; i < 200 && !loopback_closed(l); i++) {
        static const char junk[16384];

        loopback_offer(l, (svl_str){junk, sizeof junk});
    }
    cr_assert(loopback_closed(l));
    nothing_is_left(l);
}

Test(h1, a_client_that_says_nothing_behind_the_last_answer_is_not_waited_for_long)
{
    struct loopback *l = loopback_open(&echo_config);

    loopback_offer(l, SVL_STR("GET / HTTP/1.1\r\n\r\n more"));
    loopback_pass(l, 2100);
    cr_assert(loopback_closed(l));
    nothing_is_left(l);
}

/* Memory ----------------------------------------------------------------------------------- */

static svl_str upload(char *to, size_t size, size_t sent)
{
    size_t n = (size_t)snprintf(
        to, size, "POST /free HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");

    memset(to + n, 'a', sent);
    return (svl_str){to, n + sent};
}

static bool is_503_with_retry_after(svl_str answer)
{
    return loopback_status(answer) == 503 && loopback_field(answer, "Retry-After").p &&
           svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close"));
}

Test(h1, above_the_budget_new_requests_are_refused_and_nothing_else)
{
    struct svl_server_config config = holding;
    static char bytes[100000];
    struct loopback *l;
    unsigned uploads = 0, refused = 0;

    config.max_memory = 600000;
    l = loopback_open(&config);
    loopback_offer(l, SVL_STR(HELD));
    for (unsigned client = 1; client < LOOPBACK_CLIENTS - 1; client++) {
        loopback_send_on(l, client, upload(bytes, sizeof bytes, 30000));
        loopback_send_on(l, client, (svl_str){bytes + 1000, 1000});
        if (is_503_with_retry_after(loopback_take_on(l, client)))
            refused++;
        else
            uploads++;
    }
    cr_assert_gt(uploads, 2);
    cr_assert_gt(refused, 2);
    cr_assert_lt(svl_worker_memory(loopback_worker(l)), 600000 + 200000);

    loopback_send_on(l, LOOPBACK_CLIENTS - 1, SVL_STR(GET));
    cr_assert(is_503_with_retry_after(loopback_take_on(l, LOOPBACK_CLIENTS - 1)));
    svl_text(held, 200, SVL_STR("held\n"));
    svl_resume(held, SVL_DONE);
    cr_assert_eq(loopback_status(loopback_take(l)), 200, "what has begun is finished");

    for (unsigned client = 1; client < LOOPBACK_CLIENTS; client++)
        loopback_reset_on(l, client);
    loopback_round(l);
    loopback_reconnect(l);
    cr_assert_eq(loopback_status(loopback_ask(l, GET)), 200, "there is room again");
    nothing_is_left(l);
}

Test(h1, a_body_that_is_announced_and_not_sent_holds_little)
{
    struct loopback *l = loopback_open(&holding);
    static char bytes[100000];
    size_t before = svl_worker_memory(loopback_worker(l));

    loopback_offer(l, upload(bytes, sizeof bytes, 1));
    cr_assert_lt(svl_worker_memory(loopback_worker(l)) - before, 80000);
    nothing_is_left(l);
}

/* Many small reads once took a buffer each (CVE-2010-0295). */
Test(h1, a_body_that_comes_byte_by_byte_holds_no_more_than_one_that_does_not)
{
    struct loopback *l = loopback_open(&holding);
    static char bytes[100000];
    size_t before = svl_worker_memory(loopback_worker(l));
    svl_str all = upload(bytes, sizeof bytes, 5000);

    for (size_t i = 0; i < all.n; i++)
        loopback_offer(l, (svl_str){all.p + i, 1});
    cr_assert_lt(svl_worker_memory(loopback_worker(l)) - before, 100000);
    nothing_is_left(l);
}

Test(h1, a_body_arrives_whole_however_often_its_memory_grew)
{
    struct loopback *l = loopback_open(&echo_config);
    char body[5000], head[100];

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)('a' + i % 26);
    for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
        snprintf(head, sizeof head, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
        loopback_offer(l, svl_str_of(head));
        for (size_t at = 0; at < sizeof body; at += piece)
            loopback_offer(l, svl_str_head((svl_str){body + at, sizeof body - at}, piece));
        cr_assert(memmem(loopback_take(l).p, 5500, body, sizeof body), "pieces of %zu", piece);
    }
    nothing_is_left(l);
}

/* What one connection may hold --------------------------------------------------------------- */

#define LEAST 262144 /* bytes */

static struct loopback *open_tight(const struct svl_server_config *base)
{
    struct svl_server_config config = *base;

    config.max_connection_memory = LEAST;
    config.max_body = 10 << 20;
    config.max_head = 1 << 20;
    return loopback_open(&config);
}

/* Sends it piece by piece until something comes back. Returns the most that was held meanwhile. */
static size_t trickle(struct loopback *l, svl_str bytes)
{
    size_t before = svl_worker_memory(loopback_worker(l)), most = 0;

    for (size_t at = 0; at < bytes.n && !loopback_shut(l) && !loopback_closed(l); at += 1000) {
        size_t now;

        loopback_offer(l, svl_str_head((svl_str){bytes.p + at, bytes.n - at}, 1000));
        now = svl_worker_memory(loopback_worker(l)) - before;
        most = now > most ? now : most;
    }
    return most;
}

static svl_str filled(const char *begin, size_t n)
{
    static char bytes[2000000];
    size_t head = strlen(begin);

    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, begin, head);
    cr_assert_leq(head + n, sizeof bytes);
    return (svl_str){bytes, head + n};
}

Test(h1, a_body_that_would_take_more_than_a_connection_may_hold_is_refused)
{
    struct loopback *l = open_tight(&holding);
    svl_str answer;

    cr_assert_leq(trickle(l, filled("POST /free HTTP/1.1\r\nHost: x\r\n"
                                    "Content-Length: 1500000\r\n\r\n",
                                    1500000)),
                  LEAST);
    answer = loopback_take(l);
    cr_assert_eq(loopback_status(answer), 413);
    cr_assert(memmem(answer.p, answer.n, "than a connection may hold", 26));
    cr_assert(svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close")));
    loopback_reconnect(l);
    trickle(l, filled("POST /free HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n", 50000));
    cr_assert_eq(loopback_status(loopback_take(l)), 200, "a smaller one is taken");
    nothing_is_left(l);
}

Test(h1, a_chunked_body_is_held_to_the_same)
{
    struct loopback *l = open_tight(&holding);

    cr_assert_leq(trickle(l, filled("POST /free HTTP/1.1\r\nHost: x\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n150000\r\n",
                                    1300000)),
                  LEAST);
    cr_assert_eq(loopback_status(loopback_take(l)), 413);
    nothing_is_left(l);
}

Test(h1, a_head_that_would_take_more_than_a_connection_may_hold_is_refused)
{
    struct loopback *l = open_tight(&holding);
    svl_str answer;

    cr_assert_leq(trickle(l, filled("GET /free HTTP/1.1\r\nHost: x\r\nX: ", 900000)), LEAST);
    answer = loopback_take(l);
    cr_assert_eq(loopback_status(answer), 431);
    cr_assert(memmem(answer.p, answer.n, "than a connection may hold", 26));
    nothing_is_left(l);
}

static enum svl_verdict answer_16k(struct svl_ctx *ctx, void *arg)
{
    static char body[16000];

    (void)arg;
    memset(body, 'b', sizeof body);
    return svl_text(ctx, 200, (svl_str){body, sizeof body});
}

Test(h1, answers_that_are_not_read_hold_back_the_requests_behind_them)
{
    struct loopback *l = open_tight(&(struct svl_server_config){.handler = answer_16k});
    size_t before = svl_worker_memory(loopback_worker(l));
    unsigned sent = 0, answered;

    loopback_room(l, 1);
    for (; sent < 2000; sent += 20)
        loopback_offer(l, SVL_STR(GET GET GET GET GET GET GET GET GET GET GET GET GET GET GET GET
                                      GET GET GET GET));
    cr_assert_leq(svl_worker_memory(loopback_worker(l)) - before, LEAST);
    loopback_room(l, SIZE_MAX);
    for (answered = 0; answered < sent;) {
        unsigned n = count(loopback_take(l));

        cr_assert_gt(n, 0, "%u of %u came", answered, sent);
        answered += n;
    }
    cr_assert_eq(answered, sent);
    nothing_is_left(l);
}

static struct svl_stream *stream;

static enum svl_verdict open_stream(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    stream = svl_stream_open(ctx, NULL, NULL, NULL);
    svl_stream_limit(stream, 100 << 20);
    return SVL_DONE;
}

Test(h1, a_stream_takes_no_more_than_its_connection_may_hold)
{
    struct loopback *l = open_tight(&(struct svl_server_config){.handler = open_stream});
    size_t before = svl_worker_memory(loopback_worker(l));
    static char piece[1000];
    unsigned taken = 0;

    loopback_room(l, 1);
    loopback_offer(l, SVL_STR(GET));
    memset(piece, 'c', sizeof piece);
    while (taken < 10000 && svl_stream_write(stream, (svl_str){piece, sizeof piece}) == 0) {
        taken++;
        loopback_round(l);
    }
    cr_assert_lt(taken, LEAST / 1000);
    cr_assert_leq(svl_worker_memory(loopback_worker(l)) - before, LEAST);
    nothing_is_left(l);
}

Test(h1, less_than_a_connection_needs_is_refused_when_the_server_starts)
{
    struct svl_server *server;
    struct svl_server_config config = holding;

    config.max_connection_memory = LEAST - 1;
    cr_assert_eq(svl_server_open(&server, &config), SVL_ECONFIG);
}
