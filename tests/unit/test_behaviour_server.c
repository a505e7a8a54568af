/* Behaviours by number, the server: tests/behaviours.md says what was decided about each. */
#include "serval/serval.h"
#include "support/behaviour.h"
#include "support/body.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"

static struct loopback *l;
static unsigned handled;

static void end(void)
{
    if (l)
        loopback_close(l);
}

TestSuite(behaviour_server, .fini = end);

#define SERVE(...) (handled = 0, l = loopback_open(&(struct svl_server_config){__VA_ARGS__}))

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    handled++;
    return svl_text(ctx, 200, SVL_STR("hello"));
}

static enum svl_verdict nothing(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_status(ctx, 200);
    return SVL_DONE;
}

Test(behaviour_server, b075_an_empty_answer_has_a_length_and_no_type)
{
    svl_str answer;

    SERVE(.handler = nothing);
    answer = loopback_get(l, "/", "");
    cr_assert(is(loopback_field(answer, "Content-Length"), "0"));
    cr_assert(!loopback_field(answer, "Content-Type").p);
}

static enum svl_verdict not_found(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_fail(ctx, 404, NULL);
}

Test(behaviour_server, b076_not_found_keeps_the_name)
{
    svl_str answer;

    SERVE(.handler = not_found, .name = "mine");
    answer = loopback_get(l, "/", "");
    cr_assert(loopback_status(answer) == 404 && is(loopback_field(answer, "Server"), "mine"));
    cr_assert(has(loopback_body(answer), "404"));
}

static enum svl_verdict untyped(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_body_bytes(ctx, SVL_STR("012345678901234567890123"));
    svl_status(ctx, 200);
    return SVL_DONE;
}

Test(behaviour_server, b077_default_fields_can_be_left_out)
{
    svl_str answer;

    SERVE(.handler = untyped, .name = "", .no_date = true);
    answer = loopback_get(l, "/", "");
    cr_assert_eq(loopback_status(answer), 200);
    cr_assert(!loopback_field(answer, "Server").p && !loopback_field(answer, "Date").p &&
              !loopback_field(answer, "Content-Type").p);
}

Test(behaviour_server, b078_head_has_the_length_and_no_body)
{
    svl_str answer;

    SERVE(.handler = untyped);
    answer = loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    cr_assert(is(loopback_field(answer, "Content-Length"), "24") && loopback_body(answer).n == 0);
}

static enum svl_verdict bodiless(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_text(ctx, is(ctx->req.path, "/304") ? 304 : 204, SVL_STR("a body"));
    svl_reason(ctx, SVL_STR("NC"));
    return SVL_DONE;
}

Test(behaviour_server, b079_204_and_304_have_no_body) /* a 304 has the length of the 200, 8.6 */
{
    static const char *const paths[] = {"/204", "/304"};

    SERVE(.handler = bodiless);
    for (int i = 0; i < 2; i++) {
        svl_str answer = loopback_get(l, paths[i], "");

        cr_assert(has(svl_str_head(answer, 15), paths[i] + 1) && has(answer, " NC\r\n"));
        cr_assert(!loopback_field(answer, "Content-Type").p && loopback_body(answer).n == 0);
        cr_assert(is(loopback_field(answer, "Content-Length"), i ? "6" : NULL));
    }
}

Test(behaviour_server, b080_an_answer_does_not_wait_for_the_next_request)
{
    SERVE(.handler = hello);
    cr_assert_eq(answers_in(loopback_ask(l, GET "\r\nGET / HT")), 1);
    cr_assert_eq(answers_in(loopback_ask(l, "TP/1.1\r\nHost: h\r\n\r\n")), 1);
}

static char states[128];

static void on_state(enum svl_connection_state state, const struct svl_connection *c, void *arg)
{
    static const char *const names[] = {"new ", "active ", "idle ", "hijacked ", "closed "};

    (void)c, (void)arg;
    strcat(states, names[state]);
}

Test(behaviour_server, b081_the_states_of_a_connection_are_told)
{
    SERVE(.handler = hello, .on_state = on_state);
    loopback_get(l, "/", "");
    loopback_get(l, "/", "");
    loopback_eof(l);
    cr_assert_str_eq(states, "new active idle active idle closed ");
}

