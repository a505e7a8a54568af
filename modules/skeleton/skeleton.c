/* skeleton: the module to copy. docs/module.md says how, step by step. */
#include "serval/mod/skeleton.h"

#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <stdlib.h>

/* What this module remembers about one request. Zeroed when svl_slot() is first called. */
struct slot {
    bool greeted;
};

/* What one worker keeps for one use of the module. One thread uses it: no locks. */
struct state {
    unsigned long long requests, greetings;
};

/* At the start, on the module's own copy of the config: fill in defaults, refuse what is wrong. */
static int setup(void *config)
{
    struct svl_skeleton_config *cfg = config;

    if (!cfg->path)
        cfg->path = "/skeleton";
    if (!cfg->greeting)
        cfg->greeting = "hello from the skeleton\n";
    if (cfg->path[0] != '/') {
        svl_log(SVL_ALERT, "skeleton: path \"%s\": does not begin with a slash", cfg->path);
        return SVL_ECONFIG;
    }
    return 0;
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    self->state = calloc(1, sizeof(struct state));
    return self->state ? 0 : -ENOMEM;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    free(self->state);
}

/* On the way in: answer, or let the next module have a look. */
static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_skeleton_config *cfg = self->config;
    struct slot *slot = svl_slot(self, ctx);

    if (!svl_str_eq(ctx->req.path, svl_str_of(cfg->path)))
        return SVL_NEXT;
    if (ctx->req.method != SVL_GET && ctx->req.method != SVL_HEAD) {
        svl_header_set_static(ctx, SVL_H_ALLOW, SVL_STR("GET, HEAD"));
        return svl_fail(ctx, 405, "only GET and HEAD here");
    }
    slot->greeted = true;
    return svl_text(ctx, 200, svl_str_of(cfg->greeting));
}

/* On the way out, when a module further in has answered: change the answer, or leave it. Not
 * called when this module answered itself. */
static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    svl_header_set_name(ctx, SVL_STR("X-Skeleton"), SVL_STR("was here"));
    return SVL_NEXT;
}

/* The end, for every request that on_request saw: count, log, close. Nothing can be sent now. */
static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct state *state = self->state;
    const struct slot *slot = svl_slot(self, ctx);

    state->requests++;
    if (slot->greeted)
        state->greetings++;
}

const struct svl_module svl_skeleton_module = {
    .name = "skeleton",
    .summary = "the module to copy: greets on one path",
    .config_size = sizeof(struct svl_skeleton_config),
    .slot_size = sizeof(struct slot),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
};
