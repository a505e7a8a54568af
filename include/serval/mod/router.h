/* router: finds the handler for a method, a host and a path. docs/router.md has the patterns. */
#ifndef SVL_MOD_ROUTER_H
#define SVL_MOD_ROUTER_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_ROUTER
#error "module router is not built in: cmake -DSVL_MODULE_ROUTER=ON"
#endif

#include <stdio.h>

#define SVL_ROUTER_PARAMS 64    /* in one route */
#define SVL_ROUTER_PATTERN 2048 /* bytes of a pattern with the prefixes of its groups */
#define SVL_ROUTER_CUSTOM 32    /* methods of one router that are not in SVL_METHOD_MAP */

/* Something around handlers: a small module. `before` is asked on the way in, outermost first: SVL_NEXT goes on,
 * SVL_DONE is the answer, SVL_ERROR asks the error handler. `after` may change the answer, on the
 * way out, for those whose `before` said SVL_NEXT (or is NULL). Both may wait (SVL_PENDING). `final` comes at the very end,
 * whatever happened, for each that was entered. All may be NULL, but not all at once. */
struct svl_step {
    svl_handler_fn *before, *after;
    void (*final)(struct svl_ctx *ctx, void *arg);
    void *arg;
};
#define SVL_STEP_END                                                                               \
    {                                                                                              \
        NULL, NULL, NULL, NULL                                                                     \
    }

enum svl_route_flags {
    SVL_ROUTE_NO_BODY = 1, /* the handler takes the body itself: it is not awaited */
    SVL_ROUTE_ONWARD =
        2, /* no handler: the route's chain answers, or what stands behind the router */
    SVL_ROUTE_STRIP = 4, /* with ONWARD: req.path is what the catch-all holds, until the answer */
};

/* {"GET", "/users/{id}", show, NULL}. Only method, path and handler are needed. */
struct svl_route {
    const char *method; /* "GET", "GET,POST", "BREW", "*" (any; NULL too) */
    const char *path;
    svl_handler_fn *handler;
    void *arg;
    const char *name; /* for svl_url(); NULL = none */
    const char *host; /* "a.example", "*.example", "{who}.example"; NULL = its group's */
    const struct svl_step *steps; /* inside its groups' */
    const struct svl_use *chain;  /* modules further in than these; SVL_USE_END at the end */
    svl_handler_fn *const
        *skip;        /* `before`s and `after`s of groups that it does without; NULL ends */
    unsigned flags;   /* enum svl_route_flags */
    const char *file; /* where it is declared, for messages */
    int line;
};
#define SVL_ROUTE_END                                                                              \
    {                                                                                              \
        .method = NULL                                                                             \
    }

/* The same, remembering where it stands: SVL_ROUTE("GET", "/users/{id}", show, .name = "user") */
#define SVL_ROUTE(...)                                                                             \
    {                                                                                              \
        .file = __FILE__, .line = __LINE__, .method = __VA_ARGS__                                  \
    }

/* A chain of its own answers for all below the prefix, with the prefix taken off the path; what none of
 * it answers is not found. SVL_MOUNT("/docs", docs), where docs is an array that ends in SVL_USE_END; NULL:
 * what stands behind the router in the chain. The same array in two places is the same modules. */
#define SVL_MOUNT(prefix, uses)                                                                    \
    {                                                                                              \
        .file = __FILE__, .line = __LINE__, .path = prefix SVL_MOUNT_REST, .chain = (uses),        \
        .flags = SVL_MOUNT_FLAGS                                                                   \
    }
#define SVL_MOUNT_REST "/{svl_rest:*}"
#define SVL_MOUNT_FLAGS (SVL_ROUTE_ONWARD | SVL_ROUTE_STRIP)

/* Routes that share a prefix, a host and what is done around them. Zero means none of it. */
struct svl_group {
    const char *prefix; /* "/api"; may hold params, no catch-all */
    const char *host;
    const struct svl_step *steps;          /* SVL_STEP_END at the end */
    const struct svl_use *chain;           /* modules inside the steps; SVL_USE_END at the end */
    svl_handler_fn *const *skip;           /* of steps of the groups around it; NULL at the end */
    const struct svl_route *routes;        /* SVL_ROUTE_END at the end */
    const struct svl_group *const *groups; /* NULL at the end */

    /* Asked for what is below the prefix, the innermost group's that has one. */
    svl_handler_fn *not_found;   /* no pattern fits */
    svl_handler_fn *not_allowed; /* only other methods; Allow is set */
    svl_handler_fn *options;     /* an automatic OPTIONS; Allow is set */
    svl_handler_fn *error;       /* a handler or a step said SVL_ERROR; res.status is set;
                                  * SVL_NEXT = let the next outer group's see to it */
    void *arg;                   /* of these four */
    bool always; /* steps and chain also stand around answers to misses (404, 405, OPTIONS) below
                 * the prefix */
};

enum svl_router_policy {
    SVL_ROUTER_SPECIFIC, /* text before params before catch-all, at each place, with full return */
    SVL_ROUTER_STRICT,   /* the same, but two routes that fit one path are an error at start */
    SVL_ROUTER_ORDERED,  /* the route that was declared first */
};

enum svl_router_syntax {
    SVL_ROUTER_EITHER, /* each pattern by itself: braces if it holds one, else colons */
    SVL_ROUTER_BRACES, /* {name} {name:regex} {name?} {name:*} */
    SVL_ROUTER_COLONS, /* :name *name, to the end of the segment or path */
    SVL_ROUTER_ANGLES, /* <name> <name:regex> * ; a param may be empty */
};