static enum svl_verdict closing(struct svl_ctx *ctx, void *arg)
{
    svl_close(ctx);
    return hello(ctx, arg);
}

Test(behaviour_server, b083_what_follows_the_last_answer_is_ignored)
{
    svl_str answer;

    SERVE(.handler = closing);
    answer = loopback_ask(l, GET "\r\n" GET "\r\n");
    cr_assert(answers_in(answer) == 1 && handled == 1 && has(answer, "Connection: close\r\n"));
}

static enum svl_verdict keeps_open(struct svl_ctx *ctx, void *arg)
{
    svl_header_set(ctx, SVL_H_CONNECTION, SVL_STR("keep-alive"));
    return hello(ctx, arg);
}

Test(behaviour_server, b085_a_handler_cannot_keep_http_1_0_open)
{
    svl_str answer;

    SERVE(.handler = keeps_open);
    answer = loopback_ask(l, "GET / HTTP/1.0\r\n\r\n");
    cr_assert(has(answer, "Connection: close\r\n") && !has(answer, "keep-alive"));
    cr_assert(loopback_shut(l));
}

Test(behaviour_server, b086_keep_alive_can_be_off)
{
    svl_str answer;

    SERVE(.handler = hello, .no_keep_alive = true);
    answer = loopback_ask(l, GET "\r\n" GET "\r\n");
    cr_assert(answers_in(answer) == 1 && has(answer, "Connection: close\r\n"));
}

static struct svl_ctx *held;

static enum svl_verdict hold(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    handled++;
    held = ctx;
    return svl_pend(ctx, NULL, NULL);
}

Test(behaviour_server, b087_above_the_concurrency_it_is_503)
{
    struct svl_counts counts;

    SERVE(.handler = hold, .max_in_flight = 1);
    loopback_get(l, "/", "");
    for (int i = 0; i < 5; i++) {
        loopback_send_on(l, 1, SVL_STR(GET "\r\n"));
        cr_assert_eq(loopback_status(loopback_take_on(l, 1)), 503);
    }
    svl_server_counts(loopback_server(l), &counts);
    cr_assert(counts.refused == 5 && handled == 1);
    svl_text(held, 200, SVL_STR("late"));
    svl_resume(held, SVL_DONE);
    cr_assert_eq(loopback_status(loopback_take(l)), 200);
}

Test(behaviour_server, b088_an_address_has_so_many_connections)
{
    struct svl_address from = {.family = AF_INET, .ip = {192, 0, 2, 1}};

    SERVE(.handler = hello, .max_per_address = 1);
    loopback_address(l, 1, &from);
    loopback_address(l, 2, &from);
    loopback_send_on(l, 1, SVL_STR(GET "\r\n"));
    cr_assert_eq(loopback_status(loopback_take_on(l, 1)), 200);
    loopback_send_on(l, 2, SVL_STR(GET "\r\n"));
    cr_assert_eq(loopback_status(loopback_take_on(l, 2)), 429);
}

Test(behaviour_server, b089_only_get_can_be_allowed) /* stricter: 405 (RFC 9110 15.5.6) */
{
    svl_str answer;

    SERVE(.handler = hello, .get_only = true);
    answer = loopback_ask(l, POST "Content-Length: 3\r\n\r\nabc");
    cr_assert(loopback_status(answer) == 405 && is(loopback_field(answer, "Allow"), "GET, HEAD"));
    cr_assert_eq(handled, 0);
}

static enum svl_verdict on_head(const struct svl_link *self, struct svl_ctx *ctx, void *arg)
{
    (void)self, (void)arg;
    if (is(ctx->req.path, "/413"))
        return svl_fail(ctx, 413, NULL);
    if (is(ctx->req.path, "/5k"))
        svl_body_limit(ctx, 5120);
    return SVL_NEXT;
}

#define EXPECT(path)                                                                               \
    "POST " path " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

