/* Answers that take their time: deadlines and alarms. docs/async.md shows how it fits together. */
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

#endif
