/* Cookies of a ctx. */
#include "serval/cookie.h"

#include "serval/ctx.h"

svl_str svl_cookie(const struct svl_ctx *ctx, svl_str name)
{
    const struct svl_headers *headers = &ctx->req.headers;
    unsigned at = headers->first[SVL_H_COOKIE];
    const struct svl_header *h;

    if (at == 0)
        return SVL_STR_NONE;
    for (at--; (h = svl_headers_next(headers, SVL_H_COOKIE, &at));) {
        svl_str rest = svl_header_value(h);
        struct svl_pair cookie;

        while (svl_cookie_next(&rest, &cookie))
            if (svl_str_eq(cookie.name, name))
                return cookie.value;
    }
    return SVL_STR_NONE;
}

/* RFC 6265 5.3 (11): these three tell cookies apart. */
static bool same_cookie(svl_str field, const struct svl_set_cookie *cookie)
{
    struct svl_set_cookie other;

    return svl_cookie_parse(&other, field) == 0 && svl_str_eq(other.name, cookie->name) &&
           svl_str_ieq(other.domain, cookie->domain) && svl_str_eq(other.path, cookie->path);
}

/* The fields of the answer are a list to add to and to delete from by name: those that stay are
 * put back. */
static void drop_same(struct svl_ctx *ctx, const struct svl_set_cookie *cookie)
{
    const struct svl_headers *headers = &ctx->res.headers;
    svl_str *kept;
    unsigned n = 0, at = 0;
    const struct svl_header *h;
    bool any = false;

    kept = svl_alloc(ctx, (headers->n + 1u) * sizeof *kept);
    while ((h = svl_headers_next(headers, SVL_H_SET_COOKIE, &at))) {
        if (same_cookie(svl_header_value(h), cookie))
            any = true;
        else
            kept[n++] = svl_header_value(h);
    }
    if (!any)
        return;
    svl_header_del(ctx, SVL_H_SET_COOKIE);
    for (unsigned i = 0; i < n; i++)
        svl_header_add(ctx, SVL_H_SET_COOKIE, kept[i]);
}

int svl_cookie_set(struct svl_ctx *ctx, const struct svl_set_cookie *cookie)
{
    char text[SVL_COOKIE_MAX];
    ptrdiff_t n = svl_cookie_print(text, cookie);

    if (n < 0)
        return (int)n;
    if (ctx->res.headers.first[SVL_H_SET_COOKIE])
        drop_same(ctx, cookie);
    return svl_header_add(ctx, SVL_H_SET_COOKIE, (svl_str){text, (size_t)n});
}

static bool has_prefix(svl_str name, svl_str prefix)
{
    return svl_str_ieq(svl_str_head(name, prefix.n), prefix);
}

int svl_cookie_delete(struct svl_ctx *ctx, svl_str name, svl_str path, svl_str domain)
{
    struct svl_set_cookie cookie = {
        .name = name,
        .path = path,
        .domain = domain,
        .expires = 1,
        .max_age = SVL_COOKIE_EXPIRED,
        .secure = has_prefix(name, SVL_STR("__Secure-")) || has_prefix(name, SVL_STR("__Host-")),
    };

    return svl_cookie_set(ctx, &cookie);
}
