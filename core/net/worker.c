#include "net/worker.h"

#include "base/arena.h"
#include "base/check.h"
#include "net/child.h"
#include "net/conn.h"
#include "net/listener.h"
#include "serval/log.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#define MIN_READ 16384   /* a read has at least this much room */
#define READ_CHUNK 65000 /* room of the largest chunk class */

#define TASK_PASSES 16 /* over what tasks have led to, before others have their turn */

struct handles {
    uv_loop_t loop; /* unless it is a guest */
    uv_timer_t timer;
    uv_async_t wake;
    uv_prepare_t before_wait; /* active while there are tasks, */
    uv_idle_t no_wait;        /* and this while they must not wait for events */
    bool closing;             /* nothing of libuv is started any more */
    bool rest_closed;         /* all but the timer */
    bool closed;
};

static void on_timer(uv_timer_t *timer)
{
    struct svl_worker *w = timer->data;

    svl_timers_run(&w->timers, svl_now_ms(w));
}

/* Those that wait now. */
static void run_tasks(struct svl_worker *w)
{
    struct svl_list now;

    svl_list_move(&w->later, &now);
    while (!svl_list_empty(&now)) {
        struct svl_task *task = svl_container(now.next, struct svl_task, link);

        svl_list_remove(&task->link);
        task->run(task);
    }
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* Tasks that lead to tasks could go on for ever: a client and a server on one loop do. */
static void on_before_wait(uv_prepare_t *prepare)
{
    struct svl_worker *w = prepare->data;
    struct handles *h = w->handles;

    for (int i = 0; i < TASK_PASSES && !svl_list_empty(&w->later); i++)
        run_tasks(w);
    if (h->closing)
        return;
    if (svl_list_empty(&w->later)) {
        uv_prepare_stop(prepare);
        uv_idle_stop(&h->no_wait);
    } else {
        uv_idle_start(&h->no_wait, on_idle);
    }
}

void svl_worker_later(struct svl_worker *w, struct svl_task *task)
{
    struct handles *h = w->handles;

    if (svl_list_linked(&task->link))
        return;
    svl_list_append(&w->later, &task->link);
    if (!h->closing)
        uv_prepare_start(&h->before_wait, on_before_wait);
}

static void arm(struct svl_timers *timers, uint64_t at)
{
    struct svl_worker *w = svl_container(timers, struct svl_worker, timers);
    struct handles *h = w->handles;
    uint64_t now = svl_now_ms(w);

    uv_timer_start(&h->timer, on_timer, at > now ? at - now : 0, 0);
}

static void close_all(struct svl_worker *w)
{
    while (!svl_list_empty(&w->open)) /* one may close others, those it has opened itself */
        svl_conn_close(svl_container(w->open.next, struct svl_conn, link));
}

static void on_ended(struct svl_task *task)
{
    struct svl_worker *w = svl_container(task, struct svl_worker, ended);

    if (w->on_ended)
        w->on_ended(w);
}

static void end_if_idle(struct svl_worker *w)
{
    if (w->n_open > 0 || !(w->stopping || w->until_idle))
        return;
    if (w->guest)
        svl_worker_later(w, &w->ended);
    else
        uv_stop(w->loop);
}

static void on_grace(struct svl_timer *timer)
{
    struct svl_worker *w = svl_container(timer, struct svl_worker, grace);

    w->forced = w->n_open > 0;
    close_all(w);
    end_if_idle(w);
}

static void drain(struct svl_worker *w)
{
    struct svl_list left;

    svl_listeners_close(w);
    svl_list_move(&w->open, &left);
    while (!svl_list_empty(&left)) { /* one may close others, those it has opened itself */
        struct svl_conn *c = svl_container(left.next, struct svl_conn, link);

        svl_list_remove(&c->link);
        svl_list_append(&w->open, &c->link);
        c->protocol->on_stop(c);
    }
    svl_timer_set(&w->timers, &w->grace, svl_now_ms(w), w->grace_ms);
}

static void on_wake(uv_async_t *wake)
{
    struct svl_worker *w = wake->data;
    int stop;

    svl_mail_run(w);
    stop = atomic_load(&w->stop);

    if (stop >= 1 && w->stopping == 0) {
        w->stopping = 1;
        drain(w);
    }
    if (stop >= 2 && w->stopping == 1) {
        w->stopping = 2;
        on_grace(&w->grace);
    }
    end_if_idle(w);
}

/* What cannot fail comes last, so that there is nothing to close when it does. */
static int open_handles(struct svl_worker *w, struct handles *h)
{
    int err = 0;

    w->guest = w->loop != NULL;
    if (!w->guest) {
        err = uv_loop_init(&h->loop);
        w->loop = &h->loop;
    }
    if (err)
        return err;
    err = uv_async_init(w->loop, &h->wake, on_wake);
    if (err) {
        if (!w->guest)
            uv_loop_close(w->loop);
        return err;
    }
    uv_timer_init(w->loop, &h->timer);
    uv_prepare_init(w->loop, &h->before_wait);
    uv_idle_init(w->loop, &h->no_wait);
    h->timer.data = h->wake.data = h->before_wait.data = w;
    return 0;
}

int svl_worker_open(struct svl_worker *w)
{
    struct handles *h = svl_calloc(sizeof *h);
    int err = open_handles(w, h);

    if (err) {
        w->loop = NULL;
        free(h);
        return err;
    }
    w->handles = h;
    svl_timers_init(&w->timers, arm);
    w->grace.fire = on_grace;
    w->ended.run = on_ended;
    svl_chunk_store_init(&w->chunks);
    svl_pool_init(&w->conns, svl_conn_size(), 32);
    svl_pool_init(&w->outs, sizeof(struct svl_out), 32);
    svl_pool_init(&w->blocks, SVL_ARENA_BLOCK, 8);
    svl_list_init(&w->open);
    svl_list_init(&w->children);
    svl_list_init(&w->attached);
    svl_list_init(&w->later);
    w->gather.bytes = svl_malloc(SVL_GATHER_SIZE);
    w->preamble.second = -1;
    return 0;
}

static void stay_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        svl_log(SVL_WARN, "worker: cannot stay on CPU %d", cpu);
}

