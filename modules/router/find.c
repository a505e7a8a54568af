/* Lookups: down the flat tree, the most specific way first, back to the last place that had
 * another way. A lookup that succeeds without a way back is one loop. */
#include "internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint64_t lowest_first(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

/* Eight bytes, the first one lowest. */
static inline uint64_t load(const char *at)
{
    uint64_t word;

    memcpy(&word, at, 8);
    return lowest_first(word);
}

/* All of a text shorter than that, zeros behind it. */
static inline uint64_t load_short(svl_str text)
{
    uint64_t word = 0;

    for (size_t i = 0; i < text.n; i++)
        word |= (uint64_t)(unsigned char)text.p[i] << (8 * i);
    return word;
}

/* Eight bytes of the path from pos on, zeros behind its end, at which pos may be; `last` is where
 * its last eight bytes begin, and nothing behind them is read. A branch for what is near the end
 * would be guessed wrong too often. Two shifts, since one by 64 is not defined. */
static inline uint64_t load_path(const char *path, size_t pos, size_t last)
{
    size_t at = pos < last ? pos : last, half = 4 * (pos - at);

    return load(path + at) >> half >> half;
}

/* --- segments ------------------------------------------------------------------------------ */

#define ONES UINT64_C(0x0101010101010101)
#define HIGH (ONES << 7)

/* Bit i says whether byte i of a word is a slash. */
static inline uint64_t slashes_of(uint64_t word)
{
    uint64_t x = word ^ ONES * '/', marks = ~(((x & ~HIGH) + ~HIGH) | x) & HIGH;

    return (marks >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

#ifdef __SSE2__
static inline uint64_t slashes_at(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);

    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')));
}
#else
static inline uint64_t slashes_at(const char *at)
{
    return slashes_of(load(at)) | slashes_of(load(at + 8)) << 8;
}
#endif

/* Bit i is set where the path has a slash, or its end, so that no param has to search for it. A
 * path of 64 bytes or more has none set. Parts that overlap say the same. */
static inline uint64_t segment_ends(svl_str path, const char *small)
{
    size_t n = path.n;
    uint64_t ends;

    if (n >= 64)
        return 0;
    ends = UINT64_C(1) << n;
    if (n < 8)
        return ends | slashes_of(load(small));
    if (n < 16)
        return ends | slashes_of(load(path.p)) | slashes_of(load(path.p + n - 8)) << (n - 8);
    ends |= slashes_at(path.p) | slashes_at(path.p + n - 16) << (n - 16);
    if (n > 32)
        ends |= slashes_at(path.p + 16) << 16 | slashes_at(path.p + n - 32) << (n - 32);
    return ends;
}

static __attribute__((noinline)) size_t far_end(svl_str path, size_t pos)
{
    const char *slash = memchr(path.p + pos, '/', path.n - pos);

    return slash ? (size_t)(slash - path.p) : path.n;
}

static inline size_t segment_end(const struct search *s, size_t pos)
{
    uint64_t ends = s->ends >> (pos & 63);

    if (ends)
        return pos + (size_t)__builtin_ctzll(ends);
    return far_end(s->path, pos);
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

static bool walk(struct search *s, uint32_t at, size_t pos, unsigned n);

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
    size_t at = wild->empty ? pos : pos + 1, end = segment_end(s, pos);

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
        if (walk(s, wild->node, at, n + 1))
            return true;
    }
    return false;
}

static bool walk_wild(struct search *s, const struct wild *wild, size_t pos, unsigned n)
{
    size_t end;

    if (wild->kind == TOKEN_PART)
        return walk_part(s, wild, pos, n);
    end = wild->kind == TOKEN_REST ? s->path.n : segment_end(s, pos);
    s->values[n] = (svl_str){s->path.p + pos, end - pos};
    if (wild->kind == TOKEN_REST)
        return search_leaf(s, wild->node, n + 1);
    return fits(s, wild, s->values[n]) && walk(s, wild->node, end, n + 1);
}

static bool walk_wilds(struct search *s, const struct node *node, size_t pos, unsigned n)
{
    for (unsigned i = 0; i < node->n_wild; i++)
        if (walk_wild(s, &s->router->wilds[node->wild + i], pos, n))
            return true;
    return false;
}

/* Which bytes of a word a label has, by its length. */
static const uint64_t masks[] = {
    0,
    UINT64_C(0xff),
    UINT64_C(0xffff),
    UINT64_C(0xffffff),
    UINT64_C(0xffffffff),
    UINT64_C(0xffffffffff),
    UINT64_C(0xffffffffffff),
    UINT64_C(0xffffffffffffff),
    UINT64_C(0xffffffffffffffff),
};

/* Which child begins with c: 1 + its number, or 0. */
static inline unsigned child_of(const struct svl_router *r, const struct node *node,
                                unsigned char c)
{
    unsigned place;

    if (node->n_children <= NODE_FEW) {
        uint64_t firsts = node->firsts;

        for (unsigned i = 0; i < node->n_children; i++, firsts >>= 8)
            if ((unsigned char)firsts == c)
                return i + 1;
        return 0;
    }
    place = (unsigned)c - node->table.low;
    return place < node->table.width ? r->bytes[node->table.at + place] : 0;
}

