/* Lookups: down the flat tree, the most specific way first, back to the last place that had
 * another way. A lookup that succeeds without a way back is one loop. */
#include "internal.h"

/* Eight bytes of the path from pos on, its first one lowest, zeros behind the end. */
static inline uint64_t load(svl_str path, size_t pos)
{
    size_t left = path.n - pos;
    uint64_t word = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (left >= 8) {
        memcpy(&word, path.p + pos, 8);
        return word;
    }
    if (path.n >= 8 && left > 0) {
        memcpy(&word, path.p + path.n - 8, 8);
        return word >> (8 * (8 - left));
    }
#endif
    for (size_t i = 0; i < left && i < 8; i++)
        word |= (uint64_t)(unsigned char)path.p[pos + i] << (8 * i);
    return word;
}

#define ONES UINT64_C(0x0101010101010101)

/* The lowest byte of a word that equals c is marked by its high bit; 0 if there is none. */
static inline uint64_t byte_marks(uint64_t word, unsigned char c)
{
    uint64_t x = word ^ (ONES * c);

    return (x - ONES) & ~x & (ONES << 7);
}

static inline size_t segment_end(svl_str path, size_t pos)
{
    while (pos < path.n) {
        uint64_t marks = byte_marks(load(path, pos), '/');

        if (marks)
            return pos + (size_t)__builtin_ctzll(marks) / 8;
        pos += 8;
    }
    return path.n;
}

/* Which child begins with c, or n_children. A few are asked one by one: the processor then guesses
 * which one it will be and goes on, instead of waiting until that has been computed. */
static inline unsigned child_of(const struct svl_router *r, const struct node *node,
                                unsigned char c)
{
    unsigned i = 0;

    if (node->n_children <= 8) {
        for (uint64_t index = node->index; i < node->n_children; i++, index >>= 8)
            if ((unsigned char)index == c)
                break;
        return i;
    }
    for (; i < node->n_children; i += 8) {
        svl_str words = {(const char *)r->bytes, SIZE_MAX};
        uint64_t marks = byte_marks(load(words, node->index + i), c);

        if (marks)
            return i + (unsigned)__builtin_ctzll(marks) / 8;
    }
    return node->n_children;
}

/* The leaf's route for the method: 1 + target, or 0. */
static inline uint32_t leaf_target(const struct search *s, const struct leaf *leaf)
{
    uint64_t bit = s->bit;
    uint32_t at = leaf->first;

    if (!(leaf->methods & bit)) {
        bit = s->instead;
        if (!(leaf->methods & bit))
            return leaf->any;
    }
    for (uint64_t below = leaf->methods & (bit - 1); below; below &= below - 1)
        at++;
    return 1 + s->router->first[at];
}

/* In declared order the whole tree is looked at, and the first declared one kept. */
static bool keep_first(struct search *s, const struct svl_target *target, unsigned n)
{
    if (target->order < s->best) {
        s->best = target->order;
        s->target = target;
        s->n = n;
        memcpy(s->kept, s->values, n * sizeof *s->kept);
    }
    return false;
}

/* No route for this method: what there is, is remembered. */
static bool other_methods(struct search *s, const struct leaf *leaf)
{
    s->allow |= leaf->methods;
    if (leaf->miss && !s->miss)
        s->miss = leaf->miss;
    return false;
}

static inline bool take_leaf(struct search *s, uint32_t at, unsigned n)
{
    const struct leaf *leaf = &s->router->leaves[at];
    uint32_t target = leaf_target(s, leaf);

    if (!target)
        return other_methods(s, leaf);
    if (s->router->ordered)
        return keep_first(s, &s->router->targets[target - 1], n);
    s->target = &s->router->targets[target - 1];
    s->n = n;
    return true;
}

bool search_leaf(struct search *s, uint32_t at, unsigned n)
{
    return take_leaf(s, at, n);
}

static bool walk(struct search *s, svl_str path, uint32_t at, size_t pos, unsigned n);

static bool fits(const struct search *s, const struct wild *wild, svl_str value)
{
    if (value.n == 0 && !wild->empty)
        return false;
    return !wild->check || check_fits(&s->router->checks[wild->check], value);
}

/* A class says at once how short and how long a value may be. */
static void narrow(const struct check *check, svl_str path, size_t pos, size_t *from, size_t *to)
{
    size_t n = 0;

    while (n < *to - pos && n < check->most && check_has(check, (unsigned char)path.p[pos + n]))
        n++;
    *to = pos + n;
    *from = pos + check->least;
}

