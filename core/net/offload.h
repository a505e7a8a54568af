/* Offload: threads for work that blocks, shared by the workers of a server. They are started when
 * they are first needed, up to a limit, and take jobs in the order they came. */
#ifndef SVL_NET_OFFLOAD_H
#define SVL_NET_OFFLOAD_H

#include "base/list.h"
#include "net/mail.h"
#include "serval/async.h"

#include <pthread.h>
#include <stdatomic.h>

struct svl_batch;

struct svl_job {
    struct svl_list link; /* svl_offload::queue, until a thread takes it */
    struct svl_batch *batch;
    svl_work_fn *work;
    void *arg;
};

/* Jobs that are waited for together. `mail` comes when the last one is through. */
struct svl_batch {
    struct svl_mail mail;
    struct svl_worker *worker; /* who gets the mail */
    atomic_uint left;          /* jobs that are not through */
    atomic_bool unwanted;      /* nobody waits for it any more */
    unsigned n;
    struct svl_job *jobs;
};

struct svl_offload {
    pthread_mutex_t lock; /* of everything here */
    pthread_cond_t some;
    struct svl_list queue; /* svl_job::link, oldest first */
    unsigned waiting, max_waiting;
    unsigned running, n_threads, max_threads;
    unsigned long long refused;
    atomic_bool stopping;
    pthread_t *threads;
};

void svl_offload_init(struct svl_offload *pool, unsigned threads, unsigned queue);

/* Any thread. Returns 0, or SVL_ELIMIT when they would be more than may wait: then none is run. */
int svl_offload_submit(struct svl_offload *pool, struct svl_batch *batch);

/* Any thread, when nobody waits for it any more. True: no job of it was begun, or all that were
 * are through, and no mail comes. False: mail comes when those that run are through. */
bool svl_offload_withdraw(struct svl_offload *pool, struct svl_batch *batch);

/* Drops what waits, and returns when what runs is through; all mail was sent then. Nothing is
 * taken any more. */
void svl_offload_stop(struct svl_offload *pool);

/* After stop, when no worker is left. A zeroed pool is fine for both. */
void svl_offload_finish(struct svl_offload *pool);

#endif
