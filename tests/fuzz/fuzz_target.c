/* Any bytes as a request target and as a Host: what is accepted is safe to use as a path. */
#include "base/arena.h"
#include "base/check.h"
#include "base/pool.h"
#include "http/parse.h"
#include "serval/uri.h"

#include <stdint.h>
#include <stdlib.h>

static bool has(svl_str s, const char *part)
{
    return s.n > 0 && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static void check_host(svl_str host)
{
    if (!svl_host_valid(host))
        return;
    SVL_ASSERT(host.n > 0 && host.p[0] != ':');
    for (size_t i = 0; i < host.n; i++)
        SVL_ASSERT(host.p[i] > ' ' && host.p[i] < 0x7f && !strchr("/\\?#@<>\"{}|^`", host.p[i]));
}

static void check_path(const struct svl_request *req)
{
    svl_str path = req->path;

    if (svl_str_eq(path, SVL_STR("*"))) {
        SVL_ASSERT(req->method == SVL_OPTIONS);
        return;
    }
    SVL_ASSERT(path.n > 0 && path.p[0] == '/' && path.n <= req->target.n + 1);
    SVL_ASSERT(!has(path, "//") && !has(path, "/../") && !has(path, "/./"));
    SVL_ASSERT(!svl_str_ends(path, SVL_STR("/..")) && !svl_str_ends(path, SVL_STR("/.")));
    SVL_ASSERT(!memchr(path.p, '\0', path.n));
    SVL_ASSERT(svl_host_valid(req->host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct svl_request req = {.host = SVL_STR("x")};
    struct svl_pool pool;
    struct svl_arena arena;
    const char *why = NULL;
    char *text;
    int status;

    if (len < 2)
        return -1;
    text = malloc(len - 1);
    memcpy(text, data + 1, len - 1);
    req.method = data[0] & 1 ? SVL_OPTIONS : SVL_GET;
    req.target = (svl_str){text, len - 1};
    svl_pool_init(&pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&arena, NULL, 0, &pool, 1 << 20);
    status = svl_target_read(&req, &arena, &why);
    SVL_ASSERT(status == 0 || (status == 400 && why));
    if (status == 0)
        check_path(&req);
    check_host(req.target);
    svl_arena_finish(&arena);
    svl_pool_finish(&pool);
    free(text);
    return 0;
}
