/* router: what its files share. A pattern becomes tokens (pattern.c), tokens become a tree of
 * pointers (build.c), the tree becomes flat arrays (flat.c), which are what lookups see (find.c,
 * fix.c). */
#ifndef SVL_ROUTER_INTERNAL_H
#define SVL_ROUTER_INTERNAL_H

#include "serval/mod/router.h"

#include <stdint.h>

/* Memory of the start: lives as long as its heap, which a router, and its making, have one of. */
struct heap {
    struct heap_block *blocks;
};
void *heap_alloc(struct heap *heap, size_t size); /* zeroed, never NULL */
svl_str heap_copy(struct heap *heap, svl_str s);  /* NUL-terminated */
void heap_finish(struct heap *heap);

/* Room for one more in an array of a heap that doubles. */
#define HEAP_GROW(heap, at, n)                                                                     \
    do {                                                                                           \
        if (((n) & ((n)-1)) == 0) {                                                                \
            void *more_ = heap_alloc(heap, ((n) ? (n)*2 : 1) * sizeof *(at));                      \
            if (n)                                                                                 \
                memcpy(more_, at, (n) * sizeof *(at));                                             \
            (at) = more_;                                                                          \
        }                                                                                          \
    } while (0)

/* What a param's value must be. Equal texts share one check. */
enum check_kind { CHECK_NONE, CHECK_CLASS, CHECK_REGEX };
struct check {
    enum check_kind kind;
    svl_str text;         /* of the expression */
    uint32_t set[8];      /* CLASS: the bytes allowed */
    uint32_t least, most; /* CLASS: how many */
    void *code;           /* REGEX */
};
int check_compile(struct check *check, svl_str text, char *why, size_t size);
void check_finish(struct check *check);
bool check_fits(const struct check *check, svl_str value);

static inline bool check_has(const struct check *check, unsigned char c)
{
    return check->set[c >> 5] >> (c & 31) & 1;
}

/* A piece of a pattern. */
enum token_kind {
    TOKEN_TEXT,
    TOKEN_PARAM, /* to the end of its segment */
    TOKEN_PART,  /* something else of the segment follows */
    TOKEN_REST,  /* to the end of the path */
};
struct token {
    enum token_kind kind;
    svl_str text;  /* TEXT: the bytes; else the name */
    svl_str check; /* its expression; p is NULL without one */
    bool empty;    /* may be */
    bool optional; /* only before expansion */
};

struct pattern {
    struct token *tokens;
    unsigned n;
};

/* Reads the parts of a pattern: prefixes of groups, then a path. Returns 0, or SVL_ESYNTAX with a
 * reason in `why`. */
int pattern_parse(struct pattern *pattern, struct heap *heap, const svl_str *parts, unsigned n,
                  enum svl_router_syntax syntax, char *why, size_t size);

/* The pattern with its first `keep` optional params, without the others and what would be left
 * dangling. */
struct pattern pattern_expand(const struct pattern *pattern, struct heap *heap, unsigned keep);
unsigned pattern_optionals(const struct pattern *pattern);

/* Whether some path fits both. */
bool pattern_overlap(const struct pattern *a, const struct pattern *b);

/* One group and what it stands in: what a miss below its prefix, or an error, is asked. */
struct place {
    const struct svl_group *group;
    const struct place *outer;
    uint32_t around; /* 1 + inner chain around misses; 0 = nothing is */
};

/* One route for one method and without optionals: what a lookup finds. */
struct svl_target {
    const struct svl_route *route;
    const struct place *place;
    svl_str pattern, name, method, host;
    const svl_str *names; /* of the values */
    unsigned n_names;
    bool rest;         /* the last value is a catch-all's */
    const char *label; /* "GET /users/{id}" */
    uint32_t around;   /* 1 + inner chain around the handler; 0 = nothing is */
    uint32_t order;
};

/* The flat tree. Numbers are places in the arrays of struct svl_router; 0 means none for leaves. */
struct node {
    uint64_t label; /* its first byte lowest */
    union {
        uint64_t firsts; /* the first bytes of up to NODE_FEW children, the first child's lowest */
        struct {
            uint32_t at; /* in `bytes`: 1 + the child for each first byte from `low` on, or 0 */
            uint16_t width;
            uint8_t low;
        } table; /* of more children */
    };
    uint32_t child; /* of n_children that stand side by side */
    uint32_t wild;  /* of n_wild that stand side by side */
    uint32_t leaf;  /* when the path ends here */
    uint8_t len;    /* of the label, 0 to 8 */
    uint8_t n_children;
    uint8_t n_wild;
    uint8_t shape; /* enum node_shape */
};
_Static_assert(sizeof(struct node) == 32, "two nodes share a cache line");
#define NODE_FEW 8

/* What can follow a label; most nodes are one of the first two. */
enum node_shape {
    NODE_ONLY,  /* one child and nothing else: its label says whether it does */
    NODE_PLAIN, /* children, then one param without a check; what follows that is nodes[child - 1] */
    NODE_MIXED,
};

