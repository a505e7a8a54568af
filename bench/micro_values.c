/* What fasthttp measures under these names, with its inputs: reading and writing of heads, URIs,
 * arguments, cookies, dates, numbers and escapes.
 *
 *   micro_values            nanoseconds per operation and allocations, one line each
 *   micro_values NAME N     does it N times, for callgrind
 *   micro_values --names    the names
 *
 * bench/values compares the two. Results are kept from the optimiser, nothing else is. */
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

static void args_parse(unsigned long n)
{
    parse_args(n, SVL_STR("foo=bar&baz=qqq&aaaaa=bbbb"));
}

static void args_parse_query(unsigned long n)
{
    parse_args(n,
               SVL_STR("page=2&limit=50&sort=name&order=desc&filter=active&fields=id,name,email"));
}

static void args_parse_encoded(unsigned long n)
{
    parse_args(n, SVL_STR("q=hello+world&redirect=https%3A%2F%2Fexample.com%2Fpath&lang=en-US"));
}

static void args_peek(unsigned long n)
{
    static struct svl_pair one = {{"foobarbaz", 9}, {"foobarbaz1234", 13}};
    struct svl_args args = {.at = &one, .n = 1};
    svl_str key = SVL_STR("foobarbaz");

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
static void request_header_read(unsigned long n)
{
    static const char head[] =
        "GET /foo/bar HTTP/1.1\r\nHost: foobar.com\r\nUser-Agent: aaa.bbb\r\n"
        "Referer: http://google.com/aaa/bbb\r\nContent-Type: text/html\r\n"
        "Server: aaa 1/2.3\r\nTest: 1.2.3\r\nFoo: bar\r\n"
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n";
    size_t used;

    TIMES(n)
    {
        struct svl_exchange *x = fresh();

        SVL_ASSERT(svl_parser_head(&x->parser, head, sizeof head - 1, &used) == SVL_PARSE_HEAD);
        put_back(x);
    }
}

static void response_header_write(unsigned long n)
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
    TIMES(n)
    {
        struct svl_framing framing = svl_framing_of(&x->pub.req, res, true);

        SVL_ASSERT(svl_head_bound(res, &preamble) <= sizeof out);
        KEEP(svl_head_write(out, res, &framing, &preamble));
    }
    put_back(x);
}

static void peek(unsigned long n, svl_str name)
{
    struct svl_exchange *x = fresh();

    svl_header_set_name(&x->pub, SVL_STR("Accept"), SVL_STR("foobar.com"));
    svl_header_set_name(&x->pub, SVL_STR("Dontent-Type"), SVL_STR("foobar.com"));
    TIMES(n)
    {
        KEEP(name.p);
        SVL_ASSERT(svl_str_eq(svl_headers_find(&x->pub.res.headers, name), SVL_STR("foobar.com")));
    }
    put_back(x);
}

static void peek_special(unsigned long n)
{
    peek(n, SVL_STR("Accept"));
}

static void peek_other(unsigned long n)
{
    peek(n, SVL_STR("Dontent-Type"));
}

static void canonical(unsigned long n, svl_str name)
{
    TIMES(n)
    {
        KEEP(name.p);
        svl_header_canonical(out, name);
        KEEP(out);
    }
}

static void canonical_common(unsigned long n)
{
    canonical(n, SVL_STR("User-Agent-Host-Content-Type-Content-Length-Server"));
}

static void canonical_lower(unsigned long n)
{
    canonical(n, SVL_STR("user-agent-host-content-type-content-length-server"));
}

static void canonical_upper(unsigned long n)
{
    canonical(n, SVL_STR("USER-AGENT-HOST-CONTENT-TYPE-CONTENT-LENGTH-SERVER"));
}

static void visit_params(unsigned long n)
{
    svl_str field = SVL_STR("text/plain  ;  foo=bar  ;   param2=\"dquote is: [\\\"], ok?\" ; "
                            "version=1; q=0.324  ");

    TIMES(n)
    {
        svl_str rest = field;
        struct svl_pair parameter;

        while (svl_field_next(&rest, &parameter))
            KEEP(parameter.value.p);
    }
}

