#include "internal.h"

#include "serval/uri.h"

#include <stdlib.h>

/* "$3" or "${12}" at the start of *rest, which is moved behind it. Returns -1 for anything else. */
static int read_group(svl_str *rest)
{
    svl_str number = svl_str_from(*rest, 1);
    unsigned long long group;
    size_t used = 2;

    if (number.n > 0 && number.p[0] == '{') {
        number = svl_str_from(number, 1);
        used = svl_str_find(number, '}') + 3;
        number = svl_str_head(number, svl_str_find(number, '}'));
    } else {
        number = svl_str_head(number, 1);
    }
    if (used > rest->n || !svl_str_u64(number, &group) || group >= MAX_GROUPS)
        return -1;
    *rest = svl_str_from(*rest, used);
    return (int)group;
}

static const char *read_pieces(svl_str text, struct piece **pieces, unsigned *n, unsigned groups)
{
    struct piece *p = calloc(text.n + 1, sizeof *p);
    unsigned count = 0;

    *pieces = p;
    if (!p)
        return "no memory";
    while (text.n > 0) {
        size_t plain = svl_str_find(text, '$');
        struct piece piece = {svl_str_head(text, plain), -1};

        if (plain == 0 && text.n > 1 && text.p[1] == '$') {
            piece.text = svl_str_head(text, 1);
            text = svl_str_from(text, 2);
        } else if (plain == 0) {
            piece.group = read_group(&text);
            if (piece.group < 0)
                return "a '$' is followed by 0 to 9, {number} or another '$'";
            if ((unsigned)piece.group >= groups)
                return "it names a group that the pattern does not have";
        } else {
            text = svl_str_from(text, plain);
        }
        p[count++] = piece;
    }
    *n = count;
    return NULL;
}

const char *svl_rewrite_template(struct template *t, const char *text, unsigned groups)
{
    svl_str all = svl_str_of(text);
    size_t scheme = svl_str_starts(all, SVL_STR("https://"))  ? 8
                    : svl_str_starts(all, SVL_STR("http://")) ? 7
                                                              : 0;
    size_t query;
    const char *why;

    if (scheme > 0) {
        svl_str host = svl_str_from(all, scheme);

        host = svl_str_head(host, svl_str_find(host, '/'));
        if (!svl_host_valid(host) || svl_str_find(host, '$') < host.n)
            return "what follows the scheme is not a host";
        t->origin = svl_str_head(all, scheme + host.n);
        all = svl_str_from(all, scheme + host.n);
    }
    query = svl_str_find(all, '?');
    t->has_query = query < all.n;
    if (query == 0 || all.p[0] != '/')
        return "the path does not begin with a slash";
    why = read_pieces(svl_str_head(all, query), &t->path, &t->n_path, groups);
    if (!why)
        why = read_pieces(svl_str_from(all, query + 1), &t->query, &t->n_query, groups);
    return why;
}

void svl_rewrite_template_finish(struct template *t)
{
    free(t->path);
    free(t->query);
}

static svl_str fill(const struct piece *pieces, unsigned n, struct svl_ctx *ctx,
                    const struct found *found, svl_str rest, bool escape)
{
    size_t size = rest.n;
    char *to, *at;

    for (unsigned i = 0; i < n; i++)
        size += pieces[i].group < 0 ? pieces[i].text.n : 3 * found->group[pieces[i].group].n;
    at = to = svl_alloc(ctx, size + 1);
    for (unsigned i = 0; i < n; i++) {
        svl_str text = pieces[i].group < 0 ? pieces[i].text : found->group[pieces[i].group];

        if (text.n == 0)
            continue;
        if (escape && pieces[i].group >= 0) {
            at += svl_query_escape(at, text);
        } else {
            memcpy(at, text.p, text.n);
            at += text.n;
        }
    }
    if (rest.n > 0)
        memcpy(at, rest.p, rest.n);
    return (svl_str){to, (size_t)(at - to) + rest.n};
}

svl_str svl_rewrite_path(const struct template *t, struct svl_ctx *ctx, const struct found *found,
                         svl_str rest)
{
    return fill(t->path, t->n_path, ctx, found, rest, false);
}

svl_str svl_rewrite_query(const struct template *t, struct svl_ctx *ctx, const struct found *found)
{
    return fill(t->query, t->n_query, ctx, found, SVL_STR(""), true);
}
