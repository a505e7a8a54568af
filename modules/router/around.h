/* What stands around handlers: the steps and modules of groups and routes, each list of them an inner
 * chain of the router. A step is a small module, so it may wait as any module may. */
#ifndef SVL_ROUTER_AROUND_H
#define SVL_ROUTER_AROUND_H

#include "internal.h"

/* A group and those around it. */
struct level {
    const struct level *outer;
    const struct svl_group *group;
};

struct around {
    struct heap *keep;
    const struct svl_use *const **lists; /* the inner chains, NULL at the end of each */
    unsigned n_lists;
    struct svl_use **steps; /* of every step so far; its config is the step */
    unsigned n_steps;
};

/* 1 + the place of the list for a route, 0 when nothing stands around it. */
uint32_t around_route(struct around *a, const struct level *level, const struct svl_route *route);

/* The same for what is missed below a group's prefix. */
uint32_t around_misses(struct around *a, const struct level *level);

/* router.c: takes the prefix off the path; asks the handler that was found. */
extern const struct svl_module router_strip_module, router_handler_module;

#endif
