/* pkg-config: libbrotlidec */
#include "serval/mod/compress.h"

#include "serval/filter.h"
#include "support/body.h"

#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#if SVL_COMPRESS_BROTLI
#include <brotli/decode.h>
#endif
#if SVL_COMPRESS_ZSTD
#include <zstd.h>
#endif
#if SVL_COMPRESS_GZIP || SVL_COMPRESS_DEFLATE
#include <zlib.h>
#endif

#define CHAIN(...)                                                                                 \
    (const struct svl_use[])                                                                       \
    {                                                                                              \
        SVL_USE(compress, __VA_ARGS__), SVL_USE_END                                                \
    }

/* Decoding ----------------------------------------------------------------------------------- */

static char *plain;
static size_t plain_room = (size_t)8 << 20;

/* What has been decoded of as much of a coding as there is. */
static svl_str decode(svl_str coding, svl_str bytes)
{
    size_t n = 0;

    (void)coding;
    (void)bytes;
    free(plain);
    plain = malloc(plain_room);
#if SVL_COMPRESS_GZIP || SVL_COMPRESS_DEFLATE
    if (svl_str_eq(coding, SVL_STR("gzip")) || svl_str_eq(coding, SVL_STR("deflate"))) {
        z_stream z = {.next_in = (unsigned char *)bytes.p,
                      .avail_in = (unsigned)bytes.n,
                      .next_out = (unsigned char *)plain,
                      .avail_out = (unsigned)plain_room};

        cr_assert_eq(inflateInit2(&z, coding.p[0] == 'g' ? 31 : 15), Z_OK);
        cr_assert_geq(inflate(&z, Z_SYNC_FLUSH), Z_OK);
        n = z.total_out;
        inflateEnd(&z);
    }
#endif
#if SVL_COMPRESS_BROTLI
    if (svl_str_eq(coding, SVL_STR("br"))) {
        BrotliDecoderState *b = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        const uint8_t *in = (const uint8_t *)bytes.p;
        uint8_t *out = (uint8_t *)plain;
        size_t room = plain_room;

        cr_assert_neq(BrotliDecoderDecompressStream(b, &bytes.n, &in, &room, &out, &n),
                      BROTLI_DECODER_RESULT_ERROR);
        BrotliDecoderDestroyInstance(b);
    }
#endif
#if SVL_COMPRESS_ZSTD
    if (svl_str_eq(coding, SVL_STR("zstd"))) {
        ZSTD_DCtx *z = ZSTD_createDCtx();
        ZSTD_inBuffer in = {bytes.p, bytes.n, 0};
        ZSTD_outBuffer out = {plain, plain_room, 0};

        while (in.pos < in.size) {
            size_t left = ZSTD_decompressStream(z, &out, &in);

            cr_assert(!ZSTD_isError(left), "%s", ZSTD_getErrorName(left));
        }
        n = out.pos;
        ZSTD_freeDCtx(z);
    }
#endif
    return (svl_str){plain, n};
}

/* Answers ------------------------------------------------------------------------------------ */

static char *text;
static size_t n_text;

/* Compresses to about a third. */
static void make_text(size_t n)
{
    unsigned seed = 1;

    free(text);
    text = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        text[i] = i % 13 < 6 ? "serval"[i % 13] : (char)('a' + (seed >> 16) % 8);
    }
    n_text = n;
}

static svl_str whole_text(void)
{
    return (svl_str){text, n_text};
}

static const char *type, *etag;

static void fields(struct svl_ctx *ctx)
{
    svl_status(ctx, 200);
    svl_content_type(ctx, svl_str_of(type ? type : "text/html; charset=utf-8"));
    if (etag)
        svl_header_set(ctx, SVL_H_ETAG, svl_str_of(etag));
}

static enum svl_verdict as_bytes(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    fields(ctx);
    svl_body_bytes(ctx, whole_text());
    return SVL_DONE;
}

