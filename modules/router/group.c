/* Groups that are made by calls instead of tables, and the life of a compiled router. */
#include "internal.h"

#include <stdlib.h>

/* The public half first: its arrays are ours, and grow. */
struct made {
    struct svl_group pub;
    struct heap heap;
    struct svl_route *routes;
    struct svl_step *steps;
    const struct svl_group **groups;
    unsigned n_routes, n_steps, n_groups;
};

/* One more at the end, with an empty one behind it. */
#define APPEND(made, array, item)                                                                  \
    do {                                                                                           \
        void *more_ = heap_alloc(&(made)->heap, ((made)->n_##array + 2) * sizeof *(made)->array);  \
        if ((made)->n_##array)                                                                     \
            memcpy(more_, (made)->array, (made)->n_##array * sizeof *(made)->array);               \
        (made)->array = more_;                                                                     \
        (made)->array[(made)->n_##array++] = (item);                                               \
        (made)->pub.array = (made)->array;                                                         \
    } while (0)

struct svl_group *svl_group_open(const char *prefix)
{
    struct made *made = calloc(1, sizeof *made);

    if (!made)
        abort();
    made->pub.prefix = prefix;
    return &made->pub;
}

void svl_group_close(struct svl_group *group)
{
    struct made *made = (struct made *)group;

    if (!made)
        return;
    for (unsigned i = 0; i < made->n_groups; i++)
        svl_group_close((struct svl_group *)made->groups[i]);
    heap_finish(&made->heap);
    free(made);
}

void svl_group_route(struct svl_group *group, const struct svl_route *route)
{
    struct made *made = (struct made *)group;

    APPEND(made, routes, *route);
}

void svl_group_step(struct svl_group *group, const struct svl_step *step)
{
    struct made *made = (struct made *)group;

    APPEND(made, steps, *step);
}

void svl_mount(struct svl_group *group, const char *prefix, const struct svl_use *chain)
{
    static const char rest[] = SVL_MOUNT_REST;
    struct made *made = (struct made *)group;
    size_t n = strlen(prefix);
    char *path = heap_alloc(&made->heap, n + sizeof rest);

    memcpy(path, prefix, n);
    memcpy(path + n, rest, sizeof rest);
    svl_group_route(
        group, &(const struct svl_route){.path = path, .chain = chain, .flags = SVL_MOUNT_FLAGS});
}

struct svl_group *svl_group_group(struct svl_group *group, const char *prefix)
{
    struct made *made = (struct made *)group;
    struct svl_group *inner = svl_group_open(prefix);

    APPEND(made, groups, inner);
    return inner;
}

int svl_router_open(struct svl_router **router, const struct svl_router_config *config)
{
    struct svl_router *r = calloc(1, sizeof *r);
    int err;

    if (!r)
        abort();
    r->config = *config;
    r->own = (struct svl_group){.steps = config->steps,
                                .chain = config->chain,
                                .routes = config->routes,
                                .groups = config->groups,
                                .not_found = config->not_found,
                                .not_allowed = config->not_allowed,
                                .options = config->options,
                                .error = config->error,
                                .arg = config->arg,
                                .always = config->always};
    r->ordered = config->policy == SVL_ROUTER_ORDERED;
    r->auto_head = !config->no_head;
    err = router_build(r);
    if (err) {
        svl_router_close(r);
        return err;
    }
    *router = r;
    return 0;
}

void svl_router_close(struct svl_router *r)
{
    if (!r)
        return;
    for (unsigned i = 1; i < r->n_checks; i++)
        check_finish((struct check *)&r->checks[i]);
    heap_finish(&r->heap);
    free(r->memory);
    free(r);
}
