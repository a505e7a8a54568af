/* The watchdog: a thread that names hooks which hold their worker's loop too long.
 *
 * Each worker has one word: the link whose hook runs, 0 in between. The thread marks what it finds
 * there (bit 0); whoever starts or ends a hook overwrites the mark. So a mark that is still there
 * later means that this very hook has been running all the time, and a request costs two stores. */
#ifndef SVL_RUN_WATCHDOG_H
#define SVL_RUN_WATCHDOG_H

#include "net/worker.h"
#include "serval/module.h"

/* Loop thread. A hook may lead to others, of other requests: whoever asks hooks takes the outer one
 * before and puts it back after. */
static inline uintptr_t svl_watch_outer(struct svl_worker *w)
{
    return atomic_load_explicit(&w->watch.link, memory_order_relaxed);
}

static inline void svl_watch_hook(struct svl_worker *w, const struct svl_link *link)
{
    atomic_store_explicit(&w->watch.link, (uintptr_t)link, memory_order_relaxed);
}

static inline void svl_watch_leave(struct svl_worker *w, uintptr_t outer)
{
    atomic_store_explicit(&w->watch.link, outer, memory_order_relaxed);
}

/* What is neither a hook nor a handler goes by these names. */
extern const struct svl_link svl_watch_post, svl_watch_alarm;

struct svl_watchdog;

/* Watches workers[0, n); ms is how long a hook may take. NULL when there is no thread for it. */
struct svl_watchdog *svl_watchdog_start(struct svl_worker *const *workers, unsigned n, unsigned ms);

/* NULL is fine. */
void svl_watchdog_stop(struct svl_watchdog *dog);

#endif
