/* Behaviours by number, bodies: tests/behaviours.md says what was decided about each. */
#include "serval/serval.h"
#include "support/behaviour.h"
#include "support/body.h"

#include <brotli/encode.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static svl_handler_fn *handler;

static enum svl_verdict run(struct svl_ctx *ctx, void *arg)
{
    return handler(ctx, arg);
}

/* The head of a request is enough for it, as for a module. */
static enum svl_verdict early(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return handler(ctx, NULL);
}

static const struct svl_module early_module = {.name = "early", .on_request = early};
static const struct svl_use early_chain[] = {{&early_module, NULL}, SVL_USE_END};

static struct loopback *serve(svl_handler_fn *with, size_t max_body)
{
    handler = with;
    return loopback_open(&(struct svl_server_config){.handler = run, .max_body = max_body});
}

static struct loopback *serve_early(svl_handler_fn *with)
{
    handler = with;
    return loopback_open(&(struct svl_server_config){.chain = early_chain});
}

static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, ctx->req.body);
}

static int status_with(size_t max_body, const char *request)
{
    struct loopback *l = serve(echo, max_body);
    int status = loopback_status(loopback_ask(l, request));

    loopback_close(l);
    return status;
}

#define NINE "6\r\nfoobar\r\n3\r\nbaz\r\n0\r\n"

Test(behaviour, b040_a_chunked_body_has_its_limit) /* stricter: 413 (RFC 9110 15.5.14) */
{
    cr_assert_eq(status_with(10, CHUNKED NINE "\r\n"), 200);
    cr_assert_eq(status_with(9, CHUNKED NINE "\r\n"), 200);
    cr_assert_eq(status_with(8, CHUNKED NINE "\r\n"), 413);
    cr_assert_eq(status_with(9, CHUNKED NINE "Foo: bar\r\n\r\n"), 200);
}

Test(behaviour, b041_a_declared_body_has_its_limit) /* stricter: 413 */
{
    cr_assert_eq(status_with(10, POST "Content-Length: 9\r\n\r\nfoobarbaz"), 200);
    cr_assert_eq(status_with(9, POST "Content-Length: 9\r\n\r\nfoobarbaz"), 200);
    cr_assert_eq(status_with(8, POST "Content-Length: 9\r\n\r\nfoobarbaz"), 413);
}

static enum svl_verdict trail(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, svl_headers_find(svl_request_trailers(ctx), SVL_STR("trail")));
}

Test(behaviour, b042_trailers_are_read)
{
    struct loopback *l = serve(trail, 0);

    cr_assert(is(loopback_body(loopback_ask(l, CHUNKED NINE "Trail: test\r\n\r\n")), "test"));
    loopback_close(l);
}

static enum svl_verdict count_trailers(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, svl_printf(ctx, "%u", svl_request_trailers(ctx)->n));
}

Test(behaviour, b043_forbidden_trailers_are_kept_from_handlers) /* RFC 9110 6.5.1: discarded */
{
    static const char *const names[] = {"Content-Type", "X-Forwarded-For", "X-Real-IP", "Cookie",
                                        "Location",     "Content-Length",  "Host"};
    char request[256];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct loopback *l = serve(count_trailers, 0);

        snprintf(request, sizeof request, CHUNKED NINE "%s: x\r\n\r\n", names[i]);
        cr_assert(is(loopback_body(loopback_ask(l, request)), "0"), "%s", names[i]);
        loopback_close(l);
    }
    cr_assert_eq(status_with(9, CHUNKED NINE "Foo: a\rb\r\n\r\n"), 400);
    cr_assert_eq(status_with(9, CHUNKED NINE "Foo: a\x01\r\n\r\n"), 400);
}

static int set_trailer(struct svl_ctx *ctx, const char *name)
{
    return svl_trailer_set(ctx, svl_str_of(name), SVL_STR("v"));
}

static enum svl_verdict set_trailers(struct svl_ctx *ctx, void *arg)
{
    static const char *const bad[] = {"Content-Length",
                                      "Transfer-Encoding",
                                      "uSer aGent",
                                      "a\rb",
                                      "a\nb",
                                      "\tfoo",
                                      "a:b",
                                      "a\xff",
                                      ""};

    (void)arg;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(set_trailer(ctx, bad[i]), SVL_EHEADER, "%s", bad[i]);
    cr_assert_eq(set_trailer(ctx, "Foo"), 0);
    cr_assert_eq(set_trailer(ctx, "bAr"), 0);
    return svl_text(ctx, 200, SVL_STR("body"));
}