/* Gives the text up to `feed_until`, then has nothing. */
static size_t feed_at, feed_until;
static struct svl_ctx *feeding;

static ssize_t feed(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    size_t n = feed_until - feed_at;

    (void)arg;
    feeding = ctx;
    if (n == 0)
        return feed_at == n_text ? 0 : -EAGAIN;
    if (n > room)
        n = room;
    memcpy(to, text + feed_at, n);
    feed_at += n;
    return (ssize_t)n;
}

static enum svl_verdict as_source(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    fields(ctx);
    svl_body_source(ctx, feed, NULL, -1);
    return SVL_DONE;
}

static struct loopback *serve(const struct svl_use *chain, svl_handler_fn *handler)
{
    return loopback_open(&(struct svl_server_config){.chain = chain, .handler = handler});
}

static svl_str ask(struct loopback *l, const char *method, const char *accept)
{
    char request[1024];

    snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n", method,
             accept ? "Accept-Encoding: " : "", accept ? accept : "", accept ? "\r\n" : "");
    loopback_send(l, request);
    for (int i = 0; i < 200; i++)
        loopback_room(l, SIZE_MAX);
    return loopback_take(l);
}

static void over(struct loopback *l)
{
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
    free(text);
    free(plain);
    text = plain = NULL;
}

static void expect_text(svl_str answer, const char *coding)
{
    svl_str body = body_of(answer);

    cr_assert(svl_str_eq(loopback_field(answer, "Content-Encoding"), svl_str_of(coding)), "%.*s",
              SVL_FMT(svl_str_head(answer, 400)));
    cr_assert_not_null(body.p);
    cr_assert_lt(body.n, n_text * 2 / 3);
    body = decode(svl_str_of(coding), body);
    cr_assert_eq(body.n, n_text, "%zu of %zu", body.n, n_text);
    cr_assert_eq(memcmp(body.p, text, n_text), 0);
}

static __attribute__((unused)) void expect_plain(svl_str answer)
{
    svl_str body = body_of(answer);

    cr_expect_null(loopback_field(answer, "Content-Encoding").p);
    cr_assert(svl_str_eq(body, whole_text()), "%zu bytes", body.n);
}

static const char *const built_in[] = {
#if SVL_COMPRESS_GZIP
    "gzip",
#endif
#if SVL_COMPRESS_DEFLATE
    "deflate",
#endif
#if SVL_COMPRESS_BROTLI
    "br",
#endif
#if SVL_COMPRESS_ZSTD
    "zstd",
#endif
    NULL};

/* Codings ------------------------------------------------------------------------------------ */

Test(compress, every_coding_of_every_kind_of_body_decodes)
{
    static const size_t sizes[] = {256, 1000, 100000, 256 * 1024, 256 * 1024 + 1, 3000000};

    for (const char *const *coding = built_in; *coding; coding++)
        for (int i = 0; i < 12; i++) {
            struct loopback *l = serve(CHAIN(0), i % 2 ? as_source : as_bytes);
            svl_str answer;

            make_text(sizes[i / 2]);
            feed_at = 0;
            feed_until = n_text;
            answer = ask(l, "GET", *coding);
            expect_text(answer, *coding);
            cr_expect(svl_str_eq(loopback_field(answer, "Vary"), SVL_STR("Accept-Encoding")));
            cr_expect_eq(loopback_field(answer, "Content-Length").p != NULL,
                         i % 2 == 0 && n_text <= 256 * 1024);
            feed_at = 0;
            expect_text(ask(l, "GET", *coding), *coding); /* with what was pooled */
            over(l);
        }
}

