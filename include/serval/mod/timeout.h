/* timeout: answers for the modules further in when they take too long. */
#ifndef SVL_MOD_TIMEOUT_H
#define SVL_MOD_TIMEOUT_H

#include "serval/async.h"
#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_TIMEOUT
#error "module timeout is not built in: cmake -DSVL_MODULE_TIMEOUT=ON"
#endif

/* Zero means "the default" everywhere. */
struct svl_timeout_config {
    unsigned after_ms; /* 0 = 30 s; SVL_NEVER = only where svl_timeout_set() says so */
    int status;        /* 0 = 503 */
    const char *body;  /* NULL = the core's page for the status */
    const char *type;  /* of the body; NULL = "text/plain; charset=utf-8" */

    /* Requests that may be further in at a time, in each worker. Those that were given up count
     * until whoever is busy with them brings them back. 0 = no limit. */
    unsigned max_running;
    int full_status; /* above it; 0 = 429 */
};

extern const struct svl_module svl_timeout_module;

/* In a handler or module further in: this request has ms from now on instead (SVL_NEVER = as long
 * as it takes). False when no timeout is in its chain. */
static inline bool svl_timeout_set(struct svl_ctx *ctx, unsigned ms)
{
    return svl_deadline_change(&svl_timeout_module, ctx, ms);
}

#endif
