#include "http/response_parse.h"

#include "base/pool.h"
#include "serval/error.h"
#include "support/exact.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct svl_pool pool;
static struct svl_arena arena;
static struct svl_header fields[4];
static struct svl_reply reply;
static struct svl_head_reader reader;

static void begin(void)
{
    svl_pool_init(&pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&arena, NULL, 0, &pool, 1000);
    reply = (struct svl_reply){.headers = {.at = fields, .room = 4}};
    reader = (struct svl_head_reader){.max_head = 2000, .max_fields = 20};
    svl_head_reader_begin(&reader, &reply);
}

static void end(void)
{
    svl_arena_finish(&arena);
    svl_pool_finish(&pool);
}

TestSuite(response_parse, .init = begin, .fini = end);

/* Whole and byte by byte must come to the same. */
static enum svl_parsed read_head(const char *text)
{
    svl_str bytes = svl_str_of(text);
    enum svl_parsed whole, cut = SVL_PARSE_MORE;
    struct svl_head_reader first;

    svl_head_reader_begin(&reader, &reply);
    for (size_t n = 1; n <= bytes.n && cut == SVL_PARSE_MORE; n++)
        cut = svl_head_reader_read(&reader, &arena, bytes.p, n);
    first = reader;
    svl_head_reader_begin(&reader, &reply);
    whole = svl_head_reader_read(&reader, &arena, bytes.p, bytes.n);
    cr_assert_eq(whole, cut, "%s", text);
    cr_assert_eq(first.error, reader.error, "%s", text);
    if (whole == SVL_PARSE_HEAD)
        cr_assert_eq(first.at, reader.at);
    return whole;
}

static void refused(const char *text, int error)
{
    cr_assert_eq(read_head(text), SVL_PARSE_REFUSED, "%s", text);
    cr_assert_eq(reader.error, error, "%s: %d", text, reader.error);
    cr_assert_not_null(reader.why);
}

static void accepted(const char *text, int status, enum svl_framed framed, bool keep_alive)
{
    cr_assert_eq(read_head(text), SVL_PARSE_HEAD, "%s: %s", text, reader.why);
    cr_assert_eq(reply.status, status, "%s", text);
    cr_assert_eq(reader.framed, framed, "%s", text);
    cr_assert_eq(reader.keep_alive, keep_alive, "%s", text);
}

Test(response_parse, a_head_is_taken_apart)
{
    accepted("HTTP/1.1 200 OK\r\nServer: a\r\nX-Y:\t b c \t\r\nContent-Length: 3\r\n\r\nabc", 200,
             SVL_FRAMED_LENGTH, true);
    cr_assert_eq(reply.minor, 1);
    cr_assert(svl_str_eq(reply.reason, SVL_STR("OK")));
    cr_assert_eq(reply.content_length, 3);
    cr_assert_eq(reply.headers.n, 3);
    cr_assert(svl_str_eq(svl_reply_header(&reply, SVL_H_SERVER), SVL_STR("a")));
    cr_assert(svl_str_eq(svl_headers_find(&reply.headers, SVL_STR("x-y")), SVL_STR("b c")));
}

Test(response_parse, status_lines)
{
    accepted("HTTP/1.1 456\r\nContent-Length: 0\r\n\r\n", 456, SVL_FRAMED_NONE, true);
    accepted("HTTP/1.1 456 \r\nContent-Length: 0\r\n\r\n", 456, SVL_FRAMED_NONE, true);
    accepted("HTTP/1.0 200 a b\r\n\r\n", 200, SVL_FRAMED_EOF, false);
    accepted("HTTP/1.1 999 \xe4\r\n\r\n", 999, SVL_FRAMED_EOF, false);
    refused("HTTP/1.1   200 OK\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1\t200 OK\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 123foobar\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 20\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 2000\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 099 x\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 s\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 \r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 a\rb\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.2 200 OK\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/2.0 200 OK\r\n\r\n", SVL_ERESPONSE);
    refused("http/1.1 200 OK\r\n\r\n", SVL_ERESPONSE);
    refused("\r\nHTTP/1.1 200 OK\r\n\r\n", SVL_ERESPONSE);
}

Test(response_parse, what_is_not_http_is_seen_before_its_line_ends)
{
    refused("SSH-2.0-OpenSSH", SVL_ERESPONSE);
    refused("<", SVL_ERESPONSE);
    cr_assert_eq(read_head("HTTP/1.1 200"), SVL_PARSE_MORE);
}