Test(compress, a_stream_sends_what_it_has)
{
    for (const char *const *coding = built_in; *coding; coding++) {
        struct loopback *l = serve(CHAIN(0), as_source);
        char *wire = NULL;
        size_t n = 0;

        make_text(100000);
        feed_at = feed_until = 0;
        type = "text/event-stream";
        for (feed_until = 100; feed_until < 2000; feed_until += 300) {
            svl_str piece = n == 0 ? ask(l, "GET", *coding)
                                   : (svl_body_more(feeding), loopback_take(l)),
                    body;

            wire = realloc(wire, n + piece.n + 1);
            memcpy(wire + n, piece.p, piece.n);
            n += piece.n;
            wire[n] = '\0';
            body = decode(svl_str_of(*coding), body_so_far((svl_str){wire, n}));
            cr_assert_eq(body.n, feed_until, "%s: %zu of %zu", *coding, body.n, feed_until);
            cr_assert_eq(memcmp(body.p, text, body.n), 0);
        }
        free(wire);
        loopback_reset(l);
        over(l);
    }
}

Test(compress, a_client_that_leaves_in_the_middle_leaves_nothing_behind)
{
    for (const char *const *coding = built_in; *coding; coding++) {
        struct loopback *l = serve(CHAIN(0), as_source);
        char request[200];

        make_text(3000000);
        feed_at = 0;
        feed_until = n_text;
        loopback_room(l, 50000);
        snprintf(request, sizeof request,
                 "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n", *coding);
        loopback_send(l, request);
        cr_expect_lt(feed_at, 2000000);
        loopback_reset(l);
        cr_expect_eq(loopback_exchanges(l), 0);
        loopback_reconnect(l);
        feed_at = 0;
        expect_text(ask(l, "GET", *coding), *coding);
        over(l);
    }
}

/* Which one ---------------------------------------------------------------------------------- */

#if SVL_COMPRESS_GZIP && SVL_COMPRESS_BROTLI && SVL_COMPRESS_DEFLATE
static const struct {
    const char *accept, *coding;
    int status;
} choices[] = {
    {NULL, NULL, 200},
    {"", NULL, 200},
    {"gzip", "gzip", 200},
    {"GZIP", "gzip", 200},
    {"x-gzip", "gzip", 200},
    {"gzip;q=1", "gzip", 200},
    {"gzip ; q=0.5", "gzip", 200},
    {"deflate,gzip", "gzip", 200},
    {"gzip, deflate, br", "br", 200},
    {"gzip;q=1.0, br;q=0.9", "gzip", 200},
    {"gzip;q=0.501, br;q=0.5", "gzip", 200},
    {"br;q=0, gzip;q=0.001", "gzip", 200},
    {"*", "br", 200},
    {"*;q=0.5, gzip", "gzip", 200},
    {"br;q=0, *", "gzip", 200},
    {"gzip;q=0", NULL, 200},
    {"*;q=0", NULL, 406},
    {"identity;q=0", NULL, 406},
    {"identity;q=0, gzip", "gzip", 200},
    {"*;q=0, identity", NULL, 200},
    {"*;q=0, identity;q=0.1, gzip;q=0.2", "gzip", 200},
    {"identity, gzip;q=0.5", NULL, 200},
    {"identity;q=0.5, gzip;q=0.5", "gzip", 200},
    {"compress, exi", NULL, 200},
    {"compress, identity;q=0", NULL, 406},
    {"gzip;q=2", NULL, 200},
    {"gzip;q=1.001", NULL, 200},
    {"gzip;q=0.0000", NULL, 200},
    {"gzip;q=x", NULL, 200},
    {"gzip;level=9", NULL, 200},
    {"gzipp, brr", NULL, 200},
    {",, ,gzip,,", "gzip", 200},
};

Test(compress, takes_the_coding_that_the_client_wants_most)
{
    struct loopback *l = serve(CHAIN(.codings = "br, gzip, deflate"), as_bytes);

    make_text(1000);
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        svl_str answer = ask(l, "GET", choices[i].accept);
        svl_str coding = loopback_field(answer, "Content-Encoding");

        cr_expect_eq(loopback_status(answer), choices[i].status, "%s", choices[i].accept);
        cr_expect(svl_str_eq(coding, svl_str_of(choices[i].coding)), "%s: %.*s", choices[i].accept,
                  SVL_FMT(coding));
        cr_expect(svl_str_eq(loopback_field(answer, "Vary"), SVL_STR("Accept-Encoding")), "%s",
                  choices[i].accept);
    }
    over(l);
}