Test(behaviour_server, b090_expect_is_answered_before_the_body)
{
    svl_str answer;

    SERVE(.handler = hello, .on_head = on_head);
    cr_assert(is(loopback_ask(l, EXPECT("/")), "HTTP/1.1 100 Continue\r\n\r\n"));
    cr_assert_eq(loopback_status(loopback_ask(l, "12345")), 200);
    answer = loopback_ask(l, EXPECT("/413") GET "\r\n");
    cr_assert(loopback_status(answer) == 413 && has(answer, "Connection: close\r\n"));
    cr_assert(handled == 1 && answers_in(answer) == 1);
}

static enum svl_verdict hints(struct svl_ctx *ctx, void *arg)
{
    svl_header_add(ctx, SVL_H_LINK, SVL_STR("</style.css>; rel=preload"));
    cr_assert_eq(svl_early_hints(ctx), 0);
    return hello(ctx, arg);
}

Test(behaviour_server, b091_early_hints_come_first)
{
    SERVE(.handler = hints);
    cr_assert(
        has(loopback_get(l, "/", ""),
            "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 "));
}

Test(behaviour_server, b092_a_hook_limits_this_request)
{
    static char body[5121];

    SERVE(.handler = hello, .on_head = on_head);
    memset(body, 'x', sizeof body);
    loopback_send(l, "POST /5k HTTP/1.1\r\nHost: h\r\nContent-Length: 5120\r\n\r\n");
    loopback_send_bytes(l, (svl_str){body, 5120});
    cr_assert_eq(loopback_status(loopback_take(l)), 200);
    loopback_send(l, "POST /5k HTTP/1.1\r\nHost: h\r\nContent-Length: 5121\r\n\r\n");
    cr_assert_eq(loopback_status(loopback_take(l)), 413);
    cr_assert_eq(handled, 1);
}

static void shape(struct svl_ctx *ctx, int status, const char *why, void *arg)
{
    (void)why, (void)arg;
    svl_body_append(ctx, svl_printf(ctx, "[%.*s %d %lld]", SVL_FMT(ctx->req.path), status,
                                    (long long)ctx->req.content_length));
}

Test(behaviour_server, b093_the_error_hook_sees_the_request)
{
    SERVE(.handler = hello, .on_error = shape, .max_body = 3);
    cr_assert(has(loopback_ask(l, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"),
                  "[/a 413 4]"));
}

static enum svl_verdict late(const struct svl_link *self, struct svl_ctx *ctx)
{
    svl_deadline(self, ctx, 100, 408);
    return SVL_NEXT;
}

static const struct svl_module late_module = {.name = "late", .on_request = late};
static const struct svl_use late_chain[] = {{&late_module, NULL}, SVL_USE_END};

Test(behaviour_server, b095_many_deadlines_then_the_connections_go_on)
{
    struct svl_ctx *all[LOOPBACK_CLIENTS];

    SERVE(.handler = hold, .chain = late_chain);
    for (unsigned i = 0; i < LOOPBACK_CLIENTS; i++) {
        loopback_send_on(l, i, SVL_STR(GET "\r\n"));
        all[i] = held;
    }
    loopback_pass(l, 101);
    for (unsigned i = 0; i < LOOPBACK_CLIENTS; i++)
        cr_assert_eq(loopback_status(loopback_take_on(l, i)), 408);
    for (unsigned i = 0; i < LOOPBACK_CLIENTS; i++)
        svl_resume(all[i], SVL_DONE);
    loopback_send_on(l, 3, SVL_STR(GET "\r\n"));
    svl_text(held, 200, SVL_STR("in time"));
    svl_resume(held, SVL_DONE);
    cr_assert_eq(loopback_status(loopback_take_on(l, 3)), 200);
}

static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)arg;
    svl_raw_write(raw, data);
}

static enum svl_verdict hijack(struct svl_ctx *ctx, void *arg)
{
    static const struct svl_raw_events events = {.on_data = on_data};

    svl_hijack(ctx, &events, NULL);
    return hello(ctx, arg);
}

Test(behaviour_server, b096_a_connection_is_taken_over_behind_its_answer)
{
    svl_str got;

    SERVE(.handler = hijack);
    got = loopback_ask(l, GET "\r\nearly");
    cr_assert(loopback_status(got) == 200 && has(got, "helloearly"));
    cr_assert(is(loopback_ask(l, "more"), "more"));
}

static enum svl_verdict number(struct svl_ctx *ctx, void *arg)
{
    struct svl_connection c;

