#include "serval/decode.h"

#include "serval/serval.h"
#include "support/exact.h"
#include "support/loopback.h"

#include <brotli/encode.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <zlib.h>

static char plain[200000], coded[200000], got[200000];
static size_t got_n;

static int collect(void *arg, const char *data, size_t n)
{
    (void)arg;
    cr_assert(n > 0 && got_n + n <= sizeof got);
    memcpy(got + got_n, data, n);
    got_n += n;
    return 0;
}

/* windowBits as zlib counts them: 31 gzip, 15 zlib, -15 raw. */
static svl_str deflated(svl_str s, int bits)
{
    static char out[sizeof coded];
    z_stream z = {0};

    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)s.p;
    z.avail_in = (unsigned)s.n;
    z.next_out = (unsigned char *)out;
    z.avail_out = sizeof out;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    memcpy(coded, out, z.total_out);
    return (svl_str){coded, z.total_out};
}

static svl_str brotlied(svl_str s)
{
    static char out[sizeof coded];
    size_t n = sizeof out;

    cr_assert(BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, s.n, (const uint8_t *)s.p, &n,
                                    (uint8_t *)out));
    memcpy(coded, out, n);
    return (svl_str){coded, n};
}

static int decode(const char *encoding, svl_str data, size_t limit, size_t step)
{
    struct svl_decoder *decoder;
    int err = svl_decoder_open(&decoder, svl_str_of(encoding), limit, collect, NULL);

    got_n = 0;
    for (; !err && data.n > 0; data = svl_str_from(data, step)) {
        svl_str piece = exact(svl_str_head(data, step));

        err = svl_decoder_push(decoder, piece);
        exact_free(piece);
    }
    if (!err)
        err = svl_decoder_end(decoder);
    svl_decoder_close(decoder);
    return err;
}

static svl_str text(void)
{
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)('a' + i * i % 23);
    return (svl_str){plain, 100000};
}

/* Whole, cut anywhere, at the limit and one byte over it, cut short, with bytes behind. */
static void check(const char *encoding, svl_str data)
{
    static const size_t steps[] = {1, 2, 7, 1000, sizeof coded};

    for (size_t i = 0; i < COUNT(steps); i++) {
        cr_assert_eq(decode(encoding, data, 100000, steps[i]), 0, "%s", encoding);
        cr_assert(got_n == 100000 && memcmp(got, plain, got_n) == 0, "%s", encoding);
    }
    cr_assert_eq(decode(encoding, data, 100001, sizeof coded), 0);
    cr_assert_eq(decode(encoding, data, 99999, sizeof coded), SVL_ELIMIT, "%s", encoding);
    cr_assert_eq(got_n, 99999);
    cr_assert_eq(decode(encoding, data, 0, sizeof coded), SVL_ELIMIT);
    cr_assert_eq(decode(encoding, svl_str_head(data, data.n - 1), 100000, 100), SVL_ESYNTAX);
    coded[data.n] = 'x';
    cr_assert_eq(decode(encoding, (svl_str){coded, data.n + 1}, 100000, 100), SVL_ESYNTAX);
}

Test(decode, every_coding_is_undone_up_to_the_limit)
{
    check("gzip", deflated(text(), 31));
    check("X-GZip", deflated(text(), 31));
    check("deflate", deflated(text(), 15));
    check("deflate", deflated(text(), -15));
    check("br", brotlied(text()));
}

Test(decode, codings_may_be_applied_one_on_the_other)
{
    check("br, gzip", deflated(brotlied(text()), 31));
    check("identity, deflate ,, br", brotlied(deflated(text(), 15)));
}

Test(decode, identity_only_counts)
{
    cr_assert_eq(decode("identity", SVL_STR("abc"), 3, 1), 0);
    cr_assert_eq(decode("", SVL_STR("abc"), 3, 3), 0);
    cr_assert_eq(decode("identity", SVL_STR("abc"), 2, 3), SVL_ELIMIT);
    cr_assert(got_n == 2 && memcmp(got, "ab", 2) == 0);
}

Test(decode, gzip_may_have_members)
{
    static char two[400];
    svl_str one = deflated(SVL_STR("hello"), 31);

    memcpy(two, one.p, one.n);
    memcpy(two + one.n, one.p, one.n);
    cr_assert_eq(decode("gzip", (svl_str){two, 2 * one.n}, 100, 3), 0);
    cr_assert(got_n == 10 && memcmp(got, "hellohello", 10) == 0);
}

Test(decode, a_bomb_costs_no_more_than_its_limit)
{
    svl_str bomb;

    memset(plain, 0, sizeof plain);
    bomb = deflated(deflated((svl_str){plain, sizeof plain}, 31), 31);
    cr_assert_lt(bomb.n, 300);
    cr_assert_eq(decode("gzip, gzip", bomb, 1000, sizeof coded), SVL_ELIMIT);
    cr_assert_eq(got_n, 1000);
}

Test(decode, what_is_not_known_or_too_much_is_refused)
{
    cr_assert_eq(decode("zstd", SVL_STR(""), 1, 1), SVL_ESYNTAX);
    cr_assert_eq(decode("gzip, compress", SVL_STR(""), 1, 1), SVL_ESYNTAX);
    cr_assert_eq(decode("br,br,br,br,br", SVL_STR(""), 1, 1), SVL_ELIMIT);
    cr_assert_eq(decode("gzip", SVL_STR("not gzip at all"), 100, 1), SVL_ESYNTAX);
    cr_assert_eq(decode("br", SVL_STR("\xff\xff\xff\xff"), 100, 1), SVL_ESYNTAX);
    cr_assert_eq(decode("deflate", SVL_STR("\xff\xff\xff"), 100, 3), SVL_ESYNTAX);
    cr_assert_eq(decode("gzip", SVL_STR(""), 100, 1), SVL_ESYNTAX);
}

static enum svl_verdict ask(struct svl_ctx *ctx, void *arg)
{
    svl_str body;
    int err = svl_body_decoded(ctx, *(size_t *)arg, &body);

    if (err == SVL_ELIMIT)
        return svl_fail(ctx, 413, NULL);
    if (err)
        return svl_fail(ctx, 400, NULL);
    return svl_text(ctx, 200, body);
}

Test(decode, the_body_of_a_request_is_decoded)
{
    static const int want[] = {413, 200, 200};
    size_t limit;

    for (size_t i = 0; i < 3; i++) {
        struct loopback *l =
            loopback_open(&(struct svl_server_config){.handler = ask, .handler_arg = &limit});
        svl_str body = deflated(SVL_STR("hello, decoder"), 31), answer;
        char head[128];

        limit = 13 + i;
        snprintf(
            head, sizeof head,
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
            body.n);
        loopback_send(l, head);
        loopback_send_bytes(l, body);
        answer = loopback_take(l);
        cr_assert_eq(loopback_status(answer), want[i]);
        if (want[i] == 200)
            cr_assert(svl_str_eq(loopback_body(answer), SVL_STR("hello, decoder")));
        loopback_close(l);
    }
}
