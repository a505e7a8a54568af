#include "net/offload.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What this thread works at; so that work() can ask whether it is still wanted. */
static _Thread_local struct {
    struct svl_offload *pool;
    struct svl_batch *batch;
} current;

bool svl_offload_unwanted(void)
{
    return current.batch && (atomic_load_explicit(&current.batch->unwanted, memory_order_relaxed) ||
                             atomic_load_explicit(&current.pool->stopping, memory_order_relaxed));
}

void svl_offload_init(struct svl_offload *pool, unsigned threads, unsigned queue)
{
    *pool = (struct svl_offload){.max_threads = threads, .max_waiting = queue};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->some, NULL);
    svl_list_init(&pool->queue);
    pool->threads = svl_calloc(threads * sizeof *pool->threads);
}

/* `n` jobs of it will not come to their end otherwise. True when these were the last ones. */
static bool through(struct svl_batch *batch, unsigned n)
{
    return atomic_fetch_sub_explicit(&batch->left, n, memory_order_acq_rel) == n;
}

static struct svl_job *take(struct svl_offload *pool)
{
    struct svl_job *job = svl_container(pool->queue.next, struct svl_job, link);

    svl_list_remove(&job->link);
    pool->waiting--;
    return job;
}

static void run(struct svl_offload *pool, struct svl_job *job)
{
    struct svl_batch *batch = job->batch;

    current.pool = pool;
    current.batch = batch;
    job->work(job->arg);
    current.batch = NULL;
    if (through(batch, 1))
        svl_mail_send(batch->worker, &batch->mail); /* the batch may be gone from here on */
}

static void *run_thread(void *arg)
{
    struct svl_offload *pool = arg;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct svl_job *job;

        if (svl_list_empty(&pool->queue)) {
            pthread_cond_wait(&pool->some, &pool->lock);
            continue;
        }
        job = take(pool);
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        run(pool, job);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the lock. */
static void add_thread(struct svl_offload *pool)
{
    sigset_t all, before;
    int err;

    sigfillset(&all); /* signals are for the program's own thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&pool->threads[pool->n_threads], NULL, run_thread, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        svl_log(SVL_WARN, "offload: no thread: %s", strerror(err));
    else
        pool->n_threads++;
}

/* A thread for each job as long as there may be more of them. */
static bool make_room(struct svl_offload *pool, unsigned n)
{
    unsigned wanted = pool->running + pool->waiting + n, before;

    if (wanted > pool->max_threads + pool->max_waiting)
        return false;
    do {
        before = pool->n_threads;
        if (before < wanted && before < pool->max_threads)
            add_thread(pool);
    } while (pool->n_threads > before);
    return pool->n_threads > 0;
}

static void append(struct svl_offload *pool, struct svl_batch *batch)
{
    for (unsigned i = 0; i < batch->n; i++) {
        batch->jobs[i].batch = batch;
        svl_list_append(&pool->queue, &batch->jobs[i].link);
    }
    pool->waiting += batch->n;
}

int svl_offload_submit(struct svl_offload *pool, struct svl_batch *batch)
{
    bool fits;

    atomic_store_explicit(&batch->left, batch->n, memory_order_relaxed);
    pthread_mutex_lock(&pool->lock);
    fits = !pool->stopping && make_room(pool, batch->n);
    if (fits)
        append(pool, batch);
    else
        pool->refused++;
    if (fits && batch->n == 1)
        pthread_cond_signal(&pool->some);
    else if (fits)
        pthread_cond_broadcast(&pool->some);
    pthread_mutex_unlock(&pool->lock);
    return fits ? 0 : SVL_ELIMIT;
}

bool svl_offload_withdraw(struct svl_offload *pool, struct svl_batch *batch)
{
    unsigned n = 0;

    atomic_store_explicit(&batch->unwanted, true, memory_order_relaxed);
    pthread_mutex_lock(&pool->lock);
    for (unsigned i = 0; i < batch->n; i++) {
        if (!svl_list_linked(&batch->jobs[i].link))
            continue;
        svl_list_remove(&batch->jobs[i].link);
        pool->waiting--;
        n++;
    }
    pthread_mutex_unlock(&pool->lock);
    return n > 0 && through(batch, n);
}

static void drop_waiting(struct svl_offload *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    while (!svl_list_empty(&pool->queue)) {
        struct svl_batch *batch = take(pool)->batch;

        atomic_store_explicit(&batch->unwanted, true, memory_order_relaxed);
        if (through(batch, 1))
            svl_mail_send(batch->worker, &batch->mail);
    }
    pthread_cond_broadcast(&pool->some);
    pthread_mutex_unlock(&pool->lock);
}

void svl_offload_stop(struct svl_offload *pool)
{
    if (!pool->threads)
        return;
    drop_waiting(pool);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pool->n_threads = 0;
}

void svl_offload_finish(struct svl_offload *pool)
{
    if (!pool->threads)
        return;
    SVL_ASSERT(pool->n_threads == 0);
    pthread_cond_destroy(&pool->some);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
}
