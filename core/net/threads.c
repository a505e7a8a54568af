/* libuv's own threads, which do what would block a loop. It starts them for its first job and aborts
 * when one cannot be started; so as many are started here first, and ended again. */
#include "net/worker.h"

#include <pthread.h>
#include <stdlib.h>

#define MOST 1024 /* libuv's own limit */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static bool there;

/* All of them are to be there at once. */
static void *wait_at_gate(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return arg;
}

static unsigned wanted(void)
{
    const char *text = getenv("UV_THREADPOOL_SIZE");
    long n = text ? atol(text) : 4;

    return n < 1 ? 1 : n > MOST ? MOST : (unsigned)n;
}

static bool try_them(void)
{
    pthread_t threads[MOST];
    unsigned n = wanted(), started = 0;

    pthread_mutex_lock(&gate);
    while (started < n && pthread_create(&threads[started], NULL, wait_at_gate, NULL) == 0)
        started++;
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started == n;
}

bool svl_worker_has_threads(void)
{
    bool now;

    pthread_mutex_lock(&lock);
    there = there || try_them();
    now = there;
    pthread_mutex_unlock(&lock);
    return now;
}
