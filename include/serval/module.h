/* The module interface: what a module is, and how main.c composes a chain of them. */
#ifndef SVL_MODULE_H
#define SVL_MODULE_H

#include "serval/ctx.h"

struct svl_link;
struct svl_use;
struct svl_worker;

/* A module: one constant, no code runs before main(). Every hook may be NULL. */
struct svl_module {
    const char *name;    /* "cors": folder modules/cors/, option SVL_MODULE_CORS */
    const char *summary; /* one line for --modules */

    size_t config_size; /* sizeof(struct svl_<name>_config) */
    size_t slot_size;   /* per-request state, see svl_slot() */

    /* Ask on_request only when req.body holds the whole body. Otherwise it is asked as soon as
     * the head is there, and may call svl_await_body() itself. */
    bool needs_body;

    /* Once, before any worker: complete and check the module's copy of the config. A zero field
     * means "the default". <0 stops the start; say why with svl_log(). */
    int (*setup)(void *config);

    /* After the last worker has ended: undo setup. */
    void (*teardown)(void *config);

    /* Chains that this use leads into, with svl_enter(): pointers to the uses of the i-th, NULL
     * behind the last of them; returns NULL behind the last chain. Asked after setup; the pointers stay
     * valid as long as the config. The same pointer in several of them is one use: set up once,
     * with one state per worker. NULL = none, as for most modules. */
    const struct svl_use *const *(*inner)(const void *config, unsigned i);

    /* Once per worker and use in a chain. worker_init may set self->state; <0 stops the
     * start. */
    int (*worker_init)(struct svl_link *self, struct svl_worker *worker);
    void (*worker_exit)(struct svl_link *self, struct svl_worker *worker);

    /* On the way in, outermost module first, until one answers. */
    enum svl_verdict (*on_request)(const struct svl_link *self, struct svl_ctx *ctx);

    /* On the way out, innermost first: the modules that said SVL_NEXT see the answer of the one
     * that said SVL_DONE, and may change it. Verdicts: SVL_NEXT, SVL_PENDING, SVL_ERROR. */
    enum svl_verdict (*on_response)(const struct svl_link *self, struct svl_ctx *ctx);

    /* This module or one further in has said SVL_ERROR; asked from the inside out, and res.status is
     * an error's. SVL_DONE: ctx->res is the answer to it; SVL_NEXT: the next one outside shall see to
     * it, in the end the core. SVL_PENDING as ever. */
    enum svl_verdict (*on_failure)(const struct svl_link *self, struct svl_ctx *ctx);

    /* The end: the answer was handed to the connection, or nobody is there to read it. Called
     * once for each module whose on_request was called. For logs, counters, files to close. */
    void (*on_done)(const struct svl_link *self, struct svl_ctx *ctx);

    /* The core itself refused a message before it became a request (400, 408, 431 ...). No other
     * hook is called for it. ctx->req holds what was understood of it, ctx->res the answer. */
    void (*on_refused)(const struct svl_link *self, struct svl_ctx *ctx);
};

struct svl_chain;

/* One use of a module in one worker's chain. What worker_init sees stays valid until worker_exit, but
 * only what a hook was given has the place of that request: a use may stand in several chains. */
struct svl_link {
    const struct svl_module *module;
    const void *config; /* this use's config; read-only, shared by the workers */
    void *state;        /* this worker's state */
    const struct svl_link
        *opener; /* who has led into the chain that this is of; NULL = the server */
    const struct svl_chain *inner; /* the core's */
    unsigned n_inner;
    unsigned index; /* place in the chain, 0 is outermost */
};

/* How main.c asks for a module. Order in the array is order in the chain. */
struct svl_use {
    const struct svl_module *module;
    const void *config; /* struct svl_<name>_config, copied at the start */
};

/* SVL_USE(fs, .root = "/srv"); SVL_USE(skeleton, 0) for all defaults. */
#define SVL_USE(name, ...)                                                                         \
    {                                                                                              \
        &svl_##name##_module, &(const struct svl_##name##_config)                                  \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define SVL_USE_END                                                                                \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

/* In on_request, or while the module holds the ctx before it resumes with SVL_NEXT: those of the i-th
 * inner chain (svl_module::inner) are asked next, then those behind self. */
void svl_enter(const struct svl_link *self, struct svl_ctx *ctx, unsigned i);

/* Every module that was built in, NULL at the end. */
extern const struct svl_module *const svl_modules[];

/* By name, or NULL. */
const struct svl_module *svl_module_find(svl_str name);

#endif
