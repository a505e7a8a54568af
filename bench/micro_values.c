/* What fasthttp measures under these names, with its inputs: reading and writing of heads, URIs,
 * arguments, cookies, dates, numbers and escapes.
 *
 *   micro_values            nanoseconds per operation and allocations, one line each
 *   micro_values NAME N     does it N times, for callgrind
 *   micro_values --names    the names
 *
 * `bench/run values` compares the two. Results are kept from the optimiser, nothing else is. */
#include "base/arena.h"
#include "base/check.h"
#include "http/parse.h"
#include "http/write.h"
#include "run/exchange.h"
#include "run/server.h"
#include "serval/serval.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Counts what is allocated; the C library's own stand behind. */
static unsigned long allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}

#define KEEP(value) __asm__ volatile("" : : "g"(value) : "memory")
#define TIMES(n) for (unsigned long i = 0; i < (n); i++)

static char out[16384];

/* Each operation does it n times with `text`, the input it is named with below. */

/* Arguments -------------------------------------------------------------------------------- */

static char first[1024] __attribute__((aligned(16)));

static void parse_args(unsigned long n, svl_str text)
{
    struct svl_pair table[16];
    struct svl_arena arena;
    struct svl_args args;

    svl_args_init(&args, &arena);
    args.at = table;
    args.room = 16;
    TIMES(n)
    {
        svl_arena_init(&arena, first, sizeof first, NULL, 0);
        svl_args_reset(&args);
        svl_args_parse(&args, text);
        KEEP(args.at[0].value.p);
    }
}

static void args_peek(unsigned long n, svl_str text)
{
    static struct svl_pair one = {{"foobarbaz", 9}, {"foobarbaz1234", 13}};
    struct svl_args args = {.at = &one, .n = 1};
    svl_str key = SVL_STR("foobarbaz");

    (void)text;
    TIMES(n)
    {
        KEEP(key.p);
        SVL_ASSERT(svl_str_eq(svl_args_get(&args, key), SVL_STR("foobarbaz1234")));
    }
}

/* Heads ------------------------------------------------------------------------------------ */

static struct svl_worker *worker;
static struct svl_wire wire;
static const struct svl_chain no_chain;
static const struct svl_limits limits = {
    .max_target = 8192, .max_head = 16384, .max_fields = 100, .max_body = 1 << 20};

static struct svl_exchange *fresh(void)
{
    static const struct svl_address peer;

    return svl_exchange_open(worker, &wire, &no_chain, &limits, &peer);
}

static void put_back(struct svl_exchange *x)
{
    x->wire = NULL;
    x->state = SVL_READING;
    svl_exchange_abandon(x);
}

/* A whole exchange from the pool and back, its head checked as for a server. */
static void request_header_read(unsigned long n, svl_str text)
{
    size_t used;

    TIMES(n)
    {
        struct svl_exchange *x = fresh();

        SVL_ASSERT(svl_parser_head(&x->parser, text.p, text.n, &used) == SVL_PARSE_HEAD);
        put_back(x);
    }
}

static void response_header_write(unsigned long n, svl_str text)
{
    struct svl_exchange *x = fresh();
    struct svl_response *res = &x->pub.res;
    static struct svl_preamble preamble;

    svl_preamble_make(&preamble, SVL_STR("aaa 1/2.3"), 784111777, true);
    x->pub.req.minor = 1;
    svl_status(&x->pub, 200);
    svl_content_type(&x->pub, SVL_STR("text/html"));
    svl_header_set_name(&x->pub, SVL_STR("Test"), SVL_STR("1.2.3"));
    res->body = (struct svl_body){.kind = SVL_BODY_FILE, .length = 1256};
    (void)text;
    TIMES(n)
    {
        struct svl_framing framing = svl_framing_of(&x->pub.req, res, true);

        SVL_ASSERT(svl_head_bound(res, &preamble) <= sizeof out);
        KEEP(svl_head_write(out, res, &framing, &preamble));
    }
    put_back(x);
}

static void peek(unsigned long n, svl_str text)
{
    struct svl_exchange *x = fresh();

    svl_header_set_name(&x->pub, SVL_STR("Accept"), SVL_STR("foobar.com"));
    svl_header_set_name(&x->pub, SVL_STR("Dontent-Type"), SVL_STR("foobar.com"));
    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_str_eq(svl_headers_find(&x->pub.res.headers, text), SVL_STR("foobar.com")));
    }
    put_back(x);
}

static void canonical(unsigned long n, svl_str text)
{
    TIMES(n)
    {
        KEEP(text.p);
        svl_header_canonical(out, text);
        KEEP(out);
    }
}

static void visit_params(unsigned long n, svl_str text)
{
    TIMES(n)
    {
        svl_str rest = text;
        struct svl_pair parameter;

        while (svl_field_next(&rest, &parameter))
            KEEP(parameter.value.p);
    }
}

static void status_line(unsigned long n, svl_str text)
{
    struct svl_response res = {.status = atoi(text.p)};

    TIMES(n)
    {
        KEEP(res.status);
        KEEP(svl_status_line_write(out, &res));
    }
}

