/* The fast lane and llhttp agree: what the first takes, the second takes the same way. */
#include "base/check.h"
#include "base/pool.h"
#include "http/parse.h"

#include <stdlib.h>

static const struct svl_limits limits = {8192, 16384, 100, 1000, 16384, 6096, 0};

struct lane {
    struct svl_pool pool;
    struct svl_arena arena;
    struct svl_header fields[16];
    struct svl_request req;
    struct svl_parser parser;
};

static void begin(struct lane *lane)
{
    memset(lane, 0, sizeof *lane);
    svl_pool_init(&lane->pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&lane->arena, NULL, 0, &lane->pool, 1000);
    lane->req.headers.at = lane->fields;
    lane->req.headers.room = 16;
    svl_parser_begin(&lane->parser, &lane->req, &limits, &lane->arena);
}

static void end(struct lane *lane)
{
    svl_arena_finish(&lane->arena);
    svl_pool_finish(&lane->pool);
}

static void same(svl_str a, svl_str b)
{
    SVL_ASSERT(a.n == b.n && (a.n == 0 || a.p == b.p));
}

static void compare(const struct lane *fast, const struct lane *slow)
{
    const struct svl_request *a = &fast->req, *b = &slow->req;

    SVL_ASSERT(a->method == b->method && a->minor == b->minor);
    SVL_ASSERT(a->content_length == b->content_length);
    SVL_ASSERT(fast->parser.keep_alive == slow->parser.keep_alive);
    SVL_ASSERT(fast->parser.expects_continue == slow->parser.expects_continue);
    SVL_ASSERT(fast->parser.upgrade == slow->parser.upgrade);
    SVL_ASSERT(fast->parser.ended && slow->parser.ended);
    same(a->method_text, b->method_text);
    same(a->target, b->target);
    same(a->raw_path, b->raw_path);
    same(a->query, b->query);
    same(a->host, b->host);
    SVL_ASSERT(svl_str_eq(a->path, b->path));
    SVL_ASSERT(a->headers.n == b->headers.n);
    for (unsigned i = 0; i < a->headers.n; i++) {
        same(svl_header_name(&a->headers.at[i]), svl_header_name(&b->headers.at[i]));
        same(svl_header_value(&a->headers.at[i]), svl_header_value(&b->headers.at[i]));
        SVL_ASSERT(a->headers.at[i].id == b->headers.at[i].id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *data = malloc(len + 1); /* an exact end, so that a read behind it is seen */
    struct lane fast, slow;
    size_t used, first, slow_used = 0;
    enum svl_parsed fast_result, slow_result;

    memcpy(data, bytes, len);
    data = realloc(data, len ? len : 1);
    begin(&fast);
    begin(&slow);
    fast_result = svl_parser_head(&fast.parser, data, len, &used);
    if (fast.parser.fast) {
        /* Behind the method's blank the fast lane is not tried any more. */
        first = fast.req.method_text.n + 2;
        slow_result = svl_parser_head(&slow.parser, data, first, &slow_used);
        SVL_ASSERT(slow_result == SVL_PARSE_MORE && slow_used == first);
        slow_result = svl_parser_head(&slow.parser, data + first, len - first, &slow_used);
        SVL_ASSERT(!slow.parser.fast);
        SVL_ASSERT(fast_result == slow_result);
        SVL_ASSERT(fast.parser.status == slow.parser.status);
        if (fast_result == SVL_PARSE_HEAD) {
            SVL_ASSERT(used == first + slow_used);
            compare(&fast, &slow);
        }
    }
    end(&fast);
    end(&slow);
    free(data);
    return 0;
}
