/* timeout: answers for the modules further in when they take too long. The clock is the core's
 * (svl_deadline); this module says what is answered, and counts what is still busy. */
#include "serval/mod/timeout.h"

#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <stdlib.h>

struct state {
    unsigned running; /* only counted when there is a limit */
};

struct slot {
    struct state *counted; /* NULL = not, or not any more */
};

static int setup(void *config)
{
    struct svl_timeout_config *cfg = config;

    if (!cfg->after_ms)
        cfg->after_ms = 30000;
    if (!cfg->status)
        cfg->status = 503;
    if (!cfg->type)
        cfg->type = "text/plain; charset=utf-8";
    if (!cfg->full_status)
        cfg->full_status = 429;
    if (cfg->status < 200 || cfg->status > 599 || cfg->full_status < 200 ||
        cfg->full_status > 599) {
        svl_log(SVL_ALERT, "timeout: a status is 200 to 599");
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

/* Called when the answer passes, else when the memory of the busy half goes. */
static void release(void *arg)
{
    struct slot *slot = arg;

    if (slot->counted)
        slot->counted->running--;
    slot->counted = NULL;
}

static enum svl_verdict too_late(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_timeout_config *cfg = self->config;

    if (!cfg->body)
        return svl_fail(ctx, cfg->status, "it took too long");
    svl_text(ctx, cfg->status, svl_str_of(cfg->body));
    svl_content_type(ctx, svl_str_of(cfg->type));
    return SVL_DONE;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_timeout_config *cfg = self->config;

    if (cfg->max_running) {
        struct state *state = self->state;
        struct slot *slot = svl_slot(self, ctx);

        if (state->running == cfg->max_running) {
            svl_header_set_static(ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
            return svl_fail(ctx, cfg->full_status, "too many requests are being answered");
        }
        state->running++;
        slot->counted = state;
        svl_on_free(ctx, release, slot);
    }
    svl_deadline_call(self, ctx, cfg->after_ms, too_late);
    return SVL_NEXT;
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_timeout_config *cfg = self->config;

    if (cfg->max_running)
        release(svl_slot(self, ctx));
    return SVL_NEXT;
}

const struct svl_module svl_timeout_module = {
    .name = "timeout",
    .summary = "answer for inner modules that take too long",
    .config_size = sizeof(struct svl_timeout_config),
    .slot_size = sizeof(struct slot),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
    .on_response = on_response,
};