/* URIs ------------------------------------------------------------------------------------- */

/* What fasthttp's Parse does: takes the text apart, cleans the path, lowers the host. */
static void uri_parse(unsigned long n, svl_str text)
{
    TIMES(n)
    {
        struct svl_uri uri;

        KEEP(text.p);
        SVL_ASSERT(svl_uri_parse(&uri, text) == 0);
        if (!svl_path_is_clean(uri.path))
            uri.path = (svl_str){out, (size_t)svl_path_clean(out, uri.path)};
        svl_lower(out + 8192, uri.host);
        KEEP(uri.path.p);
    }
}

static void uri_slashes(unsigned long n, svl_str text)
{
    static char path[8192];

    (void)text;
    memset(path, '/', sizeof path);
    TIMES(n)
    KEEP(svl_path_clean(out, (svl_str){path, sizeof path}));
}

static void uri_dots(unsigned long n, svl_str text)
{
    static char path[5 * 1638];

    (void)text;
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = "/a/.."[i % 5];
    TIMES(n)
    KEEP(svl_path_clean(out, (svl_str){path, sizeof path}));
}

static void uri_full(unsigned long n, svl_str text)
{
    struct svl_uri uri = {.scheme = SVL_STR("http"),
                          .host = SVL_STR("foobar.com"),
                          .path = SVL_STR("/foobar/baz"),
                          .query = SVL_STR("aaa=bbb&ccc=ddd")};
    svl_str path = uri.path;

    (void)text;
    TIMES(n)
    {
        KEEP(path.p);
        uri.path = (svl_str){out + 8192, svl_path_escape(out + 8192, path)};
        SVL_ASSERT(svl_uri_print(out, &uri) == 44);
    }
}

/* Cookies, dates, numbers, escapes --------------------------------------------------------- */

static void cookie(unsigned long n, svl_str text)
{
    struct svl_set_cookie c;

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_cookie_parse(&c, text) == 0);
    }
}

static void date_parse(unsigned long n, svl_str text)
{
    int64_t seconds;

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_date_parse(text, &seconds));
    }
}

static void html_escape(unsigned long n, svl_str text)
{
    TIMES(10 * n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_html_escape(out, text) == 37);
    }
}

static void unescape(unsigned long n, svl_str text)
{
    TIMES(n)
    {
        KEEP(text.p);
        KEEP(svl_unescape(out, text, true));
    }
}

static void ipv4_parse(unsigned long n, svl_str text)
{
    uint8_t ip[4];

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_ipv4_parse(text, ip));
    }
}

static void ipv4_print(unsigned long n, svl_str text)
{
    static uint8_t ip[4] = {123, 145, 167, 189};

    (void)text;
    TIMES(n)
    {
        KEEP(ip);
        KEEP(svl_ipv4_print(out, ip));
    }
}

static void uint_parse(unsigned long n, svl_str text)
{
    uint64_t value;

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_uint_parse(text, &value) && value == 1234567);
    }
}

static void uint_print(unsigned long n, svl_str text)
{
    (void)text;
    TIMES(n)
    KEEP(svl_uint_print(out, i));
}

static void hex_print(unsigned long n, svl_str text)
{
    (void)text;
    TIMES(n)
    KEEP(svl_hex_print(out, i));
}

static void float_parse(unsigned long n, svl_str text)
{
    static const svl_str texts[] = {
        {"0", 1},        {"1234566789.", 11}, {".1234556778", 11},
        {"123.456", 7},  {"123456789", 9},    {"1234e23", 7},
        {"1234E-51", 8}, {"1.234e+32", 9},    {"123456789123456789.987654321", 28}};
    double value;

    (void)text;
    TIMES(n)
    for (size_t k = 0; k < 9; k++)
        SVL_ASSERT(svl_float_parse(texts[k], &value));
}

static void lower(unsigned long n, svl_str text)
{
    TIMES(n)
    {
        KEEP(text.p);
        svl_lower(out, text);
        KEEP(out);
    }
}

/* ------------------------------------------------------------------------------------------ */