Test(response_parse, lines_that_others_may_read_differently)
{
    refused("HTTP/1.1 200 OK\nServer: a\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nServer: a\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nServer: a\r\n\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nServer : a\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\n Server: a\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nServer: a\r\n b\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\n: a\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nServer\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nServer: a\rb\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nX: a\x01\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nX\xe4: a\r\n\r\n", SVL_ERESPONSE);
}

Test(response_parse, framing)
{
    accepted("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", 200, SVL_FRAMED_CHUNKED,
             true);
    cr_assert_eq(reply.content_length, -1);
    accepted("HTTP/1.1 200 OK\r\nTransfer-Encoding:\tchunked \t\r\n\r\n", 200, SVL_FRAMED_CHUNKED,
             true);
    accepted("HTTP/1.1 200 OK\r\nContent-Length:\t3 \t\r\n\r\n", 200, SVL_FRAMED_LENGTH, true);
    cr_assert_eq(reply.content_length, 3);
    accepted("HTTP/1.1 200 OK\r\n\r\n", 200, SVL_FRAMED_EOF, false);
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: deflate\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            SVL_ERESPONSE);
    refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", SVL_ERESPONSE);
}

Test(response_parse, no_body_whatever_the_fields_say)
{
    accepted("HTTP/1.1 304 x\r\nContent-Length: 1235\r\n\r\n", 304, SVL_FRAMED_NONE, true);
    cr_assert_eq(reply.content_length, 1235);
    accepted("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", 204, SVL_FRAMED_NONE, true);
    accepted("HTTP/1.1 204 x\r\n\r\n", 204, SVL_FRAMED_NONE, true);
    accepted("HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n", 101, SVL_FRAMED_NONE, false);
    accepted("HTTP/1.1 103 x\r\nLink: y\r\n\r\n", 103, SVL_FRAMED_NONE, true);
    refused("HTTP/1.1 103 x\r\nContent-Length: 1\r\n\r\n", SVL_ERESPONSE);
    refused("HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n", SVL_ERESPONSE);
    reader.to_head = true;
    accepted("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, SVL_FRAMED_NONE, true);
    accepted("HTTP/1.1 200 OK\r\n\r\n", 200, SVL_FRAMED_NONE, true);
    reader.to_head = false;
    reader.to_connect = true;
    accepted("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, SVL_FRAMED_NONE, true);
    accepted("HTTP/1.1 403 no\r\nContent-Length: 9\r\n\r\n", 403, SVL_FRAMED_LENGTH, true);
}

Test(response_parse, whether_the_connection_stays)
{
    accepted("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: a, Close\r\n\r\n", 200,
             SVL_FRAMED_NONE, false);
    accepted("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, SVL_FRAMED_NONE, false);
    accepted("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", 200,
             SVL_FRAMED_NONE, true);
    accepted("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", 200, SVL_FRAMED_EOF, false);
}

Test(response_parse, limits)
{
    char text[4000] = "HTTP/1.1 200 OK\r\n";
    size_t n = strlen(text);

    for (int i = 0; i < 20; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "X: %d\r\n", i);
    strcpy(text + n, "\r\n");
    accepted(text, 200, SVL_FRAMED_EOF, false);
    cr_assert_eq(reply.headers.n, 20);
    strcpy(text + n, "X: y\r\n\r\n");
    refused(text, SVL_ELIMIT);

    memset(text + n, 'x', 2500);
    text[n + 2500] = '\0';
    refused(text, SVL_ELIMIT);
    n = strlen(strcpy(text, "HTTP/1.1 200 "));
    memset(text + n, 'x', 2500);
    refused(text, SVL_ELIMIT);
}

static char got[100];

static int take(void *arg, const char *data, size_t n)
{
    (void)arg;
    strncat(got, data, n);
    return 0;
}

Test(response_parse, chunks)
{
    const struct svl_limits limits = {.max_chunk_overhead = 100};
    svl_str body = exact(SVL_STR("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\nHTTP/1.1"));
    struct svl_request spare = {0};
    struct svl_parser p;
    size_t used;

    svl_parser_chunks(&p, &spare, &limits, &arena);
    p.on_body = take;
    cr_assert_eq(svl_parser_body(&p, body.p, body.n, &used), SVL_PARSE_END);
    cr_assert_eq(used, body.n - 8);
    cr_assert_str_eq(got, "abcde");
    cr_assert(svl_str_eq((svl_str){p.trailers.text, p.trailers.n}, SVL_STR("A: b\r\n\r\n")));
    exact_free(body);
}
