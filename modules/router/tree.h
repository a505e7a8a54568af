/* The tree of pointers that routes are put into, one for each host; flat.c makes the arrays. */
#ifndef SVL_ROUTER_TREE_H
#define SVL_ROUTER_TREE_H

#include "internal.h"

/* Where paths end: who answers them. */
struct mark {
    uint64_t methods;
    uint32_t target[64]; /* for each bit of methods */
    uint32_t any, miss;  /* as in struct leaf */
};

struct edge {
    struct edge *next;
    enum token_kind kind;
    uint32_t check;
    bool empty;
    struct tree *node; /* what follows; NULL for REST */
    struct mark *rest; /* REST */
};

struct tree {
    svl_str label;
    struct tree *children, *next;
    struct edge *wilds; /* in the order in which they are tried */
    struct mark *mark;
};

/* The mark for a pattern, made if there is none. `check` finds the number of an expression. */
struct mark *tree_mark(struct tree *tree, struct heap *heap, const struct pattern *pattern,
                       const uint32_t *checks);

#endif