static const struct operation {
    const char *name;
    void (*run)(unsigned long n, svl_str text);
    const char *text; /* the input, where it is one */
} operations[] = {
    {"ArgsParse", parse_args, "foo=bar&baz=qqq&aaaaa=bbbb"},
    {"ArgsParseQuery", parse_args,
     "page=2&limit=50&sort=name&order=desc&filter=active&fields=id,name,email"},
    {"ArgsParseEncoded", parse_args,
     "q=hello+world&redirect=https%3A%2F%2Fexample.com%2Fpath&lang=en-US"},
    {"ArgsPeek", args_peek, ""},
    {"RequestHeaderRead", request_header_read,
     "GET /foo/bar HTTP/1.1\r\nHost: foobar.com\r\nUser-Agent: aaa.bbb\r\n"
     "Referer: http://google.com/aaa/bbb\r\nContent-Type: text/html\r\n"
     "Server: aaa 1/2.3\r\nTest: 1.2.3\r\nFoo: bar\r\n"
     "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n"},
    {"ResponseHeaderWrite", response_header_write, ""},
    {"ResponseHeaderPeekBytesSpecialHeader", peek, "Accept"},
    {"ResponseHeaderPeekBytesNonSpecialHeader", peek, "Dontent-Type"},
    {"NormalizeHeaderKeyCommonCase", canonical,
     "User-Agent-Host-Content-Type-Content-Length-Server"},
    {"NormalizeHeaderKeyLowercase", canonical,
     "user-agent-host-content-type-content-length-server"},
    {"NormalizeHeaderKeyUppercase", canonical,
     "USER-AGENT-HOST-CONTENT-TYPE-CONTENT-LENGTH-SERVER"},
    {"VisitHeaderParams", visit_params,
     "text/plain  ;  foo=bar  ;   param2=\"dquote is: [\\\"], ok?\" ; version=1; q=0.324  "},
    {"StatusLine99", status_line, "99"},
    {"StatusLine200", status_line, "200"},
    {"StatusLine512", status_line, "512"},
    {"URIParsePath", uri_parse, "//google.com/foo/bar"},
    {"URIParsePathQueryString", uri_parse, "//google.com/foo/bar?query=string&other=value"},
    {"URIParsePathFileExtension", uri_parse, "//google.com/static/js/app.min.js"},
    {"URIParsePathQueryStringHash", uri_parse,
     "//google.com/foo/bar?query=string&other=value#hashstring"},
    {"URIParsePathSlashRun", uri_slashes, ""},
    {"URIParsePathDotSegments", uri_dots, ""},
    {"URIParseHostname", uri_parse,
     "http://foobar.com/foo/bar?query=string&other=value#hashstring"},
    {"URIParseUserinfo", uri_parse, "http://user:pass@foobar.com/foo/bar"},
    {"URIFullURI", uri_full, ""},
    {"CookieParseMin", cookie, "xxx=yyy"},
    {"CookieParseNoExpires", cookie, "xxx=yyy; domain=foobar.com; path=/a/b"},
    {"CookieParseFull", cookie,
     "xxx=yyy; expires=Tue, 10 Nov 2009 23:00:00 GMT; domain=foobar.com; path=/a/b"},
    {"ParseHTTPDate/fast-path", date_parse, "Tue, 10 Nov 2009 23:00:00 GMT"},
    {"AppendHTMLEscape", html_escape, "<b>foobarbazxxxyyyzzz</b>"},
    {"AppendUnquotedArgFastPath", unescape,
     "foobarbaz no quoted chars fdskjsdf jklsdfdfskljd;aflskjdsaf fdsklj fsdkj fsdl "
     "kfjsdlk jfsdklj fsdfsdf sdfkflsd"},
    {"AppendUnquotedArgSlowPath", unescape,
     "D0%B4%20%D0%B0%D0%B2%D0%BB%D0%B4%D1%84%D1%8B%D0%B0%D0%BE%20%D1%84%D0%B2%D0%B6"
     "%D0%BB%D0%B4%D1%8B%20%D0%B0%D0%BE"},
    {"ParseIPv4", ipv4_parse, "123.145.167.189"},
    {"AppendIPv4", ipv4_print, ""},
    {"ParseUint", uint_parse, "1234567"},
    {"AppendUint", uint_print, ""},
    {"WriteHexInt", hex_print, ""},
    {"ParseUfloat", float_parse, ""},
    {"LowercaseBytesNoop", lower, "foobarbaz_lowercased_all"},
    {"LowercaseBytesAll", lower, "FOOBARBAZ_UPPERCASED_ALL"},
    {"LowercaseBytesMixed", lower, "Foobarbaz_Uppercased_Mix"},
};

#define COUNT (sizeof operations / sizeof *operations)

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of many short turns: on a shared machine the others tell about its other users. */
static void measure(const struct operation *operation)
{
    unsigned long n = 16, before;
    double best = 1e9, took = 0;

    while (took < 2e5) {
        double begin = now();

        n *= 2;
        operation->run(n, svl_str_of(operation->text));
        took = now() - begin;
    }
    before = allocations;
    for (int turn = 0; turn < 100; turn++) {
        double begin = now();

        operation->run(n, svl_str_of(operation->text));
        took = (now() - begin) / (double)n;
        best = took < best ? took : best;
    }
    printf("%s %.2f %lu\n", operation->name, best, allocations - before);
}

int main(int argc, char **argv)
{
    struct svl_server *server;

    if (svl_server_open(&server, &(struct svl_server_config){.workers = 1}) != 0)
        return 3;
    worker = svl_server_worker(server, 0);
    for (size_t i = 0; i < COUNT; i++) {
        if (argc == 2 && strcmp(argv[1], "--names") == 0)
            puts(operations[i].name);
        else if (argc == 1)
            measure(&operations[i]);
        else if (argc == 3 && strcmp(argv[1], operations[i].name) == 0)
            operations[i].run(strtoul(argv[2], NULL, 10), svl_str_of(operations[i].text));
    }
    return 0;
}