Test(behaviour, b044_forbidden_names_are_not_set_as_trailers)
{
    struct loopback *l = serve(set_trailers, 0);
    svl_str answer = loopback_get(l, "/", "");

    cr_assert(is(loopback_field(answer, "Trailer"), "Foo, bAr"), "%.*s", SVL_FMT(answer));
    loopback_close(l);
}

Test(behaviour, b045_bad_trailer_names_are_never_sent)
{
    struct loopback *l = serve(set_trailers, 0);

    cr_assert(has(loopback_get(l, "/", ""), "\r\n0\r\nFoo: v\r\nbAr: v\r\n\r\n"));
    loopback_close(l);
}

Test(behaviour, b046_a_body_cut_short_reaches_no_handler)
{
    struct loopback *l = serve(echo, 0);
    svl_str answer;

    loopback_send(l, POST "Content-Length: 5\r\n\r\n123");
    loopback_eof(l);
    answer = loopback_take(l);
    cr_assert(loopback_shut(l) && !has(answer, " 200 "));
    loopback_close(l);
}

static svl_str ask_form(const char *type, const char *body, svl_handler_fn *with)
{
    static char kept[256];
    struct loopback *l = serve(with, 0);
    char request[2048];
    svl_str answer;

    snprintf(request, sizeof request, POST "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
             type, strlen(body), body);
    answer = loopback_body(loopback_ask(l, request));
    memcpy(kept, answer.p, answer.n);
    loopback_close(l);
    return (svl_str){kept, answer.n};
}

static enum svl_verdict form_text(struct svl_ctx *ctx, void *arg)
{
    struct svl_form *form;
    int err = svl_form_read(ctx, NULL, &form);

    (void)arg;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%d %u <%.*s> <%.*s>", err, svl_form_fields(form)->n,
                               SVL_FMT(svl_form(ctx, SVL_STR("b r"))),
                               SVL_FMT(svl_form(ctx, SVL_STR("qwe")))));
}

#define URLENCODED "application/x-www-form-urlencoded"

Test(behaviour, b048_arguments_of_a_form_are_read)
{
    cr_assert(is(ask_form(URLENCODED, "", form_text), "0 0 <> <>"));
    cr_assert(is(ask_form(URLENCODED, "foo&b%20r=b+z=&qwe", form_text), "0 3 <b z=> <>"));
}

Test(behaviour, b049_another_type_holds_no_arguments)
{
    svl_str got = ask_form("text/html", "a=b", form_text);

    cr_assert(is(got, "-30005 0 <> <>"), "%.*s", SVL_FMT(got));
}

static size_t packed(char *to, size_t room, const char *encoding, const char *plain, size_t n)
{
    z_stream z = {.next_in = (unsigned char *)plain,
                  .avail_in = (unsigned)n,
                  .next_out = (unsigned char *)to,
                  .avail_out = (unsigned)room};

    if (encoding[0] == 'b') {
        BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, n, (const uint8_t *)plain, &room,
                              (uint8_t *)to);
        return room;
    }
    deflateInit2(&z, 6, Z_DEFLATED, encoding[0] == 'g' ? 31 : 15, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return z.total_out;
}

static size_t decode_limit;

static enum svl_verdict decoded(struct svl_ctx *ctx, void *arg)
{
    svl_str raw = ctx->req.body, body;
    int err = svl_body_decoded(ctx, decode_limit, &body);

    (void)arg;
    cr_assert_lt(raw.n, 1000, "it is given on as it came");
    return svl_text(ctx, 200, svl_printf(ctx, "%d %zu", err, err ? 0 : body.n));
}

static void send_packed(struct loopback *l, const char *encoding, const char *type,
                        const char *plain, size_t n)
{
    char head[256], body[4096];
    size_t length = packed(body, sizeof body, encoding, plain, n);

    loopback_take(l);
    snprintf(head, sizeof head,
             POST "Content-Encoding: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
             encoding, type, length);
    loopback_send(l, head);
    loopback_send_bytes(l, (svl_str){body, length});
}