#define REGEX_TRIES 64 /* what asking an expression costs */

/* The shortest value first. What one segment can be cut into grows with its length to the power
 * of the params in it, so there is a limit. */
static bool walk_part(struct search *s, const struct wild *wild, size_t pos, unsigned n)
{
    const struct svl_router *r = s->router;
    const struct node *next = &r->nodes[wild->node];
    const struct check *check = wild->check ? &r->checks[wild->check] : NULL;
    size_t at = wild->empty ? pos : pos + 1, end = segment_end(s->path, pos);

    if (check && check->kind == CHECK_CLASS)
        narrow(check, s->path, pos, &at, &end);
    for (; at <= end && s->tries > 0; at++) {
        if (next->len && (at == s->path.n || (char)(next->label & 0xff) != s->path.p[at]))
            continue;
        s->tries--;
        s->values[n] = (svl_str){s->path.p + pos, at - pos};
        if (check && check->kind == CHECK_REGEX) {
            s->tries -= s->tries < REGEX_TRIES ? s->tries : REGEX_TRIES;
            if (!check_fits(check, s->values[n]))
                continue;
        }
        if (walk(s, s->path, wild->node, at, n + 1))
            return true;
    }
    return false;
}

static bool walk_wild(struct search *s, const struct wild *wild, size_t pos, unsigned n)
{
    size_t end;

    if (wild->kind == TOKEN_PART)
        return walk_part(s, wild, pos, n);
    end = wild->kind == TOKEN_REST ? s->path.n : segment_end(s->path, pos);
    s->values[n] = (svl_str){s->path.p + pos, end - pos};
    if (wild->kind == TOKEN_REST)
        return search_leaf(s, wild->node, n + 1);
    return fits(s, wild, s->values[n]) && walk(s, s->path, wild->node, end, n + 1);
}

static bool walk_wilds(struct search *s, const struct node *node, size_t pos, unsigned n)
{
    for (unsigned i = 0; i < node->n_wild; i++)
        if (walk_wild(s, &s->router->wilds[node->wild + i], pos, n))
            return true;
    return false;
}

/* Below nodes[at], with the path read up to pos and n values found. Recursion is as deep as the
 * pattern has places with a choice. The path is handed on in registers: to read it from memory
 * just written costs more than all the rest of a step. */
static bool walk(struct search *s, svl_str path, uint32_t at, size_t pos, unsigned n)
{
    const struct svl_router *r = s->router;

    for (;;) {
        const struct node *node = &r->nodes[at];
        unsigned child;

        if (node->len > 0) {
            uint64_t differs = load(path, pos) ^ node->label;

            if (differs << (64 - 8 * node->len))
                return false;
            pos += node->len;
        }
        if (pos == path.n) { /* never beyond: labels hold no NUL, which load() gives there */
            if (node->leaf && take_leaf(s, node->leaf, n))
                return true;
            return node->n_wild && walk_wilds(s, node, pos, n);
        }
        /* An only child is looked at without asking whether its first byte fits: its label says so,
         * and the processor need not wait to know where to go on. */
        child = node->n_children == 1 ? 0 : child_of(r, node, (unsigned char)path.p[pos]);
        if (child < node->n_children) {
            at = node->child + child;
            if (!node->n_wild)
                continue;
            if (walk(s, path, at, pos, n))
                return true;
        }
        if (node->plain) {
            size_t end = segment_end(path, pos);

            if (end == pos)
                return false;
            s->values[n++] = (svl_str){path.p + pos, end - pos};
            pos = end;
            at = r->wilds[node->wild].node;
            continue;
        }
        return node->n_wild && walk_wilds(s, node, pos, n);
    }
}

/* --- whole paths --------------------------------------------------------------------------- */

/* Looks at 32 bytes at most, which is enough to tell routes apart nearly always. */
uint32_t path_hash(svl_str path, uint32_t root)
{
    size_t end = path.n > 8 ? path.n - 8 : 0, before = path.n > 16 ? path.n - 16 : 0;
    uint64_t hash = load(path, 0) * UINT64_C(0x9e3779b97f4a7c15);

    hash ^= load(path, end) * UINT64_C(0xc2b2ae3d27d4eb4f);
    hash += load(path, before) * UINT64_C(0x165667b19e3779f9);
    hash ^= (load(path, path.n / 2 & ~(size_t)7) + path.n + root) * UINT64_C(0xd6e8feb86659fd93);
    hash ^= hash >> 32;
    return (uint32_t)hash | 1;
}