static void status_line(unsigned long n, int status)
{
    struct svl_response res = {.status = status};

    TIMES(n)
    {
        KEEP(res.status);
        KEEP(svl_status_line_write(out, &res));
    }
}

static void status_99(unsigned long n)
{
    status_line(n, 99);
}

static void status_200(unsigned long n)
{
    status_line(n, 200);
}

static void status_512(unsigned long n)
{
    status_line(n, 512);
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

static void uri_path(unsigned long n)
{
    uri_parse(n, SVL_STR("//google.com/foo/bar"));
}

static void uri_query(unsigned long n)
{
    uri_parse(n, SVL_STR("//google.com/foo/bar?query=string&other=value"));
}

static void uri_file(unsigned long n)
{
    uri_parse(n, SVL_STR("//google.com/static/js/app.min.js"));
}

static void uri_hash(unsigned long n)
{
    uri_parse(n, SVL_STR("//google.com/foo/bar?query=string&other=value#hashstring"));
}

static void uri_host(unsigned long n)
{
    uri_parse(n, SVL_STR("http://foobar.com/foo/bar?query=string&other=value#hashstring"));
}

static void uri_userinfo(unsigned long n)
{
    uri_parse(n, SVL_STR("http://user:pass@foobar.com/foo/bar"));
}

static void uri_slashes(unsigned long n)
{
    static char text[8192];

    memset(text, '/', sizeof text);
    TIMES(n)
    KEEP(svl_path_clean(out, (svl_str){text, sizeof text}));
}

static void uri_dots(unsigned long n)
{
    static char text[5 * 1638];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "/a/.."[i % 5];
    TIMES(n)
    KEEP(svl_path_clean(out, (svl_str){text, sizeof text}));
}

static void uri_full(unsigned long n)
{
    struct svl_uri uri = {.scheme = SVL_STR("http"),
                          .host = SVL_STR("foobar.com"),
                          .path = SVL_STR("/foobar/baz"),
                          .query = SVL_STR("aaa=bbb&ccc=ddd")};
    svl_str path = uri.path;

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

static void cookie_min(unsigned long n)
{
    cookie(n, SVL_STR("xxx=yyy"));
}

static void cookie_no_expires(unsigned long n)
{
    cookie(n, SVL_STR("xxx=yyy; domain=foobar.com; path=/a/b"));
}

static void cookie_full(unsigned long n)
{
    cookie(n,
           SVL_STR("xxx=yyy; expires=Tue, 10 Nov 2009 23:00:00 GMT; domain=foobar.com; path=/a/b"));
}

static void date_parse(unsigned long n)
{
    svl_str text = SVL_STR("Tue, 10 Nov 2009 23:00:00 GMT");
    int64_t seconds;

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_date_parse(text, &seconds));
    }
}

static void html_escape(unsigned long n)
{
    svl_str text = SVL_STR("<b>foobarbazxxxyyyzzz</b>");

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

static void unescape_fast(unsigned long n)
{
    unescape(
        n, SVL_STR("foobarbaz no quoted chars fdskjsdf jklsdfdfskljd;aflskjdsaf fdsklj fsdkj fsdl "
                   "kfjsdlk jfsdklj fsdfsdf sdfkflsd"));
}

static void unescape_slow(unsigned long n)
{
    unescape(n,
             SVL_STR("D0%B4%20%D0%B0%D0%B2%D0%BB%D0%B4%D1%84%D1%8B%D0%B0%D0%BE%20%D1%84%D0%B2%D0%B6"
                     "%D0%BB%D0%B4%D1%8B%20%D0%B0%D0%BE"));
}

static void ipv4_parse(unsigned long n)
{
    svl_str text = SVL_STR("123.145.167.189");
    uint8_t ip[4];

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_ipv4_parse(text, ip));
    }
}