Test(behaviour, b050_a_compressed_body_is_decoded_when_asked_with_a_limit)
{
    static const char *const encodings[] = {"gzip", "deflate", "br"};
    struct loopback *l = serve(decoded, 0);
    static char plain[2048];

    memset(plain, 'x', sizeof plain);
    for (int i = 0; i < 3; i++) {
        decode_limit = 2048;
        send_packed(l, encodings[i], "x/y", plain, sizeof plain);
        cr_assert(is(loopback_body(loopback_take(l)), "0 2048"));
        decode_limit = 1024;
        send_packed(l, encodings[i], "x/y", plain, sizeof plain);
        cr_assert(is(loopback_body(loopback_take(l)), "-30004 0"));
    }
    loopback_close(l);
}

#define MULTIPART "multipart/form-data; boundary=xyz"
#define FORM                                                                                       \
    "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"                             \
    "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n"                  \
    "Content-Type: text/x\r\n\r\nthe file\r\n--xyz--\r\n"

static int push(void *form, const char *data, size_t n)
{
    return svl_form_push(form, data, n);
}

static enum svl_verdict packed_form(struct svl_ctx *ctx, void *arg)
{
    struct svl_decoder *decoder;
    struct svl_form *form;
    int err;

    (void)arg;
    cr_assert_eq(svl_form_open(ctx, NULL, &form), 0);
    svl_decoder_open(&decoder, SVL_STR("gzip"), decode_limit, push, form);
    err = svl_decoder_push(decoder, ctx->req.body);
    if (!err)
        err = svl_decoder_end(decoder);
    svl_decoder_close(decoder);
    if (!err)
        err = svl_form_end(form);
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%d %.*s", err, SVL_FMT(svl_form(ctx, SVL_STR("a")))));
}

Test(behaviour, b051_a_compressed_form_is_decoded_into_the_form_with_a_limit)
{
    struct loopback *l = serve(packed_form, 0);

    decode_limit = sizeof FORM - 1;
    send_packed(l, "gzip", MULTIPART, FORM, sizeof FORM - 1);
    cr_assert(is(loopback_body(loopback_take(l)), "0 1"));
    decode_limit--;
    send_packed(l, "gzip", MULTIPART, FORM, sizeof FORM - 1);
    cr_assert(has(loopback_body(loopback_take(l)), "-30004"));
    loopback_close(l);
}

static enum svl_verdict form_parts(struct svl_ctx *ctx, void *arg)
{
    const struct svl_form_file *file;
    svl_str raw = ctx->req.body;

    (void)arg;
    if (is(ctx->req.method_text, "tailfoobar"))
        return svl_text(ctx, 200, SVL_STR("the next request"));
    cr_assert(has(raw, "--xyz"), "b054: it is raw until the form is asked for");
    file = svl_form_file(ctx, SVL_STR("f"));
    return svl_text(ctx, 200,
                    svl_printf(ctx, "%.*s %.*s %.*s %.*s", SVL_FMT(svl_form(ctx, SVL_STR("a"))),
                               SVL_FMT(file->filename), SVL_FMT(file->content_type),
                               SVL_FMT(file->content.bytes)));
}

Test(behaviour, b052_what_follows_a_form_is_not_of_it)
{
    struct loopback *l = serve(form_parts, 0);
    char request[1024];

    snprintf(request, sizeof request,
             POST "Content-Type: " MULTIPART "\r\nContent-Length: %zu\r\n\r\n" FORM "tailfoobar",
             sizeof FORM - 1);
    cr_assert(has(loopback_ask(l, request), "1 x.txt text/x the file"));
    cr_assert_eq(loopback_status(loopback_ask(l, " / HTTP/1.1\r\nHost: h\r\n\r\n")), 200,
                 "the tail is the method of the next request");
    loopback_close(l);
}

Test(behaviour, b054_a_form_is_raw_until_it_is_asked_for)
{
    cr_assert(is(ask_form(MULTIPART, FORM, form_parts), "1 x.txt text/x the file"));
}

Test(behaviour, b055_a_boundary_is_a_parameter)
{
    cr_assert(
        is(svl_field_boundary(SVL_STR("multipart/form-data;   foo=bar;   boundary=--aaabb  ")),
           "--aaabb"));
    cr_assert(
        is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=\"--aaabb\"")), "--aaabb"));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=")), NULL));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data")), NULL));
}

/* Streams ---------------------------------------------------------------------------------- */

static size_t streamed;

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    (void)arg;
    streamed += piece.n;
    if (kind == SVL_PIECE_GONE)
        return SVL_ERROR;
    if (kind != SVL_PIECE_LAST)
        return SVL_PENDING;
    return svl_text(ctx, 200, svl_printf(ctx, "%zu %u", streamed, svl_request_trailers(ctx)->n));
}

