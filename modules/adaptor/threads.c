#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define LINGER_S 5 /* an idle thread waits so long for the next job */

struct job {
    struct job *next;
    job_fn *fn;
    void *arg;
};

struct threads {
    pthread_mutex_t lock;
    pthread_cond_t work, over;
    struct job *first, **last; /* waiting */
    unsigned waiting, idle, alive;
    bool closing;
    size_t stack_size;
};

struct threads *mhd_threads_new(size_t stack_size)
{
    struct threads *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->over, NULL);
    t->last = &t->first;
    t->stack_size = stack_size;
    return t;
}

/* With the lock held. NULL = this thread is not needed any more. */
static struct job *take(struct threads *t)
{
    struct timespec until;
    struct job *job;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LINGER_S;
    t->idle++;
    while (!t->first && !t->closing)
        if (pthread_cond_timedwait(&t->work, &t->lock, &until) == ETIMEDOUT)
            break;
    t->idle--;
    job = t->first;
    if (!job)
        return NULL;
    t->first = job->next;
    if (!t->first)
        t->last = &t->first;
    t->waiting--;
    return job;
}

static void *run(void *arg)
{
    struct threads *t = arg;
    struct job *job;

    pthread_mutex_lock(&t->lock);
    while ((job = take(t))) {
        pthread_mutex_unlock(&t->lock);
        job->fn(job->arg);
        free(job);
        pthread_mutex_lock(&t->lock);
    }
    t->alive--;
    pthread_cond_signal(&t->over);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* With the lock held. */
static bool add_thread(struct threads *t)
{
    pthread_attr_t attr;
    pthread_t thread;
    bool made;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (t->stack_size)
        pthread_attr_setstacksize(&attr, t->stack_size);
    made = pthread_create(&thread, &attr, run, t) == 0;
    pthread_attr_destroy(&attr);
    t->alive += made;
    return made;
}

bool mhd_threads_run(struct threads *t, job_fn *fn, void *arg)
{
    struct job *job = malloc(sizeof *job);
    bool ok = job != NULL;

    if (!ok)
        return false;
    *job = (struct job){NULL, fn, arg};
    pthread_mutex_lock(&t->lock);
    if (t->idle <= t->waiting)
        ok = add_thread(t) || t->alive > 0; /* without a new one, one of the old ones comes to it */
    if (ok) {
        *t->last = job;
        t->last = &job->next;
        t->waiting++;
        pthread_cond_signal(&t->work);
    }
    pthread_mutex_unlock(&t->lock);
    if (!ok)
        free(job);
    return ok;
}

void mhd_threads_free(struct threads *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->closing = true;
    pthread_cond_broadcast(&t->work);
    while (t->alive > 0)
        pthread_cond_wait(&t->over, &t->lock);
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->over);
    free(t);
}