static void ipv4_print(unsigned long n)
{
    static uint8_t ip[4] = {123, 145, 167, 189};

    TIMES(n)
    {
        KEEP(ip);
        KEEP(svl_ipv4_print(out, ip));
    }
}

static void uint_parse(unsigned long n)
{
    svl_str text = SVL_STR("1234567");
    uint64_t value;

    TIMES(n)
    {
        KEEP(text.p);
        SVL_ASSERT(svl_uint_parse(text, &value) && value == 1234567);
    }
}

static void uint_print(unsigned long n)
{
    TIMES(n)
    KEEP(svl_uint_print(out, i));
}

static void hex_print(unsigned long n)
{
    TIMES(n)
    KEEP(svl_hex_print(out, i));
}

static void float_parse(unsigned long n)
{
    static const svl_str texts[] = {
        {"0", 1},        {"1234566789.", 11}, {".1234556778", 11},
        {"123.456", 7},  {"123456789", 9},    {"1234e23", 7},
        {"1234E-51", 8}, {"1.234e+32", 9},    {"123456789123456789.987654321", 28}};
    double value;

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

static void lower_noop(unsigned long n)
{
    lower(n, SVL_STR("foobarbaz_lowercased_all"));
}

static void lower_all(unsigned long n)
{
    lower(n, SVL_STR("FOOBARBAZ_UPPERCASED_ALL"));
}

static void lower_mixed(unsigned long n)
{
    lower(n, SVL_STR("Foobarbaz_Uppercased_Mix"));
}

/* ------------------------------------------------------------------------------------------ */

static const struct operation {
    const char *name;
    void (*run)(unsigned long n);
} operations[] = {
    {"ArgsParse", args_parse},
    {"ArgsParseQuery", args_parse_query},
    {"ArgsParseEncoded", args_parse_encoded},
    {"ArgsPeek", args_peek},
    {"RequestHeaderRead", request_header_read},
    {"ResponseHeaderWrite", response_header_write},
    {"ResponseHeaderPeekBytesSpecialHeader", peek_special},
    {"ResponseHeaderPeekBytesNonSpecialHeader", peek_other},
    {"NormalizeHeaderKeyCommonCase", canonical_common},
    {"NormalizeHeaderKeyLowercase", canonical_lower},
    {"NormalizeHeaderKeyUppercase", canonical_upper},
    {"VisitHeaderParams", visit_params},
    {"StatusLine99", status_99},
    {"StatusLine200", status_200},
    {"StatusLine512", status_512},
    {"URIParsePath", uri_path},
    {"URIParsePathQueryString", uri_query},
    {"URIParsePathFileExtension", uri_file},
    {"URIParsePathQueryStringHash", uri_hash},
    {"URIParsePathSlashRun", uri_slashes},
    {"URIParsePathDotSegments", uri_dots},
    {"URIParseHostname", uri_host},
    {"URIParseUserinfo", uri_userinfo},
    {"URIFullURI", uri_full},
    {"CookieParseMin", cookie_min},
    {"CookieParseNoExpires", cookie_no_expires},
    {"CookieParseFull", cookie_full},
    {"ParseHTTPDate/fast-path", date_parse},
    {"AppendHTMLEscape", html_escape},
    {"AppendUnquotedArgFastPath", unescape_fast},
    {"AppendUnquotedArgSlowPath", unescape_slow},
    {"ParseIPv4", ipv4_parse},
    {"AppendIPv4", ipv4_print},
    {"ParseUint", uint_parse},
    {"AppendUint", uint_print},
    {"WriteHexInt", hex_print},
    {"ParseUfloat", float_parse},
    {"LowercaseBytesNoop", lower_noop},
    {"LowercaseBytesAll", lower_all},
    {"LowercaseBytesMixed", lower_mixed},
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
        operation->run(n);
        took = now() - begin;
    }
    before = allocations;
    for (int turn = 0; turn < 100; turn++) {
        double begin = now();

        operation->run(n);
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
            operations[i].run(strtoul(argv[2], NULL, 10));
    }
    return 0;
}