/* Below nodes[at], with the path read up to pos and n values found. Recursion is as deep as the
 * pattern has places with a choice. */
static bool walk(struct search *s, uint32_t at, size_t pos, unsigned n)
{
    const struct svl_router *r = s->router;
    const size_t size = s->path.n, last = size < 8 ? 0 : size - 8;
    const char *path = size < 8 ? s->small : s->path.p;
    svl_str *value = s->values + n;

    for (;;) {
        const struct node *node = &r->nodes[at];
        unsigned child;
        size_t end;

        /* Labels hold no NUL, so none fits behind the end. */
        if ((load_path(path, pos, last) ^ node->label) & masks[node->len])
            return false;
        pos += node->len;
        if (pos == size) {
            n = (unsigned)(value - s->values);
            if (node->leaf && take_leaf(s, node->leaf, n))
                return true;
            return node->n_wild && walk_wilds(s, node, pos, n);
        }
        if (node->shape == NODE_ONLY) {
            at = node->child;
            continue;
        }
        child = child_of(r, node, (unsigned char)path[pos]);
        if (child) {
            at = node->child + child - 1;
            if (!node->n_wild)
                continue;
            if (walk(s, at, pos, (unsigned)(value - s->values)))
                return true;
        }
        if (node->shape != NODE_PLAIN)
            return node->n_wild && walk_wilds(s, node, pos, (unsigned)(value - s->values));
        end = segment_end(s, pos);
        if (end == pos)
            return false;
        *value++ = (svl_str){s->path.p + pos, end - pos};
        pos = end;
        at = node->child - 1;
    }
}

/* --- whole paths --------------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static inline uint32_t hash_of(svl_str path, uint32_t root)
{
    uint64_t hash = path.n ^ (uint64_t)root << 32;

    if (path.n < 8)
        return (uint32_t)mix(hash, load_short(path)) | 1;
    for (size_t i = 0; i + 8 < path.n; i += 8)
        hash = mix(hash, load(path.p + i));
    return (uint32_t)mix(hash, load(path.p + path.n - 8)) | 1;
}

uint32_t path_hash(svl_str path, uint32_t root)
{
    return hash_of(path, root);
}

/* Longer texts than a few words are rare, and a call costs as much as they do. */
static inline bool same_bytes(const char *a, const char *b, size_t n)
{
    if (n < 8)
        return memcmp(a, b, n) == 0;
    for (size_t i = 0; i + 8 < n; i += 8)
        if (load(a + i) != load(b + i))
            return false;
    return load(a + n - 8) == load(b + n - 8);
}

static __attribute__((noinline)) uint32_t whole_leaf(const struct svl_router *r, svl_str path,
                                                     uint32_t root)
{
    uint32_t hash = hash_of(path, root);

    for (uint32_t i = hash >> 1;; i++) {
        const struct whole *whole = &r->wholes[i & r->wholes_mask];

        if (whole->hash == 0)
            return 0;
        if (whole->hash == hash && whole->n == path.n && whole->root == root &&
            same_bytes((const char *)r->bytes + whole->at, path.p, path.n))
            return whole->leaf;
    }
}

/* A path that is all text is the most specific one there is, so it is asked first. */
static inline bool walk_root(struct search *s, svl_str path, uint32_t root, unsigned n)
{
    unsigned mark = whole_mark(path);

    if (s->router->marks[mark / 64] >> (mark % 64) & 1) {
        uint32_t leaf = whole_leaf(s->router, path, root);

        if (leaf && take_leaf(s, leaf, n))
            return true;
    }
    if (path.n < 8) {
        uint64_t word = lowest_first(load_short(path));

        memcpy(s->small, &word, 8);
    }
    s->ends = segment_ends(path, s->small);
    return walk(s, root, 0, n);
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

static bool search_hosts(struct search *s, svl_str host)
{
    struct roots roots = {.router = s->router, .host = host};
    svl_str label;
    uint32_t root;

    while (roots_next(&roots, &root, &label)) {
        s->values[0] = label;
        if (walk_root(s, s->path, root, label.p ? 1 : 0))
            return true;
    }
    return false;
}

/* Values that are found on the way to a route that was declared later are not kept. */
static __attribute__((noinline)) void search_ordered(struct search *s, svl_str host)
{
    svl_str tried[SVL_ROUTER_PARAMS];

    s->kept = s->values;
    s->values = tried;
    search_hosts(s, host);
}

bool router_find(const struct svl_router *r, const struct svl_ask *ask, struct svl_found *found,
                 const struct place **miss)
{
    struct search s;

    s.router = r;
    s.path = ask->path;
    s.bit = method_bit(r, ask->method, ask->text);
    s.instead = ask->method == SVL_HEAD && r->auto_head ? METHOD_BIT(SVL_GET) : 0;
    s.allow = 0;
    s.target = NULL;
    s.n = 0;
    s.tries = SEARCH_TRIES;
    s.miss = 0;
    s.best = UINT32_MAX;
    s.values = found->values;
    if (r->ordered)
        search_ordered(&s, ask->host);
    else if (r->n_hosts > 0)
        search_hosts(&s, ask->host);
    else
        walk_root(&s, ask->path, r->root, 0);
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
