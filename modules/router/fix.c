/* Paths that are nearly right: another case of letters, a slash more or less at the end. Only asked
 * when nothing was found, so it takes its time. */
#include "internal.h"

struct fix {
    struct search s;
    char *to; /* the path as declared, so far */
};

static unsigned char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A') : (unsigned char)c;
}

static bool fix_walk(struct fix *fix, uint32_t at, size_t pos, unsigned n);

static bool fix_label(struct fix *fix, const struct node *node, size_t pos)
{
    if (node->len > fix->s.path.n - pos)
        return false;
    for (unsigned i = 0; i < node->len; i++) {
        char c = (char)(node->label >> (8 * i) & 0xff);

        if (fold(c) != fold(fix->s.path.p[pos + i]))
            return false;
        fix->to[pos + i] = c;
    }
    return true;
}

/* The value stays as the client wrote it. */
static bool fix_value(struct fix *fix, const struct wild *wild, size_t pos, size_t end, unsigned n)
{
    svl_str value = {fix->s.path.p + pos, end - pos};

    if (value.n == 0 && !wild->empty && wild->kind != TOKEN_REST)
        return false;
    if (wild->check && !check_fits(&fix->s.router->checks[wild->check], value))
        return false;
    memcpy(fix->to + pos, value.p, value.n);
    if (wild->kind == TOKEN_REST)
        return search_leaf(&fix->s, wild->node, n + 1);
    return fix_walk(fix, wild->node, end, n + 1);
}

static bool fix_wild(struct fix *fix, const struct wild *wild, size_t pos, unsigned n)
{
    svl_str path = fix->s.path;
    size_t end = pos + svl_str_find(svl_str_from(path, pos), '/');

    if (wild->kind == TOKEN_REST)
        return fix_value(fix, wild, pos, path.n, n);
    if (wild->kind == TOKEN_PARAM)
        return fix_value(fix, wild, pos, end, n);
    for (size_t at = pos; at <= end && fix->s.tries > 0; at++, fix->s.tries--)
        if (fix_value(fix, wild, pos, at, n))
            return true;
    return false;
}

static bool fix_walk(struct fix *fix, uint32_t at, size_t pos, unsigned n)
{
    const struct svl_router *r = fix->s.router;
    const struct node *node = &r->nodes[at];

    if (!fix_label(fix, node, pos))
        return false;
    pos += node->len;
    if (pos == fix->s.path.n && node->leaf && search_leaf(&fix->s, node->leaf, n))
        return true;
    for (unsigned i = 0; pos < fix->s.path.n && i < node->n_children; i++)
        if (fix_walk(fix, node->child + i, pos, n))
            return true;
    for (unsigned i = 0; i < node->n_wild; i++)
        if (fix_wild(fix, &r->wilds[node->wild + i], pos, n))
            return true;
    return false;
}

static bool fix_path(const struct svl_router *r, const struct svl_ask *ask, svl_str path, char *to)
{
    svl_str values[SVL_ROUTER_PARAMS], kept[SVL_ROUTER_PARAMS], label;
    struct roots roots = {.router = r, .host = ask->host};
    struct fix fix = {.to = to};
    uint32_t root;

    fix.s = (struct search){.router = r,
                            .path = path,
                            .bit = method_bit(r, ask->method, ask->text),
                            .instead =
                                ask->method == SVL_HEAD && r->auto_head ? METHOD_BIT(SVL_GET) : 0,
                            .tries = SEARCH_TRIES,
                            .best = UINT32_MAX,
                            .values = values,
                            .kept = kept};
    while (roots_next(&roots, &root, &label))
        if (fix_walk(&fix, root, 0, label.p ? 1 : 0))
            return true;
    return false;
}

/* The path with its last slash taken off, or one added, in `to`; its length, 0 for "/". */
static size_t other_slash(svl_str path, char *to)
{
    if (path.n <= 1)
        return 0;
    memcpy(to, path.p, path.n);
    if (path.p[path.n - 1] == '/')
        return path.n - 1;
    to[path.n] = '/';
    return path.n + 1;
}

bool svl_router_find_slash(const struct svl_router *r, const struct svl_ask *ask)
{
    char other[8192];
    struct svl_found found;
    struct svl_ask again = *ask;

    if (ask->path.n + 1 > sizeof other)
        return false;
    again.path = (svl_str){other, other_slash(ask->path, other)};
    return again.path.n > 0 && svl_router_find(r, &again, &found);
}

size_t svl_router_fix(const struct svl_router *r, const struct svl_ask *ask, char *to)
{
    svl_str path = ask->path;
    char other[8192];
    size_t n;

    if (path.n == 0 || path.n + 1 > sizeof other || r->ordered)
        return 0;
    if (fix_path(r, ask, path, to))
        return path.n;
    n = other_slash(path, other);
    return n > 0 && fix_path(r, ask, (svl_str){other, n}, to) ? n : 0;
}