static enum svl_verdict stream(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    streamed = 0;
    return svl_stream_body(ctx, on_piece, NULL);
}

static enum svl_verdict stream_to_8(struct svl_ctx *ctx, void *arg)
{
    svl_body_limit(ctx, 8);
    return stream(ctx, arg);
}

Test(behaviour, b056_a_streamed_body_is_seen_before_it_is_complete)
{
    static char part[32768];
    struct loopback *l = serve_early(stream);

    loopback_send(l, POST "Content-Length: 98304\r\n\r\n");
    loopback_send_bytes(l, (svl_str){part, sizeof part});
    cr_assert_eq(streamed, sizeof part);
    loopback_send_bytes(l, (svl_str){part, sizeof part});
    loopback_send_bytes(l, (svl_str){part, sizeof part});
    cr_assert(is(loopback_body(loopback_take(l)), "98304 0"));
    loopback_close(l);
}

Test(behaviour, b057_a_limit_counts_for_streams_too)
{
    struct loopback *l = serve_early(stream_to_8);

    cr_assert_eq(loopback_status(loopback_ask(l, CHUNKED "8\r\n12345678\r\n0\r\n\r\n")), 200);
    cr_assert_eq(loopback_status(loopback_ask(l, CHUNKED NINE "\r\n")), 413);
    loopback_close(l);
}

static enum svl_verdict whole_or_stream(struct svl_ctx *ctx, void *arg)
{
    if (is(ctx->req.path, "/stream"))
        return stream(ctx, arg);
    return ctx->req.body.p ? echo(ctx, arg) : svl_await_body(ctx);
}

Test(behaviour, b058_whole_and_streamed_bodies_follow_each_other)
{
    struct loopback *l = serve_early(whole_or_stream);
    svl_str answer = loopback_ask(
        l, POST "Content-Length: 10\r\n\r\naaaaaaaaaaPOST /stream HTTP/1.1\r\nHost: h\r\n"
                "Content-Length: 10\r\n\r\naaaaaaaaaa");

    cr_assert(answers_in(answer) == 2 && has(answer, "\r\n\r\naaaaaaaaaa") &&
              has(answer, "\r\n\r\n10 0"));
    loopback_close(l);
}

Test(behaviour, b059_trailers_are_there_at_the_end_of_a_streamed_body)
{
    struct loopback *l = serve_early(stream);

    loopback_send(l, CHUNKED "6\r\nfoobar\r\n");
    loopback_send(l, "3\r\nbaz\r\n0\r\nTrail: test\r\n\r\n");
    cr_assert(is(loopback_body(loopback_take(l)), "9 1"));
    loopback_close(l);
}

static ssize_t fails(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx, (void)room;
    if ((*(int *)arg)++ > 0)
        return SVL_EGONE;
    memcpy(to, "some", 4);
    return 4;
}

static enum svl_verdict failing_source(struct svl_ctx *ctx, void *arg)
{
    static int calls;

    (void)arg;
    calls = 0;
    svl_status(ctx, 200);
    svl_body_source(ctx, fails, &calls, is(ctx->req.path, "/chunked") ? -1 : 100);
    return SVL_DONE;
}

Test(behaviour, b060_a_source_that_fails_ends_the_connection)
{
    static const char *const paths[] = {"/", "/chunked"};

    for (int i = 0; i < 2; i++) {
        struct loopback *l = serve(failing_source, 0);

        loopback_get(l, paths[i], "");
        for (int round = 0; round < 5; round++)
            loopback_round(l);
        cr_assert(loopback_closed(l) && !has(loopback_take(l), "0\r\n\r\n"));
        loopback_close(l);
    }
}

static struct svl_ctx *waiting;

static ssize_t later(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)arg, (void)room;
    if (waiting) {
        waiting = NULL;
        memcpy(to, "body", 4);
        return 4;
    }
    waiting = ctx;
    return -EAGAIN;
}

static enum svl_verdict slow_source(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_status(ctx, 200);
    svl_body_source(ctx, later, NULL, 4);
    return SVL_DONE;
}

Test(behaviour, b061_the_head_does_not_wait_for_the_body)
{
    struct loopback *l = serve(slow_source, 0);

    cr_assert(has(loopback_get(l, "/", ""), "Content-Length: 4\r\n"));
    svl_body_more(waiting);
    cr_assert(is(loopback_take(l), "body"));
    loopback_close(l);
}
