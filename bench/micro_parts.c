/* One part of a request's way at a time, for callgrind: `micro_parts PART N` does it N times.
 *
 *   parse     a GET of 201 bytes, all of it: fast lane, gate, target
 *   parse-llhttp  a POST of 246 bytes and its body of 13, by llhttp
 *   chain     an exchange through three modules that do nothing, there and back
 *   response  text, framing and head of an answer of 133 bytes */
#include "base/check.h"
#include "http/parse.h"
#include "http/write.h"
#include "run/exchange.h"
#include "run/server.h"
#include "serval/serval.h"

#include <stdio.h>
#include <stdlib.h>

static const char get[] = "GET /foobar?baz HTTP/1.1\r\n"
                          "Host: google.com\r\n"
                          "User-Agent: aaa/bbb/ccc/ddd/eee Firefox Chrome MSIE Opera\r\n"
                          "Referer: http://xxx.com/aaa?bbb=ccc\r\n"
                          "Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n";

static const char post[] = "POST /foobar?baz HTTP/1.1\r\n"
                           "Host: google.com\r\n"
                           "Content-Type: foo/bar\r\n"
                           "Content-Length: 13\r\n"
                           "User-Agent: Opera Chrome MSIE Firefox and other/1.2.34\r\n"
                           "Referer: http://google.com/aaaa/bbb/ccc\r\n"
                           "Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n"
                           "Hello, world!";

static struct svl_worker *worker;
static const struct svl_limits limits = {
    .max_target = 8192, .max_head = 16384, .max_fields = 100, .max_body = 1 << 20};
static const struct svl_address peer;

/* The exchange is what the parser fills in a server; here nobody carries it. */
static struct svl_exchange *fresh(struct svl_wire *wire, const struct svl_chain *chain)
{
    return svl_exchange_open(worker, wire, chain, &limits, &peer);
}

static void wire_send(struct svl_wire *wire, struct svl_exchange *x)
{
    (void)wire;
    svl_exchange_sent(x);
}

static const struct svl_wire_ops wire_ops = {.send = wire_send};
static struct svl_wire wire = {&wire_ops};

static enum svl_verdict pass(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    (void)ctx;
    return SVL_NEXT;
}

static void done(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    (void)ctx;
}

static enum svl_verdict answer(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    ctx->res.status = 204;
    return SVL_DONE;
}

static const struct svl_module idle = {
    .name = "idle", .on_request = pass, .on_response = pass, .on_done = done};
static const struct svl_module last = {.name = "last", .on_request = answer};
static const struct svl_link links[] = {
    {.module = &idle}, {.module = &idle}, {.module = &idle}, {.module = &last}};
static const struct svl_chain no_chain = {links, 0, 0}, chain = {links, 4, 4};

static void parse(const char *text, size_t n)
{
    struct svl_exchange *x = fresh(&wire, &no_chain);
    size_t used, body = 0;

    SVL_ASSERT(svl_parser_head(&x->parser, text, n, &used) == SVL_PARSE_HEAD);
    if (!x->parser.ended)
        SVL_ASSERT(svl_parser_body(&x->parser, text + used, n - used, &body) == SVL_PARSE_END);
    SVL_ASSERT(used + body == n);
    x->wire = NULL;
    x->state = SVL_READING;
    svl_exchange_abandon(x);
}

static void part_parse(void)
{
    parse(get, sizeof get - 1);
}

static void part_parse_llhttp(void)
{
    parse(post, sizeof post - 1);
}

static void part_chain(void)
{
    svl_exchange_start(fresh(&wire, &chain));
}

static void part_response(void)
{
    static struct svl_exchange *x;
    static char to[512];
    struct svl_response *res;
    struct svl_framing framing;

    if (!x)
        x = fresh(&wire, &no_chain);
    x->pub.req.minor = 1;
    res = &x->pub.res;
    svl_text(&x->pub, 200, SVL_STR("Hello, world!"));
    svl_content_type(&x->pub, SVL_STR("text/plain"));
    framing = svl_framing_of(&x->pub.req, res, true);
    SVL_ASSERT(svl_head_bound(res, svl_worker_preamble(worker)) <= sizeof to);
    SVL_ASSERT(svl_head_write(to, res, &framing, svl_worker_preamble(worker)) == 120);
}

static const struct part {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"parse", part_parse},
    {"parse-llhttp", part_parse_llhttp},
    {"chain", part_chain},
    {"response", part_response},
};

int main(int argc, char **argv)
{
    struct svl_server *server;
    unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    for (size_t i = 0; argc == 3 && i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(argv[1], parts[i].name) != 0)
            continue;
        if (svl_server_open(&server,
                            &(struct svl_server_config){.workers = 1, .name = "fasthttp"}) != 0)
            return 3;
        worker = svl_server_worker(server, 0);
        while (n-- > 0)
            parts[i].run();
        return 0;
    }
    fprintf(stderr, "usage: micro_parts parse|parse-llhttp|chain|response N\n");
    return 2;
}
