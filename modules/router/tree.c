/* Puts patterns into the tree of pointers. */
#include "tree.h"

static struct tree *tree_new(struct heap *heap, svl_str label)
{
    struct tree *tree = heap_alloc(heap, sizeof *tree);

    tree->label = label;
    return tree;
}

static size_t common(svl_str a, svl_str b)
{
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

/* The first n bytes of the label stay, everything else moves into a child. */
static void split(struct tree *tree, struct heap *heap, size_t n)
{
    struct tree *lower = tree_new(heap, svl_str_from(tree->label, n));

    lower->children = tree->children;
    lower->wilds = tree->wilds;
    lower->mark = tree->mark;
    tree->label.n = n;
    tree->children = lower;
    tree->wilds = NULL;
    tree->mark = NULL;
}

/* The node that `text` leads to from below `tree`. */
static struct tree *walk_text(struct tree *tree, struct heap *heap, svl_str text)
{
    struct tree **at;

    while (text.n > 0) {
        size_t n;

        for (at = &tree->children; *at && (*at)->label.p[0] != text.p[0]; at = &(*at)->next)
            ;
        if (!*at) {
            *at = tree_new(heap, text);
            return *at;
        }
        tree = *at;
        n = common(tree->label, text);
        if (n < tree->label.n)
            split(tree, heap, n);
        text = svl_str_from(text, n);
    }
    return tree;
}

/* What says more is tried first. */
static unsigned rank(const struct edge *edge)
{
    if (edge->kind == TOKEN_REST)
        return 4;
    return (edge->check ? 0 : 2) + (edge->kind == TOKEN_PARAM);
}

static struct edge *walk_wild(struct tree *tree, struct heap *heap, const struct token *token,
                              uint32_t check)
{
    struct edge like = {.kind = token->kind, .check = check, .empty = token->empty};
    struct edge **at, *edge;

    for (edge = tree->wilds; edge; edge = edge->next)
        if (edge->kind == like.kind && edge->check == check && edge->empty == like.empty)
            return edge;
    for (at = &tree->wilds; *at && rank(*at) <= rank(&like); at = &(*at)->next)
        ;
    like.next = *at;
    *at = edge = heap_alloc(heap, sizeof *edge);
    *edge = like;
    if (token->kind != TOKEN_REST)
        edge->node = tree_new(heap, SVL_STR(""));
    return edge;
}

struct mark *tree_mark(struct tree *tree, struct heap *heap, const struct pattern *pattern,
                       const uint32_t *checks)
{
    struct mark **mark = NULL;

    for (unsigned i = 0; i < pattern->n; i++) {
        const struct token *token = &pattern->tokens[i];
        struct edge *edge;

        if (token->kind == TOKEN_TEXT) {
            tree = walk_text(tree, heap, token->text);
            continue;
        }
        edge = walk_wild(tree, heap, token, checks[i]);
        tree = edge->node;
        if (token->kind == TOKEN_REST)
            mark = &edge->rest;
    }
    if (!mark)
        mark = &tree->mark;
    if (!*mark)
        *mark = heap_alloc(heap, sizeof **mark);
    return *mark;
}
