/* URLs of named routes, and lists of all routes. */
#include "internal.h"

#include "serval/error.h"
#include "serval/uri.h"

#include <stdarg.h>

struct writer {
    char *to;
    size_t n, size;
};

static bool put(struct writer *writer, svl_str s)
{
    if (s.n > writer->size - writer->n)
        return false;
    if (s.n)
        memcpy(writer->to + writer->n, s.p, s.n);
    writer->n += s.n;
    return true;
}

/* A slash stays only in what goes to the end of the path. */
static bool put_escaped(struct writer *writer, svl_str s, bool slashes)
{
    for (size_t i = 0; i < s.n; i++) {
        char three[3];
        size_t n = svl_path_escape(three, (svl_str){s.p + i, 1});

        if (s.p[i] == '/' && !slashes) {
            memcpy(three, "%2F", 3);
            n = 3;
        }
        if (!put(writer, (svl_str){three, n}))
            return false;
    }
    return true;
}

static svl_str value_of(const struct svl_param *params, unsigned n, svl_str name)
{
    for (unsigned i = 0; i < n; i++)
        if (svl_str_eq(params[i].name, name))
            return params[i].value;
    return SVL_STR_NONE;
}

static bool value_fits(const struct svl_router *r, const struct token *token, svl_str value)
{
    if (!value.p || (value.n == 0 && !token->empty && token->kind != TOKEN_REST))
        return false;
    for (unsigned i = 1; token->check.p && i < r->n_checks; i++)
        if (svl_str_eq(r->checks[i].text, token->check))
            return check_fits(&r->checks[i], value);
    return true;
}

/* How many of the optional params are there, in order from the first one. */
static unsigned given(const struct pattern *pattern, const struct svl_param *params, unsigned n)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pattern->n; i++) {
        if (!pattern->tokens[i].optional)
            continue;
        if (!value_of(params, n, pattern->tokens[i].text).p)
            return count;
        count++;
    }
    return count;
}

static ptrdiff_t build(const struct svl_router *r, const struct pattern *pattern,
                       const struct svl_param *params, unsigned n, struct writer *writer)
{
    for (unsigned i = 0; i < pattern->n; i++) {
        const struct token *token = &pattern->tokens[i];
        bool rest = token->kind == TOKEN_REST;
        svl_str value;

        if (token->kind == TOKEN_TEXT) {
            if (!put_escaped(writer, token->text, true))
                return SVL_ELIMIT;
            continue;
        }
        value = value_of(params, n, token->text);
        if (!value_fits(r, token, value))
            return SVL_ESYNTAX;
        if (rest && r->config.rest_with_slash && svl_str_starts(value, SVL_STR("/")))
            value = svl_str_from(value, 1);
        if (!put_escaped(writer, value, rest))
            return SVL_ELIMIT;
    }
    return (ptrdiff_t)writer->n;
}

ptrdiff_t svl_router_url(const struct svl_router *r, svl_str name, const struct svl_param *params,
                         unsigned n, char *to, size_t size)
{
    for (unsigned i = 0; i < r->n_named; i++) {
        struct writer writer = {.to = to, .size = size};
        struct pattern pattern;
        struct heap heap = {0};
        ptrdiff_t length;

        if (!svl_str_eq(r->named[i].name, name))
            continue;
        pattern = r->named[i].pattern;
        if (pattern_optionals(&pattern) > 0)
            pattern = pattern_expand(&pattern, &heap, given(&pattern, params, n));
        length = build(r, &pattern, params, n, &writer);
        heap_finish(&heap);
        return length;
    }
    return SVL_ESYNTAX;
}

svl_str svl_url(struct svl_ctx *ctx, const char *name, ...)
{
    struct svl_param params[SVL_ROUTER_PARAMS];
    unsigned n = 0;
    size_t size = 3 * SVL_ROUTER_PATTERN;
    const char *text;
    ptrdiff_t length;
    char *to;
    va_list args;

    if (!ctx->req.match)
        return SVL_STR_NONE;
    va_start(args, name);
    while (n < SVL_ROUTER_PARAMS && (text = va_arg(args, const char *)) != NULL) {
        params[n].name = svl_str_of(text);
        params[n].value = svl_str_of(va_arg(args, const char *));
        size += 3 * params[n++].value.n;
    }
    va_end(args);
    to = svl_alloc(ctx, size);
    length = svl_router_url(ctx->req.match->router, svl_str_of(name), params, n, to, size);
    return length < 0 ? SVL_STR_NONE : (svl_str){to, (size_t)length};
}

/* --- lists ---------------------------------------------------------------------------------- */

void svl_router_each(const struct svl_router *r, svl_router_each_fn *fn, void *arg)
{
    for (unsigned i = 0; i < r->n_targets; i++) {
        const struct svl_target *target = &r->targets[i];

        if (i > 0 && target->route == target[-1].route &&
            target->pattern.p == target[-1].pattern.p &&
            svl_str_eq(target->method, target[-1].method))
            continue; /* the same with an optional param more */
        fn(arg, target->method, target->host, target->pattern, target->route);
    }
}

static void print(void *arg, svl_str method, svl_str host, svl_str pattern,
                  const struct svl_route *route)
{
    FILE *file = arg;

    fprintf(file, "%-7.*s %.*s%.*s", SVL_FMT(method), SVL_FMT(host), SVL_FMT(pattern));
    if (route->name)
        fprintf(file, "  %s", route->name);
    if (route->file)
        fprintf(file, "  (%s:%d)", route->file, route->line);
    fputc('\n', file);
}

void svl_router_print(const struct svl_router *r, FILE *file)
{
    svl_router_each(r, print, file);
}

size_t svl_router_bytes(const struct svl_router *r)
{
    return r->size;
}

/* --- Allow ---------------------------------------------------------------------------------- */

static svl_str bit_text(const struct svl_router *r, unsigned bit)
{
    return bit < SVL_METHOD_COUNT ? svl_method_text((enum svl_method)bit)
                                  : r->custom[bit - SVL_METHOD_COUNT];
}

static bool before(svl_str a, svl_str b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order < 0 || (order == 0 && a.n < b.n);
}

svl_str router_allow(const struct svl_router *r, struct svl_ctx *ctx, uint64_t methods)
{
    svl_str names[64];
    unsigned n = 0;
    size_t length = 0;
    char *to;

    for (unsigned bit = 1; bit < 64; bit++) {
        svl_str name;
        unsigned at = n;

        if (!(methods >> bit & 1))
            continue;
        name = bit_text(r, bit);
        for (; at > 0 && before(name, names[at - 1]); at--)
            names[at] = names[at - 1];
        names[at] = name;
        n++;
        length += name.n + 2;
    }
    to = svl_alloc(ctx, length + 1);
    length = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0) {
            to[length++] = ',';
            to[length++] = ' ';
        }
        memcpy(to + length, names[i].p, names[i].n);
        length += names[i].n;
    }
    return (svl_str){to, length};
}
