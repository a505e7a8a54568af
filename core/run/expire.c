/* Deadlines of links and alarms of a ctx: timers in the exchange's memory. */
#include "run/exchange.h"

#include "base/check.h"
#include "run/watchdog.h"
#include "serval/async.h"

struct svl_deadline {
    struct svl_timer timer;
    struct svl_deadline *next; /* of the same exchange */
    struct svl_exchange *x;
    svl_late_fn *late; /* NULL = status */
    uint16_t status;
    uint8_t at;               /* the link's index */
    uint16_t n_kept;          /* fields that stood in the answer when it was set */
    struct svl_header kept[]; /* their names and values belong to the same memory, or are static */
};

/* What the links outside had put into the answer. The body's type is not theirs. */
static void restore(const struct svl_deadline *d, struct svl_exchange *y)
{
    for (unsigned i = 0; i < d->n_kept; i++)
        svl_header_add_name(&y->pub, svl_header_name(&d->kept[i]), svl_header_value(&d->kept[i]));
}

static void fire(struct svl_timer *timer)
{
    struct svl_deadline *d = svl_container(timer, struct svl_deadline, timer);
    struct svl_exchange *y = svl_exchange_split(d->x, d->at);
    enum svl_verdict v = SVL_DONE;

    restore(d, y);
    if (d->late)
        v = d->late(&y->chain->links[d->at], &y->pub);
    else
        svl_fail(&y->pub, d->status, NULL);
    SVL_MISUSE_IF(v == SVL_PENDING, "svl_deadline_call: the answer is due now");
    svl_resume(&y->pub, v == SVL_NEXT ? SVL_DONE : v);
}

static struct svl_deadline *find(struct svl_exchange *x, unsigned at)
{
    struct svl_deadline *d = x->deadlines;

    while (d && d->at != at)
        d = d->next;
    return d;
}

static struct svl_deadline *add(struct svl_exchange *x, unsigned at)
{
    const struct svl_headers *headers = &x->pub.res.headers;
    size_t kept = headers->n * sizeof *headers->at;
    struct svl_deadline *d = svl_arena_alloc(&x->arena, sizeof *d + kept);

    d->timer.fire = fire;
    d->x = x;
    d->at = (uint8_t)at;
    d->n_kept = headers->n;
    if (kept)
        memcpy(d->kept, headers->at, kept);
    d->next = x->deadlines;
    x->deadlines = d;
    if (x->innermost <= at)
        x->innermost = (uint8_t)(at + 1);
    return d;
}

static void move(struct svl_timer *timer, struct svl_worker *w, unsigned ms)
{
    if (ms == SVL_NEVER)
        svl_timer_clear(timer);
    else
        svl_timer_set(&w->timers, timer, svl_now_ms(w), ms);
}

static void set(const struct svl_link *self, struct svl_ctx *ctx, unsigned ms, svl_late_fn *late,
                int status)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_deadline *d;

    SVL_MISUSE_IF(x->state != SVL_RUNNING && x->state != SVL_LOANED,
                  "svl_deadline: only while the answer is being made");
    if (!x->wire) /* nobody waits as it is */
        return;
    d = find(x, self->index);
    if (!d)
        d = add(x, self->index);
    d->late = late;
    d->status = (uint16_t)status;
    move(&d->timer, ctx->worker, ms);
}

void svl_deadline(const struct svl_link *self, struct svl_ctx *ctx, unsigned ms, int status)
{
    set(self, ctx, ms, NULL, status);
}

void svl_deadline_call(const struct svl_link *self, struct svl_ctx *ctx, unsigned ms,
                       svl_late_fn *late)
{
    set(self, ctx, ms, late, 0);
}

bool svl_deadline_change(const struct svl_module *module, struct svl_ctx *ctx, unsigned ms)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_deadline *found = NULL;

    for (struct svl_deadline *d = x->deadlines; d; d = d->next)
        if (x->chain->links[d->at].module == module && (!found || d->at > found->at))
            found = d;
    if (found)
        move(&found->timer, ctx->worker, ms);
    return found != NULL;
}

void svl_deadlines_drop(struct svl_exchange *x, unsigned at)
{
    struct svl_deadline **place = &x->deadlines, *d;

    x->innermost = 0;
    while ((d = *place)) {
        if (d->at < at) {
            if (x->innermost <= d->at)
                x->innermost = (uint8_t)(d->at + 1);
            place = &d->next;
            continue;
        }
        svl_timer_clear(&d->timer);
        *place = d->next;
    }
}

void svl_deadlines_hand_over(struct svl_exchange *x, struct svl_exchange *y, unsigned at)
{
    svl_deadlines_drop(x, at);
    y->deadlines = x->deadlines;
    y->innermost = x->innermost;
    x->deadlines = NULL;
    x->innermost = 0;
    for (struct svl_deadline *d = y->deadlines; d; d = d->next)
        d->x = y;
}

/* Alarms ----------------------------------------------------------------------------------- */

struct svl_alarm {
    struct svl_timer timer;
    struct svl_ctx *ctx;
    svl_alarm_fn *fn;
    void *arg;
};

static void ring(struct svl_timer *timer)
{
    struct svl_alarm *alarm = svl_container(timer, struct svl_alarm, timer);
    struct svl_worker *w = alarm->ctx->worker;

    svl_watch_hook(w, &svl_watch_alarm);
    alarm->fn(alarm->ctx, alarm->arg);
    svl_watch_leave(w, 0);
}

static void stop(void *arg)
{
    svl_alarm_stop(arg);
}

struct svl_alarm *svl_alarm_new(struct svl_ctx *ctx, svl_alarm_fn *fn, void *arg)
{
    struct svl_alarm *alarm = svl_alloc(ctx, sizeof *alarm);

    *alarm = (struct svl_alarm){.timer.fire = ring, .ctx = ctx, .fn = fn, .arg = arg};
    svl_on_free(ctx, stop, alarm);
    return alarm;
}

void svl_alarm_set(struct svl_alarm *alarm, unsigned ms)
{
    move(&alarm->timer, alarm->ctx->worker, ms);
}

void svl_alarm_stop(struct svl_alarm *alarm)
{
    svl_timer_clear(&alarm->timer);
}
