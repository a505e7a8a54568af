#include "around.h"

/* --- a step as a module --------------------------------------------------------------------- */

static enum svl_verdict before(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_step *step = self->config;

    return step->before ? step->before(ctx, step->arg) : SVL_NEXT;
}

static enum svl_verdict after(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_step *step = self->config;

    return step->after ? step->after(ctx, step->arg) : SVL_NEXT;
}

static void final(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_step *step = self->config;

    if (step->final)
        step->final(ctx, step->arg);
}

static const struct svl_module step_module = {
    .name = "router step",
    .summary = "a step around handlers",
    .config_size = sizeof(struct svl_step),
    .on_request = before,
    .on_response = after,
    .on_done = final,
};

/* --- lists ---------------------------------------------------------------------------------- */

struct list {
    const struct svl_use **at;
    unsigned n;
};

static void add(struct around *a, struct list *list, const struct svl_use *use)
{
    HEAP_GROW(a->keep, list->at, list->n);
    list->at[list->n++] = use;
}

static bool is_step(const struct svl_step *step)
{
    return step->before || step->after || step->final;
}

static const struct svl_use *use_of(struct around *a, const struct svl_step *step)
{
    struct svl_use *use;

    for (unsigned i = 0; i < a->n_steps; i++)
        if (a->steps[i]->config == step)
            return a->steps[i];
    use = heap_alloc(a->keep, sizeof *use);
    *use = (struct svl_use){&step_module, step};
    HEAP_GROW(a->keep, a->steps, a->n_steps);
    a->steps[a->n_steps++] = use;
    return use;
}

static bool skips(svl_handler_fn *const *skip, const struct svl_step *step)
{
    for (; skip && *skip; skip++)
        if (*skip == step->before || (!step->before && *skip == step->after))
            return true;
    return false;
}

/* A step of a group is left out if a group or route further in skips it. */
static bool skipped(const struct level *inner, const struct level *owner,
                    const struct svl_route *route, const struct svl_step *step)
{
    if (route && skips(route->skip, step))
        return true;
    for (const struct level *level = inner; level != owner; level = level->outer)
        if (skips(level->group->skip, step))
            return true;
    return false;
}

static void add_chain(struct around *a, struct list *list, const struct svl_use *use)
{
    for (; use && use->module; use++)
        add(a, list, use);
}

static void add_groups(struct around *a, struct list *list, const struct level *owner,
                       const struct level *inner, const struct svl_route *route)
{
    if (!owner)
        return;
    add_groups(a, list, owner->outer, inner, route);
    for (const struct svl_step *step = owner->group->steps; step && is_step(step); step++)
        if (!skipped(inner, owner, route, step))
            add(a, list, use_of(a, step));
    add_chain(a, list, owner->group->chain);
}

static bool same(const struct list *list, const struct svl_use *const *other)
{
    for (unsigned i = 0; i < list->n; i++)
        if (list->at[i] != other[i])
            return false;
    return other[list->n] == NULL;
}

static uint32_t keep(struct around *a, struct list *list)
{
    for (unsigned i = 0; i < a->n_lists; i++)
        if (same(list, a->lists[i]))
            return i + 1;
    add(a, list, NULL);
    HEAP_GROW(a->keep, a->lists, a->n_lists);
    a->lists[a->n_lists++] = list->at;
    return a->n_lists;
}

static const struct svl_use strip_use = {&router_strip_module, NULL};
static const struct svl_use handler_use = {&router_handler_module, NULL};

uint32_t around_route(struct around *a, const struct level *level, const struct svl_route *route)
{
    bool onward = route->flags & SVL_ROUTE_ONWARD;
    struct list list = {0};

    add_groups(a, &list, level, level, route);
    for (const struct svl_step *step = route->steps; step && is_step(step); step++)
        add(a, &list, use_of(a, step));
    if (onward && route->flags & SVL_ROUTE_STRIP)
        add(a, &list, &strip_use);
    add_chain(a, &list, route->chain);
    if (list.n == 0)
        return 0;
    if (!onward || route->chain)
        add(a, &list, &handler_use);
    return keep(a, &list);
}

uint32_t around_misses(struct around *a, const struct level *level)
{
    struct list list = {0};

    add_groups(a, &list, level, level, NULL);
    if (list.n == 0)
        return 0;
    add(a, &list, &handler_use);
    return keep(a, &list);
}