static inline uint32_t whole_leaf(const struct svl_router *r, svl_str path, uint32_t root)
{
    uint32_t hash = path_hash(path, root);

    for (uint32_t i = hash >> 1;; i++) {
        const struct whole *whole = &r->wholes[i & r->wholes_mask];

        if (whole->hash == 0)
            return 0;
        if (whole->hash == hash && whole->n == path.n && whole->root == root &&
            memcmp(r->bytes + whole->at, path.p, path.n) == 0)
            return whole->leaf;
    }
}

/* A path that is all text is the most specific one there is, so it is asked first. */
static bool walk_root(struct search *s, svl_str path, uint32_t root, unsigned n)
{
    unsigned mark = whole_mark(path);

    if (s->router->marks[mark / 64] >> (mark % 64) & 1) {
        uint32_t leaf = whole_leaf(s->router, path, root);

        if (leaf && take_leaf(s, leaf, n))
            return true;
    }
    return walk(s, path, root, 0, n);
}

/* --- hosts --------------------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool same_host(svl_str host, svl_str low)
{
    if (host.n != low.n)
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (lower(host.p[i]) != low.p[i])
            return false;
    return true;
}

/* Without ":80", and without the dot at the end of a full name. */
static svl_str bare_host(svl_str host)
{
    size_t n = host.n;

    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    if (n > 0 && host.p[n - 1] == ':')
        host.n = n - 1;
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

static bool host_fits(const struct host *host, svl_str full, svl_str *label)
{
    svl_str bare = host->port ? full : bare_host(full);

    *label = SVL_STR_NONE;
    if (!host->wild && !host->named)
        return same_host(bare, host->text);
    if (bare.n <= host->text.n || !same_host(svl_str_from(bare, bare.n - host->text.n), host->text))
        return false;
    *label = svl_str_head(bare, bare.n - host->text.n);
    return host->wild || svl_str_find(*label, '.') == label->n;
}

bool roots_next(struct roots *roots, uint32_t *root, svl_str *label)
{
    const struct svl_router *r = roots->router;

    while (roots->next < r->n_hosts) {
        const struct host *host = &r->hosts[roots->next++];

        if (host_fits(host, roots->host, label)) {
            *root = host->root;
            if (!host->named)
                *label = SVL_STR_NONE;
            return true;
        }
    }
    *root = r->root;
    *label = SVL_STR_NONE;
    return !roots->done && (roots->done = true);
}

static bool search_hosts(struct search *s, svl_str path, svl_str host)
{
    struct roots roots = {.router = s->router, .host = host};
    svl_str label;
    uint32_t root;

    while (roots_next(&roots, &root, &label)) {
        s->values[0] = label;
        if (walk_root(s, path, root, label.p ? 1 : 0))
            return true;
    }
    return false;
}

bool router_find(const struct svl_router *r, const struct svl_ask *ask, struct svl_found *found,
                 const struct place **miss)
{
    svl_str tried[SVL_ROUTER_PARAMS], path = ask->path;
    struct search s;

    s.router = r;
    s.path = path;
    s.bit = method_bit(r, ask->method, ask->text);
    s.instead = ask->method == SVL_HEAD && r->auto_head ? METHOD_BIT(SVL_GET) : 0;
    s.allow = 0;
    s.target = NULL;
    s.n = 0;
    s.tries = SEARCH_TRIES;
    s.miss = 0;
    s.best = UINT32_MAX;
    s.values = r->ordered ? tried : found->values;
    s.kept = found->values;
    if (r->n_hosts > 0)
        search_hosts(&s, path, ask->host);
    else
        walk_root(&s, path, r->root, 0);
    found->target = s.target;
    if (!s.target) {
        found->route = NULL;
        found->allow = s.allow;
        *miss = &r->places[s.miss ? s.miss - 1 : 0];
        return false;
    }
    found->route = s.target->route;
    found->n = s.n;
    found->allow = 0;
    return true;
}

bool svl_router_find(const struct svl_router *r, const struct svl_ask *ask, struct svl_found *found)
{
    const struct place *miss;

    return router_find(r, ask, found, &miss);
}

svl_str svl_found_pattern(const struct svl_found *found)
{
    return found->target ? found->target->pattern : SVL_STR_NONE;
}

svl_str svl_found_name(const struct svl_found *found, unsigned n)
{
    return n < found->n ? found->target->names[n] : SVL_STR_NONE;
}