Test(compress, several_fields_are_one_list)
{
    struct loopback *l = serve(CHAIN(0), as_bytes);

    make_text(1000);
    expect_text(ask(l, "GET", "deflate\r\nAccept-Encoding: gzip"), "gzip");
    expect_text(ask(l, "GET", "deflate\r\nAccept-Encoding: gzip;q=0.5"), "deflate");
    over(l);
}

Test(compress, our_order_is_the_configs)
{
    struct loopback *l = serve(CHAIN(.codings = "gzip,br"), as_bytes);

    make_text(1000);
    expect_text(ask(l, "GET", "br, gzip"), "gzip");
    expect_plain(ask(l, "GET", "deflate"));
    over(l);
}
#endif

/* Which answers ------------------------------------------------------------------------------ */

#if SVL_COMPRESS_GZIP
Test(compress, short_bodies_and_other_types_stay_as_they_are)
{
    static const struct {
        size_t n;
        const char *type;
        bool compressed;
    } cases[] = {
        {255, "text/plain", false},
        {256, "text/plain", true},
        {1000, "TEXT/HTML;charset=utf-8", true},
        {1000, "application/json", true},
        {1000, "application/ld+json ; x=y", true},
        {1000, "image/svg+xml", true},
        {1000, "image/png", false},
        {1000, "video/mp4", false},
        {1000, "application/octet-stream", false},
        {1000, "font/woff2", false},
        {1000, "application/json-seq", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loopback *l = serve(CHAIN(0), as_bytes);
        svl_str answer;

        make_text(cases[i].n);
        type = cases[i].type;
        answer = ask(l, "GET", "gzip");
        cr_expect_eq(loopback_field(answer, "Content-Encoding").p != NULL, cases[i].compressed,
                     "%s", type);
        cr_expect_eq(loopback_field(answer, "Vary").p != NULL, cases[i].compressed, "%s", type);
        over(l);
    }
}

Test(compress, but_not_for_a_client_that_takes_nothing_else)
{
    struct loopback *l = serve(CHAIN(0), as_bytes);

    make_text(1000);
    type = "image/png";
    expect_text(ask(l, "GET", "gzip, identity;q=0"), "gzip");
    over(l);
}

Test(compress, types_and_paths_are_the_configs)
{
    static const char *const types[] = {"image/", NULL}, *const skip[] = {"/api/", NULL};
    struct loopback *l = serve(CHAIN(.types = types, .skip = skip), as_bytes);

    make_text(1000);
    type = "image/bmp";
    expect_text(ask(l, "GET", "gzip"), "gzip");
    expect_plain(loopback_get(l, "/api/token", "Accept-Encoding: gzip\r\n"));
    type = "text/plain";
    expect_plain(ask(l, "GET", "gzip"));
    over(l);
}

static enum svl_verdict special(struct svl_ctx *ctx, void *arg)
{
    svl_str what = svl_str_from(ctx->req.path, 1);

    as_bytes(ctx, arg);
    if (svl_str_eq(what, SVL_STR("coded")))
        svl_header_set(ctx, SVL_H_CONTENT_ENCODING, SVL_STR("br"));
    if (svl_str_eq(what, SVL_STR("part"))) {
        svl_status(ctx, 206);
        svl_header_set(ctx, SVL_H_CONTENT_RANGE, SVL_STR("bytes 0-999/2000"));
    }
    if (svl_str_eq(what, SVL_STR("secret")))
        svl_no_transform(ctx);
    if (svl_str_eq(what, SVL_STR("no-transform")))
        svl_header_set(ctx, SVL_H_CACHE_CONTROL, SVL_STR("max-age=1, no-transform"));
    if (svl_str_eq(what, SVL_STR("digest")))
        svl_header_set_name(ctx, SVL_STR("Repr-Digest"), SVL_STR("sha-256=:x:"));
    if (svl_str_eq(what, SVL_STR("204")))
        svl_status(ctx, 204);
    if (svl_str_eq(what, SVL_STR("404")))
        svl_status(ctx, 404);
    if (svl_str_eq(what, SVL_STR("vary")))
        svl_header_set(ctx, SVL_H_VARY, SVL_STR("Cookie"));
    if (svl_str_eq(what, SVL_STR("vary2"))) {
        svl_header_set(ctx, SVL_H_VARY, SVL_STR("Cookie"));
        svl_header_add(ctx, SVL_H_VARY, SVL_STR("Origin"));
    }
    if (svl_str_eq(what, SVL_STR("vary-all")))
        svl_header_set(ctx, SVL_H_VARY, SVL_STR("*"));
    if (svl_str_eq(what, SVL_STR("varies")))
        svl_header_set(ctx, SVL_H_VARY, SVL_STR("Cookie, accept-encoding"));
    return SVL_DONE;
}

Test(compress, answers_that_must_stay_as_they_are_do)
{
    static const char *const paths[] = {"/coded",        "/part",   "/secret",
                                        "/no-transform", "/digest", "/204"};
    struct loopback *l = serve(CHAIN(0), special);

    make_text(1000);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        svl_str answer = loopback_get(l, paths[i], "Accept-Encoding: gzip\r\n");

        cr_expect_neq(loopback_status(answer), 406);
        cr_expect(!svl_str_eq(loopback_field(answer, "Content-Encoding"), SVL_STR("gzip")), "%s",
                  paths[i]);
        cr_expect_null(loopback_field(answer, "Vary").p);
    }
    expect_text(loopback_get(l, "/404", "Accept-Encoding: gzip\r\n"), "gzip");
    over(l);
}