    (void)arg;
    svl_connection_of(ctx, &c);
    return svl_text(ctx, 200, svl_printf(ctx, "%u", c.requests));
}

Test(behaviour_server, b097_requests_of_a_connection_are_numbered)
{
    SERVE(.handler = number);
    cr_assert(is(loopback_body(loopback_get(l, "/", "")), "1"));
    cr_assert(is(loopback_body(loopback_get(l, "/", "")), "2"));
    cr_assert(is(loopback_body(loopback_get(l, "/", "")), "3"));
}

Test(behaviour_server, b101_stopping_finishes_what_runs)
{
    svl_str answer;

    SERVE(.handler = hold);
    loopback_get(l, "/", "");
    loopback_stop(l);
    cr_assert(!loopback_closed(l));
    svl_text(held, 200, SVL_STR("done"));
    svl_resume(held, SVL_DONE);
    answer = loopback_take(l);
    cr_assert(loopback_status(answer) == 200 && has(answer, "Connection: close\r\n"));
    cr_assert(loopback_shut(l));
}

Test(behaviour_server, b103_a_silent_client_is_closed_without_a_word)
{
    SERVE(.handler = hello, .idle_ms = 100, .reduce_memory = true);
    loopback_pass(l, 10001);
    cr_assert(loopback_closed(l) && loopback_take(l).n == 0 && handled == 0);
}

static enum svl_verdict streamed(struct svl_ctx *ctx, void *arg)
{
    struct svl_stream *stream = svl_stream_open(ctx, NULL, NULL, NULL);

    (void)arg;
    svl_trailer_set(ctx, SVL_STR("AtEnd1"), SVL_STR(""));
    svl_trailer_set(ctx, SVL_STR("AtEnd2"), SVL_STR(""));
    if (stream) {
        svl_stream_write(stream, SVL_STR("one "));
        svl_stream_write(stream, SVL_STR("two "));
        svl_trailer_set(ctx, SVL_STR("AtEnd1"), SVL_STR("1"));
        svl_trailer_set(ctx, SVL_STR("AtEnd2"), SVL_STR("2"));
        svl_stream_end(stream);
    }
    return SVL_DONE;
}

Test(behaviour_server, b105_a_stream_may_have_trailers)
{
    svl_str answer;

    SERVE(.handler = streamed);
    loopback_send(l, GET "\r\n");
    loopback_round(l);
    answer = loopback_take(l);
    cr_assert(is(loopback_field(answer, "Trailer"), "AtEnd1, AtEnd2"));
    cr_assert(has(answer, "\r\n0\r\nAtEnd1: 1\r\nAtEnd2: 2\r\n\r\n"), "%.*s", SVL_FMT(answer));
}

static enum svl_verdict modified(struct svl_ctx *ctx, void *arg)
{
    bool older = svl_modified_since(ctx, 1257893999), same = svl_modified_since(ctx, 1257894000);

    (void)arg;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%d%d%d", older, same, svl_modified_since(ctx, 1257894001)));
}

Test(behaviour_server, b106_if_modified_since_is_compared)
{
    SERVE(.handler = modified);
    cr_assert(is(loopback_body(loopback_get(l, "/", "")), "111"));
    cr_assert(is(
        loopback_body(loopback_get(l, "/", "If-Modified-Since: Tue, 10 Nov 2009 23:00:00 GMT\r\n")),
        "001"));
}

Test(behaviour_server, b107_a_refusal_is_a_whole_answer)
{
    int64_t seconds;
    svl_str answer;

    SERVE(.handler = hello, .name = "mine");
    answer = loopback_ask(l, "nonsense\r\n\r\n");
    cr_assert_eq(loopback_status(answer), 400);
    cr_assert(has(loopback_field(answer, "Content-Type"), "text/plain"));
    cr_assert(is(loopback_field(answer, "Connection"), "close"));
    cr_assert(is(loopback_field(answer, "Server"), "mine"));
    cr_assert(svl_date_parse(loopback_field(answer, "Date"), &seconds));
    cr_assert_gt(loopback_body(answer).n, 0);
}

/* Redirects -------------------------------------------------------------------------------- */

