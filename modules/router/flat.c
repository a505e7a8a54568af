/* The tree of pointers as flat arrays: what a lookup reads lies side by side. */
#include "tree.h"

#include <stdlib.h>

/* Arrays that grow while the tree is copied; leaf 0 stays empty. */
struct flat {
    struct heap *heap;
    struct node *nodes;
    struct wild *wilds;
    struct leaf *leaves;
    uint32_t *first;
    uint8_t *bytes;
    struct whole *wholes; /* as found; hashed at the end */
    uint32_t n_nodes, n_wilds, n_leaves, n_first, n_bytes, n_wholes;

    uint32_t root;                 /* the tree being copied */
    char path[SVL_ROUTER_PATTERN]; /* the text that leads to the node being copied */
    size_t path_n;
    unsigned wild; /* how many params it holds */
};

/* `n` more at the end of an array; returns the place of the first one. */
#define TAKE(flat, array, n)                                                                       \
    take((flat)->heap, (void **)&(flat)->array, &(flat)->n_##array, (n), sizeof *(flat)->array)

static uint32_t take(struct heap *heap, void **array, uint32_t *n, uint32_t more, size_t size)
{
    uint32_t at = *n, room = 16;
    void *bigger;

    while (room < at)
        room *= 2;
    if (at == 0 || at + more > room) {
        while (room < at + more)
            room *= 2;
        bigger = heap_alloc(heap, room * size);
        if (at > 0)
            memcpy(bigger, *array, at * size);
        *array = bigger;
    }
    *n += more;
    return at;
}

static uint32_t put_mark(struct flat *flat, const struct mark *mark)
{
    uint32_t at;
    struct leaf leaf;

    if (!mark)
        return 0;
    leaf = (struct leaf){
        .methods = mark->methods, .first = flat->n_first, .any = mark->any, .miss = mark->miss};
    for (unsigned bit = 0; bit < 64; bit++)
        if (mark->methods >> bit & 1) {
            at = TAKE(flat, first, 1);
            flat->first[at] = mark->target[bit];
        }
    at = TAKE(flat, leaves, 1);
    flat->leaves[at] = leaf;
    return at;
}

static uint64_t label_word(svl_str label)
{
    uint64_t word = 0;

    for (size_t i = 0; i < label.n; i++)
        word |= (uint64_t)(unsigned char)label.p[i] << (8 * i);
    return word;
}

/* Nothing ends and nothing branches here: what follows may take its place. */
static const struct tree *compact(const struct tree *tree)
{
    while (tree->label.n == 0 && !tree->mark && !tree->wilds && tree->children &&
           !tree->children->next)
        tree = tree->children;
    return tree;
}

static void put_node(struct flat *flat, const struct tree *tree, svl_str label, uint32_t at);

static uint32_t count_children(const struct tree *tree)
{
    uint32_t n = 0;

    for (const struct tree *child = tree->children; child; child = child->next)
        n++;
    return n;
}

static enum node_shape shape_of(const struct tree *tree)
{
    const struct edge *edge = tree->wilds;

    if (!edge)
        return count_children(tree) == 1 ? NODE_ONLY : NODE_MIXED;
    if (edge->next || edge->kind != TOKEN_PARAM || edge->check || edge->empty)
        return NODE_MIXED;
    return NODE_PLAIN;
}

static void put_wilds(struct flat *flat, const struct tree *tree, struct node *node)
{
    uint32_t n = 0;

    for (const struct edge *edge = tree->wilds; edge; edge = edge->next)
        n++;
    node->n_wild = (uint8_t)n;
    node->wild = n ? TAKE(flat, wilds, n) : 0;
    n = node->wild;
    for (const struct edge *edge = tree->wilds; edge; edge = edge->next, n++) {
        struct wild wild = {
            .check = edge->check, .kind = (uint8_t)edge->kind, .empty = edge->empty};

        if (edge->kind == TOKEN_REST) {
            wild.node = put_mark(flat, edge->rest);
        } else {
            const struct tree *next = compact(edge->node);

            wild.node = node->shape == NODE_PLAIN ? node->child - 1 : TAKE(flat, nodes, 1);
            flat->wild++;
            put_node(flat, next, next->label, wild.node);
            flat->wild--;
        }
        flat->wilds[n] = wild;
    }
}

/* A few children are asked one by one: the processor guesses which one it will be and goes on. More
 * are found by one load, which is slower than a right guess, and faster than a wrong one. */
static void put_table(struct flat *flat, const struct tree *tree, struct node *node)
{
    uint8_t low = 255, high = 0, i = 0;

    for (const struct tree *child = tree->children; child; child = child->next) {
        uint8_t first = (uint8_t)child->label.p[0];

        low = first < low ? first : low;
        high = first > high ? first : high;
    }
    node->table.low = low;
    node->table.width = (uint16_t)(high - low + 1);
    node->table.at = TAKE(flat, bytes, node->table.width);
    for (const struct tree *child = tree->children; child; child = child->next)
        flat->bytes[node->table.at + (uint8_t)child->label.p[0] - low] = ++i;
}

static void put_index(struct flat *flat, const struct tree *tree, struct node *node)
{
    unsigned i = 0;

    if (node->n_children > NODE_FEW) {
        put_table(flat, tree, node);
        return;
    }
    for (const struct tree *child = tree->children; child; child = child->next)
        node->firsts |= (uint64_t)(unsigned char)child->label.p[0] << (8 * i++);
}

static void put_children(struct flat *flat, const struct tree *tree, struct node *node)
{
    uint32_t n = node->child;

    put_index(flat, tree, node);
    for (const struct tree *child = tree->children; child; child = child->next)
        put_node(flat, child, child->label, n++);
}

/* What follows a text that is at its end. */
static void put_branches(struct flat *flat, const struct tree *tree, struct node *node)
{
    unsigned param;

    node->shape = (uint8_t)shape_of(tree);
    node->n_children = (uint8_t)count_children(tree);
    param = node->shape == NODE_PLAIN;
    if (node->n_children + param > 0)
        node->child = TAKE(flat, nodes, node->n_children + param) + param;
    put_children(flat, tree, node);
    put_wilds(flat, tree, node);
}

/* A path that ends here and is all text. */
static void put_whole(struct flat *flat, uint32_t leaf)
{
    uint32_t at, text;

    if (!leaf || flat->wild > 0 || flat->path_n == 0)
        return;
    text = TAKE(flat, bytes, (uint32_t)flat->path_n);
    memcpy(flat->bytes + text, flat->path, flat->path_n);
    at = TAKE(flat, wholes, 1);
    flat->wholes[at] =
        (struct whole){.hash = path_hash((svl_str){flat->path, flat->path_n}, flat->root),
                       .leaf = leaf,
                       .root = flat->root,
                       .at = text,
                       .n = (uint32_t)flat->path_n};
}

/* `label` is what is left of the tree's: 8 bytes are a node, so long ones become a row of them. */
static void put_node(struct flat *flat, const struct tree *tree, svl_str label, uint32_t at)
{
    svl_str mine = svl_str_head(label, 8);
    struct node node = {.label = label_word(mine), .len = (uint8_t)mine.n};

    if (flat->wild == 0) /* a pattern is never longer than `path` */
        memcpy(flat->path + flat->path_n, mine.p, mine.n);
    flat->path_n += flat->wild ? 0 : mine.n;
    if (label.n > 8) {
        label = svl_str_from(label, 8);
        node.n_children = 1;
        node.shape = NODE_ONLY;
        node.child = TAKE(flat, nodes, 1);
        put_node(flat, tree, label, node.child);
    } else {
        node.leaf = put_mark(flat, tree->mark);
        put_whole(flat, node.leaf);
        put_branches(flat, tree, &node);
    }
    flat->path_n -= flat->wild ? 0 : mine.n;
    flat->nodes[at] = node;
}

static void set_mark(struct svl_router *r, svl_str path)
{
    unsigned mark = whole_mark(path);

    r->marks[mark / 64] |= UINT64_C(1) << (mark % 64);
}

/* The wholes by their hash; at least one place in two stays free. */
static void hash_wholes(struct svl_router *r, struct flat *flat)
{
    uint32_t room = 1;
    struct whole *table;

    while (room < 2 * flat->n_wholes)
        room *= 2;
    table = heap_alloc(flat->heap, room * sizeof *table);
    for (uint32_t i = 0; i < flat->n_wholes; i++) {
        uint32_t at = flat->wholes[i].hash >> 1;

        while (table[at & (room - 1)].hash)
            at++;
        table[at & (room - 1)] = flat->wholes[i];
        if (!r->ordered)
            set_mark(r,
                     (svl_str){(const char *)flat->bytes + flat->wholes[i].at, flat->wholes[i].n});
    }
    flat->wholes = table;
    flat->n_wholes = room;
    r->wholes_mask = room - 1;
}

static void *copy(char **to, const void *from, size_t size)
{
    void *at = *to;

    if (size)
        memcpy(at, from, size);
    *to += (size + 15) & ~(size_t)15;
    return at;
}

void router_flatten(struct svl_router *r, struct heap *heap, struct tree *const *roots,
                    uint32_t *places, unsigned n)
{
    struct flat flat = {.heap = heap};
    size_t size;
    char *to;

    TAKE(&flat, leaves, 1);
    TAKE(&flat, nodes, n);
    for (unsigned i = 0; i < n; i++) {
        const struct tree *tree = compact(roots[i]);

        places[i] = flat.root = i;
        put_node(&flat, tree, tree->label, i);
    }
    hash_wholes(r, &flat);
    size = flat.n_nodes * sizeof *flat.nodes + flat.n_wilds * sizeof *flat.wilds +
           flat.n_leaves * sizeof *flat.leaves + flat.n_first * sizeof *flat.first + flat.n_bytes +
           flat.n_wholes * sizeof *flat.wholes;
    if (posix_memalign(&r->memory, 64, size + 6 * (size_t)16))
        abort();
    to = r->memory;
    r->nodes = copy(&to, flat.nodes, flat.n_nodes * sizeof *flat.nodes);
    r->wilds = copy(&to, flat.wilds, flat.n_wilds * sizeof *flat.wilds);
    r->leaves = copy(&to, flat.leaves, flat.n_leaves * sizeof *flat.leaves);
    r->wholes = copy(&to, flat.wholes, flat.n_wholes * sizeof *flat.wholes);
    r->first = copy(&to, flat.first, flat.n_first * sizeof *flat.first);
    r->bytes = copy(&to, flat.bytes, flat.n_bytes);
    r->size = (size_t)(to - (char *)r->memory);
}
