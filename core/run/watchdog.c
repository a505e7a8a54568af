#include "run/watchdog.h"

#include "base/check.h"
#include "serval/async.h"
#include "serval/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define LINE_MS 1000 /* at most one line per worker in this time */

static const struct svl_module post_module = {.name = "svl_post"};
static const struct svl_module alarm_module = {.name = "svl_alarm"};
const struct svl_link svl_watch_post = {.module = &post_module};
const struct svl_link svl_watch_alarm = {.module = &alarm_module};

struct watched {
    struct svl_worker *worker;
    uint64_t since;    /* when the mark was set */
    bool told;         /* that hook was counted and, if `line` says so, logged */
    uint64_t line;     /* when the last line was logged */
    unsigned unlogged; /* counted since then */
};

struct svl_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    unsigned ms, n;
    struct watched watched[];
};

void svl_doing(struct svl_ctx *ctx, const char *what)
{
    struct svl_watch *watch = &ctx->worker->watch;

    atomic_store_explicit(&watch->doing, what, memory_order_relaxed);
    atomic_store_explicit(&watch->doing_link,
                          atomic_load_explicit(&watch->link, memory_order_relaxed) | 1,
                          memory_order_relaxed);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void tell(struct watched *d, uintptr_t marked, uint64_t now)
{
    struct svl_watch *watch = &d->worker->watch;
    const struct svl_link *link = (const struct svl_link *)(marked & ~(uintptr_t)1);
    const char *doing = atomic_load_explicit(&watch->doing, memory_order_relaxed);

    d->told = true;
    atomic_fetch_add_explicit(&watch->stalls, 1, memory_order_relaxed);
    if (d->line && now - d->line < LINE_MS) {
        d->unlogged++;
        return;
    }
    if (atomic_load_explicit(&watch->doing_link, memory_order_relaxed) != marked)
        doing = NULL;
    svl_log(SVL_WARN, "watchdog: worker %u: %s%s%s has held the loop for %u ms%s", d->worker->index,
            link->module->name, doing ? ": " : "", doing ? doing : "", (unsigned)(now - d->since),
            d->unlogged ? ", and others before it" : "");
    d->line = now;
    d->unlogged = 0;
}

static void look(struct watched *d, unsigned ms, uint64_t now)
{
    _Atomic(uintptr_t) *word = &d->worker->watch.link;
    uintptr_t link = atomic_load_explicit(word, memory_order_relaxed);

    if (link & 1) {
        if (!d->told && now - d->since >= ms)
            tell(d, link, now);
        return;
    }
    if (link && atomic_compare_exchange_strong_explicit(word, &link, link | 1, memory_order_relaxed,
                                                        memory_order_relaxed)) {
        d->since = now;
        d->told = false;
    }
}

static void *watch(void *arg)
{
    struct svl_watchdog *dog = arg;
    unsigned step = dog->ms / 2 + 1;
    struct timespec until;

    pthread_mutex_lock(&dog->lock);
    while (!dog->stopping) {
        uint64_t now = now_ms();

        for (unsigned i = 0; i < dog->n; i++)
            look(&dog->watched[i], dog->ms, now);
        now += step;
        until = (struct timespec){(time_t)(now / 1000), (long)(now % 1000) * 1000000};
        pthread_cond_timedwait(&dog->wake, &dog->lock, &until);
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

static int start_thread(struct svl_watchdog *dog)
{
    sigset_t all, before;
    int err;

    sigfillset(&all); /* signals are for the program's own thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&dog->thread, NULL, watch, dog);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

struct svl_watchdog *svl_watchdog_start(struct svl_worker *const *workers, unsigned n, unsigned ms)
{
    struct svl_watchdog *dog = svl_calloc(sizeof *dog + n * sizeof *dog->watched);
    pthread_condattr_t attr;

    dog->ms = ms;
    dog->n = n;
    for (unsigned i = 0; i < n; i++)
        dog->watched[i].worker = workers[i];
    pthread_mutex_init(&dog->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&dog->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (start_thread(dog) == 0)
        return dog;
    svl_log(SVL_WARN, "watchdog: no thread for it");
    free(dog);
    return NULL;
}

void svl_watchdog_stop(struct svl_watchdog *dog)
{
    if (!dog)
        return;
    pthread_mutex_lock(&dog->lock);
    dog->stopping = true;
    pthread_cond_signal(&dog->wake);
    pthread_mutex_unlock(&dog->lock);
    pthread_join(dog->thread, NULL);
    pthread_cond_destroy(&dog->wake);
    pthread_mutex_destroy(&dog->lock);
    free(dog);
}