enum svl_router_paths {
    SVL_ROUTER_DECODED,   /* req.path is matched; params are decoded; %2F is a slash */
    SVL_ROUTER_RAW,       /* req.raw_path is matched; params are as they came */
    SVL_ROUTER_RAW_SPLIT, /* req.raw_path is matched, params are decoded: %2F stays within one */
};

/* Zero means "the default" everywhere. Everything pointed at stays valid as long as the server. */
struct svl_router_config {
    const struct svl_route *routes;                            /* SVL_ROUTE_END at the end */
    const struct svl_group *const *groups;                     /* NULL at the end */
    const struct svl_step *steps;                              /* around everything */
    const struct svl_use *chain;                               /* the same, inside the steps */
    svl_handler_fn *not_found, *not_allowed, *options, *error; /* as in svl_group */
    void *arg;
    bool always;

    enum svl_router_policy policy;
    enum svl_router_syntax syntax;
    enum svl_router_paths paths;

    bool fallthrough;       /* what is not found goes on along the chain */
    bool replace;           /* a route that is declared again takes the place of the first */
    bool no_slash_redirect; /* /a does not lead to /a/, nor back */
    bool no_path_redirect;  /* /A//B does not lead to /a/b */
    bool redirect_307;      /* 307 instead of 308 for other methods than GET and HEAD */
    bool no_405;            /* a path that other methods have is not found */
    bool no_options;        /* OPTIONS is not answered by itself */
    bool no_head;           /* HEAD is not answered by GET's route */
    bool rest_with_slash;   /* a catch-all's value begins with its slash */

    struct svl_router *router; /* the module's own, made in setup */
};

extern const struct svl_module svl_router_module;

/* Groups by calls ----------------------------------------------------------------------------
 *
 * As an alternative to static tables, before the server starts. The group may be given to
 * svl_router_config.groups, or to another group. What is passed is copied, except texts. */
struct svl_group *svl_group_open(const char *prefix);
void svl_group_close(struct svl_group *group); /* with the groups opened in it; after the server */
void svl_group_route(struct svl_group *group, const struct svl_route *route);
void svl_group_step(struct svl_group *group, const struct svl_step *step);
void svl_mount(struct svl_group *group, const char *prefix, const struct svl_use *chain);
struct svl_group *svl_group_group(struct svl_group *group, const char *prefix); /* nested */

/* svl_group_add(api, "GET", "/users/{id}", show, .name = "user"); */
#define svl_group_add(group, ...)                                                                  \
    svl_group_route(group, &(const struct svl_route)SVL_ROUTE(__VA_ARGS__))

/* Without a server ---------------------------------------------------------------------------*/

/* Compiles the config's routes. Returns 0, or SVL_ECONFIG after saying everything that is wrong
 * with svl_log(). */
int svl_router_open(struct svl_router **router, const struct svl_router_config *config);
void svl_router_close(struct svl_router *router);

/* What is looked for. `text` of the method is only looked at for SVL_METHOD_OTHER. */
struct svl_ask {
    enum svl_method method;
    svl_str text, host, path;
};

struct svl_found {
    const struct svl_route *route; /* as it was declared; NULL = none */
    unsigned n;
    svl_str values[SVL_ROUTER_PARAMS]; /* values[0, n) in the order of the pattern; views of path,
                                        * host */
    uint64_t allow;                    /* methods that fit the path, when route is NULL */
    const struct svl_target *target;   /* the module's own */
};

/* Any thread: looks one up, without allocating. Returns whether there is one. */
bool svl_router_find(const struct svl_router *router, const struct svl_ask *ask,
                     struct svl_found *found);

/* The pattern of what was found, and the name of its n-th param. */
svl_str svl_found_pattern(const struct svl_found *found);
svl_str svl_found_name(const struct svl_found *found, unsigned n);

/* Whether the path with a slash more or less at its end would be found. */
bool svl_router_find_slash(const struct svl_router *router, const struct svl_ask *ask);

/* The path as declared for one that differs in the case of ASCII letters, or by a slash at the
 * end. Writes up to path.n + 1 bytes; returns the length, 0 if there is none. */
size_t svl_router_fix(const struct svl_router *router, const struct svl_ask *ask, char *to);

/* Bytes of the compiled tree. */
size_t svl_router_bytes(const struct svl_router *router);

/* Every route in the order of declaration: "GET", "a.example" (p is NULL without), "/users/{id}". */
typedef void svl_router_each_fn(void *arg, svl_str method, svl_str host, svl_str pattern,
                                const struct svl_route *route);
void svl_router_each(const struct svl_router *router, svl_router_each_fn *fn, void *arg);
void svl_router_print(const struct svl_router *router, FILE *file);

/* URLs of routes -----------------------------------------------------------------------------
 *
 * The path of the route with that name, its params filled in and escaped. Texts come in pairs,
 * NULL at the end: svl_url(ctx, "user", "id", "7", NULL) -> "/users/7". Optional params may be
 * left out. p is NULL if there is no such route, a param is missing, empty or does not fit.
 * The router is the one that has found the route of the ctx. */
svl_str svl_url(struct svl_ctx *ctx, const char *name, ...) __attribute__((sentinel));

/* The same into a buffer, with the params as an array. Returns the length, or SVL_ESYNTAX when it
 * cannot be made, SVL_ELIMIT when `to` is too small. */
ptrdiff_t svl_router_url(const struct svl_router *router, svl_str name,
                         const struct svl_param *params, unsigned n, char *to, size_t size);

#endif