Test(compress, vary_is_merged)
{
    static const char *const cases[][2] = {{"/vary", "Cookie, Accept-Encoding"},
                                           {"/vary2", "Cookie, Origin, Accept-Encoding"},
                                           {"/vary-all", "*"},
                                           {"/varies", "Cookie, accept-encoding"}};
    struct loopback *l = serve(CHAIN(0), special);

    make_text(1000);
    for (int i = 0; i < 4; i++) {
        svl_str answer = loopback_get(l, cases[i][0], "Accept-Encoding: gzip\r\n");

        cr_expect(svl_str_eq(loopback_field(answer, "Vary"), svl_str_of(cases[i][1])), "%.*s",
                  SVL_FMT(loopback_field(answer, "Vary")));
        expect_text(answer, "gzip");
    }
    over(l);
}

Test(compress, head_has_the_fields_of_get)
{
    struct loopback *l = serve(CHAIN(0), as_bytes);
    svl_str answer;

    make_text(1000);
    answer = ask(l, "HEAD", "gzip");
    cr_expect(svl_str_eq(loopback_field(answer, "Content-Encoding"), SVL_STR("gzip")));
    cr_expect_null(loopback_field(answer, "Content-Length").p);
    cr_expect_eq(loopback_body(answer).n, 0);
    expect_text(ask(l, "GET", "gzip"), "gzip");
    over(l);
}

Test(compress, without_memory_for_encoders_answers_stay_as_they_are)
{
    struct loopback *l = serve(CHAIN(.memory = 400 * 1024), as_source);
    svl_str answer;

    make_text(1000);
    feed_until = 500;
    cr_expect(loopback_field(ask(l, "GET", "gzip"), "Content-Encoding").p);
    loopback_send_on(l, 1, SVL_STR("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"));
    answer = loopback_take_on(l, 1);
    cr_expect_eq(loopback_status(answer), 200);
    cr_expect_null(loopback_field(answer, "Content-Encoding").p);
    loopback_reset_on(l, 1);
    loopback_reset(l);
    loopback_reconnect(l);
    feed_at = 0;
    feed_until = n_text;
    expect_text(ask(l, "GET", "gzip"), "gzip");
    over(l);
}