/* Paths that are nothing but text are also found by their hash, in one step. */
struct whole {
    uint32_t hash; /* 0 = a free place */
    uint32_t leaf;
    uint32_t root, at, n; /* the path, in `bytes` */
};

struct wild {
    uint32_t node;  /* what follows; for REST the leaf */
    uint32_t check; /* 0 = none */
    uint8_t kind;   /* enum token_kind */
    bool empty;
};

struct leaf {
    uint64_t methods; /* bits; routes of them stand side by side from `first` on */
    uint32_t first;
    uint32_t any;  /* 1 + target for every other method */
    uint32_t miss; /* 1 + place, when this only marks what is below a group's prefix */
};

struct host {
    svl_str text; /* lower case; of a wild one, from its first dot on */
    bool wild;    /* any number of labels in front */
    bool named;   /* one label in front, which is the first value */
    bool port;    /* the text holds one */
    uint32_t root;
};

#define WHOLE_MARKS 1024

struct svl_router {
    const struct node *nodes;
    const struct wild *wilds;
    const struct leaf *leaves;
    const uint32_t *first; /* leaves' routes: places in targets */
    const uint8_t *bytes;
    const struct whole *wholes;
    uint32_t wholes_mask;
    uint64_t marks[WHOLE_MARKS / 64]; /* of the wholes */
    uint32_t root;                    /* of routes for every host */
    unsigned n_hosts;
    bool ordered, auto_head;
    const struct host *hosts; /* exact ones first, then the longest wild ones */
    const struct svl_target *targets;
    const struct check *checks;
    const struct place *places; /* [0] is the router's own */
    unsigned n_targets, n_checks, n_places;

    svl_str custom[SVL_ROUTER_CUSTOM];
    unsigned n_custom;
    uint64_t all; /* methods of all routes */
    size_t size;  /* bytes of the tree */
    const struct named *named;
    unsigned n_named;
    const struct svl_use *const *const *lists; /* the inner chains, see around.h */
    unsigned n_lists;
    struct svl_router_config config;
    struct svl_group own; /* the config as a group */
    struct heap heap;
    void *memory; /* of the flat arrays */
};

/* A sign that a path could be one of the wholes, which costs nothing to look at. */
static inline unsigned whole_mark(svl_str path)
{
    unsigned char last, middle;

    if (path.n == 0)
        return 0;
    last = (unsigned char)path.p[path.n - 1];
    middle = (unsigned char)path.p[path.n / 2];
    return (last ^ (unsigned)middle << 2 ^ (unsigned)path.n << 4) % WHOLE_MARKS;
}

/* A route by name, with its optionals. */
struct named {
    svl_str name;
    struct pattern pattern;
};

/* Bits of methods: known ones by their number, then custom ones. */
#define METHOD_BIT(number) (UINT64_C(1) << (number))
#define METHOD_ANY METHOD_BIT(0)

static inline uint64_t method_bit(const struct svl_router *r, enum svl_method method, svl_str text)
{
    if (method != SVL_METHOD_OTHER)
        return METHOD_BIT(method);
    for (unsigned i = 0; i < r->n_custom; i++)
        if (svl_str_eq(r->custom[i], text))
            return METHOD_BIT(SVL_METHOD_COUNT + i);
    return METHOD_ANY;
}

_Static_assert(SVL_METHOD_COUNT + SVL_ROUTER_CUSTOM <= 64, "methods are bits of one word");

/* One lookup under way. */
struct search {
    const struct svl_router *router;
    svl_str path;
    uint64_t bit, instead; /* the method's; GET's for HEAD, or 0 */
    uint64_t allow;
    const struct svl_target *target;
    unsigned n;
    uint32_t tries; /* ends of params within a segment that may still be tried */
    uint32_t miss;  /* 1 + the innermost place that the path is below */
    uint32_t best;  /* ORDERED: of the target found so far */
    uint64_t ends;  /* where segments of the path end, if it has less than 64 bytes */
    char small[8];  /* the path, if it is shorter than this, with zeros behind it */
    svl_str *values;
    svl_str *kept; /* ORDERED: values of the target found so far */
};
#define SEARCH_TRIES 4096

bool search_leaf(struct search *s, uint32_t leaf, unsigned n);
uint32_t path_hash(svl_str path, uint32_t root);

/* The same, with what is needed for misses. */
bool router_find(const struct svl_router *r, const struct svl_ask *ask, struct svl_found *found,
                 const struct place **miss);

/* Visits the roots that may answer for a host, the most specific first. */
struct roots {
    const struct svl_router *router;
    svl_str host;
    unsigned next;
    bool done;
};
bool roots_next(struct roots *roots, uint32_t *root, svl_str *label);

/* "GET, HEAD, OPTIONS", sorted. */
svl_str router_allow(const struct svl_router *r, struct svl_ctx *ctx, uint64_t methods);

/* The tree of pointers and its compilation. */
struct tree;
int router_build(struct svl_router *r);
void router_flatten(struct svl_router *r, struct heap *heap, struct tree *const *roots,
                    uint32_t *places, unsigned n);

#endif
