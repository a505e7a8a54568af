/* Answers that take their time: deadlines, alarms, work on other threads, and calls from there.
 * docs/async.md shows how it fits together. */
#ifndef SVL_ASYNC_H
#define SVL_ASYNC_H

#include "serval/module.h"

#include <limits.h>

/* Deadlines ---------------------------------------------------------------------------------
 *
 * A deadline belongs to a link: it stands for the modules further in, and is over as soon as
 * their answer comes back to that link. When it passes first, the request is split: a fresh ctx
 * takes the connection and what the links outside know about the request, and answers; the old
 * one stays with whoever is busy, gets its cancel hint, and dies with svl_resume(). Fields that
 * stood in ctx->res when the deadline was set are kept in that answer.
 *
 * A hook that is running is never interrupted, and an answer that is there when it returns is
 * sent, however late. Once the answer is being sent no deadline applies. */

#define SVL_NEVER UINT_MAX

/* In a hook of `self`, or while it holds the ctx: after ms, counted from this round of the loop,
 * the answer is `status`. A link has one deadline at a time: the second call moves the first.
 * With SVL_NEVER it waits for svl_deadline_change(). */
void svl_deadline(const struct svl_link *self, struct svl_ctx *ctx, unsigned ms, int status);

/* The same, answered by `late`, which is asked like a hook but on the fresh ctx (with the same
 * slot); it cannot say SVL_PENDING. */
typedef enum svl_verdict svl_late_fn(const struct svl_link *self, struct svl_ctx *ctx);
void svl_deadline_call(const struct svl_link *self, struct svl_ctx *ctx, unsigned ms,
                       svl_late_fn *late);

/* In any hook or handler further in: the innermost deadline that a link of `module` has set for
 * this request is due ms from now instead (SVL_NEVER = not at all). False if there is none. */
bool svl_deadline_change(const struct svl_module *module, struct svl_ctx *ctx, unsigned ms);

/* Alarms ------------------------------------------------------------------------------------
 *
 * fn(ctx, arg) on the loop thread, after a while: to resume what waits, to send a sign of life.
 * As many as wanted; they live as long as the ctx, also when nobody waits any more. */
struct svl_alarm;
typedef void svl_alarm_fn(struct svl_ctx *ctx, void *arg);

struct svl_alarm *svl_alarm_new(struct svl_ctx *ctx, svl_alarm_fn *fn, void *arg);
void svl_alarm_set(struct svl_alarm *alarm, unsigned ms); /* once; again moves it */
void svl_alarm_stop(struct svl_alarm *alarm);

/* Blocking work -----------------------------------------------------------------------------
 *
 * Runs on threads of the server's pool (offload_threads in svl_server_config) while the loop
 * serves others. When more wait than offload_queue allows, the answer is 503 with Retry-After. */

/* On a pool thread: must not touch the ctx, only what arg points at. That stays valid until
 * `reply` has been skipped or returned: memory of the ctx is fine. */
typedef void svl_work_fn(void *arg);

/* `return svl_offload(...)` in a hook: work(arg) on a pool thread, then reply(ctx, arg) on the
 * loop thread, which says what a hook says; it may offload the next step. When nobody waits any
 * more, work that has not begun is not done, and reply is skipped: what has to be cleaned up in
 * any case is handed to svl_on_free(). */
enum svl_verdict svl_offload(struct svl_ctx *ctx, svl_work_fn *work, svl_handler_fn *reply,
                             void *arg);

/* Several at once, one reply when the last one is through. */
struct svl_work {
    svl_work_fn *work;
    void *arg;
};
enum svl_verdict svl_offload_all(struct svl_ctx *ctx, const struct svl_work *works, unsigned n,
                                 svl_handler_fn *reply, void *arg);

/* In work(): nobody waits for the result any more, so it may stop early. */
bool svl_offload_unwanted(void);

/* Pays a loan back with a step instead of a verdict: step(ctx, arg) is asked at once, in place of
 * the hook that had pended, and may answer or pend again. Skipped when nobody waits. */
void svl_resume_with(struct svl_ctx *ctx, svl_handler_fn *step, void *arg);

/* In a hook: what it does now, for the watchdog's line ("GET /users/:id"). Static text. */
void svl_doing(struct svl_ctx *ctx, const char *what);

/* From other threads ------------------------------------------------------------------------*/

struct svl_server;

/* Any thread, as long as the server is open: fn(arg) on the worker's loop thread, soon, in the
 * order of the calls. svl_server_close() runs what is left. */
typedef void svl_post_fn(void *arg);
void svl_post(struct svl_worker *worker, svl_post_fn *fn, void *arg);

/* The workers are ctx->worker, and these: index < svl_server_workers(server). */
struct svl_worker *svl_server_worker(struct svl_server *server, unsigned index);
struct svl_server *svl_worker_server(const struct svl_worker *worker);

/* A ctx that may be gone by the time it is wanted. A value: copy it, keep it anywhere. */
typedef struct svl_ref {
    struct svl_worker *worker;
    unsigned place, generation;
} svl_ref;

svl_ref svl_ref_of(struct svl_ctx *ctx);         /* loop thread */
struct svl_ctx *svl_ref_get(const svl_ref *ref); /* loop thread of ref->worker; NULL = gone */

/* Any thread: fn(ctx, arg) on the loop thread of the ctx; ctx is NULL when it is over. A ctx that
 * a module holds is not over, even if nobody waits for the answer any more. */
void svl_post_ctx(svl_ref ref, svl_alarm_fn *fn, void *arg);

#endif
