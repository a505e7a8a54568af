/* A chunked body: whole and in pieces it is read the same, and what is accepted is what a second,
 * plain reader of RFC 9112 7.1 makes of it. */
#include "base/check.h"
#include "base/pool.h"
#include "http/parse.h"

#include <stdint.h>
#include <stdlib.h>

static const struct svl_limits limits = {8192, 16384, 100, 1 << 20, 200, 2 << 20, 0};

struct result {
    enum svl_parsed parsed;
    int status;
    size_t used, n;
    char *body;
};

static int take(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    memcpy(r->body + r->n, data, n);
    r->n += n;
    return 0;
}

static struct result read(const uint8_t *bytes, size_t len, const uint8_t *cuts, size_t n_cuts)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct result r = {.parsed = SVL_PARSE_MORE, .body = malloc(len + 1)};
    struct svl_header fields[4];
    struct svl_request req = {.headers = {.at = fields, .room = 4}};
    struct svl_pool pool;
    struct svl_arena arena;
    struct svl_parser p;
    size_t used;

    svl_pool_init(&pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&arena, NULL, 0, &pool, 1000);
    svl_parser_begin(&p, &req, &limits, &arena);
    SVL_ASSERT(svl_parser_head(&p, head, sizeof head - 1, &used) == SVL_PARSE_HEAD);
    SVL_ASSERT(used == sizeof head - 1);
    p.on_body = take;
    p.body_arg = &r;
    for (size_t i = 0; r.used < len && r.parsed == SVL_PARSE_MORE; i++) {
        size_t n = n_cuts ? 1 + cuts[i % n_cuts] % 16 : len;
        char *piece;

        if (n > len - r.used)
            n = len - r.used;
        piece = malloc(n); /* an exact end */
        memcpy(piece, bytes + r.used, n);
        r.parsed = svl_parser_body(&p, piece, n, &used);
        SVL_ASSERT(used <= n && (r.parsed != SVL_PARSE_MORE || used == n));
        r.used += used;
        free(piece);
    }
    r.status = p.status;
    SVL_ASSERT((r.parsed == SVL_PARSE_REFUSED) == (r.status != 0));
    SVL_ASSERT(p.body_len == r.n);
    svl_arena_finish(&arena);
    svl_pool_finish(&pool);
    return r;
}

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* The line at *at without its CRLF, or false. */
static bool line(const uint8_t *b, size_t len, size_t *at, size_t *end)
{
    for (*end = *at; *end + 1 < len; ++*end) {
        if (b[*end] == '\r' && b[*end + 1] == '\n') {
            *at = *end + 2;
            return true;
        }
        if (b[*end] == '\n' || b[*end] == '\r' || b[*end] == 0)
            return false;
    }
    return false;
}

/* Whether b[0, len) is exactly one chunked body; its content goes to `body`. */
static bool reference(const uint8_t *b, size_t len, char *body, size_t *n)
{
    size_t at = 0, end, begin;

    for (*n = 0;;) {
        uint64_t size = 0;

        begin = at;
        if (!line(b, len, &at, &end) || begin == end || hex(b[begin]) < 0)
            return false;
        for (; begin < end && hex(b[begin]) >= 0; begin++) {
            if (size >> 59)
                return false;
            size = size * 16 + (unsigned)hex(b[begin]);
        }
        if (begin < end && b[begin] != ';')
            return false;
        if (size == 0)
            break;
        if (size > len - at || len - at - size < 2 || memcmp(b + at + size, "\r\n", 2) != 0)
            return false;
        memcpy(body + *n, b + at, size);
        *n += size;
        at += size + 2;
    }
    for (;;) {
        begin = at;
        if (!line(b, len, &at, &end))
            return false;
        if (begin == end)
            return at == len;
        if (!memchr(b + begin, ':', end - begin) || b[begin] == ':' || b[begin] == ' ' ||
            b[begin] == '\t')
            return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct result whole, cut;
    size_t n;
    char *body;

    if (len < 4)
        return -1;
    whole = read(data + 4, len - 4, NULL, 0);
    cut = read(data + 4, len - 4, data, 4);
    SVL_ASSERT(whole.parsed == cut.parsed && whole.status == cut.status);
    if (whole.parsed != SVL_PARSE_REFUSED) {
        SVL_ASSERT(whole.used == cut.used);
        SVL_ASSERT(whole.n == cut.n && memcmp(whole.body, cut.body, whole.n) == 0);
    }
    if (whole.parsed == SVL_PARSE_END) {
        body = malloc(len);
        SVL_ASSERT(reference(data + 4, whole.used, body, &n));
        SVL_ASSERT(n == whole.n && memcmp(body, whole.body, n) == 0);
        free(body);
    }
    free(whole.body);
    free(cut.body);
    return 0;
}