void svl_worker_run(struct svl_worker *w)
{
    if (w->cpu >= 0)
        stay_on(w->cpu);
    uv_run(w->loop, UV_RUN_DEFAULT);
}

void svl_worker_poll(struct svl_worker *w, bool wait)
{
    w->rewatched = false;
    wait = wait && svl_list_empty(&w->later); /* tasks are something to do */
    uv_run(w->loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

int svl_worker_fd(const struct svl_worker *w)
{
    return uv_backend_fd(w->loop);
}

int svl_worker_timeout(struct svl_worker *w)
{
    if (w->rewatched || !svl_list_empty(&w->later))
        return 0;
    uv_update_time(w->loop);
    return uv_backend_timeout(w->loop);
}

void svl_worker_stop(struct svl_worker *w)
{
    struct handles *h = w->handles;

    if (atomic_fetch_add(&w->stop, 1) > 1000)
        atomic_store(&w->stop, 2); /* never wraps */
    uv_async_send(&h->wake);
}

void svl_worker_wake(struct svl_worker *w)
{
    uv_async_send(&((struct handles *)w->handles)->wake);
}

/* Closing takes three steps, because libuv calls back in later rounds: everything but the timer;
 * when that is through and no job is left, the timer; then the memory. */

static void free_all(struct svl_worker *w)
{
    svl_timers_run(&w->timers, uv_now(w->loop)); /* frees connections that are in memory */
    SVL_ASSERT(w->conns.live == 0);
    svl_chunk_unref(w->reading);
    free(w->gather.bytes);
    svl_pool_finish(&w->conns);
    svl_pool_finish(&w->outs);
    svl_pool_finish(&w->exchanges);
    svl_pool_finish(&w->blocks);
    svl_pool_finish(&w->segments);
    svl_chunk_store_finish(&w->chunks);
    svl_handles_finish(&w->handles_of_ctx);
}

static void on_last_closed(uv_handle_t *timer)
{
    struct svl_worker *w = timer->data;
    struct handles *h = w->handles;

    free_all(w);
    h->closed = true;
    if (!w->guest)
        return;
    free(h);
    w->loop = NULL;
    w->on_closed(w);
}

static void close_last(struct svl_worker *w)
{
    struct handles *h = w->handles;

    if (h->rest_closed && w->jobs == 0)
        uv_close((uv_handle_t *)&h->timer, on_last_closed);
}

static void on_rest_closed(uv_handle_t *wake)
{
    struct svl_worker *w = wake->data;

    ((struct handles *)w->handles)->rest_closed = true;
    close_last(w);
}

void svl_worker_job_done(struct svl_worker *w)
{
    w->jobs--;
    close_last(w);
}

static void close_attached(struct svl_worker *w)
{
    while (!svl_list_empty(&w->attached)) {
        struct svl_attached *first = svl_container(w->attached.next, struct svl_attached, link);

        first->close(first);
    }
}

/* What others have asked for, and what came of it. */
static void settle(struct svl_worker *w)
{
    do
        run_tasks(w);
    while (svl_mail_run(w) || !svl_list_empty(&w->later));
}

static void run_until_closed(struct svl_worker *w)
{
    struct handles *h = w->handles;

    while (!h->closed)
        uv_run(w->loop, UV_RUN_DEFAULT);
    SVL_ASSERT(uv_loop_close(w->loop) == 0);
    free(h);
    w->loop = NULL;
    w->on_closed(w);
}

void svl_worker_close(struct svl_worker *w)
{
    struct handles *h = w->handles;

    w->stopping = 2;
    w->on_ended = NULL;
    h->closing = true;
    svl_listeners_close(w);
    close_attached(w);
    close_all(w);
    svl_children_close(w);
    settle(w);
    uv_close((uv_handle_t *)&h->before_wait, NULL);
    uv_close((uv_handle_t *)&h->no_wait, NULL);
    uv_close((uv_handle_t *)&h->wake, on_rest_closed);
    if (!w->guest)
        run_until_closed(w);
}

uint64_t svl_now_ms(const struct svl_worker *w)
{
    return uv_now(w->loop) + w->ahead_ms;
}

/* The system's clock is asked when its second ends by the loop's clock: it may have been set
 * meanwhile, and will be believed one second late at most. */
int64_t svl_wall_seconds(struct svl_worker *w)
{
    uint64_t now = uv_now(w->loop);

    if (svl_unlikely(now >= w->second_ends_ms)) {
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        w->second = t.tv_sec;
        w->second_ends_ms = now + 1000 - (uint64_t)t.tv_nsec / 1000000;
    }
    return w->second;
}

const struct svl_preamble *svl_worker_preamble(struct svl_worker *w)
{
    int64_t second = svl_wall_seconds(w);

    if (svl_unlikely(w->preamble.second != second))
        svl_preamble_make(&w->preamble, w->name, second, !w->no_date);
    return &w->preamble;
}

struct svl_chunk *svl_worker_reading(struct svl_worker *w)
{
    if (w->reading && w->reading->refs == 1)
        w->reading->len = 0;
    if (!w->reading || w->reading->cap - w->reading->len < MIN_READ) {
        svl_chunk_unref(w->reading);
        w->reading = svl_chunk_new(&w->chunks, READ_CHUNK);
    }
    SVL_UNPOISON(w->reading->bytes + w->reading->len, w->reading->cap - w->reading->len);
    return w->reading;
}

struct svl_chunk *svl_worker_pin(struct svl_worker *w)
{
    w->pinned = true;
    return svl_chunk_ref(w->reading);
}

void svl_worker_read_done(struct svl_worker *w, size_t n)
{
    if (svl_unlikely(w->pinned)) {
        w->pinned = false;
        w->reading->len += (n + 15) & ~(size_t)15;
        if (w->reading->len > w->reading->cap)
            w->reading->len = w->reading->cap;
    }
    SVL_POISON(w->reading->bytes + w->reading->len, w->reading->cap - w->reading->len);
}

/* Only pools that nobody has anything of: then it costs nothing but making slabs anew. */
static void trim(struct svl_worker *w)
{
    struct svl_pool *pools[] = {&w->exchanges, &w->blocks, &w->outs, &w->conns};

    for (unsigned i = 0; i < sizeof pools / sizeof *pools; i++)
        if (pools[i]->live == 0)
            svl_pool_finish(pools[i]);
    for (unsigned i = 0; i < SVL_CHUNK_CLASSES; i++)
        if (w->chunks.classes[i].live == 0)
            svl_pool_finish(&w->chunks.classes[i]);
}

void svl_worker_conn_gone(struct svl_worker *w)
{
    if (svl_unlikely(w->reduce_memory))
        trim(w);
    svl_listeners_resume(w);
    end_if_idle(w);
}
