/* A whole connection: any bytes a client may send, to the echo server. However they are cut, the
 * same bytes come back; answers are well formed, nothing follows the last one, nothing is left. */
#include "base/check.h"
#include "run/server.h"
#include "support/answers.h"
#include "support/echo.h"
#include "support/loopback.h"

#include <stdint.h>
#include <stdlib.h>

#define HEADER 4 /* bytes of an input that say how it is sent */

struct run {
    char *bytes;
    size_t n;
    bool closed;
};

static uint32_t seed;

static uint32_t dice(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static struct loopback *server(void)
{
    static struct loopback *l;
    struct svl_server_config config = echo_config;

    if (l)
        return l;
    config.max_target = 64;
    config.max_head = 512;
    config.max_fields = 8;
    config.max_body = 100;
    return l = loopback_open(&config);
}

static void append(struct run *run, svl_str piece)
{
    run->bytes = svl_realloc(run->bytes, run->n + piece.n + 1);
    if (piece.n > 0)
        memcpy(run->bytes + run->n, piece.p, piece.n);
    run->n += piece.n;
}

/* Dates may differ. */
static void mask(struct run *run)
{
    char *at = run->bytes, *end = at + run->n;

    while ((at = memmem(at, (size_t)(end - at), "\r\nDate: ", 8)) && end - at > 37) {
        memset(at + 8, '_', 29);
        at += 8;
    }
}

static struct run run(svl_str bytes, bool cut, bool eof)
{
    struct loopback *l = server();
    struct run r = {0};

    loopback_reconnect(l);
    echo_begun = echo_done = 0;
    if (!cut)
        loopback_offer(l, bytes);
    while (cut && bytes.n > 0) {
        size_t n = 1 + dice() % (dice() % 4 ? 8 : 200);

        loopback_offer(l, svl_str_head(bytes, n));
        bytes = svl_str_from(bytes, n);
    }
    for (int i = 0; i < 40; i++) {
        echo_more();
        loopback_round(l);
    }
    if (eof)
        loopback_eof(l);
    loopback_round(l);
    append(&r, loopback_take(l));
    mask(&r);
    r.closed = loopback_shut(l);
    loopback_reset(l);
    loopback_round(l);
    SVL_ASSERT(loopback_exchanges(l) == 0);
    SVL_ASSERT(loopback_worker(l)->outs.live == 0);
    SVL_ASSERT(echo_begun == echo_done);
    return r;
}

static void check_answers(const struct run *r)
{
    svl_str rest = {r->bytes, r->n};
    struct answer a;
    const char *why = NULL;
    bool last = false;
    int more;

    while ((more = answer_next(&rest, &a, &why)) > 0) {
        SVL_ASSERT(!last);
        last = a.close || !a.whole;
    }
    SVL_ASSERT(more == 0);
    SVL_ASSERT(!last || r->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct run whole, pieces;
    svl_str bytes;
    bool eof;

    if (len < HEADER)
        return -1;
    bytes = (svl_str){(const char *)data + HEADER, len - HEADER};
    eof = data[0] & 1;
    memcpy(&seed, data, sizeof seed);
    whole = run(bytes, false, eof);
    check_answers(&whole);
    pieces = run(bytes, true, eof);
    SVL_ASSERT(whole.closed == pieces.closed);
    SVL_ASSERT(whole.n == pieces.n && memcmp(whole.bytes, pieces.bytes, whole.n) == 0);
    free(whole.bytes);
    free(pieces.bytes);
    return 0;
}