/* ETags and the cache ------------------------------------------------------------------------ */

Test(compress, a_strong_etag_becomes_weak)
{
    struct loopback *l = serve(CHAIN(0), as_bytes);

    make_text(1000);
    etag = "\"v1\"";
    cr_expect(svl_str_eq(loopback_field(ask(l, "GET", "gzip"), "ETag"), SVL_STR("W/\"v1\"")));
    cr_expect(svl_str_eq(loopback_field(ask(l, "GET", NULL), "ETag"), SVL_STR("\"v1\"")));
    etag = "W/\"v1\"";
    cr_expect(svl_str_eq(loopback_field(ask(l, "GET", "gzip"), "ETag"), SVL_STR("W/\"v1\"")));
    over(l);
}

Test(compress, a_body_with_a_strong_etag_is_compressed_once)
{
    struct loopback *l = serve(CHAIN(0), as_bytes);
    svl_str answer;

    make_text(100000);
    etag = "\"v1\"";
    expect_text(ask(l, "GET", "gzip"), "gzip");
    text[0]++; /* nobody notices */
    answer = ask(l, "GET", "gzip");
    text[0]--;
    expect_text(answer, "gzip");
    cr_expect(svl_str_eq(loopback_field(answer, "ETag"), SVL_STR("W/\"v1\"")));
    cr_expect(loopback_field(ask(l, "HEAD", "gzip"), "Content-Length").p);
    text[0]++;
    etag = "\"v2\"";
    expect_text(ask(l, "GET", "gzip"), "gzip");
    expect_text(loopback_get(l, "/?x", "Accept-Encoding: gzip\r\n"), "gzip");
    text[0]++;
    expect_text(loopback_get(l, "/?y", "Accept-Encoding: gzip\r\n"), "gzip");
    over(l);
}

Test(compress, the_cache_keeps_to_its_bounds)
{
    struct loopback *l = serve(CHAIN(.cache_entries = 2, .cache_bytes = 100000), as_bytes);
    static const char order[] = "abacbaddcab";
    char tag[] = "\"x\"";

    make_text(20000);
    etag = tag;
    for (const char *c = order; *c; c++) {
        tag[1] = *c;
        text[5] = *c;
        expect_text(ask(l, "GET", "gzip"), "gzip");
    }
    over(l);
}

#if SVL_HAVE_FS
/* The whole answer, however many turns it takes. */
static svl_str get(struct loopback *l, const char *target, const char *fields)
{
    char request[1024];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, fields);
    loopback_send(l, request);
    for (int i = 0; i < 20; i++)
        loopback_room(l, SIZE_MAX);
    return loopback_take(l);
}

