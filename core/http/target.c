/* The request target and Host (RFC 9112 3.2, RFC 9110 7.2). */
#include "http/parse.h"
#include "serval/error.h"
#include "serval/uri.h"

#include <string.h>

static int refuse(const char **why, const char *text)
{
    *why = text;
    return 400;
}

/* "http://host:port/path": the authority takes the place of Host (RFC 9112 3.2.2). */
static int take_authority(struct svl_request *req, svl_str *rest, const char **why)
{
    svl_str t = req->target;
    size_t scheme, n = 0;

    if (t.n > 7 && svl_str_ieq(svl_str_head(t, 7), SVL_STR("http://")))
        scheme = 7;
    else if (t.n > 8 && svl_str_ieq(svl_str_head(t, 8), SVL_STR("https://")))
        scheme = 8;
    else
        return refuse(why, "the request target is neither a path nor an http URI");
    t = svl_str_from(t, scheme);
    while (n < t.n && t.p[n] != '/' && t.p[n] != '?')
        n++;
    req->host = svl_str_head(t, n);
    if (!svl_host_valid(req->host))
        return refuse(why, "the authority of the request target is not well formed");
    *rest = svl_str_from(t, n);
    return 0;
}

int svl_target_read(struct svl_request *req, struct svl_arena *arena, const char **why)
{
    svl_str rest = req->target;
    size_t n;

    if (memchr(rest.p, '#', rest.n))
        return refuse(why, "the request target has a fragment");
    if (rest.p[0] != '/') {
        int status;

        if (svl_str_eq(rest, SVL_STR("*")) && req->method == SVL_OPTIONS) {
            req->path = req->raw_path = rest;
            req->query = SVL_STR_NONE;
            return 0;
        }
        status = take_authority(req, &rest, why);
        if (status)
            return status;
    }
    n = svl_str_find(rest, '?');
    req->query = n < rest.n ? svl_str_from(rest, n + 1) : SVL_STR_NONE;
    req->raw_path = n ? svl_str_head(rest, n) : SVL_STR("/");
    if (svl_path_is_clean(req->raw_path)) {
        req->path = req->raw_path;
        return 0;
    }
    {
        char *to = svl_arena_alloc(arena, req->raw_path.n + 1);
        ptrdiff_t len = svl_path_clean(to, req->raw_path);

        if (len < 0)
            return refuse(why, "an escape in the request target is broken, or is %00");
        req->path = (svl_str){to, (size_t)len};
    }
    return 0;
}