static const char *reference;

static enum svl_verdict redirect(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return is(ctx->req.path, "/raw") ? svl_redirect(ctx, 302, svl_str_of(reference))
                                     : svl_redirect_absolute(ctx, 302, svl_str_of(reference));
}

Test(behaviour_server, b111_no_line_ends_in_a_location) /* stricter: escaped (RFC 3986 2.1) */
{
    svl_str answer;

    SERVE(.handler = redirect);
    reference = "foo\r\nSet-Cookie: a=b";
    answer = loopback_get(l, "/raw", "");
    cr_assert(!loopback_field(answer, "Set-Cookie").p);
    cr_assert(is(loopback_field(answer, "Location"), "foo%0D%0ASet-Cookie:%20a=b"), "%.*s",
              SVL_FMT(answer));
}

Test(behaviour_server, b112_references_are_resolved)
{
    static const char *const cases[][2] = {
        {"", "http://qqq/foo/bar?baz=111"},
        {"?abc=de&f", "http://qqq/foo/bar?abc=de&f"},
        {"#aaa", "http://qqq/foo/bar?baz=111#aaa"},
        {"x.html", "http://qqq/foo/x.html"},
        {"/x.html", "http://qqq/x.html"},
        {"../x.html", "http://qqq/x.html"},
        {"../../x.html", "http://qqq/x.html"},
        {"./.././../x.html", "http://qqq/x.html"},
        {"//google.com/aaa?bb", "http://google.com/aaa?bb"},
        {"http://google.com/aaa?bb", "http://google.com/aaa?bb"},
    };

    SERVE(.handler = redirect);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        svl_str to;

        reference = cases[i][0];
        to = loopback_field(loopback_ask(l, "GET /foo/bar?baz=111 HTTP/1.1\r\nHost: qqq\r\n\r\n"),
                            "Location");
        cr_assert(is(to, cases[i][1]), "%s: %.*s", reference, SVL_FMT(to));
    }
}

/* Defects that fasthttp has or had ---------------------------------------------------------- */

Test(behaviour_server, d214a_a_refused_expect_says_nothing_about_later_requests)
{
    SERVE(.handler = hello, .on_head = on_head);
    loopback_ask(l, EXPECT("/413"));
    cr_assert_eq(answers_in(loopback_ask(l, "12345" GET "\r\n")), 0, "the body is no request");
    loopback_reconnect(l);
    cr_assert(has(loopback_ask(l, GET "\r\n"), "hello") && handled == 1);
}