Test(compress, files_are_found_unchanged_in_any_coding)
{
    char folder[] = "/tmp/serval-compress-XXXXXX", path[80], fields[200];
    struct loopback *l;
    svl_str answer, tag;
    FILE *file;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.txt", folder);
    make_text(100000);
    file = fopen(path, "w");
    fwrite(text, 1, n_text, file);
    fclose(file);
    l = LOOPBACK(SVL_USE(compress, 0), SVL_USE(fs, .root = folder));

    answer = get(l, "/a.txt", "Accept-Encoding: gzip\r\n");
    expect_text(answer, "gzip");
    cr_expect_null(loopback_field(answer, "Accept-Ranges").p);
    tag = loopback_field(answer, "ETag");
    cr_expect(svl_str_starts(tag, SVL_STR("W/\"")));
    snprintf(fields, sizeof fields, "Accept-Encoding: gzip\r\nIf-None-Match: %.*s\r\n",
             SVL_FMT(tag));
    answer = get(l, "/a.txt", fields);
    cr_expect_eq(loopback_status(answer), 304);
    cr_expect(svl_str_starts(loopback_field(answer, "ETag"), SVL_STR("W/\"")));
    cr_expect(svl_str_eq(loopback_field(answer, "Vary"), SVL_STR("Accept-Encoding")));

    answer = get(l, "/a.txt", "");
    expect_plain(answer);
    tag = loopback_field(answer, "ETag");
    snprintf(fields, sizeof fields, "Accept-Encoding: gzip\r\nIf-None-Match: %.*s\r\n",
             SVL_FMT(tag));
    answer = get(l, "/a.txt", fields);
    cr_expect_eq(loopback_status(answer), 304);
    cr_expect(svl_str_starts(loopback_field(answer, "ETag"), SVL_STR("\"")));

    answer = get(l, "/a.txt", "Accept-Encoding: gzip\r\nRange: bytes=0-9\r\n");
    cr_expect_eq(loopback_status(answer), 206);
    cr_expect(svl_str_eq(loopback_body(answer), svl_str_head(whole_text(), 10)));
    unlink(path);
    rmdir(folder);
    over(l);
}
#endif

static void put_file(const char *folder, const char *name, svl_str bytes)
{
    char path[200];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    fwrite(bytes.p, 1, bytes.n, file);
    fclose(file);
}

Test(compress, sidecars_are_written_once_and_again_when_the_file_changes)
{
    char folder[] = "/tmp/serval-sidecars-XXXXXX", command[200], path[100];
    struct svl_precompress job = {.codings = "gzip, deflate", .threads = 3};
    static char bytes[100000];
    FILE *file;
    size_t n;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sub", folder);
    mkdir(path, 0755);
    make_text(50000);
    put_file(folder, "a.txt", whole_text());
    put_file(folder, "sub/b.html", whole_text());
    put_file(folder, "c.png", whole_text());
    put_file(folder, ".hidden.txt", whole_text());
    put_file(folder, "short.txt", SVL_STR("short"));
    put_file(folder, "tiny.txt.gz", whole_text());
    cr_expect_eq(svl_precompress(folder, &job), 0);
    cr_expect_eq(job.files, 2);
    cr_expect_eq(job.written, 2);
    cr_expect_eq(job.failed, 0);
    cr_expect_lt(job.bytes_out, job.bytes_in / 2);
    cr_expect_eq(svl_precompress(folder, &job), 0);
    cr_expect_eq(job.written, 0);
    cr_expect_eq(job.current, 2);

    text[7] = 'X';
    usleep(20000);
    put_file(folder, "a.txt", whole_text());
    cr_expect_eq(svl_precompress(folder, &job), 0);
    cr_expect_eq(job.written, 1);
    snprintf(path, sizeof path, "%s/a.txt.gz", folder);
    file = fopen(path, "r");
    cr_assert_not_null(file);
    n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    cr_expect(svl_str_eq(decode(SVL_STR("gzip"), (svl_str){bytes, n}), whole_text()));
    snprintf(path, sizeof path, "%s/missing", folder);
    cr_expect_lt(svl_precompress(path, &job), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_expect_eq(system(command), 0);
    free(text);
    free(plain);
    text = plain = NULL;
}

Test(compress, a_wrong_config_does_not_start)
{
    struct svl_server *server;

    svl_log_to(NULL, NULL);
    cr_expect_eq(svl_server_open(
                     &server, &(struct svl_server_config){.chain = CHAIN(.codings = "gzip, lzma")}),
                 SVL_ECONFIG);
    cr_expect_eq(
        svl_server_open(&server, &(struct svl_server_config){.chain = CHAIN(.gzip_level = 10)}),
        SVL_ECONFIG);
}
#endif
