/* Answers: bodies that grow, reasons, trailers both ways, hints, redirects, and how each combination of
 * method, version, status and body is framed. */
#include "base/check.h"
#include "support/body.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum svl_verdict (*now)(struct svl_ctx *ctx);
static struct svl_ctx *held;

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/end")))
        return svl_text(ctx, 200, SVL_STR("the end"));
    return now(ctx);
}

static struct loopback *l;

static void begin(void)
{
    l = loopback_open(&(struct svl_server_config){.handler = handler});
}

static void end(void)
{
    cr_assert_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

TestSuite(response, .init = begin, .fini = end);

static svl_str get(enum svl_verdict (*what)(struct svl_ctx *ctx))
{
    now = what;
    return loopback_get(l, "/a/b?q", "");
}

static void expect_field(svl_str answer, const char *name, const char *value)
{
    svl_str got = loopback_field(answer, name);

    cr_assert(svl_str_eq(got, svl_str_of(value)), "%s: %.*s", name, SVL_FMT(got));
}

/* Bodies that grow ------------------------------------------------------------------------- */

static enum svl_verdict append_much(struct svl_ctx *ctx)
{
    svl_text(ctx, 200, SVL_STR("static;"));
    for (int i = 0; i < 1000; i++) {
        svl_body_append(ctx, SVL_STR("ab"));
        svl_body_printf(ctx, "%03d,", i);
    }
    svl_body_append(ctx, SVL_STR(""));
    return SVL_DONE;
}

Test(response, body_grows_by_appending_and_printing)
{
    svl_str body = loopback_body(get(append_much));

    cr_assert_eq(body.n, 7 + 1000 * 6);
    cr_assert(svl_str_starts(body, SVL_STR("static;ab000,ab001,")));
    cr_assert(svl_str_ends(body, SVL_STR("ab999,")));
}

static enum svl_verdict append_after_reset(struct svl_ctx *ctx)
{
    svl_body_append(ctx, SVL_STR("one"));
    svl_response_reset(ctx);
    svl_body_append(ctx, SVL_STR("two"));
    svl_body_bytes(ctx, SVL_STR("three"));
    svl_body_append(ctx, SVL_STR(" four"));
    return SVL_DONE;
}

Test(response, body_that_was_replaced_grows_from_there)
{
    cr_assert(svl_str_eq(loopback_body(get(append_after_reset)), SVL_STR("three four")));
}

static ssize_t nothing(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx, (void)arg, (void)to, (void)room;
    return 0;
}

static enum svl_verdict append_to_source(struct svl_ctx *ctx)
{
    svl_body_source(ctx, nothing, NULL, -1);
    svl_body_append(ctx, SVL_STR("x"));
    return SVL_DONE;
}

Test(response, appending_to_a_source_is_a_mistake, .signal = SVL_STRICT ? SIGABRT : 0)
{
    cr_assert_eq(loopback_status(get(append_to_source)), 500);
}

static enum svl_verdict resume_twice(struct svl_ctx *ctx)
{
    svl_text(ctx, 200, SVL_STR("once"));
    svl_pend(ctx, NULL, NULL);
    svl_resume(ctx, SVL_DONE);
    svl_resume(ctx, SVL_DONE);
    return SVL_PENDING;
}

Test(response, resuming_twice_is_a_mistake, .signal = SVL_STRICT ? SIGABRT : 0)
{
    cr_assert_eq(loopback_status(get(resume_twice)), 200);
    cr_assert_eq(loopback_status(loopback_get(l, "/end", "")), 200);
}

static enum svl_verdict odd_status(struct svl_ctx *ctx)
{
    svl_status(ctx, 99);
    return SVL_DONE;
}

Test(response, a_status_that_is_none_is_a_mistake, .signal = SVL_STRICT ? SIGABRT : 0)
{
    cr_assert_eq(loopback_status(get(odd_status)), 500);
}

static enum svl_verdict bad_name(struct svl_ctx *ctx)
{
    cr_assert_not(svl_header_name_ok(SVL_STR("Two Words")));
    cr_assert_not(svl_header_name_ok(SVL_STR("")));
    cr_assert(svl_header_name_ok(SVL_STR("X-*'1")));
    cr_assert_lt(svl_header_set_name(ctx, SVL_STR("X"), SVL_STR("a\r\nSet-Cookie: b")), 0);
    cr_assert_lt(svl_reason(ctx, SVL_STR("a\r\nb")), 0);
    return svl_text(ctx, 200, SVL_STR("ok"));
}

Test(response, names_with_blanks_and_values_with_lines_change_nothing)
{
    svl_str answer = get(bad_name);

    cr_assert_eq(loopback_status(answer), 200);
    cr_assert_null(memmem(answer.p, answer.n, "Two", 3));
    cr_assert_null(memmem(answer.p, answer.n, "Set-Cookie", 10));
}

static ssize_t short_source(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    static int calls;

    (void)ctx, (void)arg, (void)room;
    memcpy(to, "half", 4);
    return calls++ ? 0 : 4;
}

static enum svl_verdict too_short(struct svl_ctx *ctx)
{
    svl_body_source(ctx, short_source, NULL, 8);
    return SVL_DONE;
}

Test(response, a_source_that_ends_short_is_a_mistake, .signal = SVL_STRICT ? SIGABRT : 0)
{
    cr_assert(svl_str_ends(get(too_short), SVL_STR("half")));
    cr_assert(loopback_closed(l));
}

/* Reasons, redirects, 304 ------------------------------------------------------------------ */

static enum svl_verdict own_reason(struct svl_ctx *ctx)
{
    svl_text(ctx, 200, SVL_STR("x"));
    cr_assert_eq(svl_reason(ctx, SVL_STR("Fine By Me")), 0);
    return SVL_DONE;
}

static enum svl_verdict fail_after_reason(struct svl_ctx *ctx)
{
    own_reason(ctx);
    return svl_fail(ctx, 404, NULL);
}

Test(response, reason_may_be_ones_own)
{
    cr_assert(svl_str_starts(get(own_reason), SVL_STR("HTTP/1.1 200 Fine By Me\r\n")));
    cr_assert(svl_str_starts(get(fail_after_reason), SVL_STR("HTTP/1.1 404 Not Found\r\n")));
}

static const char *where;

static enum svl_verdict redirect(struct svl_ctx *ctx)
{
    return svl_redirect_absolute(ctx, 303, svl_str_of(where));
}

Test(response, redirect_can_be_made_absolute)
{
    static const char *const cases[][2] = {
        {"c", "http://test/a/c"},        {"/c?x", "http://test/c?x"},
        {"../../../c", "http://test/c"}, {"//other/x", "http://other/x"},
        {"https://o/", "https://o/"},    {"#f", "http://test/a/b?q#f"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        where = cases[i][0];
        expect_field(get(redirect), "Location", cases[i][1]);
    }
    now = redirect, where = "/c";
    expect_field(loopback_ask(l, "GET / HTTP/1.0\r\n\r\n"), "Location", "/c");
}

static enum svl_verdict not_modified(struct svl_ctx *ctx)
{
    svl_text(ctx, 200, SVL_STR("a body"));
    svl_header_set(ctx, SVL_H_ETAG, SVL_STR("\"e\""));
    return svl_not_modified(ctx);
}

Test(response, not_modified_keeps_the_fields_and_drops_the_body)
{
    svl_str answer = get(not_modified);

    cr_assert_eq(loopback_status(answer), 304);
    expect_field(answer, "ETag", "\"e\"");
    cr_assert_null(loopback_field(answer, "Content-Type").p);
    cr_assert_null(loopback_field(answer, "Content-Length").p);
    cr_assert_eq(loopback_body(answer).n, 0);
}

/* Hints ------------------------------------------------------------------------------------ */

static int hinted;

static enum svl_verdict hint(struct svl_ctx *ctx)
{
    hinted = svl_early_hints(ctx);
    cr_assert_lt(hinted, 0);
    svl_header_add(ctx, SVL_H_LINK, SVL_STR("</a.css>; rel=preload"));
    svl_header_add(ctx, SVL_H_LINK, SVL_STR("</b.js>; rel=preload"));
    hinted = svl_early_hints(ctx);
    held = ctx;
    return svl_pend(ctx, NULL, NULL);
}

Test(response, early_hints_go_out_before_the_answer)
{
    svl_str answer = get(hint);

    cr_assert_eq(hinted, 0);
    cr_assert(svl_str_eq(answer, SVL_STR("HTTP/1.1 103 Early Hints\r\n"
                                         "Link: </a.css>; rel=preload\r\n"
                                         "Link: </b.js>; rel=preload\r\n\r\n")));
    cr_assert_eq(svl_early_hints(held), 0); /* again, and from outside a hook */
    cr_assert_eq(loopback_status(loopback_take(l)), 103);
    svl_text(held, 200, SVL_STR("later"));
    svl_resume(held, SVL_DONE);
    answer = loopback_take(l);
    cr_assert_eq(loopback_status(answer), 200);
    expect_field(answer, "Link", "</a.css>; rel=preload");
}

Test(response, early_hints_are_not_for_http_1_0)
{
    now = hint;
    cr_assert_eq(loopback_ask(l, "GET / HTTP/1.0\r\n\r\n").n, 0);
    cr_assert_lt(hinted, 0);
    svl_text(held, 200, SVL_STR("later"));
    svl_resume(held, SVL_DONE);
    cr_assert_eq(loopback_status(loopback_take(l)), 200);
}

/* Trailers --------------------------------------------------------------------------------- */

static enum svl_verdict trailers_on_bytes(struct svl_ctx *ctx)
{
    svl_text(ctx, 200, SVL_STR("body"));
    cr_assert_eq(svl_trailer_set(ctx, SVL_STR("X-Sum"), SVL_STR("0")), 0);
    cr_assert_eq(svl_trailer_set(ctx, SVL_STR("X-More"), SVL_STR("m")), 0);
    cr_assert_eq(svl_trailer_set(ctx, SVL_STR("x-sum"), SVL_STR("1")), 0);
    return SVL_DONE;
}

Test(response, trailers_follow_a_body_in_chunks)
{
    svl_str answer = get(trailers_on_bytes);

    expect_field(answer, "Trailer", "X-Sum, X-More");
    expect_field(answer, "Transfer-Encoding", "chunked");
    cr_assert(svl_str_ends(answer, SVL_STR("4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-More: m\r\n\r\n")));
    cr_assert_eq(loopback_status(loopback_get(l, "/end", "")), 200);
}

Test(response, trailers_are_left_out_for_http_1_0_and_head)
{
    svl_str answer;

    now = trailers_on_bytes;
    answer = loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_null(memmem(answer.p, answer.n, "X-Sum", 5));
    answer = loopback_ask(l, "GET / HTTP/1.0\r\n\r\n");
    cr_assert_null(memmem(answer.p, answer.n, "X-Sum", 5));
    expect_field(answer, "Content-Length", "4");
}

static ssize_t summing(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    int *calls = arg;

    (void)room;
    if ((*calls)++) {
        svl_trailer_set(ctx, SVL_STR("X-Sum"), SVL_STR("42"));
        return 0;
    }
    memcpy(to, "abc", 3);
    return 3;
}

static enum svl_verdict trailers_of_source(struct svl_ctx *ctx)
{
    svl_trailer_set(ctx, SVL_STR("X-Sum"), SVL_STR(""));
    svl_body_source(ctx, summing, svl_alloc(ctx, sizeof(int)), -1);
    return SVL_DONE;
}

Test(response, trailers_may_be_known_only_at_the_end)
{
    svl_str answer = get(trailers_of_source);

    expect_field(answer, "Trailer", "X-Sum");
    cr_assert(svl_str_ends(answer, SVL_STR("abc\r\n0\r\nX-Sum: 42\r\n\r\n")));
}

static enum svl_verdict bad_trailers(struct svl_ctx *ctx)
{
    static const char *const names[] = {"Content-Length",
                                        "transfer-encoding",
                                        "Host",
                                        "Authorization",
                                        "Set-Cookie",
                                        "Content-Type",
                                        "Trailer",
                                        "If-Match",
                                        "X-Forwarded-For",
                                        "a b",
                                        ""};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_lt(svl_trailer_set(ctx, svl_str_of(names[i]), SVL_STR("1")), 0, "%s", names[i]);
    cr_assert_lt(svl_trailer_set(ctx, SVL_STR("X"), SVL_STR("a\r\nb")), 0);
    return svl_text(ctx, 200, SVL_STR("x"));
}

Test(response, trailers_that_frame_route_or_authenticate_are_refused)
{
    expect_field(get(bad_trailers), "Content-Length", "1");
}

static enum svl_verdict show_trailers(struct svl_ctx *ctx)
{
    const struct svl_headers *trailers = svl_request_trailers(ctx);

    svl_text(ctx, 200, SVL_STR(""));
    for (unsigned i = 0; i < trailers->n; i++)
        svl_body_printf(ctx, "%.*s=%.*s;", SVL_FMT(svl_header_name(&trailers->at[i])),
                        SVL_FMT(svl_header_value(&trailers->at[i])));
    cr_assert(svl_str_eq(svl_headers_get(trailers, SVL_H_LINK), SVL_STR("<l>")) || trailers->n < 2);
    return SVL_DONE;
}

static const char with_trailers[] =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    "X-Sum:  1 2 \r\nContent-Length: 5\r\nAuthorization: me\r\nLink: <l>\r\nX-Empty:\r\n\r\n";

Test(response, trailers_of_a_request_are_there_with_its_body_however_it_is_cut)
{
    now = show_trailers;
    for (size_t cut = 1; cut < sizeof with_trailers - 1; cut++) {
        svl_str answer;

        loopback_send_bytes(l, (svl_str){with_trailers, cut});
        loopback_send_bytes(l, (svl_str){with_trailers + cut, sizeof with_trailers - 1 - cut});
        answer = loopback_take(l);
        cr_assert(svl_str_eq(loopback_body(answer), SVL_STR("X-Sum=1 2;Link=<l>;X-Empty=;")),
                  "%zu: %.*s", cut, SVL_FMT(answer));
    }
}

Test(response, trailers_of_a_request_without_any_are_none)
{
    cr_assert_eq(loopback_body(get(show_trailers)).n, 0);
    cr_assert_eq(loopback_body(loopback_ask(l, "POST / HTTP/1.1\r\nHost: x\r\n"
                                               "Transfer-Encoding: chunked\r\n\r\n"
                                               "3\r\nabc\r\n0\r\n\r\n"))
                     .n,
                 0);
}

/* Every combination ------------------------------------------------------------------------ */

enum body { NONE, EMPTY, BYTES, FILED, KNOWN, UNKNOWN, TRAILED, N_BODIES };

static struct {
    int status;
    enum body body;
    bool close;
} wanted;

static int file;

static ssize_t five(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    int *calls = arg;

    (void)ctx, (void)room;
    memcpy(to, "01234", 5);
    return (*calls)++ ? 0 : 5;
}

static enum svl_verdict combine(struct svl_ctx *ctx)
{
    svl_status(ctx, wanted.status);
    svl_content_type(ctx, SVL_STR("text/x"));
    if (wanted.close)
        svl_close(ctx);
    switch (wanted.body) {
    case EMPTY: svl_body_bytes(ctx, SVL_STR("")); break;
    case TRAILED: svl_trailer_set(ctx, SVL_STR("X-T"), SVL_STR("v")); /* fall through */
    case BYTES: svl_body_bytes(ctx, SVL_STR("01234")); break;
    case FILED: svl_body_file(ctx, file, 0, 5, false); break;
    case KNOWN: svl_body_source(ctx, five, svl_alloc(ctx, sizeof(int)), 5); break;
    case UNKNOWN: svl_body_source(ctx, five, svl_alloc(ctx, sizeof(int)), -1); break;
    default: break;
    }
    return SVL_DONE;
}

/* Reads one answer as RFC 9112 6.3 tells a client to; *rest is what follows it. */
static svl_str read_body(svl_str answer, bool head, bool closed, svl_str *rest)
{
    int status = loopback_status(answer);
    svl_str body = loopback_body(answer), length = loopback_field(answer, "Content-Length");
    svl_str coding = loopback_field(answer, "Transfer-Encoding");
    const char *end;

    cr_assert_not(length.p && coding.p, "%.*s", SVL_FMT(answer));
    *rest = body;
    if (head || status == 204 || status == 304)
        return SVL_STR("");
    if (coding.p) {
        if (status == 205)
            cr_assert(false, "205 in chunks");
        end = memmem(body.p, body.n, "\r\n0\r\n", 5);
        if (!end && svl_str_starts(body, SVL_STR("0\r\n")))
            end = body.p - 2;
        cr_assert(end);
        end = memmem(end + 3, (size_t)(body.p + body.n - end - 3), "\r\n\r\n", 4);
        cr_assert(end);
        *rest = svl_str_from(body, (size_t)(end + 4 - body.p));
        return end - body.p < 12 ? SVL_STR("") : svl_str_head(svl_str_from(body, 10), 5);
    }
    if (length.p) {
        size_t n = strtoul(length.p, NULL, 10);

        cr_assert_leq(n, body.n, "%.*s", SVL_FMT(answer));
        *rest = svl_str_from(body, n);
        return svl_str_head(body, n);
    }
    cr_assert(closed, "ends by closing, but stays open: %.*s", SVL_FMT(answer));
    *rest = SVL_STR("");
    return body;
}

Test(response, every_combination_is_framed_so_that_the_next_answer_is_found)
{
    static const int statuses[] = {200, 201, 204, 205, 206, 304, 404, 500};
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    static const char *const versions[] = {"1.1\r\nHost: x\r\n", "1.0\r\n",
                                           "1.0\r\nConnection: keep-alive\r\n",
                                           "1.1\r\nHost: x\r\nConnection: close\r\n"};
    char name[] = "/tmp/svl-response-XXXXXX";

    file = mkstemp(name);
    unlink(name);
    cr_assert_eq(write(file, "01234", 5), 5);
    now = combine;
    for (unsigned i = 0; i < 8 * 3 * 4 * N_BODIES * 2; i++) {
        unsigned v = i / 24 % 4;
        const char *method = methods[i / 8 % 3];
        bool head = strcmp(method, "HEAD") == 0, kept = v == 0 || v == 2;
        svl_str answer, body, rest;
        bool bodiless;
        char ask[200];

        wanted.status = statuses[i % 8];
        wanted.body = (enum body)(i / 96 % N_BODIES);
        wanted.close = i / 96 / N_BODIES;
        bodiless = wanted.status == 204 || wanted.status == 205 || wanted.status == 304;
        loopback_reconnect(l);
        loopback_take(l);
        snprintf(ask, sizeof ask,
                 "%s / HTTP/%s\r\nGET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 method, versions[v]);
        loopback_send(l, ask);
        answer = loopback_take(l);
        cr_assert_eq(loopback_status(answer), wanted.status, "%u: %.*s", i, SVL_FMT(answer));
        body = read_body(answer, head, loopback_shut(l), &rest);

        if (head || bodiless || wanted.body <= EMPTY)
            cr_assert_eq(body.n, 0, "%u: %.*s", i, SVL_FMT(answer));
        else
            cr_assert(svl_str_eq(body, SVL_STR("01234")), "%u: %.*s", i, SVL_FMT(answer));
        if (wanted.status == 204)
            cr_assert_null(loopback_field(answer, "Content-Length").p);
        if (wanted.status == 204 || wanted.status == 304)
            cr_assert_null(loopback_field(answer, "Transfer-Encoding").p);
        if (v == 1 || v == 2)
            cr_assert_null(loopback_field(answer, "Transfer-Encoding").p);
        cr_assert_eq(loopback_field(answer, "Content-Type").p == NULL, bodiless, "%u: %.*s", i,
                     SVL_FMT(answer));

        if (svl_str_eq(loopback_field(answer, "Connection"), SVL_STR("close"))) {
            cr_assert_eq(rest.n, 0, "%u: %.*s", i, SVL_FMT(answer));
        } else {
            cr_assert(kept && !wanted.close, "%u: %.*s", i, SVL_FMT(answer));
            cr_assert_eq(loopback_status(rest), 200, "%u: %.*s", i, SVL_FMT(answer));
            cr_assert(svl_str_ends(rest, SVL_STR("\r\n\r\nthe end")));
        }
        cr_assert(loopback_shut(l));
    }
    close(file);
}

/* No answer ---------------------------------------------------------------------------------- */

static enum svl_verdict drop(struct svl_ctx *ctx)
{
    svl_text(ctx, 200, SVL_STR("never"));
    svl_drop(ctx);
    return SVL_ERROR;
}

Test(response, a_drop_closes_without_an_answer)
{
    cr_assert_eq(get(drop).n, 0);
    cr_assert(loopback_closed(l));
}

Test(response, a_drop_lets_the_answers_before_it_out)
{
    now = drop;
    loopback_send(l, "GET /end HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(svl_str_ends(loopback_take(l), SVL_STR("\r\n\r\nthe end")));
    cr_assert(loopback_closed(l));
}

static enum svl_verdict hold(struct svl_ctx *ctx)
{
    held = ctx;
    return svl_pend(ctx, NULL, NULL);
}

Test(response, a_drop_of_a_pending_ctx_still_needs_its_resume)
{
    get(hold);
    svl_drop(held);
    cr_assert(loopback_closed(l));
    cr_assert_eq(loopback_exchanges(l), 1);
    svl_drop(held);
    svl_resume(held, SVL_DONE);
    cr_assert_eq(loopback_take(l).n, 0);
}