Test(behaviour_server, d214b_the_answer_after_a_deadline_knows_the_request)
{
    svl_str answer;

    SERVE(.handler = hold, .chain = late_chain, .no_date = true);
    loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    loopback_pass(l, 101);
    answer = loopback_take(l);
    cr_assert(loopback_status(answer) == 408 && loopback_body(answer).n == 0);
    cr_assert(!loopback_field(answer, "Date").p);
    svl_resume(held, SVL_DONE);

    loopback_reconnect(l);
    loopback_ask(l, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    loopback_pass(l, 101);
    cr_assert(is(loopback_field(loopback_take(l), "Connection"), "keep-alive"));
    svl_resume(held, SVL_DONE);
}

static ssize_t some(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx, (void)room;
    if ((*(int *)arg)++ > 0)
        return 0;
    memcpy(to, "some", 4);
    return 4;
}

static enum svl_verdict source(struct svl_ctx *ctx, void *arg)
{
    static int calls;

    (void)arg;
    calls = 0;
    svl_status(ctx, 200);
    svl_body_source(ctx, some, &calls, -1);
    return SVL_DONE;
}

Test(behaviour_server, d214c_http_1_0_gets_no_chunks)
{
    svl_str answer;

    SERVE(.handler = source);
    answer = loopback_ask(l, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    cr_assert(!loopback_field(answer, "Transfer-Encoding").p && is(loopback_body(answer), "some"));
    cr_assert(loopback_shut(l), "it ends by closing");
}

Test(behaviour_server, d214d_head_of_a_source_ends_with_its_head)
{
    svl_str answer;

    SERVE(.handler = source);
    answer = loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    cr_assert(loopback_status(answer) == 200 && loopback_body(answer).n == 0);
}

Test(behaviour_server, d214e_only_letters_have_a_case)
{
    cr_assert(svl_str_ieq(SVL_STR("aZ-1"), SVL_STR("Az-1")));
    cr_assert(!svl_str_ieq(SVL_STR("@"), SVL_STR("`")) &&
              !svl_str_ieq(SVL_STR("-"), SVL_STR("\r")));
    cr_assert(!svl_str_ieq(SVL_STR("["), SVL_STR("{")) && !svl_str_ieq(SVL_STR("^"), SVL_STR("~")));
    cr_assert_eq(svl_header_id(SVL_STR("content\rlength")), SVL_H_OTHER);
}

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    (void)piece;
    return kind == SVL_PIECE_GONE ? SVL_ERROR : hello(ctx, arg);
}

static enum svl_verdict leaves_the_rest(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return svl_stream_body(ctx, on_piece, NULL);
}

static const struct svl_module rest_module = {.name = "rest", .on_request = leaves_the_rest};
static const struct svl_use rest_chain[] = {{&rest_module, NULL}, SVL_USE_END};

Test(behaviour_server, d214f_an_unread_body_is_no_request)
{
    static const char *const rests[] = {"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"};
    svl_str answer;

    SERVE(.chain = rest_chain);
    loopback_send(l, POST "Content-Length: 40\r\n\r\n123");
    answer = loopback_ask(l, rests[0]);
    cr_assert_leq(answers_in(answer), 1);
    cr_assert_eq(handled, 1);
}

Test(behaviour_server, d214h_connection_is_a_list_without_case)
{
    SERVE(.handler = hello);
    cr_assert(has(loopback_get(l, "/", "Connection: Close\r\n"), "Connection: close\r\n"));
    loopback_reconnect(l);
    cr_assert(has(loopback_get(l, "/", "Connection: close, TE\r\n"), "Connection: close\r\n"));
    loopback_reconnect(l);
    cr_assert(has(loopback_get(l, "/", "Connection: TE\r\nConnection: CLOSE\r\n"),
                  "Connection: close\r\n"));
}

Test(behaviour_server, d511a_no_byte_is_outside_of_a_table)
{
    char to[8], text[4] = "%\xff\xff";
    struct svl_set_cookie cookie;
    uint64_t value;

    cr_assert(is((svl_str){to, svl_unescape(to, svl_str_of(text), true)}, text));
    cr_assert(!svl_hex_parse(SVL_STR("\xff"), &value) && !svl_uint_parse(SVL_STR("\xff"), &value));
    cr_assert(!svl_is_token(SVL_STR("a\xff")));
    cr_assert_eq(svl_header_id(SVL_STR("\xff\xfe")), SVL_H_OTHER);
    svl_cookie_parse(&cookie, SVL_STR("\xff=\xff; \xff"));
}

Test(behaviour_server, d511b_what_has_gone_is_counted_off)
{
    struct svl_address from = {.family = AF_INET, .ip = {192, 0, 2, 1}};
    struct svl_counts counts;

    SERVE(.handler = hello, .max_per_address = 1);
    for (unsigned i = 1; i < LOOPBACK_CLIENTS; i++) {
        loopback_address(l, i, &from);
        loopback_send_on(l, i, SVL_STR(GET "\r\n"));
        cr_assert_eq(loopback_status(loopback_take_on(l, i)), 200);
        loopback_reset_on(l, i);
    }
    loopback_reset(l);
    svl_server_counts(loopback_server(l), &counts);
    cr_assert(counts.open == 0 && counts.in_flight == 0 && counts.requests == 15);
}

static bool freed;

static void note_free(void *arg)
{
    *(bool *)arg = true;
}

static enum svl_verdict replaced(struct svl_ctx *ctx, void *arg)
{
    svl_on_free(ctx, note_free, &freed);
    source(ctx, arg);
    return svl_fail(ctx, 500, NULL);
}

Test(behaviour_server, d511c_a_source_that_is_replaced_is_freed)
{
    SERVE(.handler = replaced);
    freed = false;
    cr_assert_eq(loopback_status(loopback_get(l, "/", "")), 500);
    cr_assert(freed);
}
